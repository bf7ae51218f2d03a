# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real archive of python-build-standalone, made again from a package of npm that ships the files of one.

The files are upstream's. npm replaced the links by copies and dropped the modes, and `pack` restores both. So only the archive's
sha256 differs from upstream's.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import posixpath
import tarfile
from pathlib import Path

from tests.tools import npm, packed

PACKAGE = "@xspect-build/python-linux-x64@3.9.13-install-only.1"
INTEGRITY = "sha512-e9fmEKRvB4QDibU2QbzpKjzPRyWhYLzK2x/Vk7ftQjNNp5XsbPhFXNiiWb/jjH9lDH55ADI1aPhdncoJoE5P7Q=="
TAG, VERSION, TRIPLE = "20220528", "3.9.13", "x86_64-unknown-linux-gnu"
NAME = f"cpython-{VERSION}+{TAG}-{TRIPLE}-install_only.tar.gz"

# What `make install` of CPython 3.9 links (bininstall, libainstall and maninstall in its Makefile).
LINKS = {
    "bin/2to3": "2to3-3.9",
    "bin/idle3": "idle3.9",
    "bin/pydoc3": "pydoc3.9",
    "bin/python3": "python3.9",
    "bin/python3-config": "python3.9-config",
    "lib/libpython3.9.so": "libpython3.9.so.1.0",
    "lib/pkgconfig/python3.pc": "python-3.9.pc",
    "lib/pkgconfig/python3-embed.pc": "python-3.9-embed.pc",
    "share/man/man1/python3.1": "python3.9.1",
}
_BELOW = "package/python/"
_MTIME = 1653766763  # 2022-05-28, a few minutes after the bytecode's sources


def archive() -> Path:
    """Return the path of the archive, ``TAG/NAME`` with a SHA256SUMS beside it; skip the test where npm does not have the package."""
    package = npm.package(PACKAGE, INTEGRITY)
    key = (Path(__file__).read_text(), INTEGRITY)
    return packed.once(packed.own_folder("builds"), key, TAG, lambda folder: pack(package, folder / TAG))


def pack(package: Path, folder: Path) -> Path:
    """Write the archive and its SHA256SUMS into a folder."""
    with tarfile.open(package) as tar:
        files = {member.name.removeprefix(_BELOW): _content(tar, member) for member in tar if member.name.startswith(_BELOW)}
    for link, target in LINKS.items():
        assert files[link] == files[posixpath.join(posixpath.dirname(link), target)], (
            f"{PACKAGE}: {link} is not a copy of {target}"
        )
    times = dict(_time_of_source(name, content) for name, content in files.items() if name.endswith(".pyc"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    with gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in sorted(files.items()):
            tar.addfile(_member(name, content, times.get(name, _MTIME)), io.BytesIO(content))
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {NAME}\n")
    return path


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    assert stream, f"{PACKAGE}: {member.name} is not a file"
    return stream.read()


def _time_of_source(bytecode: str, content: bytes) -> tuple[str, int]:
    """Return the path of the source of bytecode, and the time that the bytecode records of it (PEP 552)."""
    folder, _, name = bytecode.rpartition("__pycache__/")
    return f"{folder}{name.partition('.')[0]}.py", int.from_bytes(content[8:12], "little")


def _member(name: str, content: bytes, mtime: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"python/{name}")
    member.uname = member.gname = "root"
    member.mtime = mtime
    if name in LINKS:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, LINKS[name], 0o777
        return member
    member.size = len(content)
    # `make install` sets the executable bit on programs, shared libraries and scripts with an interpreter line.
    executable = name.startswith("bin/") or ".so" in posixpath.basename(name) or content.startswith(b"#!")
    member.mode = 0o755 if executable else 0o644
    return member
