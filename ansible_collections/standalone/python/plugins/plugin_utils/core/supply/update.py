# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renews a catalogue by upstream's releases: a user's own, in the cache (``updated``); scripts/catalogue.py the bundled one.

Nothing is written where any of it can't be read, and what is written is written a file at a time, each as a whole.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..archives.cache import atomic_write, exclusive_lock, make_private, remove_stale_parts, use_cache
from ..archives.source import without_credentials
from ..archives.texts import LARGEST_TEXT
from ..builds.catalogue import Catalogue, builds, bundled
from ..errors import TransportError
from . import github
from .user_catalogue import ABOUT, FOLDER, About, about, updated

if TYPE_CHECKING:
    from ..archives.fetch import Http

UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class Update:
    """What an update has brought: releases that were read, builds that were new, checksums that were filled in."""

    about: About
    releases: int
    added: int
    filled: int


def update_catalogue(root: Path, http: Http, where: str = UPSTREAM) -> Update:
    """Read upstream's releases and keep what is new. Nothing is kept where any of it can't be read.

    :param where: ``upstream``, or the URL of GitHub's list of releases as a mirror of the API has it, or of Astral's list of
        versions, or of rows of a catalogue
    :raises ContentError: what came is no such list, or a checksum is not what it was
    :raises TransportError: it can't be had
    """
    with _alone_in(root) as folder:
        rows = _known(root)
        before = dict(rows)
        get = CachedGet(folder / "kept", http)
        releases, source = _read_upstream(rows, get) if where == UPSTREAM else (_read_from(where, rows, get), where)
        return _keep(root, rows, before, releases, without_credentials(source))


def add_catalogue(root: Path, catalogue: Catalogue, where: str) -> Update:
    """Keep what another catalogue has beyond what is known.

    :raises ContentError: a checksum is not what it was
    """
    with _alone_in(root):
        rows = _known(root)
        before = dict(rows)
        news = {(one.release, one.filename): github.Known(one.sha256 or "-", one.size) for one in builds(catalogue)}
        github.merge(rows, news, catalogue.name)
        return _keep(root, rows, before, len({tag for tag, _name in news}), where)


@contextmanager
def _alone_in(root: Path) -> Iterator[Path]:
    """The folder of what updates keep, without what killed runs have left in it; no other process works in it meanwhile."""
    with use_cache(root):
        folder = root / FOLDER
        make_private(folder)
        with exclusive_lock(folder) as locked:
            remove_stale_parts(folder, sure=locked)
            yield folder


def _read_upstream(rows: github.Rows, get: CachedGet) -> tuple[int, str]:
    """How many releases were read, and where: of GitHub's API, or where that can't be had, of Astral's list."""
    try:
        return github.refresh(rows, get, github.API, only_news=True), UPSTREAM
    except TransportError as error:
        for url in github.VERSIONS:
            with suppress(TransportError):
                return _read_from(url, rows, get), url
        raise error from None


def _read_from(url: str, rows: github.Rows, get: CachedGet) -> int:
    content, _next = get(url)
    if github.is_versions(content):
        news = github.versions_rows(without_credentials(url), content)
        github.merge(rows, news, without_credentials(url))
        return len({tag for tag, _name in news})
    if content.lstrip()[:1] in (b"[", b"{"):
        return github.refresh(rows, get, url, only_news=True)
    name = without_credentials(url)
    news = github.read_rows(name, content.decode("utf-8", "replace"))
    github.merge(rows, news, name)
    return len({tag for tag, _name in news})


def _known(root: Path) -> github.Rows:
    source = updated(root) if about(root) else bundled()
    return {(one.release, one.filename): github.Known(one.sha256 or "-", one.size) for one in builds(source)}


def _keep(root: Path, rows: github.Rows, before: github.Rows, releases: int, source: str) -> Update:
    folder = root / FOLDER
    write_catalogue(folder, rows)
    told = About(time.strftime("%Y-%m-%d", time.gmtime()), source)
    with atomic_write(folder / ABOUT) as out:
        out.write(json.dumps(asdict(told)).encode())
    filled = sum(known.sha256 == "-" and rows[key].sha256 != "-" for key, known in before.items())
    return Update(told, releases, len(rows) - len(before), filled)


def write_catalogue(folder: Path, rows: github.Rows) -> list[str]:
    """Write a catalogue's files where they are different, each as a whole. Returns the names of those that were."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in sorted(github.render(rows).items()):
        path = folder / name
        if path.exists() and path.read_bytes() == text.encode():
            continue
        with atomic_write(path) as out:
            out.write(text.encode())
        changed.append(name)
    return changed


def load_catalogue_rows(folder: Path) -> github.Rows:
    """The rows in a folder, as :func:`write` left it; nothing where it doesn't exist."""
    return github.read_rows(str(folder), "".join(path.read_text("ascii") for path in sorted(folder.glob("*.tsv"))))


class CachedGet:
    """:class:`upstream.Get` that keeps what it fetched in a folder, and asks again on condition that it changed.

    A file of it is a line of JSON (url, etag, the next page) and then the content, compressed.
    """

    def __init__(self, folder: Path, http: Http) -> None:
        self._folder = folder
        self._http = http

    def __call__(self, url: str) -> tuple[bytes, str]:
        make_private(self._folder)
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
        with atomic_write(path) as out:
            out.write(json.dumps(news).encode() + b"\n" + zlib.compress(content, 1))
        return content, fetched.following

    def _kept(self, path: Path) -> tuple[dict[str, str], bytes]:
        """What was kept, or nothing where it is damaged: it is fetched anew then."""
        try:
            head, _newline, content = path.read_bytes().partition(b"\n")
            known = json.loads(head)
            return ({"etag": str(known["etag"]), "next": str(known["next"])}, zlib.decompress(content))
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, zlib.error):
            return {}, b""
