# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed at every point: each program that a run starts is where it dies, before or after that program did its work.

The PATH of the run leads to shims, which count; at the one whose turn it is, all processes of the run get SIGKILL. What must hold
then: whatever link exists leads to a whole build; one more run makes what an undisturbed run makes; nothing foreign was touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import HISTORY
from tests.agents import fakes
from tests.agents.cases import NEWER, ONE
from tests.agents.driver import Archives, LocalHost, make
from tests.agents.place import SHELLS, Place, boot, needed, tree
from tests.faults.shims import FOREIGN, contents
from tests.tools.web import serve

FINISHED = {"cpython-3.13": ONE, "../bin/python3.13": "{root}/cpython-3.13/bin/python3.13"}


def spoil(root: Path) -> None:
    (root / ONE / "lib/python3.13/os.py").unlink()


def killed_before(root: Path) -> None:
    """A run was killed while it made something and held the lock."""
    (root / ".standalone-python.staging" / NEWER / "python" / "lib").mkdir(parents=True)
    host = os.uname().nodename
    (root / ".standalone-python.lock").symlink_to(f"4194305:1:{boot()}:{host}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    :ivar first: builds that are there before, with the links of the first
    :ivar keeps: whether an interpreter must be reachable by its links all the time
    :ivar exchanges: a build takes its own place
    :ivar delta: the new build is rebuilt from the old one, by a delta that the host downloads
    :ivar at_once: the host can exchange two names in one step; otherwise the build is nowhere between two renames
    """

    name: str
    first: tuple[str, ...]
    options: Mapping[str, Any]
    keeps: bool = False
    exchanges: bool = False
    prepare: Callable[[Path], None] | None = None
    at_once: bool = False
    delta: bool = False


TWO = Scenario(
    "two builds, one new and one repaired",
    ("3.13.1",),
    {"builds": ["3.13.1", {"version": "3.12.8", "default": True}]},
    exchanges=True,
    prepare=spoil,
)
SCENARIOS = (
    Scenario(
        "upgrade by a delta of a mirror",
        ("3.13.1",),
        {"builds": ["3.13"], "state": "latest", "delivery": "pull"},
        keeps=True,
        at_once=True,
        delta=True,
    ),
    Scenario("first install", (), {"builds": [{"version": "3.13.1", "default": True}]}),
    Scenario("upgrade and removal of the old build", ("3.13.1",), {"builds": ["3.13"], "state": "latest", "keep": 0}, keeps=True),
    Scenario("repair", ("3.13.1",), {"builds": ["3.13.1"]}, exchanges=True, prepare=spoil),
    Scenario("absent", ("3.13.1", "3.12.8"), {"builds": ["3.13.1"], "state": "absent"}),
    TWO,
    replace(TWO, name=f"{TWO.name}, at once", at_once=True),
    Scenario(
        "upgrade after a run that was killed",
        ("3.13.1",),
        {"builds": ["3.13"], "state": "latest"},
        keeps=True,
        prepare=killed_before,
    ),
)
BUILDS = ("3.13.1", "3.13.2+20250317", "3.12.8")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archives]:
    folder = tmp_path_factory.mktemp("archives")
    found = Archives.of_fakes(BUILDS, folder)
    with serve(folder) as web:
        delta = found.publish_delta("3.13.1", "3.13.2+20250317", web.url())
        assert found.delta is not None
        delta.rename(folder / found.delta[1].name)
        for build, path in found.known.items():
            path.rename(folder / build.filename)
        found.known = {build: folder / build.filename for build in found.known}
        yield found


def place_of(disk: Path) -> Place:
    return Place(disk, f"{disk}/root", f"{disk}/bin")


def lay_out(disk: Path, scenario: Scenario, archives: Archives) -> Place:
    root, bin_dir = disk / "root", disk / "bin"
    place = place_of(disk)
    disk.mkdir()
    for path, text in FOREIGN.items():
        (disk / path).parent.mkdir(parents=True, exist_ok=True)
        (disk / path).write_text(text)
    (bin_dir / "python3-config").symlink_to("/usr/bin/python3-config")
    for what in scenario.first:
        build = fakes.fake(what)
        receipt = fakes.receipt_of(build, archives.sha256(build) if scenario.delta else "")
        fakes.write(build, root / build.name, json.dumps(receipt, indent=1) + "\n")
    if scenario.first:
        for path, to in FINISHED.items():
            (root / path).symlink_to(place.text(to))
    if scenario.prepare:
        scenario.prepare(root)
    return place


def run(place: Place, sent: Path, archives: Archives, scenario: Scenario, applying: Mapping[str, str]) -> bool:
    """Whether it changed anything."""
    host = LocalHost(place, SHELLS[0], sent, applying)
    return make(host, archives, scenario.options).changed


def hold_after_death(place: Place, scenario: Scenario, where: str) -> None:
    """What must be true of the disk although the run died."""
    root = Path(place.root)
    for folder in (root, Path(place.bin_dir)):
        for link in folder.glob("*python*"):
            if not link.is_symlink() or link.name == "python3-config" or link.name.startswith("."):
                continue
            if link.exists():
                build = link.resolve() if folder == root else link.resolve().parents[1]
                whole = fakes.state_of(build)
                spoiled = scenario.prepare is spoil and whole == "broken build: lib/python3.13/os.py"
                assert spoiled or whole.startswith("build "), f"{where}: {link} leads to a {whole}"
            else:
                old = root / ".standalone-python.staging" / ONE / "old"
                assert scenario.exchanges, f"{where}: {link} leads to nothing"
                assert not scenario.at_once, f"{where}: {link} leads to nothing"
                assert old.is_dir(), f"{where}: {link} leads to nothing"
    if scenario.name.startswith("upgrade after"):
        # Whichever of the file and the link is older, a rollback goes to the build of before, and never forward.
        names = (root / HISTORY).read_text().splitlines() if (root / HISTORY).exists() else []
        turned = (root / "cpython-3.13").readlink().name == NEWER
        assert names in ([[ONE]] if turned else [[], [ONE]]), where
    if scenario.keeps:
        said = subprocess.run([Path(place.bin_dir) / "python3.13", "-I", "-V"], capture_output=True, text=True, check=True)
        assert said.stdout in ("Python 3.13.1\n", "Python 3.13.2\n"), where


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_killed_at_every_program(scenario: Scenario, archives: Archives, shims: Path, tmp_path: Path) -> None:
    """Most programs only read, so many deaths leave the same disk. The next run is tried once on each disk that differs."""
    needed("dash")
    undisturbed = lay_out(tmp_path / "undisturbed", scenario, archives)
    before = tree(undisturbed.disk)
    assert run(undisturbed, tmp_path, archives, scenario, {})
    expected = _relative(tree(undisturbed.disk), undisturbed)
    assert expected != before
    recovered: set[str] = set()
    for when in ("before", "after"):
        dies = 1
        while where := dead(tmp_path / f"{when}-{dies}", scenario, archives, shims, dies, when):
            place = place_of(tmp_path / f"{when}-{dies}" / "disk")
            hold_after_death(place, scenario, where)
            if (left := contents(place)) not in recovered:
                run(place, tmp_path, archives, scenario, {"PATH": f"{shims.parent}/quick:{os.environ['PATH']}"})
                assert _relative(tree(place.disk), place) == expected, where
                assert not run(place, tmp_path, archives, scenario, {}), where
                recovered.add(left)
            shutil.rmtree(place.disk)
            dies += 1
        assert dies > 10
    assert len(recovered) > 5


def dead(folder: Path, scenario: Scenario, archives: Archives, shims: Path, dies: int, when: str) -> str:
    """Kill a run at a program, and return a text that names that program; an empty one where the run ended before it."""
    counting = folder / "count"
    counting.mkdir(parents=True)
    applying = {
        **({"FAKE_PYTHON": sys.executable} if scenario.at_once else {}),
        "PATH": str(shims),
        "SHIM_COUNT": str(counting),
        "SHIM_DIES": str(dies),
        "SHIM_WHEN": when,
        "FAKE_HOOK": str(shims.parent / "hook"),
    }
    said = ""
    try:
        run(lay_out(folder / "disk", scenario, archives), folder, archives, scenario, applying)
    except StandalonePythonError as error:
        said = str(error)
    assert not said or "can't be read" in said
    if not (counting / str(dies)).exists():
        return ""
    last = (counting / "log").read_text().splitlines()[-1]
    return f"{scenario.name}, killed {when} its program number {dies}, {last}"


def _relative(found: Mapping[str, str], place: Place) -> dict[str, str]:
    return {path: what.replace(str(place.disk), "{disk}") for path, what in found.items()}
