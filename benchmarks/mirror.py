# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures ``mirror sync`` of 50 archives from a web server on the loopback interface, and ``curl --parallel`` of the same.

The sync hashes each archive, moves it into place, and writes lists; curl only writes files. Both download eight at a time. The
server is a separate program (busybox httpd), so that it takes none of the client's time.

The time of hashing is measured too: curl uses one core, a sync all idle ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.partial import LARGEST_PIECE
from benchmarks.builds import work_folder
from tests.tools.sources import put, write_catalogue

TAG, TRIPLE, COUNT, SIZE, JOBS = "20250317", "x86_64-unknown-linux-gnu", 50, 30_000_000, 8
PROGRAM = str(Path(sys.executable).with_name("standalone-python"))


def releases(folder: Path) -> Path:
    """Create, once, a release of 50 archives of upstream's size that contain noise, and return its folder."""
    if not (folder / "catalogue.tsv").exists():
        print("making 50 archives (once) ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            for number in range(COUNT):
                archive = Path(work) / f"cpython-3.13.{number}+{TAG}-{TRIPLE}-install_only_stripped.tar.gz"
                noise = random.Random(number)  # noqa: S311 # the same bytes each time is what is wanted
                with archive.open("wb") as file:
                    # In pieces, because this process' peak memory is inherited by the processes that it starts.
                    for piece in range(SIZE // 1_000_000):
                        file.write((b"" if piece else b"\x1f\x8b") + noise.randbytes(1_000_000))
                put(folder, TAG, archive)
        write_catalogue(folder, folder / "catalogue.tsv")
    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen(["busybox", "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", str(folder)]) as server:
        time.sleep(0.5)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Return the seconds, the seconds of processor time, and the peak memory in MB of one run."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as running:
        _pid, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{command[0]} failed with code {running.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu, usage.ru_maxrss / 1000


def hashing_time() -> float:
    """Return the seconds of processor time for the sha256 of as many bytes as all archives have."""
    piece = os.urandom(LARGEST_PIECE)
    started = time.process_time()
    for _piece in range(COUNT * SIZE // LARGEST_PIECE):
        hashlib.sha256(piece).digest()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dest", type=Path, default=work_folder() / "mirror-dest", help="a folder in memory excludes the disk")
    arguments = parser.parse_args()
    source = releases(work_folder() / "mirror")
    dest = arguments.dest
    environment = {**os.environ, "NO_PROXY": "*", "STANDALONE_PYTHON_CACHE": str(work_folder() / "mirror-cache")}
    names = [line.split("\t")[1] for line in (source / "catalogue.tsv").read_text().splitlines() if line.startswith(TAG)]
    requests = [part for number in range(COUNT) for part in ("--request", f"3.13.{number}")]
    found: dict[str, list[tuple[float, float, float]]] = {}
    with served(source) as url:
        curl = ["curl", "-sS", "--no-progress-meter", "--fail", "--parallel", "--parallel-max", str(JOBS), "--create-dirs"]
        for name in names:
            curl += ["-o", str(dest / TAG / name), f"{url}/{TAG}/{name.replace('+', '%2B')}"]
        sync = [PROGRAM, "mirror", "sync", str(dest), *requests, "--target", TRIPLE, "--source", url, "--jobs", str(JOBS)]
        # Runs alternate, so that other work affects both. The sync keeps unwritten data of one run from slowing the next.
        for _run in range(arguments.runs):
            for label, command in (("curl --parallel", curl), ("mirror sync", sync)):
                shutil.rmtree(dest, ignore_errors=True)
                os.sync()
                found.setdefault(label, []).append(measured(command, environment))
            found.setdefault("mirror sync, nothing to do", []).append(measured(sync, environment))
    shutil.rmtree(dest, ignore_errors=True)
    print(f"{COUNT} archives of {SIZE / 1e6:.0f} MB, {JOBS} at a time, median of {arguments.runs} runs\n")
    print("| what | s | MB/s | rate, of curl's | CPU s | memory, MB |\n|---|---|---|---|---|---|")
    curls = statistics.median(seconds for seconds, _cpu, _memory in found["curl --parallel"])
    for label, runs in found.items():
        seconds, cpu, memory = (statistics.median(column) for column in zip(*runs, strict=True))
        rate, of_curls = (f"{COUNT * SIZE / 1e6 / seconds:.0f}", f"{curls / seconds:.0%}") if "nothing" not in label else ("", "")
        print(f"| {label} | {seconds:.2f} | {rate} | {of_curls} | {cpu:.2f} | {memory:.0f} |")
    print(f"\nhashing alone takes {hashing_time():.2f} s of a processor")
    print(json.dumps({label: [seconds for seconds, _cpu, _memory in runs] for label, runs in found.items()}), file=sys.stderr)


if __name__ == "__main__":
    main()
