# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between two locks, and between a lock and what a declaration needs. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..builds.request import Request
from ..lazy import lazy_dataclass
from .lock import Lock, Locked, Slot


@lazy_dataclass(frozen=True)
class Changes:
    """The differences between two locks.

    :ivar changed: pairs of the old and the new entry
    :ivar tars: new entries that differ from the old ones only in the sum of their tar
    """

    added: tuple[Locked, ...]
    changed: tuple[tuple[Locked, Locked], ...]
    removed: tuple[Locked, ...]
    tars: tuple[Locked, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.tars)


def relock(
    old: Lock, wanted: Sequence[Slot], find: Callable[[Slot], Locked], upgrade: Callable[[Request], bool] = lambda request: False
) -> Lock:
    """Return the lock with exactly the wanted entries. An existing entry stays unless its request is to be upgraded.
    An upgrade never replaces a build by an older one, because a mirror may be behind.

    :param find: called only for entries that are missing or to be upgraded
    """
    known = {entry.key: entry for entry in old.builds}
    entries = []
    for slot in wanted:
        entry = known.get(slot.key)
        if entry is None or upgrade(slot.request):
            found = find(slot)
            if entry is None or found.build.age >= entry.build.age:
                entry = found
        entries.append(entry)
    return replace(old, builds=tuple(entries))


def changes(old: Lock, new: Lock) -> Changes:
    before, after = ({entry.key: entry for entry in lock.builds} for lock in (old, new))
    differ = [(before[key], entry) for key, entry in after.items() if key in before and before[key] != entry]
    return Changes(
        tuple(entry for key, entry in after.items() if key not in before),
        tuple((one, other) for one, other in differ if replace(one, tar=other.tar) != other),
        tuple(entry for key, entry in before.items() if key not in after),
        tuple(other for one, other in differ if replace(one, tar=other.tar) == other),
    )


def stale(lock: Lock, wanted: Sequence[Slot]) -> tuple[tuple[Slot, ...], tuple[Locked, ...]]:
    """Return the wanted entries that are missing, and the locked ones that are not wanted. A newer build makes no lock stale."""
    locked, needed = {entry.key for entry in lock.builds}, {slot.key for slot in wanted}
    return (
        tuple(slot for slot in wanted if slot.key not in locked),
        tuple(entry for entry in lock.builds if entry.key not in needed),
    )
