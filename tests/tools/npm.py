# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of npm whose files the tests use: downloaded once, verified, and never installed, so that none of their scripts runs."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tools.packed import kept

# npm waits 10 s and more before it tries again. It refuses a longest pause that is shorter than the shortest, unless the package is
# in its cache.
_PATIENCE = ("--fetch-retries=3", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=10000")


def package(spec: str, integrity: str) -> Path:
    """Return the archive of a package; skip the test where npm or the package is not available.

    :param spec: ``NAME@VERSION``
    :param integrity: ``sha512-`` and the digest in base64, as npm's lock files write it
    """
    if not shutil.which("npm"):
        pytest.skip(f"needs npm: to download {spec}")
    return kept("npm", (spec, integrity), lambda folder: _download(spec, integrity, folder))


def _download(spec: str, integrity: str, folder: Path) -> Path:
    done = subprocess.run(
        ["npm", "pack", "--loglevel=error", *_PATIENCE, spec], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"needs npm: it cannot download {spec}: {done.stderr.strip()[-300:]}")
    archive = folder / done.stdout.split()[-1]
    actual = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert actual == integrity, f"{spec} is not the reviewed package: its integrity is {actual}"
    return archive
