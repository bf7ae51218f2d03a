# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible with a stand-in for what its own scripts do on a Windows host where a task becomes another user (ansible_becoming)."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tools.playbook import REPOSITORY

# A host that nobody reaches: who becomes another user is answered by the stand-in, and nothing is sent.
NOWHERE = "nowhere ansible_host=192.0.2.1 ansible_connection=ssh ansible_shell_type=powershell ansible_become_password=s3cret\n"


def standing_in(record: Path, **says: str) -> dict[str, str]:
    """The environment of ansible-playbook in which the stand-in runs modules, or answers the tasks with these names."""
    plugins = [REPOSITORY / "tests/tools" / name for name in ("ansible_results", "ansible_becoming")]
    return {
        "PYTHONPATH": str(REPOSITORY),
        "ANSIBLE_CALLBACK_PLUGINS": ":".join(map(str, plugins)),
        "ANSIBLE_CALLBACKS_ENABLED": "results,becoming",
        "BECOMING": str(record),
        "BECOMING_SAYS": json.dumps(says),
    }
