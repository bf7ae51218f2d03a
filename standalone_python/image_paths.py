# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths in an image's unpacked root."""

from __future__ import annotations

import os

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError

_MOST_LINKS = 40  # the kernel's limit for one path


def path_in_image(image: str, path: str) -> str:
    """Return where an absolute path of an image lies on this machine.

    Links are followed as the image's own machine would: an absolute link starts at the image's root, and ``..`` doesn't leave it.
    No part of the path that is returned is a link.

    :param image: a folder, with no link on the way to it
    :raises TransportError: links lead in a circle
    """
    done: list[str] = []
    left = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            del done[-1:]
            continue
        current = "/".join((image, *done, part))
        if not os.path.islink(current):
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise TransportError(f"{path} in the image {image} is a link that leads in a circle, {current}: correct it first")
        target = os.readlink(current)
        if target.startswith("/"):
            done.clear()
        left += [part for part in reversed(target.split("/")) if part not in ("", ".")]
    return "/".join((image, *done))
