# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in builds for all tests, packed from this machine's interpreters and shared by every worker; and the test hosts."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.tools import mkbuild, windows

# Who runs this in the background may have let it ignore these signals, and with it everything that tests start.
for _sign, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _sign, None)  # Windows has no SIGHUP
    if _number and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# Once for all folders, so that a worker has one fleet.
pytest_plugins = ["tests.tools.sources"]
if os.name != "nt":  # no test host runs there
    pytest_plugins.append("tests.tools.hosts.fixtures")

Builds = Callable[..., Path]


def own_folder(name: str) -> Path:
    """A folder that is kept from one session to the next and that only this user can write to."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"standalone-python-{name}-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != user):
        raise RuntimeError(f"{folder} belongs to someone else: remove it")
    return folder


@pytest.fixture(scope="session")
def builds() -> Builds:
    """``builds("3.13", tag="20250317", version="3.13.4", ...)``: the path of a packed archive.

    Keywords are those of `mkbuild.pack`; the test is skipped where there is no CPython of that minor version.
    Its folder is ``FOLDER/TAG``, with a SHA256SUMS of that archive alone. Kept from one session to the next,
    under a name made of the packer's text, the interpreter and the keywords, in a folder that only this user
    can write to.
    """
    cache = own_folder("builds")
    interpreters = mkbuild.available()

    def build(minor: str, *, tag: str = "20250115", **keywords: Any) -> Path:
        if minor not in interpreters:
            pytest.skip(f"needs CPython {minor}: there is none on this machine")
        python = interpreters[minor]
        keywords.setdefault("compress_level", 1)
        changed = os.stat(python).st_mtime_ns
        key = (Path(mkbuild.__file__).read_text(), str(python), changed, tag, sorted(keywords.items()))
        return _once(cache, key, tag, lambda folder: mkbuild.pack(python, tag, folder, **keywords))

    return build


@pytest.fixture(scope="session")
def windows_builds() -> Builds:
    """The same of Windows builds: ``windows_builds("3.13", tag="20250317", version="3.13.4")``; see `mkwinbuild.pack`."""
    cache = own_folder("builds")

    def build(minor: str, *, tag: str = "20250115", **keywords: Any) -> Path:
        from tests.tools import mkwinbuild

        texts = [Path(module.__file__ or "").read_text() for module in (mkbuild, mkwinbuild)]
        key = ("windows", *texts, minor, tag, sorted(keywords.items()))
        return _once(cache, key, tag, lambda folder: mkwinbuild.pack(minor, tag, folder, **keywords))

    return build


@pytest.fixture(scope="session")
def windows_here() -> windows.Windows:
    """A Windows that runs programs on this machine; the test is skipped where there is none."""
    windows.needed()
    return windows.make(own_folder("windows"))


def _once(cache: Path, key: object, tag: str, pack: Callable[[Path], Path]) -> Path:
    folder = cache / hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    with FileLock(f"{folder}.lock"):
        found = [p for p in folder.glob(f"{tag}/cpython-*") if (folder / tag / "SHA256SUMS").is_file()]
        return found[0] if found else pack(folder)
