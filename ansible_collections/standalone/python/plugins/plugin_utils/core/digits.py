# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that hosts, servers and users write.

Python's own ``isdigit`` takes ``²``, which ``int`` refuses, as it does a number of more than 4,300 digits.
"""

from __future__ import annotations

import re

# Digits of a number in a version, and of a size in bytes; both are far more than any that exists.
NUMBER = "(?:0|[1-9][0-9]{0,8})"
LARGEST = 10**18

_WHOLE = re.compile("[0-9]{1,18}")


def whole_number(text: str) -> int | None:
    """Return what 1 to 18 ASCII digits say; None for any other text."""
    return int(text) if _WHOLE.fullmatch(text) else None
