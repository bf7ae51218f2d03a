# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror in S3 or a compatible object store. boto3 finds credentials, region, proxies and the endpoint as usual.

A put is atomic, so an archive is sent in one request. The request contains its MD5, so the store refuses an archive that was
damaged in transit. The object's metadata has its sha256, so that nobody must read the archive again.
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
from .storage import CHUNK, Folder, Stamp, Storage

SHA256 = "sha256"
ATTEMPTS = 4


def storage_of(text: str, endpoint_url: str = "") -> Storage:
    """Return the mirror that a user names: a path, or ``s3://BUCKET/PREFIX``.

    :param endpoint_url: of an object store; if empty, that of boto3's settings, else Amazon's
    :raises DeclarationError: the text, the bucket or the endpoint is not valid, or a folder has an endpoint
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
        # The message doesn't repeat the text: it may contain a password before an @.
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
        """Explain errors of the folder for downloads. The client explains the bucket's errors."""
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
        return b"".join(self.chunks(path))

    def checksum(self, path: str) -> str:
        digest = hashlib.sha256()
        for chunk in self.chunks(path):
            digest.update(chunk)
        return digest.hexdigest()

    def stored_sha256(self, path: str) -> str:
        with self._client.sentence("be read"):
            stored: str = self._client.call("head_object", path)["Metadata"].get(SHA256, "")
        return stored if re.fullmatch("[0-9a-f]{64}", stored) else ""

    def put(self, path: str, content: bytes) -> None:
        # no-cache: a proxy must revalidate a list before it serves a cached copy.
        kind = "application/gzip" if path.endswith(".gz") else "text/plain; charset=utf-8"
        self._put(path, content, _md5([content]), ContentType=kind, CacheControl="no-cache")

    def promote(self, part: Path, path: str, sha256: str) -> Stamp:
        with part.open("rb") as file:
            digest = _md5(iter(lambda: file.read(CHUNK), b""))
            size = file.tell()
            file.seek(0)
            etag = self._put(path, file, digest, ContentType="application/octet-stream", Metadata={SHA256: sha256})
        # Some stores ignore the MD5 that they get, so compare the entity tag. With encryption it is no MD5: read the object then.
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
    def exclusive_lock(self, wait: float, on_wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
        with use_cache(default_root()):
            make_private(self.work)
        with self.lease.held(wait, on_wait) as locked:
            yield locked

    def _put(self, path: str, body: Any, md5: str, **arguments: Any) -> str:
        self.lease.check()
        with self._client.sentence("be written to"):
            done = self._client.call("put_object", path, Body=body, ContentMD5=md5, **arguments)
        etag: str = done["ETag"]
        return etag

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield an object in pieces. If the connection breaks, the download resumes, as long as the object is the same."""
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
