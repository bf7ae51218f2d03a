# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each example of the role's README does what it says on a host without Python, and nothing the second time; and the role's tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.hosts import Host
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import REPOSITORY, Run, run_play
from tests.tools.sources import NEWER, OLD, V12, V13, V13LATER

PAGE = "ansible_collections/standalone/python/roles/interpreters/README.md"
BLOCKS = re.findall(r"```yaml\n(- .*?)```", (REPOSITORY / PAGE).read_text(), re.DOTALL)
PLAYS: Mapping[str, dict[str, Any]] = {play["name"]: play for block in BLOCKS for play in yaml.safe_load(block)}
# For tests/docs/test_coverage.py.
TRIED = {PAGE: BLOCKS}

pytestmark = pytest.mark.xdist_group("hosts")


def run(play: Mapping[str, Any], host: Host, source: Path, *arguments: str) -> Run:
    """As written, but for the source: upstream is not reached from where tests run."""
    known = {"vars": {"interpreters_source": str(source)}, **play}
    done = run_play(play.get("tasks", []), f"{host.inventory_line}\n", play=known, arguments=arguments)
    assert done.code == 0, done.output
    return done


def does(name: str, host: Host, source: Path) -> Run:
    """Runs an example twice; returns the first run."""
    first, second = run(PLAYS[name], host, source), run(PLAYS[name], host, source)
    assert any(result.result.get("changed") for result in first.results), first.output
    assert not any(result.result.get("changed") for result in second.results), second.output
    return first


def says(host: Host, python: str, user: str = "root") -> str:
    done = host.ssh(f"{python} -I -c 'import ssl, sys; print(sys.prefix, sys.version.split()[0])'", user=user)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def builds(host: Host, root: str) -> list[str]:
    return sorted(word.split("-")[1] for word in host.ssh(f"cd {root} && ls -d cpython-*+*").stdout.split())


def test_each_example_is_tried_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in PLAYS if f'"{name}"' not in text] == []


def test_a_full_ansible_host(fresh_host: FreshHost, source: Path) -> None:
    done = does("Make full Ansible hosts of hosts without Python", fresh_host("busybox"), source)
    assert done.of().result["ansible_facts.distribution"]


def test_one_python_for_all_users_then_two_and_a_default_then_nothing_else(fresh_host: FreshHost, source: Path) -> None:
    host = fresh_host("debian")
    does("One Python for all users", host, source)
    assert says(host, "/usr/local/bin/python3.13", "plain") == f"/opt/python/cpython-3.13 {V13LATER}"
    does("Two versions and a default", host, source)
    assert says(host, "/usr/local/bin/python3.12", "plain") == f"/opt/python/cpython-3.12 {V12}"
    assert says(host, "/usr/local/bin/python3", "plain") == f"/opt/python/cpython-3.13 {V13LATER}"
    does("Nothing that isn't declared", host, source)
    assert builds(host, "/opt/python") == [f"{V13LATER}+{NEWER}"]
    assert host.ssh("ls /usr/local/bin").stdout.split() == ["python", "python3", "python3.13"]


def test_ansibles_own_and_an_applications(fresh_host: FreshHost, source: Path) -> None:
    host = fresh_host("busybox")
    done = does("An interpreter of Ansible's own", host, source)
    assert done.of().result["ansible_facts"]["ansible_python"]["executable"] == "/opt/ansible/python/cpython-3.13/bin/python3"
    does("The build that an application was tested with", host, source)
    assert builds(host, "/srv/app/python") == [f"{V13}+{OLD}"]
    assert says(host, "/srv/app/python/cpython-3.13/bin/python3") == f"/srv/app/python/cpython-3.13 {V13}"
    assert host.ssh("ls /usr/local/bin").stdout == ""


def test_tags(fresh_host: FreshHost, source: Path) -> None:
    """The role alone; without facts; and with the tag always, for another task that needs the interpreter."""
    host = fresh_host("busybox")
    play = PLAYS["Make full Ansible hosts of hosts without Python"]
    other = {**play, "tasks": [{"name": "other", "ansible.builtin.command": "true", "changed_when": False, "tags": "other"}]}
    alone = [result.task for result in run(other, host, source, "--tags", "interpreters").results]
    assert any(task.endswith("Gather facts") for task in alone)
    assert "other" not in alone
    assert not any(
        task.endswith("Gather facts")
        for task in (r.task for r in run(other, host, source, "--skip-tags", "interpreters_facts").results)
    )
    always = {**other, "roles": [{**other["roles"][0], "tags": "always"}]}
    assert run(always, host, source, "--tags", "other").of().task == "other"
