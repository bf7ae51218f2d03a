# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection with a stand-in for junctions, for hosts that have none. Only that one function of the agents is another."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("junction.ps1")
_FUNCTION = re.compile(r"^function Use-Junction\(.*?^}\n", re.MULTILINE | re.DOTALL)


def junctions() -> str:
    """The function that stands for the agents' own."""
    found = _FUNCTION.search(STAND_IN.read_text())
    assert found
    return found[0]


def collection_without_junctions(to: Path) -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH."""
    name = "ansible_collections/standalone/python"
    shutil.copytree(REPOSITORY / name, to / name, symlinks=True)
    observe = to / name / "plugins/plugin_utils/core/agents/on_host/observe.ps1"
    text, replaced = _FUNCTION.subn(lambda _unused: junctions(), observe.read_text())
    assert replaced == 1
    observe.write_text(text)
    return to
