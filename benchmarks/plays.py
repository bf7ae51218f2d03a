# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook for benchmarks. All hosts are this machine, unless there is another inventory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Ended, spend

PROJECT = Path(__file__).resolve().parents[1]
Tasks = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Controller:
    """A folder with an inventory. It is also the home folder of every play.

    :ivar inventory: the text of the inventory; by default local hosts
    """

    folder: Path
    hosts: int
    environment: Mapping[str, str] = field(default_factory=dict)
    collections: tuple[Path, ...] = (PROJECT,)
    inventory: str = ""

    def play(self, name: str, tasks: Tasks) -> Path:
        """Write a play of these tasks as JSON, which is YAML too and needs no package."""
        path = self.folder / f"{name}.yml"
        path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}], indent=1))
        return path

    def run(self, play: Path, *arguments: str | Path, runner: Sequence[str | Path] = ()) -> Ended:
        """Run a play.

        :param runner: instead of ansible-playbook
        """
        inventory = self.folder / "inventory"
        if not inventory.exists():
            local = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
            (self.folder / "ansible.cfg").touch()
            inventory.write_text(self.inventory or "".join(f"host{number:02} {local}\n" for number in range(self.hosts)))
        command = runner or (Path(sys.executable).with_name("ansible-playbook"),)
        return spend((*command, "-i", inventory, play, *arguments), env=self._environment(), cwd=self.folder)

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, self.collections)),
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "STANDALONE_PYTHON_CACHE": str(self.folder / "cache"),
            **self.environment,
        }


def changed(ended: Ended) -> int:
    """Return the number of tasks that changed something, over all hosts, from the recap."""
    return sum(map(int, re.findall(r"\bchanged=([0-9]+)", ended.output)))


def community_general(folder: Path) -> Path:
    """Return a collections path with community.general's newest release, extracted from PyPI's `ansible`. That is not installed,
    because it needs a newer ansible-core and Python than a controller must have."""
    general = folder / "ansible_collections/community/general"
    if not (general / "plugins/modules/uv_python.py").exists():
        print("getting community.general out of the package ansible (once) ...", file=sys.stderr)
        pip = (sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
        chosen = ("--no-deps", "--only-binary=:all:", "--python-version", "3.14", "ansible")
        subprocess.run([*pip, *chosen, "--dest", folder], check=True)
        for wheel in folder.glob("ansible-*.whl"):
            with zipfile.ZipFile(wheel) as content:
                wanted = [name for name in content.namelist() if name.startswith("ansible_collections/community/general/")]
                content.extractall(folder, wanted)
            wheel.unlink()
    return folder
