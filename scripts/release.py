# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the published files into a folder: the wheel, its sources, the collection, and an SBOM of the wheel's dependencies.

The same tree gives the same bytes on every machine: all times are SOURCE_DATE_EPOCH, else the time of the last commit. Only the
SBOM may differ from day to day, because it depends on the package index.

usage: python scripts/release.py FOLDER [--repository URL] [--sbom]

Galaxy needs the URL of a collection's repository: use --repository when publishing.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COLLECTION = PROJECT / "ansible_collections/standalone/python"
MANIFEST, FILES = "MANIFEST.json", "FILES.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Builds what is published.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repository", default="", metavar="URL", help="URL of the collection's repository")
    parser.add_argument("--sbom", action="store_true", help="also write an SBOM of the wheel's dependencies")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _output("git", "log", "-1", "--format=%ct"))
    built = [*distribution(options.folder, options.repository, epoch), collection(options.folder, options.repository, epoch)]
    if options.sbom:
        built.append(sbom(built[0]))
    for path in built:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")
    return 0


def distribution(folder: Path, repository: str, epoch: int) -> list[Path]:
    """Build the wheel and its sources. hatchling reads SOURCE_DATE_EPOCH, and hatch_build.py the repository."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "STANDALONE_PYTHON_REPOSITORY": repository}
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", made, str(PROJECT)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        (wheel,) = Path(made).glob("*.whl")
        (sources,) = Path(made).glob("*.tar.gz")
        return [Path(shutil.move(path, folder / path.name)) for path in (wheel, sources)]


def collection(folder: Path, repository: str, epoch: int) -> Path:
    """Build the collection with ansible-galaxy, then make the order and times independent of this machine."""
    with tempfile.TemporaryDirectory() as made:
        copy = Path(made, "collection")
        shutil.copytree(COLLECTION, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        if repository:
            with (copy / "galaxy.yml").open("a", encoding="utf-8") as metadata:
                metadata.write(f"repository: {json.dumps(repository)}\nissues: {json.dumps(f'{repository}/issues')}\n")
            with (copy / "docs/docsite/links.yml").open("a", encoding="utf-8") as links:
                report = json.dumps(f"{repository}/issues/new/choose")
                links.write(f"  - description: Report an issue\n    url: {report}\n")
        galaxy = Path(sys.executable).with_name("ansible-galaxy")
        command = [str(galaxy), "collection", "build", str(copy), "--output-path", made]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"HOME": made})
        (built,) = Path(made).glob("*.tar.gz")
        path = folder / built.name
        path.write_bytes(normalized(built.read_bytes(), epoch))
    return path


def normalized(archive: bytes, epoch: int) -> bytes:
    """Rewrite a collection's archive: members and its list of files sorted by name, with one time and no owner."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as old:
        members = {member.name: (member, old.extractfile(member)) for member in old}
        contents = {name: file.read() for name, (_, file) in members.items() if file}
    listed = json.loads(contents[FILES])
    listed["files"].sort(key=lambda file: str(file["name"]))
    contents[FILES] = _json(listed)
    manifest = json.loads(contents[MANIFEST])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents[FILES]).hexdigest()
    contents[MANIFEST] = _json(manifest)
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=epoch, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        # ansible-galaxy reads the manifest first.
        for name in sorted(members, key=lambda name: (name != MANIFEST, name != FILES, name)):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = members[name][0].type, members[name][0].mode, epoch
            member.size = len(contents.get(name, b""))
            new.addfile(member, io.BytesIO(contents[name]) if name in contents else None)
    return packed.getvalue()


def sbom(wheel: Path) -> Path:
    """Write the SBOM (CycloneDX) of the wheel and its dependencies, without Ansible and pyinfra, which users choose."""
    path = wheel.with_name(f"{'-'.join(wheel.name.split('-')[:2])}.cdx.json")
    with tempfile.TemporaryDirectory() as made:
        venv = Path(made, "venv")
        subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(venv)], check=True)
        python = str(venv / "bin/python")
        # By name, because pip would report a path as the origin.
        name, version = wheel.name.split("-")[:2]
        pip = [sys.executable, "-P", "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--find-links", str(wheel.parent), f"{name}=={version}"], check=True)
        tool = str(Path(sys.executable).with_name("cyclonedx-py"))
        subprocess.run([tool, "environment", "--output-reproducible", "--output-file", str(path), python], check=True)
    return path


def _json(value: object) -> bytes:
    return json.dumps(value, indent=True).encode()


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
