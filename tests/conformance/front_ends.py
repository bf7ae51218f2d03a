"""Front ends as the table of cases wants them, and what they have to agree on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.cases import Case, Place
from tests.conformance.driver import Answer, FrontEnd, perform
from tests.tools.deploy import Deployed, Hosts, operation, run_deploy
from tests.tools.playbook import CACHE, run_play

STANDALONE_PYTHON = Path(sys.executable).with_name("standalone-python")


@dataclass(frozen=True, slots=True)
class Ansible:
    inventory: str

    def __call__(self, declared: Mapping[str, Any], *runs: str) -> Mapping[str, Mapping[str, Answer]]:
        task = {"standalone.python.interpreters": declared, "ignore_errors": True}
        run = run_play([{"name": name, "check_mode": name == "predicted", **task} for name in runs], self.inventory)
        answers: dict[str, dict[str, Answer]] = {}
        for result in run.results:
            failed = result.kind == "failed"
            answers.setdefault(result.host, {})[result.task] = Answer(
                bool(result.result.get("changed")),
                tuple(result.result.get("plan", ())),
                result.message if failed else "",
                "\n".join(result.result.get("warnings", ())),
            )
        assert answers, run.output
        return answers


@dataclass(frozen=True, slots=True)
class Pyinfra:
    """:ivar names: pyinfra's name of a host to the test's"""

    hosts: Hosts
    names: Mapping[str, str]

    def __call__(self, declared: Mapping[str, Any], *runs: str) -> Mapping[str, Mapping[str, Answer]]:
        done = {"predicted": run_deploy(operation(declared), self.hosts, dry=True)} if "predicted" in runs else {}
        # A start of pyinfra takes a second, so it does what it can in one. It ends with the first operation that fails on all hosts.
        names = [name for name in runs if name != "predicted"]
        run = run_deploy("".join(operation(declared, name=name) for name in names), self.hosts)
        if run.code == 0:
            done |= {name: run.of(name) for name in names}
        else:
            done |= {names[0]: run} | {name: run_deploy(operation(declared), self.hosts) for name in names[1:]}
        return {self.names.get(host, host): {name: _answer(run, host) for name, run in done.items()} for host in self.hosts}


@dataclass(frozen=True, slots=True)
class CommandLine:
    """This machine by the command line."""

    def __call__(self, declared: Mapping[str, Any], *runs: str) -> Mapping[str, Mapping[str, Answer]]:
        return {"localhost": {name: self._run("plan" if name == "predicted" else "apply", declared) for name in runs}}

    def _run(self, command: str, declared: Mapping[str, Any]) -> Answer:
        done = subprocess.run(
            [STANDALONE_PYTHON, command, "-", "--json", "--no-progress"],
            input=json.dumps(declared),
            capture_output=True,
            text=True,
            env={**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)},
        )
        if done.returncode == 1:
            assert not done.stdout, done.stdout
            return Answer(False, (), done.stderr.removeprefix("standalone-python: ").strip())
        told = json.loads(done.stdout)
        assert done.returncode == (2 if command == "plan" and told["changed"] else 0), done
        return Answer(told["changed"], tuple(told["plan"]), remarks=done.stderr)


def _answer(run: Deployed, host: str) -> Answer:
    error = run.error(host)
    # What will fail when it is done counts as a change where it is only predicted.
    return Answer(host in run.changed and not error, run.plan[host], error, "" if error else "\n".join(run.said(host)))


def same_with_all(case: Case, front_ends: Mapping[str, tuple[FrontEnd, Mapping[str, Place]]], source: str) -> None:
    """Each front end does the case, and the others then find nothing to do.

    :param front_ends: each with the places that it reaches; the first reaches all
    """
    (first, (front_end, everywhere)), *others = front_ends.items()
    trees = perform(case, front_end, everywhere, source)
    for name, (other, places) in others:
        left = {host: trees[-1][host] for host in places}
        nothing_to_do(case, other, places, source)
        for place in places.values():
            shutil.rmtree(place.here, ignore_errors=True)
        again = perform(case, other, places, source)
        for number, (was, now) in enumerate(zip(trees, again, strict=True), 1):
            assert {host: was[host] for host in places} == now, (
                f"{case.name}, step {number}: what {name} leaves is not what {first} does"
            )
        assert left == again[-1]
        nothing_to_do(case, front_end, everywhere, source)


def nothing_to_do(case: Case, front_end: FrontEnd, places: Mapping[str, Place], source: str) -> None:
    step = case.steps[-1]
    if not step.says:
        root = next(iter(places.values())).root
        for host, answers in front_end({"source": source, "root": root, **step.declared}, "again").items():
            assert answers["again"] == Answer(False, ()), f"{case.name}, {host}, after another front end"
