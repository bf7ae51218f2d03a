# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one HTML file that loads nothing. Reads its style and script beside this module, and no other file.

Hosts chose many of the texts. So all text goes through :func:`element`, which escapes what is not HTML already, and the page's
Content-Security-Policy admits no script and no style but the page's own, by their hashes.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape

from ..builds.request import Version
from ..errors import ContentError
from .report import COLUMNS, STATUSES, Affected, Report, Row, label, short_name

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page_data")

# Upper ends of the ages in the chart, in days, each with its name.
AGES = ((30, "up to 30 days"), (90, "31 to 90 days"), (180, "91 to 180 days"), (365, "181 to 365 days"), (730, "1 to 2 years"))
_OLDER, _NO_AGE = "more than 2 years", "unknown"
MEANINGS: Mapping[str, str] = {
    "critical": "an open advisory is critical",
    "broken": "an installed build is broken",
    "no answer": "the host could not be observed",
    "high": "an open advisory is high",
    "eol": "security support has ended",
    "processes": "processes run an older or a removed build",
    "medium": "an open advisory is medium or moderate",
    "low": "an open advisory is low",
    "unrated": "an open advisory has no severity",
    "outdated": "a newer build of the line is known",
    "nothing": "no interpreter is installed",
    "unknown": "nothing is known about a build as old",
    "current": "no newer build and no open advisory is known",
}
# Points of a chart that a bar takes.
_PER_ROW = 26
# Letters of a host's name that fit on one line.
_LONG = 40


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, *content: str | None, **attributes: str | int | bool | None) -> Html:
    """Return an element. Content that is not :class:`Html` is escaped; attributes of False or None are left out.

    :param attributes: with ``_`` for ``-``, and ``class_`` for ``class``
    """
    told = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    inner = "".join(one if isinstance(one, Html) else escape(one) for one in content if one)
    return Html(f"<{name}{told}>{inner}</{name}>")


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Return several pieces of HTML as one; those that are not HTML are escaped."""
    return Html(between.join(part if isinstance(part, Html) else escape(part) for part in parts))


def as_page(report: Report) -> str:
    """Return a report as an HTML document.

    :raises ContentError: the style or the script is missing from this installation
    """
    style, script = _data("page.css"), _data("page.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    title = f"Python interpreters, {report.day.isoformat()}"
    head = element(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="referrer" content="no-referrer">'),
        element("title", title),
        element("style", Html(style)),
    )
    body = element(
        "body",
        element("a", "Skip to the table of hosts", class_="skip", href="#hosts"),
        _header(report),
        element("main", _summary(report), _charts(report), _hosts(report), _advisories(report), _meanings(report)),
        element("script", Html(script)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _data(name: str) -> str:
    path = os.path.join(DATA, name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise ContentError(f"cannot read {path} ({error.strerror}): reinstall standalone-python") from None


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _header(report: Report) -> Html:
    day, advisories = report.day.isoformat(), report.advisories_day.isoformat()
    return element(
        "header",
        element("h1", "Python interpreters"),
        element(
            "p",
            *("Report of ", element("time", day, datetime=day), ", with the advisories known on "),
            *(element("time", advisories, datetime=advisories), "."),
        ),
        *(element("p", f"{one[:1].upper()}{one[1:]}.", class_="warning", role="note") for one in report.remarks),
    )


def _summary(report: Report) -> Html:
    rows = report.rows
    tiles: Sequence[tuple[str, int, str]] = (
        ("hosts", report.hosts, ""),
        ("hosts could not be observed", report.unreachable, "bad"),
        ("interpreters in use", len(report.used), ""),
        ("with critical or high advisories", sum(row.number("critical") + row.number("high") > 0 for row in rows), "bad"),
        ("without security support", sum(row.ended for row in rows), "bad"),
        ("outdated", sum(row.outdated for row in rows), "poor"),
        ("broken builds", sum(len(row.broken) for row in rows), "bad"),
        ("processes on old builds", sum(len(row.processes or ()) for row in rows), "poor"),
    )
    items = (
        element("div", element("dt", name), element("dd", f"{number:,}"), class_=f"tile {kind if number else ''}".strip())
        for name, number, kind in tiles
    )
    return _section("summary", "Summary", element("dl", joined(items), class_="tiles"))


def _charts(report: Report) -> Html:
    versions = Counter(row.build.version.minor_line for row in report.used if row.build)
    ages = Counter(_age(row) for row in report.used)
    severities = Counter(_worst(row) for row in report.used)
    lines = sorted(versions, key=lambda minor: Version.parse(f"{minor}.0"), reverse=True)
    order = [*(name for _days, name in AGES), _OLDER, _NO_AGE]
    ended = {row.build.version.minor_line for row in report.used if row.build and row.ended}
    return _section(
        "charts",
        "Charts",
        element(
            "div",
            _chart(
                "versions", "Versions in use", [(name, versions[name], "eol" if name in ended else "plain") for name in lines]
            ),
            _chart("ages", "Ages of the builds", [(name, ages[name], "plain") for name in order if ages[name]]),
            _chart(
                "severities",
                "Worst open advisory",
                [(name, severities[name], name.split()[0]) for name in (*COLUMNS, "none known", "unknown") if severities[name]],
            ),
            class_="charts",
        ),
        element("p", "Versions without security support have striped bars.", class_="note") if ended else None,
    )


def _age(row: Row) -> str:
    age = row.age
    return _NO_AGE if age is None else next((name for days, name in AGES if age <= days), _OLDER)


def _worst(row: Row) -> str:
    if row.assessment is None:
        return "unknown"
    return next((column for column in COLUMNS if row.number(column)), "none known")


def _chart(name: str, title: str, bars: Sequence[tuple[str, int, str]]) -> Html:
    """Return horizontal bars with their names and numbers, so that nobody needs to see colours."""
    most = max((number for _text, number, _kind in bars), default=1)
    height = max(len(bars), 1) * _PER_ROW
    total = sum(number for _text, number, _kind in bars)
    drawn = (
        joined(
            (
                element("text", text, x=112, y=place + 17, class_="name"),
                element("rect", x=120, y=place + 4, width=width, height=18, rx=2, class_=f"bar {kind}"),
                element("text", f"{number:,}", x=126 + width, y=place + 17, class_="number"),
            )
        )
        for place, (text, number, kind) in zip(range(0, height, _PER_ROW), bars, strict=False)
        for width in [max(round(170 * number / most), 2)]
    )
    told = ", ".join(f"{text}: {number}" for text, number, _kind in bars) or "nothing"
    stripes = Html(
        f'<defs><pattern id="stripes-{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" class="ground"/><rect width="3" height="6" class="stripe"/></pattern></defs>'
    )
    return element(
        "figure",
        element("figcaption", title),
        element(
            "svg",
            element("title", f"{title} of {total} interpreters"),
            element("desc", told),
            stripes,
            joined(drawn),
            viewBox=f"0 0 350 {height}",
            role="img",
            aria_label=f"{title}. {told}",
            class_="chart",
            id=f"chart-{name}",
        ),
    )


def _hosts(report: Report) -> Html:
    statuses = report.by_status()
    choices = [element("option", "all", value="")]
    choices += [element("option", f"{name} ({number})", value=name) for name, number in statuses.items()]
    controls = element(
        "form",
        element(
            "p", element("label", "Filter by host, version or finding ", for_="filter"), Html('<input id="filter" type="search">')
        ),
        element("p", element("label", "Status ", for_="status"), element("select", joined(choices), id="status")),
        element("p", element("output", id="shown", for_="filter status", aria_live="polite")),
        class_="controls",
        hidden=True,
        role="search",
    )
    columns = [name for name in _HOSTS if name not in _OPTIONAL or _OPTIONAL[name](report.rows)]
    head = _head([(name, name in _NUMBERS, name in _SORTED) for name in columns])
    rows = joined((_host(row, columns) for row in report.rows), "\n")
    table = element(
        "table",
        element("caption", "Interpreters by host, the worst first"),
        head,
        rows,
        id="lines",
    )
    hidden = len({row.host for row in report.rows if row.processes is not None and not row.complete})
    note = element("p", f"Hosts on which not all processes were visible: {hidden}.", class_="note") if hidden else None
    return _section("hosts", "Hosts", controls, _scrolled(table, "Interpreters by host"), note)


def _head(columns: Iterable[tuple[str, bool, bool]]) -> Html:
    """Return the head of a table.

    :param columns: each with whether it is aligned to the right, and whether it is sorted by the numbers in its cells
    """
    cells = (
        element("th", name, scope="col", class_="number" if right else None, data_sort="number" if by_number else "text")
        for name, right, by_number in columns
    )
    return element("thead", element("tr", joined(cells)))


def _host(row: Row, columns: Sequence[str]) -> Html:
    """Return a row in a body of its own, with its findings below it."""
    cells = element("tr", joined(_HOSTS[name](row) for name in columns))
    found = tuple(_findings(row))
    items = element("ul", joined(element("li", text) for text in found))
    below = element("tr", element("td", items, colspan=len(columns)), class_="findings") if found else None
    return element("tbody", cells, below, data_status=row.status)


def _findings(row: Row) -> Iterator[str]:
    if row.unreachable:
        yield f"could not be observed: {row.unreachable}"
    for one in row.broken:
        yield f"{short_name(one.build)} is broken: {one.problem}"
    for process in row.processes or ():
        unit = f", unit {process.unit}" if process.unit else ""
        yield f"process {process.pid} ({process.command} of {process.user}{unit}) runs {short_name(process.build)}"


def _cell(text: str, *, sort: int | str | None = None, class_: str | None = None) -> Html:
    return element("td", text, data_value=sort, class_=class_)


def _number(column: str) -> Callable[[Row], Html]:
    def cell(row: Row) -> Html:
        number = row.number(column)
        text = str(number) if row.assessment else ""
        return _cell(text, sort=number if row.assessment else -1, class_=f"number {column if number else 'none'}")

    return cell


def _closes(row: Row) -> Html:
    if not row.outdated or row.assessment is None:
        return _cell("", sort=-1, class_="number")
    return _cell(str(row.closed), sort=row.closed, class_="number")


def _end_of_life(row: Row) -> Html:
    end = row.assessment.end_of_life if row.assessment else None
    return _cell(end or "", class_="ended" if row.ended else "day")


# Heading -> the cell of a row.
_HOSTS: Mapping[str, Callable[[Row], Html]] = {
    "Host": lambda row: element("th", row.host, scope="row", class_="long" if len(row.host) > _LONG else None),
    "Status": lambda row: element(
        "td",
        element("span", row.status, class_=f"badge {_KINDS.get(row.status, 'fair')}"),
        data_value=_RANK[row.status],
    ),
    "Root": lambda row: _cell(row.root),
    "In use": lambda row: _cell(label(row.build) if row.build else row.line.removeprefix("cpython-")),
    "Days": lambda row: _cell("" if row.age is None else str(row.age), sort=-1 if row.age is None else row.age, class_="number"),
    "Newest known": lambda row: _cell(label(row.newest) if row.outdated and row.newest else ""),
    "Closes": _closes,
    "End of life": _end_of_life,
    **{name.capitalize(): _number(name) for name in COLUMNS},
}
# Columns that are left out where they say nothing.
_OPTIONAL: Mapping[str, Callable[[Sequence[Row]], bool]] = {
    "Root": lambda rows: len({row.root for row in rows if row.root}) > 1,
}
_RANK: Mapping[str, int] = {name: number for number, name in enumerate(STATUSES)}
_NUMBERS = {"Days", "Closes", *map(str.capitalize, COLUMNS)}
_SORTED = _NUMBERS | {"Status"}
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("critical", "broken", "no answer", "high"), "bad"),
    **dict.fromkeys(("eol", "processes", "medium"), "poor"),
}


_ADVISORIES = ("Advisory", "Severity", "Component", "Title", "Fixed in", "Hosts", "Newest build closes it")


def _advisories(report: Report) -> Html:
    head = _head([(name, name == "Hosts", name in ("Hosts", "Severity")) for name in _ADVISORIES])
    rows = joined((_advisory(it, number) for number, it in enumerate(report.affected)), "\n")
    table = element(
        "table",
        element("caption", "Open advisories, the worst first"),
        head,
        rows,
        id="advisories-table",
    )
    nothing = element("p", "No open advisory is known. That does not mean that there is none.")
    return _section("advisories", "Open advisories", _scrolled(table, "Open advisories") if report.affected else nothing)


def _advisory(it: Affected, place: int) -> Html:
    advisory = it.advisory
    part = f"for {len(it.closed)} of {len(it.builds)} builds" if it.closed else "no"
    row = element(
        "tr",
        element("th", advisory.id, scope="row"),
        _cell(advisory.severity.lower() or "unrated", sort=place),
        _cell(advisory.component),
        _cell(advisory.title, class_="title"),
        _cell(", ".join(it.fixed), class_="fixed"),
        _cell(str(it.hosts), sort=it.hosts, class_="number"),
        _cell("yes" if it.closed == it.builds else part),
    )
    return element("tbody", row)


def _meanings(report: Report) -> Html:
    uncovered = sorted({name for row in report.used if row.assessment for name in row.assessment.not_covered})
    items = (joined((element("dt", name), element("dd", MEANINGS[name]))) for name in report.by_status())
    return _section(
        "meanings",
        "How to read this page",
        element("p", "Each row has the worst status that holds. The words mean, the worst first:"),
        element("dl", joined(items), class_="meanings"),
        element(
            "p",
            "No build is called clean. These components are not covered, as no advisories or no versions are known: "
            f"{', '.join(uncovered)}.",
        )
        if uncovered
        else None,
    )


def _section(name: str, title: str, *content: str | None) -> Html:
    return element("section", element("h2", title, id=f"{name}-title"), *content, id=name, aria_labelledby=f"{name}-title")


def _scrolled(table: Html, name: str) -> Html:
    return element("div", table, class_="scroll", role="region", aria_label=name, tabindex=0)
