# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that packages of Debian bring."""

from __future__ import annotations

import shutil
import sys

import pytest


def program(name: str, package: str) -> str:
    """Return the path of a program that a package brings; without it the test is skipped."""
    found = shutil.which(name)
    if found is None and sys.platform != "linux":
        pytest.skip(f"needs Linux: {name} comes from Debian's package {package}")
    if found is None:
        pytest.skip(f"needs packages: {name} is not installed (tests/packages.txt names the package)")
    return found
