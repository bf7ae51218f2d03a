# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``mirror sync --deltas`` and ``cache deltas`` as people run them, with builds that can be started."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import deltas
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Payload, Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.published import parse_published
from tests.cli.conftest import PROGRAM, Command

TRIPLE = "x86_64-unknown-linux-gnu"
WITHOUT = "standalone-python: deltas need the Python package bsdiff4, which is missing: pip install 'standalone-python[delta]'\n"


@pytest.fixture
def words(source: Path, catalogue: Path) -> list[str]:
    """What follows ``mirror sync DEST`` to mirror the three builds of 3.13."""
    requests = ["3.13.0+20250115", "3.13.0+20250317", "3.13.4+20250409"]
    return [
        *(word for request in requests for word in ("--request", request)),
        *("--target", TRIPLE, "--source", str(source), "--catalogue", str(catalogue)),
    ]


@pytest.fixture
def without(command: Command, tmp_path: Path) -> dict[str, str]:
    """The environment of a controller that lacks the package."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without/sitecustomize.py").write_text("import sys\nsys.modules['bsdiff4'] = None\n")
    return {"PYTHONPATH": f"{tmp_path / 'without'}:{command.environment()['PYTHONPATH']}"}


def listed(dest: Path) -> list[tuple[str, int]]:
    return [(one.path, one.size) for one in parse_published((dest / "deltas.tsv").read_text())]


def stored(dest: Path) -> list[tuple[str, int]]:
    return sorted((str(path.relative_to(dest)), path.stat().st_size) for path in dest.glob("*/*.delta"))


def plain(text: str) -> str:
    """A text with only the releases of builds, and without times and sizes."""
    text = re.sub(r"(\d{8})/cpython-\S+?\.tar\.gz", r"\1", text)
    text = re.sub(r"\.from-[0-9a-f]{12}\.delta", " DELTA", text)
    return re.sub(r" in [0-9.]+ s", "", re.sub(r"[0-9.]+ (k|M)?B\b", "SIZE", text))


def test_a_mirrors_deltas_are_planned_made_kept_and_removed(command: Command, words: list[str], tmp_path: Path) -> None:
    dest = tmp_path / "mirror"
    sync = ("mirror", "sync", str(dest), *words)
    planned = command(*sync, "--deltas", "--dry-run")
    assert planned.code == 2
    assert plain(planned.output).splitlines()[3:] == [
        "Would make 20250409 DELTA",
        "Would make 20250317 DELTA",
        f"Plan: 3 to download, 0 to remove, 2 deltas to make, 0 already in {dest}.",
    ]
    assert not dest.exists()
    assert command(*sync).code == 0
    only_deltas = json.loads(command(*sync, "--deltas", "--dry-run", "--json").output)["deltas"]
    assert [one["size"] for one in only_deltas.pop("made")] == [None, None]
    assert only_deltas == {"too_large": [], "kept": [], "removed": [], "size": 0}

    done = command(*sync, "--deltas")
    assert (done.code, done.errors) == (0, "")
    assert plain(done.output).splitlines() == [
        "Made 20250409 DELTA: SIZE instead of SIZE",
        "Made 20250317 DELTA: SIZE instead of SIZE",
        f"Done: 0 downloaded, 0 removed, 2 deltas made (SIZE), 3 already in {dest}.",
    ]
    made = listed(dest)
    assert made == stored(dest)
    again = command(*sync, "--deltas")
    assert (again.code, plain(again.output)) == (0, f"nothing to do: 3 already in {dest}, 2 deltas kept (SIZE)\n")
    assert command(*sync, "--deltas", "--dry-run").code == 0
    told = json.loads(command(*sync, "--deltas", "--json").output)["deltas"]
    rows = [{"path": path, "size": size} for path, size in made]
    assert told == {"made": [], "too_large": [], "kept": rows, "removed": [], "size": sum(size for _path, size in made)}
    assert command("mirror", "verify", dest).code == 0

    # Without --deltas too, those of a removed build go.
    fewer = ("mirror", "sync", str(dest), *words[2:], "--prune")
    planned = command(*fewer, "--dry-run")
    assert (planned.code, plain(planned.output).splitlines()) == (
        2,
        [
            "Would remove 20250115",
            "Would remove 20250317 DELTA",
            f"Plan: 0 to download, 1 to remove, 1 delta to remove, 2 already in {dest}, 1 delta kept (SIZE).",
        ],
    )
    assert listed(dest) == made
    removed = json.loads(command(*fewer, "--json").output)["deltas"]
    assert (removed["removed"], removed["kept"]) == ([made[0][0]], [{"path": made[1][0], "size": made[1][1]}])
    assert listed(dest) == stored(dest) == made[1:]


def test_a_killed_sync_keeps_the_deltas_that_it_has_made(command: Command, words: list[str], tmp_path: Path) -> None:
    dest = tmp_path / "mirror"
    arguments: list[str | Path] = [PROGRAM, "--no-progress", "mirror", "sync", str(dest), *words, "--deltas"]
    environment = command.environment() | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert any(line.startswith("Made ") for line in running.stdout)
        running.send_signal(signal.SIGKILL)
    (first,) = listed(dest)
    assert command("mirror", "verify", dest).code == 0
    done = command("mirror", "sync", dest, *words, "--deltas")
    assert (done.code, plain(done.output).splitlines()) == (
        0,
        [
            "Made 20250317 DELTA: SIZE instead of SIZE",
            f"Done: 0 downloaded, 0 removed, 1 delta made (SIZE), 3 already in {dest}, 1 delta kept (SIZE).",
        ],
    )
    assert first in listed(dest)
    assert listed(dest) == stored(dest)
    assert not (dest / ".mirror/deltas").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_mirror_without_the_package(
    command: Command, words: list[str], without: dict[str, str], more: tuple[str, ...], tmp_path: Path
) -> None:
    refused = command("mirror", "sync", tmp_path / "mirror", *words, "--deltas", *more, environment=without)
    assert (refused.code, refused.output, refused.errors) == (1, "", WITHOUT)
    assert not (tmp_path / "mirror").exists()


# The cache


@pytest.fixture
def cached(command: Command, source: Path) -> tuple[tuple[Build, Payload], ...]:
    """Builds of 3.13 and one of 3.12 in the cache, the oldest first."""
    store, found = Store(Path(command.environment()["STANDALONE_PYTHON_CACHE"])), []
    for archive in sorted(source.glob("*/*-install_only_stripped.tar.gz")):
        build = parse_filename(archive.name)
        build = replace(build, sha256=store.sha256(build, parse_source(str(source), "")))
        found.append((build, store.payload(build, parse_source(str(source), ""), zstd=True)))
    assert len(found) == 4
    return tuple(sorted(found, key=lambda one: one[0].age))


def names(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["build"], one["base"]) for one in rows]


def test_the_deltas_of_a_coming_upgrade(
    command: Command, cached: tuple[tuple[Build, Payload], ...], without: dict[str, str]
) -> None:
    root = command.environment()["STANDALONE_PYTHON_CACHE"]
    (_other, _its), (oldest, _first), (older, _second), (newest, payload) = cached
    refused = command("cache", "deltas", environment=without)
    assert (refused.code, refused.errors) == (1, WITHOUT)
    planned = command("cache", "deltas", "--dry-run")
    assert (planned.code, planned.output.splitlines()) == (
        2,
        [
            f"Would make the delta to {newest} from 3.13.0+20250317",
            f"Would make the delta to {newest} from 3.13.0+20250115",
            f"Deltas: 2 to make, 0 in the cache before, 0 B in {root}.",
        ],
    )
    assert not [base for base in (oldest, older) if deltas.find(payload, newest.sha256 or "", base)]

    done = command("cache", "deltas", "--json")
    told = json.loads(done.output)
    assert (done.code, told["kept"], told["too_large"]) == (0, [], [])
    assert names(told["made"]) == [(newest.name, older.name), (newest.name, oldest.name)]
    # They are the ones that a run sends.
    found = [deltas.find(payload, newest.sha256 or "", base) for base in (older, oldest)]
    assert [one["size"] for one in told["made"]] == [one and one.size for one in found]
    assert told["size"] == sum(one["size"] for one in told["made"])
    assert {one["payload"] for one in told["made"]} == {payload.size}

    again = command("cache", "deltas")
    assert again.code == 0
    assert re.sub(r"[0-9.]+ (k|M)B", "SIZE", again.output) == f"Deltas: 0 made, 2 in the cache before, SIZE in {root}.\n"
    assert names(json.loads(command("cache", "deltas", "--dry-run", "--json").output)["kept"]) == names(told["made"])


def test_an_interrupted_command_goes_on(command: Command, cached: tuple[tuple[Build, Payload], ...]) -> None:
    newest, payload = cached[-1]
    with subprocess.Popen([PROGRAM, "cache", "deltas"], env=command.environment(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert "Made the delta to" in running.stdout.readline()
        running.send_signal(signal.SIGKILL)
    assert deltas.find(payload, newest.sha256 or "", cached[-2][0])
    done = command("cache", "deltas")
    assert done.code == 0
    size = r"[0-9.]+ [kM]B"
    assert re.fullmatch(
        rf"Made the delta to {re.escape(str(newest))} from 3\.13\.0\+20250115 in [0-9.]+ s: {size}, [0-9]{{1,2}}% of the payload\n"
        rf"Deltas: 1 made, 1 in the cache before, {size} in \S+\.\n",
        done.output,
    )


def test_a_cache_without_neighbours(command: Command, source: Path, tmp_path: Path) -> None:
    root = command.environment()["STANDALONE_PYTHON_CACHE"]
    nothing = f"Nothing to make: {root} has no two payloads of one minor version, target and flavor\n"
    assert command("cache", "deltas").output == nothing
    assert not Path(root).exists()
    (archive,) = source.glob("20250409/*.tar.gz")
    build = parse_filename(archive.name)
    Store(Path(root)).payload(build, parse_source(str(source), ""), zstd=False)
    assert command("cache", "deltas").output == nothing
    assert json.loads(command("cache", "deltas", "--json").output) == {
        "path": root,
        "dry_run": False,
        "made": [],
        "too_large": [],
        "kept": [],
        "size": 0,
    }
