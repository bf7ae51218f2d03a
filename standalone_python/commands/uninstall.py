# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command uninstall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.state.arguments import installed_requests
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed

from .apply import enact
from .machine import DRY_RUN, JSON, WHERE, folders


@click.command()
@click.argument("requests", metavar="REQUEST...", nargs=-1, required=True)
@WHERE
@DRY_RUN
@JSON
def uninstall(requests: Sequence[str], dry_run: bool, **given: Any) -> int:
    """Remove every installed build that matches a REQUEST, with its links.

    Requests are for example 3.13, 3.13.1, 3.13t, '>=3.9,<3.12' or 3.13.1+20250115. Files that standalone-python did not
    create are never touched. A build that a process runs from stays. `remove` is another name of this command.
    """
    desired = declare({"builds": list(requests), "state": "absent"} | folders(given["where"]))

    def nothing(observed: Observed) -> str:
        if not observed.installed:
            return f"no interpreters are installed in {observed.root}"
        return (
            f"nothing installed in {observed.root} matches {', '.join(requests)}; installed there: {installed_requests(observed)}"
        )

    return enact(desired, given, check=dry_run, to_install=False, nothing=nothing)
