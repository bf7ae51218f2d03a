# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a build gets to a host: sent by the controller, downloaded by the host, or from the host's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import progress
from .agents import sh
from .builds.catalogue import Build
from .errors import AgentError
from .state.declaration import Desired
from .state.failures import FAILURES
from .state.observed import Observed
from .state.step import Install

if TYPE_CHECKING:
    from .ensure import BuildProvider, Host


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


def own_files(observed: Observed, step: Install) -> sh.Delivery:
    receipt = next(one.receipt for one in observed.installed if one.name == step.build.name)
    if receipt is None:
        raise AssertionError(step)
    return sh.Own(step.moved, receipt.files_sha256, receipt.url, receipt.build.sha256 or "", receipt.attested)


def pulled(supply: BuildProvider, build: Build) -> sh.Pulled:
    """Return how a host downloads the archive of a build itself."""
    member = "python/install" if build.flavor == "full" else "python"
    urls, shown, sha256 = supply.urls(build), supply.shown_url(build), supply.sha256(build)
    return sh.Pulled(urls, build.compression, member, shown, sha256, supply.token_for_hosts, supply.attested(build))


def deliver(host: Host, desired: Desired, supply: BuildProvider, observed: Observed, step: Install) -> sh.Delivery:
    build = step.build
    if desired.delivery == "pull":
        return pulled(supply, build)
    payload = supply.payload(build, zstd="zstd" in observed.tools)
    # The unpacked size, plus a tenth for the file system's overhead.
    need_kb = payload.unpacked * 11 // 10 // 1024 + 1
    if observed.free_kb is not None and observed.free_kb < need_kb:
        raise AgentError(
            f"{build.name} needs {need_kb} kB below {observed.root}, where {observed.free_kb} kB are free: make room, "
            "or choose another root; the host is as it was",
            step="plan",
        )
    # Files besides the archive's own: staging, receipt, bytecode of the modules that the finisher imports.
    inodes = payload.inodes + 20
    if observed.free_inodes is not None and observed.free_inodes < inodes:
        raise AgentError(
            f"{build.name} needs {inodes} inodes below {observed.root}, where {observed.free_inodes} are free: "
            "remove files on that file system, or choose another root; the host is as it was",
            step="plan",
        )
    name = f"{build.name}.tar.{payload.compression}"
    with progress.task("Sending", name), progress.timed(progress.COMMANDS, f"send {name} to the host, {payload.size} bytes"):
        path = host.upload(payload.path, name)
    shown, sha256 = supply.shown_url(build), supply.sha256(build)
    return sh.Pushed(path, payload.sha256, payload.compression, need_kb, shown, sha256, inodes, supply.attested(build))
