# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows as code, as a Markdown parser reads it: files to write and commands to run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections/standalone/python"
# What a reader neither writes nor runs: drawings, and what Sphinx is told.
COMMENT = re.compile(r"  +# .*")
NOT_CODE = re.compile(r"text$|\{")
# A directive in colons, such as a tab; a parser of Markdown takes its first and last line for text.
OPENS = re.compile(r":{3,}\{(\S+)\} *(.*)")
CLOSES = re.compile(r":{3,}")
TABS = {"Ansible": "ansible", "pyinfra": "pyinfra", "Command line": "command-line"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A block of code, or one line of an indented block, which is a command, without the remark after it.

    :ivar name: of the file that it is, as its first line says; empty for a command
    :ivar text: without that line
    :ivar tab: the front end whose tab it is in; empty outside of tabs
    """

    page: str
    line: int
    name: str
    text: str
    tab: str = ""


def pages() -> list[str]:
    listed = [path.relative_to(REPOSITORY).as_posix() for path in sorted(REPOSITORY.glob("docs/**/*.md"))]
    return ["README.md", "CONTRIBUTING.md", f"{COLLECTION}/README.md", f"{COLLECTION}/roles/interpreters/README.md", *listed]


def tokens(text: str) -> Iterator[tuple[Token, str]]:
    """Yield the tokens of a page, each with the name of the tab that it is in."""
    opened: list[str] = []
    for token in MarkdownIt().parse(text):
        for line in token.content.splitlines() if token.type == "inline" else ():
            if start := OPENS.fullmatch(line):
                opened.append(start[2] if start[1] == "tab-item" else "")
            elif CLOSES.fullmatch(line):
                opened.pop()
        yield token, next(filter(None, reversed(opened)), "")


def read(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def shown(page: str, tab: str | None = None) -> list[Shown]:
    """All code of a page, in its order; with ``tab`` only the code outside of tabs and in those of that front end."""
    return [one for one in code(page, read(page)) if tab is None or one.tab in ("", tab)]


def code(page: str, text: str) -> list[Shown]:
    """All code in the text of a page."""
    found: list[Shown] = []
    for token, tab in tokens(text):
        first = (token.map or [0])[0] + 1
        if token.type == "code_block":
            lines = enumerate(token.content.splitlines(), first)
            found += [Shown(page, number, "", COMMENT.sub("", line).strip(), tab) for number, line in lines if line.strip()]
        elif token.type == "fence" and not NOT_CODE.match(token.info):
            name, _, content = token.content.partition("\n")
            named = re.fullmatch(r"# (\S+\.\w+)", name)
            found.append(Shown(page, first, named[1] if named else "", content if named else token.content, tab))
    return found


def directives(page: str) -> list[str]:
    """Return the directives of a page that are fenced by backticks, each with its argument."""
    fences = [token for token, _tab in tokens(read(page)) if token.type == "fence"]
    return [fence.info for fence in fences if fence.info.startswith("{") and fence.markup[0] == "`"]


def outputs(page: str) -> list[str]:
    """The lines of a page's blocks of text, which show what commands print; not the commands in them, nor empty lines."""
    blocks = [token.content for token, _tab in tokens(read(page)) if token.type == "fence" and token.info == "text"]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("$ ")]


def files(page: str, tab: str | None = None) -> Mapping[str, str]:
    return {one.name: one.text for one in shown(page, tab) if one.name}


def commands(page: str, tab: str | None = None) -> list[str]:
    listed = shown(page, tab)
    fenced = {one.text for one in listed if one.name}
    return [one.text for one in listed if not one.name and one.text not in fenced and "\n" not in one.text]


def tried(page: str, *tabs: str) -> list[str]:
    """What a module tries that tries all code of a page, but of tabs only these."""
    return [one.text for one in shown(page) if one.tab in ("", *tabs) and (one.name or "\n" not in one.text)]
