# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small texts, such as catalogues and SHA256SUMS: read from this machine, or downloaded and kept in the cache, so that a fleet's
workers share one download.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ContentError, StandalonePythonError, TransportError
from .cache import exclusive_lock, is_fresh, make_private, os_reason, remove_stale_parts
from .credentials import bare

if TYPE_CHECKING:
    from .fetch import Fetch
    from .source import Source

LARGEST_TEXT = 64 << 20

# Seconds for which a fleet's workers share one copy of a text.
TEXT_AGE = 300.0


class Texts:
    """The texts in the cache below ``root``.

    :param fetch: a source, and whether to give up after a second attempt -> what downloads from it
    :param token: what ``fetch`` shows to the source's own host
    """

    def __init__(self, root: Path, fetch: Callable[[Source, bool], Fetch], token: str = "") -> None:
        self._root = root
        self._fetch = fetch
        self._token = token

    def get(self, addresses: tuple[str, ...], source: Source, age: float | None, *, optional: bool = False) -> tuple[str, str]:
        """A text, kept for ``age`` seconds (None: for good), and a remark where the kept one had to do
        although it is older. One that is ``optional`` is empty where the server has none, which is kept too, so that a
        fleet's workers don't all ask; the remark says then why, and since when that is known."""
        from .failure import DeniedError, NotThereError

        folder = self._root / "texts"
        asked = bare(addresses[0])
        if optional:
            # That there is none may be true for who asked so only.
            asked = "\0".join(("optional", addresses[0], self._token, os.environ.get("GITHUB_TOKEN", "")))
        path = folder / hashlib.sha256(asked.encode(errors="surrogateescape")).hexdigest()[:24]
        if is_fresh(path, age):
            return _kept(path, optional=optional)
        make_private(folder)
        remark = ""
        with exclusive_lock(folder) as locked:
            remove_stale_parts(folder, sure=locked)
            if not is_fresh(path, age):
                try:
                    self._fetch(source, optional).fetch(addresses, path, max_bytes=LARGEST_TEXT, expect="text")
                except StandalonePythonError as error:
                    if optional and isinstance(error, (NotThereError, DeniedError, ContentError)):
                        _why(path).write_text(str(error), encoding="utf-8")
                        path.write_bytes(b"")
                        return "", str(error)
                    if not path.exists() or isinstance(error, (NotThereError, ContentError)):
                        raise
                    day = time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))
                    remark = f" (as of {day}; the server can't be reached now)"
            return (read_text(path, "cache"), remark) if remark else _kept(path, optional=optional)


def _why(path: Path) -> Path:
    """Where the reason is kept for a text that a server doesn't have."""
    return path.with_name(f"{path.name}.why")


def _kept(path: Path, *, optional: bool) -> tuple[str, str]:
    """A kept text; for one that is empty, as the server has none, why and since when."""
    text = read_text(path, "cache")
    if text or not optional:
        return text, ""
    why = read_text(_why(path), "cache") if _why(path).exists() else "the server has no such file"
    asked = time.strftime("%Y-%m-%d at %H:%M", time.localtime(path.stat().st_mtime))
    return "", f"{why} (checked on {asked}, and cached for {TEXT_AGE / 60:.0f} minutes)"


def local_path(path: str) -> Path:
    """A path of a source or a catalogue on this machine. A ~ of nobody stays, so that the path is said to be missing."""
    return Path(os.path.expanduser(path))


def read_text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise ContentError(f"the {what} {path} is larger than {LARGEST_TEXT} bytes: check that it is the right file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TransportError(
            f"the {what} {path} can't be read ({os_reason(error)}): check the path and its permissions"
        ) from None
    except UnicodeDecodeError:
        raise ContentError(f"the {what} {path} is not text: check that it is the right file") from None


def read_optional_text(path: str) -> str:
    """A text that is beside something; empty where there is none.

    :raises TransportError: it can't be read
    """
    file = local_path(path)
    return read_text(file, "attestation") if file.exists() else ""
