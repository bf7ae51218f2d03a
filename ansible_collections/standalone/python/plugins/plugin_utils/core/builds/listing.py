# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of a catalogue's builds for people, newest first. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import NoBuildError
from .catalogue import Build, Catalogue, best, builds, resolve
from .request import FLAVORS, Level, Request, Version, parse_request
from .target import Target, candidates, misfit


@dataclass(frozen=True, slots=True)
class Row:
    """A build; ``newest`` marks the one that the request resolves to."""

    build: Build
    newest: bool = False


def versions(catalogue: Catalogue, minor: str) -> tuple[Version, ...]:
    """Return the versions of a minor version that a catalogue has, newest first."""
    found = set(re.findall(r"\tcpython-([0-9]+\.[0-9]+\.[0-9]+(?:(?:a|b|rc)[0-9]+)?)[+-]", catalogue.read(minor)))
    return tuple(sorted(map(Version.parse, found), reverse=True))


def listed(request: Request, target: Target, catalogue: Catalogue) -> tuple[Row, ...]:
    """Return every build that a request admits on a target, newest first.

    :raises NoBuildError: there is none; the message has the nearest builds
    """
    newest = resolve(request, target, catalogue)
    triples = candidates(target, request.level)
    found = {
        (build.release, build.filename): build
        for minor in catalogue.minors
        if request.admits_minor(minor)
        for build in builds(catalogue, minor, triples)
        if request.admits(build.version, build.variant, build.release, build.flavor)
    }
    return tuple(Row(build, build.filename == newest.filename) for build in _sorted(found.values(), triples))


def overview(target: Target, catalogue: Catalogue, level: Level = "") -> tuple[Row, ...]:
    """Return the newest build of every line (minor version and variant) that can run on a target. A line without a final
    version has its newest pre-release.

    :raises NoBuildError: there is none
    """
    triples = tuple(triple for triple in candidates(target, level) if not misfit(target, triple))
    anything = replace(parse_request("3"), level=level)
    chosen: list[Build] = []
    for minor in catalogue.minors if triples else ():
        known = tuple(builds(catalogue, minor, triples))
        for variant in sorted({build.variant for build in known}):
            wanted = replace(anything, version=minor, variant=variant)
            build = best(known, wanted, triples) or best(known, replace(wanted, prereleases=True), triples)
            chosen += [build] if build else []
    if not chosen:
        resolve(anything, target, catalogue)  # raises an error that has the reason
        raise NoBuildError(f"there are no builds for {target} in {catalogue.name}")
    newest = best(chosen, anything, triples)
    return tuple(Row(build, newest is not None and build.filename == newest.filename) for build in chosen)


def by_version(found: Sequence[Sequence[Row]]) -> list[tuple[str, ...]]:
    """Return versions by targets, newest first: the version with its variant, and its newest release on each target.

    ``-`` means that a target does not have it; ``*`` marks the build that the request resolves to.

    :param found: the rows of each target, newest first
    """
    cells: dict[tuple[Version, str], list[str]] = {}
    for at, rows in enumerate(found):
        for row in rows:
            of_version = cells.setdefault((row.build.version, row.build.variant), ["-"] * len(found))
            if of_version[at] == "-" or row.newest:
                of_version[at] = row.build.release + ("*" if row.newest else "")
    # By version, the newest first, and then the variants of each.
    ordered = sorted(sorted(cells, key=lambda key: key[1]), key=lambda key: key[0], reverse=True)
    return [("+".join(filter(None, (str(version), variant))), *cells[version, variant]) for version, variant in ordered]


def _sorted(found: Iterable[Build], triples: tuple[str, ...]) -> list[Build]:
    """Return builds newest first; of one version and release, the preferred build first."""
    preferred = sorted(found, key=lambda build: (triples.index(build.triple), FLAVORS.index(build.flavor), build.filename))
    return sorted(preferred, key=lambda build: build.age, reverse=True)
