# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target triples of an Ansible inventory's hosts, as each host itself says: by running ``interpreters_info`` on all of them.

Everything that Ansible finds for itself (ansible.cfg, group_vars, connections, plugins) counts as in any other run of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from .core import DeclarationError, TransportError, parse_triple

MODULE = "standalone.python.interpreters_info"
# How Ansible's callback `minimal`, which `ansible` prints with, begins a host's result.
_RESULT = re.compile(r"^(\S.*?) \| (SUCCESS|CHANGED|FAILED!|UNREACHABLE!) => (?={)", re.MULTILINE)
_PLAIN = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_VERBOSITY": "0",
}
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What one host came to; ``result`` is Ansible's own mapping."""

    host: str
    reached: bool
    result: dict[str, Any]


def targets_of(inventory: str) -> tuple[str, ...]:
    """The triples of all hosts, each once, sorted.

    :param inventory: whatever ``ansible -i`` takes
    :raises TransportError: Ansible isn't installed, or a host could not be observed
    :raises DeclarationError: the inventory has no hosts
    """
    if find_spec("ansible") is None:
        raise TransportError(
            "reading an inventory needs ansible-core, which is not installed beside this command: install "
            "standalone-python[ansible], or name the targets with --target"
        )
    if "," not in inventory and not os.path.exists(inventory):
        raise DeclarationError(f"the inventory {inventory} is not there: check the path")
    # -P, not -I: Ansible may be on PYTHONPATH or among the user's own packages, but never in the working directory.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ansible", "adhoc", "all", "-i", inventory, "-m", MODULE],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **_PLAIN},
        check=False,
    )
    answers = list(parse_answers(done.stdout))
    if not answers:
        said = " ".join(done.stderr.split())[-300:]
        raise DeclarationError(f"the inventory {inventory} has no hosts that Ansible could ask; it said: {said or 'nothing'}")
    return _triples(answers, inventory)


def parse_answers(output: str) -> Iterator[Answer]:
    """What ``ansible`` printed, host by host."""
    decoder = json.JSONDecoder()
    for match in _RESULT.finditer(output):
        result, _end = decoder.raw_decode(output, match.end())
        yield Answer(match[1], match[2] in ("SUCCESS", "CHANGED"), result)


def _triples(answers: list[Answer], inventory: str) -> tuple[str, ...]:
    found: set[str] = set()
    failed: list[str] = []
    for answer in answers:
        triple = answer.result.get("target", {}).get("triple", "") if answer.reached else ""
        try:
            if answer.reached:
                found.add(parse_triple(triple).triple)
            else:
                failed.append(f"{answer.host} ({_why(answer)})")
        except DeclarationError:
            failed.append(f"{answer.host} (there are no builds for {triple or 'what it is'})")
    if not failed:
        return tuple(sorted(found))
    more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    raise TransportError(
        f"{len(failed)} of {len(answers)} hosts of the inventory {inventory} could not be observed: "
        f"{', '.join(sorted(failed)[:_MOST_NAMED])}{more}; let them be reached, or name the targets with --target; "
        "nothing was written"
    )


def _why(answer: Answer) -> str:
    return " ".join(str(answer.result.get("msg", "no reason was given")).split())[:200]
