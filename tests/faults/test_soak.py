# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random declarations on one disk, each killed at a random moment. The next run has to make the disk sound, whatever was left.

The test is deselected by default: ``pytest -m soak tests/faults`` runs it, and a nightly workflow does. STANDALONE_PYTHON_SOAK is the
number of kills. STANDALONE_PYTHON_SOAK_SEED repeats the order of a run; when a process dies is a matter of the machine.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from tests.agents import fakes
from tests.agents.driver import Archives, make
from tests.agents.place import SHELLS, Place
from tests.faults.dying_host import DyingHost

KILLS = int(os.environ.get("STANDALONE_PYTHON_SOAK") or 1000)
SEED = int(os.environ.get("STANDALONE_PYTHON_SOAK_SEED") or time.time_ns() % 1_000_000)
OLD, NEW, OTHER = "3.13.1", "3.13.2+20250317", "3.12.8"
FOREIGN = {"root/notes": "mine", "root/cpython-notes": "mine", "bin/pip": "mine"}


def _spoil(root: Path, rng: random.Random) -> None:
    """Damage a file of each build that the round declares. Others are nobody's to repair."""
    for build in sorted(root / fakes.fake(text).name for text in (NEW, OTHER)):
        files = sorted(path for path in (build / "lib").rglob("*") if path.is_file())
        if files:
            rng.choice(files).write_text("damaged")


def _nothing(_root: Path, _rng: random.Random) -> None:
    """Leave the disk as it is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a round declares; before it, ``first`` is declared and left in peace, and ``spoil`` changes the disk."""

    options: Mapping[str, Any]
    first: Mapping[str, Any]
    spoil: Callable[[Path, random.Random], None] = _nothing


NONE = {"builds": ["3.12", "3.13"], "state": "absent"}
KINDS = {
    "install": Kind({"builds": [NEW, OTHER]}, NONE),
    "downgrade": Kind({"builds": [OLD], "keep": 0}, {"builds": [NEW]}),
    "upgrade": Kind({"builds": ["3.13"], "state": "latest", "keep": 0}, {"builds": [OLD], "exclusive": True}),
    "exclusive": Kind({"builds": [OTHER], "exclusive": True}, {"builds": [NEW, OTHER]}),
    "reinstall": Kind({"builds": [NEW], "externally_managed": False}, {"builds": [NEW]}),
    "absent": Kind({"builds": ["3.13"], "state": "absent"}, {"builds": [NEW, OTHER]}),
    "repair": Kind({"builds": [NEW, OTHER], "verify": "full"}, {"builds": [NEW, OTHER], "verify": "full"}, _spoil),
}


class Soak:
    """A disk and what happened on it."""

    def __init__(self, folder: Path, sent: Path, archives: Archives, seed: int) -> None:
        self.place = Place(folder, f"{folder}/root", f"{folder}/bin")
        self.sent, self.archives, self.rng = sent, archives, random.Random(seed)  # noqa: S311
        self.shells = [shell for shell in SHELLS if not shell.path(sent / shell.name) and shutil.which(shell.command[0])]
        self.took: dict[str, float] = {}
        self.kills: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.unsound: list[str] = []
        for path, text in FOREIGN.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)

    def apply(self, options: Mapping[str, Any], after: float = 0) -> tuple[bool, float]:
        """Return whether something changed, and the seconds that the change took."""
        host = DyingHost(self.place, self.rng.choice(self.shells), self.sent)
        host.after = after
        return make(host, self.archives, options).changed, host.took

    def round(self, name: str) -> None:
        """Kill one run of a kind at a random moment, and look at what the next run makes of it."""
        kind = KINDS[name]
        self.apply(kind.first)
        kind.spoil(Path(self.place.root), self.rng)
        after = self.rng.uniform(0.001, 1.1 * self.took.get(name, 0.5))
        began = time.monotonic()
        try:
            _changed, took = self.apply(kind.options, after)
        except StandalonePythonError as error:
            if "can't be read" not in str(error):
                self.unsound.append(f"{name}, killed after {after:.3f} s: it said {error}")
            self.kills[name] += 1
            self.left[self._left()] += 1
            self._holds(f"{name}, killed after {after:.3f} s", kind)
        else:
            self.took[name] = (self.took.get(name, took) + took) / 2
        assert time.monotonic() - began < 120
        for path in self.sent.glob("*cpython-*"):
            path.unlink()

    def _left(self) -> str:
        """Name what a killed run left."""
        root = Path(self.place.root)
        staging = root / ".standalone-python.staging"
        if staging.is_dir():
            return "a lock and a build in staging" if any(staging.iterdir()) else "a lock and an empty staging folder"
        return "a lock" if (root / ".standalone-python.lock").is_symlink() else "nothing"

    def _holds(self, where: str, kind: Kind) -> None:
        try:
            self.apply(kind.options)
            again, _took = self.apply(kind.options)
            verified, _took = self.apply({**kind.options, "verify": "full"})
        except StandalonePythonError as error:
            self.unsound.append(f"{where}: the next run failed: {error}")
            return
        faults = [*(["the plan is not empty"] if again else []), *(["verify found damage"] if verified else []), *self._faults()]
        self.unsound += [f"{where}: {fault}" for fault in faults]

    def _faults(self) -> list[str]:
        """Return what is wrong on the disk, looked at without the agents."""
        root, disk = Path(self.place.root), self.place.disk
        faults = [
            f"{path} changed" for path, text in FOREIGN.items() if not (disk / path).exists() or (disk / path).read_text() != text
        ]
        faults += [f"{path.name} is left" for path in root.glob(".*") if path.name != ".standalone-python.checked"]
        for link in (path for folder in (root, disk / "bin") for path in folder.iterdir() if path.is_symlink()):
            if not link.exists():
                faults.append(f"{link} leads to nothing")
        for build in (path for path in root.glob("cpython-3*+*") if not path.is_symlink()):
            state = fakes.state_of(build)
            if not state.startswith("build "):
                faults.append(f"{build.name} is a {state}")
        return faults

    def report(self, seconds: float) -> str:
        lines = [f"seed {SEED}: {self.kills.total()} kills in {seconds:.0f} s, {len(self.unsound)} unsound"]
        lines += [f"  {count:5} {name}" for table in (self.kills, self.left) for name, count in table.most_common()]
        return "\n".join([*lines, *self.unsound])


@pytest.mark.soak
def test_every_killed_run_is_mended_by_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, sent = tmp_path / "disk", tmp_path / "sent"
    for path in (folder, sent):
        path.mkdir()
    soak = Soak(folder, sent, Archives.of_fakes((OLD, NEW, OTHER), tmp_path), SEED)
    with capsys.disabled():
        print(f"\nsoak: {KILLS} kills with the seed {SEED}", flush=True)
        began = shown = time.monotonic()
        while soak.kills.total() < KILLS:
            soak.round(soak.rng.choice(sorted(KINDS)))
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(soak.report(shown - began), flush=True)
        print(soak.report(time.monotonic() - began), flush=True)
    assert soak.kills.keys() == KINDS.keys() or KILLS < 100
    assert soak.unsound == []
