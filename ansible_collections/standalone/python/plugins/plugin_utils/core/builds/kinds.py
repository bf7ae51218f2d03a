# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which builds differ in patch version and release only, so that a delta between two of them is small. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from .catalogue import Build

Pair = tuple[Build, Build]
"""A build, and the older one that its delta is from."""


def kind_of(build: Build) -> tuple[str, ...]:
    """Return what two builds must have in common for a delta between them."""
    return build.version.minor_line, build.triple, build.options, build.flavor


def neighbours(some: Iterable[Build]) -> tuple[Pair, ...]:
    """Return each build with the one of its kind just before it, newest first."""
    return tuple(pair for kind in _kinds(some) for pair in pairwise(kind))


def upgrades(some: Iterable[Build]) -> tuple[Pair, ...]:
    """Return the newest build of each kind with each older one, newest first."""
    return tuple((newest, older) for newest, *rest in _kinds(some) for older in rest)


def _kinds(some: Iterable[Build]) -> list[list[Build]]:
    kinds: dict[tuple[str, ...], list[Build]] = {}
    for build in some:
        kinds.setdefault(kind_of(build), []).append(build)
    return [sorted(kind, key=lambda build: build.age, reverse=True) for kind in kinds.values()]
