# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deltas: a host rebuilds the same tar from any old tree, or nothing; and the cache has each of them once."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import random
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bsdiff4 import core
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import archive, contents, delta, deltas, tarstream
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import exclusive_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import Source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Payload, Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError, TransportError
from tests.store.support import Entry, build, folder, gz, tar, tree

OLD_NAME = "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
NEW_NAME = "cpython-3.13.2+20250317-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
AGENT: dict[str, Any] = {"__name__": "agent"}
exec(compile(sh.module("delta.py"), "delta.py", "exec"), AGENT)  # noqa: S102
REFUSALS = (AGENT["Wrong"], OSError, ValueError, EOFError, lzma.LZMAError)
NOISE = random.Random(1).randbytes(60_000)  # noqa: S311
# The tree that a patch upgrade changes: a program that grew in the middle, a text, a new name for an old content.
NEWER = [
    *(entry for entry in tree() if entry.name not in {"python/lib/python3.13/os.py", "python/bin/python3.13"}),
    Entry("python/bin/program", NOISE[:30_000] + b"new" * 7 + NOISE[30_000:], mode=0o755),
    Entry("python/lib/python3.13/os.py", b"import abc, sys\n"),
    Entry("python/lib/python3.13/renamed.py", b"long\n"),
]
NEWER.insert(0, NEWER.pop(NEWER.index(folder("python"))))
OLDER = [*tree(), Entry("python/bin/program", NOISE, mode=0o755)]
# A hard link of this tree leads to a file that the newer one leaves out.
NEWER = [entry for entry in NEWER if entry.kind != tarfile.LNKTYPE]


def packed(path: Path, entries: list[Entry], compression: archive.Compression = "gz") -> Path:
    source = path.with_name(f"{path.name}.tar.gz")
    source.write_bytes(gz(tar(entries)))
    with path.open("wb") as out:
        archive.pack(source, "python", out, compression)
    return path


def unpacked(payload: Path, where: Path) -> Path:
    with tarfile.open(payload) as opened:
        opened.extractall(where, filter="tar")
    return where / "python"


def made(old: Path, new: Path, work: Path) -> tuple[Path, str]:
    path = work / "delta"
    with path.open("wb") as out:
        return path, delta.make(old, new, out, work)


def rebuilt(path: Path, base: Path) -> bytes:
    out = io.BytesIO()
    digest = AGENT["rebuild"](str(path), str(base), out)
    assert digest == hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue()


def tar_of(payload: Path) -> bytes:
    import gzip

    return gzip.decompress(payload.read_bytes())


NAMES = st.sampled_from(
    ["bin/python3.13", "bin/tool", "lib/a.py", "lib/b/c.py", "lib/libpython.so", "lib/gr\u00fc\u00dfe", "lib/x.pyc"]
)
CONTENTS = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda at, more: NOISE[at : at + 9000] + more, st.integers(0, 5000), st.binary(max_size=20)),
    st.builds(lambda at, more: NOISE[:at] + more + NOISE[at:9000], st.integers(0, 9000), st.binary(max_size=900)),
)
TREES = st.dictionaries(NAMES, CONTENTS, min_size=1).map(
    lambda files: [Entry(f"python/{name}", files[name]) for name in sorted(files)]
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=TREES, new=TREES)
def test_any_tree_is_rebuilt_from_any_other(
    old: list[Entry], new: list[Entry], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path_factory.mktemp("any")
    monkeypatch.setattr(delta, "PIECE", 3000)
    monkeypatch.setattr(delta, "SEGMENT", 2000)
    monkeypatch.setattr(delta, "MARGIN", 500)
    one, other = packed(work / "old", old), packed(work / "new", new)
    path, digest = made(one, other, work)
    result = rebuilt(path, unpacked(one, work / "base"))
    assert result == tar_of(other)
    assert digest == hashlib.sha256(result).hexdigest()


@pytest.mark.parametrize(("old", "new"), [(59_000, 9_000), (9_000, 59_000), (59_000, 59_000), (500, 59_000)])
def test_what_is_compared_at_a_time_is_bounded(old: int, new: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing takes 17 bytes of memory for each byte of the old range."""
    compared: list[tuple[int, int]] = []
    whole = core.diff

    def diff(one: bytes, other: bytes) -> Any:
        compared.append((len(one), len(other)))
        return whole(one, other)

    monkeypatch.setattr(core, "diff", diff)
    monkeypatch.setattr(delta, "PIECE", 4000)
    monkeypatch.setattr(delta, "MARGIN", 1000)
    monkeypatch.setattr(tarstream, "CHUNK", 1000)
    first, second = (packed(tmp_path / str(size), [Entry("python/lib/x.so", NOISE[:size] + b"end")]) for size in (old, new + 1))
    path, _digest = made(first, second, tmp_path)
    assert max(one for one, _other in compared) <= 6000
    assert max(other for _one, other in compared) <= 5000
    assert rebuilt(path, unpacked(first, tmp_path / "base")) == tar_of(second)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path, Path]:
    """A delta, the checksum of its tar, the old tree, and the new payload."""
    work = tmp_path_factory.mktemp("pair")
    old, new = packed(work / "old", OLDER), packed(work / "new", NEWER, "zst")
    path, digest = made(old, new, work)
    return path, digest, unpacked(old, work / "base"), new


def test_only_what_differs_is_in_it(pair: tuple[Path, str, Path, Path]) -> None:
    path, digest, base, new = pair
    assert hashlib.sha256(rebuilt(path, base)).hexdigest() == digest
    assert path.stat().st_size < 4000 < 50_000 < new.stat().st_size


@pytest.mark.parametrize(
    "name",
    [
        ".standalone-python/files.sha256",
        "bin/pip3",
        "lib/python3.13/ssl.py",
        "lib/python3.13/EXTERNALLY-MANAGED",
        "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py",
        "lib/python3.13/_sysconfig_vars__linux_x86_64-linux-gnu.json",
        "lib/python3.13/build-details.json",
        "lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile",
        "lib/python3.13/config-3.13-x86_64-linux-gnu/python-config.py",
        "lib/pkgconfig/python-3.13.pc",
        "lib/python3.13/__pycache__/os.cpython-313.pyc",
        "lib/libpython3.13.dylib",
    ],
)
def test_files_that_hosts_change_are_not_needed(name: str, tmp_path: Path) -> None:
    changed = [Entry(f"python/{name}", b"#!/install/bin/python3.13\n" * 9), Entry("python/lib/kept.py", NOISE[:999])]
    old = packed(tmp_path / "old", [entry for entry in changed if not entry.name.startswith("python/.")])
    path, _digest = made(old, old, tmp_path)
    base = unpacked(old, tmp_path / "base")
    (base / name).unlink()
    assert rebuilt(path, base) == tar_of(old)
    (base / "lib/kept.py").unlink()
    with pytest.raises(OSError, match="kept"):
        rebuilt(path, base)


def exchange(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(base: Path) -> None:
        program = base / "bin/program"
        program.unlink()
        change(program)

    return damage


def overwrite(base: Path) -> None:
    data = bytearray((base / "bin/program").read_bytes())
    data[1000] ^= 1
    (base / "bin/program").write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a byte": overwrite,
    "longer": lambda base: (base / "bin/program").write_bytes(NOISE + b"x"),
    "missing": exchange(lambda path: None),
    "a link": exchange(lambda path: path.symlink_to("python3.13")),
    "a pipe that nobody writes to": exchange(lambda path: os.mkfifo(path)),
    "a folder": exchange(lambda path: path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_old_build_that_was_changed_gives_an_error(damage: str, tmp_path: Path) -> None:
    old, new = packed(tmp_path / "old", OLDER), packed(tmp_path / "new", NEWER)
    path, digest = made(old, new, tmp_path)
    base = unpacked(old, tmp_path / "base")
    DAMAGES[damage](base)
    program = tmp_path / "delta.py"
    program.write_text(sh.module("delta.py"))
    result = subprocess.run([sys.executable, "-IBS", program, path, base, digest], capture_output=True, check=False)
    assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)


def forged(path: Path, operations: str, new: bytes = b"", change: bytes = b"") -> Path:
    parts = [lzma.compress(part) for part in (operations.encode(), new, change)]
    path.write_bytes(delta.MAGIC + b"%d %d %d\n" % tuple(map(len, parts)) + b"".join(parts))
    return path


@pytest.mark.parametrize(
    "operations",
    [
        "copy 6 ../secret\n",
        "copy 6 lib/../../secret\n",
        "copy 6 /etc/hostname\n",
        "copy 6 lib/outside\n",
        "copy 6 \n",
        "copy 6 .\n",
        "copy 5 lib/file\n",
        "copy -1 lib/file\n",
        "copy 6\n",
        "open 6 lib/file\nadd 7 0\n",
        "open 6 lib/file\nadd 3 4\n",
        "open 6 lib/file\nadd 1 \u0661\n",
        "add 3 0\n",
        "new 9\n",
        "new 99999999999999999999\n",
        "remove 6 lib/file\n",
        "\n",
        "copy 6 lib/file",
        f"copy 6 {'x/' * 9000}\n",
    ],
)
def test_a_forged_delta_is_refused(operations: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "lib").mkdir(parents=True)
    (base / "lib/file").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"secret")
    (base / "lib/outside").symlink_to("../../secret")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(REFUSALS):
        rebuilt(forged(tmp_path / "delta", operations, b"new", bytes(9)), base)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "delta"])


def test_a_damaged_delta_gives_another_checksum_or_an_error(pair: tuple[Path, str, Path, Path], tmp_path: Path) -> None:
    path, digest, base, _new = pair
    whole, chance = path.read_bytes(), random.Random(19)  # noqa: S311
    for number in range(300):
        data = bytearray(whole)
        if number % 3:
            for _byte in range(number % 3):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) :]
        if data == whole:
            continue
        damaged = tmp_path / "delta"
        damaged.write_bytes(data)
        try:
            found = AGENT["rebuild"](str(damaged), str(base), io.BytesIO())
        except REFUSALS:
            continue
        assert found == digest  # some bytes of xz do not matter


def test_the_same_trees_give_the_same_delta(tmp_path: Path) -> None:
    old, new = packed(tmp_path / "old", OLDER), packed(tmp_path / "new", NEWER)
    first = made(old, new, tmp_path)[0].read_bytes()
    assert made(packed(tmp_path / "old", OLDER, "zst"), new, tmp_path)[0].read_bytes() == first


# The cache


@pytest.fixture
def cached(tmp_path: Path) -> tuple[Payload, str, Build]:
    """The payload of a new build, the checksum of its archive, and an older build whose payload is in the cache too."""
    store, found = Store(tmp_path / "cache"), []
    for name, entries in ((OLD_NAME, OLDER), (NEW_NAME, NEWER)):
        data = gz(tar(entries))
        (tmp_path / name).write_bytes(data)
        one = build(name, data)
        source = Source("archive", str(tmp_path / name), checksum=one.sha256 or "")
        found.append((one, store.payload(one, source, zstd=False)))
    (old, _payload), (new, payload) = found
    return payload, new.sha256 or "", old


def test_a_delta_is_made_once_and_found(cached: tuple[Payload, str, Build], tmp_path: Path) -> None:
    payload, digest, old = cached
    assert deltas.find(payload, digest, old) is None
    deltas.make_beside(payload, digest, old)
    found = deltas.find(payload, digest, old)
    assert found is not None
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    stamp = found.path.stat()
    assert deltas.make_beside(payload, digest, old) == found
    assert found.path.stat() == stamp
    assert {path.name for path in (tmp_path / "cache/deltas").iterdir()} <= {"lock"}
    # It belongs to its build: it is counted, and goes with it.
    entry = next(one for one in contents.entries(tmp_path / "cache") if one.folder == payload.path.parent)
    assert entry.payload > payload.size + found.size
    assert contents.remove(entry, unused_for=0)
    assert deltas.find(payload, digest, old) is None


@pytest.mark.parametrize("wrong", ["archive", "base", "recipe", "stamp"])
def test_a_delta_that_is_not_the_recorded_one_is_not_used(wrong: str, cached: tuple[Payload, str, Build]) -> None:
    payload, digest, old = cached
    deltas.make_beside(payload, digest, old)
    found = deltas.find(payload, digest, old)
    assert found is not None
    record = found.path.with_name(f"{found.path.name}.json")
    about = json.loads(record.read_text())
    record.write_text(json.dumps(about | {wrong: "other"}))
    assert deltas.find(payload, digest, old) is None
    record.write_text(json.dumps(about))
    assert deltas.find(payload, digest, old) == found
    os.utime(found.path, (1, 1))
    assert deltas.find(payload, digest, old) is None


def test_what_would_not_be_small_is_tried_once(cached: tuple[Payload, str, Build], monkeypatch: pytest.MonkeyPatch) -> None:
    payload, digest, old = cached
    monkeypatch.setattr(deltas, "LARGEST", 0.001)
    made = deltas.make_beside(payload, digest, old)
    assert made is not None
    assert made.size == 0
    assert deltas.find(payload, digest, old) is None
    monkeypatch.setattr(deltas, "make", None)
    deltas.make_beside(payload, digest, old)
    assert not list(payload.path.parent.glob("delta-????????????"))


def test_no_delta_is_made_without_the_older_payload(cached: tuple[Payload, str, Build], tmp_path: Path) -> None:
    payload, digest, old = cached
    entry = next(one for one in contents.entries(tmp_path / "cache") if one.build.name == old.name)
    assert contents.remove(entry, unused_for=0)
    assert deltas.make_beside(payload, digest, old) is None
    assert deltas.tried(payload, digest, old) is None


def test_nothing_is_downloaded_for_a_delta(cached: tuple[Payload, str, Build], monkeypatch: pytest.MonkeyPatch) -> None:
    payload, digest, old = cached
    monkeypatch.setattr(os, "fork", None)
    for base in (replace(old, sha256="0" * 64), replace(old, sha256=None)):
        deltas.begin(payload, digest, base, os.getpid())
        assert deltas.find(payload, digest, base) is None


def test_one_process_makes_deltas_at_a_time(cached: tuple[Payload, str, Build], tmp_path: Path) -> None:
    payload, digest, old = cached
    folder = tmp_path / "cache/deltas"
    folder.mkdir()
    with exclusive_lock(folder), pytest.raises(TransportError):
        deltas.make_beside(payload, digest, old)


def in_the_cache(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name != "lock"]


@pytest.fixture
def segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of these trees has eight segments."""
    for name, size in (("PIECE", 8000), ("MARGIN", 2000), ("SEGMENT", 8000)):
        monkeypatch.setattr(delta, name, size)
    monkeypatch.setattr(tarstream, "CHUNK", 1000)


def lost(_folder: Path) -> None:
    pass


def half_a_segment(folder: Path) -> None:
    last = max(folder.iterdir(), key=lambda path: int(path.name))
    last.write_bytes(last.read_bytes()[:-9])


def no_bytes(folder: Path) -> None:
    max(folder.iterdir(), key=lambda path: int(path.name)).write_bytes(b"")


def half_a_temporary_file(folder: Path) -> None:
    (folder / "7.1.part").write_bytes(b"half")


@pytest.mark.usefixtures("segments")
@pytest.mark.parametrize("left", [lost, half_a_segment, no_bytes, half_a_temporary_file])
def test_runs_that_end_early_make_a_delta_together(
    left: Callable[[Path], None], cached: tuple[Payload, str, Build], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run is stopped at the third comparison, and the first may leave a half file; the delta is the one of a single run."""
    payload, digest, old = cached
    compared: list[bytes] = []
    whole = core.diff

    def diff(one: bytes, other: bytes) -> Any:
        compared.append(other)
        return whole(one, other)

    monkeypatch.setattr(core, "diff", diff)
    runs = 0
    while deltas.find(payload, digest, old) is None:
        runs += 1
        assert runs < 9, "the runs make no progress"
        until = len(compared) + 3
        try:
            deltas.make_beside(payload, digest, old, lambda end=until: len(compared) < end)  # type: ignore[misc]
        except delta.Stopped:
            (kept,) = in_the_cache(tmp_path / "cache/deltas")
            if runs == 1:
                left(kept)
    assert runs > 2
    assert not in_the_cache(tmp_path / "cache/deltas")
    found = deltas.find(payload, digest, old)
    assert found is not None
    if left is lost:
        assert len(set(compared)) > len(compared) - runs
    base = unpacked(packed(tmp_path / "old", OLDER), tmp_path / "base")
    assert rebuilt(found.path, base) == tar_of(payload.path)
    for path in payload.path.parent.glob("delta-*"):
        path.unlink()
    data = found.sha256
    deltas.make_beside(payload, digest, old)
    again = deltas.find(payload, digest, old)
    assert again is not None
    assert again.sha256 == data


@pytest.mark.usefixtures("segments")
def test_segments_of_another_delta_are_refused_and_removed(cached: tuple[Payload, str, Build], tmp_path: Path) -> None:
    payload, digest, old = cached
    with pytest.raises(delta.Stopped):
        deltas.make_beside(payload, digest, old, lambda: False)
    (kept,) = in_the_cache(tmp_path / "cache/deltas")
    delta._Segment(1, (b"", b"", b"")).keep(kept / "0")
    with pytest.raises(ContentError, match="belongs to another delta"):
        deltas.make_beside(payload, digest, old)
    deltas.make_beside(payload, digest, old)
    assert deltas.find(payload, digest, old) is not None


def test_segments_that_nobody_needs_are_removed(
    cached: tuple[Payload, str, Build], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, digest, old = cached
    folder, now = tmp_path / "cache/deltas", time.time()
    for name, days in (("a" * 24, 1), ("b" * 24, 2), ("c" * 24, 3), ("d" * 24, 99), ("mine", 99)):
        (folder / name).mkdir(parents=True)
        (folder / name / "0").write_bytes(bytes(1000))
        os.utime(folder / name, (now - days * 86400, now - days * 86400))
    monkeypatch.setattr(deltas, "LARGEST_KEPT", 2500)
    with pytest.raises(delta.Stopped):
        deltas.make_beside(payload, digest, old, lambda: False)
    names = {path.name for path in in_the_cache(folder)}
    assert names > {"a" * 24, "b" * 24, "mine"}
    assert len(names) == 4, "the segments of this delta stay too"
    assert deltas.find(payload, digest, old) is None
    deltas.make_beside(payload, digest, old)
    assert {path.name for path in in_the_cache(folder)} == {"a" * 24, "b" * 24, "mine"}
    assert deltas.remove_kept(folder, 1.5 * 86400) == 1000
    assert {path.name for path in in_the_cache(folder)} == {"a" * 24, "mine"}


RUN = """
import os, sys
from dataclasses import replace
from pathlib import Path
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import deltas
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import recorded
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
folder, digest, name, sha256 = sys.argv[1:]
payload = recorded(Path(folder), "gz", digest)
deltas.begin(payload, digest, replace(parse_filename(name), sha256=sha256), os.getpid())
print("begun", flush=True)
sys.stdin.read()
"""


def test_a_process_beside_the_run_makes_it_and_holds_nothing(cached: tuple[Payload, str, Build]) -> None:
    payload, digest, old = cached
    command = [sys.executable, "-c", RUN, str(payload.path.parent), digest, OLD_NAME, old.sha256 or ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stdin
        assert run.stdout.readline() == "begun\n"
        until = time.monotonic() + 300
        while deltas.find(payload, digest, old) is None:
            assert time.monotonic() < until, "no delta was made"
            time.sleep(0.05)
        run.stdin.close()
        assert run.stdout.read() == ""
    assert run.returncode == 0
    found = deltas.find(payload, digest, old)
    assert found is not None
    assert found.size < payload.size / 4


def test_without_the_package_no_delta_is_made(cached: tuple[Payload, str, Build], monkeypatch: pytest.MonkeyPatch) -> None:
    payload, digest, old = cached
    monkeypatch.setattr(deltas, "available", lambda: False)
    monkeypatch.setattr(os, "fork", None)
    deltas.begin(payload, digest, old, os.getpid())
    assert deltas.find(payload, digest, old) is None
