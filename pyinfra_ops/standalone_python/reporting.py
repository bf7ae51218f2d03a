# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the project's core for reports and advisories. A deploy that changes nothing does not import them."""

from __future__ import annotations

from ansible_collections.standalone.python.plugins.plugin_utils.core.reporting import (
    FORMATS,
    Format,
    check_options,
    failure,
    report_of,
    write_text,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.results import (
    HostResult,
    read_results,
    unobserved,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import today

__all__ = [
    "FORMATS",
    "Format",
    "HostResult",
    "check_options",
    "failure",
    "read_results",
    "report_of",
    "today",
    "unobserved",
    "write_text",
]
