# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes the install name of a macOS library: the path that the linker writes into each program that uses it.

Upstream's builds before 20251209 have libpython's as ``/install/lib/...``, so what embeds Python would not start.
Sent beside finish.py to hosts that get such a build, and to no other; standard library only, Python 3.8 and later.

A library that is signed has to be signed anew once it is changed, or arm64 refuses to load it: that is done ad hoc,
by macOS' own ``codesign``, before the changed library takes the place of the old one. Where it can't be done, the
library stays as it came, and the sentence of `Unchanged` says why.

Layout: Apple's <mach-o/loader.h> and <mach-o/fat.h>.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import Any, NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CODESIGN = "/usr/bin/codesign"
BUILT_IN = "/install/"

# Magic number -> byte order, and the size of the header.
THIN = {
    b"\xce\xfa\xed\xfe": ("<", 28),
    b"\xcf\xfa\xed\xfe": ("<", 32),
    b"\xfe\xed\xfa\xce": (">", 28),
    b"\xfe\xed\xfa\xcf": (">", 32),
}
# Magic number -> format of a slice's entry, in which offset and size come third and fourth. Always big-endian.
FAT = {b"\xca\xfe\xba\xbe": ">IIIII", b"\xca\xfe\xba\xbf": ">IIQQII"}
DYLIB = 6
ID_DYLIB, CODE_SIGNATURE = 0xD, 0x1D
# Kind of load command -> formats of a segment and of its sections: segment_command(_64) and section(_64).
SEGMENTS = {
    0x1: ("II16sIIIIiiII", "16s16sIIIIIIIII"),
    0x19: ("II16sQQQQiiII", "16s16sQQIIIIIIII"),
}
# The types of sections that take no room in the file.
ZEROFILL = (0x1, 0xC, 0x12)


class Unchanged(Exception):
    """The library was not changed: a sentence that says why."""


class Command(NamedTuple):
    """A load command; ``start`` is a position in the whole file."""

    kind: int
    start: int
    size: int


class Slice(NamedTuple):
    """A library for one architecture, from ``start`` on; its load commands lie between the other two positions."""

    start: int
    order: str
    commands_start: int
    commands_end: int
    commands: list[Command]

    def read(self, layout: str, data: bytes | bytearray, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + layout, data, at)


def slices(data: bytes) -> Iterator[Slice]:
    """The libraries in a file, one for each architecture.

    :raises Unchanged: it holds something else, or less than it says
    :raises struct.error: it ends within its headers
    """
    entry = FAT.get(bytes(data[:4]))
    if entry is None:
        yield _slice(data, 0)
        return
    for number in range(struct.unpack_from(">I", data, 4)[0]):
        offset, size = struct.unpack_from(entry, data, 8 + number * struct.calcsize(entry))[2:4]
        if offset + size > len(data):
            raise Unchanged("it ends before its architectures do")
        yield _slice(data, offset)


def _slice(data: bytes, start: int) -> Slice:
    if bytes(data[start : start + 4]) not in THIN:
        raise Unchanged("it is not a Mach-O file")
    order, header = THIN[bytes(data[start : start + 4])]
    kind, count, size = struct.unpack_from(order + "III", data, start + 12)
    if kind != DYLIB:
        raise Unchanged("it is a Mach-O file of type %d, which has no install name" % kind)
    at = start + header
    commands = []
    for _number in range(count):
        command = Command(struct.unpack_from(order + "I", data, at)[0], at, struct.unpack_from(order + "I", data, at + 4)[0])
        at += command.size
        if command.size < 8 or at > start + header + size:
            raise Unchanged("its load commands can't be read")
        commands.append(command)
    return Slice(start, order, start + header, at, commands)


def install_name(data: bytes, found: Slice) -> str:
    """Empty where it has none."""
    for command in found.commands:
        if command.kind == ID_DYLIB:
            offset = found.read("I", data, command.start + 8)[0]
            if not 24 <= offset <= command.size:
                raise Unchanged("its load commands can't be read")
            name = bytes(data[command.start + offset : command.start + command.size])
            return name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    return ""


def signed(data: bytes) -> bool:
    return any(command.kind == CODE_SIGNATURE for found in slices(data) for command in found.commands)


def contents_begin(data: bytes | bytearray, found: Slice) -> int:
    """Where the first thing after the load commands lies: as far as these may grow."""
    begins = [len(data) - found.start]
    for command in found.commands:
        if command.kind not in SEGMENTS:
            continue
        segment, section = SEGMENTS[command.kind]
        _kind, _size, _name, _at, _room, begin, size, _most, _first, count, _flags = found.read(segment, data, command.start)
        if begin and size:
            begins.append(begin)
        for number in range(count):
            place = command.start + struct.calcsize("<" + segment) + number * struct.calcsize("<" + section)
            _name, _segment, _at, size, begin, _align, _reloc, _relocs, flags = found.read(section, data, place)[:9]
            if begin and size and flags & 0xFF not in ZEROFILL:
                begins.append(begin)
    return found.start + min(begins)


def renamed(data: bytes, name: str) -> bytes:
    """The library with ``name`` in place of each install name of the machine that it was built on.

    :raises Unchanged: there is no room for it, or this is no library
    """
    fresh = bytearray(data)
    try:
        for found in slices(data):
            if install_name(data, found).startswith(BUILT_IN):
                _rename(fresh, found, os.fsencode(name))
    except struct.error as error:
        raise Unchanged("it ends within its load commands (%s)" % error) from error
    return bytes(fresh)


def _rename(data: bytearray, found: Slice, name: bytes) -> None:
    command = next(command for command in found.commands if command.kind == ID_DYLIB)
    offset = found.read("I", data, command.start + 8)[0]
    step = 8 if found.commands_start - found.start == 32 else 4
    size = max(command.size, -(-(offset + len(name) + 1) // step) * step)
    more = size - command.size
    room = contents_begin(data, found) - found.commands_end
    # What is there besides zeros belongs to somebody, whatever it is.
    if more > room or any(data[found.commands_end : found.commands_end + more]):
        need = "its header has %d bytes to spare, and the install name %s needs %d more"
        raise Unchanged(need % (room, os.fsdecode(name), more))
    head = bytes(data[command.start : command.start + offset])
    rest = bytes(data[command.start + command.size : found.commands_end])
    data[command.start : found.commands_end + more] = head + name.ljust(size - offset, b"\0") + rest
    struct.pack_into(found.order + "I", data, command.start + 4, size)
    struct.pack_into(found.order + "I", data, found.start + 20, found.commands_end + more - found.commands_start)


def set_install_names(folder: str, prefix: str) -> tuple[list[str], list[str]]:
    """Set the install names of the libpython in `folder`; return the changed paths, and why others did not change."""
    changed: list[str] = []
    unchanged: list[str] = []
    for name in sorted(os.listdir(folder)):
        path = folder + "/" + name
        if not name.startswith("libpython") or not name.endswith(".dylib") or os.path.islink(path):
            continue
        try:
            if make_true(path, "%s/lib/%s" % (prefix, name)):
                changed.append(path)
        except Unchanged as reason:
            unchanged.append("lib/%s keeps its install name: %s" % (name, reason))
    return changed, unchanged


def make_true(path: str, name: str) -> bool:
    """Gives the library at ``path`` the install name ``name``, and a signature if it had one; whether that changed it.

    :raises Unchanged: why it could not be done; the library is then as it was
    :raises OSError: the disk said no
    """
    with open(path, "rb") as file:
        data = file.read()
    fresh = renamed(data, name)
    if fresh == data:
        return False
    if signed(data) and not os.access(CODESIGN, os.X_OK):
        raise Unchanged("it is signed, and there is no %s to sign it anew" % CODESIGN)
    beside = path + ".new"
    try:
        with open(beside, "wb") as file:
            file.write(fresh)
        os.chmod(beside, stat.S_IMODE(os.stat(path).st_mode))
        if signed(data):
            _sign(beside, os.path.basename(path))
        os.replace(beside, path)
    finally:
        if os.path.lexists(beside):
            os.remove(beside)
    return True


def _sign(path: str, identifier: str) -> None:
    from subprocess import PIPE, STDOUT, Popen

    # By a name of its own, as the file has that of the library only later.
    command = [CODESIGN, "--sign", "-", "--force", "--identifier", os.path.splitext(identifier)[0], path]
    process = Popen(command, stdout=PIPE, stderr=STDOUT)
    said = process.communicate()[0].decode(errors="replace")
    if process.returncode:
        raise Unchanged("%s failed with exit code %d: %s" % (CODESIGN, process.returncode, " ".join(said.split())))
