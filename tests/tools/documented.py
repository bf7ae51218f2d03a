# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of a module with the fragments that it extends."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import yaml


def documented(module: ModuleType) -> dict[str, Any]:
    """DOCUMENTATION as a mapping. As for Ansible, an option of the module itself comes before one of a fragment."""
    own: dict[str, Any] = yaml.safe_load(module.DOCUMENTATION)
    for name in own.pop("extends_documentation_fragment", []):
        collection, _, fragment = name.rpartition(".")
        shared = import_module(f"ansible_collections.{collection}.plugins.doc_fragments.{fragment}")
        for part, values in yaml.safe_load(shared.ModuleDocFragment.DOCUMENTATION).items():
            own[part] = {**values, **own.get(part, {})}
    return own
