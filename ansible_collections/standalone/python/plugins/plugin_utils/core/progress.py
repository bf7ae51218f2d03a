# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the core is doing right now, for a user who waits: tasks with their bytes, and traces for -v and -vv.

A front end listens with :func:`listening`. By default nobody does, and a report costs a function call. A context variable holds
the listener, so that no signature of the core has it. Threads don't inherit it: see :func:`heard`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

from .errors import sanitized

# Seconds after which a download is shown where there is no bar, and between two such lines.
INTERVAL = 10.0

# Levels of a trace: addresses and decisions; commands to a host and their times.
DECISIONS, COMMANDS = 1, 2


class Task(NamedTuple):
    """A piece of work that can take long. A named tuple is four times faster to define than a dataclass.

    :param verb: a participle, such as ``Downloading``
    :param name: of the file or folder in question
    :param total: bytes; None if the size is unknown
    """

    verb: str
    name: str
    total: int | None = None


class Listener:
    """Receives what the core reports, maybe from several threads at once. This class ignores it.

    :ivar level: of the most detailed trace that is wanted; 0 is none
    """

    level = 0

    def begin(self, task: Task) -> None: ...

    def advance(self, task: Task, done: int, total: int | None = None) -> None:
        """
        :param done: bytes so far, with those that an earlier run left
        :param total: bytes, if the size became known after the beginning
        """

    def end(self, task: Task, *, complete: bool) -> None: ...

    def plan(self, steps: Sequence[object]) -> None:
        """An agent begins to carry out these steps of a plan. It begins again if another run changed the host meanwhile."""

    def doing(self, what: str) -> None:
        """The agent begins what can take long, such as ``unpacking cpython-...``; it does nothing else meanwhile."""

    def done(self, number: int) -> None:
        """The agent has done a step of the plan; the first is 1. A host can name steps that are not in the plan."""

    def trace(self, level: int, text: str) -> None:
        """
        :param text: one line without a secret; it can contain text that hosts and servers chose
        """


class SlowDownloads(Listener):
    """Shows downloads that take long, in a line from time to time. A fleet shows each once: other workers wait for it.

    :param show: prints a line that every user sees
    :param show_trace: prints a line of a trace
    """

    def __init__(self, show: Callable[[str], None], show_trace: Callable[[str], None], level: int = 0) -> None:
        self.level = level
        self._show, self._show_trace = show, show_trace
        self._due: dict[Task, float] = {}
        self._total = ""

    def begin(self, task: Task) -> None:
        if task.verb == "Downloading":
            self._due[task], self._total = time.monotonic() + INTERVAL, ""

    def advance(self, task: Task, done: int, total: int | None = None) -> None:
        if total:
            self._total = f" of {total / 1e6:.1f}"
        if task in self._due and time.monotonic() >= self._due[task]:
            self._due[task] = time.monotonic() + INTERVAL
            self._show(f"downloading {task.name}: {done / 1e6:.1f}{self._total} MB")

    def end(self, task: Task, *, complete: bool) -> None:
        self._due.pop(task, None)

    def trace(self, level: int, text: str) -> None:
        self._show_trace(sanitized(text, None))


Advance = Callable[..., None]
"""Reports ``(done, total=None)`` of a task, in bytes."""

_Function = TypeVar("_Function", bound=Callable[..., object])

_LISTENER: ContextVar[Listener] = ContextVar("listener", default=Listener())  # noqa: B039


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send all reports of the block to ``listener``."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


@contextmanager
def task(verb: str, name: str, total: int | None = None) -> Iterator[Advance]:
    """Report the block as a task. It is complete unless the block raises an exception."""
    listener, one = _LISTENER.get(), Task(verb, name, total)

    def advance(done: int, total: int | None = None) -> None:
        listener.advance(one, done, total)

    listener.begin(one)
    complete = False
    try:
        yield advance
        complete = True
    finally:
        listener.end(one, complete=complete)


def plan(steps: Sequence[object]) -> None:
    """Report which steps an agent is about to carry out."""
    _LISTENER.get().plan(steps)


def agent_line(meaning: str | int | None) -> None:
    """Report a line that an agent printed while it runs, as ``answer.while_running`` reads it."""
    if isinstance(meaning, str):
        _LISTENER.get().doing(meaning)
    elif meaning is not None:
        _LISTENER.get().done(meaning)


def listener() -> Listener:
    """Return who listens now, for another listener that passes on what it receives."""
    return _LISTENER.get()


def traced(level: int) -> bool:
    """Return whether somebody wants traces of this level. Ask before a text is made on the hot path."""
    return _LISTENER.get().level >= level


def trace(level: int, text: str) -> None:
    """Report a decision or a command.

    :param level: ``DECISIONS`` or ``COMMANDS``
    :param text: one line without a secret
    """
    listener = _LISTENER.get()
    if listener.level >= level:
        listener.trace(level, text)


@contextmanager
def timed(level: int, text: str) -> Iterator[None]:
    """Trace the block with its time, also if it fails."""
    if not traced(level):
        yield
        return
    started = time.monotonic()
    try:
        yield
    finally:
        trace(level, f"{text}: {time.monotonic() - started:.2f} s")


def heard(function: _Function) -> _Function:
    """Return a function that reports to the present listener in whatever thread it is called."""
    listener = _LISTENER.get()

    def call(*arguments: object) -> object:
        with listening(listener):
            return function(*arguments)

    return call  # type: ignore[return-value]
