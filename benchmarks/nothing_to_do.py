# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the cost of a host that needs no change: standalone.python.interpreters and other ways to do the same.

Hosts are names of this machine, over the local connection. The benchmark checks that nothing changes. Each way is repeated in one
play, so that ansible-playbook's start is a small part. A play without tasks in the same round measures that start. The first
table excludes it, the second includes it once.

With ``--ssh`` hosts are busybox hosts that are reached over SSH, which only root on Linux can make. Then the time of processors is
that of the controller alone.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.builds import StandIn, uv, uv_downloads, uv_environment, work_folder, workbench
from benchmarks.measure import Cost, alternate, load, middle, milliseconds, must, print_table, ratio, spend, times
from benchmarks.plays import PROJECT, Controller, Tasks, changed, community_general
from tests.tools import hosts as ssh_hosts

OURS, RAW, UV, HAND, EMPTY = (
    "standalone.python.interpreters",
    "raw: cat",
    "community.general.uv_python",
    "get_url, unarchive, file",
    "a play with no tasks",
)
# How often a way is repeated in its play; slow ways need fewer repetitions.
REPEATS = {OURS: 6, RAW: 6, UV: 1, HAND: 1, EMPTY: 1}


def tasks(build: StandIn, base: str, folder: Path) -> dict[str, Tasks]:
    name = build.archive.name
    return {
        RAW: [{"ansible.builtin.raw": "cat /etc/hosts"}],
        OURS: [
            {
                OURS: {
                    "builds": [build.minor],
                    "root": str(folder / "root"),
                    "bin_dir": str(folder / "bin"),
                    "source": str(build.folder),
                }
            }
        ],
        UV: [{UV: {"version": build.minor}}],
        HAND: [
            # Without a checksum, which would cost it more.
            {"ansible.builtin.get_url": {"url": build.url(base), "dest": str(folder / "hand" / name), "mode": "0644"}},
            {
                "ansible.builtin.unarchive": {
                    "src": str(folder / "hand" / name),
                    "dest": str(folder / "hand"),
                    "remote_src": True,
                    "creates": str(folder / "hand/python/bin/python3"),
                }
            },
            {
                "ansible.builtin.file": {
                    "src": str(folder / "hand/python/bin/python3"),
                    "dest": str(folder / f"hand-bin/python{build.minor}"),
                    "state": "link",
                }
            },
        ],
        EMPTY: [],
    }


def ways(controller: Controller, all_tasks: dict[str, Tasks]) -> dict[str, Callable[[], Cost]]:
    def way(name: str) -> Callable[[], Cost]:
        play = controller.play(name.replace(": ", "-"), list(all_tasks[name]) * REPEATS[name])

        def run() -> Cost:
            ended = controller.run(play)
            cost = must(ended, name)
            if name != RAW and changed(ended):
                raise RuntimeError(f"{name} changed something, and there was nothing to do: {ended.output[-2000:]}")
            return cost

        return run

    return {name: way(name) for name in all_tasks}


def over_ssh(folder: Path, build: StandIn, base: str, hosts: int, rounds: int) -> None:
    """Measure with SSH hosts and print the tables. The archive is sent to each first."""
    with ssh_hosts.fleet(hosts, ["busybox"]) as fleet:
        environment = {"ANSIBLE_FORKS": "50"}
        controller = Controller(folder, hosts, environment, inventory=ssh_hosts.inventory(fleet))
        own = {name: tasks(build, base, folder)[name] for name in (RAW, OURS, EMPTY)}
        must(controller.run(controller.play("prepare", own[OURS])), OURS)
        costs = alternate(ways(controller, own), rounds)
    report(costs, f"{hosts} SSH hosts, 50 forks", hosts, rounds)
    print("Aim: ours at most 1.08 x raw.")


def prepare(controller: Controller, all_tasks: dict[str, Tasks], build: StandIn) -> None:
    """Prepare one host, and so all, so that there is nothing to do."""
    for folder in ("hand", "hand-bin"):
        (controller.folder / folder).mkdir()
    for name in (OURS, HAND):
        must(controller.run(controller.play("prepare", all_tasks[name]), "--limit", "host00"), name)
    environment = {**controller.environment, "PATH": str(uv().parent)}
    must(spend([uv(), "python", "install", build.version], env=environment), "uv python install")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only-raw", action="store_true", help="leave out the slow ways: they take most of the time")
    parser.add_argument("--ssh", action="store_true", help="over SSH, without the slow ways; --hosts 200 takes half an hour")
    options = parser.parse_args()
    with workbench() as (folder, build, base):
        if options.ssh:
            over_ssh(folder, build, base, options.hosts, options.rounds)
            return
        controller = Controller(
            folder,
            options.hosts,
            uv_environment(folder, uv_downloads(build, base, folder)),
            (PROJECT, community_general(work_folder() / "collections")),
        )
        all_tasks = tasks(build, base, folder)
        prepare(controller, all_tasks, build)
        if options.only_raw:
            all_tasks = {name: all_tasks[name] for name in (RAW, OURS, EMPTY)}
        costs = alternate(ways(controller, all_tasks), options.rounds)
        shutil.rmtree(folder / "hand")
    report(costs, f"{options.hosts} local hosts", options.hosts, options.rounds)
    print("Aims: ours at most 1.15 x raw; uv_python and the hand-written way at least 8 x ours.")


def report(costs: dict[str, list[Cost]], which: str, hosts: int, rounds: int) -> None:
    empty = costs[EMPTY]
    print(f"Nothing to do, {which}, medians of {rounds} rounds, per host; {load()}")
    start = middle(empty)
    print(
        f"A play with no tasks costs {milliseconds(start.wall)} wall and {milliseconds(start.cpu)} CPU, all hosts together; "
        f"a way is repeated {REPEATS[RAW]} times, a slow one once.\n"
    )
    bare = {
        name: [(cost - begun) / (hosts * REPEATS[name]) for cost, begun in zip(costs[name], empty, strict=True)] for name in costs
    }
    alone = {name: [cost + begun / hosts for cost, begun in zip(bare[name], empty, strict=True)] for name in costs}
    for title, table in (("each further task", bare), ("a play of one task", alone)):
        rows = []
        for name in (name for name in costs if name != EMPTY):
            against_raw, against_ours = ratio(table[name], table[RAW]), ratio(table[name], table[OURS])
            cost = middle(table[name])
            shown = (*map(milliseconds, (cost.wall, cost.cpu)), *map(times, (*against_raw, *against_ours)))
            rows.append((name, *shown))
        print_table((title, "wall", "CPU", "to raw, wall", "to raw, CPU", "to ours, wall", "to ours, CPU"), rows)
        print()


if __name__ == "__main__":
    main()
