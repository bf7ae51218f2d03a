# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install names of macOS libraries: on files made here, and on real ones out of a package, with LLVM's tools as the judge."""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import macho
from tests.tools import machos
from tests.tools.packed import own_folder

BUILT = "/install/lib/libpython3.13.dylib"
SHORT = "/o/p/lib/libpython3.13.dylib"
LONG = "/opt/python/cpython-3.13.1+20250115-aarch64-apple-darwin-install_only_stripped/lib/libpython3.13.dylib"
KINDS = {
    "arm64": (machos.ARM64, "<"),
    "x86_64": (machos.X86_64, "<"),
    "i386": (machos.I386, "<"),
    "ppc": (18, ">"),
}


def names(data: bytes) -> list[str]:
    return [macho.install_name(data, found) for found in macho.slices(data)]


def parts(data: bytes) -> list[tuple[list[tuple[int, bytes]], bytes]]:
    """Of each architecture its load commands but the install name's, and all that comes after them but zeros at the front."""
    found = list(macho.slices(data))
    ends = [*(other.start for other in found[1:]), len(data)]
    return [
        (
            [(c.kind, data[c.start : c.start + c.size]) for c in part.commands if c.kind != macho.ID_DYLIB],
            data[part.commands_end : end].lstrip(b"\0"),
        )
        for part, end in zip(found, ends, strict=True)
    ]


@pytest.mark.parametrize("name", [SHORT, LONG])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_library(kind: str, name: str) -> None:
    cpu, order = KINDS[kind]
    data = machos.library(BUILT, cpu=cpu, order=order)
    fresh = macho.renamed(data, name)
    assert names(fresh) == [name]
    assert len(fresh) == len(data)
    assert parts(fresh) == parts(data)
    assert macho.renamed(fresh, name) == fresh


@pytest.mark.parametrize("wide", [False, True])
def test_several_architectures_in_a_file(wide: bool) -> None:
    thin = [(machos.X86_64, machos.library(BUILT, cpu=machos.X86_64)), (machos.ARM64, machos.library(BUILT, signed=True))]
    data = machos.fat(*thin, wide=wide)
    fresh = macho.renamed(data, LONG)
    assert names(fresh) == [LONG, LONG]
    assert parts(fresh) == parts(data)
    assert macho.signed(fresh)
    assert not macho.signed(thin[0][1])


def test_a_name_that_fits_needs_no_padding() -> None:
    data = machos.library(BUILT, padding=0)
    fresh = macho.renamed(data, SHORT)
    assert names(fresh) == [SHORT]
    assert parts(fresh) == parts(data)
    roomy = machos.library(BUILT, padding=0, reserved=512)
    assert names(macho.renamed(roomy, LONG)) == [LONG]


def test_the_last_byte_of_the_padding_is_used_and_no_more() -> None:
    more = len(LONG) - len(BUILT)
    padding = -(-more // 8) * 8 + 8
    room = next(p for p in range(0, padding + 1, 8) if _fits(machos.library(BUILT, padding=p)))
    full = machos.library(BUILT, padding=room)
    assert macho.renamed(full, LONG).count(machos.CODE) == 1
    with pytest.raises(macho.Unchanged, match=rf"its header has {room - 8} bytes to spare, .* needs {room} more"):
        macho.renamed(machos.library(BUILT, padding=room - 8), LONG)


def _fits(data: bytes) -> bool:
    try:
        macho.renamed(data, LONG)
    except macho.Unchanged:
        return False
    return True


def test_padding_that_is_used_by_something_stays() -> None:
    data = bytearray(machos.library(BUILT))
    data[next(iter(macho.slices(bytes(data)))).commands_end + 4] = 1
    with pytest.raises(macho.Unchanged, match="bytes to spare"):
        macho.renamed(bytes(data), LONG)


@pytest.mark.parametrize("name", ["@rpath/libpython3.13.dylib", "/usr/local/lib/libpython3.13.dylib", "/installed/x.dylib", None])
def test_a_name_that_is_true_already_stays(name: str | None) -> None:
    data = machos.library(name)
    assert macho.renamed(data, LONG) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a Mach-O file"),
        (b"\x7fELF" + b"\0" * 60, "not a Mach-O file"),
        (machos.library(BUILT)[:40], "within its load commands|can't be read"),
        (machos.library(BUILT, filetype=2), "type 2, which has no install name"),
        (machos.fat((machos.ARM64, machos.library(BUILT)))[:4200], "before its architectures do"),
        (b"\xca\xfe\xba\xbe" + b"\xff" * 4, "within its load commands"),
    ],
)
def test_what_is_no_library(data: bytes, why: str) -> None:
    with pytest.raises(macho.Unchanged, match=why):
        macho.renamed(data, LONG)


def test_a_file_that_lies_about_itself_is_refused_or_left_whole() -> None:
    """Each byte of its load commands, damaged: the rest of the file is never touched, and nothing but `Unchanged` is raised."""
    data = machos.library(BUILT, signed=True)
    for at in range(next(iter(macho.slices(data))).commands_end):
        for value in (0, 0xFF):
            bad = data[:at] + bytes([value]) + data[at + 1 :]
            try:
                fresh = macho.renamed(bad, LONG)
            except macho.Unchanged:
                continue
            assert len(fresh) == len(data)
            assert fresh[-128:] == data[-128:]


# In the tree of a build

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX: a shell script stands for codesign")
SIGNER = """#!/bin/sh
# Stands for macOS' codesign: says what it was called with, and marks the file.
for path; do :; done
printf '%s\\n' "$*" >>"$(dirname "$0")/calls"
{}
printf signed >>"$path"
"""


def signer(folder: Path, monkeypatch: pytest.MonkeyPatch, *, does: str = "") -> Path:
    program = folder / "codesign"
    program.write_text(SIGNER.format(does))
    program.chmod(0o755)
    monkeypatch.setattr(macho, "CODESIGN", str(program))
    return folder / "calls"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    path = tmp_path / "lib" / "libpython3.13.dylib"
    path.write_bytes(machos.library(BUILT, signed=True))
    path.chmod(0o755)
    return path


@POSIX
def test_a_signed_library_is_signed_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = signer(place.parent.parent, monkeypatch)
    kept = place.parent / "hard-link"
    os.link(place, kept)
    before = place.read_bytes()
    assert macho.make_true(str(place), LONG)
    assert calls.read_text() == f"--sign - --force --identifier libpython3.13 {place}.new\n"
    assert place.read_bytes() == macho.renamed(before, LONG) + b"signed"
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert kept.read_bytes() == before
    assert sorted(path.name for path in place.parent.iterdir()) == ["hard-link", "libpython3.13.dylib"]


def test_without_codesign_a_signed_library_stays_as_it_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macho, "CODESIGN", str(place.parent / "nothing"))
    before = place.read_bytes()
    with pytest.raises(macho.Unchanged, match="it is signed, and there is no .*nothing to sign it anew"):
        macho.make_true(str(place), LONG)
    assert place.read_bytes() == before
    assert len(list(place.parent.iterdir())) == 1


def test_without_codesign_an_unsigned_library_is_patched(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macho, "CODESIGN", str(place.parent / "nothing"))
    place.write_bytes(machos.library(BUILT, cpu=machos.X86_64))
    assert macho.make_true(str(place), LONG)
    assert names(place.read_bytes()) == [LONG]
    assert not macho.make_true(str(place), LONG)


@POSIX
def test_codesign_that_fails_leaves_the_library(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer(place.parent.parent, monkeypatch, does="echo unsupported >&2; exit 3")
    before = place.read_bytes()
    with pytest.raises(macho.Unchanged, match="failed with exit code 3: unsupported"):
        macho.make_true(str(place), LONG)
    assert place.read_bytes() == before
    assert len(list(place.parent.iterdir())) == 1


# Real libraries

WHEEL = "pillow==12.0.0"


def llvm(name: str) -> str:
    """The newest of LLVM's program of that name; on Debian its version may be part of the name."""
    found = shutil.which(name)
    named = sorted(Path("/usr/bin").glob(f"{name}-[0-9]*"), key=lambda path: int(path.name.rpartition("-")[2]))
    if not (found or named):
        pytest.fail(f"{name} is not installed (tests/packages.txt names the package)")
    return found or str(named[-1])


@pytest.fixture(scope="session")
def dylibs() -> dict[str, Path]:
    """Libraries that were linked on macOS, out of a wheel of the package index."""
    folder = own_folder("dylibs") / re.sub(r"\W", "-", WHEEL)
    found: dict[str, Path] = {}
    for platform in ("macosx_11_0_arm64", "macosx_10_13_x86_64"):
        place = folder / platform
        with FileLock(f"{folder}.lock"):
            if not place.is_dir():
                wheels = Path(f"{place}.wheels")
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
                wanted = [f"--platform={platform}", "--python-version=3.12", f"--dest={wheels}", WHEEL]
                done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.fail(f"no {WHEEL} for {platform} could be had: {done.stderr[-500:]}")
                fresh = Path(f"{place}.new")
                with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
                    wheel.extractall(fresh)
                fresh.rename(place)
        small = [path for path in place.glob("PIL/.dylibs/*.dylib") if path.stat().st_size < 200_000]
        found.update({f"{platform}/{path.name}": path for path in small})
    return found


def told(tool: str, *words: str | Path) -> str:
    done = subprocess.run([llvm(tool), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: LLVM's tools")
def test_real_libraries_as_llvm_reads_them(dylibs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(dylibs) > 8
    grown = 0
    for library, source in sorted(dylibs.items()):
        data = source.read_bytes()
        [(built, size)] = re.findall(r"cmd LC_ID_DYLIB\n\s+cmdsize (\d+)\n\s+name (\S+)", told("llvm-otool", "-l", source))
        monkeypatch.setattr(macho, "BUILT_IN", size)
        path = tmp_path / "x.dylib"
        try:
            path.write_bytes(macho.renamed(data, LONG))
        except macho.Unchanged as reason:
            assert "bytes to spare" in str(reason), library
            # LLVM's own tool finds no room either.
            shutil.copy(source, path)
            done = subprocess.run([llvm("llvm-install-name-tool"), "-id", LONG, path], capture_output=True, check=False)
            assert done.returncode != 0, library
            continue
        grown += int(24 + len(LONG) + 1 > int(built))
        assert told("llvm-otool", "-D", path).splitlines()[-1] == LONG, library
        symbols = [told("llvm-objdump", "--macho", "--exports-trie", file).splitlines()[1:] for file in (source, path)]
        assert symbols[0] == symbols[1], library
        # All of the file but its header is as it was: each offset in it still leads to what it led to.
        begin = macho.contents_begin(data, next(iter(macho.slices(data))))
        assert path.read_bytes()[begin:] == data[begin:], library
    assert grown > 2


def test_real_libraries_are_signed_where_arm64_wants_it(dylibs: dict[str, Path]) -> None:
    signed = {library: macho.signed(path.read_bytes()) for library, path in dylibs.items()}
    assert all(value for library, value in signed.items() if "arm64" in library)


def test_structures_are_as_large_as_apples() -> None:
    sizes = {kind: tuple(struct.calcsize("<" + layout) for layout in layouts) for kind, layouts in macho.SEGMENTS.items()}
    assert sizes == {0x1: (56, 68), 0x19: (72, 80)}
