# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SHA256SUMS files, as programs and people write them."""

from __future__ import annotations

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import from_rows, resolve
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.sums import Sums, parse_sums, rows_from_sums
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import Target
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError

MACOS = Target("darwin", "aarch64")


def test_rows_from_a_releases_checksums() -> None:
    sums = (
        f"{'A' * 64}  cpython-3.13.1+20250115-aarch64-apple-darwin-install_only.tar.gz\n"
        f"{'b' * 64} *./cpython-3.12.8+20250115-aarch64-apple-darwin-pgo+lto-full.tar.zst\n"
        "\n"
        f"{'c' * 64}  cpython-3.13.1+20250115-aarch64-apple-darwin-install_only.tar.gz.sha256\n"
        f"{'d' * 64}  PYTHON.json\r\n"
    )
    rows = rows_from_sums("20250115", sums)
    assert rows == (
        f"20250115\tcpython-3.13.1+20250115-aarch64-apple-darwin-install_only.tar.gz\t{'a' * 64}\n"
        f"20250115\tcpython-3.12.8+20250115-aarch64-apple-darwin-pgo+lto-full.tar.zst\t{'b' * 64}\n"
    )
    catalogue = from_rows("the folder mirror", rows)
    assert catalogue.minors == ("3.13", "3.12")
    assert resolve(parse_request("3.13"), MACOS, catalogue).sha256 == "a" * 64


LISTED = "cpython-3.13.1+20250115-aarch64-apple-darwin-install_only.tar.gz"
QUOTED = LISTED.replace("+", "%2B")
HEX = "A" * 64


@pytest.mark.parametrize(
    "line",
    [
        f"{HEX}  {LISTED}",
        f"{HEX} {LISTED}",
        f"{HEX} *{LISTED}",
        f"{HEX}  ./{LISTED}",
        f"{HEX} *./{LISTED}",
        f"{HEX}  20250115/{LISTED}",
        f"{HEX}  /srv/pbs/20250115/{LISTED}",
        f"{HEX}  {QUOTED}",
        f"{HEX}  ./20250115/{QUOTED}",
        f"{HEX}\t{LISTED}",
        f"  {HEX}   {LISTED}  ",
        f"{HEX.lower()}  {LISTED}",
        f"sha256:{HEX}  {LISTED}",
        f"SHA256: {HEX} {LISTED}",
        f"SHA256 ({LISTED}) = {HEX}",
        f"SHA2-256(./{LISTED})= {HEX}",
        f".\\{LISTED}".join((f"{HEX}  ", "")),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", ""])
def test_checksums_as_people_write_them(line: str, ends: str) -> None:
    text = f"\ufeff# of today{ends or chr(10)}{ends or chr(10)}{line}{ends}"
    assert parse_sums(text, "20250115") == Sums({LISTED: "a" * 64}, ())
    assert rows_from_sums("20250115", text) == f"20250115\t{LISTED}\t{'a' * 64}\n"


def test_checksums_of_another_release_are_left_out() -> None:
    assert parse_sums(f"{HEX}  20250114/{LISTED}\n{'b' * 64}  ./{LISTED}", "20250115").known == {LISTED: "b" * 64}


def test_two_checksums_for_a_build_are_an_error() -> None:
    with pytest.raises(ContentError, match="has two checksums for cpython-3.13.1"):
        parse_sums(f"{HEX}  {LISTED}\n{'b' * 64}  ./{QUOTED}")
    assert parse_sums(f"{HEX}  {LISTED}\n{HEX.lower()} *{LISTED}\n{HEX}  a/notes\n{'b' * 64}  b/notes").unread == ()


@pytest.mark.parametrize(
    "line", [f"{LISTED}: {HEX}", f"{HEX[:-1]}  {LISTED}", f"{HEX}{LISTED}", HEX, f"{HEX}  folder/", "\x1b[31m", "<html>"]
)
def test_lines_that_are_no_checksums_are_quoted(line: str) -> None:
    sums = parse_sums(f"{line}\n{'b' * 64}  {LISTED}\n{'x' * 5000}")
    assert sums.known == {LISTED: "b" * 64}
    assert [len(quoted) <= 120 and quoted.isprintable() for quoted in sums.unread] == [True, True]


@pytest.mark.parametrize(
    ("tag", "text", "message"),
    [
        (
            "20250115",
            "<!DOCTYPE html>\n<html>",
            "SHA256SUMS of release 20250115 has a line without a checksum and a file name: '<!DOCTYPE html>'",
        ),
        ("latest", "", "'latest' is not a release: releases are named by their date, such as 20250115"),
    ],
)
def test_checksums_that_are_none(tag: str, text: str, message: str) -> None:
    with pytest.raises(ContentError) as caught:
        rows_from_sums(tag, text)
    assert str(caught.value) == message
