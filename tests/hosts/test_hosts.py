# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts are what they promise.

Without Python, with the tools of their kind, apart from each other, and gone afterwards.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tools import hosts
from tests.tools.hosts import bases as bases_module
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.hosts.host import SSH_OPTIONS, Host
from tests.tools.hosts.session import session
from tests.tools.web import serve

REPOSITORY = Path(__file__).resolve().parents[2]
USERS = {"root": 0, "deploy": 1000, "plain": 1001}

# Kind -> (what is there, what is not), of the tools that matter to an installation.
TOOLS: Mapping[str, tuple[str, str]] = {
    "debian": ("tar gzip sha256sum stat readlink timeout perl sudo scp", "zstd curl wget shasum xz"),
    "debianzst": ("tar gzip zstd sha256sum stat readlink timeout perl sudo scp", "curl wget shasum xz"),
    "busybox": ("tar gzip sha256sum stat readlink timeout wget scp", "zstd curl shasum perl sudo bash"),
    "musl": ("tar gzip sha256sum stat readlink timeout wget", "zstd curl shasum perl sudo bash scp"),
    "macish": ("tar gzip shasum curl perl scp", "sha256sum stat readlink timeout wget zstd sudo busybox"),
}

# Kind -> a word of what `tar --version` or `tar --help` says.
TARS = {"debian": "GNU", "debianzst": "GNU", "busybox": "busybox", "musl": "busybox", "macish": "bsdtar"}

each_kind = pytest.mark.parametrize("kind", hosts.KINDS)


def said(host: Host, command: str, user: str = "root") -> str:
    """What a command prints over SSH; fails the test with what it complained about if it does."""
    done = host.ssh(command, user=user)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sftp(host: Host) -> subprocess.CompletedProcess[str]:
    """Lists the host's root over SFTP."""
    options = [word for option in SSH_OPTIONS for word in option.split()]
    return subprocess.run(
        ["sftp", *options, "-b", "-", "-P", str(host.port), "-i", str(host.key), f"root@{host.address}"],
        input="ls /\n",
        capture_output=True,
        text=True,
        check=False,
    )


def processes_in(namespace: str) -> list[str]:
    """The machine's processes whose process namespace is this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/pid") == namespace:
                found.append(entry.name)
        except OSError:
            continue
    return found


def listening(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def gone(namespace: str, address: str, port: int) -> bool:
    """Whether nothing is left of a host within five seconds."""
    deadline = time.monotonic() + 5
    while processes_in(namespace) or listening(address, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_says_why_it_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = bases_module.unavailable.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert fresh().startswith("needs Linux: ")
    monkeypatch.setattr(sys, "platform", "linux")
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 1000)
        assert fresh().startswith("needs root: ")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with monkeypatch.context() as patch:
        patch.setattr(bases_module, "program", lambda name: name)
        reason = fresh()
        assert reason.startswith("needs packages: ")
        assert "debootstrap" in reason


def test_packages_are_listed() -> None:
    lines = (bases_module.HERE / "packages.txt").read_text().splitlines()
    listed = {line for line in lines if not line.startswith("#")}
    everywhere = {"apt", "coreutils", "dpkg"}
    # No program: the keys that a root of another architecture is checked with.
    assert {*bases_module.PROGRAMS.values(), "debian-archive-keyring"} == listed | everywhere


@each_kind
def test_has_no_python(fresh_host: FreshHost, kind: str) -> None:
    host = fresh_host(kind)
    assert host.ssh("command -v python3 python python2").stdout == ""
    assert said(host, "find / -xdev -type f -name '*python*[0-9]'") == ""


@each_kind
@pytest.mark.parametrize("user", USERS)
def test_users_log_in(fleet: Mapping[str, Host], kind: str, user: str) -> None:
    host = fleet[kind]
    assert said(host, "id -u", user) == str(USERS[user])
    assert said(host, "uname -s; uname -n", user).split() == ["Linux", host.name]
    assert said(host, 'touch "$HOME/mine" && rm "$HOME/mine" && umask', user) in ("0022", "022")


@each_kind
def test_terminal_shows_nothing_else(fleet: Mapping[str, Host], kind: str) -> None:
    done = fleet[kind].ssh("tty >/dev/null && echo terminal", terminal=True)
    assert (done.stdout, done.stderr) == ("terminal\n", "")


@each_kind
@pytest.mark.parametrize("user", ["deploy", "plain"])
def test_only_deploy_on_debian_becomes_root(fleet: Mapping[str, Host], kind: str, user: str) -> None:
    done = fleet[kind].ssh("sudo -n id -u", user=user)
    expected = "0\n" if kind.startswith("debian") and user == "deploy" else ""
    assert done.stdout == expected, done.stderr


@each_kind
def test_tools(fleet: Mapping[str, Host], kind: str) -> None:
    there, absent = TOOLS[kind]
    host = fleet[kind]
    found = said(host, f"for tool in {there} {absent}; do command -v $tool >/dev/null && echo $tool; done; :")
    assert found.split() == there.split()
    assert TARS[kind] in said(host, "tar --version 2>&1 || tar --help 2>&1")


@each_kind
def test_checksum_tool_works(fleet: Mapping[str, Host], kind: str) -> None:
    tool = "shasum -a 256" if kind == "macish" else "sha256sum"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert said(fleet[kind], f"{tool} </dev/null").split()[0] == empty


@each_kind
def test_libc(fleet: Mapping[str, Host], kind: str) -> None:
    loaders = said(fleet[kind], "ls /lib /lib64 | grep -E '^ld-(linux|musl)' || :")
    assert loaders.startswith("ld-musl-" if kind == "musl" else "ld-linux"), loaders
    assert "\n" not in loaders


@each_kind
def test_exec_needs_no_ssh(fleet: Mapping[str, Host], kind: str) -> None:
    host = fleet[kind]
    done = host.exec(["sh", "-c", "id -u; pwd; uname -n; cat"], stdin="in")
    assert (done.stdout, done.returncode) == (f"0\n/\n{host.name}\nin", 0), done.stderr
    assert host.exec(["false"]).returncode == 1


@each_kind
def test_root_is_the_hosts_own(fleet: Mapping[str, Host], kind: str) -> None:
    host = fleet[kind]
    said(host, "echo here >/tmp/seen")
    assert (host.root / "tmp/seen").read_text() == "here\n"
    assert not Path("/tmp/seen").exists()
    (host.root / "tmp/seen").unlink()
    assert host.ssh("test -e /tmp/seen").returncode == 1


def test_processes_can_be_killed_from_outside(fresh_host: FreshHost) -> None:
    host = fresh_host("busybox")
    with subprocess.Popen([*host.entry, "/usr/bin/sleep", "600"]) as sleeper:
        while not (pid := host.exec(["pidof", "sleep"]).stdout.strip()):
            time.sleep(0.01)
        assert host.exec(["kill", "-9", *pid.split()]).returncode == 0
        assert sleeper.wait() == -signal.SIGKILL
    assert host.exec(["pidof", "sleep"]).stdout == ""


def test_orphans_are_collected(fresh_host: FreshHost) -> None:
    host = fresh_host("debian")
    pid = said(host, "sh -c 'sleep 0.1 >/dev/null 2>&1 & echo $!'")
    time.sleep(0.5)
    assert host.exec(["test", "-e", f"/proc/{pid}"]).returncode == 1, "a process that died still counts as alive"


@each_kind
def test_file_transfer(fleet: Mapping[str, Host], kind: str) -> None:
    assert "usr" in sftp(fleet[kind]).stdout


@each_kind
def test_without_file_transfer(fresh_host: FreshHost, kind: str) -> None:
    host = fresh_host(kind, file_transfer=False)
    assert sftp(host).returncode != 0
    assert host.ssh("command -v scp").stdout == ""
    assert said(host, "echo still here") == "still here"


@each_kind
def test_small_disk_fills_up(fresh_host: FreshHost, kind: str) -> None:
    host = fresh_host(kind, disk_mb=8)
    done = host.ssh("dd if=/dev/zero of=/root/large bs=1048576 count=64")
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert (host.root / "root/large").stat().st_size < 8 * 2**20
    assert host.ssh("rm /root/large && dd if=/dev/zero of=/root/small bs=1048576 count=2").returncode == 0


def test_hosts_are_apart(fresh_host: FreshHost) -> None:
    one, other = fresh_host("debian"), fresh_host("debian")
    traces = "ls /etc/only-one 2>/dev/null; grep /srv /proc/mounts; grep -h sleep /proc/[0-9]*/comm; :"
    said(one, "echo one >/etc/only-one; mount -t tmpfs tmpfs /srv; sleep 60 >/dev/null 2>&1 &")
    assert len(said(one, traces).splitlines()) == 3
    assert said(other, traces) == ""
    assert (one.address, one.port) != (other.address, other.port)


def test_starts_within_half_a_second(fresh_host: FreshHost) -> None:
    fresh_host("debian")
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        fresh_host("debian")
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 0.5, "even the fastest of three starts, whatever else the machine was doing"


def test_stop_leaves_nothing(fresh_host: FreshHost) -> None:
    host = fresh_host("debian", disk_mb=32)
    namespace = os.readlink(f"/proc/{host.pid}/ns/pid")
    host.ssh("nohup sleep 600 >/dev/null 2>&1 &")
    assert len(processes_in(namespace)) >= 3
    hosts.stop(host)
    assert processes_in(namespace) == []
    assert not listening(host.address, host.port)
    assert str(session().folder) not in Path("/proc/mounts").read_text()
    assert not (session().folder / host.name).exists()
    hosts.stop(host)


CHILD = """
import os, time
from tests.tools import hosts
from tests.tools.hosts import bases as bases_module
with hosts.fleet(2, ["busybox", "debian"]) as fleet:
    for host in fleet:
        print(os.readlink(f"/proc/{host.pid}/ns/pid"), host.address, host.port, host.key.parent, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_session(fresh_host: FreshHost, how: signal.Signals) -> None:
    python = [sys.executable, "-c"]
    with subprocess.Popen(
        [*python, CHILD], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline().split() for _ in range(2)]
        child.send_signal(how)
    assert len({folder for *_, folder in lines}) == 1
    for namespace, address, port, _ in lines:
        assert gone(namespace, address, int(port))
    left = Path(lines[0][-1])
    assert left.exists() == (how != signal.SIGINT)
    if left.exists():
        code = "from tests.tools.hosts.session import session; session()"
        subprocess.run([*python, code], cwd=REPOSITORY, check=True)
        assert not left.exists()
    assert session().folder.exists()


def test_refuses_what_it_does_not_know(fresh_host: FreshHost) -> None:
    host = fresh_host("busybox")
    with pytest.raises(ValueError, match="no kind of host is called 'beos'"):
        fresh_host("beos")
    with pytest.raises(ValueError, match="is running already"):
        hosts.start("busybox", host.name)
    assert said(host, "echo unharmed") == "unharmed"


def test_inventory(fleet: Mapping[str, Host]) -> None:
    text = hosts.inventory(fleet.values())
    for kind, host in fleet.items():
        assert f"[{kind}]\n{host.name} ansible_host={host.address} ansible_port={host.port} " in text
    assert "ansible_python_interpreter" not in text


def test_command_line(fresh_host: FreshHost, tmp_path: Path) -> None:
    built = bases_module.bases()
    own = tmp_path / "hosts"
    own.mkdir()
    (own / built.name).symlink_to(built)
    environment = {**os.environ, "STANDALONE_PYTHON_TEST_CACHE": str(tmp_path)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", hosts.__name__, *words]
        return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)

    up = run("up", "3", "busybox", "macish")
    try:
        assert up.returncode == 0, up.stderr
        assert up.stdout == (own / "hosts.ini").read_text()
        again = run("up", "1")
        assert (again.returncode, again.stderr) == (1, "hosts of the fleet 'hosts' are up already; take them down first\n")
    finally:
        assert run("down").returncode == 0
    endpoints = re.findall(r"^(\S+) ansible_host=(\S+) ansible_port=(\d+) ", up.stdout, re.MULTILINE)
    assert [name for name, *_ in endpoints] == ["busybox-1", "busybox-3", "macish-2"]
    assert not any(listening(address, int(port)) for _, address, port in endpoints)
    assert not (own / "hosts.ini").exists()
    assert run("down").returncode == 0


def test_a_host_without_a_network_is_reached_and_reaches_nobody(fresh_host: FreshHost, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("here")
    with serve(tmp_path) as web:
        ask = f"curl -sS -m 5 {web.url()}/page"
        alone, other = fresh_host("macish", network=False), fresh_host("macish")
        assert said(other, ask) == "here"
        done = alone.ssh(ask)
    assert done.returncode not in (0, 255), done
    assert len(said(alone, "cat /proc/net/route").splitlines()) == 1
    assert not listening(alone.address, alone.port)
