# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock that is a hard link: it also works on NFS, where flock can fail or lock only the processes of one machine.

Creating a link is atomic on every file system that has links. The link's text names the holder, which renews the link's time, so
that others can see whether it still runs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

NAME = "lock.holder"

# Seconds: how often a holder renews its lock, and after how long without that the lock of another machine is broken. An NFS
# client can miss changes for a minute.
RENEWED_EVERY = 15.0
EXPIRES_AFTER = 180.0
# Seconds: how long breaking a lock may take. After that, the process that began to break it is dead.
BROKEN_WITHIN = 10.0

_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EINVAL})


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a lock.

    :ivar token: differs for each lock that is taken
    :ivar machine: the start of a kernel, or the machine's name; processes of the same machine can judge each other
    :ivar numbers: the namespace of the process number; empty if it is unknown
    :ivar started: when the process started, as the kernel counts; empty if it is unknown
    """

    token: str
    machine: str
    numbers: str
    pid: str
    started: str

    @property
    def text(self) -> str:
        return "".join(f"{value}\n" for value in astuple(self))


def this_process() -> Holder:
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        import platform

        machine, numbers = platform.node(), ""
    pid = str(os.getpid())
    return Holder(os.urandom(16).hex(), machine, numbers, pid, started(pid) if numbers else "")


def started(pid: str) -> str:
    """Return when a process started; empty if it does not run. A zombie does not run."""
    try:
        stat = Path(f"/proc/{int(pid)}/stat").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
    # The program's name may contain spaces and brackets.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


@dataclass(frozen=True, slots=True)
class _Found:
    """A lock as it was read."""

    text: str
    renewed: int


class LinkLock:
    """The lock of a folder, for one process and one use."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = folder / NAME
        self.holder = this_process()
        self._clock = clock
        self._seen: tuple[_Found | None, float] = (None, 0.0)
        self._breaking: tuple[str, float] = ("", 0.0)
        self._release: Callable[[], None] = lambda: None

    def take(self, *, alone: bool) -> bool | None:
        """Return whether this process has the lock now; None if the file system has no links.

        :param alone: whether no other process of this machine can have the lock
        :raises OSError: the folder can't be written
        """
        taken = self._link()
        if taken is False and (dead := self._dead(alone)) is not None:
            taken = self._link() if self._break(dead) else False
        if taken:
            self._keep()
        return taken

    def release(self) -> None:
        self._release()
        self._release = lambda: None

    def _link(self) -> bool | None:
        if self._read() is not None:
            return False
        claim = self.path.with_name(f"{NAME}.{self.holder.token}.part")
        claim.write_text(self.holder.text, encoding="utf-8", newline="\n")
        try:
            os.link(claim, self.path)
        except (FileExistsError, FileNotFoundError):
            # Also where NFS lost the answer and asked again, and where the holder removed the claim as a stale file.
            pass
        except OSError as error:
            if error.errno in _NO_LINKS:
                return None
            raise
        finally:
            claim.unlink(missing_ok=True)
        return self._is_own()

    def _read(self) -> _Found | None:
        """Read the lock. Opening it lets an NFS client ask the server."""
        try:
            with self.path.open(encoding="utf-8", errors="replace", newline="\n") as file:
                return _Found(file.read(1000), os.fstat(file.fileno()).st_mtime_ns)
        except FileNotFoundError:
            return None

    def _is_own(self) -> bool:
        found = self._read()
        return found is not None and found.text == self.holder.text

    def _dead(self, alone: bool) -> str | None:
        """Return the text of a lock whose holder does not run; None if it may run."""
        found = self._read()
        if found is None:
            return None
        if found != self._seen[0]:
            self._seen = found, self._clock()
        # By this process' own clock, as the clocks of machines differ.
        dead = self._clock() - self._seen[1] > EXPIRES_AFTER
        fields = found.text.split("\n")[:-1]
        holder = Holder(*fields) if len(fields) == 5 else None
        if holder and holder.machine == self.holder.machine:
            if alone:
                dead = True
            elif holder.numbers and holder.numbers == self.holder.numbers:
                dead = started(holder.pid) != holder.started
        return found.text if dead else None

    def _break(self, dead: str) -> bool:
        """Remove the lock that has this text. Return False if another process is doing so."""
        mark = self.path.with_name(f"{NAME}.{hashlib.sha256(dead.encode()).hexdigest()[:16]}.broken")
        try:
            mark.mkdir()
        except FileExistsError:
            if self._breaking[0] != mark.name:
                self._breaking = mark.name, self._clock()
            if self._clock() - self._breaking[1] <= BROKEN_WITHIN:
                return False
        # Another process may have broken the dead lock, and a third may have taken it since.
        found = self._read()
        if found is not None and found.text == dead:
            self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            mark.rmdir()
        return True

    def _keep(self) -> None:
        """Renew the lock until it is released."""
        import threading

        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(RENEWED_EVERY):
                with contextlib.suppress(OSError):
                    os.utime(self.path)

        keeper = threading.Thread(target=renew, daemon=True)
        keeper.start()

        def release() -> None:
            ended.set()
            keeper.join()
            with contextlib.suppress(OSError):
                if self._is_own():
                    self.path.unlink()

        self._release = release
