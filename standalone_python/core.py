# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's core. It lies in the Ansible collection; only this file knows where.

A room is imported when a name of it is: each command waits for what it needs itself, and ``--help`` for none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError

if TYPE_CHECKING:
    from ansible_collections.standalone.python.plugins.plugin_utils.core.catalogue import Build
    from ansible_collections.standalone.python.plugins.plugin_utils.core.export import TOOLS
    from ansible_collections.standalone.python.plugins.plugin_utils.core.lock import read_lock
    from ansible_collections.standalone.python.plugins.plugin_utils.core.mirror import Plan, asked, contents, path_of, verify
    from ansible_collections.standalone.python.plugins.plugin_utils.core.source import parse_url
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply import Supply
    from ansible_collections.standalone.python.plugins.plugin_utils.core.sync import Progress, survey, sync

_ROOMS = {
    "catalogue": ("Build",),
    "export": ("TOOLS",),
    "lock": ("read_lock",),
    "mirror": ("Plan", "asked", "contents", "path_of", "verify"),
    "source": ("parse_url",),
    "supply": ("Supply",),
    "sync": ("Progress", "survey", "sync"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "TOOLS",
    "Build",
    "Plan",
    "Progress",
    "StandalonePythonError",
    "Supply",
    "asked",
    "contents",
    "parse_url",
    "path_of",
    "read_lock",
    "survey",
    "sync",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = import_module(f"{StandalonePythonError.__module__.rpartition('.')[0]}.{_ROOM_OF[name]}")
    value = getattr(room, name)
    globals()[name] = value
    return value
