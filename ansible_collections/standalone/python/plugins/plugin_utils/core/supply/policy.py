# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The build that a request means where the declaration has ``security_only`` or ``cooldown``.

Imported only for such a declaration: it reads the tables of advisories.
"""

from __future__ import annotations

import time

from ..builds.catalogue import Build, Catalogue, builds, ranked, resolve
from ..builds.request import Request
from ..builds.target import Target, candidates, level_misfit, misfit
from ..errors import NoBuildError
from ..security.upgrade import Assess, Policy, choose_upgrade
from ..state.declaration import Desired

_DAY = 24 * 60 * 60


def policy_of(desired: Desired, now: float | None = None) -> Policy:
    """
    :param now: seconds since 1970; by default the controller's clock
    """
    limit = ""
    if desired.cooldown:
        limit = time.strftime("%Y%m%d", time.gmtime((time.time() if now is None else now) - desired.cooldown * _DAY))
    return Policy(desired.security_only, limit, "" if desired.cooldown_except == "none" else desired.cooldown_except)


def find_upgrade(
    request: Request, target: Target, catalogue: Catalogue, current: Build | None, policy: Policy, assess: Assess
) -> Build:
    """Return the build that a request means on a target, or the current one if no newer build is admitted.

    :raises NoBuildError: there is none, or every one is too young
    """
    newest = resolve(request, target, catalogue)
    if current is None and policy.is_ripe(newest):
        return newest
    triples = () if level_misfit(target, request.level) else candidates(target, request.level)
    triples = tuple(triple for triple in triples if not misfit(target, triple))
    known = (build for minor in catalogue.minors if request.admits_minor(minor) for build in builds(catalogue, minor, triples))
    found = choose_upgrade(current, ranked(known, request, triples), policy, assess)
    if found is None:
        raise NoBuildError(
            f"every build of {request.text} for {target} in {catalogue.name} is younger than the cooldown: "
            f"shorten the cooldown, or ask for {newest.version}+{newest.release}"
        )
    return found
