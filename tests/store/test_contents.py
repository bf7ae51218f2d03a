# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache contains and what is removed from it: only the cache's own files, and nothing that is in use."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import contents
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import exclusive_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.contents import (
    Entry,
    chosen,
    entries,
    parse_age,
    parse_size,
    remove,
    remove_texts,
    size_limit,
    texts,
    trim,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError
from tests.store.support import CACHED, cached

HOUR, DAY = 3600.0, 86400.0


def names(found: tuple[Entry, ...]) -> list[int]:
    return [entry.build.version.micro for entry in found]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    cached(root, 1, age=3 * DAY)
    cached(root, 2, age=2 * DAY)
    cached(root, 3, age=DAY)
    return root


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_what_a_cache_has(root: Path, tmp_path: Path) -> None:
    elsewhere = cached(tmp_path / "other", 4, age=0)
    (root / "builds" / elsewhere.name).symlink_to(elsewhere)
    (root / "builds/something").mkdir()
    (root / "builds/cpython-3.13.9-0123456789ab").mkdir()
    cached(root, 5, age=0, size=0).joinpath("payload.tar.zst.json").unlink()
    for file in (root / "builds" / f"{CACHED.format(5)}-0123456789ab").glob("*.part"):
        file.unlink()
    found = entries(root)
    assert names(found) == [3, 2, 1]
    assert [(one.payload, one.download, one.unfinished, one.size) for one in found] == [(110, 100, 10, 220)] * 3
    assert [round((time.time() - one.used) / DAY) for one in found] == [1, 2, 3]
    assert entries(tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("older_than", "max_size", "keep", "removed"),
    [
        (None, None, 0, []),
        (2.5 * DAY, None, 0, [1]),
        (2.5 * DAY, None, 1, []),
        (0.0, None, 0, [1, 2, 3]),
        (None, 660, 0, []),
        (None, 659, 0, [1]),
        (None, 300, 0, [1, 2]),
        (None, 300, 1, [2, 3]),
        (None, 0, 0, [1, 2, 3]),
        (2.5 * DAY, 300, 0, [1, 2]),
    ],
)
def test_what_is_removed(root: Path, older_than: float | None, max_size: int | None, keep: int, removed: list[int]) -> None:
    kept = f"{CACHED.format(keep)}-0123456789ab"
    assert names(chosen(entries(root), time.time(), older_than=older_than, max_size=max_size, keep=kept)) == removed


def test_removal_leaves_files_of_others_and_the_lock(root: Path) -> None:
    oldest = entries(root)[-1]
    before = everything(root)
    assert remove(oldest)
    gone = {Path(path).name for path in before - everything(root)}
    assert gone == {
        *("payload.tar.zst", "payload.tar.zst.json", "payload.tar.gz.77.part"),
        *(oldest.build.filename, f"{oldest.build.filename}.part"),
    }
    assert {path.name for path in oldest.folder.iterdir()} == {"lock", "notes.txt"}
    assert names(entries(root)) == [3, 2]


def test_what_is_in_use_stays(root: Path) -> None:
    before = everything(root)
    first, second, third = entries(root)
    with exclusive_lock(first.folder):
        assert not remove(first)
    # Another process has used it since it was listed.
    contents.touch(second.folder / "payload.tar.zst.json")
    assert not remove(second)
    assert everything(root) == before
    assert remove(third)


def test_trim(root: Path) -> None:
    trim(root, entries(root)[-1].folder.name, 300)
    assert names(entries(root)) == [1]
    trim(root, "", None)
    assert names(entries(root)) == [1]
    root.chmod(0o777)
    trim(root, "", 0)
    assert names(entries(root)) == [1]


def test_texts(root: Path) -> None:
    folder = root / "texts"
    folder.mkdir()
    for name, age in (("0" * 24, DAY), (f"{'1' * 24}.why", DAY), ("2" * 24, 0.0), ("3" * 24 + "x", DAY), ("lock", DAY)):
        (folder / name).write_bytes(b"text")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert (texts(root).number, texts(root).size) == (3, 12)
    assert remove_texts(root, 0) == 8
    assert sorted(path.name for path in folder.iterdir()) == ["2" * 24, "3" * 24 + "x", "lock"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1", 1), ("5G", 5 * 10**9), ("5 gb", 5 * 10**9), ("1.5M", 1_500_000), ("500k", 500_000), ("2T", 2 * 10**12)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "5X", "1.2345G", "5 5", "²G", "1e9", "9" * 16])
def test_what_is_not_a_size(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=".*"):
        parse_size(text)
    if text:
        monkeypatch.setenv("STANDALONE_PYTHON_CACHE_SIZE", text)
        with pytest.raises(
            TransportError, match="STANDALONE_PYTHON_CACHE_SIZE is .*, which is not a size: write one such as 10G"
        ):
            size_limit()


def test_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDALONE_PYTHON_CACHE_SIZE", raising=False)
    assert size_limit() == 10 * 10**9
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE_SIZE", "5G")
    assert size_limit() == 5 * 10**9
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE_SIZE", "unlimited")
    assert size_limit() is None


def test_ages() -> None:
    assert [parse_age(text) for text in ("0s", "90m", "12h", "30d", "2w")] == [0, 5400, 12 * HOUR, 30 * DAY, 14 * DAY]
    for text in ("", "30", "d", "1.5d", "-1d", "1y"):
        with pytest.raises(ValueError, match=".*"):
            parse_age(text)
