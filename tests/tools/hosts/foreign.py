# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots of other kinds than this machine's: another architecture, a 32-bit userland, an old C library. For Linux on x86_64, as root.

They are made once (foreign.sh) and kept beside the test hosts' file systems. ``emulated.sh`` runs commands that start their programs.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.tools import mkbuild, packed

from .bases import HERE, cache, locked, path
from .bases import unavailable as no_hosts

TRIPLES = {"arm64": "aarch64-unknown-linux-gnu", "i386": "i686-unknown-linux-gnu", "xenial": "x86_64-unknown-linux-gnu"}
_EMULATED = {"arm64": "qemu-user-static"}  # kind -> the Debian package that runs its programs
_MKBUILD = "/tmp/mkbuild.py"


@functools.cache
def unavailable(kind: str) -> str:
    """Return why such a root can't be used on this machine, as a reason to skip a test; nothing if it can."""
    if reason := no_hosts():
        return reason
    if os.uname().machine != "x86_64":
        return "needs x86-64: these roots are of other architectures"
    return "needs binfmt: Linux 6.7, which emulates for a part of the machine alone" if kind in _EMULATED and no_binfmt() else ""


def no_binfmt() -> bool:
    """Return whether this kernel has no table of foreign formats for a user namespace alone."""
    trial = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && test -e /proc/sys/fs/binfmt_misc/register"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", trial]
    return subprocess.run(command, capture_output=True, env={"PATH": path()}, check=False).returncode != 0


def copy_of(kind: str, to: Path) -> Path:
    """Copy such a root to a new folder."""
    shutil.copytree(_root(kind), to, symlinks=True)
    # Without getrandom, which glibc 2.23 lacks, Python does not start without /dev/urandom.
    for name, minor in (("null", 3), ("urandom", 9)):
        os.mknod(to / "dev" / name, 0o20666, os.makedev(1, minor))
    return to


def runner(kind: str, root: Path) -> tuple[str, ...]:
    """Return the words that, before a command, let it start programs of a root of that kind."""
    return ("sh", str(HERE / "emulated.sh"), str(_qemu(kind)) if kind in _EMULATED else "", str(root))


def stand_in(kind: str, tag: str) -> Path:
    """Return a stand-in build, packed from the root's own Python by that Python."""
    text = Path(mkbuild.__file__).read_text()

    def pack(folder: Path) -> Path:
        with tempfile.TemporaryDirectory() as work:
            root = copy_of(kind, Path(work) / "root")
            (root / _MKBUILD[1:]).write_text(text)
            words = [
                "--python",
                "/usr/bin/python3",
                "--tag",
                tag,
                "--out",
                "/packed",
                "--compress-level",
                "1",
                "--triple",
                TRIPLES[kind],
            ]
            _run([*runner(kind, root), "chroot", str(root), "/usr/bin/python3", _MKBUILD, *words])
            shutil.copytree(root / "packed" / tag, folder / tag)
        (made,) = (folder / tag).glob("cpython-*")
        return made

    return packed.once(packed.own_folder("builds"), (text, kind, str(_root(kind))), tag, pack)


def _root(kind: str) -> Path:
    return _kept(
        kind, (HERE / "foreign.sh").read_bytes(), lambda folder: _run(["sh", str(HERE / "foreign.sh"), kind, str(folder)])
    )


def _qemu(kind: str) -> Path:
    def unpack(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as work:
            _run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", _EMULATED[kind]], at=work)
            (package,) = Path(work).glob("*.deb")
            _run(["dpkg-deb", "--extract", str(package), str(folder)])

    return _kept("qemu", _EMULATED[kind].encode(), unpack) / "usr/bin/qemu-aarch64-static"


def _kept(name: str, recipe: bytes, make: Callable[[Path], None]) -> Path:
    folder = cache() / f"{name}-{hashlib.sha256(recipe).hexdigest()[:16]}"
    with locked(cache() / f"{name}.lock"):
        if not folder.is_dir():
            unfinished = folder.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def _run(command: list[str], at: str | None = None) -> None:
    environment = {**os.environ, "PATH": path(), "LC_ALL": "C"}
    done = subprocess.run(command, cwd=at, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with exit code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
