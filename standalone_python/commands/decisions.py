# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision about a declaration on a machine or an image: what the core decides, for another kind of machine or user too."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Decision, decide, lacks, observe
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import NoBuildError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .machine import Host

Decided = tuple[Desired, Supply, Decision]


class Look:
    """Observes a host, and again only if other facts are needed.

    :ivar last: the last observation; None before the first
    """

    def __init__(self, host: Host, desired: Desired) -> None:
        self._host, self._desired = host, desired
        self.last: Observed | None = None

    def __call__(self, facts: Facts) -> Observed:
        if self.last is None or lacks(self.last, facts):
            self.last = observe(self._host, self._desired, facts=facts)
        return self.last


def decided(
    desired: Desired, look: Callable[[Facts], Observed], *, check: bool, target: str = "", with_missing: bool = False
) -> Decided:
    """Return the decision, with the declaration and the supply that it is about.

    :param target: the triple to choose builds for; empty for the host's own
    :param with_missing: ignore requests that no build satisfies, and say so
    :raises StandalonePythonError: with a sentence for the user
    """
    if target:
        from ..target import decide_for

        return decide_for(target, desired, look, check=check)
    supply = Supply(desired)
    try:
        return desired, supply, decide(desired, supply, look, check=check)
    except NoBuildError:
        left = _satisfiable(desired, supply, look("yes")) if with_missing else desired
        if left.builds in ((), desired.builds):
            raise
        return left, supply, decide(left, supply, look, check=check)


def _satisfiable(desired: Desired, supply: Supply, observed: Observed) -> Desired:
    """Return the declaration without the requests that no build satisfies; the supply's remarks name them."""
    builds = []
    for wanted in desired.builds:
        try:
            supply.resolve(wanted.request, observed.facts)
            builds.append(wanted)
        except NoBuildError as error:
            supply.remarks.append(f"{wanted.request.text} stays as it is: {error}")
    return replace(desired, builds=tuple(builds))


def needs_root(observed: Observed) -> bool:
    """Return whether root could make changes that this user may not."""
    return os.geteuid() != 0 and observed != permitted(observed)


def permitted(observed: Observed) -> Observed:
    """Return a host as a user sees it who may write to the root and to the folder of the links."""
    if observed.root_state == "unwritable":
        observed = replace(observed, root_state="writable")
    if observed.bin_dir_state == "unwritable":
        observed = replace(observed, bin_dir_state="writable")
    return observed
