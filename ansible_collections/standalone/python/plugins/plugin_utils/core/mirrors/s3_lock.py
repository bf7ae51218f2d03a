# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a mirror in a bucket: an object that is made only where none is (If-None-Match), and renewed while its maker works,
as a store deletes no lock of a process that was killed. Stores that don't know such conditions can't keep anybody away.
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
# Seconds after which a lock that nobody has renewed is nobody's.
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
    def held(self, wait: float, waits: Callable[[], None] = lambda: None) -> Iterator[bool]:
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
            if not self.lost.is_set():
                with contextlib.suppress(TransportError):
                    self._delete()

    def check(self) -> None:
        if self.lost.is_set():
            raise TransportError(
                f"the mirror {self._client} lost its lock, as the store could not be reached for too long: run the sync again"
            )

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
                self._delete()
                return ""
            etag = self._overdue()
            if etag and (mine := self._put_if(IfMatch=etag)):
                return mine
            if not waited:
                waits()
                waited = True
            if time.monotonic() >= until:
                raise TransportError(
                    f"another sync is running in the mirror {self._client}: wait for it; if there is none, remove "
                    f"{SCHEME}{self._client.bucket}/{self._client.key(LOCK)}, and run again"
                )
            time.sleep(min(1.0, self._lease / 4))

    def _overdue(self) -> str:
        """The entity tag of a lock that has not been renewed in time, by the store's own clock."""
        from email.utils import parsedate_to_datetime

        with self._client.sentence("be read"):
            try:
                told = self._client.call("head_object", LOCK)
            except self._client.s3.exceptions.ClientError as error:
                if code_of(error) in ABSENT:
                    return ""
                raise
        try:
            now = parsedate_to_datetime(told["ResponseMetadata"]["HTTPHeaders"]["date"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise TransportError(f"the mirror {self._client} can't be read (its store sends no date): try again later") from None
        etag: str = told["ETag"]
        return etag if (now - told["LastModified"]).total_seconds() > self._lease else ""

    def _renew(self, etag: str, ended: threading.Event) -> None:
        renewed = time.monotonic()
        while not ended.wait(self._lease / 4):
            with contextlib.suppress(TransportError):
                mine = self._put_if(IfMatch=etag)
                if mine:
                    etag, renewed = mine, time.monotonic()
                    continue
            # Nobody else has it before its time is over.
            if time.monotonic() - renewed > self._lease * 0.75:
                self.lost.set()
                return

    def _put_if(self, **condition: str) -> str | None:
        """Write the lock on a condition: its entity tag, '' where the condition doesn't hold, None where the store knows none."""
        # Each time other bytes: an entity tag is a checksum of them.
        content = f"{socket.gethostname()} {os.getpid()} {uuid4()}\n".encode()
        with self._client.sentence("be written to"):
            try:
                done = self._client.call("put_object", LOCK, Body=content, ContentType="text/plain", **condition)
            except self._client.s3.exceptions.ClientError as error:
                if code_of(error) in _CONDITION_FAILED:
                    # Written all the same, if the answer to it was lost and boto3 has asked again.
                    return self._etag_if(content)
                if code_of(error) in ABSENT:
                    return ""
                if code_of(error) in _NO_CONDITIONS:
                    return None
                raise
        etag: str = done["ETag"]
        return etag

    def _etag_if(self, content: bytes) -> str:
        """The entity tag of the lock, where it has this content; else nothing."""
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
