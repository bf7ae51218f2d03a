# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands about the cache, as a user types them; tests/store/test_contents.py has the cases."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.cli.conftest import Command
from tests.store.support import CACHED, cached


def test_a_cache(command: Command, tmp_path: Path) -> None:
    root = tmp_path / "cached"
    own = {"STANDALONE_PYTHON_CACHE": str(root)}
    assert command("cache", environment=own).output == f"nothing is cached in {root}\n"
    assert not root.exists()
    root.mkdir(mode=0o700)
    old, recent = cached(root, 1, age=40 * 86400.0, size=30_000_000), cached(root, 2, age=60.0, size=4000)
    head, first, second, total = command("cache", "list", environment=own).output.splitlines()
    assert head.split()[-3:] == ["size", "last", "used"]
    assert first.startswith("3.13.2   20250115  x86_64-unknown-linux-gnu")
    assert second.startswith("3.13.1   20250115  x86_64-unknown-linux-gnu")
    assert "  60.0 MB  " in second
    assert total == f"60.0 MB of at most 10.0 GB in {root}"

    told = json.loads(command("cache", "--json", environment=own).output)
    assert (told["path"], told["limit"]) == (str(root), 10 * 10**9)
    assert [(one["name"], one["size"]) for one in told["builds"]] == [(CACHED.format(2), 8020), (CACHED.format(1), 60_000_020)]

    planned = command("cache", "prune", "--older-than", "30d", "--dry-run", environment=own)
    line = "3.13.1+20250115 (x86_64-unknown-linux-gnu, install_only_stripped) (60.0 MB)"
    assert (planned.code, planned.output) == (2, f"Would remove {line}\nWould remove 60.0 MB from {root}\n")
    assert (old / "payload.tar.zst").exists()
    done = command("cache", "prune", "--max-size", "0", environment=own)
    assert (done.code, done.output.splitlines()) == (
        0,
        [
            f"Removed {line}",
            "Kept 3.13.2+20250115 (x86_64-unknown-linux-gnu, install_only_stripped) (8.0 kB): it is in use, or was within the last hour",
            f"Removed 60.0 MB from {root}",
        ],
    )
    assert {path.name for path in old.iterdir()} == {"lock", "notes.txt"}
    assert (recent / "payload.tar.zst").exists()
    assert command("cache", "prune", environment=own).output == f"Nothing to remove from {root}\n"
    segments = root / "deltas" / ("a" * 24)
    segments.mkdir(parents=True)
    (segments / "0").write_bytes(bytes(5000))
    os.utime(segments, (1, 1))
    assert "unfinished deltas: 5.0 kB\n" in command("cache", environment=own).output
    assert command("cache", "prune", "--older-than", "30d", environment=own).output == f"Removed 5.0 kB from {root}\n"
    assert not segments.exists()
    refused = command("cache", "prune", "--max-size", "much", environment=own)
    assert (refused.code, refused.errors.splitlines()[-1]) == (
        64,
        "Error: Invalid value for '--max-size': 'much' is not a size: write one such as 5G or 500M",
    )
