# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build contains: CPython and the libraries that are linked into it.

Knows the bundled table of components by release, and takes what a build's interpreter reported when it was installed. Never looks
into a build. An unknown version is None, which never means that the component has no vulnerability.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Literal, TypeVar

from ..builds.catalogue import Build
from ..errors import ContentError

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "security_data")

COLUMNS = ("release", "component", "version", "applies")

# Where a version is known from: the build's name; its interpreter; the table's rows of its release; those of the newest release
# before it.
Origin = Literal["name", "measured", "table", "estimated"]

# In the table: the version is that of CPython's own copy, which the table does not have.
BUNDLED = "bundled"
# This tag is from 2026-03-23: a slip of upstream's.
MISDATED = "20250323"
# A build contains one of each pair: if one is measured, a table that lists the other is wrong.
ALTERNATIVES = {"libressl": "openssl", "openssl": "libressl", "zlib": "zlib-ng", "zlib-ng": "zlib"}
# OpenSSL's 1.1.1b is later than 1.1.1, CPython's 3.13.0b1 earlier than 3.13.0.
VERSION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})*)(?:-?(alpha|beta|(?:a|b|rc)(?=[0-9]))([0-9]{0,9}))?([a-z]{0,9})")
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a build.

    :ivar version: as its own project writes it; None where it is unknown
    :ivar bundled: CPython's own copy, whose version the table does not have
    """

    name: str
    version: str | None
    source: Origin
    bundled: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of ``components.tsv``; ``applies`` is a condition for :func:`applies`."""

    component: str
    version: str
    applies: str


def components(
    build: Build, measured: Mapping[str, str] = NOTHING, table: Mapping[str, tuple[Row, ...]] | None = None
) -> tuple[Component, ...]:
    """Return what a build contains, by name, CPython first.

    A release without rows gets those of the newest release before it, marked ``estimated``.

    :param measured: component -> the version that the build's interpreter reported; it replaces the table's
    :param table: release -> rows; by default the bundled one
    :raises ContentError: the table can't be read, or has no release as old
    """
    table = bundled_components() if table is None else table
    release = build.release if build.release in table else newest_before(build.release, table)
    origin: Origin = "table" if release == build.release else "estimated"
    facts = facts_of(build)
    listed = {row.component: row.version for row in table[release] if all_hold(row.applies, *facts)}
    found = {name: Component(name, None if listed[name] == BUNDLED else listed[name], origin) for name in listed}
    for name, version in measured.items():
        found.pop(ALTERNATIVES.get(name, name), None)
        found[name] = Component(name, version if VERSION.fullmatch(version) else None, "measured")
    found.pop("cpython", None)
    return (
        Component("cpython", str(build.version), "name"),
        *(replace(found[name], bundled=True) if listed.get(name) == BUNDLED else found[name] for name in sorted(found)),
    )


def newest_before(release: str, releases: Iterable[str]) -> str:
    """Return the newest of the releases that is not later than another.

    :raises ContentError: there is none
    """
    earlier = [one for one in releases if one <= release and one != MISDATED]
    if not earlier:
        raise ContentError(f"the components of release {release} are unknown: the table begins later")
    return max(earlier)


def applies(condition: str, build: Build) -> bool:
    """Whether a condition of the tables holds for a build.

    :raises ContentError: a term is unknown, so the table is newer than this version of standalone-python
    """
    return all_hold(condition, *facts_of(build))


def facts_of(build: Build) -> tuple[str, str, bool]:
    """Return what conditions are about: the minor version, the triple, and whether the build is static."""
    static = "static" in build.options.split("+") or "static" in build.variant.split("+")
    return build.version.minor_line, build.triple, static


@lru_cache(4096)
def all_hold(condition: str, minor: str, triple: str, static: bool) -> bool:
    """Return whether a condition holds for a build. A list of builds asks the same for most of them."""
    return condition in ("", "*") or all(_holds(term.strip(), minor, triple, static) for term in condition.split("&"))


def platform(triple: str) -> str:
    """Return the platform of a target triple: ``linux-gnu``, ``linux-musl``, ``darwin`` or ``windows``."""
    for platform, part in (("linux-musl", "-musl"), ("darwin", "-apple-"), ("windows", "-windows-")):
        if part in triple:
            return platform
    return "linux-gnu"


@cache
def bundled_components() -> Mapping[str, tuple[Row, ...]]:
    """Return the bundled table: release -> rows.

    :raises ContentError: it is missing or damaged
    """
    return components_by_release(read_bundled("components.tsv"), *bundled_name("components.tsv"))


def components_by_release(text: str, name: str, remedy: str) -> Mapping[str, tuple[Row, ...]]:
    """Return the rows of ``components.tsv``: release -> rows.

    :raises ContentError: its head line is another one; as for :class:`Groups`, a row is checked only when it is needed
    """
    return Groups(text, name, COLUMNS, remedy, lambda rows: tuple(Row(*row[1:]) for row in rows))


Value = TypeVar("Value")


class Groups(Mapping[str, tuple[Value, ...]]):
    """The rows of a table by their first column. The rows of a key are parsed when that key is needed.

    A command needs the rows of a few builds, and parsing all takes longer than the rest of it.

    :param remedy: what to do if it can't be read, for messages
    :param parse: makes values of the rows of one key
    :raises ContentError: its head line is another one, or a row of a key that is needed can't be read
    """

    def __init__(
        self,
        text: str,
        name: str,
        columns: tuple[str, ...],
        remedy: str,
        parse: Callable[[Sequence[tuple[str, ...]]], tuple[Value, ...]],
    ) -> None:
        _check_head(text, name, columns, remedy)
        self._name, self._columns, self._remedy, self._parse = name, columns, remedy, parse
        self._text = text
        self._lines: dict[str, list[str]] = {}
        for line in text.splitlines()[1:]:
            self._lines.setdefault(line.partition("\t")[0], []).append(line)
        self._parsed: dict[str, tuple[Value, ...]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._lines

    def __getitem__(self, key: str) -> tuple[Value, ...]:
        if key not in self._parsed:
            self._parsed[key] = self._parse([self._row(line) for line in self._lines[key]])
        return self._parsed[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def _row(self, line: str) -> tuple[str, ...]:
        row = tuple(line.split("\t"))
        if len(row) != len(self._columns):
            raise _wrong_row(self._text.splitlines().index(line) + 1, row, self._name, self._columns, self._remedy)
        return row


def read_table(name: str, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Return the rows of a bundled table.

    :param columns: the head line that it must have
    :raises ContentError: it is missing, or a row has another number of columns
    """
    path, remedy = bundled_name(name)
    return parse_table(read_bundled(name), path, columns, remedy)


def bundled_name(name: str) -> tuple[str, str]:
    """Return the path of a bundled file, and what to do if it can't be read, for messages."""
    return os.path.join(DATA, name), "reinstall standalone-python"


def read_bundled(name: str) -> str:
    """Return the text of a bundled file.

    :raises ContentError: it is missing, or not UTF-8
    """
    path = os.path.join(DATA, name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError(f"cannot read {path}: {error}; reinstall standalone-python") from None


def parse_table(text: str, name: str, columns: tuple[str, ...], remedy: str) -> Iterator[tuple[str, ...]]:
    """Return the rows of a table.

    :param name: for messages
    :param remedy: what to do if it can't be read, for messages
    :raises ContentError: its head line is another one, or a row has another number of columns
    """
    _check_head(text, name, columns, remedy)
    for number, line in enumerate(text.splitlines()[1:], 2):
        row = tuple(line.split("\t"))
        if len(row) != len(columns):
            raise _wrong_row(number, row, name, columns, remedy)
        yield row


def _check_head(text: str, name: str, columns: tuple[str, ...], remedy: str) -> None:
    if tuple(text.partition("\n")[0].split("\t")) != columns:
        raise ContentError(f"cannot read {name}: its columns are not {', '.join(columns)}; {remedy}")


def _wrong_row(number: int, row: tuple[str, ...], name: str, columns: tuple[str, ...], remedy: str) -> ContentError:
    return ContentError(f"cannot read {name}, line {number}: {len(row)} columns instead of {len(columns)}; {remedy}")


def _holds(term: str, minor: str, triple: str, static: bool) -> bool:
    if term == "static":
        return static
    for sign in ("!=", ">=", "<", "="):
        key, found, text = term.partition(sign)
        if found:
            values = text.split("|")
            if key == "cpython":
                return _COMPARE[sign](_minor(minor), _minor(text))
            if key in _PROPERTY and sign in ("=", "!="):
                return (_PROPERTY[key](triple) in values) == (sign == "=")
            break
    raise ContentError(f"unknown condition {term!r} in the tables of components and advisories: update standalone-python")


def _minor(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


_COMPARE: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    ">=": lambda one, other: one >= other,
    "<": lambda one, other: one < other,
}
_PROPERTY: Mapping[str, Callable[[str], str]] = {
    "arch": lambda triple: triple.partition("-")[0],
    "platform": platform,
    "triple": str,
}
