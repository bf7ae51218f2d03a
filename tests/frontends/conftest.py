# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts, builds and a web server that offers them; and nothing of the environment of whoever runs the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.hosts import unavailable
from tests.tools.hosts.bases import bases
from tests.tools.web import Web, serve


@pytest.fixture(scope="session", autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        patch.delenv("GITHUB_TOKEN", raising=False)
        patch.setenv("NETRC", str(tmp_path_factory.mktemp("netrc") / "none"))
        yield


@pytest.fixture
def web(source: Path) -> Iterator[Web]:
    with serve(source) as server:
        yield server


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A busybox system in a folder, with /dev/null."""
    if reason := unavailable():
        pytest.skip(reason)
    folder = tmp_path / "image"
    shutil.copytree(bases() / "busybox", folder, symlinks=True)
    os.mknod(folder / "dev/null", 0o20666, os.makedev(1, 3))
    return folder
