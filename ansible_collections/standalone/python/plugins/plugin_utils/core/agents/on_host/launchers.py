# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces the interpreter's path in scripts and launchers. Pure: bytes to bytes.

Sent beside carry.py; standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os

# Linux 2.6 takes so many bytes as the first line of a script; newer kernels take 255.
LONGEST_FIRST_LINE = 127
# Windows' launchers: a program, the first line of a script, and a zip archive with the script itself.
END_OF_ZIP = b"PK\x05\x06"


def patch_head(head: bytes, was: str, final: str) -> bytes:
    """Replace the interpreter's path in the first line of a script, or in the second after /bin/sh."""
    old, new = (os.fsencode(path) + b"/" for path in (was, final))
    first, newline, rest = head.partition(b"\n")
    if not first.startswith(b"#!"):
        return head
    if old in first:
        fresh = first.replace(old, new)
        if len(fresh) > LONGEST_FIRST_LINE >= len(first):
            return b"#!/bin/sh\n'''exec' %s \"$0\" \"$@\"\n' '''\n" % fresh[2:].strip() + rest
        return fresh + newline + rest
    second, newline2, more = rest.partition(b"\n")
    if second.startswith(b"'''exec' ") and old in second:
        return first + newline + second.replace(old, new) + newline2 + more
    return head


def patch_launcher(program: bytes, was: str, final: str) -> bytes:
    """Replace the interpreter's path in a launcher of Windows; empty if it contains the path and is not a launcher of pip."""
    old, new = (path.rstrip("\\").encode() + b"\\" for path in (was, final))
    if old.lower() not in program.lower():
        return program
    end = program.rfind(END_OF_ZIP)
    sizes = program[end + 12 : end + 20]
    begin = end - int.from_bytes(sizes[:4], "little") - int.from_bytes(sizes[4:], "little")
    line = program.rfind(b"#!", 0, max(begin, 0))
    at = program.lower().find(old.lower(), line, max(begin, 0)) if end >= 0 and line >= 0 else -1
    if at < 0:
        return b""
    return program[:at] + new + program[at + len(old) :]
