# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule's scenarios, each as ``molecule test -s NAME`` runs it: on new hosts, converged, again without a change, looked at, destroyed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.tools import containers
from tests.tools.community import collections
from tests.tools.hosts import unavailable
from tests.tools.playbook import CACHE, REPOSITORY

SCENARIOS = sorted(path.parent.name for path in REPOSITORY.glob("molecule/*/molecule.yml"))
IN_CONTAINERS = [name for name in SCENARIOS if "image: " in (REPOSITORY / "molecule" / name / "molecule.yml").read_text()]

pytestmark = pytest.mark.xdist_group("hosts")


def molecule(*words: str, home: Path, more: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # The connections to a chroot and to containers stand in collections.
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_HOME": str(home / "ansible"),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
        "NO_COLOR": "1",
        **more,
    }
    command = [sys.executable, "-m", "molecule", *words]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def passes(scenario: str, home: Path, more: Mapping[str, str] = {}) -> None:
    """Run a scenario. It destroys its hosts itself; where it fails to, this does."""
    try:
        done = molecule("test", "-s", scenario, "--destroy", "always", home=home, more=more)
        assert done.returncode == 0, done.stdout + done.stderr
        said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        for action in ("create", "converge", "idempotence", "verify", "destroy"):
            assert re.search(rf"{scenario} \S {action}: Executed: Successful", said), said
    except BaseException:
        molecule("destroy", "-s", scenario, home=home, more=more)
        raise


@pytest.fixture(scope="module")
def podman() -> Iterator[Mapping[str, str]]:
    """The environment in which Podman has the images, which are imported once for all scenarios; empty without Podman."""
    if containers.unavailable():
        yield {}
        return
    with containers.engine() as environment:
        yield {"MOLECULE_ENGINE": "podman", **environment}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, podman: Mapping[str, str], tmp_path: Path) -> None:
    """Scenarios that name images run in Podman's containers where it is installed; all others on hosts in a chroot."""
    if reason := unavailable():
        pytest.skip(reason)
    passes(scenario, tmp_path, podman if scenario in IN_CONTAINERS else {})


def test_scenario_with_images_but_no_engine(tmp_path: Path) -> None:
    if reason := unavailable():
        pytest.skip(reason)
    passes("airgap", tmp_path)


def test_each_scenario_that_is_promised_is_there() -> None:
    assert SCENARIOS == ["airgap", "bootstrap", "default", "fleet", "golden_image", "upgrade"]
    assert IN_CONTAINERS == ["airgap", "bootstrap", "default", "upgrade"]
