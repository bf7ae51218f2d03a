# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user of pyinfra meets: whoever logs in and becomes whomever, over whatever connector, on good and on bad days."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api.operation import OperationMeta
from pyinfra.connectors.util import CommandOutput

from pyinfra_ops.standalone_python import looks as looks_module
from pyinfra_ops.standalone_python.core import Observed
from pyinfra_ops.standalone_python.looks import looks_of
from pyinfra_ops.standalone_python.transport import on_one_line
from tests.frontends.support import (
    AS_IT_WAS,
    LATER13,
    OLD13,
    as_it_was,
    differences,
    name,
    processes,
    python_says,
    reads,
    snapshot,
)
from tests.tools import containers
from tests.tools.deploy import LOCAL, PYINFRA, Deployed, login, operation, run_deploy
from tests.tools.hosts import Host, start, stop, unavailable
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import REPOSITORY

pytestmark = pytest.mark.xdist_group("hosts")

BUILD = name(LATER13)
PREFIX = "import ssl, sys; print(sys.prefix)"
USERS = {0: "root", 1000: "deploy", 1001: "plain", 1002: "tcsh", 1003: "fish"}


@dataclass(frozen=True, slots=True)
class Way:
    """How the operation gets to a host, and what that comes to.

    :ivar arguments: global arguments of the operation
    :ivar data: of the host in the inventory
    :ivar first: what is done to the host beforehand, by its own shell
    :ivar runs: who can run the interpreter
    """

    kind: str
    user: str = "root"
    owner: str = "root"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    root: str = "/opt/python"
    bin_dir: str = ""
    file_transfer: bool = True

    @property
    def runs(self) -> tuple[str, ...]:
        return ("root", "deploy", "plain") if self.owner == "root" else ("root", self.owner)


HOME: dict[str, Any] = {"root": "~/python", "bin_dir": "~/.local/bin"}
WAYS: Mapping[str, Way] = {
    "sftp": Way("busybox"),
    "scp": Way("macish", data={"ssh_file_transfer_protocol": "scp"}),
    "neither sftp nor scp": Way("debian", file_transfer=False),
    "deploy with sudo": Way("debian", "deploy", arguments={"_sudo": True}),
    "deploy with sudo, without sftp and scp": Way("debianzst", "deploy", arguments={"_sudo": True}, file_transfer=False),
    "deploy becomes plain by sudo": Way("debian", "deploy", "plain", {"_sudo": True, "_sudo_user": "plain"}, **HOME),
    "root becomes plain by su": Way("debian", "root", "plain", {"_su_user": "plain"}, **HOME),
    "deploy becomes plain by su with a password": Way(
        "debian",
        "deploy",
        "plain",
        {"_su_user": "plain", "_su_password": "it's secret"},
        first=('echo "plain:it\'s secret" | chpasswd',),
        **HOME,
    ),
    "deploy for itself": Way("macish", "deploy", "deploy", **HOME),
    "tcsh for itself": Way("debian", "tcsh", "tcsh", **HOME),
    "tcsh with sudo": Way("debian", "tcsh", arguments={"_sudo": True}),
    "tcsh and a terminal": Way("debian", "tcsh", arguments={"_sudo": True, "_get_pty": True}),
    "root becomes tcsh by su": Way("debian", "root", "tcsh", {"_su_user": "tcsh"}, **HOME),
    "fish for itself": Way("debian", "fish", "fish", **HOME),
    "fish with sudo": Way("debian", "fish", arguments={"_sudo": True}),
    "root becomes fish by su": Way("debian", "root", "fish", {"_su_user": "fish"}, **HOME),
    "another shell": Way("debian", arguments={"_shell_executable": "/bin/bash"}),
    "an environment and a folder": Way("busybox", arguments={"_env": {"LC_ALL": "C", "WORDS": 'it\'s "two"'}, "_chdir": "/tmp"}),
    "a terminal": Way("debian", arguments={"_get_pty": True}),
    "a terminal and sudo": Way("debian", "deploy", arguments={"_get_pty": True, "_sudo": True}),
    "another folder for what is sent": Way("busybox", arguments={"_temp_dir": "/srv/it's sent"}),
    "noexec /tmp": Way("busybox", first=("mount -t tmpfs -o noexec,nosuid,nodev tmpfs /tmp",)),
}


@dataclass(frozen=True, slots=True)
class Used:
    """``new`` is what the host's disk has otherwise after the first run and the second."""

    host: Host
    first: Deployed
    again: Deployed
    new: Mapping[str, tuple[str, str]]


@pytest.fixture(scope="module")
def used(source: Path) -> Iterator[Mapping[str, Used]]:
    """All ways at once in one deploy, each with a host of its own."""
    if reason := unavailable():
        pytest.skip(reason)
    hosts: dict[str, Host] = {}
    try:
        for case, way in WAYS.items():
            host = hosts[case] = start(way.kind, f"pyinfra-way-{len(hosts)}", file_transfer=way.file_transfer)
            if way.first:
                done = host.exec(["sh", "-ec", "; ".join(way.first)])
                assert done.returncode == 0, (case, done.stderr)
        before = {case: snapshot(host.root) for case, host in hosts.items()}
        deploy = (
            "from pyinfra import host\nfrom pyinfra_ops import standalone_python\n"
            f"standalone_python.interpreters(['3.13'], source={str(source)!r}, root=host.data.at, bin_dir=host.data.links)\n"
        )
        inventory = {
            hosts[case].name: login(hosts[case], way.user, **way.arguments, **way.data, at=way.root, links=way.bin_dir)
            for case, way in WAYS.items()
        }
        first, again = run_deploy(deploy, inventory), run_deploy(deploy, inventory)
        yield {
            case: Used(host, first, again, differences(before[case], snapshot(host.root), exactly=True))
            for case, host in hosts.items()
        }
    finally:
        stop(*hosts.values())


@pytest.mark.parametrize("case", WAYS)
def test_over_ssh(case: str, used: Mapping[str, Used]) -> None:
    """Installed, seen again as declared, owned by who became, run by everybody who can get there, and nothing else left."""
    way, host, first, again = WAYS[case], used[case].host, used[case].first, used[case].again
    assert host.name in first.changed, first.output
    assert host.name not in again.changed | again.failed, again.output
    assert first.plan[host.name], first.output
    assert again.plan[host.name] == (), again.output
    home = "/root" if way.owner == "root" else f"/home/{way.owner}"
    root, links = way.root.replace("~", home), (way.bin_dir or "/usr/local/bin").replace("~", home)
    for user in way.runs:
        assert python_says(host, f"{links}/python3.13", PREFIX, user) == f"{root}/cpython-3.13"
    # The last two fish itself makes where it is the login shell.
    ours = (f"{root}/", f"{links}/", "/srv/it's sent/", "/home/fish/.config/fish/", "/home/fish/.local/share/fish/")
    elsewhere = [
        path for path in used[case].new if not any(f"/{path}/".startswith(at) or at.startswith(f"/{path}/") for at in ours)
    ]
    assert elsewhere == []
    tree = host.root / root[1:] / BUILD
    for path in (tree, *tree.rglob("*")):
        status = path.lstat()
        assert USERS[status.st_uid] == way.owner, path
        assert path.is_symlink() or status.st_mode & 0o777 in (0o755, 0o644), path


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "mksh", "busybox"])
def test_a_script_on_one_line_does_what_it_does_on_several(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs packages: {shell} is not installed")
    everything = "".join(map(chr, range(32, 127))) + "é日\t"
    script = f"printf '%s\\n' {shlex.quote(everything)} \"$0\"\nif read -r line; then\n  printf '%s!\\\\n' \"$line\"\nfi\n# it's '\nexit 7\n"
    line = on_one_line(script)
    assert line.count("'") == 2
    assert not set(line) & set("\n!")
    # Of backslashes fish reads those before a quote and before another one otherwise.
    assert "\\\\" not in line
    assert "\\'" not in line
    command = [shell, "sh"] if shell == "busybox" else [shell]
    one, other = (
        subprocess.run([*command, "-c", text, "name"], input="given\n", capture_output=True, text=True) for text in (script, line)
    )
    assert (one.returncode, one.stdout) == (7, f"{everything}\nname\ngiven!\\n")
    assert (other.returncode, other.stdout, other.stderr) == (one.returncode, one.stdout, one.stderr)


def commands(run: Deployed, host: str) -> list[str]:
    """What pyinfra ran on a host, each command by its first line."""
    shown = run.output.split("--> Beginning operation run")[-1]
    return [line for line in shown.splitlines() if line.strip().startswith(f"[{host}]") and ">>>" in line]


def test_one_command_observes_and_three_more_install(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    host = fleet["busybox"]
    deploy = operation({"builds": ["3.13"], "root": str(tmp_path), "source": str(source)})
    for expected in (4, 1):
        run = run_deploy(deploy, {host.name: login(host)}, arguments=["-vv"])
        assert len(commands(run, host.name)) == expected, run.output


@pytest.mark.parametrize("kind", ["debian", "busybox", "macish"])
def test_what_a_killed_run_has_sent_goes_after_a_day(kind: str, fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    host = fleet[kind]
    old, new, deploys, open_to_others = (f"standalone-python-{number * 32}" for number in "0123")
    # What others call so is not what a run has sent.
    others = (
        "standalone-python-notes",
        f"standalone-python-notes-{32 * '0'}",
        f"standalone-python-{31 * '0'}",
        f"standalone-python-{33 * '0'}",
    )
    made = "(umask 077; mkdir /tmp/{0}; echo sent >/tmp/{0}/archive); touch -t 202001010000 /tmp/{0}"
    said = "; ".join(made.format(word) for word in (old, new, deploys, open_to_others, *others))
    said += f"; touch /tmp/{new}; chown 1000 /tmp/{deploys}; chmod 755 /tmp/{open_to_others}"
    assert host.exec(["sh", "-ec", said]).returncode == 0
    run = run_deploy(operation({"builds": ["3.13"], "root": str(tmp_path), "source": str(source)}), {host.name: login(host)})
    assert run.changed == {host.name}, run.output
    left = host.exec(["sh", "-c", "cd /tmp; echo standalone-python-*; rm -r standalone-python-*"]).stdout.split()
    assert set(left) == {new, deploys, open_to_others, *others}


LOOKS = """
import os
from pyinfra.api import operation
from pyinfra.operations import python, server
from pyinfra_ops import standalone_python

ROOT = {root!r}
PYTHON = {{"builds": ["3.13"], "root": ROOT, "source": {source!r}}}

@operation()
def breaks():
    yield f"rm {{ROOT}}/cpython-3.13/bin/python3"
    yield from standalone_python.interpreters._inner(**PYTHON)

def unlinks():
    os.unlink(f"{{ROOT}}/bin/python3.13")
    standalone_python.interpreters(name="nested", **PYTHON)

planned = standalone_python.interpreters(name="planned", **PYTHON)
assert planned.will_change
standalone_python.interpreters(name="after a change", **PYTHON)
standalone_python.interpreters(name="after no change", **PYTHON)
server.shell(name="a command", commands=["true"])
standalone_python.interpreters(name="after a command", **PYTHON)
standalone_python.interpreters(name="other arguments", _env={{"SOME": "thing"}}, **PYTHON)
breaks(name="breaks and repairs")
standalone_python.interpreters(name="after a repair", **PYTHON)
python.call(name="a function", function=unlinks)
"""


def test_the_local_machine(source: Path, tmp_path: Path) -> None:
    """A look is used again only while no operation can have changed the host."""
    run = run_deploy(LOOKS.format(root=str(tmp_path / "root"), source=str(source)), LOCAL, arguments=["-v"])
    assert run.code == 0, run.output
    assert run.changed == {"@local"}
    first, *operations = re.split(r"--> Starting operation: (.+?) *\n", run.output)
    looks = {name: text.count("Loaded fact") for name, text in zip(operations[::2], operations[1::2], strict=True)}
    assert first.count("Loaded fact") == 2, "quick, and with what kind of host it is"
    assert looks == {
        "planned": 0,
        "after a change": 1,
        "after no change": 0,
        "a command": 0,
        "after a command": 1,
        "other arguments": 1,
        "breaks and repairs": 2,
        "after a repair": 1,
        "a function": 1,
    }
    assert run.output.count("noop: 3.13: 3.13.4 is installed") == 5
    said = subprocess.run([tmp_path / "root/bin/python3.13", "-I", "-c", PREFIX], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(tmp_path / "root/cpython-3.13")


class _Run:
    """A run of pyinfra with two hosts, as far as the looks know it."""

    def __init__(self) -> None:
        self.is_executing = False
        self.ops: dict[Any, dict[str, Any]] = {}
        self.callback_handlers: list[Any] = []
        self.hosts = [_Of(self, "a"), _Of(self, "b")]

    def add_callback_handler(self, handler: Any) -> None:
        self.callback_handlers.append(handler)

    def get_op_data_for_host(self, host: Any, op_hash: str) -> Any:
        return self.ops[host][op_hash]


class _Of:
    current_op_hash = None
    current_op_global_arguments: Mapping[str, Any] = {}

    def __init__(self, state: _Run, name: str) -> None:
        self.state, self.name = state, name
        state.ops[self] = {"op": SimpleNamespace(operation_meta=OperationMeta("op", None))}


BETWEEN: Mapping[str, tuple[tuple[str, ...], int]] = {
    "nothing": ((), 1),
    "an operation without commands": (("start op", "end", "complete"), 1),
    "an operation with commands": (("start op", "end", "complete true"), 2),
    "an operation that failed": (("start op", "fail", "complete true"), 2),
    "an operation that is tried again": (("start op", "retry"), 2),
    "an operation that is running": (("start op",), 2),
    "an operation whose commands are not known yet": (("start op", "end"), 2),
    "an operation that the other host does not have": (("start no", "skipped"), 1),
    "a person who thinks": (("time",), 2),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_what_comes_between_two_looks(between: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events, expected = BETWEEN[between]
    run: Any = _Run()
    host, other = run.hosts
    looks, meta = looks_of(run), run.ops[other]["op"].operation_meta
    assert looks is not None
    assert looks_of(run) is looks
    made: list[Observed] = []

    def observe() -> Observed:
        made.append(Observed("/opt/python", "/usr/local/bin", "absent", "absent"))
        return made[-1]

    looks.look(host, {"root": "/opt/python"}, observe)
    for event in events:
        match event.split():
            case ["start", op_hash]:
                looks.operation_host_start(run, other, op_hash)
            case ["end"]:
                looks.operation_host_success(run, other, "op", 0)
            case ["fail"]:
                looks.operation_host_error(run, other, "op", 0, 0)
            case ["retry"]:
                looks.operation_host_retry(run, other, "op", 1, 3)
            case ["complete", *commands]:
                meta.set_complete(True, commands, CommandOutput([]))
            case ["time"]:
                monkeypatch.setattr(looks_module, "LONGEST", -1.0)
    assert looks.look(host, {"root": "/opt/python"}, observe) is made[-1]
    assert len(made) == expected


def test_a_container(source: Path) -> None:
    if reason := containers.unavailable():
        pytest.skip(reason)
    deploy = operation({"builds": ["3.13"], "source": str(source)})
    hosts: dict[str, dict[str, Any]] = {"@podman/host": {}}
    with containers.engine() as environment:

        def podman(*words: str) -> str:
            return subprocess.check_output(["podman", *words], env={**os.environ, **environment}, text=True)

        podman("run", "--detach", "--init", "--name", "host", containers.DEBIAN, "sleep", "infinity")
        assert run_deploy(deploy, hosts, environment=environment).changed == set(hosts)
        assert run_deploy(deploy, hosts, environment=environment).changed == set()
        said = podman("exec", "host", "/usr/local/bin/python3.13", "-I", "-c", PREFIX)
    assert said.strip() == "/opt/python/cpython-3.13"


def test_a_chroot_without_proc(image: Path, source: Path) -> None:
    """The loader finds a build's own libraries by /proc. Where that is not mounted, its message is shown, and nothing stays."""
    before = snapshot(image)
    chroot = f"@chroot/{image}"
    run = run_deploy(operation({"builds": ["3.13"], "source": str(source)}), {chroot: {}})
    assert run.code == 1
    assert "error while loading shared libraries: libpython3.13.so" in run.error(chroot)
    assert run.error(chroot).endswith(AS_IT_WAS)
    assert differences(before, snapshot(image), exactly=True) == {}


def test_hosts_of_different_targets(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    """Each gets its own build; one for which there is none fails with its sentence, and the others go on."""
    kinds = ("debian", "musl", "macish")
    inventory = {fleet[kind].name: login(fleet[kind]) for kind in kinds}
    deploy = operation({"builds": ["3.13"], "root": str(tmp_path), "source": str(source)})
    glibc = {fleet["debian"].name, fleet["macish"].name}
    none = (
        "no build of 3.13 for x86_64 linux, musl in …: there is none for x86_64-unknown-linux-musl; "
        "nearest is 3.13.4+20250409 (x86_64-unknown-linux-gnu, install_only_stripped)"
    )
    with as_it_was(fleet["musl"], exactly=True):
        for dry in (True, False):
            run = run_deploy(deploy, inventory, dry=dry)
            assert run.changed == glibc, run.output
            assert run.code == 1, run.output
            reads(run.error(fleet["musl"].name), none)
    assert run.failed == {fleet["musl"].name}


def test_a_host_whose_target_has_a_build_of_its_own(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    """A stand-in for musl starts nowhere, but what is planned for each host shows which build is its own."""
    folder = tmp_path / "source"
    shutil.copytree(source, folder)
    (gnu,) = (folder / "20250409").glob("*.tar.gz")
    musl = gnu.with_name(gnu.name.replace("linux-gnu", "linux-musl"))
    shutil.copyfile(gnu, musl)
    sums = folder / "20250409/SHA256SUMS"
    sums.write_text(sums.read_text() + sums.read_text().replace("linux-gnu", "linux-musl"))
    inventory = {fleet[kind].name: login(fleet[kind]) for kind in ("debian", "musl")}
    run = run_deploy(operation({"builds": ["3.13"], "root": str(tmp_path / "root"), "source": str(folder)}), inventory, dry=True)
    assert run.code == 0, run.output
    for kind, libc in (("debian", "gnu"), ("musl", "musl")):
        assert f"-linux-{libc}-" in run.plan[fleet[kind].name][0], run.output


FORESTALLED = """
from pyinfra.operations import files, python
from pyinfra_ops import standalone_python

files.file(path={link!r}, present=False)
changed = standalone_python.interpreters(builds=["3.13"], root={root!r}, source={source!r})
assert changed.will_change
same = standalone_python.interpreters(builds=["3.13"], root={root!r}, source={source!r})


def told():
    assert changed.did_change() and not same.did_change()
    print("as told")


python.call(function=told)
"""


def test_what_an_earlier_operation_mends(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    """A foreign file in the way is told when changes are looked for; by the time it matters it is gone."""
    host = fleet["debian"]
    link = tmp_path / "bin/python3.13"
    there = host.root / str(link)[1:]
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    deploy = FORESTALLED.format(link=str(link), root=str(tmp_path), source=str(source))
    dry = run_deploy(deploy, {host.name: login(host)}, dry=True)
    assert "this will fail unless an earlier operation changes the host: cannot link" in dry.output
    assert there.read_text() == "mine"
    # As a person does it: changes are looked for, and Enter is pressed.
    (tmp_path / "deploy.py").write_text(deploy)
    (tmp_path / "inventory.py").write_text(f"hosts = [({host.name!r}, {login(host)!r})]")
    run = subprocess.run(
        [PYINFRA, "inventory.py", "deploy.py"],
        cwd=tmp_path,
        input="\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert run.returncode == 0, run.stderr
    assert "as told" in run.stdout
    assert python_says(host, str(link), PREFIX) == f"{tmp_path}/cpython-3.13"


def test_bad_input_is_said_before_anything_is_done(fleet: Mapping[str, Host]) -> None:
    host = fleet["busybox"]
    cases: Mapping[str, Mapping[str, Any]] = {
        "the request 'three' can't be read": {"builds": ["three"]},
        "write '3.10' in quotes": {"builds": [3.1]},
        "state is 'newest': choose one of present, latest, absent": {"builds": ["3.13"], "state": "newest"},
        "builds is missing: give it": {"state": "latest"},
        "unknown option `stat`: did you mean `state`?": {"builds": ["3.13"], "stat": "latest"},
        "root is 'python'": {"builds": ["3.13"], "root": "python"},
    }
    deploys = {
        sentence: f"from pyinfra.operations import server\nserver.shell(['touch /tmp/first'])\n{operation(declared)}"
        for sentence, declared in cases.items()
    }
    with as_it_was(host, exactly=True):
        for sentence, deploy in deploys.items():
            for dry in (True, False):
                run = run_deploy(deploy, {host.name: login(host)}, dry=dry)
                assert run.code == 1
                assert sentence in run.error(host.name), run.output
                assert "Operation error" in run.output
                assert "Traceback" not in run.output


def test_a_fact_that_is_asked_wrongly() -> None:
    deploy = (
        "from pyinfra import host\nfrom pyinfra_ops import standalone_python\n"
        "host.get_fact(standalone_python.Interpreters, root='python')\n"
    )
    run = run_deploy(deploy, LOCAL)
    assert run.code == 1
    reads(run.error("@local"), "root is 'python': give an absolute path below /, or one that begins with ~/")


def test_the_fact_tells_what_ansible_tells(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    from tests.tools.playbook import run_play

    host = fleet["debian"]
    where = {"root": str(tmp_path), "bin_dir": str(tmp_path / "bin")}
    run_deploy(operation({"builds": [OLD13], "source": str(source), **where}), {host.name: login(host)})
    (tmp_path / "inventory.py").write_text(f"hosts = [({host.name!r}, {login(host)!r})]")
    words = [f"{key}={value}" for key, value in where.items()]
    run = subprocess.run(
        [PYINFRA, "--json", "inventory.py", "fact", "pyinfra_ops.standalone_python.Interpreters", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
    (told,) = json.loads(run.stdout).values()
    (found,) = told.values() if host.name in told else (told,)
    seen = run_play([{"standalone.python.interpreters_info": where}], f"{host.inventory_line}\n").of().result
    assert {key: found[key] for key in ("root", "bin_dir", "interpreters", "target", "tools")} == {
        key: seen[key] for key in ("root", "bin_dir", "interpreters", "target", "tools")
    }


ENDS_EARLY = "rm /bin/sh; printf '#!/bin/busybox sh\\necho This account is currently not available.\\nexit {code}\\n' >/bin/sh; chmod 755 /bin/sh"


@pytest.mark.parametrize("code", [0, 1])
def test_a_host_that_can_not_be_read_is_not_an_empty_one(code: int, fresh_host: FreshHost, source: Path) -> None:
    host = fresh_host("busybox")
    host.exec(["busybox", "sh", "-c", ENDS_EARLY.format(code=code)])
    with as_it_was(host, exactly=True):
        for dry in (True, False):
            run = run_deploy(operation({"builds": ["3.13"], "source": str(source)}), {host.name: login(host)}, dry=dry)
            assert run.code == 1, run.output
            assert run.changed == set()
            assert "This account is currently not available" in run.output
            assert "Traceback" not in run.output


@dataclass(frozen=True, slots=True)
class Day:
    kind: str
    first: str
    says: str
    declared: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    user: str = "root"
    disk_mb: int = 0


DAYS: Mapping[str, Day] = {
    "no tar": Day(
        "busybox",
        "rm /usr/bin/tar",
        f"unpacking {BUILD} failed: the host has no tar to unpack the archive: install it{AS_IT_WAS}",
    ),
    "disk full before": Day(
        "busybox",
        ":",
        f"{BUILD} needs … kB below /opt/python, where … kB are free: make room, or choose another root{AS_IT_WAS}",
        disk_mb=40,
    ),
    "disk full while it is sent": Day(
        "busybox",
        "mkdir -p /var/sent && mount -t tmpfs -o size=8m tmpfs /var/sent",
        f"cannot send {BUILD}.tar.… to /var/sent/standalone-python-… on the host, the disk is full: make room on it, or "
        f"set _temp_dir to another folder{AS_IT_WAS}",
        arguments={"_temp_dir": "/var/sent"},
    ),
    "nowhere to send it": Day(
        "debian",
        ":",
        f"cannot send {BUILD}.tar.… to /proc/standalone-python-… on the host, mkdir: …: set _temp_dir to another "
        f"folder{AS_IT_WAS}",
        arguments={"_temp_dir": "/proc"},
    ),
    "no permission": Day(
        "debian",
        ":",
        "the root /opt/python can't be written by this user, and it has to be changed (install …): "
        "become a user who may, mount it writable if it is read-only, or choose another root",
        user="deploy",
    ),
    "a host without egress": Day(
        "debian",
        ":",
        "delivery: pull needs curl or wget on the host, which has neither: install one of them, or "
        f"use delivery: push{AS_IT_WAS}",
        {"delivery": "pull"},
    ),
}


@pytest.mark.parametrize("case", DAYS)
def test_bad_days(case: str, fresh_host: FreshHost, source: Path, catalogue: Path) -> None:
    day = DAYS[case]
    host = fresh_host(day.kind, disk_mb=day.disk_mb)
    assert host.exec(["sh", "-ec", day.first]).returncode == 0
    where = (
        {"source": str(source)}
        if day.declared.get("delivery") != "pull"
        else {"source": "http://127.0.0.1:1", "catalogue": str(catalogue)}
    )
    with as_it_was(host, exactly=True):
        run = run_deploy(
            operation({"builds": ["3.13"], **where, **day.declared}, **day.arguments), {host.name: login(host, day.user)}
        )
    assert run.code == 1
    assert run.failed == {host.name} or "No hosts remaining" in run.output
    reads(run.error(host.name), day.says)
    assert "Traceback" not in run.output
    assert processes(host) == []


def test_an_error_that_is_ignored(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    host = fleet["musl"]
    deploy = operation({"builds": ["3.13"], "root": str(tmp_path), "source": str(source)}, _ignore_errors=True)
    after = "from pyinfra.operations import server\nserver.shell(['echo went on'])\n"
    run = run_deploy(deploy + after, {host.name: login(host)}, arguments=["-vvv"])
    assert run.code == 0, run.output
    assert "no build of 3.13 for x86_64 linux, musl" in run.output
    assert "went on" in run.output


def test_a_token_that_other_users_could_read(fleet: Mapping[str, Host], catalogue: Path, tmp_path: Path) -> None:
    host = fleet["macish"]
    declared = {"builds": ["3.13"], "root": str(tmp_path), "delivery": "pull", "token": "to-ken"}
    where = {"source": "http://127.0.0.1:1", "catalogue": str(catalogue)}
    with as_it_was(host, exactly=True):
        run = run_deploy(operation({**declared, **where}, _get_pty=True), {host.name: login(host)})
    assert "other users of the host could read the token" in run.error(host.name)


def test_secrets_are_never_shown(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    host = fleet["busybox"]
    deploy = operation(
        {"builds": ["3.9"], "root": str(tmp_path), "source": "http://who:pass-word@127.0.0.1:1/builds", "token": "to-ken"}
    )
    for dry in (True, False):
        run = run_deploy(deploy, {host.name: login(host)}, dry=dry, arguments=["-vvv", "--debug"])
        assert re.search(r"trying again in 0\.[2-8] seconds", run.output)
        assert "pass-word" not in run.output
        assert "to-ken" not in run.output


PREPARED = """
from pyinfra_ops import standalone_python

standalone_python.prepare()
"""


def test_prepare_takes_the_hosts_own_data(fleet: Mapping[str, Host], source: Path, tmp_path: Path) -> None:
    host = fleet["debian"]
    declared = {"builds": [{"version": OLD13, "default": True}], "source": str(source), "root": str(tmp_path)}
    run = run_deploy(PREPARED, {host.name: login(host)}, group_data=f"standalone_python = {declared!r}\n")
    assert run.changed == {host.name}, run.output
    assert python_says(host, str(tmp_path / "bin/python3"), PREFIX) == f"{tmp_path}/cpython-3.13"
    other = run_deploy(PREPARED, {host.name: login(host, standalone_python={**declared, "builds": [], "exclusive": True})})
    assert other.changed == {host.name}, other.output
    assert not list((host.root / str(tmp_path)[1:]).glob("cpython-*"))
