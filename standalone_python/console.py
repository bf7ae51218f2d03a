# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line prints to standard error while a command works: the progress of long tasks, and with -v what it decides.

A terminal gets one line that changes. Everything else, also a terminal that can't move its cursor, gets a line every ten seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import sanitized
from ansible_collections.standalone.python.plugins.plugin_utils.core.progress import Listener, Task

# Seconds: until a task gets a bar, between two bars, between two lines of a log, and for which the speed is measured.
DELAY, REFRESH, INTERVAL, MEASURED = 0.3, 0.2, 10.0, 5.0

_USUAL_WIDTH = 80  # of a terminal that doesn't say


class _Running:
    """A task at work."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.began = time.monotonic()
        self.done, self.total = 0, task.total
        # (time, bytes) of the last seconds
        self.samples: list[tuple[float, int]] = []

    def advance(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        # A download that starts again has no speed yet.
        if done < self.done:
            self.samples.clear()
        self.done, self.total = done, self.total if total is None else total
        self.samples.append((now, done))
        while len(self.samples) > 2 and now - self.samples[1][0] > MEASURED:
            self.samples.pop(0)

    def speed(self, now: float) -> float:
        """Return the bytes a second of the last seconds. It falls while nothing arrives."""
        if not self.samples:
            return 0.0
        (first, before), (_last, done) = self.samples[0], self.samples[-1]
        return (done - before) / (now - first) if now > first else 0.0


class Console(Listener):
    """
    :ivar quiet: neither progress nor remarks are wanted
    :ivar progress: progress is wanted
    """

    def __init__(self) -> None:
        self.quiet, self.progress = False, True
        self._running: dict[Task, _Running] = {}
        # What the agent on the host does, as part of a task.
        self._doing: _Running | None = None
        self._lock: Any = None
        self._stop: Any = None
        self._shown = 0

    def begin(self, task: Task) -> None:
        if self.progress and not self.quiet:
            self._watch()
            with self._lock:
                self._running[task] = _Running(task)

    def advance(self, task: Task, done: int, total: int | None = None) -> None:
        if running := self._running.get(task):
            with self._lock:
                running.advance(done, total)

    def end(self, task: Task, *, complete: bool) -> None:
        if task in self._running:
            with self._lock:
                del self._running[task]
                self._doing = None
                self._clear()

    def doing(self, what: str) -> None:
        if self._running:
            verb, _space, name = what.partition(" ")
            self._doing = _Running(Task(verb.capitalize(), name))

    def done(self, number: int) -> None:
        # All that takes long was before the first step that is done. A new task has no bar in its first moments.
        if self._running:
            self._doing = _Running(Task("Changing", "builds and links"))

    def trace(self, level: int, text: str) -> None:
        self.clear()
        click.echo(sanitized(text, None), err=True)

    def clear(self) -> None:
        """Remove the bar before something else is printed. It comes back if its task still runs."""
        if self._shown:
            with self._lock:
                self._clear()

    def close(self) -> None:
        if self._stop:
            self._stop.set()

    def _watch(self) -> None:
        """Start the thread that shows tasks, also those that report nothing for a while."""
        if self._stop:
            return
        from threading import Event, RLock, Thread

        self._lock, self._stop = RLock(), Event()
        Thread(target=self._show_all, args=(_on_terminal(),), daemon=True).start()

    def _show_all(self, terminal: bool) -> None:
        from . import bar

        while not self._stop.wait(REFRESH if terminal else INTERVAL):
            with self._lock:
                # The first one contains the others: all archives of a mirror.
                running = self._doing or next(iter(self._running.values()), None)
                now = time.monotonic()
                if running is None or (terminal and now - running.began < DELAY):
                    continue
                status = bar.Status(*running.task[:2], now - running.began, running.done, running.total, running.speed(now))
                if terminal:
                    line = bar.bar(status, _width())
                    sys.stderr.write(f"\r{line.ljust(self._shown)}")
                    sys.stderr.flush()
                    self._shown = len(line)
                else:
                    click.echo(bar.sentence(status), err=True)

    def _clear(self) -> None:
        if self._shown:
            sys.stderr.write(f"\r{' ' * self._shown}\r")
            sys.stderr.flush()
            self._shown = 0


def _on_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH


CONSOLE = Console()


def _set(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if param.name == "verbose":
        CONSOLE.level += value
    elif param.name == "quiet":
        CONSOLE.quiet |= value
    else:
        CONSOLE.progress &= not value


def options() -> Sequence[click.Option]:
    """Return the options that every command has, before and after its name."""
    own: Callable[..., click.Option] = lambda *names, **more: click.Option(  # noqa: E731
        names, expose_value=False, callback=_set, **more
    )
    return (
        own("-v", "--verbose", count=True, help="Show addresses and decisions; -vv also commands and their times."),
        own("-q", "--quiet", is_flag=True, help="Show results and errors only, no progress and no remarks."),
        own("--no-progress", is_flag=True, help="Show no progress."),
    )


def with_options(command: click.Command) -> click.Command:
    """Return the command with the options that every command has; of a group, all its commands."""
    if isinstance(command, click.Group):
        for one in command.commands.values():
            with_options(one)
    elif not any(param.name == "verbose" for param in command.params):
        command.params += options()
    return command
