# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a mirror is: the few things that are done to it, and how they are done to a folder; ``bucket`` does them to an object
store."""

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

Stamp = list[int | str]
"""The size of a file in bytes, and more that changes when the file does."""


class Storage(Protocol):
    """Paths are below the mirror, with ``/``. A file is there whole or not at all; what can't be done is a ``TransportError`` or,
    below :meth:`usable`, an ``OSError``."""

    @property
    def work(self) -> Path:
        """The folder of this machine for downloads under way. It is there inside :meth:`alone`."""

    @property
    def elsewhere(self) -> str:
        """What else to do where downloads can't be written there."""

    def exclusive_lock(self, wait: float, waits: Callable[[], None] = ...) -> AbstractContextManager[bool]:
        """No other process works in the mirror meanwhile; False where the place can't promise it.

        :param wait: for another, so many seconds at most
        :param waits: called where there is one to wait for
        """

    def explain_errors(self, what: str = ..., do: str = ...) -> AbstractContextManager[None]:
        """An error of the operating system becomes a sentence."""

    def files(self) -> dict[str, Stamp]:
        """Return what is in the folders of releases, and the lists in ``tools``."""

    def read(self, path: str) -> bytes:
        """
        :raises FileNotFoundError: it is not there
        """

    def checksum(self, path: str) -> str:
        """The sha256 of a file, which is read for it.

        :raises FileNotFoundError: it is not there
        """

    def stored_sha256(self, path: str) -> str:
        """The sha256 that the place itself says of a file, as it was found right when the file came; empty where it says none."""

    def put(self, path: str, content: bytes) -> None: ...

    def promote(self, part: Path, path: str, sha256: str) -> Stamp:
        """Make a file, whose content is known to be right, one of the mirror; where it was it is no more."""

    def delete(self, path: str) -> None:
        """One that is not there is none to delete."""


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
    def exclusive_lock(self, wait: float, waits: Callable[[], None] = lambda: None) -> Iterator[bool]:
        self.work.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.work, wait, waits) as locked:
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
        # Not forced onto the disk, which would take most of the time: after a power cut it has another size or time than was
        # recorded, and the next sync reads it again.
        os.replace(part, to)
        return [*file_stamp(to)]

    def delete(self, path: str) -> None:
        (self.path / path).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.path / path).parent.rmdir()
