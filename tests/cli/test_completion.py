# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion: what is offered after some words; and in the shells themselves, which read the script that the command prints."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from standalone_python.cli import group
from standalone_python.completion import VARIABLE, Bash, Completing
from tests.cli.conftest import PROGRAM

BUILDS = (
    "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped",
    "cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped",
    "cpython-3.14.0+20251014-x86_64-unknown-linux-gnu-freethreaded-install_only_stripped",
)
PATIENCE = 60.0  # seconds, on a busy machine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*BUILDS, "cpython-3.13", "notes"):
        (tmp_path / "root" / name).mkdir(parents=True)
    (tmp_path / "python.yml").write_text(f"builds: ['3.13']\nroot: {tmp_path / 'root'}\n")
    (tmp_path / "broken.yml").write_text("[")
    (tmp_path / "folder").mkdir()
    return tmp_path / "root"


def shell(name: str) -> str:
    """Return the path of a shell; without it the test is skipped."""
    found = shutil.which(name)
    if found is None:
        where = "packages" if sys.platform == "linux" else "Linux"
        pytest.skip(f"needs {where}: {name} is not installed (tests/packages.txt names the package)")
    return found


def environment(folder: Path) -> dict[str, str]:
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": str(folder / "cache")}


def run(folder: Path, *command: str) -> list[str]:
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


# The words before the cursor -> what is offered there.
LINES: dict[str, list[str]] = {
    "unin": ["plain,uninstall"],
    "uninstall --root root ": ["plain,3.14t", "plain,3.13", "plain,3.14.0t", "plain,3.13.1", "plain,3.13.0"],
    "remove --file python.yml 3.13.": ["plain,3.13.1", "plain,3.13.0"],
    "upgrade --root root ": ["plain,3.14t", "plain,3.13"],
    "rollback --root-dir . --root /root 3.1": ["plain,3.14t", "plain,3.13"],
    "install 3.9.2": [
        "plain,3.9.25",
        "plain,3.9.24",
        "plain,3.9.23",
        "plain,3.9.22",
        "plain,3.9.21",
        "plain,3.9.20",
        "plain,3.9.2",
    ],
    "catalogue list 3.8": ["plain,3.8"],
    "catalogue list 3.13 --target aarch64-u": ["plain,aarch64-unknown-linux-gnu", "plain,aarch64-unknown-linux-musl"],
    "plan --source up": ["plain,upstream"],
    "plan --source ./": ["file,./"],
    "apply ": ["file,"],
    "status --root ": ["dir,"],
    "mirror ": ["plain,export", "plain,sync", "plain,verify"],
    "cache prune --o": ["plain,--older-than"],
    # Nothing that can't be read is an error.
    "uninstall --root nowhere ": [],
    "uninstall --file broken.yml ": [],
    "uninstall --root python.yml ": [],
}


@pytest.mark.parametrize("line", LINES)
def test_what_is_offered(line: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    *words, last = line.split(" ")
    found = Bash(Completing(group), {}, PROGRAM.name, VARIABLE).get_completions(words, last)
    assert [f"{one.type},{one.value}" for one in found] == LINES[line]


def test_an_answer_imports_no_other_command(root: Path) -> None:
    asked = {"COMP_WORDS": "standalone-python ", "COMP_CWORD": "1", VARIABLE: "bash_complete"}
    command = [sys.executable, "-X", "importtime", "-m", "standalone_python"]
    done = subprocess.run(command, env=environment(root.parent) | asked, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("plain,install\nplain,upgrade\nplain,uninstall\n")
    assert " standalone_python.cli\n" in done.stderr
    assert "standalone_python.commands" not in done.stderr


def test_bash(root: Path) -> None:
    script = """
        eval "$(standalone-python completion bash)"
        complete -p standalone-python
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _standalone_python_completion standalone-python; printf '%s\\n' "${COMPREPLY[@]}"; }
        ask standalone-python unin
        ask standalone-python uninstall --root root 3.13
        ask standalone-python apply py
        ask standalone-python status --root fold
        ask standalone-python uninstall --file broken.yml ''
    """
    assert run(root.parent, shell("bash"), "--norc", "-c", script) == [
        "complete -o nosort -F _standalone_python_completion standalone-python",
        *("uninstall", "3.13", "3.13.1", "3.13.0", "python.yml", "folder", ""),
    ]


def test_fish(root: Path) -> None:
    script = """
        standalone-python completion fish | source
        complete -C 'standalone-python unin'
        complete -C 'standalone-python uninstall --root root 3.13'
        complete -C 'standalone-python apply py'
        complete -C 'standalone-python status --root fold'
    """
    offered = [line.partition("\t")[0] for line in run(root.parent, shell("fish"), "--no-config", "-c", script)]
    assert (offered[0], sorted(offered[1:4]), offered[4:]) == (
        "uninstall",
        ["3.13", "3.13.0", "3.13.1"],
        ["python.yml", "folder/"],
    )


def test_zsh(root: Path) -> None:
    """A terminal's keys: Tab completes the word, and Ctrl-X writes the line to a file."""
    folder, lines = root.parent, root.parent / "lines"
    start = """
        autoload -U compinit && compinit -D -u
        eval "$(standalone-python completion zsh)"
        show() { print -r -- "$BUFFER" >>lines; BUFFER= }
        zle -N show
        bindkey '^X' show
        bindkey '^I' complete-word
    """
    (folder / "start").write_text(start)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [shell("zsh"), "-f", "-i"], cwd=folder, env=environment(folder), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            os.write(ours, b"source ./start\n")
            for number, typed in enumerate(("unin", "uninstall --root root 3.14.", "apply pyt", "status --root fol"), 1):
                os.write(ours, f"standalone-python {typed}\t\x18".encode())
                expect_lines(lines, number, ours)
        finally:
            process.kill()
            os.close(ours)
    assert [line.removeprefix("standalone-python ").rstrip() for line in lines.read_text().splitlines()] == [
        *("uninstall", "uninstall --root root 3.14.0t", "apply python.yml", "status --root folder/"),
    ]


def expect_lines(path: Path, number: int, terminal: int) -> None:
    """Wait until a file has some lines, and read what the shell prints meanwhile, so that it does not wait for a reader."""
    os.set_blocking(terminal, False)
    shown, end = b"", time.monotonic() + PATIENCE
    while not path.exists() or path.read_text().count("\n") < number:
        assert time.monotonic() < end, shown.decode(errors="replace")
        try:
            shown += os.read(terminal, 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)
