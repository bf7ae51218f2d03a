# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine, or the unpacked root of an image on it, as the core wants a host. Scripts go to a shell's standard input."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from typing import BinaryIO, Self

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError, sanitized
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired

from .exits import EndedBySignal
from .image_paths import path_in_image

# Where chroot is, for a root whose PATH is another user's.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"

_NO_PROC = 71  # an exit code that a shell doesn't have for anything


class LocalHost:
    """This machine. Use it in a ``with``: what was made for a run is removed at its end.

    :raises TransportError: it runs Windows
    """

    def __init__(self) -> None:
        if os.name == "nt":
            raise TransportError(
                "this machine runs Windows, which the command line does not manage: manage it as a host of Ansible's "
                "(module standalone.python.interpreters), or run this in WSL for WSL"
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
        # A copy, as the agent removes what it has unpacked: a hard link would alter the times by which the cache knows its file,
        # and gzip and zstd pass over a symbolic one.
        import shutil
        import tempfile

        try:
            self._folder = self._folder or tempfile.mkdtemp(prefix="standalone-python-")
            return shutil.copyfile(path, os.path.join(self._folder, name))
        except OSError as error:
            where = self._folder or "a temporary folder"
            raise TransportError(
                f"{name} can't be copied into {where} ({error.strerror}): make room there, or let TMPDIR name another folder; "
                "this machine is as it was"
            ) from None


class ImageHost:
    """The unpacked root of an image, of this machine's architecture, through ``chroot``; for root only.

    :raises TransportError: the folder is none
    """

    def __init__(self, folder: str) -> None:
        from shutil import which

        self._image = os.path.abspath(folder)
        self._chroot = which("chroot") or which("chroot", path=_SYSTEM_PATH) or ""
        self._folder = ""
        self._before: tuple[str, tuple[int, int]] | None = None
        if not os.path.isdir(self._image):
            raise TransportError(f"the image {folder} is not a folder: give the unpacked root of an image")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._folder:
            self.run(f"rm -rf '{self._folder}'")
        if self._before:
            folder, times = self._before
            if os.path.basename(folder) != "tmp":
                self.run("rmdir /tmp")
            # So that nothing tells one run in an image from another.
            os.utime(folder, ns=times)

    def placed(self, desired: Desired) -> Desired:
        return desired

    def run(self, script: str) -> Completed:
        return _run([self._chroot, self._image, "sh", "-s"], script)

    def upload(self, path: Path, name: str) -> str:
        # Written from inside: a link in the image may lead to somewhere else out here.
        if not self._folder:
            self._remember()
            made = self.run("umask 077; f=/tmp/standalone-python-$$; [ -d /tmp ] || mkdir -m 1777 /tmp; mkdir $f && echo $f")
            if made.code:
                raise self._unsent(name, made.errors)
            self._folder = made.output.strip()
        there = f"{self._folder}/{name}"
        with path.open("rb") as file:
            sent = _run([self._chroot, self._image, "sh", "-c", f"umask 077; cat >'{there}'"], file)
        if sent.code:
            raise self._unsent(name, sent.errors)
        return there

    def _remember(self) -> None:
        """The times of what sending a file changes: /tmp in the image, or where that will be made."""
        folder = path_in_image(os.path.realpath(self._image), "/tmp")  # noqa: S108
        folder = folder if os.path.isdir(folder) else os.path.dirname(folder)
        if os.path.isdir(folder):
            status = os.stat(folder)
            self._before = folder, (status.st_atime_ns, status.st_mtime_ns)

    def barred(self) -> tuple[str, bool]:
        """Why it can't be entered, in a sentence that says what to do; empty where it can. And whether that is only because
        nobody has made it ready."""
        outside = "say with --target TRIPLE what its machine is, and it is prepared from outside"
        if os.geteuid() != 0 or not self._chroot:
            lacks = "chroot is not on this machine" if not self._chroot else "only root may enter it"
            instead = f"run this as root where chroot is, or {outside}"
            return f"the image {self._image} is entered with chroot, and {lacks}: {instead}", False
        tried = self.run(f"[ {sys.platform} != linux ] || [ -d /proc/self ] || exit {_NO_PROC}")
        if tried.code == 0:
            return "", False
        if tried.code == _NO_PROC:
            # Without it the C library doesn't find what lies beside an executable: sound builds would look broken.
            return (
                f"the image {self._image} has no /proc, without which its interpreters don't start: mount it first, with "
                f"'mount -t proc proc {self._image}/proc', or {outside}"
            ), True
        said = sanitized(" ".join(tried.errors.split()))
        why = (
            f"its shell is for another architecture: {outside}, or run this on a machine of that architecture"
            if "Exec format error" in said
            else f"it needs a POSIX sh: give the unpacked root of an image, or {outside}"
        )
        return f"the image {self._image} can't be entered ({said}); {why}", False

    def _unsent(self, name: str, said: str) -> TransportError:
        why = sanitized(" ".join(said.split()))
        return TransportError(
            f"{name} can't be written into /tmp of the image {self._image} ({why}): make room there; the image is as it was"
        )


def _run(command: list[str], given: str | BinaryIO) -> Completed:
    """Run a command to its end, with a script or a file as its standard input."""
    script = given.encode("utf-8", "surrogateescape") if isinstance(given, str) else None
    try:
        process = Popen(command, stdin=PIPE if isinstance(given, str) else given, stdout=PIPE, stderr=PIPE)
    except OSError as error:
        raise TransportError(f"{command[0]} can't be started ({error.strerror}): a host needs a POSIX shell there") from None
    with process:
        try:
            output, errors = process.communicate(script)
        except (KeyboardInterrupt, EndedBySignal) as ended:
            # Of Ctrl-C the shell has had it too. It tidies up: killed in the middle of that, it would leave it to the next run.
            if isinstance(ended, EndedBySignal):
                process.send_signal(ended.number)
            process.communicate()
            raise
    return Completed(process.returncode, output.decode("utf-8", "surrogateescape"), errors.decode("utf-8", "replace"))
