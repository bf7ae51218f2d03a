# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands about this user's cache of downloads and payloads. None of them asks the network or touches files of others."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import default_root, use_cache
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.contents import (
    IN_USE,
    Entry,
    chosen,
    entries,
    parse_age,
    parse_size,
    remove,
    remove_texts,
    size_limit,
    size_of,
    texts,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import task
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.user_catalogue import FOLDER as CATALOGUE

from .. import output
from ..exits import DIFFERS
from ..table import Column
from .machine import DRY_RUN, JSON

# The folders of S3 mirrors' unfinished downloads, and of unfinished deltas.
_MIRRORS, _DELTAS = "mirror", "deltas"
_COLUMNS = (
    Column("version"),
    Column("release", priority=3),
    Column("target", priority=1, wraps=False),
    Column("flavor", priority=4, usual="install_only_stripped"),
    Column("payload", right=True, priority=2),
    Column("download", right=True, priority=2),
    Column("unfinished", right=True, priority=5, usual="-"),
    Column("size", right=True),
    Column("last used"),
)


class _Quantity(click.ParamType):  # type: ignore[type-arg]  # as in words.py
    """A size or an age."""

    def __init__(self, name: str, parse: Callable[[str], float], example: str) -> None:
        self.name, self._parse, self._example = name, parse, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return self._parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is not {self.name}: write one such as {self._example}", param, ctx)


@click.group(invoke_without_command=True)
@JSON
@click.pass_context
def cache(context: click.Context, as_json: bool) -> int:
    """Show and prune this user's cache: downloaded archives, and the payloads that are made of them for hosts.

    Without a command it does what `cache list` does. A run that adds to the cache removes what was not used for longest,
    until the cache has at most 10 GB, or the size in STANDALONE_PYTHON_CACHE_SIZE: such as 5G, or unlimited.
    """
    return _show(as_json) if context.invoked_subcommand is None else 0


@cache.command("list")
@JSON
def list_(as_json: bool) -> int:
    """Show what the cache has, the last used first."""
    return _show(as_json)


@cache.command("dir")
def dir_() -> int:
    """Print the path of the cache. STANDALONE_PYTHON_CACHE names another one."""
    output.line(str(default_root()))
    return 0


@cache.command()
@click.option(
    "--older-than", type=_Quantity("an age", parse_age, "30d, 12h or 2w"), metavar="AGE", help="Remove what was not used for AGE."
)
@click.option(
    "--max-size",
    type=_Quantity("a size", parse_size, "5G or 500M"),
    metavar="SIZE",
    help="Remove what was not used for longest, until the rest has at most SIZE.  [default without AGE: the limit]",
)
@DRY_RUN
@JSON
def prune(older_than: float | None, max_size: float | None, dry_run: bool, as_json: bool) -> int:
    """Remove builds from the cache. The next run that needs one downloads it again.

    What another process is using stays, and what was used within the last hour. The updated catalogue and files that
    standalone-python did not create stay too.
    """
    root = default_root()
    if older_than is None and max_size is None:
        max_size = size_limit()
    removed: list[Entry] = []
    kept: list[Entry] = []
    freed = 0
    if root.exists():
        with use_cache(root):
            limit = None if max_size is None else int(max_size)
            for entry in chosen(entries(root), time.time(), older_than=older_than, max_size=limit):
                gone = time.time() - entry.used >= IN_USE if dry_run else remove(entry)
                (removed if gone else kept).append(entry)
            if older_than is not None and not dry_run:
                from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.deltas import remove_kept

                freed = remove_texts(root, older_than) + remove_kept(root / _DELTAS, max(older_than, IN_USE))
    freed += sum(entry.size for entry in removed)
    if as_json:
        output.data(
            {"dry_run": dry_run, "removed": [_data(one) for one in removed], "kept": [_data(one) for one in kept], "size": freed}
        )
        return DIFFERS if dry_run and removed else 0
    verb = "Would remove" if dry_run else "Removed"
    for entry in removed:
        output.line(f"{verb} {entry.build} ({output.size(entry.size)})")
    for entry in kept:
        output.line(f"Kept {entry.build} ({output.size(entry.size)}): it is in use, or was within the last hour")
    output.line(f"{verb} {output.size(freed)} from {root}" if freed else f"Nothing to remove from {root}")
    return DIFFERS if dry_run and removed else 0


@cache.command("deltas")
@DRY_RUN
@JSON
def deltas_(dry_run: bool, as_json: bool) -> int:
    """Make the deltas for an upgrade before it begins, so that its first hosts get them too.

    They lead to the newest build in the cache of each minor version, target and flavor, from each older one. Both payloads must
    be in the cache: nothing is downloaded. An interrupted command loses a few seconds of its work.
    """
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import delta, deltas

    delta.require_maker()
    root = default_root()
    made: list[dict[str, Any]] = []
    too_large: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    with use_cache(root) if root.exists() else nullcontext():
        for one in deltas.cached_upgrades(root):
            about = {"build": one.build.name, "base": one.base.name, "payload": one.payload.size}
            name, archive = f"{one.build} from {one.base.version}+{one.base.release}", one.build.sha256 or ""
            began, known = time.monotonic(), deltas.tried(one.payload, archive, one.base)
            if known is not None:
                (kept if known.size else too_large).append(about | {"size": known.size})
                continue
            if dry_run:
                made.append(about | {"size": None})
                text = f"Would make the delta to {name}"
            else:
                with task("Making the delta to", name):
                    new = deltas.make_beside(one.payload, archive, one.base, wait=None)
                if new is None:
                    raise TransportError(
                        f"the delta to {name} was not made: {root} is on a file system without locks, or lost the older payload; "
                        "check STANDALONE_PYTHON_CACHE, and run again"
                    )
                (made if new.size else too_large).append(about | {"size": new.size})
                text = (
                    f"Made the delta to {name}{output.within(time.monotonic() - began)}: {output.size(new.size)}, "
                    f"{new.size / one.payload.size:.0%} of the payload"
                    if new.size
                    else f"Left out the delta to {name}: it would have more than {deltas.LARGEST:.0%} of the payload's bytes"
                )
            if not as_json:
                output.step(text)
    total = sum(one["size"] or 0 for one in (*made, *kept))
    if as_json:
        output.data({"path": str(root), "dry_run": dry_run, "made": made, "too_large": too_large, "kept": kept, "size": total})
    elif not (made or too_large or kept):
        output.line(f"Nothing to make: {root} has no two payloads of one minor version, target and flavor")
    else:
        done = f"{len(made)} to make" if dry_run else f"{len(made)} made"
        rest = f"{len(kept)} in the cache before" + (f", {len(too_large)} too large" if too_large else "")
        output.paragraph(f"Deltas: {done}, {rest}, {output.size(total)} in {root}.")
    return DIFFERS if dry_run and made else 0


def _show(as_json: bool) -> int:
    root, limit = default_root(), size_limit()
    found: tuple[Entry, ...] = ()
    others: dict[str, int] = {}
    if root.exists():
        with use_cache(root):
            found = entries(root)
            folders = {"catalogue": CATALOGUE, "mirrors": _MIRRORS, "deltas": _DELTAS}
            others = {"texts": texts(root).size} | {name: size_of(root / folder) for name, folder in folders.items()}
    size = sum(entry.size for entry in found) + sum(others.values())
    if as_json:
        output.data(
            {"path": str(root), "size": size, "limit": limit, "builds": [_data(entry) for entry in found], "others": others}
        )
        return 0
    output.table(_COLUMNS, [_row(entry) for entry in found])
    names = {
        "texts": "checksums and other texts",
        "catalogue": "the updated catalogue",
        "mirrors": "unfinished syncs of mirrors in S3",
        "deltas": "unfinished deltas",
    }
    for name, number in others.items():
        if number:
            output.line(f"{names[name]}: {output.size(number)}")
    bound = "without a limit" if limit is None else f"of at most {output.size(limit)}"
    output.line(f"{output.size(size)} {bound} in {root}" if size else f"nothing is cached in {root}")
    return 0


def _row(entry: Entry) -> list[str]:
    build = entry.build
    return [
        f"{build.version}{f'+{build.variant}' if build.variant else ''}",
        build.release,
        build.triple,
        build.flavor,
        *(output.size(size) if size else "-" for size in (entry.payload, entry.download, entry.unfinished, entry.size)),
        time.strftime("%Y-%m-%d", time.localtime(entry.used)),
    ]


def _data(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.build.name,
        "path": str(entry.folder),
        "payload": entry.payload,
        "download": entry.download,
        "unfinished": entry.unfinished,
        "size": entry.size,
        "last_used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.used)),
    }
