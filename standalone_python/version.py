# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of this command line."""

from __future__ import annotations

import os

_METADATA = "../ansible_collections/standalone/python/galaxy.yml"


def version() -> str:
    """Return the version in ``galaxy.yml``, which is the version of the wheel too.

    Importing ``importlib.metadata`` takes as long as three interpreters need to start.
    """
    with open(os.path.join(os.path.dirname(__file__), _METADATA), encoding="utf-8") as file:
        return next(line.partition(": ")[2].strip() for line in file if line.startswith("version: "))
