# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mirror fetches, keeps and prunes; its lists; what other tools are told of it. Pure, and nothing is downloaded."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import GITHUB
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import (
    Build,
    builds,
    from_rows,
    parse_filename,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.sums import rows_from_sums
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.export import MISE_VERSIONS, TOOLS
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.mirror import (
    Archive,
    is_precompiled,
    lists,
    path_of,
    plan_sync,
    unique_builds,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.catalogues import CATALOGUE

URL = "https://mirror.example/pbs"
NAMES = (
    "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz",
    "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz",
    "cpython-3.13.1+20250317-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz",
    "cpython-3.13.1+20250317-x86_64_v3-unknown-linux-gnu-install_only_stripped.tar.gz",
    "cpython-3.13.1+20250317-x86_64-unknown-linux-gnu-freethreaded+pgo+lto-full.tar.zst",
    "cpython-3.14.0rc1+20250317-ppc64le-unknown-linux-gnu-install_only_stripped.tar.gz",
    "cpython-3.12.9+20250317-x86_64-pc-windows-msvc-install_only_stripped.tar.gz",
    "cpython-3.12.9+20250317-aarch64-apple-darwin-debug-full.tar.zst",
    "cpython-3.12.9+20250115-x86_64-unknown-linux-musl-install_only_stripped.tar.gz",
    "cpython-3.9.0-x86_64-apple-darwin-pgo+lto-20201020T0626.tar.zst",
)


def build(name: str, salt: str = "") -> Build:
    return replace(parse_filename(name), sha256=hashlib.sha256(f"{name}{salt}".encode()).hexdigest())


BUILDS = tuple(map(build, NAMES))
some_builds = st.lists(st.sampled_from(BUILDS), unique=True)


@st.composite
def situations(draw: st.DrawFn) -> tuple[tuple[Build, ...], dict[str, Archive], bool]:
    """What is wanted, what is there, and whether to prune."""
    found = {}
    for one in draw(some_builds):
        true, other = one.sha256 or "", build(one.filename, "other").sha256 or ""
        listed = draw(st.sampled_from((true, true, other, "")))
        found[path_of(one)] = Archive(listed, draw(st.sampled_from((true, true, other))), draw(st.integers(0, 9)))
    return unique_builds(draw(some_builds)), found, draw(st.booleans())


@given(situations())
def test_a_plan_accounts_for_all(situation: tuple[tuple[Build, ...], dict[str, Archive], bool]) -> None:
    wanted, found, prune = situation
    made = plan_sync(wanted, found, prune=prune)
    assert sorted(map(path_of, (*made.fetch, *made.present))) == sorted(map(path_of, wanted))
    assert all(found[path_of(one)].actual == one.sha256 for one in made.present)
    assert not any(path_of(one) in found and found[path_of(one)].actual == one.sha256 for one in made.fetch)
    rest = set(found) - set(map(path_of, wanted))
    assert set(made.pruned) == (rest if prune else set())
    assert {path_of(one): one.sha256 for one in made.kept} == {
        path: found[path].listed for path in rest if found[path].listed and not prune
    }


@given(situations())
def test_after_a_sync_there_is_nothing_to_do(situation: tuple[tuple[Build, ...], dict[str, Archive], bool]) -> None:
    wanted, found, prune = situation
    made = plan_sync(wanted, found, prune=prune)
    present = (*made.fetch, *made.present, *made.kept)
    after = {path: archive for path, archive in found.items() if path not in made.pruned}
    after |= {path_of(one): Archive(one.sha256 or "", one.sha256 or "", 1) for one in present}
    again = plan_sync(wanted, after, prune=prune)
    assert not again
    assert set(again.present) == set(wanted)


@given(some_builds)
def test_lists_say_what_is_there_and_nothing_else(present: list[Build]) -> None:
    texts = {path: content.decode() for path, content in lists(present).items() if not is_precompiled(path)}
    assert set(builds(from_rows("it", texts[CATALOGUE]))) == set(present)
    from_sums = "".join(rows_from_sums(path[:8], text) for path, text in texts.items() if path != CATALOGUE)
    assert set(builds(from_rows("they", from_sums))) == set(present)
    assert lists(list(reversed(present))) == lists(present)


def test_a_name_with_two_checksums() -> None:
    assert unique_builds([BUILDS[0], BUILDS[0]]) == (BUILDS[0],)
    with pytest.raises(ContentError, match="wanted with two checksums, .*run standalone-python lock again"):
        unique_builds([BUILDS[0], build(NAMES[0], "other")])


def test_for_uv() -> None:
    exported = TOOLS["uv"](BUILDS, URL)
    told = json.loads(exported.text)
    assert list(told) == [
        "cpython-3.14.0rc1-linux-powerpc64le-gnu",
        "cpython-3.13.1-linux-x86_64_v3-gnu",
        "cpython-3.13.1-linux-x86_64-gnu",
        "cpython-3.13.1+freethreaded-linux-x86_64-gnu",
        "cpython-3.12.9-windows-x86_64-none",
        "cpython-3.12.9+debug-darwin-aarch64-none",
        "cpython-3.9.0-darwin-x86_64-none",
    ]
    assert told["cpython-3.14.0rc1-linux-powerpc64le-gnu"] == {
        "name": "cpython",
        "arch": {"family": "powerpc64le", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": 3,
        "minor": 14,
        "patch": 0,
        "prerelease": "rc1",
        "url": f"{URL}/20250317/{NAMES[5].replace('+', '%2B')}",
        "sha256": BUILDS[5].sha256,
        "variant": None,
        "build": "20250317",
    }
    assert told["cpython-3.13.1-linux-x86_64_v3-gnu"]["arch"] == {"family": "x86_64", "variant": "v3"}
    assert told["cpython-3.13.1-linux-x86_64-gnu"]["build"] == "20250317"
    assert told["cpython-3.13.1+freethreaded-linux-x86_64-gnu"]["variant"] == "freethreaded"
    assert [one.filename for one in exported.left_out] == [NAMES[8]], "musl was static then"


def test_for_uv_takes_the_preferred_flavor() -> None:
    (told,) = json.loads(TOOLS["uv"](BUILDS[1::-1], URL).text).values()
    assert told["url"].endswith("install_only_stripped.tar.gz")


def test_for_rules_python() -> None:
    exported = TOOLS["rules_python"](BUILDS[3:6], URL)
    assert exported.text == (
        '# After: python = use_extension("@rules_python//python/extensions:python.bzl", "python")\n'
        "python.single_version_platform_override(\n"
        '    platform = "ppc64le-unknown-linux-gnu",\n'
        '    python_version = "3.14.0rc1",\n'
        f'    sha256 = "{BUILDS[5].sha256}",\n'
        '    strip_prefix = "python",\n'
        f'    urls = ["{URL}/20250317/{NAMES[5].replace("+", "%2B")}"],\n'
        ")\n"
        "python.single_version_platform_override(\n"
        '    platform = "x86_64-unknown-linux-gnu-freethreaded",\n'
        '    python_version = "3.13.1",\n'
        f'    sha256 = "{BUILDS[4].sha256}",\n'
        '    strip_prefix = "python/install",\n'
        f'    urls = ["{URL}/20250317/{NAMES[4].replace("+", "%2B")}"],\n'
        ")\n"
    )
    assert exported.left_out == (BUILDS[3],)


def test_for_mise() -> None:
    import tomllib

    exported = TOOLS["mise"](BUILDS[:6], URL)
    assert tomllib.loads(exported.text)["settings"] == {
        "python": {"compile": False, "github_attestations": False, "precompiled_flavor": "install_only_stripped"},
        "url_replacements": {MISE_VERSIONS: URL, GITHUB: URL},
    }
    assert exported.text.startswith("# The mirror has 3.13.1, 3.14.0rc1.\n")
    assert exported.left_out == (BUILDS[4],), "mise gets builds without a variant only"


@pytest.mark.parametrize(
    ("numbers", "flavor"),
    [
        ((0, 1, 2), "install_only_stripped"),
        ((1,), "install_only"),
        ((0, 1), "install_only_stripped"),
        ((9,), "pgo+lto-full"),
        ((4, 7), "install_only_stripped"),
        ((), "install_only_stripped"),
    ],
)
def test_for_mise_takes_the_flavor_that_most_builds_have(numbers: tuple[int, ...], flavor: str) -> None:
    text = TOOLS["mise"]([BUILDS[number] for number in numbers], URL).text
    assert f'python.precompiled_flavor = "{flavor}"\n' in text


def test_lists_for_mise() -> None:
    """A file for each target, the oldest version first; the same builds give the same bytes whatever the time."""
    made = {path: content for path, content in lists(reversed(BUILDS[:4])).items() if path.startswith("tools/")}
    prefix = "tools/python-precompiled-"
    assert {path: gzip.decompress(content).decode().split() for path, content in made.items()} == {
        f"{prefix}x86_64-unknown-linux-gnu.gz": [NAMES[1], NAMES[0], NAMES[2]],
        f"{prefix}x86_64_v3-unknown-linux-gnu.gz": [NAMES[3]],
    }
    assert {content[4:8] for content in made.values()} == {bytes(4)}, "gzip's time"
