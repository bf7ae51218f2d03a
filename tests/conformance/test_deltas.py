# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts over SSH are upgraded by a delta, this machine by a whole archive: all have the same tree afterwards."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import delta, deltas
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Payload, Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.storage import Folder
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.sync import sync
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import Lock, Locked, write_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.published import (
    DELTAS,
    format_published,
    parse_published,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.tars import with_tars
from tests.conformance.cases import LATER13, OLD13, Place
from tests.conformance.driver import tree
from tests.tools.deploy import LOCAL, login, operation, run_deploy
from tests.tools.hosts import Host
from tests.tools.playbook import LOCALHOST, run_play
from tests.tools.web import serve

pytestmark = pytest.mark.xdist_group("hosts")


def build_of(store: Store, source: Path, name: str) -> Build:
    (archive,) = source.glob(f"*/cpython-{name}-*stripped.tar.gz")
    build = parse_filename(archive.name)
    return replace(build, sha256=store.sha256(build, parse_source(str(source), "")))


def from_cache(store: Store, source: Path, name: str) -> tuple[Build, Payload]:
    build = build_of(store, source, name)
    return build, store.payload(build, parse_source(str(source), ""), zstd=False)


@pytest.fixture
def cache(source: Path, tmp_path: Path) -> Path:
    """A cache with the delta that a process beside an earlier run has made."""
    store = Store(tmp_path / "cache")
    (old, _payload), (new, payload) = (from_cache(store, source, name) for name in (OLD13, LATER13))
    deltas.make_beside(payload, new.sha256 or "", old)
    found = deltas.find(payload, new.sha256 or "", old)
    assert found is not None
    # The two are one program with different version texts, so their delta is smaller than that of real builds.
    assert found.size < payload.size / 10
    return tmp_path / "cache"


def by_ansible(hosts: list[Host], declared: list[Mapping[str, object]], cache: Path) -> str:
    inventory = LOCALHOST + "".join(f"{host.inventory_line}\n" for host in hosts)
    tasks = [{"standalone.python.interpreters": one} for one in declared]
    run = run_play(tasks, inventory, environment={"STANDALONE_PYTHON_CACHE": str(cache)}, arguments=["-vvv"])
    assert run.code == 0, run.output
    return run.output


def by_pyinfra(hosts: list[Host], declared: list[Mapping[str, object]], cache: Path) -> str:
    inventory = {**LOCAL, **{host.name: login(host) for host in hosts}}
    environment = {"STANDALONE_PYTHON_CACHE": str(cache)}
    output = ""
    for one in declared:
        run = run_deploy(operation(one), inventory, environment=environment, arguments=["--debug"])
        assert run.code == 0, run.output
        output += run.output
    return output


def test_a_host_pulls_the_delta_of_a_mirror_and_has_the_same_tree(source: Path, tmp_path: Path) -> None:
    there, root = parse_source(str(source), ""), str(tmp_path / "root")
    wanted = [build_of(Store(tmp_path / "cache"), source, name) for name in (OLD13, LATER13)]
    sync(Folder(tmp_path / "mirror"), wanted, there, deltas=True)
    with serve(tmp_path / "mirror") as web:
        pull = {"source": web.url(), "delivery": "pull", "root": root, "bin_dir": f"{root}/bin", "keep": 0}
        by_ansible([], [{**pull, "builds": [OLD13]}, {**pull, "builds": ["3.13"], "state": "latest"}], tmp_path / "pulling")
        assert web.count("plain") == 1, "the first build only"
        assert web.count("plain", ".delta") == 1
        upgraded = tree(Place(Path("/"), root))
        shutil.rmtree(root)
        by_ansible([], [{**pull, "builds": ["3.13"], "state": "latest"}], tmp_path / "pulling")
    assert tree(Place(Path("/"), root)) == upgraded
    assert any(LATER13 in path for path in upgraded)


@pytest.mark.parametrize(
    ("front_end", "hostile"),
    [
        pytest.param(by_ansible, False, id="a mirror with deltas, Ansible"),
        pytest.param(by_pyinfra, False, id="a mirror with deltas, pyinfra"),
        pytest.param(by_ansible, True, id="a hostile mirror"),
    ],
)
def test_a_locked_host_pulls_a_delta_only_if_the_lock_file_guarantees_what_it_makes(
    front_end: Callable[..., str], hostile: bool, source: Path, tmp_path: Path
) -> None:
    """A mirror that changes a build, and its list with it, has no effect: the host downloads the locked archive."""
    root = str(tmp_path / "root")
    store = Store(tmp_path / "cache")
    old, new = (build_of(store, source, name) for name in (OLD13, LATER13))
    storage = Folder(tmp_path / "mirror")
    sync(storage, [old, new], parse_source(str(source), ""), deltas=True)
    lock = Lock(
        tuple(Locked(text, build.triple, build, "https://example.org/a") for text, build in ((OLD13, old), ("3.13", new)))
    )
    write_lock(str(tmp_path / "lock.json"), with_tars(lock, Supply.of(source=str(source)).locked_payload))
    if hostile:
        (one,) = parse_published(storage.read(DELTAS).decode())
        evil = tmp_path / "evil.tar.gz"
        with tarfile.open(store.payload(new, parse_source(str(source), ""), zstd=False).path) as tar:
            tar.extractall(tmp_path / "evil", filter="tar")
        (tmp_path / "evil/python/planted").write_text("of a hostile mirror")
        with tarfile.open(evil, "w:gz") as tar:
            tar.add(tmp_path / "evil/python", "python")
        base = store.payload(old, parse_source(str(source), ""), zstd=False).path
        with (tmp_path / "delta").open("wb") as out:
            tar_of_evil = delta.make(base, evil, out, tmp_path)
        content = (tmp_path / "delta").read_bytes()
        storage.put(one.path, content)
        changed = replace(one, size=len(content), sha256=hashlib.sha256(content).hexdigest(), tar=tar_of_evil)
        storage.put(DELTAS, format_published([changed]).encode())
    with serve(tmp_path / "mirror") as web:
        pull = {
            "source": web.url(),
            "delivery": "pull",
            "root": root,
            "bin_dir": f"{root}/bin",
            "keep": 0,
            "lockfile": str(tmp_path / "lock.json"),
        }
        front_end([], [{**pull, "builds": [OLD13]}, {**pull, "builds": ["3.13"]}], tmp_path / "pulling")
        assert (web.count("plain"), web.count("plain", ".delta")) == ((2, 0) if hostile else (1, 1))
        upgraded = tree(Place(Path("/"), root))
        shutil.rmtree(root)
        front_end([], [{**pull, "builds": ["3.13"]}], tmp_path / "pulling")
    assert tree(Place(Path("/"), root)) == upgraded
    assert any(LATER13 in path for path in upgraded)
    assert not any("planted" in path for path in upgraded)


@pytest.mark.parametrize("front_end", [by_ansible, by_pyinfra])
def test_a_delta_makes_the_tree_that_a_whole_archive_makes(
    front_end: Callable[..., str], fleet: Mapping[str, Host], source: Path, cache: Path, tmp_path: Path
) -> None:
    hosts = [fleet[kind] for kind in ("debian", "busybox", "macish")]
    root = str(tmp_path / "root")
    places = [Place(host.root, root) for host in hosts]
    plain = {"source": str(source), "root": root, "bin_dir": f"{root}/bin"}
    declared = [{**plain, "builds": [OLD13]}, {**plain, "builds": ["3.13"], "state": "latest", "keep": 0}]
    output = front_end(hosts, declared, cache)
    sent = re.findall(r"send cpython-3\.13\.4\S*\.(delta|tar\.gz|tar\.zst) to the host, \d+ bytes( instead of \d+)?", output)
    here = Place(Path("/"), root)
    assert sorted(kind for kind, _instead in sent if kind == "delta") == ["delta"] * len(hosts), sent
    assert not re.findall(r".*a whole archive is sent instead", output)
    expected = tree(here)
    assert any(LATER13 in path for path in expected)
    for place in places:
        assert tree(place) == expected
        shutil.rmtree(place.here)
