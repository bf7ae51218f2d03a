# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deltas in the controller's cache. A process beside the run makes them, one at a time, so that no host waits for one.

The process ends when the delta is made, and also when the run ends before that. Then the segments that it has finished stay, and
the next run goes on after them. A delta is used only if it is the recorded file.

    <root>/builds/<build's folder>/delta-<start of the sha256 of the installed build's archive>
        the delta; the same name with .json describes it, and exists alone if a delta would not be small enough
    <root>/deltas/lock     held by the process that makes a delta; what it has not finished is beside it
    <root>/deltas/<start of a sha256 of both payloads and of how deltas are made>/
        finished segments of a delta that is not finished
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ..builds.catalogue import parse_name
from ..builds.kinds import upgrades
from ..errors import ContentError
from .cache import atomic_write, exclusive_lock, file_stamp, make_private, remove_stale_parts
from .contents import entries, size_of, touch
from .delta import available, make
from .store import Payload, payload_in, recorded

if TYPE_CHECKING:
    from ..builds.catalogue import Build, Compression

# The version of how deltas are made, and of the agent's part that reads them.
RECIPE = 2
# A delta that has more than this share of the payload's bytes is not used.
LARGEST = 0.8
# Bytes of segments of unfinished deltas that may stay while another delta is made, and the seconds after which they go.
LARGEST_KEPT = 100_000_000
KEPT_FOR = 14 * 86400.0
_KEPT = re.compile(r"[0-9a-f]{24}")
_NICE = 10
# -I keeps the working directory and the environment from naming modules; packages come from where the run has them.
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from core.archives.deltas import make_for_run
make_for_run(*sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Delta:
    """A file from which a host that has ``base`` rebuilds the tar of a payload.

    :param sha256: of the file at ``path``; ``tar``: of the tar that is rebuilt
    :param size: of the file, in bytes
    """

    path: Path
    sha256: str
    size: int
    tar: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Two builds, with the sha256 of their archives, and the payload of the new one."""

    build: Build
    base: Build
    payload: Payload


def find(payload: Payload, archive: str, base: Build) -> Delta | None:
    """Return the delta from an installed build to the build of a payload, if it is in the cache and small enough.

    :param archive: the SHA-256 of the archive of which the payload was made
    """
    delta = tried(payload, archive, base)
    return delta if delta and 0 < delta.size <= LARGEST * payload.size else None


def tried(payload: Payload, archive: str, base: Build) -> Delta | None:
    """Return the recorded delta; one of size 0 if it would be too large; None if nobody has tried to make it.

    :param archive: as for :func:`find`
    """
    place = _place(payload, base)
    try:
        about = json.loads(_about(place).read_bytes())
        if (about["recipe"], about["archive"], about["base"]) != (RECIPE, archive, base.sha256):
            return None
        if "stamp" not in about:
            return Delta(place, about["sha256"], 0, about["tar"])
        now = file_stamp(place)
        return Delta(place, about["sha256"], now[0], about["tar"]) if about["stamp"] == now else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def begin(payload: Payload, archive: str, base: Build, run: int) -> None:
    """Start a process that makes a delta, unless that was tried before or can't be done.

    :param archive: as for :func:`find`
    :param run: the process of the whole run; what is made ends when it has ended
    """
    old = _payload_of(payload, base)
    # In a frozen program sys.executable is the program.
    able = available() and hasattr(os, "fork") and not hasattr(sys, "frozen")
    if old is None or not able or tried(payload, archive, base) is not None:
        return
    command = command_for_run(payload, archive, base, run)
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    try:
        _apart()
        # The run's processes wait for their children only. This one is nobody's child. It has none of the run's memory, locks and
        # open files, as a fork would.
        os.posix_spawn(command[0], command, os.environ)
    finally:
        os._exit(0)


def command_for_run(payload: Payload, archive: str, base: Build, run: int) -> tuple[str, ...]:
    """Return the command that makes a delta until it is made or the run has ended.

    :param archive: as for :func:`find`; ``run``: as for :func:`begin`
    """
    paths = json.dumps([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    about = (str(payload.path.parent), payload.compression, archive, base.name, base.sha256 or "", str(run))
    return (sys.executable, "-I", "-B", "-c", _PROGRAM, paths, *about)


def make_for_run(folder: str, compression: Compression, archive: str, base: str, sha256: str, run: str) -> None:
    """Make a delta, in the process of :func:`command_for_run`.

    :param folder: of the payload; ``base``: the name of the installed build, and ``sha256`` that of its archive
    """
    payload, older = recorded(Path(folder), compression, archive), parse_name(base)
    if payload and older:
        make_beside(payload, archive, replace(older, sha256=sha256), lambda: _runs(int(run)))


def make_beside(
    payload: Payload, archive: str, base: Build, wanted: Callable[[], bool] = lambda: True, wait: float | None = 0
) -> Delta | None:
    """Make a delta and put it into the cache, unless that was tried before. Return what :func:`tried` then returns, or None
    without making it if the cache can't be locked or lacks the payload of ``base``.

    :param wanted: whether to go on; called often
    :param wait: the longest time to wait for another process that makes a delta, in seconds; None is LOCK_WAIT
    :raises StandalonePythonError: another process makes a delta, or a payload is damaged
    :raises OSError: the cache can't be written
    """
    old = _payload_of(payload, base)
    if old is None:
        return None
    place = _place(payload, base)
    folder = payload.path.parents[2] / "deltas"
    make_private(folder)
    with exclusive_lock(folder, wait) as locked:
        if not locked:
            return None
        if known := tried(payload, archive, base):
            return known
        remove_stale_parts(folder, sure=True)
        kept = folder / hashlib.sha256(f"{RECIPE} {old.sha256} {payload.sha256}".encode()).hexdigest()[:24]
        make_private(kept)
        touch(kept)
        remove_kept(folder, KEPT_FOR, kept)
        remove_stale_parts(kept, sure=True)
        work = folder / place.name
        try:
            with atomic_write(work) as out:
                tar = make(old.path, payload.path, cast(BinaryIO, out), folder, wanted, kept)
        except ContentError:
            shutil.rmtree(kept)
            raise
        about = {"recipe": RECIPE, "archive": archive, "base": base.sha256, "tar": tar, "sha256": out.digest.hexdigest()}
        if out.size <= LARGEST * payload.size:
            os.replace(work, place)
            about["stamp"] = file_stamp(place)
        else:
            work.unlink()
        with atomic_write(work) as record:
            record.write(json.dumps(about).encode())
        os.replace(work, _about(place))
        shutil.rmtree(kept)
    return tried(payload, archive, base)


def cached_upgrades(root: Path) -> tuple[Upgrade, ...]:
    """Return the upgrades between builds whose payloads are in a cache: to the newest of each kind, from each older one."""
    found: dict[Build, Payload] = {}
    for entry in entries(root):
        if known := payload_in(entry.folder):
            payload, archive = known
            found[replace(entry.build, sha256=archive)] = payload
    return tuple(Upgrade(new, base, found[new]) for new, base in upgrades(found))


def remove_kept(folder: Path, older_than: float, making: Path | None = None) -> int:
    """Remove the segments of deltas that nobody finished, and return their size. At most :data:`LARGEST_KEPT` bytes stay.

    :param folder: for deltas
    :param older_than: how long ago the last run worked at them, in seconds
    :param making: the segments of this delta stay
    """
    room, removed, now = LARGEST_KEPT, 0, time.time()
    if not folder.is_dir():
        return 0
    found = [(path.stat().st_mtime, path) for path in folder.iterdir() if _KEPT.fullmatch(path.name) and path != making]
    for used, path in sorted(found, reverse=True):
        size = size_of(path)
        room -= size
        if now - used >= older_than or room < 0:
            shutil.rmtree(path)
            removed += size
    return removed


def _place(payload: Payload, base: Build) -> Path:
    return payload.path.with_name(f"delta-{(base.sha256 or '')[:12]}")


def _about(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def _payload_of(payload: Payload, base: Build) -> Payload | None:
    """Return the payload of an installed build, if it is in the cache. Nothing is downloaded for a delta."""
    if not base.sha256:
        return None
    folder = payload.path.parents[1] / f"{base.name}-{base.sha256[:12]}"
    return recorded(folder, payload.compression, base.sha256) or recorded(
        folder, "gz" if payload.compression == "zst" else "zst", base.sha256
    )


def _apart() -> None:
    """Let go of the run's input and output, whose readers would wait for this process, and give way to the run."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.nice(_NICE)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
