# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How tests do what pages say: with the tests' builds, on a test host or on this machine with folders of the test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.tools.hosts import Host
from tests.tools.pages import files
from tests.tools.playbook import CACHE, REPOSITORY

NAME = "web1.example.net"
MODULE = "standalone.python.interpreters"
COOKBOOK = "docs/cookbook.md"
# The plays of recipes that need a host of their own.
PLAYS = ("service.yml", "flatcar.yml", "el8.yml")


def adapted(text: str, source: Path) -> str:
    """A playbook or a declaration with builds from ``source``, where it names none of its own."""
    told = yaml.safe_load(text)
    if isinstance(told, dict) and "builds" in told:
        return yaml.safe_dump({"source": str(source), **told})
    if isinstance(told, list):
        return yaml.safe_dump([{"module_defaults": {MODULE: {"source": str(source)}}, **play} for play in told], sort_keys=False)
    return text


def ssh_config(hosts: Mapping[str, Host]) -> str:
    """A configuration by which ssh finds test hosts under the names of a page."""
    return "".join(
        f"Host {name}\nHostName {host.address}\nPort {host.port}\nUser root\nIdentityFile {host.key}\n"
        f"StrictHostKeyChecking no\nUserKnownHostsFile {os.devnull}\n"
        for name, host in hosts.items()
    )


def ansible(folder: Path, host: Host) -> Mapping[str, str]:
    """The environment in which programs find the host, the collection and nothing of the user's."""
    (folder / "ssh.conf").write_text(ssh_config({NAME: host}))
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_SSH_ARGS": f"-F {folder / 'ssh.conf'}",
    }


class Machine:
    """This machine with the folders of a test: its home has the files of a page, and builds come from the tests' source."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.source = folder, source
        self.root, self.bin_dir = folder / "root", folder / "bin"

    def write(self, page: str) -> None:
        for name, text in files(page, "Command line").items():
            own = "" if "root:" in text else f"root: {self.root}\nbin_dir: {self.bin_dir}\n"
            (self.folder / name).write_text(f"{text}source: {self.source}\n{own}")

    def run(self, command: str) -> str:
        """What a command prints, in the words of the page."""
        options = f"--source {self.source} --root {self.root} --bin-dir {self.bin_dir}"
        words = re.sub(r"^standalone-python (install|upgrade)", rf"\g<0> {options}", command)
        words = re.sub(
            r"^standalone-python (status|rollback)(?!.*\.yml)", rf"\g<0> --root {self.root} --bin-dir {self.bin_dir}", words
        )
        words = words.replace("/usr/local/bin", str(self.bin_dir)).replace("/opt/python", str(self.root))
        words = words.replace("/srv/app", f"{self.folder}/app").replace("/usr/bin/python3", sys.executable)
        done = subprocess.run(
            ["sh", "-ec", words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.folder),
                "PYTHONPATH": str(REPOSITORY),
                "STANDALONE_PYTHON_CACHE": str(CACHE),
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "LC_ALL": "C.UTF-8",
            },
            check=False,
        )
        assert done.returncode in (0, 2 if "--dry-run" in command else 0), done.stdout + done.stderr
        return done.stdout.replace(str(self.bin_dir), "/usr/local/bin").replace(str(self.root), "/opt/python")
