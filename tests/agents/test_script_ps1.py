# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script for Windows hosts without a controller: on each state of a host it decides what a plan decides, and it does that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.script import Archives as Places
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.script import kinds_of, make
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import HISTORY
from tests.agents import engines, fakes
from tests.agents.place import Place, Shell
from tests.agents.test_powershell import powershell as powershell  # the fixture
from tests.agents.test_script import ORIGIN, Offered, changed_receipt, checked

TRIPLE = "x86_64-pc-windows-msvc"
BUILD = parse_filename("cpython-3.13.1+20250115-x86_64-pc-windows-msvc-install_only_stripped.tar.gz")
ONE = BUILD.name
OTHER = parse_filename(BUILD.filename.replace("3.13.1", "3.13.2"))


def wanted(place: Place, options: Mapping[str, Any]) -> Desired:
    """The declaration. Folders of this machine are not valid for Windows, so they come in afterwards."""
    desired = declare({"builds": ["3.13.1"], "register": False, "lockfile": "python.lock.json", **options}, windows=True)
    return replace(desired, root=place.root, bin_dir=place.bin_dir)


def script_of(archives: Offered, desired: Desired) -> str:
    return make(desired, archives, kinds_of(desired, archives, [TRIPLE]), ORIGIN, Places(beside="archives"))


class Host:
    """Runs an agent's script; what it has no stand-in for is not there."""

    def __init__(self, shell: Shell, place: Place, system: Path) -> None:
        self.shell, self.place, self.system = shell, place, system

    def run(self, script: str) -> ensure.Completed:
        return engines.run(self.shell, self.place, script, self.system)

    def upload(self, path: Path, name: str) -> str:
        raise AssertionError(path)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Offered:
    folder = tmp_path_factory.mktemp("archives")
    return Offered({BUILD: fakes.archive(BUILD, folder, windows=True)})


def _remove(path: str) -> Callable[[Place, str], None]:
    return lambda place, _sha256: place.path(path).unlink()


def _foreign(place: Place, _sha256: str) -> None:
    place.path("{bin}/python3.13.cmd").write_text("mine")


# What is changed on a host in order, and what is declared then. Each repairs what the one before left.
STATES: Mapping[str, tuple[Callable[[Place, str], None] | None, Mapping[str, Any]]] = {
    "a module is gone": (_remove(f"{{root}}/{ONE}/Lib/os.py"), {}),
    "another archive": (changed_receipt(sha256="1" * 64), {}),
    "a full check found damage": (checked("its files differ from what was installed: Lib/os.py"), {}),
    "moved": (changed_receipt(prefix="C:\\elsewhere"), {}),
    "a launcher is gone": (_remove("{bin}/python3.13.cmd"), {"builds": [{"version": "3.13.1", "default": True}]}),
}
REFUSED: Mapping[str, Callable[[Place, str], None]] = {
    "no receipt": _remove(f"{{root}}/{ONE}/{fakes.RECEIPT}"),
    "a file for a launcher": _foreign,
}


def test_it_decides_what_a_plan_decides(powershell: Shell, archives: Offered, tmp_path: Path) -> None:
    disk, system = tmp_path / "disk", tmp_path / "windows"
    (system / "System32").mkdir(parents=True)
    disk.mkdir()
    environment = {"PROCESSOR_ARCHITECTURE": "AMD64"}
    place = Place(disk, f"{disk.as_posix()}/root", f"{disk.as_posix()}/bin", environment, windows=True)
    folder = archives.lay_out(tmp_path / "archives")
    host = Host(powershell, place, system)

    def run(desired: Desired, *options: str) -> ensure.Completed:
        given = [f"$options.archives = '{folder}'", *(f"$options.{option} = $true" for option in options)]
        text = script_of(archives, desired)
        return host.run(text.replace("Invoke-Main $options", f"{'; '.join(given)}; Invoke-Main $options"))

    first = run(wanted(place, {}))
    assert (first.code, first.errors) == (0, ""), first
    assert place.tree()[f"root/{ONE}"].startswith("build 3.13.1")
    again = run(wanted(place, {}))
    assert (again.code, again.output.split()) == (0, ["nothing", "to", "do"]), again
    for name, (change, more) in STATES.items():
        desired = wanted(place, more)
        if change:
            change(place, archives.sha256(BUILD))
        before = place.tree()
        told = run(desired, "check", "json")
        assert place.tree() == before
        planned = ensure.ensure(host, desired, archives, check=True).plan
        verbs = [" ".join(str(step).partition(":")[0].split()[:2]).replace("\\", "/") for step in planned.steps]
        assert [" ".join(step.split()[:2]) for step in json.loads(told.output)["plan"]] == verbs, name
        assert verbs
        assert told.code == 2
        done = run(desired)
        assert (done.code, done.errors) == (0, ""), (name, done)
    assert not ensure.ensure(host, desired, archives, check=True).plan
    # What the stable link led to is recorded for a rollback, as every front end does.
    (disk / "root" / OTHER.name).mkdir()
    fakes.write(OTHER, disk / "root" / OTHER.name, windows=True)
    (disk / "root/cpython-3.13").unlink()
    (disk / "root/cpython-3.13").symlink_to(OTHER.name)
    turned = run(desired)
    assert (turned.code, turned.errors) == (0, ""), turned
    assert (disk / "root" / HISTORY).read_text() == f"{OTHER.name}\n"
    for name, change in REFUSED.items():
        change(place, "")
        with pytest.raises(ensure.AgentError) as refused:
            ensure.ensure(host, desired, archives, check=True)
        told = run(desired)
        assert (told.code, told.output) == (1, ""), name
        assert told.errors.startswith(f"install-python: {str(refused.value).partition(':')[0]}"), name
