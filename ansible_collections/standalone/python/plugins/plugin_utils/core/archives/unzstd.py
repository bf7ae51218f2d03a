# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads zstd in a separate process. Full archives have a window of 128 MB, which would otherwise stay in the memory of every
worker of the controller."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, cast

from .tarstream import CHUNK

_PROGRAM = f"""
import sys
sys.path.append(sys.argv[2])
import zstandard
decompressor = zstandard.ZstdDecompressor(max_window_size=int(sys.argv[1]))
reader = decompressor.stream_reader(sys.stdin.buffer, read_size={CHUNK}, read_across_frames=True)
try:
    while chunk := reader.read({CHUNK}):
        sys.stdout.buffer.write(chunk)
except zstandard.ZstdError as error:
    sys.exit(str(error))
"""


class UnzstdError(Exception):
    """The data is not valid zstd, or needs a larger window."""


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@contextlib.contextmanager
def unpacked(packed: Readable, window: int) -> Iterator[Callable[[int], bytes]]:
    """Yield a function that returns up to so many unpacked bytes, and none only at the end, after all of ``packed`` was read.

    :param window: the largest window, in bytes of memory
    :raises UnzstdError: from that function
    """
    # -I keeps the working directory and the environment from naming modules; zstandard comes from where this process has it.
    command = (sys.executable, "-I", "-B", "-c", _PROGRAM, str(window), _folder_of_zstandard())
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        given, taken = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        failed: list[OSError] = []
        feeder = threading.Thread(target=_feed, args=(packed, given, failed), daemon=True)
        feeder.start()

        def read(size: int) -> bytes:
            data = taken.read(size)
            if size and not data:
                feeder.join()
                message = cast(BinaryIO, process.stderr).read().decode(errors="replace").strip().rpartition("\n")[2]
                if failed:
                    raise failed[0]
                if process.wait():
                    raise UnzstdError(message or f"its reader ended with exit code {process.returncode}")
            return data

        try:
            yield read
        finally:
            process.kill()
            feeder.join()


def _folder_of_zstandard() -> str:
    import zstandard

    return os.path.dirname(os.path.dirname(os.path.abspath(zstandard.__file__)))


def _feed(packed: Readable, given: BinaryIO, failed: list[OSError]) -> None:
    try:
        with given:
            shutil.copyfileobj(packed, given, CHUNK)
    except BrokenPipeError:
        pass  # the reader has ended, and says why
    except OSError as error:
        failed.append(error)
