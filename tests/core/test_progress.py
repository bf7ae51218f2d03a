# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel by which the core reports what it does: who hears what, and when nobody listens."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from threading import Thread

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import Listener, Task
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import while_running


class Heard(Listener):
    def __init__(self, level: int = 0) -> None:
        self.level = level
        self.events: list[object] = []

    def begin(self, task: Task) -> None:
        self.events.append(("begin", task))

    def advance(self, task: Task, done: int, total: int | None = None) -> None:
        self.events.append((task.name, done, total))

    def end(self, task: Task, *, complete: bool) -> None:
        self.events.append(("end", task.name, complete))

    def plan(self, steps: Sequence[object]) -> None:
        self.events.append(steps)

    def doing(self, what: str) -> None:
        self.events.append(("doing", what))

    def done(self, number: int) -> None:
        self.events.append(("done", number))

    def trace(self, level: int, text: str) -> None:
        self.events.append((level, text))


def work() -> None:
    with progress.task("Downloading", "a.tar.gz", 10) as advance:
        advance(4)
        advance(9, 20)
    for level in (progress.DECISIONS, progress.COMMANDS):
        progress.trace(level, f"level {level}")


EVENTS = [
    ("begin", Task("Downloading", "a.tar.gz", 10)),
    ("a.tar.gz", 4, None),
    ("a.tar.gz", 9, 20),
    ("end", "a.tar.gz", True),
]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_listener_hears_tasks_and_the_traces_that_it_wants(level: int) -> None:
    heard = Heard(level)
    with progress.listening(heard):
        work()
        assert [progress.traced(one) for one in (1, 2)] == [level >= 1, level >= 2]
    work()
    assert heard.events == [*EVENTS, *((one, f"level {one}") for one in range(1, level + 1))]
    assert not progress.traced(1)


AGENT = {
    "doing=unpacking cpython-3.13.1": ("doing", "unpacking cpython-3.13.1"),
    "doing=a = b\r": ("doing", "a = b"),
    "doing=\x1b[2J": ("doing", "\\x1b[2J"),
    "done=12": ("done", 12),
    "done=1\r": ("done", 1),
    **dict.fromkeys(
        ("done=", "done=-1", "done=²", f"done={'1' * 5000}", "doing=", " doing=x", "build=x", "", "done", "doing x", "later=x")
    ),
}


@pytest.mark.parametrize(("line", "event"), AGENT.items())
def test_what_an_agent_prints_while_it_runs(line: str, event: object) -> None:
    heard = Heard()
    with progress.listening(heard):
        progress.plan(("step",))
        progress.agent_line(while_running(line))
    assert heard.events == [("step",), *([event] if event else [])]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_task_that_ends_by_an_exception_is_not_complete(error: type[BaseException]) -> None:
    heard = Heard()
    with progress.listening(heard), pytest.raises(error), progress.task("Packing", "a"):
        raise error
    assert heard.events[-1] == ("end", "a", False)


def test_a_slow_download_is_shown_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that takes no longer than the interval is not shown, and nothing but downloads is."""
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    shown: list[str] = []
    traces: list[str] = []
    with progress.listening(progress.SlowDownloads(shown.append, traces.append, progress.DECISIONS)):
        for verb, seconds in (("Downloading", 9), ("Packing", 60), ("Downloading", 25)):
            with progress.task(verb, "a.tar.gz") as advance:
                advance(0, 25_000_000)
                for done in range(seconds):
                    now += 1
                    advance(done * 1_000_000)
        with progress.task("Downloading", "page") as advance:
            now += 11
            advance(2_500_000)
        progress.trace(progress.DECISIONS, "hostile\x1b[2J")
        progress.trace(progress.COMMANDS, "not wanted")
    assert shown == [
        "downloading a.tar.gz: 9.0 of 25.0 MB",
        "downloading a.tar.gz: 19.0 of 25.0 MB",
        "downloading page: 2.5 MB",
    ]
    assert traces == ["hostile\\x1b[2J"]


def test_a_thread_reports_only_in_a_copy_of_the_context() -> None:
    heard = Heard()
    with progress.listening(heard):
        for thread in (Thread(target=work), Thread(target=contextvars.copy_context().run, args=(work,))):
            before = len(heard.events)
            thread.start()
            thread.join()
            assert (len(heard.events) > before) == (thread.name.endswith("(run)")), thread.name
    assert heard.events == EVENTS
