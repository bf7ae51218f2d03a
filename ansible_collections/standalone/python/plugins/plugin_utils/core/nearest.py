# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong words: the nearest valid word for one that is not valid, and a key that is given twice.

``difflib`` is imported only for such an answer, so a run without an error doesn't pay for it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Place = TypeVar("Place")

# The letters of a word that are compared, as difflib's time grows with their square.
_LONGEST = 60
# As in difflib: 0.6 takes `version` for `verify`.
_CUTOFF = 0.65
# Shorter words are parts of too many others.
_SHORTEST_PART = 6


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return the valid word that is nearest to ``word``; empty if none is near."""
    from difflib import get_close_matches

    folded: dict[str, str] = {}
    for one in valid:
        folded.setdefault(_folded(one), one)
    wanted = _folded(word)
    if near := get_close_matches(wanted, folded, 1, _CUTOFF):
        return folded[near[0]]
    around = [one for name, one in folded.items() if len(wanted) >= _SHORTEST_PART and wanted in name]
    return around[0] if len(around) == 1 else ""


def did_you_mean(word: str, valid: Collection[str]) -> str:
    """Return the advice for a word that is not valid: ``did you mean `builds`?``, or the valid words if none is near."""
    near = nearest(word, valid)
    return f"did you mean `{near}`?" if near else f"choose one of {', '.join(valid)}" if valid else "none exists"


def unknown(kind: str, word: str, valid: Collection[str], of: str = "") -> str:
    """Return the whole sentence: ``unknown option `build`: did you mean `builds`?``.

    :param kind: such as ``option``
    :param of: what has the word, such as ``3.13``; the sentence names it if it is not empty
    """
    return f"unknown {kind} `{word}`{f' of {of}' if of else ''}: {did_you_mean(word, valid)}"


def repeated(pairs: Iterable[tuple[Key, Place]]) -> tuple[Key, Place, Place] | None:
    """Return the first key that occurs twice, with both places. A reviewer may see one of them, and a parser takes the other."""
    first: dict[Key, Place] = {}
    for key, place in pairs:
        if key in first:
            return key, first[key], place
        first[key] = place
    return None


def repeated_in_json(text: str) -> tuple[str, int, int] | None:
    """Return the first key that an object of a JSON text has twice, with the lines of both. The text is valid up to there."""
    import json
    import re

    objects: list[list[tuple[str, int]]] = []
    line = 1
    for token in re.finditer(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}\n]', text):
        if token[0] == "\n":
            line += 1
        elif token[0] == "{":
            objects.append([])
        elif token[0] == "}":
            if twice := repeated(objects.pop()):
                return twice
        elif token[2]:
            objects[-1].append((json.loads(token[1]), line))
            line += token[2].count("\n")
    return None


def lines(first: int, second: int) -> str:
    """Return two lines in words."""
    return f"line {first}" if first == second else f"lines {first} and {second}"


def _folded(word: str) -> str:
    return word[:_LONGEST].casefold().replace("-", "_")
