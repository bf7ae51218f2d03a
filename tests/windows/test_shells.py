# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's shell is given, by connection and release of ansible-core. Needs no host."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.standalone.python.plugins.plugin_utils import host as module
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.powershell import RUN, packed


@pytest.mark.parametrize(
    ("transport", "family", "version", "starts"),
    [
        ("ssh", "cmd", "2.21.5", True),
        ("ssh", "cmd", "2.18.0", True),
        ("ssh", "cmd", "2.17.14", False),
        ("ssh", "cmd", "2.15.13", False),
        ("ssh", "powershell", "2.21.5", False),
        ("winrm", "cmd", "2.21.5", False),
        ("psrp", "powershell", "2.21.5", False),
    ],
)
def test_cmd_is_given_the_start_of_powershell(
    transport: str, family: str, version: str, starts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody else puts it before the command."""
    given: list[tuple[str, Any]] = []

    def execute(command: str, *, in_data: bytes, executable: bool) -> dict[str, Any]:
        given.append((command, in_data))
        return {"rc": 0, "stdout": "said", "stderr": ""}

    shell = SimpleNamespace(_IS_WINDOWS=True, SHELL_FAMILY=family)
    connection = SimpleNamespace(_shell=shell, transport=transport, become=None)
    action = SimpleNamespace(_connection=connection, _low_level_execute_command=execute)
    monkeypatch.setattr(module, "ansible_version", version)
    assert module.ConnectionHost(cast(ActionBase, action), None).run("'x'").output == "said"
    [(command, data)] = given
    assert data == packed("'x'")
    if starts:
        *words, encoded = command.split(" ")
        assert words[0] == "powershell"
        assert base64.b64decode(encoded).decode("utf-16-le") == RUN
        assert len(command) < 8000
    else:
        assert command == RUN
