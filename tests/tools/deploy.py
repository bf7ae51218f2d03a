# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs pyinfra as its users do, on the command line, and returns what became of each host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.tools.hosts import Host
from tests.tools.playbook import CACHE, REPOSITORY

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
Hosts = Mapping[str, Mapping[str, Any]]
"""An inventory: names, which say the connector too (``@local``), and each one's data."""
LOCAL: Hosts = {"@local": {}}

_STEP = re.compile(r"(install|upgrade|downgrade|repair|reinstall|confirm|clear|link|remove) .*")
_OWN_WORDS = re.compile(r"(Connected|Ready: |Loaded fact |noop: |Success|No changes|Error: executed )")


@dataclass(frozen=True, slots=True)
class Deployed:
    """
    :ivar output: what a person reads, errors included
    :ivar plan: by host, the steps as lines
    :ivar changed: hosts that would be, or were, changed
    :ivar operations: names of the operations that were executed, each with the hosts that it changed
    """

    code: int
    output: str
    plan: Mapping[str, tuple[str, ...]]
    changed: frozenset[str]
    failed: frozenset[str]
    operations: tuple[tuple[str, frozenset[str]], ...] = ()

    def of(self, name: str) -> Deployed:
        """What one executed operation came to, of several that have names."""
        (changed,) = (hosts for known, hosts in self.operations if known == name)
        printed = re.search(rf"^--> Starting operation: {re.escape(name)} *\n(.*?)^-->", self.output, re.MULTILINE | re.DOTALL)
        assert printed, self.output
        return replace(self, output=printed[1], plan=steps(printed[1], self.plan), changed=changed, operations=())

    def said(self, host: str) -> tuple[str, ...]:
        """What was said of a host, in the order of saying, without steps and pyinfra's own words."""
        return tuple(text for text in lines(self.output, host) if not _STEP.match(text) and not _OWN_WORDS.match(text))

    def error(self, host: str) -> str:
        """Why a host failed, or the whole run."""
        stopped = re.search(r"^--> (?:pyinfra|Operation|Fact) error[^:]*: (.*)$", self.output, re.MULTILINE)
        of_host = " ".join(self.said(host))
        foretold = of_host.partition("this will fail unless an earlier operation changes the host: ")[2]
        return foretold or (of_host if self.code else "") or (stopped[1] if stopped else "")


def lines(output: str, host: str) -> list[str]:
    """What was said of a host, line by line."""
    return re.findall(rf"^ *\[{re.escape(host)}\] +(.*)$", output, re.MULTILINE)


def steps(output: str, hosts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The steps that were named of each host."""
    return {host: tuple(text for text in lines(output, host) if _STEP.fullmatch(text)) for host in hosts}


def login(host: Host, user: str = "root", **data: Any) -> dict[str, Any]:
    """The data by which pyinfra reaches a test host."""
    return {
        "ssh_hostname": host.address,
        "ssh_port": host.port,
        "ssh_user": user,
        "ssh_key": str(host.key),
        "ssh_strict_host_key_checking": "off",
        "ssh_known_hosts_file": os.devnull,
        "ssh_look_for_keys": False,
        **data,
    }


def operation(declared: Mapping[str, Any], **arguments: Any) -> str:
    """The text of a deploy with the one operation."""
    said = "".join(f"    {name}={value!r},\n" for name, value in {**declared, **arguments}.items())
    return f"from pyinfra_ops import standalone_python\n\nstandalone_python.interpreters(\n{said})\n"


def run_deploy(
    deploy: str,
    hosts: Hosts,
    *,
    dry: bool = False,
    environment: Mapping[str, str] = {},
    arguments: Sequence[str] = (),
    runner: Sequence[str] = (),
    group_data: str = "",
) -> Deployed:
    """Run a deploy; without ``dry`` its changes are not looked for first, as with ``-y``.

    :param deploy: the text of its file
    :param environment: of pyinfra itself, beyond what the tests run with
    :param runner: before pyinfra on the command line
    :param group_data: the text of ``group_data/all.py``
    """
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        there = Path(folder)
        (there / "deploy.py").write_text(deploy)
        (there / "inventory.py").write_text(f"hosts = {[(name, dict(data)) for name, data in hosts.items()]!r}\n")
        if group_data:
            (there / "group_data").mkdir()
            (there / "group_data/all.py").write_text(group_data)
        finished = subprocess.run(
            [*runner, PYINFRA, "--json", "--dry" if dry else "-y", *arguments, "inventory.py", "deploy.py"],
            cwd=there,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "STANDALONE_PYTHON_CACHE": str(CACHE),
                **environment,
            },
        )
    output = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", finished.stderr)
    told = json.loads(finished.stdout) if finished.stdout.strip() else {"plan": [], "results": None}
    results = told["results"] or {"operations": [], "failed_hosts": []}
    changed = (
        [host for planned in told["plan"] for host in planned["hosts_with_change"]]
        if dry
        else [host for done in results["operations"] for host in done["success"]]
    )
    return Deployed(
        finished.returncode,
        output + ("" if told["plan"] else finished.stdout),
        steps(output, hosts),
        frozenset(changed),
        frozenset(results["failed_hosts"]),
        tuple((done["name"], frozenset(done["success"])) for done in results["operations"]),
    )
