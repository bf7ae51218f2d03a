# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users installed with pip outlives repairs, reinstallations and upgrades, as a user of the command line meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PROGRAM, Command, Ended
from tests.tools import wheels
from tests.tools.sources import NEWER, OLD, V13, V13LATER

pytestmark = pytest.mark.usefixtures("warm_cache")

OLD13, LATER13 = f"{V13}+{OLD}", f"{V13LATER}+{NEWER}"


class Used:
    """A root below a folder whose interpreter anybody installs packages into."""

    def __init__(self, command: Command, source: Path) -> None:
        self.command, self.source = command, source

    def declare(self, *builds: str, **more: Any) -> Path:
        options = {
            "builds": list(builds),
            "root": str(self.root),
            "source": str(self.source),
            "externally_managed": False,
            **more,
        }
        return self.command.file(json.dumps(options))

    def apply(self, *builds: str, **more: Any) -> dict[str, Any]:
        done = self.command("apply", self.declare(*builds, **more), "--json", "--diff")
        assert done.code == 0, done
        said: dict[str, Any] = json.loads(done.output)
        return said | {"warnings": done.errors}

    @property
    def root(self) -> Path:
        return self.command.folder / "root"

    @property
    def stable(self) -> Path:
        return self.root / "cpython-3.13"

    @property
    def packages(self) -> Path:
        return self.stable / "lib/python3.13/site-packages"

    def pip(self, *words: str) -> None:
        done = subprocess.run([self.stable.resolve() / "bin/python3", "-m", "pip", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def greets(self) -> bool:
        done = subprocess.run([self.stable / "bin/greet"], capture_output=True, text=True)
        return (done.returncode, done.stdout.strip()) == (0, wheels.SAYS)

    def verify(self) -> Ended:
        return self.command("verify", "--root", self.root)


@pytest.fixture
def used(command: Command, source: Path, tmp_path: Path) -> Used:
    """With a package and its script."""
    used = Used(command, source)
    assert used.apply(OLD13)["changed"]
    used.pip("install", "--no-index", str(wheels.greeting(tmp_path)))
    assert used.greets()
    return used


def packages_of(said: dict[str, Any]) -> dict[str, Any]:
    (interpreter,) = said["interpreters"]
    return {"action": interpreter["action"], **interpreter["user_packages"]}


def kept(action: str, count: int = 1) -> dict[str, Any]:
    return {"action": action, "kept": count, "discarded": 0, "not_carried": []}


def test_upgrade_reinstall_repair_and_downgrade_keep_them(used: Used) -> None:
    planned = used.command("plan", used.declare(LATER13), "--diff")
    assert "; it keeps 1 user package\n" in planned.output
    assert f"+cpython-{LATER13}-x86_64-unknown-linux-gnu-install_only_stripped (1 user package)\n" in planned.output
    upgraded = used.apply(LATER13)
    assert packages_of(upgraded) == kept("upgrade")
    assert upgraded["plan"][0].endswith("; keeps 1 user package")
    assert "(1 user package)" in upgraded["diff"]["after"]
    assert used.greets()
    assert packages_of(used.apply(LATER13, compile_bytecode=True)) == kept("reinstall")
    assert used.greets()
    (used.stable / "lib/python3.13/os.py").unlink()
    assert packages_of(used.apply(LATER13, compile_bytecode=True)) == kept("repair")
    assert used.greets()
    assert packages_of(used.apply(LATER13, compile_bytecode=True)) == kept("none", 0)
    # What stands in the first build is older than what stands in the second, and is what a rollback goes back to.
    assert packages_of(used.apply(OLD13, compile_bytecode=True))["action"] == "reinstall"
    assert used.greets()
    assert used.verify().code == 0
    listed = json.loads(used.command("status", "--root", used.root, "--json").output)["interpreters"]
    assert [one["user_packages"] for one in listed] == [1, 1]


def test_discard_drops_them_and_says_so(used: Used) -> None:
    upgraded = used.apply(LATER13, user_packages="discard", keep=0)
    assert packages_of(upgraded) == {"action": "upgrade", "kept": 0, "discarded": 1, "not_carried": []}
    assert upgraded["plan"][0].endswith("; discards 1 user package")
    assert not (used.stable / "bin/greet").exists()
    assert not (used.packages / "greeting").exists()


def test_a_mark_that_comes_back_drops_them_and_says_so(used: Used) -> None:
    managed = used.apply(OLD13, externally_managed=True)
    assert packages_of(managed) == {"action": "reinstall", "kept": 0, "discarded": 1, "not_carried": []}
    assert not (used.packages / "greeting").exists()


def test_what_can_not_be_copied_is_a_warning(used: Used) -> None:
    os.mkfifo(used.packages / "pipe")
    upgraded = used.apply(LATER13)
    assert packages_of(upgraded)["not_carried"] == ["lib/python3.13/site-packages/pipe: it is neither a file nor a link"]
    assert f"not copied from cpython-{OLD13}-" in upgraded["warnings"]
    assert used.apply(LATER13)["warnings"] == ""


def test_a_pip_that_upgraded_itself_is_no_damage_and_stays(used: Used, tmp_path: Path) -> None:
    used.pip("install", "--no-index", str(wheels.later_pip(used.packages, tmp_path)))
    assert used.verify().code == 0, used.verify()
    assert used.apply(OLD13, verify="full")["changed"] is False
    assert packages_of(used.apply(LATER13, verify="full")) == kept("upgrade", 2)
    assert [path.name for path in used.packages.glob("pip-*")] == ["pip-99.0.dist-info"]
    assert used.apply(LATER13, verify="full")["changed"] is False
    used.pip("uninstall", "-y", "pip")
    assert used.verify().code == 0, used.verify()
    assert used.apply(LATER13, verify="full")["changed"] is False


def test_where_nobody_may_install_packages_a_changed_pip_is_damage(command: Command, source: Path) -> None:
    managed = Used(command, source)
    managed.apply(OLD13, externally_managed=True)
    with (managed.packages / "pip/__init__.py").open("a") as file:
        file.write("# altered\n")
    assert managed.verify().code == 2
    assert managed.apply(OLD13, externally_managed=True, verify="full")["interpreters"][0]["action"] == "repair"


def test_a_damaged_standard_library_is_still_damage(used: Used) -> None:
    with (used.stable / "lib/python3.13/json/decoder.py").open("a") as file:
        file.write("# altered\n")
    assert used.verify().code == 2
    assert packages_of(used.apply(OLD13, verify="full")) == kept("repair")
    assert used.greets()


def test_a_run_that_is_killed_in_between_leaves_them_and_the_next_one_carries_them(used: Used) -> None:
    """While they are copied: there is much to copy."""
    for number in range(3000):
        (used.packages / f"mine{number}.py").write_text("x = 1\n" * 100)
    file = used.declare(LATER13)
    running = subprocess.Popen(
        [PROGRAM, "apply", file],
        cwd=used.command.folder,
        env=used.command.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and not list(used.root.glob(".*staging/*/python/lib/python3.13/site-packages/mine*.py")):
        time.sleep(0.001)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert used.greets()
    assert len(list(used.packages.glob("mine*.py"))) == 3000
    assert packages_of(used.apply(LATER13)) == kept("upgrade")
    assert used.greets()
    assert len(list(used.packages.glob("mine*.py"))) == 3000
