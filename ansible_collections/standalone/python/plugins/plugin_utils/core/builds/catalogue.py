# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogues: the known builds, and the build that satisfies a request on a target.

A catalogue has one text for each minor version, with lines ``tag<TAB>file name<TAB>sha256 or -``.
A fourth column has the file's size in bytes, if it is known. The bundled catalogue is in ``catalogue_data``.
Reading is lazy: lines are filtered as raw text, and only those of one version are parsed.
Never downloads anything and never looks at the host.

The data's folder can't have the name of this module: Ansible's loader would take the folder for the module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..digits import NUMBER
from ..errors import ContentError, NoBuildError
from .request import FLAVOR, FLAVORS, VARIANT_WORDS, VARIANTS, Flavor, Level, Request, Variant, Version, canonical, variant_of
from .target import Os, Target, candidates, level_misfit, misfit

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "catalogue_data")

# The order of builds that differ in nothing else, best first. An optimisation that is not listed comes last.
OPTIMISATIONS = ("pgo+lto", "pgo", "lto", "noopt")
# Platforms in the file names of 2018 and 2019 -> target triple.
PLATFORMS = {
    "linux64": "x86_64-unknown-linux-gnu",
    "linux64-musl": "x86_64-unknown-linux-musl",
    "macos": "x86_64-apple-darwin",
    "windows-amd64": "x86_64-pc-windows-msvc",
    "windows-x86": "i686-pc-windows-msvc",
}
# The first release whose file names contain the release, and no time.
RELEASE_IN_NAME_SINCE = "20220227"
# The other triples of a system and an architecture, to suggest when there is no build.
RELATED: Mapping[Os, tuple[str, ...]] = {
    "linux": ("unknown-linux-gnu", "unknown-linux-gnueabihf", "unknown-linux-gnueabi", "unknown-linux-musl"),
    "darwin": ("apple-darwin",),
    "windows": ("pc-windows-msvc",),
}
# musl builds before this release are static, although their names don't contain it (release notes of 20250311).
MUSL_DYNAMIC_SINCE = "20250311"
Compression = Literal["gz", "zst"]
COMPRESSIONS: Mapping[Flavor, Compression] = {"full": "zst", "install_only": "gz", "install_only_stripped": "gz"}
SUFFIXES: Mapping[Compression, str] = {"gz": ".tar.gz", "zst": ".tar.zst"}

NEAREST = 5
_LEVEL_OF: Mapping[str, Level] = {"_v2": "v2", "_v3": "v3", "_v4": "v4"}

_VERSION = rf"{NUMBER}\.{NUMBER}\.{NUMBER}(?:(?:a|b|rc){NUMBER})?"
_TRIPLE = r"[a-z0-9_]+-(?:unknown-linux-[a-z]+|apple-darwin|pc-windows-msvc)"
_OPTIONS = r"[a-z0-9]+(?:[+-][a-z0-9]+)*"
# Names since 2022: cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-pgo+lto-full.tar.zst, on Windows `shared-pgo`.
_NAME = re.compile(
    rf"cpython-(?P<version>{_VERSION})\+(?P<release>[0-9]{{8}})-(?P<platform>{_TRIPLE})(?:-(?P<options>{_OPTIONS}))?"
    r"-(?P<flavor>install_only_stripped|install_only|full)"
)
# Names before: cpython-3.9.0-x86_64-apple-darwin-pgo-20201020T0626.tar.zst, whose flavor is full.
# In 2018 and 2019: cpython-3.7.1-linux64-20181218T1905.tar.zst.
_DATED = (
    rf"cpython-(?P<version>{_VERSION})-(?P<platform>{_TRIPLE}|{'|'.join(sorted(PLATFORMS, reverse=True))})"
    rf"(?:-(?P<options>{_OPTIONS}))??(?:-(?P<flavor>install_only))?-(?P<release>[0-9]{{8}})(?P<time>T[0-9]{{4}})"
)
_ROW = r"([0-9]{8})\t(cpython-([0-9]{1,9}\.[0-9]{1,9})\.[^\t/\\]+)\t(-|[0-9a-f]{64})(?:\t[1-9][0-9]{0,17})?"
_VERSION_OF_ROW = re.compile(_VERSION)
_VERSION_STARTS = len("20250115\tcpython-")


@dataclass(frozen=True, slots=True)
class Build:
    """One artifact of python-build-standalone.

    :ivar release: the tag of its release, 8 digits
    :ivar options: as its name has them: ``pgo+lto``, ``freethreaded+debug``, ``shared-pgo``, empty, ...
    :ivar filename: upstream's, verbatim; empty if :func:`parse_name` can't derive it
    :ivar sha256: of the file, None if unknown
    :ivar size: of the file in bytes, None if unknown
    """

    version: Version
    release: str
    triple: str
    options: str
    flavor: Flavor
    filename: str
    sha256: str | None = None
    size: int | None = field(default=None, compare=False)

    @property
    def variant(self) -> Variant:
        words = set(_words(self.options))
        if "-musl" in self.triple and self.release < MUSL_DYNAMIC_SINCE:
            words.add("static")
        return variant_of(words)

    @property
    def optimisation(self) -> str:
        """The options that are not variants, such as ``pgo+lto``."""
        return "+".join(word for word in _words(self.options) if word not in VARIANT_WORDS and word != "shared")

    @property
    def optimisation_rank(self) -> int:
        """The index in :data:`OPTIMISATIONS`, 0 for the best."""
        optimisation = self.optimisation
        return OPTIMISATIONS.index(optimisation) if optimisation in OPTIMISATIONS else len(OPTIMISATIONS)

    @property
    def age(self) -> tuple[Version, str]:
        """A sort key: of builds of one line, the newest has the largest."""
        return (self.version, self.release)

    @property
    def recency(self) -> tuple[Version, str, str]:
        """What ``latest`` compares. Of a request for any CPU level, builds that differ in nothing else differ in that."""
        return (*self.age, self.level)

    @property
    def compression(self) -> Compression:
        """The compression of its archive."""
        return COMPRESSIONS[self.flavor]

    @property
    def level(self) -> Level:
        """The CPU level that the build needs: empty, ``v2``, ``v3`` or ``v4``."""
        return _LEVEL_OF.get(self.triple.partition("-")[0][-3:], "")

    @property
    def name(self) -> str:
        """The name of the build's folder on a host; it has the same form for old and new releases."""
        options = f"{self.options}-" if self.options else ""
        return f"cpython-{self.version}+{self.release}-{self.triple}-{options}{self.flavor}"

    def __str__(self) -> str:
        """Return a request for this build, with its triple and flavor."""
        variant = f"+{self.variant}" if self.variant else ""
        return f"{self.version}+{self.release}{variant} ({self.triple}, {self.flavor})"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Known builds.

    :ivar name: for messages, such as ``the bundled catalogue``
    :ivar minors: its minor versions, newest first
    :ivar read: minor version -> its rows, as text
    :ivar remark: why it may lack builds that the source has; appended to the error when there is no build
    """

    name: str
    minors: tuple[str, ...]
    read: Callable[[str], str]
    remark: str = ""


def parse_filename(filename: str, tag: str = "") -> Build:
    """Parse the file name of an archive, old or new; ``sha256`` is None.

    :param tag: the release; if empty, the date in the name
    :raises ContentError: it is not the name of a build
    """
    return _parse(filename, tag, None)


def parse_name(name: str) -> Build | None:
    """Parse the name of a folder, as :attr:`Build.name` returns it; None if it is not such a name.

    ``sha256`` is None. ``filename`` is empty for releases before 2022, whose file names contain a time.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    flavor = FLAVOR[match["flavor"]]
    filename = name + SUFFIXES[COMPRESSIONS[flavor]] if match["release"] >= RELEASE_IN_NAME_SINCE else ""
    return Build(
        Version.parse(match["version"]),
        match["release"],
        match["platform"],
        match["options"] or "",
        flavor,
        filename,
    )


def bundled() -> Catalogue:
    """Return the catalogue that is part of this project.

    :raises ContentError: its data is missing
    """
    try:
        minors = [name.removesuffix(".tsv") for name in os.listdir(DATA) if name.endswith(".tsv")]
    except FileNotFoundError:
        raise ContentError(f"the bundled catalogue is missing from {DATA}: reinstall standalone-python") from None
    return Catalogue("the bundled catalogue", _newest_first(minors), _read_bundled)


def from_rows(name: str, text: str) -> Catalogue:
    """Return a catalogue of rows ``tag<TAB>file name<TAB>sha256 or -[<TAB>size]`` in any order; a header line is optional.

    :raises ContentError: a line is not a row; the message has its number and text
    """
    minors: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or (number == 1 and line.startswith("tag\t")):
            continue
        match = re.fullmatch(_ROW, line)
        if match is None:
            raise ContentError(
                f"{name} can't be read as a catalogue, line {number} is {line[:120]!r}: "
                "a row is a tag, a file name, a sha256 (or -) and optionally a size, separated by tabs"
            )
        parse_filename(match[2], match[1])
        minors.setdefault(match[3], []).append(line)
    texts = {minor: "\n".join(lines) for minor, lines in minors.items()}
    return Catalogue(name, _newest_first(texts), texts.__getitem__)


def is_build(filename: str) -> bool:
    """Return whether a file has the name of a build's archive."""
    try:
        parse_filename(filename)
    except ContentError:
        return False
    return True


def builds(catalogue: Catalogue, minor: str = "", triples: Iterable[str] = ()) -> Iterator[Build]:
    """Yield the builds of a catalogue, of one minor version or of all, for some triples or for all, in the order of the data."""
    for present in catalogue.minors:
        if minor in ("", present):
            text = catalogue.read(present)
            yield from map(_parse_row, _lines(text, triples) if triples else filter(None, text.splitlines()))


def newest_of_line(build: Build, catalogue: Catalogue) -> Build | None:
    """Return the newest known build of a build's line and triple, preferably of its flavor and options; None if none is known.

    It is a pre-release only if ``build`` is one, or there is no other.
    """
    minor = build.version.minor_line
    if minor not in catalogue.minors:
        return None
    known = [other for other in builds(catalogue, minor, [build.triple]) if other.triple == build.triple]
    known = [other for other in known if other.variant == build.variant]
    final = [other for other in known if not other.version.is_prerelease]
    return max(
        known if build.version.is_prerelease else final or known,
        key=lambda other: (*other.age, other.flavor == build.flavor, other.options == build.options, other.name),
        default=None,
    )


def resolve(request: Request, target: Target, catalogue: Catalogue) -> Build:
    """Return the build that satisfies a request on a target.

    Of all builds that the request admits and that can run on the target, it is the one with the newest version, then
    the newest release (by tag), then the preferred flavor, optimisation and CPU level.

    :raises NoBuildError: there is no such build; the message has the reason and the nearest builds
    """
    triples: tuple[str, ...] = ()
    if not level_misfit(target, request.level):
        triples = tuple(triple for triple in candidates(target, request.level) if not misfit(target, triple))
    for minor in catalogue.minors:
        if triples and request.admits_minor(minor):
            found = _newest(catalogue.read(minor), request, triples)
            if found is not None:
                return found
    raise NoBuildError("; ".join(filter(None, (_reason_for_none(request, target, catalogue), catalogue.remark))))


def _words(options: str) -> list[str]:
    return options.replace("-", "+").split("+")


def _split_suffix(filename: str) -> tuple[str, str]:
    stem, dot, suffix = filename.rpartition(".tar.")
    return stem, dot + suffix


def _newest_first(minors: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(minors, key=lambda minor: [int(number) for number in minor.split(".")], reverse=True))


def _read_bundled(minor: str) -> str:
    with open(os.path.join(DATA, f"{minor}.tsv"), "rb") as file:
        return file.read().decode("ascii")


def _parse(filename: str, tag: str, sha256: str | None, size: int | None = None) -> Build:
    stem, suffix = _split_suffix(filename)
    match = _NAME.fullmatch(stem) or re.fullmatch(_DATED, stem)
    flavor = FLAVOR[match["flavor"] or "full"] if match else "full"
    if match is None or SUFFIXES[COMPRESSIONS[flavor]] != suffix:
        raise ContentError(
            f"{filename!r} is not the name of a build: they look like "
            "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz"
        )
    return Build(
        Version.parse(match["version"]),
        tag or match["release"],
        PLATFORMS.get(match["platform"], match["platform"]),
        match["options"] or "",
        flavor,
        filename,
        sha256,
        size,
    )


def _parse_row(line: str) -> Build:
    tag, filename, sha256, *size = line.split("\t")
    return _parse(filename, tag, None if sha256 == "-" else sha256, int(size[0]) if size else None)


def _lines(text: str, triples: Iterable[str]) -> list[str]:
    """Return the rows for some triples, found by their names in the raw text."""
    wanted = set(triples)
    spellings = [*wanted, *(platform for platform, triple in PLATFORMS.items() if triple in wanted)]
    needles = [needle for needle in (f"-{spelling}-" for spelling in spellings) if needle in text]
    lines = text.splitlines() if needles else []
    return [line for needle in needles for line in lines if needle in line]


def _newest(text: str, request: Request, triples: tuple[str, ...]) -> Build | None:
    """Return the preferred build of the newest version that has one."""
    rows: dict[str, list[str]] = {}
    for line in _lines(text, triples):
        match = _VERSION_OF_ROW.match(line, _VERSION_STARTS)
        if match is not None and line.startswith(request.release):
            rows.setdefault(match[0], []).append(line)
    for version in sorted(filter(request.admits_version, map(Version.parse, rows)), reverse=True):
        found = best(map(_parse_row, rows[str(version)]), request, triples)
        if found is not None:
            return found
    return None


def best(known: Iterable[Build], request: Request, triples: tuple[str, ...]) -> Build | None:
    """Return the preferred build that a request admits and that is for one of the triples, or None."""
    return max(_admitted(known, request, triples), key=_preference(triples), default=None)


def ranked(known: Iterable[Build], request: Request, triples: tuple[str, ...]) -> list[Build]:
    """Return the builds that a request admits and that are for one of the triples, in the order of :func:`best`."""
    return sorted(_admitted(known, request, triples), key=_preference(triples), reverse=True)


def _admitted(known: Iterable[Build], request: Request, triples: tuple[str, ...]) -> Iterator[Build]:
    return (
        build
        for build in known
        if build.triple in triples and request.admits(build.version, build.variant, build.release, build.flavor)
    )


def _preference(triples: tuple[str, ...]) -> Callable[[Build], tuple[Version, str, int, int, int, str]]:
    """Return a sort key: the preferred build is the largest."""

    def rank(build: Build) -> tuple[Version, str, int, int, int, str]:
        flavor, optimisation = FLAVORS.index(build.flavor), build.optimisation_rank
        return (build.version, build.release, -flavor, -optimisation, -triples.index(build.triple), build.filename)

    return rank


def _reason_for_none(request: Request, target: Target, catalogue: Catalogue) -> str:
    """Return why no build satisfies a request, and the nearest builds."""
    subject = f"no build of {request.text} for {target} in {catalogue.name}"
    texts = [catalogue.read(minor) for minor in catalogue.minors]
    if not any(texts):
        return f"{subject}: it has no builds"
    barred = level_misfit(target, request.level)
    unfit = misfit(target, target.triple)
    wanted = (target.triple,) if barred else candidates(target, request.level)
    related = dict.fromkeys([*wanted, target.triple, *(f"{target.arch}-{rest}" for rest in RELATED[target.os])])
    known = [_parse_row(line) for text in texts for line in _lines(text, related)]
    reason, near = next((step for step in _relaxed(known, request, wanted) if step[1]), ("", []))
    near += [] if near else _neighbours(known, request, wanted)
    near += [build for triple in related if (build := best(known, request, (triple,))) is not None]
    names = [str(build) for build in dict.fromkeys(near)][:NEAREST]
    nearest = f"; nearest {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else ""
    if unfit:
        unfit = f"a build for {target.triple} {unfit}"
    return f"{subject}: {barred or unfit or reason or _missing(texts, request, wanted)}{nearest}"


def _relaxed(known: list[Build], request: Request, wanted: tuple[str, ...]) -> Iterator[tuple[str, list[Build]]]:
    """Drop one condition of a request at a time, and yield the reason that this condition is, with the builds without it."""

    def found(*requests: Request) -> list[Build]:
        return [build for relaxed in requests if (build := best(known, relaxed, wanted)) is not None]

    yield "", found(request)
    early = found(replace(request, prereleases=True))
    # The other conditions stay: the request's release has other versions than the newest release.
    versions = [request.version] if _numbers(request.version) else [str(build.version) for build in early]
    working = (canonical(replace(request, version=version, prereleases=True)) for version in versions)
    yield f"only pre-releases of it exist, request {_or(working)}", early
    flavors = found(*(replace(request, flavor=flavor) for flavor in FLAVORS)) if request.flavor else []
    yield f"it exists only as {_or(build.flavor for build in flavors)}", flavors
    yield f"release {request.release} doesn't have it", found(replace(request, release=""))
    variants = found(*(replace(request, variant=variant) for variant in VARIANTS))
    yield f"it exists only as {_or(build.variant or 'plain' for build in variants)}", variants


def _neighbours(known: list[Build], request: Request, wanted: tuple[str, ...]) -> list[Build]:
    """Return the nearest versions below and above for the triples; plain builds or pre-releases if there is no other."""
    loose = replace(request, version="", release="", flavor="")
    fitting = [build for build in known if best([build], loose, wanted)]
    if not fitting and (request.variant or not request.prereleases):
        return _neighbours(known, replace(request, variant="", prereleases=not request.variant), wanted)
    numbers = _numbers(request.version)

    def numbers_of(build: Build) -> tuple[int, ...]:
        return (build.version.major, build.version.minor, build.version.micro)[: len(numbers)]

    above = min((numbers_of(build) for build in fitting if numbers_of(build) > numbers), default=())
    sides = (
        [build for build in fitting if numbers_of(build) <= numbers],
        [build for build in fitting if numbers_of(build) == above],
    )
    return [build for side in sides if (build := best(side, loose, wanted)) is not None]


def _missing(texts: list[str], request: Request, wanted: tuple[str, ...]) -> str:
    """Return the reason if dropping a single condition doesn't help."""
    starts = re.compile(rf"\tcpython-({_VERSION})")
    if any(request.admits_version(version) for text in texts for version in set(starts.findall(text))):
        return f"there is none for {_or(wanted)}"
    return f"it has no version {request.version}"


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers in the version of a request; empty if it has operators."""
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(number) for number in match[0].split(".")) if match else ()


def _or(words: Iterable[str]) -> str:
    *some, last = dict.fromkeys(words) or [""]
    return f"{', '.join(some)} or {last}" if some else last
