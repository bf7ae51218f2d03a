# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full, read-only, without programs or somebody else's: the error names it, and the host is as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError, StandalonePythonError
from tests.agents import fakes
from tests.agents.driver import Archives, LocalHost, make
from tests.agents.place import SHELLS, Place, Shell, needed, tree
from tests.faults.conftest import Mount

OTHER = 65534
PADDING = 300_000
INSTALL: Mapping[str, Any] = {"builds": ["3.13.1"]}
UPGRADE: Mapping[str, Any] = {"builds": ["3.13"], "state": "latest", "keep": 0}


@pytest.fixture(params=["dash", "busybox"])
def shell(request: pytest.FixtureRequest) -> Shell:
    (chosen,) = (shell for shell in SHELLS if shell.name == request.param)
    needed(chosen.command[0])
    return chosen


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """Where archives arrive, which the other user may read."""
    folder = tmp_path / "sent"
    folder.mkdir()
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.getuid() and not above.stat().st_mode & stat.S_IXOTH:
            above.chmod(0o711)
    return folder


def place_on(disk: Path, shell: Shell, tmp_path: Path) -> Place:
    place = Place(disk, f"{disk}/opt/python", f"{disk}/bin")
    if path := shell.path(tmp_path / "tools"):
        place.environment["PATH"] = path
    return place


@pytest.mark.parametrize(("shell", "form"), [("dash", "gz"), ("dash", "zst"), ("busybox", "gz")], indirect=["shell"])
@pytest.mark.parametrize("size", [4, 8, 16, 24, 32, 48, 64, 100, 200, 300, 350, 400])
def test_full_while_unpacking(size: int, form: str, shell: Shell, mount: Mount, sent: Path, tmp_path: Path) -> None:
    """What a run needs is not known to it beforehand here. Every size ends in an error that names the disk, or works."""
    archives = Archives.of_fakes(["3.13.1"], tmp_path, padding=PADDING, form=form)
    place = place_on(mount(f"size={size}k"), shell, tmp_path)
    before = tree(place.disk)
    said = ""
    try:
        make(LocalHost(place, shell, sent), archives, INSTALL)
    except StandalonePythonError as error:
        said = str(error)
    if said:
        assert "disk is full" in said or "the disk has" in said
        assert "as it was" in said
        assert tree(place.disk) == before
    else:
        assert size >= 300
        assert tree(place.disk, padding=PADDING)[f"opt/python/{fakes.fake('3.13.1').name}"] == "build 3.13.1"


@pytest.mark.parametrize("inodes", [2, 3, 5, 6, 7, 8, 9, 12, 15, 20, 26])
def test_no_more_files(inodes: int, shell: Shell, mount: Mount, sent: Path, tmp_path: Path) -> None:
    """What a run needs is not known to it beforehand here."""
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    archives.inodes = -20
    place = place_on(mount(f"size=1m,nr_inodes={inodes}"), shell, tmp_path)
    before = tree(place.disk)
    with pytest.raises(AgentError, match=r"no inodes are left .*: remove files .*as it was") as error:
        make(LocalHost(place, shell, sent), archives, INSTALL)
    assert len(str(error.value)) < 300
    assert tree(place.disk) == before


def test_too_few_inodes_are_seen_before(shell: Shell, mount: Mount, sent: Path, tmp_path: Path) -> None:
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    archives.inodes = 4500
    place = place_on(mount("size=1m,nr_inodes=500"), shell, tmp_path)
    with pytest.raises(AgentError, match=r"needs 4520 inodes .*, where 499 are free: remove files .*as it was"):
        make(LocalHost(place, shell, sent), archives, INSTALL)
    assert tree(place.disk) == {}
    assert not list(sent.iterdir())


def test_full_is_seen_before(shell: Shell, mount: Mount, sent: Path, tmp_path: Path) -> None:
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    archives.unpacked = 10_000_000
    place = place_on(mount("size=200k"), shell, tmp_path)
    host = LocalHost(place, shell, sent)
    with pytest.raises(AgentError, match=r"needs 10743 kB below .* where 200 kB are free"):
        make(host, archives, INSTALL)
    assert tree(place.disk) == {}
    assert not list(sent.iterdir())


def test_full_during_an_upgrade(shell: Shell, mount: Mount, sent: Path, tmp_path: Path) -> None:
    place = place_on(mount("size=1m"), shell, tmp_path)
    make(LocalHost(place, shell, sent), Archives.of_fakes(["3.13.1"], tmp_path), INSTALL)
    before = tree(place.disk)
    archives = Archives.of_fakes(["3.13.2+20250317"], tmp_path, padding=2_000_000)
    with pytest.raises(AgentError, match=r"disk is full.*as it was"):
        make(LocalHost(place, shell, sent), archives, UPGRADE)
    assert tree(place.disk) == before


@pytest.mark.parametrize("exists", [True, False])
def test_read_only(exists: bool, shell: Shell, disk: Path, mount: Mount, sent: Path, tmp_path: Path) -> None:
    place = place_on(disk / "ro", shell, tmp_path)
    place.disk.mkdir()
    if exists:
        Path(place.root).mkdir(parents=True)
    mount("ro", onto=place.disk, bind=True)
    with pytest.raises(AgentError, match=r"can't be written by this user|file system is read-only.*as it was"):
        make(LocalHost(place, shell, sent), Archives.of_fakes(["3.13.1"], tmp_path), INSTALL)


def test_read_only_and_in_order(shell: Shell, disk: Path, mount: Mount, sent: Path, tmp_path: Path) -> None:
    place = place_on(disk / "ro", shell, tmp_path)
    place.disk.mkdir()
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    make(LocalHost(place, shell, sent), archives, INSTALL)
    mount("ro", onto=place.disk, bind=True)
    assert not make(LocalHost(place, shell, sent), archives, INSTALL).changed


def test_no_programs_in_tmp(shell: Shell, mount: Mount, tmp_path: Path, disk: Path) -> None:
    """Where archives arrive and temporary files go, no program may be started."""
    place = place_on(disk / "host", shell, tmp_path)
    place.disk.mkdir()
    place.environment["TMPDIR"] = str(mount("size=1m,noexec"))
    host = LocalHost(place, shell, Path(place.environment["TMPDIR"]))
    assert make(host, Archives.of_fakes(["3.13.1"], tmp_path), INSTALL).changed


def test_no_programs_in_the_root(shell: Shell, mount: Mount, sent: Path, tmp_path: Path) -> None:
    place = place_on(mount("size=1m,noexec"), shell, tmp_path)
    with pytest.raises(AgentError, match=r"does not start on this host .*[Pp]ermission denied.*as it was"):
        make(LocalHost(place, shell, sent), Archives.of_fakes(["3.13.1"], tmp_path), INSTALL)
    assert tree(place.disk) == {}


@pytest.mark.parametrize("writable", ["home", "nothing"])
def test_a_user_without_rights(writable: str, shell: Shell, disk: Path, sent: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: to run as another user")
    needed("setpriv")
    place = place_on(disk / "home", shell, tmp_path)
    place.disk.mkdir()
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    host = LocalHost(place, shell, sent, as_user=OTHER)
    if writable == "home":
        os.chown(place.disk, OTHER, OTHER)
        assert make(host, archives, INSTALL).changed
        assert {path.lstat().st_uid for path in Path(place.root).rglob("*")} == {OTHER}
        assert not make(host, archives, INSTALL).changed
    else:
        with pytest.raises(AgentError, match="can't be written by this user"):
            make(host, archives, INSTALL)
        assert tree(place.disk) == {}


def test_root_s_installation_serves_everybody(shell: Shell, disk: Path, sent: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: to run as another user")
    needed("setpriv")
    place = place_on(disk / "host", shell, tmp_path)
    place.disk.mkdir()
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    make(LocalHost(place, shell, sent), archives, INSTALL)
    assert not make(LocalHost(place, shell, sent, as_user=OTHER), archives, INSTALL).changed
