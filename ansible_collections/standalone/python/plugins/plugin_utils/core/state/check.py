# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a full check of a build found, as one line that a host keeps for quick looks that come later. No I/O.

A quick look does not see that a file was changed. So it says what the last full check found, until the next one or a repair.
The line names the installation that was checked. A build that was installed anew has none, whatever its folder is called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import sanitized
from ..lazy import lazy_dataclass
from .paths import joined
from .receipt import Receipt

_AT = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z")
_CLEAN = "clean"
# What pip changes when it upgrades itself or another package that the build brings.
_USERS = r"lib/python3\.[0-9]+t?/site-packages/|Lib/site-packages/|Scripts/|bin/pip[0-9.]*$"


@lazy_dataclass(frozen=True)
class Check:
    """
    :ivar at: when, in UTC, such as 2026-11-28T19:40:00Z, by the controller's clock
    :ivar damage: what was wrong, in words; empty if every file was as it was installed
    """

    at: str
    damage: str = ""


def check_line(check: Check, receipt: Receipt) -> str:
    """Return the line that a host keeps."""
    return f"{check.at} {_installation(receipt)} {sanitized(check.damage) or _CLEAN}"


def parse_check(line: str, receipt: Receipt | None) -> Check | None:
    """Read the line of a host; None if it is not whole, or is about another installation than the receipt's."""
    at, _space, rest = line.partition(" ")
    installation, _space, found = rest.partition(" ")
    if receipt is None or not found or not _AT.fullmatch(at) or installation != _installation(receipt):
        return None
    return Check(at, "" if found == _CLEAN else sanitized(found))


def _installation(receipt: Receipt) -> str:
    """Return what distinguishes an installation from any other of the same build, without spaces and control characters."""
    return sanitized(f"{receipt.installed_at}/{receipt.files_sha256}").replace(" ", "_")


def damage_of(damaged: Sequence[str], list_sha256: str | None, receipt: Receipt | None) -> str:
    """Return what a full check found, in words; empty if every file is as it was installed.

    :param damaged: the paths of files that are not as they are in the list; users may change some of them
    :param list_sha256: begins with the checksum of the list itself; None if nobody read it
    """
    if receipt is None:
        return ""
    if changed := [path for path in damaged if receipt.finish.externally_managed or not re.match(_USERS, path)]:
        return f"its files differ from what was installed: {joined(changed)}"
    intact = list_sha256 is None or list_sha256.startswith(receipt.files_sha256)
    return "" if intact else "its list of files is not the one that was installed"
