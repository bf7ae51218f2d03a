# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users installed with pip outlives an upgrade that a front end makes on a host; tests/cli has the other cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.frontends.support import LATER13, OLD13, name, play, task
from tests.tools import wheels
from tests.tools.deploy import login, operation, run_deploy
from tests.tools.hosts import Host
from tests.tools.hosts.fixtures import FreshHost

pytestmark = pytest.mark.xdist_group("hosts")

STABLE = "/opt/python/cpython-3.13"
PACKAGES = f"{STABLE}/lib/python3.13/site-packages"


def declared(source: Path, build: str, **more: Any) -> dict[str, Any]:
    return {"builds": [build], "source": str(source), "externally_managed": False, **more}


def installed(host: Host, tmp_path: Path) -> None:
    """A user installs a package, and names its script by a path that is gone with the build."""
    wheel = wheels.greeting(tmp_path)
    (host.root / "tmp" / wheel.name).write_bytes(wheel.read_bytes())
    done = host.ssh(f"$(readlink -f {STABLE}/bin/python3) -m pip install --no-index /tmp/{wheel.name}")
    assert done.returncode == 0, done.stderr
    assert OLD13 in host.ssh(f"head -n 1 {STABLE}/bin/greet").stdout


def greets(host: Host) -> None:
    done = host.ssh(f"{STABLE}/bin/greet")
    assert done.stdout.strip() == wheels.SAYS, done.stderr


def test_ansible(fresh_host: FreshHost, source: Path, tmp_path: Path) -> None:
    host = fresh_host("busybox")
    assert play(host, task(**declared(source, OLD13))).of().kind == "ok"
    installed(host, tmp_path)
    later = task(**declared(source, LATER13, keep=0))
    check = play(host, later, check=True, diff=True)
    run = play(host, later, later, {"standalone.python.interpreters_info": {}})
    said, again, info = (result.result for result in run.results)
    for result in (check.of().result, said):
        assert result["plan"][0].endswith("; keeps 1 user package")
        assert result["interpreters"][0]["user_packages"] == {"kept": 1, "discarded": 0, "not_carried": []}
    assert f"+{name(LATER13)} (1 user package)" in check.output
    assert again["changed"] is False
    assert again["interpreters"][0]["user_packages"] == {"kept": 0, "discarded": 0, "not_carried": []}
    assert info["interpreters"][0]["user_packages"] == 1
    greets(host)


def test_ansible_discards_where_that_is_declared(fresh_host: FreshHost, source: Path, tmp_path: Path) -> None:
    host = fresh_host("busybox")
    assert play(host, task(**declared(source, OLD13))).of().kind == "ok"
    installed(host, tmp_path)
    said = play(host, task(**declared(source, LATER13, user_packages="discard"))).of().result
    assert said["interpreters"][0]["user_packages"] == {"kept": 0, "discarded": 1, "not_carried": []}
    assert not (host.root / PACKAGES[1:] / "greeting").exists()


def test_pyinfra(fresh_host: FreshHost, source: Path, tmp_path: Path) -> None:
    host = fresh_host("busybox")
    assert run_deploy(operation(declared(source, OLD13)), {host.name: login(host)}).code == 0
    installed(host, tmp_path)
    done = run_deploy(operation(declared(source, LATER13, keep=0)), {host.name: login(host)})
    assert done.code == 0, done.output
    assert "keeps 1 user package" in done.output
    greets(host)
