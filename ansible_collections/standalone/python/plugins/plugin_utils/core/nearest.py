# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to a word that is not valid: the nearest valid word, or the list of all.

``difflib`` is imported only for such an answer, so a run without an error doesn't pay for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

# The letters of a word that are compared, as difflib's time grows with their square.
_LONGEST = 60
# Shorter words are parts of too many others.
_SHORTEST_PART = 6


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return the valid word that is nearest to ``word``; empty if none is near."""
    from difflib import get_close_matches

    folded: dict[str, str] = {}
    for one in valid:
        folded.setdefault(_folded(one), one)
    wanted = _folded(word)
    if near := get_close_matches(wanted, folded, 1):
        return folded[near[0]]
    around = [one for name, one in folded.items() if len(wanted) >= _SHORTEST_PART and wanted in name]
    return around[0] if len(around) == 1 else ""


def did_you_mean(word: str, valid: Collection[str]) -> str:
    """Return the advice for a word that is not valid: ``did you mean `builds`?``, or the valid words if none is near."""
    near = nearest(word, valid)
    return f"did you mean `{near}`?" if near else f"choose one of {', '.join(valid)}"


def unknown(kind: str, word: str, valid: Collection[str], of: str = "") -> str:
    """Return the whole sentence: ``unknown option `build`: did you mean `builds`?``.

    :param kind: such as ``option``
    :param of: what has the word, such as ``3.13``; the sentence names it if it is not empty
    """
    return f"unknown {kind} `{word}`{f' of {of}' if of else ''}: {did_you_mean(word, valid)}"


def _folded(word: str) -> str:
    return word[:_LONGEST].casefold().replace("-", "_")
