# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package that the controller lacks -> the sentence that names all of them and the command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import errors
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.libraries import LIBRARIES, libraries_explained

REQUIREMENTS = Path(str(errors.__file__)).parents[3] / "requirements.txt"


def test_the_list_is_that_of_the_collection() -> None:
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    assert tuple(line.partition(">=")[0] for line in lines if not line.startswith("#")) == LIBRARIES


@pytest.mark.parametrize(
    ("lacking", "packages", "names"),
    [
        (["platformdirs"], "package platformdirs, which is", "platformdirs"),
        (
            ["zstandard", "filelock", "requests"],
            "packages filelock, requests and zstandard, which are",
            "filelock requests zstandard",
        ),
    ],
)
def test_all_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, lacking: list[str], packages: str, names: str) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python3")
    for name in lacking:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TransportError) as caught, libraries_explained():
        __import__(lacking[0])
    assert str(caught.value) == (
        f"standalone-python needs the Python {packages} not installed for /opt/my python/bin/python3 on the controller: "
        f"run '/opt/my python/bin/python3' -m pip install {names}"
    )


def test_other_errors_pass() -> None:
    with pytest.raises(ImportError, match="no_such_module"), libraries_explained():
        __import__("no_such_module")
