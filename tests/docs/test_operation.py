# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pyinfra's users see of the operation and the fact says what the core's table of options says; and what its index reads."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, Required, get_args, get_origin, get_type_hints

import pytest
from pyinfra.api.metadata import Plugin, parse_plugins

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVORS
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import info
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import (
    BUILD_KEYS,
    INFO_OPTIONS,
    OPTIONS,
    declare,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.process import Process
from pyinfra_ops import standalone_python
from pyinfra_ops.standalone_python import operations
from tests.tools.playbook import REPOSITORY

OPERATION: Callable[..., Any] = inspect.unwrap(standalone_python.interpreters)
Table = Mapping[str, Mapping[str, Any]]
TYPES = {"str": str, "bool": bool, "int": int}


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {name: one for name, one in inspect.signature(function).parameters.items() if name != "self"}


DECLARED: list[tuple[Callable[..., Any], Any, Table]] = [
    (OPERATION, OPERATION, OPTIONS),
    (standalone_python.Interpreters.command, standalone_python.Interpreters, INFO_OPTIONS),
]
each = pytest.mark.parametrize(("function", "documented", "table"), DECLARED, ids=["operation", "fact"])


@each
def test_names_order_and_defaults(function: Callable[..., Any], documented: Any, table: Table) -> None:
    said = {name: one.default for name, one in parameters(function).items()}
    told = {name: inspect.Parameter.empty if spec.get("required") else spec.get("default") for name, spec in table.items()}
    assert list(said) == list(table)
    assert {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()} == told


@each
def test_each_option_has_its_line(function: Callable[..., Any], documented: Any, table: Table) -> None:
    assert re.findall(r"^\+ (\w+): \S", inspect.getdoc(documented) or "", re.MULTILINE) == list(table)


def test_choices_are_told() -> None:
    """In the text, and as types, which an editor completes."""
    text = inspect.getdoc(OPERATION) or ""
    lines = dict(re.findall(r"^\+ (\w+): (.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL))
    hints = get_type_hints(OPERATION)
    for name, spec in OPTIONS.items():
        choices = spec.get("choices", [])
        assert [choice for choice in choices if f"``{choice}``" not in lines[name]] == [], name
        literal = hints[name] if get_origin(hints[name]) is Literal else next(iter(get_args(hints[name])), None)
        assert list(get_args(literal)) == choices if choices else get_origin(literal) is not Literal, name


def test_types() -> None:
    hints = get_type_hints(OPERATION)
    for name, spec in OPTIONS.items():
        if spec["type"] in TYPES and not spec.get("choices"):
            assert TYPES[spec["type"]] in {hints[name], *get_args(hints[name])}, name
            assert (type(None) in get_args(hints[name])) == ("default" not in spec), name


def test_keys_of_a_build() -> None:
    """The mapping's type, the text and the core know the same keys."""
    hints = get_type_hints(operations.BuildRequest, include_extras=True)
    assert tuple(hints) == BUILD_KEYS
    assert [name for name, hint in hints.items() if get_origin(hint) is Required] == ["version"]
    assert set(get_args(hints["flavor"])) == set(FLAVORS)
    text = " ".join((inspect.getdoc(OPERATION) or "").split())
    assert f"the keys {', '.join(BUILD_KEYS[:-1])} and {BUILD_KEYS[-1]}" in text
    (wanted,) = declare({"builds": [{"version": "3.13", "default": True, "flavor": "full", "state": "latest"}]}).builds
    assert (wanted.default, wanted.request.flavor, wanted.state) == (True, "full", "latest")


def test_example_of_the_fact_has_the_keys_of_a_fact() -> None:
    """The documentation's value against one that the core makes of an observation."""
    text = inspect.getdoc(standalone_python.Interpreters) or ""
    example = ast.literal_eval(text.partition(".. code:: python")[2].strip())
    process = Process(1, "app", "python3.13", "cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only", "app.service")
    observed = parse((REPOSITORY / "tests/core/observations/sound.txt").read_text())
    made = info(replace(observed, processes=(process,), sight="all"))
    assert shape(made) == shape(example)


def shape(value: Any) -> Any:
    """Keys and types, of a list what its first element has."""
    if isinstance(value, dict):
        # Which severities and components there are depends on the build.
        return {key: key if key in ("advisories", "components") else shape(element) for key, element in value.items()}
    if isinstance(value, list):
        return [shape(element) for element in value[:1]]
    return type(value).__name__


PLUGINS = parse_plugins((REPOSITORY / "pyinfra-metadata.toml").read_text())
# What a file must define to be of a kind: the text that pyinfra's index looks for is in its source.
DEFINES: Mapping[str, Callable[[ast.Module], list[str]]] = {
    "operation": lambda tree: _decorated(tree, "operation"),
    "deploy": lambda tree: _decorated(tree, "deploy"),
    "fact": lambda tree: [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any("FactBase" in ast.unparse(base) for base in node.bases)
    ],
}


def _decorated(tree: ast.Module, by: str) -> list[str]:
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(decorator).startswith(f"{by}(") for decorator in node.decorator_list)
    ]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.type)
def test_what_the_index_reads(plugin: Plugin) -> None:
    assert plugin.name == "standalone_python"
    path = REPOSITORY / plugin.path
    defined = DEFINES[plugin.type](ast.parse(path.read_text()))
    assert set(defined) & set(standalone_python.__all__), f"{path} defines {defined}"


def test_the_index_has_all_that_is_public() -> None:
    assert sorted(plugin.type for plugin in PLUGINS) == ["deploy", "fact", "operation"]
    defined = {name for plugin in PLUGINS for name in DEFINES[plugin.type](ast.parse((REPOSITORY / plugin.path).read_text()))}
    assert set(standalone_python.__all__) - defined == {"BuildRequest"}


def test_two_files_know_where_the_core_is() -> None:
    """The second one has what only reports need: a deploy that changes nothing does not import it."""
    folder = REPOSITORY / "pyinfra_ops/standalone_python"
    assert [path.name for path in sorted(folder.glob("*.py")) if "ansible_collections" in path.read_text()] == [
        "core.py",
        "reporting.py",
    ]
    assert not (folder.parent / "__init__.py").exists()
