# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as JSON, CSV and metrics for Prometheus. No I/O."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import date
from io import StringIO
from typing import Any

from .report import COLUMNS, Report, Row

HEAD = (
    *("host", "root", "line", "status", "build", "version", "release", "target", "age_days", "newest", "outdated"),
    *("end_of_life", "ended", *COLUMNS, "closed_by_newest", "broken", "processes", "unreachable"),
)


def as_data(report: Report) -> dict[str, Any]:
    """Return a report as plain data, for JSON. ``docs/report.md`` documents the keys."""
    return {
        "day": report.day.isoformat(),
        "advisories_day": report.advisories_day.isoformat(),
        "advisories_old": report.old,
        "remarks": list(report.remarks),
        "summary": {
            "hosts": report.hosts,
            "unreachable": report.unreachable,
            "lines": len(report.used),
            "by_status": dict(report.by_status()),
        },
        "lines": [row_data(row) for row in report.rows],
        "advisories": [
            {
                "id": it.advisory.id,
                "component": it.advisory.component,
                "severity": it.advisory.severity,
                "published": it.advisory.published,
                "fixed": list(it.fixed),
                "hosts": it.hosts,
                "builds": list(it.builds),
                "closed_by_newest": it.closed == it.builds,
                "title": it.advisory.title,
            }
            for it in report.affected
        ],
    }


def row_data(row: Row) -> dict[str, Any]:
    """Return a row as plain data. The keys of unknown things are null."""
    return {
        "host": row.host,
        "root": row.root or None,
        "line": row.line or None,
        "status": row.status,
        "build": row.build.name if row.build else None,
        "version": str(row.build.version) if row.build else None,
        "release": row.build.release if row.build else None,
        "target": row.build.triple if row.build else None,
        "installed": list(row.installed),
        "age_days": row.age,
        "newest": row.newest.name if row.newest else None,
        "outdated": row.outdated,
        "end_of_life": row.assessment.end_of_life if row.assessment else None,
        "ended": row.ended,
        "advisories": dict(row.counts) if row.assessment else None,
        "closed_by_newest": row.closed,
        "not_covered": list(row.assessment.not_covered) if row.assessment else None,
        "broken": [{"build": one.build, "problem": one.problem} for one in row.broken],
        "processes": None
        if row.processes is None
        else [
            {"pid": one.pid, "user": one.user, "command": one.command, "build": one.build, "unit": one.unit or None}
            for one in row.processes
        ],
        "processes_complete": row.complete if row.processes is not None else None,
        "unreachable": row.unreachable or None,
    }


def as_csv(report: Report) -> str:
    """Return a report as CSV (RFC 4180), a line for each row."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(HEAD)
    for row in report.rows:
        data = row_data(row)
        cells = data | {
            **{column: row.number(column) if row.assessment else None for column in COLUMNS},
            "broken": "; ".join(f"{one.build}: {one.problem}" for one in row.broken),
            "processes": None if row.processes is None else len(row.processes),
        }
        writer.writerow([_cell(cells[name]) for name in HEAD])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    # Spreadsheets run a cell that begins like this as a formula, and hosts choose these texts.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def as_metrics(report: Report) -> str:
    """Return a report in Prometheus' text format, for the textfile collector of node_exporter."""
    lines = _described("host_up", "Whether the host could be observed.")
    down = {row.host for row in report.rows if row.unreachable}
    for host in dict.fromkeys(row.host for row in report.rows):
        lines.append(f"standalone_python_host_up{{{_labels({'host': host})}}} {int(host not in down)}")
    for name, meaning, samples in _METRICS:
        found = [
            f"standalone_python_{name}{{{_labels(_identity(row) | labels)}}} {value}"
            for row in report.rows
            for labels, value in samples(row)
        ]
        lines += [*_described(name, meaning), *found] if found else []
    for name, meaning, day in (
        ("report_timestamp_seconds", "The day of the report.", report.day),
        ("advisories_timestamp_seconds", "The day on which the sources of advisories were read last.", report.advisories_day),
    ):
        lines += [*_described(name, meaning), f"standalone_python_{name} {_seconds(day)}"]
    return "".join(f"{line}\n" for line in lines)


Samples = Iterator[tuple[dict[str, str], int]]


def _advisories(row: Row) -> Samples:
    if row.assessment:
        yield from (({"severity": column}, row.number(column)) for column in COLUMNS)


def _in_use(row: Row, value: int | None, **labels: str) -> Samples:
    if row.build and value is not None:
        yield labels, value


def _end_of_life(row: Row) -> int | None:
    end = row.assessment.end_of_life if row.assessment else None
    return _seconds(date.fromisoformat(end)) if end else None


_DAY = 86400
# Name, HELP, and the samples of a row.
_METRICS: tuple[tuple[str, str, Callable[[Row], Samples]], ...] = (
    (
        "build_info",
        "The build that a line uses.",
        lambda row: _in_use(row, 1, build=row.build.name, version=str(row.build.version)) if row.build else iter(()),
    ),
    ("build_age_seconds", "The time since the release of the build.", lambda row: _in_use(row, row.age and row.age * _DAY)),
    ("build_outdated", "Whether a newer build of the line is known.", lambda row: _in_use(row, int(row.outdated))),
    ("end_of_life_timestamp_seconds", "The end of security support.", lambda row: _in_use(row, _end_of_life(row))),
    ("open_advisories", "Known vulnerabilities of the build.", _advisories),
    ("broken_builds", "Installed builds that are broken.", lambda row: iter([({}, len(row.broken))] if row.line else ())),
    (
        "old_processes",
        "Processes that run an older or a removed build.",
        lambda row: iter([] if row.processes is None else [({}, len(row.processes))]),
    ),
)


def _identity(row: Row) -> dict[str, str]:
    return {"host": row.host, "root": row.root, "line": row.line}


def _described(name: str, meaning: str) -> list[str]:
    return [f"# HELP standalone_python_{name} {meaning}", f"# TYPE standalone_python_{name} gauge"]


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items())


_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _seconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY
