# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PowerShell module as Ansible's own scripts run it on a host. Needs no Ansible, which Windows itself can't have."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any


def module_script(module: bytes, utilities: Iterable[bytes], arguments: Mapping[str, Any]) -> str:
    """The script that does what Ansible's does with a module: its utilities as PowerShell's modules, and then itself."""
    text = "[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{}'))"
    loaded = [
        f"New-Module -ScriptBlock ([ScriptBlock]::Create({text.format(base64.b64encode(one).decode())})) | Import-Module"
        for one in utilities
    ]
    pairs = "; ".join(f"'{name}' = {_literal(value)}" for name, value in arguments.items())
    first = ["$ErrorActionPreference = 'Stop'", f"$complex_args = @{{ {pairs} }}", *loaded]
    return "\n".join([*first, module.decode()])


def _literal(value: Any) -> str:
    return f"${value}".lower() if isinstance(value, bool) else "'" + str(value).replace("'", "''") + "'"
