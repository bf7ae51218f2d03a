# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that the core raises on purpose. A front end turns them into its tool's own form.

A message says what failed and on what, what to do, and the state of the host if it was touched.

Hosts, servers and archives choose parts of these sentences. :func:`sanitized` keeps such text from commanding a terminal.
"""

from __future__ import annotations

import re

# Letters: of a text that a host or a server chose, and of a whole sentence.
LONGEST_TEXT = 300
LONGEST_SENTENCE = 3000

# A terminal obeys control characters (C0, DEL, C1). Marks of direction and letters without a width make a text look like another
# one (Unicode TR 36). No output can encode a lone surrogate.
_UNSHOWN = (
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def sanitized(text: str, limit: int | None = LONGEST_TEXT) -> str:
    """Return ``text`` on one line, with escapes such as ``\\x1b`` for the characters that a terminal must not get.

    A text with more than ``limit`` letters loses its middle, and says how much.
    """
    if not text.isprintable():
        text = re.sub(_UNSHOWN, lambda found: ascii(found[0])[1:-1], text)
    if limit is None or len(text) <= limit:
        return text
    half = (limit - 40) // 2
    return f"{text[:half]} ({len(text) - 2 * half} letters left out) {text[-half:]}"


class StandalonePythonError(Exception):
    """The root of all errors that the core raises; ``str(error)`` is the sentence a user reads."""

    def __init__(self, message: str = "") -> None:
        super().__init__(sanitized(message, LONGEST_SENTENCE))


class DeclarationError(StandalonePythonError, ValueError):
    """A request or an option is invalid, or contradicts another.

    :param at: the keys and indexes that lead to it in the declaration, such as ``("builds", 1, "flavor")``; empty if unknown
    """

    def __init__(self, message: str = "", at: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.at = at


class NoBuildError(StandalonePythonError, LookupError):
    """No build satisfies a request on a target. The message names the nearest builds."""


class ContentError(StandalonePythonError):
    """Content has the wrong checksum, length or type, or an archive has a forbidden member."""


class TransportError(StandalonePythonError):
    """Content is unavailable: a network, server or file error, or a library is missing on the controller."""


class ObservationError(StandalonePythonError):
    """The output of an agent can't be read. It never means that nothing is installed."""


class AgentError(StandalonePythonError):
    """A host could not be changed.

    :param step: what the agent was doing, such as ``unpack``
    :param code: the agent's exit code; -1 where it was not reached
    :param output: what the host printed last, for people
    """

    def __init__(self, message: str, *, step: str = "", code: int = -1, output: str = "") -> None:
        super().__init__(message)
        self.step = step
        self.code = code
        self.output = output

    def with_more(self, more: str) -> AgentError:
        """Return the error with one more part of its sentence; itself if that is empty."""
        return AgentError(f"{self}; {more}", step=self.step, code=self.code, output=self.output) if more else self
