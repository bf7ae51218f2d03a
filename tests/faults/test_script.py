# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script for hosts without a controller, killed at every program that it starts: its next run completes it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.agents import fakes
from tests.agents.cases import ONE
from tests.agents.offered import Offered, run, script_of
from tests.agents.place import SHELLS, Place, needed, tree
from tests.faults.shims import FOREIGN, contents

OLD = fakes.fake("3.13.0")  # the script removes it


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Offered, Path]:
    archives = Offered({fakes.fake("3.13.1"): fakes.archive(fakes.fake("3.13.1"), tmp_path_factory.mktemp("made"))})
    return archives, archives.lay_out(tmp_path_factory.mktemp("archives"))


def lay_out(folder: Path) -> Place:
    for path, text in FOREIGN.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    fakes.write(OLD, folder / "root" / OLD.name)
    (folder / "root/cpython-3.13").symlink_to(OLD.name)
    return Place(folder, f"{folder}/root", f"{folder}/bin")


def test_killed_at_every_program(offered: tuple[Offered, Path], shims: Path, tmp_path: Path) -> None:
    """Many deaths leave the same disk. The next run is tried once on each disk that differs."""
    needed("dash")
    archives, folder = offered
    disk = tmp_path / "disk"
    place = lay_out(disk)
    options = {"builds": [{"version": "3.13.1", "default": True}], "keep": 0, "root": place.root, "bin_dir": place.bin_dir}
    text = script_of(archives, options)
    assert run(place, SHELLS[0], text, "--archives", str(folder)).code == 0
    expected = tree(disk)
    assert expected[f"root/{ONE}"] == "build 3.13.1"
    assert f"root/{OLD.name}" not in expected
    recovered: set[str] = set()
    dies, codes = 0, {-9}
    while codes == {-9}:
        dies += 1
        shutil.rmtree(disk)
        counting = tmp_path / f"count-{dies}"
        counting.mkdir()
        dying = lay_out(disk)
        dying.environment.update(
            PATH=str(shims),
            SHIM_COUNT=str(counting),
            SHIM_DIES=str(dies),
            SHIM_WHEN="after",
            FAKE_HOOK=str(shims.parent / "hook"),
        )
        codes = {run(dying, SHELLS[0], text, "--archives", str(folder)).code}
        for link in (disk / "bin").glob("python*"):
            if link.is_symlink():
                assert link.exists(), (dies, link)
        if (left := contents(place)) in recovered:
            continue
        recovered.add(left)
        quick = Place(disk, place.root, place.bin_dir, {"PATH": f"{shims.parent}/quick:{os.environ['PATH']}"})
        done = run(quick, SHELLS[0], text, "--archives", str(folder))
        assert (done.code, done.errors) == (0, ""), (dies, done)
        assert tree(disk) == expected, dies
        assert run(quick, SHELLS[0], text, "--archives", str(folder)).output == "nothing to do\n"
    assert codes == {0}
    assert dies > 40
    assert len(recovered) > 8
