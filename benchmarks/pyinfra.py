# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the cost of a host that needs no change with pyinfra: standalone_python.interpreters and other ways.

Hosts are names of this machine. The benchmark checks that nothing changes. Each way is a deploy with the same operation many
times, run by `pyinfra -y`. A deploy without operations in the same round measures pyinfra's start. The first table excludes it,
the second includes it once. Operations for one root share a look, so in another way each has an environment and a look of its own.
The last table compares the results of requests with those of pyinfra's own uv.pythons; both run.

With ``--ssh`` hosts are busybox hosts that are reached over SSH, which only root on Linux can make. Then the time of processors is
that of the controller alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.builds import StandIn, uv, uv_downloads, uv_environment, workbench
from benchmarks.deploys import Deployer, changed, results_of
from benchmarks.measure import Cost, alternate, load, middle, milliseconds, must, print_table, ratio, spend, times
from tests.tools.deploy import login
from tests.tools.hosts import fleet

AIM, AIM_SSH = 1.15, 1.3
OURS, ANEW, FACT, UV, EMPTY = (
    "standalone_python.interpreters",
    "the same with an own _env, so each looks",
    'the fact Command("cat /etc/hosts")',
    "uv.pythons",
    "a deploy with no operations",
)
# How often a way is repeated in its deploy; the slow one needs fewer repetitions.
REPEATS = {OURS: 6, ANEW: 6, FACT: 6, UV: 1, EMPTY: 1}

# An operation like the others that has nothing to do.
BARE = """
from pyinfra import host
from pyinfra.api import operation
from pyinfra.facts.server import Command

@operation()
def look():
    host.get_fact(Command, "cat /etc/hosts")
    host.noop("nothing to do")
    yield from ()
"""


def interpreters(build: StandIn, target: Path, **declared: object) -> str:
    """Return one line of a deploy."""
    options = {
        "builds": [build.minor],
        "root": str(target / "root"),
        "bin_dir": str(target / "bin"),
        "source": str(build.folder),
        **declared,
    }
    return f"standalone_python.interpreters(**{options!r})\n"


def deploys(build: StandIn, target: Path) -> dict[str, str]:
    ours, versions = range(REPEATS[OURS]), range(REPEATS[UV])
    return {
        OURS: "from pyinfra_ops import standalone_python\n"
        + "".join(interpreters(build, target, name=f"ours {number}") for number in ours),
        ANEW: "from pyinfra_ops import standalone_python\n"
        + "".join(interpreters(build, target, name=f"ours {number}", _env={"LOOK": str(number)}) for number in ours),
        FACT: BARE + "".join(f"look(name='look {number}')\n" for number in range(REPEATS[FACT])),
        # With its whole version, because a request such as 3.13 always changes something: see the last table.
        UV: "from pyinfra.operations import uv\n"
        + "".join(f"uv.pythons({build.version!r}, name='uv {number}')\n" for number in versions),
        EMPTY: "",
    }


def ways(deployer: Deployer, texts: dict[str, str]) -> dict[str, Callable[[], Cost]]:
    def way(number: int, name: str) -> Callable[[], Cost]:
        deploy = deployer.deploy(f"way{number}", texts[name])

        def run() -> Cost:
            ended = deployer.run(deploy)
            cost = must(ended, name)
            if changed(ended):
                raise RuntimeError(f"{name} changed something, and there was nothing to do: {ended.output[-2000:]}")
            return cost

        return run

    return {name: way(number, name) for number, name in enumerate(texts)}


def environment_of_uv(build: StandIn, base: str, folder: Path) -> dict[str, str]:
    """Return the hosts' environment. uv.pythons itself passes the option for managed interpreters, which uv accepts only once. The
    PATH has only the system's interpreters, because uv starts every interpreter on it each time."""
    variables = uv_environment(folder, uv_downloads(build, base, folder))
    (folder / "path").mkdir()
    (folder / "path/uv").symlink_to(uv())
    path = f"{folder / 'path'}:/usr/bin:/bin:/usr/sbin:/sbin"
    return {name: value for name, value in variables.items() if name != "UV_PYTHON_PREFERENCE"} | {"PATH": path}


def prepare(deployer: Deployer, build: StandIn, target: Path) -> None:
    """Prepare this machine, and so all hosts, so that there is nothing to do."""
    text = "from pyinfra_ops import standalone_python\n" + interpreters(build, target)
    must(deployer.run(deployer.deploy("prepare", text), inventory="@local"), OURS)
    must(spend([uv(), "python", "install", build.version], env=dict(deployer.environment)), "uv python install")


@dataclass(frozen=True, slots=True)
class Case:
    """
    :ivar request: ``{minor}`` is the stand-in's
    :ivar absent: removed instead of installed
    :ivar dry: only preview the changes
    """

    what: str
    request: str
    should: str
    absent: bool = False
    dry: bool = False


CASES = (
    Case("{minor}, on a host without", "{minor}", "change"),
    Case("{minor} again", "{minor}", "no change"),
    Case("{minor} absent", "{minor}", "change, 0 builds left", absent=True),
    Case("{minor} absent again", "{minor}", "no change, 0 builds left", absent=True),
    # Installing it needs a free-threaded build, which no interpreter of this machine may be.
    Case("{minor}t, where only {minor} is (--dry)", "{minor}t", "change", dry=True),
)


def case_of_ours(deployer: Deployer, build: StandIn, target: Path, case: Case) -> str:
    # Free-threaded builds have no stand-in: the bundled catalogue has upstream's.
    declared: dict[str, object] = {"source": "upstream"} if case.dry else {}
    declared |= {"builds": [case.request.format(minor=build.minor)], "state": "absent" if case.absent else "present"}
    text = interpreters(build, target, **declared)
    return outcome(deployer, case, "from pyinfra_ops import standalone_python\n" + text, target / "root")


def case_of_uv(deployer: Deployer, build: StandIn, target: Path, case: Case) -> str:
    request = case.request.format(minor=build.minor)
    text = f"from pyinfra.operations import uv\nuv.pythons({request!r}, present={not case.absent})\n"
    return outcome(deployer, case, text, Path(deployer.environment["UV_PYTHON_INSTALL_DIR"]))


def outcome(deployer: Deployer, case: Case, text: str, root: Path) -> str:
    ended = deployer.run(deployer.deploy("case", text), arguments=("--dry",) if case.dry else ("-y",), inventory="@local")
    if ended.code:
        return "fails"
    answer = results_of(ended)
    done = any(one["hosts_with_change"] for one in answer["plan"]) if case.dry else answer["results"]["totals"]["success"]
    result = "change" if done else "no change"
    left = len([path for path in root.glob("cpython-*") if not path.is_symlink()])
    return f"{result}, {left} build{'s' * (left != 1)} left" if case.absent else result


def requests(folder: Path, build: StandIn, base: str) -> None:
    """Run each case with both, one after the other, and print the results."""
    target = folder / "requests"
    target.mkdir()
    deployer = Deployer(target, 1, environment_of_uv(build, base, target))
    install = Case("", "{minor}", "")
    rows = []
    for case in CASES:
        if case.dry:
            case_of_ours(deployer, build, target, install)
            case_of_uv(deployer, build, target, install)
        became = [work(deployer, build, target, case) for work in (case_of_ours, case_of_uv)]
        rows.append((case.what.format(minor=build.minor), case.should, *became))
    print_table(("request", "should be", OURS, UV), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ssh", action="store_true", help="over SSH, without uv.pythons")
    options = parser.parse_args()
    with workbench() as (folder, build, base):
        if options.ssh:
            over_ssh(folder, build, options.hosts, options.rounds)
            return
        deployer = Deployer(folder, options.hosts, environment_of_uv(build, base, folder))
        prepare(deployer, build, folder)
        costs = alternate(ways(deployer, deploys(build, folder)), options.rounds)
        report(costs, f"{options.hosts} local hosts", options.hosts, options.rounds)
        print(f"\nAims: ours at most {AIM} x the fact. Results of requests:\n")
        requests(folder, build, base)


def over_ssh(folder: Path, build: StandIn, hosts: int, rounds: int) -> None:
    """Measure with SSH hosts and print the tables. The archive is sent to each first."""
    with fleet(hosts, ["busybox"]) as reached:
        deployer = Deployer(folder, hosts, inventory=f"hosts = {[(host.name, login(host)) for host in reached]!r}\n")
        texts = {name: deploys(build, folder)[name] for name in (OURS, ANEW, FACT, EMPTY)}
        text = "from pyinfra_ops import standalone_python\n" + interpreters(build, folder)
        must(deployer.run(deployer.deploy("prepare", text)), OURS)
        costs = alternate(ways(deployer, texts), rounds)
    report(costs, f"{hosts} SSH hosts", hosts, rounds)
    print(f"Aim: ours at most {AIM_SSH} x the fact.")


def report(costs: dict[str, list[Cost]], which: str, hosts: int, rounds: int) -> None:
    empty = costs[EMPTY]
    start = middle(empty)
    print(f"Nothing to do with pyinfra -y, {which}, medians of {rounds} rounds, per host; {load()}")
    print(
        f"A deploy with no operations costs {milliseconds(start.wall)} wall and {milliseconds(start.cpu)} CPU, all hosts "
        f"together; a way is repeated {REPEATS[OURS]} times, uv.pythons once.\n"
    )
    timed = [name for name in costs if name != EMPTY]
    bare = {
        name: [(cost - begun) / (hosts * REPEATS[name]) for cost, begun in zip(costs[name], empty, strict=True)] for name in timed
    }
    alone = {name: [cost + begun / hosts for cost, begun in zip(bare[name], empty, strict=True)] for name in timed}
    for title, table in (("each further operation", bare), ("a deploy of one operation", alone)):
        rows = []
        for name in timed:
            cost = middle(table[name])
            against = (*ratio(table[name], table[FACT]), *ratio(table[name], table[OURS]))
            rows.append((name, *map(milliseconds, (cost.wall, cost.cpu)), *map(times, against)))
        print_table((title, "wall", "CPU", "to fact, wall", "to fact, CPU", "to ours, wall", "to ours, CPU"), rows)
        print()


if __name__ == "__main__":
    main()
