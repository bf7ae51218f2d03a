# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror in an object store that speaks S3, by boto3, which finds credentials, region, proxies and the endpoint where it always
does.

An object is there whole or not at all, so an archive is sent in one request. With it goes its MD5, by which the store refuses
what was damaged on the way, and its sha256, so that nobody has to read it again to know what it is.

Two syncs are kept apart by an object that is made only where none is (If-None-Match), and renewed while its maker works: a store
deletes no lock of a process that was killed. Stores that don't know such conditions can't keep anybody away.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..archives.cache import ROOT_VARIABLE, default_root, make, usable, what_failed
from ..archives.source import without_credentials
from ..errors import DeclarationError, TransportError
from .storage import WORK, Folder, Place, Stamp

SCHEME = "s3://"
SHA256 = "sha256"
LOCK = f"{WORK}/lock"
# Seconds after which a lock that nobody has renewed is nobody's.
LEASE = 60.0
CHUNK = 1 << 18
CONNECTIONS = 64
ATTEMPTS = 4

_CONDITION_FAILED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_NO_CONDITIONS = frozenset({"NotImplemented", "501"})
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_SAID = {
    "NoSuchBucket": ("there is no such bucket", "make it, or choose another"),
    "AccessDenied": ("access is denied", "check what the credentials may do there"),
    "403": ("access is denied", "check what the credentials may do there"),
    "InvalidAccessKeyId": ("the store doesn't know the access key", "check the credentials"),
    "SignatureDoesNotMatch": ("the store doesn't accept the secret key", "check the credentials"),
    "ExpiredToken": ("the credentials are not valid any more", "get new ones"),
}


def place_of(text: str, endpoint_url: str = "") -> Place:
    """A mirror by what a user calls it: a path, or ``s3://BUCKET/PREFIX``.

    :param endpoint_url: of an object store; where it is empty boto3's settings say it, and else it is Amazon's
    :raises DeclarationError: the bucket or the endpoint can't be read, there is no text, or a folder has an endpoint
    :raises TransportError: boto3 is not installed
    """
    if not text.startswith(SCHEME):
        if endpoint_url:
            raise DeclarationError("an endpoint is for a mirror in a bucket: name it as s3://BUCKET/PREFIX, or leave it out")
        if not text:
            raise DeclarationError("the mirror is empty: give a folder, or s3://BUCKET/PREFIX")
        return Folder(Path(os.path.expanduser(text)))
    name, _slash, prefix = text.removeprefix(SCHEME).partition("/")
    prefix = prefix.strip("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", name) or not re.fullmatch(r"[^\x00-\x1f\x7f?#]*", prefix):
        # Not repeated: who knows what is before an @.
        raise DeclarationError("the mirror's bucket can't be read: write s3://BUCKET or s3://BUCKET/PREFIX, and nothing else")
    return Bucket(name, prefix, endpoint_url)


@dataclass
class Bucket:
    """
    :ivar prefix: without slashes around it; may be empty
    :ivar lease: seconds
    """

    name: str
    prefix: str = ""
    endpoint_url: str = field(default="", repr=False)
    lease: float = LEASE
    _client: Any = field(init=False, repr=False)
    _lost: threading.Event = field(default_factory=threading.Event, repr=False)

    def __post_init__(self) -> None:
        # What is wrong with the settings is said before anything else is done.
        self._client = self._made()

    def __str__(self) -> str:
        return f"{SCHEME}{self.name}" + (f"/{self.prefix}" if self.prefix else "")

    def _made(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise TransportError(
                f"the mirror {self} needs the Python package boto3, which is not installed: pip install 'standalone-python[s3]'"
            ) from None
        from botocore.exceptions import BotoCoreError

        settings = Config(
            # Checksums of a newer kind are refused by many stores that are not Amazon's; ours are sent with each object.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=CONNECTIONS,
            user_agent_extra="standalone-python",
        )
        try:
            session = boto3.Session()
            region = session.region_name or "us-east-1"
            return session.client("s3", endpoint_url=self.endpoint_url or None, region_name=region, config=settings)
        except ValueError:
            raise DeclarationError("the endpoint can't be used as a URL: give http://HOST or https://HOST") from None
        except BotoCoreError as error:
            raise self._error("be used", error) from None

    @cached_property
    def work(self) -> Path:
        where = hashlib.sha256(f"{self._client.meta.endpoint_url} {self}".encode()).hexdigest()[:24]
        return default_root() / "mirror" / where

    elsewhere = f"have the cache elsewhere with {ROOT_VARIABLE}"

    @contextlib.contextmanager
    def usable(self, what: str = "", do: str = "") -> Iterator[None]:
        """What is in the bucket has sentences of its own; so what fails here is the folder for downloads."""
        try:
            yield
        except OSError as error:
            raise TransportError(
                f"downloads for the mirror {self} can't be kept in {self.work} ({what_failed(error)}): make room there, or "
                f"{self.elsewhere}"
            ) from None

    def files(self) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        with self._sentence("be read"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self._key(""))
            for page in pages:
                for entry in page.get("Contents", ()):
                    path = entry["Key"].removeprefix(self._key(""))
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

    def vouched(self, path: str) -> str:
        with self._sentence("be read"):
            said: str = self._client.head_object(Bucket=self.name, Key=self._key(path))["Metadata"].get(SHA256, "")
        return said if re.fullmatch("[0-9a-f]{64}", said) else ""

    def put(self, path: str, content: bytes) -> None:
        # Caches on the way have to ask whether a list is still what it was.
        kind = "application/gzip" if path.endswith(".gz") else "text/plain; charset=utf-8"
        self._put(path, content, _md5([content]), ContentType=kind, CacheControl="no-cache")

    def take(self, part: Path, path: str, sha256: str) -> Stamp:
        with part.open("rb") as file:
            digest = _md5(iter(lambda: file.read(CHUNK), b""))
            size = file.tell()
            file.seek(0)
            etag = self._put(path, file, digest, ContentType="application/octet-stream", Metadata={SHA256: sha256})
        # Not every store looks at a checksum that it is sent. One that encrypts has other entity tags, and is asked what it has.
        if etag.strip('"') != b64decode(digest).hex() and self.checksum(path) != sha256:
            self.delete(path)
            raise TransportError(f"the mirror {self} keeps something else as {path} than what it was sent: run it again")
        part.unlink()
        return [size, etag]

    def delete(self, path: str) -> None:
        self._mine()
        with self._sentence("be written to"):
            self._client.delete_object(Bucket=self.name, Key=self._key(path))

    @contextlib.contextmanager
    def alone(self, wait: float, waits: Callable[[], None] = lambda: None) -> Iterator[bool]:
        with usable(default_root()):
            make(self.work)
        etag = self._lock(time.monotonic() + wait, waits)
        if not etag:
            yield False
            return
        ended = threading.Event()
        keeper = threading.Thread(target=self._renew, args=(etag, ended), daemon=True)
        keeper.start()
        try:
            yield True
        finally:
            ended.set()
            keeper.join()
            if not self._lost.is_set():
                with contextlib.suppress(TransportError):
                    self.delete(LOCK)

    def _lock(self, until: float, waits: Callable[[], None]) -> str:
        """The entity tag of our lock; nothing where the store knows no conditions."""
        waited = False
        while True:
            etag = self._put_if(IfNoneMatch="*")
            if etag is None:
                return ""
            if etag:
                # A store that passes over the condition would let anybody in.
                if self._put_if(IfNoneMatch="*") == "":
                    return etag
                self.delete(LOCK)
                return ""
            etag = self._overdue()
            if etag and (mine := self._put_if(IfMatch=etag)):
                return mine
            if not waited:
                waits()
                waited = True
            if time.monotonic() >= until:
                raise TransportError(
                    f"another sync is at work in the mirror {self}: wait for it; if there is none, remove {SCHEME}{self.name}/"
                    f"{self._key(LOCK)}, and run again"
                )
            time.sleep(min(1.0, self.lease / 4))

    def _overdue(self) -> str:
        """The entity tag of a lock that has not been renewed in time, by the store's own clock."""
        from email.utils import parsedate_to_datetime

        with self._sentence("be read"):
            try:
                told = self._client.head_object(Bucket=self.name, Key=self._key(LOCK))
            except self._client.exceptions.ClientError as error:
                if _code(error) in _ABSENT:
                    return ""
                raise
        try:
            now = parsedate_to_datetime(told["ResponseMetadata"]["HTTPHeaders"]["date"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise TransportError(f"the mirror {self} can't be read (its store says no time): try again later") from None
        etag: str = told["ETag"]
        return etag if (now - told["LastModified"]).total_seconds() > self.lease else ""

    def _renew(self, etag: str, ended: threading.Event) -> None:
        renewed = time.monotonic()
        while not ended.wait(self.lease / 4):
            with contextlib.suppress(TransportError):
                mine = self._put_if(IfMatch=etag)
                if mine:
                    etag, renewed = mine, time.monotonic()
                    continue
            # Nobody else has it before its time is over.
            if time.monotonic() - renewed > self.lease * 0.75:
                self._lost.set()
                return

    def _put_if(self, **condition: str) -> str | None:
        """Write the lock on a condition: its entity tag, '' where the condition doesn't hold, None where the store knows none."""
        # Each time other bytes: an entity tag is a checksum of them.
        content = f"{socket.gethostname()} {os.getpid()} {uuid4()}\n".encode()
        with self._sentence("be written to"):
            try:
                done = self._client.put_object(
                    Bucket=self.name, Key=self._key(LOCK), Body=content, ContentType="text/plain", **condition
                )
            except self._client.exceptions.ClientError as error:
                if _code(error) in _CONDITION_FAILED:
                    # Written all the same, if the answer to it was lost and boto3 has asked again.
                    return self._etag_if(content)
                if _code(error) in _ABSENT:
                    return ""
                if _code(error) in _NO_CONDITIONS:
                    return None
                raise
        etag: str = done["ETag"]
        return etag

    def _etag_if(self, content: bytes) -> str:
        """The entity tag of the lock, where it has this content; else nothing."""
        with self._sentence("be read"):
            try:
                answer = self._client.get_object(Bucket=self.name, Key=self._key(LOCK))
                etag: str = answer["ETag"]
                return etag if answer["Body"].read() == content else ""
            except self._client.exceptions.ClientError as error:
                if _code(error) in _ABSENT:
                    return ""
                raise

    def _mine(self) -> None:
        if self._lost.is_set():
            raise TransportError(
                f"the mirror {self} could not be kept for this sync, the store was not to be reached for too long: run it again"
            )

    def _put(self, path: str, body: Any, md5: str, **told: Any) -> str:
        self._mine()
        with self._sentence("be written to"):
            done = self._client.put_object(Bucket=self.name, Key=self._key(path), Body=body, ContentMD5=md5, **told)
        etag: str = done["ETag"]
        return etag

    def _content(self, path: str) -> Iterator[bytes]:
        """An object, in pieces. One that breaks off is asked for again from there on, as long as it is the same."""
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        done, tag, left = 0, "", ATTEMPTS
        while True:
            part = {"Range": f"bytes={done}-", "IfMatch": tag} if done else {}
            with self._sentence("be read", path):
                try:
                    answer = self._client.get_object(Bucket=self.name, Key=self._key(path), **part)
                    tag = answer["ETag"]
                    for chunk in answer["Body"].iter_chunks(CHUNK):
                        done += len(chunk)
                        yield chunk
                    return
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    left -= 1
                    if not left:
                        raise

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    @contextlib.contextmanager
    def _sentence(self, what: str, path: str = "") -> Iterator[None]:
        """
        :raises FileNotFoundError: an object is not there
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if path and _code(error) in _ABSENT:
                raise FileNotFoundError(f"{self}/{path}") from None
            raise self._error(what, error) from None
        except BotoCoreError as error:
            raise self._error(what, error) from None

    def _error(self, what: str, error: Exception) -> TransportError:
        """A sentence without the exception's own text, which can hold an address with a password."""
        from botocore import exceptions as known

        endpoint = without_credentials(self._client.meta.endpoint_url) if "_client" in self.__dict__ else "the store"
        if isinstance(error, known.ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
            said, do = _SAID.get(_code(error), (f"{endpoint} answered {status} {_code(error)}", "try again later"))
        elif isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
            said, do = "no credentials were found", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        elif isinstance(error, (known.HTTPClientError, known.ConnectionError)):
            said, do = f"{endpoint} could not be reached", "check the network and the endpoint (--endpoint-url, AWS_ENDPOINT_URL)"
        else:
            said, do = f"{type(error).__name__} of boto3", "check its settings, such as AWS_PROFILE, and the bucket's name"
        return TransportError(f"the mirror {self} can't {what} ({said}): {do}")


def _code(error: Any) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def _md5(chunks: Any) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return b64encode(digest.digest()).decode()
