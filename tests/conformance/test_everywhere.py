# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of cases through each front end: on this machine and, in the same runs, on hosts without Python over SSH."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.cases import CASES, Case, Place
from tests.conformance.driver import FrontEnd
from tests.conformance.front_ends import Ansible, CommandLine, Pyinfra, same_with_all
from tests.tools.deploy import LOCAL, login
from tests.tools.hosts import Host, unavailable
from tests.tools.playbook import LOCALHOST

pytestmark = pytest.mark.xdist_group("hosts")

WITH_GLIBC = ("debian", "busybox", "macish")


@pytest.fixture(scope="module")
def hosts(request: pytest.FixtureRequest) -> list[Host]:
    """The hosts over SSH; none where this machine cannot make them, which the tests in tests/hosts report."""
    if unavailable():
        return []
    fleet: Mapping[str, Host] = request.getfixturevalue("fleet")
    return [fleet[kind] for kind in WITH_GLIBC]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_everywhere(case: Case, hosts: list[Host], source: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    here = {"localhost": Place(Path("/"), root)}
    everywhere = here | {host.name: Place(host.root, root) for host in hosts}
    front_ends: dict[str, tuple[FrontEnd, Mapping[str, Place]]] = {
        "ansible": (Ansible(LOCALHOST + "".join(f"{host.inventory_line}\n" for host in hosts)), everywhere),
        "pyinfra": (Pyinfra({**LOCAL, **{host.name: login(host) for host in hosts}}, {"@local": "localhost"}), everywhere),
        "command line": (CommandLine(), here),
    }
    same_with_all(case, front_ends, str(source))
