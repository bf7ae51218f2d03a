"""The table of cases through each front end, on the machine that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.cases import CASES, Case, Place
from tests.conformance.driver import FrontEnd
from tests.conformance.front_ends import Ansible, CommandLine, Pyinfra, same_with_all
from tests.tools.deploy import LOCAL
from tests.tools.playbook import LOCALHOST


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_on_this_machine(case: Case, source: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    front_ends: dict[str, FrontEnd] = {
        "ansible": Ansible(LOCALHOST),
        "pyinfra": Pyinfra(LOCAL, {"@local": "localhost"}),
        "command line": CommandLine(),
    }
    same_with_all(case, front_ends, {"localhost": Place(Path("/"), root)}, str(source))
