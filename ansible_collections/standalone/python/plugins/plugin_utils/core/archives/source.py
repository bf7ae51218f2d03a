# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where builds come from: a source as a value, and its URLs and paths.

Pure: opens no URL and no folder. A parameter answers whether a path is a folder.

Every source has upstream's layout: ``LOCATION/TAG/FILE`` and ``LOCATION/TAG/SHA256SUMS``.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from ..builds.catalogue import SUFFIXES
from ..errors import DeclarationError

Kind = Literal["upstream", "url", "folder", "archive"]

GITHUB = "https://github.com/astral-sh/python-build-standalone/releases/download"
MIRROR = "https://releases.astral.sh/github/python-build-standalone/releases/download"
# The oldest release of that mirror.
MIRROR_SINCE = "20260303"

SUMS = "SHA256SUMS"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


class Named(Protocol):
    """The release and the file name of a build, of which addresses are made."""

    @property
    def release(self) -> str: ...

    @property
    def filename(self) -> str: ...


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """Where builds come from.

    :param location: '' for upstream; a URL without a trailing slash, credentials included; a path as it was written
    :param checksum: of a single archive: 64 lower-case hexadecimal digits, or '' if a SHA256SUMS file next to it has it
    """

    kind: Kind
    location: str = ""
    checksum: str = ""

    def __str__(self) -> str:
        return without_credentials(self.location) or self.kind

    def __repr__(self) -> str:
        return f"Source({self.kind!r}, {without_credentials(self.location)!r}, {self.checksum!r})"


UPSTREAM = Source("upstream")


def parse_source(text: str, checksum: str = "", is_dir: Callable[[str], bool] = os.path.isdir) -> Source:
    """Return the source that a text names.

    :param checksum: of a single archive; otherwise it must be empty
    :raises DeclarationError: the source or the checksum is not valid
    """
    text = text.strip()
    digest = parse_checksum(checksum)
    kind, location = _kind(text, is_dir)
    if digest and kind != "archive":
        raise DeclarationError(
            f"a checksum was given for the source {without_credentials(text) or 'upstream'}, but it is only valid for a "
            "local archive: leave it out, or name the archive as the source"
        )
    return Source(kind, location, digest)


def _kind(text: str, is_dir: Callable[[str], bool]) -> tuple[Kind, str]:
    if text in ("", "upstream"):
        return "upstream", ""
    if _SCHEME.match(text):
        return "url", parse_url(text, "source")
    if is_dir(os.path.expanduser(text)):
        return "folder", text
    if text.endswith(tuple(SUFFIXES.values())):
        return "archive", text
    # A URL without scheme can contain a password.
    shown = re.sub(r"[^/@\s]*:[^/@\s]*@|[?#].*", "", text)
    raise DeclarationError(
        f"{shown!r} is not a valid source: it must be 'upstream', an http(s) URL, an existing folder on the controller, "
        "or a .tar.gz or .tar.zst archive"
    )


def parse_url(text: str, option: str) -> str:
    """Return an http(s) URL without trailing slash and fragment.

    :param option: where the URL was given, for the message
    :raises DeclarationError: it is not valid
    """
    parts = _split(text)
    if parts is None or parts.scheme.lower() not in ("http", "https") or not parts.hostname or re.search(r"[\s\x00-\x1f]", text):
        raise DeclarationError(
            f"the {option} {without_credentials(text)!r} is not a valid URL: use http://HOST/PATH or "
            "https://HOST/PATH, or the path of a folder on the controller"
        )
    return urlunsplit(parts._replace(path=parts.path.rstrip("/"), fragment=""))


def parse_checksum(text: str) -> str:
    """Return ``sha256:HEX`` or ``HEX`` as 64 lower-case digits; '' stays ''.

    :raises DeclarationError: it is not valid
    """
    text = text.strip()
    if not text:
        return ""
    found = _CHECKSUM.fullmatch(text)
    if found is None:
        raise DeclarationError(f"the checksum {text!r} is not a SHA-256: use 64 hexadecimal digits, optionally after sha256:")
    return found[1].lower()


def urls(source: Source, build: Named) -> tuple[str, ...]:
    """Return the URLs of a build's archive, in the order in which they are tried; or its path in a folder or as an archive."""
    return _addresses(source, build.release, build.filename)


def sums_urls(source: Source, tag: str) -> tuple[str, ...]:
    """Return the URLs of a release's SHA256SUMS, in the order in which they are tried; or its path, for an archive next to it."""
    if source.kind == "archive":
        return (os.path.join(os.path.dirname(source.location), SUMS),)
    return _addresses(source, tag, SUMS)


def url_below(base: str, build: Named, ending: str = "") -> str:
    """Return the URL of a build on a server that has upstream's layout below ``base``; ``ending`` is added to the file name."""
    return url_of(base, build.release, f"{build.filename}{ending}")


def _addresses(source: Source, tag: str, name: str) -> tuple[str, ...]:
    if source.kind == "archive":
        return (source.location,)
    if source.kind == "folder":
        return (os.path.join(source.location, tag, name),)
    if source.kind == "url":
        return (url_of(source.location, tag, name),)
    bases = (MIRROR, GITHUB) if tag >= MIRROR_SINCE else (GITHUB,)
    return tuple(url_of(base, tag, name) for base in bases)


def url_of(base: str, *names: str) -> str:
    """Return the URL of a path below another URL."""
    # A query, such as a mirror's access key, stays at the end.
    parts = urlsplit(base)
    path = "/".join([parts.path.rstrip("/"), *(quote(name, safe="") for name in names)])
    return urlunsplit(parts._replace(path=path))


def without_credentials(url: str) -> str:
    """Return a URL without user, password, query and fragment, each of which can be secret. A path is returned unchanged."""
    if not _SCHEME.match(url):
        return url
    parts = _split(url)
    if parts is None:
        return re.sub(r"//[^/]*@", "//", url.partition("?")[0].partition("#")[0])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None
