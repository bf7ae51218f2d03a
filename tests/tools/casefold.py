# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that keeps the case of names and ignores it when one is looked for, as macOS' and Windows' do, by FUSE on Linux.

    casefold.py BEHIND MOUNTED

shows the folder BEHIND at MOUNTED until it is unmounted or ended. Needs libfuse and the package mfusepy.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def lacking() -> bool:
    """Whether this machine can't have one."""
    return sys.platform != "linux" or os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK)


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """Such a file system at ``folder/disk``, with its content in ``folder/behind``."""
    behind, disk = folder / "behind", folder / "disk"
    for path in (behind, disk):
        path.mkdir()
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen([sys.executable, __file__, behind, disk], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 20
            while not os.path.ismount(disk):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"no file system came up: {Path(log.name).read_text()[-500:]}")
                time.sleep(0.05)
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", disk], capture_output=True, check=False)
            process.terminate()
            process.wait()


def serve(behind: str, at: str) -> None:
    import mfusepy  # type: ignore[import-untyped]

    class Folded(mfusepy.Operations):  # type: ignore[misc]
        use_ns = True

        def real(self, path: str) -> str:
            """Where what is called ``path`` lies behind, by whatever case it has there."""
            found = behind
            for name in path.split("/")[1:]:
                exact = f"{found}/{name}"
                if name and not os.path.lexists(exact):
                    names = os.listdir(found) if os.path.isdir(found) else []
                    exact = next((f"{found}/{n}" for n in names if n.casefold() == name.casefold()), exact)
                found = exact
            return found

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            status = os.lstat(self.real(path))
            names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
            times = {name: getattr(status, f"{name}_ns") for name in ("st_atime", "st_mtime", "st_ctime")}
            return {name: getattr(status, name) for name in names} | times

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *os.listdir(self.real(path))]

        def readlink(self, path: str) -> str:
            return os.readlink(self.real(path))

        def mkdir(self, path: str, mode: int) -> int:
            os.mkdir(self.real(path), mode)
            return 0

        def rmdir(self, path: str) -> int:
            os.rmdir(self.real(path))
            return 0

        def unlink(self, path: str) -> int:
            os.unlink(self.real(path))
            return 0

        def symlink(self, target: str, source: str) -> int:
            os.symlink(source, self.real(target))
            return 0

        def rename(self, old: str, new: str, flags: int = 0) -> int:
            if flags:
                raise mfusepy.FuseOSError(errno.EINVAL)
            os.rename(self.real(old), self.real(new))
            return 0

        def link(self, target: str, source: str) -> int:
            os.link(self.real(source), self.real(target))
            return 0

        def chmod(self, path: str, mode: int) -> int:
            os.chmod(self.real(path), mode)
            return 0

        def chown(self, path: str, uid: int, gid: int) -> int:
            os.lchown(self.real(path), uid, gid)
            return 0

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            os.truncate(self.real(path), length)
            return 0

        def open(self, path: str, flags: int) -> int:
            return os.open(self.real(path), flags)

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            return os.open(self.real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            return os.pwrite(fh, data, offset)

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
            os.utime(self.real(path), ns=times or (time.time_ns(),) * 2, follow_symlinks=False)
            return 0

        def statfs(self, path: str) -> dict[str, int]:
            status = os.statvfs(behind)
            names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_files", "f_ffree", "f_frsize", "f_namemax")
            return {name: getattr(status, name) for name in names}

    # The kernel knows a name by its letters: what it keeps of one spelling would be false once the other is changed.
    mfusepy.FUSE(Folded(), at, foreground=True, nothreads=True, allow_other=True, entry_timeout=0, attr_timeout=0)


if __name__ == "__main__":
    serve(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]))
