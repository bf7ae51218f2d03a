# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller with ansible-core or pyinfra alone, as after an installation from Galaxy: one sentence with the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.tools.deploy import LOCAL, operation, run_deploy
from tests.tools.playbook import REPOSITORY, run_play

LACKING = ("filelock", "platformdirs", "requests", "truststore", "urllib3", "zstandard")
SENTENCE = (
    f"standalone-python needs the Python packages {', '.join(LACKING[:-1])} and {LACKING[-1]}, which are not installed for "
    f"{sys.executable} on the controller: run {sys.executable} -m pip install {' '.join(LACKING)}"
)
# Python imports it when it starts.
SITE = f"""
import sys


class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LACKING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Without())
"""


@pytest.fixture
def lacking(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITE)
    # Without a named folder, the place of the cache needs a package too.
    return {"PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}", "STANDALONE_PYTHON_CACHE": ""}


def test_every_plugin_of_ansible(tmp_path: Path, source: Path, lacking: dict[str, str]) -> None:
    root = str(tmp_path / "root")
    lookup = "lookup('standalone.python.build', '3.13', target='x86_64-unknown-linux-gnu', source='http://127.0.0.1:1/')"
    run = run_play(
        [
            {"standalone.python.interpreters_info": {"root": root}, "register": "found"},
            {
                "standalone.python.interpreters": {"builds": ["3.13"], "root": root, "source": str(source)},
                "ignore_errors": True,
            },
            {"standalone.python.report": {"dest": str(tmp_path / "report.html")}, "ignore_errors": True},
            {"ansible.builtin.debug": {"msg": "{{ " + lookup + " }}"}},
        ],
        environment=lacking,
    )
    # On Linux a report needs none of them.
    report = ("ok", False) if sys.platform == "linux" else ("failed", True)
    failed = ("failed", True)
    assert [(result.kind, SENTENCE in result.message) for result in run.results] == [("ok", False), failed, report, failed]
    assert not Path(root).exists()


def test_the_operation_of_pyinfra(tmp_path: Path, source: Path, lacking: dict[str, str]) -> None:
    deploy = operation({"builds": ["3.13"], "root": str(tmp_path / "root"), "source": str(source)})
    done = run_deploy(deploy, LOCAL, environment=lacking)
    assert SENTENCE in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "root").exists()
