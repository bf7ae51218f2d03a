# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a fleet as front ends make it: with the newest known builds, in one of several formats, into a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from .archives.cache import atomic_write, default_root, os_reason
from .errors import DeclarationError, TransportError
from .nearest import did_you_mean
from .security.fleet_bom import as_bom
from .security.formats import as_csv, as_data, as_metrics
from .security.page import as_page
from .security.report import FAIL_ON, Report, make_report
from .security.results import HostResult
from .supply.supply import Supply
from .supply.user_catalogue import about

Format = Literal["html", "json", "csv", "prometheus", "cyclonedx"]

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "html": as_page,
    "json": lambda report: json.dumps(as_data(report), indent=2) + "\n",
    "csv": as_csv,
    "prometheus": as_metrics,
    "cyclonedx": as_bom,
}
# The options of front ends, as Ansible describes arguments.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "format": {"type": "str", "choices": list(FORMATS), "default": "json"},
    "dest": {"type": "path"},
    "fail_on": {"type": "list", "elements": "str", "choices": list(FAIL_ON), "default": []},
}


def report_of(results: Iterable[HostResult]) -> Report:
    """Return today's report, with the updated catalogue if this user has one.

    :raises StandalonePythonError: the catalogue or a table can't be read
    """
    supply = Supply.of(catalogue="updated" if about(default_root()) else "bundled")
    report = make_report(results, supply.catalogue, datetime.now(UTC).date(), supply.tables)
    return replace(report, remarks=(*supply.remarks, *report.remarks))


def check_options(name: str, fail_on: Iterable[str]) -> None:
    """Check the options of a front end that does not check them itself.

    :raises DeclarationError: a format or a condition is unknown
    """
    for option, value, known in [("format", name, FORMATS), *(("fail_on", one, FAIL_ON) for one in fail_on)]:
        if value not in known:
            raise DeclarationError(f"{option} is {value!r}: {did_you_mean(str(value), list(known))}", (option,))


def write_text(path: str, text: str, *, check: bool = False) -> bool:
    """Write a file in one step, so that a reader never sees half of it; return whether it changed.

    :param check: only look whether it would change
    :raises TransportError: it can't be written
    """
    data = text.encode()
    target = Path(path)
    try:
        if target.is_file() and target.read_bytes() == data:
            return False
        if not check:
            with atomic_write(target) as out:
                out.write(data)
    except OSError as error:
        raise TransportError(f"cannot write {path} ({os_reason(error)}): check the folder and its permissions") from None
    return True


def failure(report: Report, conditions: Sequence[str]) -> str:
    """Return what was found of that on which a report fails, as a sentence; empty if nothing was."""
    found = report.failures(dict.fromkeys(conditions))
    return f"the report fails on {', '.join(f'{name} ({number})' for name, number in found.items())}" if found else ""
