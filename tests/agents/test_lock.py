# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs on one root at once: one after the other, each ends well, and a dead run's lock is broken by one of them only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import render
from ansible_collections.standalone.python.plugins.plugin_utils.core.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.observed import parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.step import Install, Plan, Remove, SetLink
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
    pushed = render.Pushed(str(path), fakes.sha256(path), "gz", 1, "", "")
    stable = f"{place.root}/cpython-3.13"
    steps = (Install(build, "upgrade", ""), SetLink(stable, NEWER), Remove(ONE, ""))
    options = {"builds": [], "root": place.root, "bin_dir": place.bin_dir, "lock_timeout": timeout}
    return render.application(declare(options), Plan(steps, ()), {build.name: pushed})


def all_end_well(place: Place, shells: Sequence[Shell], tmp_path: Path) -> None:
    fakes.write(fakes.fake("3.12.8"), Path(place.root) / OTHER)
    fakes.write(fakes.fake("3.13.1"), Path(place.root) / ONE)
    scripts = [script_for(place, tmp_path / f"run-{number}") for number in range(len(shells))]
    running = [place.start(shell, script) for shell, script in zip(shells, scripts, strict=True)]
    for process in running:
        done = finished(process)
        assert done.code == 0, done
        assert {build.name: build.fault for build in parse(done.output).installed} == {NEWER: "", OTHER: ""}
    said = (tmp_path / "hook.log").read_text().split()
    assert said == ["begin", "end"] * len(shells)
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
        "finish version=", "finish version=oops; fail io x; finish version="
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
