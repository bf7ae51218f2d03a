# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process that runs hosts owns: a folder, a pair of keys, and the hosts' processes.

The folder is locked for as long as its process lives; one that nobody locks was left by a process that was
killed, and the next session clears it. Starts no host and knows nothing of what is in one.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .bases import cache, locked, program


@dataclass(frozen=True, slots=True)
class Session:
    """``folder`` holds ``key``, ``key.pub``, ``host_key`` and a folder a host; ``processes`` are by name."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def key(self) -> Path:
        """The private key that the hosts let in."""
        return self.folder / "key"

    def forget(self, name: str) -> None:
        """Takes out a host whose process has ended, with all that was written to it."""
        self.processes.pop(name, None)
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def close(self) -> None:
        """Lets go of every host that is left and takes the folder away."""
        for process in self.processes.values():
            if process.stdin is not None:
                process.stdin.close()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def session() -> Session:
    """This process's session, opened at the first call and closed when the process ends."""
    runs = cache() / "runs"
    runs.mkdir(exist_ok=True)
    # One process at a time, so that none takes another's folder for a dead one before it is locked.
    with locked(runs / "lock"):
        for folder in runs.iterdir():
            if folder.is_dir() and _lock(folder):
                shutil.rmtree(folder, ignore_errors=True)
        own = Session(Path(tempfile.mkdtemp(dir=runs)))
        _lock(own.folder)
    for name in ("key", "host_key"):
        words = ["-q", "-t", "ed25519", "-N", "", "-C", "test hosts", "-f", str(own.folder / name)]
        subprocess.run([program("ssh-keygen"), *words], check=True)
    owner = os.getpid()
    # A forked child that ends the interpreter's own way runs this too, and must spare its parent's hosts.
    atexit.register(lambda: own.close() if os.getpid() == owner else None)
    return own


def _lock(folder: Path) -> bool:
    """Locks a folder for the life of this process; False if another process has it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    return True
