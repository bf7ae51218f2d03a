# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SHA256SUMS files, as programs and people write them. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ContentError, sanitized
from .catalogue import is_build

# A line of SHA256SUMS as sha256sum, shasum, BSD's sha256 and people write it.
_SUM = re.compile(r"\\?(?:sha(?:2?-)?256[:=][ \t]*)?(?P<digest>[0-9a-f]{64})[ \t]+\*?(?P<path>\S.*)", re.IGNORECASE)
_SUM_TAGGED = re.compile(r"\\?sha(?:2?-)?256[ \t]*\((?P<path>.+)\)[ \t]*=[ \t]*(?P<digest>[0-9a-f]{64})", re.IGNORECASE)


def rows_from_sums(tag: str, text: str) -> str:
    """Return a release's SHA256SUMS as rows for :func:`catalogue.from_rows`, without files that are not builds.

    :raises ContentError: ``tag`` is not a release, or the text is not SHA256SUMS, such as an HTML page
    """
    if not re.fullmatch(r"[0-9]{8}", tag):
        raise ContentError(f"{tag!r} is not a release: releases are named by their date, such as 20250115")
    sums = parse_sums(text, tag)
    if sums.unread:
        raise ContentError(f"SHA256SUMS of release {tag} has a line without a checksum and a file name: {sums.unread[0]!r}")
    return "".join(f"{tag}\t{name}\t{digest}\n" for name, digest in sums.known.items() if is_build(name))


@dataclass(frozen=True, slots=True)
class Sums:
    """A SHA256SUMS file.

    :ivar known: file name -> sha256, as 64 lower-case digits
    :ivar unread: the lines that can't be parsed, escaped for messages
    """

    known: Mapping[str, str]
    unread: tuple[str, ...]


def parse_sums(text: str, tag: str = "") -> Sums:
    """Parse SHA256SUMS as programs and people write it: ``HEX  name``, ``HEX *./name``, ``sha256:HEX TAG/name``,
    ``SHA256 (name) = HEX``, with ``%2B`` for ``+``, empty lines, and comments after ``#``.

    :param tag: its release; files in another release's folder are ignored
    :raises ContentError: a build has two checksums
    """
    from urllib.parse import unquote

    known: dict[str, str] = {}
    unread: list[str] = []
    for line in map(str.strip, text.removeprefix("\ufeff").splitlines()):
        if not line or line.startswith("#"):
            continue
        match = _SUM.fullmatch(line) or _SUM_TAGGED.fullmatch(line)
        *folders, name = unquote(match["path"]).replace("\\", "/").split("/") if match else [""]
        if match is None or not name:
            unread.append(sanitized(line, 120))
            continue
        if folders and tag and re.fullmatch("[0-9]{8}", folders[-1]) and folders[-1] != tag:
            continue
        digest = match["digest"].lower()
        if known.setdefault(name, digest) != digest and is_build(name):
            raise ContentError(f"SHA256SUMS has two checksums for {sanitized(name)}, {known[name]} and {digest}: correct it")
    return Sums(known, tuple(unread))
