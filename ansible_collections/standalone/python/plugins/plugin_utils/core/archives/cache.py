# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that several processes keep files in: whose it is, who works in it, and files that are whole or
not there.

Knows nothing of what the files are (``store`` does), and never touches one outside the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import TransportError

APPLICATION = "standalone-python"
ROOT_VARIABLE = "STANDALONE_PYTHON_CACHE"

# Seconds: how long one waits for another's work, and after which time a temporary file in a folder nobody
# works in is left over.
LOCK_WAIT = 1800.0
LEFT_OVER_AFTER = 86400.0

TEMPORARY = ".part"

_INSTEAD = f"set {ROOT_VARIABLE} to a folder of your own"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# A file system without locks: everything is written under a name of its own and renamed, so only work can be
# done twice.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


def default_root() -> Path:
    """What the environment names, else the place for caches of the user who runs this.

    :raises TransportError: the user has no home folder, or the one that is named has none
    """
    named = os.environ.get(ROOT_VARIABLE, "")
    if named:
        root = os.path.expanduser(named)
        if root.startswith("~"):
            raise TransportError(f"{ROOT_VARIABLE} is {named!r}, but that home folder does not exist: set it to an absolute path")
        return Path(root)
    from platformdirs import user_cache_path

    # Newer releases raise an error, older ones leave the ~ as it is.
    with contextlib.suppress(RuntimeError):
        path = user_cache_path(APPLICATION, appauthor=False)
        if path.is_absolute():
            return path
    raise TransportError(f"there is no place for the cache, as the current user has no home folder: set HOME, or {_INSTEAD}")


@contextlib.contextmanager
def use_cache(root: Path) -> Iterator[None]:
    """The root, there and the user's own; an error of the file system becomes the sentence for it."""
    try:
        with contextlib.suppress(FileExistsError):
            root.mkdir(mode=0o700, parents=True)
        require_private(root)
        yield
    except OSError as error:
        do = "make room there, or " if error.errno in _FULL else ""
        raise TransportError(f"the cache {root} can't be used ({os_reason(error)}): {do}{_INSTEAD}") from None


def require_private(root: Path) -> None:
    """That nobody else can have put there what is found there. Windows has access lists for it, which are not looked at.

    :raises TransportError: somebody can
    :raises OSError: it can't be looked at
    """
    if not hasattr(os, "geteuid"):
        return
    status = root.stat()
    if status.st_uid != os.geteuid():
        raise TransportError(f"the cache {root} belongs to {_user(status.st_uid)}, not to {_user(os.geteuid())}: {_INSTEAD}")
    if status.st_mode & 0o022:
        raise TransportError(
            f"other users may write to the cache {root} (mode {status.st_mode & 0o7777:04o}), so its files are not trusted: "
            f"empty it and run 'chmod go-w {root}', or {_INSTEAD}"
        )


def make_private(folder: Path) -> None:
    """A folder of a cache, and those above it, for the user alone whatever the umask is."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def is_fresh(path: Path, age: float | None) -> bool:
    """Whether a file is there and was written less than so many seconds ago; None: whenever."""
    try:
        return time.time() - path.stat().st_mtime < (float("inf") if age is None else age)
    except FileNotFoundError:
        return False


def file_stamp(path: Path) -> list[int]:
    """What changes when a file is written to, even by someone who sets its modification time back."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


class Sink:
    """A file being written, hashed and counted."""

    def __init__(self, file: BinaryIO) -> None:
        import hashlib

        self.file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.file.write(data)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Sink]:
    """A file that is at ``path`` when all of it is on the disk, and not at all where anything goes wrong."""
    part = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with part.open("wb") as file:
            yield Sink(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive_lock(folder: Path, wait: float | None = None, waits: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """No other process works in the folder meanwhile; False where the file system has no locks to say so.

    :param wait: for so many seconds at most; None is LOCK_WAIT
    :param waits: called where there is one to wait for
    """
    import filelock

    wait = LOCK_WAIT if wait is None else wait
    lock = filelock.FileLock(folder / "lock", timeout=wait)
    locked = False
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            waits()
            lock.acquire()
        locked = True
    except filelock.Timeout:
        raise TransportError(
            f"waited {wait / 60:.0f} minutes for another process that works in {folder}: "
            "wait until it ends, or stop it, and run again"
        ) from None
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield locked
    finally:
        lock.release()


def remove_stale_parts(folder: Path, *, sure: bool) -> None:
    """Remove the temporary files that killed runs have left; where it is not sure that nobody works in the
    folder, only those that are a day old."""
    for path in folder.glob(f"*{TEMPORARY}"):
        if sure or not is_fresh(path, LEFT_OVER_AFTER):
            path.unlink(missing_ok=True)


def os_reason(error: OSError) -> str:
    """The system's words for an error, without the path that people have read already."""
    return error.strerror or type(error).__name__


def _user(uid: int) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"
