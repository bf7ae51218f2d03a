# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host behind any Ansible connection, as the core wants one. Needs nothing on it but its shell: a POSIX one, or PowerShell."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Any
from uuid import uuid4

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from .core.agents.powershell import RUN, for_cmd, new_folder, packed, without_folder
from .core.ensure import Completed
from .core.errors import LONGEST_TEXT, StandalonePythonError, TransportError, sanitized

AGENT = "standalone.python.windows_agent"

# What a task's environment says to the controller's own downloads, beside proxies. All else in it, such as PATH and HOME, is the
# host's.
FOR_DOWNLOADS = frozenset(
    ["GITHUB_TOKEN", "NETRC", "STANDALONE_PYTHON_CACHE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"]
)

# Bytes of a file that a worker holds at a time: there can be many workers.
_PIECE = 8 << 20

# What Ansible itself puts around what .NET said.
_SAID = re.compile(r'argument\(s\): "(.*)"')
# A word of ssh's arguments that asks for a tty.
_TTY = re.compile(r"-t+$|(-o)?\s*(?i:RequestTTY[\s=]+(yes|force)\b)")


def _takes_input(become: Any) -> bool:
    """Whether standard input comes through. Before ansible-core 2.19 no become plugin says it, and su alone takes it away."""
    return bool(getattr(become, "pipelining", become.name != "su")) and not become.require_tty


def _asks_for_tty(ssh: Any) -> bool:
    """Whether its arguments do. Newer releases of ansible-core look for it in the same place."""
    said = (ssh.get_option(name) or "" for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"))
    return any(map(_TTY.match, shlex.split(" ".join(said))))


class ConnectionHost:
    """Runs scripts and brings files through the connection of an action plugin, with its become and its remote_tmp."""

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any] | None) -> None:
        self._action = action
        self._task_vars = task_vars
        self._folder = ""
        self._received = ""
        self._wants_tty = False

    @property
    def windows(self) -> bool:
        return bool(getattr(self._action._connection._shell, "_IS_WINDOWS", False))

    def run(self, script: str) -> Completed:
        action = self._action
        if self.windows:
            if action._connection.become is not None:
                return self._run_as(script)
            return self.powershell(RUN, packed(script))
        if self._input_arrives():
            # No executable, as with ansible.builtin.raw: one shell less to start. And nothing that takes a shell to be
            # understood, as the connections to Podman and Buildah start what stands there themselves.
            answer = action._low_level_execute_command(self._shell(), in_data=script.encode(), executable=False)
            if not self._refused(answer):
                return _completed(answer)
            self._wants_tty = True
        # A file keeps a token off the command line, as standard input does.
        path = self._path("script.sh")
        with self._sending(path):
            action._transfer_data(path, script)
            self._hand_over(path)
        return _completed(action._low_level_execute_command(f"sh {action._connection._shell.quote(path)}"))

    def powershell(self, command: str, given: bytes | None = None) -> Completed:
        """Run a command on a Windows host. Before ansible-core 2.18 ssh starts PowerShell itself, as other connections do."""
        connection = self._action._connection
        cmd = getattr(connection._shell, "SHELL_FAMILY", "") == "cmd"
        if cmd and connection.transport == "ssh" and _release(ansible_version) >= (2, 18):
            command = for_cmd(command)
        return _completed(self._action._low_level_execute_command(command, in_data=given, executable=False))

    def _input_arrives(self) -> bool:
        """Whether a script can be given by standard input. With a tty, which ssh's arguments may ask for, it has no end."""
        connection = self._action._connection
        if self._wants_tty or not connection.has_pipelining or (connection.transport == "ssh" and _asks_for_tty(connection)):
            return False
        return connection.become is None or _takes_input(connection.become)

    def _refused(self, answer: Mapping[str, Any]) -> bool:
        """Whether sudo, in whatever language, did not start anything, as with requiretty: Ansible gives it a tty where there is
        no input."""
        said = any(line.startswith("sudo: ") for line in answer.get("stderr", "").splitlines())
        return bool(self._action._connection.become and answer["rc"] and not answer["stdout"].strip() and said)

    def _run_as(self, script: str) -> Completed:
        """As another user of a Windows host. Ansible does so for modules only, so a module of this collection runs the script."""
        action = self._action
        become, user = action._connection.become, action.get_become_option("become_user")
        if become.name != "runas":
            raise TransportError(
                f"the task becomes {user} by {become.name}, which Windows does not have: use become_method: "
                "ansible.builtin.runas, or become: false; the host is as it was"
            )
        given = {"command": RUN, "input": packed(script).decode()}
        answer = action._execute_module(module_name=AGENT, module_args=given, task_vars=self._task_vars)
        if "code" in answer:
            return Completed(answer["code"], *(base64.b64decode(answer[key]).decode() for key in ("output", "errors")))
        if "module_stdout" in answer:
            raise TransportError(
                f"what ran as {user} on the host ended early ({_said(answer['module_stderr'] or answer['module_stdout'])}): "
                "the next run clears what it left"
            )
        raise TransportError(
            f"the task can't become {user} on the host ({_said(answer.get('msg'))}): see that the user's name and "
            "ansible_become_password are right, and that it may log on there as ansible_become_flags says; the host is as it was"
        )

    def _shell(self) -> str:
        """Return the command that reads a script, and that removes afterwards what was received for it."""
        received, self._received = self._received, ""
        return f"sh -c {shlex.quote(f'sh -s; code=$?; rm -rf {shlex.quote(received)}; exit $code')}" if received else "sh -s"

    def upload(self, path: Path, name: str) -> str:
        # Ansible's file transfer is the connection's user's. What that one may not hand over to another user, the other user
        # receives itself.
        if not self.windows and self._action._is_become_unprivileged() and self._input_arrives():
            return self._receive(path, name)
        there = self._path(name)
        with self._sending(there):
            self._action._transfer_file(str(path), there)
            if not self.windows:
                self._hand_over(there)
        return there

    def _receive(self, path: Path, name: str) -> str:
        """Give a file to standard input of the user that become names."""
        shell = self._action._connection._shell
        self._received = shell.join_path(shell.get_option("system_tmpdirs")[0], f"standalone-python-{uuid4().hex}")
        there = str(shell.join_path(self._received, name))
        folder, file = shlex.quote(self._received), shlex.quote(there)
        write = f"umask 077; mkdir {folder} && cat >{file}"
        with path.open("rb") as content:
            while piece := content.read(_PIECE):
                # What isn't written is read to its end: Ansible's message on input that nobody reads is about the network.
                command = f"sh -c {shlex.quote(f'{write} || {{ cat >/dev/null; exit 1; }}')}"
                answer = self._action._low_level_execute_command(command, in_data=piece, executable=False)
                if answer["rc"]:
                    said = sanitized(" ".join(answer.get("stderr", "").split())) or "it said nothing"
                    raise self._unsent(there, f"{said}: see that {self._become_user()} may write there")
                write = f"cat >>{file}"
        return there

    def _become_user(self) -> str:
        return str(self._action.get_become_option("become_user") or "")

    def environment(self) -> dict[str, str]:
        """What the task's ``environment`` says, with its templates resolved."""
        raw: dict[str, Any] = {}
        self._action._compute_environment_string(raw)
        return {name: str(value) for name, value in raw.items()}

    def _path(self, name: str) -> str:
        shell = self._action._connection._shell
        if self.windows:
            return str(shell.join_path(self._windows_folder(), name))
        folder = shell.tmpdir or self._action._make_tmp_path()
        return str(shell.join_path(folder, name))

    def _windows_folder(self) -> str:
        """A new folder for what is sent; the agent removes it when it has taken what is in it."""
        if not self._folder:
            answer = self.powershell(new_folder(self._become_user()))
            folder = answer.output.strip().rpartition("\n")[2].strip()
            if answer.code or "\\standalone-python-" not in folder:
                said = _said(answer.errors or answer.output)
                raise TransportError(
                    f"a folder for what is sent can't be made on the host ({said}): see that the connection's user has a "
                    "temporary folder; the host is as it was"
                )
            self._folder = folder
        return self._folder

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """What was sent goes when the run fails before an agent takes it. Ansible removes what it has sent itself."""
        try:
            yield
        except StandalonePythonError:
            if self._folder:
                self.powershell(without_folder(self._folder))
            if self._received:
                self._action._low_level_execute_command(f"rm -rf {shlex.quote(self._received)}", executable=False)
            raise

    @contextmanager
    def _sending(self, path: str) -> Iterator[None]:
        """Ansible's own message on a file that can't be sent has many lines; a host that is gone stays unreachable."""
        try:
            yield
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            said = sanitized(" ".join(str(error).split()))
            if "For information on working around this" in said or "Failed to set permissions on the temporary files" in said:
                found = (
                    f"the connection's user can't let {self._become_user()} read it: install setfacl there (package acl), let "
                    "standard input through (no tty), or become root"
                )
            else:
                found = f"{said}: see ansible_ssh_transfer_method and what else Ansible says with -vvv"
            raise self._unsent(path, found) from None

    def _unsent(self, path: str, why: str) -> TransportError:
        folder, _slash, name = path.rpartition("\\" if self.windows else "/")
        if "No space left on device" in why:
            why = "the disk is full there: make room on it, or let ansible_remote_tmp name another folder"
        return TransportError(f"{name} can't be sent into {folder} on the host, {why}; the host is as it was")

    def _hand_over(self, path: str) -> None:
        """Let the user that become names read what the connection's user has sent."""
        # Of a group that both are in, Ansible gives the folder no x where nothing is to be executed, and so nobody gets in.
        both = self._action._is_become_unprivileged()
        self._action._fixup_perms2((self._action._connection._shell.tmpdir, path), execute=both)


def _release(version: str) -> tuple[int, ...]:
    """The first two numbers of a release of ansible-core."""
    return tuple(int(part) for part in version.split(".")[:2])


def _said(text: object) -> str:
    """Of what Ansible or a host says, what people need."""
    whole = " ".join(str(text or "").split())
    inner = _SAID.search(whole)
    return sanitized((inner[1] if inner else whole)[-LONGEST_TEXT:]) or "it said nothing"


def _completed(answer: Mapping[str, Any]) -> Completed:
    return Completed(answer["rc"], answer["stdout"], answer.get("stderr", ""))


@contextmanager
def controller_environment(task: Mapping[str, str]) -> Iterator[None]:
    """What the task's ``environment`` says of downloads, for those of the controller, as if the task's work were all done on one
    machine: proxies and :data:`FOR_DOWNLOADS`."""
    told = {name: value for name, value in task.items() if name in FOR_DOWNLOADS or name.lower().endswith("_proxy")}
    if not told:
        yield
        return
    before = dict(environ)
    environ.update(told)
    try:
        yield
    finally:
        environ.clear()
        environ.update(before)
