# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebuilds the tar of a payload from a delta and an installed build. The interpreter of that build runs it.

    delta.py DELTA BASE SHA256

writes the tar to standard output. It succeeds only if the tar has that checksum, so a build that was changed, or a wrong delta,
gives an error and no build. It writes no file.

Sent beside finish.py; standard library only, Python 3.8 and later. ``archives/delta.py`` describes the format.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC = b"standalone-python delta 1\n"
# Windows has O_BINARY only, and other systems the others.
FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))
BLOCK = 1 << 16
# Bytes that are added in one step, as one large number.
LOW, HIGH = (int.from_bytes(bytes([byte]) * BLOCK, "little") for byte in (0x7F, 0x80))
LONGEST_LINE = 1 << 13
# Bytes. No archive may unpack to more, and a delta of a server that does would take the host's time.
LARGEST_TAR = 4 << 30


class Wrong(Exception):
    """The delta or the installed build is not what it should be: a sentence."""


def read_at(file: int, size: int, offset: int) -> bytes:
    os.lseek(file, offset, os.SEEK_SET)  # Windows has no pread
    return os.read(file, size)


def unpacker() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 26)


class Section:
    """A compressed part of the delta, some streams one after the other, which is read from its beginning to its end."""

    def __init__(self, path: str, begin: int, size: int) -> None:
        self.file, self.at = os.open(path, FLAGS), begin
        self.left, self.data = size, b""
        self.unpacker = unpacker()

    def more(self) -> bool:
        """Read on; return False at the end."""
        # pylint takes such attributes for constants.
        ended, hungry, packed = bool(self.unpacker.eof), bool(self.unpacker.needs_input), b""
        if ended:
            packed = self.unpacker.unused_data
            if not packed and not self.left:
                return False
            self.unpacker = unpacker()
        if not packed and (ended or hungry):
            packed = read_at(self.file, min(self.left, BLOCK), self.at)
            self.at, self.left = self.at + len(packed), self.left - len(packed)
            if not packed:
                raise Wrong("the delta is truncated")
        self.data += self.unpacker.decompress(packed, BLOCK)
        return True

    def take(self, size: int) -> bytes:
        while len(self.data) < size:
            if not self.more():
                raise Wrong("the delta ends too early")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def line(self) -> str | None:
        """Return the next line; None at the end."""
        while b"\n" not in self.data:
            if len(self.data) > LONGEST_LINE:
                raise Wrong("the delta has a line that is too long")
            if not self.more():
                if self.data:
                    raise Wrong("the delta ends in the middle of a line")
                return None
        line, _newline, self.data = self.data.partition(b"\n")
        return line.decode("utf-8")


def opened(base: str, path: str, size: int) -> int:
    """Open a file of the installed build, which must have this size. Its last part must not be a link."""
    parts = path.split("/")
    if not path or {"", ".", ".."}.intersection(parts):
        raise Wrong("%r is not a path in a build" % path)
    file = os.open(os.path.join(base, *parts), FLAGS)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size != size:
        os.close(file)
        raise Wrong("%s of the installed build was changed" % path)
    return file


def added(old: bytes, change: bytes) -> bytes:
    """Return the sums of the bytes at the same place, each modulo 256."""
    if change.count(0) == len(change):
        return old
    one, other = int.from_bytes(old, "little"), int.from_bytes(change, "little")
    # Without their highest bits, no sum of two bytes reaches the next byte.
    return ((one & LOW) + (other & LOW) ^ (one ^ other) & HIGH).to_bytes(len(old), "little")


def number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Wrong("%r is not a number" % text[:20])
    return int(text)


class Rebuilder:
    """Carries out the operations of a delta.

    :ivar old: a file of the installed build
    :ivar written: bytes of the tar so far
    """

    def __init__(self, base: str, out: BinaryIO, literals: Section, changes: Section) -> None:
        self.base, self.out, self.literals, self.changes = base, out, literals, changes
        self.digest, self.old, self.written = hashlib.sha256(), -1, 0

    def write(self, data: bytes) -> None:
        self.written += len(data)
        if self.written > LARGEST_TAR:
            raise Wrong("the delta makes a tar that is too large")
        self.digest.update(data)
        self.out.write(data)

    def read(self, size: int, offset: int) -> bytes:
        data = read_at(self.old, size, offset)
        if len(data) != size:
            raise Wrong("a file of the installed build is too short")
        return data

    def open(self, size: str, path: str) -> None:
        if self.old >= 0:
            os.close(self.old)
            self.old = -1
        self.old = opened(self.base, path, number(size))

    def copy(self, size: str, path: str) -> None:
        self.open(size, path)
        for offset in range(0, int(size), BLOCK):
            self.write(self.read(min(BLOCK, int(size) - offset), offset))

    def add(self, size: str, offset: str) -> None:
        left, at = number(size), number(offset)
        while left:
            count = min(left, BLOCK)
            self.write(added(self.read(count, at), self.changes.take(count)))
            left, at = left - count, at + count

    def literal(self, size: str, _rest: str) -> None:
        left = number(size)
        while left:
            count = min(left, BLOCK)
            self.write(self.literals.take(count))
            left -= count


def rebuild(delta: str, base: str, out: BinaryIO) -> str:
    """Write the tar; return its checksum.

    :raises Wrong: the delta or the installed build is not what it should be
    """
    with open(delta, "rb") as file:
        if file.readline(len(MAGIC)) != MAGIC:
            raise Wrong("the delta has another format")
        sizes = [number(word) for word in file.readline(64).decode("ascii").split()]
        begin = file.tell()
    if len(sizes) != 3:
        raise Wrong("the delta does not have three parts")
    begins = (begin, begin + sizes[0], begin + sizes[0] + sizes[1])
    lines, literals, changes = (Section(delta, at, size) for at, size in zip(begins, sizes))
    work = Rebuilder(base, out, literals, changes)
    operations = {"copy": work.copy, "open": work.open, "add": work.add, "new": work.literal}
    while (line := lines.line()) is not None:
        name, size, rest = (*line.split(" ", 2), "", "")[:3]
        if name not in operations:
            raise Wrong("the delta has the unknown operation %r" % name[:20])
        operations[name](size, rest)
    return work.digest.hexdigest()


def main(delta: str, base: str, sha256: str) -> int:
    try:
        found = rebuild(delta, base, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except (Wrong, OSError, ValueError, EOFError, MemoryError, lzma.LZMAError) as error:
        print("%s: %s" % (type(error).__name__, error), file=sys.stderr)
        return 1
    if found != sha256:
        print("the rebuilt tar has the SHA-256 %s" % found, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))  # a second error of a pipe that nobody reads any more is not printed
