# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads upstream's lists of releases into rows of a catalogue. No I/O: a :class:`Get` downloads.

Rows are only added, and unknown checksums filled in. A checksum that differs from the known one is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from ..archives.source import SUMS, without_credentials
from ..builds import catalogue
from ..builds.sums import rows_from_sums
from ..digits import LARGEST
from ..errors import ContentError

API = "https://api.github.com/repos/astral-sh/python-build-standalone/releases"
# Astral's list of all releases in one file, without sizes, made for its own tools. Used if GitHub's API is unavailable.
VERSIONS = (
    "https://raw.githubusercontent.com/astral-sh/versions/refs/heads/main/v1/python-build-standalone.ndjson",
    "https://releases.astral.sh/github/versions/main/v1/python-build-standalone.ndjson",
)
# Ten releases have about 6,000 files. With more on a page, GitHub times out.
PER_PAGE = 10

_TAG = re.compile(r"[0-9]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Known:
    """A file's sha256, or ``-`` if unknown, and its size in bytes, or None."""

    sha256: str = "-"
    size: int | None = None


# By tag and file name.
Rows = dict[tuple[str, str], Known]


@dataclass(frozen=True, slots=True)
class Release:
    """A release: its builds with their digests, and the URL of its SHA256SUMS, or empty."""

    tag: str
    rows: Rows
    sums: str


class Get(Protocol):
    def __call__(self, url: str) -> tuple[bytes, str]:
        """Return the content of a URL, and the URL of the next page, or empty."""


def read_rows(name: str, text: str) -> Rows:
    """Return :data:`Rows` of lines in any order.

    :raises ContentError: a line is not a row, or two rows of a file have different checksums
    """
    rows: Rows = {}
    for build in catalogue.builds(catalogue.from_rows(name, text)):
        merge(rows, {(build.release, build.filename): Known(build.sha256 or "-", build.size)}, name)
    return rows


def merge(rows: Rows, news: Mapping[tuple[str, str], Known], source: str) -> None:
    """Add new rows to ``rows``, and fill in unknown checksums and sizes.

    :raises ContentError: a checksum differs from the known one; the message has both
    """
    for (tag, filename), new in news.items():
        known = rows.get((tag, filename), Known())
        if "-" not in (known.sha256, new.sha256) and known.sha256 != new.sha256:
            raise ContentError(
                f"the sha256 of {filename} in release {tag} was {known.sha256} and is {new.sha256} in {source}: "
                "find out which is right; nothing was written"
            )
        sha256 = known.sha256 if new.sha256 == "-" else new.sha256
        rows[tag, filename] = Known(sha256, new.size or known.size)


def render(rows: Rows) -> dict[str, str]:
    """Return a catalogue's files, name -> text. Their rows are sorted by release, newest first, then by file name."""
    minors: dict[str, list[tuple[str, str]]] = {}
    for tag, filename in rows:
        minors.setdefault(catalogue.parse_filename(filename, tag).version.minor_line, []).append((tag, filename))
    texts = {}
    for minor, keys in minors.items():
        keys.sort(key=lambda key: (-int(key[0]), key[1]))
        texts[f"{minor}.tsv"] = "".join(_row(tag, filename, rows[tag, filename]) for tag, filename in keys)
    return texts


def _row(tag: str, filename: str, known: Known) -> str:
    size = f"\t{known.size}" if known.size else ""
    return f"{tag}\t{filename}\t{known.sha256}{size}\n"


def releases(get: Get, api: str) -> Iterator[list[Release]]:
    """Yield the releases that GitHub's API lists, page by page, without drafts and tags of another form.

    :raises ContentError: the answer is not a list of releases
    """
    url = f"{api}?per_page={PER_PAGE}"
    while url:
        content, following = get(url)
        try:
            page = [_release(one) for one in json.loads(content) if not one["draft"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise ContentError(f"{without_credentials(url)} sent {content[:120]!r} instead of a list of releases") from None
        yield [release for release in page if _TAG.fullmatch(release.tag)]
        url = following


def release_rows(get: Get, release: Release) -> Rows:
    """Return the builds of one release. Their checksums are the API's digests and those in SHA256SUMS, which must agree.

    :raises ContentError: they don't agree
    """
    rows = dict(release.rows)
    if release.sums:
        content, _next = get(release.sums)
        text = rows_from_sums(release.tag, content.decode("utf-8", "replace"))
        merge(rows, read_rows(f"{SUMS} of release {release.tag}", text), SUMS)
    return rows


def refresh(rows: Rows, get: Get, api: str = API, since: str = "", *, only_news: bool = False) -> int:
    """Add the builds of upstream's releases that are not older than ``since``; return the number of releases read.

    Every page is read whatever ``since`` is: tags are not in the order of publication.

    :param only_news: stop after the first page without news, as pages are in the order of publication, and download
        SHA256SUMS only of releases with news
    """
    count = 0
    for page in releases(get, api):
        wanted = [release for release in page if release.tag >= since]
        news = [release for release in wanted if not only_news or _has_news(release, rows)]
        for release in news:
            merge(rows, release_rows(get, release), f"release {release.tag} of today")
        sizes = any(new.size and not rows[key].size for release in wanted for key, new in release.rows.items() if key in rows)
        # The digests of the other releases must agree with the known ones too.
        for release in (release for release in wanted if release not in news):
            merge(rows, release.rows, f"release {release.tag} of today")
        count += len(wanted)
        if only_news and wanted and not news and not sizes:
            break
    return count


def is_versions(content: bytes) -> bool:
    """Return whether a text is Astral's list of versions: each line is a JSON object, a release with its artifacts."""
    line = content.lstrip().partition(b"\n")[0]
    return line.startswith(b"{") and b'"artifacts"' in line


def versions_rows(name: str, content: bytes) -> Rows:
    """Return the builds of Astral's list of versions.

    :raises ContentError: it is not such a list, or has two checksums for a file
    """
    rows: Rows = {}
    try:
        artifacts = [artifact for line in content.splitlines() if line.strip() for artifact in json.loads(line)["artifacts"]]
        for artifact in artifacts:
            tag, filename = urlsplit(artifact["url"]).path.split("/")[-2:]
            filename, digest = unquote(filename), artifact.get("sha256") or ""
            if _TAG.fullmatch(tag) and catalogue.is_build(filename):
                merge(rows, {(tag, filename): Known(digest if _SHA256.fullmatch(digest) else "-")}, name)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ContentError(f"{name} has {content[:120]!r} instead of a list of versions") from None
    return rows


def _has_news(release: Release, rows: Rows) -> bool:
    return any(rows.get(key, Known()).sha256 == "-" for key in release.rows)


def _release(data: Mapping[str, Any]) -> Release:
    tag, assets = str(data["tag_name"]), data["assets"]
    rows: Rows = {}
    for asset in assets:
        if catalogue.is_build(asset["name"]):
            digest = _DIGEST.fullmatch(asset.get("digest") or "")
            size = asset.get("size")
            known = size if isinstance(size, int) and not isinstance(size, bool) and 0 < size < LARGEST else None
            rows[tag, asset["name"]] = Known(digest[1] if digest else "-", known)
    sums = [str(asset["browser_download_url"]) for asset in assets if asset["name"] == SUMS]
    return Release(tag, rows, sums[0] if sums else "")
