# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""install, upgrade and uninstall, and the file that names the folders. What upgrade and install decide, tests/core holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from standalone_python.hints import path_hint, shadow_hint
from tests.cli.conftest import Command
from tests.conformance.cases import Place
from tests.conformance.driver import tree
from tests.tools.sources import NEW, NEWER, OLD, V12, V13, V13LATER

pytestmark = pytest.mark.usefixtures("warm_cache")

OLD13, NEW13, LATER13, OLD12 = f"{V13}+{OLD}", f"{V13}+{NEW}", f"{V13LATER}+{NEWER}", f"{V12}+{OLD}"


def test_install_upgrade_and_uninstall_do_what_a_file_does(command: Command, source: Path) -> None:
    """The same root in the end as by apply, but for the names in a message: a day of a user who writes no file."""
    place = Place(command.folder, "root")
    where = ("--root", "root", "--source", source)
    first = command("install", "3.13.0+20250115", "3.12", "--default", "3.12", *where)
    assert first.code == 0, first
    assert f"standalone-python: {place.here}/bin is not on the PATH; add this line to " in first.errors
    installed = tree(place)
    file = {"builds": [OLD13, {"version": "3.12", "default": True}], "root": str(place.here), "source": str(source)}
    by_file = command("apply", command.file(json.dumps(file)))
    assert by_file.output.startswith("nothing to do: "), by_file
    # A mirror need not have each line that a machine has.
    (command.folder / "newer").mkdir()
    (command.folder / "newer" / NEWER).symlink_to(source / NEWER)
    tried = command("upgrade", "--root", "root", "--source", "newer", "--dry-run")
    assert (tried.code, tree(place)) == (2, installed)
    assert "standalone-python: 3.12 stays as it is: no build of 3.12 for " in tried.errors
    assert "no build of 3.12 for " in command("upgrade", "3.12", "--root", "root", "--source", "newer").sentence
    on_path = {"PATH": f"{os.environ['PATH']}:{place.here}/bin"}
    upgraded = command("upgrade", "--file", "python.yml", environment=on_path)
    assert (upgraded.code, "PATH" in upgraded.errors) == (0, False), upgraded
    assert place.builds() == sorted([OLD12, OLD13, LATER13])
    assert (place.bin / "python3").readlink() == place.here / "cpython-3.12/bin/python3"
    for again in (("upgrade", "3.13"), ("install", "3.13", "3.12"), ("install", "--latest", "3.13")):
        ended = command(*again, *where)
        assert (ended.code, ended.output.startswith("nothing to do: ")) == (0, True), ended
    assert place.builds() == sorted([OLD12, OLD13, LATER13]), "what a request did not name stays"
    removed = command("uninstall", "3.13", "-f", "python.yml", "--json")
    assert sorted(one["name"].split("-")[1] for one in json.loads(removed.output)["removed"]) == [OLD13, LATER13]
    assert command("remove", "3.12", "--root", "root").code == 0
    assert place.links() == {}


def test_the_options_of_an_installed_build_stay(command: Command, source: Path) -> None:
    given = json.dumps({"builds": [OLD13], "externally_managed": False, "links": [], "keep": 3, "source": str(source)})
    assert command("apply", "-", "--root", "root", given=given).code == 0
    assert command("upgrade", "--root", "root", "--source", source).code == 0
    place = Place(command.folder, "root")
    assert not list(place.build(LATER13).glob("lib/python3*/EXTERNALLY-MANAGED"))
    assert list(place.links()) == ["cpython-3.13"]
    assert command("install", "3.13", "--root", "root").code == 0
    assert sorted(place.links()) == ["cpython-3.13", "python3.13"]
    again = command("install", "3.13", "--root", "root", runner=[sys.executable, "-X", "importtime"])
    assert again.output == f"nothing to do: 3.13: {V13LATER} is installed\n"
    imported = {line.rpartition("|")[2].strip() for line in again.errors.splitlines()}
    assert any(name.endswith(".core.state.arguments") for name in imported)
    assert imported & {"yaml", "requests", "ssl", "packaging", "platformdirs", "standalone_python.declarations"} == set()
    assert not [name for name in imported if name.endswith((".archives.store", ".supply.catalogues"))]


def test_a_file_names_the_folders(command: Command, source: Path) -> None:
    """For every command, and the command line wins over it."""
    text = json.dumps({"builds": [OLD13], "root": "~/py", "bin_dir": "~/links", "source": str(source)})
    file = command.file(json.dumps({"python": json.loads(text)}))
    key = ("--key", "python")
    assert command("apply", "-f", file, *key, "--dry-run").code == 2
    assert not (command.folder / "py").exists()
    assert command("apply", file, *key).code == 0
    assert (command.folder / "links/python3.13").is_symlink()
    for what in (("status", file), ("status", "-f", file), ("verify", file)):
        said = command(*what, *key)
        assert said.code == 0, said
        assert f"builds in {command.folder}/py, links in {command.folder}/links\n" in said.output
        assert V13 in said.output
    assert command("plan", file, *key, "--root", "other", "--bin-dir", "links-of-other").code == 2
    assert f"no build earlier than {OLD13} in {command.folder}/py" in command("rollback", "-f", file, *key).sentence
    assert (
        f"builds in {command.folder}/other, links in {command.folder}/links"
        in command("status", file, *key, "--root", "other").output
    )
    assert command("uninstall", "3.13", "-f", file, *key).code == 0
    assert not (command.folder / "links/python3.13").is_symlink()
    twice = command("status", file, "--file", file)
    assert (twice.code, "FILE is given twice" in twice.errors) == (64, True)
    assert "unknown option `rot`: did you mean `root`? (" in command("status", command.file("rot: x\n")).sentence


BAD_USE: Mapping[tuple[str, ...], tuple[int, str]] = {
    ("install",): (64, "Missing argument 'REQUEST...'. For example: standalone-python install 3.13\n"),
    ("install", "3.13", "--default"): (64, "requires an argument. For example: standalone-python install 3.13 --default 3.13\n"),
    ("install", "3.13", "--default", "--latest"): (
        64,
        "Option '--default' requires an argument. For example: standalone-python install 3.13 --default 3.13\n",
    ),
    ("install", "foo"): (1, "the request 'foo' can't be read, 'foo' is not a version: write one like 3.13"),
    ("install", "3.99"): (1, "no build of 3.99 for "),
    ("install", "3.13", "--default", "3.12"): (
        1,
        "--default 3.12 is not one of the requests 3.13: name one of them, or add 3.12",
    ),
    ("install", "python.yml"): (1, "python.yml is not a request: for a file, use 'standalone-python apply python.yml'"),
    ("upgrade", "3.12"): (1, "matches 3.12, so it can't be upgraded; installed there: nothing; use 'install' to install 3.12"),
    ("upgrade", "foo"): (1, "the request 'foo' can't be read"),
    ("uninstall", "foo"): (1, "the request 'foo' can't be read"),
    ("uninstall",): (64, "Missing argument 'REQUEST...'. For example: standalone-python uninstall 3.13\n"),
    ("plan", "--key", "python"): (64, "Missing argument 'FILE'. For example: standalone-python plan python.yml\n"),
}


@pytest.mark.parametrize("arguments", BAD_USE, ids=" ".join)
def test_bad_use_gets_a_sentence(arguments: tuple[str, ...], command: Command) -> None:
    code, says = BAD_USE[arguments]
    ended = command(*arguments, "--root", "root")
    assert (ended.code, ended.output, says in ended.errors) == (code, "", True), ended
    assert not (command.folder / "root").exists()


def test_nothing_to_upgrade_and_nothing_to_uninstall(command: Command) -> None:
    ended = command("upgrade", "--root", "root")
    assert (ended.code, ended.output) == (0, f"nothing to do: no interpreters are installed in {command.folder}/root\n")
    ended = command("uninstall", "3.12", "--root", "root")
    assert ended.output == f"nothing to do: no interpreters are installed in {command.folder}/root\n"


@pytest.mark.parametrize(
    ("shell", "how"),
    [
        ("/bin/bash", 'add this line to ~/.bashrc: export PATH="/home/me/.local/bin:$PATH"'),
        ("/usr/bin/zsh", 'add this line to ~/.zshrc: export PATH="/home/me/.local/bin:$PATH"'),
        ("/usr/bin/fish", "run this once: fish_add_path /home/me/.local/bin"),
        ("/bin/dash", 'add this line to ~/.profile: export PATH="/home/me/.local/bin:$PATH"'),
    ],
)
def test_what_each_shell_needs(shell: str, how: str) -> None:
    told = path_hint("/home/me/.local/bin", {"SHELL": shell, "PATH": "/usr/bin"})
    assert told == f"/home/me/.local/bin is not on the PATH; {how}"
    assert path_hint("/home/me/.local/bin", {"SHELL": shell, "PATH": "/usr/bin:/home/me/.local/bin/"}) == ""


def test_another_program_of_that_name_comes_first(tmp_path: Path) -> None:
    for folder in ("venv", "bin"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "python3.13").write_text("#!/bin/sh\n")
        (tmp_path / folder / "python3.13").chmod(0o755)
    links, stable = [f"{tmp_path}/bin/python3.13"], "/opt/python/cpython-3.13/bin/python3"
    told = shadow_hint(links, stable, {"PATH": f"{tmp_path}/venv:{tmp_path}/bin"})
    assert told == (
        f"python3.13 on the PATH is {tmp_path}/venv/python3.13, which comes before {tmp_path}/bin/python3.13: "
        f"use {stable}, or change the order of the PATH"
    )
    assert shadow_hint(links, stable, {"PATH": f"{tmp_path}/bin:{tmp_path}/venv"}) == ""
    (tmp_path / "venv/python3.13").unlink()
    (tmp_path / "venv/python3.13").symlink_to(links[0])
    assert shadow_hint(links, stable, {"PATH": f"{tmp_path}/venv:{tmp_path}/bin"}) == "", "it is the same interpreter"


def test_the_line_for_the_path_is_one_that_a_shell_takes(tmp_path: Path) -> None:
    folder = tmp_path / "a \"b\" $c 'd'"
    line = path_hint(str(folder), {"PATH": "/usr/bin"}).partition(": ")[2]
    shown = subprocess.check_output(["/bin/sh", "-c", f'{line}; printf %s "$PATH"'], text=True, env={"PATH": "/usr/bin"})
    assert shown == f"{folder}:/usr/bin"
