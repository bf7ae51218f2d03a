# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a build's components as a CycloneDX 1.6 document. No I/O.

The controller makes a template, which ``agents/on_host/sbom.py`` completes with the versions that the interpreter reports. Each
component has a package URL and, where the National Vulnerability Database knows it, a CPE: some scanners match only one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..builds.catalogue import Build
from ..errors import ContentError
from .components import ALTERNATIVES, VERSION, Component, components

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
SPECIFICATION = "1.6"
PREFIX = "standalone-python"  # of our properties' names
SHA256 = re.compile("[0-9a-f]{64}")
_URL = re.compile(r"([a-z][a-z0-9+.-]*://(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?)((?:/.*)?)", re.DOTALL)
_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Identity:
    """How scanners know a component.

    :ivar licence: an SPDX expression; in quotes if SPDX has no name for it; empty where it is unknown
    :ivar product: the CPE's vendor and product; empty where there is none
    :ivar name: what the project is called, where that is not the component's name
    :ivar kind: of package URL
    """

    licence: str = ""
    product: str = ""
    name: str = ""
    kind: str = "generic"


# Licences as upstream's pythonbuild/downloads.py has them, and the projects' own files.
IDENTITIES: Mapping[str, Identity] = {
    "bdb": Identity("Sleepycat", "oracle:berkeley_db", "berkeley-db"),
    "bzip2": Identity("bzip2-1.0.6", "bzip:bzip2"),
    "cpython": Identity("Python-2.0 AND CNRI-Python", "python:python", "python"),
    "ensurepip-pip": Identity("MIT", "pypa:pip", "pip", "pypi"),
    "ensurepip-setuptools": Identity("MIT", "python:setuptools", "setuptools", "pypi"),
    "expat": Identity("MIT", "libexpat_project:libexpat"),
    "gdbm": Identity("GPL-3.0-or-later", "gnu:gdbm"),
    "libX11": Identity("MIT AND X11", "x.org:libx11"),
    "libXau": Identity("MIT", "x.org:libxau"),
    "libedit": Identity("BSD-3-Clause"),
    "libffi": Identity("MIT", "libffi_project:libffi"),
    "libressl": Identity("OpenSSL AND ISC", "openbsd:libressl"),
    "libuuid": Identity("BSD-3-Clause"),
    "libxcb": Identity("MIT", "x.org:libxcb"),
    "mpdecimal": Identity("BSD-2-Clause"),
    "musl": Identity("MIT", "musl-libc:musl"),
    "ncurses": Identity("X11", "gnu:ncurses"),
    "openssl": Identity("Apache-2.0", "openssl:openssl"),
    "pip": Identity("MIT", "pypa:pip", kind="pypi"),
    "readline": Identity("GPL-3.0-or-later", "gnu:readline"),
    "setuptools": Identity("MIT", "python:setuptools", kind="pypi"),
    "sqlite": Identity("blessing", "sqlite:sqlite"),
    "tcl": Identity("TCL", "tcl:tcl"),
    "tix": Identity("TCL"),
    "tk": Identity("TCL"),
    "xz": Identity("0BSD", "tukaani:xz"),
    "zlib": Identity("Zlib", "zlib:zlib"),
    "zlib-ng": Identity("Zlib", "zlib-ng:zlib-ng"),
    "zstd": Identity("BSD-3-Clause", "facebook:zstandard"),
}
# Before these versions the licence was another one.
FORMER_LICENCES: Mapping[str, tuple[tuple[int, ...], str]] = {"openssl": ((3,), "OpenSSL"), "xz": ((5, 6), '"public domain"')}
# What an interpreter can report, so that a build has it also if the table does not.
MEASURABLE = (
    *("ensurepip-pip", "ensurepip-setuptools", "expat", "libressl", "mpdecimal", "ncurses", "openssl", "pip", "setuptools"),
    *("sqlite", "tcl", "tk", "zlib", "zlib-ng", "zstd"),
)


@dataclass(frozen=True, slots=True)
class Archive:
    """Where a build came from.

    :ivar url: without secrets; a URL, or a path of the controller
    :ivar sha256: 64 hexadecimal digits; empty if unknown
    :ivar attested: whether its attestation was verified: ``yes`` or ``no``; empty if unknown
    """

    url: str = ""
    sha256: str = ""
    attested: str = ""


def template(build: Build, archive: Archive, tool: str) -> str:
    """Return a build's document without what only its host knows: ``on_host/sbom.py`` completes it.

    :param tool: the name and version of this program
    """
    head = _head(tool, described(build, archive))
    return "".join(
        (
            "{\n",
            *(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items()),
            ' "components": [\n',
            *(f"{row}\n" for row in _rows(build)),
            " ],\n",
            f' "compositions": [{{"aggregate": "incomplete", "assemblies": [{json.dumps(build.name)}]}}]\n',
            "}\n",
        )
    )


def together(
    subject: Mapping[str, Any], documents: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]], tool: str, timestamp: str
) -> dict[str, Any]:
    """Return one document about several builds; its serial number is still ``{serial}``.

    :param subject: what they are installed in or listed in, as a component
    :param documents: those of the builds, each with further properties of the build, such as ``path``
    :param timestamp: ISO 8601
    """
    found: list[dict[str, Any]] = []
    needs: dict[str, list[str]] = {subject["bom-ref"]: []}
    for document, more in documents:
        build = document["metadata"]["component"]
        name = build["bom-ref"]
        needs[subject["bom-ref"]].append(name)
        parts = [{**part, "bom-ref": f"{name}/{part['bom-ref']}"} for part in document["components"]]
        needs[name] = [part["bom-ref"] for part in parts]
        found += [{**build, "properties": [*build["properties"], *_properties(more)]}, *parts]
    head = _head(tool, subject)
    return {
        **head,
        "metadata": {"timestamp": timestamp, **head["metadata"]},
        "components": found,
        "dependencies": [{"ref": name, "dependsOn": parts} for name, parts in needs.items()],
        "compositions": [{"aggregate": "incomplete", "assemblies": list(needs)}],
    }


def _head(tool: str, subject: Mapping[str, Any]) -> dict[str, Any]:
    name, _space, version = tool.partition(" ")
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": "{serial}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": name, "version": version}]},
            "component": subject,
        },
    }


def _properties(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"{PREFIX}:{key}", "value": value} for key, value in values.items() if value]


def described(build: Build, archive: Archive) -> dict[str, Any]:
    """Return a build as a component."""
    properties = {
        "target": build.triple,
        "variant": build.variant,
        "flavor": build.flavor,
        "archive": build.filename,
        "attestation-verified": archive.attested,
    }
    found: dict[str, Any] = {
        "type": "application",
        "bom-ref": build.name,
        "supplier": {"name": "python-build-standalone"},
        "name": build.name,
        "version": f"{build.version}+{build.release}",
    }
    if SHA256.fullmatch(archive.sha256):
        found["hashes"] = [{"alg": "SHA-256", "content": archive.sha256}]
    if archive.url and (reference := _reference(archive.url)):
        found["externalReferences"] = [{"type": "distribution", "url": reference}]
    found["properties"] = _properties(properties)
    return found


def part_data(part: Component) -> dict[str, Any]:
    """Return a component as the documents of builds have it."""
    version = part.version or ""
    start, known, unknown = _json(part.name, version)
    text = (start + (known if version else unknown)).replace("{version}", version).replace("{source}", part.source)
    found: dict[str, Any] = json.loads(text)
    return found


def _rows(build: Build) -> Iterator[str]:
    """Yield the components as rows of ``on_host/sbom.py``: those of the table, and those that only the interpreter may report."""
    try:
        parts = {part.name: part for part in components(build)}
    except ContentError:  # a release before the table: nothing is known, which is not nothing
        parts = {"cpython": Component("cpython", str(build.version), "name")}
    for name in sorted({*parts, *MEASURABLE}, key=lambda name: (name != "cpython", name)):
        part = parts.get(name)
        version, source = ((part.version or "") if part else "", part.source if part else "")
        yield "\t".join((name, ALTERNATIVES.get(name, ""), version, source, *_json(name, version)))


def _json(name: str, version: str) -> tuple[str, str, str]:
    """Return the beginning of a component's JSON, and its end for a known and for an unknown version."""
    identity = IDENTITIES.get(name, Identity())
    project = identity.name or name
    start: dict[str, Any] = {
        "type": "application" if name == "cpython" else "library",  # Syft leaves out a platform
        "bom-ref": name,
        "name": project,
    }
    if licence := _licence(name, version, identity):
        start["licenses"] = [licence]
    start["properties"] = [{"name": f"{PREFIX}:version-source", "value": "{source}"}]
    if name.startswith("ensurepip-"):
        start["properties"].append({"name": f"{PREFIX}:location", "value": "ensurepip"})
    purl = f"pkg:{identity.kind}/{quote(project)}"
    known = {"version": "{version}", "purl": f"{purl}@{{version}}"}
    if identity.product:
        known["cpe"] = f"cpe:2.3:a:{identity.product}:{_cpe_version(version) if name == 'cpython' else '{version}:*'}:*:*:*:*:*:*"
    return json.dumps(start)[:-1], f", {json.dumps(known)[1:]}", f", {json.dumps({'purl': purl})[1:]}"


def _cpe_version(version: str) -> str:
    """Return the version and the update of a CPE: a pre-release is an update there."""
    match = VERSION.fullmatch(version)
    update = version[len(match[1]) :] if match else ""
    return f"{match[1]}:{update}" if match and update else f"{version}:*"


def _licence(name: str, version: str, identity: Identity) -> dict[str, Any]:
    licence = identity.licence
    before, former = FORMER_LICENCES.get(name, ((), ""))
    match = VERSION.fullmatch(version)
    if match and tuple(map(int, match[1].split("."))) < before:
        licence = former
    if licence.startswith('"'):
        return {"license": {"name": licence.strip('"')}}
    if " " in licence:
        return {"expression": licence}
    return {"license": {"id": licence}} if licence else {}


def _reference(url: str) -> str:
    """Return a URL or a path as a URI reference, which a path is as a file's; empty for what is neither."""
    if "://" not in url:
        path = url.replace("\\", "/")
        return "file://" + quote(path if path.startswith("/") else f"/{path}", safe="/:")
    match = _URL.fullmatch(url)
    return match[1] + quote(_PERCENT.sub("%25", match[2]), safe="%/?:@!$&'()*+,;=~-._") if match else ""
