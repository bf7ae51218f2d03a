# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sums of tars in a lock file: they guarantee what the deltas of a mirror make.

A lock file guarantees archives, and a delta makes the tar of a payload. So ``lock --deltas`` downloads, verifies and packs each
archive, and the lock file records the SHA-256 of the tar. A mirror's own sum of a tar is never recorded.

A version of standalone-python may pack an archive otherwise, which gives another tar. So each sum names its form, and one of
another form is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..archives.archive import FORM, tar_checksum
from ..builds.catalogue import Build
from .lock import Lock, Locked
from .published import can_have_delta

if TYPE_CHECKING:
    from ..archives.store import Payload


def locked_tar(lock: Lock, build: Build) -> str:
    """Return the SHA-256 of the tar that is packed from a locked build's archive; empty if the lock guarantees none."""
    found = {sum_of(entry) for entry in lock.builds if _archive(entry.build) == _archive(build)} - {""}
    return found.pop() if len(found) == 1 else ""


def sum_of(entry: Locked) -> str:
    """Return the SHA-256 of an entry's tar; empty if it was not recorded, or in another form."""
    form, _colon, digest = entry.tar.partition(":")
    return digest if form == str(FORM) else ""


def without_tar(entries: Iterable[Locked]) -> tuple[Locked, ...]:
    """Return the entries that a mirror can have a delta for, and that have no sum of this form."""
    return tuple(entry for entry in entries if can_have_delta(entry.build) and not sum_of(entry))


def with_known_tars(old: Lock, new: Lock) -> Lock:
    """Return the new lock with the sums that the old one has for the same archives."""
    known = {_archive(entry.build): entry.tar for entry in old.builds if entry.tar}
    return _filled(new, known)


def with_tars(lock: Lock, payload: Callable[[Build], Payload]) -> Lock:
    """Return the lock with the sums that it lacks.

    :param payload: returns the payload that was packed from the archive with the locked checksum; called once for each archive
    :raises StandalonePythonError: an archive can't be had, or is not the locked one
    """
    lacking = {_archive(entry.build): entry.build for entry in without_tar(lock.builds)}
    # One after the other: packing overlaps with the download of its archive already, and memory and disk stay bounded.
    made = {archive: f"{FORM}:{tar_checksum(payload(build).path)}" for archive, build in lacking.items()}
    return _filled(lock, made)


def _filled(lock: Lock, tars: dict[tuple[str, str | None], str]) -> Lock:
    builds = (entry if sum_of(entry) else replace(entry, tar=tars.get(_archive(entry.build), entry.tar)) for entry in lock.builds)
    return replace(lock, builds=tuple(builds))


def _archive(build: Build) -> tuple[str, str | None]:
    return build.filename, build.sha256
