# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands about what exists. None of them changes a host; only ``update`` asks the network, or a catalogue that is a URL."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import default_root
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, resolve
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.listing import Row, by_version, listed, overview
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVORS, Request, parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import (
    Target,
    for_level,
    from_facts,
    named_target,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    NoBuildError,
    StandalonePythonError,
    TransportError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.marks import mark
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.tables import DOCUMENT
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import known_tables, today
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.user_catalogue import About

from .. import output
from ..output import short_flavor, short_mark
from ..table import Column
from ..words import Group

_TARGET = click.option(
    "--target", metavar="TRIPLE", help="For this kind of host, such as aarch64-unknown-linux-musl.  [default: this machine]"
)
_SOURCE = click.option(
    "--source", metavar="SRC", default="upstream", help="Upstream, a mirror's URL or folder, or one archive.  [default: upstream]"
)
_CATALOGUE = click.option(
    "--catalogue",
    "known",
    metavar="CAT",
    default="",
    help="bundled, updated, a file, a folder or a URL.  [default: updated, where there was an update]",
)
_TRIPLE = Column("target", priority=2)
_COLUMNS = (
    Column("version"),
    Column("release"),
    Column("date", priority=6),
    Column("variant", priority=1),
    Column("flavor", priority=5, usual=FLAVORS[0], short=short_flavor),
    Column("size", right=True, priority=4),
    Column("advisories", priority=3, short=short_mark),
    Column("", priority=2, short=lambda newest: newest and "*"),
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(cls=Group)
def catalogue() -> None:
    """What exists: builds for a request and a kind of host, and how new what is known of them is.

    Hosts get what the bundled catalogue has, so that a declaration means the same everywhere, until it says catalogue: updated.
    """


@catalogue.command("list")
@click.argument("request", default="")
@click.option(
    "--target",
    "targets",
    metavar="TRIPLE",
    multiple=True,
    help="For this kind of host, such as aarch64-unknown-linux-musl; may be given several times.  [default: this machine]",
)
@_SOURCE
@_CATALOGUE
@_JSON
def list_(request: str, targets: tuple[str, ...], source: str, known: str, as_json: bool) -> int:
    """List the builds that REQUEST means, newest first; the one that a host would get is marked.

    A request is such as 3.13, 3.13.1, '>=3.12,<3.14', 3.13t, 3.13+debug, 3.13+v3 or 3.13+auto, and '>=3' is all final versions.
    Without one, the newest build of each minor version and variant is listed. A date is the release's name. `-` means unknown.

    With several targets the table has a line for each version and a column for each target, with the newest release of that
    version there; `-` means that there is none, and `*` marks the build that a host would get.
    """
    supply = _supply(source, known)
    if len(targets) > 1:
        return _compare(request, tuple(dict.fromkeys(targets)), supply, as_json=as_json)
    target = targets[0] if targets else None
    kind = _target(target)
    rows = _rows(request, kind, target, supply)
    if as_json:
        output.data(
            {
                "target": target or kind.triple,
                "catalogue": supply.catalogue.name,
                "builds": [_told(row, supply) for row in rows],
            }
        )
        return 0
    triples = sorted({row.build.triple for row in rows})
    several = len(triples) > 1
    cells = [((row.build.triple, *_columns(row, supply)) if several else _columns(row, supply)) for row in rows]
    output.table((_TRIPLE, *_COLUMNS) if several else _COLUMNS, cells, ["green" if row.newest else None for row in rows])
    # Beside the table, which a program may read.
    output.line(f"for {', '.join(triples)}, of {supply.catalogue.name}, advisories of {supply.tables.date}", err=True)
    output.tell_remarks(supply.remarks)
    return 0


def _compare(request: str, targets: tuple[str, ...], supply: Supply, *, as_json: bool) -> int:
    """Print the versions that several targets have.

    :raises NoBuildError: none of them has a build that satisfies the request
    """
    found: dict[str, tuple[Row, ...]] = {}
    missing: list[NoBuildError] = []
    for target in targets:
        try:
            found[target] = _rows(request, named_target(target), target, supply)
        except NoBuildError as error:
            found[target] = ()
            missing.append(error)
    if len(missing) == len(targets):
        raise missing[0]
    if as_json:
        builds = {target: [_told(row, supply) for row in rows] for target, rows in found.items()}
        output.data({"targets": list(targets), "catalogue": supply.catalogue.name, "builds": builds})
        return 0
    columns = [Column("version", short=_short_variant), *(Column(target, short_name=_short_triple(target)) for target in targets)]
    output.table(columns, by_version(tuple(found.values())))
    output.line(f"releases of {supply.catalogue.name}", err=True)
    output.tell_remarks(supply.remarks)
    return 0


def _rows(request: str, kind: Target, target: str | None, supply: Supply) -> tuple[Row, ...]:
    asked = _asked(request or "3", kind, target)
    return listed(asked, kind, supply.catalogue) if request else overview(kind, supply.catalogue, asked.level)


def _short_variant(version: str) -> str:
    """Return the shorter request that means the same."""
    return version.replace("+freethreaded", "t")


def _short_triple(triple: str) -> str:
    """Return a triple without its vendor, which tells no two targets apart."""
    return triple.replace("-unknown-", "-").replace("-apple-", "-").replace("-pc-", "-")


@catalogue.command()
@click.argument("request", default="")
@_TARGET
@_SOURCE
@_CATALOGUE
@_JSON
def show(request: str, target: str | None, source: str, known: str, as_json: bool) -> int:
    """Show all about the one build that a host gets for REQUEST; without one, which catalogues there are and how old they are."""
    facts = _of_build(request, target, source, known) if request else _of_catalogues()
    if as_json:
        output.data(facts)
        return 0
    if isinstance(facts.get("advisories"), dict):
        facts["advisories"] = ", ".join(f"{number} {severity}" for severity, number in facts["advisories"].items())
    width = max(map(len, facts))
    for name, value in facts.items():
        output.line(f"{name.ljust(width)}  {'-' if value in ('', None) else value}")
    return 0


@catalogue.command()
@click.option(
    "--from",
    "where",
    metavar="SRC",
    default="upstream",
    help="Upstream, or a mirror: a URL of GitHub's or Astral's list of releases or of a catalogue; a file; a folder of releases.",
)
@click.option(
    "--advisories",
    "document",
    metavar="SRC",
    help="The tables of advisories: a URL or a file.  [default: advisories.json beside --from, or of the publisher's release]",
)
@_JSON
def update(where: str, document: str | None, as_json: bool) -> int:
    """Read what upstream has released, and keep it for `catalogue: updated`.

    Upstream's releases on GitHub are asked, on condition that they changed; each new release's SHA256SUMS has to agree. Without a
    token GitHub answers 60 times an hour: GITHUB_TOKEN, which is sent to GitHub only, lets it answer more. Where it
    doesn't, Astral's own list of versions is asked, which has no sizes. A checksum that is not what it was is an error. Where
    neither can be had, what is known stays, and how old it is is said.

    The tables of advisories are updated too, if a mirror or the publisher of standalone-python has newer ones.
    """
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import is_local
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.update import add_catalogue, update_catalogue

    root = default_root()
    try:
        if is_local(where):
            done = add_catalogue(root, Supply.of(catalogue=where).catalogue, os.path.abspath(os.path.expanduser(where)))
        else:
            from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http

            done = update_catalogue(root, Http(location="" if where == "upstream" else where), where)
    except TransportError as error:
        raise TransportError(f"{error}; what is known is as before: {_age()}") from None
    new_tables, remark = _update_tables(root, where, document)
    told = {
        "source": done.about.source,
        "releases": done.releases,
        "added": done.added,
        "filled": done.filled,
        "newest": _newest("updated"),
        "advisories": known_tables(root).tables.date,
    }
    output.tell_remarks(filter(None, [remark]))
    if as_json:
        output.data(told)
    else:
        output.line(
            f"{done.releases} releases read from {done.about.source}: {done.added} builds are new, {done.filled} checksums were "
            f"filled in; the newest release is {told['newest']}; declarations use it with catalogue: updated"
        )
        output.line(f"advisories of {told['advisories']}{', which are new' if new_tables else ''}")
    return 0


def _update_tables(root: Path, where: str, document: str | None) -> tuple[bool, str]:
    """Update the tables of advisories; return whether there are new ones, and why they could not be read.

    :raises StandalonePythonError: those that the user named can't be read
    """
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.failure import NotThereError
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http
    from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.texts import local_path, read_text
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import is_local
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.known_tables import keep_tables
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.update import update_tables

    place = document or _document_beside(where)
    if not place:
        return False, ""
    try:
        if not is_local(place):
            return update_tables(root, Http(location="" if where == "upstream" else place), place) is not None, ""
        path = local_path(place)
        if not document and not path.exists():
            return False, ""
        return keep_tables(root, read_text(path, "document"), place) is not None, ""
    except NotThereError:
        if document:
            raise
        return False, ""
    except StandalonePythonError as error:
        if document:
            raise
        return False, f"{error}; the tables of {known_tables(root).tables.date} stay in use"


def _document_beside(where: str) -> str:
    """Return where the tables of advisories are that belong to a list of builds; empty if that is unknown."""
    from urllib.parse import urljoin

    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import is_local

    if where == "upstream":
        repository = _publisher()
        return f"{repository}/releases/latest/download/{DOCUMENT}" if repository else ""
    if not is_local(where):
        return urljoin(where, DOCUMENT)
    path = os.path.expanduser(where)
    return os.path.join(path if os.path.isdir(path) else os.path.dirname(path), DOCUMENT)


def _publisher() -> str:
    """Return the URL of the repository that this release was built from; empty for a build from a clone."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        links = metadata("standalone-python").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    return next((url for label, _comma, url in (link.partition(", ") for link in links) if label == "Repository"), "")


def _supply(source: str, known: str) -> Supply:
    return Supply.of(source=source, catalogue=known or ("updated" if source == "upstream" and _updated() else "bundled"))


def _updated() -> About | None:
    from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.user_catalogue import about

    return about(default_root())


def _target(triple: str | None) -> Target:
    """What a triple says, or what this machine is."""
    if triple:
        return named_target(triple)
    # Imported here, because a triple makes them needless.
    from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import observe
    from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import observing

    from ..local import LocalHost

    # Only what kind of host this is matters, and not what is installed.
    nowhere = observing({"root": "/dev/null/root", "bin_dir": "/dev/null/bin"})
    with LocalHost() as host:
        return from_facts(observe(host, nowhere, facts="yes").facts)


def _asked(request: str, kind: Target, target: str | None) -> Request:
    """A triple that was given says the CPU level too; of this machine's own, only a request does."""
    return for_level(parse_request(request), kind) if target else parse_request(request)


def _columns(row: Row, supply: Supply) -> tuple[str, ...]:
    build = row.build
    size = _size(build, supply)
    return (
        str(build.version),
        build.release,
        _date(build.release),
        build.variant or "-",
        build.flavor,
        f"{size / 1e6:.1f} MB" if size else "-",
        mark(build, supply.assess).words(today()) or "-",
        "newest" if row.newest else "",
    )


def _told(row: Row, supply: Supply) -> dict[str, Any]:
    return _about(row.build, supply) | {"newest": row.newest}


def _about(build: Build, supply: Supply) -> dict[str, Any]:
    return {
        "version": str(build.version),
        "release": build.release,
        "date": _date(build.release),
        "target": build.triple,
        "variant": build.variant,
        "flavor": build.flavor,
        "filename": build.filename,
        "url": supply.shown_url(build),
        "sha256": build.sha256,
        "size": _size(build, supply),
        **asdict(mark(build, supply.assess)),
    }


def _size(build: Build, supply: Supply) -> int | None:
    """Bytes: what the catalogue says, or what a file here has; None where nobody says."""
    if build.size or supply.source.kind not in ("folder", "archive"):
        return build.size
    try:
        return os.stat(os.path.expanduser(supply.shown_url(build))).st_size
    except OSError:
        return None


def _of_build(request: str, target: str | None, source: str, known: str) -> dict[str, Any]:
    supply, kind = _supply(source, known), _target(target)
    build = resolve(_asked(request, kind, target), kind, supply.catalogue)
    return _about(build, supply) | {"options": build.options, "name": build.name, "catalogue": supply.catalogue.name}


def _of_catalogues() -> dict[str, Any]:
    told = _updated()
    return {
        "bundled": f"newest release {_newest('bundled')}",
        "updated": f"newest release {_newest('updated')}, {_ago(told)}" if told else f"never, in {default_root()}",
        "listed": "updated" if told else "bundled",
        "advisories": f"of {known_tables().tables.date}",
    }


def _ago(told: About) -> str:
    days = (datetime.now(UTC).date() - date.fromisoformat(told.day)).days
    ago = "today" if days == 0 else f"{days} days ago" if days > 1 else "yesterday"
    return f"updated on {told.day} ({ago}) from {told.source}"


def _age() -> str:
    """How old what is known is, in words."""
    if told := _updated():
        return f"newest release {_newest('updated')}, {_ago(told)}"
    return f"the bundled catalogue, newest release {_newest('bundled')}"


def _newest(which: str) -> str:
    """The newest release that a catalogue knows; rows begin with it."""
    known = Supply.of(catalogue=which).catalogue
    return max((line[:8] for minor in known.minors for line in known.read(minor).splitlines()), default="none")


def _date(release: str) -> str:
    return f"{release[:4]}-{release[4:6]}-{release[6:]}"
