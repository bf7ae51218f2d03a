# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes the agent finds: real ones, also in other mount namespaces, and those of hosts without /proc."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed, parse
from tests.agents import fakes
from tests.agents.driver import start
from tests.agents.place import Place, Shell, needed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: its /proc and its namespaces")
ONE, OTHER = "3.13.1", "3.12.8"
NOBODY = 65534


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def place_of(shell: Shell, disk: Path, tools: Path) -> Place:
    path = shell.path(tools)
    place = Place(disk, f"{disk}/opt/my python", f"{disk}/bin", {"PATH": path} if path else {})
    for what in (ONE, OTHER):
        folder = build(place, what)
        fakes.write(fakes.fake(what), folder)
        # A program of its own, as an interpreter is one. The fakes' interpreters are scripts.
        for name in folder.glob("bin/python3.*"):
            if not name.is_symlink():
                shutil.copy(shutil.which("sleep") or "", name)
    return place


def build(place: Place, what: str) -> Path:
    return place.path(f"{{root}}/{fakes.fake(what).name}")


def look(place: Place, shell: Shell, *, script: str = "", as_user: int | None = None) -> Observed:
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir})
    done = place.run(shell, script or sh.observation(desired, facts="processes"), as_user=as_user)
    assert (done.code, done.errors) == (0, "")
    return parse(done.output)


def versions(observed: Observed) -> list[tuple[int, str, bool]]:
    return sorted((one.pid, one.build.split("-")[1].partition("+")[0], one.replaced) for one in observed.processes)


def test_processes_of_builds_and_of_removed_ones(shell: Shell, disk: Path, tmp_path: Path, stack: ExitStack) -> None:
    place = place_of(shell, disk, tmp_path / "tools")
    python = build(place, ONE) / "bin/python3"
    used = start(stack, python)
    exchanged, gone = start(stack, build(place, OTHER) / "bin/python3"), start(stack, build(place, OTHER) / "bin/python3")
    start(stack, Path(shutil.which("sleep") or ""))
    # A repair and a removal move the old tree into the staging folder.
    staging = place.path("{root}/.standalone-python.staging") / build(place, OTHER).name
    staging.mkdir(parents=True)
    build(place, OTHER).rename(staging / "python")
    shutil.rmtree(staging.parent)
    observed = look(place, shell)
    expected = [(used.pid, ONE, False), (exchanged.pid, OTHER, True), (gone.pid, OTHER, True)]
    assert versions(observed) == sorted(expected)
    assert {(one.user, one.command, one.unit) for one in observed.processes} == {(user_name(), "python3", "")}
    assert observed.sight == "all" or os.geteuid() != 0


def user_name() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_chooses_its_name(shell: Shell, disk: Path, tmp_path: Path, stack: ExitStack) -> None:
    """It may have line breaks and what a terminal obeys."""
    place = place_of(shell, disk, tmp_path / "tools")
    name = b"\x1b[2J\nheld=/ a\xff"
    used = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", NAMED, str(build(place, ONE) / "bin/python3"), name.hex()], stdout=subprocess.PIPE
        )
    )
    stack.callback(used.kill)
    assert used.stdout
    assert used.stdout.readline() == b"\n"
    observed = look(place, shell)
    ((_pid, version, _replaced),) = versions(observed)
    (process,) = observed.processes
    assert (process.pid, version, observed.held) == (used.pid, ONE, ())
    assert process.command.startswith("\\x1b[2J\\nheld=/ a")
    assert process.command.isprintable()


NAMED = """
import ctypes, mmap, sys, time
file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[2]))
print(flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.geteuid() != 0 if hasattr(os, "geteuid") else True, reason="needs root: to make mount namespaces")
def test_containers(shell: Shell, disk: Path, tmp_path: Path, stack: ExitStack) -> None:
    """A container's own root of the same path is another one. This root under another path, or one build of it, is this one."""
    needed("unshare")
    place = place_of(shell, disk, tmp_path / "tools")
    own, elsewhere, one_build = (disk / name for name in ("own", "elsewhere", "one"))
    shutil.copytree(place.root, own, symlinks=True)
    elsewhere.mkdir()
    one_build.mkdir()
    inside = ("unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$2" && exec "$3" 60', "sh")
    python, name = build(place, ONE) / "bin/python3", build(place, ONE).name

    def contained(source: Path, target: Path, program: Path) -> int:
        process = stack.enter_context(subprocess.Popen([*inside, str(source), str(target), str(program)]))
        stack.callback(process.kill)
        deadline = time.monotonic() + 20
        while "python" not in os.readlink(f"/proc/{process.pid}/exe"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return process.pid

    root = Path(place.root)
    with_own = contained(own, root, python)
    pids = [
        contained(root, elsewhere, elsewhere / name / "bin/python3"),
        contained(build(place, ONE), one_build, one_build / "bin/python3"),
        contained(Path("/mnt"), Path("/mnt"), python),
    ]
    assert versions(look(place, shell)) == [(pid, ONE, False) for pid in sorted(pids)]
    # Seen from a chroot that has the other root at that path.
    enter = 'mount --rbind / "$1" && mount --bind "$2" "$1$3" && shift 3 && exec chroot "$0" "$@"'
    chroot = disk / "chroot"
    chroot.mkdir()
    words = ("unshare", "--mount", "sh", "-c", enter.replace('"$0"', f"'{chroot}'"), "sh", str(chroot), str(own), place.root)
    chrooted = Shell("chroot", (*words, *shell.command))
    assert versions(look(Place(disk, place.root, place.bin_dir), chrooted)) == [(with_own, ONE, False)]


@pytest.mark.skipif(os.geteuid() != 0 if hasattr(os, "geteuid") else True, reason="needs root: to be two users")
def test_another_user_sees_less_and_says_so(shell: Shell, disk: Path, tmp_path: Path, stack: ExitStack) -> None:
    needed("setpriv")
    place = place_of(shell, disk, tmp_path / "tools")
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001 and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    python = build(place, ONE) / "bin/python3"
    start(stack, python)
    mine = start(stack, python, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    observed = look(place, shell, as_user=NOBODY)
    assert (versions(observed), observed.sight) == ([(mine.pid, ONE, False)], "some")
    # With hidepid, nothing says that there are other processes.
    become = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    enter = f'mount -t proc -o hidepid=2 proc /proc && exec {become} "$@"'
    hidden = Shell("hidepid", ("unshare", "--mount", "sh", "-c", enter, "sh", *shell.command))
    observed = look(Place(disk, place.root, place.bin_dir), hidden)
    assert (versions(observed), observed.sight) == ([(mine.pid, ONE, False)], "some")


CGROUPS: Mapping[str, str] = {
    "0::/system.slice/app.service": "app.service",
    "0::/system.slice/system-app.slice/app@1\\x2d2.service/workers/3": "app@1\\x2d2.service",
    "4:cpu:/\n1:name=systemd:/apps.slice/app.service\n0::/": "app.service",
    "12:pids:/system.slice/other.service\n0::/user.slice/user-1000.slice/session-4.scope": "",
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/mine.service": "",
    "0::/system.slice/docker-0123456789ab.scope": "",
    "0::/docker/0123456789ab/system.slice/app.service": "",
    "0::/lxc.payload.web/system.slice/app.service": "",
    "0::/../../system.slice/app.service": "",
    "0::/system.slice/a b.service": "",
    "0::/system.slice/$(id).service": "",
    "0::/system.slice/\x1b[2J.service": "",
    "0::/system.slice/.service": "",
    f"0::/system.slice/{'a' * 250}.service": "",
    "0::/": "",
    "0::/init.scope": "",
    "": "",
}


def test_units(shell: Shell, disk: Path, tmp_path: Path, stack: ExitStack) -> None:
    """The service of this machine's systemd, in either version of cgroups; of nothing that another one started."""
    place = place_of(shell, disk, tmp_path / "tools")
    used = start(stack, build(place, ONE) / "bin/python3")
    for text, unit in CGROUPS.items():
        (tmp_path / "cgroup").write_text(f"{text}\n")
        desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir})
        script = sh.observation(desired, facts="processes")
        assert '"/proc/$1/cgroup"' in script
        (process,) = look(place, shell, script=script.replace('"/proc/$1/cgroup"', f"'{tmp_path}/cgroup'")).processes
        assert (process.pid, process.unit) == (used.pid, unit), text


@dataclass(frozen=True, slots=True)
class Tools:
    """What a host without /proc has instead; {root}, {one} and {old} are paths there."""

    what: str
    programs: Mapping[str, str] = field(default_factory=dict)
    sight: str = "all"
    finds: tuple[tuple[int, str, str, str, bool], ...] = ()


FOUND = (
    (71, "app", "python3.13", ONE, False),
    (72, "root", "gunicorn: x", ONE, False),
    (74, "app", "python3.12", OTHER, True),
)
LSOF = """cat <<'END'
p71
cpython3.13
Lapp
ftxt
n{one}/bin/python3.13
ftxt
n{one}/lib/libpython3.13.dylib
p72
cgunicorn: x
Lroot
ftxt
n{one}/lib/libpython3.13.dylib
p73
cother
Lroot
ftxt
n/elsewhere/{name}/bin/python3.13
p74
cpython3.12
Lapp
ftxt
n{root}/.standalone-python.staging/{other}/removed/bin/python3.12
END
exit 1"""
FUSER = """case $1 in */bin/python3.13) echo ' 71 72'; echo "$1: ee" >&2 ;; *) exit 1 ;; esac"""
PS = """case $6 in 71) echo 'app      {one}/bin/python3.13' ;; 72) echo 'root gunicorn' ;; esac"""
WITHOUT_PROC = (
    Tools("macOS, by lsof", {"lsof": LSOF}, finds=FOUND),
    Tools("lsof, without root", {"lsof": LSOF, "id": "echo 501"}, sight="some", finds=FOUND),
    Tools("lsof that fails, and fuser", {"lsof": "exit 1", "fuser": FUSER, "ps": PS}, finds=(FOUND[0], (72, "root", "gunicorn", ONE, False))),
    Tools("fuser, without root", {"fuser": FUSER, "ps": PS, "id": "echo 501"}, sight="some", finds=(FOUND[0], (72, "root", "gunicorn", ONE, False))),
    Tools("nothing", sight="none"),
)  # fmt: skip


@pytest.mark.parametrize("tools", WITHOUT_PROC, ids=lambda tools: tools.what)
def test_hosts_without_proc(tools: Tools, shell: Shell, disk: Path, tmp_path: Path) -> None:
    place = place_of(shell, disk, tmp_path / "tools")
    programs = tmp_path / "programs"
    programs.mkdir()
    at = {
        "{root}": place.root,
        "{one}": str(build(place, ONE)),
        "{name}": build(place, ONE).name,
        "{other}": build(place, OTHER).name,
    }
    for name in ("lsof", "fuser", "ps", "id"):
        text = tools.programs.get(name, "echo 0" if name == "id" else "")
        for part, instead in at.items():
            text = text.replace(part, instead)
        if text:
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
    for name in ("ls", "sed", "cat", "sh", "readlink", "uname"):
        (programs / name).symlink_to(shutil.which(name) or "")
    place.environment["PATH"] = str(programs)
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir})
    script = sh.observation(desired, facts="processes").replace("/proc/", "/nowhere/")
    shutil.rmtree(build(place, OTHER))
    observed = look(place, shell, script=script)
    found = tuple(
        (one.pid, one.user, one.command, one.build.split("-")[1].partition("+")[0], one.replaced) for one in observed.processes
    )
    assert (observed.sight, found) == (tools.sight, tools.finds)


def test_many_processes_are_not_all_told_but_each_build_in_use_is(
    shell: Shell, disk: Path, tmp_path: Path, stack: ExitStack
) -> None:
    place = place_of(shell, disk, tmp_path / "tools")
    for what in (ONE, ONE, ONE, OTHER):
        start(stack, build(place, what) / "bin/python3")
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir})
    script = sh.observation(desired, facts="processes")
    assert "-lt 500 ]" in script
    observed = look(place, shell, script=script.replace("-lt 500 ]", "-lt 2 ]"))
    assert [version for _pid, version, _replaced in versions(observed)].count(ONE) == 2
    assert (len(observed.processes), observed.sight) == (3, "some")


def test_a_process_that_ends_meanwhile_and_a_zombie(shell: Shell, disk: Path, tmp_path: Path, stack: ExitStack) -> None:
    place = place_of(shell, disk, tmp_path / "tools")
    zombie = start(stack, build(place, ONE) / "bin/python3")
    os.kill(zombie.pid, signal.SIGKILL)
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir})
    script = sh.observation(desired, facts="processes")
    # grep found a process that has ended before anything else of it is read.
    asked = "'/^denied$/p'"
    assert asked in script
    last = f"; echo '999999999 {build(place, ONE)}'"
    assert look(place, shell, script=script.replace(asked, asked + last)).processes == ()
