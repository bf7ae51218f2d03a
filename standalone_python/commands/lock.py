# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``standalone-python lock``: a declaration and targets in, a lock file out. The core's ``lock`` defines the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import archive_size
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Request, canonical, parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import named_target, parse_triple
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    DeclarationError,
    StandalonePythonError,
    TransportError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import heard, task
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import Open
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.marks import mark
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.tables import age_remark
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.upgrade import Assess
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare, is_local
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import today
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import (
    Lock,
    Locked,
    Slot,
    add_command,
    keep_attestations,
    read_lock,
    slots,
    write_lock,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock_changes import Changes, changes, relock, stale
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock_report import (
    Upgrade,
    built,
    commit_message,
    grouped,
    listed,
    moved_entries,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.tars import with_known_tars, with_tars, without_tar

from ..attestations import ATTESTATIONS, TRUSTED_ROOT
from ..output import line, paragraph, tell_remarks

# Connections at a time, for the sizes.
CONNECTIONS = 8
STALE = 1


@click.command()
@click.argument("file")
@click.option("--key", metavar="KEY", default="", help="The key in FILE that holds the declaration, if it isn't all of FILE.")
@click.option("-o", "--output", metavar="LOCKFILE", help="The lock file.  [default: FILE's lockfile, or FILE.lock.json]")
@click.option("--target", "targets", multiple=True, metavar="TRIPLE", help="A kind of host, such as x86_64-unknown-linux-gnu.")
@click.option("--inventory", metavar="FILE", help="Observe the hosts of this Ansible inventory, and lock for what they are.")
@click.option("--source", metavar="SRC", help="Where builds come from, instead of FILE's own: a URL, a folder or an archive.")
@click.option("--catalogue", metavar="CAT", help="Which builds are known, instead of FILE's own: a file, a folder or a URL.")
@click.option("--upgrade", is_flag=True, help="Look for the newest build of every request, not only of those that are new.")
@click.option("--upgrade-request", "upgrades", multiple=True, metavar="REQUEST", help="Look for the newest build of this one.")
@click.option(
    "--security", is_flag=True, help="Upgrade only a build with an open advisory that a newer build of its line closes."
)
@click.option("--cooldown", metavar="AGE", help="Take no build that is younger, such as 7d or 2w.")
@click.option(
    "--cooldown-except",
    metavar="SEVERITY",
    help="Take a younger build that closes an advisory of at least this severity: critical, high, medium, low or none.  "
    "[default: high]",
)
@click.option(
    "--deltas", is_flag=True, help="Download and pack each archive, and record what a mirror's delta for hosts has to make."
)
@click.option("--message", metavar="FILE", help="Where the lock file changes, write a text for the commit to FILE.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where the lock file isn't what FILE and targets ask for.")
@ATTESTATIONS
@TRUSTED_ROOT
@click.option("--json", "as_json", is_flag=True, help="Say what changed as JSON.")
def lock(
    file: str,
    key: str,
    output: str | None,
    targets: tuple[str, ...],
    inventory: str | None,
    source: str | None,
    catalogue: str | None,
    upgrade: bool,
    upgrades: tuple[str, ...],
    security: bool,
    cooldown: str | None,
    cooldown_except: str | None,
    deltas: bool,
    message: str | None,
    check: bool,
    attestations: str | None,
    trusted_root: str | None,
    as_json: bool,
) -> None:
    """Write a lock file: for every request in FILE and every target the build, its URL, sha256 and size.

    FILE is what `plan` takes, or a playbook's variable file. What is locked already stays as it is. What is not declared any
    more goes, and so do targets that are not named; without --target and --inventory the targets of the lock file stay.

    \b
    standalone-python lock pythons.yml --target x86_64-unknown-linux-gnu
    standalone-python lock pythons.yml --upgrade-request 3.13
    standalone-python lock pythons.yml --upgrade --security --cooldown 7d
    standalone-python lock pythons.yml --check
    """
    if check and (upgrade or upgrades):
        raise click.UsageError("--check upgrades nothing: leave --upgrade and --upgrade-request out")
    if security and not (upgrade or upgrades):
        raise click.UsageError("--security says which upgrades to take: add --upgrade or --upgrade-request REQUEST")
    if check and attestations:
        raise click.UsageError("--check looks at no archive: leave --attestations out")
    from ..declarations import load

    triples = [_triple(text) for text in targets]
    declaration = load(file, key)
    options, desired = declaration.options, declaration.declare()
    requests = [wanted.request for wanted in desired.builds if wanted.state != "absent"]
    if not requests:
        raise DeclarationError(f"{file} declares no build to install: there is nothing to lock")
    upgraded = _upgraded(file, requests, upgrades)
    path = output or desired.lockfile or f"{os.path.splitext(file)[0]}.lock.json"
    if file == "-" and not (output or desired.lockfile):
        raise click.UsageError("a declaration from standard input has no name to call the lock file by: name it with -o LOCKFILE")
    beside = os.path.dirname(os.path.abspath(path))
    empty = Lock(declaration="" if file == "-" else _relative(file, beside), key=key)
    exists = os.path.lexists(path)
    if check and not exists:
        more = "".join(f" --target {triple}" for triple in triples or ["TRIPLE"])
        raise TransportError(f"the lock file {path} does not exist: create it with: {add_command(empty, path)}{more}")
    old = read_lock(path) if exists else empty
    if inventory:
        from ..inventory import targets_of

        triples += targets_of(inventory)
    if not (triples or old.targets):
        raise click.UsageError("there is no lock file yet, so name its targets: with --target TRIPLE, or with --inventory FILE")
    wanted = slots(requests, triples or old.targets)
    base = replace(empty, builds=old.builds)
    if check:
        _check(base, wanted, path, deltas=deltas, as_json=as_json)
        return
    given = {
        "catalogue": catalogue,
        "attestations": attestations,
        "trusted_root": trusted_root,
        "security_only": security or None,
        "cooldown": cooldown,
        "cooldown_except": cooldown_except,
    }
    supply = _supply(options, source, given)
    found = relock(base, wanted, _finder(supply, base, beside), lambda request: upgrade or canonical(request) in upgraded)
    new, remarks = _with_sizes(
        old, with_known_tars(old, found), lambda entry: archive_size(entry.build, supply.source, supply.token)
    )
    if (attestations or desired.attestations) != "off":
        keep_attestations(path, new, supply.find_attestations)
    if deltas:
        new = with_tars(new, supply.locked_payload)
    elif new.has_tars and (lacking := without_tar(new.builds)):
        names = ", ".join(map(_where, lacking))
        remarks.append(f"without the sum of a tar, hosts get no deltas of {names}: run lock with --deltas")
    if new != old or not exists:
        write_lock(path, new)
    made = changes(old, new)
    moved = moved_entries(made, supply.assess)
    if security:
        remarks.append(age_remark(supply.tables, today()))
    tell_remarks([*supply.remarks, *filter(None, remarks)])
    if message and made:
        _write_message(message, commit_message(made, moved))
    _tell(path, made, moved, new.builds, supply.assess, as_json=as_json, in_full=security)


def _triple(text: str) -> str:
    try:
        target = named_target(text)
    except DeclarationError as error:
        raise click.BadParameter(str(error), param_hint="--target") from None
    if target.level > 1:
        raise click.BadParameter(
            f"{text} is {target.triple} with a CPU level, and those are the requests' business: name {target.triple}, and "
            f"ask for 3.13+v{target.level} or 3.13+auto",
            param_hint="--target",
        )
    return target.triple


def _upgraded(file: str, requests: Iterable[Request], upgrades: Sequence[str]) -> frozenset[str]:
    """
    :raises DeclarationError: one of them is not declared
    """
    declared = list(dict.fromkeys(canonical(request) for request in requests))
    wanted = [canonical(parse_request(text)) for text in upgrades]
    for text in wanted:
        if text not in declared:
            raise DeclarationError(f"{text} can't be upgraded, {file} doesn't declare it: it declares {', '.join(declared)}")
    return frozenset(wanted)


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")


def _check(lock: Lock, wanted: Sequence[Slot], path: str, *, deltas: bool, as_json: bool) -> None:
    """
    :param deltas: whether a build without the sum of its tar makes the lock file stale
    """
    missing, superfluous = stale(lock, wanted)
    lacking = [f"{canonical(slot.request)} for {slot.target}" for slot in missing]
    beyond = [_where(entry) for entry in superfluous]
    unsummed = [_where(entry) for entry in without_tar(lock.builds) if entry not in superfluous]
    differs = bool(lacking or beyond or (deltas and unsummed))
    if as_json:
        result = {"lockfile": path, "stale": differs, "missing": lacking, "superfluous": beyond, "without_tar": unsummed}
        click.echo(json.dumps(result, indent=2))
    elif not differs:
        line(f"{path} is up to date: {len(lock.builds)} builds")
    if not differs:
        return
    if not as_json:
        reasons = [f"{', '.join(lacking)} not locked"] if lacking else []
        reasons += [f"{', '.join(beyond)} not asked for"] if beyond else []
        reasons += [f"{', '.join(unsummed)} without the sum of a tar"] if deltas and unsummed else []
        command = add_command(replace(lock, builds=()), path) + _target_words(lock, wanted)
        command += " --deltas" if deltas or lock.has_tars else ""
        line(f"standalone-python: {path} is stale, {'; '.join(reasons)}: run: {command}", err=True)
    raise click.exceptions.Exit(STALE)


def _target_words(lock: Lock, wanted: Sequence[Slot]) -> str:
    """The targets for a command line, where they are not those of the lock file."""
    triples = sorted({parse_triple(slot.target).triple for slot in wanted})
    return "" if tuple(triples) == lock.targets else "".join(f" --target {triple}" for triple in triples)


def _supply(options: Mapping[str, Any], source: str | None, more: Mapping[str, Any]) -> Supply:
    """
    :param more: other options of the command line
    """
    from ..declarations import with_source

    given = {name: value for name, value in more.items() if value is not None}
    # What is locked has no say in what is found anew.
    supply = Supply(declare(with_source(options, source) | given | {"lockfile": None}))
    if source is not None:
        # Check the source even if no build has to be found.
        _ = supply.source
    return supply


def _finder(supply: Supply, old: Lock, beside: str) -> Callable[[Slot], Locked]:
    known = {entry.key: entry for entry in old.builds}

    def find(slot: Slot) -> Locked:
        found = supply.lock_entry(slot, known.get(slot.key))
        if found is known.get(slot.key):
            return found
        # Whoever has the lock file and the folder side by side finds the archive wherever they are.
        local = is_local(found.url) and not os.path.isabs(found.url)
        return replace(found, url=_relative(found.url, beside)) if local else found

    return find


def _with_sizes(old: Lock, new: Lock, size: Callable[[Locked], int]) -> tuple[Lock, list[str]]:
    """The lock with sizes where they can be had, and what is to be said of the others. What was locked stays as it was."""
    before = set(old.builds)
    unsized = {entry.build.filename: entry for entry in new.builds if entry not in before}

    def ask(entry: Locked) -> int | StandalonePythonError:
        try:
            return size(entry)
        except StandalonePythonError as error:
            return error

    with task("Requesting", f"the sizes of {len(unsized)} archives"), ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = dict(zip(unsized, pool.map(heard(ask), unsized.values()), strict=True))
    sizes = {name: answer for name, answer in answers.items() if isinstance(answer, int)}
    errors = [answer for answer in answers.values() if not isinstance(answer, int)]
    builds = tuple(entry if entry in before else replace(entry, size=sizes.get(entry.build.filename)) for entry in new.builds)
    remarks = [f"the size of {len(errors)} archives is left out, as it can't be had: {errors[0]}"] if errors else []
    return replace(new, builds=builds), remarks


def _write_message(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise TransportError(
            f"cannot write the message to {path} ({error.strerror}): check the path and its permissions; the lock file is written"
        ) from None


def _tell(
    path: str, made: Changes, moved: Sequence[Upgrade], entries: Sequence[Locked], assess: Assess, *, as_json: bool, in_full: bool
) -> None:
    """
    :param entries: of the new lock file
    :param in_full: name the advisories that each upgrade closes and leaves open
    """
    kept = len(entries) - len(made.added) - len(made.changed)
    if as_json:
        result = {
            "lockfile": path,
            "changed": bool(made),
            "added": [_data(entry, assess) for entry in made.added],
            "upgraded": [
                {
                    "from": _data(one.before, assess),
                    "to": _data(one.after, assess),
                    "closes": _ids(one.closes),
                    "open": _ids(one.leaves),
                }
                for one in moved
            ],
            "removed": [_data(entry, assess) for entry in made.removed],
            "kept": kept,
            "tars": [_data(entry, assess) for entry in made.tars],
        }
        click.echo(json.dumps(result, indent=2))
        return
    if not made:
        line(f"{path} is up to date: {len(entries)} builds")
        return
    paragraph(f"{path}: {len(made.added)} added, {len(made.changed)} upgraded, {len(made.removed)} removed, {kept} as before")
    for entry in made.added:
        paragraph(f"  added    {_where(entry)}: {_marked(entry, assess)}")
    for group in grouped(moved):
        for one in group:
            paragraph(f"  upgraded {_where(one.after)}: {built(one.before)} -> {_marked(one.after, assess)}")
        if in_full:
            paragraph(f"    closes {listed(group[0].closes)}")
            paragraph(f"    leaves open {listed(group[0].leaves)}")
    for entry in made.removed:
        paragraph(f"  removed  {_where(entry)}: {built(entry)}")
    for entry in made.tars:
        paragraph(f"  tar      {_where(entry)}: {built(entry)}, recorded its sum")


def _where(entry: Locked) -> str:
    return f"{entry.request} for {entry.target}"


def _marked(entry: Locked, assess: Assess) -> str:
    words = mark(entry.build, assess).words(today())
    return f"{built(entry)} ({words})" if words else built(entry)


def _ids(advisories: Iterable[Open]) -> list[str]:
    return [one.advisory.id for one in advisories]


def _data(entry: Locked, assess: Assess) -> dict[str, Any]:
    return {
        "request": entry.request,
        "target": entry.target,
        "version": str(entry.build.version),
        "release": entry.build.release,
        "file": entry.build.filename,
        "url": entry.url,
        "sha256": entry.build.sha256,
        "size": entry.size,
        "tar": entry.tar or None,
        **asdict(mark(entry.build, assess)),
    }
