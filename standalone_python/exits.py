# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command ends: its exit codes, and the exception for a signal."""

from __future__ import annotations

FAILED, DIFFERS, USAGE = 1, 2, 64
"""Exit codes beside 0: the command failed; it would change something or found damage; the command line is invalid (EX_USAGE)."""
SIGNALLED = 128
"""The exit code of a command that a signal ended is this and the signal's number."""


class EndedBySignal(BaseException):
    """A signal arrived that ends this process. Commands clean up as after Ctrl-C.

    :ivar number: of the signal
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
