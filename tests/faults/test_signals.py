# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is told to end, or whose connection breaks, clears what it made by itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Install, Plan
from tests.agents import fakes
from tests.agents.place import SHELLS, Place, Shell, finished, needed, tree

HOOK = """
before_finish() { : >"$FAKE_HOOK.reached"; sleep 1; }
after_finish() { :; }
"""


@pytest.mark.parametrize("whom", ["shell", "group"])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda sign: sign.name)
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell.name)
def test_told_to_end(sign: signal.Signals, whom: str, shell: Shell, tmp_path: Path) -> None:
    needed(shell.command[0])
    place = Place(tmp_path / "disk", f"{tmp_path}/disk/opt/python", f"{tmp_path}/disk/bin")
    place.disk.mkdir()
    hook = tmp_path / "hook"
    hook.write_text(HOOK)
    place.environment["FAKE_HOOK"] = str(hook)
    before = tree(place.disk)
    build = fakes.fake("3.13.1")
    path = fakes.archive(build, tmp_path)
    pushed = sh.Pushed(str(path), fakes.sha256(path), "gz", 1, "", "")
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir})
    script = sh.application(desired, Plan((Install(build, "install", ""),), ()), {build.name: pushed})
    process = place.start(shell, script)
    until = time.monotonic() + 20
    while not hook.with_name("hook.reached").exists():
        assert time.monotonic() < until, finished(process)
        time.sleep(0.02)
    if whom == "group":
        os.killpg(process.pid, sign)
    else:
        process.send_signal(sign)
    done = finished(process)
    assert done.code != 0
    assert tree(place.disk) == before


def test_nobody_listens(tmp_path: Path) -> None:
    """A failure whose text can't be told any more is cleared nevertheless."""
    place = Place(tmp_path / "disk", f"{tmp_path}/disk/opt/python", f"{tmp_path}/disk/bin")
    place.disk.mkdir()
    build = fakes.fake("3.13.1")
    path = fakes.archive(build, tmp_path)
    pushed = sh.Pushed(str(path), "0" * 64, "gz", 1, "", "")
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir})
    script = sh.application(desired, Plan((Install(build, "install", ""),), ()), {build.name: pushed})
    process = place.start(SHELLS[0], script)
    for stream in (process.stdout, process.stderr):
        assert stream
        stream.close()
    process.wait(20)
    assert tree(place.disk) == {}
