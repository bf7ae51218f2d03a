# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates the user's catalogue in the cache (``updated``) from upstream's releases. scripts/catalogue.py updates the bundled one.

If any part can't be read, nothing is written. Each file is written atomically.
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
from .known_tables import keep_tables
from .user_catalogue import ABOUT, FOLDER, About, about, updated

if TYPE_CHECKING:
    from ..archives.fetch import Http
    from ..security.advisories import Tables

UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class Update:
    """The result of an update: the numbers of releases read, of new builds, and of checksums filled in."""

    about: About
    releases: int
    added: int
    filled: int


def update_catalogue(root: Path, http: Http, where: str = UPSTREAM) -> Update:
    """Read upstream's releases and keep the new rows. If any part can't be read, nothing is kept.

    :param where: ``upstream``, or the URL of one of these: a list of releases as GitHub's API has it, Astral's list of
        versions, rows of a catalogue
    :raises ContentError: the answer is not such a list, or a checksum differs from the known one
    :raises TransportError: it can't be downloaded
    """
    with _locked_folder(root) as folder:
        rows = _known(root)
        before = dict(rows)
        get = CachedGet(folder / "kept", http)
        releases, source = _read_upstream(rows, get) if where == UPSTREAM else (_read_from(where, rows, get), where)
        return _keep(root, rows, before, releases, without_credentials(source))


def update_tables(root: Path, http: Http, url: str) -> Tables | None:
    """Download the tables of advisories and keep them if they are newer. Return them; None if those in use are as new.

    :raises ContentError: they can't be read; those in use stay
    :raises TransportError: they can't be downloaded
    """
    with _locked_folder(root) as folder:
        content, _next = CachedGet(folder / "kept", http)(url)
        return keep_tables(root, content.decode("utf-8", "replace"), without_credentials(url))


def add_catalogue(root: Path, catalogue: Catalogue, where: str) -> Update:
    """Keep the rows of another catalogue that are new.

    :raises ContentError: a checksum differs from the known one
    """
    with _locked_folder(root):
        rows = _known(root)
        before = dict(rows)
        news = _rows_of(catalogue)
        github.merge(rows, news, catalogue.name)
        return _keep(root, rows, before, len({tag for tag, _name in news}), where)


@contextmanager
def _locked_folder(root: Path) -> Iterator[Path]:
    """Lock the folder that updates write to, remove what interrupted runs left in it, and yield its path."""
    with use_cache(root):
        folder = root / FOLDER
        make_private(folder)
        with exclusive_lock(folder) as locked:
            remove_stale_parts(folder, sure=locked)
            yield folder


def _read_upstream(rows: github.Rows, get: CachedGet) -> tuple[int, str]:
    """Return the number of releases read and their source: GitHub's API, or if it is unavailable, Astral's list."""
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
    return _rows_of(updated(root) if about(root) else bundled())


def _rows_of(catalogue: Catalogue) -> github.Rows:
    return {(build.release, build.filename): github.Known(build.sha256 or "-", build.size) for build in builds(catalogue)}


def _keep(root: Path, rows: github.Rows, before: github.Rows, releases: int, source: str) -> Update:
    folder = root / FOLDER
    write_catalogue(folder, rows)
    now = About(time.strftime("%Y-%m-%d", time.gmtime()), source)
    with atomic_write(folder / ABOUT) as out:
        out.write(json.dumps(asdict(now)).encode())
    filled = sum(known.sha256 == "-" and rows[key].sha256 != "-" for key, known in before.items())
    return Update(now, releases, len(rows) - len(before), filled)


def write_catalogue(folder: Path, rows: github.Rows) -> list[str]:
    """Write the files of a catalogue that differ, each atomically. Return the names of the written files."""
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
    """Return the rows in a folder, as :func:`write_catalogue` wrote them; empty if it doesn't exist."""
    return github.read_rows(str(folder), "".join(path.read_text("ascii") for path in sorted(folder.glob("*.tsv"))))


class CachedGet:
    """A :class:`github.Get` that caches in a folder. It uses ETags, so unchanged data is not downloaded again.

    A cached file has a line of JSON (url, etag, the next page), then the compressed content.
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
        """Return the cached content; empty if it is damaged, and then it is downloaded again."""
        try:
            head, _newline, content = path.read_bytes().partition(b"\n")
            known = json.loads(head)
            return ({"etag": str(known["etag"]), "next": str(known["next"])}, zlib.decompress(content))
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, zlib.error):
            return {}, b""
