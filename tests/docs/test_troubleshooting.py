# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each message that docs/troubleshooting.md quotes is one that the code can say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.tools.pages import COLLECTION, REPOSITORY

PAGE = (REPOSITORY / "docs/troubleshooting.md").read_text()
QUOTED = re.findall(r"^\| `([^`]+)`", PAGE, re.MULTILINE)


def sentences() -> Iterator[str]:
    """Every text in the code, with an ellipsis for what is put into it."""
    folders = (REPOSITORY / COLLECTION / "plugins/plugin_utils", REPOSITORY / "standalone_python")
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w+\}", "…", node.value)


SENTENCES = set(sentences())


def pieces(message: str) -> str:
    """A pattern: what stands before, between and after ellipses; in the code there may be one more at either end."""
    return ".*".join(re.escape(piece) for piece in message.strip("…").split("…"))


@pytest.mark.parametrize("message", QUOTED)
def test_the_code_says_it(message: str) -> None:
    pattern = re.compile(pieces(message), re.DOTALL)
    assert any(pattern.search(sentence) for sentence in SENTENCES), f"no sentence of the code is like it: {message}"


def test_there_are_messages_and_a_made_up_one_is_noticed() -> None:
    assert len(QUOTED) > 20
    with pytest.raises(AssertionError):
        test_the_code_says_it("the host … is on fire: call …")
