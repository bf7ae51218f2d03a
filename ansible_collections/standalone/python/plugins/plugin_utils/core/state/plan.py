# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change on a host: ``plan(desired, observed, resolve) -> Plan``. No I/O.

A *line* is what one stable link stands for: a minor version and a variant, such as ``cpython-3.13`` or
``cpython-3.13+freethreaded``. Each declared request chooses one build. Of the builds chosen in a line, one has the line's stable
link and, through it, the links in ``bin_dir``; other builds of the line are replaced ones, of which ``keep`` stay.

The order of the steps is the order in which they are carried out: what a killed run left is cleared, builds come, receipts of
builds that were installed from outside are completed, links change, links go, builds go. Nothing that isn't ours is ever taken
for ours: not a folder without a receipt's folder in it, not a link that leads elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from ..builds.catalogue import Build
from ..builds.request import Request, Version
from ..errors import AgentError, DeclarationError, sanitized
from .declaration import Desired, Wanted
from .observed import FAILURES, Finish, Installed, Observed, native, printed
from .registry import registrations, search_path
from .step import Clear, Confirm, Install, Outcome, Plan, Remove, SetLink, Step, Unlink, ours, predict, seen

Resolve = Callable[[Request], Build]
"""Finds the build for a request on the host in question: the newest, and only called where what is installed is not enough; or,
where the declaration has a lock file, the locked one, which alone is enough."""


@dataclass(frozen=True, slots=True)
class _Choice:
    wanted: Wanted
    build: Build
    action: str
    reason: str
    moved: str = ""

    @property
    def rank(self) -> tuple[bool, Version, str]:
        """Who has the line's links: the build marked default, else the newest."""
        return (self.wanted.default, self.build.version, self.build.release)


_LETTERS = {"freethreaded": "t", "debug": "d"}


def line_of(build: Build) -> str:
    """The name of the stable link that a build can have."""
    return f"cpython-{build.version.minor_line}" + (f"+{build.variant}" if build.variant else "")


def link_names(build: Build, *, default: bool, kinds: frozenset[str], windows: bool = False) -> Iterator[tuple[str, str]]:
    """Names of the links in ``bin_dir`` for the build that has the line, and the executable in it that each leads to."""
    plain = f"python{build.version.minor_line}"
    letters = "".join(_LETTERS.get(part, "") for part in build.variant.split("+"))
    names = []
    if "versioned" in kinds:
        names.append((plain + letters, "bin/python3" if letters else f"bin/{plain}"))
    if default and "default" in kinds:
        names += [("python3", "bin/python3"), ("python", "bin/python3")]
    for name, executable in names:
        # Windows starts no program through a link of another name: it would look for the program's libraries beside the link.
        yield (f"{name}.cmd", "python.exe") if windows else (name, executable)


def plan(desired: Desired, observed: Observed, resolve: Resolve) -> Plan:
    """The difference between what is declared and what is there.

    :raises NoBuildError: no build for a request (from ``resolve``)
    :raises DeclarationError: requests that contradict each other on this host
    :raises AgentError: what has to change can't be changed: a foreign file in the way, no permission
    """
    if observed.root_state in ("unreadable", "notfolder"):
        reason = {"unreadable": "can't be read by this user", "notfolder": "is not a folder"}[observed.root_state]
        raise AgentError(
            f"the root {native(observed.root)} {reason}: choose another root or become a user who may", step="observe"
        )
    resolve = cache(resolve)
    # Builds for other kinds of hosts, as in a root that several share, are nobody's business here. Links that lead to them stay.
    # Of links into the root where builds lay before, only those of declared lines change: the others may be that root's own.
    whole = replace(observed, installed=tuple(replace(installed, moved="") for installed in observed.installed))
    observed = replace(observed, installed=tuple(installed for installed in observed.installed if not installed.foreign))
    gone = _absent(desired, observed)
    choices = _choices(desired, observed, resolve, frozenset(gone))
    winners = _winners(choices)
    gone |= _replaced(desired, observed, choices, gone)
    links = _links(desired, observed, winners)
    chosen = {line: choice.build for line, choice in winners.items()}
    relinking: tuple[SetLink | Unlink, ...] = (*_set_links(links, observed), *_unlinks(desired, whole, links, winners, gone))
    steps: list[Step] = [
        *_clearing(observed),
        *(installs := _with_user_packages(_installs(choices), desired, observed, winners)),
        *confirmations(observed, {*gone, *(step.build.name for step in installs)}),
        *relinking,
        *registrations(desired, observed, chosen, _lines(observed, winners, gone)),
        *search_path(desired, observed, relinking),
        *(Remove(name, reason) for name, reason in sorted(gone.items())),
    ]
    _check_possible(steps, desired, observed)
    outcomes = tuple(_outcome(choice, winners, links, steps, observed) for choice in choices)
    return Plan(tuple(steps), outcomes, seen(steps, observed))


def _absent(desired: Desired, observed: Observed) -> dict[str, str]:
    """Names of builds that are declared absent, with the reason."""
    return {
        installed.name: f"{wanted.request.text} is declared absent"
        for wanted in desired.builds
        if wanted.state == "absent"
        for installed in observed.installed
        if _satisfies(installed.build, wanted.request)
    }


def _satisfies(build: Build, request: Request) -> bool:
    return request.admits(build.version, build.variant, build.release, build.flavor) and (
        request.level == "auto" or request.level == build.level
    )


def _age(build: Build) -> tuple[Version, str]:
    return (build.version, build.release)


def _current(observed: Observed, line: str) -> str:
    """The name of the build that a line's stable link leads to; empty where there is none of ours."""
    target = observed.links.get(f"{observed.root}/{line}", "")
    name = target.removeprefix(f"{observed.root}/")
    return name if any(installed.name == name for installed in observed.installed) else ""


def _choices(desired: Desired, observed: Observed, resolve: Resolve, gone: frozenset[str]) -> list[_Choice]:
    """What each declared request that is not absent comes to, in the order of the declaration."""
    choices = [_choose(wanted, desired, observed, resolve, gone) for wanted in desired.builds if wanted.state != "absent"]
    # What one request brings may serve another as well, and would on the next run: choose again until nothing changes.
    for _unused in choices if _moves(choices, observed) else ():
        view = _with_choices(choices, desired, observed)
        again = [_choose_again(choice, choices, desired, observed, view, resolve, gone) for choice in choices]
        if again == choices:
            break
        choices = again
    winners = _winners(choices)
    return [_named(choice, winners, observed) if choice.action == "install" else choice for choice in choices]


def _moves(choices: list[_Choice], observed: Observed) -> bool:
    """Whether what was chosen changes the builds or the stable links."""
    return any(choice.action != "none" for choice in choices) or any(
        _current(observed, line) != choice.build.name for line, choice in _winners(choices).items()
    )


def _choose(wanted: Wanted, desired: Desired, observed: Observed, resolve: Resolve, gone: frozenset[str]) -> _Choice:
    serving = _serving(wanted, desired, observed, resolve, gone)
    if serving:
        return _kept(wanted, serving, desired, resolve)
    best = resolve(wanted.request)
    for other in desired.builds:
        if other.state == "absent" and _satisfies(best, other.request):
            raise DeclarationError(
                f"{wanted.request.text} asks for {best.name}, which {other.request.text}, declared absent, means too: choose one"
            )
    locked = f"{wanted.request.text} is locked to it"
    return _Choice(wanted, best, "install", locked if desired.lockfile else f"nothing installed satisfies {wanted.request.text}")


def _choose_again(
    choice: _Choice,
    choices: list[_Choice],
    desired: Desired,
    observed: Observed,
    view: Observed,
    resolve: Resolve,
    gone: frozenset[str],
) -> _Choice:
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
        return installed.name == _current(observed, line_of(installed.build))

    able = [i for i in observed.installed if i.name not in gone and _satisfies(i.build, wanted.request)]
    if desired.lockfile:
        return next((i for i in able if i.name == resolve(wanted.request).name), None)
    if wanted.state == "present":
        return max(able, key=lambda i: (current(i), not i.problem, *_age(i.build), i.name), default=None)
    best = resolve(wanted.request)
    new = [i for i in able if _recency(i.build) >= _recency(best)]
    return max(new, key=lambda i: (*_recency(i.build), not i.problem, current(i), i.name == best.name, i.name), default=None)


def _recency(build: Build) -> tuple[Version, str, str]:
    """What ``latest`` compares. Of a request for any CPU level, builds that differ in nothing else differ in that."""
    return (build.version, build.release, build.level)


def _with_choices(choices: list[_Choice], desired: Desired, observed: Observed) -> Observed:
    links = [SetLink(f"{observed.root}/{line}", choice.build.name) for line, choice in _winners(choices).items()]
    return predict(Plan((*_installs(choices), *links), ()), observed, desired)


def _installs(choices: list[_Choice]) -> tuple[Install, ...]:
    steps: dict[str, Install] = {}
    for choice in choices:
        if choice.action != "none":
            steps.setdefault(choice.build.name, Install(choice.build, choice.action, choice.reason, moved=choice.moved))
    return tuple(steps.values())


def _with_user_packages(
    installs: tuple[Install, ...], desired: Desired, observed: Observed, winners: Mapping[str, _Choice]
) -> tuple[Install, ...]:
    """Return the installations, each with the build whose user packages are copied or dropped.

    That is the build in the same place, or else the one in use in the line.
    """
    installed = {i.name: i for i in observed.installed}

    def of(install: Install) -> Install:
        build, line = install.build, line_of(install.build)
        used = _current(observed, line) if winners[line].build.name == build.name else ""
        before = installed.get(build.name) or installed.get(used)
        if before is None:
            return install
        # Where a receipt is lost, the finisher still sees the mark of an externally managed build.
        was_open = not before.finish.externally_managed if before.finish else before.name == build.name
        keeps = was_open and not desired.finish.externally_managed and desired.user_packages == "keep"
        keeps = keeps and _machine(before.build) == _machine(build)
        moved = install.moved if keeps or not before.packages else ""
        return replace(install, carry=before.name if keeps else "", packages=before.packages, moved=moved)

    return tuple(map(of, installs))


def _machine(build: Build) -> str:
    """What compiled packages are made for, beside the line: the triple without a CPU level."""
    return build.triple.replace(f"_{build.level}-", "-", 1) if build.level else build.triple


def _kept(wanted: Wanted, installed: Installed, desired: Desired, resolve: Resolve) -> _Choice:
    """An installed build serves; it is made anew where it is broken or was finished otherwise than declared."""
    build = resolve(wanted.request) if desired.lockfile else installed.build
    changed = _otherwise(desired.finish, installed.finish) if installed.finish else ""
    if desired.lockfile and installed.receipt and build.sha256 not in (None, installed.build.sha256):
        changed = "it was made of another archive than the locked one"
    if not installed.problem and not changed:
        if desired.lockfile:
            return _Choice(wanted, installed.build, "none", f"{build.version} of {build.release} is locked")
        newest = f"{build.version} of {build.release} is the newest"
        return _Choice(wanted, build, "none", newest if wanted.state == "latest" else f"{build.version} is installed")
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
        return _Choice(wanted, build, "reinstall", changed)
    return _Choice(wanted, build, "repair", installed.problem, "" if changed or installed.untrusted else installed.moved)


def _otherwise(wanted: Finish, was: Finish) -> str:
    """In words, how a build was finished otherwise than declared; empty where it was not. What isn't declared doesn't matter."""
    for name in ("externally_managed", "compile_bytecode", "patch_sysconfig"):
        if getattr(wanted, name) != getattr(was, name):
            return f"{name} was {str(getattr(was, name)).lower()} and is {str(getattr(wanted, name)).lower()} now"
    for name, unsaid in (("owner", ""), ("group", ""), ("mode", "0755")):
        before = getattr(was, name) or unsaid
        if getattr(wanted, name) and getattr(wanted, name) != before:
            return f"{name} was {sanitized(before) or 'not given'} and is {getattr(wanted, name)} now"
    return ""


def _named(choice: _Choice, winners: Mapping[str, _Choice], observed: Observed) -> _Choice:
    """Whether a build that comes is an install, an upgrade or a downgrade, and why it comes."""
    request, build, line = choice.wanted.request, choice.build, line_of(choice.build)
    able = (i.build for i in observed.installed if _satisfies(i.build, request))
    newest = max(able, key=lambda b: (*_age(b), b.name), default=None)
    current = _current(observed, line)
    before = next((i.build for i in observed.installed if i.name == current), newest)
    if before is None or winners[line].build.name != build.name:
        return choice
    if _age(build) < _age(before):
        reason = f"{request.text} asks for it, {before.version} of {before.release} was in use"
        return replace(choice, action="downgrade", reason=reason)
    if _age(build) == _age(before):
        return replace(choice, reason=f"{request.text} asks for it, {before.name} was in use")
    return replace(choice, action="upgrade", reason=f"it is newer than {before.version} of {before.release}")


def _winners(choices: list[_Choice]) -> dict[str, _Choice]:
    winners: dict[str, _Choice] = {}
    for choice in choices:
        line = line_of(choice.build)
        if line not in winners or choice.rank > winners[line].rank:
            winners[line] = choice
    return winners


def _replaced(desired: Desired, observed: Observed, choices: list[_Choice], gone: Mapping[str, str]) -> dict[str, str]:
    """Builds that go because newer ones came (all but ``keep`` of a line), or because nothing declared asks for them."""
    chosen = {choice.build.name for choice in choices}
    lines: dict[str, list[Installed]] = {line_of(choice.build): [] for choice in choices}
    removed: dict[str, str] = {}
    for installed in observed.installed:
        line = line_of(installed.build)
        if installed.name in chosen or installed.name in gone:
            continue
        if line in lines:
            lines[line].append(installed)
        elif desired.exclusive:
            removed[installed.name] = "nothing declared asks for it"
    for line, builds in lines.items():
        current = _current(observed, line)
        builds.sort(key=lambda i: (i.name == current, not i.problem, i.installed_at, *_age(i.build), i.name), reverse=True)
        for installed in builds[desired.keep :]:
            removed[installed.name] = f"it was replaced, and keep is {desired.keep}"
    return removed


def _links(desired: Desired, observed: Observed, winners: Mapping[str, _Choice]) -> dict[str, str]:
    """Every link that shall be: path to target text."""
    links: dict[str, str] = {}
    for line, choice in winners.items():
        links[f"{observed.root}/{line}"] = choice.build.name
        names = link_names(choice.build, default=choice.wanted.default, kinds=desired.links, windows=observed.windows)
        for name, executable in names:
            links.setdefault(f"{observed.bin_dir}/{name}", f"{observed.root}/{line}/{executable}")
    return links


def _set_links(links: Mapping[str, str], observed: Observed) -> Iterator[SetLink]:
    for path, target in links.items():
        was = observed.links.get(path, "")
        if was != target:
            yield SetLink(path, target, was)


def _unlinks(
    desired: Desired,
    observed: Observed,
    links: Mapping[str, str],
    winners: Mapping[str, _Choice],
    gone: Mapping[str, str],
) -> Iterator[Unlink]:
    """Links of ours that nothing stands behind any more, or that this declaration speaks of and doesn't want."""
    installed = {build.name for build in observed.installed}
    left = (installed - set(gone)) | {choice.build.name for choice in winners.values()}
    mine = {path: inside for path, target in observed.links.items() if (inside := ours(path, target, observed))}
    stable = {path: inside for path, inside in mine.items() if path.startswith(f"{observed.root}/cpython-")}
    lines = set(winners) | {path.rpartition("/")[2] for path, inside in stable.items() if inside in left}
    for path, inside in mine.items():
        unwanted = inside in winners or desired.exclusive or inside not in lines | left
        if path not in links and path not in stable and unwanted:
            yield Unlink(path, observed.links[path])
    # Last, because others lead through them: where a run ends in the middle, none of those leads to nothing.
    for path, inside in stable.items():
        if path not in links and inside not in left:
            yield Unlink(path, observed.links[path])


def _lines(observed: Observed, winners: Mapping[str, _Choice], gone: Mapping[str, str]) -> frozenset[str]:
    """The lines that have a stable link when all is done."""
    left = (installed for installed in observed.installed if installed.name not in gone)
    return frozenset(winners).union(line_of(i.build) for i in left if _current(observed, line_of(i.build)) == i.name)


def _clearing(observed: Observed) -> Iterator[Clear]:
    # Where somebody else is at work, or only somebody else could, it is theirs to clear.
    if observed.lock_state in ("alive", "elsewhere") or observed.root_state == "unwritable" or observed.root_exposed:
        return
    paths = observed.leftovers + ((f"{observed.root}/.standalone-python.lock",) if observed.lock else ())
    if paths:
        yield Clear(paths)


def confirmations(observed: Observed, moving: Set[str]) -> Iterator[Confirm]:
    """Receipts to be completed, but for builds that go or come anew."""
    # Who may not write there can use what is there all the same; it is confirmed when somebody comes who may.
    if observed.root_state == "writable":
        yield from (Confirm(i.name) for i in observed.installed if i.unconfirmed and i.name not in moving)


def _check_possible(steps: list[Step], desired: Desired, observed: Observed) -> None:
    for step in steps:
        if isinstance(step, SetLink):
            _check_place_of_link(step, desired, observed)
        if isinstance(step, Install) and not desired.force:
            place = f"{observed.root}/{step.build.name}"
            if place in observed.links or observed.occupied & {place, f"{place}/"}:
                raise AgentError(
                    f"{step.build.name} belongs into {native(observed.root)}, where something of that name is that is not ours: "
                    "move it away, choose another root, or use force: true",
                    step="plan",
                )
    if steps and observed.root_obstacle:
        raise AgentError(
            f"the root {native(observed.root)} can't be made, and it has to be changed ({steps[0]}), as "
            f"{native(observed.root_obstacle)} is neither a folder nor a link to one: move that away, or choose another root",
            step="plan",
        )
    if steps and observed.obstacles:
        in_the_way = FAILURES["obstacle"].format(detail=", ".join(map(native, observed.obstacles)))
        raise AgentError(f"cannot change {native(observed.root)}: {in_the_way}; nothing was changed", step="plan")
    if steps and observed.root_exposed:
        raise AgentError(_exposed("root", observed), step="plan")
    if steps and observed.root_state == "unwritable":
        raise AgentError(
            f"the root {native(observed.root)} can't be written by this user, and it has to be changed ({steps[0]}): "
            "become a user who may, mount it writable if it is read-only, or choose another root",
            step="plan",
        )
    state, may = observed.bin_dir_state, "become a user who may"
    barred = {
        "unwritable": ("can't be written by this user", may),
        "unreadable": ("can't be read by this user", may),
        "notfolder": ("is not a folder", "move it away"),
    }
    if observed.bin_dir_obstacle:
        what = f"can't be made, as {native(observed.bin_dir_obstacle)} is neither a folder nor a link to one"
        barred[state] = (what, "move that away")
    for step in steps:
        if not isinstance(step, (SetLink, Unlink)) or not step.path.startswith(f"{observed.bin_dir}/"):
            continue
        if observed.bin_dir_exposed:
            raise AgentError(_exposed("bin_dir", observed), step="plan")
        if state in barred:
            what, remedy = barred[state]
            raise AgentError(
                f"the folder for links {native(observed.bin_dir)} {what}, and it has to be changed ({step}): "
                f"{remedy}, choose another bin_dir, or use links: []",
                step="plan",
            )


def _exposed(option: Literal["root", "bin_dir"], observed: Observed) -> str:
    folder: str = getattr(observed, option)
    who: str = getattr(observed, f"{option}_exposed")
    way = "let only administrators" if observed.windows else "run as that user (become_user), let only root"
    return f"{native(folder)} can't be used as {option}, as {who}: {way} and this user change it, or choose another {option}"


def _check_place_of_link(step: SetLink, desired: Desired, observed: Observed) -> None:
    foreign = step.was and not ours(step.path, step.was, observed)
    there = (
        "is a folder"
        if f"{step.path}/" in observed.occupied
        else "is a file"
        if step.path in observed.occupied
        else f"leads to {printed(step.was)}"
        if foreign
        else ""
    )
    # A folder may hold anything: it is never replaced by a link.
    forced = desired.force and there != "is a folder"
    if there and not forced:
        another = "root" if step.path.startswith(f"{observed.root}/cpython-") else "bin_dir or links"
        way = "" if there == "is a folder" else ", or use force: true"
        raise AgentError(
            f"a link to {native(step.to)} belongs at {native(step.path)}, which {there} and is not ours: "
            f"move it away{' or' if not way else ','} choose another {another}{way}",
            step="plan",
        )


def _outcome(
    choice: _Choice, winners: Mapping[str, _Choice], links: Mapping[str, str], steps: list[Step], observed: Observed
) -> Outcome:
    line = line_of(choice.build)
    prefix = f"{observed.root}/{choice.build.name}"
    stable = f"{observed.root}/{line}"
    wins = winners[line].build.name == choice.build.name
    mine = {path for path, target in links.items() if target.startswith(f"{stable}/")} if wins else set()
    relinked = [step for step in steps if isinstance(step, SetLink) and (step.path in mine or (wins and step.path == stable))]
    action, reason = choice.action, choice.reason
    if action == "none" and relinked:
        action, reason = "relink", "; ".join(map(str, relinked))
    return Outcome(
        wanted=choice.wanted,
        build=choice.build,
        path=f"{prefix}/{observed.python}",
        stable_path=f"{stable if wins else prefix}/{observed.python}",
        prefix=prefix,
        action=action,
        reason=reason,
        links=tuple(sorted(mine)),
    )
