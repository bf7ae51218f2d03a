# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away SSH hosts without Python on this machine, for end-to-end tests and benchmarks.

Each host has a root of its own (an overlay over a file system of its kind), namespaces of its own for mounts,
processes and the host name, and an OpenSSH server on 127.N.M.K with key login for root, deploy and plain. It
takes root and Linux namespaces. It never installs anything on the machine nor changes its mounts, and is
reached over the loopback interface only.
"""

from __future__ import annotations

from .bases import KINDS, unavailable
from .host import Host, fleet, inventory, start, start_all, stop

__all__ = ["KINDS", "Host", "fleet", "inventory", "start", "start_all", "stop", "unavailable"]
