# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs commands of examples and of pages as a reader runs them, and reads Dockerfiles."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.tools.playbook import CACHE, REPOSITORY

EXAMPLES = REPOSITORY / "examples"


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
    }


def ran(*command: str | Path, folder: Path, **more: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment(folder) | more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages(dockerfile: str) -> Iterator[list[tuple[str, str]]]:
    """The instructions of each stage: word and rest, lines that go on joined."""
    stage: list[tuple[str, str]] = []
    for line in re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ").splitlines():
        word, _space, rest = line.partition(" ")
        if word == "FROM":
            if stage:
                yield stage
            stage = []
        if word:
            stage.append((word, rest))
    yield stage
