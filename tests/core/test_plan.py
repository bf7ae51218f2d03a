# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden files: what is declared and what a host has -> the plan, in words. One file a case, in ``plans/``.

Above the marker a person writes: ``declared`` (options as a user gives them), ``host`` (see :func:`observed_of`) and
``catalogue`` (the file names that exist; without it the plan must come out without looking for any build). Below it stands what
comes of that. After a change that was meant, ``UPDATE_GOLDEN=1`` writes those parts anew, for review.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.choice import Resolve
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.plan import plan
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Outcome, Plan, describe, predict
from tests.tools.planning import observed_of, resolver

CASES = sorted(Path(__file__).with_name("plans").glob("*.yaml"))
MARKER = "# What comes of it.\n"


class Indented(yaml.SafeDumper):
    """Lists are indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def read(case: Path) -> tuple[str, dict[str, Any]]:
    """The part that a person wrote, as text; and the whole file as data."""
    text = case.read_text(encoding="utf-8")
    return text.partition(MARKER)[0], yaml.safe_load(text)


def situation(data: Mapping[str, Any]) -> tuple[Desired, Observed, Resolve]:
    host = data.get("host") or {}
    desired = declare(data["declared"], windows=host.get("facts", {}).get("os") == "Windows_NT")
    observed = observed_of(host, desired)
    return desired, observed, resolver(data.get("catalogue"), observed.facts)


def outcome_in_words(outcome: Outcome) -> dict[str, Any]:
    return {
        "request": outcome.wanted.request.text,
        "build": outcome.build.name,
        "action": outcome.action,
        "reason": outcome.reason,
        "stable_path": outcome.stable_path,
        "links": list(outcome.links),
    }


def outcome_of_case(data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        desired, observed, resolve = situation(data)
        made = plan(desired, observed, resolve)
    except StandalonePythonError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    after = predict(made, observed, desired)
    again = plan(desired, after, resolve)
    assert not again, f"a second run changes something: {[str(step) for step in again.steps]}"
    assert [outcome.build.name for outcome in again.outcomes] == [outcome.build.name for outcome in made.outcomes]
    assert [outcome.path for outcome in again.outcomes] == [outcome.path for outcome in made.outcomes]
    assert {outcome.action for outcome in again.outcomes} <= {"none"}
    assert again.remarks == made.remarks
    _check_paths(made)
    return {
        "plan": [str(step) for step in made.steps],
        "interpreters": [outcome_in_words(outcome) for outcome in made.outcomes],
        "removed": [step.name for step in made.removals],
        **({"remarks": list(made.remarks)} if made.remarks else {}),
        **({"history": list(made.history)} if made.history is not None else {}),
        **({"held": [str(step) for step in made.held]} if made.held else {}),
        "after": describe(after).splitlines(),
    }


def _check_paths(made: Plan) -> None:
    """What every outcome has in common, which the golden files needn't repeat."""
    assert (made.history is None) == (made.records_before is None)
    for outcome in made.outcomes:
        assert outcome.prefix.endswith(f"/{outcome.build.name}")
        assert outcome.path == f"{outcome.prefix}/" + ("python.exe" if ":" in outcome.prefix else "bin/python3")


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_golden(case: Path) -> None:
    given, data = read(case)
    found = outcome_of_case(data)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        told = yaml.dump(found, Dumper=Indented, sort_keys=False, width=120, allow_unicode=True)
        case.write_text(given + MARKER + told, encoding="utf-8")
        return
    assert found == {name: data[name] for name in data if name not in ("declared", "host", "catalogue")}


def test_cases_are_there_and_say_what_they_show() -> None:
    assert len(CASES) > 50
    for case in CASES:
        given, data = read(case)
        assert given.startswith("# "), f"{case.name} begins with no comment that says what it shows"
        assert ("error" in data) != ("plan" in data), f"{case.name} has no result: write it with UPDATE_GOLDEN=1"
