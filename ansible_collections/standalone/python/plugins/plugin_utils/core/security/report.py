# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a fleet: for each host and line the build in use, its age, its open advisories and what else is wrong. No I/O.

It never says that a build is clean: ``current`` means that no newer build and no open advisory is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from ..builds.catalogue import Build, Catalogue, newest_of_line, parse_name
from ..builds.request import letters_of
from ..state.line import line_of
from ..state.process import Process
from .advisories import Advisory, Assessment, Open, Tables, assess, bundled_tables, closed, rank, version_key
from .marks import UNRATED, count
from .results import Found, HostResult, Measured
from .tables import OLD_AFTER, age_remark

# Column of a severity -> the words of sources for it, worst first. OpenSSL says moderate where others say medium.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "critical": ("critical",),
    "high": ("high",),
    "medium": ("moderate", "medium"),
    "low": ("low",),
    "unrated": (UNRATED,),
}


@dataclass(frozen=True, slots=True)
class Broken:
    """An installed build that is broken; ``problem`` says how."""

    build: str
    problem: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line on a host, or a host without any.

    :ivar line: such as ``cpython-3.13``; empty if nothing is installed, or the host was not observed
    :ivar build: the build that the stable link leads to, else the newest installed one; None if only processes still run the line
    :ivar age: days since its release
    :ivar newest: the newest known build of its line and target; None if none is known
    :ivar assessment: of the build; None if the tables do not reach back to it
    :ivar counts: the number of open advisories by severity, worst first; those that occur
    :ivar closed: how many of its open advisories the newest build closes
    :ivar ended: whether the security support of its minor version has ended
    :ivar processes: those that run an older or a removed build of the line; None if nobody looked for them
    :ivar complete: whether all processes of the host were visible
    :ivar unreachable: why the host was not observed; empty if it was
    """

    host: str
    root: str
    line: str = ""
    build: Build | None = None
    installed: tuple[str, ...] = ()
    age: int | None = None
    newest: Build | None = None
    assessment: Assessment | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    closed: int = 0
    ended: bool = False
    broken: tuple[Broken, ...] = ()
    processes: tuple[Process, ...] | None = None
    complete: bool = True
    unreachable: str = ""

    @property
    def outdated(self) -> bool:
        return self.build is not None and self.newest is not None and self.newest.age > self.build.age

    @property
    def status(self) -> str:
        """The worst that is known of it: one of :data:`STATUSES`."""
        return next(name for name, holds in STATUSES.items() if holds(self))

    def number(self, column: str) -> int:
        """Return the number of open advisories in one of :data:`COLUMNS`."""
        return sum(self.counts.get(severity, 0) for severity in COLUMNS[column])


# The statuses, worst first, each with its condition.
STATUSES: Mapping[str, Callable[[Row], bool]] = {
    "critical": lambda row: row.number("critical") > 0,
    "broken": lambda row: bool(row.broken),
    "no answer": lambda row: bool(row.unreachable),
    "high": lambda row: row.number("high") > 0,
    "eol": lambda row: row.ended,
    "processes": lambda row: bool(row.processes),
    "medium": lambda row: row.number("medium") > 0,
    "low": lambda row: row.number("low") > 0,
    "unrated": lambda row: row.number("unrated") > 0,
    "outdated": lambda row: row.outdated,
    "nothing": lambda row: row.build is None,
    "unknown": lambda row: row.assessment is None,
    "current": lambda _row: True,
}
_RANK = {name: number for number, name in enumerate(STATUSES)}

# What makes a report fail, each with its condition.
FAIL_ON: Mapping[str, Callable[[Row], bool]] = {
    "critical": STATUSES["critical"],
    "high": lambda row: row.number("critical") + row.number("high") > 0,
    "eol": STATUSES["eol"],
    "outdated": STATUSES["outdated"],
    "broken": STATUSES["broken"],
    "unreachable": STATUSES["no answer"],
}


@dataclass(frozen=True, slots=True)
class Affected:
    """An open advisory, and where it is open.

    :ivar fixed: the versions of the component with the fix, one for each branch; empty if none is known
    :ivar hosts: how many hosts use a build that it concerns
    :ivar builds: the names of those builds, sorted
    :ivar closed: the ones among them whose newest known build closes it
    """

    advisory: Advisory
    fixed: tuple[str, ...]
    hosts: int
    builds: tuple[str, ...]
    closed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """
    :ivar day: of the report
    :ivar advisories_day: the day on which the sources of advisories were read last
    :ivar rows: worst first
    :ivar remarks: what readers must know about the tables, as sentences: how old they are, or why newer ones are not used
    """

    day: date
    advisories_day: date
    rows: tuple[Row, ...]
    affected: tuple[Affected, ...]
    remarks: tuple[str, ...] = ()

    @property
    def advisories_age(self) -> int:
        return (self.day - self.advisories_day).days

    @property
    def old(self) -> bool:
        """Whether the table of advisories is so old that newer ones are likely to be missing."""
        return self.advisories_age > OLD_AFTER

    @property
    def hosts(self) -> int:
        return len({row.host for row in self.rows})

    @property
    def unreachable(self) -> int:
        return len({row.host for row in self.rows if row.unreachable})

    @property
    def used(self) -> tuple[Row, ...]:
        """The rows that have a build in use."""
        return tuple(row for row in self.rows if row.build)

    def by_status(self) -> Mapping[str, int]:
        """Return the number of rows of each status, worst first; those that occur."""
        found = Counter(row.status for row in self.rows)
        return {name: found[name] for name in STATUSES if found[name]}

    def failures(self, conditions: Iterable[str]) -> Mapping[str, int]:
        """Return how many rows meet each of some conditions of :data:`FAIL_ON`; those that are met."""
        met = {name: sum(map(FAIL_ON[name], self.rows)) for name in conditions}
        return {name: number for name, number in met.items() if number}


def label(build: Build) -> str:
    """Return the version with its variant's letters, and the release: ``3.13.7t+20250918``."""
    return f"{build.version}{letters_of(build.variant)}+{build.release}"


def short_name(name: str) -> str:
    """Return the label of the build with this name; a name that is not a build's stays as it is."""
    build = parse_name(name)
    return label(build) if build else name


def make_report(results: Iterable[HostResult], catalogue: Catalogue, day: date, tables: Tables | None = None) -> Report:
    """Return the report on what hosts reported. Of several results for one root of a host, the last one counts.

    :param tables: by default the bundled ones
    :raises ContentError: a bundled table can't be read
    """
    # A table that can't be read is an error. A build that the tables do not reach back to is not.
    tables = bundled_tables() if tables is None else tables
    knowledge = _Knowledge(catalogue, day, tables)
    latest = {(result.host, result.root): result for result in results}
    rows = [row for result in latest.values() for row in _rows(result, knowledge)]
    remarks = tuple(filter(None, [age_remark(tables, day.isoformat())]))
    return Report(day, date.fromisoformat(tables.date), tuple(sorted(rows, key=_badness)), _affected(rows, knowledge), remarks)


class _Knowledge:
    """What the catalogue and the tables know, each build looked up once."""

    def __init__(self, catalogue: Catalogue, day: date, tables: Tables) -> None:
        self._catalogue = catalogue
        self._day = day
        self._tables = tables
        self._first_release = min(tables.components)
        self._assessments: dict[tuple[str, Measured], Assessment | None] = {}
        self._newest: dict[tuple[object, ...], Build | None] = {}
        self._rows: dict[tuple[str, Measured], Row] = {}

    def row(self, build: Build, measured: Measured) -> Row:
        """Return the row of a build in use, on no host."""
        key = (build.name, measured)
        if key not in self._rows:
            newest, assessment = self.newest(build), self.assessment(build, measured)
            end = self._tables.end_of_life.get(build.version.minor_line)
            self._rows[key] = Row(
                host="",
                root="",
                line=line_of(build),
                build=build,
                age=_age(build, self._day),
                newest=newest,
                assessment=assessment,
                counts=count(assessment.advisories) if assessment else {},
                closed=len(self.closed(assessment, newest)) if assessment else 0,
                ended=bool(end and end <= self._day.isoformat()),
            )
        return self._rows[key]

    def assessment(self, build: Build, measured: Measured = ()) -> Assessment | None:
        key = (build.name, measured)
        if key not in self._assessments:
            known = build.release >= self._first_release
            self._assessments[key] = assess(build, dict(measured), self._tables) if known else None
        return self._assessments[key]

    def newest(self, build: Build) -> Build | None:
        """Return the newest known build of a line and target."""
        key = (build.version.minor_line, build.triple, build.variant, build.flavor, build.options, build.version.is_prerelease)
        if key not in self._newest:
            self._newest[key] = newest_of_line(build, self._catalogue)
        return self._newest[key]

    def closed(self, assessment: Assessment, newest: Build | None) -> tuple[Open, ...]:
        """Return the open advisories of a build in use that the newest build closes."""
        after = self.assessment(newest) if newest else None
        return closed(assessment, after) if after else ()


def _rows(result: HostResult, knowledge: _Knowledge) -> list[Row]:
    if result.unreachable:
        return [Row(result.host, result.root, unreachable=result.unreachable)]
    lines: dict[str, list[Found]] = {}
    for found in result.found:
        lines.setdefault(line_of(found.build), []).append(found)
    running: dict[str, list[Process]] = {}
    for process in result.processes or ():
        build = parse_name(process.build)
        running.setdefault(line_of(build) if build else "", []).append(process)
    rows = [
        _row(result, line, lines.get(line, []), tuple(running.get(line, ())), knowledge)
        for line in dict.fromkeys((*lines, *running))
    ]
    return rows or [Row(result.host, result.root, processes=result.processes, complete=result.complete)]


def _row(result: HostResult, line: str, found: list[Found], processes: tuple[Process, ...], knowledge: _Knowledge) -> Row:
    used = max(found, key=lambda one: (one.linked, not one.problem, *one.build.age), default=None)
    known = knowledge.row(used.build, used.measured) if used else Row("", "", line)
    return replace(
        known,
        host=result.host,
        root=result.root,
        installed=tuple(one.build.name for one in found),
        broken=tuple(Broken(one.build.name, one.problem) for one in found if one.problem),
        processes=None if result.processes is None else processes,
        complete=result.complete,
    )


def _affected(rows: Iterable[Row], knowledge: _Knowledge) -> tuple[Affected, ...]:
    # Rows of the same build share their assessment, unless their interpreters reported other versions.
    used: dict[int, Row] = {}
    hosts: dict[int, set[str]] = {}
    for row in rows:
        if row.build and row.assessment:
            used[id(row.assessment)] = row
            hosts.setdefault(id(row.assessment), set()).add(row.host)
    where: dict[Advisory, set[int]] = {}
    fixed: dict[Advisory, set[str]] = {}
    gone: dict[Advisory, set[str]] = {}
    names = {key: row.build.name for key, row in used.items() if row.build}
    for key, row in used.items():
        if row.assessment is None:
            continue
        for one in row.assessment.advisories:
            where.setdefault(one.advisory, set()).add(key)
            fixed.setdefault(one.advisory, set()).update([one.fixed] if one.fixed else [])
        for one in knowledge.closed(row.assessment, row.newest):
            gone.setdefault(one.advisory, set()).add(names[key])
    found = [
        Affected(
            advisory,
            tuple(sorted(fixed[advisory], key=version_key)),
            len(set[str]().union(*(hosts[key] for key in keys))),
            tuple(sorted({names[key] for key in keys})),
            tuple(sorted(gone.get(advisory, ()))),
        )
        for advisory, keys in where.items()
    ]
    return tuple(sorted(found, key=lambda it: (rank(it.advisory.severity), -it.hosts, it.advisory.component, it.advisory.id)))


def _badness(row: Row) -> tuple[object, ...]:
    numbers = (-row.number(column) for column in COLUMNS)
    return (_RANK[row.status], *numbers, -(row.age or 0), row.host, row.root, row.line)


def _age(build: Build, day: date) -> int | None:
    """Return the days since a build's release; None if its name has no date of the calendar."""
    try:
        return (day - date.fromisoformat(build.release)).days
    except ValueError:
        return None
