# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's core. It lies in the Ansible collection; only this file knows where.

A room is imported when a name of it is: each command waits for what it needs itself, and ``--help`` for none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    AgentError,
    ContentError,
    DeclarationError,
    NoBuildError,
    StandalonePythonError,
    TransportError,
    sanitized,
)

if TYPE_CHECKING:
    from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import default_root
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_url
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import archive_size
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import (
        Build,
        Catalogue,
        builds,
        parse_filename,
        parse_name,
        resolve,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.listing import Row, for_level, listed, overview
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import (
        Request,
        canonical,
        parse_request,
        with_parts,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import (
        MACHINES,
        SYSTEMS,
        Target,
        cpu_level,
        from_facts,
        misfit,
        parse_triple,
        to_facts,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.digits import whole_number
    from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import (
        Completed,
        Decision,
        carry_out,
        confirm,
        decide,
        observe,
        read,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage, info, returned
    from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.export import TOOLS
    from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.mirror import (
        SyncPlan,
        attestation_problems,
        builds_for,
        listed_builds,
        path_of,
        verify,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.s3 import storage_of
    from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.sync import Progress, preview_sync, sync
    from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import (
        Advisory,
        Assessment,
        as_data,
        assess,
        first_fixes,
        rank,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import (
        DEFAULT_ROOT,
        OPTIONS,
        UNSHOWN,
        Desired,
        Outside,
        declare,
        is_local,
        observing,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.rollback import Way, exact, way_back
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import describe, predict
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import (
        Changes,
        Lock,
        Locked,
        Slot,
        add_command,
        changes,
        keep_attestations,
        read_lock,
        relock,
        slots,
        stale,
        write_lock,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.update import (
        Update,
        add_catalogue,
        update_catalogue,
    )
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.user_catalogue import About, about

_ROOMS = {
    "mirrors.s3": ("storage_of",),
    "archives.cache": ("default_root",),
    "builds.catalogue": ("Build", "Catalogue", "builds", "parse_filename", "parse_name", "resolve"),
    "security.advisories": ("Advisory", "Assessment", "as_data", "assess", "first_fixes", "rank"),
    "digits": ("whole_number",),
    "state.declaration": ("DEFAULT_ROOT", "OPTIONS", "UNSHOWN", "Desired", "Outside", "declare", "is_local", "observing"),
    "ensure": ("Completed", "Decision", "Result", "carry_out", "confirm", "decide", "observe", "read"),
    "mirrors.export": ("TOOLS",),
    "archives.fetch": ("Http",),
    "info": ("damage", "info", "returned"),
    "builds.listing": ("Row", "for_level", "listed", "overview"),
    "supply.lock": (
        *("Changes", "Lock", "Locked", "Slot", "add_command", "changes", "keep_attestations", "read_lock"),
        *("relock", "slots", "stale", "write_lock"),
    ),
    "mirrors.mirror": ("SyncPlan", "builds_for", "listed_builds", "path_of", "attestation_problems", "verify"),
    "state.observed": ("Observed",),
    "supply.update": ("Update", "add_catalogue", "update_catalogue"),
    "agents.sh": ("Facts",),
    "builds.request": ("Request", "canonical", "parse_request", "with_parts"),
    "state.rollback": ("Way", "exact", "way_back"),
    "archives.source": ("parse_url",),
    "archives.store": ("archive_size",),
    "state.step": ("describe", "predict"),
    "supply.supply": ("Supply",),
    "mirrors.sync": ("Progress", "preview_sync", "sync"),
    "builds.target": ("MACHINES", "SYSTEMS", "Target", "cpu_level", "from_facts", "misfit", "parse_triple", "to_facts"),
    "supply.user_catalogue": ("About", "about"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "DEFAULT_ROOT",
    "MACHINES",
    "OPTIONS",
    "SYSTEMS",
    "TOOLS",
    "UNSHOWN",
    "About",
    "Advisory",
    "AgentError",
    "Assessment",
    "Build",
    "Catalogue",
    "Changes",
    "Completed",
    "ContentError",
    "Decision",
    "DeclarationError",
    "Desired",
    "Facts",
    "Http",
    "Lock",
    "Locked",
    "NoBuildError",
    "Observed",
    "Outside",
    "Progress",
    "Request",
    "Row",
    "Slot",
    "StandalonePythonError",
    "Supply",
    "SyncPlan",
    "Target",
    "TransportError",
    "Update",
    "Way",
    "about",
    "add_catalogue",
    "add_command",
    "archive_size",
    "as_data",
    "assess",
    "attestation_problems",
    "builds",
    "builds_for",
    "canonical",
    "carry_out",
    "changes",
    "confirm",
    "cpu_level",
    "damage",
    "decide",
    "declare",
    "default_root",
    "describe",
    "exact",
    "first_fixes",
    "for_level",
    "from_facts",
    "info",
    "is_local",
    "keep_attestations",
    "listed",
    "listed_builds",
    "misfit",
    "observe",
    "observing",
    "overview",
    "parse_filename",
    "parse_name",
    "parse_request",
    "parse_triple",
    "parse_url",
    "path_of",
    "predict",
    "preview_sync",
    "rank",
    "read",
    "read_lock",
    "relock",
    "resolve",
    "returned",
    "sanitized",
    "slots",
    "stale",
    "storage_of",
    "sync",
    "to_facts",
    "update_catalogue",
    "verify",
    "way_back",
    "whole_number",
    "with_parts",
    "write_lock",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = import_module(f"{StandalonePythonError.__module__.rpartition('.')[0]}.{_ROOM_OF[name]}")
    value = getattr(room, name)
    globals()[name] = value
    return value
