# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation on many hosts costs on paper: bytes, the controller's part of them, and the time, from measured inputs.

    python -m benchmarks.paper

prints the table of ``docs/scale.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was measured, see ``docs/scale.md``.

    :ivar payload: bytes that a push sends to a host
    :ivar archive: bytes that a host pulls
    :ivar scripts: bytes that are sent to a host besides, for an installation
    :ivar check: bytes that are sent to a host with nothing to do
    :ivar push_cpu: seconds of the controller's processor for a host with push, over SSH
    :ivar pull_cpu: the same for pull
    :ivar check_cpu: the same for a host with nothing to do
    :ivar host: seconds that one host takes to unpack, finish and look at a build
    :ivar cores: of the controller
    :ivar forks: hosts at a time
    :ivar usable: the part of a network's rate that files get
    """

    payload: float
    archive: float
    scripts: float
    check: float
    push_cpu: float
    pull_cpu: float
    check_cpu: float
    host: float
    cores: int
    forks: int
    usable: float = 0.9


HOSTS = (10, 50, 200, 1_000, 2_000, 10_000)
SITES = 10
GIGABITS = (1, 10)


def seconds(inputs: Inputs, hosts: int, sent: float, cpu: float, gigabits: float) -> float:
    """Return the time of a run: whatever takes longest of the network, the controller's processors, and the hosts' turns.

    :param sent: bytes that the busiest sender sends
    :param cpu: seconds of the controller's processor for one host
    """
    network = sent / (gigabits * 1e9 / 8 * inputs.usable)
    turns = -(-hosts // inputs.forks)
    return max(network, hosts * cpu / inputs.cores, turns * inputs.host)


def install_rows(inputs: Inputs) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a first installation on all hosts: by push, by pull from one mirror, and from a mirror in each site."""
    for hosts in HOSTS:
        push, pull, scripts = (hosts * size for size in (inputs.payload + inputs.scripts, inputs.archive, inputs.scripts))
        ways = ((push, inputs.push_cpu), (pull, inputs.pull_cpu), (pull / SITES, inputs.pull_cpu))
        times = [
            " / ".join(shown_time(seconds(inputs, hosts, sent, cpu, gigabits)) for gigabits in GIGABITS) for sent, cpu in ways
        ]
        yield (f"{hosts:,}", shown_size(push), times[0], shown_size(scripts), shown_size(pull), times[1], times[2])


def daily_rows(inputs: Inputs) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a run in which no host has anything to do."""
    for hosts in HOSTS:
        time = hosts * inputs.check_cpu / inputs.cores
        yield (f"{hosts:,}", shown_size(hosts * inputs.check), shown_time(time))


def shown_size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / MEGABYTE:.3g} MB"


def shown_time(time: float) -> str:
    return f"{time / 60:,.0f} min" if time >= 120 else f"{time:.0f} s"
