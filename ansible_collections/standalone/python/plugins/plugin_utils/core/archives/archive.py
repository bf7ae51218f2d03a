# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifies an archive and packs the payload that a host unpacks. Never unpacks to disk, never holds an archive in memory, never
uses the network.

Theory of operation. An archive is read once, as a stream. Every member is checked, hashed and packed anew, with
a header that every tar reads alike; the list of those hashes comes last. The archive itself is hashed on the
way, so what is packed is what was checked. What has been written is worth nothing until ``pack`` has returned.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..builds.catalogue import Compression
from ..errors import ContentError
from ..progress import Advance, task
from .compression import MAGIC, compressor, require_zstandard
from .tarstream import BLOCK, ZEROS, Kind, Member, TarStream
from .tree import FULL_TREE, INSTALL_ONLY_TREE, LISTING, OURS, Tree, on_disk
from .unzstd import Readable, UnzstdError, unpacked

# The version of the tar that is packed from an archive. Lock files record sums of such tars. If the bytes of a tar change, raise
# it and ``store.RECIPE``: tests/store/test_archive.py has the sum of one.
FORM = 1

# Bytes; full archives are packed with windows of up to this size.
WINDOW = 1 << 27
# Bytes that upstream's archives have for each packed one, about.
UNPACKED = 3.3

_TAR_TYPES = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}


@dataclass(frozen=True, slots=True)
class Packed:
    """What was found in an archive.

    :param sha256: of the archive
    :param unpacked: about the bytes that the tree and the list take on a file system with blocks of 4 KiB
    :param files: files and links in the tree, without the list
    :param inodes: files, links and folders in the tree, those that no member names included
    :param split: bytes of the payload's first half, see ``pack``; 0 if it has one part only
    """

    sha256: str
    unpacked: int
    files: int
    inodes: int
    split: int


def checksum(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tar_checksum(payload: Path) -> str:
    """SHA-256 of the tar in a payload, as 64 hexadecimal digits.

    :raises ContentError: the payload is damaged
    """
    digest = hashlib.sha256()
    with (
        task("Reading the tar of", payload.parent.name, payload.stat().st_size) as advance,
        opened(payload, advance) as (tar, _file),
    ):
        for chunk in tar.all():
            digest.update(chunk)
    return digest.hexdigest()


def tree_of(flavor: str) -> str:
    """Return the part of an archive that is sent to a host."""
    return FULL_TREE if flavor == "full" else INSTALL_ONLY_TREE


def pack(path: Path, tree: str, out: BinaryIO, compression: Compression, *, halves: bool = False) -> Packed:
    """Write the payload of the archive at ``path``: the members below ``tree``, and last the list of its files, lines
    ``HEX  path`` sorted by path as bytes. The same archive gives the same bytes.

    :param halves: pack two members of gzip, or frames of zstd, which a host unpacks at the same time. Each begins with a member
        of the tar. A reader of the whole file finds one tar
    :raises ContentError: a member is unsafe, or the archive is damaged
    :raises TransportError: the archive is a .tar.zst, and zstandard is not installed
    """
    with task("Packing", path.name, path.stat().st_size) as advance, opened(path, advance) as (tar, archive):
        return _pack(tar, archive, tree, _Packer(out, compression), halves)


def pack_arriving(
    file: Readable, name: str, size: int, tree: str, out: BinaryIO, compression: Compression, *, halves: bool = False
) -> Packed:
    """Do as ``pack`` with a file that is still being downloaded.

    :param file: waits for bytes that are still missing
    :param size: of the whole archive, in bytes
    """
    with contextlib.ExitStack() as stack:
        return _pack(*_members(stack, file, name, size, lambda *_done: None), tree, _Packer(out, compression), halves)


class _Packer:
    """Compresses what is written to it.

    :ivar taken: the bytes that were written to it
    """

    def __init__(self, out: BinaryIO, compression: Compression) -> None:
        self.taken = 0
        self._out, self._compression, self._given = out, compression, 0
        self._compressor = compressor(compression)

    def write(self, data: bytes) -> None:
        self.taken += len(data)
        self._put(self._compressor.compress(data))

    def end(self) -> int:
        """End the member of gzip or the frame of zstd, and return the number of bytes that it and those before it have."""
        self._put(self._compressor.flush())
        return self._given

    def begin(self) -> None:
        """Begin another one."""
        self._compressor = compressor(self._compression)

    def _put(self, data: bytes) -> None:
        self._given += len(data)
        self._out.write(data)


def _pack(tar: TarStream, archive: _Hashed, tree: str, out: _Packer, halves: bool) -> Packed:
    found = Tree(tar.name, tree)
    half, split, linked = tar.size * UNPACKED / 2, 0, False
    # The folders of this half, and of the earlier one if this is the second, with their times.
    folders: dict[str, int] = {}
    earlier: dict[str, int] = {}
    for member in tar:
        rest = found.below(member)
        if rest is None:
            continue
        if not earlier and out.taken >= half:
            earlier, folders = folders, {}
            if halves:
                split = out.end()
                out.begin()
        # The file to which a hard link leads may be in the other half, and not be there yet.
        linked = linked or (bool(earlier) and member.kind == "hardlink")
        # GNU tar fails if someone else makes a folder that no member names at the same time. So each half names its folders, and
        # all payloads have the same tar, which a lock file and a mirror's deltas name.
        for folder in (*_again(rest, earlier, folders), *found.add(rest, member)):
            folders[folder] = earlier.get(folder, member.mtime)
            out.write(_entry_of_folder(folder, folders[folder]))
        if member.kind == "folder":
            folders[rest] = member.mtime
        out.write(_normalised(rest, member, tree))
        if member.kind == "file":
            digest = hashlib.sha256()
            for chunk in tar.data():
                digest.update(chunk)
                out.write(chunk)
            out.write(bytes(-member.size % BLOCK))
            found.entries[rest] = digest.digest()
    sha256 = archive.digest.hexdigest()
    if not found.files:
        raise ContentError(f"the archive {tar.name} has no files below {tree}/: use an archive of python-build-standalone")
    listing = found.listing()
    out.write(_entry_of_listing(listing))
    out.write(2 * ZEROS)
    out.end()
    return Packed(sha256, found.unpacked + on_disk(len(listing)), found.files, len(found.entries), 0 if linked else split)


def _again(rest: str, earlier: Mapping[str, int], folders: Mapping[str, int]) -> list[str]:
    """Return the folders above a member that the earlier half has, and this half not yet, outermost first."""
    parts = rest.split("/")[:-1]
    above = ("/".join(parts[:length]) for length in range(len(parts) + 1))
    return [folder for folder in above if folder in earlier and folder not in folders]


def _entry_of_listing(listing: bytes) -> bytes:
    info = _info(LISTING, "file", 0o644, 0)
    info.size = len(listing)
    return _entry_of_folder(OURS, 0) + _header(info) + listing + bytes(-info.size % BLOCK)


def _entry_of_folder(rest: str, mtime: int) -> bytes:
    return _header(_info(rest, "folder", 0o755, mtime))


def _normalised(rest: str, member: Member, tree: str) -> bytes:
    executable = member.kind == "folder" or member.mode & 0o111
    info = _info(rest, member.kind, 0o755 if executable else 0o644, member.mtime)
    info.size = member.size
    if member.kind == "hardlink":
        info.linkname = f"{INSTALL_ONLY_TREE}{member.link.removeprefix(tree)}"
    elif member.kind == "symlink":
        info.linkname, info.mode = member.link, 0o777
    return _header(info)


def _info(rest: str, kind: Kind, mode: int, mtime: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{INSTALL_ONLY_TREE}/{rest}".rstrip("/"))
    info.type, info.mode, info.mtime = _TAR_TYPES[kind], mode, mtime
    return info


def _header(info: tarfile.TarInfo) -> bytes:
    # GNU's long names are the ones that every tar reads, busybox's included.
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


class _Hashed:
    """An archive's file that is hashed while it is read.

    :param advance: reports the bytes that were read
    """

    def __init__(self, file: Readable, advance: Advance) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self._done, self._advance = 0, advance
        self._first = b""

    def magic(self) -> bytes:
        """Return the first four bytes. The next ``read`` returns them too."""
        while len(self._first) < 4 and (more := self._next(4 - len(self._first))):
            self._first += more
        return self._first

    def read(self, size: int = -1) -> bytes:
        if not self._first:
            return self._next(size)
        data = self._first if size < 0 else self._first[:size]
        self._first = self._first[len(data) :]
        return data

    def _next(self, size: int) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        self._done += len(data)
        self._advance(self._done)
        return data


@contextlib.contextmanager
def opened(path: Path, advance: Advance) -> Iterator[tuple[TarStream, _Hashed]]:
    """Open an archive or a payload for reading.

    :param advance: reports the bytes that were read
    :raises ContentError: it is neither gzip nor zstd
    """
    with path.open("rb") as file, contextlib.ExitStack() as stack:
        yield _members(stack, file, path.name, path.stat().st_size, advance)


def _members(stack: contextlib.ExitStack, file: Readable, name: str, size: int, advance: Advance) -> tuple[TarStream, _Hashed]:
    archive = _Hashed(file, advance)
    magic = archive.magic()
    if magic.startswith(MAGIC["gz"]):
        unzipped = gzip.GzipFile(fileobj=archive)  # type: ignore[call-overload]
        return TarStream(name, size, unzipped.read, (EOFError, zlib.error, gzip.BadGzipFile)), archive
    if magic == MAGIC["zst"]:
        require_zstandard()
        return TarStream(name, size, stack.enter_context(unpacked(archive, WINDOW)), (UnzstdError,)), archive
    raise ContentError(f"the archive {name} is neither gzip nor zstd: download it again from upstream")
