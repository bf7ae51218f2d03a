# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real command in a process of its own, with nothing of the environment of whoever runs the tests."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.tools.playbook import REPOSITORY

PROGRAM = Path(sys.executable).with_name("standalone-python")


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str
    errors: str

    @property
    def sentence(self) -> str:
        """What was said of a failure, which is one line.

        :raises AssertionError: it isn't, or something was printed beside it
        """
        assert self.code == 1, self
        assert self.errors.startswith("standalone-python: "), self.errors
        assert self.errors.count("\n") == 1, self.errors
        assert not self.output, self.output
        return self.errors.removeprefix("standalone-python: ").strip()


@dataclass(frozen=True, slots=True)
class Command:
    """``command("plan", "file.yml")``; it is run in ``folder``. However slow the machine is, no line tells of the progress."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def __call__(
        self, *arguments: str | Path, given: str = "", environment: dict[str, str] | None = None, runner: Sequence[str] = ()
    ) -> Ended:
        done = subprocess.run(
            [*runner, PROGRAM, *(["--no-progress"] if arguments else ()), *map(str, arguments)],
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            env=self.environment() | (environment or {}),
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY),
            "STANDALONE_PYTHON_CACHE": str(self.folder / "cache"),
            **self.variables,
        }

    def file(self, text: str, name: str = "python.yml") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture(scope="session")
def packed_builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The part of a cache that has archives as they are sent to hosts."""
    folder = tmp_path_factory.mktemp("packed-builds")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def warm_cache(command: Command, packed_builds: Path) -> None:
    """Share verified and packed archives between tests. To make them takes twice as long as to install them."""
    (command.folder / "cache").mkdir(mode=0o700)
    (command.folder / "cache/builds").symlink_to(packed_builds)


def on_terminal(command: Command, *arguments: str | Path, **environment: str) -> str:
    """What a command prints on a terminal."""
    ours, its = pty.openpty()
    more = {"TERM": "xterm", "COLUMNS": "120"} | environment
    process = subprocess.Popen(
        [PROGRAM, *map(str, arguments)], cwd=command.folder, stdin=its, stdout=its, stderr=its, env=command.environment() | more
    )
    os.close(its)
    printed = b""
    try:
        while piece := os.read(ours, 1 << 16):
            printed += piece
    except OSError:
        pass  # Linux says so that nobody has the terminal open any more.
    process.wait()
    os.close(ours)
    return printed.decode()


def below(folder: Path) -> set[str]:
    """All that is in a folder, but for caches."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "cache" not in path.parts}


def synced(text: str) -> list[str]:
    """Return what a sync printed, without times; several archives come at a time, so they are sorted."""
    *steps, total = re.sub(r"([Ii]n) [0-9.]+ s(?=:|$)", r"\1 TIME", text, flags=re.MULTILINE).splitlines()
    # A short run has no time.
    return [*sorted(line.replace(" in TIME", "") for line in steps), total.replace("Done:", "Done in TIME:")]
