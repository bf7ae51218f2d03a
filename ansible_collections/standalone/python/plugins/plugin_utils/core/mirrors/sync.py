# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a mirror up to date: downloads, several at a time, checked before they get their names; the lists; then what goes.

One sync works in a mirror at a time, and another waits for it. Killed at any time it leaves a mirror that is true, and the next
one goes on where it stopped, in the middle of an archive too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from ..archives.attestation import ENDING
from ..archives.cache import TEMPORARY, os_reason, remove_stale_parts
from ..archives.failure import DeniedError, NotThereError
from ..archives.fetch import Http
from ..archives.partial import LARGEST_PIECE
from ..archives.source import SUMS, Source, urls
from ..archives.store import LARGEST_ARCHIVE
from ..archives.texts import local_path
from ..builds.catalogue import Build, is_build, parse_sums
from ..errors import ContentError, DeclarationError, StandalonePythonError, TransportError
from .mirror import (
    JOBS,
    Records,
    SyncPlan,
    inspect_mirror,
    is_precompiled,
    lists,
    path_of,
    plan_sync,
    read_records,
    unique_builds,
    write_records,
)
from .storage import Folder, Storage

# Seconds that one sync waits for another: as long as a large one takes.
WAIT = 6 * 3600.0
# Seconds that downloads have to end in after Ctrl-C.
ENDING_WAIT = 1.0


Attest = Callable[[Build, str], str]
"""Verifies what is said of a build: the attestations that the mirror has, or nothing -> those that it shall have, or nothing.
What is wrong is an error, and that archive doesn't come."""


class Progress:
    """Is told what a sync does, from several threads at once; this one says nothing."""

    def waits(self) -> None:
        """Another sync is at work in the mirror."""

    def unlocked(self) -> None:
        """The place of the mirror can't keep another sync away."""

    def plans(self, plan: SyncPlan) -> None: ...

    def receives(self, path: str, done: int, size: int) -> None:
        """Of one archive, ``done`` bytes are there; ``size`` is 0 where the server doesn't say."""


def preview_sync(storage: Storage, wanted: Iterable[Build], *, prune: bool, jobs: int = JOBS) -> SyncPlan:
    """What a sync would do. Writes nothing, and what it has to read it reads each time.

    :raises StandalonePythonError: as :func:`sync`
    """
    wanted = unique_builds(wanted)
    with storage.explain_errors():
        return plan_sync(wanted, inspect_mirror(storage, wanted, read_records(storage), jobs), prune=prune)


def sync(
    storage: Storage,
    wanted: Iterable[Build],
    source: Source,
    *,
    prune: bool = False,
    jobs: int = JOBS,
    progress: Progress | None = None,
    attest: Attest | None = None,
) -> SyncPlan:
    """Bring into a mirror what is wanted of it; says what was done.

    Where some archives can't be had the others come, and nothing is pruned.

    :param wanted: with their sha256
    :param attest: asked for each archive that is wanted, also for those that are there
    :raises ContentError: an archive is not the one that its checksum names
    :raises TransportError: an archive can't be had, or the mirror not be written to
    :raises DeclarationError: the mirror is its own source
    """
    wanted, progress = unique_builds(wanted), progress or Progress()
    if source.kind == "folder" and isinstance(storage, Folder) and _same(storage.path, local_path(source.location)):
        raise DeclarationError(f"the mirror {storage} is its own source: name another folder")
    with storage.explain_errors(), storage.exclusive_lock(WAIT, progress.waits) as locked:
        if not locked:
            progress.unlocked()
        records = read_records(storage)
        found = inspect_mirror(storage, wanted, records, jobs)
        todo = plan_sync(wanted, found, prune=prune)
        # What stays listed until all has come.
        others = plan_sync(wanted, found, prune=False).kept
        progress.plans(todo)
        come: list[Build] = []

        def settle(kept: Iterable[Build]) -> None:
            present = (*todo.there, *kept, *come)
            _write_lists(storage, lists(present))
            write_records(storage, {path: records[path] for path in map(path_of, present) if path in records})

        mine = "" if locked else f".{os.getpid()}"
        receive = _Receiver(storage, source, mine, progress, records, attest)
        try:
            unattested = _all(todo.there, receive.attested, jobs, []) if attest else []
            failures = _all(todo.fetch, receive, jobs, come)
        except BaseException:
            with contextlib.suppress(OSError, StandalonePythonError):
                settle(others)
            raise
        try:
            settle(others if failures or unattested else todo.kept)
        except (OSError, TransportError):
            # On a full disk it is the download that has the better sentence.
            if not failures:
                raise
        if failures:
            raise _failed(storage, failures, len(todo.fetch) - len(come), len(wanted))
        if unattested:
            raise unattested[0]
        beside = storage.files() if todo.pruned else {}
        for path in todo.pruned:
            storage.delete(path)
            if f"{path}{ENDING}" in beside:
                storage.delete(f"{path}{ENDING}")
        remove_stale_parts(storage.work, sure=locked and prune)
    return todo


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _write_lists(storage: Storage, contents: Mapping[str, bytes]) -> None:
    """Write the lists of what is there; remove those of releases and targets that have nothing any more."""
    there = {path for path in storage.files() if path.endswith(f"/{SUMS}") or is_precompiled(path)}
    for path, content in contents.items():
        if _read(storage, path) != content:
            storage.put(path, content)
    for path in there - set(contents):
        if is_precompiled(path) or any(map(is_build, parse_sums(_read(storage, path).decode(errors="replace")).known)):
            storage.delete(path)


def _read(storage: Storage, path: str) -> bytes:
    """The content of a file; nothing where it is not there."""
    try:
        return storage.read(path)
    except FileNotFoundError:
        return b""


class _Stopped(Exception):
    """Another archive failed in a way that this one would too, or the user has had enough."""


class _Download:
    """What has come of one archive, hashed while it came."""

    def __init__(self, part: Path, told: Callable[[int, int], None], stop: Event) -> None:
        self._part, self._told, self._stop = part, told, stop
        self.digest, self.done, self._size = hashlib.sha256(), 0, 0

    def begins(self, offset: int, size: int) -> None:
        if offset != self.done:
            self.digest, self.done = hashlib.sha256(), 0
            with self._part.open("rb") as file:
                while self.done < offset and (chunk := file.read(min(LARGEST_PIECE, offset - self.done))):
                    self.digest.update(chunk)
                    self.done += len(chunk)
        self._size = size
        self._told(self.done, size)

    def pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def wrote(self, chunk: bytes) -> None:
        if self._stop.is_set():
            raise _Stopped
        self.digest.update(chunk)
        self.done += len(chunk)
        self._told(self.done, self._size)


@dataclass(frozen=True, slots=True)
class _Receiver:
    """Brings one archive to its place.

    :ivar mine: what tells this process' downloads from another's, where the file system can't
    """

    storage: Storage
    source: Source
    mine: str
    progress: Progress
    records: Records
    attest: Attest | None

    def attested(self, build: Build, _stop: Event) -> None:
        """Of an archive that is there."""
        lines = self._attestations(build)
        if lines:
            self.storage.put(*lines)

    def _attestations(self, build: Build) -> tuple[str, bytes] | None:
        """What has to be written beside an archive: path and content.

        :raises StandalonePythonError: an attestation is wrong, or missing
        """
        if self.attest is None:
            return None
        path = f"{path_of(build)}{ENDING}"
        have = _read(self.storage, path).decode(errors="replace")
        lines = self.attest(build, have)
        return (path, lines.encode()) if lines and lines != have else None

    def __call__(self, build: Build, stop: Event) -> None:
        path, digest = path_of(build), build.sha256 or ""
        part = self.storage.work / f"{build.filename}.{digest[:12]}{self.mine}{TEMPORARY}"
        came = _Download(part, lambda done, size: self.progress.receives(path, done, size), stop)
        with self.storage.explain_errors():
            lines = self._attestations(build)
            earlier = part.stat().st_size if part.exists() else 0
            came.begins(earlier, 0)
            if not earlier or came.digest.hexdigest() != digest:
                self._bring(build, part, came)
            if earlier and came.digest.hexdigest() != digest:
                # What was left there was part of something else.
                part.unlink(missing_ok=True)
                self._bring(build, part, came)
            if came.digest.hexdigest() != digest:
                part.unlink(missing_ok=True)
                raise ContentError(
                    f"{build.filename} from {self.source} has the wrong checksum: its SHA-256 should be {digest} "
                    f"and is {came.digest.hexdigest()}; check the source, or the checksum"
                )
            self.records[path] = (digest, self.storage.promote(part, path, digest))
            if lines:
                self.storage.put(*lines)

    def _bring(self, build: Build, part: Path, came: _Download) -> None:
        addresses = urls(self.source, build)
        if self.source.kind in ("folder", "archive"):
            self._copy(local_path(addresses[0]), build, part, came)
            return
        try:
            Http(location=self.source.location, sleep=came.pause).resume(
                addresses, part, max_bytes=LARGEST_ARCHIVE, watch=came, instead=self.storage.elsewhere
            )
        except ContentError:
            part.unlink(missing_ok=True)
            raise

    def _copy(self, origin: Path, build: Build, part: Path, came: _Download) -> None:
        try:
            file = origin.open("rb")
        except OSError as error:
            raise NotThereError(
                f"the archive {origin} can't be read ({os_reason(error)}): put it there, or choose another source"
            ) from None
        if origin.name != build.filename:
            file.close()
            raise ContentError(
                f"the source is the archive {origin.name}, but {build.filename} is needed: name that one as the source"
            )
        with file, part.open("wb") as out:
            came.begins(0, os.fstat(file.fileno()).st_size)
            while chunk := file.read(LARGEST_PIECE):
                out.write(chunk)
                came.wrote(chunk)


def _all(
    wanted: Sequence[Build], receive: Callable[[Build, Event], None], jobs: int, come: list[Build]
) -> list[StandalonePythonError]:
    """Receive some builds at a time; ``come`` gets those that came. What only one of them can have the others survive."""
    failures: list[StandalonePythonError] = []
    stop = Event()
    pool = ThreadPoolExecutor(jobs)
    tasks = {pool.submit(receive, build, stop): build for build in wanted}

    def end() -> None:
        stop.set()
        for task in tasks:
            task.cancel()

    try:
        for task in as_completed(tasks):
            try:
                task.result()
                come.append(tasks[task])
            except (_Stopped, CancelledError):
                pass
            except StandalonePythonError as error:
                failures.append(error)
                if not isinstance(error, (ContentError, NotThereError, DeniedError)):
                    end()
    except BaseException:
        end()
        # A server that stalls is not waited for: what came of its archive stays for the next sync.
        wait(tasks, ENDING_WAIT)
        raise
    finally:
        pool.shutdown(wait=False)
    return failures


def _failed(storage: Storage, failures: Sequence[StandalonePythonError], missing: int, wanted: int) -> StandalonePythonError:
    # Why all the others were given up comes first.
    first = sorted(failures, key=lambda error: isinstance(error, (ContentError, NotThereError, DeniedError)))[0]
    kind = ContentError if isinstance(first, ContentError) else TransportError
    return kind(f"{missing} of {wanted} archives are missing from the mirror {storage}: {first}" if wanted > 1 else str(first))
