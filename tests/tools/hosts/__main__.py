# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts by hand: ``python -m tests.tools.hosts up 4 debian busybox``, then ``down``.

``up`` leaves a process behind that holds the hosts and ends with them; fleets with other names
run beside each other. Only reads the command line and remembers who holds the hosts; the rest is elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import KINDS, inventory, start_all, stop, unavailable
from .bases import cache, unpacked

MODULE = __package__


def _keeper_file(fleet: str) -> Path:
    """Holds the number of the process that keeps the hosts, which locks the file for as long as it lives."""
    return cache() / f"{fleet}.keeper"


def _up(words: Sequence[str]) -> int:
    keeper = subprocess.Popen(
        [sys.executable, "-m", MODULE, "keep", *words],
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
    print(f"# inventory: {place}", file=sys.stderr)
    return 0


def _keep(fleet: str, hosts: Sequence[tuple[str, str]], *, network: bool, image: Path | None) -> int:
    with _keeper_file(fleet).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"hosts of the fleet {fleet!r} are up already; take them down first", file=sys.stderr)
            return 1
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        running = start_all(hosts, network=network, image=image)
        place = cache() / f"{fleet}.ini"
        place.write_text(inventory(running))
        print(place, flush=True)
        _let_go_of_output()
        signal.sigwait(signals)
        place.unlink()
        stop(*running)
    return 0


def _let_go_of_output() -> None:
    """So that whoever reads the output of ``up`` to its end doesn't wait for ``down``."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)


def _down(fleet: str) -> int:
    with _keeper_file(fleet).open("a+") as file:
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
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description="throw-away SSH hosts without Python")
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--fleet", default="hosts", help="a name for the hosts together")
    texts = {
        "up": "start hosts and print their Ansible inventory",
        "keep": "the same, until it is interrupted",
    }
    for name, text in texts.items():
        command = commands.add_parser(name, help=text, parents=[shared])
        command.add_argument("--name", action="append", default=[], help="of a host, in their order; else KIND-NUMBER")
        command.add_argument("--no-network", action="store_true", help="let them reach nothing but themselves")
        command.add_argument("--image", type=Path, help="an unpacked root to lay them on instead of their kind's")
        command.add_argument("count", type=int)
        command.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="kind", help=", ".join(KINDS))
    commands.add_parser("down", help="end the hosts that up started", parents=[shared])
    commands.add_parser("image", help="unpack a Debian into a new folder").add_argument("folder", type=Path)
    words = sys.argv[1:] if words is None else words
    chosen = parser.parse_args(words)
    if chosen.command == "down":
        return _down(chosen.fleet)
    if reason := unavailable():
        print(f"no test host can be started: {reason}", file=sys.stderr)
        return 1
    if chosen.command == "image":
        unpacked("debian", chosen.folder)
        return 0
    if chosen.command == "up":
        return _up(words[1:])
    kinds = itertools.islice(itertools.cycle(chosen.kinds or KINDS), chosen.count)
    named = itertools.zip_longest(range(1, chosen.count + 1), kinds, chosen.name)
    hosts = [(kind, name or f"{kind}-{number}") for number, kind, name in named]
    return _keep(chosen.fleet, hosts, network=not chosen.no_network, image=chosen.image)


if __name__ == "__main__":
    sys.exit(main())
