"""The modules' documentation says what the core's table of options says: names, types, defaults and choices."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.modules import interpreters, interpreters_info, report
from ansible_collections.standalone.python.plugins.plugin_utils.core import reporting
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import INFO_OPTIONS, OPTIONS
from tests.tools.documented import documented

COMPARED = ("type", "elements", "choices", "default", "required")


@pytest.mark.parametrize(
    ("module", "table"),
    [(interpreters, OPTIONS), (interpreters_info, INFO_OPTIONS), (report, reporting.OPTIONS)],
    ids=["interpreters", "interpreters_info", "report"],
)
def test_documentation_and_table_agree(module: ModuleType, table: Mapping[str, Mapping[str, Any]]) -> None:
    options = documented(module)["options"]
    assert {name: _compared(spec) for name, spec in options.items()} == {name: _compared(spec) for name, spec in table.items()}


def _compared(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: spec[key] for key in COMPARED if spec.get(key) is not None}
