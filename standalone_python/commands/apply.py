# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands plan and apply, and what every command that changes a machine does with a decision. The core decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import (
    Decision,
    Result,
    carry_out,
    decide,
    observe,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.marks import Mark
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import describe, predict
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import today
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .. import output
from ..attestations import ATTESTATIONS, TRUSTED_ROOT
from ..exits import DIFFERS
from .machine import JSON, WHERE, Host, Where, folders, open_host, options

# The options of a declaration that the command line has too, besides root and bin_dir.
_OPTIONS = ("source", "catalogue", "lockfile", "attestations", "trusted_root")
_DECLARATION = options(
    click.argument("file"),
    click.option("--key", metavar="KEY", default="", help="The key in FILE that holds the declaration, if it isn't all of FILE."),
    WHERE,
    click.option("--source", metavar="SRC", help="Where builds come from: upstream, a mirror's URL or folder, or one archive."),
    click.option("--lockfile", metavar="LOCKFILE", help="A lock file, written by `lock`: install exactly its builds."),
    ATTESTATIONS,
    TRUSTED_ROOT,
    click.option("--catalogue", metavar="CAT", help="The catalogue of builds: bundled, updated, a file, a folder or a URL."),
    click.option("--diff", "with_diff", is_flag=True, help="Show what is installed before and after."),
    JSON,
)


@click.command()
@_DECLARATION
def plan(**given: Any) -> int:
    """Show what FILE would change, and change nothing.

    FILE is YAML, the same mapping that the Ansible module and the pyinfra operation take ("-" is standard input):

    \b
        builds: ["3.13", {version: "3.12", default: true}]
        state: latest

    Options given here override FILE. Its token and checksum apply only to its own source. The exit code is 0 if nothing
    has to change and 2 if something would.
    """
    return _declared(given, check=True)


@click.command()
@_DECLARATION
def apply(**given: Any) -> int:
    """Make the changes that FILE needs on this machine: install, upgrade, repair, relink and remove.

    FILE is as for `plan`. A second run changes nothing. A run that fails leaves the machine as it was, or its error says
    what it changed.

    With --root-dir the changes go into an image. It is entered with chroot if you are root and this machine can run its
    programs. Otherwise --target names its kind of machine, and nothing in the image is started: the first `verify` on
    that machine does it.
    """
    return _declared(given, check=False)


def _declared(given: Mapping[str, Any], *, check: bool) -> int:
    from ..declarations import load

    where: Where = given["where"]
    options = folders(where) | {name: given[name] for name in _OPTIONS if given[name] is not None}
    desired = load(given["file"], given["key"]).declare(source=given["source"], given=options)
    with open_host(where, to_install=True) as host:
        desired = host.placed(desired)

        def look(facts: Facts) -> Observed:
            return observe(host, desired, facts="no" if facts == "empty" else facts)

        if where.target:
            from ..target import decide_for

            desired, supply, decision = decide_for(where.target, desired, look, check=check)
        else:
            supply = Supply(desired)
            decision = decide(desired, supply, look, check=check)
        return perform(
            host, desired, supply, decision, check=check, as_json=given["as_json"], with_diff=given["with_diff"], marked=check
        )


def perform(
    host: Host,
    desired: Desired,
    supply: Supply,
    decision: Decision,
    *,
    check: bool,
    as_json: bool,
    with_diff: bool = False,
    with_paths: bool = True,
    nothing: str = "nothing that is installed has to be removed",
    marked: bool = False,
) -> int:
    """Say what was decided and, without ``check``, do it; returns the exit code."""
    planned, before = decision.plan, decision.observed
    if not as_json:
        output.steps(map(str, planned.steps))
    doing = bool(planned) and not check
    done = carry_out(host, desired, supply, decision) if doing else Result(planned, before, predict(planned, before, desired))
    after = done.after
    told = result_data(done.plan, after, marked=marked)
    output.tell_remarks([*supply.remarks, *done.remarks])
    if as_json:
        difference = {"before": describe(done.before), "after": describe(after)} if with_diff else {}
        output.data(told | ({"diff": difference} if with_diff else {}))
    else:
        if not planned:
            reasons = [f"{outcome.wanted.request.text}: {outcome.reason}" for outcome in planned.outcomes]
            reasons += [f"{step.name} is in use" for step in planned.held]
            output.line(f"nothing to do: {'; '.join(reasons) or nothing}")
        if not after.held and done.plan.steps != planned.steps:
            left = "this run did:" if done.plan else "nothing was left to do"
            output.line(f"another run changed this machine first; {left}")
            output.steps(map(str, done.plan.steps))
        if with_diff:
            output.diff(describe(done.before), describe(after), f"interpreters in {after.root}")
        marks = {f"{one['version']}+{one['release']}": mark_words(one) for one in told["interpreters"]} if marked else {}
        output.tell_remarks(f"{build} has known problems: {words}" for build, words in marks.items() if words)
        if doing and with_paths:
            for outcome in done.plan.outcomes:
                output.line(f"{outcome.wanted.request.text} is {outcome.stable_path}")
        if doing and done.plan.installs and desired.image:
            output.line("nothing was started here: 'standalone-python verify' on the machine itself does it")
    return DIFFERS if check and planned else 0


def mark_words(one: Mapping[str, Any]) -> str:
    """Return the mark of a build, such as ``1 critical, end of life``."""
    return Mark(one["advisories"], one["end_of_life"]).words(today())
