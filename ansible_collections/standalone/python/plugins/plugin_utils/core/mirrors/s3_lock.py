# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a mirror in a bucket: an object that is created only if none exists (If-None-Match).

Its holder renews it, because a store doesn't delete the lock of a killed process. Stores without such conditions can't lock.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

from ..errors import TransportError
from .s3_client import ABSENT, SCHEME, Client, code_of
from .storage import WORK

LOCK = f"{WORK}/lock"
# Seconds after which a lock that was not renewed is free.
LEASE = 60.0

_CONDITION_FAILED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_NO_CONDITIONS = frozenset({"NotImplemented", "501"})


class Lease:
    """
    :param lease: seconds
    """

    def __init__(self, client: Client, lease: float = LEASE) -> None:
        self._client = client
        self._lease = lease
        self.lost = threading.Event()

    @contextlib.contextmanager
    def held(self, wait: float, on_wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
        etag = self._lock(time.monotonic() + wait, on_wait)
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
            if not self.lost.is_set():
                with contextlib.suppress(TransportError):
                    self._delete()

    def check(self) -> None:
        if self.lost.is_set():
            raise TransportError(
                f"the mirror {self._client} lost its lock, as the store could not be reached for too long: run the sync again"
            )

    def _lock(self, until: float, on_wait: Callable[[], None]) -> str:
        """Take the lock and return its entity tag; empty if the store has no conditions."""
        waited = False
        while True:
            etag = self._put_if(IfNoneMatch="*")
            if etag is None:
                return ""
            if etag:
                # A store that ignores the condition would give the lock to everybody.
                if self._put_if(IfNoneMatch="*") == "":
                    return etag
                self._delete()
                return ""
            etag = self._overdue()
            if etag and (taken := self._put_if(IfMatch=etag)):
                return taken
            if not waited:
                on_wait()
                waited = True
            if time.monotonic() >= until:
                raise TransportError(
                    f"another sync is running in the mirror {self._client}: wait for it; if no sync is running, remove "
                    f"{SCHEME}{self._client.bucket}/{self._client.key(LOCK)}, and run again"
                )
            time.sleep(min(1.0, self._lease / 4))

    def _overdue(self) -> str:
        """Return the entity tag of a lock that was not renewed in time by the store's own clock; else empty."""
        from email.utils import parsedate_to_datetime

        with self._client.sentence("be read"):
            try:
                head = self._client.call("head_object", LOCK)
            except self._client.s3.exceptions.ClientError as error:
                if code_of(error) in ABSENT:
                    return ""
                raise
        try:
            now = parsedate_to_datetime(head["ResponseMetadata"]["HTTPHeaders"]["date"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise TransportError(f"the mirror {self._client} can't be read (its store sends no date): try again later") from None
        etag: str = head["ETag"]
        return etag if (now - head["LastModified"]).total_seconds() > self._lease else ""

    def _renew(self, etag: str, ended: threading.Event) -> None:
        renewed = time.monotonic()
        while not ended.wait(self._lease / 4):
            with contextlib.suppress(TransportError):
                new = self._put_if(IfMatch=etag)
                if new:
                    etag, renewed = new, time.monotonic()
                    continue
            # Until the lease ends, nobody else can take the lock.
            if time.monotonic() - renewed > self._lease * 0.75:
                self.lost.set()
                return

    def _put_if(self, **condition: str) -> str | None:
        """Write the lock on a condition. Return its entity tag; '' if the condition is false; None if the store has none."""
        # The bytes differ each time, because an entity tag is their checksum.
        content = f"{socket.gethostname()} {os.getpid()} {uuid4()}\n".encode()
        with self._client.sentence("be written to"):
            try:
                done = self._client.call("put_object", LOCK, Body=content, ContentType="text/plain", **condition)
            except self._client.s3.exceptions.ClientError as error:
                if code_of(error) in _CONDITION_FAILED:
                    # The lock may have been written all the same, if the answer was lost and boto3 has retried.
                    return self._etag_if(content)
                if code_of(error) in ABSENT:
                    return ""
                if code_of(error) in _NO_CONDITIONS:
                    return None
                raise
        etag: str = done["ETag"]
        return etag

    def _etag_if(self, content: bytes) -> str:
        """Return the entity tag of the lock if it has this content; else empty."""
        with self._client.sentence("be read"):
            try:
                answer = self._client.call("get_object", LOCK)
                etag: str = answer["ETag"]
                return etag if answer["Body"].read() == content else ""
            except self._client.s3.exceptions.ClientError as error:
                if code_of(error) in ABSENT:
                    return ""
                raise

    def _delete(self) -> None:
        self.check()
        with self._client.sentence("be written to"):
            self._client.call("delete_object", LOCK)
