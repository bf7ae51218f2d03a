# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role offers every option of the module, with the same form, and passes each one on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.standalone.python.plugins.modules import interpreters
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.role import BY_ROLE, check_variables
from tests.tools.documented import documented

COLLECTION = Path(__file__).resolve().parents[2] / "ansible_collections/standalone/python"
ROLE = COLLECTION / "roles/interpreters"
OPTIONS: dict[str, dict[str, Any]] = documented(interpreters)["options"]
SPECIFIED: dict[str, dict[str, Any]] = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"][
    "options"
]
MODULE = "standalone.python.interpreters"
OWN = {"interpreters_use", "interpreters_gather_facts"}
DECLARED = dict.fromkeys(SPECIFIED, "x")
FORM = ("type", "elements", "choices", "required")


def test_same_options_of_the_same_form() -> None:
    module = {f"interpreters_{name}": {key: spec.get(key) for key in FORM} for name, spec in OPTIONS.items()}
    role = {name: {key: option.get(key) for key in FORM} for name, option in SPECIFIED.items()}
    assert {name: form for name, form in role.items() if name not in OWN} == module


def test_defaults_are_the_modules_own() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert set(defaults) == OWN
    assert {name for name, option in SPECIFIED.items() if "default" in option} == OWN


def test_each_option_is_passed_on() -> None:
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    (passed,) = (task[MODULE] for task in tasks if MODULE in task)
    required = {name for name, option in OPTIONS.items() if option.get("required")}
    assert passed == {
        name: "{{ interpreters_" + name + ("" if name in required else " | default(omit)") + " }}" for name in OPTIONS
    }


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("interpreters_lnks", "did you mean `interpreters_links`?"),
        ("interpreters_build", "did you mean `interpreters_builds`?"),
        ("interpreters_gather_fact", "did you mean `interpreters_gather_facts`?"),
        ("interpreters_zzz", "rename it, as names that begin with interpreters_ belong to the role"),
    ],
)
def test_an_unknown_variable_of_the_role_is_refused(name: str, advice: str) -> None:
    registered = {"interpreters_info": {"changed": False}, "interpreters_result": {"changed": True}}
    others = {"interpreter_links": 1, "my_interpreters_links": 1, BY_ROLE: True, "ansible_facts": {}}
    check_variables(DECLARED | registered | others)
    with pytest.raises(DeclarationError) as caught:
        check_variables(DECLARED | registered | {name: []})
    assert str(caught.value) == f"unknown variable `{name}`: {advice}"


def test_the_role_says_that_it_is_the_role() -> None:
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    (variables,) = (task["vars"] for task in tasks if MODULE in task)
    assert variables == {BY_ROLE: True}
