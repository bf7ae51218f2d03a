# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/windows.md tells people to write: the playbook is one, and the variables of connections are theirs.

What the playbook does is done in tests/windows; WinRM and PSRP are tried on real Windows hosts only.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.standalone.python.plugins.plugin_utils.core.declaration import declare
from tests.tools.playbook import REPOSITORY

TEXT = (REPOSITORY / "docs/windows.md").read_text()
(PLAYBOOK,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
INVENTORIES = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)


def test_the_playbook(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--syntax-check", tmp_path / "play.yml"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY), "ANSIBLE_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    (play,) = yaml.safe_load(PLAYBOOK)
    desired = declare(play["tasks"][0]["standalone.python.interpreters"], windows=True)
    assert desired.root == "%ProgramData%/standalone-python"


@pytest.mark.parametrize("text", INVENTORIES)
def test_the_variables_of_connections(text: str, tmp_path: Path) -> None:
    inventory = configparser.ConfigParser(allow_no_value=True, delimiters=("=",))
    inventory.read_string(text)
    said = dict(inventory["windows:vars"])
    connection = str(said.pop("ansible_connection"))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-doc"), "-t", "connection", "--json", connection],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ANSIBLE_HOME": str(tmp_path)},
    )
    (told,) = json.loads(done.stdout).values()
    options: dict[str, Any] = told["doc"]["options"]
    known = {variable["name"] for option in options.values() for variable in option.get("vars", ())}
    assert set(said) - known <= {"ansible_shell_type", "ansible_winrm_transport"}
    assert said.get("ansible_shell_type") in (None, "powershell")


def test_all_of_the_connections_are_told() -> None:
    assert {re.findall(r"ansible_connection=(\w+)", text)[0] for text in INVENTORIES} == {"ssh", "winrm", "psrp"}
