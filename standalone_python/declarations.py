# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a declaration's file into options. The core interprets them; its errors get the file and the line.

The file is YAML with the options of the Ansible module and the pyinfra operation. It may also be a file of Ansible variables or
pyinfra data: then a key holds the options, or they have the role's names (``interpreters_builds``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError, TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.lazy import lazy_dataclass
from ansible_collections.standalone.python.plugins.plugin_utils.core.nearest import did_you_mean, lines, repeated
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import UNSHOWN, Desired, declare, is_local

ROLE = "interpreters_"
# The role's variables that are for Ansible, not for a host.
_OF_ANSIBLE = frozenset({"use", "gather_facts"})
_EXAMPLE = "write a mapping of options such as builds: ['3.13']"
_MERGE = "tag:yaml.org,2002:merge"
_PATHS = ("source", "catalogue", "lockfile", "trusted_root")


@lazy_dataclass(frozen=True)
class _Tagged:
    """A value that only Ansible can read, such as one with ``!vault``. Values outside the declaration may have tags."""

    tag: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declaration's file.

    The nodes of its YAML are kept, as they know their lines.

    :ivar shown: the name of the file, for messages
    :ivar options: what :func:`declare` takes; relative paths start at the file's folder
    """

    shown: str
    options: Mapping[str, Any]
    _root: Any = field(repr=False)
    _above: tuple[str, ...] = ()
    _prefix: str = ""

    def declare(self, *, source: str | None = None, given: Mapping[str, Any] | None = None) -> Desired:
        """Return the declaration with the options of the command line, which override the file.

        :param source: the command line's source; the file's token and checksum apply only to the file's own
        :raises DeclarationError: an option is not valid; the message has the file and the line
        """
        more = dict(given or {}) | ({} if source is None else {"source": source})
        with self._located(more):
            return declare(with_source(self.options, source) | more)

    @contextmanager
    def _located(self, overridden: Collection[str | int] = ()) -> Iterator[None]:
        """Add the file and the line to an error about an option that the command line does not override."""
        try:
            yield
        except DeclarationError as error:
            if not error.at or error.at[0] in overridden:
                raise
            # An option that is missing has no line.
            line = self._line(error.at)
            raise DeclarationError(f"{error} ({self.shown}{f', line {line}' if line else ''})", error.at) from None

    def _line(self, at: tuple[str | int, ...]) -> int:
        """Return the line of the innermost part of the path that the file has; 0 if it has no part of it."""
        node, line = self._root, 0
        for above in self._above:
            node, _line = _child(node, above)
        for index, key in enumerate(at):
            node, found = _child(node, f"{self._prefix}{key}" if index == 0 else key)
            if not found:
                break
            line = found
        return line


def load(path: str, key: str = "") -> Declaration:
    """Return the declaration in a file; ``-`` is standard input.

    :param key: the key that holds the options; if empty, the whole file does
    :raises TransportError: the file can't be read
    :raises DeclarationError: it is not valid YAML, has no mapping, or has a key twice
    """
    shown = "standard input" if path == "-" else path
    root, content = _parsed(_text(path), shown)
    options, prefix = _mapping(content, shown), ""
    if key:
        if key not in options:
            advice = did_you_mean(key, list(options)) if options else "use the key that holds the options"
            raise DeclarationError(f"{shown} has no key `{key}`: {advice}")
        options = _mapping(options[key], f"{key} in {shown}")
    elif "builds" not in options and any(name.startswith(ROLE) for name in options):
        prefix = ROLE
        options = {name.removeprefix(ROLE): value for name, value in options.items() if name.startswith(ROLE)}
        options = {name: value for name, value in options.items() if name not in _OF_ANSIBLE}
    declaration = Declaration(shown, options, root, (key,) if key else (), prefix)
    with declaration._located():
        for name, value in options.items():
            try:
                _check_plain(name, value, (name,))
            except RecursionError:
                raise DeclarationError(f"{name} contains itself or is nested too deeply: {_EXAMPLE}", (name,)) from None
    folder = "" if path == "-" else os.path.dirname(path)
    for name in _PATHS:
        value = options.get(name)
        if isinstance(value, str) and is_local(value):
            options[name] = os.path.join(folder, os.path.expanduser(value))
    return declaration


def read(path: str, key: str = "") -> dict[str, Any]:
    """Return only the options of :func:`load`."""
    return dict(load(path, key).options)


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


def _parsed(text: bytes, shown: str) -> tuple[Any, Any]:
    """Return the nodes of a YAML text, which know their lines, and its content."""
    import yaml

    # libyaml's loader is faster if PyYAML was built with it; both are safe.
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_multi_constructor("!", lambda _loader, suffix, _node: _Tagged(f"!{suffix}"))
    try:
        loader = Loader(text)
        try:
            root = loader.get_single_node()
            _check_unique(root, shown)
            return root, None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.constructor.ConstructorError as error:
        found = error.problem or "something unknown"
        where = f"line {error.problem_mark.line + 1}" if error.problem_mark else "it"
        raise DeclarationError(
            f"{shown} can't be read as plain YAML, {where} has something else ({found}): remove what only Ansible can read"
        ) from None
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}" if error.problem_mark else "it"
        raise DeclarationError(f"{shown} can't be read as YAML, {where} is wrong ({error.problem}): {_EXAMPLE}") from None
    except DeclarationError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        message = " ".join(str(error).split())
        raise DeclarationError(f"{shown} can't be read as YAML ({message}): {_EXAMPLE}") from None


def _check_unique(root: Any, shown: str) -> None:
    """
    :raises DeclarationError: a mapping has a key twice, of which YAML's parsers silently take the last
    """
    todo, seen = [root], {id(root)}
    while todo:
        node = todo.pop()
        children: list[Any] = []
        if node is not None and node.id == "mapping":
            keys = [key for key, _value in node.value if key.id == "scalar" and key.tag != _MERGE]
            if twice := repeated(((key.tag, key.value), key.start_mark.line + 1) for key in keys):
                (_tag, key), first, second = twice
                raise DeclarationError(f"the key `{key}` is given twice: keep one of them ({shown}, {lines(first, second)})")
            children = [part for pair in node.value for part in pair]
        elif node is not None and node.id == "sequence":
            children = node.value
        # An alias is the node that it names.
        todo += [child for child in children if id(child) not in seen]
        seen |= set(map(id, children))


def _child(node: Any, key: str | int) -> tuple[Any, int]:
    """Return a part of a mapping or a list with its line; no part and 0 if it has none by this key or index."""
    if node is not None and node.id == "mapping":
        # A mapping's own keys come last, after those that it merges.
        for name, value in reversed(node.value):
            if name.id == "scalar" and name.value == str(key):
                return value, name.start_mark.line + 1
    elif node is not None and node.id == "sequence" and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key].start_mark.line + 1
    return None, 0


def _check_plain(name: str, value: Any, at: tuple[str | int, ...]) -> None:
    """
    :raises DeclarationError: only Ansible can evaluate the option
    """
    if isinstance(value, _Tagged):
        raise DeclarationError(f"{name} has the tag {value.tag}, which only Ansible reads: move it to another file", at)
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        content = "" if name in UNSHOWN else f" {value!r},"
        raise DeclarationError(f"{name} is{content} a template that only Ansible can evaluate: write its result", at)
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, (dict, list)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts:
        _check_plain(name, part, (*at, key))


def _mapping(value: Any, shown: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(name): content for name, content in value.items()}
    found = {list: "a list", str: "a text", type(None): "empty"}.get(type(value), repr(value))
    more = ", and tasks of a play are not supported" if isinstance(value, list) else ""
    raise DeclarationError(f"{shown} is {found}{more}: {_EXAMPLE}")
