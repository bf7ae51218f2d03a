# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as a CycloneDX 1.6 document: the builds that a fleet uses, what they contain, and what advisories affect. No I/O.

A component belongs to one build, as an advisory may concern OpenSSL 3.5.3 of one build and not that of another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from ..builds.catalogue import Build
from .report import Affected, Report, Row, label
from .sbom import PREFIX, SCHEMA, SPECIFICATION, part_data

# OpenSSL says moderate where CycloneDX says medium.
_RATINGS = {"critical": "critical", "high": "high", "moderate": "medium", "medium": "medium", "low": "low"}


def as_bom(report: Report) -> str:
    """Return a report as a CycloneDX document, as text. The same report gives the same text."""
    hosts: dict[str, list[str]] = {}
    used: dict[str, Row] = {}
    builds: dict[str, Build] = {}
    for row in report.rows:
        if row.build:
            hosts.setdefault(row.build.name, []).append(row.host)
            used[row.build.name], builds[row.build.name] = row, row.build
    silent = {row.host: row.unreachable for row in report.rows if row.unreachable}
    document = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {
            "timestamp": _time(report.day),
            "tools": {"components": [{"type": "application", "name": "standalone-python"}]},
            "component": {"type": "application", "bom-ref": "fleet", "name": "Python interpreters of a fleet"},
            "properties": [
                _property("advisories-day", report.advisories_day.isoformat()),
                *(_property("unreachable", f"{host}: {why}") for host, why in silent.items()),
            ],
        },
        "components": [_build(builds[name], used[name], sorted(set(hosts[name]))) for name in sorted(used)],
        "dependencies": [{"ref": "fleet", "dependsOn": sorted(used)}],
        "vulnerabilities": [_vulnerability(it, used) for it in report.affected],
    }
    return json.dumps(document, indent=1) + "\n"


def _build(build: Build, row: Row, hosts: list[str]) -> dict[str, Any]:
    uncovered = row.assessment.not_covered if row.assessment else ()
    return {
        "type": "application",
        "bom-ref": build.name,
        "name": build.name,
        "version": f"{build.version}+{build.release}",
        "components": [
            part_data(part) | {"bom-ref": _reference(build.name, part.name)}
            for part in (row.assessment.components if row.assessment else ())
        ],
        "properties": [
            *(_property("host", host) for host in hosts),
            *([_property("newest", label(row.newest))] if row.outdated and row.newest else []),
            *([_property("end-of-life", row.assessment.end_of_life)] if row.assessment and row.assessment.end_of_life else []),
            *(_property("not-covered", name) for name in uncovered),
        ],
    }


def _vulnerability(it: Affected, used: dict[str, Row]) -> dict[str, Any]:
    advisory = it.advisory
    found: dict[str, Any] = {
        "bom-ref": f"{advisory.id}/{advisory.component}",
        "id": advisory.id,
        "ratings": [{"severity": _RATINGS.get(advisory.severity.lower(), "unknown")}],
        "description": advisory.title,
    }
    if it.fixed:
        found["recommendation"] = (
            f"{advisory.component} {', '.join(it.fixed)} or later; the newest known builds close it for {len(it.closed)} of "
            f"{len(it.builds)} builds"
        )
    if advisory.published:
        found["published"] = f"{advisory.published}T00:00:00Z"
    found["affects"] = [
        {"ref": _reference(name, advisory.component), "versions": [{"version": version, "status": "affected"}]}
        for name in it.builds
        for version in _versions(used[name], advisory.component)
    ]
    return found


def _versions(row: Row, component: str) -> Iterator[str]:
    for part in row.assessment.components if row.assessment else ():
        if part.name == component and part.version:
            yield part.version


def _reference(build: str, component: str) -> str:
    return f"{build}/{component}"


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"{PREFIX}:{name}", "value": value}


def _time(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
