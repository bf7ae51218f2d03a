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

from .console import CONSOLE
from .table import Column, display_width, laid_out, wrapped

# Verb of a step -> its colour.
_COLOURS = {
    **dict.fromkeys(("install", "installed", "upgrade", "upgraded", "download", "downloaded"), "green"),
    **dict.fromkeys(("downgrade", "downgraded", "repair", "repaired", "reinstall", "reinstalled", "clear", "cleared"), "yellow"),
    **dict.fromkeys(("confirm", "confirmed", "link", "linked"), "cyan"),
    **dict.fromkeys(("remove", "removed"), "red"),
}

MENTIONED = 0.1  # seconds: what takes less has no time
_USUAL_WIDTH = 80  # of a terminal that doesn't say


def on_terminal() -> bool:
    """Return whether standard output is a terminal that wants colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Return the columns of the terminal that shows standard output; None where no terminal does."""
    if not sys.stdout.isatty():
        return None
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH


def short_mark(words: str) -> str:
    """Return the mark of a build for a narrow table, such as ``1 crit, eol``."""
    return words.replace("critical", "crit").replace("medium", "med").replace("end of life", "eol")


def short_flavor(flavor: str) -> str:
    return flavor.removeprefix("install_only_")


def line(text: str, *, err: bool = False, colour: str | None = None) -> None:
    """Print one line, on a terminal in a colour. Parts of it come from hosts and mirrors, so control characters are escaped."""
    text = sanitized(text, None)
    CONSOLE.clear()
    click.echo(click.style(text, fg=colour) if colour and on_terminal() else text, err=err)


def data(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def tell_remarks(texts: Iterable[str]) -> None:
    """Print remarks, each once, to standard error, because a program may read the result from standard output."""
    for text in dict.fromkeys(texts if not CONSOLE.quiet else ()):
        line(f"standalone-python: {text}", err=True)


def step(text: str) -> None:
    """Print a step of a plan, such as ``Would install ...`` or ``Installed ...``. On a terminal its verb has a colour."""
    first, *more = _fitted(text)
    verb = next((word for word in first.split() if word.lower() in _COLOURS), "")
    if verb and on_terminal():
        first = first.replace(verb, click.style(verb, fg=_COLOURS[verb.lower()]), 1)
    CONSOLE.clear()
    for part in (first, *more):
        click.echo(part)


def paragraph(text: str) -> None:
    """Print a text, on a terminal in lines that fit."""
    for part in _fitted(text):
        line(part)


def _fitted(text: str) -> list[str]:
    text, width = sanitized(text, None), terminal_width()
    if width is None or display_width(text) <= width:
        return [text]
    margin = " " * (len(text) - len(text.lstrip(" ")))
    return [margin + part for part in wrapped(text, width - len(margin), indent="  ")]


def duration(seconds: float) -> str:
    """Return a time in words, such as ``2.1 s`` or ``1 min 5 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def size(number: float) -> str:
    """Return a number of bytes for people, in powers of 1000 as the options take it."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if number >= 99.5 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def within(seconds: float) -> str:
    """Return how long something took, as the end of a sentence; nothing if it is not worth mentioning."""
    return f" in {duration(seconds)}" if seconds >= MENTIONED else ""


def diff(before: str, after: str, where: str) -> None:
    from difflib import unified_diff

    for text in unified_diff(before.splitlines(), after.splitlines(), f"before: {where}", f"after: {where}", lineterm="", n=0):
        line(text, colour={"+": "green", "-": "red"}.get(text[:1]))


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], colours: Sequence[str | None] = ()) -> None:
    """Print a table. On a terminal it fits; elsewhere it has all columns, for grep.

    :param colours: of the rows, on a terminal
    """
    rows = [[sanitized(cell) for cell in row] for row in rows]
    if not rows:
        return
    head, *blocks = laid_out(columns, rows, terminal_width())
    for text in head:
        click.echo(click.style(text, bold=True) if on_terminal() else text)
    for at, block in enumerate(blocks):
        for text in block:
            click.echo(click.style(text, fg=colours[at]) if at < len(colours) and on_terminal() else text)
