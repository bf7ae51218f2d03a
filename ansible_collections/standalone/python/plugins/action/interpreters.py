# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``standalone.python.interpreters``: arguments in, result and diff out. What it decides, the core decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core.ensure import Result, ensure
from ..plugin_utils.core.errors import StandalonePythonError
from ..plugin_utils.core.info import result_data
from ..plugin_utils.core.state.declaration import Desired, declare, is_local
from ..plugin_utils.core.state.step import describe
from ..plugin_utils.core.supply.supply import Supply
from ..plugin_utils.host import ConnectionHost, controller_environment


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        host = ConnectionHost(self, task_vars)
        environment = host.environment()
        try:
            desired = self._with_paths(declare(self._task.args, windows=host.windows))
            with host.tidied(), controller_environment(environment):
                supply = Supply(desired)
                ensured = ensure(host, desired, supply, check=self._task.check_mode, environment=environment)
        except StandalonePythonError as error:
            return result | {"failed": True, "msg": str(error)}
        if self._task.diff:
            result["diff"] = _diff(ensured)
        told = result_data(ensured.plan, ensured.after)
        if warnings := [*supply.remarks, *ensured.remarks, *(_advisories(told) if ensured.changed else ())]:
            result["warnings"] = warnings
        return result | told

    def _with_paths(self, desired: Desired) -> Desired:
        """Relative paths on the controller are taken from the playbook's folder, as elsewhere in Ansible."""
        told = {"source": desired.source, "catalogue": desired.catalogue}
        whole = {name: self._loader.path_dwim(path) for name, path in told.items() if is_local(path)}
        for name in ("lockfile", "trusted_root"):
            if path := getattr(desired, name):
                whole[name] = self._loader.path_dwim(path)
        return replace(desired, **whole) if whole else desired


def _advisories(told: Mapping[str, Any]) -> tuple[str, ...]:
    """Ansible shows equal warnings of several hosts once."""
    from ..plugin_utils.core.info import advisory_warnings
    from ..plugin_utils.core.supply.known_tables import today

    return advisory_warnings(told["interpreters"], today())


def _diff(ensured: Result) -> dict[str, str]:
    where = f"interpreters in {ensured.after.root}"
    return {
        "before_header": where,
        "after_header": where,
        "before": describe(ensured.before),
        "after": describe(ensured.after),
    }
