# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/script.md, run as it stands. What is exchanged: the address of the mirror, and the root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tools.pages import commands, files
from tests.tools.playbook import CACHE, REPOSITORY
from tests.tools.sources import put_windows, write_catalogue
from tests.tools.web import serve

PAGE = "docs/script.md"
MIRROR = "https://mirror.example.org/python"
TRIED = {PAGE: [*commands(PAGE), *files(PAGE).values()]}


def test_the_page(source: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    shutil.copytree(source, served, symlinks=True)
    put_windows(served, tmp_path)
    catalogue = write_catalogue(served, tmp_path / "catalogue.tsv")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
    }
    printed = {}
    with serve(served) as web:
        (tmp_path / "usb").mkdir()
        for name, text in files(PAGE).items():
            root = "" if name == "windows.yml" else f"root: {tmp_path}/root\n"
            (tmp_path / name).write_text(f"{text.replace(MIRROR, web.url())}{root}catalogue: {catalogue}\n")
        for command in commands(PAGE):
            if command.startswith("sh install-python-short.sh"):
                for path in (tmp_path / "mirror").glob("install-python.sh*"):
                    shutil.copy(path, served)
            done = subprocess.run(
                ["sh", "-c", command.replace(MIRROR, web.url())], cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            printed[command] = (done.returncode, done.stdout)
            assert done.returncode in (0, 2), (command, done)
    assert printed["sh install-python.sh --check"][0] == 2
    assert printed["sh install-python.sh"][1].count("install cpython-") == 2
    assert printed["sh -s -- --quiet < install-python.sh"] == (0, "")
    assert printed["sh usb/install-python.sh --check"] == (0, "nothing to do\n")
    assert printed["sh install-python313.sh --check"][1].startswith("nothing to do\nleft alone: cpython-3.12")
    assert printed["sh install-python-short.sh --check"] == (0, "nothing to do\n")
    assert (tmp_path / "install-python.ps1").read_text(encoding="utf-8-sig").endswith("\nInvoke-Main $options\n")
