# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the tests of this folder the test hosts."""

from __future__ import annotations

from tests.tools.hosts.fixtures import fleet, fresh_host

__all__ = ["fleet", "fresh_host"]
