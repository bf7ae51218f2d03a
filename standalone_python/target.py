# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses builds for another kind of host than this machine: an image that is made on a new CPU must run on older ones.

A build is started once when it is installed, so this machine must be able to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import (
    Target,
    for_level,
    from_facts,
    misfit,
    named_target,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Decision, decide
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply


class _Targeted(Supply):
    """Resolves for a target, whatever the host is."""

    def __init__(self, desired: Desired, target: Target) -> None:
        super().__init__(desired)
        self._target = target

    def resolve(self, request: Any, facts: Mapping[str, str], current: Any = None) -> Any:
        return self.resolve_for(request, replace(self._target, libc_version=from_facts(facts).libc_version), current)


def decide_for(
    triple: str, desired: Desired, look: Callable[[Facts], Observed], *, check: bool
) -> tuple[Desired, Supply, Decision]:
    """Return the decision for a kind of host. A request without a CPU level gets the triple's.

    :raises DeclarationError: the triple is not valid, this machine can't run its builds, or an installed build can't run there
    """
    target = named_target(triple)
    builds = (replace(wanted, request=for_level(wanted.request, target)) for wanted in desired.builds)
    desired = replace(desired, builds=tuple(builds))
    supply = _Targeted(desired, target)

    def checked(_facts: Facts) -> Observed:
        observed = look("yes")
        if why := misfit(from_facts(observed.facts), triple):
            raise DeclarationError(
                f"builds for {triple} can't be installed on this machine, as each is started once: a build for it {why}; "
                "run this on a machine that can run them"
            )
        return observed

    decision = decide(desired, supply, checked, check=check)
    for outcome in decision.plan.outcomes:
        if why := misfit(target, outcome.build.triple):
            raise DeclarationError(
                f"{outcome.build.name} is installed in {decision.observed.root} and satisfies {outcome.wanted.request.text}, but "
                f"it can't run on {triple}, as it {why}: remove it first"
            )
    return desired, supply, decision
