# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a build's components as scanners read it: the controller's template, completed as a host completes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import measure, sbom
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.components import bundled_components
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.sbom import (
    IDENTITIES,
    MEASURABLE,
    Archive,
    template,
)

LINUX, MUSL = "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"
B313 = f"cpython-3.13.7+20250918-{LINUX}-install_only.tar.gz"
ARCHIVE = Archive(f"https://example.org/{B313}", "ab" * 32, "yes")
VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def document(filename: str = B313, measured: Mapping[str, str] | None = None, archive: Archive = ARCHIVE) -> dict[str, Any]:
    """A valid document with the same text whenever it is made, and unique references."""
    draft = template(parse_filename(filename), archive, sh.TOOL)
    text = sbom.completed(draft, measured or {})
    assert text == sbom.completed(draft, measured or {})
    assert VALIDATOR.validate_str(text) is None, text
    found = json.loads(text)
    assert isinstance(found, dict)
    references = [part["bom-ref"] for part in found["components"]]
    assert sorted(set(references)) == sorted(references)
    for part in found["components"]:
        assert PackageURL.from_string(part["purl"]).version == part.get("version")
    return found


def by_reference(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["bom-ref"]: part for part in found["components"]}


def source(part: dict[str, Any]) -> str:
    return next(str(item["value"]) for item in part["properties"] if item["name"] == "standalone-python:version-source")


def test_names_by_which_scanners_know_components() -> None:
    """Grype matches by CPE, Trivy by the package URL's type."""
    parts = by_reference(document(measured={"pip": "25.2"}))
    names = {reference: (part["purl"], part.get("cpe")) for reference, part in parts.items()}
    rest = "*:*:*:*:*:*:*"
    assert (
        names.items()
        >= {
            "cpython": ("pkg:generic/python@3.13.7", f"cpe:2.3:a:python:python:3.13.7:{rest}"),
            "openssl": ("pkg:generic/openssl@3.5.3", f"cpe:2.3:a:openssl:openssl:3.5.3:{rest}"),
            "expat": ("pkg:generic/expat@2.6.3", f"cpe:2.3:a:libexpat_project:libexpat:2.6.3:{rest}"),
            "sqlite": ("pkg:generic/sqlite@3.50.4", f"cpe:2.3:a:sqlite:sqlite:3.50.4:{rest}"),
            "zlib": ("pkg:generic/zlib@1.3.1", f"cpe:2.3:a:zlib:zlib:1.3.1:{rest}"),
            "xz": ("pkg:generic/xz@5.2.12", f"cpe:2.3:a:tukaani:xz:5.2.12:{rest}"),
            "pip": ("pkg:pypi/pip@25.2", f"cpe:2.3:a:pypa:pip:25.2:{rest}"),
            "libedit": ("pkg:generic/libedit@20240808-3.1", None),
        }.items()
    )
    assert (parts["cpython"]["name"], parts["cpython"]["type"]) == ("python", "application")


def test_a_prerelease_is_an_update_in_a_cpe() -> None:
    parts = by_reference(document(f"cpython-3.15.0rc1+20260929-{LINUX}-install_only.tar.gz"))
    assert parts["cpython"]["cpe"] == "cpe:2.3:a:python:python:3.15.0:rc1:*:*:*:*:*:*"
    assert {source(part) for part in parts.values()} == {"name", "estimated"}


def test_where_a_build_came_from() -> None:
    build = document()["metadata"]["component"]
    assert build["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert build["externalReferences"] == [{"type": "distribution", "url": ARCHIVE.url}]
    assert {item["name"].partition(":")[2]: item["value"] for item in build["properties"]} == {
        "target": LINUX,
        "flavor": "install_only",
        "archive": B313,
        "attestation-verified": "yes",
    }


@pytest.mark.parametrize(
    ("url", "reference"),
    [
        ("/srv/a mirror/ü.tar.gz", "file:///srv/a%20mirror/%C3%BC.tar.gz"),
        (r"C:\mirror\x.tar.gz", "file:///C:/mirror/x.tar.gz"),
        ('https://example.org/a%2Bb"{serial}\t', "https://example.org/a%2Bb%22%7Bserial%7D%09"),
        ("http://[2001:db8:0:0:0:0:0:1]:8080/a[b]%zz", "http://[2001:db8:0:0:0:0:0:1]:8080/a%5Bb%5D%25zz"),
        ("https://two words/a", ""),
        ("\x1b://host/a", ""),
        ("", ""),
    ],
)
def test_any_place_is_a_uri_reference(url: str, reference: str) -> None:
    build = document(archive=Archive(url, "unknown"))["metadata"]["component"]
    assert [item["url"] for item in build.get("externalReferences", [])] == [reference] * bool(reference)
    assert "hashes" not in build


def test_what_was_measured_replaces_the_table() -> None:
    """A pair excludes each other, an unreadable version is unknown, and what only the table knows stays."""
    measured = {"openssl": "3.5.4", "expat": "", "zlib-ng": "2.2.4", "ensurepip-pip": "24.3.1"}
    parts = by_reference(document(measured=measured))
    assert {name: (parts[name].get("version"), source(parts[name])) for name in (*measured, "bzip2")} == {
        "openssl": ("3.5.4", "measured"),
        "expat": (None, "measured"),
        "zlib-ng": ("2.2.4", "measured"),
        "ensurepip-pip": ("24.3.1", "measured"),
        "bzip2": ("1.0.8", "table"),
    }
    assert "zlib" not in parts
    assert ("cpe" in parts["expat"], parts["expat"]["purl"]) == (False, "pkg:generic/expat")
    assert set(parts) & {"libressl", "ensurepip-setuptools"} == set()
    assert parts["ensurepip-pip"]["purl"] == "pkg:pypi/pip@24.3.1"


@pytest.mark.parametrize(
    ("filename", "licences"),
    [
        (B313, {"openssl": "Apache-2.0", "xz": "public domain", "sqlite": "blessing"}),
        (f"cpython-3.9.13+20220528-{LINUX}-install_only.tar.gz", {"openssl": "OpenSSL", "readline": "GPL-3.0-or-later"}),
        (f"cpython-3.14.4+20260414-{LINUX}-install_only.tar.gz", {"xz": "0BSD", "zstd": "BSD-3-Clause"}),
    ],
)
def test_licences_follow_the_versions(filename: str, licences: dict[str, str]) -> None:
    parts = by_reference(document(filename))
    found = {name: parts[name]["licenses"][0]["license"] for name in licences}
    assert {name: licence.get("id") or licence["name"] for name, licence in found.items()} == licences


def test_a_release_that_no_table_has_is_unknown_not_empty() -> None:
    found = document(f"cpython-3.7.1+20170101-{LINUX}-full.tar.zst", {"openssl": "1.1.1a"})
    assert set(by_reference(found)) == {"cpython", "openssl"}
    assert found["compositions"][0]["aggregate"] == "incomplete"


def test_every_component_has_an_identity() -> None:
    """Of each release one build of each kind, so that each licence and name is one that the schema knows."""
    names = {row.component for rows in bundled_components().values() for row in rows}
    assert names <= set(IDENTITIES)
    assert set(MEASURABLE) <= set(IDENTITIES)
    for release in ("20181218", "20210228", "20260814"):
        for triple in (LINUX, MUSL, "x86_64-pc-windows-msvc", "aarch64-apple-darwin"):
            document(f"cpython-3.14.0+{release}-{triple}-install_only.tar.gz", dict.fromkeys(MEASURABLE, "1.0"))


def test_whatever_an_interpreter_reports_is_in_the_template() -> None:
    told = {name for name, *_rest in measure.MODULES} | {name for name, _script in measure.SCRIPTS}
    assert told | {f"{before}{name}" for name in measure.PACKAGES for before in ("", "ensurepip-")} == set(MEASURABLE)
