# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands about one machine: this one, or the root of an image on it. What they decide, the core decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
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
    DEFAULT_ROOT,
    Desired,
    declare,
    observing,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import describe, predict
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import today
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from .. import output
from ..attestations import ATTESTATIONS, TRUSTED_ROOT
from ..exits import DIFFERS
from ..local import ImageHost, LocalHost

Host = LocalHost | ImageHost
Place = tuple[str | None, str | None]
"""The options --root-dir and --target."""
Command = Callable[..., int]


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def decorate(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


_WHERE = _options(
    click.option("--root", metavar="ROOT", help=f"The folder that holds the builds.  [default: {DEFAULT_ROOT}]"),
    click.option("--bin-dir", metavar="DIR", help="The folder of the links.  [default: /usr/local/bin, or ROOT/bin]"),
    click.option("--root-dir", metavar="IMAGE", help="An image's unpacked root instead of this machine."),
    click.option("--target", metavar="TRIPLE", help="What kind of host that is, where it isn't this machine's kind."),
)
# Those of a declaration that can be given on the command line, too.
_OPTIONS = ("root", "bin_dir", "source", "catalogue", "lockfile", "attestations", "trusted_root")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_DRY = click.option("-n", "--dry-run", is_flag=True, help="Only show what would be done; the exit code is 2 if anything would.")
_DECLARATION = _options(
    click.argument("file"),
    click.option("--key", metavar="KEY", default="", help="The key in FILE that holds the declaration, if it isn't all of FILE."),
    _WHERE,
    click.option("--source", metavar="SRC", help="Where builds come from: upstream, a mirror's URL or folder, or one archive."),
    click.option("--lockfile", metavar="LOCKFILE", help="Exactly the builds that are locked there, as `lock` makes it."),
    ATTESTATIONS,
    TRUSTED_ROOT,
    click.option("--catalogue", metavar="CAT", help="Which builds are known: bundled, updated, a file, a folder or a URL."),
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

    Options given here win over FILE. Its token and checksum count for its own source only. The exit code is 0 if nothing
    has to change and 2 if something would.
    """
    return _declared(given, check=True)


@click.command()
@_DECLARATION
def apply(**given: Any) -> int:
    """Make the changes that FILE needs on this machine: install, upgrade, repair, relink and remove.

    FILE is what `plan` takes. A second run changes nothing. A run that fails leaves the machine as it was, or
    says that it doesn't.

    With --root-dir the changes go into an image. It is entered with chroot if you are root and this machine can run its
    programs. Otherwise --target names its kind of machine, and nothing in the image is started: the first `verify` on
    that machine does it.
    """
    return _declared(given, check=False)


def _declared(given: Mapping[str, Any], *, check: bool) -> int:
    from ..declarations import read, with_source

    told = {name: given[name] for name in _OPTIONS if given[name] is not None}
    desired = declare(with_source(read(given["file"], given["key"]), given["source"]) | _with_paths(told, given["root_dir"]))
    with _host((given["root_dir"], given["target"]), to_install=True) as host:
        desired = host.placed(desired)

        def look(facts: Facts) -> Observed:
            return observe(host, desired, facts="no" if facts == "empty" else facts)

        if given["target"]:
            from ..target import decide_for

            desired, supply, decision = decide_for(given["target"], desired, look, check=check)
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
        for one in told["interpreters"] if marked else ():
            if words := _words(one):
                output.line(f"{one['request']}: {one['version']}+{one['release']} ({words})", err=True, colour="yellow")
        if doing and with_paths:
            for outcome in done.plan.outcomes:
                output.line(f"{outcome.wanted.request.text} is {outcome.stable_path}")
        if doing and done.plan.installs and desired.image:
            output.line("nothing was started here: 'standalone-python verify' on the machine itself does it")
    return DIFFERS if check and planned else 0


@click.command()
@_WHERE
@_JSON
def status(root: str | None, bin_dir: str | None, root_dir: str | None, target: str | None, as_json: bool) -> int:
    """Show which interpreters are installed, whether they are sound, and what kind of host this is.

    A quick look: the receipt, a start, the number of modules. `verify` compares every file.
    """
    _show({"root": root, "bin_dir": bin_dir}, (root_dir, target), as_json=as_json, verify="quick")
    return 0


@click.command()
@_WHERE
@_JSON
def verify(root: str | None, bin_dir: str | None, root_dir: str | None, target: str | None, as_json: bool) -> int:
    """Compare every file of the installed interpreters with the list of what was installed.

    An interpreter that was installed into this machine's offline image is started here for the first time, and
    its receipt says so from then on.

    The exit code is 2 if something is damaged: `apply` with verify: full in its declaration repairs it. It is 0 otherwise,
    also if nothing is installed. Files that were added are shown, and do not count as damage.
    """
    return DIFFERS if _show({"root": root, "bin_dir": bin_dir}, (root_dir, target), as_json=as_json, verify="full") else 0


def _show(folders: Mapping[str, str | None], place: Place, *, as_json: bool, verify: str) -> tuple[str, ...]:
    """Print what is there; returns what is damaged."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import from_facts
    from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage, info

    desired = observing(_with_paths(folders, place[0]) | {"verify": verify})
    with _host(place) as host:
        desired = host.placed(desired)
        observed = observe(host, desired, facts="yes", processes=True)
        confirmed: tuple[str, ...] = ()
        if verify == "full":
            confirmed, observed = confirm(host, desired, observed)
    damaged = damage(observed)
    told = info(observed)
    if as_json:
        output.data(told | {"damage": list(damaged)})
        return damaged
    kind = from_facts(observed.facts) if told["target"] else "an offline image"
    output.line(f"{kind}; builds in {observed.root}, links in {observed.bin_dir}")
    interpreters = told["interpreters"]
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


def _state(one: Mapping[str, Any]) -> str:
    if not one["sound"]:
        return "broken"
    return "for another host" if one["foreign"] else "sound" if one["started"] and not one["untrusted"] else "not started here"


def _stable_link(one: Mapping[str, Any]) -> str:
    """The name of the link to a build that ``info`` tells of; a dash where another build of its line has it."""
    prefix: str = one["stable_path"].removesuffix("/bin/python3")
    return "-" if prefix == one["prefix"] else prefix.rpartition("/")[2]


@click.command()
@click.argument("line", default="")
@_WHERE
@_DRY
@_JSON
def rollback(
    line: str,
    root: str | None,
    bin_dir: str | None,
    root_dir: str | None,
    target: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Point a stable link back to the previous build.

    LINE is a minor version with its variant, such as 3.13 or 3.13t; it may be left out where only one is in use. The link goes to
    the build that was installed last before the one in use, of those that `keep` has kept. Nothing is downloaded and nothing is
    removed, and what was made through the stable path, such as virtual environments, goes along. A second time it
    goes one further.
    """
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.rollback import exact, rollback_target

    with _host((root_dir, target)) as host:
        looked_at = host.placed(observing(_with_paths({"root": root, "bin_dir": bin_dir}, root_dir)))
        observed = observe(host, looked_at, facts="no")
        if observed.root_state in ("unreadable", "notfolder"):
            raise AgentError(f"the root {observed.root} can't be looked into: choose another root or become a user who may")
        rolled_back = rollback_target(observed, line)
        desired = host.placed(declare(rolled_back.options))
        supply = Supply(desired)
        decision = decide(desired, supply, lambda _facts: observed, check=dry_run)
        current, previous = rolled_back.current, rolled_back.previous
        if decision.plan.installs or decision.plan.removals or decision.plan.outcomes[0].build.name != previous.name:
            raise AgentError(
                f"no request means {previous.name} and no other build, so no declaration returns to it: "
                f"remove {current.name} instead"
            )
        code = _carry_out(host, desired, supply, decision, check=dry_run, as_json=as_json, with_paths=False)
    if not as_json:
        to = exact(previous.build)
        output.line(
            f"{to} {'would be' if dry_run else 'is'} in use in place of {exact(current.build)}; a declaration with state: latest "
            f"goes forward again: to make this last, declare {to}"
        )
    return code


@click.command()
@click.argument("requests", metavar="REQUEST...", nargs=-1, required=True)
@_WHERE
@_DRY
@_JSON
def remove(
    requests: Sequence[str],
    root: str | None,
    bin_dir: str | None,
    root_dir: str | None,
    target: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove every installed build that matches a REQUEST, with its links.

    A request is such as 3.13, 3.13.1, 3.13t, '>=3.9,<3.12' or 3.13.1+20250115. What others have installed is never touched.
    """
    desired = declare({"builds": list(requests), "state": "absent"} | _with_paths({"root": root, "bin_dir": bin_dir}, root_dir))
    supply = Supply(desired)
    with _host((root_dir, target)) as host:
        desired = host.placed(desired)
        decision = decide(desired, supply, lambda facts: observe(host, desired, facts=facts), check=dry_run)
        nothing = f"nothing installed in {decision.observed.root} matches {', '.join(requests)}"
        return _carry_out(host, desired, supply, decision, check=dry_run, as_json=as_json, nothing=nothing)


def _host(place: Place, *, to_install: bool = False) -> Host:
    root_dir, target = place
    if root_dir is None:
        if target is not None and not to_install:
            raise DeclarationError(f"--target {target} says what an image's machine is: name the image with --root-dir")
        return LocalHost()
    if not root_dir:
        raise DeclarationError("--root-dir is empty: give the unpacked root of an image")
    from ..image import image_host

    return image_host(os.path.expanduser(root_dir), target or "", to_install=to_install)


def _with_paths(told: Mapping[str, Any], root_dir: str | None) -> dict[str, Any]:
    """What was given, with root and bin_dir as the core wants them: relative ones are taken from the current folder, unless they
    are an image's."""
    whole = {name: value for name, value in told.items() if value is not None}
    for name in ("root", "bin_dir"):
        value = whole.get(name)
        if value == "":
            raise DeclarationError(f"{name} is empty: give a folder")
        if value and root_dir is None and not value.startswith(("/", "~/")):
            whole[name] = os.path.abspath(value)
    return whole
