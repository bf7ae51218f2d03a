"""The table of cases through the Ansible module: on hosts without Python over SSH, over the local and the chroot connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cases import CASES, Case, Place
from tests.conformance.driver import Answer, Answers, perform
from tests.tools.hosts import Host
from tests.tools.playbook import LOCALHOST, run_play

pytestmark = pytest.mark.xdist_group("hosts")

WITH_GLIBC = ("debian", "busybox", "macish")


def front_end(inventory: str, place: str) -> Any:
    def ensure(declared: Mapping[str, Any]) -> Mapping[str, Answers]:
        task = {"standalone.python.interpreters": {"bin_dir": f"{place}/bin", **declared}, "ignore_errors": True}
        run = run_play(
            [
                {"name": "predicted", "check_mode": True, **task},
                {"name": "done", **task},
                {"name": "again", **task},
            ],
            inventory,
        )
        answers: dict[str, dict[str, Answer]] = {}
        for result in run.results:
            failed = result.kind == "failed"
            answers.setdefault(result.host, {})[result.task] = Answer(
                bool(result.result.get("changed")), tuple(result.result.get("plan", ())), result.message if failed else ""
            )
        assert answers, run.output
        return {host: Answers(**given) for host, given in answers.items()}

    return ensure


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_over_ssh(case: Case, fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    hosts = [fleet[kind] for kind in WITH_GLIBC]
    root = str(tmp_path / "root")
    inventory = "".join(f"{host.inventory_line}\n" for host in hosts)
    perform(case, front_end(inventory, root), {host.name: Place(host.root, root) for host in hosts}, str(source))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_over_the_local_connection(case: Case, source: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    perform(case, front_end(LOCALHOST, root), {"localhost": Place(Path("/"), root)}, str(source))
