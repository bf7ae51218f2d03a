#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the JSON Schema of a declaration's file, for editors and for other tools.

    scripts/schema.py            write standalone_python/declaration.schema.json
    scripts/schema.py --check    exit with 1 if the file is not up to date

Names, types, choices and defaults come from the table that the core's ``declare`` uses, descriptions from the module's
documentation. ``declare`` refuses whatever the schema refuses, and what depends on two options or on the host.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ansible_collections.standalone.python.plugins.doc_fragments.host import ModuleDocFragment
from ansible_collections.standalone.python.plugins.modules.interpreters import DOCUMENTATION
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVORS
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import BUILD_KEYS, OPTIONS, STATES, TRUTHS

SCHEMA = Path(__file__).resolve().parent.parent / "standalone_python/declaration.schema.json"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

_TEXT = ["string", "number", "null"]
_NO_NEGATIVE = r"^\s*(-0+|[0-9]{1,9})\s*$"
# Numbers that YAML makes of 3.10 to 3.60 without quotes.
_TRAP = [round(3 + tenths / 10, 1) for tenths in range(1, 7)]
_REQUEST: Mapping[str, Any] = {
    "type": ["string", "number"],
    "pattern": "[0-9]|[Pp][Yy][Tt][Hh][Oo][Nn]",
    "not": {"enum": _TRAP},
    "examples": ["3.13", "3.13.1", ">=3.12,<3.14", "3.13t", "3.13+v3", "3.13.1+20250115"],
}
# What an option accepts beyond its type.
_MORE: Mapping[str, Mapping[str, Any]] = {
    "root": {"type": ["string", "null"], "pattern": "^(~?/|[A-Za-z]:|%)"},
    "bin_dir": {"type": ["string", "null"], "pattern": "^$|^(~?/|[A-Za-z]:|%)"},
    "mode": {"type": ["string", "integer", "null"], "pattern": r"^\s*((0o)?[0-7]{1,6})?\s*$", "examples": ["0755"]},
    "cooldown": {"type": ["string", "null"], "pattern": r"^\s*([0-9]{1,4}[dw])?\s*$", "examples": ["7d", "2w"]},
}
_OF_A_BUILD: Mapping[str, Mapping[str, Any]] = {
    "version": {**_REQUEST, "description": "A request in text. Quote it, as YAML reads 3.10 as the number 3.1."},
    "variant": {"type": _TEXT, "description": "The variant, the CPU level, or both: freethreaded, debug, v3, auto, debug+v3."},
    "flavor": {"enum": [*FLAVORS, "", None], "description": "The flavor; by default the first of these that exists."},
    "release": {
        "type": _TEXT,
        "pattern": "^([0-9]{8})?$",
        "description": "A release of python-build-standalone, a date of 8 digits.",
    },
    "default": {"description": "true: python3 and python lead to this build. false: they are removed. Unset: they stay."},
    "state": {"enum": [*STATES, "", None], "description": "The state of this build alone, instead of the declaration's."},
}


def schema() -> dict[str, Any]:
    documented = {**yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"], **yaml.safe_load(DOCUMENTATION)["options"]}
    return {
        "$schema": DRAFT,
        "title": "A declaration of standalone-python",
        "description": "The Python versions that a machine must have, as `standalone-python apply FILE` takes them.",
        "type": "object",
        "required": [name for name, spec in OPTIONS.items() if spec.get("required")],
        "additionalProperties": False,
        "properties": {name: _option(name, spec, documented[name]["description"]) for name, spec in OPTIONS.items()},
        "$defs": {"build": _build(), "truth": _truth()},
    }


def _option(name: str, spec: Mapping[str, Any], description: str | Iterable[str]) -> dict[str, Any]:
    default = {"default": spec["default"]} if "default" in spec else {}
    return {"description": plain(description), **_type(name, spec), **default}


def _type(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    if name in _MORE:
        return dict(_MORE[name])
    choices = spec.get("choices")
    match spec["type"]:
        case "bool":
            return {"anyOf": [{"type": ["boolean", "null"]}, {"$ref": "#/$defs/truth"}]}
        case "int":
            return {"type": ["integer", "string", "null"], "minimum": 0, "maximum": 999_999_999, "pattern": _NO_NEGATIVE}
        case "list" if choices:
            one = "|".join(choices)
            commas = rf"^\s*(({one})?\s*,\s*)*({one})?\s*$"
            return {"anyOf": [{"type": "array", "items": {"enum": choices}}, {"type": ["string", "null"], "pattern": commas}]}
        case "list":
            return {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/build"}}, {"$ref": "#/$defs/build"}]}
        case "str" if choices:
            # YAML 1.1 reads off without quotes as a truth value.
            return {"enum": [*choices, *([False] if "off" in choices else []), None]}
    return {"type": _TEXT}


def _build() -> dict[str, Any]:
    properties = {name: dict(_OF_A_BUILD[name]) for name in BUILD_KEYS}
    properties["default"] |= {"anyOf": [{"type": ["boolean", "null"]}, {"$ref": "#/$defs/truth"}, {"const": ""}]}
    mapping = {"type": "object", "required": ["version"], "additionalProperties": False, "properties": properties}
    return {"anyOf": [dict(_REQUEST), mapping]}


def _truth() -> dict[str, Any]:
    """Return the texts and numbers that mean a truth value. JSON Schema's patterns can't ignore case."""
    words = sorted(word for word in TRUTHS if word.isalpha())
    pattern = "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in words)
    return {"anyOf": [{"enum": [0, 1]}, {"type": "string", "pattern": rf"^\s*({pattern}|0|1)\s*$"}]}


def plain(description: str | Iterable[str]) -> str:
    """Return a description without the markup of Ansible's documentation: ``V(3.13)`` becomes ``3.13``."""
    text = "\n".join([description] if isinstance(description, str) else description)
    text = re.sub(r"\bO\((\w+)=(\w+)\)", r"\1: \2", text)
    return re.sub(r"\b(?:[CEOPVM]|RV)\(([^()]*(?:\([^()]*\))?[^()]*)\)", lambda found: found[1].strip("'"), text)


def rendered() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    text = rendered()
    if arguments == ["--check"]:
        if not SCHEMA.exists() or SCHEMA.read_text(encoding="utf-8") != text:
            print(f"{SCHEMA} is not up to date: run scripts/schema.py", file=sys.stderr)
            return 1
        return 0
    SCHEMA.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
