# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A partial download: the file on disk, the headers that request the rest of it, and writing a response to it."""

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
from ..progress import Advance
from .failure import ADVICE_CONTENT, ADVICE_NETWORK, Expect, Failure

if TYPE_CHECKING:
    import requests

# Bytes that are read at a time, and the seconds that a piece may take. With parallel downloads each piece costs a thread switch.
LARGEST_PIECE = 1 << 20
SMALLEST_PIECE = 1 << 16
# Bytes that are unpacked at a time: zlib copies the rest of them after each gzip member, and a member can have only 20.
LARGEST_SLICE = 1 << 12
PIECE_TIME = 0.1

# Encodings of a text (RFC 9110, 8.4.1) that zlib reads. Only gzip is requested.
PACKED = frozenset({"gzip", "x-gzip", "deflate"})

# Advice for a file of the controller's cache that can't be written.
ELSEWHERE = "set STANDALONE_PYTHON_CACHE to another folder"


class Watch(Protocol):
    """Observes the bytes of a download while they are written."""

    def begins(self, offset: int, size: int) -> None:
        """Called before the first byte.

        :param offset: where the next byte is written, after those that the file has already
        :param size: of the whole file, in bytes; 0 if the server doesn't report it
        """

    def wrote(self, chunk: bytes) -> None: ...


@dataclass(slots=True)
class Partial:
    """The file on disk, and the validator that shows whether the server still has the same file.

    :ivar checked: whether the caller verifies the checksum, so that any address may continue the download
    :ivar instead: advice for a file that can't be written
    :ivar advance: reports the bytes that the file has, and its total
    """

    path: Path
    url: str = ""
    validator: str = ""
    checked: bool = False
    watch: Watch | None = None
    instead: str = ELSEWHERE
    advance: Advance = lambda *_done: None
    # For a conditional request: the known entity tag, and the server's answer.
    conditional: bool = False
    etag: str = ""
    following: str = ""
    unchanged: bool = False

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers that request the missing part, or the text if it changed."""
        if self.conditional:
            # gzip makes lists of releases twenty times smaller.
            return {"Accept-Encoding": "gzip"} | ({"If-None-Match": self.etag} if self.etag else {})
        same = url == self.url and bool(self.validator)
        if not (same or self.checked) or not self.path.exists() or not self.path.stat().st_size:
            return {}
        condition = {"If-Range": self.validator} if same else {}
        return {"Range": f"bytes={self.path.stat().st_size}-", **condition}


def partial_of(to: Path) -> Partial:
    return Partial(to.with_name(f"{to.name}.{os.getpid()}.part"))


def receive(
    response: requests.Response, url: str, part: Partial, requested: Mapping[str, str], max_bytes: int, expect: Expect
) -> Failure | None:
    offset = int(requested.get("Range", "bytes=0-")[len("bytes=") : -1])
    encoding = response.headers.get("Content-Encoding", "").strip().lower() if expect == "text" else ""
    if encoding not in ("", "identity", *PACKED):
        return Failure(f"sends the text as {sanitized(encoding)}, which is not supported", ADVICE_CONTENT, content=True)
    unpacked = _Unpacked() if encoding in PACKED else None
    if response.status_code == 206 and (unpacked or not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")):
        part.validator = ""
        part.path.unlink(missing_ok=True)
        return Failure("sent the wrong part of the file", ADVICE_CONTENT, retry=True, content=True)
    start = offset if response.status_code == 206 else 0
    # The server counts packed bytes, so an unpacked text can't be continued.
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
    # Of a packed text the server tells the packed size.
    part.advance(start, None if length is None else start + length)
    with contextlib.closing(out):
        try:
            for piece in _pieces(response):
                received += len(piece)
                part.advance(received)
                for chunk in unpacked.pieces(piece) if unpacked else (piece,):
                    written += len(chunk)
                    if max(written, received) > max_bytes:
                        return too_large
                    with writing(part):
                        out.write(chunk)
                        # A watch may read the file.
                        if part.watch:
                            out.flush()
                    if part.watch:
                        part.watch.wrote(chunk)
        except zlib.error:
            return Failure("sends a text that can't be decompressed", ADVICE_CONTENT, content=True)
        with writing(part):
            out.flush()
    # Older releases of urllib3 mistake the end of the connection for the end of the file.
    if length is not None and received - start < length:
        return Failure(f"broke off after {received} of {start + length} bytes", ADVICE_NETWORK, retry=True)
    if unpacked and not unpacked.complete:
        return Failure("broke off in the middle", ADVICE_NETWORK, retry=True)
    return None


class _Unpacked:
    """Unpacks a text in pieces of bounded size: urllib3 before 2.6 can return a thousand times the packed size at once."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self.complete = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """
        :raises zlib.error: zlib can't unpack it
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
    """Yield the content as it is sent. Pieces of a slow download are small, so that a killed run has written what it received."""
    size = SMALLEST_PIECE
    while True:
        started = time.monotonic()
        piece: bytes = response.raw.read(size, decode_content=False)
        if not piece:
            return
        soon = time.monotonic() - started < PIECE_TIME
        size = min(2 * size, LARGEST_PIECE) if soon else max(size // 2, SMALLEST_PIECE)
        yield piece


def _validator(headers: Mapping[str, str]) -> str:
    """Return what If-Range can compare: a strong entity tag, else the date (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


@contextlib.contextmanager
def writing(part: Partial) -> Iterator[None]:
    """Turn an error of the disk into a ``TransportError``, as an error of the network is an ``OSError`` too."""
    try:
        yield
    except OSError as error:
        raise TransportError(
            f"the download can't be written to {part.path.parent} ({error.strerror}): make room there, or {part.instead}"
        ) from None
