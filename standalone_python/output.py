# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of commands: tables and colour for a terminal, plain columns for a pipe, JSON for a program."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import sanitized

# First word of a step -> its colour.
_COLOURS = {
    "install": "green",
    "upgrade": "green",
    "downgrade": "yellow",
    "repair": "yellow",
    "reinstall": "yellow",
    "confirm": "cyan",
    "link": "cyan",
    "clear": "yellow",
    "remove": "red",
}


def on_terminal() -> bool:
    """Return whether standard output is a terminal that wants colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def line(text: str, *, err: bool = False, colour: str | None = None) -> None:
    """Print one line, on a terminal in a colour. Parts of it come from hosts and mirrors, so control characters are escaped."""
    text = sanitized(text, None)
    click.echo(click.style(text, fg=colour) if colour and on_terminal() else text, err=err)


def data(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def tell_remarks(texts: Iterable[str]) -> None:
    """Print remarks, each once, to standard error, because a program may read the result from standard output."""
    for text in dict.fromkeys(texts):
        line(f"standalone-python: {text}", err=True)


def steps(lines: Iterable[str]) -> None:
    """Print the steps of a plan, one per line, each with its verb first."""
    for step in lines:
        verb, space, rest = sanitized(step, None).partition(" ")
        click.echo((click.style(verb, fg=_COLOURS.get(verb)) if on_terminal() else verb) + space + rest)


def diff(before: str, after: str, where: str) -> None:
    from difflib import unified_diff

    for text in unified_diff(before.splitlines(), after.splitlines(), f"before: {where}", f"after: {where}", lineterm="", n=0):
        line(text, colour={"+": "green", "-": "red"}.get(text[:1]))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = (), right: Sequence[str] = ()) -> None:
    """Print a table.

    :param marked: rows to highlight on a terminal
    :param right: names of the columns to align right
    """
    rows = [[sanitized(cell) for cell in row] for row in rows]
    if on_terminal():
        _rich_table(head, rows, marked, right)
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width) for cell, width, name in zip(row, widths, head, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _rich_table(head: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool], right: Sequence[str]) -> None:
    # Imported here, because the import takes longer than the rest of a command.
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in head:
        shown.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for number, row in enumerate(rows):
        shown.add_row(*row, style="bold green" if number < len(marked) and marked[number] else None)
    # File names must not be read as markup or emoji.
    Console(markup=False, emoji=False, highlight=False).print(shown)
