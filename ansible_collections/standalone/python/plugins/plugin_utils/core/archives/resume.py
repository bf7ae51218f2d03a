# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completes a download that an earlier run began. The SHA-256 of the whole file decides whether both parts belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from .partial import LARGEST_PIECE


class Arriving:
    """An unfinished file, hashed while it arrives. It is a ``partial.Watch``."""

    def __init__(self, part: Path) -> None:
        self.part = part
        self.digest, self.done = hashlib.sha256(), 0

    def begins(self, offset: int, size: int) -> None:
        if offset == self.done:
            return
        self.digest, self.done = hashlib.sha256(), 0
        with self.part.open("rb") as file:
            while self.done < offset and (chunk := file.read(min(LARGEST_PIECE, offset - self.done))):
                self.digest.update(chunk)
                self.done += len(chunk)

    def wrote(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.done += len(chunk)


def complete(arriving: Arriving, sha256: str, receive: Callable[[], None]) -> str:
    """Complete a file, and return the SHA-256 that it has now: 64 hexadecimal digits.

    If the earlier run's part was of another file, it is removed, and the download starts again. If the file is wrong even so,
    it is removed.

    :param receive: downloads what is missing at the end of the part
    """
    part = arriving.part
    earlier = part.stat().st_size if part.exists() else 0
    arriving.begins(earlier, 0)
    # A run that was killed at its very end left all of it.
    if not earlier or arriving.digest.hexdigest() != sha256:
        receive()
        if earlier and arriving.digest.hexdigest() != sha256:
            part.unlink(missing_ok=True)
            receive()
    found = arriving.digest.hexdigest()
    if found != sha256:
        part.unlink(missing_ok=True)
    return found


def note_unfinished(ended: BaseException, text: str) -> None:
    """Add to what interrupts a run, such as Ctrl-C, that nothing of a download is lost; errors have their own message."""
    if not isinstance(ended, Exception):
        ended.add_note(text)
