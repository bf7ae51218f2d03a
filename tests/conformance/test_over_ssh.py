"""The table of cases through each front end, on hosts without Python over SSH."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.cases import CASES, Case, Place
from tests.conformance.driver import FrontEnd
from tests.conformance.front_ends import Ansible, Pyinfra, same_with_all
from tests.tools.deploy import login
from tests.tools.hosts import Host

pytestmark = pytest.mark.xdist_group("hosts")

WITH_GLIBC = ("debian", "busybox", "macish")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_over_ssh(case: Case, fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    hosts = [fleet[kind] for kind in WITH_GLIBC]
    root = str(tmp_path / "root")
    front_ends: dict[str, FrontEnd] = {
        "ansible": Ansible("".join(f"{host.inventory_line}\n" for host in hosts)),
        "pyinfra": Pyinfra({host.name: login(host) for host in hosts}, {}),
    }
    same_with_all(case, front_ends, {host.name: Place(host.root, root) for host in hosts}, str(source))
