# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs a payload while its archive is still being downloaded, so that the first host of a fleet waits less.

A thread reads the part on the disk as it grows. The payload gets its name only if the whole archive has the expected SHA-256.
Whatever goes wrong, nothing is left of it: the caller then packs after the download, and reports what is wrong.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from .resume import Arriving
from .unzstd import Readable

Made = TypeVar("Made")

# Windows can't remove or replace a file that is open.
POSSIBLE = os.name != "nt"


class _StoppedError(Exception):
    """The download failed, or began again."""


class _Growing:
    """A file that another thread writes. ``read`` waits for missing bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.stopped = False
        self._there = 0
        self._at = 0
        self._changed = threading.Condition()
        self.file: BinaryIO | None = None

    def grown(self, there: int) -> None:
        with self._changed:
            self._there = there
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self.stopped = True
            self._changed.notify()

    def read(self, size: int = -1, /) -> bytes:
        """
        :raises _StoppedError: the rest will not arrive
        """
        with self._changed:
            self._changed.wait_for(lambda: self.stopped or self._there > self._at or self._there >= self.size)
            if self.stopped or self.file is None:
                raise _StoppedError
            most = self._there - self._at
        data = self.file.read(min(size, most) if size >= 0 else most)
        self._at += len(data)
        return data


class PackedMeanwhile(Arriving, Generic[Made]):
    """An unfinished archive that is hashed and packed while it arrives. It is a ``partial.Watch``.

    :param make: packs what the reader returns; it gets the archive's size in bytes. None: nothing is packed
    """

    def __init__(self, part: Path, make: Callable[[Readable, int], Made] | None) -> None:
        super().__init__(part)
        self._make = make
        self._growing: _Growing | None = None
        self._thread: threading.Thread | None = None
        self._made: list[Made] = []

    def begins(self, offset: int, size: int) -> None:
        # Either the download began again, so the thread has read old bytes, or this server has a file of another size.
        if offset != self.done or (self._growing and self._growing.size != size):
            self.stop()
        super().begins(offset, size)
        if POSSIBLE and self._make and size and self._growing is None:
            self._growing = growing = _Growing(size)
            growing.grown(self.done)
            self._thread = threading.Thread(target=self._work, args=(self._make, growing), daemon=True)
            self._thread.start()

    def wrote(self, chunk: bytes) -> None:
        super().wrote(chunk)
        if self._growing:
            self._growing.grown(self.done)

    def stop(self) -> None:
        """Give up. The thread ends, and leaves nothing."""
        if self._growing:
            self._growing.stop()
        self._join()
        # A file that is written anew is empty for a moment, and the thread may have taken that for its end.
        self._made.clear()

    def result(self) -> Made | None:
        """Return what was made of the file, to which nothing is added any more; None if that failed."""
        if self._growing:
            self._growing.grown(self._growing.size)
        self._join()
        return self._made[0] if self._made else None

    def _join(self) -> None:
        if self._thread:
            self._thread.join()

    def _work(self, make: Callable[[Readable, int], Made], growing: _Growing) -> None:
        try:
            with self.part.open("rb") as growing.file:
                self._made.append(make(growing, growing.size))
        except Exception:
            # The caller packs again, and then reports the reason if it persists.
            self._made.clear()
