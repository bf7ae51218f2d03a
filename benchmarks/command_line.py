# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the time of whole commands that are quick: ``--version``, ``status``, ``catalogue list``, and those that change nothing.

Each run is a new process; files are in the system's cache, and modules are compiled. Output goes into a pipe. Ratios are to an
interpreter that does nothing, of the shortest processor time in all rounds, which other work of the machine affects least.
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
NOTHING, VERSION, STATUS = "python -c pass", "--version", "status"
INSTALL, APPLY, PLAN = "install, nothing to do", "apply, nothing to do", "plan, nothing to do"
LIST, ONE = "catalogue list", "catalogue list 3.13 --target"
# Times the processor time of NOTHING.
AIMS: Mapping[str, float] = {VERSION: 4, STATUS: 6, INSTALL: 6, ONE: 7}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    kept = work_folder()
    build = stand_in(kept / "builds")
    with tempfile.TemporaryDirectory(dir=kept) as temporary:
        folder = Path(temporary)
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPYCACHEPREFIX": str(folder / "modules")}
        for name in ("STANDALONE_PYTHON_CACHE", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        root = folder / "root"
        declaration = folder / "python.yml"
        declaration.write_text(f"builds: ['{build.minor}']\nroot: {root}\nsource: {build.folder}\n")

        def way(*command: str | Path) -> Callable[[], Cost]:
            return lambda: must(spend(command, env=environment), " ".join(map(str, command)))

        ways = {
            NOTHING: way(sys.executable, "-P", "-c", "pass"),
            VERSION: way(PROGRAM, "--version"),
            STATUS: way(PROGRAM, "status", "--root", root),
            INSTALL: way(PROGRAM, "install", build.minor, "--root", root, "--source", build.folder),
            APPLY: way(PROGRAM, "apply", declaration),
            PLAN: way(PROGRAM, "plan", declaration),
            LIST: way(PROGRAM, "catalogue", "list"),
            ONE: way(PROGRAM, "catalogue", "list", "3.13", "--target", "x86_64-unknown-linux-gnu"),
        }
        ways[APPLY]()
        for run in ways.values():
            run()  # compiles modules
        costs = alternate(ways, options.rounds)
    base = min(run.cpu for run in costs[NOTHING])
    rows = []
    for name, runs in costs.items():
        least = min(run.cpu for run in runs)
        aim = f"{AIMS[name]:g} x" if name in AIMS else "-"
        rows.append((name, milliseconds(middle(runs).wall), milliseconds(least), times(least / base), aim))
    print(f"The command line, whole processes, {options.rounds} rounds; {load()}\n")
    print_table(("command", "wall, median", "CPU, shortest", "ratio", "aim"), rows)


if __name__ == "__main__":
    main()
