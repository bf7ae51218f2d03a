# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a declaration's file into options. The core interprets them.

The file is YAML with the options of the Ansible module and the pyinfra operation. It may also be a file of Ansible variables or
pyinfra data: then a key holds the options, or they have the role's names (``interpreters_builds``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError, TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import UNSHOWN, is_local

ROLE = "interpreters_"
# The role's variables that are for Ansible, not for a host.
_OF_ANSIBLE = frozenset({"use", "gather_facts"})
_EXAMPLE = "write a mapping of options such as builds: ['3.13']"
_PATHS = ("source", "catalogue", "lockfile", "trusted_root")


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A value that only Ansible can read, such as one with ``!vault``. Values outside the declaration may have tags."""

    tag: str


def read(path: str, key: str = "") -> dict[str, Any]:
    """Return the options in a file; ``-`` is standard input. Relative paths in it start at the file's folder.

    :param key: the key that holds the options; if empty, the whole file does
    :raises TransportError: the file can't be read
    :raises DeclarationError: it is not valid YAML, or has no mapping
    """
    shown = "standard input" if path == "-" else path
    options = _mapping(_parsed(_text(path), shown), shown)
    if key:
        if key not in options:
            keys = ", ".join(options) or "none"
            raise DeclarationError(f"{shown} has no key {key}, its keys are {keys}: use the key that holds the options")
        options = _mapping(options[key], f"{key} in {shown}")
    elif f"{ROLE}builds" in options:
        options = {name.removeprefix(ROLE): value for name, value in options.items() if name.startswith(ROLE)}
        options = {name: value for name, value in options.items() if name not in _OF_ANSIBLE}
    for name, value in options.items():
        try:
            _check_plain(name, value, shown)
        except RecursionError:
            raise DeclarationError(f"{shown} has {name}, which contains itself or is nested too deeply: {_EXAMPLE}") from None
    folder = "" if path == "-" else os.path.dirname(path)
    for name in _PATHS:
        value = options.get(name)
        if isinstance(value, str) and is_local(value):
            options[name] = os.path.join(folder, os.path.expanduser(value))
    return options


def with_source(options: Mapping[str, Any], source: str | None) -> dict[str, Any]:
    """Return options with the command line's source, if any. The file's token and checksum apply only to the file's source."""
    if source in (None, options.get("source", "upstream")):
        return dict(options)
    return {name: value for name, value in options.items() if name not in ("token", "checksum")} | {"source": source}


def _text(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TransportError(f"the declaration {path} can't be read ({reason}): check the path and its permissions") from None


def _parsed(text: bytes, shown: str) -> Any:
    import yaml

    # libyaml's loader is faster if PyYAML was built with it; both are safe.
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_multi_constructor("!", lambda _loader, suffix, _node: _Tagged(f"!{suffix}"))
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506
    except yaml.constructor.ConstructorError as error:
        found = error.problem or "something unknown"
        where = f"line {error.problem_mark.line + 1}" if error.problem_mark else "it"
        raise DeclarationError(
            f"{shown} can't be read as plain YAML, {where} has something else ({found}): remove what only Ansible can read"
        ) from None
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}" if error.problem_mark else "it"
        raise DeclarationError(f"{shown} can't be read as YAML, {where} is wrong ({error.problem}): {_EXAMPLE}") from None
    except (yaml.YAMLError, ValueError) as error:
        message = " ".join(str(error).split())
        raise DeclarationError(f"{shown} can't be read as YAML ({message}): {_EXAMPLE}") from None


def _check_plain(name: str, value: Any, shown: str) -> None:
    """
    :raises DeclarationError: only Ansible can evaluate the option
    """
    if isinstance(value, _Tagged):
        raise DeclarationError(f"{shown} has {name} with the tag {value.tag}, which only Ansible reads: move it to another file")
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        content = "which is" if name in UNSHOWN else f"which is {value!r},"
        raise DeclarationError(f"{shown} has {name}, {content} a template that only Ansible can evaluate: write its result")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_plain(name, item, shown)


def _mapping(value: Any, shown: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(name): content for name, content in value.items()}
    found = {list: "a list", str: "a text", type(None): "empty"}.get(type(value), repr(value))
    more = ", and tasks of a play are not supported" if isinstance(value, list) else ""
    raise DeclarationError(f"{shown} is {found}{more}: {_EXAMPLE}")
