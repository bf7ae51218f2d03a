# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror in an object store that speaks S3, by boto3, which finds credentials, region, proxies and the endpoint where it always
does.

An object is there whole or not at all, so an archive is sent in one request. With it goes its MD5, by which the store refuses
what was damaged on the way, and its sha256, so that nobody has to read it again to know what it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ..archives.cache import ROOT_VARIABLE, default_root, make_private, os_reason, use_cache
from ..errors import DeclarationError, TransportError
from .s3_client import SCHEME, Client
from .s3_lock import LEASE, Lease
from .storage import Folder, Stamp, Storage

SHA256 = "sha256"
CHUNK = 1 << 18
ATTEMPTS = 4


def storage_of(text: str, endpoint_url: str = "") -> Storage:
    """A mirror by what a user calls it: a path, or ``s3://BUCKET/PREFIX``.

    :param endpoint_url: of an object store; where it is empty boto3's settings say it, and else it is Amazon's
    :raises DeclarationError: the bucket or the endpoint can't be read, there is no text, or a folder has an endpoint
    :raises TransportError: boto3 is not installed
    """
    if not text.startswith(SCHEME):
        if endpoint_url:
            raise DeclarationError("an endpoint is only valid for a mirror in a bucket: use s3://BUCKET/PREFIX, or leave it out")
        if not text:
            raise DeclarationError("no mirror given: name a folder or s3://BUCKET/PREFIX")
        return Folder(Path(os.path.expanduser(text)))
    name, _slash, prefix = text.removeprefix(SCHEME).partition("/")
    prefix = prefix.strip("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", name) or not re.fullmatch(r"[^\x00-\x1f\x7f?#]*", prefix):
        # Not repeated: who knows what is before an @.
        raise DeclarationError("the mirror's bucket is not valid: use s3://BUCKET or s3://BUCKET/PREFIX")
    return Bucket(name, prefix, endpoint_url)


class Bucket:
    """
    :param lease: seconds
    """

    def __init__(self, name: str, prefix: str = "", endpoint_url: str = "", lease: float = LEASE) -> None:
        self._client = Client(name, prefix, endpoint_url)
        self.lease = Lease(self._client, lease)

    def __str__(self) -> str:
        return str(self._client)

    @cached_property
    def work(self) -> Path:
        where = hashlib.sha256(f"{self._client.s3.meta.endpoint_url} {self}".encode()).hexdigest()[:24]
        return default_root() / "mirror" / where

    elsewhere = f"set {ROOT_VARIABLE} to another folder"

    @contextlib.contextmanager
    def explain_errors(self, what: str = "", do: str = "") -> Iterator[None]:
        """What is in the bucket has sentences of its own; so what fails here is the folder for downloads."""
        try:
            yield
        except OSError as error:
            raise TransportError(
                f"downloads for the mirror {self} can't be kept in {self.work} ({os_reason(error)}): make room there, or "
                f"{self.elsewhere}"
            ) from None

    def files(self) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        with self._client.sentence("be read"):
            for page in self._client.pages():
                for entry in page.get("Contents", ()):
                    path = entry["Key"].removeprefix(self._client.key(""))
                    if re.fullmatch("([0-9]{8}|tools)/[^/]+", path):
                        found[path] = [entry["Size"], entry["ETag"]]
        return found

    def read(self, path: str) -> bytes:
        return b"".join(self._content(path))

    def checksum(self, path: str) -> str:
        digest = hashlib.sha256()
        for chunk in self._content(path):
            digest.update(chunk)
        return digest.hexdigest()

    def stored_sha256(self, path: str) -> str:
        with self._client.sentence("be read"):
            said: str = self._client.call("head_object", path)["Metadata"].get(SHA256, "")
        return said if re.fullmatch("[0-9a-f]{64}", said) else ""

    def put(self, path: str, content: bytes) -> None:
        # Caches on the way have to ask whether a list is still what it was.
        kind = "application/gzip" if path.endswith(".gz") else "text/plain; charset=utf-8"
        self._put(path, content, _md5([content]), ContentType=kind, CacheControl="no-cache")

    def promote(self, part: Path, path: str, sha256: str) -> Stamp:
        with part.open("rb") as file:
            digest = _md5(iter(lambda: file.read(CHUNK), b""))
            size = file.tell()
            file.seek(0)
            etag = self._put(path, file, digest, ContentType="application/octet-stream", Metadata={SHA256: sha256})
        # Not every store looks at a checksum that it is sent. One that encrypts has other entity tags, and is asked what it has.
        if etag.strip('"') != b64decode(digest).hex() and self.checksum(path) != sha256:
            self.delete(path)
            raise TransportError(f"the mirror {self} stored {path} incorrectly: run the sync again")
        part.unlink()
        return [size, etag]

    def delete(self, path: str) -> None:
        self.lease.check()
        with self._client.sentence("be written to"):
            self._client.call("delete_object", path)

    @contextlib.contextmanager
    def exclusive_lock(self, wait: float, waits: Callable[[], None] = lambda: None) -> Iterator[bool]:
        with use_cache(default_root()):
            make_private(self.work)
        with self.lease.held(wait, waits) as locked:
            yield locked

    def _put(self, path: str, body: Any, md5: str, **told: Any) -> str:
        self.lease.check()
        with self._client.sentence("be written to"):
            done = self._client.call("put_object", path, Body=body, ContentMD5=md5, **told)
        etag: str = done["ETag"]
        return etag

    def _content(self, path: str) -> Iterator[bytes]:
        """An object, in pieces. One that breaks off is asked for again from there on, as long as it is the same."""
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        done, tag, left = 0, "", ATTEMPTS
        while True:
            part = {"Range": f"bytes={done}-", "IfMatch": tag} if done else {}
            with self._client.sentence("be read", path):
                try:
                    answer = self._client.call("get_object", path, **part)
                    tag = answer["ETag"]
                    for chunk in answer["Body"].iter_chunks(CHUNK):
                        done += len(chunk)
                        yield chunk
                    return
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    left -= 1
                    if not left:
                        raise


def _md5(chunks: Any) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return b64encode(digest.digest()).decode()
