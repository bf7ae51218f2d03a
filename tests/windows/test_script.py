# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script for Windows hosts without a controller, as a file that Windows PowerShell runs: with the registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.front_ends import STANDALONE_PYTHON
from tests.tools import standin
from tests.tools.windows_hosts import WindowsHosts

TARGET = "x86_64-pc-windows-msvc"
RUN = r"powershell -NoProfile -ExecutionPolicy Bypass -File C:\script\install-python.ps1 -Root C:\ProgramData\from-script"


def test_from_nothing_twice(windows_hosts: WindowsHosts, windows_source: Path, tmp_path: Path) -> None:
    (machine, *_others) = windows_hosts.machines
    if machine.drive is None:
        pytest.skip("needs Wine: the script is copied to the drive of a host that was made here")
    root = machine.drive / "ProgramData/from-script"
    declared = {"builds": [{"version": "3.13", "default": True}]}
    (tmp_path / "python.yml").write_text(json.dumps({**declared, "source": str(windows_source)}))
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
    folder = machine.drive / "script"
    folder.mkdir()
    written = ("--archives", str(folder / "archives"), "--output", str(folder / "install-python.ps1"))
    for words in (("lock", "python.yml"), ("script", "python.yml", "--lockfile", "python.lock.json", *written)):
        subprocess.run([STANDALONE_PYTHON, *words, "--target", TARGET], cwd=tmp_path, env=environment, check=True)
    script = folder / "install-python.ps1"
    body, call = script.read_text(encoding="utf-8-sig").rstrip("\n").rsplit("\n", 1)
    script.write_text(f"{body}\n{standin.junctions()}\n{call}\n", encoding="utf-8-sig")
    try:
        done = json.loads(windows_hosts.command(f"{RUN} -Json", machine, "cmd"))
        assert (done["target"], done["left_alone"], done["in_use"]) == (TARGET, [], [])
        assert [step.split()[0] for step in done["plan"]] == ["install", "link", "link", "link", "link", "register"]
        (_build,) = root.glob("cpython-3.13.*/.standalone-python/receipt.json")
        assert (root / "bin/python3.cmd").is_file()
        (root / "bin/python3.cmd").unlink()
        assert windows_hosts.command(f"{RUN} -Quiet", machine, "cmd") == ""
        again = windows_hosts.command(f"{RUN} -Check", machine, "cmd")
        assert again == "nothing to do"
    finally:
        windows_hosts.command(r"reg delete HKLM\Software\Python\StandalonePython /f", machine, "cmd")
        shutil.rmtree(folder)
        shutil.rmtree(root, ignore_errors=True)
