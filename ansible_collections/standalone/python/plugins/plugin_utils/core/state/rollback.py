# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollback to a kept build, as a declaration. It requests an installed build, so only the stable link changes. No I/O.

The history of the root says which build was in use before. So a second rollback goes one build further back, and never forward.
Where the history knows nothing of a line, the order of the installations decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..builds.catalogue import Build
from ..builds.request import Version, parse_request
from ..digits import NUMBER
from ..errors import DeclarationError
from ..lazy import lazy_dataclass
from .history import History, read_history, used_before
from .line import line_of
from .observed import Installed, Observed
from .step import HISTORY

_LINE = re.compile(rf"{NUMBER}\.{NUMBER}")


@lazy_dataclass(frozen=True)
class RollbackTarget:
    """
    :ivar current: the build that the stable link leads to now
    :ivar previous: the kept build that was in use before it
    :ivar options: the declaration of the previous build, for :func:`declaration.declare`
    :ivar remark: why the order of the installations decided; empty if the history did
    """

    current: Installed
    previous: Installed
    options: Mapping[str, Any]
    remark: str = ""


def rollback_target(observed: Observed, line: str = "") -> RollbackTarget:
    """Return the rollback of a line such as ``3.13`` or ``3.13t``; without a line, of the only one that the host has.

    :param observed: with the root's history
    :raises DeclarationError: the line is invalid, or has no earlier build; the message names the alternatives
    """
    name, was = _in_use(observed, line)
    mine = {one.name: one for one in observed.installed if line_of(one.build) == name and not one.foreign}
    history = read_history(observed.history)
    used = used_before(history, name, was.name)
    earlier = [mine[one] for one in dict.fromkeys(used or ()) if one in mine and one != was.name]
    if used is None:
        earlier = sorted((one for one in mine.values() if _order(one) < _order(was)), key=_order, reverse=True)
    to = next((one for one in earlier if not one.problem), None)
    if to is None:
        raise DeclarationError(_why_none(name, was, list(mine.values()), earlier, observed, known=used is not None))
    return RollbackTarget(
        was, to, _options(observed, name, to), "" if used is not None else _by_order(name, to, history, observed)
    )


def _by_order(name: str, to: Installed, history: History, observed: Observed) -> str:
    nothing = history.problem or f"names no build of {name.removeprefix('cpython-')}"
    return (
        f"{observed.root}/{HISTORY}, which keeps what was in use before, {nothing}: {exact(to.build)} was chosen because it was "
        "installed last before the current build"
    )


def exact(build: Build) -> str:
    """The request that means this build, of any flavor, on a host of its kind."""
    return "+".join(filter(None, (str(build.version), build.release, build.variant, build.level)))


def _order(installed: Installed) -> tuple[str, Version, str, str]:
    """Order by the time of installation. Of builds of the same second, the upgrade installed the newest."""
    return (installed.installed_at, installed.build.version, installed.build.release, installed.name)


def _in_use(observed: Observed, line: str) -> tuple[str, Installed]:
    """A line's name and the build that its stable link leads to."""
    named = {installed.name: installed for installed in observed.installed}
    lines = {
        path.rpartition("/")[2]: named[target]
        for path, target in sorted(observed.links.items())
        if target in named and path == f"{observed.root}/{line_of(named[target].build)}"
    }
    if not observed.installed:
        raise DeclarationError(f"no build is installed in {observed.root}, so there is nothing to roll back: install one first")
    there = ", ".join(name.removeprefix("cpython-") for name in lines) or "none"
    if not line:
        if len(lines) != 1:
            raise DeclarationError(f"the lines in use in {observed.root} are {there}: name the one to roll back, such as 3.13")
        return next(iter(lines.items()))
    request = parse_request(line)
    if not _LINE.fullmatch(request.version):
        raise DeclarationError(
            f"{line!r} is not a line, which is a minor version with its variant such as 3.13 or 3.13t: give one"
        )
    name = f"cpython-{request.version}" + (f"+{request.variant}" if request.variant else "")
    if name not in lines:
        raise DeclarationError(
            f"no build of {line} is in use in {observed.root}, the lines in use there are {there}: choose one of those"
        )
    return name, lines[name]


def _why_none(
    name: str, was: Installed, mine: list[Installed], earlier: list[Installed], observed: Observed, *, known: bool
) -> str:
    line = name.removeprefix("cpython-")
    if earlier:
        broken = ", ".join(f"{exact(one.build)} ({one.problem})" for one in earlier)
        return f"every earlier build of {line} in {observed.root} is broken, {broken}: declare one to repair it"
    others = ", ".join(exact(one.build) for one in mine if one is not was)
    if not others:
        rest = "no other build of the line is kept; declare an older one, and keep: 1 or more for the next time"
    elif known:
        rest = f"the other builds of the line are {others}; declare the one that you want"
    else:
        rest = f"other builds of the line are newer, {others}; declare the one that you want"
    none = f"no build of {line} was in use before {exact(was.build)}" if known else f"no build earlier than {exact(was.build)}"
    return f"{none} in {observed.root}: {rest}"


def _options(observed: Observed, line: str, to: Installed) -> dict[str, Any]:
    """Return options that request the build as it was finished and the links that the line has."""
    beginning = f"{observed.root}/{line}/"
    linked = {
        path.rpartition("/")[2]
        for path, target in observed.links.items()
        if path.startswith(f"{observed.bin_dir}/") and target.startswith(beginning)
    }
    default = bool(linked & {"python", "python3"})
    finish = to.finish
    options: dict[str, Any] = {
        "builds": [{"version": exact(to.build), "flavor": to.build.flavor, "default": default or None}],
        "keep": len(observed.installed),
        "root": observed.root,
        "bin_dir": observed.bin_dir,
        "links": [*(["default"] if default else []), *(["versioned"] if linked - {"python", "python3"} else [])],
    }
    if finish is not None:
        options |= {
            "externally_managed": finish.externally_managed,
            "compile_bytecode": finish.compile_bytecode,
            "patch_sysconfig": finish.patch_sysconfig,
            "certificates": finish.certificates,
        }
    return options
