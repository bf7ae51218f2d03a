# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test has a Windows host, on which nothing is left when it ends.

Plays take turns between the shells that the host answers with, cmd and PowerShell: whatever a test declares, looks at and cleans up is
done over both, and what one shell did the other finds. The first play is cmd's, unless the test names the first; `over_both_shells`
makes a test begin once with each, so that each of its plays is done over each shell. Here it is seen that no test did all over one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.windows_hosts import WindowsHosts
from tests.windows.support import Host

_numbers = iter(range(1000))


@pytest.fixture
def host(request: pytest.FixtureRequest, windows_hosts: WindowsHosts, windows_source: Path) -> Iterator[Host]:
    machine = windows_hosts.machines[next(_numbers) % len(windows_hosts.machines)]
    one = Host(windows_hosts, machine, windows_source, first=getattr(request, "param", "cmd"))
    yield one
    for root in one.roots:
        # What is empty already is only cleaned up where the test has had no turn of the other shell.
        if not one.is_empty(root) or len(one.played) < len(machine.names):
            one.declare(exclusive=True, keep=0, **({"root": root} if root else {}))
    one.remove_root()
    assert len(one.played) != 1 or len(machine.names) == 1, "all that the test did on the host it did over one shell"
