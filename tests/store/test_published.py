# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deltas of a mirror: made once, listed when they are complete, removed with their builds; and which of them a run uses."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_source
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, builds, parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors import deltas as mirror_deltas
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors import mirror
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.deltas import pairs
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.s3 import Bucket
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.storage import Folder, Storage
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.sync import Progress, sync
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.catalogues import CATALOGUE
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import Lock, Locked, write_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.published import (
    DELTAS,
    HEADER,
    Published,
    format_published,
    parse_published,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.tars import with_tars
from tests.store.support import Entry, folder, gz, tar
from tests.tools.s3 import BUCKET, ENVIRONMENT, serve_s3
from tests.tools.web import serve

NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(4000))
NAMES = [
    f"cpython-{version}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    for version in ("3.13.1+20250115", "3.13.2+20250317", "3.13.2+20250409", "3.12.9+20250317")
]
FACTS = {"os": "Linux", "arch": "x86_64", "libc": "glibc", "libc_version": "2.36"}
AGENT: dict[str, Any] = {"__name__": "agent"}
exec(compile(sh.module("delta.py"), "delta.py", "exec"), AGENT)  # noqa: S102


def entries(name: str) -> list[Entry]:
    return [folder("python"), Entry("python/lib/data", NOISE), Entry("python/lib/version.py", name.encode())]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("releases")
    for name in NAMES:
        path = where / parse_filename(name).release / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gz(tar(entries(name))))
    return where


@pytest.fixture(scope="module")
def wanted(releases: Path) -> list[Build]:
    found = [parse_filename(name) for name in NAMES]
    digests = [hashlib.sha256((releases / mirror.path_of(one)).read_bytes()).hexdigest() for one in found]
    return [replace(one, sha256=digest) for one, digest in zip(found, digests, strict=True)]


class Told(Progress):
    def __init__(self) -> None:
        self.deltas: list[str] = []

    def made(self, delta: Published, whole: int) -> None:
        assert 0 < delta.size < whole / 10
        self.deltas.append(delta.path)


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    if request.param == "folder":
        yield Folder(tmp_path / "mirror")
        return
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE", str(tmp_path / "cache"))
    with serve_s3() as store:
        store.reset()
        for name, value in (ENVIRONMENT | {"NO_PROXY": "*"}).items():
            monkeypatch.setenv(name, value)
        yield Bucket(BUCKET, "pbs", store.url)


def synced(storage: Storage, wanted: list[Build], releases: Path, *, deltas: bool = True, prune: bool = False) -> list[str]:
    told = Told()
    sync(storage, wanted, parse_source(str(releases)), deltas=deltas, prune=prune, progress=told)
    return told.deltas


def listed(storage: Storage) -> list[str]:
    return [one.path for one in parse_published(storage.read(DELTAS).decode())]


def stored(storage: Storage) -> list[str]:
    return sorted(path for path in storage.files() if path.endswith(".delta"))


def test_each_build_has_a_delta_from_the_one_before_it(
    storage: Storage, wanted: list[Build], releases: Path, tmp_path: Path
) -> None:
    made = synced(storage, wanted, releases)
    first, second, third, _other = wanted
    assert [path.partition("-x86")[0] for path in made] == [
        "20250409/cpython-3.13.2+20250409",
        "20250317/cpython-3.13.2+20250317",
    ]
    assert sorted(made) == listed(storage) == stored(storage)
    rows = parse_published(storage.read(DELTAS).decode())
    assert {(one.archive, one.base) for one in rows} == {(third.sha256, second.sha256), (second.sha256, first.sha256)}
    # A host rebuilds the tar of exactly this archive.
    (one,) = (row for row in rows if row.archive == third.sha256)
    (tmp_path / "delta").write_bytes(storage.read(one.path))
    assert (storage.checksum(one.path), len(storage.read(one.path))) == (one.sha256, one.size)
    base = tmp_path / "base"
    for entry in entries(NAMES[1])[1:]:
        (base / entry.name).parent.mkdir(parents=True, exist_ok=True)
        (base / entry.name).write_bytes(entry.content)
    assert AGENT["rebuild"](str(tmp_path / "delta"), str(base / "python"), io.BytesIO()) == one.tar
    # Older versions read the catalogue as before, and nothing is made twice.
    catalogue = mirror.from_rows("it", storage.read(CATALOGUE).decode())
    assert set(builds(catalogue)) == set(wanted)
    assert synced(storage, wanted, releases) == []
    assert not mirror.verify(storage).problems
    storage.put(one.path, b"of a hostile mirror")
    (problem,) = mirror.verify(storage).problems
    assert problem.endswith("is missing or damaged: remove it, and run mirror sync --deltas again")
    assert synced(storage, wanted, releases) == [one.path]
    # A build that leaves the mirror takes the deltas along that make it or need it, without the option too.
    synced(storage, [first, second], releases, deltas=False, prune=True)
    assert listed(storage) == stored(storage) == sorted(made)[:1]
    synced(storage, [second], releases, deltas=False, prune=True)
    assert listed(storage) == stored(storage) == []


def test_a_sync_that_ends_early_lists_finished_deltas_only(
    wanted: list[Build], releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Folder(tmp_path / "mirror")
    put = Folder.put

    def ended(self: Folder, path: str, content: bytes) -> None:
        if path == DELTAS:
            raise KeyboardInterrupt
        put(self, path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "put", ended)
        with pytest.raises(KeyboardInterrupt):
            synced(storage, wanted, releases)
    assert not (tmp_path / "mirror" / DELTAS).exists()
    assert len(stored(storage)) == 1, "complete, but nobody knows of it"
    assert len(synced(storage, wanted, releases)) == 2
    assert listed(storage) == stored(storage)


def test_which_builds_are_neighbours() -> None:
    windows, full = NAMES[1].replace("unknown-linux-gnu", "pc-windows-msvc"), NAMES[0].replace("_stripped", "")
    some = [parse_filename(name) for name in (*NAMES, windows, windows.replace("20250317", "20250409"), full)]
    assert [(str(new), str(old)) for new, old in pairs(some)] == [
        (str(some[2]), str(some[1])),
        (str(some[1]), str(some[0])),
        (str(some[5]), str(some[4])),
    ]


ROW = ("20250317", NAMES[1], "a" * 64, "b" * 64, "10", "c" * 64, "d" * 64, "1", "2")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (0, "../20250"),
        (1, "../../etc/passwd"),
        (1, "cpython-3.13.1/../../x"),
        (1, "cpython-nothing"),
        (2, "A" * 64),
        (3, "../../../x"),
        (4, "9" * 13),
        (4, "-1"),
        (5, "-"),
        (6, ""),
        (7, "1;reboot"),
        (8, "1\t2"),
    ],
)
def test_a_row_of_a_hostile_mirror_is_ignored(column: int, text: str) -> None:
    good, bad = "\t".join(ROW), "\t".join((*ROW[:column], text, *ROW[column + 1 :]))
    assert [one.path for one in parse_published(f"{HEADER}{bad}\n{good}\n")] == [f"20250317/{NAMES[1]}.from-{'b' * 12}.delta"]
    assert format_published(parse_published(f"{good}\n")) == f"{HEADER}{good}\n"


def locked_to(build: Build) -> Lock:
    return Lock((Locked("3.13", build.triple, build, "https://example.org/a"),))


@pytest.mark.parametrize("guarantee", ["", "lockfile", "attestations", "catalogue"])
def test_a_run_uses_a_delta_only_if_the_mirror_alone_decides(
    guarantee: str, wanted: list[Build], releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else guarantees an archive says nothing about a delta. A lock file does if it has sums of tars: see below."""
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    synced(Folder(tmp_path / "mirror"), wanted, releases)
    with serve(tmp_path / "mirror") as web:
        supply = Supply.of(source=web.url())
        build = supply.resolve(parse_request("3.13"), FACTS)
        write_lock(str(tmp_path / "lock.json"), locked_to(build))
        values = {
            "lockfile": str(tmp_path / "lock.json"),
            "attestations": "prefer",
            "catalogue": str(tmp_path / "mirror" / CATALOGUE),
        }
        if guarantee:
            supply = Supply.of(**{"source": web.url(), guarantee: values[guarantee]})  # type: ignore[arg-type]
        found = supply.published(build, [wanted[0], wanted[1]])
        if guarantee:
            assert found is None
            return
        assert found is not None
        base, one, (url,) = found
        assert (base, one.archive) == (wanted[1], wanted[2].sha256)
        assert url.endswith(f"/{one.path.replace('+', '%2B')}")
        assert supply.published(build, [wanted[0]]) is None, "there is none from that build"


def test_a_delta_that_would_be_too_large_is_tried_once(
    storage: Storage, wanted: list[Build], releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_deltas, "LARGEST", 0.001)
    source = parse_source(str(releases))
    plan = sync(storage, wanted, source, deltas=True).deltas
    assert plan is not None
    assert [(one.archive, one.size) for one in plan.made] == [(wanted[2].sha256, 0), (wanted[1].sha256, 0)]
    assert stored(storage) == []
    again = sync(storage, wanted, source, deltas=True).deltas
    assert again is not None
    assert (again.make, again.made, len(again.kept)) == ((), (), 2)
    # The list loses their rows with their builds, although they have no file.
    sync(storage, wanted[:2], source, prune=True)
    assert [one.archive for one in parse_published(storage.read(DELTAS).decode())] == [wanted[1].sha256]


# What is wrong with the sum in the lock file or in the mirror's list -> whether a locked run uses the delta.
SUMS = {
    "nothing": True,
    "the mirror's delta makes another tar": False,
    "the lock file has the sum of another form": False,
    "the lock file has two sums of one archive": False,
    "the sum is of another archive": False,
    "attestations are asked for too": False,
    "another catalogue is declared, which a lock file replaces": True,
}


@pytest.mark.parametrize("case", SUMS)
def test_a_locked_run_uses_a_delta_only_if_the_lock_file_guarantees_its_tar(
    case: str, wanted: list[Build], releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDALONE_PYTHON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    storage = Folder(tmp_path / "mirror")
    synced(storage, wanted, releases)
    _first, old, new, other = wanted
    # Who locks computes the sum from the archive. The mirror's list is not read for it.
    lock = with_tars(locked_to(new), Supply.of(source=str(releases)).locked_payload)
    entry = lock.builds[0]
    (row,) = (row for row in parse_published(storage.read(DELTAS).decode()) if row.archive == new.sha256)
    assert entry.tar == f"1:{row.tar}"
    match case:
        case "the mirror's delta makes another tar":
            storage.put(DELTAS, storage.read(DELTAS).replace(row.tar.encode(), b"e" * 64))
        case "the lock file has the sum of another form":
            lock = replace(lock, builds=(replace(entry, tar=f"2:{row.tar}"),))
        case "the lock file has two sums of one archive":
            again = replace(entry, request="cpython", tar=f"1:{'e' * 64}")
            lock = replace(lock, builds=(entry, again))
        case "the sum is of another archive":
            bare = Locked("3.12", other.triple, other, entry.url, tar=entry.tar)
            lock = replace(lock, builds=(replace(entry, tar=""), bare))
    write_lock(str(tmp_path / "lock.json"), lock)
    with serve(tmp_path / "mirror") as web:
        supply = Supply.of(
            source=web.url(),
            lockfile=str(tmp_path / "lock.json"),
            attestations="prefer" if case.startswith("attestations") else "off",
            catalogue="/nonexistent" if case.startswith("another catalogue") else "bundled",
        )
        build = supply.resolve(parse_request("3.13"), FACTS)
        found = supply.published(build, [old])
        assert (found is not None) == SUMS[case]
        if found is not None:
            assert found[:2] == (old, row)
        assert web.count("plain", DELTAS) == (SUMS[case] or "another tar" in case), (
            "without a sum of its own, nothing is asked for"
        )
