# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which advisories the upgrades of a lock file close, as values and as the text of a commit. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import ContentError
from ..security.advisories import Open, closed, rank
from ..security.marks import count
from ..security.upgrade import Assess
from .lock import Locked
from .lock_changes import Changes


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An entry of a lock file that moved.

    :ivar closes: the open advisories of the old build that the new one does not have, the worst first
    :ivar leaves: the open advisories of the new build, the worst first
    """

    before: Locked
    after: Locked
    closes: tuple[Open, ...]
    leaves: tuple[Open, ...]


def moved_entries(made: Changes, assess: Assess) -> tuple[Upgrade, ...]:
    """Return the upgraded entries. Of a build whose components are unknown, no advisory is known."""
    return tuple(_upgrade(before, after, assess) for before, after in made.changed)


def _upgrade(before: Locked, after: Locked, assess: Assess) -> Upgrade:
    try:
        old, new = assess(before.build), assess(after.build)
    except ContentError:
        return Upgrade(before, after, (), ())
    return Upgrade(before, after, _sorted(closed(old, new)), _sorted(new.advisories))


def _sorted(advisories: Iterable[Open]) -> tuple[Open, ...]:
    return tuple(sorted(advisories, key=lambda one: (rank(one.advisory.severity), one.advisory.component, one.advisory.id)))


def counted(advisories: Sequence[Open]) -> str:
    """Return a number of advisories in words, such as ``3 advisories (1 high, 2 low)``."""
    number = len(advisories)
    if not number:
        return "no known advisory"
    by_severity = ", ".join(f"{found} {severity}" for severity, found in count(advisories).items())
    return f"{number} {'advisory' if number == 1 else 'advisories'} ({by_severity})"


def listed(advisories: Sequence[Open]) -> str:
    """Return advisories on one line: their number by severity, and the ids of each component."""
    return "; ".join([counted(advisories), *_ids_by_component(advisories)])


def _ids_by_component(advisories: Sequence[Open]) -> list[str]:
    ids: dict[str, list[str]] = {}
    for one in advisories:
        ids.setdefault(one.advisory.component, []).append(one.advisory.id)
    return [f"{component}: {', '.join(found)}" for component, found in ids.items()]


def grouped(moved: Sequence[Upgrade]) -> tuple[tuple[Upgrade, ...], ...]:
    """Return the upgrades in groups that have one request, one version and the same advisories, for several targets."""
    groups: dict[tuple[object, ...], list[Upgrade]] = {}
    for one in moved:
        groups.setdefault((one.after.request, built(one.before), built(one.after), one.closes, one.leaves), []).append(one)
    return tuple(map(tuple, groups.values()))


def commit_message(made: Changes, moved: Sequence[Upgrade]) -> str:
    """Return the text of a commit that changes a lock file: a subject, then each entry with the advisories that it closes.

    :param moved: of :func:`moved_entries`
    """
    closes = {one.advisory for upgrade in moved for one in upgrade.closes}
    lines = [_subject(made, len(closes)), ""]
    for group in grouped(moved):
        first = group[0]
        targets = ", ".join(one.after.target for one in group)
        lines += [f"Upgrade {first.after.request} for {targets}: {built(first.before)} -> {built(first.after)}"]
        lines += [f"  closes {counted(first.closes)}"]
        lines += [f"    {_told(one)}" for one in first.closes if _is_urgent(one)]
        lines += [f"    {text}" for text in _ids_by_component([one for one in first.closes if not _is_urgent(one)])]
        lines += [f"  leaves open {counted(first.leaves)}"]
        lines += [f"    {text}" for text in _ids_by_component(first.leaves)]
    lines += [_line("Add", entry, built(entry)) for entry in made.added]
    lines += [_line("Remove", entry, built(entry)) for entry in made.removed]
    lines += [_line("Record the tar of", entry, built(entry)) for entry in made.tars]
    return "\n".join(lines) + "\n"


def _subject(made: Changes, closes: int) -> str:
    """Return the first line. Tools cut it after 72 letters."""
    if made.changed:
        requests = list(dict.fromkeys(after.request for _before, after in made.changed))
        what = f"Upgrade Python {', '.join(requests)}" if len(requests) < 4 else f"Upgrade {len(requests)} requests of Python"
        return f"{what}: close {closes} {'advisory' if closes == 1 else 'advisories'}" if closes else what
    if made.tars and not (made.added or made.removed):
        return f"Lock Python: record the tars of {len(made.tars)} entries"
    return f"Lock Python: {len(made.added)} added, {len(made.removed)} removed"


def _is_urgent(one: Open) -> bool:
    return rank(one.advisory.severity) <= rank("high")


def _line(did: str, entry: Locked, what: str) -> str:
    return f"{did} {entry.request} for {entry.target}: {what}"


def _told(one: Open) -> str:
    """Return an advisory in words. Titles and ids are from tables, so they are printable."""
    advisory, fixed = one.advisory, f", fixed in {one.fixed}" if one.fixed else ""
    return f"{advisory.id} ({advisory.severity.lower()}, {advisory.component}{fixed}): {advisory.title}"


def built(entry: Locked) -> str:
    """Return the version and the release of an entry's build."""
    return f"{entry.build.version}+{entry.build.release}"
