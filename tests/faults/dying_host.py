# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose runs are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed
from tests.agents.driver import LocalHost
from tests.agents.place import finished


class DyingHost(LocalHost):
    """Its run is killed some seconds after it began to change something; 0 for never."""

    after: float = 0
    took: float = 0

    def run(self, script: str) -> Completed:
        process = self.place.start(self.shell, script)
        if not script.endswith("apply </dev/null\n"):
            return finished(process)
        began = time.monotonic()
        clock = threading.Timer(self.after, self.kill, (process.pid,))
        if self.after:
            clock.start()
        done = finished(process)
        clock.cancel()
        self.took = time.monotonic() - began
        return done

    @staticmethod
    def kill(group: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
