# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the controller's processor time for pushing a build to SSH hosts, beside ansible.builtin.copy of the same file.

The hosts are test hosts on this machine, as root on Linux. Only ansible-playbook and the processes that it waits for count: neither
the hosts' work, nor ssh's shared connection, which encrypts the same bytes for both. A play with no tasks is measured in each
round, and excluded.

While hosts unpack, ansible-playbook looks for results a thousand times a second, and with fewer forks than hosts ten thousand times a
second for a free fork. So the longer hosts work, the more it costs. ``--poll 0.05`` looks for results 20 times a second. Source:
``StrategyBase._queue_task`` and ``_wait_on_pending_results`` of ansible-core.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.builds import StandIn, workbench
from benchmarks.measure import Cost, alternate, load, middle, milliseconds, must, print_table, ratio, times
from benchmarks.plays import Controller, Tasks, changed
from tests.tools.hosts import Host, start_all, stop, unavailable

OURS, COPY, EMPTY = "standalone.python.interpreters", "ansible.builtin.copy", "a play with no tasks"


def ours(build: StandIn, root: str) -> Tasks:
    return [{OURS: {"builds": [build.minor], "root": root, "bin_dir": f"{root}-bin", "source": str(build.folder)}}]


def copy(build: StandIn, payload: Path, root: str, to: str) -> Tasks:
    # The hosts have no other Python.
    python = {"ansible_python_interpreter": f"{root}/cpython-{build.minor}/bin/python3"}
    return [{COPY: {"src": str(payload), "dest": to, "mode": "0600"}, "vars": python}]


def ways(controller: Controller, build: StandIn, hosts: list[Host]) -> dict[str, Callable[[], Cost]]:
    rounds = itertools.count()
    must(controller.run(controller.play("prepare", ours(build, "/opt/first"))), OURS)
    (payload,) = (controller.folder / "cache").rglob("payload.tar.zst" if hosts[0].kind == "debianzst" else "payload.tar.gz")

    def run(name: str, tasks: Tasks, created: str = "") -> Cost:
        ended = controller.run(controller.play(name, tasks))
        cost = must(ended, name)
        if created and changed(ended) != len(hosts):
            raise RuntimeError(f"{name} did not change every host: {ended.output[-2000:]}")
        for host in hosts if created else ():
            host.exec(["rm", "-rf", created])
        return cost

    def fresh() -> str:
        return f"/opt/round-{next(rounds)}"

    def push() -> Cost:
        root = fresh()
        return run(OURS, ours(build, root), root)

    def send() -> Cost:
        to = fresh()
        return run(COPY, copy(build, payload, "/opt/first", to), to)

    return {OURS: push, COPY: send, EMPTY: lambda: run("empty", [])}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kind", choices=("debian", "debianzst", "busybox"), default="debianzst")
    parser.add_argument("--forks", type=int, default=0, help="by default as many as hosts")
    parser.add_argument("--poll", type=float, default=0.001, help="Ansible's internal_poll_interval, in seconds")
    options = parser.parse_args()
    forks = options.forks or options.hosts
    if reason := unavailable():
        raise SystemExit(reason)
    with workbench() as (folder, build, _base):
        hosts = start_all([(options.kind, f"bench-{os.getpid()}-{number}") for number in range(options.hosts)])
        try:
            controller = Controller(folder, options.hosts, {"ANSIBLE_PIPELINING": "1"})
            (folder / "ansible.cfg").write_text(f"[defaults]\nforks = {forks}\ninternal_poll_interval = {options.poll}\n")
            (folder / "inventory").write_text("".join(f"{host.inventory_line}\n" for host in hosts))
            costs = alternate(ways(controller, build, hosts), options.rounds)
        finally:
            for host in hosts:
                stop(host)
        shutil.rmtree(folder / "cache")
    bare = {
        name: [(cost - empty) / options.hosts for cost, empty in zip(costs[name], costs[EMPTY], strict=True)]
        for name in (OURS, COPY)
    }
    about = f"{options.hosts} SSH hosts ({options.kind}), {forks} forks, --poll {options.poll}"
    print(f"{about}, per host, medians of {options.rounds} rounds; {load()}\n")
    print_table(
        ("way", "controller's CPU", "least", "to copy"),
        [
            (
                name,
                milliseconds(middle(cost).cpu),
                milliseconds(min(one.cpu for one in cost)),
                times(ratio(cost, bare[COPY])[1]),
            )
            for name, cost in bare.items()
        ],
    )
    print("\nAim: ours at most 1.2 x copy.")


if __name__ == "__main__":
    main()
