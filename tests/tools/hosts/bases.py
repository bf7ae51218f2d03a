# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems that hosts are overlays of: which and where they are, and if this machine can use them.

Builds them once (build.sh), in a cache folder whose name depends on the recipe. Never changes what is
built, and starts no host.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Kind -> the folders that build.sh makes of which it is laid, top first.
KINDS: Mapping[str, tuple[str, ...]] = {
    "debian": ("debian",),
    "debianzst": ("zstd", "debian"),
    "busybox": ("busybox",),
    "musl": ("musl",),
    "macish": ("macish",),
}

# Each program that making or running a host takes -> the Debian package that brings it: one that packages.txt
# lists, or that no Debian is without.
PROGRAMS: Mapping[str, str] = {
    "apt-get": "apt",
    "chroot": "coreutils",
    "debootstrap": "debootstrap",
    "dpkg-deb": "dpkg",
    "mount": "mount",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}

# What a host's first process does with the machine, tried on an empty folder.
_TRIAL = """
mount -t tmpfs trial "$1" && mkdir "$1/lower" "$1/upper" "$1/work" "$1/root" "$1/proc" &&
mount -t overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" overlay "$1/root" &&
mount -t proc proc "$1/proc" && mount -t devpts -o newinstance devpts "$1/lower" && hostname trial
"""


def path() -> str:
    """The PATH for the machine's programs: some, like debootstrap, stand where only root's PATH leads."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def program(name: str) -> str:
    """Where a program of the machine is; the bare name if it isn't there."""
    return shutil.which(name, path=path()) or name


@functools.cache
def unavailable() -> str:
    """Why hosts can't be made on this machine: a sentence that begins with what is missing; '' if they can.

    "needs Linux:", "needs root:" and "needs namespaces:" are the machine's nature, "needs packages:" a
    set-up that was not done.
    """
    if sys.platform != "linux":
        return f"needs Linux: test hosts are made of its namespaces, and this is {sys.platform}"
    if os.geteuid() != 0:
        return f"needs root: test hosts mount file systems, and this is user {os.geteuid()}"
    missing = sorted({package for name, package in PROGRAMS.items() if program(name) == name})
    if missing:
        listed = HERE / "packages.txt"
        return f"needs packages: test hosts take {', '.join(missing)}; install with apt-get what {listed} lists"
    with tempfile.TemporaryDirectory() as folder:
        trial = subprocess.run(
            ["unshare", "--mount", "--pid", "--uts", "--fork", "sh", "-c", _TRIAL, "sh", folder],
            capture_output=True,
            text=True,
            env={"PATH": path()},
            check=False,
        )
    if trial.returncode != 0:
        return f"needs namespaces: this machine refuses what test hosts are made of: {trial.stderr.strip()}"
    return ""


def cache() -> Path:
    """The folder that outlives a session, below $STANDALONE_PYTHON_TEST_CACHE or the user's own cache."""
    named = os.environ.get("STANDALONE_PYTHON_TEST_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "standalone-python-tests"
    hosts = folder.resolve() / "hosts"
    hosts.mkdir(parents=True, exist_ok=True)
    return hosts


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Holds a lock file that other processes wait for; the kernel frees it when this process dies."""
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def bases() -> Path:
    """The folder with build.sh's file systems, built now if they aren't yet: it takes a minute, and says so.

    Raises RuntimeError with the end of the recipe's output if it fails.
    """
    recipe = HERE / "build.sh"
    system = Path("/etc/os-release").read_bytes() + os.uname().machine.encode()
    key = hashlib.sha256(recipe.read_bytes() + system).hexdigest()[:16]
    built = cache() / key
    if built.is_dir():
        return built
    with locked(cache() / "build.lock"):
        if not built.is_dir():
            _build(recipe, built)
    return built


def unpacked(base: str, to: Path) -> Path:
    """Copies a file system that build.sh made to a new folder. Of its devices it gets /dev/null alone, made
    anew: a copy would read one such as /dev/full for ever."""
    at = bases() / base
    shutil.copytree(at, to, symlinks=True, ignore=lambda folder, names: names if Path(folder) == at / "dev" else [])
    os.mknod(to / "dev/null", 0o20666, os.makedev(1, 3))
    return to


def _build(recipe: Path, built: Path) -> None:
    unfinished = built.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    print(f"building the test hosts' file systems in {built}, once", file=sys.stderr, flush=True)
    environment = {**os.environ, "PATH": path(), "LC_ALL": "C"}
    done = subprocess.run(
        ["sh", str(recipe), str(unfinished)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-20:])
        raise RuntimeError(f"{recipe} failed with exit code {done.returncode}; this is the end of what it said:\n{end}")
    unfinished.rename(built)
