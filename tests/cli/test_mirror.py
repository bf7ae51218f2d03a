# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``standalone-python mirror`` as people run it: a program, real servers and disks, good and bad days.

The archives here are noise with the first bytes of one, as nobody unpacks them; those of test_mirror_peers.py are builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.mirror import lists
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import Lock, Locked, write_lock
from tests.cli.conftest import synced
from tests.tools.playbook import REPOSITORY
from tests.tools.sources import releases_of_noise
from tests.tools.web import PASSWORD, Web, serve

PROGRAM = str(Path(sys.executable).with_name("standalone-python"))
TRIPLE, OTHER = "x86_64-unknown-linux-gnu", "aarch64-apple-darwin"
SIZE = 1_000_000

ARCHIVES = tuple(
    (tag, f"cpython-{version}+{tag}-{triple}-{flavor}")
    for tag, version, triple, flavor in (
        ("20250115", "3.12.8", TRIPLE, "install_only_stripped.tar.gz"),
        ("20250115", "3.13.1", TRIPLE, "install_only_stripped.tar.gz"),
        ("20250115", "3.13.1", OTHER, "install_only_stripped.tar.gz"),
        ("20250317", "3.13.2", TRIPLE, "install_only_stripped.tar.gz"),
        ("20250317", "3.13.2", TRIPLE, "install_only.tar.gz"),
        ("20250317", "3.13.2", OTHER, "install_only_stripped.tar.gz"),
        ("20250317", "3.13.2", f"{TRIPLE}-freethreaded+pgo+lto", "full.tar.zst"),
    )
)
PATHS = {name.split("-")[1] + name[name.index("-", 8) :]: f"{tag}/{name}" for tag, name in ARCHIVES}
NEW = f"20250317/cpython-3.13.2+20250317-{TRIPLE}-install_only_stripped.tar.gz"
OLD = f"20250115/cpython-3.12.8+20250115-{TRIPLE}-install_only_stripped.tar.gz"
NEW_MAC = NEW.replace(TRIPLE, OTHER)
BOTH = ("--request", "3.12", "--request", "3.13", "--target", TRIPLE)

Mirror = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of releases, with its catalogue, as a server would have it."""
    folder, work = tmp_path_factory.mktemp("releases"), tmp_path_factory.mktemp("work")
    return releases_of_noise(folder, work, PATHS.values(), SIZE)


@pytest.fixture
def web(releases: Path) -> Iterator[Web]:
    with serve(releases) as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "NO_PROXY": "*",
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(tmp_path / "cache"),
    }


@pytest.fixture
def mirror(environment: Mapping[str, str], tmp_path: Path) -> Mirror:
    def run(*arguments: str | Path, code: int = 0, runner: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = [*runner, PROGRAM, "--no-progress", "mirror", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def sentence(done: subprocess.CompletedProcess[str], *, downloaded: str = "", left: str = "") -> str:
    """The line that says why it failed.

    :param downloaded: the one archive that was printed before, if any
    :param left: the one archive that is said to be missing in a second line, if any
    """
    assert re.sub(r" in [0-9.]+ s$", "", done.stdout.strip()) == (f"Downloaded {downloaded}" if downloaded else "")
    line, *more = done.stderr.splitlines()
    assert [text.strip() for text in more] == ([f"not done: download {left}"] if left else [])
    return line


def held(dest: Path) -> set[str]:
    return {str(path.relative_to(dest)) for path in dest.glob("20*/cpython-*")}


def true(dest: Path, releases: Path, *paths: str) -> None:
    """A mirror holds these archives, whole, and its lists say so."""
    assert held(dest) == set(paths)
    for path in paths:
        assert (dest / path).read_bytes() == (releases / path).read_bytes()
    builds = []
    for path in paths:
        tag, name = path.split("/")
        builds.append(replace(parse_filename(name, tag), sha256=digest(releases / path)))
    expected = lists(builds)
    found = {
        str(path.relative_to(dest)): path.read_bytes()
        for path in (*dest.glob("*/SHA256SUMS"), *dest.glob("tools/*"), dest / "catalogue.tsv")
    }
    assert found == expected


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def downloads(dest: Path) -> list[Path]:
    return list((dest / ".mirror").glob("*.part"))


def test_first_time_then_nothing_to_do(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "new" / "dest"
    first = mirror("sync", dest, *BOTH, "--source", web.url())
    assert synced(first.stdout) == [
        *(f"Downloaded {path}" for path in sorted((NEW, OLD))),
        f"Done in TIME: 2 downloaded, 0 removed, 0 already in {dest}.",
    ]
    assert first.stderr == ""
    true(dest, releases, NEW, OLD)
    again = mirror("sync", dest, *BOTH, "--source", web.url())
    assert again.stdout == f"nothing to do: 2 already in {dest}\n"
    assert web.count("plain") == 2
    assert web.count("plain", "SHA256SUMS") == 0, "the catalogue has it all"
    assert downloads(dest) == []


def test_what_is_there_already_is_read_and_not_fetched(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    """As another tool has put it there, or a sync that was killed before it could list it."""
    (tmp_path / "dest/20250317").mkdir(parents=True)
    shutil.copy(releases / NEW, tmp_path / "dest" / NEW)
    mirror("sync", tmp_path / "dest", *BOTH, "--source", web.url())
    assert web.count("plain") == 1
    true(tmp_path / "dest", releases, NEW, OLD)


def test_flavors_targets_and_what_was_there_before(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    mirror("sync", dest, "--request", "3.12", "--target", TRIPLE, "--source", releases)
    flavors = ("--flavor", "install_only", "--flavor", "install_only_stripped")
    done = mirror("sync", dest, "--request", "3.13", "--target", TRIPLE, *flavors, "--source", releases, "--json")
    stripped = NEW.replace("_stripped", "")
    assert json.loads(done.stdout) == {
        "dest": str(dest),
        "dry_run": False,
        "fetched": [stripped, NEW],
        "present": [],
        "kept": [OLD],
        "pruned": [],
        "deltas": {"made": [], "too_large": [], "kept": [], "removed": [], "size": 0},
        "published": [],
    }
    mirror("sync", dest, "--request", "3.13", "--target", TRIPLE, "--target", OTHER, "--source", releases)
    mirror("sync", dest, "--request", "3.13t", "--target", TRIPLE, "--source", releases)
    true(dest, releases, OLD, stripped, NEW, NEW_MAC, next(path for path in PATHS.values() if "freethreaded" in path))


def test_lock_file(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    def locked(request: str, target: str, path: str) -> Locked:
        tag, name = path.split("/")
        known = replace(parse_filename(name, tag), sha256=digest(releases / path))
        return Locked(request, target, known, f"https://upstream.example/{path}", SIZE + 2)

    write_lock(str(tmp_path / "lock.json"), Lock((locked("3.12", TRIPLE, OLD), locked("3.13", OTHER, NEW_MAC))))
    dest = tmp_path / "dest"
    mirror("sync", dest, "--lockfile", "lock.json", "--source", web.url())
    true(dest, releases, OLD, NEW_MAC)
    assert web.count("plain", "catalogue.tsv") == 0, "a lock file says it all"
    mirror("sync", dest, "--lockfile", "lock.json", "--request", "3.13", "--target", TRIPLE, "--source", web.url())
    true(dest, releases, OLD, NEW_MAC, NEW)


def test_prune(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    mirror("sync", dest, *BOTH, "--source", releases)
    for path in ("index.html", "20250317/notes.txt", "20250101/SHA256SUMS"):
        (dest / path).parent.mkdir(exist_ok=True)
        (dest / path).write_text("not ours\n")
    only = ("--request", "3.13", "--target", TRIPLE, "--source", releases, "--prune")
    assert mirror("sync", dest, *only, "--dry-run", code=2).stdout == (
        f"Would remove {OLD}\nPlan: 0 to download, 1 to remove, 1 already in {dest}.\n"
    )
    assert held(dest) == {NEW, OLD}
    assert synced(mirror("sync", dest, *only).stdout) == [
        f"Removed {OLD}",
        f"Done in TIME: 0 downloaded, 1 removed, 1 already in {dest}.",
    ]
    assert not (dest / "20250115").exists()
    assert (dest / "20250101/SHA256SUMS").read_text() == (dest / "20250317/notes.txt").read_text() == "not ours\n"
    shutil.rmtree(dest / "20250101")
    true(dest, releases, NEW)


def test_dry_run_writes_nothing(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    said = mirror("sync", dest, *BOTH, "--source", releases, "--dry-run", code=2).stdout
    assert said == (f"Would download {NEW}\nWould download {OLD}\nPlan: 2 to download, 0 to remove, 0 already in {dest}.\n")
    assert not dest.exists()
    mirror("sync", dest, *BOTH, "--source", releases)
    assert mirror("sync", dest, *BOTH, "--source", releases, "--dry-run").stdout == f"nothing to do: 2 already in {dest}\n"


def test_scripts_beside_the_archives(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    """They stay when builds are pruned; the checksum is one that sha256sum reads."""
    dest, script = tmp_path / "dest", tmp_path / "install-python.sh"
    script.write_text("#!/bin/sh\n")
    words = ("sync", dest, *BOTH, "--source", releases, "--script", script)
    assert mirror(*words, "--dry-run", code=2).stdout.splitlines()[2] == "Would publish install-python.sh"
    assert not dest.exists()
    assert "Published install-python.sh" in mirror(*words).stdout.splitlines()
    assert (dest / "install-python.sh").read_bytes() == script.read_bytes()
    subprocess.run(["sha256sum", "--check", "--quiet", "install-python.sh.sha256"], cwd=dest, check=True)
    again = mirror("sync", dest, "--request", "3.13", "--target", TRIPLE, "--source", releases, "--prune", "--script", script)
    assert "install-python.sh" not in again.stdout
    assert (dest / "install-python.sh").exists()
    assert "must end in .sh or .ps1" in sentence(mirror("sync", dest, *BOTH, "--script", releases / "catalogue.tsv", code=1))
    assert "can't be read (No such file or directory)" in sentence(mirror("sync", dest, *BOTH, "--script", "gone.sh", code=1))


def test_killed_then_completed(mirror: Mirror, web: Web, releases: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    rows = ("--catalogue", str(releases / "catalogue.tsv"))
    mirror("sync", dest, "--request", "3.12", "--target", TRIPLE, "--source", web.url(), *rows)
    command = [PROGRAM, "mirror", "sync", str(dest), *BOTH, "--source", web.url("slow"), *rows]
    with subprocess.Popen(command, env=environment) as running:
        assert web.half.wait(30)
        while not (parts := downloads(dest)) or parts[0].stat().st_size < SIZE // 4:
            assert running.poll() is None
        running.send_signal(signal.SIGKILL)
    came = parts[0].stat().st_size
    assert 0 < came < SIZE
    true(dest, releases, OLD)
    assert mirror("verify", dest).stdout.endswith("1 archives, 1 MB, all is well\n")
    mirror("sync", dest, *BOTH, "--source", web.url("ranges"), *rows)
    true(dest, releases, NEW, OLD)
    (asked,) = [asked for asked in web.asked if asked.path.startswith("/ranges/") and asked.path.endswith(".gz")]
    assert asked.headers["range"] == f"bytes={came}-"
    assert downloads(dest) == []


@pytest.mark.parametrize("how", ["ranges", "plain"])
def test_what_was_left_is_part_of_something_else(mirror: Mirror, web: Web, releases: Path, tmp_path: Path, how: str) -> None:
    dest = tmp_path / "dest"
    (dest / ".mirror").mkdir(parents=True)
    name = Path(NEW).name
    (dest / ".mirror" / f"{name}.{digest(releases / NEW)[:12]}.part").write_bytes(b"\x1f\x8b" + bytes(5000))
    mirror("sync", dest, "--request", "3.13", "--target", TRIPLE, "--source", web.url(how))
    true(dest, releases, NEW)
    assert downloads(dest) == []


def test_two_at_once(mirror: Mirror, web: Web, releases: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    rows = ("--catalogue", str(releases / "catalogue.tsv"))
    slow = [PROGRAM, "mirror", "sync", str(dest), "--request", "3.13", "--target", TRIPLE, "--source", web.url("slow"), *rows]
    fast = [PROGRAM, "mirror", "sync", str(dest), *BOTH, "--source", web.url(), *rows]
    with (
        subprocess.Popen(slow, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first,
        subprocess.Popen(fast, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if web.half.wait(30)
        else pytest.fail("the first one asks for nothing") as second,
    ):
        assert second.stderr
        assert second.stderr.readline() == f"another sync is running in {dest}: waiting for it\n"
        web.going.set()
        assert first.wait(30) == second.wait(30) == 0
        assert second.stdout
        assert synced(second.stdout.read())[1:] == [f"Done in TIME: 1 downloaded, 0 removed, 1 already in {dest}."]
    true(dest, releases, NEW, OLD)


@pytest.mark.parametrize("how", ["slow", "later-503"])
def test_ctrl_c(mirror: Mirror, web: Web, releases: Path, environment: Mapping[str, str], tmp_path: Path, how: str) -> None:
    """It waits neither for a server that stalls nor for the time to ask one again."""
    dest = tmp_path / "dest"
    rows = ("--catalogue", str(releases / "catalogue.tsv"))
    command = [PROGRAM, "mirror", "sync", str(dest), *BOTH, "--source", web.url(how), *rows]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        while not web.count(how):
            assert running.poll() is None
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130
        assert running.stderr
        kept = "; partial downloads are kept, and the next sync continues them" if downloads(dest) else ""
        assert running.stderr.read().strip() == f"standalone-python: ended by Ctrl-C{kept}"
        assert bool(kept) == (how == "slow")
    mirror("sync", dest, *BOTH, "--source", web.url())
    true(dest, releases, NEW, OLD)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damage_is_found_and_mended(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    mirror("sync", dest, *BOTH, "--source", releases)
    assert mirror("verify", dest).stdout == f"{dest}: 2 archives, 2 MB, all is well\n"
    flip(dest / NEW)
    (dest / OLD).unlink()
    # As where a disk lost a bit: nothing but the content says so.
    read = json.loads((dest / ".mirror/read.json").read_text())
    stat = (dest / NEW).stat()
    read[NEW][1] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    (dest / ".mirror/read.json").write_text(json.dumps(read))
    said = mirror("verify", dest, code=2).stdout.splitlines()
    assert said[0] == f"{NEW} is damaged: its SHA-256 should be {digest(releases / NEW)} and is {digest(dest / NEW)}"
    assert said[1:] == [f"{OLD} is damaged: it does not exist", f"{dest}: 2 archives, 1 MB, 2 problems"]
    assert len(json.loads(mirror("verify", dest, "--json", code=2).stdout)["problems"]) == 2
    mirror("sync", dest, *BOTH, "--source", releases)
    mirror("verify", dest)
    true(dest, releases, NEW, OLD)


def test_damaged_lists(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    mirror("sync", dest, *BOTH, "--source", releases)
    (dest / "catalogue.tsv").write_text("tag\tfile\tsha256\n")
    assert "disagree: run mirror sync again" in mirror("verify", dest, code=2).stdout
    (dest / "catalogue.tsv").unlink()
    (dest / "20250115/SHA256SUMS").write_text("<html>")
    said = mirror("verify", dest, code=2).stdout
    assert "catalogue.tsv does not exist: run mirror sync again" in said
    assert "without a checksum and a file name: '<html>'" in said
    mirror("sync", dest, *BOTH, "--source", releases)
    mirror("verify", dest)
    true(dest, releases, NEW, OLD)
    listed = dest / f"tools/python-precompiled-{TRIPLE}.gz"
    listed.write_bytes(b"")
    assert f"{listed} and the SHA256SUMS files disagree: run mirror sync again" in mirror("verify", dest, code=2).stdout
    listed.rename(dest / f"tools/python-precompiled-{OTHER}.gz")
    said = mirror("verify", dest, code=2).stdout
    assert f"{listed} does not exist: run mirror sync again" in said
    assert f"python-precompiled-{OTHER}.gz and the SHA256SUMS files disagree" in said
    mirror("sync", dest, *BOTH, "--source", releases)
    mirror("verify", dest)
    true(dest, releases, NEW, OLD)


def test_truncating_server(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    rows = ("--catalogue", str(releases / "catalogue.tsv"))
    mirror("sync", dest, "--request", "3.12", "--target", TRIPLE, "--source", web.url(), *rows)
    said = sentence(mirror("sync", dest, *BOTH, "--source", web.url("cut"), *rows, code=1))
    assert said.startswith(f"standalone-python: 1 of 2 archives are missing from the mirror {dest}: cpython-3.13.2+")
    assert "broke off in the middle (tried 5 times)" in said
    true(dest, releases, OLD)
    mirror("sync", dest, *BOTH, "--source", web.url("ranges"), *rows)
    true(dest, releases, NEW, OLD)
    (asked,) = [asked for asked in web.asked if asked.path.startswith("/ranges/") and asked.path.endswith(".gz")]
    assert "range" in asked.headers


def test_lying_server(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    lying = tmp_path / "lying"
    shutil.copytree(releases, lying)
    flip(lying / NEW)
    dest = tmp_path / "dest"
    mirror("sync", dest, "--request", "3.13", "--target", OTHER, "--source", releases)
    with serve(lying) as web:
        said = sentence(mirror("sync", dest, *BOTH, "--source", web.url(), "--prune", code=1), downloaded=OLD, left=NEW)
    assert f"1 of 2 archives are missing from the mirror {dest}: {Path(NEW).name} from http://" in said
    assert f"its SHA-256 should be {digest(releases / NEW)} and is {digest(lying / NEW)}; check the source" in said
    true(dest, releases, OLD, NEW_MAC)
    assert downloads(dest) == []


def test_what_is_damaged_and_cannot_be_had_is_listed_no_more(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    mirror("sync", dest, *BOTH, "--source", web.url())
    flip(dest / NEW)
    assert "answered 404" in sentence(
        mirror("sync", dest, *BOTH, "--source", web.url("plain/no"), "--catalogue", releases, code=1)
    )
    assert (dest / "catalogue.tsv").read_text().count("\n") == 2
    assert not (dest / "20250317/SHA256SUMS").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a small disk is mounted")
def test_full_disk(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(dest)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"needs namespaces: {mounted.stderr.strip()}")
    try:
        done = mirror("sync", dest, *BOTH, "--source", web.url(), "--jobs", "1", code=1)
        said = sentence(done, downloaded=NEW, left=OLD)
        assert "1 of 2 archives are missing from the mirror" in said
        assert f"can't be written to {dest}/.mirror (No space left on device): make room there, or choose another folder" in said
        assert len(held(dest)) == 1
        subprocess.run(["mount", "-o", "remount,size=5m", str(dest)], check=True)
        mirror("sync", dest, *BOTH, "--source", web.url())
        true(dest, releases, NEW, OLD)
    finally:
        subprocess.run(["umount", str(dest)], check=True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("sync D", 64, "there is nothing to mirror: give --lockfile, or --request with --target."),
        ("sync D --request 3.13", 64, "--request and --target go together"),
        ("sync D --target x86_64-apple-darwin", 64, "there is nothing to mirror"),
        ("sync D --lockfile L --flavor full", 64, "--flavor goes with --request"),
        ("sync D --request 3.13 --target T --jobs 0", 64, "'--jobs': 0 is not in the range"),
        ("sync D --request 3.x --target x86_64-apple-darwin", 1, "the request '3.x' can't be read"),
        ("sync D --request 3.13 --target x86-linux", 1, "unknown target `x86-linux`: write one like"),
        ("sync D --request 3.13 --target x86_64-apple-darwin --flavor tiny", 1, "'tiny' is unknown"),
        ("sync D --request 3.99 --target x86_64-apple-darwin", 1, "it has no version 3.99"),
        ("sync D --request 3.13 --target x86_64-apple-darwin --source ftp://x", 1, "is not a valid URL"),
        ("sync D --request 3.13 --target x86_64-apple-darwin --source nowhere", 1, "an existing folder"),
        ("sync D --lockfile nowhere.json", 1, "the lock file nowhere.json does not exist: create it with"),
        ("verify D", 1, "D is not a mirror, it has no TAG/SHA256SUMS: check the path, or run mirror sync"),
        ("export D --for uv --url http://x", 1, "D is not a mirror, it has no catalogue.tsv"),
        ("export D --for bazel --url http://x", 64, "'bazel' is not valid, choose one of uv, rules_python, mise"),
        ("export D --for uv", 64, "Missing option '--url'"),
        (f"export D --for uv --url ftp://u:{PASSWORD}@x", 64, "--url is not an address"),
    ],
)
def test_bad_input(mirror: Mirror, tmp_path: Path, arguments: str, code: int, said: str) -> None:
    done = mirror(*arguments.split(), code=code)
    assert said in done.stderr
    assert PASSWORD not in done.stderr
    assert done.stdout == ""
    assert code == 64 or len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "D").exists()


def test_places_that_cannot_be_a_mirror(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wanted = ("--request", "3.13", "--target", TRIPLE, "--source", releases)
    assert "the mirror file can't be written to (" in sentence(mirror("sync", "file", *wanted, code=1))
    assert f"the mirror {releases} is its own source: name another folder" in sentence(mirror("sync", releases, *wanted, code=1))
    assert "no mirror given: name a folder" in sentence(mirror("sync", "", *wanted, code=1))


def test_a_mirror_in_the_home(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    mirror("sync", "~/dest", "--request", "3.13", "--target", TRIPLE, "--source", releases)
    true(tmp_path / "home/dest", releases, NEW)
    assert not (tmp_path / "~").exists()


def test_a_password_is_shown_to_the_server_only(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    source = web.url("basic", user=f"someone:{PASSWORD}")
    mirror("sync", tmp_path / "dest", "--request", "3.13", "--target", TRIPLE, "--source", source)
    true(tmp_path / "dest", releases, NEW)
    wrong = web.url("basic", user="someone:else")
    done = mirror("sync", tmp_path / "other", "--request", "3.13", "--target", TRIPLE, "--source", wrong, code=1)
    assert "401" in done.stderr
    assert "else" not in done.stderr
    assert not any(PASSWORD in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


def test_progress_on_a_terminal_only(mirror: Mirror, web: Web, releases: Path, tmp_path: Path) -> None:
    import pty

    def run(dest: Path) -> str:
        # Long enough under way for a rate to be told.
        rows = ("--catalogue", str(releases / "catalogue.tsv"))
        command = [PROGRAM, "mirror", "sync", str(dest), *BOTH, "--source", web.url("slow"), *rows]
        threading.Timer(1.5, web.going.set).start()
        main, terminal = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
        with subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL, env=environment):
            os.close(terminal)
            said = b""
            try:
                while chunk := os.read(main, 4096):
                    said += chunk
            except OSError:
                pass
        os.close(main)
        return said.decode()

    said = run(tmp_path / "dest")
    assert re.search(r"\rSyncing \S+  \[#+\.*\]  [0-9.]+/2\.0 MB", said)
    assert re.search("[0-9] [kM]B/s", said)
