# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small texts, such as SHA256SUMS: read from this machine, or downloaded and cached, so that all workers of a fleet share one
download.
"""

from __future__ import annotations

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

# Seconds for which all workers of a fleet share one copy of a text.
TEXT_AGE = 300.0


class Texts:
    """Cached texts below ``root``.

    :param fetch: (source, whether to stop after the second attempt) -> downloader
    :param token: that ``fetch`` sends to the source's own host
    """

    def __init__(self, root: Path, fetch: Callable[[Source, bool], Fetch], token: str = "") -> None:
        self._root = root
        self._fetch = fetch
        self._token = token

    def get(self, addresses: tuple[str, ...], source: Source, age: float | None, *, optional: bool = False) -> tuple[str, str]:
        """Return a text, and a remark if it is an older copy because the server can't be reached.

        :param addresses: URLs, in the order in which they are tried
        :param age: seconds for which a copy is used; None means for ever
        :param optional: return an empty text if the server does not have it; the remark says why, and when that was checked.
            This is cached too, so that not every worker of a fleet asks the server.
        """
        import hashlib

        from .failure import DeniedError, NotThereError

        folder = self._root / "texts"
        key = bare(addresses[0])
        if optional:
            # "Not found" may depend on the credentials, so they are part of the key.
            key = "\0".join(("optional", addresses[0], self._token, os.environ.get("GITHUB_TOKEN", "")))
        path = folder / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:24]
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
                        _reason_path(path).write_text(str(error), encoding="utf-8")
                        path.write_bytes(b"")
                        return "", str(error)
                    if not path.exists() or isinstance(error, (NotThereError, ContentError)):
                        raise
                    day = time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))
                    remark = f" (as of {day}; the server can't be reached now)"
            return (read_text(path, "cache"), remark) if remark else _kept(path, optional=optional)


def _reason_path(path: Path) -> Path:
    """Return the path of the reason why the server does not have a text."""
    return path.with_name(f"{path.name}.why")


def _kept(path: Path, *, optional: bool) -> tuple[str, str]:
    """Return a cached text; if it is empty because the server does not have it, also why and when that was checked."""
    text = read_text(path, "cache")
    if text or not optional:
        return text, ""
    reason = read_text(_reason_path(path), "cache") if _reason_path(path).exists() else "the server has no such file"
    checked = time.strftime("%Y-%m-%d at %H:%M", time.localtime(path.stat().st_mtime))
    return "", f"{reason} (checked on {checked}, and cached for {TEXT_AGE / 60:.0f} minutes)"


def local_path(path: str) -> Path:
    """Return a path on this machine. The ~ of an unknown user stays, so that the error names the path as it was written."""
    return Path(os.path.expanduser(path))


def read_text(path: Path, what: str) -> str:
    """Read a text of at most LARGEST_TEXT bytes.

    :param what: the kind of file, for messages
    :raises ContentError: it is too large, or not UTF-8
    :raises TransportError: it can't be read
    """
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
    """Return the text of a file; empty if the file does not exist.

    :raises TransportError: it can't be read
    """
    file = local_path(path)
    return read_text(file, "attestation") if file.exists() else ""
