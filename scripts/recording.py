# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates the picture in README: commands and their output, on a new host without Python.

usage: python scripts/recording.py FILE.svg

The output is real. The host is one of the tests' hosts, so this needs root on Linux. The build is a stand-in, packed from a
CPython 3.13 of this machine.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.text import Text

from tests.tools import mkbuild
from tests.tools.hosts import Host, start, stop, unavailable

PROJECT = Path(__file__).resolve().parent.parent
NAME, WIDTH = "web1", 114
COMMANDS = (
    f"ssh {NAME} python3 -V",
    "cat site.yml",
    "ansible-playbook -i hosts.ini site.yml --diff",
    "ansible-playbook -i hosts.ini site.yml",
    f"ssh {NAME} python3.13 -c \"'import sys; print(sys.version.split()[0], sys.prefix)'\"",
)
PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Keep the newest 3.13
      standalone.python.interpreters:
        builds: ["3.13"]
        state: latest
        source: builds
"""


def record(folder: Path, host: Host) -> str:
    """Run the commands; return the text of a terminal, with escape sequences."""
    (folder / "hosts.ini").write_text(f"{NAME}\n")
    (folder / "site.yml").write_text(PLAY)
    environment = prepare(folder, host)
    shown = []
    for command in COMMANDS:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        shown.append(f"\x1b[1m$ {command}\x1b[0m\n{done.stdout.strip()}\n")
    return "\n".join(shown)


def prepare(folder: Path, host: Host) -> Mapping[str, str]:
    """Return the environment in which the name resolves to the host."""
    (folder / "ssh.conf").write_text(
        f"Host {NAME}\nHostName {host.address}\nPort {host.port}\nUser root\nIdentityFile {host.key}\n"
        f"StrictHostKeyChecking no\nUserKnownHostsFile {os.devnull}\nLogLevel ERROR\n"
    )
    (folder / "bin").mkdir()
    ssh = folder / "bin/ssh"
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/ssh.conf "$@"\n')
    ssh.chmod(0o755)
    return {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "ANSIBLE_COLLECTIONS_PATH": str(PROJECT),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_FORCE_COLOR": "1",
        "COLUMNS": "80",
    }


def picture(shown: str) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title="a host without Python", unique_id="recording")
    # A picture downloads nothing: a viewer without these fonts uses its own.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main(to: Path) -> int:
    if reason := unavailable():
        print(f"recording.py: {reason}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        mkbuild.pack(mkbuild.available()["3.13"], "20250409", folder / "builds", version="3.13.4")
        host = start("debian", NAME)
        try:
            to.write_text(picture(record(folder, host)), encoding="utf-8")
        finally:
            stop(host)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
