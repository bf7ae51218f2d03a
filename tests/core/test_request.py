# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests: every form that there is, what each admits, and what is refused in which words."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version as AnyVersion

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import (
    FLAVORS,
    FORMS,
    LEVELS,
    VARIANTS,
    Request,
    Version,
    parse_request,
    with_parts,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError

numbers = st.integers(min_value=0, max_value=30)
versions = st.builds(Version, numbers, numbers, numbers, st.none() | st.tuples(st.sampled_from(["a", "b", "rc"]), numbers))
variants = st.sampled_from(VARIANTS)
releases = st.sampled_from(["", "20250115", "20261021"])
lines = st.sampled_from(["3", "3.13", "3.9", "3.13.1", "3.16-dev"])
operators = st.sampled_from([">=", "<=", ">", "<", "==", "!=", "~="])
bounds = st.builds(
    lambda operator, version, short: f"{operator}{version.minor_line if short else version}",
    operators,
    versions,
    st.booleans(),
)
specifier_sets = st.lists(bounds, min_size=1, max_size=3).map(",".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", {"version": "3"}),
        ("3.13", {"version": "3.13"}),
        ("3.10", {"version": "3.10"}),
        ("3.13.1", {"version": "3.13.1"}),
        ("  3.13 ", {"version": "3.13", "text": "3.13"}),
        ("python3.13", {"version": "3.13"}),
        ("Python 3.13", {"version": "3.13"}),
        ("cpython3.13", {"version": "3.13"}),
        ("cpython-3.13", {"version": "3.13"}),
        ("cpython@3.13", {"version": "3.13"}),
        ("cpython", {"version": ""}),
        ("python>=3.12", {"version": ">=3.12"}),
        (">=3.12,<3.14", {"version": ">=3.12,<3.14"}),
        (">= 3.12 , < 3.14", {"version": ">=3.12,<3.14"}),
        ("~=3.13.0", {"version": "~=3.13.0"}),
        ("==3.13.*", {"version": "==3.13.*"}),
        ("3.13t", {"version": "3.13", "variant": "freethreaded"}),
        ("3.13d", {"version": "3.13", "variant": "debug"}),
        ("3.13td", {"version": "3.13", "variant": "freethreaded+debug"}),
        ("3.13.1t", {"version": "3.13.1", "variant": "freethreaded"}),
        ("3.13+freethreaded", {"version": "3.13", "variant": "freethreaded"}),
        ("3.13+debug", {"version": "3.13", "variant": "debug"}),
        ("3.13+debug+freethreaded", {"version": "3.13", "variant": "freethreaded+debug"}),
        ("3.13t+debug", {"version": "3.13", "variant": "freethreaded+debug"}),
        ("3.13t+freethreaded", {"version": "3.13", "variant": "freethreaded"}),
        ("3.13+static+debug", {"version": "3.13", "variant": "debug+static"}),
        ("3.13.1+20250115", {"version": "3.13.1", "release": "20250115"}),
        (
            "3.13.1+20250115+freethreaded",
            {"version": "3.13.1", "release": "20250115", "variant": "freethreaded"},
        ),
        ("3.13 + 20250115", {"version": "3.13", "release": "20250115"}),
        ("3.13+v3", {"version": "3.13", "level": "v3"}),
        ("3.13t+auto", {"version": "3.13", "variant": "freethreaded", "level": "auto"}),
        ("3.13+full", {"version": "3.13", "flavor": "full"}),
        (">=3.13+freethreaded", {"version": ">=3.13", "variant": "freethreaded"}),
        ("3.16.0a2", {"version": "3.16.0a2", "prereleases": True}),
        ("3.16rc1", {"version": "3.16.0rc1", "prereleases": True}),
        ("3.14.0rc1t", {"version": "3.14.0rc1", "variant": "freethreaded", "prereleases": True}),
        ("3.16-dev", {"version": "3.16", "prereleases": True}),
        ("3.16t-dev", {"version": "3.16", "variant": "freethreaded", "prereleases": True}),
        ("3.16-dev+freethreaded", {"version": "3.16", "variant": "freethreaded", "prereleases": True}),
        (">=3.16.0a1", {"version": ">=3.16.0a1", "prereleases": True}),
        (">=3.12,!=3.16.0a1", {"version": ">=3.12,!=3.16.0a1"}),
    ],
)
def test_forms(text: str, expected: dict[str, str | bool]) -> None:
    assert parse_request(text) == Request(**({"text": text} | expected))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"the request is empty: write a version such as {FORMS}"),
        (" \t", f"the request is empty: write a version such as {FORMS}"),
        (
            "pypy3.10",
            (f"the request 'pypy3.10' asks for pypy, but there are builds of CPython only: write a version such as {FORMS}"),
        ),
        (
            "GraalPy-24",
            (f"the request 'GraalPy-24' asks for GraalPy, but there are builds of CPython only: write a version such as {FORMS}"),
        ),
        ("latest", f"the request 'latest' can't be read, 'latest' is not a version: write one like {FORMS}"),
        (
            "3.9,3.13",
            f"the request '3.9,3.13' can't be read, '3.9,3.13' is not a version, and several are a list: ['3.9', '3.13']: write one like {FORMS}",
        ),
        ("3.13x", f"the request '3.13x' can't be read, '3.13x' is not a version: write one like {FORMS}"),
        ("3.013", f"the request '3.013' can't be read, '3.013' is not a version: write one like {FORMS}"),
        ("^3.13", f"the request '^3.13' can't be read, '^3.13' is not a version: write one like {FORMS}"),
        (
            "3.13.1-dev",
            (
                "the request '3.13.1-dev' can't be read, -dev goes with a minor version and '3.13.1' is an "
                f"exact one: write one like {FORMS}"
            ),
        ),
        (
            ">=3.1 2",
            (
                f"the request '>=3.1 2' can't be read, '>=3.1 2' is not a valid set of version specifiers (PEP 440): write one like {FORMS}"
            ),
        ),
        (
            "===3.13.1",
            (f"the request '===3.13.1' can't be read, === compares text, not versions: write one like {FORMS}"),
        ),
        (
            "3.13+nogil",
            (
                "the request '3.13+nogil' can't be read, 'nogil' is unknown: valid are "
                "freethreaded, debug, static; v2, v3, v4, auto; a release of 8 digits such as 20250115; "
                "install_only_stripped, install_only, full"
            ),
        ),
        (
            "3.13+20250115+20250116",
            "the request '3.13+20250115+20250116' has two releases, 20250115 and 20250116: leave one out",
        ),
        ("3.13+v3+auto", "the request '3.13+v3+auto' has two levels, v3 and auto: leave one out"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_request(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        *(
            "3.13+",
            "+debug",
            "+",
            "3.13++debug",
            "3.",
            ".13",
            "3..13",
            "3.13.1.2",
            "t",
            "-dev",
            "cpython-",
            "3rc1",
        ),
        *(
            "python-dev",
            "3.13dt",
            "3.13 t",
            ">=",
            ">=3.12,",
            ",",
            ">=3.12,3.14",
            "=3.13",
            "~3.13",
            "3.\u0661",
        ),
        *("3.13-20250115", "3.13\n3.14", "3.13+2025011", "\x00"),
        "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz",
    ],
)
def test_junk(text: str) -> None:
    with pytest.raises(DeclarationError):
        parse_request(text)


@given(st.text())
def test_any_text_is_a_request_or_a_declaration_error(text: str) -> None:
    try:
        request = parse_request(text)
    except DeclarationError as error:
        message = str(error)
    else:
        message = "read"
        assert request.text == " ".join(text.split())
    assert len(message.splitlines()) == 1


@given(st.text(alphabet="0123456789.+-<>=!~, abrctdvpyhonfuleg@", max_size=24))
def test_text_of_the_right_letters_is_a_request_or_a_declaration_error(text: str) -> None:
    try:
        request = parse_request(text)
    except DeclarationError:
        return
    assert parse_request(request.text) == request
    request.admits(Version(3, 13, 1), "", "20250115")
    request.admits_minor("3.13")


@given(lines, variants, st.sampled_from(LEVELS), releases, st.sampled_from(["", *FLAVORS]))
def test_text_says_the_whole_request(line: str, variant: str, level: str, release: str, flavor: str) -> None:
    said = "+".join(part for part in (variant, level) if part)
    request = with_parts(parse_request(line), variant=said, release=release, flavor=flavor)
    assert (request.variant, request.level, request.release, request.flavor) == (
        variant,
        level,
        release,
        flavor,
    )
    assert parse_request(request.text) == request
    assert with_parts(request, variant=said, release=release, flavor=flavor) == request


@pytest.mark.parametrize(
    ("text", "parts", "message"),
    [
        (
            "3.13t",
            {"variant": "debug"},
            ("the request '3.13t' has the variant 'freethreaded', but the option variant is 'debug': remove one of them"),
        ),
        (
            "3.13+v3",
            {"variant": "auto"},
            ("the request '3.13+v3' has the level 'v3', but the option variant is 'auto': remove one of them"),
        ),
        (
            "3.13+20250115",
            {"release": "20261021"},
            ("the request '3.13+20250115' has the release '20250115', but the option release is '20261021': remove one of them"),
        ),
        (
            "3.13+full",
            {"flavor": "install_only"},
            ("the request '3.13+full' has the flavor 'full', but the option flavor is 'install_only': remove one of them"),
        ),
        (
            "3.13",
            {"variant": "fast"},
            (
                "the option variant: 'fast' can't be read, 'fast' is unknown: "
                "valid are freethreaded, debug, static; v2, v3, v4, auto"
            ),
        ),
        (
            "3.13",
            {"flavor": "stripped"},
            ("the option flavor: 'stripped' can't be read, 'stripped' is unknown: did you mean `install_only_stripped`?"),
        ),
        (
            "3.13",
            {"release": "2025-01-15"},
            (
                "the option release: '2025-01-15' can't be read, '2025-01-15' is unknown: "
                "valid are a release of 8 digits such as 20250115"
            ),
        ),
    ],
)
def test_contradictions(text: str, parts: dict[str, str], message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        with_parts(parse_request(text), **parts)
    assert str(caught.value) == message


def test_parts_add_to_a_request() -> None:
    request = with_parts(parse_request("3.13"), variant="debug", release="20250115")
    assert request == Request("3.13+debug+20250115", "3.13", variant="debug", release="20250115")


@given(versions)
def test_version_round_trips(version: Version) -> None:
    assert Version.parse(str(version)) == version
    assert version.minor_line == f"{version.major}.{version.minor}"


@given(versions, versions)
def test_versions_are_ordered_as_pep_440_does(one: Version, other: Version) -> None:
    first, second = AnyVersion(str(one)), AnyVersion(str(other))
    assert (one < other, one <= other, one > other, one >= other, one == other) == (
        first < second,
        first <= second,
        first > second,
        first >= second,
        first == second,
    )


def test_prereleases_come_before_the_final_version() -> None:
    texts = ["3.14.0a1", "3.14.0a10", "3.14.0b1", "3.14.0rc1", "3.14.0", "3.14.5rc1", "3.14.5"]
    ordered = [Version.parse(text) for text in texts]
    assert sorted(ordered, key=lambda version: version) == ordered


@pytest.mark.parametrize("text", ["", "3", "3.13", "3.13.01", "3.13.1.dev0", "3.13.1c1", "v3.13.1", "3.13.1\n"])
def test_no_version(text: str) -> None:
    with pytest.raises(DeclarationError, match="is not a version of CPython"):
        Version.parse(text)


@pytest.mark.parametrize(
    ("text", "admitted", "refused"),
    [
        ("3", "3.13.1 3.9.0", "2.7.18 4.0.0 3.15.0rc1"),
        ("3.1", "3.1.5", "3.13.1 3.10.0"),
        ("3.13", "3.13.0 3.13.17", "3.12.9 3.14.0 3.13.0rc2 3.1.0"),
        ("3.13.1", "3.13.1", "3.13.10 3.13.0 3.13.1rc1"),
        ("3.16-dev", "3.16.0a2 3.16.0 3.16.1", "3.15.0 3.17.0a1"),
        ("3.16.0a2", "3.16.0a2", "3.16.0 3.16.0a1"),
        (">=3.12,<3.14", "3.12.0 3.13.17", "3.11.9 3.14.0 3.14.0rc1 3.13.0rc2"),
        ("~=3.13.0", "3.13.0 3.13.17", "3.14.0 3.13.0rc1"),
        ("~=3.12", "3.12.0 3.15.1", "3.11.9 4.0.0 3.16.0a1"),
        (">=3.16.0a2", "3.16.0a2 3.16.0 3.17.0a1", "3.16.0a1"),
        ("cpython", "3.13.1 3.8.2", "3.16.0a1"),
    ],
)
def test_admitted_versions(text: str, admitted: str, refused: str) -> None:
    request = parse_request(text)
    for word in [*admitted.split(), *refused.split()]:
        expected = word in admitted.split()
        assert request.admits(word, "", "20250115") is expected, word
        assert request.admits(Version.parse(word), "", "20250115") is expected, word


@given(specifier_sets, versions)
def test_specifiers_admit_what_packaging_does(text: str, version: Version) -> None:
    try:
        request = parse_request(text)
    except DeclarationError:
        assume(False)
    expected = SpecifierSet(text).contains(str(version), prereleases=True)
    assert request.admits_version(version) is (expected and (request.prereleases or not version.is_prerelease))


@given(specifier_sets | lines | versions.map(str) | st.just("cpython"), versions)
def test_a_minor_version_that_has_an_admitted_version_is_never_passed_over(text: str, version: Version) -> None:
    try:
        request = parse_request(text)
    except DeclarationError:
        assume(False)
    if request.admits_version(version):
        assert request.admits_minor(version.minor_line)


@pytest.mark.parametrize(
    ("text", "minors"),
    [
        (">=3.12,<3.14", "3.12 3.13"),
        ("~=3.13.0", "3.13"),
        ("~=3.13.1.0", "3.13"),
        ("~=3.14", "3.14 3.15"),
        ("==3.13.*", "3.13"),
        ("==3.13.1", "3.13"),
        ("==3.13.1.*", "3.13"),
        (">3.13", "3.13 3.14 3.15"),
        ("<=3.12", "3.11 3.12"),
        ("3.13", "3.13"),
        ("3.1", ""),
        ("3.13.1", "3.13"),
        ("3", "3.11 3.12 3.13 3.14 3.15"),
    ],
)
def test_minor_versions_worth_reading(text: str, minors: str) -> None:
    request = parse_request(text)
    known = ("3.11", "3.12", "3.13", "3.14", "3.15")
    assert [minor for minor in known if request.admits_minor(minor)] == minors.split()


def test_variant_release_and_flavor_must_agree() -> None:
    request = parse_request("3.13t+20250115+full")
    assert request.admits("3.13.1", "freethreaded", "20250115", "full")
    assert request.admits("3.13.1", "freethreaded", "20250115")
    assert not request.admits("3.13.1", "", "20250115", "full")
    assert not request.admits("3.13.1", "freethreaded+debug", "20250115", "full")
    assert not request.admits("3.13.1", "freethreaded", "20250116", "full")
    assert not request.admits("3.13.1", "freethreaded", "20250115", "install_only")


def test_nothing_said_is_the_plain_build_and_not_any() -> None:
    assert [variant for variant in VARIANTS if parse_request("3.13").admits("3.13.1", variant, "20250115")] == [""]
