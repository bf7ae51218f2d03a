# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts by hand: ``python -m tests.tools.hosts up 4 debian busybox``, then ``down``.

``up`` leaves a process behind that holds the hosts and ends with them; one such fleet at most runs for a
cache folder. Only reads the command line and remembers who holds the hosts; the rest is elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import KINDS, fleet, inventory, unavailable
from .bases import cache

MODULE = __package__


def _keeper_file() -> Path:
    """Holds the number of the process that keeps the hosts, which locks the file for as long as it lives."""
    return cache() / "keeper"


def _up(count: int, kinds: Sequence[str]) -> int:
    keeper = subprocess.Popen(
        [sys.executable, "-m", MODULE, "keep", str(count), *kinds],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert keeper.stdout is not None
    place = keeper.stdout.readline().strip()
    if not place:
        return keeper.wait()
    print(Path(place).read_text(), end="")
    print(f"# {count} hosts run; inventory: {place}", file=sys.stderr)
    return 0


def _keep(count: int, kinds: Sequence[str]) -> int:
    with _keeper_file().open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("hosts are up already; take them down first", file=sys.stderr)
            return 1
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        with fleet(count, kinds) as hosts:
            place = cache() / "inventory.ini"
            place.write_text(inventory(hosts))
            print(place, flush=True)
            _let_go_of_output()
            signal.sigwait(signals)
            place.unlink()
    return 0


def _let_go_of_output() -> None:
    """So that whoever reads the output of ``up`` to its end doesn't wait for ``down``."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)


def _down() -> int:
    with _keeper_file().open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.read()), signal.SIGTERM)
            fcntl.flock(file, fcntl.LOCK_EX)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 where hosts can't be made or are up already."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description="throw-away SSH hosts without Python"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    texts = {
        "up": "start hosts and print their Ansible inventory",
        "keep": "the same, until it is interrupted",
    }
    for name, text in texts.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("count", type=int)
        command.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="kind", help=", ".join(KINDS))
    commands.add_parser("down", help="end the hosts that up started")
    chosen = parser.parse_args(words)
    if chosen.command == "down":
        return _down()
    if reason := unavailable():
        print(f"no test host can be started: {reason}", file=sys.stderr)
        return 1
    return (_up if chosen.command == "up" else _keep)(chosen.count, chosen.kinds or tuple(KINDS))


if __name__ == "__main__":
    sys.exit(main())
