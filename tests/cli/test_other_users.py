# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root's commands do where another user of the machine can change an interpreter, its root or a folder above."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.tools.sources import V13LATER

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to give files to another user")
DAEMON = 1  # an account that every Linux has


def owner_of_the_build(build: Path) -> None:
    for path in (build, *build.rglob("*")):
        os.chown(path, DAEMON, DAEMON, follow_symlinks=False)


def owner_of_a_folder_above(build: Path) -> None:
    os.chown(build.parents[1], DAEMON, DAEMON)


def group_of_the_root(build: Path) -> None:
    os.chown(build.parent, 0, DAEMON)
    build.parent.chmod(0o775)


def everybody(build: Path) -> None:
    (build / "bin").chmod(0o777)


WHO: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "the owner of the build": (owner_of_the_build, "belongs to"),
    "the owner of the home that the root is in": (owner_of_a_folder_above, "belongs to"),
    "the group of the root": (group_of_the_root, "group"),
    "everybody": (everybody, "every user"),
}


def declaration(command: Command, source: Path, root: Path) -> Path:
    links = str(command.folder / "bin")
    return command.file(json.dumps({"builds": ["3.13"], "source": str(source), "root": str(root), "bin_dir": links}))


@pytest.mark.parametrize("who", WHO)
def test_roots_commands_start_no_interpreter_that_others_can_change(who: str, command: Command, source: Path) -> None:
    opened, said = WHO[who]
    root, marker = command.folder / "home/root", command.folder / "started-by"
    file = declaration(command, source, root)
    assert command("apply", file).code == 0
    (python,) = root.glob(f"cpython-{V13LATER}+*/bin/python3.13")
    python.unlink()
    python.write_text(f'#!/bin/sh\nid -u >>"{marker}"\necho Python {V13LATER}\n')
    python.chmod(0o755)
    opened(python.parents[1])

    def not_started() -> bool:
        return not marker.exists() or "0" not in marker.read_text().split()

    for words in (("status", "--root", root), ("verify", "--root", root), ("plan", file)):
        command(*words)
    assert not_started()
    status = command("status", "--root", root)
    assert (status.code, said in status.output) == (0, True), status
    # Where others could redirect what root writes, root writes nothing. Elsewhere it knows what verify found, and repairs it.
    trusted_root = who in ("the owner of the build", "everybody")
    assert ("broken" if trusted_root else "not started here") in status.output
    assert (command("apply", file).code, not_started()) == (0, True)
    if trusted_root:
        assert not command("status", "--root", root, "--json").output.count('"sound": false')


@pytest.mark.parametrize("who", ["the owner of the home that the root is in", "the group of the root"])
def test_roots_commands_change_nothing_that_others_can_redirect(who: str, command: Command, source: Path) -> None:
    root = command.folder / "home/root"
    root.mkdir(parents=True)
    WHO[who][0](root / "build")
    before = sorted(root.rglob("*"))
    file = declaration(command, source, root)
    for command_line in ("plan", "apply"):
        ended = command(command_line, file)
        assert ended.code == 1, ended
        assert WHO[who][1] in ended.sentence
        assert sorted(root.rglob("*")) == before
    shutil.rmtree(root)
    root.parent.chmod(0o755)
    os.chown(root.parent, 0, 0)
    assert command("apply", file).code == 0
