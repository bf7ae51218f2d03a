# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror: a folder that any static web server can serve, or a part of a bucket, with some of upstream's builds and with lists
that say which.

    DEST/TAG/FILE          an archive, under its name only once its checksum agreed
    DEST/TAG/SHA256SUMS    of the release's archives that are there
    DEST/catalogue.tsv     all of them, as the option `catalogue` reads it
    DEST/tools/python-precompiled-TRIPLE.gz   the names of a target's archives, as mise reads them
    DEST/.mirror/          what a sync needs: a lock, downloads under way, and which archives were read since they last changed

The first half decides and is pure; the second reads. What writes is in `sync`. A list never names an archive that is not there:
archives come before they are listed, and go after.
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
from ..builds.catalogue import Build, builds, from_rows, is_build, parse_filename, parse_sums, rows_from_sums
from ..builds.request import parse_request, with_parts
from ..builds.target import for_level, parse_triple
from ..errors import ContentError, StandalonePythonError, TransportError
from ..supply.catalogues import CATALOGUE
from .storage import WORK, Stamp, Storage

if TYPE_CHECKING:
    from ..supply.supply import Supply

JOBS = 8
HEADER = "tag\tfile\tsha256\n"
READ = f"{WORK}/read.json"
# Where mise's version service has the list of a target (python_precompiled_url_path in src/plugins/core/python.rs of jdx/mise).
PRECOMPILED = "tools/python-precompiled-{}.gz"

Records = dict[str, tuple[str, Stamp]]
"""Path of an archive -> the sha256 that was read, and the file's stamp then."""


@dataclass(frozen=True, slots=True)
class Archive:
    """What is in a mirror under the name of an archive.

    :ivar listed: the sha256 that the release's SHA256SUMS has of it; empty where it has none
    :ivar actual: the sha256 of what is there; empty where nobody needs to know
    :ivar size: in bytes
    """

    listed: str
    actual: str
    size: int


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync does.

    :ivar fetch: what is wanted and is not there, or is there and is something else
    :ivar there: what is wanted and is there
    :ivar kept: what else is there and stays listed
    :ivar pruned: paths below the mirror that go
    """

    fetch: tuple[Build, ...]
    there: tuple[Build, ...]
    kept: tuple[Build, ...]
    pruned: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.fetch or self.pruned)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at all of a mirror found.

    :ivar size: of the archives that are listed and there, in bytes
    :ivar problems: sentences; none where all is well
    """

    archives: int
    size: int
    problems: tuple[str, ...]


def path_of(build: Build) -> str:
    """Where a build is below a mirror."""
    return f"{build.release}/{build.filename}"


def unique_builds(wanted: Iterable[Build]) -> tuple[Build, ...]:
    """Each build once, newest release first.

    :raises ContentError: two sha256 for one name
    """
    known: dict[str, Build] = {}
    for build in wanted:
        other = known.setdefault(path_of(build), build)
        if other.sha256 != build.sha256:
            raise ContentError(
                f"{path_of(build)} is wanted with two checksums, {other.sha256} and {build.sha256}: "
                "run standalone-python lock again, or leave out one of the two"
            )
    return ordered(known.values())


def plan_sync(wanted: Iterable[Build], found: Mapping[str, Archive], *, prune: bool) -> SyncPlan:
    """
    :param wanted: with their sha256, each once
    :param found: path -> what is there
    :param prune: whether what is not wanted goes
    """
    asked = {path_of(build): build for build in wanted}
    right = {path for path, build in asked.items() if path in found and found[path].actual == build.sha256}
    rest = sorted(set(found) - set(asked))
    return SyncPlan(
        fetch=ordered(build for path, build in asked.items() if path not in right),
        there=ordered(asked[path] for path in right),
        kept=() if prune else ordered(_listed(path, found[path].listed) for path in rest if found[path].listed),
        pruned=tuple(rest) if prune else (),
    )


def lists(present: Iterable[Build]) -> dict[str, bytes]:
    """Return the files that say what a mirror holds: path -> content. The same builds give the same bytes."""
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
    """Return whether a path is where a mirror has a list for mise."""
    prefix, suffix = PRECOMPILED.split("{}")
    return path.startswith(prefix) and path.endswith(suffix)


def builds_for(supply: Supply, requests: Sequence[str], triples: Sequence[str], flavors: Sequence[str]) -> tuple[Build, ...]:
    """The builds, with their sha256, that requests mean on target triples; the preferred flavor where none is named.

    :raises StandalonePythonError: a request or a triple can't be read, there is no such build, or its checksum can't be had
    """
    found = []
    for text in requests:
        for triple in triples:
            target = parse_triple(triple)
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


# What follows reads.


def verify(storage: Storage, jobs: int = JOBS) -> Verified:
    """Read all of a mirror, and compare it with its lists. What is found damaged the next sync brings anew.

    :raises ContentError: it is no mirror
    :raises TransportError: it can't be read
    """
    problems: list[str] = []
    listed: dict[str, str] = {}
    with storage.explain_errors("be read", "check the path and its permissions"):
        files = storage.files()
        releases = _releases(files)
        if not releases:
            raise _none(storage, f"TAG/{SUMS}")
        for sums in releases:
            tag = sums.partition("/")[0]
            try:
                rows = rows_from_sums(tag, _text(storage, sums))
            except StandalonePythonError as error:
                problems.append(str(error))
                continue
            listed |= {f"{tag}/{name}": digest for tag, name, digest in (row.split("\t") for row in rows.splitlines())}
        problems += _of_catalogue(storage, listed)
        problems += _of_precompiled(storage, listed, files)
        bad = {}
        with ThreadPoolExecutor(jobs) as pool:
            for (path, digest), actual in zip(listed.items(), pool.map(lambda path: _hashed(storage, path), listed), strict=True):
                if actual != digest:
                    bad[path] = actual
                    is_what = f"its SHA-256 should be {digest} and is {actual}" if len(actual) == 64 else actual
                    problems.append(f"{path} is damaged: {is_what}")
        size = sum(int(files[path][0]) for path in listed if path in files and len(bad.get(path, 64 * "0")) == 64)
    known = read_records(storage) if bad else {}
    if known:
        # So that a sync knows it, although they look as they did.
        read = {path: (actual, files[path]) for path, actual in bad.items() if len(actual) == 64}
        with contextlib.suppress(OSError, TransportError), storage.exclusive_lock(0):
            write_records(storage, {path: record for path, record in known.items() if path not in bad} | read)
    return Verified(len(listed), size, tuple(problems))


def attestation_problems(storage: Storage, trusted_root: str = "", jobs: int = JOBS) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is wrong with the attestations of the archives that a mirror lists, and of which it has none, as sentences.

    :raises StandalonePythonError: it is no mirror, or attestations can't be verified here
    """

    def look_at(build: Build) -> tuple[str, str]:
        try:
            lines = _text(storage, f"{path_of(build)}{ENDING}")
        except FileNotFoundError:
            lines = ""
        try:
            found = verify_attestation(lines, build, build.sha256 or "", trusted_root)
        except ContentError as error:
            return str(error), ""
        return "", "" if found else missing(build, f"in {storage}")

    listed = listed_builds(storage)
    with storage.explain_errors("be read", "check the path and its permissions"), ThreadPoolExecutor(jobs) as pool:
        said = list(pool.map(look_at, listed))
    return tuple(wrong for wrong, _none in said if wrong), tuple(none for _wrong, none in said if none)


def listed_builds(storage: Storage) -> tuple[Build, ...]:
    """The builds that a mirror lists, newest release first.

    :raises ContentError: it is no mirror, or a list can't be read
    :raises TransportError: it can't be opened
    """
    with storage.explain_errors("be read", "check the path and its permissions"):
        try:
            text = storage.read(CATALOGUE).decode()
        except FileNotFoundError:
            raise _none(storage, CATALOGUE) from None
        except UnicodeDecodeError:
            raise ContentError(f"{storage}/{CATALOGUE} is not text: run mirror sync again") from None
    return ordered(builds(from_rows(f"the catalogue {storage}/{CATALOGUE}", text)))


def inspect_mirror(storage: Storage, wanted: Iterable[Build], records: Records, jobs: int) -> dict[str, Archive]:
    """What is there. Of what is wanted the content is known after it, from the records or by reading it."""
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
    # The stamp is older than the reading.
    unread = [path for path in present if path not in records or records[path][1] != files[path]]
    with ThreadPoolExecutor(jobs) as pool:
        read = pool.map(lambda path: storage.stored_sha256(path) or storage.checksum(path), unread)
        records |= {path: (actual, files[path]) for path, actual in zip(unread, read, strict=True)}
    return {path: replace(archive, actual=records[path][0]) if path in present else archive for path, archive in found.items()}


def read_records(storage: Storage) -> Records:
    """Path -> the sha256 that was read, and the file's stamp then."""
    try:
        kept = json.loads(storage.read(READ))
        return {path: (digest, [*now]) for path, (digest, now) in kept.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def write_records(storage: Storage, records: Records) -> None:
    storage.put(READ, json.dumps(records, indent=0).encode())


def _none(storage: Storage, lacks: str) -> ContentError:
    return ContentError(f"{storage} is not a mirror, it has no {lacks}: check the path, or run mirror sync")


def _releases(files: Iterable[str]) -> list[str]:
    """The paths of SHA256SUMS files, newest release first."""
    return sorted((path for path in files if re.fullmatch(f"[0-9]{{8}}/{SUMS}", path)), reverse=True)


def _text(storage: Storage, path: str) -> str:
    return storage.read(path).decode(errors="replace")


def _hashed(storage: Storage, path: str) -> str:
    """The sha256 of a file, or what is wrong with it."""
    try:
        return storage.checksum(path)
    except FileNotFoundError:
        return "it does not exist"
    except OSError as error:
        return f"it can't be read ({os_reason(error)})"


def _of_catalogue(storage: Storage, listed: Mapping[str, str]) -> list[str]:
    path = f"{storage}/{CATALOGUE}"
    try:
        rows = {path_of(build): build.sha256 for build in builds(from_rows(path, storage.read(CATALOGUE).decode()))}
    except FileNotFoundError:
        return [f"{path} does not exist: run mirror sync again"]
    except (ContentError, ValueError) as error:
        return [f"{path} can't be read as a catalogue: {error}"]
    return [] if rows == listed else [f"{path} and the {SUMS} files disagree: run mirror sync again"]


def _of_precompiled(storage: Storage, listed: Mapping[str, str], files: Iterable[str]) -> list[str]:
    """Return what is wrong with the lists for mise: one that is missing, that differs, or whose archives have gone."""
    builds_listed = [_listed(path, digest) for path, digest in listed.items()]
    expected = {path: content for path, content in lists(builds_listed).items() if is_precompiled(path)}
    here = set(filter(is_precompiled, files))
    wrong = {path for path in expected.keys() & here if storage.read(path) != expected[path]} | (here - expected.keys())
    return [
        *(f"{storage}/{path} does not exist: run mirror sync again" for path in sorted(expected.keys() - here)),
        *(f"{storage}/{path} and the {SUMS} files disagree: run mirror sync again" for path in sorted(wrong)),
    ]
