# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core's ``Host`` for any of pyinfra's connectors. It needs only the host's shell.

Scripts and archives are sent over standard input, which every connector supports, as the user who runs the commands. So nothing
is copied twice, and neither SFTP nor scp is needed. pyinfra's own file transfer is used only if standard input is not available:
with a terminal, or with su's password.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import IO, Any, Self
from uuid import uuid4

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput

from .core import Completed, TransportError, sanitized

_CHUNK = 1 << 18
# Connectors whose hosts are on this machine.
_LOCAL = frozenset({"LocalConnector", "ChrootConnector", "DockerConnector", "PodmanConnector"})
# What a login shell can read in single quotes otherwise than a POSIX shell does: csh has no line breaks and a history there, fish
# has escapes.
# The backslash is first, because the others are replaced by one.
_OTHERWISE = {"\\": r"\0134", "\n": r"\n", "!": r"\0041", "'": r"\0047"}


def on_one_line(script: str) -> str:
    """Return a command of one line that runs a script in a POSIX shell, whatever the login shell is.

    It starts no program if ``printf`` is built into the shell.
    """
    # Not str.translate, which takes 40 times as long for a long script.
    for letter, written in _OTHERWISE.items():
        script = script.replace(letter, written)
    return f"""eval "$(printf %b '{script}')\""""


class _Chunk(bytes):
    """A piece of a file. Connectors expect lines of text, and would add a line end to each and encode it."""

    def endswith(self, *_suffix: object) -> bool:
        return True

    def encode(self, *_encoding: object) -> bytes:
        return self


class _Chunks(list[Any]):
    """A file in pieces, one in memory at a time. It is a list, because connectors distinguish several lines from one by that.
    They may iterate twice, if sudo needs a password."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[_Chunk]:
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield _Chunk(chunk)


class ConnectorHost:
    """Runs scripts and uploads files like an operation's command, with its global arguments. Use it in a ``with``, which removes
    files that were sent and not used.

    :ivar piped: scripts are sent over standard input; otherwise other users of the host can read them
    """

    def __init__(self, host: Host, arguments: ConnectorArguments) -> None:
        self._host = host
        self._arguments: dict[str, Any] = {**arguments, "_success_exit_codes": None}
        self.piped = not (arguments.get("_get_pty") or arguments.get("_su_password"))
        self._temporary = str(arguments.get("_temp_dir") or host.get_temp_dir_config())
        self._folder = f"{self._temporary}/standalone-python-{uuid4().hex}"
        self._clear = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._clear:
            self._shell(self._clear)

    @property
    def fleet(self) -> int:
        """The process whose hosts share deltas, which is this one; 0 for a connector that sends nothing over a network."""
        return 0 if self._host.connector_cls.__name__ in _LOCAL else os.getpid()

    def run(self, script: str) -> Completed:
        if self.piped:
            command, stdin = "sh -s", script
        else:
            path = f"{self._folder}/script.sh"
            self._put(BytesIO(script.encode()), path)
            command, stdin = f"sh {quote(path)}", None
        clear, self._clear = self._clear, ""
        done, output = self._shell(f"{command}; code=$?; {clear}; exit $code" if clear else f"exec {command}", stdin)
        return Completed(0 if done else 1, f"{output.stdout}\n", output.stderr)

    def upload(self, path: Path, name: str) -> str:
        remote = f"{self._folder}/{name}"
        if self.piped:
            # On an error, read the input to its end: a connector that can't write would hide the error message.
            self._prepare(remote, f"cat >{quote(remote)}", "cat >/dev/null", _Chunks(path))
        else:
            self._put(str(path), remote)
        return remote

    def _put(self, file: str | IO[bytes], remote: str) -> None:
        """Transfer a file with pyinfra as the login user, then copy it as the become user. So it needs no access list."""
        self._prepare(remote)
        transferred = f"{self._folder}.sent"
        login: ConnectorArguments = {"_timeout": self._arguments["_timeout"]} if self._arguments.get("_timeout") else {}
        try:
            if not self._host.put_file(file, transferred, **login):
                raise self._unsent(remote, "see above")
            self._prepare(remote, f"cat {quote(transferred)} >{quote(remote)}")
        except OSError as error:
            raise self._unsent(remote, str(error)) from None
        finally:
            self._host.run_shell_command(StringCommand("rm", "-f", QuoteString(transferred)), **login)

    def _prepare(self, remote: str, then: str = ":", otherwise: str = ":", stdin: _Chunks | None = None) -> None:
        """Create the folder for sent files, which no other user can read, and run a command."""
        folder = quote(self._folder)
        # Folders of killed runs are removed after a day, as no run takes that long. Only names of this form, with the mode of
        # `umask 077`, are such folders.
        old = (
            f"find {quote(self._temporary)}/standalone-python-{32 * '[0-9a-f]'} -prune -type d -perm 700 -mtime +0 "
            "-user $(id -u) -exec rm -rf {} +"
        )
        clearing = "" if self._clear else f"{old} 2>/dev/null; "
        self._clear = f"rm -rf {folder}"
        done, output = self._shell(
            f"umask 077; {clearing}{{ mkdir -p {folder} && {then}; }} || {{ {otherwise}; exit 1; }}", stdin
        )
        if not done:
            raise self._unsent(remote, sanitized(" ".join(output.stderr.split())))

    def _unsent(self, remote: str, reason: str) -> TransportError:
        name = remote.rpartition("/")[2]
        problem = "the disk is full: make room on it, or" if "No space left on device" in reason else f"{reason}:"
        do = "set _temp_dir to another folder; the host is as it was"
        return TransportError(f"cannot send {name} to {self._folder} on the host, {problem} {do}")

    def _shell(self, command: str, stdin: str | _Chunks | None = None) -> tuple[bool, CommandOutput]:
        """Run a command in the host's sh, whatever shell the operation's commands use."""
        state = self._host.state
        return self._host.run_shell_command(
            StringCommand("exec", "sh", "-c", QuoteString(on_one_line(command))),
            print_output=state.print_output,
            print_input=state.print_input,
            **{**self._arguments, "_stdin": stdin},
        )
