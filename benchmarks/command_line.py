# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the time of a whole command: catalogue list, and a plan that changes nothing.

Each run is a new process; files are in the system's cache. Output goes into a pipe, so no table is drawn. The row of an
interpreter that does nothing shows the time that cannot be saved.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.builds import stand_in, work_folder
from benchmarks.measure import Cost, alternate, load, middle, milliseconds, must, print_table, spend, times

PROGRAM = Path(sys.executable).with_name("standalone-python")
PLAN, LIST, ONE, STATUS = "plan, nothing to do", "catalogue list", "catalogue list 3.13", "status"
# Seconds of wall clock.
AIMS: Mapping[str, float] = {PLAN: 0.120, LIST: 0.150, ONE: 0.150}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    kept = work_folder()
    build = stand_in(kept / "builds")
    with tempfile.TemporaryDirectory(dir=kept) as temporary:
        folder = Path(temporary)
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        environment.pop("STANDALONE_PYTHON_CACHE", None)
        declaration = folder / "python.yml"
        declaration.write_text(f"builds: ['{build.minor}']\nroot: {folder}/root\nsource: {build.folder}\n")

        def way(*command: str | Path) -> Callable[[], Cost]:
            return lambda: must(spend(command, env=environment), " ".join(map(str, command)))

        way(PROGRAM, "apply", declaration)()
        costs = alternate(
            {
                "python -c pass": way(sys.executable, "-P", "-c", "pass"),
                "--version": way(PROGRAM, "--version"),
                PLAN: way(PROGRAM, "plan", declaration),
                STATUS: way(PROGRAM, "status", "--root", folder / "root"),
                LIST: way(PROGRAM, "catalogue", "list"),
                ONE: way(PROGRAM, "catalogue", "list", "3.13"),
            },
            options.rounds,
        )
    rows = []
    for name, runs in costs.items():
        cost, best, aim = middle(runs), min(run.wall for run in runs), AIMS.get(name)
        aimed = (milliseconds(aim), times(cost.wall / aim)) if aim else ("-", "-")
        rows.append((name, milliseconds(cost.wall), milliseconds(best), milliseconds(cost.cpu), *aimed))
    print(f"The command line, whole processes, medians of {options.rounds} rounds; {load()}\n")
    print_table(("command", "wall", "shortest", "CPU", "aim", "wall to the aim"), rows)


if __name__ == "__main__":
    main()
