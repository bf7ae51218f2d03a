# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``report``: from JSON files, from this machine and from an inventory, to each of its outputs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.tools.fleet import NEW, OLD, fleet, interpreter, process, result, unreachable
from tests.tools.programs import program

HOSTILE = "\x1b[31m<script>alert(1)</script>"


def test_files_of_hosts(command: Command) -> None:
    """A host's own JSON is named by its file; the other outputs are written beside the table."""
    command.file(json.dumps(result(interpreter(OLD)) | {"damage": []}), "web1.json")
    command.file(json.dumps({"db1": unreachable(f"refused{HOSTILE}"), "db2": result(processes=[process(OLD)])}), "play.json")
    ended = command(
        *("report", "web1.json", "play.json", "--prometheus", "out/python.prom", "--fail-on", "high", "--fail-on", "eol"),
        environment={"COLUMNS": "100"},
    )
    assert ended.sentence.startswith("cannot write out/python.prom (No such file or directory): check the folder")
    (command.folder / "out").mkdir()
    ended = command(
        *("report", "web1.json", "play.json", "--prometheus", "out/python.prom", "--fail-on", "high", "--fail-on", "eol"),
        environment={"COLUMNS": "100"},
    )
    assert ended.code == 2
    assert ended.errors.splitlines() == [
        "standalone-python: the report fails on high (1)",
        "standalone-python: 1 host could not be observed and may fail too",
    ]
    shown = ended.output.splitlines()
    assert shown[0].split() == ["status", "host", "in", "use", "newest", "days", "crit", "high", "med", "low", "?"]
    assert shown[1].split()[:3] == ["critical", "web1", OLD]
    assert shown[2].split() == ["no", "answer", "db1"]
    assert shown[3].strip() == "could not be observed: refused\\x1b[31m<script>alert(1)</script>"
    assert "process 4711 (python3.13 of app, unit app.service) runs 3.13.7+20250918" in ended.output
    assert max(map(len, shown)) <= 100
    assert [path.name for path in (command.folder / "out").iterdir()] == ["python.prom"]


def test_data_for_programs(command: Command) -> None:
    command.file(json.dumps([{"web1": result(interpreter(NEW))}, {"db1": unreachable("gone")}]), "play.json")
    text = (command.folder / "play.json").read_text()
    ended = command("report", "-", "--json", "--fail-on", "broken", given=text)
    assert (ended.code, ended.errors) == (0, "standalone-python: 1 host could not be observed and may fail too\n")
    data = json.loads(ended.output)
    assert data["summary"] == {"hosts": 2, "unreachable": 1, "lines": 1, "by_status": {"no answer": 1, "high": 1}}
    assert [(line["host"], line["unreachable"], line["version"]) for line in data["lines"]] == [
        ("db1", "gone", None),
        ("web1", None, "3.14.7"),
    ]
    assert {"CVE-2026-14456"} <= {one["id"] for one in data["advisories"]}
    assert command("report", "play.json", "--csv").output.startswith("host,root,line,status,build,version,")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is not JSON ("),
        ('{"interpreters": [', "it is not JSON ("),
        ("[" * 100_000, "it is not JSON (maximum recursion depth exceeded"),
        ("1" * 5000, "it is not JSON ("),
        ("\udc80", "it is not JSON ("),
        ('{"a": 1}', "it holds no result of interpreters_info; "),
        (json.dumps(result() | {"root": HOSTILE, "interpreters": 1}), "a result in it is damaged (interpreters is not a list)"),
        (json.dumps({"a": result(interpreter(OLD) | {"prefix": f"/{HOSTILE}"})}), "a result in it is damaged ("),
    ],
    ids=["empty", "cut", "nested", "number", "bytes", "others", "damaged", "hostile"],
)
def test_a_file_that_is_not_a_result(text: str, sentence: str, command: Command) -> None:
    (command.folder / "x.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    said = command("report", "x.json").sentence
    assert said.startswith(f"cannot read x.json: {sentence}")
    assert said.isprintable()


def test_files_that_are_too_large_or_missing(command: Command) -> None:
    with (command.folder / "large.json").open("wb") as file:
        file.truncate(300 << 20)
    assert command("report", "large.json").sentence.startswith("cannot read large.json: it has more than 200 MB; ")
    assert command("report", "gone.json").sentence.startswith("cannot read gone.json (No such file or directory): ")


def test_options_that_contradict_each_other(command: Command) -> None:
    assert command("report", "x.json", "--root", "/opt").code == 64
    assert command("report", "--json", "--csv").code == 64
    assert command("report", "--fail-on", "x").code == 64


def test_this_machine(command: Command) -> None:
    ended = command("report", "--root", command.folder / "a", "--root", "b", "--json")
    assert ended.code == 0, ended
    assert [line["root"] for line in json.loads(ended.output)["lines"]] == [f"{command.folder}/a", f"{command.folder}/b"]


def test_an_inventory(command: Command) -> None:
    """A host that is not reached does not hide the others, and is not left out."""
    here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    command.file(f"one {here}\ngone ansible_host=127.0.0.1 ansible_port=1\n", "hosts.ini")
    ended = command("report", "-i", "hosts.ini", "--root", command.folder / "root", "--json")
    assert (ended.code, ended.errors) == (0, "")
    gone, one = json.loads(ended.output)["lines"]
    assert (gone["host"], gone["status"]) == ("gone", "no answer")
    assert "refused" in gone["unreachable"]
    assert (one["host"], one["root"], one["status"]) == ("one", f"{command.folder}/root", "nothing")


def test_metrics_pass_promtools_check(command: Command) -> None:
    promtool = program("promtool", "prometheus")
    command.file(json.dumps(fleet(60) | {HOSTILE: result(interpreter(OLD, problem=HOSTILE))}), "x.json")
    assert command("report", "x.json", "--prometheus", "x.prom").code == 0
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=(command.folder / "x.prom").read_bytes(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


ATTACK = "document.title = 'owned'"
# Each runs as a script where it is not escaped: in a text, in an attribute, in a script, in a style.
ATTACKS = (
    f"<script>{ATTACK}</script>",
    f'<img src=x onerror="{ATTACK}">',
    f'"><svg onload="{ATTACK}">',
    f"'><body onload='{ATTACK}'>",
    f"</script><script>{ATTACK}</script>",
    f"</style></title></svg><script>{ATTACK}</script>",
    f'x\x1b[31m\u202e<iframe srcdoc="<script>parent.{ATTACK}</script>"></iframe>',
    f"&lt;script&gt;{ATTACK}&lt;/script&gt;",
)


def opened(browser: str, page: Path, folder: Path) -> str:
    """Return the document as it is after its scripts have run."""
    done = subprocess.run(
        [
            *(browser, "--headless", "--disable-gpu", "--no-sandbox", "--no-first-run", f"--user-data-dir={folder / 'profile'}"),
            *("--virtual-time-budget=2000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_nothing_that_hosts_say_runs_in_a_browser(command: Command) -> None:
    """In Chromium: neither what a host says, nor, if an escape were missing, what the page's policy has to stop."""
    browser = program("chromium", "chromium")
    hosts = {
        f"{attack} {number}": result(
            interpreter(OLD, problem=attack),
            root=attack,
            processes=[process(OLD, user=attack, command=attack, build=attack, unit=attack)],
        )
        for number, attack in enumerate(ATTACKS)
    }
    command.file(json.dumps(hosts | {f"gone {attack}": unreachable(attack) for attack in ATTACKS}), "x.json")
    assert command("report", "x.json", "--html", "x.html").code == 0
    page = command.folder / "x.html"
    shown = opened(browser, page, command.folder)
    assert "<title>Python interpreters, 20" in shown
    assert "24 of 24 rows</output>" in shown, "the page's own script ran"
    assert (shown.count("<script"), shown.count("<img"), shown.count("<iframe"), shown.count("<svg")) == (1, 0, 0, 3)
    assert shown.count("document.title = ") > 50
    text = page.read_text()
    page.write_text(
        text.replace("<main>", f"<main>{''.join(ATTACKS)}", 1).replace("<title>", f"<script>{ATTACK}</script><title>", 1)
    )
    shown = opened(browser, page, command.folder)
    assert "<iframe" in shown
    assert "<title>Python interpreters, 20" in shown
    page.write_text(re.sub("<meta http-equiv=.*?>", "", page.read_text()))
    assert "<title>owned" in opened(browser, page, command.folder), "these attacks run where nothing stops them"
