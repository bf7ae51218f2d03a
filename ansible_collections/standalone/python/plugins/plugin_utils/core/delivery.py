# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a build gets to a host: sent by the controller, downloaded by the host, or from the host's own files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from . import progress
from .agents import sh
from .builds.catalogue import Build
from .builds.request import Request
from .errors import AgentError
from .state.declaration import Desired
from .state.failures import FAILURES
from .state.observed import Observed
from .state.step import Install

if TYPE_CHECKING:
    from pathlib import Path

    from .archives.deltas import Delta
    from .archives.store import Payload
    from .supply.published import Published


class Receiver(Protocol):
    """A host that can be sent a file: see ``ensure.Host``."""

    def upload(self, path: Path, name: str) -> str: ...


class BuildProvider(Protocol):
    """Provides the builds of one declaration."""

    def resolve(self, request: Request, facts: Mapping[str, str], current: Build | None = None) -> Build: ...

    def payload(self, build: Build, *, zstd: bool) -> Payload: ...

    def urls(self, build: Build) -> tuple[str, ...]: ...

    def sha256(self, build: Build) -> str: ...

    def assumption(self, builds: Iterable[Build]) -> str: ...

    def shown_url(self, build: Build) -> str: ...

    def attested(self, build: Build) -> str: ...

    def published(self, build: Build, bases: Iterable[Build]) -> tuple[Build, Published, tuple[str, ...]] | None: ...

    @property
    def token_for_hosts(self) -> str: ...


# What can turn out to be unfit on the host -> the steps of an agent that fail then, before anything is changed.
_MADE_OF: Mapping[type, tuple[str, ...]] = {sh.Own: ("copying", "finishing"), sh.Delta: ("downloading", "rebuilding")}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def in_doubt(step: str, deliveries: Mapping[str, sh.Delivery]) -> set[str]:
    """Return the builds that were to be made of what the host has, if an agent failed in such a step; else nothing."""
    made = {name: delivery for name, delivery in deliveries.items() if type(delivery) in _MADE_OF}
    steps = {f"{doing} {name}" for name, delivery in made.items() for doing in _MADE_OF[type(delivery)]}
    return set(made) if step in steps else set()


def check_pull_tools(desired: Desired, supply: BuildProvider, observed: Observed, build: Build) -> None:
    """Check that the host has the programs for ``delivery: pull``, before anything is downloaded.

    :raises AgentError: the host lacks a program
    """
    if build.compression == "zst" and "zstd" not in observed.tools:
        raise AgentError(
            f"{build.filename} is compressed with zstd, which the host doesn't have, and delivery is pull: "
            "install zstd on the host, or use delivery: push, which sends it as gzip",
            step="plan",
        )
    if desired.windows or "curl" in observed.tools:
        return
    secret = supply.token_for_hosts or set(desired.source.partition("://")[2]) & set("@?")
    if "wget" not in observed.tools:
        raise AgentError(f"{FAILURES['nodownload']}; the host is as it was", step="plan")
    if secret and observed.facts.get("wget") != "gnu":
        raise AgentError(f"{FAILURES['tokenwget']}; the host is as it was", step="plan")


def pulled(supply: BuildProvider, build: Build) -> sh.Pulled:
    """Return how a host downloads the archive of a build itself."""
    member = "python/install" if build.flavor == "full" else "python"
    urls, shown, sha256 = supply.urls(build), supply.shown_url(build), supply.sha256(build)
    return sh.Pulled(urls, build.compression, member, shown, sha256, supply.token_for_hosts, supply.attested(build))


def _pulled_delta(supply: BuildProvider, observed: Observed, build: Build) -> sh.Delta | None:
    """Return how a host downloads a delta of the mirror, if it has a build that the mirror has a delta from."""
    bases = _bases(observed, build)
    found = supply.published(build, bases) if bases else None
    if found is None:
        return None
    base, one, urls = found
    progress.trace(progress.COMMANDS, f"the host downloads {one.name}, {one.size} bytes, instead of the whole archive")
    return sh.Delta(
        "",
        one.sha256,
        base.name,
        one.tar,
        one.need_kb,
        supply.shown_url(build),
        one.archive,
        one.inodes,
        supply.attested(build),
        urls,
        supply.token_for_hosts,
    )


def deliver(
    host: Receiver,
    desired: Desired,
    supply: BuildProvider,
    observed: Observed,
    step: Install,
    *,
    fleet: int = 0,
    whole: bool = False,
) -> sh.Delivery:
    """Bring a build to the host, or return how the host gets it.

    :param fleet: as for :func:`ensure.ensure`
    :param whole: use nothing that the host has
    """
    if step.moved and not whole and not desired.windows:
        return _own_files(observed, step)
    build = step.build
    if desired.delivery == "pull":
        shared = not (whole or desired.image)
        return (_pulled_delta(supply, observed, build) if shared else None) or pulled(supply, build)
    payload = supply.payload(build, zstd="zstd" in observed.tools)
    from .archives.store import room

    need_kb, inodes = room(payload)
    if observed.free_kb is not None and observed.free_kb < need_kb:
        raise AgentError(
            f"{build.name} needs {need_kb} kB below {observed.root}, where {observed.free_kb} kB are free: make room, "
            "or choose another root; the host is as it was",
            step="plan",
        )
    if observed.free_inodes is not None and observed.free_inodes < inodes:
        raise AgentError(
            f"{build.name} needs {inodes} inodes below {observed.root}, where {observed.free_inodes} are free: "
            "remove files on that file system, or choose another root; the host is as it was",
            step="plan",
        )
    shown, sha256, attested = supply.shown_url(build), supply.sha256(build), supply.attested(build)
    shares = fleet and not (whole or desired.image)
    found = _delta(observed, build, sha256, payload, fleet) if shares else None
    if found is not None:
        base, delta = found
        instead = f", {delta.size} bytes instead of {payload.size}"
        path = _send(host, delta.path, f"{build.name}.delta", instead)
        return sh.Delta(path, delta.sha256, base, delta.tar, need_kb, shown, sha256, inodes, attested)
    path = _send(host, payload.path, f"{build.name}.tar.{payload.compression}", f", {payload.size} bytes")
    return sh.Pushed(path, payload.sha256, payload.compression, need_kb, shown, sha256, inodes, attested, payload.split)


def _own_files(observed: Observed, step: Install) -> sh.Delivery:
    receipt = next(one.receipt for one in observed.installed if one.name == step.build.name)
    if receipt is None:
        raise AssertionError(step)
    return sh.Own(step.moved, receipt.files_sha256, receipt.url, receipt.build.sha256 or "", receipt.attested)


def _send(host: Receiver, path: Path, name: str, size: str) -> str:
    with progress.task("Sending", name), progress.timed(progress.COMMANDS, f"send {name} to the host{size}"):
        return host.upload(path, name)


def _delta(observed: Observed, build: Build, archive: str, payload: Payload, fleet: int) -> tuple[str, Delta] | None:
    """Return the name of an installed build, and the delta from it to ``build``. If the cache has no delta, begin to make one."""
    bases = _bases(observed, build)
    if not bases:
        return None
    from .archives import deltas

    for base in bases:
        if delta := deltas.find(payload, archive, base):
            return base.name, delta
    deltas.begin(payload, archive, bases[0], fleet)
    return None


def _bases(observed: Observed, build: Build) -> list[Build]:
    """Return the sound builds on the host that differ from ``build`` in patch version and release only, newest first."""
    from .builds.kinds import kind_of

    found = []
    for installed in observed.installed:
        receipt = installed.receipt
        if receipt is None or not receipt.started or installed.problem or installed.foreign or installed.untrusted:
            continue
        # The checksum names a folder in the cache.
        sha256 = receipt.build.sha256 or ""
        if kind_of(installed.build) == kind_of(build) and _SHA256.fullmatch(sha256):
            found.append(replace(installed.build, sha256=sha256))
    return sorted(found, key=lambda one: (one.version, one.release), reverse=True)
