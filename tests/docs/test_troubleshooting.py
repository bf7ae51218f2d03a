# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each message that docs/troubleshooting.md quotes is one that the code can say, and its index has every failure of an agent. What its
symptoms name exists: options, commands, results."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import click
import pytest
import yaml

from ansible_collections.standalone.python.plugins.modules import interpreters_info
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import OPTIONS, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.failures import FAILURES
from standalone_python import cli
from tests.tools.pages import COLLECTION, REPOSITORY

PAGE = (REPOSITORY / "docs/troubleshooting.md").read_text()
# A cell may quote several messages.
QUOTED = [text for cell in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for text in re.findall(r"`([^`]+)`", cell)]
SYMPTOMS = PAGE.partition("\n## By symptom\n")[2].partition("\n## ")[0]


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


# Their sentence is only what the host said.
BARE = {code for code, sentence in FAILURES.items() if sentence == "{detail}"}


@pytest.mark.parametrize("code", sorted(set(FAILURES) - BARE))
def test_the_index_has_each_failure_of_an_agent(code: str) -> None:
    sentence = re.sub(r"\{\w+\}", "…", FAILURES[code])
    assert any(re.search(pieces(message), sentence) for message in QUOTED if len(message.strip("… ")) > 10), sentence


def test_only_the_hosts_own_words_need_no_entry() -> None:
    assert {"io", "unpack"} == BARE


def test_what_the_symptoms_name_exists() -> None:
    """Declarations are valid, commands exist, and the names of options and results are the module's."""
    names = set(re.findall(r"`([^`]+)`", SYMPTOMS))
    declared = {name for name in names if re.fullmatch(r"[a-z_]+: \S+", name)} - {"default: true"}
    assert len(declared) > 4
    for text in declared:
        declare({"builds": ["3.13"], "root": "/opt/python", **yaml.safe_load(text)})
    for command in (name.split()[1:] for name in names if name.startswith("standalone-python ")):
        cli.group.resolve_command(click.Context(cli.group), command)
    results = yaml.safe_load(interpreters_info.RETURN)
    underscored = {name for name in names if re.fullmatch("[a-z]+(_[a-z]+)+", name)} - {"ansible_python_interpreter"}
    assert underscored <= {*OPTIONS, *results}
    assert len(underscored) > 3


def test_there_are_messages_and_a_made_up_one_is_noticed() -> None:
    assert len(QUOTED) > 20
    with pytest.raises(AssertionError):
        test_the_code_says_it("the host … is on fire: call …")
