# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the text of a build's receipt. Sent beside finish.py; standard library only, Python 3.8 and later."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def json_text(value: object) -> str:
    """Return a text, number, bool, or a list or dict of them, as JSON. Importing json takes 15 ms."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').encode("utf-16-be", "surrogatepass")
        units = [escaped[at] << 8 | escaped[at + 1] for at in range(0, len(escaped), 2)]
        short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
        return '"%s"' % "".join(chr(unit) if 32 <= unit < 127 else short.get(unit, "\\u%04x" % unit) for unit in units)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join("%s: %s" % (json_text(key), json_text(value[key])) for key in sorted(value)) + "}"
    return str(value)


def receipt_text(fields: Mapping[str, object]) -> str:
    """Return a JSON object with one key a line, sorted: agents read it line by line, without a JSON parser."""
    lines = ",\n".join(" %s: %s" % (json_text(key), json_text(fields[key])) for key in sorted(fields))
    return "{\n%s\n}\n" % lines


def installed_at(moment: int | None) -> str:
    """Return the time in UTC as ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
