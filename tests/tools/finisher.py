# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the finisher is told of a build where a test has nothing else to say, whatever system it runs on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh

ARGUMENTS = {
    "release": "20250115",
    "options": "",
    "sha256": "0" * 64,
    "url": "https://example.org/a%2Bb",
    "externally_managed": "1",
    "compile_bytecode": "0",
    "patch_sysconfig": "1",
    "owner": "",
    "group": "",
    "mode": "",
    "modules": sh.MODULES,
    "tool": "standalone-python 0.1.0",
}


def receipt_text(receipt: Mapping[str, Any]) -> str:
    """The text of a receipt: JSON with one key a line, as agents read it without a JSON parser."""
    lines = (f" {json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in sorted(receipt.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"
