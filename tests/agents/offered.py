# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script for hosts without a controller, the builds that it offers, and how it is run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.script import Archives as Places
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.script import Origin
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Request
from ansible_collections.standalone.python.plugins.plugin_utils.core.script import kinds_of, make
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from tests.agents import fakes
from tests.agents.driver import Archives
from tests.agents.place import Place, Shell

ORIGIN = Origin("standalone-python 0", "standalone-python script", "python.lock.json", "0" * 64)
TRIPLE = "x86_64-unknown-linux-gnu"
# What catalogues name besides.
KNOWN = ("3.12.8", "3.13.0", "3.13.0+20250108", "3.13.0 full", "3.13.2+20250317")


class Offered(Archives):
    """Archives that a host finds in a folder with a mirror's layout."""

    token_for_hosts = ""

    def known_builds(self, triples: Iterable[str]) -> Iterable[Build]:
        return [build for build in (*self.known, *map(fakes.fake, KNOWN)) if build.triple in triples]

    def resolve(self, request: Request, facts: Mapping[str, str], current: Build | None = None) -> Build:
        build = super().resolve(request, facts, current)
        return replace(build, sha256=self.sha256(build))

    def lay_out(self, folder: Path) -> Path:
        for build, path in self.known.items():
            (folder / build.release).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / build.release / build.filename)
        return folder


def script_of(archives: Archives, options: Mapping[str, Any]) -> str:
    desired = declare({"lockfile": "python.lock.json", **options})
    kinds = kinds_of(desired, archives, [TRIPLE])
    return make(desired, archives, kinds, ORIGIN, Places(beside="archives"))


def run(place: Place, shell: Shell, text: str, *words: str) -> ensure.Completed:
    return place.run(Shell(shell.name, (*shell.command, "--", *words)), text)


def changed_receipt(**changed: Any) -> Callable[[Place, str], None]:
    def change(place: Place, sha256: str) -> None:
        (path,) = Path(place.root).glob(f"cpython-3.13.1+*/{fakes.RECEIPT}")
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}, indent=1, sort_keys=True) + "\n")

    return change


def checked(found: str, list_sha256: str = "") -> Callable[[Place, str], None]:
    """A full check found something, of this installation or of another."""

    def record(place: Place, _sha256: str) -> None:
        (path,) = Path(place.root).glob(f"cpython-3.13.1+*/{fakes.RECEIPT}")
        receipt = json.loads(path.read_text())
        (Path(place.root) / ".standalone-python.checked").mkdir()
        line = f"2026-11-28T19:40:00Z {receipt['installed_at']}/{list_sha256 or receipt['files_sha256']} {found}\n"
        (Path(place.root) / ".standalone-python.checked" / path.parents[1].name).write_text(line)

    return record
