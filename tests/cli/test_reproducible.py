# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With SOURCE_DATE_EPOCH, what is installed twice is the same to the bit: as tar sees it, so with every name, owner, mode and time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.tools import mkbuild
from tests.tools.deploy import LOCAL, operation, run_deploy
from tests.tools.hosts.bases import program
from tests.tools.playbook import run_play
from tests.tools.sources import NEWER, V13LATER, lay_out

pytestmark = pytest.mark.usefixtures("warm_cache")

EPOCH = {"SOURCE_DATE_EPOCH": "1736899200"}
ARM, X86 = "aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"


def digest(folder: Path) -> str:
    packed = subprocess.run(
        ["tar", "--sort=name", "--numeric-owner", "--exclude=./proc/*", "-cf", "-", "-C", folder, "."],
        capture_output=True,
        check=True,
    )
    return hashlib.sha256(packed.stdout).hexdigest()


def path_with_python() -> str:
    return f"{os.environ['PATH']}:{mkbuild.available()['3.13'].parent}"


def apply(command: Command, *arguments: str | Path, runner: Sequence[str] = ()) -> None:
    applied = command("apply", *arguments, environment=EPOCH | {"PATH": path_with_python()}, runner=runner)
    assert applied.code == 0, applied
    # Whatever still has the present in it differs the next time.
    time.sleep(1.1)


def test_on_this_machine_with_each_front_end(command: Command, source: Path) -> None:
    top = command.folder / "machine"
    options = {
        "builds": [{"version": "3.13", "default": True}],
        "root": str(top / "opt/python"),
        "source": str(source),
        "compile_bytecode": True,
    }
    file = command.file(json.dumps(options))

    def by_ansible() -> None:
        run = run_play([{"standalone.python.interpreters": options, "environment": EPOCH}])
        assert run.of().result["changed"], run.output

    def by_pyinfra() -> None:
        run = run_deploy(operation(options | {"_env": EPOCH}), LOCAL)
        assert run.changed, run.output

    def by_script() -> None:
        locked = ("--lockfile", command.folder / "python.lock.json")
        made = ("script", file, *locked, "--target", X86, "--archives", "archives", "--output", "install-python.sh")
        for words in (("lock", file, "--target", X86), made):
            assert command(*words).code == 0
        script = command.folder / "install-python.sh"
        subprocess.run(["sh", script], env={**EPOCH, "PATH": path_with_python()}, check=True)
        time.sleep(1.1)

    ways: dict[str, Callable[[], None]] = {
        "command": lambda: apply(command, file),
        "command again": lambda: apply(command, file),
        "Ansible": by_ansible,
        "pyinfra": by_pyinfra,
        "script": by_script,
    }
    digests = {}
    for name, install in ways.items():
        (top / "opt").mkdir(parents=True)
        os.utime(top, (0, 0))
        install()
        digests[name] = digest(top)
        assert int((top / "opt/python/bin/python3").lstat().st_mtime) == int(EPOCH["SOURCE_DATE_EPOCH"])
        shutil.rmtree(top)
    assert len(set(digests.values())) == 1, digests


@pytest.mark.xdist_group("hosts")
def test_in_an_image(command: Command, image: Path, source: Path) -> None:
    file = command.file(json.dumps({"builds": ["3.13"], "source": str(source), "compile_bytecode": True}))
    before = command.folder / "before"
    subprocess.run(["cp", "-a", image, before], check=True)
    digests = []
    for _run in range(2):
        mounted = [program("unshare"), "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec "$@"', str(image)]
        apply(command, file, "--root-dir", image, runner=mounted)
        digests.append(digest(image))
        shutil.rmtree(image)
        subprocess.run(["cp", "-a", before, image], check=True)
    assert digests[0] == digests[1] != digest(before)


def test_in_an_image_of_another_machine(command: Command, builds: Callable[..., Path], tmp_path: Path) -> None:
    source, image = tmp_path / "source", tmp_path / "image"
    lay_out(source, builds("3.13", tag=NEWER, version=V13LATER, triple=ARM))
    file = command.file(json.dumps({"builds": ["3.13"], "source": str(source), "compile_bytecode": True, "verify": "full"}))
    digests = []
    for _run in range(2):
        (image / "usr").mkdir(parents=True)
        os.utime(image, (0, 0))
        apply(command, file, "--root-dir", image, "--target", ARM)
        assert list(image.glob("opt/python/cpython-3.13.*/lib/python3.13/json/__pycache__/*.pyc"))
        digests.append(digest(image))
        # What is mended is as it was too.
        next(image.glob("opt/python/cpython-3.13.*/lib/python3.13/json/decoder.py")).write_text("broken\n")
        apply(command, file, "--root-dir", image, "--target", ARM)
        digests.append(digest(image))
        shutil.rmtree(image)
    assert len(set(digests)) == 1, digests
