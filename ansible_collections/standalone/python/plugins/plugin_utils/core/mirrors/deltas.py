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
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from ..archives.archive import Packed, pack, tree_of
from ..archives.cache import atomic_write
from ..archives.delta import make
from ..archives.deltas import LARGEST
from ..archives.store import room
from ..builds.catalogue import Build
from ..builds.kinds import Pair, neighbours
from ..errors import ContentError
from ..supply.published import DELTAS, ENDING, Published, can_have_delta, format_published, parse_published, path_of_delta
from .mirror import DeltaPlan, path_of
from .storage import Storage


class DeltaProgress:
    """Receives the events of a mirror's deltas. This class ignores them."""

    def makes(self, path: str) -> None:
        """A delta is being made."""

    def made(self, delta: Published, whole: int) -> None:
        """A delta was made and listed, for an archive of ``whole`` bytes."""

    def removed(self, path: str) -> None:
        """An archive or a delta was removed from the mirror."""


def pairs(present: Iterable[Build]) -> tuple[Pair, ...]:
    """Return the builds of a mirror that get a delta, each with the build just before it."""
    return neighbours(filter(can_have_delta, present))


def plan_deltas(storage: Storage, present: Iterable[Build], *, make: bool) -> DeltaPlan:
    """Return what a sync does with the deltas of a mirror.

    :param present: the builds that the mirror has after the sync, with their sha256
    :param make: make the deltas that it lacks
    """
    old = _text(storage)
    if not old and not make:
        return DeltaPlan()
    present = tuple(present)
    sums = {build.sha256 for build in present}
    files = storage.files()
    kept = tuple(
        one
        for one in parse_published(old)
        if {one.archive, one.base} <= sums and (not one.size or files.get(one.path, [0])[0] == one.size)
    )
    known = {(one.archive, one.base) for one in kept}
    missing = tuple(pair for pair in pairs(present) if (pair[0].sha256, pair[1].sha256) not in known)
    unlisted = sorted(path for path in files.keys() - {one.path for one in kept} if path.endswith(ENDING))
    return DeltaPlan(missing if make else (), kept, tuple(unlisted), before=old)


def write_deltas(storage: Storage, plan: DeltaPlan, progress: DeltaProgress) -> DeltaPlan:
    """Carry out a plan, and return it with the rows that it made. The caller holds the mirror's lock.

    :raises ContentError: an archive is damaged
    """
    listed = list(plan.kept)
    _write_list(storage, listed, plan.before)
    for path in plan.removed:
        storage.delete(path)
        progress.removed(path)
    work = storage.work / "deltas"
    for new, old in plan.make:
        progress.makes(path_of_delta(new, old))
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            one, size = _made(storage, old, new, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        listed.append(one)
        _write_list(storage, listed, "")
        progress.made(one, size)
    return replace(plan, made=tuple(listed[len(plan.kept) :]))


def _made(storage: Storage, old: Build, new: Build, work: Path) -> tuple[Published, int]:
    """Make and store a delta; return its row, and the size of the new archive."""
    base, _packed, _size = _payload(storage, old, work / "old")
    payload, packed, size = _payload(storage, new, work / "new")
    part = work / "delta"
    with atomic_write(part) as out:
        tar = make(base, payload, cast(BinaryIO, out), work)
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
    with archive.open("wb") as copy:
        copy.writelines(storage.chunks(path_of(build)))
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
