# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that a host needs: ``plan(desired, observed, resolve) -> Plan``. No I/O.

A *line* is what one stable link stands for: a minor version and a variant, such as ``cpython-3.13`` or
``cpython-3.13+freethreaded``. Each declared request chooses one build. Of the builds chosen in a line, one has the line's stable
link and, through it, the links in ``bin_dir``; other builds of the line are replaced ones, of which ``keep`` stay.

Steps are in the order of their execution: clear leftovers of an interrupted run, install builds, complete the receipts of builds
that were installed into an offline image, set links, remove links, remove builds. A held build, from which a process runs, is not
removed: a later plan removes it. Only folders with a receipt's folder in them and links of the exact form of
:func:`step.ours` count as created by this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from functools import cache
from typing import Literal

from ..builds.catalogue import Build
from ..errors import AgentError
from .choice import Choice, Resolve, choose_builds, installs_of, line_winners, satisfies
from .declaration import Desired, LinkKind
from .failures import FAILURES
from .line import current_build, finish_of, line_of, link_names
from .observed import Installed, Observed
from .paths import native, printed
from .registry import registrations, search_path
from .step import ABSENT, HISTORY, Action, Clear, Confirm, Install, Outcome, Plan, Remove, Seen, SetLink, Step, Unlink, ours, seen

_DEFAULT: frozenset[LinkKind] = frozenset({"default"})


def plan(desired: Desired, observed: Observed, resolve: Resolve) -> Plan:
    """Return the steps from the observed to the desired state.

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
    # Hosts of several kinds may share a root: ignore builds for other kinds, and keep the links to them.
    # Of links into a former root, only those of declared lines change: the others may be that root's own.
    whole = replace(observed, installed=tuple(replace(installed, moved="") for installed in observed.installed))
    observed = replace(observed, installed=tuple(installed for installed in observed.installed if not installed.foreign))
    gone = _absent(desired, observed)
    choices = choose_builds(desired, observed, resolve, frozenset(gone))
    winners = line_winners(choices)
    gone |= _replaced(desired, observed, choices, gone)
    kept = _kept_defaults(desired, observed, choices, winners)
    links = _links(desired, observed, winners) | kept
    chosen = {line: choice.build for line, choice in winners.items()}
    # No process of this machine runs from an image.
    unless_used = desired.in_use == "keep" and desired.image is None
    removals = [Remove(name, reason, unless_used) for name, reason in sorted(gone.items())]
    held = tuple(removal for removal in removals if f"{observed.root}/{removal.name}" in observed.held)
    left = frozenset(removal.name for removal in held)
    unlinks = _unlinks(desired, whole, links, winners, gone, left)
    relinking: tuple[SetLink | Unlink, ...] = (*_set_links(links, observed), *unlinks)
    steps: list[Step] = [
        *_clearing(observed),
        *(installs := _with_user_packages(installs_of(choices), desired, observed, winners)),
        *confirmations(observed, {*gone, *(step.build.name for step in installs)}),
        *relinking,
        *registrations(desired, observed, chosen, _lines(observed, winners, gone)),
        *search_path(desired, observed, relinking),
        *(removal for removal in removals if removal not in held),
    ]
    _check_possible(steps, desired, observed)
    outcomes = tuple(_outcome(choice, winners, links, steps, observed) for choice in choices)
    made = Plan(tuple(steps), outcomes, seen(steps, observed), held, _remarks(kept, observed.root))
    stays = {one.name for one in whole.installed if one.name not in gone}.union(step.build.name for step in made.installs)
    return _with_history(made, desired, observed, stays)


def _absent(desired: Desired, observed: Observed) -> dict[str, str]:
    """Names of builds that are declared absent, with the reason."""
    return {
        installed.name: f"{wanted.request.text} is declared absent"
        for wanted in desired.builds
        if wanted.state == "absent"
        for installed in observed.installed
        if satisfies(installed.build, wanted.request)
    }


def _with_user_packages(
    installs: tuple[Install, ...], desired: Desired, observed: Observed, winners: Mapping[str, Choice]
) -> tuple[Install, ...]:
    """Return the installations, each with the build whose user packages are copied or dropped.

    That is the build in the same place, or else the one in use in the line.
    """
    installed = {i.name: i for i in observed.installed}

    def of(install: Install) -> Install:
        build, line = install.build, line_of(install.build)
        used = current_build(observed, line) if winners[line].build.name == build.name else ""
        before = installed.get(build.name) or installed.get(used)
        if before is None:
            return install
        # Where a receipt is lost, the finisher still sees the mark of an externally managed build.
        was_open = not before.finish.externally_managed if before.finish else before.name == build.name
        keeps = was_open and not finish_of(desired, build).externally_managed and desired.user_packages == "keep"
        keeps = keeps and _machine(before.build) == _machine(build)
        moved = install.moved if keeps or not before.packages else ""
        return replace(install, carry=before.name if keeps else "", packages=before.packages, moved=moved)

    return tuple(map(of, installs))


def _machine(build: Build) -> str:
    """What compiled packages are made for, beside the line: the triple without a CPU level."""
    return build.triple.replace(f"_{build.level}-", "-", 1) if build.level else build.triple


def _replaced(desired: Desired, observed: Observed, choices: list[Choice], gone: Mapping[str, str]) -> dict[str, str]:
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
            removed[installed.name] = "no declared request asks for it"
    for line, builds in lines.items():
        current = current_build(observed, line)
        builds.sort(key=lambda i: (i.name == current, not i.problem, i.installed_at, *i.build.age, i.name), reverse=True)
        for installed in builds[desired.keep :]:
            removed[installed.name] = f"it was replaced, and keep is {desired.keep}"
    return removed


def _links(desired: Desired, observed: Observed, winners: Mapping[str, Choice]) -> dict[str, str]:
    """Return the links that the host must have: path to target text."""
    links: dict[str, str] = {}
    for line, choice in winners.items():
        links[f"{observed.root}/{line}"] = choice.build.name
        names = link_names(choice.build, default=choice.wanted.default is True, kinds=desired.links, windows=observed.windows)
        for name, executable in names:
            links.setdefault(f"{observed.bin_dir}/{name}", f"{observed.root}/{line}/{executable}")
    return links


def _kept_defaults(desired: Desired, observed: Observed, choices: list[Choice], winners: Mapping[str, Choice]) -> dict[str, str]:
    """Return the default links that stay where they are, because no declared build is the default: path to target text.

    Their line is declared, and none of its builds has ``default: false``.
    """
    if "default" not in desired.links or any(choice.wanted.default for choice in choices):
        return {}
    refused = {line_of(choice.build) for choice in choices if choice.wanted.default is False}
    kept: dict[str, str] = {}
    for line, choice in winners.items():
        for name, executable in link_names(choice.build, default=True, kinds=_DEFAULT, windows=observed.windows):
            path = f"{observed.bin_dir}/{name}"
            if line not in refused and ours(path, observed.links.get(path, ""), observed) == line:
                kept[path] = f"{observed.root}/{line}/{executable}"
    return kept


def _remarks(kept: Mapping[str, str], root: str) -> tuple[str, ...]:
    """Say which default links stay: the same words on each host, as front ends show equal remarks once."""
    names: dict[str, list[str]] = {}
    for path, target in kept.items():
        line = target.removeprefix(f"{root}/").partition("/")[0]
        names.setdefault(line.removeprefix("cpython-"), []).append(path.rpartition("/")[2])
    return tuple(
        f"{' and '.join(those)} still {'lead' if those[1:] else 'leads'} to {line}, as no build is declared with default: true; "
        f"default: false on {line} removes {'them' if those[1:] else 'it'}"
        for line, those in names.items()
    )


def _set_links(links: Mapping[str, str], observed: Observed) -> Iterator[SetLink]:
    for path, target in links.items():
        was = observed.links.get(path, "")
        if was != target:
            yield SetLink(path, target, was)


def _unlinks(
    desired: Desired,
    observed: Observed,
    links: Mapping[str, str],
    winners: Mapping[str, Choice],
    gone: Mapping[str, str],
    held: Set[str],
) -> Iterator[Unlink]:
    """Yield the own links to remove: their build is gone, or the declaration does not want them.

    A held build keeps its stable link, if no other build gets it: a process in a virtual environment imports through it.
    """
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
        if path not in links and inside not in left | held:
            yield Unlink(path, observed.links[path])


def _with_history(made: Plan, desired: Desired, observed: Observed, stays: Set[str]) -> Plan:
    """Return the plan with what it makes of the root's history.

    :param stays: the builds that are not removed now or later
    """
    if made.removals and not stays and not made.held:
        return replace(made, history=())
    if not observed.history or not made.moves:
        return made
    from .history import read_history, recorded

    was = read_history(observed.history)
    history = recorded(was, [(step.was, step.to) for step in made.moves], stays, rollback=desired.rollback)
    if history == was.names:
        return made
    # A file that can't be used is replaced, whatever it has then.
    found = ABSENT if was.absent else Seen("text", " ".join(was.names))
    known = {f"{observed.root}/{HISTORY}": found} if was.absent or not was.problem else {}
    return replace(made, history=history, seen={**made.seen, **known})


def _lines(observed: Observed, winners: Mapping[str, Choice], gone: Mapping[str, str]) -> frozenset[str]:
    """The lines that have a stable link when all is done."""
    left = (installed for installed in observed.installed if installed.name not in gone)
    return frozenset(winners).union(line_of(i.build) for i in left if current_build(observed, line_of(i.build)) == i.name)


def _clearing(observed: Observed) -> Iterator[Clear]:
    # Another run is active, or this user lacks the permission: leave the leftovers to others.
    if observed.lock_state in ("alive", "elsewhere") or observed.root_state == "unwritable" or observed.root_exposed:
        return
    paths = observed.leftovers + ((f"{observed.root}/.standalone-python.lock",) if observed.lock else ())
    if paths:
        yield Clear(paths)


def confirmations(observed: Observed, moving: Set[str]) -> Iterator[Confirm]:
    """Yield the receipts to complete, except those of builds that are removed or installed again."""
    # Without write permission the build is usable all the same; a later run with permission confirms it.
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
                    f"cannot install {step.build.name} in {native(observed.root)}: something of that name exists there and "
                    "was not created by standalone-python; move it away, choose another root, or use force: true",
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
    owned = "run as that user (become_user), " if " belongs to the user " in who else ""
    way = "let only administrators" if observed.windows else f"{owned}let only root"
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
            f"cannot link {native(step.path)} to {native(step.to)}: it {there} and was not created by standalone-python; "
            f"move it away{' or' if not way else ','} choose another {another}{way}",
            step="plan",
        )


def _outcome(
    choice: Choice, winners: Mapping[str, Choice], links: Mapping[str, str], steps: list[Step], observed: Observed
) -> Outcome:
    line = line_of(choice.build)
    prefix = f"{observed.root}/{choice.build.name}"
    stable = f"{observed.root}/{line}"
    wins = winners[line].build.name == choice.build.name
    mine = {path for path, target in links.items() if target.startswith(f"{stable}/")} if wins else set()
    relinked = [step for step in steps if isinstance(step, SetLink) and (step.path in mine or (wins and step.path == stable))]
    action: Action = choice.action
    reason = choice.reason
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
