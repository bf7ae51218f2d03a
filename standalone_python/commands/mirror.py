# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``standalone-python mirror``: fill a folder with builds, read it again, and tell other tools of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from time import monotonic
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_url
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    DeclarationError,
    StandalonePythonError,
    TransportError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.export import TOOLS
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.mirror import (
    SyncPlan,
    attestation_problems,
    builds_for,
    listed_builds,
    path_of,
    verify,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.s3 import storage_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.sync import Progress, preview_sync, publish, sync
from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import Advance, task
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Attestations
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import read_lock
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.published import Published, path_of_delta
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply

from ..attestations import ATTESTATIONS, TRUSTED_ROOT
from ..exits import DIFFERS, EndedBySignal
from ..output import line, paragraph, size, step, tell_remarks, within
from ..words import Choice, Group

DEST = click.argument("dest")
ENDPOINT = click.option(
    "--endpoint-url", metavar="URL", default="", help="Of the object store, where DEST is s3://BUCKET/PREFIX.  [default: boto3's]"
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for machines.")
JOBS = click.option("--jobs", type=click.IntRange(1, 64), default=8, show_default=True, help="Archives at a time.")


@click.group("mirror", cls=Group)
def group() -> None:
    """Keep a folder of builds that any static web server can serve, and `source` can name.

    DEST is a folder, or s3://BUCKET/PREFIX of an object store.
    """


@group.command("sync")
@DEST
@click.option("--lockfile", metavar="LOCKFILE", default="", help="Mirror all that a lock file has.")
@click.option("--request", "requests", metavar="REQ", multiple=True, help="Mirror what a request means on each --target.")
@click.option("--target", "triples", metavar="TRIPLE", multiple=True, help="Such as x86_64-unknown-linux-gnu.")
@click.option("--flavor", "flavors", metavar="FLAVOR", multiple=True, help="Of what is requested; the preferred one by default.")
@click.option("--source", metavar="SRC", default="upstream", show_default=True, help="A URL, a folder, or upstream.")
@click.option("--catalogue", metavar="FILE|URL", default="bundled", show_default=True, help="The builds to choose from.")
@click.option(
    "--script", "scripts", metavar="FILE", multiple=True, help="Publish a file that `script` made, and its sha256, too."
)
@click.option("--prune", is_flag=True, help="Remove the builds that this call doesn't ask for.")
@click.option("--deltas", is_flag=True, help="Make what hosts with an older build download instead of an archive.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; exit code 2 if that is anything.")
@ENDPOINT
@ATTESTATIONS
@TRUSTED_ROOT
@JOBS
@JSON
def _sync(
    dest: str,
    lockfile: str,
    requests: tuple[str, ...],
    triples: tuple[str, ...],
    flavors: tuple[str, ...],
    source: str,
    catalogue: str,
    scripts: tuple[str, ...],
    prune: bool,
    deltas: bool,
    dry_run: bool,
    endpoint_url: str,
    attestations: Attestations | None,
    trusted_root: str | None,
    jobs: int,
    as_json: bool,
) -> int:
    """Download what a lock file, or requests and targets, ask for; nothing else, and nothing twice."""
    if not lockfile and not requests:
        raise click.UsageError("there is nothing to mirror: give --lockfile, or --request with --target.")
    if bool(requests) != bool(triples):
        raise click.UsageError("--request and --target go together: what to mirror is a request on a target.")
    if flavors and not requests:
        raise click.UsageError("--flavor goes with --request: a lock file says itself which flavor it has.")
    published = {os.path.basename(path): _script(path) for path in scripts}
    began = monotonic()
    storage = storage_of(dest, endpoint_url)
    supply = Supply.of(source=source, catalogue=catalogue, attestations=attestations or "off", trusted_root=trusted_root or "")
    locked = read_lock(lockfile).builds if lockfile else ()
    wanted = (*(entry.build for entry in locked), *builds_for(supply, requests, triples, flavors))
    sizes = {path_of(build): build.size for build in wanted if build.size}
    sizes |= {path_of(entry.build): entry.size for entry in locked if entry.size}
    if dry_run:
        plan = preview_sync(storage, wanted, prune=prune, jobs=jobs, deltas=deltas)
    else:
        with _shown(dest, sizes, as_json=as_json) as progress:
            attest = supply.find_attestations if attestations in ("prefer", "require") else None
            plan = sync(
                storage,
                wanted,
                supply.source,
                prune=prune,
                jobs=jobs,
                progress=progress,
                attest=attest,
                document=supply.known_tables.document,
                deltas=deltas,
            )
    published = {name: text for name, text in published.items() if publish(storage, name, text, dry_run=dry_run)}
    tell_remarks(supply.remarks)
    if as_json:
        click.echo(
            json.dumps({"dest": dest, "dry_run": dry_run, **_plain(plan, dry_run=dry_run), "published": [*published]}, indent=2)
        )
    else:
        _print(dest, plan, [*published], None if dry_run else monotonic() - began)
    return DIFFERS if dry_run and (plan or published) else 0


def _print(dest: str, plan: SyncPlan, published: Sequence[str], took: float | None) -> None:
    """Print what a sync would do, or what it has done apart from its archives, which are printed already.

    :param took: how long it worked; None if it only would
    """
    deltas = plan.deltas
    kept = [one for one in deltas.kept if one.size]
    rest = f"{len(plan.present)} already in {dest}" + (f", {len(plan.kept)} others kept" if plan.kept else "")
    rest += f", {_deltas(kept)} kept ({size(_size(kept))})" if kept else ""
    if not plan and not published:
        line(f"nothing to do: {rest}")
        return
    numbers = ((len(plan.fetch), "download"), (len(plan.pruned), "remove"), *([(len(published), "publish")] if published else []))
    if took is None:
        lines = [f"download {path_of(build)}" for build in plan.fetch]
        lines += [f"remove {path}" for path in (*plan.pruned, *deltas.removed)]
        lines += [f"make {path_of_delta(new, old)}" for new, old in deltas.make]
        for what in (*lines, *(f"publish {name}" for name in published)):
            step(f"Would {what}")
        texts = [f"{number} to {verb}" for number, verb in numbers]
        texts += [f"{_deltas(some)} to {verb}" for some, verb in ((deltas.make, "make"), (deltas.removed, "remove")) if some]
        paragraph(f"Plan: {', '.join(texts)}, {rest}.")
        return
    for name in published:
        step(f"Published {name}")
    made = [one for one in deltas.made if one.size]
    texts = [_past(number, verb) for number, verb in numbers]
    texts += [f"{_deltas(made)} made ({size(_size(made))})"] if made else []
    texts += [f"{_deltas(deltas.removed)} removed"] if deltas.removed else []
    paragraph(f"Done{within(took)}: {', '.join(texts)}, {rest}.")


def _past(number: int, verb: str) -> str:
    return f"{number} {verb.rstrip('e')}ed"


def _deltas(some: Sized) -> str:
    return f"{len(some)} delta{'s' if len(some) != 1 else ''}"


def _size(some: Iterable[Published]) -> int:
    return sum(one.size for one in some)


def _script(path: str) -> bytes:
    """
    :raises DeclarationError: it is not a script for hosts
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise TransportError(
            f"the script {path} can't be read ({error.strerror}): make it with `standalone-python script`"
        ) from None
    if not path.endswith((".sh", ".ps1")):
        raise DeclarationError(f"--script {path} is not a script for hosts: its name must end in .sh or .ps1")
    return content


def _plain(plan: SyncPlan, *, dry_run: bool) -> dict[str, Any]:
    deltas = plan.deltas
    made = [one for one in deltas.made if one.size]
    kept = [one for one in deltas.kept if one.size]
    # The size of a delta is unknown until it is made.
    unmade = [{"path": path_of_delta(new, old), "size": None} for new, old in deltas.make] if dry_run else []
    return {
        "fetched": [path_of(build) for build in plan.fetch],
        "present": [path_of(build) for build in plan.present],
        "kept": [path_of(build) for build in plan.kept],
        "pruned": list(plan.pruned),
        "deltas": {
            "made": [*_listed(made), *unmade],
            "too_large": [one.path for one in deltas.made if not one.size],
            "kept": _listed(kept),
            "removed": list(deltas.removed),
            "size": _size(made) + _size(kept),
        },
    }


def _listed(some: Iterable[Published]) -> list[dict[str, Any]]:
    return [{"path": one.path, "size": one.size} for one in some]


@group.command("verify")
@DEST
@ENDPOINT
@ATTESTATIONS
@TRUSTED_ROOT
@JOBS
@JSON
def _verify(dest: str, endpoint_url: str, attestations: str | None, trusted_root: str | None, jobs: int, as_json: bool) -> int:
    """Read every archive of a mirror again; exit code 2 if something is damaged, and the next sync downloads it again.

    With --attestations those that the mirror has are verified too.
    """
    storage = storage_of(dest, endpoint_url)
    found = verify(storage, jobs)
    if attestations in ("prefer", "require"):
        wrong, missing = attestation_problems(storage, os.path.expanduser(trusted_root or ""), jobs)
        required = missing if attestations == "require" else ()
        found = replace(found, problems=(*found.problems, *wrong, *required))
        for sentence in missing if not required else ():
            line(f"standalone-python: {sentence}", err=True)
    if as_json:
        data = {"dest": dest, "archives": found.archives, "bytes": found.size, "problems": list(found.problems)}
        click.echo(json.dumps(data, indent=2))
    else:
        for problem in found.problems:
            line(problem)
        summary = f"{len(found.problems)} problems" if found.problems else "all is well"
        line(f"{dest}: {found.archives} archives, {found.size / 1e6:.0f} MB, {summary}")
    return DIFFERS if found.problems else 0


@group.command("export")
@DEST
@click.option("--for", "tool", type=Choice(list(TOOLS)), required=True, help="What to print it for.")
@click.option("--url", metavar="URL", required=True, help="Where the mirror is served.")
@ENDPOINT
def _export(dest: str, tool: str, url: str, endpoint_url: str) -> None:
    """Print what another tool needs so that it takes its builds from a mirror."""
    try:
        base = parse_url(url, "--url")
    except StandalonePythonError:
        # Not repeated: it may have a password in it.
        raise click.UsageError("--url is not an address: give http://HOST/PATH or https://HOST/PATH.") from None
    exported = TOOLS[tool](listed_builds(storage_of(dest, endpoint_url)), base)
    click.echo(exported.text, nl=False)
    if exported.left_out:
        names = ", ".join(path_of(build) for build in exported.left_out)
        line(f"left out, {tool} has no name for such builds: {names}", err=True)


class _Shown(Progress):
    """Prints each archive when it is done, and reports all downloads together. That doesn't count parts of an earlier run."""

    def __init__(self, dest: str, sizes: Mapping[str, int], advance: Advance, *, as_json: bool) -> None:
        self._dest, self._as_json = dest, as_json
        self._known = dict(sizes)
        self._advance = advance
        self._since: dict[str, float] = {}
        self._began: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._wanted: tuple[Build, ...] = ()
        self._finished: list[str] = []
        self._lock = Lock()
        self._makes = 0.0

    def waits(self) -> None:
        line(f"another sync is running in {self._dest}: waiting for it", err=True)

    def unlocked(self) -> None:
        line(f"{self._dest} can't keep another sync away: don't run two at once there", err=True)

    def plans(self, plan: SyncPlan) -> None:
        self._wanted = plan.fetch

    def received(self, path: str) -> None:
        with self._lock:
            self._finished.append(path)
            seconds = monotonic() - self._since.get(path, monotonic())
            if not self._as_json:
                step(f"Downloaded {path}{within(seconds)}")

    def removed(self, path: str) -> None:
        if not self._as_json:
            step(f"Removed {path}")

    def makes(self, path: str) -> None:
        self._makes = monotonic()

    def made(self, delta: Published, whole: int) -> None:
        made = f"Made {delta.path}{within(monotonic() - self._makes)}: {size(delta.size)} instead of {size(whole)}"
        if not self._as_json:
            step(made if delta.size else f"Left out {delta.path}: it would be too large")

    def after_failure(self) -> str:
        """Return which archives were not downloaded, where others were: a phrase, and a line for each."""
        left = [path for path in map(path_of, self._wanted) if path not in self._finished]
        if not left or not self._finished:
            return ""
        phrase = f"done: {len(self._finished)} downloaded; not done: {len(left)} to download"
        return "\n".join([phrase, *(f"not done: download {path}" for path in left)])

    def receives(self, path: str, done: int, size: int) -> None:
        with self._lock:
            self._since.setdefault(path, monotonic())
            self._began.setdefault(path, done)
            self._began[path] = min(self._began[path], done)
            self._done[path] = done
            if size:
                self._known[path] = size
            known = [self._known[path] for path in map(path_of, self._wanted) if path in self._known]
            # For downloads of unknown size, assume the mean size of the others.
            total = sum(known) * len(self._wanted) // len(known) if known else 0
            before = sum(self._began.values())
            self._advance(sum(self._done.values()) - before, max(0, total - before))


@contextmanager
def _shown(dest: str, sizes: Mapping[str, int], *, as_json: bool) -> Iterator[Progress]:
    with task("Syncing", dest) as advance:
        shown = _Shown(dest, sizes, advance, as_json=as_json)
        try:
            yield shown
        except (StandalonePythonError, KeyboardInterrupt, EndedBySignal) as error:
            if state := shown.after_failure():
                error.add_note(state)
            raise
