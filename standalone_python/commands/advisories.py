# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``advisories``: what is known to be wrong with builds. It asks no host and no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import default_root
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import (
    Build,
    builds,
    parse_filename,
    parse_name,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import (
    Advisory,
    Assessment,
    as_data,
    assess,
    first_fixes,
    rank,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.tables import age_remark
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import known_tables, today
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.user_catalogue import about

from .. import output
from ..output import short_mark
from ..table import Column

EXAMPLE = "cpython-3.13.7+20250918-x86_64-unknown-linux-gnu-install_only_stripped"
_COLUMNS = (
    Column("advisory"),
    Column("severity", priority=1, short=short_mark),
    Column("component", priority=2),
    Column("fixed", priority=4),
    Column("fixed by", priority=3),
    Column("title", wraps=True),
)


@click.command()
@click.argument("names", metavar="BUILD...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def advisories(names: Sequence[str], as_json: bool) -> int:
    """List the open advisories of each BUILD, the worst first.

    A BUILD is a name such as cpython-3.13.7+20250918-x86_64-unknown-linux-gnu-install_only, or the name of an archive. `fixed` is
    the version of the component with the fix, and `fixed by` the first known build that has it. `not covered` lists components
    that nothing is known about. No build is ever called clean.
    """
    known = Supply.of(catalogue="updated" if about(default_root()) else "bundled").catalogue
    tables = known_tables()
    found: list[tuple[Assessment, dict[Advisory, Build]]] = []
    for name in dict.fromkeys(names):
        assessment = assess(_build(name), tables=tables.tables)
        minor = assessment.build.version.minor_line
        found.append((assessment, first_fixes(assessment, builds(known, minor) if minor in known.minors else (), tables.tables)))
    output.tell_remarks([*tables.remarks, *filter(None, [age_remark(tables.tables, today())])])
    if as_json:
        output.data([as_data(assessment, fixes) for assessment, fixes in found])
        return 0
    for number, (assessment, fixes) in enumerate(found):
        if number:
            output.line("")
        _show(assessment, fixes)
    output.line(f"advisories of {tables.tables.date}", err=True)
    return 0


def _build(name: str) -> Build:
    build = parse_name(name)
    if build is not None:
        return build
    try:
        return parse_filename(name)
    except (ContentError, ValueError):
        raise ContentError(
            f"{name!r} is not the name of a build: write it like {EXAMPLE}; 'standalone-python catalogue show' prints names"
        ) from None


def _show(assessment: Assessment, fixes: dict[Advisory, Build]) -> None:
    output.line(f"{assessment.build.name}: {summary(assessment)}")
    if any(part.source == "estimated" for part in assessment.components):
        output.line("components: estimated from the release before")
    rows = [
        (
            one.advisory.id,
            one.advisory.severity.lower() or "-",
            one.advisory.component,
            one.fixed or "-",
            f"{fixes[one.advisory].version}+{fixes[one.advisory].release}" if one.advisory in fixes else "-",
            one.advisory.title,
        )
        for one in sorted(
            assessment.advisories, key=lambda one: (rank(one.advisory.severity), one.advisory.component, one.advisory.id)
        )
    ]
    if rows:
        output.table(_COLUMNS, rows)
    if assessment.not_covered:
        output.line(f"not covered: {', '.join(assessment.not_covered)}")


def summary(assessment: Assessment) -> str:
    """Return the number of open advisories by severity, and whether security support has ended, in words."""
    counts = Counter(one.advisory.severity.lower() or "unrated" for one in assessment.advisories)
    parts = [f"{counts[severity]} {severity}" for severity in sorted(counts, key=rank)]
    text = f"{len(assessment.advisories)} open advisories ({', '.join(parts)})" if parts else "no open advisories known"
    end = assessment.end_of_life
    if end and end <= today():
        text += f"; end of life since {end}"
    return text
