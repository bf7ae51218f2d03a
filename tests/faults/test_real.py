# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real build and the real finisher, killed at moments spread over the whole installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ObservationError
from tests.agents.driver import Archives, make
from tests.agents.place import SHELLS, Place, needed
from tests.faults.dying_host import DyingHost


def version(place: Place) -> str:
    """What the link's interpreter says that it is; it runs from its own place and imports what needs libraries."""
    command = [f"{place.bin_dir}/python3.13", "-I", "-c", "import ssl, sys; print(sys.version.split()[0], sys.prefix)"]
    found, prefix = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert Path(prefix).resolve().is_relative_to(place.root)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is room and programs may be started, so that twenty installations need not wait for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="disk-", dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        trial = Path(name) / "trial"
        trial.write_text("#!/bin/sh\n")
        trial.chmod(0o755)
        runs = os.access(trial, os.X_OK) and shutil.disk_usage(name).free > 1 << 30
        trial.unlink()
        yield Path(name) if runs else tmp_path


def test_killed_at_ten_moments(builds: Callable[..., Path], tmp_path: Path, folder: Path) -> None:
    needed("dash")
    old = builds("3.13", tag="20250115", version="3.13.1")
    new = builds("3.13", tag="20250317", version="3.13.2")
    archives = Archives({parse_filename(path.name): path for path in (old, new)})
    place = Place(folder / "disk", f"{folder}/disk/root", f"{folder}/disk/bin")
    place.disk.mkdir()

    def upgrade(after: float = 0, **options: object) -> float:
        host = DyingHost(place, SHELLS[0], tmp_path)
        host.after = after
        make(host, archives, {"builds": ["3.13"], "state": "latest", "keep": 0, **options})
        return host.took

    upgrade(builds=["3.13.1"])
    assert version(place) == "3.13.1"
    before = folder / "before"
    subprocess.run(["cp", "-a", place.disk, before], check=True)
    took = upgrade()
    assert version(place) == "3.13.2"
    left = sorted(path.name for path in Path(place.root).iterdir())
    assert left == ["cpython-3.13", parse_filename(new.name).name]
    died = 0
    for moment in range(1, 11):
        shutil.rmtree(place.disk)
        subprocess.run(["cp", "-a", before, place.disk], check=True)
        try:
            upgrade(took * moment / 11)
        except ObservationError:
            died += 1
            assert version(place) in ("3.13.1", "3.13.2")
            upgrade()
        assert version(place) == "3.13.2"
        assert sorted(path.name for path in Path(place.root).iterdir()) == left
    assert upgrade(verify="full") == 0
    assert died >= 5
