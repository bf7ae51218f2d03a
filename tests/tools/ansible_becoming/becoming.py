"""A stand-in, for hosts where runas can't be tried, for what Ansible's own scripts do on a Windows host (exec_wrapper.ps1,
become_wrapper.ps1, module_wrapper.ps1): a module runs, with its arguments in $complex_args, as the connection's user.

An Ansible callback, because those are loaded before Ansible forks its workers. All that happens on the controller is Ansible's own:
which module it finds, what it takes it for, and the payload of module, arguments and become that it makes for its scripts.

BECOMING names a file. Each payload adds a line of JSON to it: ``user``, ``password``, ``check``. BECOMING_SAYS is JSON: the names of
tasks for which the scripts, instead of running the module, print something and end with 1, and what that is.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.powershell import RUN, packed
from ansible_collections.standalone.python.plugins.plugin_utils.host import ConnectionHost
from tests.tools.wrapped import module_script

DOCUMENTATION = """
name: becoming
type: notification
short_description: Stands in for runas
description: Stands in for runas.
"""

_real = ActionBase._low_level_execute_command


def _payload(data: bytes) -> dict[str, Any]:
    """What Ansible's scripts are given: of ansible-core 2.19 and later, or of those before it."""
    whole: dict[str, Any] = json.loads(data.partition(b"\0\0\0\0")[2])
    if "module_entry" in whole:
        assert whole["actions"] == ["become_wrapper", "module_powershell_wrapper"]
        return {
            "user": whole["become_user"],
            "password": whole["become_password"],
            "module": whole["module_entry"],
            "utilities": whole["powershell_modules"],
            "arguments": whole["module_args"],
        }
    become, module = whole["actions"]
    assert (become["name"], module["name"]) == ("become_wrapper.ps1", "module_wrapper.ps1")
    (variable,) = module["params"]["Variables"]
    assert (variable["Name"], module["params"]["CSharpModules"]) == ("complex_args", [])
    return {
        "user": become["params"]["BecomeUser"],
        "password": become["secure_params"].get("BecomePassword"),
        "module": whole["scripts"][module["params"]["Script"]]["script"],
        "utilities": {name: whole["scripts"][name]["script"] for name in module["params"]["PowerShellModules"]},
        "arguments": variable["Value"],
    }


def stand_in(action: Any, cmd: str, in_data: bytes | None = None, **options: Any) -> Any:
    if b"\0\0\0\0" not in (in_data or b""):
        return _real(action, cmd, in_data=in_data, **options)
    payload = _payload(in_data or b"")
    arguments = payload["arguments"]
    told = {"user": payload["user"], "password": payload["password"], "check": arguments["_ansible_check_mode"]}
    with open(os.environ["BECOMING"], "a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
    if says := json.loads(os.environ["BECOMING_SAYS"]).get(action._task.get_name()):
        return {"rc": 1, "stdout": says, "stdout_lines": says.splitlines(), "stderr": "", "stderr_lines": []}
    module, *utilities = (base64.b64decode(one) for one in (payload["module"], *payload["utilities"].values()))
    script = module_script(module, utilities, arguments)
    done = ConnectionHost(action, None).powershell(RUN, packed(script))
    return {"rc": done.code, "stdout": done.output, "stderr": done.errors}


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "becoming"

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        ActionBase._low_level_execute_command = stand_in
