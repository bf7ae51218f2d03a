# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of Ansible's action and of pyinfra's operation: once for all hosts, on the controller, with those that gave no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import OperationValueError

from pyinfra_ops.standalone_python import report
from tests.tools.deploy import run_deploy
from tests.tools.playbook import LOCALHOST, run_play

REPORT = "standalone.python.report"
INFO = "standalone.python.interpreters_info"
GONE = "gone ansible_host=127.0.0.1 ansible_port=1\n"


def test_ansible(tmp_path: Path) -> None:
    page, empty = tmp_path / "page.html", tmp_path / "root"
    run = run_play(
        [
            {INFO: {"root": str(empty)}, "register": "found"},
            {REPORT: {"format": "html", "dest": str(page)}, "name": "first"},
            {REPORT: {"format": "html", "dest": str(page)}, "name": "second"},
            {REPORT: {}, "name": "content"},
            {REPORT: {"dest": str(tmp_path / "x.csv"), "format": "csv"}, "check_mode": True, "name": "check"},
            {REPORT: {"format": "pdf"}, "ignore_errors": True, "name": "format"},
            {REPORT: {"dest": str(tmp_path / "no/x")}, "ignore_errors": True, "name": "folder"},
            {REPORT: {"fail_on": ["critical", "unreachable"]}, "name": "fails"},
        ],
        LOCALHOST.replace("localhost", "one") + LOCALHOST.replace("localhost", "two") + GONE,
    )
    reports = [result for result in run.results if result.task != INFO and result.kind != "unreachable"]
    told = {result.task: result for result in reports}
    assert [result.task for result in reports] == [
        *("first", "second", "content", "check", "format", "folder", "fails"),
    ], "each ran once, not once a host"
    assert [told[name].result["changed"] for name in ("first", "second", "content", "check")] == [True, False, False, True]
    assert told["first"].result["dest"] == str(page)
    assert "<!DOCTYPE html>" in page.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert told["first"].result["summary"] == {
        "hosts": 3,
        "unreachable": 1,
        "lines": 0,
        "by_status": {"no answer": 1, "nothing": 2},
    }
    lines = {line["host"]: line for line in json.loads(told["content"].result["content"])["lines"]}
    assert {host: line["root"] for host, line in lines.items()} == {"one": str(empty), "two": str(empty), "gone": None}
    assert "refused" in lines["gone"]["unreachable"]
    assert "value of format must be one of: html, json, csv, prometheus, cyclonedx" in told["format"].message
    assert told["folder"].message.startswith(f"cannot write {tmp_path}/no/x (No such file or directory): ")
    assert (told["fails"].kind, told["fails"].message) == ("failed", "the report fails on unreachable (1)")


def test_pyinfra(tmp_path: Path) -> None:
    page, root = tmp_path / "page.json", tmp_path / "root"
    deploy = (
        "from pyinfra_ops import standalone_python\n\n"
        f"standalone_python.report(dest={str(page)!r}, format='json', fail_on=['broken', 'unreachable'], root={str(root)!r})\n"
    )
    run = run_deploy(deploy, {"@local": {}, "gone": {"ssh_hostname": "127.0.0.1", "ssh_port": 1}})
    assert run.code, run.output
    assert run.said("@local")[-1] == "the report fails on unreachable (1)"
    lines = {line["host"]: line for line in json.loads(page.read_text())["lines"]}
    assert (lines["@local"]["root"], lines["@local"]["status"]) == (str(root), "nothing")
    assert lines["gone"]["unreachable"] == "it is not connected, or an earlier operation failed on it"


@pytest.mark.parametrize("options", [{"format": "pdf"}, {"fail_on": ["worse"]}])
def test_pyinfra_checks_options_when_the_deploy_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(OperationValueError, match=r"^(format|fail_on) is '(pdf|worse)': choose one of \w+, "):
        report(dest="x.html", **options)
