# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's updated catalogue, in the cache. Only ``catalogue: updated`` uses it, so that other declarations resolve to the same
builds everywhere.

    <root>/catalogue/3.13.tsv ...    all rows that were known at the last update
    <root>/catalogue/updated.json    the date of that update and its source; written last
    <root>/catalogue/kept/           downloaded data with ETags, so that unchanged data is not downloaded again
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..archives.cache import os_reason, require_private
from ..builds.catalogue import Catalogue, bundled, from_rows
from ..errors import ContentError, TransportError
from ..lazy import lazy_dataclass

FOLDER = "catalogue"
ABOUT = "updated.json"


@lazy_dataclass(frozen=True)
class About:
    """``day``: the date of the last update, UTC, such as 2026-11-24; ``source``: where it came from, for people."""

    day: str
    source: str


def about(root: Path) -> About | None:
    """Return the date and source of a cache's last update; None if there was none.

    :raises ContentError: it can't be read
    """
    path = root / FOLDER / ABOUT
    try:
        with _readable(path):
            return About(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None


def updated(root: Path) -> Catalogue:
    """Return the updated catalogue of a cache, plus the bundled rows that it lacks.

    :raises TransportError: there is none, or other users may write to it
    :raises ContentError: it can't be read; raised only when it is read
    """
    last = about(root)
    if last is None:
        raise TransportError(
            f"no updated catalogue exists in {root}: run 'standalone-python catalogue update' as this user, "
            "or use catalogue: bundled"
        )
    require_private(root)
    base = bundled()
    folder = root / FOLDER
    kept = {path.stem for path in folder.glob("*.tsv") if re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", path.stem)}

    def read(minor: str) -> str:
        text = _read(folder / f"{minor}.tsv") if minor in kept else ""
        if minor not in base.minors:
            return text
        known = {tuple(line.split("\t")[:2]) for line in text.splitlines()}
        more = (line for line in base.read(minor).splitlines() if tuple(line.split("\t")[:2]) not in known)
        return text + "".join(f"{line}\n" for line in more)

    minors = sorted(kept | set(base.minors), key=lambda minor: [int(number) for number in minor.split(".")], reverse=True)
    return Catalogue(f"the catalogue updated on {last.day}", tuple(minors), read)


def _read(path: Path) -> str:
    """Return the rows in a file, and check that none of them is truncated."""
    with _readable(path):
        text = path.read_bytes().decode("ascii")
        from_rows(str(path), text)
        if not text.endswith("\n"):
            raise ValueError
    return text


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """
    :raises FileNotFoundError: the file does not exist
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TransportError(f"{path} can't be read ({os_reason(error)}): check its permissions") from None
    except (ValueError, TypeError, RecursionError, ContentError):
        raise ContentError(f"{path} can't be read: delete its folder, and run standalone-python catalogue update") from None
