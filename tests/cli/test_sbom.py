# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interpreters of a machine, an image or a lock file contain, and the same list in each installed build."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.cli.conftest import Command
from tests.tools import syft
from tests.tools.finisher import receipt_text
from tests.tools.sources import NEWER, V13LATER

pytestmark = pytest.mark.usefixtures("warm_cache")

LOCK = "python.lock.json"
EPOCH = {"SOURCE_DATE_EPOCH": "1736899200"}
SBOM = ".standalone-python/sbom.cdx.json"


def parsed(text: str) -> dict[str, Any]:
    """The document, which is valid and fit for a terminal."""
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = json.loads(text)
    assert isinstance(found, dict)
    references = [part["bom-ref"] for part in found["components"]]
    assert sorted(set(references)) == sorted(references)
    return found


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def properties(part: dict[str, Any]) -> dict[str, str]:
    return {item["name"].removeprefix("standalone-python:"): item["value"] for item in part["properties"]}


@pytest.fixture
def installed(command: Command, source: Path) -> Command:
    file = command.file(json.dumps({"builds": ["3.13"], "source": str(source), "root": "ROOT"}))
    assert command("apply", file, "--root", "root").code == 0
    return command


def test_of_a_machine(installed: Command) -> None:
    root = installed.folder / "root"
    (build,) = root.glob(f"cpython-{V13LATER}+{NEWER}-*")
    receipt = json.loads((build / ".standalone-python/receipt.json").read_text())
    found = parsed(installed("sbom", "--root", "root").output)
    parts = {part["bom-ref"]: part for part in found["components"]}
    whole = properties(parts[build.name])
    assert (whole["path"], whole["installed-at"], whole["attestation-verified"]) == (str(build), receipt["installed_at"], "no")
    assert parts[build.name]["hashes"][0]["content"] == receipt["sha256"]
    openssl = parts[f"{build.name}/openssl"]
    assert (openssl["version"], properties(openssl)) == (receipt["components"]["openssl"], {"version-source": "measured"})
    assert openssl["purl"] == f"pkg:generic/openssl@{openssl['version']}"
    assert properties(parts[f"{build.name}/bzip2"]) == {"version-source": "table"}
    # In the build it says the same, and is one of the build's files.
    own = parsed((build / SBOM).read_text())
    assert [f"{build.name}/{part['bom-ref']}" for part in own["components"]] == list(parts)[1:]
    assert f"  {SBOM}\n" in (build / ".standalone-python/files.sha256").read_text()
    # The same again, with a time that is given.
    for name in ("one.cdx.json", "two.cdx.json"):
        assert installed("sbom", "--root", "root", "-o", name, environment=EPOCH).output == ""
    assert (installed.folder / "one.cdx.json").read_bytes() == (installed.folder / "two.cdx.json").read_bytes()
    (build / SBOM).write_text("{}")
    verified = installed("verify", "--root", "root")
    assert (verified.code, SBOM in verified.output) == (2, True)


def test_a_scanner_finds_the_components(installed: Command) -> None:
    """In a root, by the file's name; CPython and pip it finds also without that file."""
    root = installed.folder / "root"
    environment = {**installed.environment(), "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    command = [str(syft.program()), "scan", f"dir:{root}", "--quiet", "-o", "json", "--select-catalogers", "+sbom-cataloger"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = {(one["name"], one["version"], one["purl"]) for one in json.loads(done.stdout)["artifacts"]}
    listed = parsed(installed("sbom", "--root", "root").output)["components"]
    wanted = {(part["name"], part["version"], part["purl"]) for part in listed if part["bom-ref"].partition("/")[2]}
    assert {"python", "openssl", "sqlite", "pip"} <= {name for name, _version, _purl in wanted}
    assert wanted <= found


def test_a_build_of_before_has_none_and_is_sound(installed: Command) -> None:
    """Nor do its receipt's components matter, which somebody else may have written."""
    (build,) = (installed.folder / "root").glob("cpython-*+*")
    (build / SBOM).unlink()
    listing = build / ".standalone-python/files.sha256"
    was = sha256_of(listing)
    listing.write_text("".join(line for line in listing.read_text().splitlines(keepends=True) if SBOM not in line))
    path = build / ".standalone-python/receipt.json"
    older = json.loads(path.read_text().replace(was, sha256_of(listing)))
    del older["components"], older["attested"]
    hostile = {
        "components": {"openssl": "\x1b[31m1", "<b>": "1", "tk": ["1"]},
        "url": "https://example.org/\x1b]0;x\x07\x7f\u202e",
    }
    for more in ({}, hostile):
        path.write_text(receipt_text(older | more))
        for what in ("status", "verify"):
            looked = installed(what, "--root", "root")
            assert (looked.code, " sound " in looked.output) == (0, True), looked
        parts = {part["bom-ref"]: part for part in parsed(installed("sbom", "--root", "root").output)["components"]}
        assert properties(parts[f"{build.name}/sqlite"]) == {"version-source": "table"}
        assert ("version" in parts[f"{build.name}/openssl"]) == (not more)
        assert "attestation-verified" not in properties(parts[build.name])
    shutil.rmtree(build / "lib")
    parts = {part["bom-ref"]: part for part in parsed(installed("sbom", "--root", "root").output)["components"]}
    assert "problem" in properties(parts[build.name])


def test_of_a_lock_file(command: Command, source: Path) -> None:
    file = command.file(json.dumps({"builds": ["3.13"], "source": str(source)}))
    assert command("lock", file, "-o", LOCK, "--target", "x86_64-unknown-linux-gnu").code == 0
    found = parsed(command("sbom", LOCK).output)
    assert found["metadata"]["component"] == {"type": "data", "name": LOCK, "bom-ref": "subject"}
    (build,) = (part for part in found["components"] if part["name"].startswith("cpython-"))
    assert build["hashes"][0]["content"] == json.loads((command.folder / LOCK).read_text())["builds"][0]["sha256"]
    assert {properties(part)["version-source"] for part in found["components"] if part is not build} == {"name", "table"}
    assert command("sbom", LOCK, "--root", "root").code == 64
    assert "does not exist" in command("sbom", "none.json").sentence


def test_an_empty_root_is_said(command: Command) -> None:
    image = command.folder / "image"
    image.mkdir()
    for place, root in (
        (("--root", str(command.folder / "none")), str(command.folder / "none")),
        (("--root-dir", str(image)), "/opt/python"),
    ):
        ran = command("sbom", *place)
        assert ran.code == 0
        assert parsed(ran.output)["components"] == []
        assert ran.errors == f"standalone-python: no interpreter is installed in {root}: the document names none\n"
