# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the delta between two archives: its bytes by layer, making it, and rebuilding a build from it.

    delta.py OLD.tar.gz NEW.tar.gz

The stand-ins of the tests are one program with several version texts, so they say nothing about real upgrades: name two archives.
The times over a network are computed from the bytes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, cast

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import archive, delta
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Compression
from benchmarks.measure import forked, load, spend

MBITS = (10, 100, 1000)


def packed(source: Path, folder: Path, compression: Compression) -> Path:
    path = folder / f"{source.name}.{compression}"
    with path.open("wb") as out:
        archive.pack(source, "python", cast(BinaryIO, out), compression)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    given = parser.parse_args()
    print(load())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = (packed(source, folder, "gz") for source in (given.old, given.new))
        small = packed(given.new, folder, "zst").stat().st_size
        out, about = folder / "delta", folder / "about"

        def make() -> None:
            with out.open("wb") as file:
                made = delta.make(old, new, file, folder)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            about.write_text(f"{made.tar} {made.copied} {made.changed} {made.new} {peak}")

        making = forked(make)
        tar, *numbers = about.read_text().split()
        copied, changed, fresh, peak = map(int, numbers)
        size = out.stat().st_size
        parts = out.read_bytes()[len(delta.MAGIC) : len(delta.MAGIC) + 64].split(b"\n")[0].split()
        print(f"payload       {new.stat().st_size:>11,} bytes with gzip, {small:,} with zstd")
        print(f"delta         {size:>11,} bytes: {size / new.stat().st_size:.1%} and {size / small:.1%}")
        for what, part in zip(("operations", "new bytes", "changes"), map(int, parts), strict=True):
            print(f"  {what:<11} {part:>11,}")
        print(f"of the tar    {copied:>11,} bytes are copied, {changed:,} changed, {fresh:,} new")
        print(f"making        {making.cpu:>11.1f} s of processor time, {making.wall:.1f} s; {peak} MB of memory")
        (folder / "base").mkdir()
        subprocess.run(["tar", "-xzf", old, "-C", folder / "base"], check=True)
        (folder / "delta.py").write_text(sh.module("delta.py"))
        (folder / "tree").mkdir()
        command = f"{sys.executable} -I -B -S {folder}/delta.py {out} {folder}/base/python {tar} | tar -xf - -C {folder}/tree"
        rebuilding = spend(["sh", "-c", command])
        unpacking = spend(["sh", "-c", f"rm -rf {folder}/tree/*; gzip -dc {new} | tar -xf - -C {folder}/tree"])
        for what, ended in (("rebuilding", rebuilding), ("gzip and tar", unpacking)):
            if ended.code:
                raise SystemExit(ended.output)
            print(f"{what:<13} {ended.cost.cpu:>11.1f} s of processor time, {ended.cost.wall:.1f} s on the host")
        for mbit in MBITS:
            print(f"at {mbit:>4} Mbit/s  {size * 8e-6 / mbit:>10.1f} s, instead of {small * 8e-6 / mbit:.1f} s with zstd")


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"{time.perf_counter() - began:.0f} s with {os.cpu_count()} processors")
