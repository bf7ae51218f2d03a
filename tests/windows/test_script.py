# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script for Windows hosts without a controller, as files that Windows PowerShell runs: docs/script-recipes.md's for Intune.

What is exchanged: the mirror for a folder beside the script, and ``Sysnative``, which only 32-bit programs have.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.front_ends import STANDALONE_PYTHON
from tests.tools import standin
from tests.tools.pages import REPOSITORY, commands, files
from tests.tools.sources import V13LATER
from tests.tools.windows_hosts import Machine, WindowsHosts

PAGE = "docs/script-recipes.md"
FOLDER = r"C:\script"
POWERSHELL = "powershell -NoProfile -ExecutionPolicy Bypass -File"
ENTRIES = r"reg query HKLM\Software\Python\StandalonePython"


def written(machine: Machine, source: Path, folder: Path) -> dict[str, str]:
    """Write the recipe's files to the host; return the commands of its table by name."""
    assert machine.drive is not None
    there = machine.drive / "script"
    there.mkdir()
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(folder / "cache")}
    for name, text in files(PAGE).items():
        (folder / name).write_text(text.replace("https://mirror.example.org/python", str(source)))
    for command in commands(PAGE):
        if "windows" in command:
            _tool, *words = command.replace("--output ", f"--archives {there}/archives --output {there}/").split()
            subprocess.run([STANDALONE_PYTHON, *words], cwd=folder, env=environment, check=True)
    for script in there.glob("*.ps1"):
        body, call = script.read_text(encoding="utf-8-sig").rstrip("\n").rsplit("\n", 1)
        script.write_text(f"{body}\n{standin.junctions()}\n{call}\n", encoding="utf-8-sig")
    locked = re.search(r"cpython-(3\.13\.\d+)\+", (folder / "windows.lock.json").read_text())
    assert locked
    (there / "detect.ps1").write_text(files(PAGE)["detect.ps1"].replace(V13LATER, locked[1]))
    table = re.findall(r"^\| (\w+) \| `(.*Sysnative.*)` \|$", (REPOSITORY / PAGE).read_text(), re.MULTILINE)
    return {name: command.replace("Sysnative", "System32") for name, command in table}


def test_intune(windows_hosts: WindowsHosts, windows_source: Path, tmp_path: Path) -> None:
    """Installed from nothing, found, repaired and removed; what is in order is left alone."""
    (machine, *_others) = windows_hosts.machines
    if machine.drive is None:
        pytest.skip("needs Wine: the script is copied to the drive of a host that was made here")
    root = machine.drive / "ProgramData/standalone-python"

    def run(command: str) -> tuple[int, str]:
        """The code and what is printed, in the app's folder."""
        line = rf"cd /d {FOLDER} & {command}"
        done = subprocess.run([*machine.ssh["cmd"], line], capture_output=True, stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout.decode().replace("\r\n", "\n").strip()

    try:
        recipe = written(machine, windows_source, tmp_path)
        assert run(f"{POWERSHELL} detect.ps1") == (1, "")
        code, printed = run(recipe["install"].replace("-Quiet", "-Json"))
        done = json.loads(printed)
        assert (code, done["target"], done["left_alone"], done["in_use"]) == (0, "x86_64-pc-windows-msvc", [], [])
        assert [step.split()[0] for step in done["plan"]] == ["install", "link", "link", "register"]
        (_build,) = root.glob("cpython-3.13.*/.standalone-python/receipt.json")
        code, printed = run(f"{POWERSHELL} detect.ps1")
        assert (code, printed[:12]) == (0, "Python 3.13.")
        (root / "bin/python3.13.cmd").unlink()
        assert run(recipe["install"]) == (0, "")
        assert (root / "bin/python3.13.cmd").is_file()
        assert run(f"{POWERSHELL} install-python.ps1 -Check") == (0, "nothing to do")
        assert run(ENTRIES)[0] == 0
        assert run(recipe["uninstall"]) == (0, "")
        assert not list(root.glob("cpython-*"))
        assert not list((root / "bin").iterdir())
        assert run(ENTRIES)[0] != 0
        assert run(f"{POWERSHELL} detect.ps1") == (1, "")
    finally:
        run(r"reg delete HKLM\Software\Python\StandalonePython /f")
        shutil.rmtree(machine.drive / "script", ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
