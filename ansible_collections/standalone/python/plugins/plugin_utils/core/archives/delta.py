# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a delta: from it and an installed build, a host rebuilds the tar of another build's payload, byte for byte.

The file has a line of magic, a line with the sizes of three parts, and the parts, each some streams of xz one after the other:

- operations, one a line: ``copy SIZE PATH`` writes a file of the installed build; ``open SIZE PATH`` opens one, and ``add SIZE
  OFFSET`` writes a range of it, to whose bytes those of the third part are added; ``new SIZE`` writes bytes of the second part;
- new bytes, which include all headers of the tar;
- the bytes to add, most of which are zero.

Files that the finisher or Python may have changed on the host are sent whole. Memory is bounded: large files are compared in
pieces. A delta is made segment by segment. A maker that is stopped keeps the segments that it has finished, and the next one goes
on after them. Writes only to the file that it is given, to temporary files and to kept segments. ``agents/on_host/delta.py``
carries out the operations.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import ContentError, DeclarationError
from .archive import opened
from .cache import atomic_write
from .tarstream import Member, TarStream
from .tree import INSTALL_ONLY_TREE

MAGIC = b"standalone-python delta 1\n"
# Bytes of a new file that are compared at a time, and by how much the range of the old file is longer on each side. The sort of
# the old range takes 17 bytes for each of its bytes.
PIECE, MARGIN = 3 << 19, 1 << 18
# Bytes that are compared or new in a segment, at least. A segment takes about 2 s. Segments of this size make a delta 2 % larger
# than a single one would.
SEGMENT = 2 << 20
# 1 MiB of memory makes the parts 1 % larger than 8 MiB do, and needs a fifth.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]
_COPIED = 1 << 16

# Files that the finisher patches, or that another run or Python changes. Source: paths.patches, certificates, launchers.
_OF_THE_HOST = re.compile(
    r"\.standalone-python/.*|.*\.(pyc|pc)|(lib/python[^/]*|Lib)/(ssl\.py|EXTERNALLY-MANAGED|_sysconfigdata_[^/]*|_sysconfig_vars_[^/]*|build-details\.json"
    r"|config-[^/]*/(Makefile|python-config\.py))|lib/libpython[^/]*\.dylib"
)
_SCRIPT = b"#!"

_SIGN = 1 << 63

Control = bytes | list[tuple[int, int, int]]
Compare = Callable[[bytes, bytes], tuple[Control, bytes, bytes]]


class Stopped(Exception):
    """The delta is not wanted any more."""


def available() -> bool:
    """Return whether the package that compares files is installed."""
    import importlib.util

    return importlib.util.find_spec("bsdiff4") is not None


def require_maker() -> None:
    """
    :raises DeclarationError: the package that compares files is missing
    """
    if not available():
        raise DeclarationError("deltas need the Python package bsdiff4, which is missing: pip install 'standalone-python[delta]'")


class _Recorded:
    """The bytes of a tar that were read and not yet taken."""

    def __init__(self, tar: TarStream) -> None:
        self._read, self._data, self.taken = tar.read, bytearray(), 0
        self.digest = hashlib.sha256()
        tar.read = self.read

    def read(self, size: int) -> bytes:
        data = self._read(size)
        self.digest.update(data)
        self._data += data
        return data

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        self.taken += len(data)
        return data


class _Base:
    """The files of an installed build, as its payload has them.

    :ivar copies: checksum -> path and size, for files that the new build has too
    :ivar others: path -> offset and size in ``spool``, for files that have the name of a new one, and other content
    """

    def __init__(self, spool: BinaryIO) -> None:
        self.spool = spool
        self.copies: dict[str, tuple[str, int]] = {}
        self.others: dict[str, tuple[int, int]] = {}

    def read(self, path: str, begin: int, end: int) -> bytes:
        offset, size = self.others[path]
        self.spool.seek(offset + begin)
        return self.spool.read(min(end, size) - begin)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A finished segment of a delta.

    :ivar end: the offset in the tar after it
    :ivar parts: its part of each of the three parts, compressed
    """

    end: int
    parts: tuple[bytes, ...]

    def keep(self, path: Path) -> None:
        body = b"%d %d %d %d\n" % (self.end, *map(len, self.parts)) + b"".join(self.parts)
        with atomic_write(path) as out:
            out.write(hashlib.sha256(body).digest() + body)

    @classmethod
    def kept(cls, path: Path) -> _Segment | None:
        """Return the segment if it is complete."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        digest, body = data[:32], data[32:]
        if hashlib.sha256(body).digest() != digest:
            return None
        head, _newline, rest = body.partition(b"\n")
        end, first, second, _third = map(int, head.split())
        return cls(end, (rest[:first], rest[first : first + second], rest[first + second :]))


class _Parts:
    """The three parts while they are made, each in a temporary file.

    :param folder: where finished segments are kept, each under its offset in the tar; None to keep none
    :ivar kept: the segment at this place, if an earlier maker has finished it; it is not made again
    """

    def __init__(self, files: Sequence[BinaryIO], folder: Path | None, wanted: Callable[[], bool]) -> None:
        self._files, self._folder, self._wanted = files, folder, wanted
        self._begin(0)

    def _begin(self, offset: int) -> None:
        self._path = self._folder / str(offset) if self._folder else None
        self.kept = _Segment.kept(self._path) if self._path else None
        self._parts = [bytearray() for _file in self._files]
        self._literal = 0

    def operation(self, text: str) -> None:
        if self.kept:
            return
        if self._literal:
            self._parts[0] += b"new %d\n" % self._literal
            self._literal = 0
        self._parts[0] += text.encode()

    def literal(self, data: bytes) -> None:
        if self.kept:
            return
        self._parts[1] += data
        self._literal += len(data)

    def change(self, data: bytes, offset: int) -> None:
        self.operation(f"add {len(data)} {offset}\n")
        self._parts[2] += data

    def step(self, offset: int) -> None:
        """End the segment if it is large enough. It can't end elsewhere.

        :param offset: in the tar
        :raises Stopped: the delta is not wanted any more
        """
        if self.kept:
            if offset == self.kept.end:
                self._end(self.kept, offset)
        elif len(self._parts[1]) + len(self._parts[2]) >= SEGMENT:
            self._end(self._finished(offset), offset)
        elif not self._wanted():
            raise Stopped

    def _finished(self, offset: int) -> _Segment:
        self.operation("")
        # One after the other: each compressor takes 13 MB.
        segment = _Segment(
            offset, tuple(lzma.compress(part, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=_FILTERS) for part in self._parts)
        )
        if self._path:
            segment.keep(self._path)
        return segment

    def _end(self, segment: _Segment, offset: int) -> None:
        for file, part in zip(self._files, segment.parts, strict=True):
            file.write(part)
        self._begin(offset)

    def joined(self, out: BinaryIO, offset: int) -> None:
        """Write the delta.

        :param offset: the size of the tar
        """
        if self.kept and self.kept.end != offset:
            raise ContentError(f"the kept segment {self._path} belongs to another delta: remove it")
        self._end(self.kept or self._finished(offset), offset)
        out.write(MAGIC + b"%d %d %d\n" % tuple(file.tell() for file in self._files))
        for file in self._files:
            file.seek(0)
            while block := file.read(_COPIED):
                out.write(block)


def make(
    base: Path,
    new: Path,
    out: BinaryIO,
    folder: Path,
    wanted: Callable[[], bool] = lambda: True,
    kept: Path | None = None,
) -> str:
    """Write the delta between the payloads of an installed build and of a new one. Return the SHA-256 of the tar that it makes.

    :param folder: for temporary files
    :param wanted: whether to go on; called often
    :param kept: the folder for finished segments of this delta; the caller removes it
    :raises Stopped: it is not wanted any more
    :raises ContentError: a payload is damaged
    :raises ImportError: the package that compares files is missing
    """
    from bsdiff4 import core

    def compare(old: bytes, new: bytes) -> tuple[Control, bytes, bytes]:
        if not wanted():
            raise Stopped
        found: tuple[Control, bytes, bytes] = core.diff(old, new)
        return found

    with ExitStack() as stack, tempfile.TemporaryFile(dir=folder) as spool:
        sums = dict(_sums(new))
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _part in range(3)]
        parts = _Parts(files, kept, wanted)
        return _write(new, sums, _of_base(base, sums, spool), parts, compare, out)


def _silent(_done: int) -> None:
    pass


def _members(payload: Path) -> Iterator[tuple[TarStream, Member, str]]:
    """Yield the tar, and each member with its path in the build."""
    with opened(payload, _silent) as (tar, _file):
        for member in tar:
            yield tar, member, member.name.removeprefix(f"{INSTALL_ONLY_TREE}/")


def _sums(payload: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and the checksum of each file."""
    for tar, member, path in _members(payload):
        if member.kind == "file":
            digest = hashlib.sha256()
            for chunk in tar.data():
                digest.update(chunk)
            yield path, digest.hexdigest()


def _of_base(base: Path, new: dict[str, str], spool: BinaryIO) -> _Base:
    found, sums = _Base(spool), set(new.values())
    end = 0
    for tar, member, path in _members(base):
        if member.kind != "file" or not member.size or _OF_THE_HOST.fullmatch(path):
            continue
        digest, first = hashlib.sha256(), b""
        spool.seek(end)
        for chunk in tar.data():
            first = first or chunk[:2]
            digest.update(chunk)
            spool.write(chunk)
        if first == _SCRIPT and path.startswith("bin/"):
            continue
        if digest.hexdigest() in sums:
            found.copies.setdefault(digest.hexdigest(), (path, member.size))
        elif path in new:
            found.others[path] = (end, member.size)
            end += member.size
    return found


def _write(new: Path, sums: dict[str, str], old: _Base, parts: _Parts, compare: Compare, out: BinaryIO) -> str:
    with opened(new, _silent) as (tar, _file):
        recorded = _Recorded(tar)
        for member in tar:
            path = member.name.removeprefix(f"{INSTALL_ONLY_TREE}/")
            copy = old.copies.get(sums[path]) if member.kind == "file" else None
            parts.literal(recorded.take())
            if copy is not None:
                parts.operation(f"copy {member.size} {copy[0]}\n")
                for _chunk in tar.data():
                    recorded.take()
                continue
            base = old.others.get(path) if member.kind == "file" else None
            if base is None:
                for _chunk in tar.data():
                    parts.literal(recorded.take())
                    parts.step(recorded.taken)
                continue
            done = 0
            for piece in _pieces(tar, recorded):
                if not parts.kept:
                    parts.operation(f"open {base[1]} {path}\n")
                    _patch(old, path, (done, len(piece), member.size), piece, parts, compare)
                done += len(piece)
                parts.step(recorded.taken)
        parts.literal(recorded.take())
        parts.joined(out, recorded.taken)
        return recorded.digest.hexdigest()


def _patch(old: _Base, path: str, place: tuple[int, int, int], piece: bytes, parts: _Parts, compare: Compare) -> None:
    """Write the operations that make a piece of a file from the old file.

    :param place: the offset of the piece, its size, and that of the whole new file
    """
    begin, size, whole = place
    old_size = old.others[path][1]
    # Most of a program stays in its order, so the old range is around the place that the piece has in proportion.
    middle, length = (begin + size // 2) * old_size // whole, PIECE + 2 * MARGIN
    low = max(0, min(middle - length // 2, old_size - length))
    high = min(low + length, old_size)
    control, change, extra = compare(old.read(path, low, high), piece)
    at, changed, told = low, 0, 0
    for add, new, seek in _triples(control):
        if add:
            parts.change(change[changed : changed + add], at)
        if new:
            parts.literal(extra[told : told + new])
        at, changed, told = at + add + seek, changed + add, told + new


def _triples(control: Control) -> Iterator[tuple[int, int, int]]:
    """Yield the bytes to add, the new bytes after them, and how far to go on in the old file."""
    if not isinstance(control, bytes):
        yield from control  # bsdiff4 before 1.3.2
        return
    # Three numbers of 64 bits at a time: a sign and a magnitude each.
    for one in struct.iter_unpack("<3Q", control):
        first, second, third = (-(number & ~_SIGN) if number & _SIGN else number for number in one)
        yield first, second, third


def _pieces(tar: TarStream, recorded: _Recorded) -> Iterator[bytes]:
    piece = b""
    for _chunk in tar.data():
        piece += recorded.take()
        if len(piece) >= PIECE:
            yield piece
            piece = b""
    if piece:
        yield piece
