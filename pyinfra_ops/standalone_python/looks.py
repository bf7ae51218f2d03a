# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The looks at hosts in one run of pyinfra. A second look is answered from the first while no operation can have changed a host.

pyinfra calls an operation to find changes, and again to execute it. A deploy may also have several operations for one root. So a
look is used again, but only if all of these are true:

- it was made in the same way: the same paths, options and global arguments
- no operation has run a command since on any host, because two hosts can be one machine
- no other operation is running, and the one that looks is `interpreters` itself, not one that calls it
- it is not older than `LONGEST`, because pyinfra may wait for a person between its two calls
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import BaseStateCallback, State

from .core import Observed

LONGEST = 300.0
"""Seconds in which a look can be used again."""


class Looks(BaseStateCallback):
    """What was seen in one run, and what has run since. pyinfra calls the methods ``operation_…``."""

    def __init__(self) -> None:
        # How a look was made -> what it saw, how many operations had run commands before it, and when it began.
        self._looks: dict[Hashable, tuple[Observed, int, float]] = {}
        self._changes = 0
        self._running: set[tuple[str, str]] = set()  # the name of a host, and the hash of an operation
        self._ended: list[OperationMeta] = []
        self._own: set[tuple[str, str | None]] = set()

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        # For a host without the operation pyinfra reports a start and no end.
        if op_hash in state.ops[host]:
            self._running.add((host.name, op_hash))

    def operation_host_retry(self, state: State, host: Host, op_hash: str, *_numbers: int) -> None:  # type: ignore[override]
        self._changes += 1

    def operation_host_success(self, state: State, host: Host, op_hash: str, *_numbers: int) -> None:  # type: ignore[override]
        self._running.discard((host.name, op_hash))
        # pyinfra adds the commands only after this call.
        self._ended.append(state.get_op_data_for_host(host, op_hash).operation_meta)

    operation_host_error = operation_host_success  # type: ignore[assignment]

    def add_own(self, host: Host, added: OperationMeta) -> None:
        """Mark an operation as `interpreters` itself."""
        own = (op_hash for op_hash, data in host.state.ops[host].items() if data.operation_meta is added)
        self._own.update((host.name, op_hash) for op_hash in own)

    def look(self, host: Host, options: Mapping[str, Any], observe: Callable[[], Any]) -> Any:
        """Return what was seen at the last look with these options, or what ``observe`` returns now."""
        changes, began = self._changes_before(host), time.monotonic()
        if changes is None:
            return observe()
        arguments: Mapping[str, Any] = host.current_op_global_arguments or {}
        key = (host.name, repr(sorted(options.items())), repr([arguments.get(name) for name in CONNECTOR_ARGUMENT_KEYS]))
        seen, changes_then, at = self._looks.get(key, (None, 0, 0.0))
        if seen is not None and changes_then == changes and began - at <= LONGEST:
            return seen
        seen = observe()
        if isinstance(seen, Observed):
            self._looks[key] = (seen, changes, began)
        return seen

    def _changes_before(self, host: Host) -> int | None:
        """Return how many operations have run commands; None if one may be running commands now."""
        waiting = [meta for meta in self._ended if not meta.is_complete()]
        self._changes += sum(meta.executed for meta in self._ended if meta.is_complete())
        self._ended = waiting
        own = host.current_op_hash
        if waiting or any(op_hash != own for _name, op_hash in self._running):
            return None
        return self._changes if not host.state.is_executing or (host.name, own) in self._own else None


def looks_of(state: State) -> Looks | None:
    """Return the looks of a run; None if it was not possible to follow all its operations."""
    found = next((handler for handler in state.callback_handlers if isinstance(handler, Looks)), None)
    if found is None and not state.is_executing:
        found = Looks()
        state.add_callback_handler(found)
    return found
