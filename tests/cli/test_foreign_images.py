# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots of other machines, entered by chroot: the agents, the finisher and the interpreters run there, on another architecture by qemu."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, Ended
from tests.tools import upstreams
from tests.tools.hosts import foreign
from tests.tools.hosts.bases import path, program
from tests.tools.sources import NEW, OLD, lay_out, put

pytestmark = pytest.mark.xdist_group("hosts")

# What an interpreter of each kind says that it is; by the size of a pointer, as qemu and the kernel answer for the machine.
SPEAKS = "import platform, ssl, struct, sys; print(platform.machine(), struct.calcsize('P') * 8, sys.prefix)"


class Image:
    """A root of a kind with what is declared for it."""

    def __init__(self, kind: str, command: Command, folder: Path, source: Path) -> None:
        self.kind, self.command, self.source = kind, command, source
        self.root = foreign.copy_of(kind, folder)
        self.runner = foreign.runner(kind, self.root)

    def run(self, what: str, **declared: Any) -> Ended:
        given = json.dumps({"source": str(self.source), **declared})
        return self.command(what, "-", "--root-dir", self.root, given=given, runner=self.runner)

    def apply(self, **declared: Any) -> str:
        """Return what a run printed; a second one has nothing to do."""
        done, again = self.run("apply", **declared), self.run("plan", **declared)
        assert done.code == 0, done
        assert again.code == 0, again
        return done.output

    def verify(self) -> None:
        done = self.command("verify", "--root-dir", self.root, runner=self.runner)
        assert done.code == 0, done

    def speaks(self, python: str, code: str = SPEAKS) -> list[str]:
        words = [*self.runner, program("chroot"), str(self.root), python, "-I", "-c", code]
        done = subprocess.run(words, capture_output=True, text=True, env={"PATH": path()}, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest.mark.parametrize(("kind", "bits"), [("arm64", "64"), ("i386", "32")])
def test_install_upgrade_and_repair_on_another_architecture(kind: str, bits: str, command: Command, tmp_path: Path) -> None:
    if reason := foreign.unavailable(kind):
        pytest.skip(reason)
    old = foreign.stand_in(kind, OLD)
    minor = ".".join(old.name.split("-")[1].split(".")[:2])
    lay_out(tmp_path / "source", old)
    # A later release of the same version: the name is all that tells them apart.
    copy = tmp_path / old.name.replace(OLD, NEW)
    copy.write_bytes(old.read_bytes())
    new = put(tmp_path / "source", NEW, copy)
    image = Image(kind, command, tmp_path / "image", tmp_path / "source")
    stable = f"/opt/python/cpython-{minor}"

    assert f"Installed {old.name.split('-')[1]} in " in image.apply(builds=[f"{minor}+{OLD}"])
    machine, size, prefix = image.speaks(f"/usr/local/bin/python{minor}")
    assert (size, prefix) == (bits, stable)
    assert machine == ("aarch64" if kind == "arm64" else machine)

    image.apply(builds=[minor], state="latest", keep=0)
    names = [entry.name for entry in (image.root / "opt/python").glob("cpython-*+*")]
    assert names == [new.name.removesuffix(".tar.gz")]
    assert image.speaks(f"/usr/local/bin/python{minor}")[2] == stable

    (image.root / "opt/python" / names[0] / f"lib/python{minor}/os.py").unlink()
    assert "Repaired" in image.apply(builds=[minor])
    image.verify()


def test_the_oldest_c_library_with_upstreams_own_files(command: Command, tmp_path: Path) -> None:
    """glibc 2.23 of Ubuntu 16.04. Upstream's files need 2.17."""
    if reason := foreign.unavailable("xenial"):
        pytest.skip(reason)
    archive = upstreams.archive()
    image = Image("xenial", command, tmp_path / "image", archive.parents[1])
    image.apply(builds=["3.9"])
    code = "import os, ssl, sys; print(os.confstr('CS_GNU_LIBC_VERSION'), sys.prefix)"
    assert image.speaks("/usr/local/bin/python3.9", code) == ["glibc", "2.23", "/opt/python/cpython-3.9"]
    image.verify()
