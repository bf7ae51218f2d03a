# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/certificates.md: its play and its command, and the files that it lists. tests/frontends runs the option on hosts."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import yaml

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import CERTIFICATES
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from tests.tools.pages import REPOSITORY, commands, files, tried

PAGE = "docs/certificates.md"
# Other tabs are in test_tabs.py.
TRIED = {PAGE: tried(PAGE, "Ansible")}


def test_the_play() -> None:
    (play,) = yaml.safe_load(files(PAGE, "Ansible")["site.yml"])
    (task,) = play["tasks"]
    assert declare(task["standalone.python.interpreters"]).finish.certificates == "system"


def test_the_command() -> None:
    play, command = commands(PAGE, "Ansible")
    assert play == "ansible-playbook -i hosts.ini site.yml"
    words = shlex.split(command)
    assert words[0] == "/usr/local/bin/python3.13"
    environment = {"SSL_CERT_FILE": sys.executable}  # any file
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"{sys.executable}\n"


def test_the_files_in_their_order() -> None:
    table = (REPOSITORY / PAGE).read_text().partition("| file |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(/\S+)` \|", table, re.MULTILINE) == list(CERTIFICATES)
