# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds and downloads that are made once and kept from one session to the next, in a folder that only this user can write to."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.tools import mkbuild


def own_folder(name: str) -> Path:
    """A folder that is kept from one session to the next and that only this user can write to."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"standalone-python-{name}-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != user):
        raise RuntimeError(f"{folder} belongs to someone else: remove it")
    return folder


def build(python: Path | str, tag: str, **keywords: Any) -> Path:
    """The path of a packed archive; keywords are those of `mkbuild.pack`.

    Its folder is ``FOLDER/TAG``, with a SHA256SUMS of that archive alone. FOLDER's name is made of the packer's text, the
    interpreter and the keywords.
    """
    keywords.setdefault("compress_level", 1)
    changed = os.stat(python).st_mtime_ns
    key = (Path(mkbuild.__file__).read_text(), str(python), changed, tag, sorted(keywords.items()))
    return once(own_folder("builds"), key, tag, lambda folder: mkbuild.pack(python, tag, folder, **keywords))


def once(cache: Path, key: object, tag: str, pack: Callable[[Path], Path]) -> Path:
    """What ``pack`` makes in the folder for ``key``, where it isn't there yet; others wait meanwhile."""
    folder = cache / hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    with FileLock(f"{folder}.lock"):
        found = [p for p in folder.glob(f"{tag}/cpython-*") if (folder / tag / "SHA256SUMS").is_file()]
        return found[0] if found else pack(folder)


def kept(name: str, key: object, make: Callable[[Path], Path]) -> Path:
    """Return the file that ``make`` writes into a new folder; later calls with the same name and key return it at once."""
    folder = own_folder(name) / hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix="new-", dir=folder.parent) as unfinished:
                made = make(Path(unfinished))
                assert made.parent == Path(unfinished)
                Path(unfinished).rename(folder)
        (found,) = folder.iterdir()
    return found
