# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands status and verify: which interpreters a machine or an image has, and whether they are intact."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVORS, letters_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import confirm, observe, run
from ansible_collections.standalone.python.plugins.plugin_utils.core.memory import remember
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import observing
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed

from .. import output
from ..exits import DIFFERS
from ..output import short_flavor, short_mark
from ..table import Column
from .apply import mark_words
from .machine import FILE, JSON, Where, folders, open_host

_SHOWN = 10  # processes
_COLUMNS = (
    Column("version"),
    Column("release", priority=2),
    Column("variant", priority=3),
    Column("flavor", priority=6, usual=FLAVORS[0], short=short_flavor),
    Column("installed", priority=5),
    Column("state"),
    Column("newer", priority=3, usual="-"),
    Column("advisories", priority=4, short=short_mark),
    Column("in use as", priority=1, short=lambda names: names.removeprefix("cpython-")),
)


@click.command()
@FILE
@JSON
def status(where: Where, as_json: bool) -> int:
    """Show which interpreters are installed, whether they are intact, and what kind of host this is.

    It checks the receipt, a start, and the number of modules. `verify` compares every file, and `status` shows what the
    last `verify` found. FILE is as for `apply`: it names the root and the folder of the links.
    """
    _show(where, as_json=as_json, verify="quick")
    return 0


@click.command()
@FILE
@JSON
def verify(where: Where, as_json: bool) -> int:
    """Compare every file of the installed interpreters with the list of what was installed.

    An interpreter that was installed into this machine's offline image is started here for the first time, and
    its receipt says so from then on.

    The host keeps the result, and `status` shows it until the next `verify` or repair.

    The exit code is 2 if something is damaged: `apply FILE --verify full` repairs it. It is 0 otherwise, also if nothing is
    installed. Files that were added are shown, and do not count as damage. FILE is as for `apply`.
    """
    return DIFFERS if _show(where, as_json=as_json, verify="full") else 0


def _show(where: Where, *, as_json: bool, verify: str) -> tuple[str, ...]:
    """Print the installed interpreters; return sentences about damage."""
    from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import from_facts
    from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage, info

    desired = observing(folders(where) | {"verify": verify})
    with open_host(where) as host:
        desired = host.placed(desired)
        observed = observe(host, desired, facts="yes", processes=True)
        confirmed: tuple[str, ...] = ()
        unrecorded = ""
        if verify == "full":
            confirmed, observed = confirm(host, desired, observed)
            observed, unrecorded = remember(partial(run, host, "record"), desired, observed)
    if unrecorded:
        output.tell_remarks([f"the result of this check is not recorded, so `status` does not know it: {unrecorded}"])
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
                _newer(one) or "-",
                mark_words(one) or "-",
                ", ".join(_links_to(one)) or "-",
            ]
            for one in interpreters
        ]
        output.table(_COLUMNS, rows)
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
    for line in _cures(data, damaged, where):
        output.line(line)
    if interpreters and not damaged:
        output.line("every file is as it was installed" if verify == "full" else _last_check(interpreters, where))
    return damaged


def _last_check(interpreters: Sequence[Mapping[str, Any]], where: Where) -> str:
    """Return what is known of the files of interpreters that a quick look found in order."""
    checks = [one["checked_at"][:10] for one in interpreters if not one["foreign"]]
    never = checks.count("")
    since = f"not checked in full since {min(checks)}" if checks and not never else "never checked in full"
    if 0 < never < len(checks):
        since = f"{never} of {len(checks)} never checked in full"
    return f"a quick look found no damage; {since}: `{_command(where, 'verify')}` compares every file"


def _cures(data: Mapping[str, Any], damaged: Sequence[str], where: Where) -> Iterator[str]:
    """Yield the commands that mend what is damaged."""
    broken = [one for one in data["interpreters"] if not one["sound"]]
    used = [_request(one) for one in broken if _links_to(one)]
    unused = [_request(one) for one in broken if not _links_to(one)]
    apply = _command(where, "apply", *([] if where.file else ["FILE"]), "--verify", "full")
    if used and not where.file:
        yield f"to repair it: `{_command(where, 'install', *used)}`, or `{apply}` with your declaration"
    elif len(damaged) > len(broken) and not used and all(line.startswith("to do: clear ") for line in damaged[len(broken) :]):
        yield "the next 'install', 'upgrade', 'uninstall' or 'apply' does that"
    elif used or len(damaged) > len(broken):
        yield f"to repair it: `{apply}`" + ("" if where.file else " with your declaration")
    if unused:
        yield f"to remove what is broken and not in use: `{_command(where, 'uninstall', *unused)}`"


def _request(one: Mapping[str, Any]) -> str:
    """Return the request for exactly one build."""
    return f"{one['version']}{letters_of(one['variant'])}+{one['release']}"


def _command(where: Where, *words: str) -> str:
    """Return the text of a command for the same machine and folders."""
    given = {"--file": where.file, "--key": where.key or None, "--root": where.root, "--bin-dir": where.bin_dir}
    given |= {"--root-dir": where.root_dir, "--target": where.target}
    options = [word for name, value in given.items() if value is not None for word in (name, value)]
    return shlex.join(["standalone-python", *words, *options])


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


def _links_to(one: Mapping[str, Any]) -> list[str]:
    """Return the names of the stable link and the default links to a build in the data of ``info``."""
    prefix: str = one["stable_path"].removesuffix("/bin/python3")
    paths = ([] if prefix == one["prefix"] else [prefix]) + one["default_links"]
    return [path.rpartition("/")[2] for path in paths]


def _newer(one: Mapping[str, Any]) -> str:
    """Return the newest known build of a line, if it is newer than the installed one."""
    known: str | None = one["newest_known"]
    return known if known and known != _request(one) else ""
