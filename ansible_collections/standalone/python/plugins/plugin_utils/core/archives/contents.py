# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache contains, and which of it to remove. Files that the cache did not create are never touched.

A build's files are removed under its folder's lock, and only if no other process has it. The folder and its lock stay: a process
may wait for that lock. What was used within the last hour stays too, because a payload is sent to hosts without a lock.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..builds.catalogue import Build, is_build, parse_name
from ..errors import TransportError
from .cache import TEMPORARY, exclusive_lock, require_private

SIZE_VARIABLE = "STANDALONE_PYTHON_CACHE_SIZE"
DEFAULT_SIZE = "10G"
# Seconds in which a payload may still be on its way to hosts.
IN_USE = 3600.0

_FOLDER = r"(cpython-.+)-[0-9a-f]{12}"
_PAYLOAD = r"(payload\.tar\.(gz|zst)|delta-[0-9a-f]{12})(\.json)?"
_TEXT = r"[0-9a-f]{24}(\.why)?"
_SIZE = r"([0-9]{1,15})(?:\.([0-9]{1,3}))?\s*([kmgt]?)b?"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_AGE = r"([0-9]{1,5})([smhdw])"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Entry:
    """What the cache has of one build, in bytes.

    :ivar payload: for hosts
    :ivar download: the archive, as it was downloaded
    :ivar unfinished: of interrupted downloads
    :ivar used: the time of the last use, in seconds since 1970
    """

    folder: Path
    build: Build
    payload: int
    download: int
    unfinished: int
    used: float

    @property
    def size(self) -> int:
        return self.payload + self.download + self.unfinished


@dataclass(frozen=True, slots=True)
class Texts:
    """The cached texts, such as SHA256SUMS: their number, their size in bytes, and the time at which the newest was written."""

    number: int
    size: int
    used: float


def size_limit() -> int | None:
    """Return the size in bytes that the cache may have after a run has added to it; None if it has no limit.

    :raises TransportError: the variable is not a size
    """
    text = os.environ.get(SIZE_VARIABLE, "") or DEFAULT_SIZE
    if text.lower() == "unlimited":
        return None
    try:
        return parse_size(text)
    except ValueError:
        raise TransportError(f"{SIZE_VARIABLE} is {text!r}, which is not a size: write one such as 10G, or unlimited") from None


def parse_size(text: str) -> int:
    """Return a size such as ``5G``, ``1.5 GB`` or ``500m`` in bytes. The units are powers of 1000.

    :raises ValueError: it is not a size
    """
    match = re.fullmatch(_SIZE, text.strip().lower())
    if match is None:
        raise ValueError(text)
    whole, fraction, unit = match.groups()
    return int((int(whole) * 1000 + int((fraction or "0").ljust(3, "0"))) * _UNITS[unit] // 1000)


def parse_age(text: str) -> float:
    """Return an age such as ``30d``, ``12h`` or ``2w`` in seconds.

    :raises ValueError: it is not an age
    """
    match = re.fullmatch(_AGE, text.strip().lower())
    if match is None:
        raise ValueError(text)
    return float(int(match[1]) * _SECONDS[match[2]])


def entries(root: Path) -> tuple[Entry, ...]:
    """Return what a cache has of builds, the last used first."""
    found = []
    for folder in _folders(root / "builds"):
        match = re.fullmatch(_FOLDER, folder.name)
        build = parse_name(match[1]) if match else None
        if build is not None and (entry := _entry(folder, build)).size:
            found.append(entry)
    return tuple(sorted(found, key=lambda entry: -entry.used))


def texts(root: Path) -> Texts:
    files = [status for name, status in _files(root / "texts") if re.fullmatch(_TEXT, name)]
    return Texts(len(files), sum(one.st_size for one in files), max((one.st_mtime for one in files), default=0.0))


def size_of(folder: Path) -> int:
    """Return the size of a folder's files in bytes."""
    return sum(status.st_size for _name, status in _files(folder)) + sum(map(size_of, _folders(folder)))


def chosen(
    found: Iterable[Entry], now: float, *, older_than: float | None = None, max_size: int | None = None, keep: str = ""
) -> tuple[Entry, ...]:
    """Return the entries to remove, the longest unused first.

    :param older_than: remove what was not used for this time, in seconds
    :param max_size: then remove until the rest has at most this size, in bytes
    :param keep: the name of the folder that this run needs
    """
    oldest = sorted(found, key=lambda entry: entry.used)
    size = sum(entry.size for entry in oldest)
    removed = []
    for entry in oldest:
        old = older_than is not None and now - entry.used >= older_than
        if entry.folder.name != keep and (old or (max_size is not None and size > max_size)):
            removed.append(entry)
            size -= entry.size
    return tuple(removed)


def remove(entry: Entry, *, unused_for: float = IN_USE) -> bool:
    """Remove what the cache has of a build. Return False if it is in use.

    :param unused_for: what was used within this time stays, in seconds
    :raises OSError: a file can't be removed
    """
    try:
        with exclusive_lock(entry.folder, wait=0) as locked:
            # Another process may have used it since it was listed.
            if not locked or time.time() - _entry(entry.folder, entry.build).used < unused_for:
                return False
            for name, _status in _files(entry.folder):
                if _kind(name, entry.build):
                    (entry.folder / name).unlink(missing_ok=True)
            return True
    except TransportError:
        return False


def remove_texts(root: Path, older_than: float) -> int:
    """Remove the texts that are older than a time in seconds; return their size."""
    folder, size = root / "texts", 0
    for name, status in _files(folder):
        if re.fullmatch(_TEXT, name) and time.time() - status.st_mtime >= max(older_than, IN_USE):
            (folder / name).unlink(missing_ok=True)
            size += status.st_size
    return size


def trim(root: Path, keep: str, limit: int | None) -> None:
    """Remove what was not used for longest, until the cache has at most its size. Failures are left to the next run.

    :param keep: the name of the folder that this run needs
    """
    if limit is None:
        return
    with contextlib.suppress(OSError, TransportError):
        require_private(root)
        for entry in chosen(entries(root), time.time(), max_size=limit, keep=keep):
            remove(entry)


def touch(path: Path) -> None:
    """Note that a file is used now."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _entry(folder: Path, build: Build) -> Entry:
    sizes = {"payload": 0, "download": 0, "unfinished": 0}
    used = 0.0
    for name, status in _files(folder):
        if kind := _kind(name, build):
            sizes[kind] += status.st_size
            used = max(used, status.st_mtime)
    return Entry(folder, build, **sizes, used=used)


def _kind(name: str, build: Build) -> str:
    """Return which kind of a build's files a name means; empty if the cache does not make such a file there."""
    if name.endswith(TEMPORARY) and name.startswith(("payload.tar.", f"cpython-{build.version}")):
        return "unfinished"
    if re.fullmatch(_PAYLOAD, name):
        return "payload"
    return "download" if name == build.filename or (name.startswith(f"cpython-{build.version}-") and is_build(name)) else ""


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of a folder, without links."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        for one in found:
            with contextlib.suppress(FileNotFoundError):
                if one.is_file(follow_symlinks=False):
                    yield one.name, one.stat(follow_symlinks=False)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without links."""
    try:
        with os.scandir(folder) as found:
            return [Path(one.path) for one in found if one.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
