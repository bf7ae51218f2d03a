# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a build and what is wrong with it: ten builds that were worked out by hand from upstream's files and the sources' lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, bundled, parse_name
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import builds as builds_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.security import advisories as module
from ansible_collections.standalone.python.plugins.plugin_utils.core.security import components as tables
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import (
    Assessment,
    assess,
    bundled_advisories,
    first_fixes,
    parse_affected,
    version_key,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.components import applies, bundled_components

LINUX, WINDOWS = "x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc"


def build_of(name: str) -> Build:
    build = parse_name(name)
    assert build, name
    return build


def ids(assessment: Assessment, component: str) -> set[str]:
    return {one.advisory.id for one in assessment.advisories if one.advisory.component == component}


@dataclass(frozen=True)
class Example:
    """:ivar versions: component -> version; None where it must be unknown
    :ivar counts: component -> number of open advisories
    :ivar only: component -> all of its open advisories
    """

    name: str
    versions: Mapping[str, str | None]
    absent: set[str] = field(default_factory=set)
    counts: Mapping[str, int] = field(default_factory=dict)
    only: Mapping[str, set[str]] = field(default_factory=dict)
    contains: set[str] = field(default_factory=set)
    lacks: set[str] = field(default_factory=set)
    end_of_life: str = ""


def cves(text: str) -> set[str]:
    return {f"CVE-{part}" for part in text.split()}


EXAMPLES = (
    Example(
        f"cpython-3.9.13+20220528-{LINUX}-install_only",
        {
            "cpython": "3.9.13",
            "openssl": "1.1.1o",
            "sqlite": "3.38.5",
            "expat": None,
            "zlib": "1.2.12",
            "bzip2": "1.0.8",
            "xz": "5.2.5",
            "libffi": "3.3",
            "mpdecimal": None,
            "ncurses": "6.3",
            "readline": "8.1.2",
            "gdbm": "1.21",
            "bdb": "6.0.19",
            "libuuid": "1.0.3",
            "libX11": "1.6.8",
            "libXau": "1.0.7",
            "libxcb": "1.13.1",
            "tcl": "8.6.12",
            "tk": "8.6.12",
            "tix": "8.4.3.6",
            "pip": "22.1.1",
            "setuptools": "62.3.2",
        },
        absent={"libedit", "zstd", "musl"},
        counts={"openssl": 34, "libX11": 7, "pip": 7},
        only={
            "zlib": cves("2022-37434 2026-27171"),
            "xz": cves("2026-34743"),
            "ncurses": cves("2022-29458 2023-29491 2023-50495 2025-6141"),
            "sqlite": cves("2022-35737 2023-7104 2025-6965 2026-11822 2026-11824"),
            "setuptools": cves("2022-40897 2024-6345 2025-47273"),
        },
        contains=cves("2023-0286"),
        lacks=cves("2022-2068 2022-2097 2022-1292"),
        end_of_life="2025-10-31",
    ),
    Example(
        f"cpython-3.9.16+20230507-{LINUX}-install_only",
        {"openssl": "1.1.1s", "expat": "2.5.0", "sqlite": "3.41.2", "libedit": "20210910-3.1"},
        absent={"readline"},
        only={"sqlite": cves("2023-7104 2025-6965 2026-11822 2026-11824")},
        contains=cves("2022-4304 2022-4450 2023-0215 2023-0286"),
        lacks=cves("2025-7458 2026-51296"),
    ),
    Example(
        f"cpython-3.8.17+20230826-{WINDOWS}-shared-install_only",
        {"openssl": "1.1.1v", "libffi": "3.4.2", "tcl": "8.6.12", "expat": None, "mpdecimal": None},
        absent={"ncurses", "bdb", "libuuid", "libX11"},
        counts={"openssl": 25},
        contains=cves("2023-4807"),
    ),
    Example(f"cpython-3.8.17+20230826-{LINUX}-install_only", {}, counts={"openssl": 24}, lacks=cves("2023-4807")),
    Example(
        f"cpython-3.12.5+20240814-{LINUX}-install_only",
        {"openssl": "3.0.14", "setuptools": "70.3.0"},
        counts={"openssl": 28},
        only={"setuptools": cves("2025-47273")},
        contains=cves("2024-6119 2024-5535"),
        lacks=cves("2025-9232 2026-31789"),
    ),
    Example(
        "cpython-3.13.0+20241016-aarch64-apple-darwin-install_only",
        {"openssl": "3.0.15", "expat": "2.6.3"},
        absent={"zlib", "ncurses", "libedit", "libX11", "bdb", "setuptools"},
        counts={"openssl": 26, "expat": 21},
        lacks=cves("2025-9231 2024-5535 2024-6119"),
    ),
    Example(
        f"cpython-3.13.7+20250818-{LINUX}-install_only",
        {"openssl": "3.0.16"},
        counts={"openssl": 25},
        contains=cves("2025-9232"),
        lacks=cves("2024-13176 2024-9143"),
    ),
    Example(
        f"cpython-3.13.7+20250918-{LINUX}-install_only",
        {"openssl": "3.5.3"},
        counts={"openssl": 35},
        contains=cves("2025-9230 2025-9232 2026-14456"),
        lacks=cves("2025-9231 2025-15469 2026-31789 2025-4575"),
    ),
    Example(
        f"cpython-3.14.4+20260414-{LINUX}-install_only",
        {
            "openssl": "3.5.6",
            "expat": "2.6.3",
            "zlib": "1.3.1",
            "zstd": "1.5.7",
            "xz": "5.8.1",
            "pip": "26.0.1",
            "tcl": "9.0.3",
        },
        absent={"tix"},
        counts={"openssl": 16, "expat": 21, "cpython": 22},
        only={
            "pip": cves("2026-3219 2026-6357 2026-8643 2026-13346"),
            "xz": cves("2026-34743"),
            "zlib": cves("2026-27171"),
        },
        lacks=cves("2026-3087 2026-3298"),
    ),
    Example(
        f"cpython-3.14.7+20260814-{LINUX}-install_only",
        {"openssl": "3.5.7", "expat": "2.8.3", "sqlite": "3.53.1"},
        only={
            "cpython": cves("2025-15367 2026-4360 2026-15806 2026-17084"),
            "expat": cves("2026-66046"),
            "openssl": cves("2026-14456"),
            "ncurses": cves("2025-6141"),
            "sqlite": cves("2026-11822 2026-11824"),
            **{component: set() for component in ("xz", "zlib", "pip", "libX11")},
        },
    ),
    Example(
        f"cpython-3.10.20+20260623-{WINDOWS}-install_only",
        {"openssl": "1.1.1w", "zlib": "1.3.2", "tcl": "8.6.12"},
        absent={"zlib-ng"},
        counts={"openssl": 24},
        only={"pip": cves("2026-13346"), "sqlite": cves("2026-11822 2026-11824")},
        end_of_life="2026-10-31",
    ),
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_worked_examples(example: Example) -> None:
    found = assess(build_of(example.name))
    versions = {part.name: part.version for part in found.components}
    assert {name: versions[name] for name in example.versions} == example.versions
    assert example.absent & set(versions) == set()
    assert {name: len(ids(found, name)) for name in example.counts} == example.counts
    assert {name: ids(found, name) for name in example.only} == example.only
    everything = {one.advisory.id for one in found.advisories}
    assert example.contains <= everything
    assert example.lacks & everything == set()
    assert not example.end_of_life or found.end_of_life == example.end_of_life


def test_what_nobody_looked_for_is_not_covered() -> None:
    """Components without any advisory in the tables, and those whose version is unknown."""
    found = assess(build_of(EXAMPLES[0].name))
    assert {"bdb", "tcl", "tk", "libffi", "expat", "mpdecimal"} <= set(found.not_covered)
    assert {"openssl", "cpython", "sqlite", "bzip2"} & set(found.not_covered) == set()


def test_a_release_without_rows_is_estimated_from_the_one_before() -> None:
    found = assess(build_of(f"cpython-3.14.8+20261013-{LINUX}-install_only"))
    assert {part.source for part in found.components if part.name != "cpython"} == {"estimated"}
    assert {part.name: part.version for part in found.components}["openssl"] == "3.5.7"
    assert {part.source for part in assess(build_of(EXAMPLES[-2].name)).components} == {"name", "table"}


def test_a_measured_version_replaces_the_tables() -> None:
    build = build_of(EXAMPLES[0].name)
    listed = assess(build)
    measured = {"openssl": "1.1.1w", "expat": "2.4.7", "mpdecimal": "", "sqlite": "latest", "unheard-of": "1.0"}
    found = assess(build, measured)
    parts = {part.name: (part.version, part.source) for part in found.components}
    assert {name: parts.pop(name) for name in measured} == {
        "openssl": ("1.1.1w", "measured"),
        "expat": ("2.4.7", "measured"),
        "mpdecimal": (None, "measured"),
        "sqlite": (None, "measured"),
        "unheard-of": ("1.0", "measured"),
    }
    assert parts == {part.name: (part.version, part.source) for part in listed.components if part.name not in measured}
    assert len(ids(found, "openssl")) == 24
    assert ids(listed, "expat") == set() < ids(found, "expat")
    # It is still CPython's own copy, and a version that can't be read is not covered.
    assert ids(found, "cpython") == ids(listed, "cpython") >= cves("2024-50602")
    assert {"mpdecimal", "sqlite", "unheard-of"} <= set(found.not_covered)
    assert {"expat", "openssl"} & set(found.not_covered) == set()


@pytest.mark.parametrize("name", ["libressl", "zlib-ng"])
def test_a_measured_library_replaces_the_one_that_it_stands_for(name: str) -> None:
    parts = {part.name for part in tables.components(build_of(EXAMPLES[0].name), {name: "2.2.4"})}
    assert {name, tables.ALTERNATIVES[name]} & parts == {name}


def test_the_name_of_a_build_has_the_version_of_cpython() -> None:
    first = tables.components(build_of(EXAMPLES[0].name), {"cpython": "2.7"})[0]
    assert first == tables.Component("cpython", "3.9.13", "name")


def test_a_misdated_release_is_nobodys_neighbour() -> None:
    """Tag 20250323 is from a year later."""
    openssl = {part.name: part.version for part in tables.components(build_of(f"cpython-3.13.2+20250325-{LINUX}-install_only"))}
    assert openssl["openssl"].startswith("3.0.")  # type: ignore[union-attr]


def test_a_release_before_the_table() -> None:
    with pytest.raises(ContentError, match="components of release 20170101 are unknown"):
        assess(build_of(f"cpython-3.7.1+20170101-{LINUX}-full"))


def test_the_first_build_with_the_fix() -> None:
    found = assess(build_of(f"cpython-3.13.7+20250818-{LINUX}-install_only"))
    fixes = {advisory.id: str(build) for advisory, build in first_fixes(found, builds_of(bundled(), "3.13")).items()}
    # OpenSSL 3.5.4 came with 20251010.
    assert fixes["CVE-2025-9230"].startswith("3.13.8+20251010 ")
    nowhere = assess(build_of(f"cpython-3.10.20+20260623-{WINDOWS}-install_only"))
    assert {"openssl"} & {advisory.component for advisory in first_fixes(nowhere, builds_of(bundled(), "3.10"))} == set()


def test_every_build_of_the_catalogue_can_be_assessed() -> None:
    """Also a build of a release that is not in the table."""
    catalogue = bundled()
    newest = {(build.release, build.triple): build for minor in catalogue.minors for build in builds_of(catalogue, minor)}
    for build in newest.values():
        assert assess(build).components[0].version == str(build.version)


def test_the_tables_are_whole() -> None:
    assert len(bundled_components()) == 123
    assert sum(map(len, bundled_advisories().values())) == 347
    for rows in bundled_components().values():
        for row in rows:
            applies(row.applies, build_of(EXAMPLES[0].name))


@pytest.mark.parametrize(
    "order",
    [
        "1.1.1 1.1.1a 1.1.1b 1.1.1w 1.1.1z 1.1.1za",
        "3.13.0a1 3.13.0b1 3.13.0rc1 3.13.0 3.13.1",
        "3.9 3.10",
        "1.0-alpha 1.0-beta 1.0-rc1 1.0",
    ],
)
def test_order_of_versions(order: str) -> None:
    keys = [version_key(version) for version in order.split()]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("version", ["", "1..2", "v1", "1.0 ", "one", "1.²", "1" * 4000])
def test_what_is_not_a_version(version: str) -> None:
    with pytest.raises(ContentError):
        version_key(version)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=5))
def test_trailing_zeros_do_not_count(numbers: list[int]) -> None:
    text = ".".join(map(str, numbers))
    assert version_key(text) == version_key(f"{text}.0")


@pytest.mark.parametrize(
    ("affected", "version", "holds"),
    [
        (">=3.0.0,<3.0.15", "3.0.14", True),
        (">=3.0.0,<3.0.15", "3.0.15", False),
        (">=3.0.0,<3.0.15;>=3.5.0,<3.5.4", "3.5.0", True),
        ("<2.0", "1.9", True),
        (">=2.0", "9", True),
        ("*", "0", True),
    ],
)
def test_ranges(affected: str, version: str, holds: bool) -> None:
    assert any(interval.contains(version_key(version)) for interval in parse_affected(affected)) == holds


@pytest.mark.parametrize("affected", ["", "3.0", ">=a,<b", "<=3", ">=1;", "~=2"])
def test_what_is_not_a_range(affected: str) -> None:
    with pytest.raises(ContentError):
        parse_affected(affected)


@pytest.mark.parametrize("term", ["os=linux", "cpython~3.9", "unheard-of", "platform<linux-gnu"])
def test_a_term_of_a_newer_table(term: str) -> None:
    with pytest.raises(ContentError, match="update standalone-python"):
        applies(f"platform=linux-gnu & {term}", build_of(EXAMPLES[0].name))


@pytest.mark.parametrize(
    "text", [None, b"", b"release\tcomponent\n", b"release\tcomponent\tversion\tapplies\n20250101\topenssl\n", b"\xff\xfe"]
)
def test_a_damaged_table(text: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "components.tsv"  # type: ignore[operator]
    if text is not None:
        path.write_bytes(text)
    monkeypatch.setattr(tables, "DATA", str(tmp_path))
    with pytest.raises(ContentError, match=r"cannot read .*components\.tsv"):
        list(tables.read_table("components.tsv", ("release", "component", "version", "applies")))


def test_no_advisory_is_in_two_components_twice() -> None:
    for rows in module.bundled_advisories().values():
        assert len({row.id for row in rows}) == len(rows)
