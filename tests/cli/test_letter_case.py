# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that ignore the case of names, as macOS' do: builds have terminal descriptions whose names differ in nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.tools import casefold
from tests.tools.sources import OLD, V13

pytestmark = pytest.mark.skipif(casefold.lacking(), reason="needs FUSE: mounts a file system that ignores case")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with casefold.mounted(tmp_path) as disk:
        yield disk


@pytest.mark.parametrize("tar", ["tar", "bsdtar"])
def test_install_verify_repair_and_remove(tar: str, command: Command, source: Path, disk: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "tar").symlink_to(shutil.which(tar) or pytest.fail(f"{tar} is not installed (tests/packages.txt names its package)"))
    path = {"PATH": f"{tools}:{os.environ['PATH']}"}

    def apply(build: str, **more: object) -> dict[str, object]:
        file = command.file(json.dumps({"builds": [build], "source": str(source), "root": str(disk / "py"), **more}))
        done = command("apply", file, "--bin-dir", disk / "bin", "--json", environment=path)
        assert done.code == 0, done.errors
        told = json.loads(done.output)
        assert isinstance(told, dict)
        return told

    def verify() -> None:
        done = command("verify", "--root", disk / "py", "--bin-dir", disk / "bin", environment=path)
        assert done.code == 0, done.errors

    assert apply(f"{V13}+{OLD}")["changed"] is True
    verify()
    assert apply(f"{V13}+{OLD}", verify="full")["changed"] is False
    terminfo = disk / "py" / "cpython-3.13" / "share" / "terminfo"
    assert len({name.casefold() for name in os.listdir(terminfo)}) == len(os.listdir(terminfo))
    python = disk / "bin" / "python3.13"
    done = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(disk / "py" / "cpython-3.13")
    if tar == "tar":
        return  # what comes next has nothing to do with it, and this file system is slow
    (disk / "PY" / "CPYTHON-3.13" / "LIB" / "python3.13" / "ssl.py").unlink()
    assert apply(f"{V13}+{OLD}")["changed"] is True
    verify()
    assert apply("3.13", state="absent")["changed"] is True
    assert os.listdir(disk / "bin") == []
