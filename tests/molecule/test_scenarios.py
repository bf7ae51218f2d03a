# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule's scenarios, each as ``molecule test -s NAME`` runs it: on new hosts, converged, again without a change, looked at, destroyed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.community import community_general
from tests.tools.hosts import unavailable
from tests.tools.playbook import CACHE, REPOSITORY

SCENARIOS = sorted(path.parent.name for path in REPOSITORY.glob("molecule/*/molecule.yml"))

pytestmark = pytest.mark.xdist_group("hosts")


def molecule(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # The chroot connection stands in a collection.
        "ANSIBLE_COLLECTIONS_PATH": str(community_general()),
        "ANSIBLE_HOME": str(home / "ansible"),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
        "NO_COLOR": "1",
    }
    command = [sys.executable, "-m", "molecule", *words]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A scenario's name; whatever becomes of it, its hosts are ended."""
    if reason := unavailable():
        pytest.skip(reason)
    yield request.param
    molecule("destroy", "-s", request.param, home=tmp_path)


def test_scenario(scenario: str, tmp_path: Path) -> None:
    done = molecule("test", "-s", scenario, "--destroy", "always", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    for action in ("create", "converge", "idempotence", "verify", "destroy"):
        assert re.search(rf"{scenario} \S {action}: Executed: Successful", said), said


def test_each_scenario_that_is_promised_is_there() -> None:
    assert SCENARIOS == ["airgap", "bootstrap", "default", "fleet", "golden_image", "upgrade"]
