# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The linter for prose finds what its table forbids, in prose only."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from tests.tools.playbook import REPOSITORY

_spec = importlib.util.spec_from_file_location("prose", REPOSITORY / "scripts/prose.py")
assert _spec
assert _spec.loader
prose = importlib.util.module_from_spec(_spec)
sys.modules["prose"] = prose
_spec.loader.exec_module(prose)

TABLE = (REPOSITORY / "scripts/prose.toml").read_text()
RULES = prose.rules(TABLE)
LONG = " ".join(["word"] * 31)

# One sentence for each phrase of the table, in its order.
FORBIDDEN = (
    "A host shall have 3.13.",
    "Build is no option.",
    "The agent is told the root.",
    "The age is said.",
    "The kind is found out.",
    "The server has to be asked.",
    "It keeps them as declared.",
    "It repairs what is there.",
    "It uses the shell that is there.",
    "The folder isn't there.",
    "The number stands in the file.",
    "A stub stands in for it.",
    "Use the builtin where there is none.",
    "It removes a build of ours.",
    "Files that aren't ours stay.",
    "No build is meant by it.",
    "A user who isn't root gets the files.",
    "It stops. Who reads it may stop too.",
    "It changes nothing for who uses it.",
    "It names the user whom it becomes.",
    "Sign the file anew.",
    "It names the folder from where it came.",
    "It removes what the file has no more.",
    "Nobody has said it.",
    "It asks on condition of a change.",
)
ALLOWED = (
    "There is no release for it.",
    "It is no longer used.",
    "A user who can write there can change it.",
    "Who can do what?",
    "A file stands in the way.",
    "It fails, as it is not declared.",
)


def test_each_phrase_is_found_once_and_only_in_its_sentence() -> None:
    assert len(FORBIDDEN) == len(RULES.phrases)
    for (pattern, advice), sentence in zip(RULES.phrases.items(), FORBIDDEN, strict=True):
        found = prose.problems("x.md", sentence, RULES)
        assert any(one.endswith(f": {advice}") for one in found), f"{pattern.pattern} does not find: {sentence}"
    for sentence in ALLOWED:
        assert prose.problems("x.md", sentence, RULES) == []


# What a page has -> the lines where a sentence is too long.
LENGTHS = {
    f"{LONG}.": [1],
    f"Short.\n\n{LONG}\n": [3],
    f"Short. {LONG[5:]}. Short.\n": [],
    "A long list with `many words of code in one span that would be too long otherwise if each of them were counted` here is short.": [],
    f"- Short\n- {LONG}\n": [2],
    f"# {LONG}\n": [1],
    f"| a | b |\n|---|---|\n| {LONG} | x |\n": [],
    f"```text\n{LONG}\n```\n\n    {LONG}\n": [],
    f"<!-- {LONG} -->\n\n{LONG}\n": [3],
    f":::{{tab-item}} Ansible\n{LONG}\n:::\n": [1],
    f"```{{note}}\n{LONG}\n```\n": [2],
    f"[{LONG}](x.md) and [](a-very-long/address.md)": [1],
    f"{' '.join(['word'] * 15)}: {' '.join(['word'] * 16)}": [1],
}


@pytest.mark.parametrize(("text", "lines"), LENGTHS.items())
def test_long_sentences(text: str, lines: list[int]) -> None:
    found = prose.problems("x.md", text, RULES)
    assert [int(one.split(":")[1]) for one in found] == lines
    assert all(" words, the limit is 30: " in one for one in found)


def test_tables_and_code_have_no_limit_and_cells_have_words() -> None:
    assert prose.problems("x.md", "| a |\n|---|\n| sign it anew |\n", RULES) == ["x.md:3: “anew”: write “again”"]
    assert prose.problems("x.md", "`anew` and\n\n    anew\n", RULES) == []


def test_docstrings_and_messages() -> None:
    text = f'''"""Sign it anew.

Anew is not looked at here.
"""
class A:
    """:ivar anew: {LONG}"""
def f(x):
    """{LONG}

    :param anew: x
    """
    raise ValueError(f"{{x}} is no option: {LONG}")
'''
    assert [one.split(": ")[0:2] for one in prose.problems("x.py", text, RULES)] == [
        ["x.py:1", "“anew”"],
        ["x.py:8", "31 words, the limit is 30"],
        ["x.py:12", "“is no”"],
    ]


def test_fragments_of_the_changelog() -> None:
    text = f"---\nminor_changes:\n  - >-\n    Short ``anew``.\n  - It shall work.\nbugfixes:\n  - {LONG}\n"
    found = prose.problems("x.yml", text, RULES)
    assert [one.split(": ")[0:2] for one in found] == [["x.yml:5", "“shall”"], ["x.yml:7", "31 words, the limit is 30"]]


def test_every_page_is_read() -> None:
    listed = prose.listed(RULES)
    assert {"README.md", "SECURITY.md", "docs/index.md", "docs/decisions/0001-pure-plan.md", "standalone_python/cli.py"} <= set(
        listed
    )
    assert not RULES.exempt & set(listed)
