# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of hosts: in sentences, and where a folder lies elsewhere. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import sanitized


def native(path: str) -> str:
    """A path as the host's own people write it: the only ones that begin with a drive are those of Windows."""
    return path.replace("/", "\\") if path[1:2] == ":" else path


def printed(path: str) -> str:
    """Return a path that a host chose, as part of a sentence; data has :func:`native`."""
    return sanitized(native(path))


def joined(paths: Sequence[str]) -> str:
    """Return the first three paths, and how many more there are, as part of a sentence."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(map(printed, paths[:3]))}{more}"


def moved(path: str, places: Mapping[str, str]) -> str:
    """A path in or below one of the folders in ``places``, where that folder is at another place; the innermost counts."""
    for folder in sorted(places, key=len, reverse=True):
        if path == folder or path.startswith(f"{folder}/"):
            return places[folder] + path.removeprefix(folder)
    return path
