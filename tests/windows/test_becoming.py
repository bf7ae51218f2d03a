# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who becomes another user on a Windows host.

Nothing here logs on as another user. The hosts have no runas, so tests/tools/ansible_becoming stands for what Ansible's own scripts
do on a host, and a module runs as the connection's user. What Ansible prepares on the controller, and what the module and the agents
do, is real.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import powershell
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from tests.tools.playbook import run_play
from tests.tools.runas import NOWHERE, standing_in
from tests.tools.sources import OLD
from tests.windows.support import INFO, MODULE, Host, build_of

SYSTEM: dict[str, object] = {"become": True, "become_method": "ansible.builtin.runas", "become_user": "SYSTEM"}


def recorded(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text().splitlines()]


def test_from_nothing_to_nothing_with_a_stand_in_for_runas(host: Host, tmp_path: Path) -> None:
    record = tmp_path / "record"
    host.environment = standing_in(record)
    host.keywords = {**SYSTEM, "vars": {"ansible_become_password": "s3cret"}}
    wanted = f"3.12+{OLD}"
    predicted = host.declare(wanted, links=[], check=True)
    assert predicted.result["changed"]
    assert host.there() == []
    assert {entry["check"] for entry in recorded(record)} == {True}
    done = host.declare(wanted, links=[])
    assert done.result["plan"] == predicted.result["plan"]
    assert host.says(build_of(done)["path"], "import sys; print(sys.prefix)") == build_of(done)["prefix"]
    assert host.sent() == []
    assert not host.declare(wanted, links=[]).result["changed"]
    assert [(found["prefix"], found["sound"]) for found in host.info()["interpreters"]] == [(build_of(done)["prefix"], True)]
    assert host.declare("3.12", state="absent", links=[]).result["removed"]
    assert {(entry["user"], entry["password"]) for entry in recorded(record)} == {("SYSTEM", "s3cret")}


def test_secrets_are_not_shown(host: Host, tmp_path: Path) -> None:
    """However much Ansible is asked to tell, but for its debug mode, which shows all and says so."""
    secret = {"SAID": "w0rd-of-honour"}
    script = powershell.observation(declare({"builds": []}, windows=True), facts="no", environment=secret)
    beside, _unused = powershell.packed(script).decode().split("\n", 1)
    host.environment = standing_in(tmp_path / "record")
    for _each in host.machine.names:
        run = host.run({INFO: {}, **SYSTEM, "environment": secret}, arguments=["-vvvvvv"])
        assert run.of().kind == "ok", run.output
        assert "windows_agent.ps1" in run.output
        assert base64.b64decode(beside).startswith(b"env SAID\0w0rd-of-honour\0")
        shown = run.output + json.dumps(run.of().result)
        assert "w0rd-of-honour" not in shown
        assert beside not in shown
        assert {"command", "input", "invocation", "code", "output", "errors"} & set(run.of().result) == set()


def test_who_may_read_and_remove_what_is_sent(host: Host) -> None:
    """The list that Windows is given. Wine keeps another one, made of a Unix file's rights, so it is not read back."""
    users = r"NT AUTHORITY\LOCAL SERVICE", r".\Administrators", "nobody's"
    modify = "[Security.AccessControl.FileSystemRights]'Modify'"
    rules = (
        "$(if ($l) { foreach ($r in $l.GetAccessRules($true, $false, [Security.Principal.SecurityIdentifier])) { "
        f"if ($r.InheritanceFlags -eq 3 -and ($r.FileSystemRights -band {modify}) -eq {modify}) "
        "{ $r.IdentityReference.Value } } })"
    )
    asked = "; ".join(f'$l = $null; {powershell.new_folder(user)}; "may: {rules}"' for user in users)
    told = host.powershell(asked).splitlines()
    may = [line.removeprefix("may:").split() for line in told[1::2]]
    assert "S-1-5-19" in may[0]
    assert "S-1-5-32-544" in may[1]
    assert may[2] == []
    remove = (f"[IO.File]::WriteAllText('{folder}\\file', ''); {powershell.without_folder(folder)}" for folder in told[::2])
    host.powershell("; ".join(remove))
    assert host.sent() == []


LOGON = "Failed to logon .\\{user} ({why}, Win32ErrorCode {number})"
WRONG = LOGON.format(user="wrong", why="The user name or password is incorrect", number=1326)
TYPE = LOGON.format(
    user="batch", why="Logon failure: the user has not been granted the requested logon type at this computer", number=1385
)
UNKNOWN = "Some or all identity references could not be translated."
TOKEN = "Failed to get token for NT AUTHORITY\\SYSTEM required for become as a service account or an account without a password"
DENIED = "failure during exec_wrapper: CreateProcessWithTokenW() failed (Access is denied, Win32ErrorCode 5)"
SEE = (
    "check the user's name and ansible_become_password, and that the user may log on there as in ansible_become_flags; "
    "the host is as it was"
)


def refusal(before: str, said: str) -> str:
    """As become_wrapper.ps1 reports what .NET throws."""
    whole = f'{before}: Exception calling "CreateProcessAsUser" with "9" argument(s): "{said}"'
    return json.dumps({"failed": True, "msg": whole, "exception": f"{whole}\r\nAt line:82 char:1\r\n"}) + "\r\n"


def test_who_cannot_become_the_user_is_told(tmp_path: Path) -> None:
    """In the words of ansible-core 2.15 and of 2.19."""
    says = {
        "wrong": refusal("internal error: failed to become user 'wrong'", WRONG),
        "batch": refusal("failure during exec_wrapper", TYPE),
        "gone": refusal("failure during exec_wrapper", UNKNOWN),
        "SYSTEM": refusal("internal error: failed to become user 'SYSTEM'", TOKEN),
        "strict": json.dumps({"failed": True, "msg": DENIED}),
        "early": "The application has failed to start.\r\n",
    }
    tasks = [{"name": user, MODULE: {"builds": ["3.12"]}, **SYSTEM, "become_user": user, "ignore_errors": True} for user in says]
    run = run_play(tasks, NOWHERE, environment=standing_in(tmp_path / "record", **says))
    assert {result.task: result.message for result in run.results} == {
        "wrong": f"the task can't become wrong on the host ({WRONG}): {SEE}",
        "batch": f"the task can't become batch on the host ({TYPE}): {SEE}",
        "gone": f"the task can't become gone on the host ({UNKNOWN}): {SEE}",
        "SYSTEM": f"the task can't become SYSTEM on the host ({TOKEN}): {SEE}",
        "strict": f"the task can't become strict on the host ({DENIED}): {SEE}",
        "early": "the script that ran as early on the host ended early (The application has failed to start.): "
        "the next run removes its temporary files",
    }
    assert {result.kind for result in run.results} == {"failed"}
    assert "s3cret" not in run.output


def test_windows_has_runas_only() -> None:
    sudo = {"become": True, "become_method": "ansible.builtin.sudo", "become_user": "root"}
    assert run_play([{INFO: {}, **sudo}], NOWHERE).of().message == (
        "the task becomes root with sudo, which Windows does not have: use become_method: ansible.builtin.runas, or become: false; "
        "the host is as it was"
    )
