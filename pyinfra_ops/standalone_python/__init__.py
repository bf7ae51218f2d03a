# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python-build-standalone interpreters on hosts, for pyinfra: the operations `interpreters` and `report`, the fact
`Interpreters`, and the deploy `prepare` for hosts that have no Python.

What they decide, the project's core decides; it is the same for every front end.
"""

from __future__ import annotations

from .deploys import prepare
from .facts import Interpreters
from .operations import BuildRequest, interpreters, report

__all__ = ["BuildRequest", "Interpreters", "interpreters", "prepare", "report"]
