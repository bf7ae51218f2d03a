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

import hashlib
import json
import os
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import upstream
from .cache import alone, clear, usable, what_failed, written
from .catalogue import Catalogue, builds, bundled
from .errors import ContentError, TransportError
from .source import without_credentials

if TYPE_CHECKING:
    from .fetch import Http

LARGEST_TEXT = 64 << 20
UPSTREAM = "upstream"

_FOLDER = "catalogue"
_ABOUT = "updated.json"


@dataclass(frozen=True, slots=True)
class About:
    """``day``: of the last update, UTC, such as 2026-11-24; ``source``: where the news came from, for people."""

    day: str
    source: str


@dataclass(frozen=True, slots=True)
class Update:
    """What an update has brought: releases that were read, builds that were new, checksums that were filled in."""

    about: About
    releases: int
    added: int
    filled: int


def about(root: Path) -> About | None:
    """What is known of the last update in a cache; None where there was none.

    :raises ContentError: it can't be read
    """
    path = root / _FOLDER / _ABOUT
    try:
        return About(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TransportError(f"{path} can't be read ({what_failed(error)}): check its permissions") from None
    except (ValueError, TypeError):
        raise ContentError(f"{path} can't be read: remove its folder and update the catalogue anew") from None


def updated(root: Path) -> Catalogue:
    """The updated catalogue of a cache, and what the bundled one has beyond it.

    :raises TransportError: there is none
    """
    told = about(root)
    if told is None:
        raise TransportError(
            f"there is no updated catalogue in {root}: run 'standalone-python catalogue update' as the user who runs this, "
            "or use catalogue: bundled"
        )
    base = bundled()
    folder = root / _FOLDER
    mine = {path.stem for path in folder.glob("*.tsv")}

    def read(minor: str) -> str:
        text = _read(folder / f"{minor}.tsv") if minor in mine else ""
        if minor not in base.minors:
            return text
        known = {tuple(line.split("\t")[:2]) for line in text.splitlines()}
        more = (line for line in base.read(minor).splitlines() if tuple(line.split("\t")[:2]) not in known)
        return text + "".join(f"{line}\n" for line in more)

    minors = sorted(mine | set(base.minors), key=lambda minor: [int(number) for number in minor.split(".")], reverse=True)
    return Catalogue(f"the catalogue updated on {told.day}", tuple(minors), read)


def update(root: Path, http: Http, where: str = UPSTREAM) -> Update:
    """Read upstream's releases and keep what is new. Nothing is kept where any of it can't be read.

    :param where: ``upstream``, or the URL of GitHub's list of releases as a mirror of the API has it, or of rows of a catalogue
    :raises ContentError: what came is no such list, or a checksum is not what it was
    :raises TransportError: it can't be had
    """
    with usable(root):
        folder = root / _FOLDER
        folder.mkdir(exist_ok=True)
        with alone(folder) as locked:
            clear(folder, sure=locked)
            rows = _known(root)
            before = dict(rows)
            get = Kept(folder / "kept", http)
            releases = upstream.refresh(rows, get, only_news=True) if where == UPSTREAM else _read_from(where, rows, get)
            return _keep(root, rows, before, releases, without_credentials(where))


def add(root: Path, catalogue: Catalogue, where: str) -> Update:
    """Keep what another catalogue has beyond what is known.

    :raises ContentError: a checksum is not what it was
    """
    with usable(root):
        folder = root / _FOLDER
        folder.mkdir(exist_ok=True)
        with alone(folder) as locked:
            clear(folder, sure=locked)
            rows = _known(root)
            before = dict(rows)
            news = {(one.release, one.filename): upstream.Known(one.sha256 or "-", one.size) for one in builds(catalogue)}
            upstream.merge(rows, news, catalogue.name)
            return _keep(root, rows, before, len({tag for tag, _name in news}), where)


def _read_from(url: str, rows: upstream.Rows, get: Kept) -> int:
    content, _next = get(url)
    if content.lstrip()[:1] in (b"[", b"{"):
        return upstream.refresh(rows, get, url, only_news=True)
    name = without_credentials(url)
    news = upstream.read_rows(name, content.decode("utf-8", "replace"))
    upstream.merge(rows, news, name)
    return len({tag for tag, _name in news})


def _known(root: Path) -> upstream.Rows:
    source = updated(root) if about(root) else bundled()
    return {(one.release, one.filename): upstream.Known(one.sha256 or "-", one.size) for one in builds(source)}


def _keep(root: Path, rows: upstream.Rows, before: upstream.Rows, releases: int, source: str) -> Update:
    folder = root / _FOLDER
    write(folder, rows)
    told = About(time.strftime("%Y-%m-%d", time.gmtime()), source)
    with written(folder / _ABOUT) as out:
        out.write(json.dumps(asdict(told)).encode())
    filled = sum(known.sha256 == "-" and rows[key].sha256 != "-" for key, known in before.items())
    return Update(told, releases, len(rows) - len(before), filled)


def write(folder: Path, rows: upstream.Rows) -> list[str]:
    """Write a catalogue's files where they are different, each as a whole. Returns the names of those that were."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in sorted(upstream.render(rows).items()):
        path = folder / name
        if path.exists() and path.read_bytes() == text.encode():
            continue
        staged = folder / f".{name}.new"
        staged.write_bytes(text.encode())
        os.replace(staged, path)
        changed.append(name)
    return changed


def load(folder: Path) -> upstream.Rows:
    """The rows in a folder, as :func:`write` left it; nothing where it doesn't exist."""
    return upstream.read_rows(str(folder), "".join(map(_read, sorted(folder.glob("*.tsv")))))


def _read(path: Path) -> str:
    return path.read_text("ascii")


class Kept:
    """:class:`upstream.Get` that keeps what it fetched in a folder, and asks again on condition that it changed.

    A file of it is a line of JSON (url, etag, the next page) and then the content, compressed.
    """

    def __init__(self, folder: Path, http: Http) -> None:
        self._folder = folder
        self._http = http

    def __call__(self, url: str) -> tuple[bytes, str]:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / hashlib.sha256(url.encode()).hexdigest()
        known, kept = self._kept(path)
        staged = path.with_suffix(".new")
        try:
            fetched = self._http.fetch_if_changed(url, staged, etag=known.get("etag", ""), max_bytes=LARGEST_TEXT)
            if not fetched.changed:
                return kept, known["next"]
            content = staged.read_bytes()
        finally:
            staged.unlink(missing_ok=True)
        news = {"url": without_credentials(url), "etag": fetched.etag, "next": fetched.following}
        with written(path) as out:
            out.write(json.dumps(news).encode() + b"\n" + zlib.compress(content, 1))
        return content, fetched.following

    def _kept(self, path: Path) -> tuple[dict[str, str], bytes]:
        """What was kept, or nothing where it is damaged: it is fetched anew then."""
        try:
            head, _newline, content = path.read_bytes().partition(b"\n")
            known = json.loads(head)
            return ({"etag": str(known["etag"]), "next": str(known["next"])}, zlib.decompress(content))
        except (FileNotFoundError, ValueError, KeyError, TypeError, zlib.error):
            return {}, b""
