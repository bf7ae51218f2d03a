# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which newer build an upgrade takes, where it must close an advisory or where builds must have a certain age. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..builds.catalogue import Build
from .advisories import Assessment, closed, rank

Assess = Callable[[Build], Assessment]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a newer build must be, so that an upgrade takes it.

    :ivar security_only: it must close an open advisory of the build that it replaces
    :ivar newest_release: it must not be of a later release, 8 digits; empty: any release is old enough
    :ivar exception: a later release is taken all the same if it closes an advisory of at least this severity; empty: never
    """

    security_only: bool = False
    newest_release: str = ""
    exception: str = ""

    def is_ripe(self, build: Build) -> bool:
        return not self.newest_release or build.release <= self.newest_release


def choose_upgrade(current: Build | None, candidates: Iterable[Build], policy: Policy, assess: Assess) -> Build | None:
    """Return the build to use instead of the current one, or the current one if no candidate is admitted.

    Only newer builds are candidates; with ``security_only``, only those of the current one's line. Without a current build, any
    candidate is one. None: no build is old enough.

    :param candidates: the best first
    """
    newer = [build for build in candidates if current is None or _is_upgrade(current, build, policy)]
    base = next((build for build in newer if policy.is_ripe(build) and _is_wanted(current, build, policy, assess)), current)
    if base is None or not policy.exception:
        return base
    young = (build for build in newer if not policy.is_ripe(build) and build.recency > base.recency)
    worst = rank(policy.exception)
    return next(
        (build for build in young if any(rank(one.advisory.severity) <= worst for one in closed(assess(base), assess(build)))),
        base,
    )


def _is_wanted(current: Build | None, build: Build, policy: Policy, assess: Assess) -> bool:
    return current is None or not policy.security_only or bool(closed(assess(current), assess(build)))


def _is_upgrade(current: Build, build: Build, policy: Policy) -> bool:
    same_line = (build.version.minor_line, build.variant) == (current.version.minor_line, current.variant)
    return build.recency > current.recency and (same_line or not policy.security_only)
