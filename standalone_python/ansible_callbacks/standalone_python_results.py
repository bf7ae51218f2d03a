# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ansible callback that writes the result of each host as a line of JSON, to the file that STANDALONE_PYTHON_RESULTS names.

``inventory.py`` reads that file. Ansible prints nothing through this callback.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: standalone_python_results
type: stdout
short_description: Results as JSON lines in a file
description: Writes the result of each host to the file that the environment variable STANDALONE_PYTHON_RESULTS names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "standalone_python_results"

    def v2_runner_on_ok(self, result: Any) -> None:
        _write(result, reached=True)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        _write(result, reached=False)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        _write(result, reached=False)


def _write(result: Any, *, reached: bool) -> None:
    answer = {"host": result._host.get_name(), "reached": reached, "result": result._result}
    with open(os.environ["STANDALONE_PYTHON_RESULTS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(answer, default=str) + "\n")
