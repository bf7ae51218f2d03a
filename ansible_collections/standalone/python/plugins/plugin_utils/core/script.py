# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One script from a declaration and a lock file, for hosts without a controller. The plan is that for an empty host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from .agents import script, script_ps1
from .agents.script import Archives, Kind, Origin, Removals
from .agents.sh import Delivery
from .builds.catalogue import Build
from .builds.request import Request
from .builds.target import Target, candidates, for_level, level_misfit, parse_triple, to_facts
from .delivery import BuildProvider, pulled
from .errors import DeclarationError
from .state.choice import satisfies
from .state.declaration import Desired
from .state.line import line_of
from .state.observed import Observed
from .state.plan import plan
from .state.step import Plan

# Options whose meaning a script can't have.
_CONTROLLER_ONLY: Mapping[str, str] = {
    "token": "everyone who reads the script could read it: use a source that needs no token",
    "verify": "a script looks at builds quickly: leave verify: full out",
}


class ScriptProvider(BuildProvider, Protocol):
    """Provides the builds of one declaration, and the names of those that hosts may have from earlier."""

    def known_builds(self, triples: Iterable[str]) -> Iterable[Build]:
        """Return each known build for some triples, in any order."""


def kinds_of(desired: Desired, supply: ScriptProvider, triples: Sequence[str]) -> tuple[Kind, ...]:
    """Return the kinds of hosts of these target triples, each with the plan for an empty host.

    :raises StandalonePythonError: a script can't do what is declared, or there is no build
    """
    _check(desired, triples)
    return tuple(kind for triple in dict.fromkeys(triples) for kind in _kinds(desired, supply, triple))


def builds_of(kinds: Sequence[Kind]) -> tuple[Build, ...]:
    """Return the builds that a script for these kinds installs, each once."""
    return tuple(dict.fromkeys(step.build for kind in kinds for step in kind.plan.installs))


def make(desired: Desired, supply: BuildProvider, kinds: Sequence[Kind], origin: Origin, archives: Archives | None = None) -> str:
    """Return the script for hosts of these kinds.

    :param archives: where they are if no host downloads them; the source may be on the controller then
    :raises StandalonePythonError: with a sentence for the user
    """
    if archives and archives.embedded and desired.windows:
        raise DeclarationError("--self-extracting is for shell scripts only: use --archives DIR for Windows hosts")
    if archives and archives.embedded and len(builds_of(kinds)) != 1:
        raise DeclarationError(
            f"--self-extracting takes one build into the script, and {len(builds_of(kinds))} are declared: "
            "use --archives DIR, or declare one build and one target"
        )
    deliveries: dict[str, Delivery] = {}
    for build in builds_of(kinds):
        delivery = pulled(supply, build)
        local = (f"{build.release}/{build.filename}",)
        deliveries[build.name] = replace(delivery, urls=local) if archives else delivery
    render = script_ps1.script if desired.windows else script.script
    return render(desired, kinds, deliveries, origin, archives or Archives())


def _check(desired: Desired, triples: Sequence[str]) -> None:
    """
    :raises DeclarationError: a script can't do what is declared
    """
    if not desired.lockfile:
        raise DeclarationError(
            "a script installs exactly the builds of a lock file, and none is given: make one with "
            "`standalone-python lock FILE --target TRIPLE`, and name it with --lockfile"
        )
    if not triples:
        raise DeclarationError("no kind of host is given: name each with --target, such as --target x86_64-unknown-linux-gnu")
    for triple in triples:
        if (parse_triple(triple).os == "windows") != desired.windows:
            raise DeclarationError(
                "Windows hosts run PowerShell and others a POSIX shell, so no script is for both: make one for each"
            )
    asked = {
        "token": bool(desired.token) or "@" in desired.source.partition("://")[2].partition("/")[0],
        "verify": desired.verify == "full",
    }
    for option, reason in _CONTROLLER_ONLY.items():
        if asked[option]:
            raise DeclarationError(f"the declaration has {option}, which a script can't have: {reason}")


def _kinds(desired: Desired, supply: ScriptProvider, triple: str) -> Iterator[Kind]:
    """Yield the kinds of hosts of a triple: one, or one for each CPU level that a request depends on."""
    target = parse_triple(triple)
    builds = tuple(replace(wanted, request=for_level(wanted.request, target)) for wanted in desired.builds)
    desired = replace(desired, builds=builds)
    before = None
    for level in _levels(target, [wanted.request for wanted in builds]):
        host = replace(target, level=level)
        facts = to_facts(host)
        empty = Observed(desired.root, desired.bin_dir, "absent", "absent", facts=facts, windows=desired.windows)
        planned = plan(desired, empty, partial(_resolve, supply, facts))
        if planned.steps != before:
            removals = _removals(desired, planned, supply.known_builds(candidates(host, "auto")))
            yield Kind(host, triple, planned, removals)
        before = planned.steps


def _removals(desired: Desired, planned: Plan, known: Iterable[Build]) -> Removals:
    """Return the known builds that ``planned`` does not install, as far as the declaration has them removed."""
    chosen = {step.build.name for step in planned.installs}
    absent = [wanted.request for wanted in desired.builds if wanted.state == "absent"]
    replaced: dict[str, list[Build]] = {line_of(step.build): [] for step in planned.installs}
    unwanted = []
    for build in {build.name: build for build in known if build.name not in chosen}.values():
        line = line_of(build)
        if any(satisfies(build, request) for request in absent):
            unwanted.append(build.name)
        elif line in replaced:
            replaced[line].append(build)
        elif desired.exclusive:
            unwanted.append(build.name)
    ordered = {
        line: tuple(build.name for build in sorted(builds, key=lambda build: (*build.age, build.name), reverse=True))
        for line, builds in replaced.items()
        if builds
    }
    return Removals(tuple(sorted(unwanted)), ordered)


def _resolve(supply: BuildProvider, facts: Mapping[str, str], request: Request) -> Build:
    return supply.resolve(request, facts)


def _levels(target: Target, requests: Sequence[Request]) -> Sequence[int]:
    """Return the CPU levels of hosts to plan for, the lowest first."""
    if target.arch != "x86_64" or target.os != "linux" or not any(request.level for request in requests):
        return (target.level,)
    able = [
        level
        for level in range(target.level, 5)
        if not any(level_misfit(replace(target, level=level), request.level) for request in requests)
    ]
    return able if any(request.level == "auto" for request in requests) else able[:1]
