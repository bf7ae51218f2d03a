# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The build that each declared request chooses on a host, and whether it is installed, upgraded, repaired or kept. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..builds.catalogue import Build
from ..builds.request import Request, Version
from ..errors import DeclarationError, sanitized
from .declaration import Desired, Wanted
from .line import current_build, finish_of, line_of
from .observed import Installed, Observed
from .receipt import Finish
from .step import Install, InstallAction, Plan, SetLink, predict

Resolve = Callable[[Request], Build]
"""Finds the build for a request on the host in question: the newest, and only called where what is installed is not enough; or,
where the declaration has a lock file, the locked one, which alone is enough."""


@dataclass(frozen=True, slots=True)
class Choice:
    wanted: Wanted
    build: Build
    action: InstallAction | Literal["none"]
    reason: str
    moved: str = ""

    @property
    def rank(self) -> tuple[bool, Version, str]:
        """Who has the line's links: the build marked default, else the newest."""
        return (self.wanted.default is True, *self.build.age)


def satisfies(build: Build, request: Request) -> bool:
    return request.admits(build.version, build.variant, build.release, build.flavor) and (
        request.level == "auto" or request.level == build.level
    )


def newest_installed(request: Request, desired: Desired, observed: Observed) -> Build | None:
    """Return the installed build that an upgrade of a request replaces: the newest that satisfies it and no request removes."""
    unwanted = [wanted.request for wanted in desired.builds if wanted.state == "absent"]
    able = (one.build for one in observed.installed if satisfies(one.build, request))
    return max(
        (build for build in able if not any(satisfies(build, one) for one in unwanted)),
        key=lambda build: build.recency,
        default=None,
    )


def choose_builds(desired: Desired, observed: Observed, resolve: Resolve, gone: frozenset[str]) -> list[Choice]:
    """What each declared request that is not absent comes to, in the order of the declaration."""
    choices = [_choose(wanted, desired, observed, resolve, gone) for wanted in desired.builds if wanted.state != "absent"]
    # What one request brings may serve another as well, and would on the next run: choose again until nothing changes.
    for _unused in choices if _moves(choices, observed) else ():
        view = _with_choices(choices, desired, observed)
        again = [_choose_again(choice, choices, desired, observed, view, resolve, gone) for choice in choices]
        if again == choices:
            break
        choices = again
    winners = line_winners(choices)
    return [_named(choice, winners, observed) if choice.action == "install" else choice for choice in choices]


def line_winners(choices: list[Choice]) -> dict[str, Choice]:
    winners: dict[str, Choice] = {}
    for choice in choices:
        line = line_of(choice.build)
        if line not in winners or choice.rank > winners[line].rank:
            winners[line] = choice
    return winners


def _moves(choices: list[Choice], observed: Observed) -> bool:
    """Whether what was chosen changes the builds or the stable links."""
    return any(choice.action != "none" for choice in choices) or any(
        current_build(observed, line) != choice.build.name for line, choice in line_winners(choices).items()
    )


def _choose(wanted: Wanted, desired: Desired, observed: Observed, resolve: Resolve, gone: frozenset[str]) -> Choice:
    serving = _serving(wanted, desired, observed, resolve, gone)
    if serving:
        return _kept(wanted, serving, desired, resolve)
    best = resolve(wanted.request)
    for other in desired.builds:
        if other.state == "absent" and satisfies(best, other.request):
            raise DeclarationError(
                f"{wanted.request.text} asks for {best.name}, which {other.request.text}, declared absent, means too: choose one"
            )
    locked = f"{wanted.request.text} is locked to it"
    return Choice(wanted, best, "install", locked if desired.lockfile else f"nothing installed satisfies {wanted.request.text}")


def _choose_again(
    choice: Choice,
    choices: list[Choice],
    desired: Desired,
    observed: Observed,
    view: Observed,
    resolve: Resolve,
    gone: frozenset[str],
) -> Choice:
    """The choice of a host that has what all requests chose so far, ``view``."""
    serving = _serving(choice.wanted, desired, view, resolve, gone)
    if serving is None or serving.name == choice.build.name:
        return choice
    for other in choices:
        if other.build.name == serving.name:
            return replace(other, wanted=choice.wanted)
    there = next(installed for installed in observed.installed if installed.name == serving.name)
    return _kept(choice.wanted, there, desired, resolve)


def _serving(wanted: Wanted, desired: Desired, observed: Observed, resolve: Resolve, gone: frozenset[str]) -> Installed | None:
    """The installed build that is enough for a request, sound or not; None where another one is needed."""

    def current(installed: Installed) -> bool:
        return installed.name == current_build(observed, line_of(installed.build))

    able = [i for i in observed.installed if i.name not in gone and satisfies(i.build, wanted.request)]
    if desired.lockfile:
        return next((i for i in able if i.name == resolve(wanted.request).name), None)
    if wanted.state == "present":
        return max(able, key=lambda i: (current(i), not i.problem, *i.build.age, i.name), default=None)
    best = resolve(wanted.request)
    new = [i for i in able if i.build.recency >= best.recency]
    return max(new, key=lambda i: (*i.build.recency, not i.problem, current(i), i.name == best.name, i.name), default=None)


def _with_choices(choices: list[Choice], desired: Desired, observed: Observed) -> Observed:
    links = [SetLink(f"{observed.root}/{line}", choice.build.name) for line, choice in line_winners(choices).items()]
    return predict(Plan((*installs_of(choices), *links), ()), observed, desired)


def installs_of(choices: list[Choice]) -> tuple[Install, ...]:
    steps: dict[str, Install] = {}
    for choice in choices:
        if choice.action != "none":
            steps.setdefault(choice.build.name, Install(choice.build, choice.action, choice.reason, moved=choice.moved))
    return tuple(steps.values())


def _kept(wanted: Wanted, installed: Installed, desired: Desired, resolve: Resolve) -> Choice:
    """Use an installed build; install it again if it is broken or its finish differs from the declared one."""
    build = resolve(wanted.request) if desired.lockfile else installed.build
    changed = _otherwise(finish_of(desired, installed.build), installed.finish) if installed.finish else ""
    if desired.lockfile and installed.receipt and build.sha256 not in (None, installed.build.sha256):
        changed = "its archive is not the locked one"
    if not installed.problem and not changed:
        if desired.lockfile:
            return Choice(wanted, installed.build, "none", f"{build.version} of {build.release} is locked")
        reason = _why_newest(build, desired) if wanted.state == "latest" else f"{build.version} is installed"
        return Choice(wanted, build, "none", reason)
    if installed.receipt is None and not desired.lockfile:
        build = resolve(
            replace(
                wanted.request,
                text=f"{build.version}+{build.release}",
                version=str(build.version),
                release=build.release,
                flavor=build.flavor,
                level=build.level,
            )
        )
    if not installed.problem:
        return Choice(wanted, build, "reinstall", changed)
    return Choice(wanted, build, "repair", installed.problem, "" if changed or installed.untrusted else installed.moved)


def _why_newest(build: Build, desired: Desired) -> str:
    name = f"{build.version} of {build.release}"
    days = "1 day" if desired.cooldown == 1 else f"{desired.cooldown} days"
    aged = f" that is {days} old" if desired.cooldown else ""
    if desired.security_only:
        return f"no newer build{aged} closes an advisory of {name}"
    return f"no build{aged} is newer than {name}" if aged else f"{name} is the newest"


def _otherwise(wanted: Finish, was: Finish) -> str:
    """In words, how a build was finished otherwise than declared; empty where it was not. What isn't declared doesn't matter."""
    for name in ("externally_managed", "compile_bytecode", "patch_sysconfig", "certificates"):
        if getattr(wanted, name) != getattr(was, name):
            return f"{name} was {str(getattr(was, name)).lower()} and is {str(getattr(wanted, name)).lower()} now"
    for name, unsaid in (("owner", ""), ("group", ""), ("mode", "0755")):
        before = getattr(was, name) or unsaid
        if getattr(wanted, name) and getattr(wanted, name) != before:
            return f"{name} was {sanitized(before) or 'not given'} and is {getattr(wanted, name)} now"
    return ""


def _named(choice: Choice, winners: Mapping[str, Choice], observed: Observed) -> Choice:
    """Whether a build that comes is an install, an upgrade or a downgrade, and why it comes."""
    request, build, line = choice.wanted.request, choice.build, line_of(choice.build)
    able = (i.build for i in observed.installed if satisfies(i.build, request))
    newest = max(able, key=lambda b: (*b.age, b.name), default=None)
    current = current_build(observed, line)
    before = next((i.build for i in observed.installed if i.name == current), newest)
    if before is None or winners[line].build.name != build.name:
        return choice
    if build.age < before.age:
        reason = f"{request.text} asks for it, {before.version} of {before.release} was in use"
        return replace(choice, action="downgrade", reason=reason)
    if build.age == before.age:
        return replace(choice, reason=f"{request.text} asks for it, {before.name} was in use")
    return replace(choice, action="upgrade", reason=f"it is newer than {before.version} of {before.release}")
