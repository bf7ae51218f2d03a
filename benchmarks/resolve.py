# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how long a new interpreter takes to find a build in the bundled catalogue.

Imports are shown separately. The files are in the system's cache, as when a fleet is provisioned.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median

from benchmarks.measure import load, milliseconds, print_table, times

AIM = 0.005
CASES = (
    ("3.13", "x86_64-unknown-linux-gnu"),
    ("3.13.1+20250115", "x86_64-unknown-linux-gnu"),
    (">=3.9,<3.12", "aarch64-unknown-linux-gnu"),
    ("3", "x86_64-unknown-linux-musl"),
    ("3.13t", "aarch64-apple-darwin"),
    ("3.8", "x86_64-apple-darwin"),
    ("3.13+v3", "x86_64_v3-unknown-linux-gnu"),
)
COLD = """
import sys
from time import perf_counter, process_time
began = perf_counter()
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import bundled, resolve
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import parse_triple
try:
    import packaging.specifiers
except ImportError:
    pass
imported, used = perf_counter(), process_time()
build = resolve(parse_request(sys.argv[1]), parse_triple(sys.argv[2]), bundled())
print(imported - began, perf_counter() - imported, process_time() - used, build.filename)
"""


def cold(request: str, triple: str) -> tuple[float, float, float, str]:
    """Return the seconds of wall clock for the imports and for finding, the seconds of processor time for finding, and the build."""
    done = subprocess.run([sys.executable, "-P", "-c", COLD, request, triple], capture_output=True, text=True, check=True)
    imports, wall, cpu, name = done.stdout.split()
    return float(imports), float(wall), float(cpu), name


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    found = {case: [cold(*case)] for case in CASES}
    for _round in range(options.rounds - 1):
        for case in CASES:
            found[case].append(cold(*case))
    rows = []
    for (request, triple), runs in found.items():
        imports, wall, cpu = (median(figures) for figures in zip(*(run[:3] for run in runs), strict=True))
        shown = (milliseconds(wall), milliseconds(cpu), times(cpu / AIM), milliseconds(imports))
        rows.append((f"{request} for {triple}", *shown, runs[0][3]))
    print(f"Finding a build from cold, medians of {options.rounds} fresh interpreters; {load()}\n")
    print_table(("request", "wall", "CPU", "CPU to the aim", "imports before", "found"), rows)
    print(f"\nAim: at most {milliseconds(AIM)}, imports excluded.")


if __name__ == "__main__":
    main()
