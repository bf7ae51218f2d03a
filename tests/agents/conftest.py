# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test of this folder that asks for a shell runs in each of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import engines
from tests.agents.place import SHELLS, Shell, needed
from tests.tools.windows import HERE

pytest.register_assert_rewrite("tests.agents.contract")


@pytest.fixture(params=SHELLS, ids=lambda shell: shell.name)
def shell(request: pytest.FixtureRequest) -> Shell:
    chosen = request.param
    assert isinstance(chosen, Shell)
    needed(chosen.command[0])
    return chosen


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder that any user may look into, which pytest's own are not."""
    # By its whole name: Windows gives the folder of temporary files by a short one, and the agents say the other.
    folder = Path(tempfile.mkdtemp(prefix="disk-")).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=os.name == "nt")


@pytest.fixture(scope="session", params=engines.NAMES)
def powershell(request: pytest.FixtureRequest) -> Shell:
    """PowerShell's own engine; on Windows each PowerShell that it has."""
    return engines.of_windows(request.param) if HERE else engines.of_this_machine()
