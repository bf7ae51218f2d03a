# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command remove."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import decide, observe
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .apply import perform
from .machine import DRY_RUN, JSON, WHERE, Where, folders, open_host


@click.command()
@click.argument("requests", metavar="REQUEST...", nargs=-1, required=True)
@WHERE
@DRY_RUN
@JSON
def remove(
    requests: Sequence[str],
    where: Where,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove every installed build that matches a REQUEST, with its links.

    Requests are for example 3.13, 3.13.1, 3.13t, '>=3.9,<3.12' or 3.13.1+20250115. Files that standalone-python did not
    create are never touched.
    """
    desired = declare({"builds": list(requests), "state": "absent"} | folders(where))
    supply = Supply(desired)
    with open_host(where) as host:
        desired = host.placed(desired)
        decision = decide(desired, supply, lambda facts: observe(host, desired, facts=facts), check=dry_run)
        nothing = f"nothing installed in {decision.observed.root} matches {', '.join(requests)}"
        return perform(host, desired, supply, decision, check=dry_run, as_json=as_json, nothing=nothing)
