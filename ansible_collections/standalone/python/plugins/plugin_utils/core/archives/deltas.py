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
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ..errors import ContentError
from ..progress import Listener, listening
from .cache import atomic_write, exclusive_lock, file_stamp, make_private, remove_stale_parts
from .contents import size_of, touch
from .delta import available, make
from .store import Payload, recorded

if TYPE_CHECKING:
    from ..builds.catalogue import Build

# The version of how deltas are made, and of the agent's part that reads them.
RECIPE = 1
# A delta that has more than this share of the payload's bytes is not used.
LARGEST = 0.8
# Bytes of segments of unfinished deltas that may stay while another delta is made, and the seconds after which they go.
LARGEST_KEPT = 100_000_000
KEPT_FOR = 14 * 86400.0
_KEPT = re.compile(r"[0-9a-f]{24}")
_NICE = 10


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


def find(payload: Payload, archive: str, base: Build) -> Delta | None:
    """Return the delta from an installed build to the build of a payload, if it is in the cache and small enough.

    :param archive: the SHA-256 of the archive of which the payload was made
    """
    delta = _recorded(_place(payload, base), archive, base)
    return delta if delta and 0 < delta.size <= LARGEST * payload.size else None


def begin(payload: Payload, archive: str, base: Build, run: int) -> None:
    """Start a process that makes a delta, unless that was tried before or can't be done.

    :param archive: as for :func:`find`
    :param run: the process of the whole run; what is made ends when it has ended
    """
    place = _place(payload, base)
    old = _payload_of(payload, base)
    if old is None or not available() or not hasattr(os, "fork") or _recorded(place, archive, base) is not None:
        return
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    try:
        # The run's processes wait for their children only. This one is nobody's child.
        if os.fork() == 0:
            _apart()
            with listening(Listener()):
                make_beside(payload, archive, base, lambda: _runs(run))
    finally:
        os._exit(0)


def make_beside(payload: Payload, archive: str, base: Build, wanted: Callable[[], bool] = lambda: True) -> None:
    """Make a delta and put it into the cache; do nothing if another process makes one.

    :param wanted: whether to go on; called often
    :raises StandalonePythonError: another process makes a delta, or a payload is damaged
    :raises OSError: the cache can't be written
    """
    old = _payload_of(payload, base)
    if old is None:
        return
    place = _place(payload, base)
    folder = payload.path.parents[2] / "deltas"
    make_private(folder)
    with exclusive_lock(folder, wait=0) as locked:
        if not locked or _recorded(place, archive, base) is not None:
            return
        remove_stale_parts(folder, sure=True)
        kept = folder / hashlib.sha256(f"{RECIPE} {old.sha256} {payload.sha256}".encode()).hexdigest()[:24]
        make_private(kept)
        touch(kept)
        remove_kept(folder, KEPT_FOR, kept)
        remove_stale_parts(kept, sure=True)
        work = folder / place.name
        try:
            with atomic_write(work) as out:
                made = make(old.path, payload.path, cast(BinaryIO, out), folder, wanted, kept)
        except ContentError:
            shutil.rmtree(kept)
            raise
        about = {"recipe": RECIPE, "archive": archive, "base": base.sha256, "tar": made.tar, "sha256": out.digest.hexdigest()}
        if out.size <= LARGEST * payload.size:
            os.replace(work, place)
            about["stamp"] = file_stamp(place)
        else:
            work.unlink()
        with atomic_write(work) as record:
            record.write(json.dumps(about).encode())
        os.replace(work, _about(place))
        shutil.rmtree(kept)


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


def _recorded(place: Path, archive: str, base: Build) -> Delta | None:
    """Return the recorded delta; one of size 0 if it would not be small enough."""
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
