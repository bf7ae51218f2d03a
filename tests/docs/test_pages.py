# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tutorial and how-tos of Ansible, done as they say on a host without Python: a page's files written, its commands run, in their order.

Only the source of builds is exchanged, for upstream is not reached from where tests run. The host's name leads to a test host by an SSH
configuration.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.docs.reading import MODULE, NAME, adapted, ansible
from tests.tools.hosts import Host
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import commands, files, outputs, tried
from tests.tools.sources import NEW, NEWER, OLD, V12, V13, V13LATER

STABLE = "/opt/python/cpython-3.13"
Reader = Callable[..., str]

pytestmark = pytest.mark.xdist_group("hosts")


@pytest.fixture
def reader(source: Path, tmp_path: Path) -> Reader:
    """Does what a page says, on a host; returns what was printed."""

    def read(page: str, host: Host) -> str:
        # How-tos take the inventory for granted.
        for name, text in {**files("docs/ansible.md"), **files(page, "Ansible")}.items():
            (tmp_path / name).write_text(adapted(text, source) if name.endswith(".yml") else text)
        lines = [line for line in commands(page, "Ansible") if not line.startswith("pip ")]
        lines = [f"{line} --source {source}" if " mirror sync " in line else line for line in lines]
        done = subprocess.run(
            ["sh", "-exc", "\n".join(lines)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=ansible(tmp_path, host),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return read


def changes(printed: str) -> list[int]:
    """How many tasks of each play changed something."""
    return [int(count) for count in re.findall(r"^\S+ +: ok=\d+ +changed=(\d+)", printed, re.MULTILINE)]


def runs(host: Host, python: str, prefix: str, version: str) -> None:
    done = host.exec([python, "-c", "import ssl, sys; print(sys.prefix, sys.version.split()[0])"])
    assert (done.returncode, done.stdout.split()) == (0, [prefix, version]), done.stderr


def test_tutorial(reader: Reader, fresh_host: FreshHost) -> None:
    host = fresh_host("debian")
    printed = reader("docs/ansible.md", host)
    # In check mode, done, again; the bootstrap changes the file only; looking and asking change nothing.
    assert changes(printed) == [1, 1, 0, 1, 0, 0]
    shown = outputs("docs/ansible.md")
    assert len(shown) > 15
    assert set(shown) <= {line.strip() for line in printed.splitlines()}
    assert re.search(r'"msg": "cpython-3\.13\.\d+\+\d{8}-aarch64-unknown-linux-gnu-install_only_stripped\.tar\.gz"', printed)
    runs(host, "/usr/local/bin/python3", STABLE, V13LATER)
    runs(host, "/usr/local/bin/python3.12", "/opt/python/cpython-3.12", V12)
    assert host.exec(["cat", "/etc/python-of-ansible"]).stdout.startswith("3.13.")


def test_upgrades(reader: Reader, fresh_host: FreshHost, source: Path, tmp_path: Path) -> None:
    """From a host that has what the page goes back to: through an upgrade and back, with an environment of the stable path."""
    host = fresh_host("debian")
    default = {"version": f"{V13}+{NEW}", "default": True}
    before = [{"hosts": "all", "gather_facts": False, "tasks": [{MODULE: {"builds": [default], "source": str(source)}}]}]
    (tmp_path / "before.yml").write_text(yaml.safe_dump(before))
    (tmp_path / "first.ini").write_text(f"{NAME}\n")
    subprocess.run(
        ["ansible-playbook", "-i", "first.ini", "before.yml"],
        cwd=tmp_path,
        env=ansible(tmp_path, host),
        check=True,
        capture_output=True,
    )
    assert host.exec([f"{STABLE}/bin/python3", "-m", "venv", "--without-pip", "/srv/app"]).returncode == 0
    printed = reader("docs/upgrades.md", host)
    # Nothing newer exists when only security upgrades are wanted, and when services are to be restarted.
    assert changes(printed) == [1, 1, 0, 0, 1, 1, 1]
    assert f"\n+{STABLE} -> cpython-{V13LATER}+{NEWER}-" in printed
    # Gone back to what was kept, and then all else removed. No declaration of the page names a default.
    runs(host, "/srv/app/bin/python", "/srv/app", V13)
    for name in ("python3", "python"):
        runs(host, f"/usr/local/bin/{name}", STABLE, V13)
    builds = host.exec(["sh", "-c", "ls -d /opt/python/cpython-*+*"]).stdout.split()
    assert [build.rpartition("/")[2].split("-")[1] for build in builds] == [f"{V13}+{NEW}"]


def test_air_gap(reader: Reader, fresh_host: FreshHost, tmp_path: Path) -> None:
    host = fresh_host("debian")
    assert changes(reader("docs/air-gap.md", host)) == [1]
    runs(host, f"{STABLE}/bin/python3", STABLE, V13LATER)
    assert sorted(path.parent.name for path in (tmp_path / "pbs").glob("*/cpython-*")) == [OLD, NEWER]


def test_execution_environment(tmp_path: Path) -> None:
    """ansible-builder reads the file and writes the context of an image; making it would take a container engine."""
    for name, text in files("docs/awx.md").items():
        (tmp_path / name).write_text(text)
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for command in commands("docs/awx.md"):
        subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert "standalone.python" in (tmp_path / "context/_build/requirements.yml").read_text()
    assert (tmp_path / "context/Containerfile").exists() or (tmp_path / "context/Dockerfile").exists()


TRIED = {page: tried(page, "Ansible") for page in ("docs/ansible.md", "docs/upgrades.md", "docs/air-gap.md", "docs/awx.md")}
