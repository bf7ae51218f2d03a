# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints each step of a plan when it is done, with its time, and after a failure which steps were done and which were not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import Listener, Task
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Install, Step
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.wording import done, planned, summary

from .output import MENTIONED, duration


class Steps(Listener):
    """Receives what an agent reports, and passes all on to another listener.

    Times are of this machine's clock. All builds are prepared before the first is in place, so the time of a build is the sum of
    what was done for it: downloading, packing, sending, unpacking, finishing.

    :ivar finished: the steps that are done
    """

    def __init__(self, steps: Sequence[Step], show: Callable[[str], None], inner: Listener) -> None:
        self.level = inner.level
        self.finished: list[Step] = []
        self._show, self._inner = show, inner
        self._steps: Sequence[Any] = steps
        self._began = self._last = monotonic()
        self._tasks: list[str] = []
        self._agent = ""
        self._sent = False
        self._times: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        return monotonic() - self._began

    def plan(self, steps: Sequence[object]) -> None:
        self._turn()
        self._steps, self._sent = steps, True
        self._inner.plan(steps)

    def begin(self, task: Task) -> None:
        self._turn()
        self._tasks.append(task.name)
        self._agent = ""
        self._inner.begin(task)

    def advance(self, task: Task, done: int, total: int | None = None) -> None:
        self._inner.advance(task, done, total)

    def end(self, task: Task, *, complete: bool) -> None:
        self._turn()
        if task.name in self._tasks:
            self._tasks.remove(task.name)
        self._agent = ""
        self._inner.end(task, complete=complete)

    def doing(self, what: str) -> None:
        self._turn()
        self._agent = what
        self._inner.doing(what)

    def done(self, number: int) -> None:
        seconds = self._turn()
        if 1 <= number <= len(self._steps) and self._steps[number - 1] not in self.finished:
            step: Step = self._steps[number - 1]
            if isinstance(step, Install):
                seconds = sum(time for what, time in self._times.items() if step.build.name in what)
            self._finish(step, seconds)
        self._inner.done(number)

    def trace(self, level: int, text: str) -> None:
        self._inner.trace(level, text)

    def complete(self, steps: Sequence[Step]) -> None:
        """Show the steps that are done, as the host proves, and that no agent has reported."""
        self._steps = steps
        for step in steps:
            if step not in self.finished:
                self._finish(step, 0)

    def after_failure(self) -> str:
        """Return which steps were done and which were not: a phrase, and a line for each that was not."""
        left = [step for step in self._steps if step not in self.finished]
        if not self.finished:
            return "no step was done" if self._sent else "nothing was changed"
        if not left:
            return f"done: {summary(self.finished, planned=False)}"
        phrase = f"done: {summary(self.finished, planned=False)}; not done: {summary(left, planned=True)}"
        return "\n".join([phrase, *(f"not done: {planned(step, self._steps).removeprefix('Would ')}" for step in left)])

    def _finish(self, step: Step, seconds: float) -> None:
        self.finished.append(step)
        self._show(done(step, self._steps, duration(seconds) if seconds >= MENTIONED else ""))

    def _turn(self) -> float:
        """Add the time since the last event to what was going on; return it."""
        now = monotonic()
        passed, self._last = now - self._last, now
        what = self._agent or (self._tasks[-1] if self._tasks else "")
        self._times[what] = self._times.get(what, 0.0) + passed
        return passed
