# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command rollback."""

from __future__ import annotations

from dataclasses import replace

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import decide, observe
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare, observing
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .. import output
from .apply import perform
from .machine import DRY_RUN, JSON, WHERE, Where, folders, open_host


@click.command()
@click.argument("line", default="")
@WHERE
@DRY_RUN
@JSON
def rollback(
    line: str,
    where: Where,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Point a stable link back to the previous build.

    LINE is a minor version with its variant, such as 3.13 or 3.13t; it is optional if only one is in use. The link goes to
    the build that was in use before the current one, if `keep` has kept it. Nothing is downloaded or removed. Virtual
    environments that use the stable path use the previous build too. A second rollback goes one build further back.
    """
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.rollback import exact, rollback_target

    with open_host(where) as host:
        observed = observe(host, host.placed(observing(folders(where))), facts="history")
        if observed.root_state in ("unreadable", "notfolder"):
            raise AgentError(
                f"the root {observed.root} can't be read: choose another root, or run this as a user who may read it"
            )
        rolled_back = rollback_target(observed, line)
        output.tell_remarks(filter(None, [rolled_back.remark]))
        desired = replace(host.placed(declare(rolled_back.options)), rollback=True)
        supply = Supply(desired)
        decision = decide(desired, supply, lambda _facts: observed, check=dry_run)
        current, previous = rolled_back.current, rolled_back.previous
        if decision.plan.installs or decision.plan.removals or decision.plan.outcomes[0].build.name != previous.name:
            raise AgentError(
                f"no request selects {previous.name} and no other build, so a rollback to it is not possible: "
                f"remove {current.name} instead"
            )
        code = perform(host, desired, supply, decision, check=dry_run, as_json=as_json, with_paths=False)
    if not as_json:
        to = exact(previous.build)
        output.line(
            f"{to} {'would be' if dry_run else 'is'} in use instead of {exact(current.build)}; a declaration with state: latest "
            f"would upgrade it again: to keep it, declare {to}"
        )
    return code
