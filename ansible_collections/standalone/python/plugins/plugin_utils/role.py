# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds misspelt variables of the role. Ansible's argument specifications ignore variables that they don't name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .core.errors import DeclarationError
from .core.nearest import nearest
from .core.state.declaration import OPTIONS

PREFIX = "interpreters_"
BY_ROLE = "__interpreters_by_role"
"""A variable of the role's task. With it, the action knows that the role calls it."""
# Those of the role that are not options, and what it registers.
KNOWN = frozenset({*OPTIONS, "use", "gather_facts", "result"})


def check_variables(variables: Mapping[str, Any]) -> None:
    """Check the names of the host's variables. Registered results may have any name, such as ``interpreters_info``.

    :raises DeclarationError: a variable begins with the role's prefix and is unknown
    """
    for name in sorted(name for name in variables if name.startswith(PREFIX)):
        if name.removeprefix(PREFIX) in KNOWN or _is_registered(variables[name]):
            continue
        near = nearest(name.removeprefix(PREFIX), KNOWN)
        advice = f"did you mean `{PREFIX}{near}`?" if near else f"rename it, as names that begin with {PREFIX} belong to the role"
        raise DeclarationError(f"unknown variable `{name}`: {advice}")


def _is_registered(value: Any) -> bool:
    """Return whether a value is the result of a task."""
    return isinstance(value, Mapping) and "changed" in value
