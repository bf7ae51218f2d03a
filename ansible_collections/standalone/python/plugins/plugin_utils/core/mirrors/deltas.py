# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the deltas of a mirror, one at a time, and lists them in ``deltas.tsv``.

    DEST/TAG/FILE.from-START.delta   a delta; START is the start of the sha256 of the older build's archive
    DEST/deltas.tsv                  their list, see ``supply.published``

A delta is listed after it has its name, and removed after it is unlisted. So a killed sync lists no unfinished delta.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

from ..archives.archive import Packed, pack, tree_of
from ..archives.cache import atomic_write
from ..archives.delta import available, make
from ..archives.deltas import LARGEST
from ..archives.store import room
from ..builds.catalogue import Build
from ..errors import ContentError, DeclarationError
from ..supply.published import DELTAS, ENDING, Published, can_have_delta, format_published, kind_of, parse_published
from .mirror import path_of
from .storage import Storage


def neighbours(present: Iterable[Build]) -> Iterator[tuple[Build, Build]]:
    """Yield each build of a mirror with the build of the same line and target just before it, newest first."""
    kinds: dict[tuple[str, ...], list[Build]] = {}
    for build in present:
        if can_have_delta(build):
            kinds.setdefault(kind_of(build), []).append(build)
    for some in kinds.values():
        newest_first = sorted(some, key=lambda build: build.age, reverse=True)
        yield from pairwise(newest_first)


def require_maker() -> None:
    """
    :raises DeclarationError: the package that compares files is missing
    """
    if not available():
        raise DeclarationError("deltas need the Python package bsdiff4, which is missing: pip install 'standalone-python[delta]'")


def remove_unlisted(storage: Storage, present: Iterable[Build]) -> tuple[Published, ...]:
    """Unlist and remove the deltas whose builds are not in the mirror; return the others.

    The caller holds the mirror's lock.
    """
    sums = {build.sha256 for build in present}
    files = storage.files()
    old = _text(storage)
    kept = tuple(
        one
        for one in parse_published(old)
        if {one.archive, one.base} <= sums and (not one.size or files.get(one.path, [0])[0] == one.size)
    )
    _write_list(storage, kept, old)
    for path in files.keys() - {one.path for one in kept}:
        if path.endswith(ENDING):
            storage.delete(path)
    return kept


def make_deltas(storage: Storage, present: Iterable[Build], tell: Callable[[str, int, int], None]) -> tuple[str, ...]:
    """Make the deltas that a mirror lacks, and return their paths. The caller holds the mirror's lock.

    :param present: the builds of the mirror, with their sha256
    :param tell: called with the path of each new delta, its size, and that of the archive; the size is 0 if it would be too large
    :raises ContentError: an archive is damaged
    """
    present = tuple(present)
    listed = list(remove_unlisted(storage, present))
    known = {(one.archive, one.base) for one in listed}
    made = []
    work = storage.work / "deltas"
    for new, old in neighbours(present):
        if (new.sha256, old.sha256) in known:
            continue
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            one, size = _made(storage, old, new, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        listed.append(one)
        _write_list(storage, listed, "")
        if one.size:
            made.append(one.path)
        tell(one.path, one.size, size)
    return tuple(made)


def _made(storage: Storage, old: Build, new: Build, work: Path) -> tuple[Published, int]:
    """Make and store a delta; return its row, and the size of the new archive."""
    base, _packed, _size = _payload(storage, old, work / "old")
    payload, packed, size = _payload(storage, new, work / "new")
    part = work / "delta"
    with atomic_write(part) as out:
        tar = make(base, payload, cast(BinaryIO, out), work).tar
    small = out.size <= LARGEST * size
    one = Published(
        new.release,
        new.filename,
        new.sha256 or "",
        old.sha256 or "",
        out.size if small else 0,
        out.digest.hexdigest(),
        tar,
        *room(packed),
    )
    if small:
        storage.promote(part, one.path, one.sha256)
    return one, size


def _payload(storage: Storage, build: Build, path: Path) -> tuple[Path, Packed, int]:
    """Pack an archive of the mirror as a payload; return also the size of the archive."""
    archive = path.with_name(f"{path.name}.archive")
    archive.write_bytes(storage.read(path_of(build)))
    with path.open("wb") as out:
        packed = pack(archive, tree_of(build.flavor), out, "gz")
    if packed.sha256 != build.sha256:
        raise ContentError(f"{path_of(build)} in the mirror {storage} is damaged: run mirror verify, then mirror sync again")
    return path, packed, archive.stat().st_size


def _text(storage: Storage) -> str:
    with contextlib.suppress(FileNotFoundError):
        return storage.read(DELTAS).decode(errors="replace")
    return ""


def _write_list(storage: Storage, listed: Iterable[Published], old: str) -> None:
    text = format_published(listed)
    if text != old and (old or parse_published(text)):
        storage.put(DELTAS, text.encode())
