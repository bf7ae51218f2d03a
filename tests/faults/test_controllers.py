# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight controllers at one host at once: nothing is lost, each result is right, and the host ends as declared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.agents import fakes
from tests.agents.cases import NEWER, ONE, OTHER
from tests.agents.place import POSIX, needed, tree

pytestmark = POSIX

REPOSITORY = Path(__file__).resolve().parents[2]
# The first four upgrade one line and remove its old build. The others add a line.
UPGRADE: dict[str, Any] = {"builds": [{"version": "3.13", "default": True}], "state": "latest", "keep": 0}
ADD: dict[str, Any] = {"builds": ["3.12.8"]}
DECLARED = (*[UPGRADE] * 4, *[ADD] * 4)

# Each has planned before any of them changes something.
CONTROLLER = """
import json, sys, time
from pathlib import Path
from tests.agents.driver import Archives, LocalHost, make
from tests.agents.place import SHELLS, Place
folder, disk, number, count, options = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), json.loads(sys.argv[5])

class Host(LocalHost):
    def run(self, script):
        if script.endswith("apply </dev/null\\n"):
            (folder / f"planned-{number}").touch()
            until = time.monotonic() + 300
            while len(list(folder.glob("planned-*"))) < count:
                assert time.monotonic() < until
                time.sleep(0.02)
        return super().run(script)

mine = folder / number
mine.mkdir()
archives = Archives.of_fakes(("3.13.1", "3.13.2+20250317", "3.12.8"), mine)
host = Host(Place(disk, f"{disk}/root", f"{disk}/bin"), SHELLS[0], mine)
result = make(host, archives, {**options, "lock_timeout": 300})
print(json.dumps([result.changed, sorted(build.name for build in result.after.installed if not build.problem)]))
"""


def test_eight_controllers_at_one_host(tmp_path: Path) -> None:
    needed("dash")
    disk = tmp_path / "disk"
    fakes.write(fakes.fake("3.13.1"), disk / "root" / ONE)
    (disk / "root/cpython-3.13").symlink_to(ONE)
    (disk / "bin").mkdir()
    (disk / "bin/notes").write_text("mine")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, tmp_path, disk, str(number), str(len(DECLARED)), json.dumps(options)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, options in enumerate(DECLARED)
    ]
    ended = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * len(running), ended
    results = [json.loads(output) for output, _errors in ended]
    for part, wanted in ((results[:4], NEWER), (results[4:], OTHER)):
        assert sorted(changed for changed, _installed in part) == [False, False, False, True]
        assert all(wanted in installed for _changed, installed in part)
    # Whoever ended last saw both.
    assert [OTHER, NEWER] in [installed for _changed, installed in results]
    python = {line: f"-> {disk}/root/cpython-{line}/bin/python" for line in ("3.12", "3.13")}
    assert tree(disk) == {
        "bin": "folder",
        "bin/notes": "file 'mine'",
        "bin/python": f"{python['3.13']}3",
        "bin/python3": f"{python['3.13']}3",
        "bin/python3.12": f"{python['3.12']}3.12",
        "bin/python3.13": f"{python['3.13']}3.13",
        "root": "folder",
        "root/cpython-3.12": f"-> {OTHER}",
        f"root/{OTHER}": "build 3.12.8",
        "root/cpython-3.13": f"-> {NEWER}",
        f"root/{NEWER}": "build 3.13.2+20250317",
    }
