# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage of a mirror: the operations that it needs, and their implementation for a folder. ``s3`` has the one for a bucket."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..archives.archive import checksum
from ..archives.cache import atomic_write, exclusive_lock, file_stamp, os_reason
from ..errors import TransportError

WORK = ".mirror"
CHUNK = 1 << 18

Stamp = list[int | str]
"""The size of a file in bytes, and values that change when the file does."""


class Storage(Protocol):
    """Paths are relative to the mirror, with ``/``. Files appear atomically. A method that fails raises ``TransportError`` or
    ``OSError``; :meth:`explain_errors` turns the latter into the former."""

    @property
    def work(self) -> Path:
        """The folder of this machine for unfinished downloads. It exists inside :meth:`exclusive_lock`."""

    @property
    def elsewhere(self) -> str:
        """The advice for a user whose disk has no room for downloads."""

    def exclusive_lock(self, wait: float, on_wait: Callable[[], None] = ...) -> AbstractContextManager[bool]:
        """Keep other processes from changing the mirror; yields False if the storage can't ensure that.

        :param wait: the maximum time to wait for another process, in seconds
        :param on_wait: called once if another process has the lock
        """

    def explain_errors(self, what: str = ..., do: str = ...) -> AbstractContextManager[None]:
        """Turn an ``OSError`` into a ``TransportError`` with a sentence."""

    def files(self) -> dict[str, Stamp]:
        """Return the stamps of the files in the folders of releases and in ``tools``."""

    def read(self, path: str) -> bytes:
        """
        :raises FileNotFoundError: it does not exist
        """

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file that is too large for :meth:`read`.

        :raises FileNotFoundError: it does not exist
        """

    def checksum(self, path: str) -> str:
        """Read a file and return its sha256.

        :raises FileNotFoundError: it does not exist
        """

    def stored_sha256(self, path: str) -> str:
        """Return the sha256 that the storage keeps since the file was verified; empty if it keeps none."""

    def put(self, path: str, content: bytes) -> None: ...

    def promote(self, part: Path, path: str, sha256: str) -> Stamp:
        """Move a verified file into the mirror, and return its stamp."""

    def delete(self, path: str) -> None:
        """Do nothing if the file does not exist."""


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def work(self) -> Path:
        return self.path / WORK

    @property
    def elsewhere(self) -> str:
        return "choose another folder for the mirror"

    @contextlib.contextmanager
    def exclusive_lock(self, wait: float, on_wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
        self.work.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.work, wait, on_wait) as locked:
            yield locked

    @contextlib.contextmanager
    def explain_errors(
        self, what: str = "be written to", do: str = "make room there, or choose another folder"
    ) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TransportError(f"the mirror {self} can't {what} ({os_reason(error)}): {do}") from None

    def files(self) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        for folder in sorted(path for path in (*self.path.glob(8 * "[0-9]"), self.path / "tools") if path.is_dir()):
            with os.scandir(folder) as entries:
                found |= {f"{folder.name}/{entry.name}": [*file_stamp(Path(entry))] for entry in entries if entry.is_file()}
        return found

    def read(self, path: str) -> bytes:
        try:
            return (self.path / path).read_bytes()
        except NotADirectoryError as error:
            raise FileNotFoundError(*error.args) from None

    def chunks(self, path: str) -> Iterator[bytes]:
        with (self.path / path).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def checksum(self, path: str) -> str:
        return checksum(self.path / path)

    def stored_sha256(self, path: str) -> str:
        return ""

    def put(self, path: str, content: bytes) -> None:
        (self.path / path).parent.mkdir(exist_ok=True)
        with atomic_write(self.path / path) as out:
            out.write(content)

    def promote(self, part: Path, path: str, sha256: str) -> Stamp:
        to = self.path / path
        to.parent.mkdir(exist_ok=True)
        # No fsync, which would take most of the time. A file that a power cut damages has another size or time than its
        # record, so the next sync reads it again.
        os.replace(part, to)
        return [*file_stamp(to)]

    def delete(self, path: str) -> None:
        (self.path / path).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.path / path).parent.rmdir()
