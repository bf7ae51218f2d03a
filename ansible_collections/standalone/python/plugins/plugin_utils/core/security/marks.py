# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a build in one word, for lists of builds. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..builds.catalogue import Build
from ..errors import ContentError
from .advisories import Assessment, Open, assess, rank

UNRATED = "unrated"


@dataclass(frozen=True, slots=True)
class Mark:
    """
    :ivar advisories: severity -> the number of open advisories, the worst severity first; None where nothing is known
    :ivar end_of_life: the day on which security support of the build's minor version ends; None where it is unknown
    """

    advisories: dict[str, int] | None
    end_of_life: str | None

    def words(self, today: str) -> str:
        """Return the number of advisories of the worst severity, and whether support has ended; empty where there is neither.

        :param today: such as 2026-08-21
        """
        found = [f"{number} {severity}" for severity, number in (self.advisories or {}).items()][:1]
        return ", ".join([*found, *(["end of life"] if self.end_of_life and self.end_of_life <= today else [])])


def mark(build: Build, assess: Callable[[Build], Assessment] = assess) -> Mark:
    """Return the mark of a build. Tables that can't be read, or that begin later than the build's release, tell nothing."""
    try:
        found = assess(build)
    except ContentError:
        return Mark(None, None)
    return Mark(count(found.advisories), found.end_of_life)


def count(advisories: Iterable[Open]) -> dict[str, int]:
    """Return how many advisories there are of each severity, the worst first."""
    counts = Counter(one.advisory.severity.lower() or UNRATED for one in advisories)
    return {severity: counts[severity] for severity in sorted(counts, key=rank)}
