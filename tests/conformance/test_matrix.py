# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, nothing to do, upgrade and remove through Ansible and pyinfra on this machine: what is run under each combination of
support.toml, besides under that of the project's own environment. noxfile.py makes the environments.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conformance.cases import LATER13, OLD13, Case, Place, Step, ends, imports, starts
from tests.conformance.driver import FrontEnd, perform
from tests.conformance.front_ends import Ansible, Pyinfra
from tests.tools.deploy import LOCAL
from tests.tools.playbook import LOCALHOST, run_play

CASE = Case(
    "there and back",
    (
        Step({"builds": [OLD13]}, (f"install {OLD13}",), (OLD13,)),
        Step({"builds": ["3.13"]}, (), (OLD13,)),
        Step({"builds": ["3.13"], "state": "latest"}, (f"upgrade {LATER13}",), (OLD13, LATER13)),
        Step(
            {"builds": ["3.13"], "state": "absent"},
            (f"remove {LATER13}",),
            (OLD13,),
            {},
            first=starts(OLD13),
            then=imports("sched"),
        ),
        Step({"builds": ["3.13"], "state": "absent"}, (f"remove {OLD13}",), (), {}, first=ends),
    ),
)
FRONT_ENDS: dict[str, FrontEnd] = {"ansible": Ansible(LOCALHOST), "pyinfra": Pyinfra(LOCAL, {"@local": "localhost"})}


@pytest.fixture(scope="module", autouse=True)
def environment() -> None:
    """It is the one that the matrix asks for."""
    for said in os.environ.get("SUPPORT", "").split():
        name, _, wanted = said.partition("=")
        found = platform.python_version() if name == "python" else version(name)
        assert f"{found}.".startswith(f"{wanted}."), f"{said}, but {found} is here"


@pytest.mark.parametrize("front_end", FRONT_ENDS.values(), ids=FRONT_ENDS)
def test_there_and_back(front_end: FrontEnd, source: Path, tmp_path: Path) -> None:
    perform(CASE, front_end, {"localhost": Place(Path("/"), str(tmp_path / "root"))}, str(source))


def test_role_info_and_lookup(source: Path, tmp_path: Path) -> None:
    """The rest of the collection; the interpreter that the role lets Ansible use gathers facts."""
    root = str(tmp_path / "root")
    variables: dict[str, object] = {
        "interpreters_builds": [LATER13],
        "interpreters_root": root,
        "interpreters_source": str(source),
    }
    variables |= {"interpreters_use": "3.13", "interpreters_gather_facts": True}
    build = "lookup('standalone.python.build', '3.13.1+20250115', target='x86_64-unknown-linux-gnu')"
    run = run_play(
        [
            {"ansible.builtin.include_role": {"name": "standalone.python.interpreters"}, "vars": variables},
            {"standalone.python.interpreters_info": {"root": root}, "register": "told"},
            {
                "ansible.builtin.assert": {
                    "that": [
                        f"ansible_facts.python.executable is match('{root}/')",
                        "told.interpreters[0].sound",
                        f"{build}.filename is match('cpython-')",
                    ]
                }
            },
        ]
    )
    assert run.code == 0, run.output
