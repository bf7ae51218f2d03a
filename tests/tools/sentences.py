# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every text for people must keep, whoever chose a part of it: no terminal obeys it, and it has an end."""

from __future__ import annotations

import unicodedata

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import LONGEST_SENTENCE

# A terminal's title, a clipboard (OSC 52), a C1 control, DEL, marks of direction, no width, a byte that is not UTF-8.
HOSTILE = "\x1b]0;title\x07 \x1b]52;c;cm0gLXJm\x1b\\ \x9b31m \x7f \u202egnp.exe\u2066 \u200b\ufeff \udcff \r."
_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200c\u200d\u2060\ufeff\xad")


def unsafe(text: str) -> list[str]:
    """Return the characters of a text that a terminal must not get."""
    return [letter for letter in text if letter in _MARKS or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]


def check(sentence: str, limit: int = LONGEST_SENTENCE) -> str:
    """Return a sentence that a terminal can be given; fail for another."""
    assert unsafe(sentence) == [], ascii(sentence)
    assert len(sentence) <= limit, len(sentence)
    return sentence
