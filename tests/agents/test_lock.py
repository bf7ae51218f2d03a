# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs on one root at once: one after the other, and only the first has something to do; a dead run's lock is broken by one
of them only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Install, Plan, Remove, Seen, SetLink
from tests.agents import fakes
from tests.agents.cases import NEWER, ONE, OTHER
from tests.agents.place import POSIX, SHELLS, Place, Shell, boot, finished, needed, started

pytestmark = POSIX

# The finisher takes a moment and says when; two runs at once would show as two beginnings without an end between them.
HOOK = """
before_finish() { echo begin >>"$FAKE_HOOK.log"; sleep 0.1; }
after_finish() { echo end >>"$FAKE_HOOK.log"; }
"""


def place_in(tmp_path: Path) -> Place:
    place = Place(tmp_path / "disk", f"{tmp_path}/disk/root", f"{tmp_path}/disk/bin")
    place.disk.mkdir()
    (tmp_path / "hook").write_text(HOOK)
    place.environment["FAKE_HOOK"] = str(tmp_path / "hook")
    return place


def script_for(place: Place, folder: Path, *, timeout: int = 100) -> str:
    """An upgrade that removes the old build; each has archives of its own, as each is sent them."""
    folder.mkdir()
    build = fakes.fake("3.13.2+20250317")
    path = fakes.archive(build, folder)
    pushed = sh.Pushed(str(path), fakes.sha256(path), "gz", 1, "", "")
    stable = f"{place.root}/cpython-3.13"
    steps = (Install(build, "upgrade", ""), SetLink(stable, NEWER), Remove(ONE, ""))
    options = {"builds": [], "root": place.root, "bin_dir": place.bin_dir, "lock_timeout": timeout}
    mark = "".join(
        f" {json.dumps({key: value})[1:-1]}," for key, value in fakes.receipt_of(fakes.fake("3.13.1")).items() if key in MARKING
    )
    was = {ONE: Seen("build", mark)} if (Path(place.root) / ONE).exists() else {}
    return sh.application(declare(options), Plan(steps, (), was), {build.name: pushed})


MARKING = ("files_sha256", "installed_at")


def all_end_well(place: Place, shells: Sequence[Shell], tmp_path: Path) -> None:
    fakes.write(fakes.fake("3.12.8"), Path(place.root) / OTHER)
    fakes.write(fakes.fake("3.13.1"), Path(place.root) / ONE)
    scripts = [script_for(place, tmp_path / f"run-{number}") for number in range(len(shells))]
    running = [place.start(shell, script) for shell, script in zip(shells, scripts, strict=True)]
    outdated = []
    for process in running:
        done = finished(process)
        assert done.code == 0, done
        observed = parse(done.output)
        assert {build.name: build.problem for build in observed.installed} == {NEWER: "", OTHER: ""}
        outdated.append(observed.outdated)
    assert sorted(outdated) == [False, *[True] * (len(shells) - 1)]
    assert (tmp_path / "hook.log").read_text().split() == ["begin", "end"]
    assert sorted(path.name for path in Path(place.root).iterdir()) == [OTHER, "cpython-3.13", NEWER]


def dead_lock(place: Place) -> str:
    process = subprocess.Popen(["true"])
    process.wait()
    return f"{process.pid}:1:{boot()}:{os.uname().nodename}"


def test_two_at_once(shell: Shell, tmp_path: Path) -> None:
    all_end_well(place_in(tmp_path), [shell] * 2, tmp_path)


@pytest.mark.parametrize("left", ["nothing", "a dead lock"])
def test_eight_at_once(left: str, tmp_path: Path) -> None:
    """Of several shells, which know each other's locks."""
    shells = [shell for shell in SHELLS if shell.name != "mksh"] * 2
    for shell in shells:
        needed(shell.command[0])
    place = place_in(tmp_path)
    Path(place.root).mkdir()
    if left != "nothing":
        (Path(place.root) / ".standalone-python.lock").symlink_to(dead_lock(place))
    all_end_well(place, shells, tmp_path)


def test_whoever_broke_the_lock_died(tmp_path: Path) -> None:
    """It left its claim. Several runs wait for it for a while; then one of them breaks the lock in its place."""
    needed("dash")
    place = place_in(tmp_path)
    Path(place.root).mkdir()
    lock = dead_lock(place)
    (Path(place.root) / ".standalone-python.lock").symlink_to(lock)
    (Path(place.root) / ".standalone-python.lock-broken-{}".format("".join(c if c.isalnum() else "_" for c in lock))).mkdir()
    began = time.monotonic()
    all_end_well(place, [SHELLS[0]] * 4, tmp_path)
    assert 8 < time.monotonic() - began < 60


def test_the_other_run_makes_the_root_and_fails(shell: Shell, tmp_path: Path) -> None:
    """It takes the root with it; who waits makes it anew."""
    place = place_in(tmp_path)
    failing = script_for(place, tmp_path / "failing").replace(
        "finish_build version=", "finish_build version=oops; fail io x; finish_build version="
    )
    first = place.start(shell, failing)
    until = time.monotonic() + 20
    while not (Path(place.root) / ".standalone-python.lock").is_symlink() and time.monotonic() < until:
        time.sleep(0.01)
    second = place.start(shell, script_for(place, tmp_path / "second"))
    assert "failure=io" in finished(first).output
    assert parse(finished(second).output).installed[0].name == NEWER


def test_waits_and_names_who_holds_it(shell: Shell, tmp_path: Path) -> None:
    place = place_in(tmp_path)
    Path(place.root).mkdir()
    since = boot()
    with subprocess.Popen(["sleep", "60"]) as holder:
        text = f"{holder.pid}:{started(holder.pid)}:{since}:{os.uname().nodename}"
        (Path(place.root) / ".standalone-python.lock").symlink_to(text)
        began = time.monotonic()
        done = place.run(shell, script_for(place, tmp_path / "run", timeout=1))
        assert time.monotonic() - began >= 1
        assert "failure=locked" in done.output
        assert f"detail={place.root}/.standalone-python.lock (pid:started:boot:host is {text})" in done.output
        assert (Path(place.root) / ".standalone-python.lock").is_symlink()
        waiting = place.start(shell, script_for(place, tmp_path / "waiting"))
        time.sleep(0.3)
        holder.kill()
    assert parse(finished(waiting).output).lock == ""


ID, BOOT = "0123456789ab", "11111111-2222-4333-8444-555555555555"
ANOTHER_ID, ANOTHER_BOOT = "ba9876543210", "99999999-2222-4333-8444-555555555555"
NFS = "server:/export / nfs4 rw 0 0"
DISK = "/dev/sda1 / ext4 rw 0 0"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock, and the machine that judges it: a live process of that number is there, and has the start 1."""

    what: str
    state: str
    boot: str = BOOT
    host: str = "(this)"
    machine: str = ID
    mounts: str = DISK
    own_boot: str = BOOT
    own_machine: str = f"{ID}0123456789abcdef0123"


HELD = (
    Held("a run of this machine", "alive"),
    Held("this machine was renamed since", "alive", host="before"),
    Held("renamed, on NFS", "alive", host="before", mounts=NFS),
    Held("another container of this machine", "elsewhere", boot=f"{BOOT}.1"),
    Held("another container of this machine with another name", "elsewhere", boot=f"{BOOT}.1", host="container"),
    Held("restarted since", "dead", boot=ANOTHER_BOOT),
    Held("restarted since, on NFS", "dead", boot=ANOTHER_BOOT, mounts=NFS),
    Held("restarted and renamed since", "dead", boot=ANOTHER_BOOT, host="before"),
    Held("restarted and renamed, or a copy of this machine, on NFS", "elsewhere", boot=ANOTHER_BOOT, host="before", mounts=NFS),
    Held("another machine of that name, on NFS", "elsewhere", boot=ANOTHER_BOOT, machine=ANOTHER_ID, mounts=NFS),
    Held("another machine, on NFS", "elsewhere", boot=ANOTHER_BOOT, machine=ANOTHER_ID, host="other", mounts=NFS),
    Held(
        "another machine, on this one's disk, which it exports", "elsewhere", boot=ANOTHER_BOOT, machine=ANOTHER_ID, host="other"
    ),
    Held("restarted, and each start has another id", "dead", boot=ANOTHER_BOOT, machine=ANOTHER_ID),
    Held("of an older version, restarted since", "dead", boot=ANOTHER_BOOT, machine=""),
    Held("of an older version, that name, on NFS", "elsewhere", boot=ANOTHER_BOOT, machine="", mounts=NFS),
    Held("of an older version, another name", "elsewhere", boot=ANOTHER_BOOT, machine="", host="other"),
    Held("of an older version, a run of this machine", "alive", machine=""),
    Held(
        "that name, and this machine has no id, on NFS", "elsewhere", boot=ANOTHER_BOOT, own_machine="uninitialized", mounts=NFS
    ),
    Held("restarted since, and this machine has no id", "dead", boot=ANOTHER_BOOT, own_machine=""),
    Held("a run that knew no boot id", "elsewhere", boot=""),
    Held("restarted since, and none is known now", "elsewhere", own_boot=""),
    Held("none is known, then as now", "alive", boot="", own_boot=""),
    Held("none is known, another name", "elsewhere", boot="", own_boot="", host="other"),
    *(
        Held(
            f"that name, below a mount of {kind}",
            state,
            boot=ANOTHER_BOOT,
            machine="",
            mounts=f"{DISK}\nx {{disk}} {kind} rw 0 0\ny /else ext4",
        )
        for kind, state in (("btrfs", "dead"), ("9p", "elsewhere"), ("cifs", "elsewhere"), ("fuse.sshfs", "elsewhere"))
    ),
    Held("that name, where the last mount counts", "elsewhere", boot=ANOTHER_BOOT, machine="", mounts=f"{DISK}\n{NFS}"),
    Held("that name, beside a mount", "dead", boot=ANOTHER_BOOT, machine="", mounts=f"{DISK}\nx {{disk}}/roo nfs rw 0 0"),
    Held("that name, where nothing is known of mounts", "elsewhere", boot=ANOTHER_BOOT, machine="", mounts=""),
)


def judged(shell: Shell, place: Place, text: str, replaced: dict[str, str]) -> str:
    """What a shell says of a lock with that text, with other files in the place of the system's."""
    (Path(place.root) / ".standalone-python.lock").symlink_to(text)
    script = sh.observation(declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir}), facts="no")
    for path, instead in replaced.items():
        assert path in script
        script = script.replace(path, instead)
    return parse(place.run(shell, script).output).lock_state


@pytest.mark.parametrize("held", HELD, ids=lambda held: held.what)
def test_whose_a_lock_is(held: Held, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "with a space").mkdir()
    place = place_in(tmp_path / "with a space")
    Path(place.root).mkdir()
    numbers = boot().partition(".")[2]
    files = {"/proc/sys/kernel/random/boot_id": held.own_boot, "/etc/machine-id": held.own_machine, "/proc/mounts": held.mounts}
    replaced = {"/var/lib/dbus/machine-id": "/nowhere"}
    for path, text in files.items():
        replaced[path] = str(tmp_path / path.replace("/", "_"))
        if text:
            Path(replaced[path]).write_text(text.replace("{disk}", str(place.disk).replace(" ", "\\040")) + "\n")
    own = held.boot if "." in held.boot or not held.boot else f"{held.boot}.{numbers}"
    host = os.uname().nodename if held.host == "(this)" else held.host
    text = f"{os.getpid()}:{started(os.getpid())}:{own}:{host}" + (f":{held.machine}" if held.machine else "")
    assert judged(shell, place, text, replaced) == held.state


# Without /proc the agent runs `ps -p`, an option that busybox' ps does not have.
ZOMBIES = [(shell, proc) for shell in SHELLS for proc in (True, False) if proc or not shell.tools]


@pytest.mark.parametrize(("shell", "proc"), ZOMBIES, ids=lambda value: {True: "proc", False: "ps"}.get(value) or value.name)
def test_a_zombie_holds_no_lock(shell: Shell, proc: bool, tmp_path: Path) -> None:
    """Nobody has asked how its process ended, as in a container without an init."""
    needed(shell.command[0])
    needed("ps")
    place = place_in(tmp_path)
    Path(place.root).mkdir()
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    begun, since = (started(process.pid), boot()) if proc else ("", "")
    text = f"{process.pid}:{begun}:{since}:{os.uname().nodename}"
    path = shell.path(tmp_path / "tools")
    if path:
        (tmp_path / "tools/ps").symlink_to("/bin/ps")
        place.environment["PATH"] = path
    try:
        assert judged(shell, place, text, {} if proc else {"/proc/": "/nowhere/"}) == "dead"
    finally:
        process.wait()


@pytest.mark.parametrize("name", ["a) Z 1 1", "x) S (", "*", "a\nb) X 1", "("])
def test_a_holder_whose_name_looks_like_more(name: str, shell: Shell, tmp_path: Path) -> None:
    place = place_in(tmp_path)
    Path(place.root).mkdir()
    program = "import ctypes, sys, time; ctypes.CDLL(None).prctl(15, sys.argv[1].encode()); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        assert f"({name})" in Path(f"/proc/{holder.pid}/stat").read_text()
        text = f"{holder.pid}:{started(holder.pid)}:{boot()}:{os.uname().nodename}"
        try:
            assert judged(shell, place, text, {}) == "alive"
        finally:
            holder.kill()
