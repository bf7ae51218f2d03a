# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a full check found, recorded on the host, so that quick looks and other front ends know it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from .agents import sh
from .errors import sanitized
from .state.check import Check, check_line
from .state.declaration import Desired
from .state.observed import Observed
from .state.paths import native


class Answer(Protocol):
    """What a host printed."""

    @property
    def output(self) -> str: ...

    @property
    def errors(self) -> str: ...


def remember(
    run: Callable[[str], Answer], desired: Desired, observed: Observed, *, environment: Mapping[str, str] = sh.NOTHING
) -> tuple[Observed, str]:
    """Record on the host what a full check found; do nothing after a quick look.

    :param run: runs a script on the host

    Returns the host with the time of the check, and why it could not be recorded, in words; else empty.
    """
    if desired.verify != "full":
        return observed, ""
    # What a quick look finds as well needs no record.
    checked = [i for i in observed.installed if i.receipt and not i.foreign and (i.damage or not i.problem)]
    if not checked:
        return observed, ""
    if observed.root_exposed:
        return observed, observed.root_exposed
    if observed.root_state != "writable":
        return observed, f"this user can't write to {native(observed.root)}"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    records = {i.name: check_line(Check(now, i.damage), i.receipt) for i in checked if i.receipt}
    root = desired.image.root if desired.image else observed.root
    answer = run(_script(desired, root, records, environment))
    if sh.REMEMBERED not in answer.output.splitlines():
        reason = " ".join((answer.output or answer.errors).split())
        return observed, sanitized(reason) or "the host did not answer"
    installed = (replace(i, checked_at=now) if i.name in records else i for i in observed.installed)
    return replace(observed, installed=tuple(installed)), ""


def _script(desired: Desired, root: str, records: Mapping[str, str], environment: Mapping[str, str]) -> str:
    if not desired.windows:
        return sh.remembering(root, records, environment)
    # Imported only for Windows hosts.
    from .agents import powershell

    return powershell.remembering(root, records)
