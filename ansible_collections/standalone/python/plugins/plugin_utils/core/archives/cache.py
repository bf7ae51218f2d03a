# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache folder that several processes share: its owner, its lock, and files that are complete or absent.

Knows nothing about the content of the files (``store`` does), and never touches a file outside the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import TransportError
from ..progress import task

if TYPE_CHECKING:
    from filelock import FileLock

    from .link_lock import LinkLock

APPLICATION = "standalone-python"
ROOT_VARIABLE = "STANDALONE_PYTHON_CACHE"

# Seconds: how long a process waits for another one, how often it looks, and when a temporary file in an unlocked folder is stale.
LOCK_WAIT = 1800.0
LOCK_POLL = 0.1
LEFT_OVER_AFTER = 86400.0

TEMPORARY = ".part"

_INSTEAD = f"set {ROOT_VARIABLE} to a folder of your own"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# A file system without flock. Without links too, each process writes under its own name, so at worst the work is done twice.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


def default_root() -> Path:
    """Return the folder that STANDALONE_PYTHON_CACHE names, else the current user's folder for caches.

    :raises TransportError: the home folder does not exist
    """
    named = os.environ.get(ROOT_VARIABLE, "")
    if named:
        root = os.path.expanduser(named)
        if root.startswith("~"):
            raise TransportError(f"{ROOT_VARIABLE} is {named!r}, but that home folder does not exist: set it to an absolute path")
        return Path(root)
    if sys.platform == "linux":
        # What platformdirs answers, without its import, which takes longer than a look at the cache.
        base = os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.expanduser("~/.cache")
        if base.startswith("/"):
            return Path(base, APPLICATION)
    from platformdirs import user_cache_path

    # Newer releases raise an error, older ones leave the ~ as it is.
    with contextlib.suppress(RuntimeError):
        path = user_cache_path(APPLICATION, appauthor=False)
        if path.is_absolute():
            return path
    raise TransportError(f"there is no place for the cache, as the current user has no home folder: set HOME, or {_INSTEAD}")


@contextlib.contextmanager
def use_cache(root: Path) -> Iterator[None]:
    """Create the root, check that only this user can write to it, and report file system errors as a ``TransportError``."""
    try:
        with contextlib.suppress(FileExistsError):
            root.mkdir(mode=0o700, parents=True)
        require_private(root)
        yield
    except OSError as error:
        do = "make room there, or " if error.errno in _FULL else ""
        raise TransportError(f"the cache {root} can't be used ({os_reason(error)}): {do}{_INSTEAD}") from None


def require_private(root: Path) -> None:
    """Ensure that only this user can write to the cache. On Windows access lists are not checked.

    :raises TransportError: another user owns it or can write to it
    :raises OSError: its status can't be read
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
    """Create a folder and its parents, accessible to this user only, whatever the umask is."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def is_fresh(path: Path, age: float | None) -> bool:
    """Return whether a file exists and was written less than ``age`` seconds ago; with None any age counts."""
    try:
        return time.time() - path.stat().st_mtime < (float("inf") if age is None else age)
    except FileNotFoundError:
        return False


def file_stamp(path: Path) -> list[int]:
    """Return values that change when a file is written to, even if its modification time is set back."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


class Sink:
    """A file that is hashed and counted while it is written."""

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
    """Write a file that appears at ``path`` only when all of it is on the disk; after an error it does not appear."""
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
def exclusive_lock(folder: Path, wait: float | None = None, on_wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Lock a folder against other processes, also those of other machines; yield False if the file system has no locks.

    :param wait: the longest time to wait for the lock, in seconds; None is LOCK_WAIT
    :param on_wait: called once if another process has the lock
    """
    import filelock

    from .link_lock import LinkLock

    wait = LOCK_WAIT if wait is None else wait
    until = time.monotonic() + wait
    native, link = filelock.FileLock(folder / "lock"), LinkLock(folder)
    try:
        held = _take(native, link)
        if held is None:
            on_wait()
            with task("Waiting for", f"another process that works in {folder}"):
                while held is None:
                    if time.monotonic() >= until:
                        raise TransportError(
                            f"waited {wait / 60:.0f} minutes for another process that works in {folder}: "
                            "wait until it ends, or stop it, and run again"
                        )
                    time.sleep(LOCK_POLL)
                    held = _take(native, link)
        yield held
    finally:
        link.release()
        native.release()


def _take(native: FileLock, link: LinkLock) -> bool | None:
    """Return True if this process has the locks now, None if another one has, False if the file system has no locks."""
    import filelock

    flocked = native.is_locked
    try:
        if not flocked:
            native.acquire(timeout=0)
            flocked = True
    except filelock.Timeout:
        return None
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    # flock of NFS may know only the processes of this machine.
    linked = link.take(alone=flocked)
    return flocked if linked is None else linked or None


def remove_stale_parts(folder: Path, *, sure: bool, keep: str = "") -> None:
    """Remove the temporary files of killed runs.

    :param sure: whether the folder is locked; otherwise only files older than a day are removed
    :param keep: the name of a partial download that this run continues
    """
    for path in folder.glob(f"*{TEMPORARY}"):
        if path.name != keep and (sure or not is_fresh(path, LEFT_OVER_AFTER)):
            path.unlink(missing_ok=True)


def os_reason(error: OSError) -> str:
    """Return the system's text for an error, without the path, which the message has already."""
    return error.strerror or type(error).__name__


def _user(uid: int) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"
