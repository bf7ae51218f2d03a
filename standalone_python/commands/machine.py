# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands for one machine: this one, or the unpacked root of an image on it. The core makes all decisions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import Facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import (
    Decision,
    Result,
    carry_out,
    confirm,
    decide,
    observe,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError, DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.marks import Mark
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import (
    Desired,
    declare,
    observing,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.folders import DEFAULT_ROOT
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import describe, predict
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import today
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .. import output
from ..attestations import ATTESTATIONS, TRUSTED_ROOT
from ..exits import DIFFERS
from ..local import ImageHost, LocalHost

_SHOWN = 10  # processes
Host = LocalHost | ImageHost
Command = Callable[..., int]


@dataclass(frozen=True, slots=True)
class Where:
    """The options of :data:`WHERE`."""

    root: str | None
    bin_dir: str | None
    root_dir: str | None
    target: str | None


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def decorate(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _collect(function: Command) -> Command:
    @wraps(function)
    def command(root: str | None, bin_dir: str | None, root_dir: str | None, target: str | None, **options: Any) -> int:
        return function(where=Where(root, bin_dir, root_dir, target), **options)

    return command


WHERE = _options(
    click.option("--root", metavar="ROOT", help=f"The folder that holds the builds.  [default: {DEFAULT_ROOT}]"),
    click.option("--bin-dir", metavar="DIR", help="The folder of the links.  [default: /usr/local/bin, or ROOT/bin]"),
    click.option("--root-dir", metavar="IMAGE", help="An image's unpacked root instead of this machine."),
    click.option("--target", metavar="TRIPLE", help="The image's kind of host, if it isn't this machine's kind."),
    _collect,
)
# The options of a declaration that the command line has too, besides root and bin_dir.
_OPTIONS = ("source", "catalogue", "lockfile", "attestations", "trusted_root")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_DRY = click.option("-n", "--dry-run", is_flag=True, help="Only show what would be done; the exit code is 2 if something would.")
_DECLARATION = _options(
    click.argument("file"),
    click.option("--key", metavar="KEY", default="", help="The key in FILE that holds the declaration, if it isn't all of FILE."),
    WHERE,
    click.option("--source", metavar="SRC", help="Where builds come from: upstream, a mirror's URL or folder, or one archive."),
    click.option("--lockfile", metavar="LOCKFILE", help="A lock file, written by `lock`: install exactly its builds."),
    ATTESTATIONS,
    TRUSTED_ROOT,
    click.option("--catalogue", metavar="CAT", help="The catalogue of builds: bundled, updated, a file, a folder or a URL."),
    click.option("--diff", "with_diff", is_flag=True, help="Show what is installed before and after."),
    _JSON,
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
    from ..declarations import read, with_source

    where: Where = given["where"]
    options = _folders(where) | {name: given[name] for name in _OPTIONS if given[name] is not None}
    desired = declare(with_source(read(given["file"], given["key"]), given["source"]) | options)
    with _host(where, to_install=True) as host:
        desired = host.placed(desired)

        def look(facts: Facts) -> Observed:
            return observe(host, desired, facts="no" if facts == "empty" else facts)

        if where.target:
            from ..target import decide_for

            desired, supply, decision = decide_for(where.target, desired, look, check=check)
        else:
            supply = Supply(desired)
            decision = decide(desired, supply, look, check=check)
        return _carry_out(
            host, desired, supply, decision, check=check, as_json=given["as_json"], with_diff=given["with_diff"], marked=check
        )


def _carry_out(
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
        marks = {f"{one['version']}+{one['release']}": _words(one) for one in told["interpreters"]} if marked else {}
        output.tell_remarks(f"{build} has known problems: {words}" for build, words in marks.items() if words)
        if doing and with_paths:
            for outcome in done.plan.outcomes:
                output.line(f"{outcome.wanted.request.text} is {outcome.stable_path}")
        if doing and done.plan.installs and desired.image:
            output.line("nothing was started here: 'standalone-python verify' on the machine itself does it")
    return DIFFERS if check and planned else 0


@click.command()
@WHERE
@_JSON
def status(where: Where, as_json: bool) -> int:
    """Show which interpreters are installed, whether they are intact, and what kind of host this is.

    It checks the receipt, a start, and the number of modules. `verify` compares every file.
    """
    _show(where, as_json=as_json, verify="quick")
    return 0


@click.command()
@WHERE
@_JSON
def verify(where: Where, as_json: bool) -> int:
    """Compare every file of the installed interpreters with the list of what was installed.

    An interpreter that was installed into this machine's offline image is started here for the first time, and
    its receipt says so from then on.

    The exit code is 2 if something is damaged: `apply` with verify: full in its declaration repairs it. It is 0 otherwise,
    also if nothing is installed. Files that were added are shown, and do not count as damage.
    """
    return DIFFERS if _show(where, as_json=as_json, verify="full") else 0


def _show(where: Where, *, as_json: bool, verify: str) -> tuple[str, ...]:
    """Print the installed interpreters; return sentences about damage."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import from_facts
    from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage, info

    desired = observing(_folders(where) | {"verify": verify})
    with _host(where) as host:
        desired = host.placed(desired)
        observed = observe(host, desired, facts="yes", processes=True)
        confirmed: tuple[str, ...] = ()
        if verify == "full":
            confirmed, observed = confirm(host, desired, observed)
    damaged = damage(observed)
    data = info(observed)
    if as_json:
        output.data(data | {"damage": list(damaged)})
        return damaged
    kind = from_facts(observed.facts) if data["target"] else "an offline image"
    output.line(f"{kind}; builds in {observed.root}, links in {observed.bin_dir}")
    interpreters = data["interpreters"]
    if interpreters:
        rows = [
            [
                *(one[name] or "-" for name in ("version", "release", "variant", "flavor")),
                one["installed_at"][:10] or "-",
                _state(one),
                _words(one) or "-",
                _stable_link(one),
            ]
            for one in interpreters
        ]
        output.table(("version", "release", "variant", "flavor", "installed", "state", "advisories", "in use as"), rows)
    else:
        output.line("no interpreters are installed there")
    for one in interpreters:
        if one["foreign"]:
            output.line(f"left alone: {one['prefix']} {one['foreign']}")
        for extra in one["extra"]:
            output.line(f"added after the install: {one['prefix']}/{extra}")
        if one["untrusted"]:
            output.line(f"not started: {one['prefix']}, as {one['untrusted']}")
    _print_processes(observed, data)
    for name in confirmed:
        output.line(f"{name} was started for the first time, and its receipt says so now")
    for line in damaged:
        output.line(line, colour="red")
    if interpreters and not damaged:
        quick = "a quick look found no damage: 'standalone-python verify' compares every file"
        output.line("every file is as it was installed" if verify == "full" else quick)
    return damaged


def _words(one: Mapping[str, Any]) -> str:
    """Return the mark of a build, such as ``1 critical, end of life``."""
    return Mark(one["advisories"], one["end_of_life"]).words(today())


def _print_processes(observed: Observed, data: Mapping[str, Any]) -> None:
    """Print the first processes that run from a build that is not in use any more."""
    outdated = {one["pid"] for one in data["processes"] or () if not one["current"]}
    processes = [process for process in observed.processes if process.pid in outdated]
    for process in processes[:_SHOWN]:
        output.line(f"runs an older build: {process}, from {process.build}")
    if len(processes) > _SHOWN:
        output.line(f"and {len(processes) - _SHOWN} more: see --json")


def _state(one: Mapping[str, Any]) -> str:
    if not one["sound"]:
        return "broken"
    return "for another host" if one["foreign"] else "sound" if one["started"] and not one["untrusted"] else "not started here"


def _stable_link(one: Mapping[str, Any]) -> str:
    """Return the name of the stable link to a build in the data of ``info``; a dash if another build of its line has it."""
    prefix: str = one["stable_path"].removesuffix("/bin/python3")
    return "-" if prefix == one["prefix"] else prefix.rpartition("/")[2]


@click.command()
@click.argument("line", default="")
@WHERE
@_DRY
@_JSON
def rollback(
    line: str,
    where: Where,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Point a stable link back to the previous build.

    LINE is a minor version with its variant, such as 3.13 or 3.13t; it is optional if only one is in use. The link goes to
    the build that was installed last before the current one, if `keep` has kept it. Nothing is downloaded or
    removed. Virtual environments that use the stable path use the previous build too. A second rollback goes one build
    further back.
    """
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.rollback import exact, rollback_target

    with _host(where) as host:
        observed = observe(host, host.placed(observing(_folders(where))), facts="no")
        if observed.root_state in ("unreadable", "notfolder"):
            raise AgentError(
                f"the root {observed.root} can't be read: choose another root, or run this as a user who may read it"
            )
        rolled_back = rollback_target(observed, line)
        desired = host.placed(declare(rolled_back.options))
        supply = Supply(desired)
        decision = decide(desired, supply, lambda _facts: observed, check=dry_run)
        current, previous = rolled_back.current, rolled_back.previous
        if decision.plan.installs or decision.plan.removals or decision.plan.outcomes[0].build.name != previous.name:
            raise AgentError(
                f"no request selects {previous.name} and no other build, so a rollback to it is not possible: "
                f"remove {current.name} instead"
            )
        code = _carry_out(host, desired, supply, decision, check=dry_run, as_json=as_json, with_paths=False)
    if not as_json:
        to = exact(previous.build)
        output.line(
            f"{to} {'would be' if dry_run else 'is'} in use instead of {exact(current.build)}; a declaration with state: latest "
            f"would upgrade it again: to keep it, declare {to}"
        )
    return code


@click.command()
@click.argument("requests", metavar="REQUEST...", nargs=-1, required=True)
@WHERE
@_DRY
@_JSON
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
    desired = declare({"builds": list(requests), "state": "absent"} | _folders(where))
    supply = Supply(desired)
    with _host(where) as host:
        desired = host.placed(desired)
        decision = decide(desired, supply, lambda facts: observe(host, desired, facts=facts), check=dry_run)
        nothing = f"nothing installed in {decision.observed.root} matches {', '.join(requests)}"
        return _carry_out(host, desired, supply, decision, check=dry_run, as_json=as_json, nothing=nothing)


def look(where: Where) -> Observed:
    """Observe a machine or an image, with facts."""
    with _host(where) as host:
        return observe(host, host.placed(observing(_folders(where))), facts="yes")


def _host(where: Where, *, to_install: bool = False) -> Host:
    if where.root_dir is None:
        if where.target is not None and not to_install:
            raise DeclarationError(f"--target {where.target} is the kind of an image's machine: name the image with --root-dir")
        return LocalHost()
    if not where.root_dir:
        raise DeclarationError("--root-dir is empty: name the unpacked root of an image")
    from ..image import image_host

    return image_host(os.path.expanduser(where.root_dir), where.target or "", to_install=to_install)


def _folders(where: Where) -> dict[str, str]:
    """Return root and bin_dir as given. Relative paths start at the current folder, but not those in an image."""
    found: dict[str, str] = {}
    for name, value in (("root", where.root), ("bin_dir", where.bin_dir)):
        if value == "":
            raise DeclarationError(f"{name} is empty: name a folder")
        if value is not None:
            in_image = where.root_dir is not None
            found[name] = value if in_image or value.startswith(("/", "~/")) else os.path.abspath(value)
    return found
