# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host and a supply for ``ensure``, both on this machine: a shell on a folder, and fake builds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.cache import file_stamp
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Payload
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Request
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed, Result
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.published import Published
from tests.agents import fakes
from tests.agents.place import Place, Shell, finished


@dataclass
class LocalHost:
    """``applying`` is the environment of the scripts that change something, beside the place's own."""

    place: Place
    shell: Shell
    sent: Path
    applying: Mapping[str, str] = field(default_factory=dict)
    as_user: int | None = None
    scripts: list[str] = field(default_factory=list)

    def run(self, script: str) -> Completed:
        self.scripts.append(script)
        applies = script.endswith("apply </dev/null\n")
        environment = {**self.place.environment, **(self.applying if applies else {})}
        place = Place(self.place.disk, self.place.root, self.place.bin_dir, environment)
        return finished(place.start(self.shell, script, as_user=self.as_user))

    def upload(self, path: Path, name: str) -> str:
        there = self.sent / f"{len(self.scripts)}-{name}"
        shutil.copyfile(path, there)
        return str(there)


def local_host(shell: Shell, disk: Path, folder: Path, **environment: str) -> LocalHost:
    """One whose root is ``opt/python`` on ``disk``, with the shell's own tools where the environment has no PATH; what is sent
    and such tools lie in ``folder``."""
    if path := shell.path(folder / "tools"):
        environment.setdefault("PATH", path)
    sent = folder / "sent"
    sent.mkdir(exist_ok=True)
    return LocalHost(Place(disk, f"{disk}/opt/python", f"{disk}/bin", environment), shell, sent)


@dataclass
class Archives:
    """A supply of archives that are there already, fakes or not."""

    known: dict[Build, Path]
    unpacked: int = 0
    inodes: int = 0
    delta: tuple[Build, Published, tuple[str, ...]] | None = None
    address: str = ""
    splits: Mapping[Path, int] = field(default_factory=dict)

    def _path(self, build: Build) -> Path:
        """By name: of an installed build the receipt knows less."""
        return next(path for known, path in self.known.items() if known.name == build.name)

    @classmethod
    def of_fakes(cls, names: Iterable[str], folder: Path, *, padding: int = 0, form: str = "gz") -> Archives:
        known = {fakes.fake(n): fakes.archive(fakes.fake(n), folder, form, padding=padding) for n in names}
        return cls(known, splits={path: fakes.halve(path) for path in known.values()})

    def make_delta(self, old: str, new: str) -> Path:
        """Put the delta between two of them where :func:`deltas.find` finds it, as if it were in the cache."""
        from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import delta, deltas

        base, path = self._path(fakes.fake(old)), self._path(fakes.fake(new))
        place = path.with_name(f"delta-{fakes.sha256(base)[:12]}")
        with place.open("wb") as out:
            tar = delta.make(base, path, out, path.parent)
        about = {"recipe": deltas.RECIPE, "archive": fakes.sha256(path), "base": fakes.sha256(base), "tar": tar}
        about |= {"sha256": fakes.sha256(place), "stamp": file_stamp(place)}
        place.with_name(f"{place.name}.json").write_text(json.dumps(about))
        return place

    def resolve(self, request: Request, facts: Mapping[str, str], current: Build | None = None) -> Build:
        able = [b for b in self.known if request.admits(b.version, b.variant, b.release)]
        return max(able, key=lambda b: (b.version, b.release))

    def payload(self, build: Build, *, zstd: bool) -> Payload:
        path = self._path(build)
        form: Literal["zst", "gz"] = "zst" if path.name.endswith(".zst") else "gz"
        return Payload(
            path, fakes.sha256(path), form, path.stat().st_size, self.unpacked, 1, self.inodes, self.splits.get(path, 0)
        )

    def urls(self, build: Build) -> tuple[str, ...]:
        return (f"{self.address}/{build.filename}",) if self.address else ()

    def publish_delta(self, old: str, new: str, address: str) -> Path:
        """Let hosts download the delta between two of them, as from a mirror at this address."""
        place, (base, build) = self.make_delta(old, new), map(fakes.fake, (old, new))
        about = json.loads(place.with_name(f"{place.name}.json").read_text())
        base = replace(base, sha256=about["base"])
        numbers = (place.stat().st_size, about["sha256"], about["tar"], 1, 0)
        one = Published(build.release, build.filename, about["archive"], about["base"], *numbers)
        self.address, self.delta = address, (base, one, (f"{address}/{one.name}",))
        return place

    def list_delta(self, content: bytes) -> None:
        """Let the list of the mirror have another checksum for its delta; the sum of the tar stays."""
        if self.delta:
            base, one, urls = self.delta
            self.delta = (base, replace(one, sha256=hashlib.sha256(content).hexdigest()), urls)

    @property
    def token_for_hosts(self) -> str:
        return ""

    def published(self, build: Build, bases: Iterable[Build]) -> tuple[Build, Published, tuple[str, ...]] | None:
        return self.delta if self.delta and self.delta[0] in bases else None

    def sha256(self, build: Build) -> str:
        return fakes.sha256(self._path(build))

    def shown_url(self, build: Build) -> str:
        return "https://example.org/archive.tar.gz"

    def attested(self, build: Build) -> str:
        return "no"

    def assumption(self, builds: Iterable[Build]) -> str:
        return ""


def make(host: LocalHost, archives: Archives, options: Mapping[str, Any], *, fleet: int = 0) -> Result:
    place = host.place
    desired = declare({"root": place.root, "bin_dir": place.bin_dir, **options})
    return ensure.ensure(host, desired, archives, fleet=fleet)


def start(stack: ExitStack, program: Path, *before: str, **more: object) -> subprocess.Popen[bytes]:
    """Start the program, and wait until it runs."""
    process = subprocess.Popen([*before, str(program), "60"], **more)  # type: ignore[call-overload]
    stack.callback(process.wait)
    stack.callback(process.kill)
    deadline = time.monotonic() + 20
    while not os.path.basename(os.readlink(f"/proc/{process.pid}/exe")).startswith(program.resolve().name):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found: subprocess.Popen[bytes] = process
    return found
