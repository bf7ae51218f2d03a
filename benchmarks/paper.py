# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Computes what an installation on many hosts costs: bytes, who sends them, and the time, from inputs that were measured.

Without an option it prints the tables of ``docs/scale.md`` from INPUTS. With ``--measure`` it measures new inputs, which takes root
on Linux: a few SSH hosts on this machine are installed by push and by pull. The controller's processor time is that of
ansible-playbook and the processes that it waits for. SSH's shared connections, which encrypt, and the hosts are not in it.
"""

from __future__ import annotations

import argparse
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed

INTERPRETERS = "standalone.python.interpreters"
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was measured.

    :ivar payload: bytes that a push sends to a host
    :ivar archive: bytes that a host pulls
    :ivar scripts: bytes that the controller sends besides, for an installation
    :ivar check: bytes that the controller sends to a host with nothing to do
    :ivar push_cpu: seconds of the controller's processor for a host with push
    :ivar pull_cpu: the same for pull
    :ivar check_cpu: the same for a host with nothing to do
    :ivar host: seconds of a host's processor to unpack, finish and observe a build
    """

    payload: int
    archive: int
    scripts: int
    check: int
    push_cpu: float
    pull_cpu: float
    check_cpu: float
    host: float


# See docs/scale.md for the machine and the date.
INPUTS = Inputs(
    payload=24_270_085,
    archive=25_507_745,
    scripts=124_337,
    check=10_075,
    push_cpu=0.226,
    pull_cpu=0.182,
    check_cpu=0.081,
    host=1.06,
)
# Of the controller: processors, and hosts at a time. Of a network: the part of its rate that files get.
CORES, FORKS, USABLE = 4, 50, 0.9
HOSTS = (10, 50, 200, 1_000, 2_000, 10_000)
SITES = 10
GIGABITS = (1, 10)

INSTALL_HEAD = (
    "hosts",
    "push: the controller sends",
    "time at 1 / 10 Gbit/s",
    "pull: the controller sends",
    "the mirror sends",
    "time at 1 / 10 Gbit/s",
    f"time with {SITES} mirrors",
)
CHECK_HEAD = ("hosts", "the controller sends", f"time with {CORES} processors")


def seconds(inputs: Inputs, hosts: int, sent: float, cpu: float, gigabits: float) -> float:
    """Return the time of a run: the longest of the network, the controller's processors, and the hosts' turns.

    :param sent: bytes that the busiest sender sends
    :param cpu: seconds of the controller's processor for one host
    """
    network = sent / (gigabits * 1e9 / 8 * USABLE)
    turns = -(-hosts // FORKS)
    return max(network, hosts * cpu / CORES, turns * inputs.host)


def install_rows(inputs: Inputs) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a first installation: by push, by pull from one mirror, and from a mirror in each of several sites."""
    for hosts in HOSTS:
        push, pull, scripts = (hosts * size for size in (inputs.payload + inputs.scripts, inputs.archive, inputs.scripts))
        ways = ((push, inputs.push_cpu), (pull, inputs.pull_cpu), (pull / SITES, inputs.pull_cpu))
        times = [
            " / ".join(shown_time(seconds(inputs, hosts, sent, cpu, gigabits)) for gigabits in GIGABITS) for sent, cpu in ways
        ]
        yield (f"{hosts:,}", shown_size(push), times[0], shown_size(scripts), shown_size(pull), times[1], times[2])


def check_rows(inputs: Inputs) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a run in which no host has anything to do."""
    for hosts in HOSTS:
        yield f"{hosts:,}", shown_size(hosts * inputs.check), shown_time(hosts * inputs.check_cpu / CORES)


def shown_size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / MEGABYTE:.2g} MB" if size < 1e8 else f"{size / MEGABYTE:.0f} MB"


def shown_time(time: float) -> str:
    return f"{time / 60:,.0f} min" if time >= 120 else f"{max(time, 1):.0f} s"


def markdown(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def tables(inputs: Inputs = INPUTS) -> tuple[str, str]:
    """Return the tables of ``docs/scale.md`` as Markdown: of installations, and of runs with nothing to do."""
    return markdown(INSTALL_HEAD, install_rows(inputs)), markdown(CHECK_HEAD, check_rows(inputs))


def measured(count: int, rounds: int) -> Inputs:
    """Install the stand-in build on a few SSH hosts by push and by pull, and on this machine, and return what it cost."""
    from benchmarks.builds import workbench
    from benchmarks.measure import Cost, must
    from benchmarks.plays import Controller, Tasks
    from tests.tools.hosts import fleet, inventory

    with workbench() as (folder, build, base), fleet(count, ("busybox",)) as hosts:
        controller = Controller(folder, count, {"ANSIBLE_FORKS": str(count), "ANSIBLE_SSH_RETRIES": "3"})
        (folder / "ansible.cfg").touch()
        (folder / "inventory").write_text(inventory(hosts))
        options = {"builds": [build.minor], "root": "/opt/bench", "bin_dir": "/opt/bin", "catalogue": str(build.folder)}
        push: Tasks = [{INTERPRETERS: {**options, "source": str(build.folder)}}]
        pull: Tasks = [{INTERPRETERS: {**options, "source": base, "delivery": "pull"}}]
        clear: Tasks = [{"ansible.builtin.raw": "rm -rf /opt/bench /opt/bin"}]
        plays: dict[str, Tasks] = {"empty": [], "clear": clear, "push": push, "check": push, "clear-again": clear, "pull": pull}
        costs: dict[str, list[Cost]] = {name: [] for name in plays}
        # The controller's cache is filled before.
        must(controller.run(controller.play("push", push), "--limit", hosts[0].name), "push")
        for _round in range(rounds):
            for name, tasks in plays.items():
                costs[name].append(must(controller.run(controller.play(name, tasks)), name))
        # Without ansible-playbook's start.
        cpu = {
            name: round(median(cost.cpu - start.cpu for cost, start in zip(found, costs["empty"], strict=True)) / count, 3)
            for name, found in costs.items()
        }
        payload, scripts, check, host = local_install(folder, build.folder, build.minor)
        archive = build.archive.stat().st_size
        return Inputs(payload, archive, scripts, check, cpu["push"], cpu["pull"], cpu["check"], round(host, 2))


def local_install(folder: Path, source: Path, minor: str) -> tuple[int, int, int, float]:
    """Return the bytes of the payload, of an installation's scripts and of a check's script, and the host's processor seconds."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import ensure
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
    from benchmarks.install import LocalHost

    sent: list[int] = []
    uploaded: list[int] = []

    class Counting(LocalHost):
        def run(self, script: str) -> Completed:
            sent.append(len(script))
            return super().run(script)

        def upload(self, path: Path, name: str) -> str:
            uploaded.append(path.stat().st_size)
            return super().upload(path, name)

    os.environ["STANDALONE_PYTHON_CACHE"] = str(folder / "cache")
    (folder / "sent").mkdir()
    host = Counting(os.environ.get("PATH", os.defpath), folder / "sent")
    runs: list[float] = []
    for number in range(4):
        root = folder / f"root-{number}"
        desired = declare({"builds": [minor], "root": f"{root}/root", "bin_dir": f"{root}/bin", "source": str(source)})
        sent.clear()
        before = host_cpu()
        ensure(host, desired, Supply(desired))
        runs.append(host_cpu() - before)
    scripts = sum(sent)
    sent.clear()
    ensure(host, desired, Supply(desired))
    # The first run packs the payload.
    return uploaded[0], scripts, sum(sent), median(runs[1:])


def host_cpu() -> float:
    """Return the processor seconds of the programs that ran on this machine as the host."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="measure new inputs on SSH hosts of this machine")
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    inputs = measured(options.hosts, options.rounds) if options.measure else INPUTS
    for field in fields(inputs):
        print(f"{field.name}={getattr(inputs, field.name)}")
    print("\n" + "\n\n".join(tables(inputs)))


if __name__ == "__main__":
    main()
