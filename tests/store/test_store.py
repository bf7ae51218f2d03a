# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache: one download for many, nothing poisoned, payloads that every tar unpacks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import archive as archives
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import cache, store
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.contents import entries
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import (
    UPSTREAM,
    Source,
    parse_source,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, builds, resolve
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import parse_triple
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    ContentError,
    NoBuildError,
    StandalonePythonError,
    TransportError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply import catalogues
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.catalogues import load_catalogue
from tests.store.support import (
    FULL_NAME,
    LISTED,
    NAME,
    TAG,
    Answer,
    Entry,
    Reported,
    Server,
    build,
    cached,
    certificate,
    full,
    gz,
    lay_out,
    serve,
    small,
    tar,
    tree,
)

ROOT = Path(__file__).resolve().parents[2]
SMALL = small()
BUILD = build(NAME, SMALL)
PATH = f"/pbs/{TAG}/{NAME.replace('+', '%2B')}"
SUMS_PATH = f"/pbs/{TAG}/SHA256SUMS"
SUMS = f"{BUILD.sha256}  {NAME}\n".encode()
WITH_NOISE = gz(tar([*tree(), Entry("python/lib/noise", os.urandom(1 << 20))]))

# What one worker of a front end does.
WORKER = """
import sys
from dataclasses import replace
from pathlib import Path
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import Source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Store
root, url, name, sha256 = sys.argv[1:]
build = replace(parse_filename(name), sha256=sha256)
payload = Store(Path(root)).payload(build, Source("url", url), zstd=True)
print(payload.sha256, payload.size, payload.files)
"""

# One that finds everything in place, and what it had to import for that.
READER = """
import sys
from dataclasses import replace
from pathlib import Path
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import Source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Store
build = replace(parse_filename(sys.argv[2]), sha256=sys.argv[3])
print(Store(Path(sys.argv[1])).payload(build, Source("upstream"), zstd=True).sha256)
heavy = {"requests", "zstandard", "filelock", "platformdirs", "tarfile", "ssl"}
print(sorted(heavy & set(sys.modules)))
"""


def worker(root: Path, server: Server, wanted: Build = BUILD) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(root), server.url("/pbs"), NAME, str(wanted.sha256)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def quick(root: Path) -> Store:
    return Store(root, Http(backoff=(0.0,), timeout=5.0))


def mirror(server: Server) -> Source:
    return Source("url", server.url("/pbs"))


def releases(tmp_path: Path, name: str = NAME, archive: bytes = SMALL) -> Source:
    lay_out(tmp_path / "releases", name, archive)
    return parse_source(str(tmp_path / "releases"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left_over(root: Path) -> list[Path]:
    return list(root.rglob("*.part"))


UNPACK: dict[str, list[Sequence[str]]] = {
    "gz": [
        ["tar", "-xzf"],
        ["bsdtar", "-xzf"],
        ["busybox", "tar", "-xzf"],
        ["sh", "-c", 'gzip -dc "$0" | tar -xf -'],
    ],
    "zst": [["sh", "-c", f'zstd -dc "$0" | {tool} -xf -'] for tool in ("tar", "bsdtar", "busybox tar")],
}


@pytest.mark.parametrize(("name", "archive"), [(NAME, SMALL), (FULL_NAME, full())], ids=["install_only", "full"])
@pytest.mark.parametrize("zstd", [False, True])
def test_every_tar_unpacks_a_payload(tmp_path: Path, root: Path, name: str, archive: bytes, zstd: bool) -> None:
    payload = Store(root).payload(build(name, archive), releases(tmp_path, name, archive), zstd=zstd)
    assert payload.compression == ("zst" if zstd else "gz")
    assert (payload.size, payload.sha256) == (payload.path.stat().st_size, sha256(payload.path))
    for number, command in enumerate(UNPACK[payload.compression]):
        out = tmp_path / f"out-{number}"
        out.mkdir()
        done = subprocess.run([*command, str(payload.path)], cwd=out, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert os.listdir(out) == ["python"]
        top = out / "python"
        check = subprocess.run(
            ["sha256sum", "-c", "--quiet", "--strict", ".standalone-python/files.sha256"],
            cwd=top,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (check.returncode, check.stdout, check.stderr) == (0, "", "")
        listing = (top / ".standalone-python/files.sha256").read_text(encoding="utf-8")
        assert {line[66:] for line in listing.splitlines()} == LISTED
        assert os.access(top / "bin/python3.13", os.X_OK)
        assert os.readlink(top / "bin/python") == "python3"
        assert sum(not path.is_dir() or path.is_symlink() for path in walk(top)) == payload.files + 1
        assert len([top, *walk(top)]) == payload.inodes + 2


def walk(top: Path) -> list[Path]:
    return [Path(at, name) for at, folders, files in os.walk(top) for name in (*folders, *files)]


def test_same_input_same_bytes(tmp_path: Path) -> None:
    source = releases(tmp_path)
    for zstd in (False, True):
        first = Store(tmp_path / "one").payload(BUILD, source, zstd=zstd)
        second = Store(tmp_path / "two").payload(BUILD, source, zstd=zstd)
        assert first.path.read_bytes() == second.path.read_bytes()
        assert replace(first, path=second.path) == second


def test_one_download_for_both_forms(root: Path) -> None:
    with serve({PATH: [Answer(body=SMALL)]}) as server:
        made = [quick(root).payload(BUILD, mirror(server), zstd=zstd) for zstd in (True, False, True)]
        assert server.count(PATH) == 1
    assert made[0] == made[2]
    assert [payload.compression for payload in made] == ["zst", "gz", "zst"]
    # What is there needs no server.
    assert quick(root).payload(BUILD, mirror(server), zstd=True) == made[0]


HALF = len(WITH_NOISE) // 2
REST = Answer(body=WITH_NOISE, ranges=True, unconditional=True)
# What a server answers to the runs after one that was killed, and which of these requests ask for the rest only.
CONTINUED = {
    "parts": ([REST], [True]),
    "no parts": ([Answer(body=WITH_NOISE)], [True]),
    "of another file": ([replace(REST, body=bytes(2 * HALF)), Answer(body=WITH_NOISE)], [True, False]),
    "breaks off again": ([*[replace(REST, cut=HALF // 2)] * 2, REST], [True] * 3),
}


@pytest.mark.parametrize("case", CONTINUED)
def test_killed_while_downloading(root: Path, case: str) -> None:
    """The next run asks for the rest, and believes the checksum of the whole only."""
    answers, rest = CONTINUED[case]
    noisy = build(NAME, WITH_NOISE)
    with serve({PATH: [Answer(body=WITH_NOISE, cut=HALF, stall=20.0), *answers]}) as server:
        process = worker(root, server, noisy)
        wait_for(lambda: any(part.stat().st_size > HALF // 2 for part in left_over(root)))
        process.kill()
        process.communicate()
        part = next(path for path in left_over(root) if path.name == f"{NAME}.part")
        assert {path.name.partition(".tar.")[0] for path in left_over(root) if path != part} <= {"payload"}
        came = part.stat().st_size
        # However long ago that was.
        os.utime(part, (1, 1))
        if case == "breaks off again":
            with pytest.raises(TransportError, match="broke off"):
                quick(root).payload(noisy, mirror(server), zstd=True)
        quick(root).payload(noisy, mirror(server), zstd=True)
    ranges = [headers.get("range", "") for path, headers in server.asked[1:] if path == PATH]
    assert list(map(bool, ranges)) == rest
    assert ranges[0] == f"bytes={came}-"
    assert came > HALF // 2
    assert left_over(root) == []


# What a server answers, what an earlier run left, and how often the archive is packed only after the download.
MEANWHILE = {
    "at once": ([Answer(body=WITH_NOISE)], b"", 0),
    "broke off": ([replace(REST, cut=HALF), REST], b"", 0),
    "continued": ([REST], WITH_NOISE[:HALF], 0),
    "began again": ([Answer(body=WITH_NOISE, cut=HALF), Answer(body=WITH_NOISE)], b"", 1),
    "of another file": ([REST], gz(os.urandom(HALF))[:HALF], 1),
    "of unknown size": ([Answer(body=WITH_NOISE, length=False)], b"", 1),
}


@pytest.mark.parametrize("case", MEANWHILE)
def test_packed_while_downloading(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """The payload is the same, whether it was packed during the download or after it."""
    answers, earlier, times = MEANWHILE[case]
    noisy = build(NAME, WITH_NOISE)
    expected = Store(tmp_path / "one").payload(noisy, releases(tmp_path, NAME, WITH_NOISE), zstd=True)
    folder = root / "builds" / f"{noisy.name}-{str(noisy.sha256)[:12]}"
    cache.make_private(folder)
    if earlier:
        (folder / f"{NAME}.part").write_bytes(earlier)
    packed = []
    pack = archives.pack
    monkeypatch.setattr(archives, "pack", lambda *given, **more: packed.append(given) or pack(*given, **more))
    with serve({PATH: answers}) as server:
        found = quick(root).payload(noisy, mirror(server), zstd=True)
    assert replace(found, path=expected.path) == expected
    assert found.path.read_bytes() == expected.path.read_bytes()
    assert len(packed) == times
    assert sorted(path.name for path in folder.iterdir()) == [NAME, "lock", found.path.name, f"{found.path.name}.json"]


def test_a_download_that_was_complete_is_not_downloaded_again(root: Path) -> None:
    folder = root / "builds" / f"{BUILD.name}-{str(BUILD.sha256)[:12]}"
    cache.make_private(folder)
    (folder / f"{NAME}.part").write_bytes(SMALL)
    with serve({}) as server:
        assert quick(root).payload(BUILD, mirror(server), zstd=True).files
        assert server.asked == []


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_old_temporary_files_elsewhere_are_cleared(tmp_path: Path, root: Path) -> None:
    other = root / "builds" / "other"
    other.mkdir(parents=True)
    old, new = other / "a.1.part", other / "b.2.part"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (1, 1))
    Store(root).payload(BUILD, releases(tmp_path), zstd=True)
    assert left_over(root) == [new]


def spoil(path: Path) -> None:
    """Change a byte, as a broken disk does, and hide it from those who look at the time only."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_spoiled_cache_heals(root: Path) -> None:
    with serve({PATH: [Answer(body=SMALL)]}) as server:
        first = quick(root).payload(BUILD, mirror(server), zstd=True)
        spoil(first.path)
        assert quick(root).payload(BUILD, mirror(server), zstd=True) == first
        assert sha256(first.path) == first.sha256
        assert server.count(PATH) == 1
        spoil(first.path)
        spoil(first.path.parent / NAME)
        assert quick(root).payload(BUILD, mirror(server), zstd=True) == first
        assert sha256(first.path) == first.sha256
        assert server.count(PATH) == 2
        for name in (f"{first.path.name}.json", first.path.name):
            (first.path.parent / name).unlink()
            assert quick(root).payload(BUILD, mirror(server), zstd=True) == first
        for junk in ("", "{}", "[]", '{"recipe": 1}', "null", "\0"):
            (first.path.parent / f"{first.path.name}.json").write_text(junk)
            assert quick(root).payload(BUILD, mirror(server), zstd=True) == first
        assert server.count(PATH) == 2


def test_moved_cache_is_used(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = releases(tmp_path)
    first = Store(root).payload(BUILD, source, zstd=True)
    os.utime(first.path, (1, 1))
    monkeypatch.setattr(Store, "_make", None)
    assert Store(root).payload(BUILD, source, zstd=True) == first
    about = json.loads(first.path.with_name(f"{first.path.name}.json").read_text())
    assert about["stamp"][1] == 10**9


def test_halves_are_recorded(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = gz(tar([entry for entry in tree() if entry.kind != tarfile.LNKTYPE]))
    source, one = releases(tmp_path, NAME, archive), build(NAME, archive)
    assert Store(root).payload(one, source, zstd=True).split == 0
    first = Store(root).payload(one, source, zstd=False)
    assert 0 < first.split < first.size
    monkeypatch.setattr(Store, "_make", None)
    assert Store(root).payload(one, source, zstd=False) == first


def test_a_payload_for_windows_has_one_part(tmp_path: Path, root: Path) -> None:
    """.NET unpacks it on a Windows without tar.exe, and reads only the first member of gzip."""
    name = f"cpython-3.13.1+{TAG}-x86_64-pc-windows-msvc-install_only_stripped.tar.gz"
    assert Store(root).payload(build(name, SMALL), releases(tmp_path, name), zstd=False).split == 0


def test_recipe_changed(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = releases(tmp_path)
    first = Store(root).payload(BUILD, source, zstd=True)
    about = first.path.with_name(f"{first.path.name}.json")
    monkeypatch.setattr(store, "RECIPE", store.RECIPE + 1)
    assert Store(root).payload(BUILD, source, zstd=True) == first
    assert json.loads(about.read_text())["recipe"] == store.RECIPE


def test_checksum_differs(tmp_path: Path, root: Path) -> None:
    wrong = replace(BUILD, sha256="0" * 64)
    with serve({PATH: [Answer(body=SMALL)]}) as server:
        for source in (mirror(server), releases(tmp_path)):
            with pytest.raises(ContentError) as caught:
                quick(root).payload(wrong, source, zstd=True)
            assert "0" * 64 in str(caught.value)
            assert str(BUILD.sha256) in str(caught.value)
            assert NAME in str(caught.value)
    assert not [path for path in root.rglob("*") if path.is_file() and path.name != "lock"]


def test_hostile_archive_leaves_no_payload(tmp_path: Path, root: Path) -> None:
    archive = gz(tar([*tree(), Entry("python/../../evil")]))
    with serve({PATH: [Answer(body=archive)]}) as server:
        for source in (mirror(server), releases(tmp_path, NAME, archive)):
            with pytest.raises(ContentError, match="evil"):
                quick(root).payload(build(NAME, archive), source, zstd=True)
    assert not list(root.rglob("payload*"))


def test_page_instead_of_an_archive(root: Path) -> None:
    with (
        serve({PATH: [Answer(body=b"<html>log in")]}) as server,
        pytest.raises(ContentError, match="HTML page"),
    ):
        quick(root).payload(BUILD, mirror(server), zstd=True)


def test_nothing_cached_and_no_network(root: Path) -> None:
    with pytest.raises(TransportError, match="Connection refused"):
        quick(root).payload(BUILD, Source("url", "http://127.0.0.1:9/pbs"), zstd=True)
    assert left_over(root) == []


@pytest.mark.parametrize("zstd", [False, True])
def test_full_disk_while_packing(
    tmp_path: Path, root: Path, zstd: bool, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    source, noisy = releases(tmp_path, NAME, WITH_NOISE), build(NAME, WITH_NOISE)
    with (
        full_disk(300_000),
        pytest.raises(TransportError, match="make room there, or set STANDALONE_PYTHON_CACHE to a folder of your own"),
    ):
        Store(root).payload(noisy, source, zstd=zstd)
    assert not list(root.rglob("payload*"))
    assert sha256(Store(root).payload(noisy, source, zstd=zstd).path)


def test_cache_of_another_user(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = releases(tmp_path)
    Store(root).payload(BUILD, source, zstd=True)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(TransportError, match=r"belongs to the user .* not to the user 54321.*STANDALONE_PYTHON_CACHE"):
        Store(root).payload(BUILD, source, zstd=True)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_cache_that_others_may_write_to(tmp_path: Path, root: Path, mode: int) -> None:
    """A payload of theirs, with its record beside it, would go to hosts."""
    source = releases(tmp_path)
    Store(root).payload(BUILD, source, zstd=True)
    root.chmod(mode)
    said = rf"other users may write to the cache .*mode {mode:04o}.*chmod go-w .*STANDALONE_PYTHON_CACHE"
    with pytest.raises(TransportError, match=said):
        Store(root).payload(BUILD, source, zstd=True)
    root.chmod(0o755)
    assert Store(root).payload(BUILD, source, zstd=True).path.exists()


def test_what_is_made_in_a_cache_is_the_users_alone(tmp_path: Path, root: Path) -> None:
    root.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        path = Store(root).payload(BUILD, releases(tmp_path), zstd=True).path
    finally:
        os.umask(before)
    assert {folder.stat().st_mode & 0o777 for folder in (path.parent, path.parent.parent)} == {0o700}


def test_cache_that_can_not_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(TransportError, match=r"can't be used .Not a directory.*STANDALONE_PYTHON_CACHE"):
            Store(root).payload(BUILD, releases(tmp_path), zstd=True)


def test_cache_that_can_not_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write anywhere but where the kernel keeps its own.
        root = Path("/proc/sys/cache")
        said = "No such file or directory|Permission denied|not permitted"
    else:
        root = tmp_path / "cache"
        root.mkdir(mode=0o500)
        said = "Permission denied"
    with pytest.raises(TransportError, match=f"can't be used .*({said}).*STANDALONE_PYTHON_CACHE"):
        Store(root).payload(BUILD, releases(tmp_path), zstd=True)


def test_a_new_cache_is_private(tmp_path: Path, root: Path) -> None:
    Store(root).payload(BUILD, releases(tmp_path), zstd=True)
    assert root.stat().st_mode & 0o777 == 0o700


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a run that adds something looks, and what it added stays."""
    root.mkdir(mode=0o700)
    cached(root, 1, age=86400.0)
    recent = cached(root, 2, age=60.0)
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE_SIZE", "1")
    payload = Store(root).payload(BUILD, releases(tmp_path), zstd=True)
    assert payload.path.exists()
    assert [entry.folder for entry in entries(root)] == [payload.path.parent, recent]
    about = payload.path.with_name(f"{payload.path.name}.json")
    cached(root, 3, age=86400.0)
    os.utime(about, (1, 1))
    assert Store(root).payload(BUILD, releases(tmp_path), zstd=True) == payload
    assert len(entries(root)) == 3
    assert time.time() - entries(root)[0].used < 60
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE_SIZE", "much")
    with pytest.raises(TransportError, match="STANDALONE_PYTHON_CACHE_SIZE is 'much', which is not a size"):
        Store(root).payload(BUILD, releases(tmp_path), zstd=False)


def test_default_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Store().root == tmp_path / "cache"
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE", "~/own")
    monkeypatch.setenv("HOME", "/home/someone")
    assert Store().root == Path("/home/someone/own")
    monkeypatch.delenv("STANDALONE_PYTHON_CACHE")
    assert Store().root.name == "standalone-python"


@pytest.mark.parametrize("home", [None, "", " ", "/somewhere/else", "relative"])
def test_default_root_is_that_of_platformdirs(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs import user_cache_path

    monkeypatch.delenv("STANDALONE_PYTHON_CACHE")
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", home)
    assert cache.default_root() == user_cache_path("standalone-python", appauthor=False)


def test_file_system_without_locks(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has neither flock nor links."""
    import errno

    import filelock

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    monkeypatch.setattr(os, "link", no_link)
    folder = root / "builds" / f"{BUILD.name}-{str(BUILD.sha256)[:12]}"
    folder.mkdir(parents=True)
    # It may be another's work in progress.
    (folder / "payload.tar.zst.1.part").write_bytes(b"")
    assert Store(root).payload(BUILD, releases(tmp_path), zstd=True).files
    assert len(left_over(root)) == 1


def test_lock_held_for_too_long(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    monkeypatch.setattr(cache, "LOCK_WAIT", 0.1)
    folder = root / "builds" / f"{BUILD.name}-{str(BUILD.sha256)[:12]}"
    folder.mkdir(parents=True)
    reported = Reported()
    with (
        filelock.FileLock(folder / "lock"),
        progress.listening(reported),
        pytest.raises(TransportError, match="another process that works"),
    ):
        Store(root).payload(BUILD, releases(tmp_path), zstd=True)
    assert reported.events == [("Waiting for", f"another process that works in {folder}", None), False]


@pytest.mark.parametrize(("name", "archive"), [(NAME, SMALL), (FULL_NAME, full())], ids=["gz", "zst"])
def test_packing_is_reported_in_bytes_of_the_archive(tmp_path: Path, root: Path, name: str, archive: bytes) -> None:
    reported = Reported()
    with progress.listening(reported):
        Store(root).payload(build(name, archive), releases(tmp_path, name, archive), zstd=True)
    begun, *pieces, ended = reported.events
    assert (begun, ended) == (("Packing", name, len(archive)), True)
    assert pieces[-1] == (len(archive), None)


def test_without_zstandard(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = releases(tmp_path)
    lay_out(tmp_path / "releases", FULL_NAME, full())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert Store(root).payload(BUILD, source, zstd=True).compression == "gz"
    with pytest.raises(TransportError, match="zstandard, which is not installed"):
        Store(root).payload(build(FULL_NAME, full()), source, zstd=True)


def test_checksum_from_the_release(root: Path) -> None:
    unknown = replace(BUILD, sha256=None)
    with serve({SUMS_PATH: [Answer(body=SUMS)], PATH: [Answer(body=SMALL)]}) as server:
        assert quick(root).sha256(unknown, mirror(server)) == BUILD.sha256
        assert quick(root).sha256(unknown, mirror(server)) == BUILD.sha256
        assert server.count(SUMS_PATH) == 1
        assert quick(root).payload(unknown, mirror(server), zstd=True).files
        assert quick(root).sha256(BUILD, mirror(server)) == BUILD.sha256
        assert server.count(SUMS_PATH) == 1


def test_release_that_grew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = replace(BUILD, sha256=None)
    with serve({SUMS_PATH: [Answer(body=f"{'0' * 64}  other\n".encode()), Answer(body=SUMS)]}) as server:
        with pytest.raises(ContentError, match=f"checksum of .* is unknown.*{SUMS_PATH} does not list it"):
            quick(root).sha256(unknown, mirror(server))
        monkeypatch.setattr(store, "TEXT_AGE", 0.0)
        assert quick(root).sha256(unknown, mirror(server)) == BUILD.sha256


def test_checksums_in_another_form(root: Path, tmp_path: Path) -> None:
    """What the server lists, and what a folder has, is found however people list it."""
    unknown = replace(BUILD, sha256=None)
    line = f"sha256:{str(BUILD.sha256).upper()} *./{TAG}/{NAME.replace('+', '%2B')}\r\n"
    with serve({SUMS_PATH: [Answer(body=line.encode())]}) as server:
        assert quick(root).sha256(unknown, mirror(server)) == BUILD.sha256
    source = releases(tmp_path)
    (tmp_path / "releases" / TAG / "SHA256SUMS").write_text(line)
    assert only(load_catalogue(Store(root), source)) == BUILD


def test_a_line_that_can_not_be_read_is_quoted(root: Path) -> None:
    body = f"{NAME}: {BUILD.sha256}\x1b[31m\n"
    with (
        serve({SUMS_PATH: [Answer(body=body.encode())]}) as server,
        pytest.raises(
            ContentError, match=rf"does not list it \(and has 1 lines that can't be read, such as '{re.escape(NAME[:20])}"
        ) as caught,
    ):
        quick(root).sha256(replace(BUILD, sha256=None), mirror(server))
    assert "\x1b" not in str(caught.value)


def test_checksum_that_nobody_knows(root: Path) -> None:
    unknown = replace(BUILD, sha256=None)
    with (
        serve({}) as server,
        pytest.raises(ContentError, match=r"is unknown.*there is no http.*SHA256SUMS"),
    ):
        quick(root).sha256(unknown, mirror(server))
    with pytest.raises(TransportError, match="Connection refused"):
        quick(root).sha256(unknown, Source("url", "http://127.0.0.1:9/pbs"))


def archive_beside(tmp_path: Path, name: str = NAME) -> Path:
    path = tmp_path / name
    path.write_bytes(SMALL)
    return path


def only(found: object) -> Build:
    (one,) = builds(found)  # type: ignore[arg-type]
    return one


def test_single_archive(tmp_path: Path, root: Path) -> None:
    path = archive_beside(tmp_path)
    source = parse_source(str(path), f"sha256:{BUILD.sha256}")
    found = only(load_catalogue(Store(root), source, "bundled"))
    assert found == BUILD
    assert Store(root).payload(found, source, zstd=True).files == 16
    assert not list(root.rglob("*.tar.gz"))
    (tmp_path / "SHA256SUMS").write_bytes(SUMS)
    assert only(load_catalogue(Store(root), parse_source(str(path)))) == BUILD


def test_single_archive_that_lies(tmp_path: Path, root: Path) -> None:
    path = archive_beside(tmp_path)
    with pytest.raises(ContentError, match=r"none was given, and .*SHA256SUMS does not exist; set checksum to"):
        load_catalogue(Store(root), parse_source(str(path)))
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  {NAME}x\n")
    with pytest.raises(ContentError, match="does not list it"):
        load_catalogue(Store(root), parse_source(str(path)))
    source = parse_source(str(path), "0" * 64)
    with pytest.raises(ContentError, match=f"should be {'0' * 64} and is {BUILD.sha256}"):
        Store(root).payload(only(load_catalogue(Store(root), source)), source, zstd=True)
    with pytest.raises(ContentError, match="does not identify a build"):
        load_catalogue(Store(root), parse_source(str(archive_beside(tmp_path, "python.tar.gz")), "0" * 64))
    with pytest.raises(ContentError, match=f"is the archive {path.name.replace('+', '.')}, but .*full.tar.zst is needed"):
        Store(root).payload(build(FULL_NAME, None), source, zstd=True)
    gone = parse_source(str(tmp_path / "gone" / NAME), "0" * 64)
    with pytest.raises(TransportError, match="does not exist"):
        Store(root).payload(only(load_catalogue(Store(root), gone)), gone, zstd=True)


def test_folder_is_its_catalogue(tmp_path: Path, root: Path) -> None:
    source = releases(tmp_path)
    with (tmp_path / "releases" / TAG / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  {FULL_NAME}\n")
    (tmp_path / "releases" / "notes").mkdir()
    (tmp_path / "releases" / "notes" / "SHA256SUMS").write_text("nonsense")
    for catalogue in ("", "bundled"):
        found = load_catalogue(Store(root), source, catalogue)
        assert only(found) == BUILD
        assert found.name == f"the folder {source.location} (1 of 2 listed files exist)"
    assert only(load_catalogue(Store(root), UPSTREAM, source.location)) == BUILD
    assert Store(root).payload(BUILD, source, zstd=False).files == 16


def test_folder_that_is_none(tmp_path: Path, root: Path) -> None:
    with pytest.raises(ContentError, match="has no TAG/SHA256SUMS"):
        load_catalogue(Store(root), Source("folder", str(tmp_path)))
    source = releases(tmp_path)
    (tmp_path / "releases" / TAG / "SHA256SUMS").write_text("<html>")
    with pytest.raises(ContentError, match="without a checksum"):
        load_catalogue(Store(root), source)
    (tmp_path / "releases" / TAG / NAME).unlink()
    with pytest.raises(TransportError, match=f"{TAG}.*does not exist"):
        Store(root).payload(BUILD, source, zstd=True)


def test_catalogue_of_rows(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = f"{TAG}\t{NAME}\t{BUILD.sha256}\n"
    (tmp_path / "rows.tsv").write_text(rows)
    assert only(load_catalogue(Store(root), UPSTREAM, str(tmp_path / "rows.tsv"))) == BUILD
    with pytest.raises(TransportError, match=r"catalogue .*none.tsv can't be read"):
        load_catalogue(Store(root), UPSTREAM, str(tmp_path / "none.tsv"))
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(ContentError, match="is not text"):
        load_catalogue(Store(root), UPSTREAM, str(tmp_path / "binary.tsv"))
    with serve({"/rows.tsv": [Answer(body=rows.encode()), Answer(503)]}) as server:
        url = server.url("/rows.tsv", user="user:secret@")
        for _ in range(3):
            found = load_catalogue(quick(root), UPSTREAM, url)
            assert only(found) == BUILD
        assert server.count("/rows.tsv") == 1
        assert found.name == f"the catalogue {server.url('/rows.tsv')}"
        monkeypatch.setattr(catalogues, "TEXT_AGE", 0.0)
        kept = load_catalogue(quick(root), UPSTREAM, url)
        assert only(kept) == BUILD
        assert "the server can't be reached now" in kept.name
    assert "secret" not in "".join(path.name + path.read_text() for path in root.rglob("*") if path.is_file())


def test_catalogue_that_is_a_page(root: Path) -> None:
    with (
        serve({"/rows.tsv": [Answer(body=b"<!doctype html>")]}) as server,
        pytest.raises(ContentError, match="HTML"),
    ):
        load_catalogue(quick(root), UPSTREAM, server.url("/rows.tsv"))


def test_bundled_catalogue(root: Path) -> None:
    assert (
        load_catalogue(Store(root), UPSTREAM).name
        == load_catalogue(Store(root), UPSTREAM, "bundled").name
        == "the bundled catalogue"
    )
    assert not root.exists()


OWN = "/m/catalogue.tsv"
ROWS = f"tag\tfile\tsha256\n{TAG}\t{NAME}\t{BUILD.sha256}\n".encode()


def test_a_mirror_says_what_it_holds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({OWN: [Answer(body=ROWS), Answer(503)]}) as server:
        source = Source("url", server.url("/m", user="user:secret@"))
        for catalogue in ("", "bundled", ""):
            found = load_catalogue(quick(root), source, catalogue)
            assert only(found) == BUILD
            assert found.name == f"the catalogue {server.url(OWN)}"
        assert server.count(OWN) == 1
        monkeypatch.setattr(catalogues, "TEXT_AGE", 0.0)
        kept = load_catalogue(quick(root), source)
        assert only(kept) == BUILD
        assert "the server can't be reached now" in kept.name


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(410),
        Answer(401),
        Answer(403),
        Answer(body=b"<html>log in</html>", headers={"Content-Type": "text/html"}),
    ],
    ids=["404", "410", "401", "403", "page"],
)
def test_a_source_that_says_nothing_of_what_it_holds(root: Path, answer: Answer) -> None:
    with serve({OWN: [answer]}) as server:
        source = Source("url", server.url("/m"))
        for _ in range(3):
            assert load_catalogue(quick(root), source).name == "the bundled catalogue"
        asked = server.count(OWN)
        assert asked <= 4
        load_catalogue(quick(root), source)
        assert server.count(OWN) == asked
        with pytest.raises(StandalonePythonError, match=r"catalogue\.tsv could not be downloaded"):
            load_catalogue(quick(root), source, server.url(OWN))


def why_none(root: Path, source: Source, text: str = "3.13.999") -> str:
    """The sentence for an exact version that nobody has."""
    with pytest.raises(NoBuildError) as caught:
        resolve(parse_request(text), parse_triple("x86_64-unknown-linux-gnu"), load_catalogue(quick(root), source))
    return str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404), "answered 404"),
        (Answer(401), "answered 401"),
        (Answer(503), "answered 503"),
        (Answer(body=b"<html>log in</html>"), "sent an HTML page where plain text was expected"),
    ],
    ids=["absent", "denied", "busy", "page"],
)
def test_no_build_of_a_source_that_says_nothing_has_what_was_asked_and_why_that_gave_nothing(
    root: Path, answer: Answer, said: str
) -> None:
    with serve({OWN: [answer], f"/m/{TAG}/SHA256SUMS": [Answer(body=SUMS)]}) as server:
        source = Source("url", server.url("/m", user="me:s3cr3t@"))
        sentences = [why_none(root, source), why_none(root, source)]
        tried = server.count(OWN)
    for sentence in sentences:
        assert sentence.startswith(
            "no build of 3.13.999 for x86_64 linux, glibc in the bundled catalogue: it has no version 3.13.999; near"
        )
        assert (
            f"; the source's own catalogue is unknown: catalogue.tsv could not be downloaded: {server.url(OWN)} {said}"
            in sentence
        )
        assert "s3cr3t" not in sentence
    if answer.status != 503:
        assert tried <= 4
        today = time.strftime("%Y-%m-%d at ")
        assert re.search(rf"\(checked on {today}[0-9:]+, and cached for 5 minutes\)$", sentences[1])


def test_no_build_of_a_source_that_is_not_reached(root: Path) -> None:
    for address, said in (
        ("http://127.0.0.1:9/m", "could not be reached: Connection refused"),
        ("http://nowhere.invalid/m", "could not be reached: the host name can't be resolved"),
    ):
        assert (
            f"; the source's own catalogue is unknown: catalogue.tsv could not be downloaded: {address}/catalogue.tsv {said}"
            in why_none(root, Source("url", address))
        )


def test_no_build_of_a_source_with_a_certificate_that_is_not_trusted(root: Path, tmp_path: Path) -> None:
    with serve({}, tls=certificate(tmp_path)) as server:
        sentence = why_none(root, Source("url", f"https://localhost:{server.port}/m"))
    assert "catalogue.tsv could not be downloaded: https://localhost" in sentence
    assert "has an untrusted certificate" in sentence


def test_no_build_of_a_source_that_says_what_it_has(root: Path) -> None:
    with serve({OWN: [Answer(body=ROWS)]}) as server:
        sentence = why_none(root, Source("url", server.url("/m")))
    assert f"in the catalogue {server.url(OWN)}: it has no version 3.13.999" in sentence
    assert "is unknown" not in sentence


def test_a_token_that_was_wrong_is_not_remembered(root: Path) -> None:
    with serve({OWN: [Answer(401), Answer(body=ROWS)]}) as server:
        source = Source("url", server.url("/m"))
        assert load_catalogue(Store(root, token="wrong"), source).name == "the bundled catalogue"
        assert only(load_catalogue(Store(root, token="right"), source)) == BUILD
        assert load_catalogue(Store(root, token="wrong"), source).name == "the bundled catalogue"
        assert server.count(OWN) == 2


def test_a_source_that_cannot_be_asked_what_it_holds(root: Path) -> None:
    """It is asked again next time, and what an archive can't be had for is the archive's sentence."""
    with serve({OWN: [Answer(503)] * 8 + [Answer(body=ROWS)]}) as server:
        source = Source("url", server.url("/m"))
        assert load_catalogue(quick(root), source).name == "the bundled catalogue"
        while server.count(OWN) < 8:
            assert load_catalogue(quick(root), source).name == "the bundled catalogue"
        assert only(load_catalogue(quick(root), source)) == BUILD
    assert load_catalogue(quick(root), Source("url", "http://127.0.0.1:9")).name == "the bundled catalogue"


def test_token_goes_to_the_source_only(root: Path) -> None:
    rows = f"{TAG}\t{NAME}\t{BUILD.sha256}\n".encode()
    with serve({PATH: [Answer(body=SMALL)]}) as server, serve({"/rows.tsv": [Answer(body=rows)]}) as other:
        for number, made in enumerate((Store(root, token="t0ken"), Store(root / "2", Http("t0ken")))):
            found = only(load_catalogue(made, mirror(server), other.url("/rows.tsv")))
            made.payload(found, mirror(server), zstd=True)
            assert server.asked[number][1]["authorization"] == "Bearer t0ken"
            assert "authorization" not in other.asked[number][1]
    for path in root.rglob("*"):
        assert not path.is_file() or b"t0ken" not in path.read_bytes()


def test_what_is_there_needs_no_heavy_import(tmp_path: Path, root: Path) -> None:
    source = releases(tmp_path)
    made = Store(root).payload(BUILD, source, zstd=True)
    command = [sys.executable, "-c", READER, str(root), NAME, str(BUILD.sha256)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{made.sha256}\n[]\n"


def widely_packed(data: bytes) -> bytes:
    """With the window that upstream's full archives have, which takes 128 MB to read."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27, write_content_size=0)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(("name", "pack", "files"), [(NAME, gz, 1), (FULL_NAME, widely_packed, 8)], ids=["install_only", "full"])
def test_memory(root: Path, name: str, pack: Callable[[bytes], bytes], files: int) -> None:
    """A payload is made in less than 100 MB above the interpreter, download included, of what can't be packed smaller."""
    noise = os.urandom(20 << 20)
    top = "python/install" if name == FULL_NAME else "python"
    archive = pack(tar([*tree(top), *(Entry(f"{top}/lib/noise-{n}", noise) for n in range(files))]))
    path = f"/pbs/{TAG}/{name.replace('+', '%2B')}"
    script = (
        "import resource\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        + WORKER
        + "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    with serve({path: [Answer(body=archive)]}) as server:
        digest = hashlib.sha256(archive).hexdigest()
        # A process begins with the peak of the one that started it, which here has held the archive; a shell's is small.
        shell = ["sh", "-c", '"$@"; exit $?', "sh"]
        command = [*shell, sys.executable, "-c", script, str(root), server.url("/pbs"), name, digest]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    factor = 1 / 1024 if sys.platform == "darwin" else 1
    assert int(done.stdout.splitlines()[-1]) * factor < 100 * 1024
