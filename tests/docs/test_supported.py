# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/supported.md has every target of the catalogue and every kind of test host, and calls nothing tested that no test host is."""

from __future__ import annotations

import re

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import TRIPLES
from tests.tools.hosts import KINDS
from tests.tools.hosts.foreign import TRIPLES as FOREIGN
from tests.tools.playbook import REPOSITORY

PAGE = (REPOSITORY / "docs/supported.md").read_text()
HOSTS = {
    **dict.fromkeys(KINDS, "x86_64-unknown-linux-gnu"),
    "musl": "x86_64-unknown-linux-musl",
    **FOREIGN,
    "windows": "x86_64-pc-windows-msvc",
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first cell is the heading."""
    table = PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_target_of_the_catalogue_is_listed() -> None:
    listed = [target.strip("`") for target, _status, _where in rows("target")]
    assert sorted(listed) == sorted({re.sub(r"_v\d", "", triple) for triple in TRIPLES})


def test_every_kind_of_test_host_is_listed() -> None:
    assert sorted(host.strip("`") for host, _what in rows("test host")) == sorted(HOSTS)


def test_the_status_of_a_target_is_that_of_its_test_hosts() -> None:
    for target, status, where in rows("target"):
        own = {host for host, triple in HOSTS.items() if triple == target.strip("`")}
        expected = "never run" if not own else "tested under Wine" if own == {"windows"} else "tested in CI"
        assert status == expected, target
        assert not own or names(where) == own, target
        assert own or names(where) <= {"macish"}, target
