# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many runs of pyinfra for the price of one start: a process imports pyinfra, and each command line runs in a fork of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_SERVER = """
import json, os, sys
from pyinfra_cli.main import cli

for line in sys.stdin:
    words, printed = json.loads(line)
    if not (child := os.fork()):
        file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv = words
        cli()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
Run = Callable[[Sequence[str]], tuple[int, str]]


@contextmanager
def forked_pyinfra(folder: Path, environment: Mapping[str, str]) -> Iterator[Run]:
    """Yield a function that runs a command line of pyinfra in a folder; it returns the exit code and what was printed."""
    printed = folder / "printed"
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, **environment}
    ) as server:
        assert server.stdin
        assert server.stdout
        commands, codes = server.stdin, server.stdout

        def run(words: Sequence[str]) -> tuple[int, str]:
            commands.write(json.dumps([list(words), str(printed)]) + "\n")
            commands.flush()
            return int(codes.readline()), printed.read_text()

        yield run
        commands.close()
