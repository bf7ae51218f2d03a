# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known to be wrong with a build: open advisories, components that nobody has looked at, and the end of security support.

Pure, apart from the bundled tables. It never says that a build is clean: a component without rows is "not covered".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from ..builds.catalogue import Build
from ..errors import ContentError
from .components import (
    NOTHING,
    VERSION,
    Component,
    Groups,
    Row,
    all_hold,
    bundled_components,
    bundled_name,
    components,
    facts_of,
    read_bundled,
    read_table,
)

ABOUT = "about.json"
EOL_COLUMNS = ("cpython", "first_release", "end_of_bugfix", "end_of_security", "source")
COLUMNS = ("component", "id", "affected", "severity", "published", "aliases", "only", "source", "title")
# Conditions that no name of a build answers: the vulnerability is in a file that builds do not contain, or in CPython's expat.
NOT_SHIPPED, BUNDLED_EXPAT = "not-shipped", "bundled-expat"

# As the sources write them in lower case, worst first. OpenSSL says moderate where others say medium.
SEVERITIES = ("critical", "high", "moderate", "medium", "low")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PRE_RELEASE = {"alpha": -3, "a": -3, "beta": -2, "b": -2, "rc": -1, None: 0}

VersionKey = tuple[tuple[int, ...], int, int, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Interval:
    """Versions from ``start`` (inclusive; empty: all before) to ``end`` (exclusive; empty: no version with the fix is known)."""

    start: str
    end: str

    def contains(self, key: VersionKey) -> bool:
        """Return whether a version is in the interval.

        :param key: of :func:`version_key`
        """
        return (not self.start or version_key(self.start) <= key) and (not self.end or key < version_key(self.end))


@dataclass(frozen=True, slots=True)
class Advisory:
    """A known vulnerability of a component.

    :ivar severity: as its source says: ``Low``, ``Moderate``, ``Medium``, ``High``, ``Critical``; empty where it says none
    :ivar published: ``2024-09-03``; empty where it is unknown
    :ivar only: where it applies: a condition as of :func:`components.applies`, ``not-shipped`` or ``bundled-expat``
    """

    component: str
    id: str
    affected: tuple[Interval, ...]
    severity: str
    published: str
    only: str
    title: str

    def interval_of(self, version: str) -> Interval | None:
        """Return the first interval of affected versions that contains a version; None if it is not affected."""
        key = version_key(version)
        for interval in self.affected:
            if interval.contains(key):
                return interval
        return None


@dataclass(frozen=True, slots=True)
class Open:
    """An advisory that concerns a build.

    :ivar fixed: the version of the component with the fix; None where none is known
    """

    advisory: Advisory
    fixed: str | None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known about a build.

    :ivar not_covered: names of components that no source of advisories was searched for, or whose version is unknown
    :ivar end_of_life: the day on which security support of its minor version ends; None where it is unknown
    """

    build: Build
    components: tuple[Component, ...]
    advisories: tuple[Open, ...]
    not_covered: tuple[str, ...]
    end_of_life: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """What is known about builds.

    :ivar components: release -> what is in its builds
    :ivar advisories: component -> its advisories
    :ivar end_of_life: minor version -> the day on which its security support ends
    :ivar date: the day on which the tables were made, such as 2026-08-21
    :ivar sources: the source of a part -> the day of its newest state that was read
    """

    components: Mapping[str, tuple[Row, ...]]
    advisories: Mapping[str, tuple[Advisory, ...]]
    end_of_life: Mapping[str, str]
    date: str
    sources: Mapping[str, str]


def assess(build: Build, measured: Mapping[str, str] = NOTHING, tables: Tables | None = None) -> Assessment:
    """Return what is known about a build; advisories by component, then id.

    :param measured: component -> the version that the build's interpreter reported
    :param tables: by default the bundled ones
    :raises ContentError: a table can't be read
    """
    tables = bundled_tables() if tables is None else tables
    parts = components(build, measured, tables.components)
    unknown = tuple(part.name for part in parts if part.name not in tables.advisories or part.version is None)
    opened = open_advisories(build, parts, tables)
    return Assessment(build, parts, opened, unknown, tables.end_of_life.get(build.version.minor_line))


def open_advisories(build: Build, parts: Sequence[Component], tables: Tables) -> tuple[Open, ...]:
    """Return the advisories that concern a build with these components."""
    bundled_expat = any(part.name == "expat" and part.bundled for part in parts)
    facts = facts_of(build)
    return tuple(
        one
        for part in parts
        if part.version is not None
        for one in _affecting(tables, part.name, part.version)
        if _concerns(one.advisory, facts, bundled_expat=bundled_expat)
    )


@lru_cache(1024)
def _affecting(tables: Tables, component: str, version: str) -> tuple[Open, ...]:
    """Return the advisories that affect a version of a component. Many builds have the same one."""
    found = ((advisory, advisory.interval_of(version)) for advisory in tables.advisories.get(component, ()))
    return tuple(Open(advisory, interval.end or None) for advisory, interval in found if interval)


def closed(before: Assessment, after: Assessment) -> tuple[Open, ...]:
    """Return the open advisories of a build that another one does not have. Of a component of unknown version, none is closed."""
    unknown = {part.name for part in after.components if part.version is None}
    still_open = {one.advisory for one in after.advisories}
    return tuple(one for one in before.advisories if one.advisory not in still_open and one.advisory.component not in unknown)


def first_fixes(assessment: Assessment, candidates: Iterable[Build], tables: Tables | None = None) -> dict[Advisory, Build]:
    """Return the first build that carries the fix of each open advisory; an advisory that no known build fixes is left out.

    :param candidates: builds of any kind; later ones of the same line and target count, the same flavor first
    :param tables: by default the bundled ones
    :raises ContentError: a table can't be read
    """
    tables = bundled_tables() if tables is None else tables
    build = assessment.build
    later = [other for other in candidates if _kind(other) == _kind(build) and other.age > build.age]
    later.sort(key=lambda other: (*other.age, other.flavor != build.flavor, other.optimisation != build.optimisation))
    found: dict[Advisory, Build] = {}
    for other in later:
        for one in closed(assessment, assess(other, tables=tables)):
            found.setdefault(one.advisory, other)
    return found


def as_data(assessment: Assessment, fixes: Mapping[Advisory, Build]) -> dict[str, Any]:
    """Return an assessment as plain data, for JSON.

    :param fixes: of :func:`first_fixes`
    """
    return {
        "build": assessment.build.name,
        "components": [{"name": one.name, "version": one.version, "source": one.source} for one in assessment.components],
        "advisories": [
            {
                "id": one.advisory.id,
                "component": one.advisory.component,
                "severity": one.advisory.severity,
                "published": one.advisory.published,
                "fixed": one.fixed,
                "fixed_by": fixes[one.advisory].name if one.advisory in fixes else None,
                "title": one.advisory.title,
            }
            for one in assessment.advisories
        ],
        "not_covered": list(assessment.not_covered),
        "end_of_life": assessment.end_of_life,
    }


def rank(severity: str) -> int:
    """Return a sort key of severities, the worst first; an unknown one comes last."""
    return SEVERITIES.index(severity.lower()) if severity.lower() in SEVERITIES else len(SEVERITIES)


@lru_cache(8192)
def version_key(version: str) -> VersionKey:
    """Return a sort key: 1.1.1 < 1.1.1a < 1.1.1z < 1.1.1za, and 3.13.0a1 < 3.13.0rc1 < 3.13.0.

    :raises ContentError: it is not a version
    """
    match = VERSION.fullmatch(version)
    if match is None:
        raise ContentError(f"{version!r} is not a version of a component")
    numbers = [int(number) for number in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), _PRE_RELEASE[match[2]], int(match[3] or 0), (len(match[4]), match[4])


def parse_affected(text: str) -> tuple[Interval, ...]:
    """Read half-open intervals, such as ``>=3.7.0,<3.8.17;<2.0`` or ``*``.

    :raises ContentError: it has another form
    """
    return tuple(_interval(part) for part in text.split(";"))


@cache
def bundled_tables() -> Tables:
    """Return the tables that come with standalone-python.

    :raises ContentError: one is missing or damaged
    """
    date, sources = parse_about(read_bundled(ABOUT))
    return Tables(bundled_components(), bundled_advisories(), bundled_end_of_life(), date, sources)


@cache
def bundled_advisories() -> Mapping[str, tuple[Advisory, ...]]:
    """Return the bundled advisories by component.

    :raises ContentError: the table is missing or damaged
    """
    return advisories_by_component(read_bundled("advisories.tsv"), *bundled_name("advisories.tsv"))


def advisories_by_component(text: str, name: str, remedy: str) -> Mapping[str, tuple[Advisory, ...]]:
    """Return the rows of ``advisories.tsv``: component -> advisories, by id.

    :raises ContentError: its head line is another one; as for :class:`Groups`, a row is checked only when it is needed
    """
    return Groups(text, name, COLUMNS, remedy, _advisories)


def _advisories(rows: Iterable[tuple[str, ...]]) -> tuple[Advisory, ...]:
    """
    :raises ContentError: a range of versions can't be read
    """
    found = [
        Advisory(component, name, parse_affected(affected), severity, published, only, title)
        for component, name, affected, severity, published, _aliases, only, _source, title in rows
    ]
    return tuple(sorted(found, key=lambda row: row.id))


@cache
def bundled_end_of_life() -> Mapping[str, str]:
    """Return the day on which security support of each minor version ends, such as ``2029-10-31``.

    :raises ContentError: the table is missing or damaged
    """
    return end_by_minor(read_table("eol.tsv", EOL_COLUMNS))


def end_by_minor(rows: Iterable[tuple[str, ...]]) -> Mapping[str, str]:
    """Return the rows of ``eol.tsv``: minor version -> the day on which its security support ends."""
    return {minor: end for minor, _first, _bugfix, end, _source in rows}


def parse_about(text: str) -> tuple[str, Mapping[str, str]]:
    """Return the date of tables, and the dates of their sources, from the JSON text beside them.

    :raises ContentError: it can't be read
    """
    try:
        about = json.loads(text)
        date, sources = about["date"], {str(source): str(day) for source, day in about["sources"].items()}
        if not isinstance(date, str) or not _DATE.fullmatch(date):
            raise ValueError(date)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ContentError("cannot read the date of the tables of advisories: reinstall standalone-python") from None
    return date, sources


def _concerns(advisory: Advisory, facts: tuple[str, str, bool], *, bundled_expat: bool) -> bool:
    """Return whether the place of a vulnerability is in a build, whatever its version."""
    if advisory.only == BUNDLED_EXPAT:
        return bundled_expat
    return advisory.only != NOT_SHIPPED and all_hold(advisory.only, *facts)


def _kind(build: Build) -> tuple[str, ...]:
    return build.version.minor_line, build.variant, build.triple


def _interval(text: str) -> Interval:
    if text == "*":
        return Interval("", "")
    start = end = ""
    for bound in text.split(","):
        if bound.startswith(">="):
            start = bound[2:]
        elif bound.startswith("<"):
            end = bound[1:]
        else:
            raise ContentError(f"{text!r} is not a range of versions: write >=A,<B")
    for version in filter(None, (start, end)):
        version_key(version)
    return Interval(start, end)
