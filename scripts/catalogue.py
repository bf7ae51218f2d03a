#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and refreshes the data of the bundled catalogue: one file a minor version, newest release first.

    scripts/catalogue.py from-tsv FILE            make it from rows `tag<TAB>file name<TAB>sha256 or -`
    scripts/catalogue.py refresh [--since TAG]    add what GitHub's releases and their SHA256SUMS have

A refresh never drops a row, fills in checksums that were unknown, and stops with nothing written where one is
not what it was. GITHUB_TOKEN, if set, goes to GitHub only. What was fetched is kept, and asked for again on
condition that it changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ansible_collections.standalone.python.plugins.plugin_utils.core import catalogue
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    ContentError,
    StandalonePythonError,
    TransportError,
)

API = "https://api.github.com/repos/astral-sh/python-build-standalone/releases"
# Ten releases have some 6,000 files; more on a page and GitHub gives up before it has listed them.
PER_PAGE = 10
TOKEN_HOSTS = frozenset({"github.com", "api.github.com"})
TIMEOUT = 60
MAX_BYTES = 64 * 1024 * 1024
SUMS = "SHA256SUMS"
TAG = re.compile(r"[0-9]{8}")
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")

# (tag, file name) -> sha256, or - where it isn't known.
Rows = dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Release:
    """One release: its builds with their digests, and the URL of its SHA256SUMS or nothing."""

    tag: str
    rows: Rows
    sums: str


class Get(Protocol):
    """Fetches a URL: its content, and the URL of the next page or nothing."""

    def __call__(self, url: str) -> tuple[bytes, str]: ...


def read_rows(name: str, text: str) -> Rows:
    """Rows in any order -> :data:`Rows`.

    :raises ContentError: a line is no row, or two rows of a file have different checksums
    """
    rows: Rows = {}
    for build in catalogue.builds(catalogue.from_rows(name, text)):
        merge(rows, {(build.release, build.filename): build.sha256 or "-"}, name)
    return rows


def merge(rows: Rows, news: Mapping[tuple[str, str], str], source: str) -> None:
    """Add news to rows: new rows, and checksums where there was none.

    :raises ContentError: a checksum is not what it was; both are named
    """
    for (tag, filename), sha256 in news.items():
        known = rows.get((tag, filename), "-")
        if "-" not in (known, sha256) and known != sha256:
            raise ContentError(
                f"the sha256 of {filename} in release {tag} was {known} and is {sha256} by {source}: "
                "find out which is right before anything is written"
            )
        rows[tag, filename] = known if sha256 == "-" else sha256


def render(rows: Rows) -> dict[str, str]:
    """Rows -> text of the data by file name, newest release first, then by file name."""
    minors: dict[str, list[tuple[str, str]]] = {}
    for tag, filename in rows:
        minors.setdefault(catalogue.parse_filename(filename, tag).version.minor_line, []).append(
            (tag, filename)
        )
    texts = {}
    for minor, keys in minors.items():
        keys.sort(key=lambda key: (-int(key[0]), key[1]))
        texts[f"{minor}.tsv"] = "".join(
            f"{tag}\t{filename}\t{rows[tag, filename]}\n" for tag, filename in keys
        )
    return texts


def write(folder: Path, rows: Rows) -> list[str]:
    """Write the data where it is different, each file as a whole. Returns the names of those that were."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in sorted(render(rows).items()):
        path = folder / name
        if path.exists() and path.read_bytes() == text.encode():
            continue
        staged = folder / f".{name}.new"
        staged.write_bytes(text.encode())
        os.replace(staged, path)
        changed.append(name)
    return changed


def load(folder: Path) -> Rows:
    """The data in a folder, as :func:`write` left it; nothing where it doesn't exist."""
    return read_rows(str(folder), "".join(path.read_text("ascii") for path in sorted(folder.glob("*.tsv"))))


def releases(get: Get, api: str) -> Iterator[Release]:
    """What GitHub's API says of each release, drafts and tags of another form left out.

    :raises ContentError: the answer is no list of releases
    """
    url = f"{api}?per_page={PER_PAGE}"
    while url:
        content, following = get(url)
        try:
            page = [_release(one) for one in json.loads(content) if not one["draft"]]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ContentError(f"{url} answers with no list of releases, but {content[:120]!r}") from None
        yield from (release for release in page if TAG.fullmatch(release.tag))
        url = following


def release_rows(get: Get, release: Release) -> Rows:
    """The builds of one release; checksums are the API's digests and its SHA256SUMS, which must agree.

    :raises ContentError: they don't
    """
    rows = dict(release.rows)
    if release.sums:
        content, _ = get(release.sums)
        text = catalogue.rows_from_sums(release.tag, content.decode("utf-8", "replace"))
        merge(rows, read_rows(f"{SUMS} of release {release.tag}", text), SUMS)
    return rows


def refresh(rows: Rows, get: Get, api: str = API, since: str = "") -> int:
    """Add to rows what upstream has of releases not older than ``since``; returns how many there were.

    Every page is read whatever ``since`` is: tags are not in the order of publication.
    """
    count = 0
    for release in releases(get, api):
        if release.tag >= since:
            merge(rows, release_rows(get, release), f"release {release.tag} of today")
            count += 1
    return count


def _release(about: Mapping[str, Any]) -> Release:
    tag, assets = str(about["tag_name"]), about["assets"]
    digests = {asset["name"]: DIGEST.fullmatch(asset.get("digest") or "") for asset in assets}
    rows = {
        (tag, name): digest[1] if digest else "-"
        for name, digest in digests.items()
        if catalogue.is_build(name)
    }
    sums = [str(asset["browser_download_url"]) for asset in assets if asset["name"] == SUMS]
    return Release(tag, rows, sums[0] if sums else "")


class Kept:
    """:class:`Get` over HTTP. Keeps what it fetched in a folder, and asks again on condition that it changed.

    A file of it is a line of JSON (url, etag, the next page) and then the content.
    """

    def __init__(self, folder: Path, token: str = "") -> None:
        import requests

        self._folder = folder
        self._token = token
        self._session = requests.Session()

    def __call__(self, url: str) -> tuple[bytes, str]:
        import requests

        path = self._folder / hashlib.sha256(url.encode()).hexdigest()
        about, _, kept = path.read_bytes().partition(b"\n") if path.exists() else (b"{}", b"", b"")
        known: dict[str, str] = json.loads(about)
        headers = {"Accept": "application/vnd.github+json, */*"}
        if known.get("etag"):
            headers["If-None-Match"] = known["etag"]
        if self._token and urlsplit(url).scheme == "https" and urlsplit(url).hostname in TOKEN_HOSTS:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            with self._session.get(url, headers=headers, timeout=TIMEOUT, stream=True) as response:
                if response.status_code == 304:
                    return kept, known["next"]
                if response.status_code != 200:
                    raise TransportError(_refused(url, response.status_code, response.headers))
                content = _bounded(url, response.iter_content(1 << 16))
        except requests.RequestException as error:
            raise TransportError(f"{url} can't be had: {error}") from None
        news = {"url": url, "etag": response.headers.get("ETag", "")}
        news["next"] = response.links.get("next", {}).get("url", "")
        self._folder.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(".new")
        staged.write_bytes(json.dumps(news).encode() + b"\n" + content)
        os.replace(staged, path)
        return content, news["next"]


def _bounded(url: str, chunks: Iterable[bytes]) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_BYTES:
            raise ContentError(
                f"{url} answers with more than {MAX_BYTES} bytes, no list of releases and no checksums do"
            )
    return bytes(content)


def _refused(url: str, status: int, headers: Mapping[str, str]) -> str:
    if headers.get("X-RateLimit-Remaining") == "0":
        return f"{url} answers {status}, GitHub's limit is used up: set GITHUB_TOKEN, or wait for an hour"
    return f"{url} answers {status}: try again later, or see whether it has moved"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Makes and refreshes the data of the bundled catalogue.")
    parser.add_argument("--data", type=Path, default=Path(catalogue.DATA), help="folder of the data")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("from-tsv", help="make it from a file of rows, in place of what is there")
    made.add_argument("file", type=Path)
    renewed = commands.add_parser("refresh", help="add what upstream has")
    renewed.add_argument(
        "--since", default="", metavar="TAG", help="only releases with this tag or a newer one"
    )
    renewed.add_argument("--api", default=API, help="where GitHub's API lists the releases")
    renewed.add_argument(
        "--kept", type=Path, help="folder that keeps what was fetched; the user's cache by default"
    )
    options = parser.parse_args(arguments)
    try:
        return _from_tsv(options) if options.command == "from-tsv" else _refresh(options)
    except (StandalonePythonError, OSError) as error:
        print(f"catalogue.py: {error}", file=sys.stderr)
        return 1


def _from_tsv(options: argparse.Namespace) -> int:
    rows = read_rows(str(options.file), options.file.read_text("utf-8"))
    changed = write(options.data, rows)
    for path in options.data.glob("*.tsv"):
        if path.name not in render(rows):
            path.unlink()
            changed.append(path.name)
    print(f"{len(rows)} builds; {len(changed)} files changed: {', '.join(changed) or 'none'}")
    return 0


def _refresh(options: argparse.Namespace) -> int:
    if options.kept is None:
        import platformdirs

        options.kept = platformdirs.user_cache_path("standalone-python") / "refresh"
    rows = load(options.data)
    before, unknown = len(rows), sum(sha256 == "-" for sha256 in rows.values())
    count = refresh(rows, Kept(options.kept, os.environ.get("GITHUB_TOKEN", "")), options.api, options.since)
    filled = unknown - sum(rows[key] == "-" for key in list(rows)[:before])
    changed = write(options.data, rows)
    print(
        f"{count} releases read: {len(rows) - before} builds added, {filled} checksums filled in; "
        f"{len(changed)} files changed: {', '.join(changed) or 'none'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
