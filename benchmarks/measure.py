# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a way of doing something costs, measured side by side with other ways, and a table of the ratios.

The ways take turns, and a ratio is taken pair by pair within a round before the median is: what else a machine does in the
meantime then meets all of them. Never judges: it prints, and passes or fails nothing.
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


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock, and of processor time of a process and all that it waited for."""

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
    """How a command ended; ``output`` is what it printed, errors included."""

    cost: Cost
    code: int
    output: str


def spend(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ended:
    """Run a command to its end. Processor time is the command's and its descendants', as far as they were waited for."""
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
    """What ``work`` costs in a fork of this process, as an Ansible worker is one.

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
    """Run every way once a round, each round beginning with another one."""
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
    """Medians of the ratios, round by round: of wall clock and of processor time."""
    pairs = list(zip(costs, to, strict=True))
    return median(one.wall / other.wall for one, other in pairs), median(one.cpu / other.cpu for one, other in pairs)


def middle(costs: Costs) -> Cost:
    return Cost(median(cost.wall for cost in costs), median(cost.cpu for cost in costs))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
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
    """For the head of a table: a machine that does other work gives other numbers."""
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
