# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever logs in and becomes whomever, over whatever connection: the same interpreter, which its users can run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils import host as module
from tests.frontends.support import (
    AS_IT_WAS,
    LATER13,
    as_it_was,
    complaint,
    differences,
    line,
    name,
    python_says,
    reads,
    snapshot,
    task,
)
from tests.tools.community import collections
from tests.tools.hosts import Host, start, stop, unavailable
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import REPOSITORY, Run, TaskResult, run_play

pytestmark = pytest.mark.xdist_group("hosts")

BUILD = name(LATER13)
PREFIX = "import ssl, sys; print(sys.prefix)"
USERS = {0: "root", 1000: "deploy", 1001: "plain", 1002: "tcsh", 1003: "fish"}


@dataclass(frozen=True, slots=True)
class Way:
    """How the module gets to a host, and what that comes to.

    :ivar first: what is done to the host beforehand, by its own shell
    :ivar variables: of the host in the inventory
    :ivar runs: who can run the interpreter
    """

    kind: str
    user: str
    owner: str
    root: str = "/opt/python"
    bin_dir: str = ""
    runs: tuple[str, ...] = ("root", "deploy", "plain")
    first: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    file_transfer: bool = True

    @property
    def links(self) -> str:
        return self.bin_dir or ("/usr/local/bin" if self.root == "/opt/python" else f"{self.root}/bin")


UMASK_077 = (
    "rm /bin/sh",
    r"""printf '#!/bin/dash\numask 077\nexec /bin/dash "$@"\n' >/bin/sh""",
    "chmod 755 /bin/sh",
)
BECOME = {"ansible_become": "true"}
BECOME_PLAIN = {**BECOME, "ansible_become_user": "plain"}
# So no script and no archive goes by standard input.
TTY = {"ansible_ssh_extra_args": "-tt"}
HOME_ROOT, HOME_BIN = "~/python", "~/.local/bin"

WAYS: Mapping[str, Way] = {
    "root": Way("busybox", "root", "root"),
    "root with umask 077": Way("debian", "root", "root", first=UMASK_077),
    "deploy with sudo": Way("debian", "deploy", "root", variables=BECOME),
    "deploy with sudo and umask 077": Way("debian", "deploy", "root", first=UMASK_077, variables=BECOME),
    "deploy without sudo": Way("macish", "deploy", "deploy", root=HOME_ROOT, bin_dir=HOME_BIN, runs=("root", "deploy")),
    "root becomes plain by su": Way(
        "debian",
        "root",
        "plain",
        root=HOME_ROOT,
        bin_dir=HOME_BIN,
        runs=("root", "plain"),
        variables={**BECOME_PLAIN, "ansible_become_method": "su"},
    ),
    "root becomes plain by sudo": Way(
        "debian", "root", "plain", root=HOME_ROOT, bin_dir=HOME_BIN, runs=("root", "plain"), variables=BECOME_PLAIN
    ),
    "deploy becomes plain by sudo": Way(
        "debian",
        "deploy",
        "plain",
        root=HOME_ROOT,
        bin_dir=HOME_BIN,
        runs=("root", "plain"),
        # Without setfacl on the host, Ansible can't let one unprivileged user read another's files.
        variables=BECOME_PLAIN,
    ),
    "deploy becomes plain by sudo, and all may read": Way(
        "debian",
        "deploy",
        "plain",
        root=HOME_ROOT,
        bin_dir=HOME_BIN,
        runs=("root", "plain"),
        variables={**BECOME_PLAIN, **TTY, "ansible_shell_allow_world_readable_temp": "true"},
    ),
    "deploy becomes plain by sudo, and both are in a group": Way(
        "debian",
        "deploy",
        "plain",
        root=HOME_ROOT,
        bin_dir=HOME_BIN,
        runs=("root", "plain"),
        first=("usermod -aG deploy plain",),
        variables={**BECOME_PLAIN, **TTY, "ansible_common_remote_group": "deploy"},
    ),
    "tcsh becomes fish by sudo": Way(
        "debian",
        "tcsh",
        "fish",
        root=HOME_ROOT,
        bin_dir=HOME_BIN,
        runs=("root", "fish"),
        variables={**BECOME, "ansible_become_user": "fish"},
    ),
    "sudo that wants a tty": Way(
        "debian", "deploy", "root", first=("echo 'Defaults requiretty' >>/etc/sudoers.d/deploy",), variables=BECOME
    ),
    "a tty in ssh's arguments": Way("busybox", "root", "root", variables={"ansible_ssh_extra_args": "-tt"}),
    "a tty in ssh's arguments, and sudo": Way(
        "debian", "deploy", "root", variables={**BECOME, "ansible_ssh_extra_args": "-o RequestTTY=force"}
    ),
    "noexec /tmp": Way("busybox", "root", "root", first=("mount -t tmpfs -o noexec,nosuid,nodev tmpfs /tmp",)),
    "noexec home": Way(
        "macish",
        "deploy",
        "deploy",
        root="/srv/python",
        first=("mount -t tmpfs -o noexec,mode=700,uid=1000,gid=1000 tmpfs /home/deploy", "mkdir /srv", "chown deploy /srv"),
    ),
    "piped": Way("debian", "root", "root", variables={"ansible_ssh_transfer_method": "piped"}, file_transfer=False),
    "smart without sftp and scp": Way(
        "busybox", "root", "root", variables={"ansible_ssh_transfer_method": "smart"}, file_transfer=False
    ),
}


@dataclass(frozen=True, slots=True)
class Used:
    """``results`` of the first run and of the second; ``new`` is what the host's disk has otherwise after them."""

    host: Host
    results: Sequence[TaskResult]
    new: Mapping[str, tuple[str, str]]


@pytest.fixture(scope="module")
def used(source: Path) -> Iterator[Mapping[str, Used]]:
    """All ways at once, each with a host of its own."""
    if reason := unavailable():
        pytest.skip(reason)
    hosts: dict[str, Host] = {}
    try:
        for case, way in WAYS.items():
            host = hosts[case] = start(way.kind, f"way-{len(hosts)}", file_transfer=way.file_transfer)
            done = host.exec(["sh", "-ec", "; ".join(way.first)])
            assert done.returncode == 0, (case, done.stderr)
        before = {case: snapshot(host.root) for case, host in hosts.items()}
        asked = {"root": "{{ ways[inventory_hostname].root }}", "bin_dir": "{{ ways[inventory_hostname].bin_dir or omit }}"}
        run = run_play(
            [task(builds=["3.13"], source=str(source), **asked), task(builds=["3.13"], **asked)],
            "".join(line(hosts[case], way.user, **way.variables) for case, way in WAYS.items()),
            play={"vars": {"ways": {hosts[case].name: {"root": w.root, "bin_dir": w.bin_dir} for case, w in WAYS.items()}}},
            arguments=["--forks", "4"],
        )
        yield {
            case: Used(
                host,
                [result for result in run.results if result.host == host.name],
                differences(before[case], snapshot(host.root)),
            )
            for case, host in hosts.items()
        }
    finally:
        stop(*hosts.values())


@pytest.mark.parametrize("case", WAYS)
def test_over_ssh(case: str, used: Mapping[str, Used]) -> None:
    """Installed, seen again as declared, owned by who became, run by everybody who can get there, and nothing else left."""
    way, host, results = WAYS[case], used[case].host, used[case].results
    assert [(result.kind, result.result.get("changed")) for result in results] == [("ok", True), ("ok", False)], results
    home = "/root" if way.owner == "root" else f"/home/{way.owner}"
    root, links = way.root.replace("~", home), way.links.replace("~", home)
    (made,) = results[0].result["interpreters"]
    assert made["prefix"] == f"{root}/{BUILD}"
    assert made["links"] == [f"{links}/python3.13"]
    for user in way.runs:
        assert python_says(host, f"{links}/python3.13", PREFIX, user) == f"{root}/cpython-3.13"
        assert python_says(host, made["stable_path"], PREFIX, user) == f"{root}/cpython-3.13"
    ours = (f"{root}/", f"{links}/")
    elsewhere = [
        path for path in used[case].new if not any(f"/{path}/".startswith(at) or at.startswith(f"/{path}/") for at in ours)
    ]
    assert elsewhere == []
    tree = host.root / root[1:] / BUILD
    for path in (tree, *tree.rglob("*")):
        status = path.lstat()
        assert USERS[status.st_uid] == way.owner, path
        assert path.is_symlink() or status.st_mode & 0o777 in (0o755, 0o644), path


def test_unprivileged_to_unprivileged_without_leave(fresh_host: FreshHost, source: Path) -> None:
    """Ansible can't show one user's files to another without setfacl, and standard input, which needs no file, is a tty."""
    host = fresh_host("debian")
    become_plain = {"become": True, "become_user": "plain"}
    with as_it_was(host):
        run = run_play(
            [{**task(builds=["3.13"], source=str(source), root=HOME_ROOT), **become_plain}], line(host, "deploy", **TTY)
        )
    reads(
        complaint(run),
        "cannot send script.sh to /var/tmp/ansible-tmp-… on the host, the connection's user can't let plain read it: "
        f"install setfacl there (package acl), let standard input through (no tty), or become root{AS_IT_WAS}",
    )


def test_a_file_that_another_unprivileged_user_can_not_receive(fresh_host: FreshHost, source: Path) -> None:
    host = fresh_host("debian")
    assert host.exec(["sh", "-ec", "chmod 700 /var/tmp"]).returncode == 0
    become_plain = {"become": True, "become_user": "plain"}
    with as_it_was(host):
        run = run_play([{**task(builds=["3.13"], source=str(source), root=HOME_ROOT), **become_plain}], line(host, "deploy"))
    reads(
        complaint(run),
        f"cannot send {BUILD}.tar.gz to /var/tmp/standalone-python-… on the host, mkdir: cannot create directory "
        f"…: Permission denied: let plain write there{AS_IT_WAS}",
    )


@pytest.mark.parametrize("user", ["", "nobody"])
def test_over_the_local_connection(user: str, source: Path) -> None:
    """As whoever runs this, and as a user without any right; the folder for what Ansible sends is the same for both."""
    if user and os.geteuid() != 0:
        pytest.skip("needs root: to become another user without a password")
    variables, keywords = "ansible_connection=local", {}
    if user:
        variables += " ansible_remote_tmp=/tmp/.ansible-of-tests ansible_become_flags='-s /bin/sh'"
        keywords = {"become": True, "become_method": "ansible.builtin.su", "become_user": user}
    # Not below pytest's own folder, which others can't enter.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        if user:
            shutil.chown(root, user)
        run = run_play(
            [
                {**task(builds=["3.13"], source=str(source), root=str(root)), **keywords},
                {**task(builds=["3.13"], root=str(root)), **keywords},
            ],
            f"localhost {variables}\n",
        )
        changed = [(result.kind, result.result.get("changed")) for result in run.results]
        assert changed == [("ok", True), ("ok", False)], run.output
        assert (root / BUILD).owner() == root.owner()
        command = [str(root / "bin/python3.13"), "-I", "-c", PREFIX]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert said.stdout.strip() == f"{root}/cpython-3.13"


CHROOT_WITH_PROC = REPOSITORY / "tests/tools/hosts/chroot.sh"


def through_chroot(image: Path, *tasks: Mapping[str, Any], chroot: str = "chroot") -> Run:
    return run_play(
        tasks,
        f"image ansible_connection=community.general.chroot ansible_host={image} ansible_chroot_exe={chroot}\n",
        environment={"ANSIBLE_COLLECTIONS_PATH": f"{REPOSITORY}:{collections()}"},
    )


def test_over_the_chroot_connection(image: Path, source: Path) -> None:
    run = through_chroot(
        image,
        {**task(builds=["3.13"], source=str(source)), "check_mode": True},
        task(builds=["3.13"], source=str(source)),
        task(builds=["3.13"]),
        chroot=str(CHROOT_WITH_PROC),
    )
    changed = [(result.kind, result.result.get("changed")) for result in run.results]
    assert changed == [("ok", True), ("ok", True), ("ok", False)], run.output
    command = [str(CHROOT_WITH_PROC), str(image), "/usr/local/bin/python3.13", "-I", "-c", PREFIX]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "/opt/python/cpython-3.13"
    assert not list((image / "root").glob(".ansible/tmp/*"))


def test_a_chroot_without_proc(image: Path, source: Path) -> None:
    """The loader finds a build's own libraries by /proc. Where that is not mounted, its message is shown, and nothing stays."""
    before = snapshot(image)
    run = through_chroot(image, task(builds=["3.13"], source=str(source)))
    assert "error while loading shared libraries: libpython3.13.so" in complaint(run)
    assert complaint(run).endswith(AS_IT_WAS)
    assert differences(before, snapshot(image)) == {}


@pytest.mark.parametrize(
    ("transport", "become", "platform", "executable", "command"),
    [
        ("local", "", "linux", "/bin/sh", ". /dev/stdin"),
        ("ansible.builtin.local", "", "linux", "/bin/sh", ". /dev/stdin"),
        ("local", "", "darwin", "/bin/sh", "sh -s"),
        ("local", "", "linux", "/bin/zsh", "sh -s"),
        ("local", "sudo", "linux", "/bin/sh", "exec sh -s"),
        ("ssh", "", "linux", "/bin/sh", "sh -s"),
        ("ssh", "sudo", "linux", "/bin/sh", "exec sh -s"),
        ("containers.podman.podman", "", "linux", "/bin/sh", "sh -s"),
    ],
)
def test_no_more_shells_than_needed(
    transport: str, become: str, platform: str, executable: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def execute(command: str, *, in_data: bytes, executable: bool) -> dict[str, Any]:
        given.append(command)
        return {"rc": 0, "stdout": "said", "stderr": ""}

    becomes = SimpleNamespace(name=become, require_tty=False) if become else None
    connection = SimpleNamespace(
        _shell=SimpleNamespace(), transport=transport, become=becomes, has_pipelining=True, get_option=lambda _name: ""
    )
    monkeypatch.setattr(module, "platform", platform)
    monkeypatch.setattr(module, "DEFAULT_EXECUTABLE", executable)
    host = module.ConnectionHost(cast(Any, SimpleNamespace(_connection=connection, _low_level_execute_command=execute)), None)
    assert host.run(":").output == "said"
    assert given == [command]
