# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is published, as scripts/release.py builds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel, its sources and the collection."""
    folder = tmp_path_factory.mktemp("published")
    command: list[str | Path] = [
        sys.executable,
        PROJECT / "scripts/release.py",
        folder,
        "--repository",
        "https://example.org/standalone-python",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def wheel(published: Path) -> Path:
    (built,) = published.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def sources(published: Path) -> Path:
    (built,) = published.glob("standalone_python-*.tar.gz")
    return built


@pytest.fixture(scope="session")
def tarball(published: Path) -> Path:
    (built,) = published.glob("standalone-python-*.tar.gz")
    return built
