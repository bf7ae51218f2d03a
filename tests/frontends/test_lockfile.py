# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock file, made by the command line, in plays and deploys on a real host: it gets what is locked, whatever else there is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.support import LATER13, OLD13, TRIPLE, as_it_was, complaint, name, play, reads, task, told
from tests.tools.deploy import login, operation, run_deploy
from tests.tools.hosts import Host
from tests.tools.playbook import CACHE, run_play
from tests.tools.sources import NEWER, OLD
from tests.tools.web import Web

pytestmark = pytest.mark.xdist_group("hosts")

COMMAND = str(Path(sys.executable).with_name("standalone-python"))


@dataclass(frozen=True, slots=True)
class Locked:
    """A lock file of the time when its release was the newest."""

    path: Path
    declaration: Path

    def declared(self, root: str, **more: Any) -> dict[str, Any]:
        return {"builds": ["cpython@3.13"], "lockfile": str(self.path), "root": root, **more}

    def missing(self, request: str) -> str:
        return (
            f"{request} is not in the lock file {self.path}, which has 3.13 for {TRIPLE}: add it to the declaration, and "
            f"run: standalone-python lock {self.declaration} -o {self.path}"
        )


@pytest.fixture
def locked(source: Path, tmp_path: Path) -> Locked:
    then = tmp_path / "then"
    then.mkdir()
    (then / OLD).symlink_to(source / OLD)
    declaration, path = tmp_path / "pythons.yml", tmp_path / "pythons.lock.json"
    declaration.write_text("builds: ['3.13']\n")
    words = ["--target", TRIPLE, "--source", str(then)]
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)}
    subprocess.run([COMMAND, "lock", declaration, *words], check=True, capture_output=True, env=environment)
    return Locked(path, declaration)


def installed(host: Host, root: str) -> set[str]:
    folder = host.root / root[1:]
    return {path.name for path in folder.glob("cpython-*+*")} if folder.exists() else set()


def test_a_play_installs_what_is_locked(locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path) -> None:
    """Though newer builds are there, with both states; nothing the second time; and back to it from a newer one."""
    host, root = fleet["debian"], str(tmp_path / "root")
    declared = locked.declared(root, source=str(source))
    newest = {**declared, "state": "latest", "lockfile": ""}
    run = play(host, task(**declared), task(**declared), task(**declared, state="latest"), task(**newest), task(**declared))
    actions = [(result.result["interpreters"][0]["action"], result.result["changed"]) for result in run.results]
    assert actions == [("install", True), ("none", False), ("none", False), ("upgrade", True), ("relink", True)], run.output
    first, _second, _latest, newer, last = (result.result["interpreters"][0] for result in run.results)
    assert (first["request"], f"{first['version']}+{first['release']}") == ("cpython@3.13", OLD13)
    assert first["reason"] == "cpython@3.13 is locked to it"
    assert f"{newer['version']}+{newer['release']}" == LATER13
    assert last["prefix"] == first["prefix"]
    assert installed(host, root) == {name(OLD13), name(LATER13)}


def test_an_older_build_is_not_enough_for_present(
    locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path
) -> None:
    """Where it would be without a lock file."""
    host, root = fleet["busybox"], str(tmp_path / "root")
    declared = {"builds": ["3.13"], "root": root, "source": str(source)}
    assert subprocess.run([COMMAND, "lock", locked.declaration, "--upgrade", "--source", source], check=False).returncode == 0
    run = play(host, task(**declared | {"builds": [OLD13]}), task(**declared), task(**declared, lockfile=str(locked.path)))
    assert [result.result["interpreters"][0]["action"] for result in run.results] == ["install", "none", "upgrade"], run.output
    assert run.of().result["interpreters"][0]["release"] == NEWER


def test_a_play_without_a_locked_request_fails(locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path) -> None:
    host = fleet["debian"]
    declared = locked.declared(str(tmp_path / "root"), source=str(source)) | {"builds": ["3.13", "3.12"]}
    with as_it_was(host):
        reads(complaint(play(host, task(**declared))), locked.missing("3.12"))
        reads(complaint(play(host, task(**declared), check=True)), locked.missing("3.12"))
        lost = play(host, task(**declared | {"lockfile": "/nowhere.json"}))
        reads(
            complaint(lost),
            "the lock file /nowhere.json does not exist: create it with: standalone-python lock FILE -o /nowhere.json …",
        )


def test_a_relative_path_is_the_playbooks(locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path) -> None:
    """As for ``source``. The playbook lies in a folder of the temporary one."""
    relative = os.path.join("..", os.path.relpath(locked.path, tempfile.gettempdir()))
    declared = locked.declared(str(tmp_path / "root"), source=str(source), lockfile=relative)
    run = play(fleet["debian"], task(**declared), check=True)
    assert [step for step in run.of().result["plan"] if step.startswith("install ")] == [
        f"install {name(OLD13)}: cpython@3.13 is locked to it"
    ]


def test_what_is_not_what_was_locked_is_not_installed(
    locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path
) -> None:
    """A mirror that has another archive under the same name, even if its own SHA256SUMS agrees; and another single archive."""
    host, mirror = fleet["debian"], tmp_path / "mirror"
    shutil.copytree(source / OLD, mirror / OLD)
    archive = mirror / OLD / f"{name(OLD13)}.tar.gz"
    archive.write_bytes(archive.read_bytes() + bytes(512))
    declared = locked.declared(str(tmp_path / "root"))
    sentence = f"the archive {archive.name} has the wrong checksum: its SHA-256 should be … and is …"
    # A cache that has the locked archive would serve: it is the right one.
    environment = {"STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
    with as_it_was(host):
        for other in (mirror, archive):
            reads(complaint(play(host, task(**declared, source=str(other)), environment=environment)), sentence)
        contradiction = play(host, task(**declared, source=str(archive), checksum="ab" * 32))
        reads(complaint(contradiction), "checksum and lockfile both name the sha256 of the archive: leave checksum out")


def test_a_single_archive_needs_no_checksum(locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    archive = Path(shutil.copy(source / OLD / f"{name(OLD13)}.tar.gz", tmp_path / "alone"))
    run = play(fleet["debian"], task(**locked.declared(str(tmp_path / "root"), source=str(archive))))
    assert run.of().result.get("changed"), run.output


def test_what_was_installed_from_another_archive_is_made_anew(
    locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path
) -> None:
    """A build of the same name that was made of something else, before there was a lock file."""
    host, other, root = fleet["debian"], tmp_path / "other", str(tmp_path / "root")
    (other / OLD).mkdir(parents=True)
    archive = Path(shutil.copy(source / OLD / f"{name(OLD13)}.tar.gz", other / OLD))
    # Another gzip header is another sha256 and the same content.
    changed = bytearray(archive.read_bytes())
    changed[4:8] = b"\1\2\3\4"
    archive.write_bytes(changed)
    subprocess.run(f"sha256sum {archive.name} > SHA256SUMS", shell=True, check=True, cwd=other / OLD)  # noqa: S602
    declared = locked.declared(root, source=str(source))
    unlocked = {key: value for key, value in declared.items() if key != "lockfile"}
    run = play(host, task(**unlocked | {"source": str(other)}), task(**declared), task(**declared))
    actions = [(result.result["interpreters"][0]["action"], result.result["changed"]) for result in run.results]
    assert actions == [("install", True), ("reinstall", True), ("none", False)], run.output
    assert run.results[1].result["interpreters"][0]["reason"] == "its archive is not the locked one"


def test_offline_with_a_filled_cache(locked: Locked, fleet: Mapping[str, Host], web: Web, tmp_path: Path) -> None:
    """The lock file is all that has to be known: neither a catalogue nor a sum is fetched, and the archive once."""
    host, environment = fleet["debian"], {"STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
    declared = locked.declared("", source=web.url(), catalogue=web.url("status-500"))
    first = play(host, task(**declared | {"root": str(tmp_path / "one")}), environment=environment)
    assert first.of().result.get("changed"), first.output
    assert [asked.path for asked in web.asked] == [f"/plain/{OLD}/{name(OLD13)}.tar.gz"]
    gone = {**declared, "source": "http://mirror.invalid/plain", "catalogue": "http://mirror.invalid/rows"}
    again = play(host, task(**gone | {"root": str(tmp_path / "two")}), environment=environment)
    assert again.of().result.get("changed"), again.output
    assert installed(host, str(tmp_path / "two")) == {name(OLD13)}


def test_pull(locked: Locked, fleet: Mapping[str, Host], web: Web, tmp_path: Path) -> None:
    """The host is given the locked checksum, and what it downloads has to have it."""
    host = fleet["macish"]
    declared = locked.declared(str(tmp_path / "root"), source=web.url(), delivery="pull")
    assert play(host, task(**declared)).of().result.get("changed")
    spoiled = json.loads(locked.path.read_text())
    spoiled["builds"][0]["sha256"] = "ab" * 32
    locked.path.write_text(json.dumps(spoiled))
    with as_it_was(host):
        run = play(host, task(**declared | {"root": str(tmp_path / "other")}))
        assert f"where {'ab' * 32} was expected" in told(run, run.of())


def test_the_lookup_says_what_is_locked(locked: Locked, source: Path) -> None:
    found = "{{ lookup('standalone.python.build', 'cpython-3.13', target=triple, source=source, lockfile=lockfile) }}"
    variables = {"triple": TRIPLE, "source": str(source), "lockfile": str(locked.path)}
    run = run_play([{"ansible.builtin.debug": {"msg": found}, "vars": variables}])
    assert run.of().result["msg"]["filename"] == f"{name(OLD13)}.tar.gz", run.output
    failed = run_play([{"ansible.builtin.debug": {"msg": found.replace("cpython-3.13", "3.12")}, "vars": variables}])
    assert locked.missing("3.12") in failed.of().message


def test_a_deploy_installs_what_is_locked(locked: Locked, source: Path, fleet: Mapping[str, Host], tmp_path: Path) -> None:
    host, root = fleet["debian"], str(tmp_path / "root")
    hosts = {host.name: login(host)}
    declared = locked.declared(root, source=str(source), state="latest")
    first = run_deploy(operation(declared), hosts)
    assert (first.code, first.changed) == (0, frozenset({host.name})), first.output
    assert installed(host, root) == {name(OLD13)}
    again = run_deploy(operation(declared), hosts)
    assert (again.code, again.changed) == (0, frozenset()), again.output
    with as_it_was(host):
        missing = run_deploy(operation(declared | {"builds": ["3.13", "3.12"]}), hosts)
        assert missing.code != 0
        reads(missing.error(host.name), locked.missing("3.12"))
