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
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.tools import windows
from tests.tools.hosts.host import SSH_OPTIONS
from tests.tools.playbook import Run, run_play
from tests.tools.standin import collection_without_junctions

# What sshd starts on a host: what its ansible_shell_type is.
SHELLS = ("cmd", "powershell")
# How often a machine that is made here is in its inventory with each shell, so that there are four hosts at once.
_TIMES = 2
_ENVIRONMENT = r"[System\\CurrentControlSet\\Control\\Session Manager\\Environment]"


@dataclass(frozen=True, slots=True)
class Machine:
    """
    :ivar names: by the shell that is reached there, how the inventory calls it
    :ivar ssh: the same of the commands that reach it, where it was made here
    :ivar drive: where its C: is on this machine, where it was made here
    """

    names: Mapping[str, str]
    ssh: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drive: Path | None = None


@dataclass(frozen=True, slots=True)
class WindowsHosts:
    """
    :ivar names: all that the inventory names, of all machines
    :ivar inventory: its text
    :ivar junctions: whether they have them; where not, the collection is one with a stand-in for them
    :ivar small: a disk of 24 MB that machines which are made here have as S:
    """

    machines: tuple[Machine, ...]
    names: tuple[str, ...]
    inventory: str
    collections: Path
    junctions: bool
    small: Path | None = None

    def play(self, *tasks: dict[str, object], on: str = "all", environment: Mapping[str, str] = {}, **options: object) -> Run:
        """Plays on the hosts that the inventory names so."""
        whole = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections), **environment}
        return run_play(tasks, self.inventory, hosts=on, environment=whole, **options)  # type: ignore[arg-type]

    def powershell(self, script: str, on: Machine) -> str:
        """What a script prints. Where Ansible is not needed for it, as it takes several times as long."""
        if on.ssh:
            encoded = base64.b64encode(f"$ErrorActionPreference = 'Stop'; {script}".encode("utf-16-le")).decode()
            # cmd starts sooner than a PowerShell that starts another, and takes no line that is longer than 8,191 letters.
            return self.command(
                f"powershell -NoProfile -EncodedCommand {encoded}", on, "cmd" if len(encoded) < 8000 else "powershell"
            )
        run = self.play({"ansible.builtin.raw": script}, on=on.names.get("powershell") or next(iter(on.names.values())))
        assert run.of().kind == "ok", run.output
        return str(run.of().result["stdout"]).replace("\r\n", "\n").strip()

    def command(self, line: str, on: Machine, shell: str) -> str:
        """What a line prints in a shell of a machine that was made here."""
        done = subprocess.run([*on.ssh[shell], line], capture_output=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout.decode().replace("\r\n", "\n").strip()


@pytest.fixture(scope="session")
def windows_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsHosts]:
    """The hosts; the test is skipped where there are none.

    Here one machine is made, which answers with both shells: by the address that it is reached from.
    """
    windows.needed()
    if (place := windows.inventory()) is not None:
        machines, names = _listed(place)
        yield WindowsHosts(machines, names, place.read_text(), Path(windows.__file__).parents[2], junctions=True)
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
    network = f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}"
    # Without TMPDIR, which sessions on a host don't have: Wine's server is found there, and each session would start one of its own.
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"} | {"W": str(folder), "PORT": "2222"}
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", small], check=True)
        done = subprocess.run(
            [str(script), "up", "1", network, "powershell"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        run = folder / "windows/run"
        home = run / "windows-powershell-1"
        (home / "prefix/dosdevices/s:").symlink_to(small)
        # Its own shell would read this machine's .bashrc for each session, whatever that starts.
        accounts = re.sub("(?m)^(root:.*):[^:]*$", r"\1:/bin/sh", (home / "passwd").read_text())
        (home / "passwd").write_text(accounts)
        clients = {shell: f"{network}.{100 + at}" for at, shell in enumerate(SHELLS)}
        _answer_with(home / "login", clients["cmd"])
        options = [word for option in SSH_OPTIONS for word in option.split()]
        to = ("-i", str(run / "id"), "-p", environment["PORT"], f"root@{network}.1")
        machine = Machine(
            {shell: f"windows-{shell}-1" for shell in SHELLS},
            {shell: ("ssh", "-n", *options, "-b", client, *to) for shell, client in clients.items()},
            home / "prefix/drive_c",
        )
        inventory = (run / "inv").read_text()
        lines = [_line(inventory, shell, number, clients[shell]) for shell in SHELLS for number in range(1, _TIMES + 1)]
        names = tuple(line.split()[0] for line in lines)
        yield WindowsHosts((machine,), names, "".join(lines), collections, False, small)
    finally:
        subprocess.run([script, "down"], env=environment, check=False)
        subprocess.run(["umount", small], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _answer_with(login: Path, client: str) -> None:
    """What sshd starts for each session asks PowerShell; for one from that address it asks cmd."""
    text, replaced = re.subn(
        r"^case powershell in$",
        f"case ${{SSH_CONNECTION%% *}} in\n  {client}) set -- cmd;;\n  *) set -- powershell;;\nesac\ncase $1 in",
        login.read_text(),
        flags=re.MULTILINE,
    )
    assert replaced == 1, "the login does not choose by its shell"
    login.write_text(text)


def _line(inventory: str, shell: str, number: int, client: str) -> str:
    """The one machine of the inventory as another of its hosts. Each has a connection of its own, as one has the same address always."""
    line = inventory.splitlines()[0].replace("windows-powershell-1", f"windows-{shell}-{number}", 1)
    line = line.replace("ansible_shell_type=powershell", f"ansible_shell_type={shell}")
    line = line.replace("ansible_ssh_common_args='", f"ansible_ssh_common_args='-o BindAddress={client} ")
    return f"{line} ansible_control_path='%(directory)s/{shell}-{number}-{os.getpid()}'\n"


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


def _listed(inventory: Path) -> tuple[tuple[Machine, ...], tuple[str, ...]]:
    """The machines of an inventory, and all that it names. What has the same address is one machine, with two shells."""
    program = Path(sys.executable).with_name("ansible-inventory")
    done = subprocess.run([program, "-i", inventory, "--list"], capture_output=True, text=True, check=True)
    hosts = json.loads(done.stdout)["_meta"]["hostvars"]
    machines: dict[str, dict[str, str]] = {}
    for name, variables in hosts.items():
        machine = machines.setdefault(variables.get("ansible_host", name), {})
        machine.setdefault(variables.get("ansible_shell_type", "powershell"), name)
    return tuple(map(Machine, machines.values())), tuple(hosts)


@pytest.fixture(scope="session")
def windows_source(windows_builds: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds of Windows as ``source: FOLDER`` wants them: a 3.13 of two releases, and a 3.12. Small ones, as each junction is a copy."""
    from tests.tools.sources import NEW, OLD, lay_out

    folder = tmp_path_factory.mktemp("windows-source")
    for minor, tag in (("3.12", OLD), ("3.13", OLD), ("3.13", NEW)):
        lay_out(folder, windows_builds(minor, tag=tag, small=True))
    return folder
