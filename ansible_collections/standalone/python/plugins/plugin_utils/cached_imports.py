# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets Python keep the bytecode of the core, as it does for other packages. Import this module before the core.

Ansible's loader compiles each module of a collection again in each process: the parent of each play, and each worker that needs a
further module. Python's own loader reads ``__pycache__``, or writes it if it can.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

_PARENT = (__package__ or "") + ".core"


class CoreFinder:
    """Finds modules of the core with Python's own loader."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _PARENT and not name.startswith(f"{_PARENT}."):
            return None
        specs = (FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name) for folder in path or ())
        return next(filter(None, specs), None)


def _install() -> None:
    """Put the finder before Ansible's. Without Ansible's, Python's own loader is in use anyway."""
    if CoreFinder in sys.meta_path:
        return
    for position, finder in enumerate(sys.meta_path):
        if type(finder).__name__ == "_AnsibleCollectionFinder":
            sys.meta_path.insert(position, CoreFinder)
            return


_install()
