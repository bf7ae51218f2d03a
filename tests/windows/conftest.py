# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test has a Windows host, on which nothing is left when it ends; its shell is PowerShell, unless the test names another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.windows_hosts import WindowsHosts
from tests.windows.support import Host

_numbers = iter(range(1000))


@pytest.fixture
def host(request: pytest.FixtureRequest, windows_hosts: WindowsHosts, windows_source: Path) -> Iterator[Host]:
    shell = getattr(request, "param", "powershell")
    one = Host(windows_hosts, windows_hosts.number(shell, next(_numbers)), windows_source)
    yield one
    for root in one.roots:
        one.declare(exclusive=True, keep=0, **({"root": root} if root else {}))
