# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of components and advisories as one document, which mirrors serve and caches keep. No I/O but the bundled tables.

The document is JSON: its form, the date of the tables, the dates of their sources, and each table as text with its sha256. As it
is one file, tables of two dates are never mixed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from ..builds.catalogue import Build
from ..builds.request import Version
from ..errors import ContentError, sanitized
from .advisories import (
    ABOUT,
    BUNDLED_EXPAT,
    EOL_COLUMNS,
    NOT_SHIPPED,
    Tables,
    advisories_by_component,
    end_by_minor,
    parse_about,
)
from .components import applies, components_by_release, parse_table, read_bundled

FORM = 1
DOCUMENT = "advisories.json"
"""The name of the document, beside the list of builds of a mirror and in a cache."""
FILES = ("components.tsv", "advisories.tsv", "eol.tsv")

# Days after which a report says how old the tables are.
OLD_AFTER = 45

_REMEDY = "get it again"
_ANY = Build(Version(3, 13, 0), "20250101", "x86_64-unknown-linux-gnu", "", "install_only", "")


def bundled_document() -> str:
    """Return the bundled tables as a document.

    :raises ContentError: a table is missing
    """
    day, sources = parse_about(read_bundled(ABOUT))
    return format_document(day, sources, {name: read_bundled(name) for name in FILES})


def format_document(day: str, sources: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """Return the document of some tables. The same tables give the same text."""
    files = {name: {"sha256": _digest(texts[name]), "text": texts[name]} for name in FILES}
    return json.dumps({"form": FORM, "date": day, "sources": dict(sources), "files": files}, indent=1, ensure_ascii=False) + "\n"


def parse_document(text: str, name: str, today: str) -> Tables:
    """Read a document.

    :param name: for messages: its path or URL
    :param today: such as 2026-08-21
    :raises ContentError: it is damaged, of a newer form, or dated later than tomorrow; the message is one sentence
    """
    try:
        document = json.loads(text)
        form = document["form"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ContentError(f"{name} is not a document of advisories: {_REMEDY}") from None
    if json.dumps(form) != str(FORM):
        raise ContentError(
            f"{name} has the form {sanitized(str(form), 40)}, but this version of standalone-python reads form {FORM}: upgrade it"
        )
    try:
        day, sources = parse_about(text)
        texts = {table: _text(document, table) for table in FILES}
        tables = Tables(
            components_by_release(texts["components.tsv"], "components.tsv", _REMEDY),
            advisories_by_component(texts["advisories.tsv"], "advisories.tsv", _REMEDY),
            end_by_minor(parse_table(texts["eol.tsv"], "eol.tsv", EOL_COLUMNS, _REMEDY)),
            day,
            sources,
        )
        _check_conditions(tables)
        ahead = (date.fromisoformat(day) - date.fromisoformat(today)).days > 1
    except (ContentError, ValueError, KeyError, TypeError) as error:
        why = f" ({sanitized(str(error), 200)})" if isinstance(error, ContentError) else ""
        raise ContentError(f"{name} can't be read as tables of advisories{why}: {_REMEDY}") from None
    if ahead:
        raise ContentError(f"{name} is dated {day}, which is in the future: check the clock, or {_REMEDY}")
    return tables


def age_remark(tables: Tables, today: str) -> str:
    """Return the sentence that a report has about tables older than 45 days; empty for younger ones."""
    days = (date.fromisoformat(today) - date.fromisoformat(tables.date)).days
    if days <= OLD_AFTER:
        return ""
    return (
        f"the tables of advisories are of {tables.date}, {days} days old, and later advisories are unknown: "
        "run 'standalone-python catalogue update', or upgrade standalone-python"
    )


def _text(document: Mapping[str, Any], table: str) -> str:
    """
    :raises ContentError: its sha256 is another one
    """
    file = document["files"][table]
    text = file["text"]
    if not isinstance(text, str) or _digest(text) != file["sha256"]:
        raise ContentError(f"the sha256 of {table} is wrong, so it is damaged or of another date")
    if not text.replace("\t", "").replace("\n", "").isprintable():
        raise ContentError(f"{table} has control characters")
    return text


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _check_conditions(tables: Tables) -> None:
    """
    :raises ContentError: this version of standalone-python does not know a condition, or a table is empty
    """
    conditions = {row.applies for rows in tables.components.values() for row in rows}
    conditions |= {advisory.only for rows in tables.advisories.values() for advisory in rows} - {NOT_SHIPPED, BUNDLED_EXPAT}
    for condition in conditions:
        for term in condition.split("&"):
            applies(term.strip(), _ANY)
    for day in tables.end_of_life.values():
        date.fromisoformat(day)
    if not (tables.components and tables.advisories and tables.end_of_life):
        raise ContentError("a table is empty")
