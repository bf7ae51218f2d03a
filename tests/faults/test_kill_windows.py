# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows host that downloads a delta, killed at every step of the agents and at every program that they start.

A step is a call of one of the functions that change a host. PowerShell's engine on this machine runs them; ``tests/windows`` kills such
runs under Wine too. What must hold then: the links lead to whole builds, and one more run makes what an undisturbed run makes.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import NOTHING, text_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from tests.agents import engines, fakes
from tests.agents.driver import Archives
from tests.agents.place import POSIX, Place, Shell, needed, tree
from tests.faults.shims import HOOK, SHIM, contents
from tests.tools.web import Web, serve

pytestmark = POSIX

OLD, NEW = "3.13.1", "3.13.2+20250317"
OPTIONS: Mapping[str, Any] = {"builds": ["3.13"], "state": "latest", "delivery": "pull", "register": False}
CHANGING = ("apply.ps1", "build.ps1", "download.ps1", "rebuild.ps1")
# These change nothing by themselves.
READING = ["Hide", "Resolve", "Join", "Get", "ConvertTo", "Test", "Wait", "Assert"]
DEATH = r"""
function Step-Death([string]$name) {
    $state.deaths++
    $dies = [Environment]::GetEnvironmentVariable('DIES')
    if ([IO.Path]::GetFileName($dies) -ne "$($state.deaths)") { return }
    [IO.File]::WriteAllText($dies, '')
    [IO.File]::WriteAllText([IO.Path]::Combine([IO.Path]::GetDirectoryName($dies), 'log'), "$name`n")
    [Diagnostics.Process]::GetCurrentProcess().Kill()
    [Threading.Thread]::Sleep(60000)
}
"""


def mortal(script: str) -> str:
    """An agents' script that can be killed at each function that changes something."""
    names = [name for part in CHANGING for name in re.findall(r"^function ([\w-]+)", text_of(part), re.M)]
    pattern = "|".join(name for name in names if name.partition("-")[0] not in READING)
    body, functions = re.subn(rf"^function ({pattern})\b[^\n]*\{{$", r"\g<0>\nStep-Death '\1'", script, flags=re.M)
    # Between the two moves of a stable link.
    body, moves = re.subn(r"(?<=; )\[IO\.Directory\]::Move\(\$new", r"Step-Death 'Move'; \g<0>", body)
    assert (functions > 20, moves) == (True, 1)
    head, call = body.rstrip("\n").rsplit("\n", 1)
    return f"{head}\n{DEATH}{call}\n"


@dataclass
class WindowsHost:
    """:ivar scripts: what it was given"""

    place: Place
    shell: Shell
    system: Path
    scripts: list[str] = field(default_factory=list)

    def run(self, script: str, environment: Mapping[str, str] = NOTHING) -> Completed:
        self.scripts.append(script)
        place = replace(self.place, environment={"FAKE_PYTHON": sys.executable, **environment})
        return engines.run(self.shell, place, script, self.system)

    def upload(self, path: Path, name: str) -> str:
        raise AssertionError(f"{name} was sent")


@dataclass(frozen=True)
class Mirror:
    archives: Archives
    web: Web

    def asked(self) -> list[str]:
        """What hosts downloaded since this was last asked: whole archives or deltas."""
        found = [asked.path.rpartition(".")[2] for asked in self.web.asked]
        self.web.asked.clear()
        return found


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("archives")
    with serve(folder) as web:
        archives = Archives({fakes.fake(name): fakes.archive(fakes.fake(name), folder, windows=True) for name in (OLD, NEW)})
        delta = archives.publish_delta(OLD, NEW, web.url())
        assert archives.delta is not None
        delta.rename(folder / archives.delta[1].name)
        for build, path in archives.known.items():
            archives.known[build] = path.rename(folder / build.filename)
        yield Mirror(archives, web)


@pytest.fixture(scope="module")
def powershell() -> Shell:
    return engines.of_this_machine()


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """%SystemRoot% with a tar.exe that counts, as the hook of the interpreters does."""
    needed("bsdtar")
    tar = tmp_path / "windows/System32/tar.exe"
    tar.parent.mkdir(parents=True)
    counting = SHIM.replace("@REAL@", shutil.which("bsdtar") or "bsdtar")
    tar.write_text(counting.replace("\n", f'\n[ -n "${{SHIM_COUNT-}}" ] || exec {shutil.which("bsdtar")} "$@"\n', 1))
    tar.chmod(0o755)
    (tmp_path / "hook").write_text(HOOK)
    return tmp_path / "windows"


def lay_out(place: Place, mirror: Mirror) -> None:
    root, old = Path(place.root), fakes.fake(OLD)
    receipt = fakes.receipt_of(old, mirror.archives.sha256(old), windows=True)
    fakes.write(old, root / old.name, json.dumps(receipt, indent=1) + "\n", windows=True)
    (root / "cpython-3.13").symlink_to(old.name)
    for path in (root / "notes", Path(place.bin_dir) / "mine.cmd"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")


def upgrade(host: WindowsHost, mirror: Mirror) -> bool:
    """Whether it changed anything."""
    desired = replace(declare({**OPTIONS, "root": host.place.root, "bin_dir": host.place.bin_dir}), windows=True)
    return ensure.ensure(host, desired, mirror.archives).changed


def relative(place: Place) -> dict[str, str]:
    return {path: what.replace(str(place.disk), "{disk}") for path, what in tree(place.disk, windows=True).items()}


def killings(folder: Path, when: str) -> Iterator[tuple[dict[str, str], Path]]:
    """Yield the environment of each run that is killed, and the file that exists if it was.

    :param when: before or after a program; empty for at a step
    """
    for number in itertools.count(1):
        at = folder / f"{when or 'step'}-{number}"
        at.mkdir()
        died = at / str(number)
        if when:
            yield {"SHIM_COUNT": str(at), "SHIM_DIES": died.name, "SHIM_WHEN": when, "FAKE_HOOK": str(folder / "hook")}, died
        else:
            yield {"DIES": str(died)}, died


@pytest.mark.parametrize(("kind", "least"), [("before a program", 3), ("after a program", 3), ("at a step", 25)])
def test_killed_while_it_upgrades_by_a_delta(
    kind: str, least: int, mirror: Mirror, powershell: Shell, system: Path, tmp_path: Path
) -> None:
    """Each death is of the same script, on a disk that is laid out anew. The next run is tried once on each disk that differs."""
    disk = tmp_path / "disk"
    place = Place(disk, f"{disk}/root", f"{disk}/bin", windows=True)
    host = WindowsHost(place, powershell, system)
    lay_out(place, mirror)
    before = relative(place)
    assert upgrade(host, mirror)
    assert mirror.asked() == ["delta"]
    (script,) = (one for one in host.scripts if one.endswith("\nInvoke-Application\n"))
    expected = relative(place)
    assert expected[f"root/{fakes.fake(NEW).name}"] == f"build {NEW}"
    recovered: set[str] = set()
    deaths = 0
    for applying, died in killings(tmp_path, kind.partition(" ")[0] if "program" in kind else ""):
        shutil.rmtree(disk)
        lay_out(place, mirror)
        answer = host.run(mortal(script), applying)
        mirror.asked()
        if not died.exists():
            assert answer.code == 0, answer
            assert relative(place) == expected
            break
        deaths += 1
        where = f"killed {kind}: " + (died.parent / "log").read_text().splitlines()[-1]
        hold_after_death(place, before, where)
        if (left := contents(place)) not in recovered:
            recovered.add(left)
            upgrade(host, mirror)
            # If the new build has its name already, nothing is downloaded.
            assert mirror.asked() in (["delta"], []), where
            assert relative(place) == expected, where
            assert not upgrade(host, mirror), where
    assert deaths >= least
    assert len(recovered) >= (3 if "program" in kind else 10)


def hold_after_death(place: Place, before: Mapping[str, str], where: str) -> None:
    """What must be true of the disk although the run died."""
    left = relative(place)
    stable = Path(place.root) / "cpython-3.13"
    assert {path: left.get(path) for path in before if path != "root/cpython-3.13"} == {
        path: what for path, what in before.items() if path != "root/cpython-3.13"
    }, where
    builds = [what for path, what in left.items() if re.match(r"root/cpython-3\.13\.", path)]
    assert all(what.startswith("build ") for what in builds), where
    # A junction can't be renamed over another, so it is missing for a moment.
    if not stable.is_symlink():
        assert (stable.parent / ".standalone-python-link").is_symlink(), where
        return
    done = subprocess.run([stable / "python.exe", "-I", "-V"], capture_output=True, text=True, check=True)
    assert done.stdout in ("Python 3.13.1\n", "Python 3.13.2\n"), where
