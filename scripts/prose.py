# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report forbidden phrases and long sentences: ``scripts/prose.py [FILE...]``; without arguments in every file of the table.

It reads documentation, fragments of the changelog, the first paragraphs of docstrings, and the messages of exceptions. Tables,
code and messages have no limit of length. ``scripts/prose.toml`` lists the files, the phrases and the limit.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

PROJECT = Path(__file__).resolve().parent.parent
# What ends a sentence: a mark, perhaps closing brackets or quotes, and white space.
ENDS = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bvs)[.?!][)\"'”»*_]*\s+")
LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
DIRECTIVE = re.compile(r"^:{3,}.*$", re.MULTILINE)
FIELD = re.compile(r"^:\w+", re.MULTILINE)
CODE = re.compile(r"``[^`]+``|`[^`]+`|<https?://[^>]*>")
ADMONITIONS = ("{note}", "{warning}", "{tip}", "{important}")


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, a cell of a table, a docstring's first line or a message.

    :ivar limited: whether its sentences must be short
    """

    line: int
    text: str
    limited: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """The content of prose.toml.

    :ivar phrases: pattern -> what to write in its place
    :ivar files: patterns of git
    :ivar exempt: files that are not checked
    """

    longest: int
    phrases: Mapping[re.Pattern[str], str]
    exempt: frozenset[str]
    files: tuple[str, ...]


def rules(text: str) -> Rules:
    """Return the rules that a TOML document has."""
    table = tomllib.loads(text)
    phrases = {re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.I): advice for pattern, advice in table["phrases"].items()}
    return Rules(table["longest"], phrases, frozenset(table["exempt"]), tuple(table["files"]))


def markdown(text: str) -> Iterator[Text]:
    """Return the prose of a page: paragraphs, headings and cells, without code."""
    cells = False
    for token in MarkdownIt().enable("table").parse(_without_comments(text)):
        if token.type in ("table_open", "table_close"):
            cells = token.type == "table_open"
        line = (token.map or [0])[0] + 1
        if token.type == "inline":
            yield Text(line, DIRECTIVE.sub("", _plain(token)), not cells)
        elif token.type == "fence" and token.info.startswith(ADMONITIONS):
            yield from (Text(line + one.line, one.text, one.limited) for one in markdown(token.content))


def _without_comments(text: str) -> str:
    return re.sub(r"<!--.*?-->", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)


def _plain(token: Token) -> str:
    return LINK.sub(lambda match: match[1] or "X", CODE.sub("X", token.content))


def fragment(text: str) -> Iterator[Text]:
    """Return the entries of a fragment of the changelog."""
    for entries in yaml.safe_load(text).values():
        for entry in [entries] if isinstance(entries, str) else entries:
            words = " ".join(CODE.sub("X", entry).split())
            first = " ".join(entry.split()[:2])
            line = next((number for number, one in enumerate(text.splitlines(), 1) if first in one), 1)
            yield Text(line, words)


def python(text: str) -> Iterator[Text]:
    """Return the first line of each docstring, and the texts of exceptions that are raised."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node)
            if documented and node.body:
                yield Text(node.body[0].lineno, CODE.sub("X", FIELD.split(documented, maxsplit=1)[0].split("\n\n")[0]))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for argument in node.exc.args:
                if words := _message(argument):
                    yield Text(argument.lineno, words, limited=False)


def _message(node: ast.expr) -> str:
    """Return the text of a literal, each value in it as one word."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return ""


READERS = {".md": markdown, ".yml": fragment, ".py": python}


def sentences(text: str) -> list[str]:
    return [one for one in ENDS.split(" ".join(text.split())) if one.strip()]


def length(sentence: str) -> int:
    """Return the number of words, which have a letter or a digit."""
    return sum(1 for word in sentence.split() if re.search(r"\w", word))


def problems(name: str, text: str, by: Rules) -> list[str]:
    """Return what is wrong in a file, a line each: ``file:line: problem``."""
    found = []
    for one in READERS[Path(name).suffix](text):
        words = " ".join(one.text.split())
        for pattern, advice in by.phrases.items():
            if match := pattern.search(words):
                found.append(f"{name}:{one.line}: “{match[0]}”: {advice}")
        if one.limited:
            for sentence in sentences(words):
                if (count := length(sentence)) > by.longest:
                    found.append(f"{name}:{one.line}: {count} words, the limit is {by.longest}: {sentence}")
    return found


def listed(by: Rules) -> list[str]:
    """Return the files of the project that the rules are for, by their names in git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *by.files]
    done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    return [name for name in dict.fromkeys(done.stdout.splitlines()) if name not in by.exempt and (PROJECT / name).exists()]


def main(names: Sequence[str]) -> int:
    by = rules((PROJECT / "scripts/prose.toml").read_text(encoding="utf-8"))
    found = [
        problem for name in names or listed(by) for problem in problems(name, (PROJECT / name).read_text(encoding="utf-8"), by)
    ]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
