# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host behind any of pyinfra's connectors, as the core wants one. Needs nothing on the host but its shell.

Scripts and archives go over standard input, which every connector has, as the very user who runs the commands: nothing has to be
copied a second time or handed over, and hosts without SFTP and scp are like all others. Only where standard input is taken, by a
terminal or by su's password, pyinfra's own file transfer serves.
"""

from __future__ import annotations

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
# What a login shell can read in single quotes otherwise than a POSIX shell does: csh has no line breaks and a history there, fish
# has escapes.
_OTHERWISE = str.maketrans({"\n": r"\n", "!": r"\0041", "'": r"\0047", "\\": r"\0134"})


def on_one_line(script: str) -> str:
    """Return a command of one line that does what a script does, in a POSIX shell behind any login shell.

    It starts no program where the shell has ``printf``.
    """
    return f"""eval "$(printf %b '{script.translate(_OTHERWISE)}')\""""


class _Chunk(bytes):
    """A piece of a file. Connectors take what they write for lines of text: they end and encode each one."""

    def endswith(self, *_suffix: object) -> bool:
        return True

    def encode(self, *_encoding: object) -> bytes:
        return self


class _Chunks(list[Any]):
    """A file in pieces, one in memory at a time. A list, as connectors tell several lines from one by that; they may go through
    it twice, as sudo wants a password."""

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
    """Runs scripts and brings files as a command of an operation does, with its global arguments. Use it in a ``with``: what was
    sent and not used is removed at its end.

    :ivar piped: scripts go over standard input; where they don't, other users of the host can read them
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

    def run(self, script: str) -> Completed:
        if self.piped:
            command, given = "sh -s", script
        else:
            path = f"{self._folder}/script.sh"
            self._put(BytesIO(script.encode()), path)
            command, given = f"sh {quote(path)}", None
        clear, self._clear = self._clear, ""
        done, output = self._shell(f"{command}; code=$?; {clear}; exit $code" if clear else f"exec {command}", given)
        return Completed(0 if done else 1, f"{output.stdout}\n", output.stderr)

    def upload(self, path: Path, name: str) -> str:
        there = f"{self._folder}/{name}"
        if self.piped:
            # What isn't wanted any more is read to its end: a connector that can't write gets no word of what went wrong.
            self._prepare(there, f"cat >{quote(there)}", "cat >/dev/null", _Chunks(path))
        else:
            self._put(str(path), there)
        return there

    def _put(self, file: str | IO[bytes], there: str) -> None:
        """By pyinfra's file transfer, as who logs in, and then a copy: so no access list is needed for who that user becomes."""
        self._prepare(there)
        between = f"{self._folder}.sent"
        login: ConnectorArguments = {"_timeout": self._arguments["_timeout"]} if self._arguments.get("_timeout") else {}
        try:
            if not self._host.put_file(file, between, **login):
                raise self._unsent(there, "see above")
            self._prepare(there, f"cat {quote(between)} >{quote(there)}")
        except OSError as error:
            raise self._unsent(there, str(error)) from None
        finally:
            self._host.run_shell_command(StringCommand("rm", "-f", QuoteString(between)), **login)

    def _prepare(self, there: str, then: str = ":", otherwise: str = ":", given: _Chunks | None = None) -> None:
        """Make the folder for what is sent, which nobody else can read, and do something with it."""
        folder = quote(self._folder)
        # What a killed run has sent is too old after a day to be wanted by one that still goes on. Others name folders after this
        # project too: only a name of this form, with the mode that `umask 077` gives, is one of these.
        old = (
            f"find {quote(self._temporary)}/standalone-python-{32 * '[0-9a-f]'} -prune -type d -perm 700 -mtime +0 "
            "-user $(id -u) -exec rm -rf {} +"
        )
        clearing = "" if self._clear else f"{old} 2>/dev/null; "
        self._clear = f"rm -rf {folder}"
        done, output = self._shell(
            f"umask 077; {clearing}{{ mkdir -p {folder} && {then}; }} || {{ {otherwise}; exit 1; }}", given
        )
        if not done:
            raise self._unsent(there, sanitized(" ".join(output.stderr.split())))

    def _unsent(self, there: str, why: str) -> TransportError:
        name = there.rpartition("/")[2]
        found = "the disk is full there: make room on it, or" if "No space left on device" in why else f"{why}:"
        do = "let _temp_dir name another folder; the host is as it was"
        return TransportError(f"{name} can't be sent into {self._folder} on the host, {found} {do}")

    def _shell(self, command: str, given: str | _Chunks | None = None) -> tuple[bool, CommandOutput]:
        """In the host's own sh, whatever shell the operation's commands are for."""
        state = self._host.state
        return self._host.run_shell_command(
            StringCommand("exec", "sh", "-c", QuoteString(on_one_line(command))),
            print_output=state.print_output,
            print_input=state.print_input,
            **{**self._arguments, "_stdin": given},
        )
