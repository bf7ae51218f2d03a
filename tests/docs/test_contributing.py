# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What CONTRIBUTING tells people to run and to look at is there; what it says takes seconds is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.pages import COLLECTION, REPOSITORY, commands

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text()
COMMANDS = commands("CONTRIBUTING.md")
MAKE = [command for command in COMMANDS if command.startswith("make ")]
PYTEST = [*(c for c in COMMANDS if c.startswith(".venv/bin/pytest ")), *re.findall(r"`(\.venv/bin/pytest [^`]+)`", PAGE)]
OTHERS = {
    ".ci/run",
    ".venv/bin/python scripts/sanity.py --test validate-modules",
    ".venv/bin/pre-commit install",
    ".venv/bin/pre-commit run --all-files",
}
TRIED = {"CONTRIBUTING.md": [*MAKE, *PYTEST, *OTHERS]}
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("command", MAKE)
def test_the_target_exists(command: str) -> None:
    done = subprocess.run([*shlex.split(command), "--dry-run"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [command for command in PYTEST if " -k " in command])
def test_one_test_is_found(command: str) -> None:
    words = [str(BIN / "pytest"), *shlex.split(command)[1:], "--collect-only", "-q"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_each_level_of_tests_has_its_command() -> None:
    told = {shlex.split(command)[1].partition("/")[2] for command in PYTEST if command.count("/") == 3}
    levels = {path.parent.name for path in (REPOSITORY / "tests").glob("*/test_*.py")}
    assert levels <= told


def test_sessions_of_the_matrix_exist() -> None:
    done = subprocess.run([BIN / "nox", "--list"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in MAKE:
        for session in re.findall(r"MATRIX=(\S+)", command):
            assert f"* {session}" in done.stdout


def test_what_is_named_is_there() -> None:
    for folder in re.findall(
        r"^\| `([\w/]+)`", PAGE.partition("## What each folder is for")[2].partition("## ")[0], re.MULTILINE
    ):
        assert (REPOSITORY / folder).exists(), folder
    core = REPOSITORY / COLLECTION / "plugins/plugin_utils/core"
    text = "".join(path.read_text() for path in [*core.rglob("*.py"), *core.rglob("*.sh"), *REPOSITORY.glob("tests/**/*.py")])
    how = PAGE.partition("## To add a form")[2].partition("## To add a page")[0]
    for name in re.findall(r"`((?:\w+/)*\w+(?:\.py|\.sh)?)`", how):
        assert (core / name).exists() or (REPOSITORY / name).exists() or re.search(rf"\b{re.escape(name)}\b", text), name


def test_each_folder_is_told() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    folders = {line.partition("/")[0] for line in listed.splitlines() if "/" in line and not line.startswith(".")}
    told = {name.partition("/")[0] for name in re.findall(r"`([\w/]+)`", PAGE.partition("## What each folder is for")[2])}
    assert folders <= told


def test_hooks_run_before_a_commit(tmp_path: Path) -> None:
    """In a repository of its own, with a file as it should be and one that isn't."""
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home"), "SKIP": "mypy,reuse"}
    project = tmp_path / "project"
    project.mkdir()
    (project / ".venv").symlink_to(sys.prefix)
    for name in (".pre-commit-config.yaml", ".yamllint"):
        shutil.copy(REPOSITORY / name, project)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)

    assert run("git", "init", "--quiet").returncode == 0
    assert run(".venv/bin/pre-commit", "install").returncode == 0
    (project / "right.py").write_text('"""Right."""\n')
    (project / "wrong.sh").write_text("#!/bin/sh\nrm $1\n")
    run("git", "add", "right.py", ".pre-commit-config.yaml", ".yamllint")
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = run("git", *who, "commit", "--message", "right")
    assert done.returncode == 0, done.stdout + done.stderr
    run("git", "add", "wrong.sh")
    done = run("git", *who, "commit", "--message", "wrong")
    assert done.returncode != 0
    assert "SC2086" in done.stdout + done.stderr
