# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows hosts that Ansible reaches, as pytest fixtures: made under Wine, or those of an inventory (see ``windows``)."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools import windows
from tests.tools.hosts.host import SSH_OPTIONS
from tests.tools.playbook import Run, run_play
from tests.tools.standin import collection_without_junctions

# By what sshd starts on a host. Ten hosts in all.
SHELLS = {"powershell": 8, "cmd": 2}
_ENVIRONMENT = r"[System\\CurrentControlSet\\Control\\Session Manager\\Environment]"


@dataclass(frozen=True, slots=True)
class WindowsHosts:
    """
    :ivar shells: what ``ansible_shell_type`` is on each
    :ivar inventory: its text
    :ivar junctions: whether they have them; where not, the collection is one with a stand-in for them
    :ivar drives: where the drive C: of each is on this machine, of hosts that are made here
    :ivar small: a disk of 24 MB that all of these have as S:
    :ivar ssh: the command that reaches each of these
    """

    names: tuple[str, ...]
    shells: tuple[str, ...]
    inventory: str
    collections: Path
    junctions: bool
    drives: tuple[Path, ...] = ()
    small: Path | None = None
    ssh: tuple[tuple[str, ...], ...] = ()

    def number(self, shell: str, at: int) -> int:
        """The number of one of the hosts with that shell, in turn."""
        numbers = [number for number, has in enumerate(self.shells) if has == shell]
        if not numbers:
            pytest.skip(f"needs Windows: the inventory has no host whose ansible_shell_type is {shell}")
        return numbers[at % len(numbers)]

    def play(self, *tasks: dict[str, object], on: int | str = 0, environment: Mapping[str, str] = {}, **options: object) -> Run:
        """Plays on one host, by its number, or on ``all``."""
        hosts = on if isinstance(on, str) else self.names[on % len(self.names)]
        whole = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections), **environment}
        return run_play(tasks, self.inventory, hosts=hosts, environment=whole, **options)  # type: ignore[arg-type]

    def powershell(self, script: str, on: int = 0) -> str:
        """What a script prints. Where Ansible is not needed for it, as it takes several times as long."""
        if self.ssh:
            encoded = base64.b64encode(f"$ErrorActionPreference = 'Stop'; {script}".encode("utf-16-le")).decode()
            command = [*self.ssh[on % len(self.ssh)], f"powershell -NoProfile -EncodedCommand {encoded}"]
            done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
            assert done.returncode == 0, (done.stdout, done.stderr)
            return done.stdout.decode().replace("\r\n", "\n").strip()
        run = self.play({"ansible.builtin.raw": script}, on=on)
        assert run.of().kind == "ok", run.output
        return str(run.of().result["stdout"]).replace("\r\n", "\n").strip()


@pytest.fixture(scope="session")
def windows_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsHosts]:
    """The hosts; the test is skipped where there are none."""
    windows.needed()
    if (place := windows.inventory()) is not None:
        listed = _listed(place)
        yield WindowsHosts(
            tuple(listed), tuple(listed.values()), place.read_text(), Path(windows.__file__).parents[2], junctions=True
        )
        return
    if os.geteuid() != 0:
        pytest.skip("needs root: to make Windows hosts under Wine")
    script = windows.maker()
    assert script is not None
    collections = collection_without_junctions(tmp_path_factory.mktemp("collections"))
    folder = Path(tempfile.mkdtemp(prefix="windows-hosts-"))
    (folder / "windows").mkdir()
    made = windows.make(_kept())
    assert made.wine is not None
    _copy(made.wine[1], folder / "windows/made")
    small = folder / "small"
    small.mkdir()
    # Addresses of its own, as other sessions may run on this machine.
    networks = {shell: f"127.{64 + 64 * at + os.getpid() % 64}.{os.getpid() // 64 % 256}" for at, shell in enumerate(SHELLS)}
    hosts = [(shell, n) for shell, count in SHELLS.items() for n in range(1, count + 1)]
    # Without TMPDIR, which sessions on a host don't have: Wine's server is found there, and each session would start one of its own.
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"} | {"W": str(folder), "PORT": "2222"}
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", small], check=True)
        for shell, count in SHELLS.items():
            command = [str(script), "up", str(count), networks[shell], shell]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        run = folder / "windows/run"
        names = tuple(f"windows-{shell}-{n}" for shell, n in hosts)
        for name in names:
            (run / name / "prefix/dosdevices/s:").symlink_to(small)
        drives = tuple(run / name / "prefix/drive_c" for name in names)
        options = [word for option in SSH_OPTIONS for word in option.split()]
        ssh = tuple(
            ("ssh", "-n", *options, "-i", str(run / "id"), "-p", environment["PORT"], f"root@{networks[shell]}.{n}")
            for shell, n in hosts
        )
        shells = tuple(shell for shell, _unused in hosts)
        yield WindowsHosts(names, shells, (run / "inv").read_text(), collections, False, drives, small, ssh)
    finally:
        subprocess.run([script, "down"], env=environment, check=False)
        subprocess.run(["umount", small], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _kept() -> Path:
    from tests.tools.packed import own_folder

    return own_folder("windows")


def _copy(made: Path, to: Path) -> None:
    """A made Windows as hard links, with a registry of its own. Under Wine 8, .NET's garbage collector ends a longer script with an
    error: the environment has none come."""
    subprocess.run(["cp", "-al", made, to], check=True)
    text = (made / "system.reg").read_text(encoding="utf-8", errors="surrogateescape")
    fresh, found = re.subn(
        f"^{re.escape(_ENVIRONMENT)}.*\n", lambda line: line[0] + '"DOTNET_GCgen0size"="40000000"\n', text, flags=re.MULTILINE
    )
    assert found == 1, "Windows' environment is not where it was"
    (to / "system.reg").unlink()
    (to / "system.reg").write_text(fresh, encoding="utf-8", errors="surrogateescape")


def _listed(inventory: Path) -> dict[str, str]:
    """The hosts of an inventory, and the shell of each."""
    program = Path(sys.executable).with_name("ansible-inventory")
    done = subprocess.run([program, "-i", inventory, "--list"], capture_output=True, text=True, check=True)
    hosts = json.loads(done.stdout)["_meta"]["hostvars"]
    return {name: variables.get("ansible_shell_type", "powershell") for name, variables in hosts.items()}


@pytest.fixture(scope="session")
def windows_source(windows_builds: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds of Windows as ``source: FOLDER`` wants them: a 3.13 of two releases, and a 3.12."""
    from tests.tools.sources import NEW, OLD, lay_out

    folder = tmp_path_factory.mktemp("windows-source")
    for minor, tag in (("3.12", OLD), ("3.13", OLD), ("3.13", NEW)):
        lay_out(folder, windows_builds(minor, tag=tag, small=True))
    return folder
