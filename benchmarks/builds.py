# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in build of upstream's size, packed from an interpreter of this machine; and a server for it.

It has upstream's layout, ``TAG/FILE`` and ``TAG/SHA256SUMS``. Never downloads anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.tools import mkbuild

TAG = "20250317"
# The approximate numbers of upstream's install_only_stripped for Linux: files and links, links among them, bytes unpacked.
FILES, LINKS, SIZE = 3750, 1000, 84_000_000
# Bytes that a server with a limited rate sends at a time.
PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class StandIn:
    """:ivar folder: the mirror, for the option ``source``"""

    folder: Path
    archive: Path
    version: str

    @property
    def minor(self) -> str:
        return self.version.rpartition(".")[0]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()

    def url(self, base: str) -> str:
        return f"{base}/{TAG}/{quote(self.archive.name)}"


def work_folder() -> Path:
    """Return the folder of files that benchmarks reuse in the next run."""
    folder = Path(tempfile.gettempdir()) / f"standalone-python-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise SystemExit(f"{folder} belongs to someone else: remove it, or set TMPDIR")
    return folder


def stand_in(folder: Path) -> StandIn:
    """Return the build in ``folder``. If it is missing, pack it from the newest suitable interpreter of this machine."""
    found = sorted(folder.glob(f"{TAG}/cpython-*.tar.gz"))
    if not found:
        print("packing a stand-in build (once) ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=work_folder()) as work:
            found = [_padded(_packed(Path(work)), Path(work), folder)]
    return StandIn(folder, found[-1], found[-1].name.split("-")[1].partition("+")[0])


def _packed(work: Path) -> tuple[mkbuild.Origin, Path]:
    reason = ""
    for python in reversed(mkbuild.available().values()):
        try:
            return mkbuild.probe(python), mkbuild.pack(python, TAG, work, compress_level=1)
        except mkbuild.PackError as error:
            reason = f": {error}"
    raise SystemExit(
        f"no interpreter of this machine can be packed{reason}: install CPython 3.8 to 3.13, with its shared library"
    )


def _padded(packed: tuple[mkbuild.Origin, Path], work: Path, folder: Path) -> Path:
    """The archive anew with as many files, links and bytes as upstream's has: the test suite, links beside the terminfo's
    own, and at last files that are a third noise and compress as programs do."""
    origin, plain = packed
    mkbuild.extract(plain, work)
    tree = work / "python"
    library = tree / "lib" / f"python{origin.minor}"
    suite = sorted(path for path in (origin.stdlib / "test").rglob("*") if path.is_file() and path.suffix != ".pyc")
    room = FILES - LINKS - sum(path.is_file() and not path.is_symlink() for path in tree.rglob("*")) - 5
    for path in suite[:room]:
        to = library / "test" / path.relative_to(origin.stdlib / "test")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    terminfo = tree / "share" / "terminfo" / "s"
    terminfo.mkdir(parents=True, exist_ok=True)
    for number in range(LINKS - sum(path.is_symlink() for path in tree.rglob("*"))):
        (terminfo / f"stand-in-{number}").symlink_to("../x/xterm")
    noise = random.Random(0)  # noqa: S311 # the same bytes each time is what is wanted
    left = SIZE - sum(path.stat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    for number in range(5):
        blocks = (noise.randbytes(1500) + bytes(2596) for _block in range(max(0, left) // 5 // 4096))
        (tree / "lib" / f"stand-in-{number}.bin").write_bytes(b"".join(blocks))
    near = folder / TAG
    near.mkdir(parents=True, exist_ok=True)
    fresh = near / f".{plain.name}"
    with mkbuild.compressed(fresh, "install_only_stripped", 6) as stream:
        mkbuild.write_archive(tree, stream, "python", {}, 1_742_169_600)
    mkbuild.record(near, plain.name, hashlib.sha256(fresh.read_bytes()).hexdigest())
    return fresh.rename(near / plain.name)


def described(build: StandIn, unpacked: Path) -> str:
    """Return one line that describes a build, for the head of a table."""
    entries = [path for path in unpacked.rglob("*") if path.is_symlink() or path.is_file()]
    size = sum(path.lstat().st_size for path in entries)
    links = sum(path.is_symlink() for path in entries)
    return (
        f"{build.archive.name}, a stand-in packed from this machine's CPython and padded to upstream's size: "
        f"{build.archive.stat().st_size / 1e6:.0f} MB, unpacked {size / 1e6:.0f} MB, {len(entries)} files, {links} of them links"
    )


class _Quiet(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, rate: float = 0, **options: Any) -> None:
        self.rate = rate
        super().__init__(*args, **options)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class names it so
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        if not self.rate:
            super().copyfile(source, outputfile)
            return
        began, sent = time.monotonic(), 0
        while piece := source.read(PIECE):
            outputfile.write(piece)
            sent += len(piece)
            time.sleep(max(0.0, began + sent / self.rate - time.monotonic()))


@contextmanager
def served(folder: Path, rate: float = 0) -> Iterator[str]:
    """Serve ``folder`` over HTTP on a loopback address; yield the base URL.

    :param rate: bytes a second that each request gets; 0 is no limit
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder), rate=rate)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def uv_downloads(build: StandIn, base: str, to: Path) -> Path:
    """Write a list of downloads for uv that contains only the stand-in; return its path."""
    major, minor, patch = build.version.split(".")
    architecture = build.archive.name.partition(f"+{TAG}-")[2].partition("-")[0]
    entry = {
        "name": "cpython",
        "arch": {"family": architecture, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": int(major),
        "minor": int(minor),
        "patch": int(patch),
        "prerelease": "",
        "url": build.url(base),
        "sha256": build.sha256,
        "variant": None,
        "build": TAG,
    }
    path = to / "uv-downloads.json"
    path.write_text(json.dumps({f"cpython-{build.version}-linux-{architecture}-gnu": entry}, indent=1))
    return path


def uv_environment(folder: Path, downloads: Path) -> dict[str, str]:
    """Return the environment for uv, isolated from the user's: it can find and download only the stand-in."""
    return {
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_PREFERENCE": "only-managed",
        "UV_PYTHON_INSTALL_DIR": str(folder / "uv"),
        "UV_PYTHON_BIN_DIR": str(folder / "uv-bin"),
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "UV_PYTHON_DOWNLOADS_JSON_URL": downloads.as_uri(),
    }


def uv() -> Path:
    """
    :raises SystemExit: it isn't installed beside this interpreter
    """
    path = Path(sys.executable).with_name("uv")
    if not path.exists():
        raise SystemExit("uv is not installed: run pip install -e .[bench] in the environment that runs this")
    return path


@contextmanager
def workbench() -> Iterator[tuple[Path, StandIn, str]]:
    """Yield an empty folder that is removed at the end, a stand-in build, and the URL of its folder."""
    with tempfile.TemporaryDirectory(dir=work_folder()) as folder:
        build = stand_in(work_folder() / "builds")
        with served(build.folder) as base:
            yield Path(folder), build, base
