# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What archives are taken, what becomes of them, and what is refused before anything is sent to a host."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import itertools
import os
import random
import subprocess
import tarfile
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import archive, tarstream
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.tree import check_name
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    ContentError,
    TransportError,
)
from tests.store.support import (
    LISTED,
    LONG,
    Entry,
    folder,
    full,
    gz,
    hardlink,
    small,
    symlink,
    tar,
    tree,
    zst,
)
from tests.tools.mkbuild import available
from tests.tools.playbook import REPOSITORY

GOOD = Entry("python/bin/python3.13", b"x", mode=0o755)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def names(listing: bytes) -> list[str]:
    return [line[66:] for line in listing.decode().splitlines()]


def packed(path: Path, compression: archive.Compression, top: str = "python") -> bytes:
    out = io.BytesIO()
    archive.pack(path, top, out, compression)
    return out.getvalue()


def found_in(path: Path, top: str = "python") -> archive.Packed:
    return archive.pack(path, top, io.BytesIO(), "gz")


def listed(data: bytes) -> list[str]:
    """The list of files in a payload that gzip has packed."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as opened:
        file = opened.extractfile("python/.standalone-python/files.sha256")
        assert file is not None
        return names(file.read())


def plain(data: bytes, compression: str) -> bytes:
    return subprocess.run(["gzip" if compression == "gz" else "zstd", "-dc"], input=data, capture_output=True, check=True).stdout


def members(data: bytes, compression: str) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(plain(data, compression))) as opened:
        return {info.name: info for info in opened.getmembers()}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_is_found(tmp_path: Path, form: int) -> None:
    data = gz(tar(tree(), form))
    path = write(tmp_path / "a.tar.gz", data)
    found = found_in(path)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert listed(packed(path, "gz")) == sorted(LISTED, key=str.encode)
    assert found.files == 16
    assert found.unpacked >= 16000 + 4096
    # Also the folders that no member names; without the list and its folder.
    assert found.inodes == len(members(packed(path, "gz"), "gz")) - 2


def test_full_archive(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.zst", full())
    assert set(listed(packed(path, "gz", archive.tree_of("full")))) == LISTED
    for compression in ("gz", "zst"):
        there = members(packed(path, compression, "python/install"), compression)
        assert list(there)[:3] == ["python", "python/bin", "python/bin/python3.13"]
        assert list(there)[-1] == "python/.standalone-python/files.sha256"
        assert not [name for name in there if "install" in name or "build" in name or name.endswith("PYTHON.json")]
        assert there["python/bin/pip3.13"].linkname == "python/bin/python3.13"


def letters(seed: int) -> bytes:
    """A text that gzip makes as much smaller as the files of a build."""
    return "".join(random.Random(seed).choices("abcde", k=9000)).encode()  # noqa: S311


def halves_of(path: Path, compression: archive.Compression) -> tuple[list[tarfile.TarInfo], list[tarfile.TarInfo]]:
    """The members of both halves of the payload, each unpacked alone."""
    out = io.BytesIO()
    split = archive.pack(path, "python", out, compression, halves=True).split
    assert 0 < split < len(out.getvalue())
    found = []
    for half in (out.getvalue()[:split], out.getvalue()[split:]):
        found.append(list(members(half, compression).values()))
    return found[0], found[1]


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_halves(tmp_path: Path, compression: archive.Compression) -> None:
    """Each names its folders before their content, about half of the bytes are in each, and both together are one payload."""
    files = [Entry(f"python/lib/{at // 10}/x/{at}", letters(at)) for at in range(70)]
    path = write(tmp_path / "a", gz(tar([*files, symlink("python/l", "lib/0/x")])))
    halves = halves_of(path, compression)
    for half in halves:
        seen: set[str] = set()
        for info in half:
            assert info.name == "python" or info.name.rpartition("/")[0] in seen
            seen |= {info.name} if info.isdir() else set()
        assert 250_000 < sum(info.size for info in half) < 400_000
    folders = [{info.name: info.mtime for info in half if info.isdir()} for half in halves]
    assert {"python", "python/lib"} < folders[0].keys() & folders[1].keys()
    assert all(folders[0][name] == folders[1][name] for name in folders[0].keys() & folders[1].keys())

    together = {info.name: (info.type, info.mode, info.mtime, info.size) for half in halves for info in half}
    alone = members(packed(path, compression), compression)
    assert together == {name: (info.type, info.mode, info.mtime, info.size) for name, info in alone.items()}


def test_the_tar_does_not_depend_on_how_it_is_packed(tmp_path: Path) -> None:
    path = write(tmp_path / "a", gz(tar([Entry(f"python/lib/{at // 10}/{at}", letters(at)) for at in range(70)])))
    tars = set()
    for compression, halves in itertools.product(("gz", "zst"), (False, True)):
        out = io.BytesIO()
        assert (archive.pack(path, "python", out, compression, halves=halves).split > 0) == halves
        tars.add(plain(out.getvalue(), compression))
    assert len(tars) == 1


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_a_hard_link_to_the_other_half(tmp_path: Path, compression: archive.Compression) -> None:
    first, *others = (Entry(f"python/{name}", letters(at)) for at, name in enumerate("acde"))
    link = hardlink("python/b", "python/a")
    path = write(tmp_path / "first", gz(tar([first, link, *others])))
    assert [info.name for info in halves_of(path, compression)[0] if info.islnk()] == ["python/b"]
    path = write(tmp_path / "second", gz(tar([first, *others, link])))
    out = io.BytesIO()
    assert archive.pack(path, "python", out, compression, halves=True).split == 0
    assert members(out.getvalue(), compression)["python/b"].linkname == "python/a"


def test_a_module_in_the_working_directory_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tar.zst", full())
    for name in ("zstandard", "json", "typing", "sitecustomize", "encodings"):
        write(tmp_path / f"{name}.py", f"open({name!r} + '.ran', 'w')".encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert found_in(path, "python/install").files == 16
    assert list(tmp_path.glob("*.ran")) == []


def test_normalised(tmp_path: Path) -> None:
    entries = [
        Entry("python/a", b"x", mode=0o600),
        Entry("python/b", b"x", mode=0o710),
        Entry("python/d", kind=tarfile.DIRTYPE, mode=0o1700),
        symlink("python/l", "a"),
    ]
    there = members(packed(write(tmp_path / "a", gz(tar(entries))), "zst"), "zst")
    assert {name: info.mode for name, info in there.items()} == {
        "python": 0o755,
        "python/.standalone-python": 0o755,
        "python/.standalone-python/files.sha256": 0o644,
        "python/a": 0o644,
        "python/b": 0o755,
        "python/d": 0o755,
        "python/l": 0o777,
    }
    assert {(info.uid, info.gid, info.uname, info.gname) for info in there.values()} == {(0, 0, "", "")}
    assert there["python/a"].mtime == 1_700_000_000


@pytest.mark.parametrize(
    "entries",
    [
        [GOOD, Entry("python/attributes", pax={"SCHILY.xattr.security.capability": "x"})],
        [GOOD, Entry("python/named", pax={"path": "python/other"})],
    ],
)
def test_nothing_that_tars_read_differently_is_passed_on(tmp_path: Path, entries: list[Entry]) -> None:
    made = packed(write(tmp_path / "a", gz(tar(entries, tarfile.PAX_FORMAT))), "gz")
    assert not [info for info in members(made, "gz").values() if info.pax_headers]


@pytest.mark.parametrize("compression", ["gz", "zst"])
@pytest.mark.parametrize("data", [small(), full()], ids=["install_only", "full"])
def test_deterministic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: archive.Compression, data: bytes) -> None:
    top = "python/install" if data == full() else "python"
    path = write(tmp_path / "a", data)
    first = packed(path, compression, top)
    os.utime(path, (1, 1))
    monkeypatch.setattr(tarstream, "CHUNK", 1000)
    assert packed(path, compression, top) == first


# The sum of the tar that is packed from ``small()``. Lock files record such sums. If it has to change, raise archive.FORM and
# store.RECIPE with it: otherwise the sums in lock files are not those of the tars that versions after this make.
FORM, TAR = 1, "79b33aeb71f40bd390e3ac617a9e932a9215c8b537868f19221adcf056da4c4c"


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_the_tar_of_an_archive_has_the_sum_that_lock_files_record(tmp_path: Path, compression: archive.Compression) -> None:
    payload = write(tmp_path / "payload", packed(write(tmp_path / "a", small()), compression))
    assert (archive.FORM, archive.tar_checksum(payload)) == (FORM, TAR)
    if compression == "gz":
        assert hashlib.sha256(gzip.decompress(payload.read_bytes())).hexdigest() == TAR


@pytest.mark.parametrize("minor", [minor for minor in available() if minor not in ("3.8", "3.9", "3.10")])
def test_every_python_packs_the_same_tar(minor: str, tmp_path: Path) -> None:
    """Who locks and who makes the deltas of a mirror have different ones."""
    program = (
        f"import pathlib, sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
        f"from {archive.__name__} import pack, tar_checksum\n"
        "archive, payload = map(pathlib.Path, sys.argv[1:])\n"
        "with payload.open('wb') as out:\n    pack(archive, 'python', out, 'gz')\n"
        "print(tar_checksum(payload))"
    )
    paths = (write(tmp_path / "a", small()), tmp_path / "payload")
    done = subprocess.run(
        [available()[minor], "-I", "-B", "-S", "-c", program, *paths], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{TAR}\n", "")


def test_a_damaged_payload_has_no_sum(tmp_path: Path) -> None:
    payload = write(tmp_path / "payload", packed(write(tmp_path / "a", small()), "gz")[:-20])
    with pytest.raises(ContentError, match="can't be unpacked"):
        archive.tar_checksum(payload)


HOSTILE = {
    "absolute": ([Entry("/etc/passwd")], "/etc/passwd.*absolute"),
    "climbs": ([Entry("python/../../etc/passwd")], "passwd.*has '..'"),
    "climbs at the end": ([folder("python/..")], "python/...*has '..'"),
    "outside": ([Entry("pythonx/a")], "pythonx/a.*outside python/"),
    "outside, alone": ([Entry("README")], "README.*outside python/"),
    "dot": ([Entry("./python/a")], "./python/a.*'.' in its name"),
    "empty part": ([Entry("python//a")], "python//a.*an empty part"),
    "newline": ([Entry("python/a\nb")], r"python/a\\nb.*control character"),
    "escape": ([Entry("python/\x1b[31m")], r"\\x1b.*control character"),
    "backslash": ([Entry("python/..\\..\\a")], "backslash"),
    "not UTF-8": ([Entry("python/\udcff")], r"\\udcff.*not UTF-8"),
    "long part": ([Entry(f"python/{'a' * 300}")], "aaa.*too long"),
    "long name": ([Entry("python/" + "/".join(["a" * 200] * 30))], r"aaa' has a name too long"),
    "deep": ([Entry(f"python/{'a/' * 64}b")], "a/b' is more than 64 folders deep"),
    "deep, elsewhere": ([GOOD, folder(f"python/build/{'a/' * 64}b")], "a/b' is more than 64 folders deep"),
    "deep link": ([symlink("python/a", "b/" * 64)], "python/a.*a link to a name that is too long"),
    "long link": ([symlink("python/a", "b" * 5000)], "python/a.*a link to a name that is too long"),
    "absolute link": ([symlink("python/a", "/etc/passwd")], "python/a.*absolute path /etc/passwd"),
    "leaving link": ([symlink("python/bin/a", "../../etc")], "python/bin/a.*leaves the tree"),
    "link that leaves through a link": (
        [symlink("python/a/b/up", "../.."), symlink("python/c", "a/b/up/../..")],
        "python/c.*leaves the tree",
    ),
    "empty link": ([symlink("python/a", "")], "python/a.*leaves the tree"),
    "link with a line break": ([symlink("python/a", "b\nc")], "python/a.*control character"),
    "leaving hard link": ([hardlink("python/a", "/etc/shadow")], "python/a.*hard link to '/etc/shadow'"),
    "climbing hard link": ([hardlink("python/a", "python/../b")], "python/a.*hard link"),
    "hard link to what comes later": (
        [hardlink("python/a", "python/b"), Entry("python/b")],
        "python/a.*hard link",
    ),
    "hard link to a link": (
        [symlink("python/a", "b"), hardlink("python/c", "python/a")],
        "python/c.*hard link",
    ),
    "character device": ([Entry("python/a", kind=tarfile.CHRTYPE)], "python/a.*character device"),
    "block device": ([Entry("python/a", kind=tarfile.BLKTYPE)], "python/a.*block device"),
    "pipe": ([Entry("python/a", kind=tarfile.FIFOTYPE)], "python/a.*named pipe"),
    "contiguous": ([Entry("python/a", kind=tarfile.CONTTYPE)], "python/a.*contiguous"),
    "sparse": ([Entry("python/a", kind=tarfile.GNUTYPE_SPARSE)], "python/a.*sparse"),
    "unknown type": ([Entry("python/a", kind=b"V")], "python/a.*type b'V'"),
    "set-uid": ([Entry("python/a", mode=0o4755)], "python/a.*set-uid"),
    "set-gid folder": ([Entry("python/a", kind=tarfile.DIRTYPE, mode=0o2755)], "python/a.*set-gid"),
    "twice": ([Entry("python/a"), Entry("python/a")], "python/a.*twice"),
    "folder twice": ([folder("python/a"), folder("python/a")], "python/a.*twice"),
    "file in place of a folder": ([Entry("python/a/b"), Entry("python/a")], "python/a.*as a folder"),
    "link in place of a folder": ([Entry("python/a/b"), symlink("python/a", "c")], "python/a.*as a folder"),
    "below a link": (
        [folder("python/d"), symlink("python/a", "d"), Entry("python/a/b")],
        "python/a/b.*is a link",
    ),
    "below a file": ([Entry("python/a"), Entry("python/a/b")], "python/a/b.*is a file"),
    "the tree is a link": ([symlink("python", "lib"), GOOD], "'python'"),
    "the tree is a file": ([Entry("python"), GOOD], "'python'"),
    "receipt": ([Entry("python/.standalone-python/receipt.json")], "receipt.json.*reserved for the receipt"),
    "no tree": ([folder("python")], "no files below python/"),
    "nothing": ([], "no files below python/"),
}


@pytest.mark.parametrize("pack", [gz, zst])
@pytest.mark.parametrize("kind", HOSTILE)
def test_refused(tmp_path: Path, kind: str, pack: object) -> None:
    entries, said = HOSTILE[kind]
    path = write(tmp_path / "a", (gz if pack is gz else zst)(tar(entries)))
    with pytest.raises(ContentError, match=said):
        found_in(path)


PAX = {
    "path": ({"path": "python/../../a"}, "python/../../a.*has '..'"),
    "link": ({"linkpath": "/etc"}, "absolute path /etc"),
    "size": ({"size": "5"}, "'size'"),
    "sparse": ({"GNU.sparse.major": "1"}, "GNU.sparse.major"),
}


@pytest.mark.parametrize("kind", PAX)
def test_refused_pax(tmp_path: Path, kind: str) -> None:
    pax, said = PAX[kind]
    info = tarfile.TarInfo("python/a")
    info.type, info.linkname = tarfile.SYMTYPE, "b"
    header = info._create_pax_generic_header(pax, tarfile.XHDTYPE, "utf-8")  # type: ignore[attr-defined]
    path = write(tmp_path / "a", gz(header + info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)))
    with pytest.raises(ContentError, match=said):
        found_in(path)


def test_refused_global_name(tmp_path: Path) -> None:
    header = tarfile.TarInfo._create_pax_generic_header(  # type: ignore[attr-defined]
        {"path": "python/b"}, tarfile.XGLTYPE, "utf-8"
    )
    path = write(tmp_path / "a", gz(header + tar([GOOD])))
    with pytest.raises(ContentError, match="gives all of its members one name"):
        found_in(path)


def checked(header: bytearray) -> bytes:
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def test_what_readers_take_differently(tmp_path: Path) -> None:
    good = tar([GOOD])
    end = good.index(bytes(1024), 1024)
    hidden = tar([Entry("python/hidden")])
    old, mixed = bytearray(good[:512]), bytearray(good[:512])
    old[257:265] = bytes(8)
    mixed[345:352] = b"../../x"
    slash = bytearray(tar([folder("python/a")])[:512])
    slash[156:157] = b"0"
    sized = bytearray(tar([folder("python/a")])[:512])
    sized[124:136] = b"00000001000\0"
    longer = tarfile.TarInfo("python/a")._create_gnu_long_header  # type: ignore[attr-defined]
    twice = 2 * longer("python/b", tarfile.GNUTYPE_LONGNAME, "utf-8", "strict")
    for data, said in [
        (good[:end] + bytes(512) + hidden, "has data after its end"),
        (good[:end] + bytes(1024) + hidden, "has data after its end"),
        (checked(old) + good[512:], "implementations of tar read differently"),
        (checked(mixed) + good[512:], "implementations of tar read differently"),
        (checked(slash) + bytes(1024), "can be read as a file or as something else"),
        (checked(sized) + bytes(2048), "can be read as a folder or as something else"),
        (twice + good, "names a member twice"),
        (twice[: len(twice) // 2] + bytes(1024), "the name of a missing member"),
        (good[:end] + raw_headers(tarfile.XHDTYPE, b"", 1) + bytes(1024), "the name of a missing member"),
        (good[:148] + b"0000000" + good[155:], "broken header"),
        (good[:end], "is truncated"),
        (good[: end + 512], "is truncated"),
        (good[:700], "is truncated"),
    ]:
        with pytest.raises(ContentError, match=said):
            found_in(write(tmp_path / "a", gz(data)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (small()[:-200], "can't be unpacked|is truncated"),
        (small() + b"garbage", "can't be unpacked"),
        (full()[:-200], "can't be unpacked|is truncated"),
        (full() + b"garbage", "can't be unpacked"),
        (small()[:200] + b"garbage" + small()[207:], "can't be unpacked"),
        (b"neither", "neither gzip nor zstd"),
        (b"", "neither gzip nor zstd"),
    ],
)
def test_broken(tmp_path: Path, data: bytes, said: str) -> None:
    top = "python/install" if data.startswith(full()[:4]) else "python"
    with pytest.raises(ContentError, match=said):
        found_in(write(tmp_path / "a", data), top)


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = write(tmp_path / "zeros", gz(tar([GOOD, Entry("python/zeros", bytes(5_000_000))])))
    with pytest.raises(ContentError, match="more than 100 times its size"):
        found_in(zeros)
    after = write(tmp_path / "after", gz(tar([GOOD]) + bytes(5_000_000)))
    with pytest.raises(ContentError, match="more than 100 times its size"):
        found_in(after)
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    name = write(tmp_path / "name", gz(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(ContentError, match="has a header of 1073741824 bytes"):
        found_in(name)
    huge = tarfile.TarInfo("python/huge")
    huge.size = 5 << 30
    with pytest.raises(ContentError, match="'python/huge'"):
        found_in(write(tmp_path / "huge", gz(huge.tobuf(tarfile.GNU_FORMAT))))
    monkeypatch.setattr(tarstream, "MOST_MEMBERS", 5)
    with pytest.raises(ContentError, match="more than 5 members"):
        found_in(write(tmp_path / "many", small()))
    monkeypatch.setattr(tarstream, "MOST_MEMBERS", 100)
    monkeypatch.setattr(tarstream, "MOST_UNPACKED", 20_000)
    with pytest.raises(ContentError, match="unpacks to more than"):
        found_in(write(tmp_path / "large", small()))


def below(depth: int, name: str, part: str = "") -> str:
    return f"python/{f'{part or name}/' * depth}{name}"


def links(count: int, chain: int) -> Iterator[Entry]:
    """Each leads through a chain of others, which all lead on from deep below."""
    yield folder(below(20, "d"))
    for number in range(chain):
        yield symlink(f"python/{'d/' * 20}{number}", f"../{'../' * 18}../{'d/' * 20}{number + 1}")
    for number in range(count):
        yield symlink(f"python/to{number}", f"{'d/' * 20}0")


def raw_headers(kind: bytes, data: bytes, count: int) -> bytes:
    info = tarfile.TarInfo("././@Header")
    info.type, info.size = kind, len(data)
    return (info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)) * count


# What takes little room in an archive, and much wherever it is unpacked.
SMALL: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "2,000 levels of folders": (lambda: tar(Entry(f"python/{f'{n}/' * 1000}x") for n in range(190)), "64 folders deep|too long"),
    "levels in few letters": (lambda: tar(Entry(below(1990, f"{n}", "a")) for n in range(200)), "64 folders deep|too long"),
    "folders that nobody named": (
        lambda: tar(Entry(below(20, f"{n:x}")) for n in range(6_000)),
        "more than 100000 files, links and folders",
    ),
    "long names of folders that nobody named": (
        lambda: tar(Entry(below(14, f"{n:0250}")) for n in range(500)),
        "more than 8 MiB of names",
    ),
    "long targets of links": (
        lambda: tar(symlink(f"python/{n}", "/".join(["a" * 200] * 20)) for n in range(2_200)),
        "more than 8 MiB of headers",
    ),
    "links through links": (lambda: tar(links(2_000, 39)), "links that lead through too many other links"),
    "pax headers of many records": (
        lambda: raw_headers(tarfile.XHDTYPE, b"6 a=b\n" * 10_000, 160),
        "more than 8 MiB of headers",
    ),
    "long names that name nothing": (
        lambda: raw_headers(tarfile.XGLTYPE, b"65000 a=" + b"b" * 64_991 + b"\n", 600),
        "more than 8 MiB of headers",
    ),
}


@pytest.mark.parametrize("case", SMALL)
def test_what_is_small_costs_little_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    made, said = SMALL[case]
    monkeypatch.setattr(tarstream, "MOST_RATIO", 1_000_000)
    path = write(tmp_path / "a", gz(made()))
    began = time.process_time()
    with pytest.raises(ContentError, match=said) as caught:
        found_in(path)
    assert time.process_time() - began < 10
    assert len(str(caught.value)) < 500
    tracemalloc.start()
    try:
        with pytest.raises(ContentError):
            found_in(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_what_is_taken_costs_no_more_than_it_says(tmp_path: Path) -> None:
    """Folders that only names below them imply are counted like all others, each once."""
    named = [folder(f"python/{'a/' * depth}a") for depth in range(20)]
    deep = Entry(f"python/{'a/' * 20}x", b"x")
    implied, explicit = (found_in(write(tmp_path / "a", gz(tar(entries)))) for entries in ([deep], [*named, deep]))
    assert implied == replace(explicit, sha256=implied.sha256)
    assert implied.unpacked >= 22 * 4096


def test_window_is_bounded(tmp_path: Path) -> None:
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28, write_content_size=0)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(tar(tree())) + compressor.flush()
    with pytest.raises(ContentError, match="too much memory"):
        found_in(write(tmp_path / "a", data))


def test_without_zstandard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(
        TransportError, match="zstandard, which is not installed for .*, or request a flavor that comes as .tar.gz$"
    ):
        found_in(write(tmp_path / "a", full()), "python/install")
    assert found_in(write(tmp_path / "b", small())).files == 16


PARTS = st.sampled_from(["python", "a", "b", "..", ".", "", "/", "C:", "~", "a\\b", "\0", "\n", "\u00fc", "\udc80", "..."])
NAMES = st.lists(PARTS, max_size=6).map("/".join) | st.text(max_size=30) | st.text(max_size=30).map("python/{}".format)


@given(NAMES)
def test_a_name_that_passes_stays_inside(name: str) -> None:
    if check_name(name):
        return
    assert os.path.normpath(os.path.join("/root", name)) == f"/root/{name}"
    assert name == "python" or name.startswith("python/")
    assert len(f"{name}\n".splitlines()) == 1


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", "..", ".", ""]), max_size=5).map("/".join)
MEMBERS = st.one_of(
    PATHS.map(lambda path: Entry(f"python/{path}", b"x")),
    PATHS.map(lambda path: folder(f"python/{path}")),
    st.tuples(PATHS, TARGETS).map(lambda pair: symlink(f"python/{pair[0]}", pair[1])),
    st.tuples(PATHS, PATHS).map(lambda pair: hardlink(f"python/{pair[0]}", f"python/{pair[1]}")),
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.lists(MEMBERS, min_size=1, max_size=5))
def test_what_passes_unpacks_inside(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name).resolve()
        data = tar([Entry("python/z", b"z"), *entries])
        try:
            made = packed(write(top / "a.tar.gz", gz(data)), "gz")
        except ContentError:
            return
        out = top / "deep" / "out"
        out.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as opened:
            opened.extractall(out, filter="fully_trusted")
        assert sorted(os.listdir(top)) == ["a.tar.gz", "deep"]
        assert os.listdir(top / "deep") == ["out"]
        assert os.listdir(out) == ["python"]
        tree = out / "python"
        there = set()
        for path in tree.rglob("*"):
            # A loop has no end that could be outside; of one with a double slash realpath makes an absolute path.
            try:
                path.stat()
            except OSError as error:
                if error.errno == errno.ELOOP:
                    continue
            real = os.path.realpath(path)
            assert real == str(tree) or real.startswith(f"{tree}/")
            if path.is_file():
                there.add(str(path.relative_to(tree)))
        # rglob may or may not walk through a linked folder; what is listed is never below one.
        assert {path for path in there if not any((tree / up).is_symlink() for up in Path(path).parents)} == set(listed(made))


def test_long_names_are_read_by_every_tar(tmp_path: Path) -> None:
    made = packed(write(tmp_path / "a", gz(tar(tree(), tarfile.PAX_FORMAT))), "gz")
    path = write(tmp_path / "made.tar.gz", made)
    for number, command in enumerate((["tar"], ["bsdtar"], ["busybox", "tar"])):
        out = tmp_path / str(number)
        out.mkdir()
        subprocess.run([*command, "-xzf", str(path)], cwd=out, check=True)
        assert (out / "python" / LONG).read_bytes() == b"long\n"
