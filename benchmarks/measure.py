# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures several ways to do the same, and prints a table of ratios.

The ways take turns. A ratio is computed within each round, and then the median of the ratios, so that other work of the machine
affects all ways equally. It only prints: nothing passes or fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# An installed controller has bytecode. Without it, each worker would compile the modules that only a change needs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock, and of processor time of a process and the children that it waited for."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, by: float) -> Cost:
        return Cost(self.wall / by, self.cpu / by)


Way = Callable[[], Cost]
Costs = Sequence[Cost]


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of a command; ``output`` includes standard error."""

    cost: Cost
    code: int
    output: str


def spend(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ended:
    """Run a command to its end. Processor time includes the descendants that were waited for."""
    began = time.perf_counter()
    with subprocess.Popen(
        [str(word) for word in command],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        output = process.stdout.read() if process.stdout else ""
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime)
    return Ended(cost, process.returncode, output)


def must(ended: Ended, what: str) -> Cost:
    """
    :raises RuntimeError: the command failed; with what it printed last
    """
    if ended.code:
        raise RuntimeError(f"{what} ended with {ended.code}: {ended.output.strip()[-2000:]}")
    return ended.cost


def forked(work: Callable[[], object]) -> Cost:
    """Return the cost of ``work`` in a fork of this process, like an Ansible worker.

    :raises RuntimeError: it raised; its traceback is on standard error
    """
    sys.stdout.flush()
    began = time.perf_counter()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    _pid, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError("what was to be measured failed: see above")
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime)


def alternate(ways: Mapping[str, Way], rounds: int) -> dict[str, list[Cost]]:
    """Run every way once per round. Each round begins with another way."""
    names = list(ways)
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            costs[name].append(ways[name]())
            print(f"\rround {turn + 1} of {rounds}: {name:40.40}", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    return costs


def ratio(costs: Costs, to: Costs) -> tuple[float, float]:
    """Return the medians of the rounds' ratios: of wall clock and of processor time."""
    pairs = list(zip(costs, to, strict=True))
    return median(one.wall / other.wall for one, other in pairs), median(one.cpu / other.cpu for one, other in pairs)


def middle(costs: Costs) -> Cost:
    return Cost(median(cost.wall for cost in costs), median(cost.cpu for cost in costs))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with the first column aligned left and the others right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [
            cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def times(factor: float) -> str:
    return f"{factor:.2f} x"


def load() -> str:
    """Return the machine's load for the head of a table, because it affects the numbers."""
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
