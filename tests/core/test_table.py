# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the command line, as golden texts for each width. ``|`` marks the width."""

from __future__ import annotations

import pytest

from standalone_python.table import Column, display_width, laid_out

FLAVOR = "install_only_stripped"
COLUMNS = (
    Column("version"),
    Column("release", priority=2),
    Column("flavor", priority=4, usual=FLAVOR, short=lambda flavor: flavor.removeprefix("install_only_")),
    Column("size", right=True, priority=3),
    Column("title", wraps=True),
)
USUAL = (
    ("3.13.4", "20250610", FLAVOR, "9.1 MB", "the newest build of this line"),
    ("3.9.1", "20210101", FLAVOR, "31.0 MB", "-"),
)
MIXED = (*USUAL, ("3.8.1", "20200101", "full", "-", "漢字 and é"))

TABLES = {
    "a pipe has every column": (
        USUAL,
        None,
        """
        version  release   flavor                    size  title
        3.13.4   20250610  install_only_stripped   9.1 MB  the newest build of this line
        3.9.1    20210101  install_only_stripped  31.0 MB  -
        """,
    ),
    "what is usual is not shown on a terminal": (
        USUAL,
        80,
        """
        version  release      size  title
        3.13.4   20250610   9.1 MB  the newest build of this line
        3.9.1    20210101  31.0 MB  -
        """,
    ),
    "a column is shortened before another is left out": (
        MIXED,
        60,
        """
        version  release   flavor       size  title
        3.13.4   20250610  stripped   9.1 MB  the newest build of
                                              this line
        3.9.1    20210101  stripped  31.0 MB  -
        3.8.1    20200101  full            -  漢字 and é
        """,
    ),
    "columns of the least importance are left out": (
        MIXED,
        44,
        """
        version  release   title
        3.13.4   20250610  the newest build of this
                           line
        3.9.1    20210101  -
        3.8.1    20200101  漢字 and é
        """,
    ),
    "what is too wide for any table is a paragraph": (
        MIXED[::2],
        26,
        """
        3.13.4
          release  20250610
          size     9.1 MB
          title    the newest
                   build of this
                   line
        3.8.1
          release  20200101
          flavor   full
          title    漢字 and é
        """,
    ),
}


@pytest.mark.parametrize(("rows", "width", "shown"), TABLES.values(), ids=TABLES)
def test_widths(rows: tuple[tuple[str, ...], ...], width: int | None, shown: str) -> None:
    lines = [line for block in laid_out(COLUMNS, rows, width) for line in block]
    assert lines == [line.removeprefix(" " * 8) for line in shown.strip("\n").splitlines()[:-1]]
    assert max(map(display_width, lines)) <= (width or 100)


def test_a_column_may_have_a_short_name() -> None:
    columns = (Column("version"), Column("x86_64-unknown-linux-gnu", short_name="x86_64-linux-gnu"))
    for width, name in ((33, columns[1].name), (32, columns[1].short_name)):
        assert next(laid_out(columns, [("3.13.4", "20250610")], width)) == [f"version  {name}"]


def test_no_width_breaks_a_word_or_loses_a_row() -> None:
    words = {word for row in MIXED for cell in row for word in cell.split()} | {"stripped"} | {column.name for column in COLUMNS}
    for width in range(1, 100):
        blocks = [*laid_out(COLUMNS, MIXED, width)]
        assert [block[0].split()[0] for block in blocks[1:]] == [row[0] for row in MIXED]
        assert {word for block in blocks for line in block for word in line.split()} <= words
