# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of ``standalone.python.interpreters``: arguments in, result and diff out. The core makes all decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..plugin_utils import cached_imports  # noqa: F401 # pylint: disable=unused-import
from ..plugin_utils.core.ensure import Result, ensure
from ..plugin_utils.core.info import result_data
from ..plugin_utils.core.state.declaration import Desired, declare, is_local
from ..plugin_utils.core.state.step import describe
from ..plugin_utils.core.supply.supply import Supply
from ..plugin_utils.host import ConnectionHost, HostAction, controller_environment
from ..plugin_utils.role import BY_ROLE, check_variables


class ActionModule(HostAction):
    def result_on(self, host: ConnectionHost) -> dict[str, Any]:
        if BY_ROLE in host.variables:
            check_variables(host.variables)
        environment = host.environment()
        desired = self._with_paths(declare(self._task.args, windows=host.windows))
        with host.tidied(), controller_environment(environment):
            supply = Supply(desired)
            ensured = ensure(host, desired, supply, check=self._task.check_mode, environment=environment, fleet=host.fleet)
        result = result_data(ensured.plan, ensured.after)
        if self._task.diff:
            result["diff"] = _diff(ensured)
        if warnings := [*supply.remarks, *ensured.remarks, *(_advisories(result) if ensured.changed else ())]:
            result["warnings"] = warnings
        return result

    def _with_paths(self, desired: Desired) -> Desired:
        """Resolve relative paths on the controller from the playbook's folder, as elsewhere in Ansible."""
        places = {"source": desired.source, "catalogue": desired.catalogue}
        whole = {name: self._loader.path_dwim(path) for name, path in places.items() if is_local(path)}
        for name in ("lockfile", "trusted_root"):
            if path := getattr(desired, name):
                whole[name] = self._loader.path_dwim(path)
        return replace(desired, **whole) if whole else desired


def _advisories(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return warnings about advisories. They don't name the host, because Ansible shows equal warnings of several hosts once."""
    from ..plugin_utils.core.info import advisory_warnings
    from ..plugin_utils.core.supply.known_tables import today

    return advisory_warnings(result["interpreters"], today())


def _diff(ensured: Result) -> dict[str, str]:
    where = f"interpreters in {ensured.after.root}"
    return {
        "before_header": where,
        "after_header": where,
        "before": describe(ensured.before),
        "after": describe(ensured.after),
    }
