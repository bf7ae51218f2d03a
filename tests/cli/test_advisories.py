# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``advisories``: what is known to be wrong with builds, by their names alone."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import Command

BUILD = "cpython-3.13.7+20250918-x86_64-unknown-linux-gnu-install_only"
OLD = "cpython-3.9.13+20220528-x86_64-unknown-linux-gnu-install_only"


def test_as_json(command: Command) -> None:
    ended = command("advisories", BUILD, f"{OLD}.tar.gz", "--json")
    assert ended.code == 0
    # Nothing else is beside the JSON, whatever day it is.
    assert re.fullmatch("(standalone-python: the tables of advisories are of [^\n]*\n)?", ended.errors), ended.errors
    new, old = json.loads(ended.output)
    assert set(new) == {"build", "components", "advisories", "not_covered", "end_of_life"}
    assert {"name": "openssl", "version": "3.5.3", "source": "table"} in new["components"]
    (found,) = [one for one in new["advisories"] if one["id"] == "CVE-2025-9230"]
    assert found | {"title": "", "fixed_by": ""} == {
        "id": "CVE-2025-9230",
        "component": "openssl",
        "severity": "Moderate",
        "published": "2025-09-30",
        "fixed": "3.5.4",
        "fixed_by": "",
        "title": "",
    }
    assert found["fixed_by"].startswith("cpython-3.13.8+20251010-x86_64-unknown-linux-gnu-")
    assert (old["build"], old["end_of_life"]) == (OLD, "2025-10-31")
    assert "expat" in old["not_covered"], "its version is not known"


def test_as_a_table(command: Command) -> None:
    ended = command("advisories", OLD, BUILD)
    assert ended.code == 0, ended
    first, _empty, second = ended.output.partition("\n\n")
    head = first.splitlines()[0]
    assert head.startswith(f"{OLD}: ")
    assert head.endswith("; end of life since 2025-10-31")
    severities = [line.split()[1] for line in second.splitlines()[2:] if line.startswith("CVE-")]
    order = ["critical", "high", "moderate", "medium", "low", "-"]
    assert [order.index(severity) for severity in severities] == sorted(order.index(severity) for severity in severities)
    assert "not covered: bdb, " in second
    assert re.search("^advisories of 2[0-9]{3}-[0-9]{2}-[0-9]{2}$", ended.errors, re.MULTILINE)


def test_a_release_after_the_table(command: Command) -> None:
    ended = command("advisories", "cpython-3.14.8+20991231-x86_64-unknown-linux-gnu-install_only_stripped")
    assert ended.code == 0, ended
    assert "components: estimated from the release before" in ended.output


@pytest.mark.parametrize(
    "name", ["3.13", "", "../etc/passwd", "cpython-3.13.7+2025-x86_64-unknown-linux-gnu-install_only", "x\x1b[31m"]
)
def test_what_is_not_a_build(name: str, command: Command) -> None:
    ended = command("advisories", BUILD, name)
    assert (ended.code, ended.output) == (1, "")
    assert "is not the name of a build: write it like cpython-3.13.7+20250918-" in ended.errors
    assert "\x1b" not in ended.errors


def test_one_build_at_least(command: Command) -> None:
    assert command("advisories").code == 64
