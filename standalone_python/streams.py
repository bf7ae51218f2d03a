# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard streams that never stop a command: not a closed pipe, a full disk or another encoding.

Output that can't be written is dropped. At the end :func:`leave` tells whether the exit code has to be an error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from .exits import DIFFERS, FAILED

if TYPE_CHECKING:
    from typing import NoReturn

    from _typeshed import ReadableBuffer

# The reader has closed its end: `head` has exited, or the terminal is gone.
_LEFT = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EIO})


class Stream(io.FileIO):
    """
    :ivar failed: the first error; later output is dropped
    """

    failed: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self.failed is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failed = error
        return memoryview(data).nbytes


def prepare() -> Stream | None:
    """Replace standard output and error by such streams; return that of standard output.

    On Windows, whose consoles are not files, only set the handling of unencodable characters, and return None.
    """
    if os.name != "posix":
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return None
    # In this order: an opened file gets the lowest free number, which must not be that of standard output.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    out = Stream(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = _text(out, sys.stdout)
    sys.stderr = _text(Stream(sys.stderr.fileno(), "w", closefd=False), sys.stderr)
    return out


def leave(code: int, out: Stream | None) -> NoReturn:
    """End this process. If a reader who still wanted it did not get the output, the exit code is FAILED.

    Skip the interpreter's shutdown, which takes a tenth of a command's time and waits for threads that still wait for a server.
    The command has cleaned up before.
    """
    if code in (0, DIFFERS) and (error := _unwritten(out)):
        print(
            f"standalone-python: cannot write to standard output ({error.strerror}): redirect it; the command itself is done",
            file=sys.stderr,
        )
        code = FAILED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _unwritten(out: Stream | None) -> OSError | None:
    """Return the error that kept output from a reader who still wanted it; None without an error."""
    if out is None:
        return None
    sys.stdout.flush()
    return None if out.failed is None or out.failed.errno in _LEFT else out.failed


def _text(stream: Stream, was: TextIO) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(stream),
        encoding=was.encoding,
        errors="backslashreplace",
        line_buffering=was is sys.stderr or stream.isatty(),
        write_through=getattr(was, "write_through", False),
    )
