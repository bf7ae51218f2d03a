# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the delta between two archives: its bytes by layer, making it, and rebuilding a build from it.

    delta.py OLD.tar.gz NEW.tar.gz [--links]

The stand-ins of the tests are one program with several version texts, so they say nothing about real upgrades: name two archives.
The times over a network are computed from the bytes. With ``--links`` root measures them too, from the first byte to the unpacked tree: over
loopback, and from a network namespace whose link is limited with ``tc``.
"""

from __future__ import annotations

import argparse
import lzma
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import archive, delta
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Compression
from benchmarks.measure import load, must, spend

MBITS = (10, 100, 1000)
PORT = 8943
ROOT = Path(__file__).parents[1]
MAKE = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import delta
old, new, out, folder = map(Path, sys.argv[2:])
with out.open("wb") as file:
    tar = delta.make(old, new, file, folder)
print(tar, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def described(path: Path) -> tuple[list[int], Counter[str]]:
    """Return the sizes of a delta's parts, and how many bytes of the tar each kind of operation writes."""
    with path.open("rb") as file:
        file.seek(len(delta.MAGIC))
        parts = [*map(int, file.readline().split())]
        operations = lzma.decompress(file.read(parts[0])).decode().splitlines()
    found = Counter[str]()
    for kind, size, *_rest in map(str.split, operations):
        found[kind] += int(size)
    return parts, found


def packed(source: Path, folder: Path, compression: Compression) -> Path:
    path = folder / f"{source.name}.{compression}"
    with path.open("wb") as out:
        archive.pack(source, "python", cast(BinaryIO, out), compression)
    return path


@contextmanager
def server(folder: Path, mbit: int | None) -> Iterator[str]:
    """Serve a folder over HTTP, over loopback or over a link of so many Mbit/s; yield the address."""
    name, near, far = "standalone-python", "spy-near", "spy-far"
    address = "198.51.100.1" if mbit else "127.0.0.1"
    steps = [
        f"ip netns add {name}",
        f"ip link add {near} type veth peer name {far} netns {name}",
        f"ip addr add 198.51.100.2/30 dev {near}",
        f"ip link set {near} up",
        f"ip netns exec {name} ip addr add {address}/30 dev {far}",
        f"ip netns exec {name} ip link set {far} up",
        f"ip netns exec {name} tc qdisc add dev {far} root tbf rate {mbit}mbit burst 64kb latency 100ms",
    ]
    command = [sys.executable, "-I", "-m", "http.server", str(PORT), "--bind", address, "--directory", str(folder)]
    try:
        for step in steps if mbit else ():
            subprocess.run(step.split(), check=True)
        inside = ["ip", "netns", "exec", name] if mbit else []
        with subprocess.Popen([*inside, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as serving:
            try:
                for _ in range(100):
                    with socket.socket() as probe:
                        if probe.connect_ex((address, PORT)) == 0:
                            break
                    time.sleep(0.1)
                yield f"http://{address}:{PORT}"
            finally:
                serving.terminate()
    finally:
        if mbit:
            # The kernel removes a namespace's links later; the next limit makes a link of the same name.
            subprocess.run(["ip", "link", "del", near], check=False)
            subprocess.run(["ip", "netns", "del", name], check=False)


def measure_links(folder: Path, whole: Path, rebuild: str) -> None:
    """Print how long a host waits for the whole payload and for the delta, over each link."""
    unpack = "zstd -dc" if whole.suffix == ".zst" else "gzip -dc"
    for mbit in (10, 100, None):
        with server(folder, mbit) as address:
            fetch = f"rm -rf {folder}/tree/*; curl -sSf -o {folder}/got {address}"
            ways = {
                "whole": f"{fetch}/{whole.name} && {unpack} {folder}/got | tar -xf - -C {folder}/tree",
                "delta": f"{fetch}/delta && {rebuild}",
            }
            took = {way: must(spend(["sh", "-c", command]), way).wall for way, command in ways.items()}
            link = f"{mbit} Mbit/s" if mbit else "loopback"
            print(
                f"over {link:<10} {took['delta']:>9.1f} s, instead of {took['whole']:.1f} s: {took['delta'] / took['whole']:.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--links", action="store_true", help="measure downloads too; needs root, ip, tc and curl")
    given = parser.parse_args()
    print(load())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = (packed(source, folder, "gz") for source in (given.old, given.new))
        zstd = packed(given.new, folder, "zst")
        small = zstd.stat().st_size
        out = folder / "delta"
        # A process of its own: this one has packed both archives. Its shell forks first, because Linux counts what a process had
        # before it became another program.
        making = spend(["sh", "-c", '"$@"; exit', "sh", sys.executable, "-I", "-c", MAKE, ROOT, old, new, out, folder])
        must(making, "making")
        tar, peak = making.output.split()
        size = out.stat().st_size
        parts, bytes_of = described(out)
        print(f"payload       {new.stat().st_size:>11,} bytes with gzip, {small:,} with zstd")
        print(f"delta         {size:>11,} bytes: {size / new.stat().st_size:.1%} and {size / small:.1%}")
        for what, part in zip(("operations", "new bytes", "changes"), parts, strict=True):
            print(f"  {what:<11} {part:>11,}")
        print(f"of the tar    {bytes_of['copy']:>11,} bytes are copied, {bytes_of['add']:,} changed, {bytes_of['new']:,} new")
        print(
            f"making        {making.cost.cpu:>11.1f} s of processor time, {making.cost.wall:.1f} s; {int(peak) * 1024 / 1e6:.0f} MB of memory"
        )
        (folder / "base").mkdir()
        subprocess.run(["tar", "-xzf", old, "-C", folder / "base"], check=True)
        (folder / "delta.py").write_text(sh.module("delta.py"))
        (folder / "tree").mkdir()
        rebuild = f"{sys.executable} -I -B -S {folder}/delta.py %s {folder}/base/python {tar} | tar -xf - -C {folder}/tree"
        rebuilding = spend(["sh", "-c", rebuild % out])
        unpacking = spend(["sh", "-c", f"rm -rf {folder}/tree/*; gzip -dc {new} | tar -xf - -C {folder}/tree"])
        for what, ended in (("rebuilding", rebuilding), ("gzip and tar", unpacking)):
            if ended.code:
                raise SystemExit(ended.output)
            print(f"{what:<13} {ended.cost.cpu:>11.1f} s of processor time, {ended.cost.wall:.1f} s on the host")
        for mbit in MBITS:
            print(f"at {mbit:>4} Mbit/s  {size * 8e-6 / mbit:>10.1f} s, instead of {small * 8e-6 / mbit:.1f} s with zstd")
        if given.links:
            measure_links(folder, zstd if shutil.which("zstd") else new, rebuild % (folder / "got"))


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"{time.perf_counter() - began:.0f} s with {os.cpu_count()} processors")
