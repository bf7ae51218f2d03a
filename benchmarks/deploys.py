# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs pyinfra deploys for benchmarks with its command line. All hosts are this machine, unless there is another inventory.

pyinfra has only one ``@local``. So a connector plugin gives the local connector many names.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Ended, spend
from benchmarks.plays import PROJECT

CONNECTOR = """
from pyinfra.connectors.local import LocalConnector

class Here(LocalConnector):
    @staticmethod
    def make_names_data(name=None):
        yield f"@here/{name}", {}, ["@here"]
"""


@dataclass(frozen=True, slots=True)
class Deployer:
    """A folder with an inventory and its connector.

    :ivar inventory: the text of the inventory; by default local hosts
    """

    folder: Path
    hosts: int
    environment: Mapping[str, str] = field(default_factory=dict)
    inventory: str = ""

    def deploy(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.py"
        path.write_text(text)
        return path

    def run(self, deploy: Path, *, arguments: Sequence[str] = ("-y",), inventory: str = "inventory.py") -> Ended:
        self._set_up()
        pyinfra = Path(sys.executable).with_name("pyinfra")
        command: tuple[str | Path, ...] = (pyinfra, "--json", *arguments, inventory, deploy)
        return spend(command, env=self._environment(), cwd=self.folder)

    def _set_up(self) -> None:
        inventory = self.folder / "inventory.py"
        if inventory.exists():
            return
        inventory.write_text(self.inventory or f"hosts = {[f'@here/host{number:02}' for number in range(self.hosts)]!r}\n")
        (self.folder / "connector").mkdir()
        (self.folder / "connector/benchmark_connector.py").write_text(CONNECTOR)
        about = self.folder / "connector/benchmark_connector-0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmark-connector\nVersion: 0\n")
        (about / "entry_points.txt").write_text("[pyinfra.connectors]\nhere = benchmark_connector:Here\n")

    def _environment(self) -> dict[str, str]:
        return {
            # An installed distribution has bytecode; without it each run would compile the project.
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYINFRA_", "PYTHONDONTWRITE"))},
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
            "PYTHONPATH": f"{self.folder / 'connector'}:{PROJECT}",
            "PYINFRA_PROGRESS": "off",
            "STANDALONE_PYTHON_CACHE": str(self.folder / "cache"),
            **self.environment,
        }


def results_of(ended: Ended) -> dict[str, Any]:
    """Return pyinfra's output for programs: the keys plan and results.

    :raises RuntimeError: it doesn't
    """
    for line in reversed(ended.output.splitlines()):
        if line.startswith('{"plan"'):
            answer: dict[str, Any] = json.loads(line)
            return answer
    raise RuntimeError(f"pyinfra ended with {ended.code} and printed no results: {ended.output.strip()[-2000:]}")


def changed(ended: Ended) -> int:
    """Return the number of operations that changed something, over all hosts.

    :raises RuntimeError: one failed
    """
    totals = results_of(ended)["results"]["totals"]
    if totals["error"]:
        raise RuntimeError(f"a deploy failed: {ended.output.strip()[-2000:]}")
    return int(totals["success"])
