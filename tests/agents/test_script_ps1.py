# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script for Windows hosts without a controller: on each state of a host it decides what a plan decides, and it does that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.script import Archives as Places
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.script import kinds_of, make
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import HISTORY
from tests.agents import engines, fakes, on_windows
from tests.agents.offered import KNOWN, ORIGIN, Offered, changed_receipt, checked
from tests.agents.place import LAUNCHER, Place, Shell
from tests.tools.windows import HERE

TRIPLE = "x86_64-pc-windows-msvc"
BUILD = parse_filename("cpython-3.13.1+20250115-x86_64-pc-windows-msvc-install_only_stripped.tar.gz")
ONE = BUILD.name
OTHER = parse_filename(BUILD.filename.replace("3.13.1", "3.13.2"))


def windows_build(text: str) -> Build:
    """The build that stands for ``3.13.0``, or with a release ``3.13.0+20250108``."""
    return parse_filename(fakes.fake(text).filename.replace(fakes.TRIPLE, TRIPLE).replace("pgo+lto", "pgo"))


def wanted(place: Place, options: Mapping[str, Any]) -> Desired:
    """The declaration. Folders of this machine are not valid for Windows, so they come in afterwards."""
    desired = declare({"builds": ["3.13.1"], "register": False, "lockfile": "python.lock.json", **options}, windows=True)
    return replace(desired, root=place.root, bin_dir=place.bin_dir)


class OfWindows(Offered):
    def known_builds(self, triples: Iterable[str]) -> Iterable[Build]:
        return [build for build in (*self.known, *map(windows_build, KNOWN)) if build.triple in triples]


def script_of(archives: Offered, desired: Desired) -> str:
    return make(desired, archives, kinds_of(desired, archives, [TRIPLE]), ORIGIN, Places(beside="archives"))


@dataclass(frozen=True, slots=True)
class Host:
    """Runs an agent's script; what it has no stand-in for is not there.

    :ivar stand_ins: functions in place of the agents' own, each in a line
    """

    shell: Shell
    place: Place
    system: Path
    stand_ins: tuple[str, ...] = ()

    @classmethod
    def on(cls, folder: Path, shell: Shell, *stand_ins: str) -> Host:
        disk, system = folder / "disk", folder / "windows"
        (system / "System32").mkdir(parents=True)
        disk.mkdir()
        environment = {"PROCESSOR_ARCHITECTURE": "AMD64"}
        place = Place(disk, f"{disk.as_posix()}/root", f"{disk.as_posix()}/bin", environment, windows=True)
        return cls(shell, place, system, stand_ins)

    def run(self, script: str) -> ensure.Completed:
        body, call = script.rstrip("\n").rsplit("\n", 1)
        # In the last line, as the engine's own stand-ins come before it.
        return engines.run(self.shell, self.place, f"{body}\n{'; '.join([*self.stand_ins, call])}\n", self.system)

    def run_script(self, text: str, *options: str, archives: Path | None = None) -> ensure.Completed:
        given = [f"$options.{option} = $true" for option in options]
        given += [f"$options.archives = '{archives}'"] if archives else []
        return self.run(text.replace("Invoke-Main $options", "; ".join([*given, "Invoke-Main $options"])))

    def upload(self, path: Path, name: str) -> str:
        raise AssertionError(path)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Offered:
    folder = tmp_path_factory.mktemp("archives")
    return OfWindows({BUILD: fakes.archive(BUILD, folder, windows=True)})


def _remove(path: str) -> Callable[[Place, str], None]:
    return lambda place, _sha256: place.path(path).unlink()


def _foreign(place: Place, _sha256: str) -> None:
    place.path("{bin}/python3.13.cmd").write_text("mine")


def _much(place: Place, _sha256: str) -> None:
    """A run was killed, and a launcher leads to another line."""
    (Path(place.root) / ".standalone-python.staging").mkdir()
    put_launcher(place, "python3.13", "cpython-3.12")


# What is changed on a host in order, and what is declared then. Each repairs what the one before left.
STATES: Mapping[str, tuple[Callable[[Place, str], None] | None, Mapping[str, Any]]] = {
    "a module is gone": (_remove(f"{{root}}/{ONE}/Lib/os.py"), {}),
    "another archive": (changed_receipt(sha256="1" * 64), {}),
    "a full check found damage": (checked("its files differ from what was installed: Lib/os.py"), {}),
    "moved": (changed_receipt(prefix="C:\\elsewhere"), {}),
    "much at once": (_much, {"builds": [{"version": "3.13.1", "default": True}], "externally_managed": False}),
}
REFUSED: Mapping[str, Callable[[Place, str], None]] = {
    "no receipt": _remove(f"{{root}}/{ONE}/{fakes.RECEIPT}"),
    "a file for a launcher": _foreign,
}


def test_it_decides_what_a_plan_decides(powershell: Shell, archives: Offered, tmp_path: Path) -> None:
    folder = archives.lay_out(tmp_path / "archives")
    host = Host.on(tmp_path, powershell)
    place = host.place

    def run(desired: Desired, *options: str) -> ensure.Completed:
        return host.run_script(script_of(archives, desired), *options, archives=folder)

    told = run(wanted(place, {}), "check", "quiet")
    assert (told.code, told.output, list(place.disk.iterdir())) == (2, "", [])
    first = run(wanted(place, {}))
    assert (first.code, first.errors) == (0, ""), first
    assert place.tree()[f"root/{ONE}"].startswith("build 3.13.1")
    again = run(wanted(place, {}))
    assert (again.code, again.output.split()) == (0, ["nothing", "to", "do"]), again
    for name, (change, more) in STATES.items():
        desired = wanted(place, more)
        if change:
            change(place, archives.sha256(BUILD))
        planned = ensure.ensure(host, desired, archives, check=True).plan
        verbs = [" ".join(str(step).partition(":")[0].split()[:2]).replace("\\", "/") for step in planned.steps]
        done = run(desired, "json")
        assert (done.code, done.errors) == (0, ""), (name, done)
        assert [" ".join(step.split()[:2]) for step in json.loads(done.output)["plan"]] == verbs, name
        assert verbs
    assert not ensure.ensure(host, desired, archives, check=True).plan
    for name, change in REFUSED.items():
        change(place, "")
        with pytest.raises(ensure.AgentError) as refused:
            ensure.ensure(host, desired, archives, check=True)
        told = run(desired)
        assert (told.code, told.output) == (1, ""), name
        assert told.errors.startswith(f"install-python: {str(refused.value).partition(':')[0]}"), name


# The registry and the PATH are files here.
REGISTRY = (
    "function Get-File([string]$name) { [IO.Path]::Combine([IO.Path]::GetDirectoryName($root), $name) }",
    "function Get-Entered { if ([IO.File]::Exists((Get-File 'registry'))) { [IO.File]::ReadAllLines((Get-File 'registry')) } }",
    "function Write-Registered { foreach ($line in Get-Entered) { Write-Pair 'registered' $line } }",
    (
        "function Unregister-Line([string]$tag) { $left = @(foreach ($line in Get-Entered) "
        '{ if (-not $line.StartsWith("$tag ")) { $line } }); '
        "[IO.File]::WriteAllLines((Get-File 'registry'), [string[]]$left) }"
    ),
    "function Assert-Registry { }",
    "function Write-SearchPath { if ([IO.File]::Exists((Get-File 'path'))) { Write-Pair 'path' 'ours' } }",
    "function Set-SearchPath { [IO.File]::Delete((Get-File 'path')) }",
)
# Windows keeps a folder with an open file in its place, and what is in it.
HELD = "function Remove-Build([string]$name) { [void]$state.held.Add((Join-Name $root $name)) }"
HOLDS_ALL = "function Remove-Tree { $false }"


def put_link(place: Place, line: str, name: str) -> None:
    link = Path(place.root) / line
    if HERE:
        on_windows.make_junction(link, link.parent / name)
    else:
        link.unlink(missing_ok=True)
        link.symlink_to(name)


def put_launcher(place: Place, name: str, to: str) -> None:
    Path(place.bin_dir).mkdir(exist_ok=True)
    text = LAUNCHER.format(f"%~dp0..\\root\\{to}\\python.exe")
    (Path(place.bin_dir) / f"{name}.cmd").write_text(text, newline="")


def put(place: Place, *names: str, stable: str = "", registered: str = "") -> None:
    """Lay out builds on the host. A build of another line than 3.13 gets its links.

    :param stable: what the stable link of 3.13 leads to
    :param registered: the tag of an entry in the registry, which leads through the stable link of that line
    """
    for build in map(windows_build, names):
        fakes.write(build, Path(place.root) / build.name, windows=True)
        minor = build.version.minor_line
        if minor != "3.13":
            put_link(place, f"cpython-{minor}", build.name)
            put_launcher(place, f"python{minor}", f"cpython-{minor}")
    if stable:
        put_link(place, "cpython-3.13", windows_build(stable).name)
    if registered:
        with (place.disk / "registry").open("a") as file:
            file.write(f"{registered} {registered}.1 64bit {place.root}/cpython-{registered}/python.exe\n")


@dataclass(frozen=True, slots=True)
class Removal:
    """What comes to a host, what is declared then, and what the host has afterwards.

    :ivar builds: versions, some with a release
    :ivar left: the builds that the script says it left alone
    """

    change: Callable[[Place], None]
    options: Mapping[str, Any]
    builds: tuple[str, ...]
    launchers: tuple[str, ...] = ("python3.13",)
    registered: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def _odd(place: Place) -> None:
    put(place, "3.12.8", registered="3.12")
    put_launcher(place, "python3.11", "cpython-3.11")  # leads nowhere
    put_launcher(place, "python3.12-config", "cpython-3.12")
    (Path(place.bin_dir) / "python.cmd").write_text("mine")
    put(place, registered="3.14")


ABSENT: Mapping[str, Any] = {"builds": ["3.13.1", {"version": "3.12", "state": "absent"}]}
OLD, REBUILT, AFTER = "3.13.0", "3.13.0+20250108", "3.13.2+20250317"
OTHERS = ("python", "python3.12-config")
# In this order, on one host.
REMOVALS: Mapping[str, Removal] = {
    "an upgrade": Removal(
        lambda place: put(place, OLD, REBUILT, AFTER, stable=REBUILT), {}, ("3.13.1", REBUILT), history=(REBUILT,)
    ),
    "keep none": Removal(lambda place: None, {"keep": 0}, ("3.13.1",), history=(REBUILT,)),
    "another line": Removal(
        lambda place: put(place, "3.12.8", "3.12.99", registered="3.12"),
        {},
        ("3.13.1", "3.12.8", "3.12.99"),
        launchers=("python3.12", "python3.13"),
        registered=("3.12",),
        history=(REBUILT,),
        left=("3.12.8", "3.12.99"),
    ),
    "exclusive, and a build that no catalogue names": Removal(
        lambda place: put_link(place, "cpython-3.12", windows_build("3.12.8").name),
        {"exclusive": True},
        ("3.13.1", "3.12.99"),
        history=(REBUILT,),
        left=("3.12.99",),
    ),
    "absent, beside what others have": Removal(
        _odd, ABSENT, ("3.13.1", "3.12.99"), ("python3.13", *OTHERS), history=(REBUILT,), left=("3.12.99",)
    ),
    "absent is all": Removal(
        lambda place: (place.disk / "path").touch(),
        {"builds": [{"version": version, "state": "absent"} for version in ("3.13", "3.12.99")]},
        ("3.12.99",),
        OTHERS,
        history=(REBUILT,),
        left=("3.12.99",),
    ),
}


def test_it_removes_what_a_plan_removes(powershell: Shell, archives: Offered, tmp_path: Path) -> None:
    """Builds whose names are known, with their links and entries in the registry. The script does no step that a plan doesn't."""
    host = Host.on(tmp_path, powershell, *REGISTRY)
    place, root = host.place, Path(host.place.root)
    sha256 = archives.sha256(BUILD)
    fakes.write(BUILD, root / ONE, windows=True)
    changed_receipt(sha256=sha256, prefix=f"{root}/{ONE}".replace("/", "\\") if HERE else f"{root}/{ONE}", modules=5)(place, "")
    put_launcher(place, "python3.13", "cpython-3.13")
    for name, state in REMOVALS.items():
        state.change(place)
        desired = wanted(place, state.options)
        planned = ensure.ensure(host, desired, archives, check=True).plan
        unnamed = [windows_build(one).name for one in state.left]
        steps = [str(step).partition(": ")[0].partition(" instead of")[0] for step in planned.steps]
        done = host.run_script(script_of(archives, desired), "json")
        assert (done.code, done.errors) == (0, ""), (name, done)
        told = json.loads(done.output)
        # A plan that removes all builds of a line knows the builds of no catalogue, too.
        assert told["plan"] == [step for step in steps if not any(one in step for one in unnamed)], name
        assert (told["left_alone"], told["in_use"]) == (unnamed, []), name
        there = {path.name for path in root.glob("cpython-*-*")}
        assert there == {windows_build(one).name for one in state.builds}, name
        assert {path.stem for path in Path(place.bin_dir).iterdir()} == {*state.launchers}, name
        entries = (place.disk / "registry").read_text().split("\n") if (place.disk / "registry").exists() else []
        assert [line.split()[0] for line in entries if line] == [*state.registered], name
        history = (root / HISTORY).read_text().split() if (root / HISTORY).exists() else []
        assert history == [windows_build(one).name for one in state.history], name
    assert not (place.disk / "path").exists()


def test_a_build_in_use(powershell: Shell, archives: Offered, tmp_path: Path) -> None:
    """It stays, and the script says so; the next run tries again."""
    host = Host.on(tmp_path, powershell, *REGISTRY, HELD)
    put(host.place, OLD)
    text = script_of(archives, wanted(host.place, {"builds": [{"version": "3.13", "state": "absent"}]}))
    name = windows_build(OLD).name
    done = host.run_script(text)
    assert (done.code, done.output.splitlines()) == (0, ["nothing to do", f"in use, a later run removes them: {name}"]), done
    done = replace(host, stand_ins=REGISTRY).run_script(text, "json")
    told = json.loads(done.output)
    assert (told["changed"], told["plan"], told["in_use"]) == (True, [f"remove {name}"], [])
    assert not (Path(host.place.root) / name).exists()
    # The same of what an earlier run could only move away.
    staging = Path(host.place.root) / ".standalone-python.staging"
    (staging / name).mkdir(parents=True)
    told = json.loads(replace(host, stand_ins=(*REGISTRY, HOLDS_ALL)).run_script(text, "json").output)
    assert (told["changed"], told["plan"], told["in_use"]) == (False, [], [str(staging)])
    told = json.loads(replace(host, stand_ins=REGISTRY).run_script(text, "json").output)
    assert (told["changed"], told["plan"], told["in_use"]) == (True, ["clear what an earlier run left"], [])
