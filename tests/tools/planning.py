# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and catalogues in a form that a person can write down, for the tests of plans. Never touches a real host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import (
    Build,
    Catalogue,
    from_rows,
    parse_filename,
    parse_name,
    resolve,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import LEVEL_FLAGS, from_facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import (
    Installed,
    Observed,
    RegistryEntry,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.process import Process
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Finish, Receipt

# A host with glibc and a CPU of level 3.
FACTS = {
    "os": "Linux",
    "arch": "x86_64",
    "libc": "glibc",
    "libc_version": "2.36",
    "cpu_flags": " ".join(sorted(LEVEL_FLAGS[0][1] | LEVEL_FLAGS[1][1])),
    "tools": "tar gzip sha256sum",
    "free_kb": "10000000",
}


def name_of(text: str, triple: str = "x86_64-unknown-linux-gnu") -> str:
    """``3.13.1+20250115[+OPTIONS][ FLAVOR]`` -> the name of a build's folder; such a name is returned as it is."""
    if text.startswith("cpython-"):
        return text
    words, _, flavor = text.partition(" ")
    version, release, *options = words.split("+")
    middle = "-".join(part for part in (triple, "+".join(options), flavor or "install_only_stripped") if part)
    return f"cpython-{version}+{release}-{middle}"


def build_of(text: str) -> Build:
    build = parse_name(name_of(text))
    assert build is not None, text
    return build


def installed_of(said: str | Mapping[str, Any]) -> Installed:
    """A name, or a mapping with ``name`` and what is unusual: ``problem``, ``installed_at``, ``finish``, ``receipt: false``,
    ``started: false``, ``packages``, ``untrusted``, ``damage`` (a file that a full check found changed); with ``unconfirmed: true`` it was started now."""
    if isinstance(said, str):
        said = {"name": said}
    unknown = set(said) - {
        "name",
        "problem",
        "installed_at",
        "finish",
        "receipt",
        "started",
        "unconfirmed",
        "foreign",
        "packages",
    }
    unknown -= {"untrusted", "moved", "damage"}
    assert not unknown, unknown
    if "foreign" in said:
        return replace(installed_of({key: value for key, value in said.items() if key != "foreign"}), foreign=said["foreign"])
    if "damage" in said:
        damage = f"its files differ from what was installed: {said['damage']}"
        whole = installed_of({key: value for key, value in said.items() if key != "damage"})
        return replace(whole, damage=damage, problem=damage)
    if "moved" in said:
        there = installed_of({key: value for key, value in said.items() if key != "moved"})
        return replace(there, moved=said["moved"], problem=f"it was installed as {said['moved']} and lies elsewhere")
    named = build_of(said["name"])
    build = replace(named, filename=named.filename or f"{named.name}.tar.zst", sha256="ab" * 32)
    receipt = Receipt(
        build,
        url="",
        finish=Finish(**said.get("finish", {})),
        executable="bin/python3",
        modules=600,
        files_sha256="0" * 64,
        installed_at=said.get("installed_at", "2026-01-01T00:00:00Z"),
        started=said.get("started", True),
    )
    if not said.get("receipt", True):
        return Installed(named.name, named, None, said.get("problem", "its receipt is missing or can't be read"))
    unusual = {key: said[key] for key in ("unconfirmed", "packages", "untrusted") if key in said}
    return Installed(build.name, build, receipt, said.get("problem", ""), **unusual)


def process_of(line: str) -> Process:
    """``PID USER UNIT here|replaced BUILD COMMAND``, as an agent prints a process."""
    pid, user, unit, state, build, command = line.split(" ", 5)
    return Process(int(pid), user, command, name_of(build), "" if unit == "-" else unit, state == "replaced")


def observed_of(host: Mapping[str, Any], desired: Desired) -> Observed:
    """A host from the part ``host:`` of a golden file. What it doesn't say is in order."""
    known = {"installed", "links", "occupied", "leftovers", "lock", "lock_state", "facts", "root_state", "bin_dir_state"}
    known |= {"held", "processes", "history"}
    known |= {"registered", "search_path", "root_obstacle", "bin_dir_obstacle", "obstacles", "root_exposed", "bin_dir_exposed"}
    assert not set(host) - known, set(host) - known
    installed = tuple(map(installed_of, host.get("installed", ())))

    def at(path: str) -> str:
        return path.replace("~", "/home/app", 1).replace("%ProgramData%", "C:/ProgramData", 1)

    return Observed(
        root=at(desired.root),
        bin_dir=at(desired.bin_dir),
        root_state=host.get("root_state", "writable" if installed else "absent"),
        bin_dir_state=host.get("bin_dir_state", "writable"),
        installed=tuple(sorted(installed, key=lambda build: build.name)),
        links=dict(host.get("links", {})),
        occupied=frozenset(host.get("occupied", ())),
        leftovers=tuple(host.get("leftovers", ())),
        obstacles=tuple(host.get("obstacles", ())),
        held=tuple(host.get("held", ())),
        processes=tuple(map(process_of, host.get("processes", ()))),
        lock=host.get("lock", ""),
        lock_state=host.get("lock_state", ""),
        facts=FACTS | dict(host.get("facts", {})),
        windows=desired.windows,
        registered={tag: RegistryEntry.parse(entry) for tag, entry in host.get("registered", {}).items()},
        search_path=host.get("search_path", ""),
        root_obstacle=host.get("root_obstacle", ""),
        bin_dir_obstacle=host.get("bin_dir_obstacle", ""),
        root_exposed=host.get("root_exposed", ""),
        bin_dir_exposed=host.get("bin_dir_exposed", ""),
        history=("present", *map(name_of, host["history"])) if "history" in host else (),
    )


@cache
def catalogue_of(filenames: tuple[str, ...], name: str = "the catalogue") -> Catalogue:
    rows = (f"{parse_filename(filename).release}\t{filename}\t-" for filename in filenames)
    return from_rows(name, "\n".join(rows))


def resolver(filenames: Iterable[str] | None, facts: Mapping[str, str] = FACTS) -> Callable[[Request], Build]:
    """The real resolution in a small catalogue; without one, being asked at all is a failure of the test."""
    if filenames is None:
        return _refuse
    catalogue = catalogue_of(tuple(filenames))
    return lambda request: resolve(request, from_facts(facts), catalogue)


def _refuse(request: Request) -> Build:
    raise AssertionError(f"{request.text} was looked for, and what is installed is enough")
