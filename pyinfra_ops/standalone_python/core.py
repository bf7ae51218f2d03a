# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's core. It lies in the Ansible collection; only this file and `reporting` know where."""

from __future__ import annotations

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts, observation
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Flavor
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import (
    Completed,
    Decision,
    begins_quickly,
    carry_out,
    decide,
    is_unfinished,
    read,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    AgentError,
    DeclarationError,
    ObservationError,
    StandalonePythonError,
    TransportError,
    sanitized,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import advisory_warnings, info, result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.libraries import libraries_explained
from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import (
    COMMANDS,
    DECISIONS,
    SlowDownloads,
    listening,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import UNFINISHED
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import (
    OPTIONS,
    Attestations,
    CooldownExcept,
    Delivery,
    Desired,
    InUse,
    LinkKind,
    State,
    UserPackages,
    Verify,
    declare,
    observing,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.folders import DEFAULT_ROOT
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Certificates
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

__all__ = [
    "COMMANDS",
    "DECISIONS",
    "DEFAULT_ROOT",
    "OPTIONS",
    "UNFINISHED",
    "AgentError",
    "Attestations",
    "Certificates",
    "Completed",
    "CooldownExcept",
    "Decision",
    "DeclarationError",
    "Delivery",
    "Desired",
    "Facts",
    "Flavor",
    "InUse",
    "LinkKind",
    "ObservationError",
    "Observed",
    "SlowDownloads",
    "StandalonePythonError",
    "State",
    "Supply",
    "TransportError",
    "UserPackages",
    "Verify",
    "advisory_warnings",
    "begins_quickly",
    "carry_out",
    "decide",
    "declare",
    "info",
    "is_unfinished",
    "libraries_explained",
    "listening",
    "observation",
    "observing",
    "read",
    "result_data",
    "sanitized",
]
