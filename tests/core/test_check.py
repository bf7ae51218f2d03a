# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a full check: what was written is read again, and nothing else is taken for one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import LONGEST_TEXT, sanitized
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.check import Check, check_line, parse_check
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Finish, Receipt
from tests.tools.planning import build_of

AT = "2026-11-28T19:40:00Z"
RECEIPT = Receipt(build_of("3.13.1+20250115"), "", Finish(), "bin/python3", 600, "ab" * 32, "2026-06-01T00:00:00Z")
DAMAGE = "its files differ from what was installed: lib/python3.13/os.py"


@pytest.mark.parametrize(
    "check",
    [
        Check(AT),
        Check(AT, DAMAGE),
        Check("2099-01-01T00:00:00Z", DAMAGE),  # the clock of whoever checked was wrong, and the damage is none the less
        Check(AT, "  two  spaces "),
    ],
)
def test_what_is_written_is_read_again(check: Check) -> None:
    assert parse_check(check_line(check, RECEIPT), RECEIPT) == check


@pytest.mark.parametrize(
    "receipt",
    [
        replace(RECEIPT, installed_at="2026-06-01T00:00:01Z"),
        replace(RECEIPT, files_sha256="cd" * 32),
        None,
    ],
)
def test_a_build_that_was_installed_anew_has_none(receipt: Receipt | None) -> None:
    assert parse_check(check_line(Check(AT, DAMAGE), RECEIPT), receipt) is None


LINE = check_line(Check(AT, DAMAGE), RECEIPT)


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "clean",
        AT,
        f"{AT} clean",
        LINE[:50],
        LINE.rpartition(" its")[0],
        LINE.replace("-11-", "-31-"),
        f" {LINE}",
        "\x00" * 9,
    ],
)
def test_no_records(line: str) -> None:
    assert parse_check(line, RECEIPT) is None


@given(st.text())
def test_any_text_is_read_or_none(text: str) -> None:
    """What is read of it commands no terminal, is on one line and has a bound."""
    for line in (text, LINE + text):
        found = parse_check(line, RECEIPT)
        assert found is None or (sanitized(found.damage) == found.damage and len(found.damage) <= LONGEST_TEXT)


def test_a_receipt_that_a_host_made_up_is_one_word_of_the_record() -> None:
    odd = replace(RECEIPT, installed_at="a b\n clean", files_sha256="\x1b[0m")
    line = check_line(Check(AT, DAMAGE), odd)
    assert line.isprintable()
    assert parse_check(line, odd) == Check(AT, DAMAGE)
