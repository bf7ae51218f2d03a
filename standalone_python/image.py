# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of another machine, changed offline: none of its programs is started, and links never lead out of it.

The agents run in this machine's shell, on the folders of the image. This machine's Python finishes the builds, and their
receipts say that they were not started.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import replace

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import CERTIFICATES
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import (
    MACHINES,
    SYSTEMS,
    Target,
    cpu_level,
    named_target,
    parse_triple,
    to_facts,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.digits import whole_number
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError, TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, OfflineImage

from .image_paths import path_in_image
from .local import ImageHost, LocalHost

_CERTIFICATE = (b"-----BEGIN CERTIFICATE-----", b"-----BEGIN TRUSTED CERTIFICATE-----")


def image_host(folder: str, triple: str, *, to_install: bool) -> ImageHost | OfflineImageHost:
    """Return the image as a host: entered with chroot if this machine and its user can, else offline.

    :param triple: the kind of the image's machine; empty if unknown
    :param to_install: builds may have to be chosen, which needs the kind of machine
    :raises StandalonePythonError: with a sentence for the user
    """
    image = ImageHost(folder)
    # Start nothing in an image of another kind: its shell may be for another system.
    if triple and not runs_here(triple):
        return OfflineImageHost(folder, triple)
    why, unready = image.barred()
    if why and not triple and (to_install or unready):
        raise TransportError(why)
    return OfflineImageHost(folder, triple) if why else image


class OfflineImageHost(LocalHost):
    """The unpacked root of an image that this machine can't enter, or that its user may not.

    :param triple: the kind of the image's machine; may be empty if nothing is installed
    :raises TransportError: it is not a folder
    :raises DeclarationError: the triple is not valid, or not of Linux
    """

    def __init__(self, folder: str, triple: str = "") -> None:
        super().__init__()
        self._image = os.path.realpath(folder).rstrip("/")
        self._target: Target | None = named_target(triple) if triple else None
        if self._target and self._target.os != "linux":
            raise DeclarationError(
                f"the image {folder} can't be changed offline for {triple}, as offline images must be of Linux: run this "
                "on such a machine, without --root-dir"
            )

    def placed(self, desired: Desired) -> Desired:
        """Return the declaration with the paths of its folders on this machine, and the numbers of its accounts in the image.

        :raises DeclarationError: the declaration is not possible in this image
        """
        for name, path in (("root", desired.root), ("bin_dir", desired.bin_dir)):
            if path.startswith("~"):
                raise DeclarationError(f"{name} is {path}, but ~ is unknown in an offline image: use an absolute path")
        finishes = (desired.finish, *desired.finishes.values())
        trusts = any(finish.certificates == "system" for finish in finishes)
        return replace(
            desired,
            image=OfflineImage(
                root=path_in_image(self._image, desired.root),
                bin_dir=path_in_image(self._image, desired.bin_dir),
                python=sys.executable,
                facts=to_facts(self._target) if self._target else {},
                uid=self._number("passwd", "user", next((one.owner for one in finishes if one.owner), "")),
                gid=self._number("group", "group", next((one.group for one in finishes if one.group), "")),
                certificates=self._certificates() if trusts else "",
            ),
        )

    def _certificates(self) -> str:
        """Return the first file of trusted certificates in the image, as the image's host names it.

        :raises DeclarationError: it has none
        """
        for path in CERTIFICATES:
            try:
                with open(path_in_image(self._image, path), "rb") as file:
                    if any(line.startswith(_CERTIFICATE) for line in file):
                        return path
            except (OSError, TransportError):
                continue
        raise DeclarationError(
            f"the image {self._image} has no certificate in {', '.join(CERTIFICATES)}: install its package ca-certificates "
            "first, or use certificates: build"
        )

    def _number(self, file: str, kind: str, account: str) -> str:
        """Return the number of an account, from the image's own files."""
        if not account or whole_number(account) is not None:
            return account
        try:
            with open(path_in_image(self._image, f"/etc/{file}"), encoding="utf-8", errors="surrogateescape") as lines:
                for line in lines:
                    name, _password, number, *_rest = [*line.rstrip("\n").split(":"), "", ""]
                    if name == account and whole_number(number) is not None:
                        return number
        except OSError:
            pass
        raise DeclarationError(
            f"the image {self._image} has no {kind} {account} in its /etc/{file}: add it there first, or use the number"
        )


def runs_here(triple: str) -> bool:
    """Return whether this machine's kernel and CPU run programs for a triple. The C library is not checked.

    :raises DeclarationError: the triple is not valid
    """
    target = parse_triple(triple)
    machine = MACHINES.get(platform.machine().lower(), "")
    if target.os != SYSTEMS.get(platform.system().lower()):
        return False
    if target.arch != machine:
        return (machine, target.arch) == ("x86_64", "i686")
    return target.level <= max(1, _level())


def _level() -> int:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next((cpu_level(line.partition(":")[2]) for line in lines if line.startswith("flags")), 1)
    except OSError:
        return 1
