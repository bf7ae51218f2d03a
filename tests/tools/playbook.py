"""Runs Ansible plays in tests as a user does, with the real ansible-playbook, and returns what each task came to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.tools.packed import own_folder

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = own_folder("cache")
LOCALHOST = "localhost ansible_connection=local ansible_python_interpreter=/nonexistent/python\n"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """``kind``: ok, failed, unreachable or skipped; ``result`` is Ansible's own mapping."""

    host: str
    task: str
    kind: str
    result: Mapping[str, Any]

    @property
    def message(self) -> str:
        return str(self.result.get("msg", ""))


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    output: str
    results: tuple[TaskResult, ...]

    def of(self, host: str = "") -> TaskResult:
        """The last result, of one host where it is named."""
        return [result for result in self.results if host in ("", result.host)][-1]


def run_play(
    tasks: Sequence[Mapping[str, Any]],
    inventory: str = LOCALHOST,
    *,
    hosts: str = "all",
    check: bool = False,
    diff: bool = False,
    play: Mapping[str, Any] = {},
    environment: Mapping[str, str] = {},
    arguments: Sequence[str] = (),
) -> Run:
    """Run one play.

    :param inventory: the text of an INI inventory
    :param play: further keywords of the play
    :param environment: of ansible-playbook itself, beyond what the tests run with
    """
    with tempfile.TemporaryDirectory(prefix="play-") as folder:
        there = Path(folder)
        (there / "play.yml").write_text(
            yaml.safe_dump([{"hosts": hosts, "gather_facts": False, "tasks": list(tasks), **play}], sort_keys=False)
        )
        (there / "inventory").write_text(inventory)
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("-i", str(there / "inventory"), str(there / "play.yml")),
            *(["--check"] if check else []),
            *(["--diff"] if diff else []),
            *arguments,
        ]
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
                "ANSIBLE_CALLBACK_PLUGINS": str(REPOSITORY / "tests/tools/ansible_results"),
                "ANSIBLE_CALLBACKS_ENABLED": "results",
                "ANSIBLE_HOST_KEY_CHECKING": "False",
                "ANSIBLE_RETRY_FILES_ENABLED": "False",
                "ANSIBLE_LOCALHOST_WARNING": "False",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_HOME": str(there / "home"),
                "ANSIBLE_ROLES_PATH": str(REPOSITORY / "roles"),
                "RESULTS_FILE": str(there / "results"),
                "STANDALONE_PYTHON_CACHE": str(CACHE),
                **environment,
            },
        )
        lines = (there / "results").read_text().splitlines() if (there / "results").exists() else []
        return Run(
            finished.returncode,
            finished.stdout + finished.stderr,
            tuple(TaskResult(**json.loads(line)) for line in lines),
        )
