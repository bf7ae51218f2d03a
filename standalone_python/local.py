# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core's ``Host`` for this machine, or for an image's unpacked root on it. A shell reads scripts from standard input."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError, sanitized
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import while_running
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired

from .exits import EndedBySignal
from .image_paths import path_in_image

if TYPE_CHECKING:
    from pathlib import Path

# Where chroot is, if root has the PATH of another user.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"

_LATENCY = 0.1  # seconds until a line of a running agent is reported
_NO_PROC = 71  # an exit code that shells don't use


class LocalHost:
    """This machine. Use it in a ``with``, which removes a run's temporary files at its end.

    :raises TransportError: it runs Windows
    """

    def __init__(self) -> None:
        if os.name == "nt":
            raise TransportError(
                "this machine runs Windows, which the command line does not manage: use Ansible "
                "(module standalone.python.interpreters), or run this inside WSL to manage WSL"
            )
        self._folder = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._folder:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)

    def placed(self, desired: Desired) -> Desired:
        return desired

    def run(self, script: str) -> Completed:
        return _run(["/bin/sh", "-s"], script)

    def upload(self, path: Path, name: str) -> str:
        # A copy, because the agent removes the file afterwards. A hard link would change the times by which the cache recognises
        # its file, and gzip and zstd ignore symbolic links.
        import shutil
        import tempfile

        try:
            self._folder = self._folder or tempfile.mkdtemp(prefix="standalone-python-")
            return shutil.copyfile(path, os.path.join(self._folder, name))
        except OSError as error:
            where = self._folder or "a temporary folder"
            raise TransportError(
                f"cannot copy {name} to {where} ({error.strerror}): make room there, or set TMPDIR to another folder; "
                "this machine is as it was"
            ) from None


class ImageHost:
    """An image's unpacked root, of this machine's architecture, entered with ``chroot``; for root only.

    :raises TransportError: it is not a folder
    """

    def __init__(self, folder: str) -> None:
        from shutil import which

        self._image = os.path.abspath(folder)
        self._chroot = which("chroot") or which("chroot", path=_SYSTEM_PATH) or ""
        self._folder = ""
        self._before: tuple[str, tuple[int, int]] | None = None
        if not os.path.isdir(self._image):
            raise TransportError(f"the image {folder} is not a folder: name the unpacked root of an image")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._folder:
            self.run(f"rm -rf '{self._folder}'")
        if self._before:
            folder, times = self._before
            if os.path.basename(folder) != "tmp":
                self.run("rmdir /tmp")
            # Restored so that the image's bytes don't depend on the time of the run.
            os.utime(folder, ns=times)

    def placed(self, desired: Desired) -> Desired:
        return desired

    def run(self, script: str) -> Completed:
        return _run([self._chroot, self._image, "sh", "-s"], script)

    def upload(self, path: Path, name: str) -> str:
        # Written inside the chroot, because a link in the image would lead elsewhere on this machine.
        if not self._folder:
            self._remember()
            made = self.run("umask 077; f=/tmp/standalone-python-$$; [ -d /tmp ] || mkdir -m 1777 /tmp; mkdir $f && echo $f")
            if made.code:
                raise self._unsent(name, made.errors)
            self._folder = made.output.strip()
        inside = f"{self._folder}/{name}"
        with path.open("rb") as file:
            sent = _run([self._chroot, self._image, "sh", "-c", f"umask 077; cat >'{inside}'"], file)
        if sent.code:
            raise self._unsent(name, sent.errors)
        return inside

    def _remember(self) -> None:
        """Remember the times of the folder that sending a file changes: the image's /tmp, or the folder where it is created."""
        folder = path_in_image(os.path.realpath(self._image), "/tmp")  # noqa: S108
        folder = folder if os.path.isdir(folder) else os.path.dirname(folder)
        if os.path.isdir(folder):
            status = os.stat(folder)
            self._before = folder, (status.st_atime_ns, status.st_mtime_ns)

    def barred(self) -> tuple[str, bool]:
        """Return why the image can't be entered and what to do, empty if it can; and whether only /proc is missing."""
        offline = "name its machine with --target TRIPLE to change it as an offline image"
        if os.geteuid() != 0 or not self._chroot:
            reason = "chroot is not on this machine" if not self._chroot else "only root may enter it"
            instead = f"run this as root where chroot is, or {offline}"
            return f"the image {self._image} is entered with chroot, and {reason}: {instead}", False
        tried = self.run(f"[ {sys.platform} != linux ] || [ -d /proc/self ] || exit {_NO_PROC}")
        if tried.code == 0:
            return "", False
        if tried.code == _NO_PROC:
            # Without it the C library doesn't find the libraries beside an executable, and intact builds would look broken.
            return (
                f"the image {self._image} has no /proc, without which its interpreters don't start: mount it first, with "
                f"'mount -t proc proc {self._image}/proc', or {offline}"
            ), True
        stderr = sanitized(" ".join(tried.errors.split()))
        reason = (
            f"its shell is for another architecture: {offline}, or run this on a machine of that architecture"
            if "Exec format error" in stderr
            else f"it needs a POSIX sh: name the unpacked root of an image, or {offline}"
        )
        return f"the image {self._image} can't be entered ({stderr}); {reason}", False

    def _unsent(self, name: str, stderr: str) -> TransportError:
        reason = sanitized(" ".join(stderr.split()))
        return TransportError(
            f"cannot write {name} to /tmp of the image {self._image} ({reason}): make room there; the image is as it was"
        )


def _run(command: list[str], stdin: str | BinaryIO) -> Completed:
    """Run a command to its end, with a script or a file as its standard input."""
    script = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else None
    try:
        process = Popen(command, stdin=PIPE if isinstance(stdin, str) else stdin, stdout=PIPE, stderr=PIPE)
    except OSError as error:
        raise TransportError(f"{command[0]} can't be started ({error.strerror}): this machine needs it") from None
    with process:
        if script is not None:
            _send(process, script)
        try:
            output, errors = _conversation(process)
        except (KeyboardInterrupt, EndedBySignal) as ended:
            # The shell gets Ctrl-C too, and cleans up. Don't kill it while it does; the next run would have to clean up.
            if isinstance(ended, EndedBySignal):
                process.send_signal(ended.number)
            output, _errors = process.communicate()
            for line in output.decode("utf-8", "surrogateescape").split("\n"):
                if isinstance(number := while_running(line), int):
                    progress.agent_line(number)
            raise
    return Completed(process.returncode, output.decode("utf-8", "surrogateescape"), errors.decode("utf-8", "replace"))


def _send(process: Popen[bytes], script: bytes) -> None:
    """Give a process its input beside its conversation. ``communicate`` forgets the rest of the input at its timeout."""
    stdin, process.stdin = cast(BinaryIO, process.stdin), None

    def write() -> None:
        # A shell that ends early reads no more. Its exit code and its errors say why.
        with suppress(BrokenPipeError), stdin:
            stdin.write(script)

    Thread(target=write, daemon=True).start()


def _conversation(process: Popen[bytes]) -> tuple[bytes, bytes]:
    """Report the lines that an agent prints while it runs, and return its whole output and errors."""
    reported = 0
    while True:
        try:
            output, errors = process.communicate(timeout=_LATENCY)
        except TimeoutExpired as running:
            output, errors = running.output or b"", None
        end = output.rfind(b"\n") + 1
        for line in output[reported:end].decode("utf-8", "surrogateescape").split("\n"):
            progress.agent_line(while_running(line))
        reported = end
        if errors is not None:
            return output, errors
