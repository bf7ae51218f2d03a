# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of ``standalone.python.interpreters_info``: the installed builds and the kind of host. It only observes."""

from __future__ import annotations

from typing import Any

from ..plugin_utils import cached_imports  # noqa: F401 # pylint: disable=unused-import
from ..plugin_utils.core.ensure import observe
from ..plugin_utils.core.info import info
from ..plugin_utils.core.state.declaration import observing
from ..plugin_utils.host import ConnectionHost, HostAction


class ActionModule(HostAction):
    def result_on(self, host: ConnectionHost) -> dict[str, Any]:
        desired = observing(self._task.args, windows=host.windows)
        observed = observe(host, desired, facts="yes", environment=host.environment(), processes=True)
        warnings = {"warnings": list(observed.remarks)} if observed.remarks else {}
        return {"changed": False, **info(observed), **warnings}
