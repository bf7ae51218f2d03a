# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces files, sets times, and writes all to disk. Sent beside finish.py; standard library only, Python 3.8 and later."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WINDOWS = os.name == "nt"


def as_it_is(path: str) -> str:
    """Return the path in the form that Windows allows to be longer than 260 characters."""
    if not WINDOWS or path.startswith("\\\\?\\"):
        return path
    return "\\\\?\\UNC" + path[1:] if path.startswith("\\\\") else "\\\\?\\" + path


def write(path: str, text: str) -> None:
    """Replace `path` by a new file. A hard link elsewhere in the tree keeps its content."""
    fresh = path + ".new"
    with open(fresh, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(text)
    if os.path.lexists(path):
        os.chmod(fresh, stat.S_IMODE(os.lstat(path).st_mode))
    patiently(lambda: os.replace(fresh, path))


def rewrite(path: str, text: str) -> list[str]:
    """Rewrite a file of the tree; return the changed files: this one, and its bytecode, which is removed."""
    write(path, text)
    changed = [path]
    cache, stem = os.path.dirname(path) + "/__pycache__", os.path.basename(path)[:-2]
    for name in os.listdir(cache) if path.endswith(".py") and os.path.isdir(cache) else ():
        if name.startswith(stem):
            os.remove(cache + "/" + name)
            changed.append(cache + "/" + name)
    return changed


def patiently(work: Callable[[], object]) -> None:
    """Repeat `work` for two seconds on Windows, where virus scanners hold new files for a moment."""
    for _attempt in range(20 if WINDOWS else 0):
        try:
            work()
            return
        except PermissionError:
            time.sleep(0.1)
    work()


def source_date(environment: Mapping[str, str]) -> int | None:
    """Return SOURCE_DATE_EPOCH (reproducible-builds.org) in seconds."""
    epoch = environment.get("SOURCE_DATE_EPOCH", "")
    return int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 19 else None


def set_times(tree: str, moment: int) -> None:
    """Set the time of everything in `tree`, links and folders included."""
    follow = os.utime not in os.supports_follow_symlinks
    for folder, folders, files in os.walk(tree):
        for name in (*files, *folders):
            path = os.path.join(folder, name)
            if not (follow and os.path.islink(path)):
                os.utime(path, (moment, moment), follow_symlinks=follow)
    os.utime(tree, (moment, moment))


def synchronise(tree: str, receipt: str) -> None:
    """Write the whole tree to disk, as far as the system can.

    On Windows only an administrator can flush a volume. Flushing each file would take many seconds, and fails for files that
    this interpreter runs from. So for other users only the receipt is flushed.
    """
    if WINDOWS:
        with open(receipt, "r+b") as file:
            os.fsync(file.fileno())
        flush_volume(tree)
        return
    folder = os.open(tree, os.O_RDONLY)
    try:
        if not sync_file_system(folder):
            os.sync()
    finally:
        os.close(folder)
    if sys.platform == "darwin":
        import fcntl

        with open(receipt, "rb") as file:
            fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)


def flush_volume(tree: str) -> None:
    """Flush the volume of `tree`. Source: Microsoft's page on FlushFileBuffers."""
    drive = os.path.splitdrive(os.path.realpath(tree))[0].replace("\\\\?\\", "")
    try:
        with open("\\\\.\\" + drive, "r+b", buffering=0) as volume:
            os.fsync(volume.fileno())
    except OSError:
        pass  # not an administrator, or no volume of this machine


def sync_file_system(descriptor: int) -> bool:
    """Call syncfs(2), and return whether that was possible. It needs the C library's function and ctypes.

    :raises OSError: the disk failed
    """
    try:
        import ctypes

        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, OSError, AttributeError):
        return False
    if syncfs(descriptor) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(code, os.strerror(code))
