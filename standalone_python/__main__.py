# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of the command line, also ``python -m standalone_python``. ``--version`` is answered without other imports."""

from __future__ import annotations

import gc
import os
import sys

# Imports create objects that stay. Looking for garbage among them takes a tenth of a command's time.
gc.set_threshold(100_000)


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        from .streams import leave, prepare
        from .version import version

        out = prepare()
        print(f"standalone-python, version {version()}")
        leave(0, out)
    if request := os.environ.get("_STANDALONE_PYTHON_COMPLETE"):
        from .cli import group
        from .completion import answer
        from .streams import leave, prepare

        out = prepare()
        answer(group, request)
        leave(0, out)
    from .cli import main

    main()


if __name__ == "__main__":
    main()
