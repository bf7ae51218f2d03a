# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman, with images made of the test hosts' file systems: no registry is asked, and nothing of a user's own Podman is touched.

What is in its configuration is for machines in which Podman is one more layer: the network of the machine, no more than the
limits there are, and a runtime that takes control groups of both versions. An engine shares no locks with another one: by default
those are in the memory of the machine, and a Podman that finds another's there can wait for itself.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.tools.hosts import unavailable as no_hosts
from tests.tools.hosts.bases import bases

CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/tmp"
runtime = "runc"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/kept"
runroot = "{folder}/run"
"""
# What Molecule's scenarios call an image -> the file system that it is made of.
DEBIAN = "docker.io/library/debian:bookworm-slim"
IMAGES = {DEBIAN: "debian", "docker.io/library/alpine:latest": "musl"}


@functools.cache
def unavailable() -> str:
    """Why there are no containers here; empty where there are. One is started to find that out."""
    if reason := no_hosts():
        return reason
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:
        environment = {**os.environ, **_environment(Path(folder))}
        try:
            command = ["podman", "run", "--rm", "--rootfs", f"{bases() / 'musl'}:O", "/bin/true"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "needs Podman: it is not installed (tests/packages.txt names the packages)"
        _clear(environment)
    return f"needs Podman: it starts no container here: {done.stderr.strip()[-300:]}" if done.returncode else ""


@contextmanager
def engine(images: Mapping[str, str] = IMAGES) -> Iterator[Mapping[str, str]]:
    """The environment in which ``podman`` has these images; all that was made with it goes at the end."""
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:
        own = _environment(Path(folder))
        environment = {**os.environ, **own}
        try:
            for name, base in images.items():
                with subprocess.Popen(
                    ["tar", "-C", bases() / base, "--exclude=./dev/*", "-c", "."], stdout=subprocess.PIPE
                ) as packed:
                    subprocess.run(
                        ["podman", "import", "--quiet", "-", name],
                        stdin=packed.stdout,
                        env=environment,
                        capture_output=True,
                        check=True,
                    )
            yield own
        finally:
            _clear(environment)


def _environment(folder: Path) -> dict[str, str]:
    (folder / "containers.conf").write_text(CONFIGURATION.format(folder=folder))
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    return {"CONTAINERS_CONF": f"{folder}/containers.conf", "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}


def _clear(environment: Mapping[str, str]) -> None:
    for words in (["rm", "--all", "--force", "--time", "0"], ["rmi", "--all", "--force"]):
        subprocess.run(["podman", *words], env=environment, capture_output=True, check=False)
    # Where it has mounted its own storage, as a rule in the background.
    kept = Path(environment["CONTAINERS_STORAGE_CONF"]).parent / "kept/overlay"
    subprocess.run(["umount", kept], capture_output=True, check=False)
