"""What README and CONTRIBUTING tell people to run, run as they would."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tools.hosts import Host
from tests.tools.pages import COLLECTION
from tests.tools.playbook import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
COMMANDS = [line.split("  ")[0] for line in re.findall(r"^    (\S.*)$", PROSE, re.MULTILINE)]
TARGETS = ("demo", "test", "lint")
REQUIREMENTS = f"{COLLECTION}/requirements.txt"
# Each installs from a clone, without changing it: the command, with what keeps it within a folder of the test, and what is then there.
INSTALLS = {
    "pipx install .": ({"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin"}, (), "bin/standalone-python"),
    "uv tool install .": ({"UV_TOOL_DIR": "tools", "UV_TOOL_BIN_DIR": "bin"}, (), "bin/standalone-python"),
    f"ansible-galaxy collection install ./{COLLECTION}": (
        {"ANSIBLE_HOME": "ansible", "ANSIBLE_COLLECTIONS_PATH": "collections", "PYTHONPATH": ""},
        ("--force",),
        "collections/ansible_collections/standalone/python/plugins/action/interpreters.py",
    ),
}
TRIED = {
    "README.md": [
        *(f"make {target}" for target in TARGETS),
        *INSTALLS,
        f"pip install -r {REQUIREMENTS}",
    ],
}

pytestmark = pytest.mark.xdist_group("hosts")


def test_each_command_is_one_that_is_tried() -> None:
    """make and pip are what CI and tests/packaging do, pyinfra and the command line are tried beside this; a command that is new here
    needs a test."""
    programs, (galaxy,) = list(INSTALLS)[:2], list(INSTALLS)[2:]
    install = [*programs, "pip install '.[ansible]'", "pip install '.[pyinfra]'", galaxy, f"pip install -r {REQUIREMENTS}"]
    line = ["standalone-python install 3.13", "standalone-python upgrade"]
    assert ["make demo", "make test", *install, *line, "pyinfra web1.example.net deploy.py -y"] == COMMANDS


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("command", INSTALLS)
def test_it_is_installed_from_a_clone(command: str, tmp_path: Path) -> None:
    folders, options, there = INSTALLS[command]
    environment = {**os.environ, **{name: folder and str(tmp_path / folder) for name, folder in folders.items()}}
    name, *words = command.split()
    done = subprocess.run(
        [str(Path(sys.executable).with_name(name)), *words, *options],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / there).exists()
    if there.endswith("standalone-python"):
        said = subprocess.run([tmp_path / there, "--version"], capture_output=True, text=True, check=True).stdout
        assert said.startswith("standalone-python, version ")


def test_the_collections_requirements_can_be_installed() -> None:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "-r", REQUIREMENTS]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.parametrize("target", TARGETS)
def test_the_targets_exist(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.parametrize("extra", ["ansible", "attestations", "delta", "pyinfra", "s3"])
def test_the_extra_that_pip_is_told_of_exists(extra: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-build-isolation", f".[{extra}]"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr


def test_the_reference_reads_whole() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-doc")), "standalone.python.interpreters"],
        capture_output=True,
        text=True,
        check=True,
        env={"ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
    )
    for option in ("builds", "exclusive", "lock_timeout", "EXAMPLES", "RETURN VALUES"):
        assert option in done.stdout


def text_of(picture: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", picture)).replace("\xa0", " ")


def test_the_picture_is_of_what_happens(fleet: Mapping[str, Host], tmp_path: Path) -> None:
    """Made anew; its commands and what matters of their answers are those of the picture that is shown."""
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts/recording.py", tmp_path / "run.svg"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown, made = (text_of(path.read_text()) for path in (REPOSITORY / "docs/images/run.svg", tmp_path / "run.svg"))
    for said in (
        *(line for line in shown.splitlines() if line.startswith("$ ")),
        "+/usr/local/bin/python3.13 -> /opt/python/cpython-3.13/bin/python3.13",
        "changed=1",
        "changed=0",
        "3.13.4 /opt/python/cpython-3.13",
    ):
        assert said in shown
        assert said in made
