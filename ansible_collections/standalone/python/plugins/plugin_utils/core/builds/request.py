# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests: parses text such as ``3.13t`` or ``>=3.12,<3.14`` into a :class:`Request`.

Knows the names of variants, CPU levels and flavors. Which builds exist is the catalogue's business.
No I/O. ``packaging`` is imported only for requests with operators.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

from ..digits import NUMBER
from ..errors import DeclarationError
from ..nearest import nearest

if TYPE_CHECKING:
    from packaging.specifiers import Specifier, SpecifierSet

VARIANT_WORDS = ("freethreaded", "debug", "static")
Variant = Literal[
    "",
    "freethreaded",
    "debug",
    "freethreaded+debug",
    "static",
    "freethreaded+static",
    "debug+static",
    "freethreaded+debug+static",
]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
VARIANT: Mapping[str, Variant] = {variant: variant for variant in VARIANTS}
Level = Literal["", "v2", "v3", "v4", "auto"]
LEVELS: tuple[Level, ...] = ("", "v2", "v3", "v4", "auto")
Flavor = Literal["install_only_stripped", "install_only", "full"]
FLAVORS: tuple[Flavor, ...] = ("install_only_stripped", "install_only", "full")  # in order of preference
FLAVOR: Mapping[str, Flavor] = {flavor: flavor for flavor in FLAVORS}
_LEVEL: Mapping[str, Level] = {level: level for level in LEVELS}

FORMS = "3.13, 3.13.1, '>=3.12,<3.14', ~=3.13.0, 3.13t, 3.13+debug, 3.13+v3, 3.13.1+20250115 or 3.16-dev"

# The letters that CPython itself puts after a version: `python3.13t`, `python3.13d`, `python3.13td`.
_LETTERS = {"freethreaded": "t", "debug": "d"}
_OPERATORS = (">=", ">", "~=", "==", "!=", "<", "<=")
_FINAL = ("~", 0)  # sorts after 'a', 'b' and 'rc'
_VERSION = re.compile(rf"({NUMBER})\.({NUMBER})\.({NUMBER})(?:(a|b|rc)({NUMBER}))?")
_PREFIX = re.compile(r"c?python(?:[-@]\s*(?=\S)|\s*)", re.IGNORECASE)
_PLAIN = re.compile(
    rf"(?P<line>(?:{NUMBER}(?:\.{NUMBER}){{0,2}})?)(?P<pre>(?:(?<=[0-9])(?:a|b|rc){NUMBER})?)"
    r"(?P<suffix>td|t|d|)(?P<dev>-dev|)"
)
_NUMBERS = "[0-9.]+"
_TOO_MANY_DIGITS = "[0-9]{10}"
_RELEASE = re.compile(r"[0-9]{8}")
# Compiled here, as those above, and not in each of Ansible's workers.
_OTHERS = re.compile(r"(pypy|graalpy|graalvm|pyodide|pyston|jython|ironpython|micropython|stackless)", re.IGNORECASE)
# The words that may follow a plus sign, by the field that each sets; and the same for messages.
_WORDS = {"variant": VARIANT_WORDS, "level": LEVELS[1:], "flavor": FLAVORS}
_PARTS = {
    "variant": ", ".join(VARIANT_WORDS),
    "level": ", ".join(LEVELS[1:]),
    "release": "a release of 8 digits such as 20250115",
    "flavor": ", ".join(FLAVORS),
}


def variant_of(words: Collection[str]) -> Variant:
    """Return the variant that some words make up; other words are ignored."""
    return VARIANT["+".join(word for word in VARIANT_WORDS if word in words)]


def letters_of(variant: Variant) -> str:
    """Return the letters of a variant, such as ``td`` for ``freethreaded+debug``; ``static`` has none."""
    return "".join(_LETTERS.get(word, "") for word in variant.split("+"))


_VARIANT_OF = {letters_of(variant): variant for variant in VARIANTS if "static" not in variant}


@dataclass(frozen=True, slots=True)
class Version:
    """A version of CPython, ordered as PEP 440 does: ``3.14.0a1 < 3.14.0b1 < 3.14.0rc1 < 3.14.0``.

    ``pre`` is ``('a' | 'b' | 'rc', number)``, or None for a final version.
    """

    major: int
    minor: int
    micro: int
    pre: tuple[str, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Version:
        """Parse ``3.13.1`` or ``3.14.0rc2``; all three numbers are required.

        :raises DeclarationError: the text is not such a version
        """
        return _version(text)

    @property
    def minor_line(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def is_prerelease(self) -> bool:
        return self.pre is not None

    def _key(self) -> tuple[int, int, int, tuple[str, int]]:
        return (self.major, self.minor, self.micro, self.pre or _FINAL)

    def __str__(self) -> str:
        pre = f"{self.pre[0]}{self.pre[1]}" if self.pre else ""
        return f"{self.major}.{self.minor}.{self.micro}{pre}"

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __le__(self, other: Version) -> bool:
        return self._key() <= other._key()

    def __gt__(self, other: Version) -> bool:
        return self._key() > other._key()

    def __ge__(self, other: Version) -> bool:
        return self._key() >= other._key()


@lru_cache(maxsize=1024)
def _version(text: str) -> Version:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise DeclarationError(f"{text!r} is not a version of CPython: write one like 3.13.1 or 3.14.0rc2")
    major, minor, micro, phase, number = match.groups()
    return Version(int(major), int(minor), int(micro), (phase, int(number)) if phase else None)


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request. An empty field was not given.

    :ivar text: as the user wrote it, on one line; :func:`parse_request` returns the same request for it
    :ivar version: ``''``, ``3``, ``3.13``, ``3.13.1``, ``3.16.0a2``, or PEP 440 specifiers without spaces
    :ivar variant: one of :data:`VARIANTS`; empty means the plain build, not any variant
    :ivar level: the CPU level, one of :data:`LEVELS`; only :mod:`target` interprets it
    :ivar release: the tag of a release, 8 digits
    :ivar flavor: one of :data:`FLAVORS`, or empty for any
    :ivar prereleases: whether pre-releases satisfy the request
    """

    text: str
    version: str
    variant: Variant = ""
    level: Level = ""
    release: str = ""
    flavor: Flavor | Literal[""] = ""
    prereleases: bool = False

    def __str__(self) -> str:
        return self.text

    def admits(self, version: Version | str, variant: Variant, release: str, flavor: str = "") -> bool:
        """Return whether a build with these properties satisfies the request. An empty ``flavor`` matches any.

        :raises DeclarationError: ``version`` is text that is not a version
        """
        return (
            variant == self.variant
            and (not self.release or release == self.release)
            and (not self.flavor or not flavor or flavor == self.flavor)
            and self.admits_version(version)
        )

    def admits_version(self, version: Version | str) -> bool:
        """Return whether a version satisfies the request; the part of :meth:`admits` that concerns the version."""
        found = _version(version) if isinstance(version, str) else version
        return _matches(self.version, found) and (self.prereleases or not found.is_prerelease)

    def admits_minor(self, minor: str) -> bool:
        """Return False if no version of the minor line (``3.13``) can satisfy the request, True if one may."""
        if _has_operator(self.version):
            return all(_reaches(specifier, minor) for specifier in _specifiers(self.version))
        wanted = self.version.split(".")[:2] if self.version else []
        return minor.split(".")[: len(wanted)] == wanted


def parse_request(text: str) -> Request:
    """Parse a request; :data:`FORMS` has examples.

    ``-dev``, an exact pre-release, or a specifier (except ``!=``) that names a pre-release allows pre-releases.

    :raises DeclarationError: the text is not valid; the message has the text and the valid forms
    """
    stripped = " ".join(text.split())
    if not stripped:
        raise DeclarationError(f"the request is empty: write a version such as {FORMS}")
    other = _OTHERS.match(stripped)
    if other is not None:
        raise DeclarationError(
            f"the request {stripped!r} asks for {other[1]}, but there are builds of CPython only: write a version such as {FORMS}"
        )
    head, *parts = (part.strip() for part in stripped.split("+"))
    prefix = _PREFIX.match(head)
    head = head[prefix.end() :] if prefix else head
    base = _with_operators(stripped, head) if _has_operator(head) else _without_operators(stripped, head, bool(prefix))
    fields = _read_parts(stripped, [*base.variant.split("+"), *parts])
    return _filled(base, stripped, fields)


def with_parts(request: Request, *, variant: str = "", flavor: str = "", release: str = "") -> Request:
    """Add the options that a mapping has beside its request; an empty option was not given.

    ``variant`` may also name a CPU level (``v3``, ``debug+auto``). The new request's ``text`` contains all fields.

    :raises DeclarationError: an option is not valid, or contradicts the request; the message has both
    """
    fields = _read_parts(variant, variant.split("+"), "variant", ("variant", "level"))
    fields |= _read_parts(release, [release], "release", ("release",))
    fields |= _read_parts(flavor, [flavor], "flavor", ("flavor",))
    options = {"variant": variant, "level": variant, "release": release, "flavor": flavor}
    news = []
    for name, value in fields.items():
        present = getattr(request, name)
        if present not in ("", value):
            option = "variant" if name == "level" else name
            raise DeclarationError(
                f"the request {request.text!r} has the {name} {present!r}, but the option "
                f"{option} is {options[name]!r}: remove one of them"
            )
        if not present:
            news.append(value)
    return _filled(request, "+".join([request.text, *news]), fields)


def canonical(request: Request) -> str:
    """Return the same text for all equivalent requests: ``3.13+freethreaded`` for ``cpython-3.13t``.

    :func:`parse_request` of it returns an equal request, except for its ``text``.
    """
    version = request.version or "cpython"
    if _has_operator(version):
        version = ",".join(sorted(dict.fromkeys(version.split(",")), key=_specifier_order))
    elif request.prereleases and re.fullmatch(_NUMBERS, version):
        version += "-dev"
    parts = (version, request.variant, request.level, request.release, request.flavor)
    return "+".join(part for part in parts if part)


def _specifier_order(specifier: str) -> tuple[int, str]:
    """Return a sort key that puts lower bounds first."""
    operator = re.match("[<>=!~]+", specifier)
    return (_OPERATORS.index(operator[0]) if operator else 0, specifier)


def _filled(request: Request, text: str, fields: dict[str, str]) -> Request:
    if not fields and text == request.text:
        return request
    return replace(
        request,
        text=text,
        variant=VARIANT[fields["variant"]] if "variant" in fields else request.variant,
        level=_LEVEL[fields["level"]] if "level" in fields else request.level,
        release=fields.get("release", request.release),
        flavor=FLAVOR[fields["flavor"]] if "flavor" in fields else request.flavor,
    )


def _has_operator(text: str) -> bool:
    return any(character in text for character in "<>=!~")


def _unreadable(text: str, reason: str) -> DeclarationError:
    return DeclarationError(f"the request {text!r} can't be read, {reason}: write one like {FORMS}")


def _without_operators(text: str, head: str, named: bool) -> Request:
    match = _PLAIN.fullmatch(head)
    if match is None or (not match["line"] and (match["suffix"] or match["dev"] or not named)):
        several = f", and several are a list: {[part.strip() for part in text.split(',')]}" if "," in text else ""
        raise _unreadable(text, f"{head!r} is not a version{several}")
    line, pre = match["line"], match["pre"]
    if pre:
        line = line if line.count(".") == 2 else f"{line}.0"
        if line.count(".") != 2:
            raise _unreadable(text, f"{head!r} is not a version")
    if match["dev"] and line.count(".") == 2:
        raise _unreadable(text, f"-dev goes with a minor version and {line + pre!r} is an exact one")
    prereleases = bool(pre or match["dev"])
    return Request(text, line + pre, variant=_VARIANT_OF[match["suffix"]], prereleases=prereleases)


def _with_operators(text: str, head: str) -> Request:
    from packaging.specifiers import InvalidSpecifier
    from packaging.specifiers import Specifier as OneSpecifier
    from packaging.version import Version as AnyVersion

    try:
        if re.search(_TOO_MANY_DIGITS, head):
            raise InvalidSpecifier(head)
        specifiers = [OneSpecifier(part) for part in head.split(",")]
    except InvalidSpecifier:
        raise _unreadable(text, f"{head!r} is not a valid set of version specifiers (PEP 440)") from None
    if any(specifier.operator == "===" for specifier in specifiers):
        raise _unreadable(text, "=== compares text, not versions")
    prereleases = any(
        specifier.operator != "!=" and AnyVersion(specifier.version.removesuffix(".*")).is_prerelease for specifier in specifiers
    )
    compact = ",".join(f"{specifier.operator}{specifier.version}" for specifier in specifiers)
    return Request(text, compact, prereleases=prereleases)


def _part(word: str) -> tuple[str, str]:
    """Return the field that a word after a plus sign sets, and the word; the field of an unknown word is empty."""
    if _RELEASE.fullmatch(word):
        return "release", word
    for field, words in _WORDS.items():
        if word in words:
            return field, word
    return "", word


def _read_parts(
    text: str,
    words: list[str],
    option: str = "",
    fields: tuple[str, ...] = ("variant", "level", "release", "flavor"),
) -> dict[str, str]:
    """Return the fields of a request that some words set. Only variants combine. An empty first word sets nothing."""
    found: dict[str, str] = {}
    variants: set[str] = set()
    for position, word in enumerate(words):
        if not word and position == 0:
            continue
        field, value = _part(word)
        if field not in fields:
            subject = f"the option {option}: {text!r}" if option else f"the request {text!r}"
            near = nearest(word, [one for name in fields for one in _WORDS.get(name, ())])
            advice = f"did you mean `{near}`?" if near else f"valid are {'; '.join(_PARTS[name] for name in fields)}"
            raise DeclarationError(f"{subject} can't be read, {word!r} is unknown: {advice}")
        if field == "variant":
            variants.add(value)
        elif found.setdefault(field, value) != value:
            raise DeclarationError(f"the request {text!r} has two {field}s, {found[field]} and {value}: leave one out")
    if variants:
        found["variant"] = variant_of(variants)
    return found


@lru_cache(maxsize=256)
def _specifiers(text: str) -> SpecifierSet:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(text)


@lru_cache(maxsize=4096)
def _matches(wanted: str, version: Version) -> bool:
    if _has_operator(wanted):
        return _specifiers(wanted).contains(str(version), prereleases=True)
    return wanted in ("", str(version.major), version.minor_line, str(version))


def _reaches(specifier: Specifier, minor: str) -> bool:
    """Return whether a version of the minor line can satisfy one specifier, judged by the line's ends."""
    from packaging.version import Version as AnyVersion

    operator, text = specifier.operator, specifier.version
    line = tuple(int(number) for number in minor.split("."))
    release = AnyVersion(text.removesuffix(".*")).release
    if operator == "!=":
        return True
    if operator == "==":
        wanted = release[:2] if text.endswith(".*") else (*release, 0)[:2]
        return line[: len(wanted)] == wanted
    if operator == "~=" and len(release) > 2:
        return line == release[:2]
    end = f"{minor}.0a0" if operator.startswith("<") else f"{minor}.99999"
    return specifier.contains(end, prereleases=True)
