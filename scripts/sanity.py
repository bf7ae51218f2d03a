# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ``ansible-test sanity`` on the collection, without a container.

ansible-test needs the collection at ``ansible_collections/NAMESPACE/NAME`` in its own git tree, and creates an
environment for each of its tests. Both are in a separate home folder below the project's virtual environment, so
nothing is written to the user's ``~/.ansible``. Apart from a package index it needs no network.

usage: python scripts/sanity.py [ARGUMENT FOR ansible-test sanity]...
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COLLECTION = Path("ansible_collections/standalone/python")
CACHES = shutil.ignore_patterns("__pycache__", "*.pyc", ".ansible", ".mypy_cache", ".ruff_cache")

# Lints PowerShell with PowerShell's analyser, which it downloads from the PowerShell Gallery.
LEFT_OUT = ("pslint",)

# ansible-test downloads a script that installs pip into its environments. The standard library can do that too.
BOOTSTRAP = "import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n"

# A line of `pip config list`: `global.cert='/a/b'`, or `:env:.cert='/a/b'` for what the environment says.
_SETTING = re.compile(r"^(?P<section>[\w:-]+)\.(?P<name>[\w-]+)='(?P<value>.*)'$")

# pip's messages while ansible-test creates its environments.
_NOISE = re.compile(
    r"Looking in|Processing|Collecting|Requirement already|Installing|Using cached|Successfully|"
    r"WARNING: Location|\s+(Downloading|Using cached|━)"
)


def pip_configuration(listing: str) -> str:
    """Write a pip.conf with the output of `pip config list`, because ansible-test hides the environment from pip."""
    sections = {"global": 0, "install": 1, ":env:": 2}
    found = [match for line in listing.splitlines() if (match := _SETTING.match(line)) and match["section"] in sections]
    found.sort(key=lambda match: sections[match["section"]])
    settings = {match["name"]: match["value"].replace("\\n", " ") for match in found}
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())


def pip_version(python: str) -> str:
    """Return the version of pip that this ansible-test needs for a Python such as ``3.11``, from its script's name."""
    from types import SimpleNamespace

    from ansible_test._internal.python_requirements import get_venv_packages

    return str(get_venv_packages(SimpleNamespace(version=python))["pip"])


def make_home(home: Path, python: str) -> None:
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / f"get_pip_{pip_version(python).replace('.', '_')}.py").write_text(BOOTSTRAP)
    listing = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    configuration = home / ".config/pip/pip.conf"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(pip_configuration(listing))


def copy_collection(to: Path) -> Path:
    """Copy the collection into a new git tree; ansible-test gets its list of files from git."""
    shutil.rmtree(to, ignore_errors=True)
    copy = to / COLLECTION
    shutil.copytree(PROJECT / COLLECTION, copy, ignore=CACHES)
    subprocess.run(["git", "init", "--quiet", "."], cwd=copy, check=True)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    return copy


def main(arguments: Sequence[str]) -> int:
    workshop = Path(sys.prefix) / "sanity"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = workshop / "home"
    make_home(home, python)
    copy = copy_collection(workshop / "tree")
    tests = Path(sys.executable).with_name("ansible-test")
    environment = os.environ | {"HOME": str(home), "PATH": f"{tests.parent}{os.pathsep}{os.environ['PATH']}"}
    left_out = [argument for name in LEFT_OUT for argument in ("--skip-test", name)]
    command = [str(tests), "sanity", "--python", python, "--color", "no", *left_out, *arguments]
    run = subprocess.run(command, cwd=copy, env=environment, text=True, capture_output=True, check=False)
    output = run.stdout + run.stderr
    if run.returncode != 0:
        print("\n".join(line for line in output.splitlines() if not _NOISE.match(line)))
    ran = re.findall(r'^Running sanity test "([\w-]+)"', output, re.MULTILINE)
    outcome = "passed" if run.returncode == 0 else "FAILED"
    print(f"ansible-test sanity {outcome} on Python {python}; run: {', '.join(ran)}; left out: {', '.join(LEFT_OUT)}")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
