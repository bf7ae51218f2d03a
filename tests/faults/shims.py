# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs on the PATH of a run that count, and kill the run when its turn has come; and what the killed run left."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

from tests.agents.place import Place

FOREIGN: Mapping[str, str] = {
    "bin/pip": "mine",
    "bin/python2": "mine",
    "bin/.hidden": "mine",
    "root/notes": "mine",
    "root/cpython-notes": "mine",
    "root/3.13/bin/python3": "mine",
}
# What a program that is started counts as; the last number is whose turn it is to die.
COUNT = r"""
n=1
set -C
until { true >"$SHIM_COUNT/$n"; } 2>/dev/null; do n=$((n + 1)); done
set +C
echo "${0##*/} $*" >>"$SHIM_COUNT/log"
"""
SHIM = f"""#!/bin/sh
{COUNT}
[ "$n" = "$SHIM_DIES" ] || exec @REAL@ "$@"
[ "$SHIM_WHEN" = before ] || @REAL@ "$@"
kill -9 0
"""
HOOK = f"""
before_finish() {{
  [ -n "${{SHIM_COUNT-}}" ] || return 0
  {COUNT}
  [ "$n.$SHIM_WHEN" != "$SHIM_DIES.before" ] || kill -9 0
}}
after_finish() {{ [ -z "${{SHIM_COUNT-}}" ] || [ "$n" != "$SHIM_DIES" ] || kill -9 0; }}
"""


def contents(place: Place) -> str:
    """All that is on the disk: paths, permissions, targets of links and hashes of files; without times and process numbers."""
    found = []
    for path in sorted(place.disk.rglob("*")):
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        data = os.fsencode(what).replace(os.fsencode(place.disk), b"")
        if path.name == ".standalone-python.lock":
            data = b""  # who held it is dead in each case
        data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"", data)
        found.append(f"{path.relative_to(place.disk)} {path.lstat().st_mode:o} {hashlib.sha256(data).hexdigest()}")
    return "\n".join(found)
