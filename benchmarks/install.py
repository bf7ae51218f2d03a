# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a whole installation of one build on one host, and uv and tar with the same archive.

The host is this machine. standalone-python has the archive in the controller's cache, and works as in the Ansible action: it
observes, sends, verifies, unpacks, finishes, starts, syncs, renames, links and observes again. Separate rows show the cost of
ansible-playbook. The others are followed by `sync -f`, because standalone-python syncs before the rename.

A second table begins with an empty cache, as for the first host of a fleet: standalone-python also downloads, packs and caches.
It is compared with curl and tar, from a server without a limit and from one that sends RATE.

ext4 does not use the inode of a removed file for up to six minutes, and looks at each such inode for every file that it makes. Unpacking
then takes several times as long. So TMPDIR should name a file system that is new, or on which nothing was removed shortly before.
Source: ``recently_deleted`` in Linux' fs/ext4/ialloc.c.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed, ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from benchmarks.builds import StandIn, described, served, uv, uv_downloads, uv_environment, work_folder, workbench
from benchmarks.measure import Cost, alternate, forked, load, middle, milliseconds, must, print_table, ratio, spend, times
from benchmarks.plays import Controller, changed

OURS_ZSTD, OURS_GZIP, PLAY_ZSTD, PLAY_GZIP, UV, TAR = (
    "ours, host with zstd",
    "ours, host without zstd",
    "ours, the whole ansible-playbook, host with zstd",
    "ours, the whole ansible-playbook, host without zstd",
    "uv python install + sync -f",
    "tar -xzf + sync -f",
)
COLD, CURL = "ours, empty cache, {host}{link}", "curl + tar -xzf + sync -f{link}"
# Bytes a second of the second server.
RATE = 12.5e6
NETWORKS = ("", ", 100 Mbit/s")
HOSTS = ("host with zstd", "host without zstd")
COMPARED = ((OURS_ZSTD, UV), (PLAY_ZSTD, UV), (OURS_GZIP, TAR), (PLAY_GZIP, TAR), (OURS_ZSTD, TAR), (OURS_GZIP, UV))


@dataclass(frozen=True, slots=True)
class LocalHost:
    """This machine's shell. Files are copied, as Ansible's local connection does."""

    path: str
    sent: Path

    def run(self, script: str) -> Completed:
        environment = {**os.environ, "PATH": self.path}
        command = ("/bin/sh", "-c", "exec sh -s")
        done = subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=False)
        return Completed(done.returncode, done.stdout, done.stderr)

    def upload(self, path: Path, name: str) -> str:
        shutil.copyfile(path, self.sent / name)
        return str(self.sent / name)


def path_without_zstd(folder: Path) -> str:
    """Return a PATH with all programs of this one except zstd."""
    folder.mkdir()
    for place in os.environ.get("PATH", os.defpath).split(":"):
        if os.path.isdir(place):
            for entry in os.scandir(place):
                if "zstd" not in entry.name and not os.path.lexists(folder / entry.name):
                    (folder / entry.name).symlink_to(entry.path)
    return str(folder)


@dataclass(frozen=True, slots=True)
class Bench:
    folder: Path
    build: StandIn
    uv_environment: dict[str, str]

    def fresh(self) -> Path:
        """Return an empty folder to install into, after flushing earlier writes. Files of earlier rounds stay until the end, as a
        removal slows down what follows."""
        target = Path(tempfile.mkdtemp(prefix="target-", dir=self.folder))
        subprocess.run(["sync", "-f", str(target)], check=True)
        return target

    def options(self, target: Path, source: str = "") -> dict[str, object]:
        return {
            "builds": [self.build.minor],
            "root": str(target / "root"),
            "bin_dir": str(target / "bin"),
            "source": source or str(self.build.folder),
            "catalogue": str(self.build.folder),
        }

    def ours(self, path: str, server: str = "") -> Cost:
        """
        :param server: URL from which an empty cache is filled; by default the cache is the controller's
        """
        target = self.fresh()
        (target / "sent").mkdir()

        def install() -> None:
            if server:
                os.environ["STANDALONE_PYTHON_CACHE"] = str(target / "cache")
            desired: Desired = declare(self.options(target, server))
            if not ensure(LocalHost(path, target / "sent"), desired, Supply(desired)).changed:
                raise RuntimeError("nothing was installed")

        return forked(install)

    def play(self, path: str) -> Cost:
        target = self.fresh()
        controller = Controller(self.folder, 1, {"STANDALONE_PYTHON_CACHE": str(self.folder / "cache")})
        task = {"standalone.python.interpreters": self.options(target), "environment": {"PATH": path}}
        ended = controller.run(controller.play("install", [task]))
        cost = must(ended, "the play")
        if changed(ended) != 1:
            raise RuntimeError(f"the play installed nothing: {ended.output[-2000:]}")
        return cost

    def uv(self) -> Cost:
        target = self.fresh()
        environment = {
            **os.environ,
            **self.uv_environment,
            "UV_PYTHON_INSTALL_DIR": str(target / "uv"),
            "UV_PYTHON_BIN_DIR": str(target / "uv-bin"),
        }
        script = f'"$1" python install --quiet {self.build.version} && sync -f "$2"'
        return must(spend(["/bin/sh", "-c", script, "sh", uv(), target], env=environment), UV)

    def tar(self) -> Cost:
        target = self.fresh()
        script = 'tar -xzf "$1" -C "$2" && sync -f "$2"'
        return must(spend(["/bin/sh", "-c", script, "sh", self.build.archive, target]), TAR)

    def curl(self, server: str) -> Cost:
        target = self.fresh()
        script = 'curl -fsS -o "$2/archive" "$1" && tar -xzf "$2/archive" -C "$2" && sync -f "$2"'
        return must(spend(["/bin/sh", "-c", script, "sh", self.build.url(server), target]), CURL)

    def cold_ways(self, servers: dict[str, str]) -> dict[str, Callable[[], Cost]]:
        """
        :param servers: URL of each link
        """
        paths = dict(zip(HOSTS, (os.environ.get("PATH", os.defpath), str(self.folder / "no-zstd")), strict=True))
        ways: dict[str, Callable[[], Cost]] = {}
        for link, server in servers.items():
            ways[CURL.format(link=link)] = partial(self.curl, server)
            for host, path in paths.items():
                ways[COLD.format(host=host, link=link)] = partial(self.ours, path, server)
        return ways

    def ways(self) -> dict[str, Callable[[], Cost]]:
        with_zstd, without = os.environ.get("PATH", os.defpath), path_without_zstd(self.folder / "no-zstd")
        ways: dict[str, Callable[[], Cost]] = {UV: self.uv, TAR: self.tar}
        ways |= {OURS_GZIP: lambda: self.ours(without), PLAY_GZIP: lambda: self.play(without)}
        if shutil.which("zstd"):
            ways |= {OURS_ZSTD: lambda: self.ours(with_zstd), PLAY_ZSTD: lambda: self.play(with_zstd)}
        else:
            print("This machine has no zstd: what needs it is left out.")
        return ways


def show(title: str, costs: dict[str, list[Cost]], compared: Iterable[tuple[str, str]]) -> None:
    print(f"{title}\n")
    shown = [(name, *map(milliseconds, (middle(cost).wall, middle(cost).cpu))) for name, cost in costs.items()]
    print_table(("way", "wall", "CPU"), shown)
    print()
    pairs = [
        (f"{one} / {other}", *map(times, ratio(costs[one], costs[other])))
        for one, other in compared
        if one in costs and other in costs
    ]
    print_table(("ratio", "wall", "CPU"), pairs)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with workbench() as (folder, build, base), served(build.folder, RATE) as slow:
        os.environ["STANDALONE_PYTHON_CACHE"] = str(folder / "cache")
        bench = Bench(folder, build, uv_environment(folder, uv_downloads(build, base, folder)))
        ways = bench.ways()
        for way in ways.values():
            way()
        must(spend(["tar", "-xzf", build.archive, "-C", folder]), TAR)
        about = described(build, folder / "python")
        costs = alternate(ways, options.rounds)
        cold = alternate(bench.cold_ways(dict(zip(NETWORKS, (base, slow), strict=True))), options.rounds)

    where = f"medians of {options.rounds} rounds; {load()}"
    show(f"Install on one host, archive in the controller's cache, {where}\nin {work_folder()}; {about}", costs, COMPARED)
    pairs = [(COLD.format(host=host, link=link), CURL.format(link=link)) for link in NETWORKS for host in HOSTS]
    show(f"The same with an empty cache, {where}", cold, pairs)
    print("Aims: with zstd at most 0.55 x uv, without at most 0.75 x tar (the action, not the whole ansible-playbook);")
    print("with an empty cache at most 1.1 x curl and tar, over 100 Mbit/s.")


if __name__ == "__main__":
    main()
