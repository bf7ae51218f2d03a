# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots with a past: shared by hosts of several kinds, moved, copied, and callers with libraries of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.agents import fakes
from tests.cli.conftest import Command
from tests.tools.sources import NEWER, V13LATER

pytestmark = pytest.mark.usefixtures("warm_cache")

# A header of ELF for 64 bits, with 183 (AArch64) for its machine.
AARCH64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01\x00\x00\x00" + bytes(40)
TRIPLE, OTHER = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


@pytest.fixture
def file(command: Command, source: Path) -> Path:
    return command.file(json.dumps({"builds": ["3.13"], "source": str(source), "keep": 0, "exclusive": True}))


def folder_of(command: Command, root: str = "root") -> Path:
    (found,) = (command.folder / root).glob(f"cpython-{V13LATER}+{NEWER}-{TRIPLE}-*")
    return found


def test_a_root_with_a_build_for_another_architecture(command: Command, file: Path) -> None:
    """As on NFS. It satisfies nothing, is not repaired and not removed, and is shown as what it is; a second run has nothing to do."""
    foreign = replace(fakes.fake("3.13.9+20250601"), triple=OTHER, filename="")
    there = command.folder / "root" / foreign.name
    fakes.write(foreign, there)
    (there / "bin/python3.13").write_bytes(AARCH64)
    (command.folder / "root/cpython-3.13").symlink_to(foreign.name)
    applied = command("apply", file, "--root", "root")
    assert applied.code == 0, applied
    assert (command.folder / "root/cpython-3.13").readlink() == Path(folder_of(command).name)
    again = command("apply", file, "--root", "root")
    assert (again.code, again.output) == (0, f"nothing to do: 3.13: {V13LATER} is installed\n")
    assert (there / "bin/python3.13").read_bytes() == AARCH64
    for looking in ("status", "verify"):
        seen = command(looking, "--root", "root")
        assert seen.code == 0, seen
        assert "for another host" in seen.output
        assert f"left alone: {there} is for aarch64 linux, and the host is x86_64 linux" in seen.output
        assert "broken" not in seen.output
    told = {one["target"]: one for one in json.loads(command("status", "--root", "root", "--json").output)["interpreters"]}
    assert (told[OTHER]["foreign"][:20], told[TRIPLE]["foreign"]) == ("is for aarch64 linux", "")
    removed = command("remove", "3.13.9", "--root", "root")
    assert removed.code == 0, removed
    assert there.is_dir()


def test_a_caller_whose_loader_prints_what_it_does(command: Command, file: Path) -> None:
    assert command("apply", file, "--root", "root").code == 0
    caller = replace(command, variables={**command.variables, "LD_DEBUG": "libs"})
    seen = caller("verify", "--root", "root")
    assert (seen.code, "every file is as it was installed" in seen.output) == (0, True), seen
    shutil.rmtree(folder_of(command) / "lib/python3.13/json")
    assert "Repaired" in caller("apply", file, "--root", "root").output
    assert caller("verify", "--root", "root").code == 0


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_root_at_another_place(how: str, command: Command, file: Path) -> None:
    """It is shown as damaged, check mode says what will happen, and the next run mends it without its source."""
    arguments = ("--bin-dir", "bin")
    assert command("apply", file, "--root", "root", *arguments).code == 0
    new = command.folder / "srv/new"
    shutil.copytree(command.folder / "root", new, symlinks=True)
    if how == "moved":
        shutil.rmtree(command.folder / "root")
    offline = command.file(json.dumps({"builds": ["3.13"], "source": f"{command.folder}/gone"}), "offline.yml")
    (command.folder / "gone").mkdir()
    why = f"it was installed as {command.folder}/root/{folder_of(command, 'srv/new').name} and lies in {folder_of(command, 'srv/new')}"
    for seen in (command("verify", "--root", "srv/new"), command("plan", offline, "--root", "srv/new", *arguments)):
        assert (seen.code, why in seen.output) == (2, True), seen
    applied = command("apply", offline, "--root", "srv/new", *arguments)
    assert (applied.code, applied.output.startswith("Repaired 3.13.")) == (0, True), applied
    assert command("verify", "--root", "srv/new").code == 0
    assert command("apply", offline, "--root", "srv/new", *arguments).output.startswith("nothing to do")
    assert (command.folder / "bin/python3.13").readlink() == new / "cpython-3.13/bin/python3.13"
    said = subprocess.run(
        [command.folder / "bin/python3.13", "-I", "-c", "import sysconfig; print(*sysconfig.get_config_vars().values())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{folder_of(command, 'srv/new')}/lib" in said
    assert f"{command.folder}/root" not in said
    assert f"{command.folder}/root" not in "".join(path.read_text() for path in folder_of(command, "srv/new").rglob("*.pc"))
