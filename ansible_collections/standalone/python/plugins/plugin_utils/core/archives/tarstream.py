# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of tar: it yields members one at a time, in bounded memory. Opens no file, writes nothing, and does not check
the paths of members (``tree`` does).

Hosts unpack with GNU tar, bsdtar or busybox, which read some archives differently: they disagree about the end of an archive, and
busybox ignores names in pax headers. So this reader accepts the dialects of upstream's tools (ustar, GNU long names, pax) and
refuses whatever two readers could read differently. The standard library's reader is too lenient, keeps every member, and reads
headers of any length into memory; only its parser of a single header is used.

Sources: POSIX pax interchange format; GNU tar manual, "Basic Tar Format"; busybox
archival/libarchive/get_header_tar.c.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ..errors import ContentError, sanitized

Kind = Literal["file", "folder", "symlink", "hardlink"]

MOST_MEMBERS = 200_000
MOST_UNPACKED = 4 << 30
MOST_RATIO = 100
# Bytes below which the ratio is not checked: a few empty files are compressed by more than MOST_RATIO.
RATIO_FROM = 1 << 20
LONGEST_HEADER = 1 << 16
# Bytes of names and pax headers before the members that they are about: many times what a build's 20,000 members have.
MOST_HEADERS = 8 << 20
CHUNK = 1 << 18

BLOCK = 512
ZEROS = bytes(BLOCK)
_USTAR, _GNU = b"ustar\x0000", b"ustar  \x00"
_KINDS: dict[bytes, Kind] = {
    b"\0": "file",
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
}
_REFUSED_KINDS = {
    tarfile.CHRTYPE: "is a character device",
    tarfile.BLKTYPE: "is a block device",
    tarfile.FIFOTYPE: "is a named pipe",
    tarfile.CONTTYPE: "is a contiguous file",
    tarfile.GNUTYPE_SPARSE: "is a sparse file",
}
# pax keys that give names, and those that change the member. Other keys don't matter for a build.
_PAX_NAMES = {"path": "name", "linkpath": "link"}
_PAX_REFUSED = ("size", "GNU.sparse.", "hdrcharset")


@dataclass(frozen=True, slots=True)
class Member:
    """A member, as its header and the extended headers before it describe it.

    :param name: without a slash at its end
    """

    name: str
    kind: Kind
    mode: int
    mtime: int
    size: int
    link: str


class TarStream:
    """Iterates over the members of an archive; ``data`` reads the content of the current one.

    :param name: of the archive, for messages
    :param size: of the packed archive, in bytes
    :param read: returns up to so many unpacked bytes, and none only at the end
    :param broken: exceptions of ``read`` for damaged data
    """

    def __init__(self, name: str, size: int, read: Callable[[int], bytes], broken: tuple[type[Exception], ...]) -> None:
        self.name = name
        self.size = size
        self.read = read
        self.broken = broken
        self.unpacked = 0
        self.left = 0
        self.padding = 0
        self.headers = 0

    def refuse(self, reason: str) -> ContentError:
        return ContentError(f"the archive {self.name} is refused: it {reason}; download it again from upstream")

    def __iter__(self) -> Iterator[Member]:
        count = 0
        override: dict[str, str] = {}
        owed = False
        while True:
            for _unused in self.data():
                pass
            block = self._take(BLOCK)
            if block == ZEROS:
                break
            count += 1
            if count > MOST_MEMBERS:
                raise self.refuse(f"has more than {MOST_MEMBERS} members")
            info = self._parse(block)
            # A global header describes no member.
            owed = info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE)
            if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                key = "name" if info.type == tarfile.GNUTYPE_LONGNAME else "link"
                self._add_names(override, {key: self._long(info).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")})
            elif info.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
                names = self._pax(self._long(info))
                if names and info.type == tarfile.XGLTYPE:
                    raise self.refuse("gives all of its members one name")
                self._add_names(override, names)
            else:
                yield self._member(info, block, override)
                override = {}
        if override or owed:
            raise self.refuse("ends with the name of a missing member")
        self._end()

    def data(self) -> Iterator[bytes]:
        while self.left:
            chunk = self._take(min(self.left, CHUNK))
            self.left -= len(chunk)
            yield chunk
        padding, self.padding = self.padding, 0
        self._take(padding)

    def all(self) -> Iterator[bytes]:
        """Yield the whole tar as bytes, instead of its members."""
        while chunk := self._read(CHUNK):
            yield chunk

    def _end(self) -> None:
        # busybox reads on after a single block of zeros, others stop: after the first one only zeros are allowed.
        if self._take(BLOCK) != ZEROS:
            raise self.refuse("has data after its end")
        while rest := self._read(CHUNK):
            if rest.count(0) != len(rest):
                raise self.refuse("has data after its end")

    def _add_names(self, override: dict[str, str], names: dict[str, str]) -> None:
        if override.keys() & names.keys():
            raise self.refuse(f"names a member twice, {sanitized(str(override))} and {sanitized(str(names))}")
        override |= names

    def _parse(self, block: bytes) -> tarfile.TarInfo:
        magic = block[257:265]
        # GNU's dialect has other fields where ustar has the prefix of a long name.
        if magic not in (_USTAR, _GNU) or (magic == _GNU and any(block[345:500])):
            raise self.refuse("has a header that implementations of tar read differently")
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            raise self.refuse(f"has a broken header ({error})") from None
        if not 0 <= info.size <= MOST_UNPACKED:
            raise self.refuse(f"has a member of {info.size} bytes, {sanitized(ascii(info.name))}")
        return info

    def _member(self, info: tarfile.TarInfo, block: bytes, override: dict[str, str]) -> Member:
        name = override.get("name", info.name)
        kind = _KINDS.get(block[156:157])
        if kind is None:
            reason = _REFUSED_KINDS.get(info.type, f"has the type {info.type!a}, which no build needs")
            raise self.refuse(f"has the member {sanitized(ascii(name))}, which {reason}")
        # frombuf drops the slash by which some readers recognise a folder.
        slash = (override["name"] if "name" in override else block[:100].split(b"\0", 1)[0].decode("utf-8", "replace")).endswith(
            "/"
        )
        if (kind != "folder" and (slash or info.isdir())) or (kind != "file" and info.size):
            raise self.refuse(f"has the member {sanitized(ascii(name))}, which can be read as a {kind} or as something else")
        self.left, self.padding = info.size, -info.size % BLOCK
        mtime = min(max(0, int(info.mtime)), 8**11 - 1)
        name = name[:-1] if slash and override.get("name") else name
        return Member(name, kind, info.mode & 0o7777, mtime, info.size, override.get("link", info.linkname))

    def _long(self, info: tarfile.TarInfo) -> bytes:
        if info.size > LONGEST_HEADER:
            raise self.refuse(f"has a header of {info.size} bytes")
        self.headers += info.size
        if self.headers > MOST_HEADERS:
            raise self.refuse(f"has more than {MOST_HEADERS >> 20} MiB of headers")
        data = self._take(info.size)
        self._take(-info.size % BLOCK)
        return data

    def _pax(self, data: bytes) -> dict[str, str]:
        """Return the names in a pax header (records ``LENGTH KEY=VALUE\\n``)."""
        names: dict[str, str] = {}
        at = 0
        while at < len(data):
            length = data[at : at + 6].partition(b" ")[0]
            end = at + int(length) if length.isdigit() and len(length) < 6 else at
            key, equals, value = data[at + len(length) + 1 : end].decode("utf-8", "surrogateescape").partition("=")
            if not equals or not value.endswith("\n") or end > len(data):
                raise self.refuse("has a pax header that can't be read")
            if key.startswith(_PAX_REFUSED):
                raise self.refuse(f"has a pax header with {sanitized(ascii(key))}, which changes what a member is")
            if key in _PAX_NAMES:
                self._add_names(names, {_PAX_NAMES[key]: value[:-1]})
            at = end
        return names

    def _take(self, size: int) -> bytes:
        """Return exactly ``size`` bytes."""
        data = self._read(size)
        while len(data) < size:
            more = self._read(size - len(data))
            if not more:
                raise self.refuse("is truncated")
            data += more
        return data

    def _read(self, size: int) -> bytes:
        try:
            data = self.read(size) if size else b""
        except self.broken as error:
            raise self.refuse(f"can't be unpacked ({error})") from None
        self.unpacked += len(data)
        if self.unpacked > MOST_UNPACKED:
            raise self.refuse(f"unpacks to more than {MOST_UNPACKED >> 30} GiB")
        if self.unpacked > RATIO_FROM and self.unpacked > MOST_RATIO * self.size:
            raise self.refuse(f"unpacks to more than {MOST_RATIO} times its size")
        return data
