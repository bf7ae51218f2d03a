# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of a declaration: it is up to date, takes what ``declare`` takes, and refuses what it can express."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import BUILD_KEYS, OPTIONS, declare
from standalone_python.declarations import read
from tests.tools.bad_files import BAD_FILES
from tests.tools.pages import REPOSITORY, pages, shown

FILE = REPOSITORY / "standalone_python/declaration.schema.json"
SCHEMA = json.loads(FILE.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
# Sentences about what a schema can express, whatever the value.
EXPRESSED = ("unknown option", "unknown flavor", "unknown state", "did you mean", "choose one of", "is missing", "write '3.")


def documented() -> Iterator[tuple[str, dict[str, Any]]]:
    """All declarations in documentation and examples."""
    for page in pages():
        for one in shown(page):
            if "\nbuilds:" in f"\n{one.text}":
                yield f"{page}:{one.line}", yaml.safe_load(one.text)
    for path in sorted(REPOSITORY.glob("examples/*/python.yml")):
        yield path.relative_to(REPOSITORY).as_posix(), read(str(path))


DOCUMENTED = dict(documented())


def declared(options: Any) -> str:
    """Return the sentence of a refusal; empty if the declaration is valid."""
    try:
        declare(options)
    except DeclarationError as error:
        return str(error)
    return ""


def test_the_file_is_what_the_script_makes() -> None:
    spec = spec_from_file_location("schema_script", REPOSITORY / "scripts/schema.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    assert FILE.read_text(encoding="utf-8") == script.rendered(), "run scripts/schema.py"
    Draft202012Validator.check_schema(SCHEMA)
    for text in ("V(", "O(", "C(", "RV(", "E("):
        assert text not in FILE.read_text(encoding="utf-8")


def test_declarations_are_found() -> None:
    assert len(DOCUMENTED) >= 10
    assert {"docs/air-gap.md", "docs/command-line.md"} <= {name.partition(":")[0] for name in DOCUMENTED}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_declaration_of_the_documentation_is_valid(name: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(DOCUMENTED[name])] == []
    assert declared(DOCUMENTED[name]) == ""


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(case: str, tmp_path: Path) -> None:
    file = tmp_path / "python.yml"
    file.write_text(BAD_FILES[case][0], encoding="utf-8")
    try:
        options = read(str(file))
    except DeclarationError:
        return
    sentence = declared(options)
    if any(part in sentence for part in EXPRESSED) and "can't be read" not in sentence:
        assert not VALIDATOR.is_valid(options)


# Values as YAML gives them, and among them what options take.
words = st.sampled_from(
    [*("3.13", "3.13t", "/x", "~/x", "0755", "yes", "OFF", " 3 ", "-0", "7d", "", "versioned, default", "a", "full", "v3"), "3.1"]
)
numbers = st.sampled_from([0, 1, 3, -1, 3.1, 3.13, 493, 20250115, 1e20])
choices = st.sampled_from([choice for spec in OPTIONS.values() for choice in spec.get("choices", ())])
anything = st.recursive(
    st.none() | st.booleans() | numbers | words | choices | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*BUILD_KEYS, "varient"]), inner, max_size=3).map(lambda one: {"version": "3.13"} | one)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*OPTIONS, "build"]), anything, max_size=3).map(lambda more: {"builds": ["3.13"]} | more))
@settings(max_examples=400)
@example({})
@example({"builds": None})
@example({"builds": [{"version": "3.13", "variant": [], "default": ""}]})
@example({"builds": "3.13", "attestations": False, "links": "versioned,,default"})
def test_what_the_schema_refuses_declare_refuses_and_what_it_expresses_the_other_way_round(options: dict[str, Any]) -> None:
    sentence = declared(options)
    if not VALIDATOR.is_valid(options):
        assert sentence, list(VALIDATOR.iter_errors(options))
    elif any(part in sentence for part in EXPRESSED):
        # Parts of a request, which is one text.
        assert "can't be read" in sentence or "unknown target" in sentence, sentence
