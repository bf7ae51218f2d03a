# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncs a mirror: downloads several archives at a time, verifies them, writes the lists, and then removes old archives.

Only one sync works in a mirror at a time; another waits. An interrupted sync leaves the mirror consistent. The next sync
resumes, even in the middle of an archive.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from ..archives.attestation import ENDING
from ..archives.cache import TEMPORARY, os_reason, remove_stale_parts
from ..archives.delta import require_maker
from ..archives.failure import DeniedError, NotThereError
from ..archives.fetch import Http
from ..archives.partial import LARGEST_PIECE
from ..archives.resume import Arriving, complete, note_unfinished
from ..archives.source import SUMS, Source, urls
from ..archives.store import LARGEST_ARCHIVE
from ..archives.texts import local_path
from ..builds.catalogue import Build, is_build
from ..builds.sums import parse_sums
from ..errors import ContentError, DeclarationError, StandalonePythonError, TransportError
from ..progress import heard
from ..security.tables import DOCUMENT
from ..supply.known_tables import newer_document
from .deltas import DeltaProgress, plan_deltas, write_deltas
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

# Seconds that one sync waits for another: the time of a large sync.
WAIT = 6 * 3600.0
# Seconds that downloads have to stop after Ctrl-C.
ENDING_WAIT = 1.0


Attest = Callable[[Build, str], str]
"""Verifies a build: takes the attestations that the mirror has, or empty; returns those to store, or empty.
An error means that the archive is not added."""


class Progress(DeltaProgress):
    """Receives the events of a sync, from several threads at once. This class ignores them."""

    def waits(self) -> None:
        """Another sync is working in the mirror."""

    def unlocked(self) -> None:
        """The mirror's storage can't lock out another sync."""

    def plans(self, plan: SyncPlan) -> None: ...

    def receives(self, path: str, done: int, size: int) -> None:
        """An archive has ``done`` bytes so far; ``size`` is 0 if the server doesn't send it."""

    def received(self, path: str) -> None:
        """An archive is verified, and in the mirror."""


def preview_sync(storage: Storage, wanted: Iterable[Build], *, prune: bool, jobs: int = JOBS, deltas: bool = False) -> SyncPlan:
    """Return what a sync would do. It writes nothing, so archives without a record are read each time.

    :raises StandalonePythonError: as :func:`sync`
    """
    wanted = unique_builds(wanted)
    if deltas:
        require_maker()
    with storage.explain_errors():
        todo = plan_sync(wanted, inspect_mirror(storage, wanted, read_records(storage), jobs), prune=prune)
        stay = (*todo.present, *todo.kept, *todo.fetch)
        return replace(todo, deltas=plan_deltas(storage, stay, make=deltas))


def sync(
    storage: Storage,
    wanted: Iterable[Build],
    source: Source,
    *,
    prune: bool = False,
    jobs: int = JOBS,
    progress: Progress | None = None,
    attest: Attest | None = None,
    document: str = "",
    deltas: bool = False,
) -> SyncPlan:
    """Bring the wanted builds into a mirror, and return what was done.

    A failure that concerns one archive does not stop the others, but then nothing is pruned.

    :param wanted: with their sha256
    :param attest: called for each wanted archive, also for those that the mirror has
    :param document: the tables of advisories, see :mod:`..security.tables`; empty: write none
    :param deltas: make the deltas between neighbouring builds that the mirror lacks
    :raises ContentError: an archive has the wrong checksum
    :raises TransportError: an archive can't be downloaded, or the mirror can't be written to
    :raises DeclarationError: the mirror is its own source
    """
    wanted, progress = unique_builds(wanted), progress or Progress()
    if source.kind == "folder" and isinstance(storage, Folder) and _same(storage.path, local_path(source.location)):
        raise DeclarationError(f"the mirror {storage} is its own source: name another folder")
    if deltas:
        require_maker()
    with storage.explain_errors(), storage.exclusive_lock(WAIT, progress.waits) as locked:
        if not locked:
            progress.unlocked()
        records = read_records(storage)
        found = inspect_mirror(storage, wanted, records, jobs)
        todo = plan_sync(wanted, found, prune=prune)
        # These stay listed until every wanted archive has arrived.
        others = plan_sync(wanted, found, prune=False).kept
        progress.plans(todo)
        received: list[Build] = []

        def write_state(kept: Iterable[Build]) -> None:
            present = (*todo.present, *kept, *received)
            _write_lists(storage, lists(present))
            if document:
                _write_document(storage, document)
            write_records(storage, {path: records[path] for path in map(path_of, present) if path in records})

        own = "" if locked else f".{os.getpid()}"
        receive = _Receiver(storage, source, own, progress, records, attest)
        try:
            unattested = _run_all(todo.present, receive.attest_present, jobs, []) if attest else []
            failures = _run_all(todo.fetch, receive, jobs, received)
        except BaseException as ended:
            if any(storage.work.glob(f"*{TEMPORARY}")):
                note_unfinished(ended, "partial downloads are kept, and the next sync continues them")
            with contextlib.suppress(OSError, StandalonePythonError):
                write_state(others)
            raise
        try:
            write_state(others if failures or unattested else todo.kept)
        except (OSError, TransportError):
            # On a full disk, the error of the download is the better one.
            if not failures:
                raise
        if failures:
            raise _failed(storage, failures, len(todo.fetch) - len(received), len(wanted))
        if unattested:
            raise unattested[0]
        stay = (*todo.present, *todo.kept, *received)
        todo = replace(todo, deltas=write_deltas(storage, plan_deltas(storage, stay, make=deltas), progress))
        files = storage.files() if todo.pruned else {}
        for path in todo.pruned:
            storage.delete(path)
            if f"{path}{ENDING}" in files:
                storage.delete(f"{path}{ENDING}")
            progress.removed(path)
        remove_stale_parts(storage.work, sure=locked and prune)
    return todo


def publish(storage: Storage, name: str, content: bytes, *, dry_run: bool = False) -> bool:
    """Put a script for hosts beside the archives, with its checksum; return whether the mirror lacked it.

    The checksum comes last, so that who waits for a new one finds the script.

    :raises TransportError: the mirror can't be written to
    """
    digest = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
    with storage.explain_errors():
        files = {name: content, f"{name}.sha256": digest}
        changed = {path: text for path, text in files.items() if _read(storage, path) != text}
        for path, text in changed.items() if not dry_run else ():
            storage.put(path, text)
    return bool(changed)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _write_lists(storage: Storage, contents: Mapping[str, bytes]) -> None:
    """Write the lists that changed; remove those of releases and targets without archives."""
    old = {path for path in storage.files() if path.endswith(f"/{SUMS}") or is_precompiled(path)}
    for path, content in contents.items():
        if _read(storage, path) != content:
            storage.put(path, content)
    for path in old - set(contents):
        if is_precompiled(path) or any(map(is_build, parse_sums(_read(storage, path).decode(errors="replace")).known)):
            storage.delete(path)


def _write_document(storage: Storage, document: str) -> None:
    """Write the tables of advisories beside the lists, unless those in the mirror are newer."""
    there = _read(storage, DOCUMENT).decode(errors="replace")
    text = newer_document(document, there)
    if text != there:
        storage.put(DOCUMENT, text.encode())


def _read(storage: Storage, path: str) -> bytes:
    """Return the content of a file; empty if it does not exist."""
    try:
        return storage.read(path)
    except FileNotFoundError:
        return b""


class _Stopped(Exception):
    """Another archive failed in a way that concerns all, or the user interrupted the sync."""


class _Download(Arriving):
    """An unfinished archive, which reports its bytes, and stops when another download has ended the sync."""

    def __init__(self, part: Path, report: Callable[[int, int], None], stop: Event) -> None:
        super().__init__(part)
        self._report, self._stop, self._size = report, stop, 0

    def begins(self, offset: int, size: int) -> None:
        super().begins(offset, size)
        self._size = size
        self._report(self.done, size)

    def pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def wrote(self, chunk: bytes) -> None:
        if self._stop.is_set():
            raise _Stopped
        super().wrote(chunk)
        self._report(self.done, self._size)


@dataclass(frozen=True, slots=True)
class _Receiver:
    """Downloads, verifies and stores one archive.

    :ivar suffix: makes the names of this process' downloads unique if the mirror can't be locked
    """

    storage: Storage
    source: Source
    suffix: str
    progress: Progress
    records: Records
    attest: Attest | None

    def attest_present(self, build: Build, _stop: Event) -> None:
        """Verify the attestations of an archive that the mirror has, and store new ones."""
        lines = self._attestations(build)
        if lines:
            self.storage.put(*lines)

    def _attestations(self, build: Build) -> tuple[str, bytes] | None:
        """Return the path and content of new attestations to store beside an archive, or None.

        :raises StandalonePythonError: an attestation is wrong or missing
        """
        if self.attest is None:
            return None
        path = f"{path_of(build)}{ENDING}"
        have = _read(self.storage, path).decode(errors="replace")
        lines = self.attest(build, have)
        return (path, lines.encode()) if lines and lines != have else None

    def __call__(self, build: Build, stop: Event) -> None:
        path, digest = path_of(build), build.sha256 or ""
        part = self.storage.work / f"{build.filename}.{digest[:12]}{self.suffix}{TEMPORARY}"
        download = _Download(part, lambda done, size: self.progress.receives(path, done, size), stop)
        with self.storage.explain_errors():
            lines = self._attestations(build)
            found = complete(download, digest, lambda: self._receive(build, part, download))
            if found != digest:
                raise ContentError(
                    f"{build.filename} from {self.source} has the wrong checksum: its SHA-256 should be {digest} "
                    f"and is {found}; check the source, or the checksum"
                )
            self.records[path] = (digest, self.storage.promote(part, path, digest))
            if lines:
                self.storage.put(*lines)
        self.progress.received(path)

    def _receive(self, build: Build, part: Path, download: _Download) -> None:
        addresses = urls(self.source, build)
        if self.source.kind in ("folder", "archive"):
            self._copy(local_path(addresses[0]), build, part, download)
            return
        try:
            Http(location=self.source.location, sleep=download.pause).resume(
                addresses, part, max_bytes=LARGEST_ARCHIVE, watch=download, instead=self.storage.elsewhere
            )
        except ContentError:
            part.unlink(missing_ok=True)
            raise

    def _copy(self, origin: Path, build: Build, part: Path, download: _Download) -> None:
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
            download.begins(0, os.fstat(file.fileno()).st_size)
            while chunk := file.read(LARGEST_PIECE):
                out.write(chunk)
                download.wrote(chunk)


def _run_all(
    wanted: Sequence[Build], receive: Callable[[Build, Event], None], jobs: int, received: list[Build]
) -> list[StandalonePythonError]:
    """Receive builds, ``jobs`` at a time; append those that succeed to ``received``. Return the failures.

    A failure that concerns one build does not stop the others.
    """
    failures: list[StandalonePythonError] = []
    stop = Event()
    pool = ThreadPoolExecutor(jobs)
    tasks = {pool.submit(heard(receive), build, stop): build for build in wanted}

    def end() -> None:
        stop.set()
        for task in tasks:
            task.cancel()

    try:
        for task in as_completed(tasks):
            try:
                task.result()
                received.append(tasks[task])
            except (_Stopped, CancelledError):
                pass
            except StandalonePythonError as error:
                failures.append(error)
                if not isinstance(error, (ContentError, NotThereError, DeniedError)):
                    end()
    except BaseException:
        end()
        # Don't wait for a server that stalls. The next sync resumes its unfinished archive.
        wait(tasks, ENDING_WAIT)
        raise
    finally:
        pool.shutdown(wait=False)
    return failures


def _failed(storage: Storage, failures: Sequence[StandalonePythonError], missing: int, wanted: int) -> StandalonePythonError:
    # An error that stopped the other downloads comes before one that concerns a single archive.
    first = sorted(failures, key=lambda error: isinstance(error, (ContentError, NotThereError, DeniedError)))[0]
    kind = ContentError if isinstance(first, ContentError) else TransportError
    return kind(f"{missing} of {wanted} archives are missing from the mirror {storage}: {first}" if wanted > 1 else str(first))
