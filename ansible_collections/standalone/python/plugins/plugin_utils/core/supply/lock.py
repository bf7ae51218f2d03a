# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock files: the exact build for each request and target. It is resolved once, reviewed in a diff, and then used by every run.

The format is JSON, because Python's standard library reads and writes it, fast enough for every run on every host. It only
reads TOML, and slowly. Each entry is an object with one fact per line, in a stable order. So the diff of a changed build also
shows its request and target.

An entry guarantees content, by its sha256. The option ``source`` decides where the archive is downloaded from, so a mirror can
replace upstream without a new lock. ``url`` is where the build was found. ``size`` is for people, and is absent if unknown.
``tar`` guarantees what a delta makes: see ``tars``. A file without ``tar`` has the first format, which older versions read too.

Builds for CPU levels exist on Linux. ``3.13+v3`` has one entry, as the request has the level; ``3.13+auto`` has one per level.

Only :func:`read_lock`, :func:`write_lock` and :func:`keep_attestations` do I/O.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..builds.catalogue import RELEASE_IN_NAME_SINCE, Build, parse_filename
from ..builds.request import Request, canonical, parse_request
from ..builds.target import Target, candidates, level_misfit, misfit, parse_triple
from ..digits import LARGEST as LARGEST_NUMBER
from ..digits import whole_number
from ..errors import ContentError, NoBuildError, StandalonePythonError, TransportError
from ..lazy import lazy_dataclass
from ..nearest import lines, repeated, repeated_in_json, unknown

# The format without sums of tars, and the one that may have them.
PLAIN, WITH_TARS = 1, 2
ABOUT = "Made by 'standalone-python lock': don't edit it. Review it, and keep it with the declaration."
LARGEST = 16 << 20

_KEYS: Mapping[str, type] = {
    "request": str,
    "target": str,
    "release": str,
    "file": str,
    "url": str,
    "sha256": str,
    "size": int,
    "tar": str,
}
_OPTIONAL = {"size", "tar"}
_TOP_KEYS = ("about", "lock", "declaration", "key", "builds")
_ANEW = "restore it, or delete it and run standalone-python lock again"


@lazy_dataclass(frozen=True)
class Locked:
    """One entry.

    :ivar request: canonical text
    :ivar target: the triple of its hosts; with a level only if the request has ``auto``
    :ivar build: always with its sha256
    :ivar url: where it was found, without credentials; a path if the source was on the controller
    :ivar size: of the archive, in bytes; None if unknown
    :ivar tar: form and SHA-256 of the tar that is packed from the archive, ``FORM:HEX``; empty if not recorded
    """

    request: str
    target: str
    build: Build
    url: str
    size: int | None = None
    tar: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.request, self.target)


@lazy_dataclass(frozen=True)
class Lock:
    """
    :ivar builds: each (request, target) once
    :ivar declaration: the path of the file that declares the requests, relative to the lock file's folder; empty if unknown
    :ivar key: the key in that file that holds the declaration; empty if the whole file is the declaration
    """

    builds: tuple[Locked, ...] = ()
    declaration: str = ""
    key: str = ""

    @property
    def targets(self) -> tuple[str, ...]:
        """The triples of hosts, without levels, sorted."""
        return tuple(sorted({parse_triple(entry.target).triple for entry in self.builds}))

    @property
    def has_tars(self) -> bool:
        """Whether an entry has the sum of its tar."""
        return any(entry.tar for entry in self.builds)


@lazy_dataclass(frozen=True)
class Slot:
    """The key of a required entry: a request, and the triple as in :attr:`Locked.target`."""

    request: Request
    target: str

    @property
    def key(self) -> tuple[str, str]:
        return (canonical(self.request), self.target)

    @property
    def host(self) -> Target:
        """The kind of host that the entry is for. If the request has a level, the host is assumed to have it."""
        target = parse_triple(self.target)
        return target if self.request.level in ("", "auto") else _with_level(target, 4)


def slots(requests: Iterable[Request], triples: Iterable[str]) -> tuple[Slot, ...]:
    """Return the entries that these requests need for these targets, each once, in the order of a lock file.

    :param triples: without levels
    :raises DeclarationError: a triple is not valid
    """
    targets = [parse_triple(triple) for triple in triples]
    needed = (
        Slot(request, _target(request, _with_level(target, level)))
        for request in requests
        for target in targets
        for level in range(1, 5)
    )
    first: dict[tuple[str, str], Slot] = {}
    for slot in needed:
        first.setdefault(slot.key, slot)
    return tuple(sorted(first.values(), key=lambda slot: _order(slot.key)))


def locked_build(lock: Lock, request: Request, target: Target, name: str) -> Build:
    """Return the build that is locked for a request on a host.

    :param name: the path of the lock file, for messages
    :raises NoBuildError: the lock has no entry, and the message has the command that adds it; or the build can't run on this host
    """
    key = (canonical(request), _target(request, target))
    build = next((entry.build for entry in lock.builds if entry.key == key), None)
    if build is None:
        raise NoBuildError(_missing(lock, request, target, name))
    unfit = misfit(target, build.triple)
    if reason := level_misfit(target, request.level) or (unfit and f"it {unfit}"):
        raise NoBuildError(f"{key[0]} is locked to {build.name} in {name}, which can't run on the host: {reason}")
    return build


def add_command(lock: Lock, name: str, triple: str = "") -> str:
    """Return the command that updates a lock file for its declaration, and for one more target."""
    path = os.path.normpath(os.path.join(os.path.dirname(name), lock.declaration))
    # Windows accepts slashes too, and they need no quotes.
    declaration = path.replace(os.sep, "/") if lock.declaration else "FILE"
    targets = () if triple in lock.targets or not triple else sorted({*lock.targets, triple})
    key = ["--key", lock.key] if lock.key else []
    more = [word for target in targets for word in ("--target", target)]
    more += ["--deltas"] if lock.has_tars else []
    return shlex.join(["standalone-python", "lock", declaration, *key, "-o", name, *more])


def _missing(lock: Lock, request: Request, target: Target, name: str) -> str:
    text, triple = canonical(request), _target(request, target)
    command = add_command(lock, name, target.triple)
    others = sorted({entry.request for entry in lock.builds if entry.target == triple})
    if others:
        return (
            f"{text} is not in the lock file {name}, which has {', '.join(others)} for {triple}: add it to the "
            f"declaration, and run: {command}"
        )
    content = f"which is for {', '.join(lock.targets)}" if lock.builds else "which is empty"
    return f"{text} for {triple} is not in the lock file {name}, {content}: run: {command}"


def format_lock(lock: Lock) -> str:
    """Return the text of a lock file; :func:`parse_lock` of it returns the same lock with sorted entries.

    :raises ContentError: a build has no sha256
    """
    entries = [_entry(entry) for entry in sorted(lock.builds, key=lambda entry: _order(entry.key))]
    origin = {name: value for name, value in (("declaration", lock.declaration), ("key", lock.key)) if value}
    form = WITH_TARS if lock.has_tars else PLAIN
    return json.dumps({"about": ABOUT, "lock": form, **origin, "builds": entries}, indent=2, ensure_ascii=False) + "\n"


def _entry(entry: Locked) -> dict[str, str | int]:
    build = entry.build
    if not build.sha256:
        raise ContentError(f"cannot lock {build.filename}, as its sha256 is unknown: choose another source")
    data: dict[str, str | int] = {
        "request": entry.request,
        "target": entry.target,
        "release": build.release,
        "file": build.filename,
        "url": entry.url,
        "sha256": build.sha256,
    }
    more = {"size": entry.size, "tar": entry.tar}
    return data | {name: value for name, value in more.items() if value}


def parse_lock(text: str, name: str) -> Lock:
    """Parse a lock file. Anything that :func:`format_lock` doesn't write is an error, except for the order of entries
    and a format that no entry needs.

    :param name: the path of the lock file, for messages
    :raises ContentError: it is not valid; the message says what is wrong, where, and what to do
    """
    if re.search(r"^(<<<<<<<|>>>>>>>)( |$)", text, re.MULTILINE):
        raise ContentError(
            f"the lock file {name} contains a merge conflict: keep either side, and run standalone-python lock, "
            "which adds and removes entries until it agrees with the declaration"
        )
    try:
        data = json.loads(text, object_pairs_hook=partial(_unique_keys, name, text))
    except json.JSONDecodeError as error:
        raise ContentError(
            f"the lock file {name} can't be read, line {error.lineno} is not JSON ({error.msg}): {_ANEW}"
        ) from None
    except RecursionError:
        raise ContentError(f"the lock file {name} can't be read, it is nested too deeply: {_ANEW}") from None
    except ValueError:
        raise ContentError(f"the lock file {name} can't be read, a number in it has too many digits: {_ANEW}") from None
    if not isinstance(data, dict) or not isinstance(data.get("builds"), list) or "lock" not in data:
        raise ContentError(f"{name} is not a lock file, it lacks 'lock' and a list 'builds': check the path, or {_ANEW}")
    # True and 1.0 are equal to 1, so compare their text.
    if json.dumps(data["lock"]) not in (str(PLAIN), str(WITH_TARS)):
        raise ContentError(
            f"the lock file {name} has the format {data['lock']!r}, but this version of standalone-python reads the formats "
            f"{PLAIN} and {WITH_TARS}: use the version that made it"
        )
    declaration, key = data.get("declaration", ""), data.get("key", "")
    for word in data:
        if word not in _TOP_KEYS:
            raise ContentError(f"{unknown('key', word, _TOP_KEYS, of=f'the lock file {name}')}; {_ANEW}")
    for word, value in (("declaration", declaration), ("key", key)):
        if not isinstance(value, str):
            raise ContentError(f"the lock file {name} can't be used, {word} is {value!r}, but must be a text: {_ANEW}")
    entries: dict[tuple[str, str], Locked] = {}
    for number, element in enumerate(data["builds"], 1):
        try:
            entry = _parse_entry(element)
        except (StandalonePythonError, ValueError) as error:
            raise ContentError(
                f"the lock file {name} can't be used, {_which(element, number)} is wrong: {error}; {_ANEW}"
            ) from None
        if entry.key in entries:
            raise ContentError(f"the lock file {name} has {entry.request} for {entry.target} twice: {_ANEW}")
        entries[entry.key] = entry
    return Lock(tuple(entries.values()), declaration, key)


def _unique_keys(name: str, text: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object.

    :raises ContentError: a key occurs twice
    """
    if twice := repeated(pairs) and repeated_in_json(text):
        key, first, second = twice
        raise ContentError(f"the lock file {name} has the key {key!r} twice in one object, in {lines(first, second)}: {_ANEW}")
    return dict(pairs)


def _which(element: Any, number: int) -> str:
    if isinstance(element, dict) and {"request", "target"} <= set(element):
        return f"its entry of {element['request']} for {element['target']}"
    return f"its entry {number}"


def _parse_entry(element: Any) -> Locked:
    """
    :raises ValueError: the entry is not valid; or another error of the core
    """
    for key in element if isinstance(element, dict) else ():
        if key not in _KEYS:
            raise ValueError(unknown("key", key, _KEYS))
    if not isinstance(element, dict) or not set(_KEYS) - _OPTIONAL <= set(element):
        raise ValueError(f"an entry must have {', '.join(key for key in _KEYS if key not in _OPTIONAL)}")
    for key, value in element.items():
        right = isinstance(value, _KEYS[key]) and not isinstance(value, bool)
        if not right or (isinstance(value, str) and not value.isprintable()):
            raise ValueError(f"{key} is {value!r}")
    if not re.fullmatch("[0-9a-f]{64}", element["sha256"]):
        raise ValueError(f"sha256 is {element['sha256']!r}, but must have 64 hexadecimal digits")
    if not 0 < element.get("size", 1) < LARGEST_NUMBER:
        raise ValueError(f"size is {element['size']}, but must be a number of bytes")
    if not re.fullmatch("[1-9][0-9]{0,3}:[0-9a-f]{64}", element.get("tar", f"1:{element['sha256']}")):
        raise ValueError(f"tar is {element['tar']!r}, but must be a number, a colon and 64 hexadecimal digits")
    request = parse_request(element["request"])
    if canonical(request) != element["request"]:
        raise ValueError(f"the request must be written {canonical(request)}")
    # The release becomes a part of paths, and the names of older files don't contain it.
    if not re.fullmatch("[0-9]{8}", element["release"]):
        raise ValueError(f"the release is {element['release']!r}, but must be a date such as 20250115")
    build = replace(parse_filename(element["file"], element["release"]), sha256=element["sha256"])
    if build.release >= RELEASE_IN_NAME_SINCE and f"+{build.release}-" not in build.filename:
        raise ValueError(f"the release is {build.release}, but the file's name has another one")
    slot = Slot(request, element["target"])
    if slot.target != _target(request, parse_triple(slot.target)):
        raise ValueError(f"the target must be written {_target(request, parse_triple(slot.target))}")
    if not _answers(build, slot):
        raise ValueError(f"{build.filename} does not match its request and target")
    return Locked(element["request"], element["target"], build, element["url"], element.get("size"), element.get("tar", ""))


def _answers(build: Build, slot: Slot) -> bool:
    request = slot.request
    return request.admits(build.version, build.variant, build.release, build.flavor) and build.triple in candidates(
        slot.host, request.level
    )


def _target(request: Request, target: Target) -> str:
    """Return the triple under which a request is locked for a host."""
    levels = request.level == "auto" and target.os == "linux"
    return candidates(target, "auto")[0] if levels else target.triple


def _with_level(target: Target, level: int) -> Target:
    return replace(target, level=level) if target.arch == "x86_64" else target


def _order(key: tuple[str, str]) -> tuple[Any, ...]:
    """Return a sort key: by request with its numbers as numbers (3.9 before 3.13), then by target."""
    text, target = key
    parts = filter(None, re.split("([0-9]+)", text))
    return ([(-1, part) if (number := whole_number(part)) is None else (number, "") for part in parts], target)


def read_lock(path: str) -> Lock:
    """
    :raises ContentError: it is not a valid lock file
    :raises TransportError: it does not exist, or can't be opened
    """
    command = shlex.join(["standalone-python", "lock", "FILE", "-o", path, "--target", "TRIPLE"])
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise TransportError(f"the lock file {path} does not exist: create it with: {command}") from None
    except OSError as error:
        raise TransportError(f"the lock file {path} can't be read ({error.strerror}): check its path and permissions") from None
    except UnicodeDecodeError:
        raise ContentError(f"the lock file {path} is not text: check that it is the right file") from None
    if len(text) > LARGEST:
        raise ContentError(f"the lock file {path} is larger than {LARGEST} bytes: check that it is the right file")
    return parse_lock(text, path)


def write_lock(path: str, lock: Lock) -> None:
    """Write a lock file atomically. If ``path`` is a link, its target is replaced.

    :raises TransportError: it can't be written; the old file is unchanged
    """
    from pathlib import Path

    from ..archives.cache import atomic_write, os_reason

    text = format_lock(lock)
    try:
        with atomic_write(Path(os.path.realpath(os.path.expanduser(path)))) as file:
            file.write(text.encode())
    except OSError as error:
        raise TransportError(
            f"the lock file {path} can't be written ({os_reason(error)}): check its folder's permissions and its disk"
        ) from None


def keep_attestations(path: str, lock: Lock, attested: Callable[[Build, str], str]) -> None:
    """Keep the attestations of all locked archives in a folder beside the lock file. Each is verified each time.

    :param attested: called with a build and its kept attestations, or empty; returns those to keep, or empty
    :raises StandalonePythonError: an attestation is wrong, missing, or can't be written; the others are kept
    """
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from ..archives.attestation import FOLDER, name_of
    from ..archives.cache import atomic_write, os_reason
    from ..archives.texts import read_optional_text

    folder = Path(os.path.realpath(os.path.expanduser(path))).parent / FOLDER

    def keep(build: Build) -> None:
        to = folder / name_of(build)
        have = read_optional_text(str(to))
        lines = attested(build, have)
        if lines and lines != have:
            folder.mkdir(exist_ok=True)
            with atomic_write(to) as file:
                file.write(lines.encode())

    builds = {entry.build.filename: entry.build for entry in lock.builds}
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(keep, builds.values()))
    except OSError as error:
        raise TransportError(
            f"attestations can't be written to {folder} ({os_reason(error)}): check its permissions and its disk"
        ) from None
