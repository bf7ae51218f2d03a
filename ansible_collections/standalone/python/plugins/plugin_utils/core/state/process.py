# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a host that run from builds. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..builds.catalogue import parse_name
from ..errors import ObservationError, sanitized
from ..lazy import lazy_dataclass
from .answer import quoted

NAMED = 3  # processes in a sentence
_LONGEST_NAME = 100  # letters
# Which processes a user can see (see observed.py), if not all, as a sentence.
BLIND: Mapping[str, str] = {
    "some": "this user does not see every process of the host",
    "none": "this host shows no processes, as it has neither /proc nor lsof nor fuser",
}
_PROCESS = r"(?as)([0-9]{1,10}) (\S+) ([\w:.\\@-]{1,255}) (here|replaced) (\S+) (.*)"


@lazy_dataclass(frozen=True)
class Process:
    """A process that runs from a build. Its texts are checked and fit for a terminal.

    :ivar user: the name or number of its user; empty if it is not known
    :ivar command: the name of its program, without arguments
    :ivar build: the build's name; the build may be gone
    :ivar unit: the service of systemd that it belongs to; empty if there is none
    :ivar replaced: it runs from files that were removed, or replaced by a repair
    """

    pid: int
    user: str
    command: str
    build: str
    unit: str = ""
    replaced: bool = False

    def __str__(self) -> str:
        of = f", unit {self.unit}" if self.unit else ""
        return f"{self.command or 'a process'} (pid {self.pid}, user {self.user or 'unknown'}{of})"


def users_in_words(processes: Sequence[Process]) -> str:
    """Return which processes run, as part of a sentence: the first three, and how many more."""
    more = len(processes) - NAMED
    named = ", ".join(map(str, processes[:NAMED])) + (f" and {more} more" if more > 0 else "")
    one = len(processes) == 1
    return f"{named} {'runs' if one else 'run'} from it; restart {'it' if one else 'them'}, and the next run removes the build"


def parse_process(line: str) -> Process | None:
    """Read ``PID USER UNIT STATE BUILD COMMAND``, as an agent prints a process; None if the build's name is not one."""
    found = re.fullmatch(_PROCESS, line)
    if found is None:
        raise ObservationError(f"the host's answer can't be read: {quoted(line)} is not a process of a build")
    pid, user, unit, state, build, command = found.groups()
    if parse_name(build) is None:
        return None
    user = "" if user == "?" else sanitized(user, _LONGEST_NAME)
    return Process(int(pid), user, sanitized(command, _LONGEST_NAME), build, "" if unit == "-" else unit, state == "replaced")
