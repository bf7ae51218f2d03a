# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue as a user has updated it, in the cache, with its date. Who says ``catalogue: updated`` gets it; everybody else
gets the bundled one, so that a declaration means the same wherever it is used.

    <root>/catalogue/3.13.tsv ...    all rows that were known at the last update
    <root>/catalogue/updated.json    when that was, and where the news came from; written last
    <root>/catalogue/kept/           what was fetched, to ask for it again on condition that it changed
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..archives.cache import os_reason, require_private
from ..builds.catalogue import Catalogue, bundled, from_rows
from ..errors import ContentError, TransportError

FOLDER = "catalogue"
ABOUT = "updated.json"


@dataclass(frozen=True, slots=True)
class About:
    """``day``: of the last update, UTC, such as 2026-11-24; ``source``: where the news came from, for people."""

    day: str
    source: str


def about(root: Path) -> About | None:
    """What is known of the last update in a cache; None where there was none.

    :raises ContentError: it can't be read
    """
    path = root / FOLDER / ABOUT
    try:
        with _readable(path):
            return About(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None


def updated(root: Path) -> Catalogue:
    """The updated catalogue of a cache, and what the bundled one has beyond it.

    :raises TransportError: there is none, or others may write to it
    :raises ContentError: when it is read, and that can't be done
    """
    told = about(root)
    if told is None:
        raise TransportError(
            f"there is no updated catalogue in {root}: run 'standalone-python catalogue update' as this user, "
            "or use catalogue: bundled"
        )
    require_private(root)
    base = bundled()
    folder = root / FOLDER
    mine = {path.stem for path in folder.glob("*.tsv") if re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", path.stem)}

    def read(minor: str) -> str:
        text = _read(folder / f"{minor}.tsv") if minor in mine else ""
        if minor not in base.minors:
            return text
        known = {tuple(line.split("\t")[:2]) for line in text.splitlines()}
        more = (line for line in base.read(minor).splitlines() if tuple(line.split("\t")[:2]) not in known)
        return text + "".join(f"{line}\n" for line in more)

    minors = sorted(mine | set(base.minors), key=lambda minor: [int(number) for number in minor.split(".")], reverse=True)
    return Catalogue(f"the catalogue updated on {told.day}", tuple(minors), read)


def _read(path: Path) -> str:
    """The rows in a file, each of them whole."""
    with _readable(path):
        text = path.read_bytes().decode("ascii")
        from_rows(str(path), text)
        if not text.endswith("\n"):
            raise ValueError
    return text


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """
    :raises FileNotFoundError: it is not there
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TransportError(f"{path} can't be read ({os_reason(error)}): check its permissions") from None
    except (ValueError, TypeError, RecursionError, ContentError):
        raise ContentError(f"{path} can't be read: delete its folder, and run standalone-python catalogue update") from None
