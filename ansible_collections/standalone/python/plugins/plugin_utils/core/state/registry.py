# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of Windows' registry for ``py`` and IDEs, and the PATH. No I/O.

An entry stands for a line and leads through its stable link, so paths that tools take from it survive upgrades.
Source: PEP 514; tags as python.org's installers write them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from ..builds.catalogue import Build
from ..builds.request import letters_of
from ..errors import AgentError
from .declaration import Desired
from .observed import Observed, RegistryEntry
from .paths import native, printed
from .step import Plan, Register, SetLink, SetSearchPath, Unlink, Unregister, ours, predict

COMPANY = "StandalonePython"
_SUFFIXES = {"i686": "-32", "aarch64": "-arm64"}


def tag_of(build: Build) -> str:
    """``3.13``, ``3.13t`` for the free-threaded variant, ``3.13-32`` and ``3.13-arm64`` for other architectures than x86_64."""
    return f"{build.version.minor_line}{letters_of(build.variant)}{_SUFFIXES.get(_arch(build), '')}"


def entry_of(build: Build, executable: str) -> RegistryEntry:
    return RegistryEntry(str(build.version), "32bit" if _arch(build) == "i686" else "64bit", executable)


def _arch(build: Build) -> str:
    return build.triple.partition("-")[0]


def registrations(
    desired: Desired, observed: Observed, winners: Mapping[str, Build], lines: Set[str]
) -> Iterator[Register | Unregister]:
    """
    :param winners: by line, the build that its stable link leads to, of the lines that the declaration speaks of
    :param lines: all that have a stable link to a build when all is done
    :raises AgentError: a tag stands for an interpreter outside of the root
    """
    if not observed.windows:
        return
    wanted = {}
    for line, build in winners.items() if desired.register else ():
        wanted[tag_of(build)] = entry_of(build, f"{observed.root}/{line}/{observed.python}")
    for tag, entry in wanted.items():
        was = observed.registered.get(tag)
        if was and not _line(was, observed) and not desired.force:
            raise AgentError(
                f"{COMPANY}\\{tag} in the registry stands for {printed(was.executable)}, which is not in "
                f"{native(observed.root)}: remove it there, use register: false, or use force: true",
                step="plan",
            )
        if was != entry:
            yield Register(tag, entry, was)
    for tag, was in observed.registered.items():
        line = _line(was, observed)
        if line and tag not in wanted and (line in winners or line not in lines or desired.exclusive):
            yield Unregister(tag, was)


def _line(entry: RegistryEntry, observed: Observed) -> str:
    """Return the line that an entry leads through; empty if the entry leads out of the root."""
    start = f"{observed.root}/"
    return entry.executable.removeprefix(start).partition("/")[0] if entry.executable.startswith(start) else ""


def search_path(desired: Desired, observed: Observed, steps: tuple[SetLink | Unlink, ...]) -> Iterator[SetSearchPath]:
    """Yield the change of the PATH: add a folder that has links, if declared; remove one that this project added."""
    if not observed.windows:
        return
    after = predict(Plan(steps, ()), observed, desired)
    prefix = f"{observed.bin_dir}/"
    used = any(path.startswith(prefix) and ours(path, to, observed) for path, to in after.links.items())
    if desired.add_to_path and used and not observed.search_path:
        yield SetSearchPath(observed.bin_dir, there=True)
    elif observed.search_path == "ours" and (desired.add_to_path is False or not used):
        yield SetSearchPath(observed.bin_dir, there=False)
