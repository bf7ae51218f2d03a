# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands install and upgrade: declarations made of arguments. The core completes them by what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.arguments import requested, to_install, to_upgrade
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed

from ..words import not_an_option
from .apply import DIFF, SUPPLY, declaration, enact
from .machine import DRY_RUN, JSON, WHERE, options

_OPTIONS = options(WHERE, SUPPLY, DIFF, DRY_RUN, JSON)


@click.command()
@click.argument("requests", metavar="REQUEST...", nargs=-1, required=True)
@click.option(
    "--default", metavar="REQUEST", callback=not_an_option, help="The REQUEST that gets the links `python3` and `python`."
)
@click.option("--latest", is_flag=True, help="Upgrade to the newest build if an older one that satisfies REQUEST is installed.")
@_OPTIONS
def install(requests: Sequence[str], default: str | None, latest: bool, dry_run: bool, **given: Any) -> int:
    """Install the newest build for each REQUEST, unless one that satisfies it is installed.

    \b
        standalone-python install 3.13 3.12 --default 3.13

    Requests are for example 3.13, 3.13.1, 3.13t, '>=3.9,<3.12' or 3.13.1+20250115. A broken build is repaired. Everything
    else that is installed stays, with its links and options.

    `apply` does the same with a file. With --file, the options of FILE count, but not its builds.
    """
    state = "latest" if latest else "present"
    chosen = {"builds": requested(requests, default), "state": state, "exclusive": False}
    desired = declaration(given, chosen)
    facts: Facts = "yes" if latest else "no"
    return enact(desired, given, check=dry_run, facts=facts, on_host=to_install, with_path_hint=True)


@click.command()
@click.argument("requests", metavar="[REQUEST...]", nargs=-1)
@_OPTIONS
def upgrade(requests: Sequence[str], dry_run: bool, **given: Any) -> int:
    """Upgrade what is installed to its newest build: everything, or what a REQUEST such as 3.13 matches.

    An upgrade never changes the minor version: 3.13.4 becomes 3.13.5, not 3.14.0. The stable path stays the same, so virtual
    environments that use it run the new build. The build before stays for `rollback`. If more were kept, the oldest goes.

    With --file, the options of FILE count, but not its builds.
    """
    desired = declaration(given, {"builds": [], "exclusive": False})

    def on_host(desired: Desired, observed: Observed) -> Desired:
        return to_upgrade(desired, observed, requests)

    def nothing(observed: Observed) -> str:
        return f"no interpreters are installed in {observed.root}"

    return enact(desired, given, check=dry_run, facts="yes", on_host=on_host, with_missing=not requests, nothing=nothing)
