# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A download under way: the file that grows, what asks a server for the rest of it, and how an answer is written to it."""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..digits import whole_number
from ..errors import TransportError, sanitized
from .failure import ADVICE_CONTENT, ADVICE_NETWORK, Expect, Failure

if TYPE_CHECKING:
    import requests

# Bytes that are read at a time, and the seconds that they may take to come. Each piece costs several downloads at a time a change
# of threads.
LARGEST_PIECE = 1 << 20
SMALLEST_PIECE = 1 << 16
# Bytes that are unpacked at a time: zlib copies what it has left of them after each gzip member, which can have 20.
LARGEST_SLICE = 1 << 12
PIECE_TIME = 0.1

# What a text may be packed with (RFC 9110, 8.4.1): zlib reads them all. We ask for gzip at most.
PACKED = frozenset({"gzip", "x-gzip", "deflate"})


class Watch(Protocol):
    """Sees the bytes of a download on their way to its file."""

    def begins(self, offset: int, size: int) -> None:
        """What comes next is written at an offset, after what the file has already; ``size`` is that of the whole file, 0 where
        the server doesn't say."""

    def wrote(self, chunk: bytes) -> None: ...


@dataclass(slots=True)
class Partial:
    """A download under way: the file, and what says that the server's file is still the one it is part of.

    :ivar checked: whether the caller judges the whole by its checksum, so that any address may go on with it
    :ivar instead: what else to do where the file can't be written
    """

    path: Path
    url: str = ""
    validator: str = ""
    checked: bool = False
    watch: Watch | None = None
    instead: str = "set STANDALONE_PYTHON_CACHE to another folder"
    # Of a file that is asked for on condition that it changed: the entity tag that is known, and what the server answered.
    conditional: bool = False
    etag: str = ""
    following: str = ""
    unchanged: bool = False

    def headers(self, url: str) -> dict[str, str]:
        """What asks for what is missing, or for what changed."""
        if self.conditional:
            # Lists of releases are twenty times as long unpacked.
            return {"Accept-Encoding": "gzip"} | ({"If-None-Match": self.etag} if self.etag else {})
        same = url == self.url and bool(self.validator)
        if not (same or self.checked) or not self.path.exists() or not self.path.stat().st_size:
            return {}
        condition = {"If-Range": self.validator} if same else {}
        return {"Range": f"bytes={self.path.stat().st_size}-", **condition}


def partial_of(to: Path) -> Partial:
    return Partial(to.with_name(f"{to.name}.{os.getpid()}.part"))


def receive(
    response: requests.Response, url: str, part: Partial, asked: Mapping[str, str], max_bytes: int, expect: Expect
) -> Failure | None:
    offset = int(asked.get("Range", "bytes=0-")[len("bytes=") : -1])
    encoding = response.headers.get("Content-Encoding", "").strip().lower() if expect == "text" else ""
    if encoding not in ("", "identity", *PACKED):
        return Failure(f"sends the text as {sanitized(encoding)}, which is not supported", ADVICE_CONTENT, content=True)
    unpacked = _Unpacked() if encoding in PACKED else None
    if response.status_code == 206 and (unpacked or not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")):
        part.validator = ""
        part.path.unlink(missing_ok=True)
        return Failure("sent the wrong part of the file", ADVICE_CONTENT, retry=True, content=True)
    start = offset if response.status_code == 206 else 0
    # What is unpacked here is no part of what the server counts.
    part.url, part.validator = url, "" if unpacked else _validator(response.headers)
    if part.conditional:
        part.etag = response.headers.get("ETag", "")
        part.following = response.links.get("next", {}).get("url", "")
    length = whole_number(response.headers.get("Content-Length", ""))
    too_large = Failure(f"sends more than the allowed {max_bytes} bytes", ADVICE_CONTENT, content=True)
    if length is not None and start + length > max_bytes:
        return too_large
    received = written = start
    with writing(part):
        out = part.path.open("ab" if start else "wb")
    if part.watch:
        part.watch.begins(start, 0 if length is None else start + length)
    with contextlib.closing(out):
        try:
            for piece in _pieces(response):
                received += len(piece)
                for chunk in unpacked.pieces(piece) if unpacked else (piece,):
                    written += len(chunk)
                    if max(written, received) > max_bytes:
                        return too_large
                    with writing(part):
                        out.write(chunk)
                    if part.watch:
                        part.watch.wrote(chunk)
        except zlib.error:
            return Failure("sends a text that can't be decompressed", ADVICE_CONTENT, content=True)
        with writing(part):
            out.flush()
    # Older releases of urllib3 take the end of the connection for the end of the file.
    if length is not None and received - start < length:
        return Failure(f"broke off after {received} of {start + length} bytes", ADVICE_NETWORK, retry=True)
    if unpacked and not unpacked.complete:
        return Failure("broke off in the middle", ADVICE_NETWORK, retry=True)
    return None


class _Unpacked:
    """Unpacks a text a bounded piece at a time: urllib3 before 2.6 makes a thousand bytes of one at once."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self.complete = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """
        :raises zlib.error: it is packed in no way that zlib knows
        """
        for at in range(0, len(data), LARGEST_SLICE):
            left = data[at : at + LARGEST_SLICE]
            while left:
                if self._decoder.eof:
                    self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
                yield self._decoder.decompress(left, LARGEST_PIECE)
                left = self._decoder.unconsumed_tail or self._decoder.unused_data
        self.complete = self._decoder.eof


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The content as it is sent. Of what comes slowly no more at a time than comes soon, so that a run that is killed has written
    what came."""
    size = SMALLEST_PIECE
    while True:
        asked = time.monotonic()
        piece: bytes = response.raw.read(size, decode_content=False)
        if not piece:
            return
        soon = time.monotonic() - asked < PIECE_TIME
        size = min(2 * size, LARGEST_PIECE) if soon else max(size // 2, SMALLEST_PIECE)
        yield piece


def _validator(headers: Mapping[str, str]) -> str:
    """What If-Range can compare: a strong entity tag, else the date (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


@contextlib.contextmanager
def writing(part: Partial) -> Iterator[None]:
    """Tells an error of the disk from one of the network, which is an OSError too."""
    try:
        yield
    except OSError as error:
        raise TransportError(
            f"the download can't be written to {part.path.parent} ({error.strerror}): make room there, or {part.instead}"
        ) from None
