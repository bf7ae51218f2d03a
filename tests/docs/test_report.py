# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/report.md tells people to write and to run, in its order, with this machine as the host of the inventory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from ansible_collections.standalone.python.plugins.plugin_utils.core.security.report import FAIL_ON, STATUSES
from tests.tools.pages import commands, files
from tests.tools.playbook import CACHE, LOCALHOST, REPOSITORY

PAGE = "docs/report.md"
TRIED = {PAGE: [*files(PAGE).values(), *commands(PAGE)]}


def test_the_page(tmp_path: Path) -> None:
    (tmp_path / "inventory.py").write_text('hosts = ["@local"]\n')
    (tmp_path / "hosts.ini").write_text(LOCALHOST.replace("/nonexistent/python", sys.executable))
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["bash", "-exc", "\n".join(commands(PAGE))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY),
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
            "STANDALONE_PYTHON_CACHE": str(CACHE),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<!DOCTYPE html>" in (tmp_path / "python.html").read_text()
    hosts = set(re.findall(r'host_up{host="(\w+)"} 1', (tmp_path / "python.prom").read_text()))
    assert hosts == {"web1", "localhost"}


def test_the_page_tells_every_status_and_condition() -> None:
    text = (REPOSITORY / PAGE).read_text()
    table = text.partition("## What the words mean")[2]
    assert re.findall(r"`([a-z ]+)`(?=[^|\n]*\|)", table) == list(STATUSES)
    sentence = text.partition("the exit code is 2 if the report has what is named")[2].partition("It may be repeated")[0]
    assert re.findall("`([a-z]+)`", sentence) == list(FAIL_ON)
