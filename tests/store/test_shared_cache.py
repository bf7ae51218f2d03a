# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache that several processes share, also on NFS-like storage: one download, and a killed process blocks nobody."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import link_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import exclusive_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.link_lock import (
    BROKEN_WITHIN,
    EXPIRES_AFTER,
    NAME,
    LinkLock,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError
from tests.store import support
from tests.tools.web import Web, serve

ROOT = Path(__file__).resolve().parents[2]
SMALL = support.small()
BUILD = support.build(support.NAME, SMALL)

# What a process does before it uses the cache.
KINDS = {
    "flock": "",
    "flock fails": """
import errno
def flock(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
""",
    "each on a machine of its own, where flock is local": """
fcntl.flock = lambda *_: None
own = link_lock.this_process
link_lock.this_process = lambda: replace(own(), machine=str(os.getpid()))
link_lock.EXPIRES_AFTER = float(os.environ["EXPIRES_AFTER"])
""",
}
WORKER = """
import fcntl, os, sys
from dataclasses import replace
from pathlib import Path
from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import link_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import Source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
{prepare}
root, url, name, sha256 = sys.argv[1:]
class Waiting(progress.Listener):
    def begin(self, task):
        if task.name.startswith("another process"):
            Path(root).with_name(f"waits-{{os.getpid()}}").touch()
    def advance(self, *_): pass
    def end(self, *_, **__): pass
with progress.listening(Waiting()):
    payload = Store(Path(root)).payload(replace(parse_filename(name), sha256=sha256), Source("url", url), zstd=True)
print(payload.sha256, payload.size, payload.files)
"""


def worker(root: Path, web: Web, kind: str) -> subprocess.Popen[str]:
    program = WORKER.format(prepare=KINDS[kind])
    command = [sys.executable, "-c", program, str(root), web.url("slow"), support.NAME, str(BUILD.sha256)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("killed", [False, True], ids=["all end", "the first is killed"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_build_is_downloaded_once(kind: str, killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait while the first one downloads. If it is killed, one of them downloads, and the rest wait for that one."""
    root = tmp_path / "cache"
    # Only one waits for the lock of a dead machine here, so that nobody can take a live one for dead on a busy machine.
    others = 1 if killed and kind.startswith("each") else 3
    monkeypatch.setenv("EXPIRES_AFTER", "0.3" if killed else str(EXPIRES_AFTER))
    support.lay_out(tmp_path / "releases", support.NAME, SMALL)
    with serve(tmp_path / "releases") as web:
        first = worker(root, web, kind)
        assert web.half.wait(120)
        waiting = [worker(root, web, kind) for _other in range(others)]
        wait_for(lambda: len(list(tmp_path.glob("waits-*"))) == others)
        if killed:
            first.kill()
            first.communicate()
        web.going.set()
        workers = [*(() if killed else (first,)), *waiting]
        answers = [process.communicate() for process in workers]
    assert [process.returncode for process in workers] == [0] * len(workers), answers
    assert len({output for output, _errors in answers}) == 1
    assert web.count("slow") == (2 if killed else 1)
    (folder,) = (root / "builds").iterdir()
    known = {"payload.tar.zst", "payload.tar.zst.json", support.NAME}
    assert {path.name for path in folder.iterdir()} - {"lock"} == known


class Machine:
    """A process on a machine of its own, whose clock the test moves."""

    def __init__(self, folder: Path, name: str) -> None:
        self.now = 0.0
        self.lock = LinkLock(folder, clock=lambda: self.now)
        self.lock.holder = replace(self.lock.holder, machine=name)

    def take(self, *, after: float = 0.0) -> bool | None:
        self.now += after
        return self.lock.take(alone=True)


@pytest.fixture
def one(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "one")


@pytest.fixture
def two(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "two")


def test_a_lock_of_another_machine_is_broken_once_nobody_renews_it(one: Machine, two: Machine) -> None:
    assert one.take()
    assert two.take() is False
    assert two.take(after=EXPIRES_AFTER) is False
    os.utime(one.lock.path, (1, 1))
    assert two.take(after=EXPIRES_AFTER) is False
    assert two.take(after=EXPIRES_AFTER) is False
    assert two.take(after=1)
    # It is not its own any more.
    one.lock.release()
    assert one.take() is False
    two.lock.release()
    assert list(two.lock.path.parent.iterdir()) == []


def test_the_holder_renews_its_lock(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_lock, "RENEWED_EVERY", 0.01)
    assert one.take()
    os.utime(one.lock.path, (1, 1))
    wait_for(lambda: one.lock.path.stat().st_mtime > 1)
    one.lock.release()


def test_whoever_began_to_break_a_lock_and_died_blocks_nobody(
    one: Machine, two: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one.take()
    assert two.take() is False

    def killed(_path: Path, *, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            two.take(after=EXPIRES_AFTER + 1)
    three = Machine(one.lock.path.parent, "three")
    assert three.take() is False
    assert three.take(after=EXPIRES_AFTER + 1) is False
    assert three.take(after=BROKEN_WITHIN + 1)
    three.lock.release()
    assert list(one.lock.path.parent.iterdir()) == []


def test_who_breaks_too_late_leaves_the_next_lock_alone(one: Machine, two: Machine) -> None:
    """Another process broke the dead lock and took it, after this one saw it dead and before it began."""
    assert one.take()
    assert two.take() is False
    two.now += EXPIRES_AFTER + 1
    dead = two.lock._dead(alone=True)
    assert dead is not None
    three = Machine(one.lock.path.parent, "three")
    assert three.take() is False
    assert three.take(after=EXPIRES_AFTER + 1)
    assert two.lock._break(dead)
    assert two.take() is False
    assert three.lock._is_own()
    three.lock.release()


HELD = {
    "a process that runs": ({}, False),
    "a process that ended, whose number another has": ({"started": "1"}, True),
    "a process that ended": ({"pid": "4194305"}, True),
    "a process of another container": ({"pid": "4194305", "numbers": "pid:[1]"}, False),
    "a process of another machine": ({"pid": "4194305", "machine": "another"}, False),
    "a process of a system without namespaces": ({"pid": "4194305", "numbers": ""}, False),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: its processes are in /proc")
@pytest.mark.parametrize("held", HELD)
def test_which_lock_is_dead_where_flock_fails(held: str, tmp_path: Path) -> None:
    fields, dead = HELD[held]
    lock = LinkLock(tmp_path)
    lock.path.write_text(replace(lock.holder, token="0", **fields).text)
    assert lock.take(alone=False) is dead
    lock.release()
    # No process of this machine can have a lock that flock gave to this one.
    other = fields.get("machine", "") == "another"
    lock.path.write_text(replace(lock.holder, token="0", **fields).text)
    assert LinkLock(tmp_path).take(alone=True) is not other


@pytest.mark.parametrize("content", [b"\xff\0" * 3000, b""])
def test_a_lock_that_cannot_be_read_expires(one: Machine, content: bytes) -> None:
    one.lock.path.write_bytes(content)
    assert one.take() is False
    assert one.take(after=EXPIRES_AFTER + 1)
    one.lock.release()


def test_an_answer_that_nfs_lost(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client asks again, and hears that the link exists already."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    assert one.take()
    one.lock.release()


def test_other_errors_of_the_file_system_are_not_hidden(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_paths: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(OSError, match="Input/output"):
        one.take()
    assert list(one.lock.path.parent.iterdir()) == []


def test_a_folder_that_another_machine_uses_is_not_waited_for(tmp_path: Path, one: Machine) -> None:
    assert one.take()
    with pytest.raises(TransportError, match="another process that works"), exclusive_lock(tmp_path, wait=0):
        pass
    one.lock.release()
    with exclusive_lock(tmp_path, wait=0) as locked:
        assert locked
        assert (tmp_path / NAME).exists()
