# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/patching.md as a reader follows it: from a vulnerable fleet to a patched one, over SSH, with canaries that roll back.

Renovate's own validator, of version 40.62.1, accepted the configuration; it needs another Node.js than many machines have, so this module
looks at what the configuration names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from standalone_python.commands.lock import lock
from tests.docs.reading import ssh_config
from tests.tools.hosts import Host
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import commands, files, shown
from tests.tools.playbook import CACHE, REPOSITORY
from tests.tools.sources import NEWER, OLD, V13, V13LATER

PAGE = "docs/patching.md"
FILES = files(PAGE)
LOCK, REPORT, UPGRADE, PLAY, BATCHES = commands(PAGE)
RENOVATE = next(one.text for one in shown(PAGE) if one.text.startswith("{"))
TRIED = {PAGE: [*FILES.values(), *commands(PAGE), RENOVATE]}
WORKFLOW = ".github/workflows/pythons.yml"

pytestmark = pytest.mark.xdist_group("hosts")

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command of the page in the reader's folder; return what it printed."""

    def run(command: str, *, succeeds: bool = True, **environment: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "PYTHONPATH": str(REPOSITORY),
                "STANDALONE_PYTHON_CACHE": str(CACHE),
                "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
                "ANSIBLE_HOME": str(tmp_path / "ansible"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_SSH_ARGS": f"-F {tmp_path}/.ssh/config",
                **environment,
            },
            check=False,
        )
        assert (done.returncode == 0) is succeeds, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


def prepare(folder: Path, hosts: list[Host], mirror: Path) -> None:
    """Write the files of the page; only the source of builds and the addresses of hosts are the test's."""
    (folder / ".ssh").mkdir()
    (folder / ".ssh/config").write_text(ssh_config({f"web{number}.example.net": host for number, host in enumerate(hosts, 1)}))
    (folder / "hosts.ini").write_text("".join(f"web{number}.example.net\n" for number in range(1, len(hosts) + 1)))
    adapted = {
        "pythons.yml": FILES["pythons.yml"] + f"source: {mirror}\n",
        "canary.yml": FILES["canary.yml"].replace(
            "            lockfile:", f"            source: {mirror}\n            lockfile:"
        ),
        "canary.py": FILES["canary.py"].replace("    lockfile=", f"    source={str(mirror)!r},\n    lockfile="),
        "inventory.py": FILES["inventory.py"],
    }
    for name, text in adapted.items():
        (folder / name).write_text(text)


def in_use(hosts: list[Host]) -> list[str]:
    """Return the version and release that each host's stable link leads to."""
    links = [os.readlink(host.root / "opt/python/cpython-3.13") for host in hosts]
    return [re.findall(r"^cpython-(\S+?\+[0-9]{8})-", link)[0] for link in links]


def test_a_vulnerable_fleet_is_patched_and_a_bad_canary_rolls_back(
    source: Path, tmp_path: Path, run: Run, fresh_host: FreshHost
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / OLD).symlink_to(source / OLD)
    vulnerable, patched = f"{V13}+{OLD}", f"{V13LATER}+{NEWER}"
    hosts = [fresh_host("debian") for _number in range(3)]
    prepare(tmp_path, hosts, mirror)
    run(LOCK)
    played = " ".join(run(f"{PLAY} 2>&1").split())
    assert played.count(f"Python {V13} of release {OLD} has open advisories of critical") == 1, (
        "the warning is there once a fleet"
    )
    assert in_use(hosts) == [vulnerable] * 3
    before = json.loads(run(f"{REPORT} --json"))
    # A newer release appears.
    (mirror / NEWER).symlink_to(source / NEWER)
    said = run(UPGRADE)
    assert f"{vulnerable} -> {patched}" in said
    assert re.match(r"Upgrade Python 3\.13: close [1-9][0-9]* advisories\n\n", (tmp_path / "message.txt").read_text())

    # The canary fails: it is on the build before again, and no other host was touched.
    played = run(f"{PLAY} -e health=false", succeeds=False)
    assert "web1.example.net" in played.partition("PLAY RECAP")[2]
    assert "web2.example.net" not in played
    assert in_use(hosts) == [vulnerable] * 3, played
    builds = [len(list((host.root / "opt/python").glob("cpython-*+*"))) for host in hosts]
    assert builds == [2, 1, 1]

    deploy = tmp_path / "canary.py"
    text = deploy.read_text()
    deploy.write_text(re.sub("^HEALTH = .*$", "HEALTH = 'false'", text, flags=re.MULTILINE))
    run(BATCHES, succeeds=False)
    assert in_use(hosts) == [vulnerable] * 3

    # The application is well: one host after the other is patched.
    deploy.write_text(text)
    run(BATCHES)
    assert in_use(hosts) == [patched] * 3
    after = json.loads(run(f"{REPORT} --json"))
    assert {line["host"] for line in after["lines"]} == {line["host"] for line in before["lines"]}
    open_before, open_after = ({one["id"] for one in report["advisories"]} for report in (before, after))
    # What is new came with a newer OpenSSL.
    assert len(open_after) < len(open_before)
    assert "CVE-2024-12254" in open_before - open_after, "fixed in 3.13.2"


def test_the_workflow_opens_a_pull_request_with_the_message(tmp_path: Path, run: Run) -> None:
    """Its last step in a clone, with a stand-in for GitHub's command line."""
    steps: list[dict[str, Any]] = yaml.safe_load(FILES[WORKFLOW])["jobs"]["patch"]["steps"]
    (moved,) = (step["run"] for step in steps if " lock " in step.get("run", ""))
    lock.make_context("lock", moved.split()[2:])
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$*" >>asked\n[ "$2" != edit ]\n')
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "message").write_text("Upgrade Python 3.13: close 2 advisories\n\nUpgrade 3.13\n")
    run("git init -q --bare origin.git && git clone -q origin.git clone 2>/dev/null && cd clone && echo 1 >pythons.lock.json && "
        "git add . && git -c user.name=a -c user.email=a@example.net commit -qm first && echo 2 >pythons.lock.json")  # fmt: skip
    step = steps[-1]["run"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    run(f"cd clone\n{step}", RUNNER_TEMP=str(tmp_path), PATH=path)
    asked = (tmp_path / "clone/asked").read_text().splitlines()
    assert asked[-1] == (
        f"pr create --head pythons-security --title Upgrade Python 3.13: close 2 advisories --body-file {tmp_path}/body"
    )
    assert (tmp_path / "body").read_text() == "Upgrade 3.13\n"
    shown_commit = run(
        "git -C origin.git log -1 --format=%B pythons-security; git -C origin.git show pythons-security:pythons.lock.json"
    )
    assert shown_commit == "Upgrade Python 3.13: close 2 advisories\n\nUpgrade 3.13\n\n2\n"
    (tmp_path / "message").unlink()
    run(f"cd clone\n{step}", RUNNER_TEMP=str(tmp_path), PATH=path)
    assert (tmp_path / "clone/asked").read_text().splitlines() == asked, "without a message there is nothing to do"


def test_renovate_moves_the_marker_and_runs_commands_that_exist() -> None:
    configuration = json.loads(RENOVATE)
    (manager,), (rule,) = configuration["customManagers"], configuration["packageRules"]
    (pattern,) = manager["matchStrings"]
    found = re.search(pattern.replace("(?<", "(?P<"), f"# release: {NEWER}\n{FILES['pythons.yml']}")
    assert found
    assert found["currentValue"] == NEWER
    assert re.search(manager["managerFilePatterns"][0].strip("/"), "pythons.yml")
    update, relock = rule["postUpgradeTasks"]["commands"]
    assert update == "standalone-python catalogue update"
    context = lock.make_context("lock", relock.split()[2:])
    assert {context.params["message"], "pythons.lock.json"} == set(rule["postUpgradeTasks"]["fileFilters"])
