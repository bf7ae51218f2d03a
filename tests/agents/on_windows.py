# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and links where the agents are tried on Windows itself, which starts no shell script and has junctions.

Under Wine, which has none, a copy stands for a junction, as tests/tools/junction.ps1 makes them.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from tests.tools import windows

MARK = ".standalone-python/stands-for-a-junction"

# As the interpreter of fakes.py, for what the agents of PowerShell ask of one. FAKE_HOOK is a file of Python here.
INTERPRETER = """
import json, os, sys
folder = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), ".standalone-python")
words = sys.argv[1:]
if hook := os.environ.get("FAKE_HOOK"):
    exec(open(hook, encoding="utf-8").read())
if words == ["-I", "-V"]:
    print("Python @VERSION@")
    sys.exit()
assert words[:4] == ["-I", "-B", "-X", "utf8"], words
if words[4] == "-S":
    import subprocess
    sys.exit(subprocess.call([sys.executable, *words]) if os.environ.get("FAKE_PYTHON") else 9)
settings = dict(word.split("=", 1) for word in words[5:])
known = dict(word.split("=") for word in open(os.path.join(folder, "fake")).read().split())
receipt = {key: value for key, value in settings.items() if key not in ("tree", "root", "final")}
receipt |= {key: receipt[key] == "1" for key in ("externally_managed", "compile_bytecode", "patch_sysconfig")}
receipt |= {"executable": "@EXECUTABLE@", "installed_at": "@INSTALLED_AT@"}
receipt |= {"files_sha256": known["files_sha256"], "modules": int(known["modules"])}
with open(os.path.join(folder, "receipt.json"), "w", newline="\\n") as file:
    file.write(json.dumps(receipt, indent=1) + "\\n")
print("finished=ok")
"""


@functools.cache
def program(script: str) -> bytes:
    """An .exe that runs the script with this Python: distlib's launcher, as pip puts it before entry points."""
    from distlib.scripts import ScriptMaker

    with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as target:
        Path(source, "script.py").write_text(f"#!python -I -S\n{script}", encoding="utf-8")
        maker = ScriptMaker(source, target)
        maker.executable = f'"{sys.executable}"'
        [made] = maker.make("script.py")
        return Path(made).read_bytes()


def make_junction(link: Path, to: Path) -> None:
    """Also one that leads nowhere, which Windows only has when what it leads to is gone."""
    if windows.WINE:
        if not to.is_dir():
            pytest.skip("needs junctions: Wine has none, and a copy can't stand for one that leads nowhere")
        shutil.copytree(to, link, copy_function=shutil.copyfile)
        (link / MARK).parent.mkdir(exist_ok=True)
        (link / MARK).touch()
        return
    import _winapi

    there = to.exists()
    if not there:
        to.mkdir()
    _winapi.CreateJunction(str(to), str(link))
    if not there:
        to.rmdir()


def junction_to(path: Path) -> str:
    """Where a junction leads: the name of what is beside it, else a path; empty where it is none."""
    if windows.WINE:
        receipt = path / ".standalone-python/receipt.json"
        if not (path / MARK).exists():
            return ""
        return str(json.loads(receipt.read_text())["name"]) if receipt.exists() else "a folder"
    if os.lstat(path).st_reparse_tag != stat.IO_REPARSE_TAG_MOUNT_POINT:
        return ""
    to = Path(os.readlink(path).removeprefix("\\\\?\\"))
    return to.name if to.parent == path.parent else to.as_posix()
