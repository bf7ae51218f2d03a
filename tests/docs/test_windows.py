# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/windows.md tells people to write: the playbook is one, and the variables of connections are theirs.

What the playbooks do is done in tests/windows; WinRM, PSRP and runas are tried on real Windows hosts only.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from tests.tools.playbook import REPOSITORY
from tests.tools.runas import NOWHERE, standing_in

TEXT = (REPOSITORY / "docs/windows.md").read_text()
PLAYBOOKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
INVENTORIES = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)
BECOMING = re.findall(r"^    (ansible windows .*)$", TEXT, re.MULTILINE)
TRIED = {"docs/windows.md": [*PLAYBOOKS, *INVENTORIES, *BECOMING]}


@pytest.mark.parametrize(("playbook", "root"), list(zip(PLAYBOOKS, ["%ProgramData%/standalone-python", "~/python"], strict=True)))
def test_the_playbooks(playbook: str, root: str, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(playbook)
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--syntax-check", tmp_path / "play.yml"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY), "ANSIBLE_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    (play,) = yaml.safe_load(playbook)
    desired = declare(play["tasks"][0]["standalone.python.interpreters"], windows=True)
    assert desired.root == root


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


@pytest.mark.parametrize("command", BECOMING)
def test_the_commands_that_try_runas(command: str, tmp_path: Path) -> None:
    """As far as that goes without Windows: a stand-in for what Ansible does on the host refuses whom they name."""
    (tmp_path / "password.yml").write_text("ansible_become_password: s3cret\n")
    (tmp_path / "inventory").write_text(f"[windows]\n{NOWHERE}")
    module, user = (re.findall(rf"{option} (\S+)", command)[0] for option in ("-m", "--become-user"))
    standing = standing_in(tmp_path / "record", **{module: json.dumps({"failed": True, "msg": "no"})})
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible"), *shlex.split(command)[1:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            **standing,
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
            "ANSIBLE_HOME": str(tmp_path),
            "ANSIBLE_INVENTORY": "inventory",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "True",
            "RESULTS_FILE": str(tmp_path / "results"),
        },
    )
    assert f"the task can't become {user} on the host (no): check" in done.stdout, done.stdout + done.stderr
