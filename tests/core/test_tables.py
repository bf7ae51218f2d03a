# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of advisories as a document: what is read, what is refused with one sentence, and which of several are used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_source
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.storage import Folder
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.sync import sync
from ansible_collections.standalone.python.plugins.plugin_utils.core.security import tables as module
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import bundled_tables
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.tables import (
    DOCUMENT,
    age_remark,
    bundled_document,
    format_document,
    parse_document,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import keep_tables, known_tables, today
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

BUNDLED = bundled_document()
NEXT, LATER = "2026-08-22", "2026-08-23"


def dated(day: str, text: str = BUNDLED) -> str:
    return json.dumps(json.loads(text) | {"date": day})


def with_text(table: str, change: Callable[[str], str], *, digest: bool = True) -> str:
    """The document with another text of a table, with the sha256 of that text or of the old one."""
    document = json.loads(dated(NEXT))
    file = document["files"][table]
    file["text"] = change(file["text"])
    if digest:
        file["sha256"] = hashlib.sha256(file["text"].encode()).hexdigest()
    return json.dumps(document)


def test_the_bundled_tables_as_a_document() -> None:
    found, bundled = parse_document(BUNDLED, "x", "2026-08-21"), bundled_tables()
    assert (found.date, found.components, found.advisories, found.end_of_life) == (
        *(bundled.date, bundled.components, bundled.advisories, bundled.end_of_life),
    )
    assert set(found.sources) == set(bundled.sources) != set()
    texts = {name: file["text"] for name, file in json.loads(BUNDLED)["files"].items()}
    assert format_document(found.date, found.sources, texts) == BUNDLED


def edited(**change: Any) -> str:
    return json.dumps(json.loads(dated(NEXT)) | change)


BAD = {
    "not JSON": (BUNDLED[:-200], "x is not a document of advisories: get it again"),
    "another JSON": ("[]", "x is not a document of advisories: get it again"),
    "nested too deeply": ("[" * 100_000, "x is not a document of advisories: get it again"),
    "newer than the code": (edited(form=2), "x has the form 2, but this version of standalone-python reads form 1: upgrade it"),
    "a form that is no number": (edited(form="\x1b[31m"), "x has the form \\x1b[31m, but this version of "),
    "a truth value as form": (edited(form=True), "x has the form True, but this version of "),
    "a sha256 of another date": (
        with_text("advisories.tsv", lambda text: text + "\n", digest=False),
        "x can't be read as tables of advisories (the sha256 of advisories.tsv is wrong, so it is damaged or of another date): get it",
    ),
    "no date": (edited(date="soon"), "x can't be read as tables of advisories (cannot read the date of the tables of advisories"),
    "not a day": (edited(date="2026-02-31"), "x can't be read as tables of advisories: get it again"),
    "the future": (edited(date="2027-08-22"), "x is dated 2027-08-22, which is in the future: check the clock, or get it again"),
    "no files": (edited(files={}), "x can't be read as tables of advisories: get it again"),
    "text that is a list": (
        edited(files={name: {"text": [], "sha256": ""} for name in module.FILES}),
        "x can't be read as tables of",
    ),
    "a condition of a newer version": (
        with_text("components.tsv", lambda text: text.replace("platform=linux-gnu\n", "os=linux\n", 1)),
        "x can't be read as tables of advisories (unknown condition 'os=linux' in the tables of components and advisories: update ",
    ),
    "another column": (
        with_text("advisories.tsv", lambda text: text.replace("severity", "score", 1)),
        "x can't be read as tables of advisories (cannot read advisories.tsv: its columns are not component, ",
    ),
    "an empty table": (
        with_text("eol.tsv", lambda text: text.splitlines()[0]),
        "x can't be read as tables of advisories (a table is empty): get it again",
    ),
    "letters that steer a terminal": (
        with_text("advisories.tsv", lambda text: text.replace("decoder writes", "\x1b[2Jdecoder", 1)),
        "x can't be read as tables of advisories (advisories.tsv has control characters): get it again",
    ),
    "a range that can't be read": (
        with_text("advisories.tsv", lambda text: text.replace("<1.0.7", "1.0.7?", 1)),
        "x can't be read as tables of advisories ('1.0.7?' is not a range of versions: write >=A,<B): get it again",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_tables_that_are_not_used(case: str, tmp_path: Path) -> None:
    """One sentence, and those in use stay in use: in memory, in the cache, and where a mirror has them."""
    text, sentence = BAD[case]
    with pytest.raises(ContentError) as caught:
        parse_document(text, "x", NEXT)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    with pytest.raises(ContentError):
        keep_tables(tmp_path, text, "x")
    assert not (tmp_path / "catalogue" / DOCUMENT).exists()
    (tmp_path / DOCUMENT).write_text(text)
    before = known_tables(tmp_path / "none")
    after = before.or_newer("x", lambda: text)
    assert (after.tables, len(after.remarks)) == (before.tables, 1)
    assert after.remarks[0].endswith("; the tables of 2026-08-21 stay in use")


def test_the_cache_keeps_newer_tables(tmp_path: Path) -> None:
    assert keep_tables(tmp_path, BUNDLED, "x") is None, "those in use are as new"
    kept = keep_tables(tmp_path, dated(LATER), "x")
    assert kept
    assert known_tables(tmp_path).tables.date == LATER
    assert keep_tables(tmp_path, dated(NEXT), "x") is None, "older than those that are kept"
    path = tmp_path / "catalogue" / DOCUMENT
    path.write_text("{")
    known = known_tables(tmp_path)
    assert known.tables.date == "2026-08-21"
    assert known.remarks == (f"{path} is not a document of advisories: get it again; the tables of 2026-08-21 stay in use",)
    assert keep_tables(tmp_path, dated(NEXT), "x"), "what is damaged is replaced"
    tmp_path.chmod(0o777)
    assert "other users may write to the cache" in known_tables(tmp_path).remarks[0]


def test_a_large_document_is_not_parsed(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"^x is larger than 16777216 bytes"):
        keep_tables(tmp_path, BUNDLED + " " * (16 << 20), "x")


def test_a_mirror_carries_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by a sync, used where it is the source, never replaced by older ones, and replaced if damaged."""
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE", str(tmp_path / "cache"))
    mirror, source = tmp_path / "mirror", parse_source("upstream")
    document = mirror / DOCUMENT
    for given, expected in (
        (BUNDLED, BUNDLED),
        (dated(LATER), dated(LATER)),
        (dated(NEXT), dated(LATER)),
        ("", dated(LATER)),
    ):
        sync(Folder(mirror), (), source, document=given)
        assert document.read_text() == expected
    supply = Supply.of(source=str(mirror))
    assert (supply.tables.date, supply.remarks) == (LATER, [])
    document.write_text("[]")
    other = Supply.of(source=str(mirror))
    assert other.tables.date == "2026-08-21"
    assert other.remarks == [f"{document} is not a document of advisories: get it again; the tables of 2026-08-21 stay in use"]
    sync(Folder(mirror), (), source, document=BUNDLED)
    assert document.read_text() == BUNDLED


@pytest.mark.parametrize(("day", "days"), [("2026-10-05", 0), ("2026-10-06", 46), ("2026-08-20", 0)])
def test_old_tables_say_so(day: str, days: int) -> None:
    remark = age_remark(bundled_tables(), day)
    assert remark.startswith(f"the tables of advisories are of 2026-08-21, {days} days old, and later ") if days else remark == ""


def test_new_advisories_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vulnerability that only updated tables know counts in the decision of an upgrade."""
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE", str(tmp_path))
    row = "openssl\tCVE-2026-99999\t>=3.5.0,<3.5.7\tCritical\t2026-08-22\t\t\thand\tmade for a test\n"
    assert keep_tables(tmp_path, with_text("advisories.tsv", lambda text: text + row), "x")
    from tests.tools.planning import build_of

    found = Supply.of().assess(build_of("3.14.4+20260414"))
    assert "CVE-2026-99999" in {one.advisory.id for one in found.advisories}
    assert replace(bundled_tables()).date < today()
