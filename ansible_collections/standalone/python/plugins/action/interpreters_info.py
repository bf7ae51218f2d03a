# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``standalone.python.interpreters_info``: what is installed, and what kind of host it is. It only observes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core.declaration import observing
from ..plugin_utils.core.ensure import observe
from ..plugin_utils.core.errors import StandalonePythonError
from ..plugin_utils.core.observed import Installed, Observed
from ..plugin_utils.core.target import from_facts
from ..plugin_utils.host import ConnectionHost


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        host = ConnectionHost(self)
        try:
            observed = observe(host, observing(self._task.args), facts=True, environment=host.environment())
            target = from_facts(observed.facts)
        except StandalonePythonError as error:
            return result | {"failed": True, "msg": str(error)}
        return result | {
            "changed": False,
            "root": observed.root,
            "bin_dir": observed.bin_dir,
            "interpreters": [_interpreter(installed, observed) for installed in observed.installed],
            "target": asdict(target) | {"triple": target.triple},
            "tools": sorted(observed.tools),
        }


def _interpreter(installed: Installed, observed: Observed) -> dict[str, Any]:
    build = installed.build
    prefix = f"{observed.root}/{installed.name}"
    stable = [path for path, target in observed.links.items() if target == installed.name]
    return {
        "version": str(build.version),
        "release": build.release,
        "target": build.triple,
        "variant": build.variant,
        "flavor": build.flavor,
        "path": f"{prefix}/bin/python3",
        "stable_path": f"{stable[0] if stable else prefix}/bin/python3",
        "prefix": prefix,
        "installed_at": installed.installed_at,
        "sound": not installed.fault,
        "fault": installed.fault,
        "extra": list(installed.extra),
    }
