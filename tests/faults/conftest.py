# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a kind that a machine has on a bad day: full, read-only, without programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.agents.place import TOOLS, UNPACKING
from tests.faults.shims import HOOK, SHIM


class Mount(Protocol):
    """Mounts a file system of its own kind at a new folder; options as ``mount -o`` takes them."""

    def __call__(self, options: str, *, onto: Path | None = None, bind: bool = False) -> Path: ...


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder that any user may look into, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def mount(disk: Path) -> Iterator[Mount]:
    if os.geteuid() != 0:
        pytest.skip("needs root: to mount a disk")
    with ExitStack() as stack:

        def mounted(options: str, *, onto: Path | None = None, bind: bool = False) -> Path:
            at = onto or Path(tempfile.mkdtemp(prefix="mount-", dir=disk))
            at.chmod(0o755)
            what = ["--bind", str(at)] if bind else ["-t", "tmpfs", "tmpfs"]
            commands = [["mount", *what, str(at)], ["mount", "-o", f"remount,bind,{options}", str(at)]]
            if not bind:
                commands = [["mount", "-o", options, *what, str(at)]]
            for command in commands:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.skip(f"needs namespaces: {done.stderr.strip()}")
                if command is commands[0]:
                    stack.callback(subprocess.run, ["umount", str(at)], check=True)
            return at

        yield mounted


@pytest.fixture(scope="module")
def shims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the PATH in which every program is a shim."""
    folder = tmp_path_factory.mktemp("shims")
    for name in (*TOOLS, *UNPACKING, "curl"):
        if real := shutil.which(name):
            (folder / name).write_text(SHIM.replace("@REAL@", real))
            (folder / name).chmod(0o755)
    (folder.parent / "hook").write_text(HOOK)
    # Who waits for somebody that died waits for seconds; here they are short.
    quick = folder.parent / "quick"
    quick.mkdir()
    (quick / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.05\n")
    (quick / "sleep").chmod(0o755)
    return folder
