# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan as people read them: what would be done, and what was done. No I/O.

A result's ``plan`` has ``str(step)`` instead, which programs may read, so those texts stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..builds.catalogue import Build, parse_name
from .paths import joined, native, printed
from .step import Clear, Confirm, Install, Remove, SetLink, Step, Unlink, packages_in_words

PAST: Mapping[str, str] = {
    "clear": "cleared",
    "install": "installed",
    "upgrade": "upgraded",
    "downgrade": "downgraded",
    "repair": "repaired",
    "reinstall": "reinstalled",
    "confirm": "confirmed",
    "link": "linked",
    "remove": "removed",
    "register": "registered",
    "unregister": "unregistered",
    "add": "added",
    "take": "took",
}
# Of these, what was done says no more than the reason does.
_EVIDENT = ("install", "upgrade")


@dataclass(frozen=True, slots=True)
class _Words:
    """A verb, what it is done to, why, and user packages that it keeps or discards."""

    verb: str
    what: str
    reason: str = ""
    packages: tuple[str, str] = ("", "")


def planned(step: Step, steps: Sequence[Step]) -> str:
    """Return what a step would do, such as ``Would install 3.13.4+20250610: 3.13 is not installed``.

    :param steps: of the whole plan
    """
    words = _words(step, steps)
    return f"Would {words.verb} {words.what}{f': {words.reason}' if words.reason else ''}{words.packages[0]}"


def done(step: Step, steps: Sequence[Step], time: str = "") -> str:
    """Return what a step has done, such as ``Installed 3.13.4+20250610 in 2.1 s``.

    :param steps: of the whole plan
    :param time: how long it took; empty if that is not worth a word
    """
    words = _words(step, steps)
    reason = "" if words.verb in _EVIDENT else words.reason
    took = f" in {time}" if time else ""
    return f"{PAST[words.verb].capitalize()} {words.what}{took}{f': {reason}' if reason else ''}{words.packages[1]}"


def summary(steps: Sequence[Step], *, planned: bool) -> str:
    """Return how much there is to do, or was done, such as ``1 to install, 4 links to change, 0 to remove``."""
    actions = [step.action for step in steps if isinstance(step, Install)]
    links = sum(isinstance(step, (SetLink, Unlink)) for step in steps)
    removals = sum(isinstance(step, Remove) for step in steps)
    confirmations = sum(isinstance(step, Confirm) for step in steps)
    others = sum(not isinstance(step, (Install, SetLink, Unlink, Remove, Confirm, Clear)) for step in steps)
    parts = [
        _count(actions.count(verb), "", verb, planned=planned)
        for verb in ("install", "upgrade", "downgrade", "repair", "reinstall")
        if verb in actions
    ]
    parts += [_count(confirmations, "", "confirm", planned=planned)] if confirmations else []
    parts += [_count(links, "link", "change", planned=planned)] if links else []
    parts += [_count(others, "setting", "change", planned=planned)] if others else []
    parts += ["leftovers to clear" if planned else "leftovers cleared"] if any(isinstance(step, Clear) for step in steps) else []
    # Also where it is 0, as that is what people look for.
    return ", ".join([*parts, _count(removals, "", "remove", planned=planned)])


def label(build: Build) -> str:
    """Return a build in a word, such as ``3.13.4+20250610``: the request that means it."""
    flavor = "" if build.flavor == "install_only_stripped" else build.flavor
    return "+".join(filter(None, (str(build.version), build.release, build.variant, build.level, flavor)))


def _count(number: int, noun: str, verb: str, *, planned: bool) -> str:
    nouns = f" {noun}{'' if number == 1 else 's'}" if noun else ""
    return f"{number}{nouns} {f'to {verb}' if planned else PAST.get(verb, 'changed')}"


def _words(step: Step, steps: Sequence[Step]) -> _Words:
    match step:
        case Install(build, action, reason):
            before = next((was for one in steps if isinstance(one, SetLink) and one.to == build.name and (was := one.was)), "")
            does = ("keeps", "kept") if step.carry else ("discards", "discarded")
            count = packages_in_words(step.packages)
            packages = (f"; it {does[0]} {count}", f"; it {does[1]} {count}") if step.packages else ("", "")
            if action in ("upgrade", "downgrade") and before:
                return _Words(action, f"{_named(before)} to {label(build)}", "" if action == "upgrade" else reason, packages)
            return _Words(action, label(build), reason, packages)
        case SetLink(path, to, was):
            return _Words("link", f"{native(path)} to {_named(to)}{f' instead of {_named(was)}' if was else ''}")
        case Unlink(path, was):
            return _Words("remove", f"the link {native(path)} to {_named(was)}")
        case Remove(name, reason):
            return _Words("remove", _named(name), reason)
        case Confirm(name):
            return _Words("confirm", _named(name), "it was not started where it was installed, and starts here")
        case Clear(paths):
            return _Words("clear", f"what an earlier run left: {joined(paths)}")
        case _:
            verb, _space, what = str(step).partition(" ")
            return _Words(verb, what)


def _named(name: str) -> str:
    """Return the label of a build by its name; a path of a link as it is."""
    build = parse_name(name)
    return label(build) if build else printed(name)
