# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables as lines of text. They fit a terminal by leaving out columns; without a width they have all columns. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ansible_collections.standalone.python.plugins.plugin_utils.core.lazy import lazy_dataclass

_GAP = "  "
_NARROWEST = 20  # cells of the terminal for a column that wraps


@lazy_dataclass(frozen=True)
class Column:
    """A column of a table.

    :ivar right: align its cells right
    :ivar priority: 0 is always shown; where a table is too wide, the column with the highest number is left out first
    :ivar short: returns the short form of a cell, for tables that are too wide
    :ivar short_name: the short form of the name, if it has one
    :ivar usual: what most cells have; a terminal does not show a column in which every cell is that, empty or a dash
    :ivar wraps: its cells may continue on the next line, between words; for at most one column of a table
    """

    name: str
    right: bool = False
    priority: int = 0
    short: Callable[[str], str] | None = None
    usual: str = ""
    wraps: bool = False
    short_name: str = ""


@lazy_dataclass(frozen=True)
class _Shown:
    """A column with its cells; the first cell is the heading."""

    column: Column
    cells: tuple[str, ...]

    @property
    def whole(self) -> int:
        return max(map(display_width, self.cells))

    @property
    def least(self) -> int:
        """The width without which the column can't be read."""
        if not self.column.wraps:
            return self.whole
        words = (display_width(word) for cell in self.cells for word in cell.split())
        return max(min(self.whole, _NARROWEST), *words, 0)

    def shortened(self) -> _Shown:
        name, *cells = self.cells
        short = self.column.short
        return _Shown(self.column, (self.column.short_name or name, *(map(short, cells) if short else cells)))


def laid_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[list[str]]:
    """Yield the lines of the heading, then those of each row.

    Where even the columns that are always shown don't fit, each row is a paragraph with all cells, and the heading has no line.

    :param width: of the terminal; None where lines may have any length
    """
    shown = [_Shown(column, (column.name, *cells)) for column, cells in zip(columns, zip(*rows, strict=True), strict=True)]
    fitting = shown if width is None else _fitting(shown, width)
    if fitting is None:
        yield []
        for row in rows:
            yield _paragraph(columns, row, width or 0)
        return
    widths = [one.whole for one in fitting]
    if width is not None:
        rest = width - sum(widths) - len(_GAP) * (len(widths) - 1)
        widths = [size + rest if one.column.wraps and rest < 0 else size for one, size in zip(fitting, widths, strict=True)]
    for cells in zip(*(one.cells for one in fitting), strict=True):
        parts = [
            wrapped(cell, size) if one.column.wraps and width is not None else [cell]
            for one, cell, size in zip(fitting, cells, widths, strict=True)
        ]
        depth = max(map(len, parts))
        yield [
            _GAP.join(
                _padded(part[at] if at < len(part) else "", size, one.column.right)
                for one, part, size in zip(fitting, parts, widths, strict=True)
            ).rstrip()
            for at in range(depth)
        ]


def display_width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text as lines of at most ``width``, broken between words only.

    :param indent: of the second line and all others
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if not lines[-1] or display_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(indent + word)
    return lines


def _fitting(shown: Sequence[_Shown], width: int) -> list[_Shown] | None:
    """Return the columns that fit; None if those that are always shown don't."""
    kept = [one for one in shown if not one.column.priority or not set(one.cells[1:]) <= {"", "-", one.column.usual}]

    def fits() -> bool:
        return sum(one.least for one in kept) + len(_GAP) * (len(kept) - 1) <= width

    by_priority = sorted(kept, key=lambda one: one.column.priority, reverse=True)
    for one in by_priority:
        if not fits():
            kept[kept.index(one)] = one.shortened()
    for one in by_priority:
        if one.column.priority and not fits():
            kept = [other for other in kept if other.column is not one.column]
    return kept if fits() else None


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - display_width(cell))
    return space + cell if right else cell + space


def _paragraph(columns: Sequence[Column], row: Sequence[str], width: int) -> list[str]:
    """Return a row as its first cell and a line for each other cell, with its heading."""
    first, *rest = ((column, cell) for column, cell in zip(columns, row, strict=True) if cell not in ("", "-", column.usual))
    margin = max((display_width(column.name) for column, _cell in rest), default=0) + len(_GAP)
    lines = [first[1]]
    for column, cell in rest:
        head, *more = wrapped(cell, width - margin - len(_GAP)) if column.wraps else [cell]
        lines.append(f"{_GAP}{_padded(column.name, margin, right=False)}{head}")
        lines += [" " * (len(_GAP) + margin) + part for part in more]
    return lines
