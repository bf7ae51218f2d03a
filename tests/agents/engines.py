# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PowerShell runs the agents here, and what stands for what it has not.

On Windows its own two, started as on hosts. Elsewhere PowerShell's engine for this machine, which has no registry, junctions or lists
of who may do what: functions of the same names stand for those.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from filelock import FileLock

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.powershell import RUN
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed
from tests.agents.place import Place, Shell
from tests.tools import standin, windows
from tests.tools.packed import own_folder

# Nobody waits here for a server that never recovers. WAITED names a file for the milliseconds.
WITHOUT_WAITING = r"""
function Wait-Milliseconds([int]$count) {
    $file = [Environment]::GetEnvironmentVariable('WAITED')
    if ($file) { [IO.File]::AppendAllText($file, "$count`n") }
}
"""
STAND_INS = r"""
function Use-Junction([string]$do, [string]$path, [string]$to) {
    switch ($do) {
        is { try { [bool]([IO.File]::GetAttributes($path) -band [IO.FileAttributes]::ReparsePoint) } catch { $false } }
        make { [void][IO.File]::CreateSymbolicLink($path, [IO.Path]::GetFileName($to)) }
        remove { [IO.File]::Delete($path) }
    }
}
function Test-Access { $true }
function Write-Registered { }
function Write-SearchPath { }
function New-Own([string]$path) { New-Folder $path }
function Get-Me { 'S-1-5-21-1-2-3-1000' }
# Others may write, and in a folder of which only owners remove (sticky) may do no more than make new things.
function Get-AccessRules([string]$path) {
    $mode = [int][IO.File]::GetUnixFileMode($path)
    if ($mode -band 2) { @{ who = 'S-1-1-0'; rights = $(if ($mode -band 512) { 6 } else { 70 }); kind = 'own' } }
    @{ who = 'S-1-3-0'; rights = -1; kind = 'passed' }
}
"""
# No tar.exe there: .NET unpacks, and makes nothing executable, which on Windows everything is.
EXECUTABLE = r"""
function Expand-WithoutTar([string]$archive) {
    Expand-Here $archive
    $python = [IO.Path]::Combine($state.here, 'python', 'python.exe')
    if ([IO.File]::Exists($python)) { [IO.File]::SetUnixFileMode($python, 493) }
}
"""
# Windows itself has all but another home for each test. A root outside of that would be made one for all users.
ON_WINDOWS = r"""
function Get-Home { (ConvertTo-Native ([Environment]::GetEnvironmentVariable('HOME'))).TrimEnd('\', '/') }
function New-Own([string]$path) { New-Folder $path }
"""
NAMES = ("5.1", "7") if windows.HERE else ("engine",)


def system_root() -> Path:
    return Path(os.environ["SYSTEMROOT"])


def of_windows(name: str) -> Shell:
    """Windows PowerShell 5.1 by its path, as what else is on the PATH is not asked; PowerShell 7 by the PATH."""
    program = str(system_root() / r"System32\WindowsPowerShell\v1.0\powershell.exe")
    if name == "7":
        found = shutil.which("pwsh")
        if found is None:
            pytest.skip("needs PowerShell 7: there is no pwsh on the PATH")
        program = found
    command = base64.b64encode(RUN.encode("utf-16-le")).decode()
    words = ("-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Unrestricted", "-EncodedCommand", command)
    return Shell(f"powershell {name}", (program, *words), packed=True)


def of_this_machine() -> Shell:
    """The engine that lies beside what makes Windows hosts."""
    windows.needed()
    script = windows.maker()
    if script is None:
        pytest.skip("needs Wine: the folder that STANDALONE_PYTHON_WINDOWS names has PowerShell's engine for this machine")
    packed = script.with_name("powershell-linux-x64.tar.xz")
    folder = own_folder("powershell") / str(packed.stat().st_mtime_ns)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tarfile.open(packed) as tar:
                tar.extractall(f"{folder}.new", filter="data")
            os.rename(f"{folder}.new", folder)
    return Shell("powershell", (str(folder / "powershell"), "-NoProfile", "-Command", "-"))


def run(shell: Shell, place: Place, script: str, system: Path) -> Completed:
    """The agents' script, with a tar.exe if ``system`` has one, as %SystemRoot%."""
    body, call = script.rstrip("\n").rsplit("\n", 1)
    unpacks = (system / "System32/tar.exe").exists()
    environment = dict(place.environment)
    if windows.HERE:
        stand_ins = WITHOUT_WAITING + ON_WINDOWS + (standin.junctions() if windows.WINE else "")
        if not unpacks:
            body = re.sub(r"\(Get-SystemProgram 'tar\.exe'\)", "'Z:/nowhere/tar.exe'", body)
    else:
        stand_ins = WITHOUT_WAITING + STAND_INS + EXECUTABLE
        if not unpacks:
            body = body.replace("else { Expand-Here $archive }", "else { Expand-WithoutTar $archive }")
        # What PowerShell itself keeps in a home.
        environment |= {f"XDG_{kind}_HOME": str(system / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        environment |= {"POWERSHELL_TELEMETRY_OPTOUT": "1", "SystemRoot": str(system)}
    here = Place(place.disk, place.root, place.bin_dir, environment, windows=True)
    return here.run(shell, f"{body}\n{stand_ins}{call}\n")
