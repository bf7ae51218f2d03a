# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build an upgrade takes with ``security_only`` and ``cooldown``: the decision, what a lock file reports of it, and hosts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import info as info_module
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import decide
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import NoBuildError
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import advisory_warnings, info, result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import (
    Advisory,
    Assessment,
    Open,
    assess,
    closed,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.components import Component
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.marks import Mark, count, mark
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.upgrade import Policy, choose_upgrade
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import Lock as LockFile
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import Locked, slots
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock_changes import changes, relock
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock_report import (
    commit_message,
    counted,
    listed,
    moved_entries,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.policy import policy_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from tests.tools.planning import build_of, observed_of

GNU, MUSL = "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"


def advisory(text: str) -> Advisory:
    """``openssl-1:high`` -> an advisory of openssl."""
    name, _colon, severity = text.partition(":")
    return Advisory(name.partition("-")[0], name, (), severity, "", "", f"what {name} is")


def assessment(build: Build, opened: str, unknown: str = "") -> Assessment:
    parts = (Component("cpython", str(build.version), "name"), *(Component(name, None, "table") for name in unknown.split()))
    return Assessment(build, parts, tuple(Open(advisory(one), "9") for one in opened.split()), (), None)


# 3.13.1 has two, and each newer release closes one; 3.14 closes both.
OPEN = {
    "3.12.9+20250101": "a-1:high b-1:low",
    "3.13.1+20250101": "a-1:high b-1:low",
    "3.13.2+20250201": "a-1:high b-1:low",
    "3.13.3+20250301": "a-1:high",
    "3.13.3+20250401": "",
    "3.13.4+20250501": "c-1:medium",
    "3.14.0+20250601": "",
}
NEWEST_FIRST = list(reversed(OPEN))


@dataclass(frozen=True)
class Case:
    """:ivar until: the newest release that is old enough; empty: all are
    :ivar known: what exists, the best first
    """

    current: str
    takes: str
    security: bool = True
    until: str = ""
    unless: str = "high"
    known: tuple[str, ...] = tuple(NEWEST_FIRST)


CASES = {
    "the newest of the line that closes one": Case("3.13.1+20250101", "3.13.4+20250501"),
    "nothing newer closes anything": Case("3.13.3+20250401", "3.13.3+20250401"),
    "an open one that no newer build closes": Case("3.13.4+20250501", "3.13.4+20250501"),
    "another line is no upgrade": Case("3.12.9+20250101", "3.12.9+20250101"),
    "without security_only, another line is one": Case("3.12.9+20250101", "3.14.0+20250601", security=False),
    "the newest closes nothing, one before it does": Case(
        "3.13.3+20250401", "3.13.3+20250401", known=("3.13.4+20250501", "3.13.2+20250201")
    ),
    "never an older build": Case("3.13.2+20250201", "3.13.2+20250201", security=False, known=("3.13.1+20250101",)),
    "the newest that is old enough": Case("3.13.1+20250101", "3.13.3+20250301", until="20250331", unless="none"),
    "of the very day": Case("3.13.1+20250101", "3.13.3+20250301", until="20250301", unless="none"),
    "only what is too young closes it": Case("3.13.1+20250101", "3.13.1+20250101", until="20250215", unless="critical"),
    "too young, and it closes a high one": Case("3.13.1+20250101", "3.13.4+20250501", until="20250331"),
    "too young, and it closes a low one only": Case("3.13.1+20250101", "3.13.1+20250101", until="20250215",
        known=("3.13.3+20250301", "3.13.2+20250201")),
    "too young, and low is enough": Case("3.13.1+20250101", "3.13.3+20250301", until="20250215", unless="low",
        known=("3.13.3+20250301", "3.13.2+20250201")),
    "medium counts where low is enough": Case("3.13.4+20250501", "3.14.0+20250601", security=False, until="20250515", unless="low"),
    "an old build closes it already": Case("3.13.1+20250101", "3.13.3+20250401", until="20250415", security=False),
    "the current one may be young": Case("3.13.4+20250501", "3.13.4+20250501", until="20250331", security=False, unless="none"),
    "first installation: the newest old one": Case("", "3.13.2+20250201", until="20250215", unless="none"),
    "first installation: a high one excuses": Case("", "3.14.0+20250601", until="20250215"),
    "first installation: all too young": Case("", "", until="20241231"),
    "first installation: security_only holds nothing back": Case("", "3.14.0+20250601"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_which_build_an_upgrade_takes(name: str) -> None:
    case = CASES[name]
    found = choose_upgrade(
        build_of(case.current) if case.current else None,
        map(build_of, case.known),
        Policy(case.security, case.until, "" if case.unless == "none" else case.unless),
        lambda build: assessment(build, OPEN[f"{build.version}+{build.release}"]),
    )
    assert (f"{found.version}+{found.release}" if found else "") == case.takes


def test_of_an_unknown_version_nothing_is_closed() -> None:
    before, after = build_of("3.13.1+20250101"), build_of("3.13.2+20250201")
    found = closed(assessment(before, "expat-1:high zlib-1:low"), assessment(after, "", unknown="expat"))
    assert [one.advisory.id for one in found] == ["zlib-1"]


def test_the_days_of_a_cooldown() -> None:
    def limit(cooldown: str) -> str:
        desired = declare({"builds": ["3.13"], "cooldown": cooldown})
        return policy_of(desired, now=time.mktime((2026, 3, 10, 23, 59, 0, 0, 0, 0)) - time.timezone).newest_release

    assert (limit("7d"), limit("2w"), limit("0d")) == ("20260303", "20260224", "")
    assert policy_of(declare({"builds": [], "cooldown": "7d", "cooldown_except": "none"})).exception == ""


# Marks.


@pytest.mark.parametrize(
    ("counts", "end", "words"),
    [
        ({"critical": 1, "high": 12}, None, "1 critical"),
        ({"unrated": 3}, "2026-08-21", "3 unrated, end of life"),
        ({}, "2026-08-22", ""),
        ({}, "2026-08-21", "end of life"),
        (None, None, ""),
    ],
)
def test_a_mark_is_a_word(counts: dict[str, int] | None, end: str | None, words: str) -> None:
    assert Mark(counts, end).words("2026-08-21") == words


def test_marks_of_builds() -> None:
    old = parse_filename(f"cpython-3.9.13+20220528-{GNU}-install_only.tar.gz")
    found = mark(old)
    assert found.end_of_life == "2025-10-31"
    assert found.advisories is not None
    assert sum(found.advisories.values()) == len(assess(old).advisories)
    assert next(iter(found.advisories)) == "critical"
    assert count(()) == {}
    before_the_table = build_of("3.7.1+20170101")
    assert mark(before_the_table) == Mark(None, None)


def test_warnings_are_the_same_on_every_host() -> None:
    """So that Ansible, which shows equal warnings once, warns once a fleet."""

    def interpreter(target: str, **counts: int) -> dict[str, object]:
        return {"version": "3.9.13", "release": "20220528", "target": target, "advisories": counts, "end_of_life": "2025-10-31",
            "action": "install"}  # fmt: skip

    fleet = [interpreter(GNU, critical=2, high=9), interpreter(MUSL, high=7)]
    told = [advisory_warnings([one], "2026-08-21") for one in fleet]
    assert told[0] == told[1] == advisory_warnings(fleet, "2026-08-21")
    assert [text.partition(",")[0].partition(":")[0] for text in told[0]] == [
        "Python 3.9.13 of release 20220528 has open advisories of critical or high severity",
        "Python 3.9 is end of life since 2025-10-31",
    ]
    assert advisory_warnings(fleet, "2025-10-30") == told[0][:1]
    assert advisory_warnings([one | {"action": "none"} for one in fleet], "2026-08-21") == (), "they were there before"
    assert advisory_warnings([interpreter(GNU, medium=4), {**fleet[0], "advisories": None}], "2025-10-30") == ()


def test_a_run_that_changes_nothing_reads_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    desired = declare({"builds": ["3.13"], "links": []})
    name = build_of("3.13.7+20250918").name
    host = observed_of({"installed": [name], "links": {"/opt/python/cpython-3.13": name}}, desired)
    nothing = decide(desired, Supply(desired), lambda _facts: host).plan
    assert not nothing
    with monkeypatch.context() as patched:
        patched.setattr(info_module, "_known_tables", lambda: pytest.fail("a table was read"))
        (unmarked,) = result_data(nothing, host)["interpreters"]
    assert (unmarked["advisories"], unmarked["end_of_life"]) == (None, None)
    (marked,) = result_data(nothing, host, marked=True)["interpreters"]
    assert marked["advisories"]["critical"] > 0
    assert marked["end_of_life"] == "2029-10-31"
    (observed,) = info(host)["interpreters"]
    assert (observed["advisories"], observed["end_of_life"]) == (marked["advisories"], marked["end_of_life"])


# What a lock file reports.


def entry(request: str, target: str, version: str) -> Locked:
    build = parse_filename(f"cpython-{version}-{target}-install_only.tar.gz")
    return Locked(request, target, build, "https://mirror.example")


def test_the_text_of_a_commit() -> None:
    before = LockFile(tuple(entry("3.13", target, "3.13.1+20250101") for target in (GNU, MUSL)))
    after = LockFile(
        (*(entry("3.13", target, "3.13.2+20250201") for target in (GNU, MUSL)), entry("3.12", GNU, "3.12.9+20250201"))
    )
    opened = {"20250101": "a-1:Critical a-2:low b-1: c-1:medium", "20250201": "c-1:medium c-2:"}
    made = changes(before, after)
    moved = moved_entries(made, lambda build: assessment(build, opened[build.release]))
    assert commit_message(made, moved) == (
        "Upgrade Python 3.13: close 3 advisories\n"
        "\n"
        f"Upgrade 3.13 for {GNU}, {MUSL}: 3.13.1+20250101 -> 3.13.2+20250201\n"
        "  closes 3 advisories (1 critical, 1 low, 1 unrated)\n"
        "    a-1 (critical, a, fixed in 9): what a-1 is\n"
        "    a: a-2\n"
        "    b: b-1\n"
        "  leaves open 2 advisories (1 medium, 1 unrated)\n"
        "    c: c-1, c-2\n"
        f"Add 3.12 for {GNU}: 3.12.9+20250201\n"
    )
    assert listed(moved[0].closes) == "3 advisories (1 critical, 1 low, 1 unrated); a: a-1, a-2; b: b-1"
    assert counted(()) == "no known advisory"


def test_a_commit_without_upgrades() -> None:
    made = changes(LockFile((entry("3.12", GNU, "3.12.9+20250201"),)), LockFile((entry("3.13", GNU, "3.13.2+20250201"),)))
    assert commit_message(made, ()).splitlines() == [
        "Lock Python: 1 added, 1 removed",
        "",
        f"Add 3.13 for {GNU}: 3.13.2+20250201",
        f"Remove 3.12 for {GNU}: 3.12.9+20250201",
    ]


def test_a_build_before_the_table_is_upgraded_without_a_report() -> None:
    made = changes(LockFile((entry("3.7", GNU, "3.7.1+20170101"),)), LockFile((entry("3.7", GNU, "3.7.2+20250201"),)))
    (moved,) = moved_entries(made, assess)
    assert (moved.closes, moved.leaves) == ((), ())


# Hosts and lock files, with the bundled tables: OpenSSL 3.0.16 is in 20250818, 3.5.3 in 20250918, 3.5.4 in 20251010.

KNOWN = ("3.13.6+20250818", "3.13.7+20250818", "3.13.7+20251010", "3.13.9+20251014", "3.14.0+20251010")


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "builds.tsv"
    rows = (f"{text.partition('+')[2]}\tcpython-{text}-{GNU}-install_only_stripped.tar.gz\t{'ab' * 32}\n" for text in KNOWN)
    path.write_text("".join(rows))
    return str(path)


@pytest.mark.parametrize(
    ("options", "installed", "step", "reason"),
    [
        ({"security_only": True}, "3.13.7+20250818", "3.13.9+20251014", "it is newer than 3.13.7 of 20250818"),
        ({"security_only": True}, "3.13.9+20251014", "", "no newer build closes an advisory of 3.13.9 of 20251014"),
        ({"cooldown": "1d"}, "3.13.9+20251014", "", "no build that is 1 day old is newer than 3.13.9 of 20251014"),
        ({"cooldown": "9999d"}, "3.13.7+20250818", "3.13.9+20251014", "it is newer than 3.13.7 of 20250818"),
        (
            {"cooldown": "9999d", "cooldown_except": "none"},
            "3.13.7+20250818",
            "",
            "no build that is 9999 days old is newer than 3.13.7 of 20250818",
        ),
        (
            {"cooldown": "9999d", "security_only": True, "cooldown_except": "critical"},
            "3.13.7+20250818",
            "",
            "no newer build that is 9999 days old closes an advisory of 3.13.7 of 20250818",
        ),
        ({}, "3.13.7+20250818", "3.13.9+20251014", "it is newer than 3.13.7 of 20250818"),
    ],
)
def test_latest_on_a_host(options: Mapping[str, object], installed: str, step: str, reason: str, catalogue: str) -> None:
    desired = declare({"builds": ["3.13"], "state": "latest", "catalogue": catalogue, "links": [], **options})
    host = observed_of(
        {"installed": [build_of(installed).name], "links": {"/opt/python/cpython-3.13": build_of(installed).name}}, desired
    )
    decision = decide(desired, Supply(desired), lambda _facts: host)
    (outcome,) = decision.plan.outcomes
    assert [install.build.name for install in decision.plan.installs] == ([build_of(step).name] if step else [])
    assert outcome.reason == reason


def test_a_cooldown_holds_first_installations_and_no_named_release(catalogue: str) -> None:
    def first(request: str) -> str:
        desired = declare({"builds": [request], "catalogue": catalogue, "cooldown": "9999d"})
        decision = decide(desired, Supply(desired), lambda _facts: observed_of({}, desired))
        return decision.plan.installs[0].build.name

    assert first("3.13.7+20251010") == build_of("3.13.7+20251010").name
    with pytest.raises(
        NoBuildError, match=r"^every build of 3\.13 for .* is younger than the cooldown: shorten the cooldown, or ask"
    ):
        first("3.13")


def test_a_removed_build_is_not_what_an_upgrade_starts_from(catalogue: str) -> None:
    """3.13.9 is newer than 3.13.7 and the declaration removes it."""
    options = {"builds": ["3.13", {"version": "3.13.9", "state": "absent"}], "state": "latest", "security_only": True}
    desired = declare({**options, "catalogue": catalogue})
    names = [build_of(text).name for text in ("3.13.7+20251010", "3.13.9+20251014")]
    host = observed_of({"installed": names, "links": {"/opt/python/cpython-3.13": names[1]}}, desired)
    decision = decide(desired, Supply(desired), lambda _facts: host)
    assert decision.plan.outcomes[0].build.name == names[0]
    assert [step.name for step in decision.plan.removals] == [names[1]]


@pytest.mark.parametrize(
    ("options", "locked", "becomes"),
    [
        ({"security_only": True}, "3.13.7+20250818", "3.13.9+20251014"),
        ({"security_only": True}, "3.13.9+20251014", "3.13.9+20251014"),
        ({"security_only": True, "cooldown": "9999d"}, "3.13.6+20250818", "3.13.9+20251014"),
        ({"security_only": True, "cooldown": "9999d", "cooldown_except": "critical"}, "3.13.7+20250818", "3.13.7+20250818"),
        ({}, "3.13.7+20250818", "3.13.9+20251014"),
    ],
)
def test_an_entry_of_a_lock_file(options: Mapping[str, object], locked: str, becomes: str, catalogue: str) -> None:
    supply = Supply(declare({"builds": ["3.13"], "catalogue": catalogue, **options}))
    wanted = slots([parse_request("3.13")], [GNU])
    old = LockFile((entry("3.13", GNU, locked),))
    new = relock(old, wanted, lambda slot: supply.lock_entry(slot, old.builds[0]), lambda _request: True)
    assert f"{new.builds[0].build.version}+{new.builds[0].build.release}" == becomes
    assert (new == old) == (locked == becomes), "an entry that does not move stays as it is"
