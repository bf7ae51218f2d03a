# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures whether the cost of one host depends on the number of hosts: of the core, and of a play with local hosts.

The core's hosts are simulated in memory, and what the simulation takes is not counted. A play's cost is that of its hosts alone: a
play with no tasks in the same round measures ansible-playbook's start and what it takes for its inventory.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed, ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from benchmarks.builds import stand_in, work_folder
from benchmarks.measure import Cost, alternate, load, milliseconds, must, print_table, times
from benchmarks.plays import Controller, Tasks, changed
from benchmarks.plot import Points, line_chart
from tests.tools.memory_host import MemoryHost, MemorySupply
from tests.tools.planning import name_of, observed_of

CORE_HOSTS = (10, 50, 100, 200, 500, 1000, 2000)
PLAY_HOSTS = (10, 50, 100, 200, 500)
# The number of hosts whose cost is 1 in the plot.
BASE = 100
FORKS = 50
OURS, RAW, EMPTY = "standalone.python.interpreters", "raw: cat", "a play with no tasks"
# ansible-playbook, which writes its own peak memory, without its workers', to a file.
RUNNER = """
import os, resource, sys
from ansible.cli.playbook import main
parent = os.getpid()
sys.argv[0] = "ansible-playbook"
try:
    main()
finally:
    if os.getpid() == parent:
        with open(os.environ["PEAK"], "w") as peak:
            peak.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""
UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass
class Timed:
    """A simulated host, with the processor time of the simulation."""

    host: MemoryHost
    simulated: float = 0.0

    @contextlib.contextmanager
    def _simulating(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self.simulated += time.process_time() - began

    def run(self, script: str) -> Completed:
        with self._simulating():
            return self.host.run(script)

    def upload(self, path: Path, name: str) -> str:
        with self._simulating():
            return self.host.upload(path, name)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done on each host."""

    name: str
    installed: tuple[str, ...]
    links: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    changes: bool = False

    @property
    def desired(self) -> Desired:
        return declare({"builds": ["3.13"], **self.options})


OLD, NEW = name_of("3.13.1+20250115"), name_of("3.13.2+20250317")
LINKS = {"/opt/python/cpython-3.13": OLD, "/usr/local/bin/python3.13": "/opt/python/cpython-3.13/bin/python3.13"}
WORKS = (
    Work("nothing to do", (OLD,), LINKS),
    Work("an upgrade", (OLD,), LINKS, {"state": "latest"}, changes=True),
)


def core_cost(work: Work, count: int) -> tuple[float, float]:
    """Return the seconds of processor time for one of ``count`` hosts, and the megabytes that this process grew by.

    One more host comes before, as the first one pays for what is imported once.
    """
    desired = work.desired
    supply = MemorySupply(tuple(f"{name}.tar.gz" for name in (OLD, NEW)))
    state = observed_of({"installed": list(work.installed), "links": work.links}, desired)
    results: list[dict[str, Any]] = []
    spent, before = 0.0, resident()
    for number in range(count + 1):
        if number == 1:
            spent, before = 0.0, resident()
        host = Timed(MemoryHost(state))
        began = time.process_time()
        done = ensure(host, desired, supply)
        results.append(result_data(done.plan, done.after))
        spent += time.process_time() - began - host.simulated
        supply.asked.clear()
    if any(result["changed"] != work.changes for result in results):
        raise RuntimeError(f"{work.name}: the hosts were not as expected")
    return spent / count, resident() - before


def resident() -> float:
    """Return the megabytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def fresh(work: Work, count: int) -> tuple[float, float]:
    """Call :func:`core_cost` in a process of its own, whose memory no earlier call has."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(core_cost, (work, count))


def measure_core(rounds: int, most: int) -> dict[str, Points]:
    """Print the core's table, and return the milliseconds for a host by the number of hosts."""
    counts = [count for count in CORE_HOSTS if count <= most]
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _round in range(rounds):
        for work in WORKS:
            for count in counts:
                found.setdefault((work.name, count), []).append(fresh(work, count))
    lines: dict[str, Points] = {}
    rows = []
    for work in WORKS:
        costs = {count: median(spent for spent, _grown in found[work.name, count]) for count in counts}
        lines[f"core, {work.name}"] = [(count, cost * 1000) for count, cost in costs.items()]
        for count, cost in costs.items():
            grown = median(grown for _spent, grown in found[work.name, count])
            rows.append(
                (f"{work.name}, {count:,} hosts", milliseconds(cost), times(cost / costs[based(counts)]), f"{grown:.1f} MB")
            )
    print(f"The core, hosts simulated in memory, medians of {rounds} rounds; {load()}\n")
    print_table(("work", "CPU per host", f"to {based(counts)} hosts", "memory of all results"), rows)
    return lines


def based(counts: Sequence[int]) -> int:
    """Return the number of hosts whose cost is 1 in tables and in the plot."""
    return BASE if BASE in counts else counts[-1]


def play_ways(folder: Path, source: Path, minor: str, count: int) -> tuple[dict[str, Callable[[], Cost]], dict[str, list[float]]]:
    """Return what is run with ``count`` hosts, and where the megabytes of ansible-playbook itself are collected."""
    folder.mkdir()
    peak = folder / "peak"
    controller = Controller(folder, count, {"PEAK": str(peak), "ANSIBLE_FORKS": str(FORKS)})
    interpreters = {"builds": [minor], "root": str(folder / "root"), "bin_dir": str(folder / "bin"), "source": str(source)}
    tasks: dict[str, Tasks] = {OURS: [{OURS: interpreters}], RAW: [{"ansible.builtin.raw": "cat /etc/hosts"}], EMPTY: []}
    must(controller.run(controller.play("prepare", tasks[OURS]), "--limit", "host00"), OURS)
    peaks: dict[str, list[float]] = {name: [] for name in tasks}

    def way(name: str) -> Callable[[], Cost]:
        play = controller.play(name.replace(": ", "-"), tasks[name])

        def run() -> Cost:
            ended = controller.run(play, runner=(sys.executable, "-P", "-c", RUNNER))
            cost = must(ended, name)
            if name == OURS and changed(ended):
                raise RuntimeError(f"{name} changed something, and there was nothing to do: {ended.output[-2000:]}")
            peaks[name].append(int(peak.read_text()) * UNIT / 1e6)
            return cost

        return run

    return {name: way(name) for name in tasks}, peaks


def measure_plays(rounds: int, most: int) -> dict[str, Points]:
    """Print the table of plays, and return the milliseconds of processor time for a host by the number of hosts."""
    counts = [count for count in PLAY_HOSTS if count <= most]
    build = stand_in(work_folder() / "builds")
    costs: dict[str, dict[int, Cost]] = {OURS: {}, RAW: {}}
    rows = []
    with tempfile.TemporaryDirectory(dir=work_folder()) as temporary:
        for count in counts:
            ways, peaks = play_ways(Path(temporary) / str(count), build.folder, build.minor, count)
            found = alternate(ways, rounds)
            for name, one in costs.items():
                alone = [(cost - begun) / count for cost, begun in zip(found[name], found[EMPTY], strict=True)]
                one[count] = Cost(median(cost.wall for cost in alone), median(cost.cpu for cost in alone))
            memory = {name: median(values) for name, values in peaks.items()}
            rows.append((count, memory))
    print(f"\nA play with {FORKS} forks, local hosts, nothing to do, medians of {rounds} rounds; {load()}\n")
    first = based(counts)
    table = [
        (
            f"{count:,}",
            milliseconds(costs[OURS][count].cpu),
            times(costs[OURS][count].cpu / costs[OURS][first].cpu),
            times(costs[OURS][count].cpu / costs[RAW][count].cpu),
            milliseconds(costs[OURS][count].wall),
            *(f"{memory[name]:.0f} MB" for name in (OURS, RAW, EMPTY)),
        )
        for count, memory in rows
    ]
    head = ("hosts", "CPU per host", f"to {first} hosts", "to raw's", "wall per host", "memory", "raw's", "without tasks")
    print_table(head, table)
    names = {OURS: "Ansible, nothing to do", RAW: "Ansible, raw: cat"}
    return {names[name]: [(count, cost.cpu * 1000) for count, cost in one.items()] for name, one in costs.items()}


def relative(lines: dict[str, Points]) -> dict[str, Points]:
    """Return lines that are 1 at the number of hosts that all have."""
    found: dict[str, Points] = {}
    for name, points in lines.items():
        whole = dict(points)[based([int(count) for count, _cost in points])]
        found[name] = [(count, cost / whole) for count, cost in points]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=max(CORE_HOSTS), help="the most hosts; fewer while you try it")
    parser.add_argument("--core", action="store_true", help="measure the core alone, without ansible-playbook")
    parser.add_argument("--svg", type=Path, help="write a plot of the cost by the number of hosts to this file")
    options = parser.parse_args()
    lines = measure_core(options.rounds, options.hosts)
    if not options.core:
        lines |= measure_plays(options.rounds, options.hosts)
    if options.svg:
        title = "What one host costs the controller, by the number of hosts"
        up = f"CPU per host, {BASE} hosts = 1"
        options.svg.write_text(line_chart(title, "hosts", up, relative(lines), top=2.0), encoding="utf-8")


if __name__ == "__main__":
    main()
