# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the time and memory of a report: from the JSON of 1,000 hosts with 3 builds each to a table or a page."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import load, middle, milliseconds, must, print_table, spend
from tests.tools.fleet import fleet

PROGRAM = Path(sys.executable).with_name("standalone-python")
HOSTS = 1000
# Seconds of wall clock, and megabytes.
AIM, MEMORY = 2.0, 150


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hosts, page = folder / "hosts.json", folder / "report.html"
        hosts.write_text(json.dumps(fleet(HOSTS)))
        environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(folder / "cache")}
        rows = []
        for name, more in (("table", ()), ("table and page", ("--html", page))):
            command = (PROGRAM, "report", hosts, *more)
            runs = [must(spend(command, env=environment), name) for _round in range(options.rounds)]
            cost, best = middle(runs), min(run.wall for run in runs)
            rows.append((name, milliseconds(cost.wall), milliseconds(best), milliseconds(cost.cpu), milliseconds(AIM)))
        size = page.stat().st_size
    # Linux counts in kB, macOS in bytes.
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> (10 if sys.platform == "linux" else 20)
    print(f"{HOSTS} hosts with 3 builds each, from their JSON, medians of {options.rounds} rounds; {load()}\n")
    print_table(("report", "wall", "shortest", "CPU", "aim"), rows)
    print(f"\nmemory: {largest} MB, aim {MEMORY} MB; page: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
