# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The builds that front ends are tested with, as pytest fixtures: a folder laid out like upstream's, and its catalogue.

``python -m tests.tools.sources`` makes such a folder for who works by hand, and prints where it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.sums import rows_from_sums
from tests.tools import mkbuild, packed

OLD, NEW, NEWER = "20250115", "20250317", "20250409"
V12, V13, V13LATER = "3.12.1", "3.13.0", "3.13.4"  # as the stand-ins say that they are
RELEASES = (("3.12", OLD, V12), ("3.13", OLD, V13), ("3.13", NEW, V13), ("3.13", NEWER, V13LATER))


def lay_out(folder: Path, archive: Path, *, copy: bool = False) -> Path:
    """Put an archive that `builds` has packed into a folder of releases; returns where it is there."""
    release = folder / archive.parent.name
    release.mkdir(parents=True, exist_ok=True)
    there = release / archive.name
    if copy:
        there.write_bytes(archive.read_bytes())
    else:
        os.symlink(archive, there)
    with (release / "SHA256SUMS").open("a") as sums:
        sums.write((archive.parent / "SHA256SUMS").read_text())
    return there


def for_another_machine(archive: Path, to: Path) -> Path:
    """A copy whose programs are, by their ELF header, for aarch64: to start one here fails."""
    there = to / archive.name
    with tarfile.open(archive) as given, tarfile.open(there, "w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as taken:
        for member in given:
            content = given.extractfile(member) if member.isfile() else None
            text = content.read() if content else b""
            if member.name.startswith("python/bin/") and text.startswith(b"\x7fELF"):
                text = make_foreign(text)
            taken.addfile(member, io.BytesIO(text) if content else None)
    return there


def make_foreign(program: bytes) -> bytes:
    """An ELF file whose header says EM_AARCH64, 183."""
    return program[:18] + (183).to_bytes(2, "little") + program[20:]


def put(folder: Path, tag: str, archive: Path) -> Path:
    """Put an archive of a test's own making into a folder of releases, with its true checksum."""
    release = folder / tag
    release.mkdir(parents=True, exist_ok=True)
    there = release / archive.name
    archive.rename(there)
    with (release / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(there.read_bytes()).hexdigest()}  {there.name}\n")
    return there


def write_catalogue(folder: Path, to: Path) -> Path:
    """The rows of a folder of releases, as ``catalogue: PATH`` wants them."""
    sums = sorted(folder.glob("*/SHA256SUMS"), reverse=True)
    to.write_text("".join(rows_from_sums(path.parent.name, path.read_text()) for path in sums))
    return to


def releases_of_noise(folder: Path, work: Path, paths: Iterable[str], size: int) -> Path:
    """A folder of releases with its catalogue, as a server would have it. Each archive of ``paths`` (``TAG/FILE``) begins as one of its
    kind does; the ``size`` bytes behind that can't be unpacked."""
    for number, path in enumerate(paths):
        tag, name = path.split("/")
        magic = b"\x28\xb5\x2f\xfd" if name.endswith("zst") else b"\x1f\x8b"
        (work / name).write_bytes(magic + random.Random(number).randbytes(size))  # noqa: S311 # noise
        put(folder, tag, work / name)
    write_catalogue(folder, folder / "catalogue.tsv")
    return folder


@pytest.fixture(scope="session")
def source(builds: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``TAG/FILE`` and ``TAG/SHA256SUMS``, as ``source: FOLDER`` wants it."""
    folder = tmp_path_factory.mktemp("source")
    for minor, tag, version in RELEASES:
        lay_out(folder, builds(minor, tag=tag, version=version))
    return folder


@pytest.fixture(scope="session")
def catalogue(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of ``source``, for sources that are URLs."""
    return write_catalogue(source, tmp_path_factory.mktemp("catalogue") / "rows.tsv")


def kept() -> Path:
    """The folder that ``source`` is, kept from one session to the next."""
    interpreters = mkbuild.available()
    archives = [packed.build(interpreters[minor], tag, version=version) for minor, tag, version in RELEASES]
    key = hashlib.sha256("".join(map(str, archives)).encode()).hexdigest()[:16]
    folder = packed.own_folder("sources") / key
    if not folder.is_dir():
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
        for archive in archives:
            lay_out(unfinished, archive)
        unfinished.rename(folder)
    return folder


if __name__ == "__main__":
    print(kept())


def put_windows(source: Path, work: Path) -> None:
    """Add a build for Windows that nobody unpacks to ``source``."""
    name = f"cpython-{V13LATER}+{NEWER}-x86_64-pc-windows-msvc-install_only_stripped.tar.gz"
    (work / name).write_bytes(b"\x1f\x8b")
    put(source, NEWER, work / name)
