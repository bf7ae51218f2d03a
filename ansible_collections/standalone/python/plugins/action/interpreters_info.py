# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``standalone.python.interpreters_info``: what is installed, and what kind of host it is. It only observes."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core.ensure import observe
from ..plugin_utils.core.errors import StandalonePythonError
from ..plugin_utils.core.info import info
from ..plugin_utils.core.state.declaration import observing
from ..plugin_utils.host import ConnectionHost


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        host = ConnectionHost(self, task_vars)
        try:
            desired = observing(self._task.args, windows=host.windows)
            observed = observe(host, desired, facts="yes", environment=host.environment(), processes=True)
            told = info(observed)
        except StandalonePythonError as error:
            return result | {"failed": True, "msg": str(error)}
        if observed.remarks:
            result["warnings"] = list(observed.remarks)
        return result | {"changed": False, **told}
