# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel alone and the collection's archive alone, each installed into a clean environment.

Needs a package index. Never imports the project: what is tested is what a user gets.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections/standalone/python"
GALAXY: Mapping[str, Any] = yaml.safe_load((PROJECT / COLLECTION / "galaxy.yml").read_text())
GENERATED = {"__pycache__", ".ansible", ".mypy_cache", ".ruff_cache"}
# Of the caller's environment, what would let the project in by another way.
HIDDEN = ("ANSIBLE_", "PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with ansible-core and the project, installed one way."""

    folder: Path
    settings: dict[str, str]

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the environment and return what it printed; the test fails when it does."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
        environment |= {
            "HOME": str(self.folder),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_NOCOLOR": "1",
        }
        finished = subprocess.run(
            [self.folder / "venv/bin" / program, *arguments],
            cwd=self.folder,
            env=environment | self.settings,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert finished.returncode == 0, f"{program} {arguments}:\n{finished.stdout}{finished.stderr}"
        return finished.stdout

    def play(self, *tasks: Mapping[str, Any]) -> str:
        """Run tasks on localhost in check mode."""
        book = self.folder / "play.yml"
        book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]))
        return self.run("ansible-playbook", "--check", str(book))


def environment(folder: Path, requirements: Sequence[str | Path], **settings: str) -> Installed:
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    installed = Installed(folder, settings)
    installed.run(
        "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *map(str, requirements)
    )
    return installed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder,
        PROJECT,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tarball")
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    command: list[str | Path] = [galaxy, "collection", "build", PROJECT / COLLECTION, "--output-path", folder]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"HOME": str(folder)})
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def from_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return environment(tmp_path_factory.mktemp("from-wheel"), [f"{wheel}[ansible]"])


@pytest.fixture(scope="module")
def from_tarball(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("from-tarball")
    collections = folder / "collections"
    (folder / "unpacked").mkdir()
    with tarfile.open(tarball) as archive:
        archive.extract("requirements.txt", folder / "unpacked", filter="data")
    installed = environment(
        folder,
        ["ansible-core>=2.19", "--requirement", folder / "unpacked/requirements.txt"],
        ANSIBLE_COLLECTIONS_PATH=str(collections),
    )
    installed.run(
        "ansible-galaxy", "collection", "install", str(tarball), "--offline", "-p", str(collections)
    )
    return installed


@pytest.fixture(scope="module", params=["from_wheel", "from_tarball"])
def installed(request: pytest.FixtureRequest) -> Installed:
    either: Installed = request.getfixturevalue(request.param)
    return either


def collection_files() -> set[str]:
    """Every file of the collection that isn't generated, relative to its folder."""
    top = PROJECT / COLLECTION
    return {
        path.relative_to(top).as_posix()
        for path in top.rglob("*")
        if path.is_file() and not GENERATED & set(path.relative_to(top).parts)
    }


def test_wheel_holds_the_collection_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {f"{COLLECTION}/{name}" for name in collection_files()}


def test_tarball_holds_the_collection_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive if member.isfile()}
    # ansible-galaxy writes the first two in place of the third.
    assert names - {"FILES.json", "MANIFEST.json"} == collection_files() - {"galaxy.yml"}


def test_data_of_the_core_is_in_both(wheel: Path, tarball: Path) -> None:
    with zipfile.ZipFile(wheel) as zipped, tarfile.open(tarball) as tarred:
        for names in (zipped.namelist(), tarred.getnames()):
            assert {".py", ".sh", ".tsv", ".yml", ".md"} <= {PurePosixPath(name).suffix for name in names}


def test_no_package_claims_the_namespaces() -> None:
    for folder in ("ansible_collections", "ansible_collections/standalone", COLLECTION):
        assert not (PROJECT / folder / "__init__.py").exists()


def test_one_version(wheel: Path, tarball: Path) -> None:
    assert wheel.name.startswith(f"standalone_python-{GALAXY['version']}-py3-none-any")
    assert tarball.name == f"standalone-python-{GALAXY['version']}.tar.gz"


def test_both_require_the_same_libraries() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    lines = (PROJECT / COLLECTION / "requirements.txt").read_text().splitlines()
    assert sorted(project["dependencies"]) == sorted(
        line for line in lines if line and not line.startswith("#")
    )


def test_all_ask_for_the_same_ansible() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    (core,) = project["optional-dependencies"]["ansible"]
    runtime = yaml.safe_load((PROJECT / COLLECTION / "meta/runtime.yml").read_text())
    role = yaml.safe_load((PROJECT / COLLECTION / "roles/interpreters/meta/main.yml").read_text())
    assert runtime["requires_ansible"] == core.removeprefix("ansible-core") + ".0"
    assert role["galaxy_info"]["min_ansible_version"] == core.removeprefix("ansible-core>=")


@pytest.mark.parametrize("module", ["interpreters", "interpreters_info"])
def test_documentation_of_modules(installed: Installed, module: str) -> None:
    assert f"standalone.python.{module}" in installed.run("ansible-doc", f"standalone.python.{module}")


def test_documentation_of_the_lookup(installed: Installed) -> None:
    assert "standalone.python.build" in installed.run(
        "ansible-doc", "--type", "lookup", "standalone.python.build"
    )


def test_documentation_of_the_role(installed: Installed) -> None:
    assert "interpreters_builds" in installed.run(
        "ansible-doc", "--type", "role", "standalone.python.interpreters"
    )


def test_module_predicts_an_installation(installed: Installed, tmp_path: Path) -> None:
    root = tmp_path / "python"
    installed.play(
        {"standalone.python.interpreters": {"builds": ["3.13"], "root": str(root)}, "register": "result"},
        {
            "ansible.builtin.assert": {
                "that": [
                    "result is changed",
                    "result.root == root",
                    "result.interpreters[0].did == 'install'",
                    "result.interpreters[0].version is version('3.13', '>=')",
                ]
            },
            "vars": {"root": str(root)},
        },
    )
    assert not root.exists()


def test_info_finds_nothing(installed: Installed, tmp_path: Path) -> None:
    installed.play(
        {"standalone.python.interpreters_info": {"root": str(tmp_path / "python")}, "register": "result"},
        {"ansible.builtin.assert": {"that": ["result is not changed", "result.interpreters == []"]}},
    )


def test_lookup_finds_a_build(installed: Installed) -> None:
    build = "lookup('standalone.python.build', '3.13.1+20250115', target='x86_64-unknown-linux-gnu')"
    name = "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    installed.play({"ansible.builtin.assert": {"that": f"{build}.filename == '{name}'"}})


def test_role_runs(installed: Installed, tmp_path: Path) -> None:
    variables = {"interpreters_builds": ["3.13"], "interpreters_root": str(tmp_path / "python")}
    variables |= {"interpreters_use": "3.13"}
    installed.play(
        {"ansible.builtin.include_role": {"name": "standalone.python.interpreters"}, "vars": variables},
        {"ansible.builtin.assert": {"that": "interpreters_result is changed"}},
    )
    assert not (tmp_path / "python").exists()
