# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up the hosts of cases.py, plans their steps, and compares what an agent observes and leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.check import Check, check_line
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed, parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import parse_receipt
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import (
    Install,
    Plan,
    Remove,
    Seen,
    SetLink,
    Step,
    Unlink,
    seen,
)
from tests.agents import cases, fakes, on_windows
from tests.agents.cases import Case
from tests.agents.place import LAUNCHER, Place, Shell, boot, leads_to, started
from tests.tools.windows import HERE

OTHER = 65534


def place_for(case: Case, shell: Shell, disk: Path, tools: Path) -> Place:
    root, bin_dir = case.settings.get("root", "opt/python"), case.settings.get("bin_dir", "bin")
    place = Place(disk, _below(disk, str(root)), _below(disk, str(bin_dir)))
    if "HOME" in case.settings:
        place.environment["HOME"] = place.text(str(case.settings["HOME"]))
    if path := shell.path(tools):
        place.environment["PATH"] = path
    return place


def _below(disk: Path, path: str) -> str:
    return path if path.startswith("~") else f"{disk.as_posix()}/{path}"


def declared(case: Case, place: Place) -> Desired:
    own = {key: value for key, value in case.settings.items() if key not in ("root", "bin_dir", "HOME")}
    return declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir, "lock_timeout": 5, **own}, windows=HERE)


def put(thing: cases.Thing, place: Place, stack: ExitStack) -> None:
    match thing:
        case cases.Built(what, receipt, path, prefix):
            build = fakes.fake(what)
            folder = place.path(path or f"{{root}}/{build.name}")
            if receipt == "(one line)":
                receipt = json.dumps(fakes.receipt_of(build, windows=place.windows))
            elif found := re.fullmatch(r"\(externally_managed: false, (\w+): (.*)\)", receipt or ""):
                said = fakes.receipt_of(build, windows=place.windows, externally_managed=False, **{found[1]: found[2]})
                receipt = json.dumps(dict(sorted(said.items())), indent=1) + "\n"
            elif receipt == "(later)":
                later = fakes.receipt_of(build, windows=place.windows) | {"installed_at": "2026-11-28T00:00:00Z"}
                receipt = json.dumps(later, indent=1)
            if prefix:
                said = fakes.receipt_of(build, windows=place.windows, prefix=place.text(prefix))
                receipt = json.dumps(dict(sorted(said.items())), indent=1) + "\n"
            fakes.write(build, folder, receipt, windows=place.windows)
        case cases.Checked(what, damage, line):
            record = place.path(f"{cases.CHECKS}/{fakes.fake(what).name}")
            record.parent.mkdir(exist_ok=True)
            record.write_text(line or f"{recorded(what, damage, windows=place.windows)}\n", newline="\n")
        case cases.Running(what):
            running(place.path(f"{{root}}/{fakes.fake(what).name}"), stack)
        case cases.Lock(kind, name):
            lock = place.path(f"{{root}}/{name}")
            if place.windows:
                lock.write_text("4711:1::there")
            else:
                lock.symlink_to(lock_text(kind, stack))
        case cases.Gone(path):
            gone = place.path(path)
            shutil.rmtree(gone) if gone.is_dir() and not leads_to(gone) else gone.unlink()
        case cases.File(path, text, mode):
            file = place.path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, newline="\n")
            file.chmod(mode)
        case cases.Program(path, out, errors, code):
            fakes.write_program(place.path(path), out, errors, code)
        case cases.Folder(path, mode, other):
            place.path(path).mkdir(parents=True)
            place.path(path).chmod(mode)
            if other and os.geteuid() == 0:
                os.chown(place.path(path), OTHER, OTHER)
        case cases.Link(path, to):
            link = place.path(path)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            if place.windows and path.startswith("{bin}/python"):
                link.write_text(LAUNCHER.format(place.text(to).replace("/", "\\")), "utf-8", newline="")
            elif HERE:
                on_windows.make_junction(link, link.parent / place.text(to))
            else:
                link.symlink_to(place.text(to))


def recorded(what: str, damage: str = "", *, windows: bool = False) -> str:
    """Return the record of a full check of a fake build."""
    receipt = parse_receipt(json.dumps(fakes.receipt_of(fakes.fake(what), windows=windows)))
    assert receipt
    return check_line(Check("2026-11-20T08:00:00Z", damage), receipt)


MAPPING = """
import mmap, sys, time
file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print(flush=True)
time.sleep(60)
"""


def running(folder: Path, stack: ExitStack) -> int:
    """Start a process that maps a file of a build; returns its number."""
    command = [sys.executable, "-I", "-S", "-c", MAPPING, str(folder / "bin/python3")]
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    stack.callback(process.kill)
    assert process.stdout
    assert process.stdout.readline() == b"\n"
    return process.pid


def lock_text(kind: str, stack: ExitStack) -> str:
    """The text of a lock as observe.sh reads it: pid:started:boot:host."""
    since, host = boot(), os.uname().nodename
    process = stack.enter_context(subprocess.Popen(["sleep", "60"]))
    stack.callback(process.kill)
    begun = started(process.pid)
    if kind == "dead":
        process.kill()
        process.wait()
    if kind == "reused":
        begun = str(int(begun) - 100)
    if kind in ("before", "elsewhere"):
        since = "00000000-0000-4000-8000-000000000000"
    if kind == "contained":
        since = since.partition(".")[0] + ".4026530000"
    if kind == "elsewhere":
        host = "another." + host
    return f"{process.pid}:{begun}:{since}:{host}"


def delivery(step: cases.Get, build: Build, folder: Path, windows: bool) -> sh.Pushed:
    """The archive as it was sent, spoiled where the case wants that."""
    if step.spoiled in ("empty", "start", "reports"):
        path = spoiled_archive(step.spoiled, folder, "python.exe" if windows else "bin/python3")
    else:
        path = fakes.archive(build, folder, windows=windows)
    sha256 = fakes.sha256(path)
    if step.spoiled == "checksum":
        sha256 = "0" * 64
    if step.spoiled == "cut":
        path.write_bytes(path.read_bytes()[:700])
        sha256 = fakes.sha256(path)
    path.chmod(0o644)
    return sh.Pushed(str(path), sha256, "gz", step.need_kb, "https://example.org/a.tar.gz", "f" * 64, inodes=step.inodes)


SPOILED: Mapping[str, tuple[str, str, int]] = {
    "start": ("", "/lib/libc.so.6: version `GLIBC_2.99' not found\n", 127),
    "reports": ("failure=module\ndetail=import ssl: no\n", "", 3),
}


def spoiled_archive(how: str, folder: Path, executable: str) -> Path:
    """An archive whose interpreter does not start or is missing."""
    python = folder / how / "python" / executable
    python.parent.mkdir(parents=True)
    if how in SPOILED:
        fakes.write_program(python, *SPOILED[how])
    path = folder / f"{how}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder / how / "python", "python")
    return path


def planned(case: Case, place: Place, folder: Path, said: str) -> tuple[Plan, dict[str, sh.Delivery]]:
    steps: list[Install | SetLink | Unlink | Remove] = []
    history: tuple[str, ...] | None = None
    over: dict[str, Seen] = {}
    deliveries: dict[str, sh.Delivery] = {}
    for step in case.steps or ():
        match step:
            case cases.Get(what):
                build = fakes.fake(what)
                steps.append(Install(build, "install", "the case says so"))
                deliveries[build.name] = delivery(step, build, folder, place.windows)
            case cases.SetTo(path, to):
                steps.append(SetLink(place.text(path), place.text(to), links_in(said).get(place.text(path), "")))
            case cases.Unset(path):
                steps.append(Unlink(place.text(path), ""))
            case cases.Drop(what, unless_used):
                steps.append(Remove(fakes.fake(what).name, "the case says so", unless_used))
            case cases.Record(history, was) if was is not None:
                over[place.text(cases.HISTORY)] = Seen("text", " ".join(was)) if was else Seen()
            case cases.Record(history):
                pass
    return Plan(tuple(steps), (), {**seen_in(said, steps), **over}, history=history), deliveries


def links_in(said: str) -> Mapping[str, str]:
    """The links that an observation has; none, where it failed."""
    try:
        return parse(said).links
    except AgentError:
        return {}


def seen_in(said: str, steps: Sequence[Step]) -> Mapping[str, Seen]:
    """What an observation has where steps change something; nothing, where it failed."""
    try:
        return seen(steps, parse(said))
    except AgentError:
        return {}


def hold(sees: Mapping[str, object], observed: Observed, place: Place) -> None:
    """The observation has what the case says of it."""
    for key, expected in sees.items():
        match key:
            case "builds":
                assert isinstance(expected, Mapping)
                faults = {str(i.build.version): i.problem for i in observed.installed}
                assert set(faults) == set(expected)
                for version, fault in expected.items():
                    assert re.search(place.text(fault), faults[version]) if fault else not faults[version], faults
            case "links":
                assert isinstance(expected, Mapping)
                assert observed.links == {place.text(path): place.text(to) for path, to in expected.items()}
            case "users":
                versions = Counter(process.build.split("-")[1].partition("+")[0] for process in observed.processes)
                assert versions == expected
            case "held":
                assert isinstance(expected, tuple)
                assert observed.held == tuple(map(place.text, expected))
            case "occupied" | "leftovers" | "obstacles":
                assert isinstance(expected, tuple)
                assert sorted(getattr(observed, key)) == sorted(map(place.text, expected))
            case "checked":
                assert tuple(build.checked_at for build in observed.installed) == expected
            case "packages":
                assert tuple(build.packages for build in observed.installed) == expected
            case "extra":
                assert isinstance(expected, tuple)
                assert tuple(map(place.text, expected)) == tuple(path for build in observed.installed for path in build.extra)
            case _:
                assert getattr(observed, key) == (place.text(expected) if isinstance(expected, str) else expected)


def below(disk: Path, path: Path) -> str:
    return path.relative_to(disk).as_posix()


def expected_tree(case: Case, place: Place, before: Mapping[str, str]) -> dict[str, str]:
    if case.fails[0] or case.outdated:
        return dict(before)
    expected = dict(before)
    for path, what in case.after.items():
        if path == "(parents)":
            for parent in place.path("{root}").relative_to(place.disk).parents:
                if str(parent) != ".":
                    expected[parent.as_posix()] = "folder"
        elif path == "(parents of)":
            for made in str(what).split("\n"):
                expected |= {parent.as_posix(): "folder" for parent in (Path(made), *Path(made).parents) if str(parent) != "."}
        elif path == "(leftovers)":
            ours = (".standalone-python.staging", ".standalone-python.lock-broken", ".standalone-python-link")
            expected = {name: is_ for name, is_ in expected.items() if not any(part in name for part in ours)}
        elif what is None:
            gone = below(place.disk, place.path(path))
            expected = {k: v for k, v in expected.items() if k != gone and not k.startswith(f"{gone}/")}
        else:
            expected[below(place.disk, place.path(path))] = place.text(what)
    return expected
