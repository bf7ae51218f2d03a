# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows as code, as a Markdown parser reads it: files to write and commands to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections/standalone/python"
# What a reader neither writes nor runs: drawings, and what Sphinx is told.
COMMENT = re.compile(r"  +# .*")
NOT_CODE = re.compile(r"text$|\{")


@dataclass(frozen=True, slots=True)
class Shown:
    """A block of code, or one line of an indented block, which is a command, without the remark after it.

    :ivar name: of the file that it is, as its first line says; empty for a command
    :ivar text: without that line
    """

    page: str
    line: int
    name: str
    text: str


def pages() -> list[str]:
    listed = [path.relative_to(REPOSITORY).as_posix() for path in sorted(REPOSITORY.glob("docs/**/*.md"))]
    return ["README.md", "CONTRIBUTING.md", f"{COLLECTION}/README.md", f"{COLLECTION}/roles/interpreters/README.md", *listed]


def shown(page: str) -> list[Shown]:
    """All code of a page, in its order."""
    found: list[Shown] = []
    for token in MarkdownIt().parse((REPOSITORY / page).read_text(encoding="utf-8")):
        first = (token.map or [0])[0] + 1
        if token.type == "code_block":
            lines = enumerate(token.content.splitlines(), first)
            found += [Shown(page, number, "", COMMENT.sub("", line).strip()) for number, line in lines if line.strip()]
        elif token.type == "fence" and not NOT_CODE.match(token.info):
            name, _, text = token.content.partition("\n")
            named = re.fullmatch(r"# (\S+\.\w+)", name)
            found.append(Shown(page, first, named[1] if named else "", text if named else token.content))
    return found


def directives(page: str) -> list[str]:
    """Return the directives of a page that are fenced by backticks, each with its argument."""
    tokens = MarkdownIt().parse((REPOSITORY / page).read_text(encoding="utf-8"))
    return [token.info for token in tokens if token.type == "fence" and token.info.startswith("{") and token.markup[0] == "`"]


def outputs(page: str) -> list[str]:
    """The lines of a page's blocks of text, which show what commands print; not the commands in them, nor empty lines."""
    tokens = MarkdownIt().parse((REPOSITORY / page).read_text(encoding="utf-8"))
    blocks = [token.content for token in tokens if token.type == "fence" and token.info == "text"]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("$ ")]


def files(page: str) -> Mapping[str, str]:
    return {one.name: one.text for one in shown(page) if one.name}


def commands(page: str) -> list[str]:
    fenced = files(page).values()
    return [one.text for one in shown(page) if not one.name and one.text not in fenced and "\n" not in one.text]
