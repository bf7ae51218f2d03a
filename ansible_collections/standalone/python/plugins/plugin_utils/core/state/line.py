# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line: what one stable link stands for, such as ``cpython-3.13`` or ``cpython-3.13+freethreaded``. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from ..builds.catalogue import Build
from ..builds.request import letters_of
from .declaration import LinkKind
from .observed import Observed


def line_of(build: Build) -> str:
    """The name of the stable link that a build can have."""
    return f"cpython-{build.version.minor_line}" + (f"+{build.variant}" if build.variant else "")


def link_names(build: Build, *, default: bool, kinds: frozenset[LinkKind], windows: bool = False) -> Iterator[tuple[str, str]]:
    """Names of the links in ``bin_dir`` for the build that has the line, and the executable in it that each leads to."""
    plain = f"python{build.version.minor_line}"
    letters = letters_of(build.variant)
    names = []
    if "versioned" in kinds:
        names.append((plain + letters, "bin/python3" if letters else f"bin/{plain}"))
    if default and "default" in kinds:
        names += [("python3", "bin/python3"), ("python", "bin/python3")]
    for name, executable in names:
        # Windows starts no program through a link of another name: it would look for the program's libraries beside the link.
        yield (f"{name}.cmd", "python.exe") if windows else (name, executable)


def current_build(observed: Observed, line: str) -> str:
    """The name of the build that a line's stable link leads to; empty where there is none of ours."""
    target = observed.links.get(f"{observed.root}/{line}", "")
    name = target.removeprefix(f"{observed.root}/")
    return name if any(installed.name == name for installed in observed.installed) else ""
