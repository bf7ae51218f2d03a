# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the settings with which other tools download builds from a mirror. Pure: builds and the mirror's URL -> text.

Each tool has its own names for builds; each table names its source. Builds that a tool has no name for are returned separately.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..archives.source import GITHUB, url_below
from ..builds.catalogue import Build
from ..builds.request import FLAVORS
from ..builds.target import parse_triple

Key = TypeVar("Key")

# The service that lists the builds for mise; a mirror has the same paths.
MISE_VERSIONS = "https://mise-versions.jdx.dev"

# Architectures as uv names them (ARCH_MAP in crates/uv-python/fetch-download-metadata.py of astral-sh/uv).
UV_FAMILIES: Mapping[str, str] = {"ppc64le": "powerpc64le"}
# Platforms of rules_python that are triples of builds (_generate_platforms in python/versions.bzl of bazel-contrib/rules_python).
RULES_PYTHON_PLATFORMS = frozenset(
    {
        "aarch64-apple-darwin",
        "aarch64-pc-windows-msvc",
        "aarch64-unknown-linux-gnu",
        "ppc64le-unknown-linux-gnu",
        "riscv64-unknown-linux-gnu",
        "s390x-unknown-linux-gnu",
        "x86_64-apple-darwin",
        "x86_64-pc-windows-msvc",
        "x86_64-unknown-linux-gnu",
        "x86_64-unknown-linux-musl",
    }
)


@dataclass(frozen=True, slots=True)
class Exported:
    """
    :ivar text: the tool's settings
    :ivar left_out: builds that the tool has no name for
    """

    text: str
    left_out: tuple[Build, ...] = ()


def for_uv(builds: Iterable[Build], url: str) -> Exported:
    """Return the JSON for UV_PYTHON_DOWNLOADS_JSON_URL: an object with one entry per version, platform and variant."""
    chosen, left_out = _chosen(builds, _uv_key)
    return Exported(json.dumps({key: _uv_entry(build, url) for key, build in chosen.items()}, indent=2) + "\n", left_out)


def for_rules_python(builds: Iterable[Build], url: str) -> Exported:
    """Return lines for MODULE.bazel."""
    chosen, left_out = _chosen(builds, _rules_python_key)
    lines = ['# After: python = use_extension("@rules_python//python/extensions:python.bzl", "python")\n']
    for (version, platform), build in chosen.items():
        values = {
            "platform": platform,
            "python_version": version,
            "sha256": build.sha256,
            "strip_prefix": "python/install" if build.flavor == "full" else "python",
            "urls": [url_below(url, build)],
        }
        arguments = "".join(f"    {name} = {json.dumps(value)},\n" for name, value in values.items())
        lines.append(f"python.single_version_platform_override(\n{arguments})\n")
    return Exported("".join(lines), left_out)


def for_mise(builds: Iterable[Build], url: str) -> Exported:
    """Return lines for mise.toml. With them mise contacts only the mirror, also for the list of versions.

    mise supports builds of one flavor: the most frequent one, or of several such the preferred one.
    """
    plain = [build for build in builds if not build.variant]
    count = Counter(_mise_flavor(build) for build in plain)
    flavor = max(count, key=lambda name: (count[name], -_mise_rank(name)), default=FLAVORS[0])
    chosen = {(build.version, build.triple) for build in plain if _mise_flavor(build) == flavor}
    versions = sorted({version for version, _triple in chosen})
    settings = {"compile": False, "github_attestations": False, "precompiled_flavor": flavor}
    return Exported(
        f"# The mirror has {', '.join(map(str, versions)) or 'no version for mise'}.\n"
        "[settings]\n"
        + "".join(f"python.{name} = {json.dumps(value)}\n" for name, value in settings.items())
        + "\n[settings.url_replacements]\n"
        + "".join(f"{json.dumps(service)} = {json.dumps(url)}\n" for service in (MISE_VERSIONS, GITHUB)),
        tuple(build for build in builds if build.variant or (build.version, build.triple) not in chosen),
    )


def _mise_flavor(build: Build) -> str:
    """Return the end of an archive's name, as mise compares it."""
    return f"{build.options}-{build.flavor}" if build.options else build.flavor


def _mise_rank(flavor: str) -> int:
    return FLAVORS.index(flavor) if flavor in FLAVORS else len(FLAVORS)


TOOLS: Mapping[str, Callable[[Iterable[Build], str], Exported]] = {
    "uv": for_uv,
    "rules_python": for_rules_python,
    "mise": for_mise,
}


def _chosen(builds: Iterable[Build], key_of: Callable[[Build], Key | None]) -> tuple[dict[Key, Build], tuple[Build, ...]]:
    """Return the preferred build of each key, ordered by version, and the builds that have no key."""
    found: dict[Key, Build] = {}
    left_out = []
    for build in builds:
        key = key_of(build)
        if key is None:
            left_out.append(build)
        elif key not in found or _rank(build) > _rank(found[key]):
            found[key] = build
    ordered = sorted(found, key=lambda key: (found[key].version, str(key)), reverse=True)
    return {key: found[key] for key in ordered}, tuple(left_out)


def _rank(build: Build) -> tuple[str, int, int]:
    return (build.release, -FLAVORS.index(build.flavor), -build.optimisation_rank)


def _uv_key(build: Build) -> str | None:
    """Return uv's name of a build; None for static builds, which uv doesn't support."""
    if "static" in build.variant:
        return None
    variant = f"+{build.variant}" if build.variant else ""
    system, family, level, libc = _uv_platform(build)
    return f"cpython-{build.version}{variant}-{system}-{family}{level and f'_{level}'}-{libc}"


def _uv_platform(build: Build) -> tuple[str, str, str, str]:
    target = parse_triple(build.triple)
    libc = build.triple.rpartition("-")[2] if target.os == "linux" else "none"
    return target.os, UV_FAMILIES.get(target.arch, target.arch), build.level, libc


def _uv_entry(build: Build, url: str) -> dict[str, object]:
    system, family, level, libc = _uv_platform(build)
    version = build.version
    return {
        "name": "cpython",
        "arch": {"family": family, "variant": level or None},
        "os": system,
        "libc": libc,
        "major": version.major,
        "minor": version.minor,
        "patch": version.micro,
        "prerelease": "".join(map(str, version.pre or ())),
        "url": url_below(url, build),
        "sha256": build.sha256,
        "variant": build.variant or None,
        "build": build.release,
    }


def _rules_python_key(build: Build) -> tuple[str, str] | None:
    if build.variant not in ("", "freethreaded") or build.triple not in RULES_PYTHON_PLATFORMS:
        return None
    return str(build.version), f"{build.triple}-{build.variant}" if build.variant else build.triple
