# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that goes on beside a download: it sees exactly the bytes that arrive, and always ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.overlap import PackedMeanwhile
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.unzstd import Readable

# (offset, announced size, bytes that arrive): the attempts of a download, and what the work makes of it; None is nothing.
DOWNLOADS: dict[str, tuple[Sequence[tuple[int, int, bytes]], bytes | None]] = {
    "at once": ([(0, 6, b"abcdef")], b"abcdef"),
    "in two attempts": ([(0, 6, b"abc"), (3, 6, b"def")], b"abcdef"),
    "an empty attempt": ([(0, 6, b""), (0, 6, b"abcdef")], b"abcdef"),
    "from the beginning again": ([(0, 6, b"abc"), (0, 6, b"abcdef")], None),
    "a shorter file": ([(0, 6, b"abc"), (3, 4, b"d")], None),
    "a longer file": ([(0, 4, b"abc"), (3, 6, b"def")], None),
    "shorter than announced": ([(0, 6, b"abc")], b"abc"),
    "of unknown size": ([(0, 0, b"abcdef")], None),
}


def read_all(file: Readable, _size: int) -> bytes:
    found = b""
    while data := file.read(2):
        found += data
    return found


def receive(arriving: PackedMeanwhile[bytes], attempts: Sequence[tuple[int, int, bytes]]) -> None:
    for offset, size, chunk in attempts:
        with arriving.part.open("r+b" if offset else "wb") as out:
            out.seek(offset)
            out.write(chunk)
        arriving.begins(offset, size)
        arriving.wrote(chunk)


@pytest.mark.parametrize("case", DOWNLOADS)
def test_the_work_sees_what_arrives(tmp_path: Path, case: str) -> None:
    attempts, expected = DOWNLOADS[case]
    arriving = PackedMeanwhile(tmp_path / "part", read_all)
    receive(arriving, attempts)
    assert arriving.result() == expected


def test_a_failed_download_ends_the_work(tmp_path: Path) -> None:
    ended = []

    def work(file: Readable, _size: int) -> bytes:
        try:
            return read_all(file, 0)
        finally:
            ended.append(True)

    arriving = PackedMeanwhile(tmp_path / "part", work)
    receive(arriving, [(0, 6, b"abc")])
    arriving.stop()
    assert ended == [True]
    assert arriving.result() is None


def test_work_that_fails_leaves_the_download_alone(tmp_path: Path) -> None:
    def work(_file: Readable, _size: int) -> bytes:
        raise OSError("the disk is full")

    arriving = PackedMeanwhile(tmp_path / "part", work)
    receive(arriving, [(0, 6, b"abcdef")])
    assert arriving.result() is None
    assert arriving.done == 6
