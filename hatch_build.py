# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links of ``[project.urls]``. A release knows where it is developed; a build from a clone does not, and has none."""

from __future__ import annotations

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# Label -> path below the repository. The labels are those that PyPI knows.
LINKS = {
    "Repository": "",
    "Issues": "/issues",
    "Changelog": "/blob/main/CHANGELOG.md",
    "Documentation": "/tree/main/docs",
    "Security": "/security/policy",
}


class Urls(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        repository = os.environ.get("STANDALONE_PYTHON_REPOSITORY", "").rstrip("/")
        if repository:
            metadata["urls"] = {label: f"{repository}{path}" for label, path in LINKS.items()}
