# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of front ends as plain data, the same in each: a host's interpreters, and what a run did.

No I/O, except that the tables of advisories are read where something is said about a build: never in a run that changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from .builds.catalogue import Build, Catalogue, bundled, newest_of_line
from .builds.request import letters_of
from .builds.target import from_facts
from .errors import ContentError, StandalonePythonError
from .state.declaration import Desired
from .state.line import current_build, line_of
from .state.observed import Installed, Observed
from .state.paths import native
from .state.plan import plan as plan_of
from .state.process import Process
from .state.step import Confirm, Install, Outcome, Plan, ours


def info(observed: Observed) -> dict[str, Any]:
    """Return the host's interpreters and target. The module ``interpreters_info`` documents the keys.

    :param observed: with facts; those of an offline image of unknown kind give no target
    :raises ObservationError: the facts are not whole
    """
    tables, catalogue = (_known_tables(), _known_catalogue()) if observed.installed else (None, None)
    defaults = _default_links(observed)
    target = from_facts(observed.facts) if "os" in observed.facts or not observed.facts else None
    return {
        "root": native(observed.root),
        "bin_dir": native(observed.bin_dir),
        "interpreters": [
            _interpreter(installed, observed)
            | {"default_links": defaults.get(installed.name, []), "newest_known": _newest(installed.build, catalogue)}
            | _marks(installed.build, installed, tables)
            for installed in observed.installed
        ],
        "target": asdict(target) | {"triple": target.triple} if target else None,
        "tools": sorted(observed.tools),
        **_processes(observed),
    }


def _default_links(observed: Observed) -> dict[str, list[str]]:
    """Return the own links ``python3`` and ``python``, by the name of the build that they lead to."""
    found: dict[str, list[str]] = {}
    for name in ("python3", "python"):
        path = f"{observed.bin_dir}/{name}" + (".cmd" if observed.windows else "")
        inside = ours(path, observed.links.get(path, ""), observed)
        found.setdefault(current_build(observed, inside) or inside, []).append(native(path))
    return found


def _newest(build: Build, catalogue: Catalogue | None) -> str | None:
    """Return the request for the newest known build of a build's line, perhaps itself; None if none is known."""
    try:
        newest = newest_of_line(build, catalogue) if catalogue else None
    except StandalonePythonError:
        return None
    if newest is None:
        return None
    newest = max(newest, build, key=lambda one: one.age)
    return f"{newest.version}{letters_of(newest.variant)}+{newest.release}"


def _processes(observed: Observed) -> dict[str, Any]:
    """Return the processes that run from builds, and the services to restart; null where they were not looked for.

    Those that run from another build than the one in use in the line come first.
    """
    if not observed.sight:
        return {"processes": None, "processes_complete": None, "outdated_units": None}
    used = {one.name for one in observed.installed if current_build(observed, line_of(one.build)) == one.name}
    found = [(process, process.build in used and not process.replaced) for process in observed.processes]
    found.sort(key=lambda one: (one[1], one[0].build, one[0].pid))
    return {
        "processes": [_user(process) | {"build": process.build, "current": current} for process, current in found],
        "processes_complete": observed.sight == "all",
        "outdated_units": sorted({process.unit for process, current in found if process.unit and not current}),
    }


def _user(process: Process) -> dict[str, Any]:
    return {"pid": process.pid, "user": process.user, "command": process.command, "unit": process.unit or None}


def _interpreter(installed: Installed, observed: Observed) -> dict[str, Any]:
    build = installed.build
    prefix = f"{observed.root}/{installed.name}"
    stable = [path for path, target in observed.links.items() if target == installed.name]
    return {
        "version": str(build.version),
        "release": build.release,
        "target": build.triple,
        "variant": build.variant,
        "flavor": build.flavor,
        "path": native(f"{prefix}/{observed.python}"),
        "stable_path": native(f"{stable[0] if stable else prefix}/{observed.python}"),
        "prefix": native(prefix),
        "installed_at": installed.installed_at,
        "checked_at": installed.checked_at,
        "certificates": installed.receipt.certificates if installed.receipt else "",
        "components": dict(installed.receipt.components) if installed.receipt else {},
        "user_packages": installed.packages,
        "started": installed.started,
        "untrusted": installed.untrusted,
        "sound": not installed.problem,
        "problem": installed.problem,
        "foreign": installed.foreign,
        "extra": list(installed.extra),
    }


def result_data(plan: Plan, after: Observed, *, marked: bool = False) -> dict[str, Any]:
    """Return the result of a plan, done or predicted. The module ``interpreters`` documents the keys.

    :param after: the host after it
    :param marked: count the advisories of builds even if nothing changes
    """
    marking = marked or bool(plan)
    tables = _known_tables() if marking else None
    found = {installed.name: installed for installed in after.installed}
    installs = {step.build.name: step for step in plan.installs}
    return {
        "changed": bool(plan),
        "root": native(after.root),
        "bin_dir": native(after.bin_dir),
        "interpreters": [
            _outcome(outcome)
            | _additions(found.get(outcome.build.name), installs.get(outcome.build.name))
            | (_marks(outcome.build, found.get(outcome.build.name), tables) if marking else _UNMARKED)
            for outcome in plan.outcomes
        ],
        "removed": [
            {"name": step.name, "path": native(f"{after.root}/{step.name}"), "reason": step.reason} for step in plan.removals
        ],
        "held": [
            {
                "name": step.name,
                "path": native(f"{after.root}/{step.name}"),
                "reason": step.reason,
                "processes": [_user(process) for process in after.processes if process.build == step.name],
            }
            for step in plan.held
        ],
        **_processes(after),
        "plan": [str(step) for step in plan.steps],
    }


def _additions(installed: Installed | None, install: Install | None) -> dict[str, Any]:
    """Return the files and packages that users added to a build, and whether a new build kept them."""
    receipt = installed.receipt if installed else None
    return {
        "extra": list(installed.extra) if installed else [],
        "user_packages": {
            "kept": receipt.carried if receipt and install and install.carry else 0,
            "discarded": install.packages if install and not install.carry else 0,
            "not_carried": list(receipt.not_carried) if receipt and install and install.carry else [],
        },
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    build = outcome.build
    return {
        "request": outcome.wanted.request.text,
        "version": str(build.version),
        "release": build.release,
        "target": build.triple,
        "variant": build.variant,
        "flavor": build.flavor,
        "path": native(outcome.path),
        "stable_path": native(outcome.stable_path),
        "prefix": native(outcome.prefix),
        "links": [native(path) for path in outcome.links],
        "action": outcome.action,
        "reason": outcome.reason,
    }


_UNMARKED: dict[str, Any] = {"advisories": None, "end_of_life": None}


def _known_tables() -> Any:
    """Return the newest known tables of advisories; None if they can't be read."""
    from .supply.known_tables import known_tables

    try:
        return known_tables().tables
    except ContentError:
        return None


def _known_catalogue() -> Catalogue | None:
    """Return the updated catalogue, if this user has one, or the bundled one; None if it can't be read. It asks no server."""
    from .archives.cache import default_root
    from .supply.user_catalogue import about, updated

    try:
        return updated(root) if about(root := default_root()) else bundled()
    except StandalonePythonError:
        return None


def _marks(build: Build, installed: Installed | None, tables: Any) -> dict[str, Any]:
    """Return how many advisories of each severity a build has, and when its support ends; None where that is unknown."""
    from .security.advisories import assess
    from .security.marks import mark

    receipt = installed.receipt if installed else None
    return asdict(mark(build, lambda one: assess(one, receipt.components if receipt else {}, tables)))


def advisory_warnings(interpreters: Iterable[Mapping[str, Any]], today: str) -> tuple[str, ...]:
    """Return the warnings about builds that a run brought: the same text for each host, so that a tool shows it once a fleet.

    :param interpreters: of a result
    :param today: such as 2026-08-21
    """
    told: list[str] = []
    for one in interpreters:
        if one["action"] in ("none", "relink"):
            continue
        if {"critical", "high"} & set(one["advisories"] or ()):
            told.append(
                f"Python {one['version']} of release {one['release']} has open advisories of critical or high severity: "
                "'standalone-python advisories' with the build's name lists them"
            )
        if one["end_of_life"] and one["end_of_life"] <= today:
            minor = one["version"].rpartition(".")[0]
            told.append(
                f"Python {minor} is end of life since {one['end_of_life']}, and nobody fixes new vulnerabilities of it: "
                "move to a newer minor version"
            )
    return tuple(dict.fromkeys(told))


def damage(observed: Observed) -> tuple[str, ...]:
    """Return the damage on a host, in words: broken builds, own links without a target, and leftovers of interrupted runs.

    :raises AgentError: the root can't be read
    """
    broken = [f"{installed.name} is broken: {installed.problem}" for installed in observed.installed if installed.problem]
    # Assume write access; permissions are checked elsewhere.
    mendable = replace(observed, root_exposed="", bin_dir_exposed="", obstacles=())
    if observed.root_state == "unwritable":
        mendable = replace(mendable, root_state="writable")
    if observed.bin_dir_state in ("unwritable", "unreadable", "notfolder"):
        mendable = replace(mendable, bin_dir_state="writable")
    left = plan_of(Desired((), root=observed.root, bin_dir=observed.bin_dir), mendable, _no_request)
    return (*broken, *(f"to do: {step}" for step in left.steps if not isinstance(step, Confirm)))


def _no_request(request: object) -> Any:
    raise AssertionError(request)
