# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core's ``Host`` for any Ansible connection. It needs only the host's shell: a POSIX shell or PowerShell."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ, getppid
from os.path import exists
from pathlib import Path
from sys import platform
from typing import Any
from uuid import uuid4

from ansible.constants import DEFAULT_EXECUTABLE
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version
from ansible.utils.display import Display

from .core.agents.powershell import RUN, for_cmd, new_folder, packed, without_folder
from .core.ensure import Completed
from .core.errors import LONGEST_TEXT, StandalonePythonError, TransportError, sanitized
from .core.libraries import libraries_explained
from .core.progress import COMMANDS, Listener, SlowDownloads, listening

AGENT = "standalone.python.windows_agent"

# The variables of a task's environment that also apply to the controller's downloads, besides proxies. Other variables, such as
# PATH and HOME, are only for the host.
FOR_DOWNLOADS = frozenset(
    [
        "GITHUB_TOKEN",
        "NETRC",
        "STANDALONE_PYTHON_CACHE",
        "STANDALONE_PYTHON_CACHE_SIZE",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
    ]
)

# Connections whose hosts are on the controller's machine.
_LOCAL = frozenset({"local", "docker", "podman", "buildah", "chroot", "jail", "lxc", "lxd", "incus", "zone", "nsenter"})

# Bytes of a file that a worker holds at a time. It is small because there can be many workers.
_PIECE = 8 << 20

# The message of a .NET exception inside Ansible's text.
_INNER_MESSAGE = re.compile(r'argument\(s\): "(.*)"')
# A word of ssh's arguments that requests a tty.
_TTY = re.compile(r"-t+$|(-o)?\s*(?i:RequestTTY[\s=]+(yes|force)\b)")


def _passes_input(become: Any) -> bool:
    """Return whether a become plugin passes standard input on. Only newer ones have the attribute; su does not."""
    return bool(getattr(become, "pipelining", become.name != "su")) and not become.require_tty


def _requests_tty(ssh: Any) -> bool:
    """Return whether the arguments of an ssh connection request a tty. Newer releases of ansible-core check the same options."""
    options = (ssh.get_option(name) or "" for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"))
    return any(map(_TTY.match, shlex.split(" ".join(options))))


class ConnectionHost:
    """Runs scripts and uploads files through an action plugin's connection, with its become plugin and remote_tmp."""

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any] | None) -> None:
        self._action = action
        self._task_vars = task_vars
        self._folder = ""
        self._received = ""
        self._needs_tty = False

    @property
    def variables(self) -> Mapping[str, Any]:
        """The variables of the task."""
        return self._task_vars or {}

    @property
    def windows(self) -> bool:
        return bool(getattr(self._action._connection._shell, "_IS_WINDOWS", False))

    @property
    def fleet(self) -> int:
        """The process whose workers share deltas: this one's parent; 0 for a connection that sends nothing over a network."""
        return 0 if self._action._connection.transport.rpartition(".")[2] in _LOCAL else getppid()

    def run(self, script: str) -> Completed:
        action = self._action
        if self.windows:
            if action._connection.become is not None:
                return self._run_as(script)
            return self.powershell(RUN, packed(script))
        if self._input_arrives():
            # No executable, as with ansible.builtin.raw: that saves starting a shell. The command has no shell syntax, as the
            # connections to Podman and Buildah run it without a shell.
            answer = action._low_level_execute_command(self._shell(), in_data=script.encode(), executable=False)
            if not self._refused(answer):
                return _completed(answer)
            self._needs_tty = True
        # A file, like standard input, keeps a token off the command line.
        path = self._path("script.sh")
        with self._sending(path):
            action._transfer_data(path, script)
            self._hand_over(path)
        return _completed(action._low_level_execute_command(f"sh {action._connection._shell.quote(path)}"))

    def powershell(self, command: str, stdin: bytes | None = None) -> Completed:
        """Run a command on a Windows host. Before ansible-core 2.18 ssh started PowerShell itself, as other connections do."""
        connection = self._action._connection
        cmd = getattr(connection._shell, "SHELL_FAMILY", "") == "cmd"
        if cmd and connection.transport == "ssh" and _release(ansible_version) >= (2, 18):
            command = for_cmd(command)
        return _completed(self._action._low_level_execute_command(command, in_data=stdin, executable=False))

    def _input_arrives(self) -> bool:
        """Return whether standard input reaches the host. With a tty, which ssh's arguments may request, it never ends."""
        connection = self._action._connection
        if self._needs_tty or not connection.has_pipelining or (connection.transport == "ssh" and _requests_tty(connection)):
            return False
        return connection.become is None or _passes_input(connection.become)

    def _refused(self, answer: Mapping[str, Any]) -> bool:
        """Return whether sudo refused to start the command, as with requiretty. Its message depends on the language.

        Without input, Ansible gives sudo a tty.
        """
        from_sudo = any(line.startswith("sudo: ") for line in answer.get("stderr", "").splitlines())
        return bool(self._action._connection.become and answer["rc"] and not answer["stdout"].strip() and from_sudo)

    def _run_as(self, script: str) -> Completed:
        """Run a script as another user of a Windows host. Ansible supports that only for modules, so a module runs the script."""
        action = self._action
        become, user = action._connection.become, action.get_become_option("become_user")
        if become.name != "runas":
            raise TransportError(
                f"the task becomes {user} with {become.name}, which Windows does not have: use become_method: "
                "ansible.builtin.runas, or become: false; the host is as it was"
            )
        arguments = {"command": RUN, "input": packed(script).decode()}
        answer = action._execute_module(module_name=AGENT, module_args=arguments, task_vars=self._task_vars)
        if "code" in answer:
            return Completed(answer["code"], *(base64.b64decode(answer[key]).decode() for key in ("output", "errors")))
        if "module_stdout" in answer:
            raise TransportError(
                f"the script that ran as {user} on the host ended early "
                f"({_message(answer['module_stderr'] or answer['module_stdout'])}): the next run removes its temporary files"
            )
        raise TransportError(
            f"the task can't become {user} on the host ({_message(answer.get('msg'))}): check the user's name and "
            "ansible_become_password, and that the user may log on there as in ansible_become_flags; the host is as it was"
        )

    def _shell(self) -> str:
        """Return the command that runs a script from standard input, and then removes the files that were received for it."""
        received, self._received = self._received, ""
        if received:
            return f"sh -c {shlex.quote(f'sh -s; code=$?; rm -rf {shlex.quote(received)}; exit $code')}"
        if self._action._connection.become is not None:
            # Become plugins give the command to a shell.
            return "exec sh -s"
        return ". /dev/stdin" if self._has_shell() else "sh -s"

    def _has_shell(self) -> bool:
        """Return whether the connection has started a shell that can read the script itself. A second one costs 2 ms of 30.

        Only the local connection always starts ``sh``. A user that it becomes may not open the pipe by its name. bash 3.2,
        the ``sh`` of macOS, reads nothing from a pipe in this way.
        """
        connection = self._action._connection
        local = connection.transport.rpartition(".")[2] == "local" and connection.become is None
        return local and platform == "linux" and DEFAULT_EXECUTABLE == "/bin/sh" and exists("/dev/stdin")

    def upload(self, path: Path, name: str) -> str:
        # Ansible transfers files as the connection's user. An unprivileged become user, who may not read them, receives the file
        # itself.
        if not self.windows and self._action._is_become_unprivileged() and self._input_arrives():
            return self._receive(path, name)
        remote = self._path(name)
        with self._sending(remote):
            self._action._transfer_file(str(path), remote)
            if not self.windows:
                self._hand_over(remote)
        return remote

    def _receive(self, path: Path, name: str) -> str:
        """Send a file over standard input to the become user, and return its path on the host."""
        shell = self._action._connection._shell
        self._received = shell.join_path(shell.get_option("system_tmpdirs")[0], f"standalone-python-{uuid4().hex}")
        remote = str(shell.join_path(self._received, name))
        folder, file = shlex.quote(self._received), shlex.quote(remote)
        write = f"umask 077; mkdir {folder} && cat >{file}"
        with path.open("rb") as content:
            while piece := content.read(_PIECE):
                # On an error, read the input to its end: Ansible reports unread input as a network error.
                command = f"sh -c {shlex.quote(f'{write} || {{ cat >/dev/null; exit 1; }}')}"
                answer = self._action._low_level_execute_command(command, in_data=piece, executable=False)
                if answer["rc"]:
                    stderr = sanitized(" ".join(answer.get("stderr", "").split())) or "without a message"
                    raise self._unsent(remote, f"{stderr}: let {self._become_user()} write there")
                write = f"cat >>{file}"
        return remote

    def _become_user(self) -> str:
        return str(self._action.get_become_option("become_user") or "")

    def environment(self) -> dict[str, str]:
        """Return the task's ``environment``, with its templates resolved."""
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
        """Return the folder on the host for sent files, and create it first if needed. The agent removes it."""
        if not self._folder:
            answer = self.powershell(new_folder(self._become_user()))
            folder = answer.output.strip().rpartition("\n")[2].strip()
            if answer.code or "\\standalone-python-" not in folder:
                message = _message(answer.errors or answer.output)
                raise TransportError(
                    f"cannot create a temporary folder on the host ({message}): check that the connection's user has a "
                    "temporary folder; the host is as it was"
                )
            self._folder = folder
        return self._folder

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """Remove sent files if the run fails before an agent takes them. Ansible removes the files that it has sent itself."""
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
        """Shorten Ansible's error about a file that can't be sent, which has many lines. Other connection errors pass through."""
        try:
            yield
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            message = sanitized(" ".join(str(error).split()))
            if (
                "For information on working around this" in message
                or "Failed to set permissions on the temporary files" in message
            ):
                reason = (
                    f"the connection's user can't let {self._become_user()} read it: install setfacl there (package acl), let "
                    "standard input through (no tty), or become root"
                )
            else:
                reason = f"{message}: check ansible_ssh_transfer_method, and run with -vvv for details"
            raise self._unsent(path, reason) from None

    def _unsent(self, path: str, reason: str) -> TransportError:
        folder, _slash, name = path.rpartition("\\" if self.windows else "/")
        if "No space left on device" in reason:
            reason = "the disk is full: make room on it, or set ansible_remote_tmp to another folder"
        return TransportError(f"cannot send {name} to {folder} on the host, {reason}; the host is as it was")

    def _hand_over(self, path: str) -> None:
        """Let the become user read a file that the connection's user has sent."""
        # If both users share a group, Ansible gives the folder an x only if `execute` is true; without x nobody can enter it.
        both = self._action._is_become_unprivileged()
        self._action._fixup_perms2((self._action._connection._shell.tmpdir, path), execute=both)


class HostAction(ActionBase):
    """An action on a host, through its connection. An error of the core becomes the failure of the task."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            with libraries_explained(), listening(_listener(task_vars)):
                return result | self.result_on(ConnectionHost(self, task_vars))
        except StandalonePythonError as error:
            return result | {"failed": True, "msg": str(error)}

    def result_on(self, host: ConnectionHost) -> dict[str, Any]:
        """Do the work of the action, and return its result.

        :raises StandalonePythonError: it failed
        """
        raise NotImplementedError


def _listener(task_vars: Mapping[str, Any] | None) -> Listener:
    """Return what shows slow downloads, and with -vvv addresses, decisions and commands."""
    display = Display()

    def show(text: str) -> None:
        # Not to standard output, where callbacks print JSON.
        display.display(f"standalone.python: {text}", stderr=True)

    def show_trace(text: str) -> None:
        display.vvv(f"standalone.python: {text}", host=(task_vars or {}).get("inventory_hostname"))

    return SlowDownloads(show, show_trace, COMMANDS if display.verbosity >= 3 else 0)


def _release(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a release of ansible-core."""
    return tuple(int(part) for part in version.split(".")[:2])


def _message(text: object) -> str:
    """Return the relevant part of a message of Ansible or of a host."""
    whole = " ".join(str(text or "").split())
    inner = _INNER_MESSAGE.search(whole)
    return sanitized((inner[1] if inner else whole)[-LONGEST_TEXT:]) or "without a message"


def _completed(answer: Mapping[str, Any]) -> Completed:
    return Completed(answer["rc"], answer["stdout"], answer.get("stderr", ""))


@contextmanager
def controller_environment(task: Mapping[str, str]) -> Iterator[None]:
    """Apply the task's ``environment`` to the controller's downloads: only proxies and :data:`FOR_DOWNLOADS`."""
    applied = {name: value for name, value in task.items() if name in FOR_DOWNLOADS or name.lower().endswith("_proxy")}
    if not applied:
        yield
        return
    before = dict(environ)
    environ.update(applied)
    try:
        yield
    finally:
        environ.clear()
        environ.update(before)
