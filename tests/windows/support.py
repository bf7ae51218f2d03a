# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows host as tests want it: what is declared, what it then says, and what is looked at on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

import pytest

from tests.tools.playbook import Run, TaskResult
from tests.tools.windows_hosts import Machine, WindowsHosts

MODULE, INFO = "standalone.python.interpreters", "standalone.python.interpreters_info"
ROOT = r"C:\ProgramData\standalone-python"
COMPANY = r"SOFTWARE\Python\StandalonePython"

# Another PowerShell in the host, which ends when a named file exists.
UNTIL = "while (-not [IO.File]::Exists('C:\\ProgramData\\enough')) { [Threading.Thread]::Sleep(20) }; "

# The shell that the first play goes to, and every other one after it.
over_both_shells = pytest.mark.parametrize("host", ["powershell", "cmd"], indirect=True)


class Host:
    """One of the hosts, with a root that is gone when the test ends.

    :ivar keywords: what each task has beside its module
    :ivar environment: of ansible-playbook itself
    :ivar played: what the inventory calls the host, by each shell that a play went to
    """

    def __init__(self, hosts: WindowsHosts, machine: Machine, source: Path, first: str) -> None:
        self.hosts = hosts
        self.machine = machine
        self.source = source
        self.roots: list[str] = []
        self.keywords: dict[str, object] = {}
        self.environment: dict[str, str] = {}
        self.played: set[str] = set()
        self._turns = cycle(sorted(machine.names, key=lambda shell: shell != first))

    def run(self, task: dict[str, object], **options: Any) -> Run:
        """A play of one task, over the shell whose turn it is."""
        name = self.machine.names[next(self._turns)]
        self.played.add(name)
        return self.hosts.play({**task, **self.keywords}, on=name, environment=self.environment, **options)

    def info(self) -> Mapping[str, Any]:
        """What the host has, in the words of the module that tells it."""
        return self.run({INFO: {}}).of().result

    def play(self, *builds: Any, **options: Any) -> TaskResult:
        """What a declaration comes to, whatever that is."""
        declared = {"builds": list(builds), "source": str(self.source), **{k: v for k, v in options.items() if k != "check"}}
        if (root := str(options.get("root", ""))) not in self.roots:
            self.roots.append(root)
        return self.run({MODULE: declared, "ignore_errors": True}, check=bool(options.get("check")), diff=True).of()

    def declare(self, *builds: Any, fails: bool = False, **options: Any) -> TaskResult:
        result = self.play(*builds, **options)
        assert (result.kind == "failed") == fails, result
        return result

    def powershell(self, script: str) -> str:
        return self.hosts.powershell(script, self.machine)

    def make(self, folder: str) -> None:
        """A folder as administrators have it for all users, and nothing that those could change."""
        self.powershell(
            "$l = [Security.AccessControl.DirectorySecurity]::new(); $l.SetAccessRuleProtection($true, $false); "
            "foreach ($w in 'S-1-5-18', 'S-1-5-32-544', [Security.Principal.WindowsIdentity]::GetCurrent().User.Value) { "
            "$l.AddAccessRule([Security.AccessControl.FileSystemAccessRule]::new([Security.Principal.SecurityIdentifier]::new($w), "
            "'FullControl', 'ContainerInherit, ObjectInherit', 'None', 'Allow')) }; "
            "$e = 'System.IO.FileSystemAclExtensions' -as [type]; "
            f"if ($e) {{ [void]$e::CreateDirectory($l, '{folder}') }} else {{ [void][IO.Directory]::CreateDirectory('{folder}', $l) }}"
        )

    def is_empty(self, root: str) -> bool:
        """Whether a root on C:, or the default one, is known to hold nothing but the folder of launchers."""
        return (not root or root.startswith("C:")) and self.there(root or ROOT) in ([], ["bin"])

    def remove_root(self) -> None:
        """The default root and the folder of launchers in it. Both stay when they are empty, and nothing else does."""
        if (place := self.outside(ROOT)) is None:
            folders = rf"'{ROOT}\bin', '{ROOT}'"
            self.powershell(f"foreach ($f in {folders}) {{ if ([IO.Directory]::Exists($f)) {{ [IO.Directory]::Delete($f) }} }}")
            return
        for folder in (place / "bin", place):
            if folder.exists():
                folder.rmdir()

    @contextmanager
    def reached(self, path: str, by: Literal["everybody", "an owner"]) -> Iterator[str]:
        """Meanwhile others can change a file or folder; gives the one whom the agents then name. Wine's lists are made of a Unix
        file's owner and rights."""
        if (place := self.outside(path)) is not None:
            was = place.stat()
            place.chmod(0o777) if by == "everybody" else os.chown(place, 4711, 4711)
            try:
                yield "S-1-1-0) can change" if by == "everybody" else "S-1-5-7) owns"
            finally:
                place.chmod(was.st_mode)
                os.chown(place, was.st_uid, was.st_gid)
            return
        give, take = {
            "everybody": ("/grant '*S-1-1-0:(M,DC)'", "/remove '*S-1-1-0'"),
            "an owner": ("/setowner '*S-1-5-7'", "/setowner '*S-1-5-32-544'"),
        }[by]
        self.powershell(f"icacls '{path}' {give}")
        try:
            yield "S-1-1-0) can change" if by == "everybody" else "S-1-5-7) owns"
        finally:
            self.powershell(f"icacls '{path}' {take}")

    def outside(self, path: str) -> Path | None:
        """A path of C: as this machine has it, where the host was made here; a name's case matters there."""
        return self.machine.drive.joinpath(*PureWindowsPath(path).parts[1:]) if self.machine.drive else None

    def says(self, program: str, code: str) -> str:
        """What an interpreter prints that is given this code."""
        if self.machine.ssh:
            return self.hosts.command(f'call "{program}" -c "{code}"', self.machine, "cmd")
        return self.powershell(f"& '{program}' -c '{code}'")

    def registered(self, hive: str = "LocalMachine") -> dict[str, dict[str, str]]:
        """Tags of ours to what the registry says of them."""
        said = self.powershell(
            f"$c = [Microsoft.Win32.Registry]::{hive}.OpenSubKey('{COMPANY}'); if ($c) {{ foreach ($t in $c.GetSubKeyNames()) {{ "
            'foreach ($k in $c.OpenSubKey($t), $c.OpenSubKey("$t\\InstallPath")) { foreach ($v in $k.GetValueNames()) '
            '{ "$t|$v|$($k.GetValue($v))" } } } }'
        )
        found: dict[str, dict[str, str]] = {}
        for line in said.splitlines():
            tag, name, value = line.split("|", 2)
            found.setdefault(tag, {})[name] = value
        return found

    def search_path(self) -> tuple[str, str]:
        """The machine's PATH as it is written in the registry, and its kind."""
        said = self.powershell(
            r"$k = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Control\Session Manager\Environment'); "
            "\"$($k.GetValueKind('Path'))|$($k.GetValue('Path', '', 'DoNotExpandEnvironmentNames'))\""
        )
        kind, _unused, text = said.partition("|")
        return text, kind

    def sent(self) -> list[str]:
        """What was sent and is still there."""
        temporary = self.powershell("[IO.Path]::GetTempPath()")
        return [name for name in self.there(temporary) if name.startswith("standalone-python-")]

    def remove_sent(self) -> None:
        """Remove what a killed run was sent. No one else does, and other tests look for what their runs leave."""
        self.powershell(
            "foreach ($f in [IO.Directory]::GetFileSystemEntries([IO.Path]::GetTempPath(), 'standalone-python-*')) "
            "{ if ([IO.Directory]::Exists($f)) { [IO.Directory]::Delete($f, $true) } else { [IO.File]::Delete($f) } }"
        )

    def there(self, folder: str = ROOT) -> list[str]:
        """What is in a folder."""
        if (place := self.outside(folder)) is not None:
            return sorted(path.name for path in place.iterdir()) if place.is_dir() else []
        said = self.powershell(
            f"if ([IO.Directory]::Exists('{folder}')) {{ foreach ($e in [IO.Directory]::GetFileSystemEntries('{folder}')) "
            "{ [IO.Path]::GetFileName($e) } }"
        )
        return sorted(said.splitlines())


def names(result: TaskResult) -> list[str]:
    return [" ".join(line.replace(":", " ").split()[:2]) for line in result.result["plan"]]


def build_of(result: TaskResult) -> Mapping[str, Any]:
    (interpreter,) = result.result["interpreters"]
    assert isinstance(interpreter, dict)
    return interpreter


@contextmanager
def meanwhile(host: Host, script: str) -> Iterator[None]:
    """The script runs on the host, from when it says that it has begun to the end of the block."""
    host.powershell("foreach ($f in 'begun', 'enough') { [IO.File]::Delete(\"C:\\ProgramData\\$f\") }")
    other = threading.Thread(target=host.powershell, args=(f"{script}{UNTIL}",))
    other.start()
    try:
        host.powershell(
            "$w = [Diagnostics.Stopwatch]::StartNew(); "
            "while ($w.Elapsed.TotalSeconds -lt 60 -and -not [IO.File]::Exists('C:\\ProgramData\\begun')) { [Threading.Thread]::Sleep(20) }"
        )
        yield
    finally:
        host.powershell("[IO.File]::WriteAllText('C:\\ProgramData\\enough', '')")
        other.join()
