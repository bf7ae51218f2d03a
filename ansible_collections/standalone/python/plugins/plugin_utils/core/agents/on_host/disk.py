# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files replaced, times set, and everything on disk. Sent beside finish.py; standard library only, Python 3.8 and later."""

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
    """On Windows, the path in the form that may be longer than 260 characters."""
    if not WINDOWS or path.startswith("\\\\?\\"):
        return path
    return "\\\\?\\UNC" + path[1:] if path.startswith("\\\\") else "\\\\?\\" + path


def write(path: str, text: str) -> None:
    """Replaces `path` by a new file, so that a hard link elsewhere in the tree keeps its content."""
    fresh = path + ".new"
    with open(fresh, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(text)
    if os.path.lexists(path):
        os.chmod(fresh, stat.S_IMODE(os.lstat(path).st_mode))
    patiently(lambda: os.replace(fresh, path))


def patiently(work: Callable[[], object]) -> None:
    """On Windows, again for two seconds: what looks through new files there (a virus scanner) holds them for a moment."""
    for _attempt in range(20 if WINDOWS else 0):
        try:
            work()
            return
        except PermissionError:
            time.sleep(0.1)
    work()


def source_date(environment: Mapping[str, str]) -> int | None:
    """SOURCE_DATE_EPOCH (reproducible-builds.org), in seconds."""
    epoch = environment.get("SOURCE_DATE_EPOCH", "")
    return int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 19 else None


def set_times(tree: str, moment: int) -> None:
    """Everything in `tree`, links and folders too, has this one time."""
    follow = os.utime not in os.supports_follow_symlinks
    for folder, folders, files in os.walk(tree):
        for name in (*files, *folders):
            path = os.path.join(folder, name)
            if not (follow and os.path.islink(path)):
                os.utime(path, (moment, moment), follow_symlinks=follow)
    os.utime(tree, (moment, moment))


def synchronise(tree: str, receipt: str) -> None:
    """Everything of the tree is on disk when this returns, as far as the system offers that.

    On Windows only an administrator may ask for a whole volume. One by one would take many seconds, and leave out what
    this interpreter runs from, so for other users only the receipt is, and Windows writes the rest when it pleases.
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
    """Source: Microsoft's page on FlushFileBuffers."""
    drive = os.path.splitdrive(os.path.realpath(tree))[0].replace("\\\\?\\", "")
    try:
        with open("\\\\.\\" + drive, "r+b", buffering=0) as volume:
            os.fsync(volume.fileno())
    except OSError:
        pass  # not an administrator, or no volume of this machine


def sync_file_system(descriptor: int) -> bool:
    """syncfs(2), where the C library has it and this build has ctypes; an error of the disk is raised."""
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
