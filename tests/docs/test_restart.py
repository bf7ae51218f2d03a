# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/restart: after an upgrade, the services that run the older build are restarted, and no others.

The processes are real, and in real cgroups of systemd's names. A stand-in for systemctl writes down what it is told.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.tools.deploy import LOCAL, run_deploy
from tests.tools.playbook import CACHE, REPOSITORY, run_play
from tests.tools.sources import OLD, V13

EXAMPLES = REPOSITORY / "examples/restart"
STAND_IN = """#!/bin/sh
echo "$@" >>'{record}'
"""


def hierarchy() -> Path:
    """The cgroups that systemd's names are in."""
    for path in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup")):
        if (path / "cgroup.procs").exists() and os.access(path, os.W_OK):
            return path
    pytest.skip("needs root: to make cgroups")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def serve(stack: ExitStack, unit: str, *command: str) -> None:
    """Run a command as a service of that name."""
    group = hierarchy() / f"tests-{unit.removesuffix('.service')}.slice" / unit
    group.mkdir(parents=True)
    stack.callback(group.parent.rmdir)
    stack.callback(group.rmdir)
    process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
    (group / "cgroup.procs").write_text(str(process.pid))
    stack.callback(process.wait)
    stack.callback(process.kill)


def test_the_page_shows_the_example() -> None:
    page = (REPOSITORY / "docs/upgrades.md").read_text()
    assert f"```yaml\n{(EXAMPLES / 'restart.yml').read_text()}```" in page
    assert f"```python\n# restart.py\n{(EXAMPLES / 'restart.py').read_text()}```" in page


@pytest.mark.parametrize("tool", ["ansible", "pyinfra"])
def test_only_services_of_an_older_build_are_restarted(tool: str, source: Path, tmp_path: Path, stack: ExitStack) -> None:
    root, record, programs = tmp_path / "root", tmp_path / "record", tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(STAND_IN.format(record=record))
    (programs / "systemctl").chmod(0o755)
    declared = {"builds": [f"{V13}+{OLD}"], "root": str(root), "source": str(source)}
    subprocess.run(
        [Path(sys.executable).with_name("standalone-python"), "apply", "-"],
        input=json.dumps(declared),
        text=True,
        check=True,
        capture_output=True,
        env={**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)},
    )
    name = f"{tool}-{os.getpid()}"
    wait = ("-c", "input()")
    serve(stack, f"{name}.service", f"{root}/cpython-3.13/bin/python3", *wait)
    serve(stack, f"{name}-other.service", shutil.which("cat") or "")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    if tool == "ansible":
        (play,) = yaml.safe_load((EXAMPLES / "restart.yml").read_text())
        tasks = play.pop("tasks")
        tasks[0]["standalone.python.interpreters"] |= {"root": str(root), "source": str(source)}
        # Who may make cgroups is root already.
        run = run_play(tasks, play=play | {"become": False}, environment=environment)
        assert run.code == 0, run.output
    else:
        text = (EXAMPLES / "restart.py").read_text()
        text = text.replace(
            "get_fact(standalone_python.Interpreters)", f'get_fact(standalone_python.Interpreters, root="{root}")'
        )
        deploy = text.replace('state="latest"', f'state="latest", root="{root}", source="{source}"')
        done = run_deploy(deploy, LOCAL, environment=environment)
        assert done.code == 0, done.output
    assert record.read_text().splitlines() == [f"restart {name}.service"]
