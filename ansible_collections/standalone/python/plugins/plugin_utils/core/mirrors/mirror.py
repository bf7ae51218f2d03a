# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors: a folder that any static web server can serve, or a part of a bucket, with builds of upstream and lists of them.

    DEST/TAG/FILE          an archive; it gets this name after its checksum was verified
    DEST/TAG/SHA256SUMS    the checksums of the release's archives
    DEST/catalogue.tsv     all archives, in the format of the option `catalogue`
    DEST/advisories.json   the tables of advisories, for controllers without the internet
    DEST/tools/python-precompiled-TRIPLE.gz   the names of a target's archives, in mise's format
    DEST/.mirror/          a sync's lock, its unfinished downloads, and the checksums of archives that were read

The first half of this file decides and is pure; the second half reads. `sync` writes. A list never names a missing archive:
an archive is listed after it arrives, and removed after it is unlisted.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..archives.attestation import ENDING, missing
from ..archives.attestation import verify as verify_attestation
from ..archives.cache import os_reason
from ..archives.source import SUMS
from ..builds.catalogue import Build, builds, from_rows, is_build, parse_filename
from ..builds.kinds import Pair
from ..builds.request import parse_request, with_parts
from ..builds.sums import parse_sums, rows_from_sums
from ..builds.target import for_level, named_target
from ..errors import ContentError, StandalonePythonError, TransportError
from ..security.tables import DOCUMENT
from ..supply.catalogues import CATALOGUE
from ..supply.known_tables import document_problem
from ..supply.published import DELTAS, Published, parse_published
from .storage import WORK, Stamp, Storage

if TYPE_CHECKING:
    from ..supply.supply import Supply

JOBS = 8
HEADER = "tag\tfile\tsha256\n"
READ = f"{WORK}/read.json"
# The path of a target's list in mise's version service (python_precompiled_url_path in src/plugins/core/python.rs of jdx/mise).
PRECOMPILED = "tools/python-precompiled-{}.gz"

Records = dict[str, tuple[str, Stamp]]
"""Path of an archive -> its measured sha256, and the file's stamp at that time."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A file in a mirror that has the name of an archive.

    :ivar listed: its sha256 in the release's SHA256SUMS; empty if not listed
    :ivar actual: its measured sha256; empty if nobody needs it
    :ivar size: in bytes
    """

    listed: str
    actual: str
    size: int


@dataclass(frozen=True, slots=True)
class DeltaPlan:
    """What a sync does with the deltas of a mirror.

    :ivar make: builds that lack a delta, each with the older build that it is from
    :ivar kept: rows of the list that stay; size 0 means that the delta is too large
    :ivar removed: paths of deltas whose builds are not in the mirror, or that are not listed
    :ivar made: the new rows of the list, after the sync
    :ivar before: the text of the list before the sync; empty if there is none
    """

    make: tuple[Pair, ...] = ()
    kept: tuple[Published, ...] = ()
    removed: tuple[str, ...] = ()
    made: tuple[Published, ...] = ()
    before: str = ""


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """The changes that a sync makes.

    :ivar fetch: wanted builds that are missing or damaged
    :ivar present: wanted builds that the mirror has
    :ivar kept: other builds that stay in the mirror and in its lists
    :ivar pruned: paths below the mirror to remove
    :ivar deltas: what is done with the mirror's deltas
    """

    fetch: tuple[Build, ...]
    present: tuple[Build, ...]
    kept: tuple[Build, ...]
    pruned: tuple[str, ...]
    deltas: DeltaPlan = DeltaPlan()

    def __bool__(self) -> bool:
        return bool(self.fetch or self.pruned or self.deltas.make or self.deltas.removed)


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of verifying a whole mirror.

    :ivar archives: the number of listed archives
    :ivar size: of the listed archives that exist, in bytes
    :ivar problems: sentences; empty if the mirror is intact
    """

    archives: int
    size: int
    problems: tuple[str, ...]


def path_of(build: Build) -> str:
    """Return the path of a build below a mirror."""
    return f"{build.release}/{build.filename}"


def unique_builds(wanted: Iterable[Build]) -> tuple[Build, ...]:
    """Return each build once, newest release first.

    :raises ContentError: two builds have the same name and different sha256
    """
    known: dict[str, Build] = {}
    for build in wanted:
        other = known.setdefault(path_of(build), build)
        if other.sha256 != build.sha256:
            raise ContentError(
                f"{path_of(build)} is wanted with two checksums, {other.sha256} and {build.sha256}: "
                "run standalone-python lock again, or remove one of the two"
            )
    return ordered(known.values())


def plan_sync(wanted: Iterable[Build], found: Mapping[str, Archive], *, prune: bool) -> SyncPlan:
    """
    :param wanted: each build once, with its sha256
    :param found: path -> the file that the mirror has there
    :param prune: remove the builds that are not wanted
    """
    by_path = {path_of(build): build for build in wanted}
    intact = {path for path, build in by_path.items() if path in found and found[path].actual == build.sha256}
    rest = sorted(set(found) - set(by_path))
    return SyncPlan(
        fetch=ordered(build for path, build in by_path.items() if path not in intact),
        present=ordered(by_path[path] for path in intact),
        kept=() if prune else ordered(_listed(path, found[path].listed) for path in rest if found[path].listed),
        pruned=tuple(rest) if prune else (),
    )


def lists(present: Iterable[Build]) -> dict[str, bytes]:
    """Return the lists of a mirror's builds, path -> content. The same builds give the same bytes."""
    present = tuple(present)
    releases: dict[str, list[Build]] = {}
    for build in ordered(present):
        releases.setdefault(build.release, []).append(build)
    rows = "".join(f"{build.release}\t{build.filename}\t{build.sha256}\n" for some in releases.values() for build in some)
    sums = {f"{tag}/{SUMS}": "".join(f"{build.sha256}  {build.filename}\n" for build in some) for tag, some in releases.items()}
    texts = {**sums, CATALOGUE: HEADER + rows}
    return {**{path: text.encode() for path, text in texts.items()}, **_precompiled(present)}


def _precompiled(present: Iterable[Build]) -> dict[str, bytes]:
    names: dict[str, list[str]] = {}
    for build in sorted(present, key=lambda build: (build.version, build.release, build.filename)):
        names.setdefault(build.triple, []).append(f"{build.filename}\n")
    return {PRECOMPILED.format(triple): gzip.compress("".join(some).encode(), mtime=0) for triple, some in names.items()}


def is_precompiled(path: str) -> bool:
    """Return whether a path is that of a list for mise."""
    prefix, suffix = PRECOMPILED.split("{}")
    return path.startswith(prefix) and path.endswith(suffix)


def builds_for(supply: Supply, requests: Sequence[str], triples: Sequence[str], flavors: Sequence[str]) -> tuple[Build, ...]:
    """Return the builds, with their sha256, that requests resolve to on target triples.

    :param flavors: empty means the preferred flavor
    :raises StandalonePythonError: a request or a triple is not valid, there is no build, or its checksum is unknown
    """
    found = []
    for text in requests:
        for triple in triples:
            target = named_target(triple)
            for flavor in flavors or ("",):
                request = with_parts(parse_request(text), flavor=flavor)
                build = supply.resolve_for(for_level(request, target), target)
                found.append(replace(build, sha256=supply.sha256(build)))
    return tuple(found)


def ordered(some: Iterable[Build]) -> tuple[Build, ...]:
    return tuple(sorted(sorted(some, key=path_of), key=lambda build: build.release, reverse=True))


def _listed(path: str, sha256: str) -> Build:
    tag, _slash, filename = path.partition("/")
    return replace(parse_filename(filename, tag), sha256=sha256)


# The functions below read a mirror.


def verify(storage: Storage, jobs: int = JOBS) -> Verified:
    """Read a whole mirror, and compare it with its lists. The next sync downloads damaged archives again.

    :raises ContentError: it is not a mirror
    :raises TransportError: it can't be read
    """
    problems: list[str] = []
    listed: dict[str, str] = {}
    with storage.explain_errors("be read", "check the path and its permissions"):
        files = storage.files()
        releases = _releases(files)
        if not releases:
            raise _not_a_mirror(storage, f"TAG/{SUMS}")
        for sums in releases:
            tag = sums.partition("/")[0]
            try:
                rows = rows_from_sums(tag, _text(storage, sums))
            except StandalonePythonError as error:
                problems.append(str(error))
                continue
            listed |= {f"{tag}/{name}": digest for tag, name, digest in (row.split("\t") for row in rows.splitlines())}
        problems += _catalogue_problems(storage, listed)
        problems += _document_problems(storage, files)
        problems += _delta_problems(storage)
        problems += _precompiled_problems(storage, listed, files)
        bad = {}
        with ThreadPoolExecutor(jobs) as pool:
            for (path, digest), actual in zip(listed.items(), pool.map(lambda path: _hashed(storage, path), listed), strict=True):
                if actual != digest:
                    bad[path] = actual
                    problem = f"its SHA-256 should be {digest} and is {actual}" if len(actual) == 64 else actual
                    problems.append(f"{path} is damaged: {problem}")
        size = sum(int(files[path][0]) for path in listed if path in files and len(bad.get(path, 64 * "0")) == 64)
    known = read_records(storage) if bad else {}
    if known:
        # A sync must download these, although their stamps have not changed.
        read = {path: (actual, files[path]) for path, actual in bad.items() if len(actual) == 64}
        with contextlib.suppress(OSError, TransportError), storage.exclusive_lock(0):
            write_records(storage, {path: record for path, record in known.items() if path not in bad} | read)
    return Verified(len(listed), size, tuple(problems))


def attestation_problems(storage: Storage, trusted_root: str = "", jobs: int = JOBS) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return sentences about the wrong and about the missing attestations of a mirror's archives.

    :raises StandalonePythonError: it is not a mirror, or attestations can't be verified on this machine
    """

    def check(build: Build) -> tuple[str, str]:
        try:
            lines = _text(storage, f"{path_of(build)}{ENDING}")
        except FileNotFoundError:
            lines = ""
        try:
            verified = verify_attestation(lines, build, build.sha256 or "", trusted_root)
        except ContentError as error:
            return str(error), ""
        return "", "" if verified else missing(build, f"in {storage}")

    listed = listed_builds(storage)
    with storage.explain_errors("be read", "check the path and its permissions"), ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(check, listed))
    return tuple(wrong for wrong, _absent in found if wrong), tuple(absent for _wrong, absent in found if absent)


def listed_builds(storage: Storage) -> tuple[Build, ...]:
    """Return the builds that a mirror lists, newest release first.

    :raises ContentError: it is not a mirror, or its list is not valid
    :raises TransportError: it can't be opened
    """
    with storage.explain_errors("be read", "check the path and its permissions"):
        try:
            text = storage.read(CATALOGUE).decode()
        except FileNotFoundError:
            raise _not_a_mirror(storage, CATALOGUE) from None
        except UnicodeDecodeError:
            raise ContentError(f"{storage}/{CATALOGUE} is not text: run mirror sync again") from None
    return ordered(builds(from_rows(f"the catalogue {storage}/{CATALOGUE}", text)))


def inspect_mirror(storage: Storage, wanted: Iterable[Build], records: Records, jobs: int) -> dict[str, Archive]:
    """Return the archives in a mirror. The wanted ones get their sha256 from the records, or are read."""
    files = storage.files()
    listed: dict[str, str] = {}
    for sums in _releases(files):
        tag = sums.partition("/")[0]
        listed |= {f"{tag}/{name}": digest for name, digest in parse_sums(_text(storage, sums), tag).known.items()}
    found = {
        path: Archive(listed.get(path, ""), "", int(stamp[0]))
        for path, stamp in files.items()
        if is_build(path.partition("/")[2])
    }
    present = {path for path in map(path_of, wanted) if path in found}
    # The stamps were taken before the files are read, so a change in between shows at the next sync.
    unread = [path for path in present if path not in records or records[path][1] != files[path]]
    with ThreadPoolExecutor(jobs) as pool:
        read = pool.map(lambda path: storage.stored_sha256(path) or storage.checksum(path), unread)
        records |= {path: (actual, files[path]) for path, actual in zip(unread, read, strict=True)}
    return {path: replace(archive, actual=records[path][0]) if path in present else archive for path, archive in found.items()}


def read_records(storage: Storage) -> Records:
    """Return the mirror's records; empty if they are missing or damaged."""
    try:
        kept = json.loads(storage.read(READ))
        return {path: (digest, [*now]) for path, (digest, now) in kept.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def write_records(storage: Storage, records: Records) -> None:
    storage.put(READ, json.dumps(records, indent=0).encode())


def _not_a_mirror(storage: Storage, missing_path: str) -> ContentError:
    return ContentError(f"{storage} is not a mirror, it has no {missing_path}: check the path, or run mirror sync")


def _releases(files: Iterable[str]) -> list[str]:
    """Return the paths of SHA256SUMS files, newest release first."""
    return sorted((path for path in files if re.fullmatch(f"[0-9]{{8}}/{SUMS}", path)), reverse=True)


def _text(storage: Storage, path: str) -> str:
    return storage.read(path).decode(errors="replace")


def _hashed(storage: Storage, path: str) -> str:
    """Return the sha256 of a file, or why it can't be read."""
    try:
        return storage.checksum(path)
    except FileNotFoundError:
        return "it does not exist"
    except OSError as error:
        return f"it can't be read ({os_reason(error)})"


def _catalogue_problems(storage: Storage, listed: Mapping[str, str]) -> list[str]:
    path = f"{storage}/{CATALOGUE}"
    try:
        rows = {path_of(build): build.sha256 for build in builds(from_rows(path, storage.read(CATALOGUE).decode()))}
    except FileNotFoundError:
        return [f"{path} does not exist: run mirror sync again"]
    except (ContentError, ValueError) as error:
        return [f"{path} can't be read as a catalogue: {error}"]
    return [] if rows == listed else [f"{path} and the {SUMS} files disagree: run mirror sync again"]


def _delta_problems(storage: Storage) -> list[str]:
    try:
        listed = parse_published(_text(storage, DELTAS))
    except FileNotFoundError:
        return []
    wrong = [one.path for one in listed if one.size and _hashed(storage, one.path) != one.sha256]
    return [f"{storage}/{path} is missing or damaged: remove it, and run mirror sync --deltas again" for path in wrong]


def _document_problems(storage: Storage, files: Iterable[str]) -> list[str]:
    """Return what is wrong with the tables of advisories. A mirror of an older version has none, which is in order."""
    if DOCUMENT not in files:
        return []
    problem = document_problem(storage.read(DOCUMENT).decode(errors="replace"), f"{storage}/{DOCUMENT}")
    return [f"{problem}; run mirror sync again"] if problem else []


def _precompiled_problems(storage: Storage, listed: Mapping[str, str], files: Iterable[str]) -> list[str]:
    """Return the problems of the lists for mise: a missing list, a wrong list, a list of archives that are gone."""
    builds_listed = [_listed(path, digest) for path, digest in listed.items()]
    expected = {path: content for path, content in lists(builds_listed).items() if is_precompiled(path)}
    present = set(filter(is_precompiled, files))
    wrong = {path for path in expected.keys() & present if storage.read(path) != expected[path]} | (present - expected.keys())
    return [
        *(f"{storage}/{path} does not exist: run mirror sync again" for path in sorted(expected.keys() - present)),
        *(f"{storage}/{path} and the {SUMS} files disagree: run mirror sync again" for path in sorted(wrong)),
    ]
