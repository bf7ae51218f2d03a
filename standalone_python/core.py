# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's core. It lies in the Ansible collection; only this file knows where."""

from __future__ import annotations

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError

__all__ = ["StandalonePythonError"]
