# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks an archive's checksum and members, and packs what a host unpacks from it. Never unpacks anything to
disk, never holds an archive in memory, never touches the network.

Theory of operation. An archive is read once, as a stream. Every member is checked, hashed and packed anew, with
a header that every tar reads alike; the list of those hashes comes last. The archive itself is hashed on the
way, so what is packed is what was checked. What has been written is worth nothing until ``pack`` has returned.

A payload is one stream to whoever reads it whole. In its middle a new stream of the packer's begins, at a whole
number of blocks, so that a host with more than one processor can unpack its halves at the same time. Each half names every
folder before what is in it: GNU tar gives up on a folder that it has to make unnamed and that another makes first.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import tarfile
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ..errors import ContentError, TransportError, sanitized
from .tarstream import BLOCK, ZEROS, Kind, Member, TarStream
from .unzstd import UnzstdError, unpacked

Compression = Literal["zst", "gz"]

# The tree that goes to a host, by what it is in the archive.
INSTALL_ONLY_TREE = "python"
FULL_TREE = "python/install"
OURS = ".standalone-python"
LISTING = f"{OURS}/files.sha256"

LONGEST_NAME = 4096
DEEPEST = 64
MOST_HOPS = 40
# Of a tree: files, links and folders, also those that only the names below them imply; the bytes of all names and of what links
# lead to; the names on the way to what all links lead to. A build has 5,000, 300 kB and 20,000.
MOST_ENTRIES = 100_000
MOST_NAMES = 8 << 20
MOST_STEPS = 1_000_000

# Bytes; full archives are packed with windows of up to this size.
WINDOW = 1 << 27
FILE_SYSTEM_BLOCK = 4096
# What a file system keeps of each entry beside its content: the inode, and the name in its folder.
INODE = 512

# Measured on an install_only archive of 29 MB (96 MB unpacked, 3,260 files), two cores. Time against level 6:
# level 3 0.5, 7 1.2, 8 1.5, 9 1.9, 12 4.7, 15 14. Size against the .tar.gz: level 3 0.99, 6 0.92, 8 0.91,
# 9 0.90, 12 0.89, 15 0.88. Memory: jobs of 2 MiB on two threads hold 21 MB, the jobs that zstd would choose
# 61 MB, and at level 9 122 MB.
ZSTD_LEVEL = 6
ZSTD_JOB = 2 << 20
ZSTD_THREADS = 2
# Against level 6, level 4 takes 0.5 of the time and makes 1.04 of the size.
GZIP_LEVEL = 4

# Bytes; a payload's second half begins at a multiple of it. As `dd` reads them on a host.
HALVES_BLOCK = 1 << 16

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_TAR_TYPES = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}


@dataclass(frozen=True, slots=True)
class Packed:
    """What was found in an archive, and where its payload can be divided.

    :param sha256: of the archive
    :param unpacked: about the bytes that the tree and the list take on a file system with blocks of 4 KiB
    :param files: files and links in the tree, without the list
    :param inodes: files, links and folders in the tree, those that no member names included
    :param half: where the payload's second half begins, in blocks of 64 KiB; 0 where it must be unpacked as a whole
    """

    sha256: str
    unpacked: int
    files: int
    inodes: int
    half: int


def checksum(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_of(flavor: str) -> str:
    """The part of an archive that goes to a host."""
    return FULL_TREE if flavor == "full" else INSTALL_ONLY_TREE


def pack(path: Path, tree: str, out: BinaryIO, compression: Compression) -> Packed:
    """Write what a host unpacks of the archive at ``path``: what is below ``tree``, and last the list of its files, lines
    ``HEX  path`` sorted by path as bytes. The same archive gives the same bytes.

    :raises ContentError: naming the member that must not be there, or how the archive is broken
    :raises TransportError: a .tar.zst, and this controller has no zstandard
    """
    found = _Tree(path.name, tree)
    payload = Halves(out, compression)
    with _opened(path) as (tar, archive):
        for member in tar:
            rest = found.below(member)
            if rest is None:
                continue
            if found.files and not payload.half and 2 * archive.file.tell() >= tar.size:
                payload.divide()
                found.divide()
            for folder in found.add(rest, member):
                payload.write(_entry_of_folder(folder, member.mtime))
            payload.write(_normalised(rest, member, tree))
            if member.kind == "file":
                digest = hashlib.sha256()
                for chunk in tar.data():
                    digest.update(chunk)
                    payload.write(chunk)
                payload.write(bytes(-member.size % BLOCK))
                found.entries[rest] = digest.digest()
        sha256 = archive.digest.hexdigest()
    if not found.files:
        raise ContentError(f"the archive {path.name} has no files below {tree}/: take a build of python-build-standalone")
    listing = found.listing()
    payload.write(_entry_of_listing(listing))
    payload.write(2 * ZEROS)
    payload.end()
    half = payload.half if found.divisible else 0
    return Packed(sha256, found.unpacked + _on_disk(len(listing)), found.files, len(found.entries), half)


class Halves:
    """A payload as it is written: a stream of the packer's, and from ``divide`` on, at the block ``half``, a second one."""

    def __init__(self, out: BinaryIO, compression: Compression) -> None:
        self.out = out
        self.compression = compression
        self.compressor = _compressor(compression)
        self.size = 0
        self.half = 0

    def write(self, data: bytes) -> None:
        self._put(self.compressor.compress(data))

    def divide(self) -> None:
        self.end()
        self._put(_padding(-self.size % HALVES_BLOCK, self.compression))
        self.half = self.size // HALVES_BLOCK
        self.compressor = _compressor(self.compression)

    def end(self) -> None:
        self._put(self.compressor.flush())

    def _put(self, packed: bytes) -> None:
        self.size += len(packed)
        self.out.write(packed)


def _padding(size: int, compression: Compression) -> bytes:
    """So many bytes, and a block more where they are too few, of which an unpacker makes nothing: a skippable frame, or an empty
    gzip member with a comment. Of other fields busybox takes only short ones."""
    head, tail = (b"\x1f\x8b\x08\x10" + bytes(5) + b"\xff", b"\0\x03" + bytes(9)) if compression == "gz" else (bytes(8), b"")
    fill = size - len(head) - len(tail)
    fill += HALVES_BLOCK if fill < 0 else 0
    if compression == "zst":
        head = b"\x50\x2a\x4d\x18" + fill.to_bytes(4, "little")
    return head + b" " * fill + tail


def _compressor(compression: Compression) -> Any:
    if compression == "gz":
        return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    zstandard = require_zstandard()
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, threads=ZSTD_THREADS, job_size=ZSTD_JOB, write_content_size=0, write_checksum=1
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compressobj()


def require_zstandard() -> Any:
    """The package that reads and writes zstd.

    :raises TransportError: it is not installed
    """
    try:
        import zstandard
    except ImportError:
        raise TransportError(
            "a .tar.zst archive is to be read, and the Python package 'zstandard' is not installed on the "
            "controller: install it, or ask for a flavor that comes as .tar.gz"
        ) from None
    return zstandard


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


def _on_disk(size: int) -> int:
    return -(-size // FILE_SYSTEM_BLOCK) * FILE_SYSTEM_BLOCK


def check_name(name: str) -> str:
    """'' for a name that lands inside ``python/`` however it is unpacked, else what is wrong with it."""
    parts = name.split("/")
    if len(name) > LONGEST_NAME:
        return "has a name too long for a file system"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        return "has a control character, a line break or a byte that is not UTF-8 in its name"
    if len(parts) > DEEPEST:
        return f"is more than {DEEPEST} folders deep"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/"):
        return "has an absolute name"
    if ".." in parts:
        return "climbs with '..'"
    if "" in parts or "." in parts:
        return "has a name with empty parts or '.' in it"
    if parts[0] != INSTALL_ONLY_TREE:
        return f"is outside {INSTALL_ONLY_TREE}/"
    encoded = name.encode()
    if len(encoded) > LONGEST_NAME or any(len(part.encode()) > 255 for part in parts):
        return "has a name too long for a file system"
    return ""


def check_target(rest: str, target: str) -> str:
    """'' for a symbolic link whose target is inside the tree, else what is wrong with it.

    '..' only counts at the front: after a name, which can be a link itself, only the file system knows where
    it leads to.

    :param rest: the link's own path, relative to the tree
    """
    if len(target) > LONGEST_NAME or target.count("/") >= DEEPEST:
        return "is a link to a name that is too long"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in target) or "\\" in target:
        return "is a link to a name with a control character or a backslash"
    if target.startswith("/"):
        return f"is a link to the absolute path {sanitized(target)}"
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    if climbs > rest.count("/") or ".." in parts[climbs:] or not target:
        return f"is a link that leaves the tree, to {sanitized(repr(target))}"
    return ""


# What is at a path: a file's digest, a link's target, or a folder, named by a member or only by what is below
# it.
_Entry = bytes | str | bool
_NAMED, _IMPLIED = True, False


class _Hashed:
    """The archive's file, hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[TarStream, _Hashed]]:
    with path.open("rb") as file:
        magic = file.read(4)
        size = file.seek(0, 2)
        file.seek(0)
        archive = _Hashed(file)
        if magic.startswith(GZIP_MAGIC):
            unzipped = gzip.GzipFile(fileobj=archive)  # type: ignore[call-overload]
            yield TarStream(path.name, size, unzipped.read, (EOFError, zlib.error, gzip.BadGzipFile)), archive
        elif magic == ZSTD_MAGIC:
            require_zstandard()
            with unpacked(archive, WINDOW) as read:
                yield TarStream(path.name, size, read, (UnzstdError,)), archive
        else:
            raise ContentError(f"the archive {path.name} is neither gzip nor zstd: take it from upstream again")


class _Tree:
    """The members accepted so far, and the rules that the next has to keep. Paths are relative to the tree;
    '' is the tree."""

    def __init__(self, archive: str, tree: str) -> None:
        self.archive = archive
        self.tree = tree
        self.entries: dict[str, _Entry] = {"": _IMPLIED}
        self.folders: set[str] = set()
        self.unpacked = INODE + FILE_SYSTEM_BLOCK
        self.files = 0
        self.names = 0
        self.steps = 0
        self.first_half: frozenset[str] = frozenset()
        self.divisible = True

    def refuse(self, name: str, why: str) -> ContentError:
        return ContentError(
            f"the archive {self.archive} is refused: its member {sanitized(ascii(name))} {why}; take it from upstream again"
        )

    def refuse_tree(self, why: str) -> ContentError:
        return ContentError(f"the archive {self.archive} is refused: it {why}; take it from upstream again")

    def below(self, member: Member) -> str | None:
        """The member's path below the tree; None where it is safely named, but is in another part of the
        archive."""
        wrong = check_name(member.name)
        if wrong:
            raise self.refuse(member.name, wrong)
        if member.name == self.tree:
            return ""
        return member.name.removeprefix(f"{self.tree}/") if member.name.startswith(f"{self.tree}/") else None

    def add(self, rest: str, member: Member) -> list[str]:
        """A file's digest is given to ``entries`` afterwards.

        :returns: the folders above it that this half has not named yet, outermost first
        """
        if member.mode & 0o6000:
            raise self.refuse(member.name, "has a set-uid or set-gid bit")
        if rest.partition("/")[0] == OURS:
            raise self.refuse(member.name, "has a name that is kept for the receipt")
        unnamed = self._place(rest, member)
        if member.kind == "folder":
            self._enter(rest, _NAMED)
        else:
            self._enter(rest, self._content(rest, member))
            self.names += len(member.link)
            self.files += 1
            self.unpacked += _on_disk(member.size)
        return unnamed

    def _enter(self, path: str, entry: _Entry) -> None:
        """Add an entry, or name a folder that was implied, and count what it costs here and on a host."""
        if path not in self.entries:
            self.names += len(path.encode())
            self.unpacked += INODE + (FILE_SYSTEM_BLOCK if isinstance(entry, bool) else 0)
        self.entries[path] = entry
        if len(self.entries) > MOST_ENTRIES:
            raise self.refuse_tree(f"has more than {MOST_ENTRIES} files, links and folders")
        if self.names > MOST_NAMES:
            raise self.refuse_tree(f"has more than {MOST_NAMES >> 20} MiB of names")

    def divide(self) -> None:
        """What comes now is unpacked beside what has come, not after it."""
        self.first_half = frozenset(self.entries)
        self.folders.clear()

    def _place(self, rest: str, member: Member) -> list[str]:
        unnamed: list[str] = []
        parent = rest
        # What is above a folder that this half has named, it has named too.
        while parent and (parent := parent.rpartition("/")[0]) not in self.folders:
            above = self.entries.get(parent)
            if above is None:
                above = _IMPLIED
                self._enter(parent, above)
            if not isinstance(above, bool):
                raise self.refuse(
                    member.name,
                    f"is below {sanitized(repr(parent))}, which is a {'link' if isinstance(above, str) else 'file'}",
                )
            unnamed.insert(0, parent)
        self.folders.update(unnamed)
        if member.kind == "folder":
            self.folders.add(rest)
        here = self.entries.get(rest)
        if here is None or (here is _IMPLIED and member.kind == "folder"):
            return unnamed
        raise self.refuse(member.name, "is there already, as a folder" if here is _IMPLIED else "is there twice")

    def _content(self, rest: str, member: Member) -> _Entry:
        if member.kind == "file":
            return b""
        if member.kind == "symlink":
            wrong = check_target(rest, member.link)
            if wrong:
                raise self.refuse(member.name, wrong)
            return member.link
        inside = member.link.startswith(f"{self.tree}/")
        other = member.link.removeprefix(f"{self.tree}/")
        first = self.entries.get(other) if inside else None
        if not isinstance(first, bytes):
            raise self.refuse(
                member.name, f"is a hard link to {sanitized(repr(member.link))}, which is no file of the tree before it"
            )
        self.divisible = self.divisible and other not in self.first_half
        return first

    def listing(self) -> bytes:
        found = ((path.encode(), self._leads_to(path)) for path, entry in self.entries.items() if not isinstance(entry, bool))
        return b"".join(b"%s  %s\n" % (digest.hex().encode(), path) for path, digest in sorted(found) if digest)

    def _leads_to(self, path: str) -> bytes:
        """The digest of the file at the end of a path through links; b'' where there is none."""
        todo = path.split("/")[::-1]
        at: list[str] = []
        hops = 0
        while todo:
            part = todo.pop()
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise self.refuse_tree("has links that lead through too many others")
            if part == "..":
                at.pop()
            if part in ("", ".", ".."):
                continue
            entry = self.entries.get("/".join((*at, part)))
            if isinstance(entry, str):
                hops += 1
                if hops > MOST_HOPS:
                    return b""
                todo += entry.split("/")[::-1]
            elif isinstance(entry, bytes):
                return b"" if todo else entry
            elif entry is None:
                return b""
            else:
                at.append(part)
        return b""
