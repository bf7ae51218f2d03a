# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, as a user meets it.

The core raises these and nothing else on purpose; only a transport (the action plugin, an operation, the command line) turns one
into its tool's own form. Every message is one sentence: what was asked, what was found, what to do.
"""

from __future__ import annotations


class StandalonePythonError(Exception):
    """The root of all errors that the core raises; ``str(error)`` is the sentence a user reads."""


class DeclarationError(StandalonePythonError, ValueError):
    """A request or an option that can't be read, or that contradicts another."""


class NoBuildError(StandalonePythonError, LookupError):
    """No build for a request on a target; the message names the nearest ones."""


class ContentError(StandalonePythonError):
    """Content is not what was promised: checksum, length, kind, or a member of an archive that must not be there."""


class TransportError(StandalonePythonError):
    """Content could not be had: network, server, file or a missing library on the controller."""


class ObservationError(StandalonePythonError):
    """What an agent printed about a host can't be read. Never to be taken for a host on which nothing is installed."""


class AgentError(StandalonePythonError):
    """A host could not be changed as planned.

    :param step: what the agent was doing, such as ``unpack``
    :param code: the agent's exit code; -1 where it was not reached
    :param output: what the host printed last, for people
    """

    def __init__(self, message: str, *, step: str = "", code: int = -1, output: str = "") -> None:
        super().__init__(message)
        self.step = step
        self.code = code
        self.output = output
