# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unpacked root of an image, entered with chroot or changed offline."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.tools.hosts.bases import program
from tests.tools.sources import V13LATER

pytestmark = pytest.mark.xdist_group("hosts")

STABLE = "/opt/python/cpython-3.13"


def test_an_image(command: Command, image: Path, source: Path) -> None:
    # Mounts of its own: what is mounted is gone with the shell. The link leads out of the image, if it is followed from here.
    mounted = [program("unshare"), "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec "$@"', str(image)]
    (image / "tmp").rmdir()
    (image / "tmp").symlink_to("/var/tmp")
    file = command.file(json.dumps({"builds": ["3.13"], "source": str(source)}))
    planned = command("plan", file, "--root-dir", image, runner=mounted)
    assert planned.code == 2, planned
    applied = command("apply", file, "--root-dir", image, runner=mounted)
    assert applied.code == 0, applied
    assert planned.output.endswith("Plan: 1 to install, 2 links to change, 0 to remove.\n")
    assert applied.output.endswith(f": 1 installed, 2 links changed, 0 removed.\n3.13 is {STABLE}/bin/python3\n")
    assert not list((image / "var/tmp").iterdir())
    assert (image / "usr/local/bin/python3.13").readlink() == Path(STABLE, "bin/python3.13")
    for what in ("plan", "apply"):
        again = command(what, file, "--root-dir", image, runner=mounted)
        assert (again.code, again.output) == (0, f"nothing to do: 3.13: {V13LATER} is installed\n")
    assert command("verify", "--root-dir", image, runner=mounted).code == 0
    assert "has no /proc" in command("verify", "--root-dir", image).sentence
    done = subprocess.run(
        [*mounted, program("chroot"), image, f"{STABLE}/bin/python3", "-c", "import ssl, sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == STABLE, done


def test_what_can_not_be_entered(command: Command, image: Path) -> None:
    empty = command.folder / "empty"
    empty.mkdir()
    sentence = command("plan", "-", "--root-dir", empty, given="builds: ['3.13']").sentence
    assert "it needs a POSIX sh: name the unpacked root of an image" in sentence
    # The header of an ELF file for another machine (s390x), and nothing in it.
    shell = image / "usr/bin/dash"
    shell.write_bytes(b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x02\x00\x16\x00\x00\x00\x01" + bytes(100))
    sentence = command("plan", "-", "--root-dir", image, given="builds: ['3.13']").sentence
    assert "Exec format error" in sentence
    assert "name its machine with --target TRIPLE" in sentence
    assert "run this on a machine of that architecture" in sentence
