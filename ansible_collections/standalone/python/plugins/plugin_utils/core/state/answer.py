# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent prints, as pairs: ``key=value`` lines between two sentinels, or ``key*=`` with the value in base64.

What stands outside them (banners, a login shell's greetings) is ignored. No I/O.

Before it changes a POSIX host, and while it does, ``apply.sh`` prints lines of two other keys: ``doing=`` with what takes long
from now on, such as ``unpacking cpython-...``, and ``done=`` with the number of a step of the plan that is done, the first is 1.
A front end may read them as they come (:func:`while_running`). A result never depends on them. ``apply.ps1`` prints none.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from ..digits import whole_number
from ..errors import LONGEST_TEXT, ObservationError, sanitized

BEGIN = "== standalone-python observation 1 =="
END = "== standalone-python observation end =="
UNFINISHED = "== standalone-python observation unfinished =="
FAILURE_BEGIN = "== standalone-python failure 1 =="
FAILURE_END = "== standalone-python failure end =="
DOING, DONE = "doing", "done"


def pairs(text: str, begin: str, end: str) -> Iterator[tuple[str, str]]:
    lines = text.replace("\r\n", "\n").split("\n")
    try:
        first = lines.index(begin) + 1
        last = lines.index(end, first)
    except ValueError:
        others = " ".join(word for line in lines if while_running(line) is None for word in line.split())
        doing = [what for line in lines if isinstance(what := while_running(line), str)]
        said = sanitized(others[-LONGEST_TEXT:]) or "nothing at all"
        raise ObservationError(
            f"the host's answer can't be read: instead of an observation of its interpreters it gave {said}"
            f"{f' while it was {doing[-1]}' if doing else ''}; "
            "see that its shell is a POSIX sh, or PowerShell on Windows, and that nothing ends it early"
        ) from None
    for line in lines[first:last]:
        key, separator, value = line.partition("=")
        if not separator:
            raise ObservationError(f"the host's answer can't be read: {quoted(line)} is not a key=value line")
        if key.endswith("*"):
            key, value = key[:-1], _decoded(value)
        yield key, value


def while_running(line: str) -> str | int | None:
    """Return what an agent begins, in words, or the number of the step that it has done; None if the line says neither."""
    key, _separator, value = line.rstrip("\r").partition("=")
    if key == DOING and value:
        return sanitized(value)
    return whole_number(value) if key == DONE else None


def quoted(text: str) -> str:
    return sanitized(repr(text))


def _decoded(value: str) -> str:
    try:
        return binascii.a2b_base64(value, strict_mode=True).decode("utf-8")
    except ValueError:
        raise ObservationError(f"the host's answer can't be read: {quoted(value)} is not base64") from None
