# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel alone, with Ansible or with pyinfra, and the collection's archive alone, each installed into a clean environment.

Needs a package index. Never imports the project: what is tested is what a user gets.
"""

from __future__ import annotations

import json
import os
import re
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

from standalone_python.version import version

PROJECT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections/standalone/python"
OPERATION = "pyinfra_ops/standalone_python"
COMMANDS = "standalone_python"
GALAXY: Mapping[str, Any] = yaml.safe_load((PROJECT / COLLECTION / "galaxy.yml").read_text())
GENERATED = {"__pycache__", ".ansible", ".mypy_cache", ".ruff_cache"}
# Of the caller's environment, what would let the project in by another way.
HIDDEN = ("ANSIBLE_", "PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with ansible-core or pyinfra and the project, installed one way."""

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
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    # Without bytecode: to compile all modules of Ansible takes longer than to compile those that are imported.
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "--no-compile"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", *requirements], check=True, stdin=subprocess.DEVNULL)
    return Installed(folder, settings)


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
        ["ansible-core", "--requirement", folder / "unpacked/requirements.txt"],
        ANSIBLE_COLLECTIONS_PATH=str(collections),
    )
    installed.run("ansible-galaxy", "collection", "install", str(tarball), "--offline", "-p", str(collections))
    return installed


@pytest.fixture(scope="module")
def with_pyinfra(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("with-pyinfra")
    return environment(
        folder,
        [f"{wheel}[pyinfra]"],
        STANDALONE_PYTHON_CACHE=str(folder / "cache"),
        PYINFRA_PROGRESS="off",
        PYTHONPATH=str(folder / "elsewhere"),
    )


@pytest.fixture(scope="module", params=["from_wheel", "from_tarball"])
def installed(request: pytest.FixtureRequest) -> Installed:
    either: Installed = request.getfixturevalue(request.param)
    return either


def files_below(folder: str) -> set[str]:
    """Every file below a folder of the project that isn't generated, relative to that folder."""
    top = PROJECT / folder
    return {
        path.relative_to(top).as_posix()
        for path in top.rglob("*")
        if path.is_file() and not GENERATED & set(path.relative_to(top).parts)
    }


def test_wheel_holds_the_front_ends_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {f"{folder}/{name}" for folder in (COLLECTION, OPERATION, COMMANDS) for name in files_below(folder)}


def test_wheel_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert f"{OPERATION}/py.typed" in archive.namelist()


def test_sdist_holds_what_the_project_is_made_of(sources: Path) -> None:
    """All that git has, but for what it is only to git, and a link that is there for the eye."""
    with tarfile.open(sources) as archive:
        names = {member.name.partition("/")[2] for member in archive if not member.isdir()}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    assert {name for name in listed.split("\0") if name} - names == {"roles"}
    assert f"{OPERATION}/py.typed" in names


def test_tarball_holds_the_collection_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive if member.isfile()}
    # ansible-galaxy writes the first two in place of the third.
    assert names - {"FILES.json", "MANIFEST.json"} == files_below(COLLECTION) - {"galaxy.yml"}


def test_data_of_the_core_is_in_both(wheel: Path, tarball: Path) -> None:
    with zipfile.ZipFile(wheel) as zipped, tarfile.open(tarball) as tarred:
        for names in (zipped.namelist(), tarred.getnames()):
            assert {".py", ".sh", ".tsv", ".yml", ".md"} <= {PurePosixPath(name).suffix for name in names}


def test_no_package_claims_the_namespaces() -> None:
    for folder in ("ansible_collections", "ansible_collections/standalone", COLLECTION, "pyinfra_ops"):
        assert not (PROJECT / folder / "__init__.py").exists()


def test_one_version(wheel: Path, tarball: Path) -> None:
    assert wheel.name.startswith(f"standalone_python-{GALAXY['version']}-py3-none-any")
    assert tarball.name == f"standalone-python-{GALAXY['version']}.tar.gz"
    assert version() == GALAXY["version"]


ONLY_THE_COMMAND_LINE = {"click>=8.1", "pyyaml>=6.0.2"}


def test_both_require_the_same_libraries() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    lines = (PROJECT / COLLECTION / "requirements.txt").read_text().splitlines()
    assert set(project["dependencies"]) - ONLY_THE_COMMAND_LINE == {line for line in lines if line and not line.startswith("#")}


def test_the_collection_knows_nothing_of_pyinfra(tarball: Path) -> None:
    """The changelog may tell of it; nothing asks for it, and nothing imports it."""
    asking = re.compile(rb"^\s*(?:import|from)\s+pyinfra|^pyinfra|PYINFRA", re.MULTILINE)
    with tarfile.open(tarball) as archive:
        contents = {member.name: file.read() for member in archive if (file := archive.extractfile(member))}
    assert {name for name, content in contents.items() if asking.search(content)} == set()


def test_metadata_asks_for_what_is_run() -> None:
    """support.toml says it; noxfile.py runs it."""
    controllers: Mapping[str, Mapping[str, list[str]]] = tomllib.loads((PROJECT / "support.toml").read_text())["controller"]
    oldest = next(iter(controllers.values()))
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    runtime = yaml.safe_load((PROJECT / COLLECTION / "meta/runtime.yml").read_text())
    role = yaml.safe_load((PROJECT / COLLECTION / "roles/interpreters/meta/main.yml").read_text())
    assert project["requires-python"] == f">={next(iter(controllers))}"
    pythons = [
        name.rpartition(" ")[2] for name in project["classifiers"] if name.startswith("Programming Language :: Python :: 3.")
    ]
    assert pythons == list(controllers)
    assert project["optional-dependencies"]["ansible"] == [f"ansible-core>={oldest['ansible-core'][0]}"]
    assert project["optional-dependencies"]["pyinfra"] == [f"pyinfra>={oldest['pyinfra'][0]}"]
    assert runtime["requires_ansible"] == f">={oldest['ansible-core'][0]}.0"
    assert role["galaxy_info"]["min_ansible_version"] == oldest["ansible-core"][0]
    said = f"ansible-core {oldest['ansible-core'][0]} or later"
    assert f"Python {next(iter(controllers))} or later with {said}, or pyinfra {oldest['pyinfra'][0]} or later" in _words(
        "README.md"
    )
    assert said in _words(f"{COLLECTION}/README.md")
    newest = max(
        (series["ansible-core"][1] for series in controllers.values()), key=lambda text: tuple(map(int, text.split(".")))
    )
    assert f"Tested with ansible-core {oldest['ansible-core'][0]} to {newest}." in _words(f"{COLLECTION}/README.md")


def _words(page: str) -> str:
    return " ".join((PROJECT / page).read_text().split())


@pytest.mark.parametrize("module", ["interpreters", "interpreters_info", "report", "windows_agent"])
def test_documentation_of_modules(installed: Installed, module: str) -> None:
    assert f"standalone.python.{module}" in installed.run("ansible-doc", f"standalone.python.{module}")


def test_documentation_of_the_lookup(installed: Installed) -> None:
    assert "standalone.python.build" in installed.run("ansible-doc", "--type", "lookup", "standalone.python.build")


def test_documentation_of_the_role(installed: Installed) -> None:
    assert "interpreters_builds" in installed.run("ansible-doc", "--type", "role", "standalone.python.interpreters")


def test_module_predicts_an_installation(installed: Installed, tmp_path: Path) -> None:
    root = tmp_path / "python"
    installed.play(
        {"standalone.python.interpreters": {"builds": ["3.13"], "root": str(root)}, "register": "result"},
        {
            "ansible.builtin.assert": {
                "that": [
                    "result is changed",
                    "result.root == root",
                    "result.interpreters[0].action == 'install'",
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


def test_pyinfra_needs_no_ansible(with_pyinfra: Installed) -> None:
    look = "import importlib.util as u; print(u.find_spec('ansible'), u.find_spec('pyinfra_ops.standalone_python').origin)"
    ansible, origin = with_pyinfra.run("python", "-c", look).split()
    assert ansible == "None"
    assert Path(origin).is_relative_to(with_pyinfra.folder / "venv")


def test_operation_installs_an_interpreter(with_pyinfra: Installed, source: Path, tmp_path: Path) -> None:
    """The real thing: this machine is the host."""
    root = tmp_path / "python"
    (with_pyinfra.folder / "deploy.py").write_text(
        "from pyinfra_ops import standalone_python\n"
        f"standalone_python.interpreters(name='Python', builds=['3.13'], root={str(root)!r}, source={str(source)!r})\n"
    )

    def deploy(how: str) -> Any:
        return json.loads(with_pyinfra.run("pyinfra", "--json", how, "@local", "deploy.py"))

    assert deploy("--dry")["plan"][0]["hosts_with_change"] == ["@local"]
    assert not root.exists()
    assert deploy("-y")["results"]["operations"][0]["success"] == ["@local"]
    python = [f"{root}/cpython-3.13/bin/python3", "-c", "import ssl, sys; print(sys.prefix)"]
    said = subprocess.run(python, capture_output=True, text=True, check=True, env={"PATH": os.defpath}).stdout
    assert said.strip() == f"{root}/cpython-3.13"
    assert deploy("-y")["results"]["operations"][0]["no_change"] == ["@local"]
    fact = "pyinfra_ops.standalone_python.Interpreters"
    told = json.loads(with_pyinfra.run("pyinfra", "--json", "@local", "fact", fact, f"root={root}"))
    (by_host,) = told.values()
    assert [one["sound"] for one in by_host["@local"]["interpreters"]] == [True]


def test_operations_of_others_stand_beside_ours(with_pyinfra: Installed) -> None:
    """`pyinfra_ops` is a namespace: what another distribution has in it, anywhere on the path, is there too."""
    other = with_pyinfra.folder / "elsewhere/pyinfra_ops/other"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("here = True\n")
    said = with_pyinfra.run(
        "python", "-c", "from pyinfra_ops import other, standalone_python; print(other.here, standalone_python.__all__)"
    )
    assert said.split()[0] == "True"


TYPED = """\
from pyinfra_ops import standalone_python
from pyinfra_ops.standalone_python import BuildRequest

build: BuildRequest = {"version": "3.13", "default": True, "flavor": "full"}
done = standalone_python.interpreters(name="right", builds=["3.12", build], state="latest", keep=0, _sudo=True)
changes: bool = done.will_change
standalone_python.interpreters(builds="3.13", links=["versioned"], mode=0o755, token=None)
standalone_python.prepare(_sudo=True)
standalone_python.interpreters(builds=["3.13"], state="newest")  # wrong
standalone_python.interpreters(builds=["3.13"], keep="one")  # wrong
standalone_python.interpreters(builds=["3.13"], links=["all"])  # wrong
standalone_python.interpreters(builds=3.13)  # wrong
standalone_python.interpreters(builds=[{"version": "3.13", "flavour": "full"}])  # wrong
standalone_python.interpreters(builds=[{"default": True}])  # wrong
standalone_python.interpreters(bulids=["3.13"])  # wrong
standalone_python.interpreters(builds=["3.13"], _sudo="yes")  # wrong
text: str = done.did_change()  # wrong
"""


def test_types_find_what_is_wrong_in_a_deploy(tmp_path: Path) -> None:
    """As an editor shows them; the project's own environment has mypy."""
    deploy = tmp_path / "deploy.py"
    deploy.write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(tmp_path / "cache")]
    paths = {"MYPYPATH": str(PROJECT)}
    done = subprocess.run(
        [*command, "--namespace-packages", "--explicit-package-bases", str(deploy)],
        cwd=tmp_path,
        env=os.environ | paths,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(line) for line in re.findall(r"^deploy\.py:(\d+): error", done.stdout, re.MULTILINE)}
    elsewhere = [line for line in done.stdout.splitlines() if ": error" in line and not line.startswith("deploy.py:")]
    assert (found, elsewhere) == (
        {number for number, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong")},
        [],
    ), done.stdout
