# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands plan and apply, and what every command that changes a machine does with a decision. The core decides."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import (
    Decision,
    Result,
    carry_out,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError, StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import describe, predict
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .. import output
from ..attestations import ATTESTATIONS, TRUSTED_ROOT
from ..exits import DIFFERS, FAILED, EndedBySignal
from ..words import Choice
from .decisions import Look, decided, needs_root, permitted
from .machine import DRY_RUN, FILE, JSON, Host, Where, declared, given_folders, open_host, options

# The options of a declaration that the command line has too, besides root and bin_dir.
_OPTIONS = ("source", "catalogue", "lockfile", "attestations", "trusted_root", "verify")
SUPPLY = options(
    click.option("--source", metavar="SRC", help="Where builds come from: upstream, a mirror's URL or folder, or one archive."),
    click.option("--lockfile", metavar="LOCKFILE", help="A lock file, written by `lock`: install exactly its builds."),
    ATTESTATIONS,
    TRUSTED_ROOT,
    click.option("--catalogue", metavar="CAT", help="The catalogue of builds: bundled, updated, a file, a folder or a URL."),
    click.option("--verify", type=Choice(("quick", "full")), help="How installed builds are checked: full compares every file."),
)
DIFF = click.option("--diff", "with_diff", is_flag=True, help="Show what is installed before and after.")


@click.command()
@FILE
@SUPPLY
@DIFF
@JSON
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
@FILE
@SUPPLY
@DIFF
@DRY_RUN
@JSON
def apply(dry_run: bool, **given: Any) -> int:
    """Make the changes that FILE needs on this machine: install, upgrade, repair, relink and remove.

    FILE is as for `plan`, and --dry-run does the same as `plan`. A second run changes nothing. A run that fails leaves the
    machine as it was, or its error says what it changed.

    With --root-dir the changes go into an image. It is entered with chroot if you are root and this machine can run its
    programs. Otherwise --target names its kind of machine, and nothing in the image is started: the first `verify` on
    that machine does it.
    """
    return _declared(given, check=dry_run)


def _declared(given: Mapping[str, Any], *, check: bool) -> int:
    where: Where = given["where"]
    if where.file is None:
        raise click.UsageError(f"Missing argument 'FILE'. For example: {click.get_current_context().command_path} python.yml")
    return enact(declaration(given), given, check=check)


def declaration(given: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> Desired:
    """Return the declaration of FILE, if one is given, with the options of the command line, which override it.

    :param more: options that override both
    """
    where: Where = given["where"]
    options = {name: given[name] for name in _OPTIONS if given[name] is not None}
    return declared(where, given_folders(where) | options | dict(more or {}), given["source"])


def enact(
    desired: Desired,
    given: Mapping[str, Any],
    *,
    check: bool,
    facts: Facts = "no",
    on_host: Callable[[Desired, Observed], Desired] | None = None,
    to_install: bool = True,
    with_path_hint: bool = False,
    with_missing: bool = False,
    nothing: Callable[[Observed], str] = lambda _observed: "the declaration asks for nothing",
) -> int:
    """Decide what a declaration changes and, without ``check``, do it; return the exit code.

    :param on_host: completes the declaration by what the host has
    :param facts: what ``on_host`` or the decision needs for certain
    :param to_install: builds may have to be chosen
    :param with_path_hint: say how the folder of the links gets on the PATH, if it is not there
    :param with_missing: ignore requests that no build satisfies, and say so
    :param nothing: why nothing is to do, if no request says it
    """
    where: Where = given["where"]
    here = where.root_dir is None
    with open_host(where, to_install=to_install) as host:
        desired = host.placed(desired)
        look = Look(host, desired)
        if on_host:
            desired = host.placed(on_host(desired, look(facts)))
        target = where.target or "" if to_install else ""
        hint = ""
        try:
            desired, supply, decision = decided(desired, look, check=check, target=target, with_missing=with_missing)
        except AgentError:
            if given["as_json"] or not here or look.last is None or not needs_root(look.last):
                raise
            from ..hints import permission_hint

            desired, supply, decision = decided(
                desired, lambda facts: permitted(look(facts)), check=True, target=target, with_missing=with_missing
            )
            hint = permission_hint(look.last, decision.plan, sys.argv[0])
        code = perform(
            host,
            desired,
            supply,
            decision,
            check=check or bool(hint),
            as_json=given["as_json"],
            with_diff=given.get("with_diff", False),
            with_path_hint=with_path_hint and here,
            nothing=nothing(decision.observed),
            marked=check,
        )
    if hint:
        output.line(f"standalone-python: {'' if check else 'nothing was changed, as '}{hint}", err=True)
    return FAILED if hint and not check else code


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
    with_path_hint: bool = False,
    nothing: str = "nothing that is installed has to be removed",
    marked: bool = False,
) -> int:
    """Say what was decided and, without ``check``, do it; returns the exit code."""
    planned, before = decision.plan, decision.observed
    doing = bool(planned) and not check
    if doing:
        done = _carried_out(host, desired, supply, decision, as_json=as_json)
    elif not check:
        done = carry_out(host, desired, supply, decision)
    else:
        done = Result(planned, before, predict(planned, before, desired))
        if planned and not as_json:
            from ansible_collections.standalone.python.plugins.plugin_utils.core.state import wording

            for step in planned.steps:
                output.step(wording.planned(step, planned.steps))
            output.paragraph(f"Plan: {wording.summary(planned.steps, planned=True)}.")
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
            left = "this run did the rest" if done.plan else "nothing was left to do"
            output.line(f"another run changed this machine first; {left}")
        if with_diff:
            output.diff(describe(done.before), describe(after), f"interpreters in {after.root}")
        marks = {
            f"{one['version']}+{one['release']}": mark_words(one)
            for one in told["interpreters"]
            if marked or one["action"] not in ("none", "relink")
        }
        output.tell_remarks(f"{build} has known problems: {words}" for build, words in marks.items() if words)
        if doing and with_paths:
            for outcome in done.plan.outcomes:
                output.line(f"{outcome.wanted.request.text} is {outcome.stable_path}")
            if with_path_hint and any(outcome.links for outcome in done.plan.outcomes):
                from ..hints import path_hint, shadow_hint

                unfound = path_hint(after.bin_dir, os.environ)
                shadowed = (shadow_hint(one.links, one.stable_path, os.environ) for one in done.plan.outcomes)
                output.tell_remarks([unfound] if unfound else [*filter(None, shadowed)][:1])
        if doing and done.plan.installs and desired.image:
            output.line("nothing was started here: 'standalone-python verify' on the machine itself does it")
    return DIFFERS if check and planned else 0


def _carried_out(host: Host, desired: Desired, supply: Supply, decision: Decision, *, as_json: bool) -> Result:
    """Make the changes of a decision, and print each step when it is done. A failure has notes about what was done."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.wording import summary

    from ..steps import Steps

    steps = Steps(decision.plan.steps, _ignored if as_json else output.step, progress.listener())
    try:
        with progress.listening(steps):
            done = carry_out(host, desired, supply, decision)
    except (StandalonePythonError, KeyboardInterrupt, EndedBySignal) as error:
        state = steps.after_failure()
        if not any(words in str(error) for words in (state, "is as it was")):
            error.add_note(state)
        raise
    steps.complete(done.plan.steps)
    if done.plan and not as_json:
        output.paragraph(f"Done{output.within(steps.seconds)}: {summary(done.plan.steps, planned=False)}.")
    return done


def _ignored(_text: str) -> None: ...


def mark_words(one: Mapping[str, Any]) -> str:
    """Return the mark of a build, such as ``1 critical, end of life``."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core.security.marks import Mark
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import today

    return Mark(one["advisories"], one["end_of_life"]).words(today())
