# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back to a build that an upgrade replaced and that is kept, as a declaration: it asks for a build that is there, so all
that changes is where a stable link leads. No I/O.

What was in use before is told by when builds were installed. So a second way back leads further back, and never forward again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..builds.catalogue import Build
from ..builds.request import Version, parse_request
from ..digits import NUMBER
from ..errors import DeclarationError
from .line import line_of
from .observed import Installed, Observed

_LINE = re.compile(rf"{NUMBER}\.{NUMBER}")


@dataclass(frozen=True, slots=True)
class RollbackTarget:
    """
    :ivar was: what the stable link leads to now
    :ivar to: the kept build that was installed last before it
    :ivar options: the declaration that goes there, for :func:`declaration.declare`
    """

    was: Installed
    to: Installed
    options: Mapping[str, Any]


def rollback_target(observed: Observed, line: str = "") -> RollbackTarget:
    """The way back in a line such as ``3.13`` or ``3.13t``; without one, in the only line that the host has.

    :raises DeclarationError: the line can't be read, or there is no way back in it; the message says what there is
    """
    name, was = _in_use(observed, line)
    mine = [one for one in observed.installed if line_of(one.build) == name and not one.foreign]
    earlier = [installed for installed in mine if _order(installed) < _order(was)]
    to = max((installed for installed in earlier if not installed.problem), key=_order, default=None)
    if to is None:
        raise DeclarationError(_why_none(name, was, mine, earlier, observed))
    return RollbackTarget(was, to, _options(observed, name, to))


def exact(build: Build) -> str:
    """The request that means this build, of any flavor, on a host of its kind."""
    return "+".join(filter(None, (str(build.version), build.release, build.variant, build.level)))


def _order(installed: Installed) -> tuple[str, Version, str, str]:
    """When it came; of those that came in the same second the newest is the one that an upgrade brought."""
    return (installed.installed_at, installed.build.version, installed.build.release, installed.name)


def _in_use(observed: Observed, line: str) -> tuple[str, Installed]:
    """A line's name and the build that its stable link leads to."""
    named = {installed.name: installed for installed in observed.installed}
    lines = {
        path.rpartition("/")[2]: named[target]
        for path, target in sorted(observed.links.items())
        if target in named and path == f"{observed.root}/{line_of(named[target].build)}"
    }
    there = ", ".join(name.removeprefix("cpython-") for name in lines) or "none"
    if not line:
        if len(lines) != 1:
            raise DeclarationError(f"the lines in use in {observed.root} are {there}: say which one goes back, such as 3.13")
        return next(iter(lines.items()))
    request = parse_request(line)
    if not _LINE.fullmatch(request.version):
        raise DeclarationError(f"{line!r} is no line, which is a minor version with its variant such as 3.13 or 3.13t: give one")
    name = f"cpython-{request.version}" + (f"+{request.variant}" if request.variant else "")
    if name not in lines:
        raise DeclarationError(
            f"no build of {line} is in use in {observed.root}, the lines in use there are {there}: choose one of those"
        )
    return name, lines[name]


def _why_none(name: str, was: Installed, mine: list[Installed], earlier: list[Installed], observed: Observed) -> str:
    line = name.removeprefix("cpython-")
    if earlier:
        broken = ", ".join(f"{exact(one.build)} ({one.problem})" for one in earlier)
        return f"all that {line} could go back to in {observed.root} is broken: {broken}; declare one to have it repaired"
    others = ", ".join(exact(one.build) for one in mine if one is not was)
    rest = (
        f"what is kept of the line came later, {others}; declare that to have it"
        if others
        else "no other build of the line is kept; declare an older one to have it, and keep: 1 or more for the next time"
    )
    return f"there is nothing before {exact(was.build)} in {observed.root} to go back to: {rest}"


def _options(observed: Observed, line: str, to: Installed) -> dict[str, Any]:
    """Asks for the build as it was finished, and for the links that the line has: nothing comes, nothing goes."""
    beginning = f"{observed.root}/{line}/"
    linked = {
        path.rpartition("/")[2]
        for path, target in observed.links.items()
        if path.startswith(f"{observed.bin_dir}/") and target.startswith(beginning)
    }
    default = bool(linked & {"python", "python3"})
    finish = to.finish
    options: dict[str, Any] = {
        "builds": [{"version": exact(to.build), "flavor": to.build.flavor, "default": default}],
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
        }
    return options
