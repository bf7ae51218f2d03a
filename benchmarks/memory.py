# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the peak memory of a worker of ansible-playbook: making a payload, installing from the cache, nothing to do.

It is the kernel's figure (ru_maxrss) for the forked worker, without the programs that it starts. Most of it is shared with
ansible-playbook, from which the worker was forked. The row for raw shows that part.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.builds import stand_in, work_folder
from benchmarks.install import path_without_zstd
from benchmarks.measure import load, must, print_table, times
from benchmarks.plays import Controller, Tasks

AIM = 120.0
# ansible-playbook with a worker that writes its peak memory to a file at its end.
RUNNER = """
import os, resource, sys
from ansible.executor.process.worker import WorkerProcess
run = WorkerProcess._run
def measured(self):
    try:
        return run(self)
    finally:
        with open(os.environ["PEAKS"], "a") as peaks:
            peaks.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\\n")
WorkerProcess._run = measured
from ansible.cli.playbook import main
sys.argv[0] = "ansible-playbook"
sys.exit(main())
"""


def peak(controller: Controller, tasks: Tasks) -> float:
    """Return the megabytes of the largest worker."""
    peaks = controller.folder / "peaks"
    peaks.unlink(missing_ok=True)
    must(controller.run(controller.play("memory", tasks), runner=(sys.executable, "-P", "-c", RUNNER)), "the play")
    unit = 1 if sys.platform == "darwin" else 1024
    return max(map(int, peaks.read_text().split())) * unit / 1e6


def measured(folder: Path, source: Path, minor: str) -> dict[str, float]:
    """Run one round and return the megabytes of each kind of work."""
    controller = Controller(folder, 1, {"PEAKS": str(folder / "peaks")})
    target = folder / "target"
    interpreters = {"builds": [minor], "root": str(target / "root"), "bin_dir": str(target / "bin"), "source": str(source)}

    def ours(environment: Mapping[str, str] = {}, **more: Any) -> Tasks:
        return [{"standalone.python.interpreters": {**interpreters, **more}, "environment": dict(environment)}]

    found = {"raw: cat": peak(controller, [{"ansible.builtin.raw": "cat /etc/hosts"}])}
    hosts = {"without zstd": {"PATH": str(folder / "no-zstd")}}
    if shutil.which("zstd"):
        hosts = {"with zstd": {"PATH": os.environ.get("PATH", os.defpath)}, **hosts}
    for kind, environment in hosts.items():
        for work in ("payload made for the first time, installed", "installed from the cache"):
            shutil.rmtree(target, ignore_errors=True)
            found[f"{work}; host {kind}"] = peak(controller, ours(environment))
    found["nothing to do"] = peak(controller, ours())
    found["nothing to do, verify: full"] = peak(controller, ours(verify="full"))
    shutil.rmtree(folder / "cache")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        kept = work_folder()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=kept)))
        build = stand_in(kept / "builds")
        path_without_zstd(folder / "no-zstd")
        rounds = [measured(folder, build.folder, build.minor) for _round in range(options.rounds)]
    size = build.archive.stat().st_size / 1e6
    print(f"Peak memory of one worker, medians of {options.rounds} rounds, archive of {size:.0f} MB; {load()}\n")
    peaks = {name: median(found[name] for found in rounds) for name in rounds[0]}
    raw = peaks["raw: cat"]
    rows = [(name, f"{value:.0f} MB", f"{value - raw:+.0f} MB", times(value / AIM)) for name, value in peaks.items()]
    print_table(("a worker's work", "peak", "to raw's", "to the aim"), rows)
    print(f"\nAim: below {AIM:.0f} MB.")


if __name__ == "__main__":
    main()
