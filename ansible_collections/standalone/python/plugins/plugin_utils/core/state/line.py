# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line: what one stable link stands for, such as ``cpython-3.13`` or ``cpython-3.13+freethreaded``. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from ..builds.catalogue import Build
from ..builds.request import letters_of
from .declaration import Desired, LinkKind
from .observed import Observed
from .receipt import Finish


def line_of(build: Build) -> str:
    """Return the line of a build, which is the name of its stable link."""
    return f"cpython-{build.version.minor_line}" + (f"+{build.variant}" if build.variant else "")


def finish_of(desired: Desired, build: Build) -> Finish:
    """Return how a build is finished: as its own name, its line, or else the whole declaration says."""
    finishes = desired.finishes
    return finishes.get(build.name) or finishes.get(line_of(build)) or desired.finish


def link_names(build: Build, *, default: bool, kinds: frozenset[LinkKind], windows: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the names of a line's links in ``bin_dir``, each with the executable that it leads to."""
    plain = f"python{build.version.minor_line}"
    letters = letters_of(build.variant)
    names = []
    if "versioned" in kinds:
        names.append((plain + letters, "bin/python3" if letters else f"bin/{plain}"))
    if default and "default" in kinds:
        names += [("python3", "bin/python3"), ("python", "bin/python3")]
    for name, executable in names:
        # A program that Windows starts through a link of another name looks for its libraries beside the link.
        yield (f"{name}.cmd", "python.exe") if windows else (name, executable)


def current_build(observed: Observed, line: str) -> str:
    """Return the name of the installed build that a line's stable link leads to; empty without such a build."""
    target = observed.links.get(f"{observed.root}/{line}", "")
    name = target.removeprefix(f"{observed.root}/")
    return name if any(installed.name == name for installed in observed.installed) else ""
