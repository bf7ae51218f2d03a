# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: names of every age, the bundled data, which build a request gets, what is said if none."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds import catalogue as module
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds import request as requests
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import (
    OPTIMISATIONS,
    Build,
    Catalogue,
    builds,
    bundled,
    from_rows,
    parse_filename,
    parse_name,
    resolve,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import (
    FLAVORS,
    VARIANTS,
    Version,
    parse_request,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import (
    Target,
    candidates,
    misfit,
    parse_triple,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError, NoBuildError

BUNDLED = bundled()
EVERYTHING = tuple(builds(BUNDLED))
TRIPLES = sorted({build.triple for build in EVERYTHING})

GNU = Target("linux", "x86_64", "gnu", (2, 36))
GNU_V3 = Target("linux", "x86_64", "gnu", (2, 36), 3)
MUSL = Target("linux", "x86_64", "musl", (1, 2))
ARM = Target("linux", "armv7", "gnueabihf", (2, 36))
MACOS = Target("darwin", "aarch64")
I686 = Target("linux", "i686", "gnu", (2, 36))
RISCV = Target("linux", "riscv64", "gnu", (2, 36))
WINDOWS = Target("windows", "x86_64")


def row(version: str, release: str, rest: str, sha256: str = "-") -> str:
    suffix = ".tar.zst" if rest.endswith("full") else ".tar.gz"
    return f"{release}\tcpython-{version}+{release}-{rest}{suffix}\t{sha256}\n"


def found(text: str, target: Target, catalogue: Catalogue = BUNDLED) -> str:
    return resolve(parse_request(text), target, catalogue).name


# --- names ---


def format_filename(build: Build) -> str:
    """Return the name of a build's archive, made from its properties: the inverse of :func:`parse_filename`.

    Names before 2022 end with a time that no property has: it comes from ``build.filename``. Names have triples since 20200418.
    """
    dated = re.fullmatch(module._DATED, module._split_suffix(build.filename)[0])
    if dated is None:
        return build.name + module.SUFFIXES[build.compression]
    old = {triple: platform for platform, triple in module.PLATFORMS.items()} if build.release < "20200418" else {}
    flavor = "" if build.flavor == "full" else build.flavor
    parts = ("cpython", str(build.version), old.get(build.triple, build.triple), build.options, flavor)
    return "-".join(part for part in parts if part) + f"-{dated['release']}{dated['time']}{module.SUFFIXES[build.compression]}"


@pytest.mark.parametrize(
    ("filename", "tag", "expected", "name", "variant"),
    [
        (
            "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz",
            "",
            Build(Version(3, 13, 1), "20250115", "x86_64-unknown-linux-gnu", "", "install_only_stripped", ""),
            "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped",
            "",
        ),
        (
            "cpython-3.14.0rc2+20250814-aarch64-apple-darwin-freethreaded+pgo+lto-full.tar.zst",
            "",
            Build(
                Version(3, 14, 0, ("rc", 2)),
                "20250814",
                "aarch64-apple-darwin",
                "freethreaded+pgo+lto",
                "full",
                "",
            ),
            "cpython-3.14.0rc2+20250814-aarch64-apple-darwin-freethreaded+pgo+lto-full",
            "freethreaded",
        ),
        (
            "cpython-3.13.17+20261021-x86_64_v3-unknown-linux-gnu-freethreaded-install_only_stripped.tar.gz",
            "",
            Build(
                Version(3, 13, 17),
                "20261021",
                "x86_64_v3-unknown-linux-gnu",
                "freethreaded",
                "install_only_stripped",
                "",
            ),
            "cpython-3.13.17+20261021-x86_64_v3-unknown-linux-gnu-freethreaded-install_only_stripped",
            "freethreaded",
        ),
        (
            "cpython-3.12.9+20250212-x86_64-pc-windows-msvc-shared-pgo-full.tar.zst",
            "",
            Build(Version(3, 12, 9), "20250212", "x86_64-pc-windows-msvc", "shared-pgo", "full", ""),
            "cpython-3.12.9+20250212-x86_64-pc-windows-msvc-shared-pgo-full",
            "",
        ),
        (
            "cpython-3.13.2+20250317-x86_64-unknown-linux-musl-debug+static-full.tar.zst",
            "",
            Build(Version(3, 13, 2), "20250317", "x86_64-unknown-linux-musl", "debug+static", "full", ""),
            "cpython-3.13.2+20250317-x86_64-unknown-linux-musl-debug+static-full",
            "debug+static",
        ),
        (
            "cpython-3.13.1+20250115-x86_64-unknown-linux-musl-install_only.tar.gz",
            "",
            Build(Version(3, 13, 1), "20250115", "x86_64-unknown-linux-musl", "", "install_only", ""),
            "cpython-3.13.1+20250115-x86_64-unknown-linux-musl-install_only",
            "static",
        ),
        (
            "cpython-3.9.0-x86_64-apple-darwin-pgo+lto-20201020T0626.tar.zst",
            "",
            Build(Version(3, 9, 0), "20201020", "x86_64-apple-darwin", "pgo+lto", "full", ""),
            "cpython-3.9.0+20201020-x86_64-apple-darwin-pgo+lto-full",
            "",
        ),
        (
            "cpython-3.9.6-x86_64-pc-windows-msvc-shared-install_only-20210724T1424.tar.gz",
            "20210724",
            Build(Version(3, 9, 6), "20210724", "x86_64-pc-windows-msvc", "shared", "install_only", ""),
            "cpython-3.9.6+20210724-x86_64-pc-windows-msvc-shared-install_only",
            "",
        ),
        (
            "cpython-3.7.1-linux64-20181218T1905.tar.zst",
            "20181218",
            Build(Version(3, 7, 1), "20181218", "x86_64-unknown-linux-gnu", "", "full", ""),
            "cpython-3.7.1+20181218-x86_64-unknown-linux-gnu-full",
            "",
        ),
        (
            "cpython-3.7.4-linux64-musl-20190817T0227.tar.zst",
            "20190816",
            Build(Version(3, 7, 4), "20190816", "x86_64-unknown-linux-musl", "", "full", ""),
            "cpython-3.7.4+20190816-x86_64-unknown-linux-musl-full",
            "static",
        ),
        (
            "cpython-3.7.6-windows-x86-shared-pgo-20200217T0110.tar.zst",
            "20200216",
            Build(Version(3, 7, 6), "20200216", "i686-pc-windows-msvc", "shared-pgo", "full", ""),
            "cpython-3.7.6+20200216-i686-pc-windows-msvc-shared-pgo-full",
            "",
        ),
    ],
)
def test_names_of_every_age(filename: str, tag: str, expected: Build, name: str, variant: str) -> None:
    build = parse_filename(filename, tag)
    assert build.filename == filename
    assert [getattr(build, field) for field in ("version", "release", "triple", "options", "flavor", "sha256")] == [
        getattr(expected, field) for field in ("version", "release", "triple", "options", "flavor", "sha256")
    ]
    assert (build.name, build.variant) == (name, variant)
    assert format_filename(build) == filename


@pytest.mark.parametrize(
    "filename",
    [
        *("", "SHA256SUMS", "cpython", "PYTHON.json", "cpython-3.13.1.tar.gz"),
        "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.zst",
        "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-full.tar.gz",
        "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz.sha256",
        "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-pgo+lto.tar.zst",
        "cpython-3.13+20250115-x86_64-unknown-linux-gnu-full.tar.zst",
        "cpython-3.013.1+20250115-x86_64-unknown-linux-gnu-full.tar.zst",
        "pypy-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz",
        "../cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz",
        "cpython-3.9.0-x86_64-apple-darwin-pgo+lto.tar.zst",
        "cpython-3.7.1-linux32-20181218T1905.tar.zst",
    ],
)
def test_names_of_no_build(filename: str) -> None:
    with pytest.raises(ContentError) as caught:
        parse_filename(filename)
    assert str(caught.value) == (
        f"{filename!r} is not the name of a build: they look like "
        "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz"
    )
    assert not module.is_build(filename)


words = st.sampled_from(["pgo", "lto", "noopt", "debug", "freethreaded", "static", "shared"])
numbers = st.integers(min_value=0, max_value=99)
modern = st.builds(
    lambda numbers, pre, release, triple, options, flavor: Build(
        Version(numbers[0], numbers[1], numbers[2], pre), str(release), triple, options, flavor, ""
    ),
    st.tuples(numbers, numbers, numbers),
    st.none() | st.tuples(st.sampled_from(["a", "b", "rc"]), numbers),
    st.integers(min_value=20220227, max_value=20991231),
    st.sampled_from(TRIPLES),
    st.lists(words, unique=True, max_size=3).flatmap(lambda some: st.sampled_from(["+", "-"]).map(lambda s: s.join(some))),
    st.sampled_from(FLAVORS),
)


@given(modern)
def test_names_round_trip(build: Build) -> None:
    filename = format_filename(build)
    assert parse_filename(filename) == parse_name(build.name)
    parsed = parse_filename(filename)
    assert parsed.name == build.name
    assert parsed.variant in VARIANTS
    assert format_filename(parsed) == filename


@given(st.text() | st.text(alphabet="cpython-3.1+20_x86unkowligt", max_size=80))
def test_any_text_is_a_name_or_none(text: str) -> None:
    build = parse_name(text)
    assert build is None or build.name == text


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "cpython-3.13", "cpython-3.13.1+20250115", "cpython-3.13.1+20250115-linux64-full"),
        ".cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-full",
        "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-full\n",
    ],
)
def test_no_folder_of_ours(name: str) -> None:
    assert parse_name(name) is None


# --- the bundled data ---


def test_every_row_of_the_bundled_catalogue_round_trips() -> None:
    assert len(EVERYTHING) > 6000
    for build in EVERYTHING:
        assert format_filename(build) == build.filename
        assert parse_filename(build.filename, build.release).name == build.name
        again = parse_name(build.name)
        assert again is not None
        assert again.name == build.name
        assert again.variant == build.variant
        assert again.filename in ("", build.filename)
        assert bool(again.filename) is (build.release >= module.RELEASE_IN_NAME_SINCE)
        assert build.sha256 is None or len(build.sha256) == 64


def test_no_two_builds_have_the_same_folder() -> None:
    assert len({build.name for build in EVERYTHING}) == len(EVERYTHING)


def test_unknown_checksums_are_none() -> None:
    unknown = [build for build in EVERYTHING if build.sha256 is None]
    assert unknown
    assert all("\t-\n" in BUNDLED.read(minor) for minor in {build.version.minor_line for build in unknown})


def test_the_data_is_sorted_and_each_version_is_in_its_file() -> None:
    assert BUNDLED.minors[0] == "3.15"
    assert BUNDLED.minors[-1] == "3.7"
    for minor in BUNDLED.minors:
        keys = [(-int(build.release), build.filename) for build in builds(BUNDLED, minor)]
        assert keys == sorted(keys)
        assert {build.version.minor_line for build in builds(BUNDLED, minor)} == {minor}


def test_a_missing_folder_of_data_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "DATA", str(tmp_path / "none"))
    with pytest.raises(ContentError, match="the bundled catalogue is missing from"):
        bundled()


# --- which build a request gets ---


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("3.13", GNU, "cpython-3.13.17+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("3.13", MUSL, "cpython-3.13.17+20261021-x86_64-unknown-linux-musl-install_only_stripped"),
        ("3.13", ARM, "cpython-3.13.17+20261021-armv7-unknown-linux-gnueabihf-install_only_stripped"),
        ("3.13", MACOS, "cpython-3.13.17+20261021-aarch64-apple-darwin-install_only_stripped"),
        ("3.13", WINDOWS, "cpython-3.13.17+20261021-x86_64-pc-windows-msvc-install_only_stripped"),
        ("3.13", RISCV, "cpython-3.13.17+20261021-riscv64-unknown-linux-gnu-install_only_stripped"),
        ("3", GNU, "cpython-3.15.1+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("cpython", GNU, "cpython-3.15.1+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        (
            "3.13t",
            GNU,
            "cpython-3.13.17+20261021-x86_64-unknown-linux-gnu-freethreaded-install_only_stripped",
        ),
        ("3.13t+20251010", GNU, "cpython-3.13.8+20251010-x86_64-unknown-linux-gnu-freethreaded+pgo+lto-full"),
        ("3.13d", GNU, "cpython-3.13.15+20260814-x86_64-unknown-linux-gnu-debug-full"),
        ("3.13td", MACOS, "cpython-3.13.15+20260814-aarch64-apple-darwin-freethreaded+debug-full"),
        ("3.13+full", GNU, "cpython-3.13.17+20261021-x86_64-unknown-linux-gnu-pgo+lto-full"),
        ("3.13+v3", GNU_V3, "cpython-3.13.17+20261021-x86_64_v3-unknown-linux-gnu-install_only_stripped"),
        ("3.13+v2", GNU_V3, "cpython-3.13.17+20261021-x86_64_v2-unknown-linux-gnu-install_only_stripped"),
        ("3.13+auto", GNU_V3, "cpython-3.13.17+20261021-x86_64_v3-unknown-linux-gnu-install_only_stripped"),
        ("3.13+auto", GNU, "cpython-3.13.17+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("3.13", GNU_V3, "cpython-3.13.17+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("3.13+auto", MACOS, "cpython-3.13.17+20261021-aarch64-apple-darwin-install_only_stripped"),
        ("3.13.1+20250115", GNU, "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped"),
        (">=3.12,<3.14", GNU, "cpython-3.13.17+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("~=3.13.0", GNU, "cpython-3.13.17+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("<3.13.2,>=3.13", GNU, "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("3.15-dev", GNU, "cpython-3.15.1+20261021-x86_64-unknown-linux-gnu-install_only_stripped"),
        ("3.15.0rc1", GNU, "cpython-3.15.0rc1+20260814-x86_64-unknown-linux-gnu-install_only_stripped"),
        (
            ">=3.15.0a1,<3.15.0b1",
            GNU,
            "cpython-3.15.0a8+20260504-x86_64-unknown-linux-gnu-install_only_stripped",
        ),
        ("3", I686, "cpython-3.11.5+20230826-i686-unknown-linux-gnu-install_only"),
        ("3.8", I686, "cpython-3.8.17+20230826-i686-unknown-linux-gnu-install_only"),
        ("3.7", GNU, "cpython-3.7.9+20200822-x86_64-unknown-linux-gnu-pgo-full"),
        ("3.7.1", GNU, "cpython-3.7.1+20181218-x86_64-unknown-linux-gnu-full"),
        ("3.9.6+20210724", MACOS, "cpython-3.9.6+20210724-aarch64-apple-darwin-install_only"),
    ],
)
def test_resolve(text: str, target: Target, expected: str) -> None:
    assert found(text, target) == expected


def test_a_build_found_has_its_name_and_checksum_from_the_catalogue() -> None:
    build = resolve(parse_request("3.7.9"), GNU, BUNDLED)
    assert build.filename == "cpython-3.7.9-x86_64-unknown-linux-gnu-pgo-20200823T0036.tar.zst"
    build = resolve(parse_request("3.13.1+20250115"), GNU, BUNDLED)
    assert build.filename == "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    assert f"{build.filename}\t{build.sha256}\n" in BUNDLED.read("3.13")


def test_the_newest_release_is_so_by_tag_and_not_by_place_in_the_text() -> None:
    catalogue = from_rows(
        "a test",
        row("3.13.2", "20250317", "x86_64-unknown-linux-gnu-install_only")
        + row("3.13.2", "20250323", "x86_64-unknown-linux-gnu-install_only")
        + row("3.13.2", "20250205", "x86_64-unknown-linux-gnu-install_only")
        + row("3.13.1", "20260101", "x86_64-unknown-linux-gnu-install_only"),
    )
    assert found("3.13", GNU, catalogue) == "cpython-3.13.2+20250323-x86_64-unknown-linux-gnu-install_only"


def test_preferences_come_in_order() -> None:
    rests = [
        "x86_64_v3-unknown-linux-gnu-install_only_stripped",
        "x86_64-unknown-linux-gnu-install_only_stripped",
        "x86_64_v3-unknown-linux-gnu-install_only",
        "x86_64-unknown-linux-gnu-install_only",
        *(f"x86_64-unknown-linux-gnu-{options}-full" for options in (*OPTIMISATIONS, "bolt")),
    ]
    while rests:
        text = "".join(row("3.13.1", "20250115", rest) for rest in reversed(rests))
        assert found("3.13+auto", GNU_V3, from_rows("a test", text)) == f"cpython-3.13.1+20250115-{rests.pop(0)}"


def test_static_builds_are_not_plain() -> None:
    text = row("3.13.2", "20250317", "x86_64-unknown-linux-musl-lto+static-full") + row(
        "3.13.1", "20250115", "x86_64-unknown-linux-musl-install_only"
    )
    catalogue = from_rows("a test", text)
    assert found("3.13+static", MUSL, catalogue) == "cpython-3.13.2+20250317-x86_64-unknown-linux-musl-lto+static-full"
    with pytest.raises(NoBuildError) as caught:
        found("3.13", MUSL, catalogue)
    assert str(caught.value) == (
        "no build of 3.13 for x86_64 linux, musl 1.2 in a test: it exists only as static; "
        "nearest is 3.13.2+20250317+static (x86_64-unknown-linux-musl, full)"
    )


targets = st.sampled_from(TRIPLES).map(parse_triple)
asked = st.sampled_from(
    [
        "3",
        "3.13",
        "3.8",
        "3.13.1",
        "3.15-dev",
        "3.15.0rc1",
        ">=3.12,<3.14",
        "~=3.9.0",
        "3.12t",
        "3.13+20250115",
    ]
)


@given(asked, st.sampled_from(["", "+debug", "+freethreaded", "+auto", "+full", "+install_only", "+v3"]), targets)
def test_resolve_finds_the_best_of_all_that_fit(text: str, more: str, target: Target) -> None:
    request = parse_request(text + more)
    try:
        triples = candidates(target, request.level)
    except NoBuildError:
        triples = ()

    def rank(build: Build) -> tuple[Version, str, int, int, int]:
        places = [*OPTIMISATIONS, build.optimisation]
        return (
            build.version,
            build.release,
            -FLAVORS.index(build.flavor),
            -places.index(build.optimisation),
            -triples.index(build.triple),
        )

    fitting = [
        build
        for build in EVERYTHING
        if build.triple in triples
        and not misfit(target, build.triple)
        and request.admits(build.version, build.variant, build.release, build.flavor)
    ]
    if fitting:
        assert resolve(request, target, BUNDLED) == max(fitting, key=rank)
    else:
        with pytest.raises(NoBuildError) as caught:
            resolve(request, target, BUNDLED)
        message = str(caught.value)
        assert message.startswith(f"no build of {request.text} for {target} in the bundled catalogue: ")
        assert len(message.splitlines()) == 1
        assert message.count("+2") <= module.NEAREST + 1


# --- what a user reads when there is none ---


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (
            "3.13",
            I686,
            (
                "no build of 3.13 for i686 linux, glibc 2.36 in the bundled catalogue: "
                "there is none for i686-unknown-linux-gnu; "
                "nearest is 3.11.5+20230826 (i686-unknown-linux-gnu, install_only)"
            ),
        ),
        (
            "3.13",
            Target("linux", "riscv64", "gnu", (2, 27)),
            (
                "no build of 3.13 for riscv64 linux, glibc 2.27 in the bundled catalogue: "
                "a build for riscv64-unknown-linux-gnu needs glibc 2.28 or later, and the host has 2.27; "
                "nearest is 3.13.17+20261021 (riscv64-unknown-linux-gnu, install_only_stripped)"
            ),
        ),
        (
            "3.13",
            Target("linux", "armv7", "musl"),
            (
                "no build of 3.13 for armv7 linux, musl in the bundled catalogue: "
                "there is none for armv7-unknown-linux-musleabihf; "
                "nearest are 3.13.17+20261021 (armv7-unknown-linux-gnueabihf, install_only_stripped), "
                "3.13.17+20261021 (armv7-unknown-linux-gnueabi, install_only_stripped)"
            ),
        ),
        (
            "3.13",
            Target("linux", "loongarch64", "gnu", (2, 36)),
            (
                "no build of 3.13 for loongarch64 linux, glibc 2.36 in the bundled catalogue: "
                "there is none for loongarch64-unknown-linux-gnu"
            ),
        ),
        (
            "3.13",
            Target("linux", "x86_64"),
            (
                "no build of 3.13 for x86_64 linux, unknown C library in the bundled catalogue: "
                "a build for x86_64-unknown-linux needs glibc or musl, "
                "and the C library of the host is neither; "
                "nearest are 3.13.17+20261021 (x86_64-unknown-linux-gnu, install_only_stripped), "
                "3.13.17+20261021 (x86_64-unknown-linux-musl, install_only_stripped)"
            ),
        ),
        (
            "3.16",
            MACOS,
            (
                "no build of 3.16 for aarch64 macOS in the bundled catalogue: it has no version 3.16; "
                "nearest is 3.15.1+20261021 (aarch64-apple-darwin, install_only_stripped)"
            ),
        ),
        (
            "3.16-dev",
            MACOS,
            (
                "no build of 3.16-dev for aarch64 macOS in the bundled catalogue: it has no version 3.16; "
                "nearest is 3.15.1+20261021 (aarch64-apple-darwin, install_only_stripped)"
            ),
        ),
        (
            "3.13.99",
            MACOS,
            (
                "no build of 3.13.99 for aarch64 macOS in the bundled catalogue: "
                "it has no version 3.13.99; "
                "nearest are 3.13.17+20261021 (aarch64-apple-darwin, install_only_stripped), "
                "3.14.0+20251120 (aarch64-apple-darwin, install_only_stripped)"
            ),
        ),
        (
            ">=4",
            MACOS,
            (
                "no build of >=4 for aarch64 macOS in the bundled catalogue: it has no version >=4; "
                "nearest is 3.15.1+20261021 (aarch64-apple-darwin, install_only_stripped)"
            ),
        ),
        (
            "3.12t",
            MACOS,
            (
                "no build of 3.12t for aarch64 macOS in the bundled catalogue: "
                "it exists only as plain or debug; "
                "nearest are 3.12.15+20261021 (aarch64-apple-darwin, install_only_stripped), "
                "3.12.14+20260814+debug (aarch64-apple-darwin, full)"
            ),
        ),
        (
            "3.13d+install_only",
            MACOS,
            (
                "no build of 3.13d+install_only for aarch64 macOS in the bundled catalogue: "
                "it exists only as full; "
                "nearest is 3.13.15+20260814+debug (aarch64-apple-darwin, full)"
            ),
        ),
        (
            "3.13.1+20250116",
            MACOS,
            (
                "no build of 3.13.1+20250116 for aarch64 macOS in the bundled catalogue: "
                "release 20250116 doesn't have it; "
                "nearest is 3.13.1+20250115 (aarch64-apple-darwin, install_only_stripped)"
            ),
        ),
        (
            "3.13+v3",
            GNU,
            (
                "no build of 3.13+v3 for x86_64 linux, glibc 2.36 in the bundled catalogue: "
                "the host's CPU has level v1, request auto (its highest level) or leave v3 out; "
                "nearest are 3.13.17+20261021 (x86_64-unknown-linux-gnu, install_only_stripped), "
                "3.13.17+20261021 (x86_64-unknown-linux-musl, install_only_stripped)"
            ),
        ),
        (
            "3.13+v3",
            MACOS,
            (
                "no build of 3.13+v3 for aarch64 macOS in the bundled catalogue: "
                "CPU levels exist for x86_64 only, leave v3 out; "
                "nearest is 3.13.17+20261021 (aarch64-apple-darwin, install_only_stripped)"
            ),
        ),
    ],
)
def test_no_build(text: str, target: Target, message: str) -> None:
    with pytest.raises(NoBuildError) as caught:
        found(text, target)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("3.16", "3.16-dev"),
        ("3.16t", "3.16-dev+freethreaded"),
        (">=3.15", "3.16.0a2"),
        ("3", "3-dev"),
        ("3.16+20261021", "3.16-dev+20261021"),
        (">=3.15+20261021", "3.16.0a2+20261021"),
        ("3.16t+20261021+install_only", "3.16-dev+freethreaded+20261021+install_only"),
    ],
)
def test_only_prereleases_exist(text: str, hint: str) -> None:
    rests = ("aarch64-apple-darwin-install_only", "aarch64-apple-darwin-freethreaded-install_only")
    older = [row("3.16.0a1", "20260921", rest) for rest in rests]
    rows = older + [row(version, "20261021", rest) for version in ("3.16.0a1", "3.16.0a2") for rest in rests]
    catalogue = from_rows("a test", "".join(rows))
    plus = "+freethreaded" if "t" in text.partition("+")[0] else ""
    with pytest.raises(NoBuildError) as caught:
        found(text, MACOS, catalogue)
    assert str(caught.value) == (
        f"no build of {text} for aarch64 macOS in a test: only pre-releases of it exist, request {hint}; "
        f"nearest is 3.16.0a2+20261021{plus} (aarch64-apple-darwin, install_only)"
    )
    assert found(hint, MACOS, catalogue).startswith("cpython-3.16.0a2+20261021-aarch64-apple-darwin-")


@pytest.mark.parametrize("text", ["3.14+20250808", "3.14t+20250808", "3.14+debug+20250808+full", "3.14+auto+20250808"])
def test_what_is_advised_gets_a_build_of_the_same_release(text: str) -> None:
    with pytest.raises(NoBuildError) as caught:
        found(text, GNU)
    advised = re.search(r"request (\S+); nearest is (\S+) ", str(caught.value))
    assert advised is not None
    assert all(found(request, GNU).startswith("cpython-3.14.0rc1+20250808-") for request in advised.groups())


def test_an_empty_catalogue_says_so() -> None:
    with pytest.raises(NoBuildError) as caught:
        found("3.13", MACOS, from_rows("the folder mirror", ""))
    assert str(caught.value) == "no build of 3.13 for aarch64 macOS in the folder mirror: it has no builds"


# --- what is read, and how fast ---


def recorded() -> tuple[Catalogue, list[str]]:
    read: list[str] = []

    def note(minor: str) -> str:
        read.append(minor)
        return BUNDLED.read(minor)

    return Catalogue(BUNDLED.name, BUNDLED.minors, note), read


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("3.13", GNU, "3.13"),
        ("3.13.1+20250115", GNU, "3.13"),
        ("3", GNU, "3.15"),
        ("cpython", GNU, "3.15"),
        (">=3.12,<3.14", GNU, "3.13"),
        ("<3.13", GNU, "3.12"),
        ("~=3.9.0", GNU, "3.9"),
        ("3", I686, "3.15 3.14 3.13 3.12 3.11"),
    ],
)
def test_only_the_minor_versions_that_can_match_are_read(text: str, target: Target, expected: str) -> None:
    catalogue, read = recorded()
    found(text, target, catalogue)
    assert read == expected.split()


def from_cold(action: Callable[[], object]) -> float:
    """The seconds of work that something is, with nothing remembered; waiting is not counted."""

    def once() -> float:
        for cached in (requests._version, requests._matches, requests._specifiers):
            cached.cache_clear()
        start = time.process_time()
        action()
        return time.process_time() - start

    return min(once() for _ in range(20))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("3.13", GNU),
        ("3.14+auto", Target("linux", "x86_64", "gnu", (2, 36), 4)),
        ("3", I686),
        ("3.14td", MUSL),
        (">=3.12,<3.14", GNU),
    ],
)
def test_a_build_is_found_within_five_milliseconds_from_cold(text: str, target: Target) -> None:
    assert from_cold(lambda: resolve(parse_request(text), target, bundled())) < 0.005


# --- catalogues from elsewhere ---


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("20250115 cpython-3.13.1 -", "can't be read as a catalogue, line 2 is '20250115 cpython-3.13.1 -'"),
        ("<html>", "can't be read as a catalogue, line 2 is '<html>'"),
        ("20250115\tcpython-3.13.1+20250115-x-full.tar.zst\tabc", "can't be read as a catalogue, line 2 is"),
        ("20250115\tcpython-3.13.1+20250115-x-full.tar.zst\t-", "is not the name of a build"),
        ("20250115\tcpython-3.13.1+20250115-aarch64-apple-darwin-../x-full.tar.zst\t-", "line 2 is"),
    ],
)
def test_rows_that_are_none(line: str, complaint: str) -> None:
    with pytest.raises(ContentError) as caught:
        from_rows("a test", f"tag\tfilename\tsha256\n{line}\n")
    assert complaint in str(caught.value)


def test_rows_may_have_a_header_and_come_in_any_order() -> None:
    rows = [row(version, "20250115", "aarch64-apple-darwin-full") for version in ("3.9.1", "3.10.2", "3.9.2")]
    for some in itertools.permutations(rows):
        catalogue = from_rows("a test", "tag\tfilename\tsha256\n\n" + "".join(some))
        assert catalogue.minors == ("3.10", "3.9")
        assert found("3.9", MACOS, catalogue) == "cpython-3.9.2+20250115-aarch64-apple-darwin-full"


def every(catalogue: Catalogue) -> Iterator[tuple[str, str, str | None]]:
    return ((build.release, build.filename, build.sha256) for build in builds(catalogue))


def test_the_bundled_catalogue_as_rows_is_the_same_catalogue() -> None:
    text = "".join(BUNDLED.read(minor) for minor in reversed(BUNDLED.minors))
    again = from_rows(BUNDLED.name, text)
    assert again.minors == BUNDLED.minors
    assert list(every(again)) == list(every(BUNDLED))
