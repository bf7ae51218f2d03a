# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as lines for a terminal: a table if it fits, else one paragraph for each row. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import wrap

from ansible_collections.standalone.python.plugins.plugin_utils.core.security.report import (
    COLUMNS,
    Report,
    Row,
    label,
    short_name,
)

# Heading -> the cell of a row; a column that says nothing of any row is left out.
_CELLS: Mapping[str, Callable[[Row], str]] = {
    "status": lambda row: row.status,
    "host": lambda row: row.host,
    "in use": lambda row: _used(row),
    "newest": lambda row: _newest(row),
    "days": lambda row: "" if row.age is None else str(row.age),
    "eol": lambda row: "eol" if row.ended else "",
    **{
        heading: lambda row, column=column: _number(row, column)  # type: ignore[misc]
        for heading, column in (("crit", "critical"), ("high", "high"), ("med", "medium"), ("low", "low"), ("?", "unrated"))
    },
}
_NARROW = frozenset({"high", "med", "low", "?"})
_RIGHT = _NARROW | {"days", "crit"}
_COLOURS = {
    **dict.fromkeys(("critical", "broken", "no answer", "high"), "red"),
    **dict.fromkeys(("eol", "processes", "medium"), "yellow"),
}
# Processes that are named below a row.
_MOST_NAMED = 5

Line = tuple[str, str | None]
"""A line, and its colour."""


def lines(report: Report, width: int | None) -> Iterator[Line]:
    """Yield the report: the rows, the worst first, and then what they come to.

    :param width: of the terminal; None where lines may have any length
    """
    columns = {name: [cell(row) for row in report.rows] for name, cell in _CELLS.items()}
    columns = {name: [name, *texts] for name, texts in columns.items() if any(texts)}
    widths = {name: max(map(len, texts)) for name, texts in columns.items()}
    table = [_joined(cells, widths) for cells in zip(*columns.values(), strict=True)]
    fits = width is None or max(map(len, table), default=0) <= width
    if fits and table:
        yield table[0], None
    for row, text in zip(report.rows, table[1:], strict=True):
        colour = _COLOURS.get(row.status)
        if fits:
            yield text, colour
        else:
            yield from ((part, colour) for part in _wrapped(f"{row.status}: {row.host}", width))
            yield from ((part, None) for part in _wrapped(_sentence(row), width, "  "))
        yield from ((part, None) for remark in _remarks(row) for part in _wrapped(remark, width, "  "))
    if report.rows:
        yield "", None
    yield from ((part, None) for sentence in summary(report) for part in _wrapped(sentence, width))


def summary(report: Report) -> Iterator[str]:
    """Yield what a report comes to, in sentences."""
    statuses = ", ".join(f"{number} {status}" for status, number in report.by_status().items())
    yield f"{count(report.hosts, 'host')}, {count(len(report.used), 'interpreter')} in use; {statuses or 'nothing to report'}"
    if report.unreachable:
        yield f"{count(report.unreachable, 'host')} could not be observed"
    hidden = {row.host for row in report.rows if row.processes is not None and not row.complete}
    if hidden:
        yield f"on {count(len(hidden), 'host')} this user may not see all processes"
    yield f"advisories of {report.advisories_day.isoformat()}"
    yield from report.remarks
    uncovered = sorted({name for row in report.used if row.assessment for name in row.assessment.not_covered})
    if uncovered:
        yield f"not covered, as no advisories or no versions are known: {', '.join(uncovered)}"


def _number(row: Row, column: str) -> str:
    return str(row.number(column) or "") if row.assessment else ""


def _used(row: Row) -> str:
    return label(row.build) if row.build else row.line.removeprefix("cpython-")


def _newest(row: Row) -> str:
    """Return what is newer: the version, or where only the release is, that."""
    if not row.outdated or row.build is None or row.newest is None:
        return ""
    return f"+{row.newest.release}" if row.newest.version == row.build.version else str(row.newest.version)


def _sentence(row: Row) -> str:
    if row.unreachable:
        return "could not be observed"
    if row.build is None:
        return f"{row.line or 'no interpreter'} is not installed"
    ended = ", no security support" if row.ended else ""
    age = "" if row.age is None else f", {count(row.age, 'day')} old"
    newest = f", newest {label(row.newest)}" if row.outdated and row.newest else ""
    numbers = ", ".join(f"{row.number(column)} {column}" for column in COLUMNS if row.number(column))
    found = "unknown" if row.assessment is None else numbers or "none known"
    return f"{label(row.build)}{age}{newest}{ended}; advisories: {found}"


def _remarks(row: Row) -> Iterator[str]:
    if row.unreachable:
        yield f"could not be observed: {row.unreachable}"
    for broken in row.broken:
        yield f"{short_name(broken.build)} is broken: {broken.problem}"
    processes = row.processes or ()
    for process in processes[:_MOST_NAMED]:
        unit = f", unit {process.unit}" if process.unit else ""
        yield f"process {process.pid} ({process.command} of {process.user}{unit}) runs {short_name(process.build)}"
    if len(processes) > _MOST_NAMED:
        yield f"{len(processes) - _MOST_NAMED} more processes run older builds"


def _joined(cells: Sequence[str], widths: Mapping[str, int]) -> str:
    text = ""
    for cell, (name, size) in zip(cells, widths.items(), strict=True):
        gap = " " if name in _NARROW else "  "
        text += (gap if text else "") + (cell.rjust(size) if name in _RIGHT else cell.ljust(size))
    return text.rstrip()


def _wrapped(text: str, width: int | None, indent: str = "") -> list[str]:
    if width is None:
        return [indent + text]
    return wrap(
        text,
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``2 hosts``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
