# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observes the hosts of an Ansible inventory by running ``interpreters_info`` on all of them.

Ansible uses its ansible.cfg, group_vars, connections and plugins as in any other run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import parse_triple
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError, TransportError

MODULE = "standalone.python.interpreters_info"
_CALLBACK = "standalone_python_results"
_SETTINGS = {
    "ANSIBLE_CALLBACK_PLUGINS": os.path.join(os.path.dirname(os.path.abspath(__file__)), "ansible_callbacks"),
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
    "ANSIBLE_STDOUT_CALLBACK": _CALLBACK,
    # Replaces the callbacks that the user has enabled.
    "ANSIBLE_CALLBACKS_ENABLED": _CALLBACK,
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_VERBOSITY": "0",
}
_MOST_NAMED = 5
# Ansible's exit codes: all well, some hosts failed, some were unreachable, both.
_ALL_ANSWERED = (0, 2, 4, 6)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one host; ``result`` is Ansible's own mapping."""

    host: str
    reached: bool
    result: dict[str, Any]


def targets_of(inventory: str) -> tuple[str, ...]:
    """Return the triples of all hosts, each once, sorted.

    :param inventory: whatever ``ansible -i`` takes
    :raises TransportError: Ansible is not installed, or a host could not be observed
    :raises DeclarationError: the inventory has no hosts
    """
    return _triples(observe_all(inventory, {}, "name the targets with --target"), inventory)


def observe_all(inventory: str, options: Mapping[str, Any], instead: str) -> list[Answer]:
    """Run the module on all hosts in parallel; return one answer for each host, reached or not.

    :param inventory: whatever ``ansible -i`` takes
    :param options: the module's options
    :param instead: the advice for a user without Ansible
    :raises TransportError: Ansible is not installed, or it ended before all hosts had answered
    :raises DeclarationError: the inventory has no hosts
    """
    if find_spec("ansible") is None:
        raise TransportError(
            "reading an inventory needs ansible-core, which is not installed beside this command: install "
            f"standalone-python[ansible], or {instead}"
        )
    if "," not in inventory and not os.path.exists(inventory):
        raise DeclarationError(f"the inventory {inventory} does not exist: check the path")
    arguments = ["-a", json.dumps(options)] if options else []
    with tempfile.TemporaryDirectory(prefix="standalone-python-") as folder:
        results = os.path.join(folder, "results")
        # -P, not -I: Ansible may be on PYTHONPATH or among the user's own packages, but never in the working directory.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ansible", "adhoc", "all", "-i", inventory, "-m", MODULE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **_SETTINGS, "STANDALONE_PYTHON_RESULTS": results},
            check=False,
        )
        try:
            with open(results, encoding="utf-8") as lines:
                answers = [Answer(**json.loads(line)) for line in lines]
        except FileNotFoundError:  # no host has answered
            answers = []
    errors = " ".join(done.stderr.split())[-300:] or "nothing"
    if not answers:
        raise DeclarationError(f"the inventory {inventory} has no hosts that Ansible can reach; Ansible's message: {errors}")
    if done.returncode not in _ALL_ANSWERED:
        raise TransportError(
            f"Ansible ended with code {done.returncode} before all hosts of the inventory {inventory} had answered; "
            f"Ansible's message: {errors}"
        )
    return answers


def _triples(answers: list[Answer], inventory: str) -> tuple[str, ...]:
    found: set[str] = set()
    failed: list[str] = []
    for answer in answers:
        triple = answer.result.get("target", {}).get("triple", "") if answer.reached else ""
        try:
            if answer.reached:
                found.add(parse_triple(triple).triple)
            else:
                failed.append(f"{answer.host} ({why(answer)})")
        except DeclarationError:
            failed.append(f"{answer.host} (no builds exist for {triple or 'its system'})")
    if not failed:
        return tuple(sorted(found))
    more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    raise TransportError(
        f"{len(failed)} of {len(answers)} hosts of the inventory {inventory} could not be observed: "
        f"{', '.join(sorted(failed)[:_MOST_NAMED])}{more}; make them reachable, or name the targets with --target; "
        "nothing was written"
    )


def why(answer: Answer) -> str:
    """Return the reason that Ansible gave for a host that was not observed."""
    return " ".join(str(answer.result.get("msg", "no reason was given")).split())[:200]
