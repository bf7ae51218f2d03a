# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release: the same bytes wherever it is built, accepted by Galaxy's importer, with its changelog, SBOM, licences and what an
execution environment installs. Needs a package index for the SBOM and the importer.
"""

from __future__ import annotations

import ast
import email
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
COLLECTION = Path("ansible_collections/standalone/python")
BIN = Path(sys.executable).parent
CACHES = shutil.ignore_patterns("__pycache__", "*.pyc", ".ansible")


def run(*command: str | Path, cwd: Path = PROJECT, **environment: str) -> str:
    """What a program of this environment prints; the test fails when it does."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=cwd,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def copied(to: Path, *, private: bool) -> Path:
    """The project's files at another place: in another order, and with other times and permissions, where it is private."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = sorted({name for name in listed.split("\0") if name and (PROJECT / name).exists()}, reverse=private)
    for name in names:
        there = to / name
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, there, follow_symlinks=False)
        if private and not there.is_symlink():
            there.chmod(there.stat().st_mode & 0o700)
            os.utime(there, (1, 1))
    return to


def test_twice_the_same_bytes(tmp_path: Path) -> None:
    built = []
    for name, private in (("here", False), ("elsewhere/deeper", True)):
        project = copied(tmp_path / name, private=private)
        run("python", "scripts/release.py", "out", cwd=project, SOURCE_DATE_EPOCH="1700000000")
        built.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (project / "out").iterdir()})
    assert len(built[0]) == 3
    assert built[0] == built[1]


def test_galaxy_takes_it(tarball: Path, tmp_path: Path) -> None:
    """The program that Galaxy itself runs; it wants a changelog, the licence, metadata, and documentation that can be read."""
    # In an environment of its own, as it wants libraries older than what others here need.
    venv = tmp_path / "venv"
    run("python", "-m", "venv", "--without-pip", venv)
    pip = ("-m", "pip", "--python", venv / "bin/python", "install", "--no-compile", "--quiet", "--disable-pip-version-check")
    run("python", *pip, "galaxy-importer>=0.4.30")
    path = f"{venv}/bin:{os.environ['PATH']}"
    said = run(venv / "bin/python", "-m", "galaxy_importer.main", tarball, cwd=tmp_path, PATH=path, HOME=str(tmp_path))
    assert "Importer processing completed successfully" in said
    for line in said.splitlines():
        assert not line.startswith(("WARNING", "ERROR")), said


def test_galaxy_needs_to_know_where_it_is_developed(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        manifest = json.load(archive.extractfile("MANIFEST.json"))  # type: ignore[arg-type]
        links = yaml.safe_load(archive.extractfile("docs/docsite/links.yml"))  # type: ignore[arg-type]
    assert manifest["collection_info"]["repository"] == "https://example.org/standalone-python"
    assert manifest["collection_info"]["issues"] == "https://example.org/standalone-python/issues"
    assert links["extra_links"][1]["url"] == "https://example.org/standalone-python/issues/new/choose"


def test_an_index_shows_where_it_is_developed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        links = email.message_from_bytes(archive.read(name)).get_all("Project-URL", [])
    assert "Issues, https://example.org/standalone-python/issues" in links
    assert "Changelog, https://example.org/standalone-python/blob/main/CHANGELOG.md" in links


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    copy = tmp_path / COLLECTION
    shutil.copytree(PROJECT / COLLECTION, copy, ignore=CACHES)
    return copy


def test_changelog_can_be_made_of_the_fragments(collection: Path) -> None:
    version = yaml.safe_load((collection / "galaxy.yml").read_text())["version"]
    # A changelog is text for people: what markup for ansible-doc there is would stand there as it is.
    for fragment in (collection / "changelogs/fragments").glob("*.yml"):
        for markup in ("C(", "O(", "V(", "M(", "I(", "B("):
            assert markup not in fragment.read_text(), f"{fragment.name}: write ``…`` in place of {markup}…)"
    run("antsibull-changelog", "release", "--date", "2026-01-01", cwd=collection, HOME=str(collection.parents[2]))
    text = (collection / "CHANGELOG.rst").read_text()
    assert f"\nv{version}\n=" in text
    names = ("interpreters ", "interpreters_info ", "report ", "build ")
    for name in (f"standalone.python.{name}" for name in names):
        assert f"- {name}- " in text
    run("antsibull-changelog", "lint", cwd=collection)
    assert list((collection / "changelogs/fragments").glob("*.yml")) == []


def test_execution_environment_gets_what_the_collection_needs(collection: Path) -> None:
    said = yaml.safe_load(run("ansible-builder", "introspect", collection.parents[2], cwd=collection))
    lines = (collection / "requirements.txt").read_text().splitlines()
    assert [line.partition("  #")[0] for line in said["python"]] == [line for line in lines if not line.startswith("#")]


def test_sbom_names_what_the_wheel_needs(published: Path, wheel: Path) -> None:
    specification = spec_from_file_location("release", PROJECT / "scripts/release.py")
    assert specification
    assert specification.loader
    release = module_from_spec(specification)
    specification.loader.exec_module(release)
    text = release.sbom(wheel).read_text()
    told: Mapping[str, Any] = json.loads(text)
    names = {component["name"].lower() for component in told["components"]}
    assert told["bomFormat"] == "CycloneDX"
    assert {"standalone-python", "click", "filelock", "packaging", "pyyaml", "requests", "zstandard", "urllib3"} <= names
    assert not names & {"ansible-core", "pyinfra", "pip"}
    assert "file://" not in text


def test_licence_is_the_same_for_all() -> None:
    """scripts/lint holds that every file has one."""
    texts = {(PROJECT / name).read_bytes() for name in ("LICENSE", "LICENSES/GPL-3.0-or-later.txt", COLLECTION / "LICENSE")}
    assert len(texts) == 1


def test_what_imports_ansible_says_its_licence() -> None:
    """In the words by which ansible-test knows it, as this code can't have another."""
    for path in (PROJECT / COLLECTION / "plugins").rglob("*.py"):
        imported = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        }
        if any(name.partition(".")[0] == "ansible" for name in imported):
            assert "GNU General Public License v3.0+" in path.read_text()[:400], path
