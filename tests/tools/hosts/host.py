# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One test host, and many: start, reach, stop.

A host is a process tree that ends when this process lets go of a pipe, so none outlives its session however
that dies; what such a session leaves on disk is cleared by the next. Never leaves a mount behind: they all
stand in the host's own namespace.
"""

from __future__ import annotations

import itertools
import secrets
import shlex
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .bases import HERE, KINDS, bases, program, unavailable
from .session import Session, session

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0

# Host keys are new in each session and nobody is there to confirm them; an agent must not offer other keys.
SSH_OPTIONS: tuple[str, ...] = (
    "-o StrictHostKeyChecking=no",
    "-o UserKnownHostsFile=/dev/null",
    "-o IdentitiesOnly=yes",
    "-o LogLevel=ERROR",
)

# The PATH that a root login has on each kind.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Host:
    """A running host.

    ``key`` is the private key that logs in root, deploy and plain; ``pid`` the host's first process as the
    machine numbers it; ``root`` the host's root folder as the machine sees it while the host runs (an
    absolute link in it leads to the machine's files: use ``exec`` to follow one); ``relay`` the words of a
    command that leads to the SSH server of a host with a network of its own, else none.
    """

    name: str
    kind: str
    address: str
    port: int
    key: Path
    pid: int
    root: Path
    relay: tuple[str, ...] = ()

    @property
    def ssh_options(self) -> tuple[str, ...]:
        """What ssh has to be told beside the address, the port, the user and the key."""
        return (*SSH_OPTIONS, f"-o ProxyCommand={shlex.quote(shlex.join(self.relay))}") if self.relay else SSH_OPTIONS

    @property
    def inventory_line(self) -> str:
        """The host as a line of an Ansible inventory in INI form; logs in as root."""
        variables = {
            "ansible_host": self.address,
            "ansible_port": str(self.port),
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": " ".join(self.ssh_options),
        }
        return " ".join([self.name, *(f"{name}={shlex.quote(value)}" for name, value in variables.items())])

    def ssh(
        self, command: str, *, user: str = "root", stdin: str = "", terminal: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Runs a shell command over SSH, as a user would; the exit code is its own, or 255 if SSH failed."""
        login = [f"{user}@{self.address}", "-p", str(self.port), "-i", str(self.key), "-o", "BatchMode=yes"]
        login += ["-tt"] if terminal else []
        options = [word for option in self.ssh_options for word in shlex.split(option)]
        return subprocess.run(["ssh", *options, *login, command], input=stdin, capture_output=True, text=True, check=False)

    def exec(self, argv: Sequence[str], *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a program as root inside the host (its root, mounts, processes), without SSH."""
        return subprocess.run(
            [*self.entry, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            env={"PATH": _PATH, "HOME": "/root"},
            check=False,
        )

    @property
    def entry(self) -> tuple[str, ...]:
        """Put before a command, these words make it run inside the host as ``exec`` does: for Popen."""
        namespaces = (f"--target={self.pid}", "--mount", "--pid", "--uts")
        return (program("nsenter"), *namespaces, f"--root={self.root}", f"--wd={self.root}")


def start(
    kind: str, name: str, *, disk_mb: int = 0, file_transfer: bool = True, network: bool = True, image: Path | None = None
) -> Host:
    """Starts a host and waits until its SSH server answers.

    :param kind: one of ``KINDS``
    :param name: its host name, unlike those of the others that run
    :param disk_mb: 0 or the size in MiB of the disk that everything written to the host goes to
    :param file_transfer: False for a host without the sftp subsystem and scp
    :param network: False for a host that reaches nothing and nobody but itself: SSH comes to it by ``Host.relay``
    :param image: an unpacked root that the host is laid on instead of its kind's; it isn't written to
    :raises ValueError: for an unknown kind or a name in use
    :raises RuntimeError: if hosts can't be made here, or this one did not come up (with what it said)
    """
    return start_all([(kind, name)], disk_mb=disk_mb, file_transfer=file_transfer, network=network, image=image)[0]


def start_all(
    hosts: Iterable[tuple[str, str]],
    *,
    disk_mb: int = 0,
    file_transfer: bool = True,
    network: bool = True,
    image: Path | None = None,
) -> list[Host]:
    """Like ``start`` for many (kind, name) with the same options, side by side; if one fails, none stays."""
    if reason := unavailable():
        raise RuntimeError(f"no test host can be started: {reason}")
    base, own = bases(), session()
    launched: list[str] = []
    try:
        starting = []
        for kind, name in hosts:
            if kind not in KINDS:
                raise ValueError(f"no kind of host is called {kind!r}; there are {', '.join(KINDS)}")
            if name in own.processes:
                raise ValueError(f"a host called {name!r} is running already; give each a name of its own")
            address, port = _free_endpoint()
            launched.append(name)
            words = (address, str(port), str(disk_mb), "yes" if file_transfer else "no", "yes" if network else "no")
            _launch(own, base, [image] if image else [base / layer for layer in KINDS[kind]], name, words)
            starting.append((kind, name, address, port))
        return [_await(own, base, *one, network) for one in starting]
    except BaseException:
        _end(own, launched)
        raise


def stop(*hosts: Host) -> None:
    """Ends hosts with all their processes and all that was written to them; to stop one again is no error."""
    _end(session(), [host.name for host in hosts])


@contextmanager
def fleet(
    count: int, kinds: Sequence[str] = tuple(KINDS), *, disk_mb: int = 0, file_transfer: bool = True
) -> Iterator[list[Host]]:
    """``count`` hosts of the kinds in turn, called ``KIND-1`` and so on, for the time of a with block."""
    turns = itertools.islice(itertools.cycle(kinds), count)
    named = [(kind, f"{kind}-{number}") for number, kind in enumerate(turns, 1)]
    hosts = start_all(named, disk_mb=disk_mb, file_transfer=file_transfer)
    try:
        yield hosts
    finally:
        stop(*hosts)


def inventory(hosts: Iterable[Host]) -> str:
    """An Ansible inventory in INI form with a group for each kind."""
    groups: dict[str, list[str]] = {}
    for host in hosts:
        groups.setdefault(host.kind, []).append(host.inventory_line)
    return "\n".join("\n".join([f"[{kind}]", *lines, ""]) for kind, lines in groups.items())


def _free_endpoint() -> tuple[str, int]:
    """An address and a port nobody listens on, below the ports that the kernel gives out.

    New ones for each host, because an SSH client that keeps a connection open knows a host by them.
    """
    while True:
        address = ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))])
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        return address, port


def _launch(own: Session, base: Path, layers: Sequence[Path], name: str, words: tuple[str, ...]) -> None:
    folder = own.folder / name
    (folder / "disk").mkdir(parents=True)
    environment = {
        "PATH": _PATH,
        "BASES": str(base),
        "LAYERS": ":".join(map(str, layers)),
        "FOLDER": str(folder),
        "KEYS": str(own.folder),
    }
    with (folder / "log").open("w") as log:
        own.processes[name] = subprocess.Popen(
            [
                *(program("unshare"), "--mount", "--pid", "--uts", *([] if words[-1] == "yes" else ["--net"])),
                *("--fork", "--kill-child", "--"),
                *("sh", str(HERE / "host.sh"), name, *words),
            ],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            # A Ctrl-C on the terminal is for the session, which then stops its hosts in good order.
            start_new_session=True,
        )


def _await(own: Session, base: Path, kind: str, name: str, address: str, port: int, network: bool) -> Host:
    folder = own.folder / name
    deadline = time.monotonic() + _START_SECONDS
    while not (_answers(address, port) if network else _listens(folder / "log")):
        if own.processes[name].poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text(errors="replace").strip()
            raise RuntimeError(f"the host {name!r} ({kind}) did not start at {address} port {port}: {said}")
        time.sleep(0.005)
    pid = int((folder / "pid").read_text())
    root = Path(f"/proc/{pid}/root{base}/door/mnt")
    enter = [program("nsenter"), f"--target={pid}", "--net", program("chroot"), str(base / "busybox"), "nc", address, str(port)]
    return Host(name, kind, address, port, own.key, pid, root, relay=() if network else tuple(enter))


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def _listens(log: Path) -> bool:
    """What the server says itself, where this machine has no way to it."""
    return "Server listening on" in log.read_text(errors="replace")


def _end(own: Session, names: Sequence[str]) -> None:
    """First lets go of all, then waits for each: many end side by side."""
    ending = [(name, own.processes[name]) for name in names if name in own.processes]
    for _, process in ending:
        if process.stdin is not None:
            process.stdin.close()
    for name, process in ending:
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        own.forget(name)
