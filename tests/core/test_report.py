# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a fleet, from results of hosts to rows: what counts, what comes first, and what JSON is refused."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import from_rows
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.security import report as module
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import bundled_tables
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.fleet_bom import as_bom
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.formats import as_csv, as_data, as_metrics
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.page import MEANINGS, as_page
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.report import (
    FAIL_ON,
    STATUSES,
    Report,
    Row,
    make_report,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.results import read_results
from standalone_python.report_table import lines
from tests.tools.fleet import GNU, NEW, OLD, fleet, interpreter, name, process, result, unreachable

DAY = date(2026, 9, 1)
NEWER, NEWEST = "3.13.7+20251010", "3.13.8+20251010"
CATALOGUE = from_rows(
    "a catalogue",
    "".join(
        f"{build.rpartition('+')[2]}\t{name(build, triple)}.tar.gz\t-\n"
        for build, triple in (
            (OLD, GNU),
            (NEWER, GNU),
            (NEWEST, GNU),
            ("3.13.9+20251120", "aarch64-unknown-linux-gnu"),
            (NEW, GNU),
            ("3.14.8rc1+20260821", GNU),
            ("3.15.0rc1+20260821", GNU),
        )
    ),
)


def report_of(data: Any, day: date = DAY) -> Report:
    return make_report(read_results(data, "a file", "host"), CATALOGUE, day)


def row_of(data: Any, day: date = DAY) -> Row:
    (row,) = report_of(data, day).rows
    return row


def test_a_line_of_a_host() -> None:
    row = row_of({"web": result(interpreter(OLD))})
    assert (row.host, row.root, row.line, row.age) == ("web", "/opt/python", "cpython-3.13", 348)
    assert row.build
    assert row.newest
    assert (row.build.name, row.newest.name) == (name(OLD), name(NEWEST))
    assert (row.outdated, row.ended, row.broken, row.processes, row.unreachable) == (True, False, (), None, "")
    assert row.assessment
    assert sum(row.counts.values()) == len(row.assessment.advisories) > 35
    assert 0 < row.closed < len(row.assessment.advisories)
    assert row.status == "critical"


def test_the_build_in_use_is_the_one_of_the_link_else_the_newest() -> None:
    linked = row_of({"web": result(interpreter(OLD), interpreter(NEWEST, linked=False))})
    newest = row_of({"web": result(interpreter(OLD, linked=False), interpreter(NEWER, linked=False))})
    assert linked.build
    assert newest.build
    assert (linked.build.name, newest.build.name) == (name(OLD), name(NEWER))
    assert linked.installed == (name(OLD), name(NEWEST))


@pytest.mark.parametrize(
    ("build", "newest"), [(NEW, NEW), ("3.15.0a1+20251031", "3.15.0rc1+20260821"), ("3.14.8a1+20260801", "3.14.8rc1+20260821")]
)
def test_a_prerelease_is_the_newest_only_where_one_is_in_use_or_nothing_else_exists(build: str, newest: str) -> None:
    row = row_of({"web": result(interpreter(build))})
    assert row.newest
    assert row.newest.name == name(newest)


@pytest.mark.parametrize(
    ("status", "data"),
    [
        ("critical", result(interpreter(OLD))),
        ("broken", result(interpreter(NEW, problem="it does not start"))),
        ("no answer", unreachable("Connection refused")),
        ("eol", result(interpreter("3.15.0+20260101"))),
        ("processes", result(interpreter("3.15.0+20251231"), processes=[process("3.15.0a1+20251031")])),
        ("nothing", result()),
        ("unknown", result(interpreter("3.7.0+20170101"))),
        ("current", result(interpreter("3.15.0rc1+20260821"))),
    ],
)
def test_statuses(status: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Advisories are those of the bundled table for the first, and none for the others."""
    real = module.assess

    def assess(build: Any, *others: Any) -> Any:
        found = real(build, *others)
        return found if build.name == name(OLD) else module.replace(found, advisories=())

    ends = {"3.15": "2026-08-31" if status == "eol" else "2031-10-31"}
    monkeypatch.setattr(module, "assess", assess)
    monkeypatch.setattr(module, "bundled_tables", lambda: module.replace(bundled_tables(), end_of_life=ends))
    assert report_of({"web": data}).rows[0].status == status


def test_the_worst_comes_first_and_every_status_has_a_place() -> None:
    made = report_of(fleet(150))
    ranks = [list(STATUSES).index(row.status) for row in made.rows]
    assert ranks == sorted(ranks)
    assert sum(made.by_status().values()) == len(made.rows)
    assert {row.host for row in made.rows} == set(fleet(150)), "no host is left out"
    numbers = [row.number("critical") for row in made.rows if row.status == "critical"]
    assert numbers == sorted(numbers, reverse=True)


def test_each_build_is_assessed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = module.assess
    monkeypatch.setattr(module, "assess", lambda build, *others: seen.append(build.name) or real(build, *others))
    report_of(fleet(200))
    assert len(seen) == len(set(seen)) < 20


def test_versions_that_an_interpreter_reported_count_instead_of_the_tables() -> None:
    measured = interpreter(OLD) | {"components": {"openssl": "3.5.4", "sqlite": ""}}
    made = report_of({"a": result(measured), "b": result(interpreter(OLD)), "c": result(interpreter(OLD) | {"components": {}})})
    rows = {row.host: row for row in made.rows}
    found = {host: {one.advisory.id for one in row.assessment.advisories} for host, row in rows.items() if row.assessment}
    assert ["CVE-2025-9230" in found[host] for host in "abc"] == [False, True, True], "fixed in OpenSSL 3.5.4"
    assert rows["a"].assessment
    assert "sqlite" in rows["a"].assessment.not_covered
    (it,) = [it for it in made.affected if it.advisory.id == "CVE-2025-9230"]
    assert (it.hosts, it.builds) == (2, (name(OLD),))


def test_processes_of_builds_that_are_not_current() -> None:
    gone = "3.12.1+20240107"
    data = result(
        interpreter(NEW),
        processes=[
            process(NEW, current=True),
            process("3.14.0+20251010"),
            process(gone),
            process("x", build="python", unit=None),
        ],
        processes_complete=False,
    )
    rows = {row.line: row for row in report_of({"web": data}).rows}
    assert {line: [one.build for one in row.processes or ()] for line, row in rows.items()} == {
        "cpython-3.14": [name("3.14.0+20251010")],
        "cpython-3.12": [name(gone)],
        "": ["python"],
    }
    assert rows["cpython-3.12"].build is None
    assert not rows["cpython-3.14"].complete
    assert row_of({"web": result(processes=[])}).processes == ()


def test_a_host_that_gives_no_answer_for_one_of_its_roots_is_told_of() -> None:
    found = read_results({"web": result(interpreter(NEW))}, "one") + read_results({"web": unreachable("timed out")}, "two")
    made = make_report(found, CATALOGUE, DAY)
    assert (made.hosts, made.unreachable, len(made.rows)) == (1, 1, 2)


def test_the_last_result_for_a_root_counts() -> None:
    found = (*read_results({"web": result(interpreter(OLD))}, "one"), *read_results({"web": result(interpreter(NEW))}, "two"))
    (row,) = make_report(found, CATALOGUE, DAY).rows
    assert row.build
    assert row.build.name == name(NEW)


@pytest.mark.parametrize(("day", "old"), [(date(2026, 10, 5), False), (date(2026, 10, 6), True)])
def test_an_old_table_is_told_of(day: date, old: bool) -> None:
    made = report_of({"web": result(interpreter(OLD))}, day)
    assert made.old is old
    text = "\n".join(text for text, _colour in lines(made, None))
    assert "advisories of 2026-08-21" in text
    for output in (text, as_page(made), str(as_data(made))):
        assert ("46 days old, and later advisories are unknown" in output) is old


@pytest.mark.parametrize(
    ("condition", "data", "number"),
    [
        ("critical", result(interpreter(OLD)), 1),
        ("high", result(interpreter(OLD)), 1),
        ("eol", result(interpreter("3.9.13+20220528"), interpreter(NEW)), 1),
        ("outdated", result(interpreter(OLD), interpreter(NEW)), 1),
        ("broken", result(interpreter(NEW, problem="gone")), 1),
        ("unreachable", unreachable("no route"), 1),
        ("critical", result(interpreter(NEW)), 0),
        ("eol", result(interpreter(NEW)), 0),
        ("outdated", result(interpreter(NEW)), 0),
        ("broken", result(interpreter(NEW)), 0),
        ("unreachable", result(interpreter(NEW)), 0),
    ],
)
def test_on_what_a_report_fails(condition: str, data: dict[str, Any], number: int) -> None:
    assert report_of({"web": data}).failures([condition]) == ({condition: number} if number else {})
    assert condition in FAIL_ON


def test_advisories_tell_how_many_hosts_they_concern_and_what_the_newest_build_closes() -> None:
    made = report_of({"a": result(interpreter(OLD)), "b": result(interpreter(OLD), interpreter(NEW))})
    found = {it.advisory.id: it for it in made.affected}
    assert (found["CVE-2025-9230"].hosts, found["CVE-2025-9230"].builds) == (2, (name(OLD),))
    assert found["CVE-2025-9230"].fixed == ("3.5.4",)
    assert found["CVE-2025-9230"].closed == (name(OLD),), "3.13.8+20251010 has OpenSSL 3.5.4"
    assert found["CVE-2026-14456"].closed == ()
    assert len(found["CVE-2026-14456"].builds) == 2


# How hosts' JSON is laid out.


@pytest.mark.parametrize(
    ("data", "hosts"),
    [
        (result(), {"host"}),
        ({**result(), "damage": []}, {"host"}),
        ({**result(), "host": "web"}, {"web"}),
        ({"a": result(), "b": result()}, {"a", "b"}),
        ([result(), {**result(), "inventory_hostname": "b"}], {"host #1", "b"}),
        ([{"a": result()}, {"b": unreachable("gone")}], {"a", "b"}),
        ({"a": {"ansible_host": "1", "found": {"changed": False, **result()}}, "b": {"ansible_host": "2"}}, {"a", "b"}),
        ({"a": {"found": {"results": [result(root="/opt/a"), result(root="/opt/b")]}}}, {"a"}),
        ({"a": result(), "b": None}, {"a", "b"}),
    ],
    ids=["status", "verify", "named", "by-host", "list", "list-of-mappings", "hostvars", "loop", "fact-that-failed"],
)
def test_layouts(data: Any, hosts: set[str]) -> None:
    assert {found.host for found in read_results(data, "a file", "host")} == hosts


def test_a_host_without_a_result_says_so() -> None:
    found = {one.host: one for one in read_results({"a": {"found": result()}, "b": {"x": unreachable("gone")}, "c": {}}, "file")}
    assert (found["a"].unreachable, found["b"].unreachable) == ("", "gone")
    assert found["c"].unreachable == "the play left no result of interpreters_info for it"


OTHERS: list[Any] = [{}, [], 1, None, "text", {"a": 1}, {"interpreters": []}, [[[]]], {"a": {"b": {"c": result()}}}]


@pytest.mark.parametrize("data", OTHERS, ids=repr)
def test_json_that_is_not_of_this_project(data: Any) -> None:
    with pytest.raises(ContentError, match=r"^cannot read a file: it holds no result of interpreters_info; give the output of "):
        read_results(data, "a file")


@pytest.mark.parametrize(
    "data",
    [
        result() | {"root": 1},
        result() | {"interpreters": {}},
        result(1),  # type: ignore[arg-type]
        result({}),
        result(interpreter(OLD) | {"prefix": None}),
        result(interpreter(OLD) | {"prefix": "/opt/python/cpython"}),
        result(interpreter(OLD) | {"sound": 1}),
        result(interpreter(OLD) | {"sound": False, "problem": ["x"]}),
        result(interpreter(OLD) | {"components": ["openssl"]}),
        result(interpreter(OLD) | {"components": {"openssl": "<b>"}}),
        result(interpreter(OLD) | {"components": {"<b>": "3.5.4"}}),
        result(interpreter(OLD) | {"components": {"openssl": 3}}),
        result(processes={}),
        result(processes=[1]),
        result(processes=[process(OLD, pid=True)]),
        result(processes=[process(OLD, pid=-1)]),
        result(processes=[process(OLD, pid=10**30)]),
        result(processes=[process(OLD, unit=1)]),
        result(processes=[process(OLD, current=None)]),
        result(processes_complete="no"),
    ],
    ids=lambda data: re.sub("[^a-z_]+", "-", repr(data))[-40:],
)
def test_damaged_results(data: Any) -> None:
    with pytest.raises(ContentError, match=r"^cannot read a file: a result in it is damaged \(.+\); give the output of "):
        read_results({"web": data}, "a file")


ESCAPES = "\x1b]0;owned\x07\x1b[31m\u202e<script>"


def test_no_text_of_a_host_commands_a_terminal() -> None:
    data = {
        ESCAPES: result(
            interpreter(OLD, problem=ESCAPES),
            root=ESCAPES,
            processes=[process(OLD, user=ESCAPES, command=ESCAPES, build=ESCAPES, unit=ESCAPES)],
        ),
        f"b{ESCAPES}": unreachable(ESCAPES),
        "a" * 10**6: result(interpreter(OLD)),
    }
    made = report_of(data)
    for text, _colour in lines(made, None):
        assert text.isprintable()
        assert len(text) < 2000
    assert "owned" in str(as_data(made))
    assert "\\x1b" not in repr(as_data(made)).replace("\\\\x1b", "")


@pytest.mark.parametrize("width", [44, 60, 80, 120])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    data = fleet(12) | {"a.host.with.a.long.name.example.com": result(interpreter(OLD))}
    shown = [text for text, _colour in lines(report_of(data), width)]
    assert max(map(len, shown)) <= width
    assert any("a.host.with.a.long.name.example.com" in text for text in shown), "a name is not cut"
    assert ("status" in shown[0]) is (width == 120)


# Formats.


def test_csv_runs_nothing_in_a_spreadsheet() -> None:
    hosts = {"=cmd()": result(interpreter(OLD)), "+1": unreachable("@SUM(1)"), "a,b": result()}
    parsed = list(csv.DictReader(StringIO(as_csv(report_of(hosts)))))
    assert [(row["host"], row["unreachable"]) for row in parsed] == [("'=cmd()", ""), ("'+1", "'@SUM(1)"), ("a,b", "")]
    assert (parsed[0]["version"], parsed[0]["outdated"], int(parsed[0]["critical"]) > 0) == ("3.13.7", "true", True)


SAMPLE = re.compile(r'(?P<name>[a-z_]+)\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (?P<value>[0-9]+)')


def test_metrics_are_what_prometheus_reads() -> None:
    host = 'a"b\\c{}'
    text = as_metrics(report_of(fleet(60) | {host: result(interpreter(OLD, problem="x")), "empty": result()}))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    samples = [match for match in map(SAMPLE.fullmatch, lines) if match]
    assert len(samples) == len(lines) - 2, "two samples have no labels"
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines), "no series occurs twice"
    values = {f"{one['name']}{{{one['labels']}}}": int(one["value"]) for one in samples}
    mine = 'host="a\\"b\\\\c{}",root="/opt/python",line="cpython-3.13"'
    assert values['standalone_python_host_up{host="db0005.example.com"}'] == 0
    assert values[f"standalone_python_host_up{{{mine.partition(',')[0]}}}"] == 1
    assert values[f"standalone_python_broken_builds{{{mine}}}"] == 1
    assert values[f'standalone_python_open_advisories{{{mine},severity="critical"}}'] == 1


class Page(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_a_page_shows_every_host_and_loads_nothing() -> None:
    data = fleet(150)
    text = as_page(report_of(data))
    page = Page(text)
    assert set(data) <= set(page.texts)
    assert "ssh: connect to host db0005.example.com port 22: Connection refused" in text
    links = {
        value for _tag, attributes in page.elements for name, value in attributes.items() if name in ("href", "src", "action")
    }
    assert links == {"#hosts"}
    assert "://" not in text.replace("https://www.gnu.org/licenses/gpl-3.0.txt", "")
    assert set(re.findall(r"url\(.*?\)", text)) == {'url("#stripes-versions")'}
    (policy,) = [one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in str(policy)
    assert not [attributes for _tag, attributes in page.elements if "style" in attributes]


def test_a_page_is_accessible() -> None:
    page = Page(as_page(report_of(fleet(150))))
    names = [tag for tag, _attributes in page.elements]
    assert page.of("html") == [{"lang": "en"}]
    assert names.count("h1") == names.count("main") == 1
    assert [tag for tag in names if re.fullmatch("h[1-6]", tag)] == ["h1", *["h2"] * 5]
    assert names.count("caption") == names.count("table") == 2
    assert {one.get("scope") for one in page.of("th")} == {"col", "row"}
    assert all(one.get("aria-label") and one.get("role") == "img" for one in page.of("svg"))
    identifiers = [value for _tag, attributes in page.elements if (value := attributes.get("id"))]
    assert len(identifiers) == len(set(identifiers))
    assert {one["for"] for one in page.of("label")} <= set(identifiers)
    assert {one["aria-labelledby"] for one in page.of("section")} <= set(identifiers)


def test_every_status_has_a_meaning() -> None:
    assert list(MEANINGS) == list(STATUSES)


def test_a_bom_is_valid_and_names_what_is_affected() -> None:
    data = fleet(60) | {"a\x1b<b>": result(interpreter(OLD)), "old": result(interpreter("3.7.0+20170101"))}
    text = as_bom(report_of(data))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    builds = {one["bom-ref"]: one for one in bom["components"]}
    references = {part["bom-ref"]: part for build in builds.values() for part in build["components"]}
    openssl = references[f"{name(OLD)}/openssl"]
    assert (openssl["purl"], openssl["cpe"]) == ("pkg:generic/openssl@3.5.3", "cpe:2.3:a:openssl:openssl:3.5.3:*:*:*:*:*:*:*")
    assert {"name": "standalone-python:host", "value": "a\\x1b<b>"} in builds[name(OLD)]["properties"]
    found = {one["id"]: one for one in bom["vulnerabilities"]}
    affected = {"ref": f"{name(OLD)}/openssl", "versions": [{"version": "3.5.3", "status": "affected"}]}
    assert affected in found["CVE-2025-9230"]["affects"]
    assert f"{name(NEW)}/openssl" not in {one["ref"] for one in found["CVE-2025-9230"]["affects"]}
    assert found["CVE-2025-9230"]["ratings"] == [{"severity": "medium"}]
    assert all(one["affects"] and {ref["ref"] for ref in one["affects"]} <= set(references) for one in found.values())
    silent = [one["value"] for one in bom["metadata"]["properties"] if one["name"] == "standalone-python:unreachable"]
    assert silent == ["db0005.example.com: ssh: connect to host db0005.example.com port 22: Connection refused"]
    assert text == as_bom(report_of(data))
