# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``standalone.python.report``: what the hosts' info tasks returned in, one report out. It asks no host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils import cached_imports  # noqa: F401 # pylint: disable=unused-import
from ..plugin_utils.core.errors import StandalonePythonError
from ..plugin_utils.core.libraries import libraries_explained
from ..plugin_utils.core.reporting import FORMATS, OPTIONS, failure, report_of, write_text
from ..plugin_utils.core.security.formats import as_data
from ..plugin_utils.core.security.results import read_results


class ActionModule(ActionBase):
    # Once for all hosts of the play, on the controller.
    BYPASS_HOST_LOOP = True
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, options = self.validate_argument_spec(OPTIONS)
        variables = task_vars or {}
        hosts = variables["ansible_play_hosts_all"]
        # Raw variables: results are data, and templates in other variables are not for this task.
        results = {host: variables["hostvars"].raw_get(host) for host in hosts}
        try:
            with libraries_explained():
                report = report_of(read_results(results, "the variables of the play"))
                text = FORMATS[options["format"]](report)
                changed = False
                if options["dest"]:
                    path = self._loader.path_dwim(options["dest"])
                    changed = write_text(path, text, check=self._task.check_mode)
                    result["dest"] = path
                else:
                    result["content"] = text
        except StandalonePythonError as error:
            return result | {"failed": True, "msg": str(error)}
        data = as_data(report)
        result |= {"changed": changed, "summary": data["summary"], "advisories_day": data["advisories_day"]}
        if report.remarks:
            result["warnings"] = list(report.remarks)
        if why := failure(report, options["fail_on"]):
            result |= {"failed": True, "msg": why}
        return result
