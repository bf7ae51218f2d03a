# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a root: which builds were in use before, as a stack for each line. No I/O.

The file ``.standalone-python.history`` in the root has the name of a build on each line, oldest first. A change of a stable link
pushes the build that it led to. A rollback to a build drops what lies above it. The build itself stays on the stack, and is
passed over while it is in use. So a run may be killed between the file and the link: whichever is older, the stack is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from ..builds.catalogue import parse_name
from ..lazy import lazy_dataclass
from .line import line_of

_LONGEST = 20  # builds of a line
_PROBLEMS: Mapping[str, str] = {
    "absent": "does not exist",
    "unreadable": "can't be read",
    "untrusted": "can be changed by other users",
}
_DAMAGED = "is damaged"


@lazy_dataclass(frozen=True)
class History:
    """
    :ivar names: the builds that were in use, oldest first
    :ivar problem: why the file has none to offer, with the file as subject; empty if it could be read
    """

    names: tuple[str, ...] = ()
    problem: str = ""

    @property
    def absent(self) -> bool:
        return self.problem == _PROBLEMS["absent"]


def read_history(said: Sequence[str]) -> History:
    """Read what an agent prints of the file: its state, and its lines where it could read them.

    :param said: empty if the agent was not asked
    """
    state, *lines = said or ("unreadable",)
    if state != "present":
        return History(problem=_PROBLEMS.get(state, _DAMAGED))
    return History(tuple(lines)) if all(map(parse_name, lines)) else History(problem=_DAMAGED)


def used_before(history: History, line: str, current: str) -> tuple[str, ...] | None:
    """Return the builds of a line that were in use before the current one, the last one first; None if nothing is known."""
    stack = [name for name in history.names if _line(name) == line]
    return tuple(reversed(_without(stack, current))) if stack else None


def recorded(history: History, moves: Iterable[tuple[str, str]], left: Set[str], *, rollback: bool) -> tuple[str, ...]:
    """Return the names in the file after stable links moved.

    :param moves: the build that each link led to, and the one that it leads to then
    :param left: the builds that the host has then; others drop out
    :param rollback: each link goes back to a build on the stack
    """
    names = [name for name in history.names if name in left]
    for was, now in moves:
        line = _line(now)
        stack = [name for name in names if _line(name) == line]
        if rollback:
            stack = _up_to(stack, now)
        elif was in left:
            stack = [*_without(stack, was), was]
        names = [*(name for name in names if _line(name) != line), *stack[-_LONGEST:]]
    return tuple(names)


def _line(name: str) -> str:
    build = parse_name(name)
    return line_of(build) if build else ""


def _without(stack: list[str], top: str) -> list[str]:
    while stack and stack[-1] == top:
        stack = stack[:-1]
    return stack


def _up_to(stack: list[str], name: str) -> list[str]:
    while name in stack and stack[-1] != name:
        stack = stack[:-1]
    return stack
