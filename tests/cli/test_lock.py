# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``standalone-python lock`` as its users run it: in a folder with a declaration, again and again, on good and on bad days."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.archive import pack
from tests.store.support import Entry, gz, tar, tree
from tests.tools.hosts import Host
from tests.tools.playbook import LOCALHOST, REPOSITORY
from tests.tools.sources import write_catalogue
from tests.tools.web import TOKEN, Web, serve

COMMAND = str(Path(sys.executable).with_name("standalone-python"))
GNU, MUSL, ARM = "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu"
# The builds for musl have been dynamic, and so the plain ones, since March 2025.
OLD, NEW = "20250317", "20250409"
LOCKFILE = "pythons.lock.json"


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    output: str
    errors: str

    @property
    def sentence(self) -> str:
        """The one line that an error is."""
        (line,) = self.errors.splitlines()
        assert line.startswith("standalone-python: "), line
        return line.removeprefix("standalone-python: ")

    @property
    def lines(self) -> list[str]:
        """The output without the marks of builds that have advisories: the tables change."""
        return re.sub(r" \([0-9]+ (critical|high)[a-z, ]*\)$", "", self.output, flags=re.MULTILINE).splitlines()


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that a user works in."""

    folder: Path

    @property
    def lockfile(self) -> Path:
        return self.folder / LOCKFILE

    @property
    def builds(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.lockfile.read_text())["builds"]
        return found

    @property
    def locked(self) -> dict[tuple[str, str], str]:
        """(request, target) -> the version and release that are locked."""
        return {
            (entry["request"], entry["target"]): re.findall(r"cpython-(\S+?\+[0-9]+)-", entry["file"])[0] for entry in self.builds
        }

    def declare(self, text: str, name: str = "pythons.yml") -> None:
        (self.folder / name).write_text(text)

    def run(self, *words: str, command: Sequence[str] = (COMMAND, "lock", "pythons.yml"), **environment: str) -> Ran:
        done = subprocess.run(
            [*command, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={
                **os.environ,
                "STANDALONE_PYTHON_CACHE": str(self.folder / "cache"),
                "ANSIBLE_HOME": str(self.folder / "ansible"),
                "ANSIBLE_HOST_KEY_CHECKING": "False",
                "PYTHONPATH": str(REPOSITORY),
                "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}",
                **environment,
            },
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def release(self, tag: str, versions: Sequence[str], triples: Sequence[str] = (GNU, MUSL)) -> None:
        """More archives in the folder that is the source. What is in them is of no matter: nothing here unpacks one."""
        folder = self.folder / "builds" / tag
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "SHA256SUMS").open("a") as sums:
            for version in versions:
                for triple in triples:
                    archive = folder / f"cpython-{version}+{tag}-{triple}-install_only_stripped.tar.gz"
                    archive.write_bytes(f"{archive.name}\n".encode() * 3)
                    sums.write(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A declaration of two requests, and a release that has them."""
    made = Place(tmp_path)
    made.release(OLD, ("3.12.8", "3.13.1"))
    made.declare("builds: ['3.13', '3.12']\nsource: builds\n")
    return made


@pytest.fixture
def locked(place: Place) -> Place:
    assert place.run("--target", GNU, "--target", MUSL).code == 0
    return place


def test_what_is_written(place: Place) -> None:
    ran = place.run("--target", GNU, "--target", MUSL)
    assert (ran.code, ran.errors) == (0, "")
    assert ran.lines == [
        f"{LOCKFILE}: 4 added, 0 upgraded, 0 removed, 0 as before",
        *(f"  added    {minor} for {triple}: {full}+{OLD}" for minor, full in (("3.12", "3.12.8"), ("3.13", "3.13.1"))
          for triple in (GNU, MUSL)),
    ]  # fmt: skip
    for entry in place.builds:
        archive = place.folder / entry["url"]
        assert entry["url"] == f"builds/{OLD}/{entry['file']}"
        assert entry["size"] == archive.stat().st_size
        assert entry["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert json.loads(place.lockfile.read_text())["declaration"] == "pythons.yml"


def test_a_second_run_writes_nothing(locked: Place) -> None:
    before = locked.lockfile.stat()
    ran = locked.run()
    assert (ran.code, ran.output) == (0, f"{LOCKFILE} is up to date: 4 builds\n")
    assert (locked.lockfile.stat().st_mtime_ns, locked.lockfile.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert sorted(path.name for path in locked.folder.iterdir() if path.is_file()) == [LOCKFILE, "pythons.yml"]


def test_a_newer_build_changes_nothing_until_it_is_asked_for(locked: Place) -> None:
    locked.release(NEW, ("3.12.9", "3.13.2"))
    before = locked.lockfile.read_text()
    assert locked.run().code == 0
    assert locked.run("--check").code == 0
    assert locked.lockfile.read_text() == before
    ran = locked.run("--upgrade-request", "cpython@3.13")
    assert ran.lines == [
        f"{LOCKFILE}: 0 added, 2 upgraded, 0 removed, 2 as before",
        f"  upgraded 3.13 for {GNU}: 3.13.1+{OLD} -> 3.13.2+{NEW}",
        f"  upgraded 3.13 for {MUSL}: 3.13.1+{OLD} -> 3.13.2+{NEW}",
    ]
    told = json.loads(locked.run("--upgrade", "--json").output)
    assert (told["changed"], told["kept"], told["added"], told["removed"]) == (True, 2, [], [])
    assert [(pair["from"]["version"], pair["to"]["version"]) for pair in told["upgraded"]] == [("3.12.8", "3.12.9")] * 2
    assert set(locked.locked.values()) == {f"3.12.9+{NEW}", f"3.13.2+{NEW}"}


def test_a_diff_of_an_upgrade_tells_which_request_it_is(locked: Place) -> None:
    """In the lines that a diff shows around a change."""
    (locked.folder / "before.json").write_text(locked.lockfile.read_text())
    locked.release(NEW, ("3.13.2",), (GNU,))
    assert locked.run("--upgrade").code == 0
    diff = subprocess.run(["diff", "-u", "before.json", LOCKFILE], cwd=locked.folder, capture_output=True, text=True).stdout
    lines = diff.splitlines()[2:]
    assert [line.split('"')[1] for line in lines if line.startswith("-")] == ["release", "file", "url", "sha256"]
    assert f'       "target": "{GNU}",' in lines
    assert '       "request": "3.13",' in lines
    assert sum(line.startswith("@@") for line in lines) == 1


def test_what_is_declared_comes_and_what_is_not_goes(locked: Place) -> None:
    locked.declare("builds: ['3.12', 'cpython-3.12', {version: '3.13', state: absent}]\nsource: builds\n")
    locked.release(NEW, ("3.12.9",), (ARM,))
    ran = locked.run("--target", GNU, "--target", ARM)
    assert ran.lines[1:] == [
        f"  added    3.12 for {ARM}: 3.12.9+{NEW}",
        f"  removed  3.12 for {MUSL}: 3.12.8+{OLD}",
        f"  removed  3.13 for {GNU}: 3.13.1+{OLD}",
        f"  removed  3.13 for {MUSL}: 3.13.1+{OLD}",
    ]
    assert locked.locked == {("3.12", ARM): f"3.12.9+{NEW}", ("3.12", GNU): f"3.12.8+{OLD}"}


def test_levels(place: Place) -> None:
    place.release(OLD, ("3.13.1",), ("x86_64_v3-unknown-linux-gnu",))
    place.declare("builds: [3.13+auto, 3.13+v3]\nsource: builds\n")
    assert place.run("--target", GNU).code == 0
    found = {(entry["request"], entry["target"].partition("-")[0]): entry["file"].split("-")[2] for entry in place.builds}
    assert found == {
        ("3.13+auto", "x86_64"): "x86_64",
        ("3.13+auto", "x86_64_v2"): "x86_64",
        ("3.13+auto", "x86_64_v3"): "x86_64_v3",
        ("3.13+auto", "x86_64_v4"): "x86_64_v3",
        ("3.13+v3", "x86_64"): "x86_64_v3",
    }
    assert place.run("--check").code == 0


# --check


STALE = {
    "a new request": ("builds: ['3.13', '3.12', '3.11']\n", (), f"3.11 for {GNU}, 3.11 for {MUSL} not locked", ""),
    "a request less": ("builds: ['3.13']\n", (), f"3.12 for {GNU}, 3.12 for {MUSL} not asked for", ""),
    "another target": (
        "builds: ['3.13']\n",
        ("--target", ARM),
        f"3.13 for {ARM} not locked; 3.12 for {GNU}, 3.12 for {MUSL}, 3.13 for {GNU}, 3.13 for {MUSL} not asked for",
        f" --target {ARM}",
    ),
}


@pytest.mark.parametrize("case", STALE)
def test_stale(case: str, locked: Place) -> None:
    """One sentence, exit code 1, nothing written; and its command makes it right."""
    declared, words, found, targets = STALE[case]
    locked.release(OLD, ("3.11.11", "3.13.1"), (GNU, MUSL, ARM))
    locked.declare(f"{declared}source: builds\n")
    before = locked.lockfile.read_text()
    ran = locked.run("--check", *words)
    command = f"standalone-python lock pythons.yml -o {LOCKFILE}{targets}"
    assert (ran.code, ran.output) == (1, "")
    assert ran.sentence == f"{LOCKFILE} is stale, {found}: run: {command}"
    told = locked.run("--check", "--json", *words)
    assert (told.code, json.loads(told.output)["stale"]) == (1, True)
    assert locked.lockfile.read_text() == before
    assert locked.run(command=("sh", "-c", command)).code == 0
    checked = locked.run("--check", *words)
    assert (checked.code, checked.errors) == (0, "")
    assert checked.output.startswith(f"{LOCKFILE} is up to date: ")


def test_check_opens_no_source(locked: Place) -> None:
    assert locked.run("--check", "--source", "/nonexistent").code == 0


# The declaration.


def test_a_variable_file_of_a_playbook(place: Place) -> None:
    (place.folder / "group_vars").mkdir()
    place.declare(
        "ntp: '{{ servers }}'\npassword: !vault |\n  $ANSIBLE_VAULT;1.1\ninterpreters_use: '3.13'\n"
        "interpreters_builds: ['3.13']\ninterpreters_source: ../builds\n",
        "group_vars/all.yml",
    )
    ran = place.run("-o", LOCKFILE, "--target", GNU, command=(COMMAND, "lock", "group_vars/all.yml"))
    assert ran.code == 0, ran.errors
    assert json.loads(place.lockfile.read_text())["declaration"] == "group_vars/all.yml"
    assert [entry["url"].rpartition("/")[0] for entry in place.builds] == [f"builds/{OLD}"]


def test_a_key_of_a_file_and_the_lock_file_that_it_names(place: Place) -> None:
    """Both are in the command that brings it up to date."""
    place.declare(f"mine:\n  builds: ['3.13']\n  source: builds\n  lockfile: {LOCKFILE}\n", "vars.yml")
    command = (COMMAND, "lock", "vars.yml", "--key", "mine")
    assert place.run("--target", GNU, command=command).code == 0
    ran = place.run("--target", MUSL, "--check", command=command)
    assert ran.sentence.endswith(f": run: standalone-python lock vars.yml --key mine -o {LOCKFILE} --target {MUSL}")


def test_standard_input(place: Place) -> None:
    command = ("sh", "-c", f"cat pythons.yml | {COMMAND} lock - $0 $1 $2 $3")
    assert (
        place.run("--target", GNU, command=command)
        .errors.splitlines()[-1]
        .startswith("Error: a declaration from standard input has")
    )
    assert place.run("--target", GNU, "-o", LOCKFILE, command=command).code == 0
    assert "declaration" not in json.loads(place.lockfile.read_text())


BUILDS = "builds: ['3.13']\nsource: builds\n"
LEVEL = "Error: Invalid value for --target: x86_64_v3-unknown-linux-gnu"
BAD: dict[str, tuple[str, tuple[str, ...], int, str]] = {
    "option": ("builds: ['3.13']\nbuild_dir: x\n", (), 1, "unknown option `build_dir`: did you mean `bin_dir`? (pythons.yml, line 2)"),
    "all absent": ("builds: ['3.13']\nstate: absent\n", (), 1, "pythons.yml declares no build to install"),
    "no such build": ("builds: ['3.7']\nsource: builds\n", (), 1, "no build of 3.7 for x86_64 linux, glibc in the folder builds: "),
    "no such target": (BUILDS, ("--target", ARM), 1, "no build of 3.13 for aarch64 linux, glibc in the folder builds: there is none for "),
    "source": (BUILDS, ("--source", "nowhere"), 1, "'nowhere' is not a valid source: it must be 'upstream', an http(s) URL, an existing folder"),
    "upgrade": (BUILDS, ("--upgrade-request", "3.11"), 1, "3.11 can't be upgraded, pythons.yml doesn't declare it: it declares 3.13"),
    "upgrade what": (BUILDS, ("--upgrade-request", "new"), 1, "the request 'new' can't be read"),
    "triple": (BUILDS, ("--target", "amiga"), 64, "Error: Invalid value for --target: unknown target `amiga`: write one like "),
    "level": (BUILDS, ("--target", "x86_64_v3-unknown-linux-gnu"), 64, f"{LEVEL} is {GNU} with a CPU level, and those are"),
    "check and upgrade": (BUILDS, ("--check", "--upgrade"), 64, "Error: --check upgrades nothing: leave "),
    "security of nothing": (BUILDS, ("--security",), 64, "Error: --security says which upgrades to take: add --upgrade or "),
    "cooldown": (BUILDS, ("--upgrade", "--cooldown", "soon"), 1, "cooldown is 'soon': give days or weeks, such as 7d or 2w"),
    "inventory": (BUILDS, ("--inventory", "hosts.ini"), 1, "the inventory hosts.ini does not exist: check the path"),
    "no hosts": (BUILDS, ("--inventory", "pythons.yml"), 1, "the inventory pythons.yml has no hosts that Ansible can reach; Ansible's message: "),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, locked: Place) -> None:
    """A sentence, an exit code, and the lock file as it was."""
    declared, words, code, sentence = BAD[case]
    before = locked.lockfile.read_text()
    locked.declare(declared)
    ran = locked.run(*words)
    assert (ran.code, ran.output) == (code, ""), ran.errors
    said = ran.sentence if code == 1 else ran.errors.splitlines()[-1]
    assert said.startswith(sentence), said
    assert locked.lockfile.read_text() == before
    assert sorted(path.name for path in locked.folder.iterdir() if path.is_file()) == [LOCKFILE, "pythons.yml"]


def test_no_file_and_no_lock_file(place: Place) -> None:
    assert place.run(command=(COMMAND, "lock", "nowhere.yml")).sentence.startswith(
        "the declaration nowhere.yml can't be read (No such"
    )
    assert (
        place.run()
        .errors.splitlines()[-1]
        .startswith("Error: there is no lock file yet, so name its targets: with --target TRIPLE")
    )
    ran = place.run("--check", "--target", GNU)
    assert ran.code == 1
    assert ran.sentence == (
        f"the lock file {LOCKFILE} does not exist: create it with: standalone-python lock pythons.yml -o {LOCKFILE} --target {GNU}"
    )
    assert not place.lockfile.exists()


def test_a_lock_file_that_somebody_spoiled(locked: Place) -> None:
    locked.lockfile.write_text(locked.lockfile.read_text().replace('"3.13"', '"3.14"', 1))
    ran = locked.run()
    assert ran.code == 1
    assert f"its entry of 3.14 for {GNU} is wrong: cpython-3.13.1+{OLD}-" in ran.sentence


def test_a_folder_that_is_not_there(place: Place) -> None:
    ran = place.run("--target", GNU, "-o", "no/such.json")
    assert ran.code == 1
    assert ran.sentence.startswith("the lock file no/such.json can't be written (No such file or directory): ")


# Sources on the network.


@pytest.fixture
def mirror(place: Place) -> Iterator[Web]:
    with serve(place.folder / "builds") as web:
        write_catalogue(place.folder / "builds", place.folder / "rows.tsv")
        yield web


def test_sizes_are_asked_of_a_server_and_nothing_is_downloaded(place: Place, mirror: Web) -> None:
    place.declare(f"builds: ['3.13']\nsource: {mirror.url()}\ncatalogue: rows.tsv\n")
    ran = place.run("--target", GNU, "--target", MUSL)
    assert (ran.code, ran.errors) == (0, "")
    for entry in place.builds:
        assert entry["url"] == f"{mirror.url()}/{OLD}/{entry['file'].replace('+', '%2B')}"
        assert entry["size"] == (place.folder / "builds" / OLD / entry["file"]).stat().st_size
    assert [asked.method for asked in mirror.asked if asked.path.endswith(".gz")] == ["HEAD", "HEAD"]
    assert {asked.path for asked in mirror.asked if asked.method == "GET"} == {"/plain/advisories.json"}


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("nohead", "answered 405 Method Not Allowed; try again later, or name another source"),
        ("status-404", "answered 404 Not Found; "),
    ],
)
def test_a_size_that_is_refused_is_left_out_and_said(how: str, why: str, place: Place, mirror: Web) -> None:
    place.declare(f"builds: ['3.13']\nsource: {mirror.url(how)}\ncatalogue: rows.tsv\n")
    ran = place.run("--target", GNU, "--target", MUSL)
    assert ran.code == 0
    assert "size" not in place.builds[0]
    assert ran.sentence.startswith("the size of 2 archives is left out, as it can't be had: the size of cpython-3.13.1+")
    assert why in ran.sentence
    assert place.run("--check").code == 0


def test_a_token_is_for_its_own_source_and_is_shown_nowhere(place: Place, mirror: Web) -> None:
    place.declare(f"builds: ['3.13']\nsource: {mirror.url('token')}\ntoken: {TOKEN}\ncatalogue: rows.tsv\n")
    assert place.run("--target", GNU).errors == ""
    assert place.builds[0]["size"] > 0
    assert TOKEN not in place.lockfile.read_text()
    place.lockfile.unlink()
    assert "answered 401" in place.run("--target", GNU, "--source", f"{mirror.url('token')}/").sentence


# An inventory.

Inventory = Callable[[str], None]


@pytest.fixture
def inventory(place: Place) -> Inventory:
    def write(text: str) -> None:
        (place.folder / "hosts.ini").write_text(text)

    return write


@pytest.mark.xdist_group("hosts")
def test_an_inventory_is_observed(place: Place, inventory: Inventory, fleet: Mapping[str, Host]) -> None:
    """This machine and hosts without Python, over SSH. What is named besides counts too."""
    place.release(OLD, ("3.12.8", "3.13.1"), (ARM,))
    inventory(f"{LOCALHOST}[web]\n{fleet['musl'].inventory_line}\n{fleet['debian'].inventory_line}\n")
    ran = place.run("--inventory", "hosts.ini", "--target", ARM)
    assert (ran.code, ran.errors) == (0, "")
    assert {entry["target"] for entry in place.builds} == {ARM, GNU, MUSL}
    assert place.run("--check", "--inventory", "hosts.ini").code == 1
    assert place.run("--check", "--inventory", "hosts.ini", "--target", ARM).code == 0


@pytest.mark.xdist_group("hosts")
def test_hosts_that_are_not_reached_are_named_and_nothing_is_written(place: Place, inventory: Inventory) -> None:
    inventory(f"{LOCALHOST}gone ansible_host=127.0.0.1 ansible_port=1\n")
    ran = place.run("--inventory", "hosts.ini")
    assert ran.code == 1
    assert ran.sentence.startswith("1 of 2 hosts of the inventory hosts.ini could not be observed: gone (")
    assert "refused" in ran.sentence
    assert ran.sentence.endswith("); make them reachable, or name the targets with --target; nothing was written")
    assert not place.lockfile.exists()


def test_a_host_whose_name_looks_like_a_result_is_observed(place: Place) -> None:
    """Results are data: nothing is read from what Ansible prints for people."""
    place.release(OLD, ("3.13.1",))
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = dict.fromkeys(("a | SUCCESS => {}", 'b | UNREACHABLE! => {"msg": "no"}'), host)
    (place.folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    ran = place.run("--inventory", "hosts.yml")
    assert (ran.code, ran.errors) == (0, "")
    assert {entry["target"] for entry in place.builds} == {GNU}


def test_a_module_in_the_working_directory_is_not_run_in_place_of_ansible(place: Place, inventory: Inventory) -> None:
    inventory("# nobody\n")
    for name in ("ansible", "json", "typing", "sitecustomize"):
        (place.folder / f"{name}.py").write_text(f"open({name!r} + '.ran', 'w')")
    ran = place.run("--inventory", "hosts.ini")
    assert (ran.code, ran.sentence.partition("; ")[0]) == (1, "the inventory hosts.ini has no hosts that Ansible can reach")
    assert list(place.folder.glob("*.ran")) == []


def test_without_ansible_it_is_said(place: Place, inventory: Inventory) -> None:
    inventory(LOCALHOST)
    program = "import sys; sys.modules['ansible'] = None; sys.argv[0] = 'x'; from standalone_python.cli import main; main()"
    ran = place.run("--inventory", "hosts.ini", command=(sys.executable, "-c", program, "lock", "pythons.yml"))
    assert ran.code == 1
    assert ran.sentence.startswith(
        "reading an inventory needs ansible-core, which is not installed beside this command: install "
    )


# Security upgrades. By the tables, OpenSSL 3.5.4 and SQLite 3.50.4 came with 20251010.

VULNERABLE, PATCHED, FRESH = "20250918", "20251010", "20251014"


def test_a_security_upgrade_says_what_it_closes_and_writes_the_text_of_a_commit(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.declare("builds: ['3.13', '3.14']\nsource: builds\n")
    place.release(VULNERABLE, ("3.13.7",), (GNU, MUSL))
    place.release(FRESH, ("3.14.0",), (GNU, MUSL))
    assert place.run("--target", GNU, "--target", MUSL).code == 0
    before = place.lockfile.read_text()
    nothing = place.run("--upgrade", "--security", "--message", "commit.txt")
    assert (nothing.code, nothing.output) == (0, f"{LOCKFILE} is up to date: 4 builds\n")
    assert not (place.folder / "commit.txt").exists()
    place.release(PATCHED, ("3.13.8",), (GNU, MUSL))
    assert place.run("--upgrade", "--security", "--cooldown", "9999d", "--cooldown-except", "critical").code == 0
    assert place.lockfile.read_text() == before

    ran = place.run("--upgrade", "--security", "--message", "commit.txt")
    assert ran.code == 0
    # The bundled tables may be older than 45 days.
    assert re.fullmatch(r"(standalone-python: .* [0-9]+ days old.*\n)?", ran.errors)
    head, gnu, musl, closes, leaves = ran.output.splitlines()
    assert head == f"{LOCKFILE}: 0 added, 2 upgraded, 0 removed, 2 as before"
    assert re.fullmatch(rf"  upgraded 3\.13 for {GNU}: 3\.13\.7\+{VULNERABLE} -> 3\.13\.8\+{PATCHED} \(1 critical\)", gnu), gnu
    assert musl.startswith(f"  upgraded 3.13 for {MUSL}: ")
    assert closes.startswith("    closes ")
    assert "openssl: CVE-2025-9230" in closes
    assert leaves.startswith("    leaves open ")
    assert "CVE-2025-9230" not in leaves
    text = (place.folder / "commit.txt").read_text().splitlines()
    assert re.fullmatch(r"Upgrade Python 3\.13: close [0-9]+ advisories", text[0])
    assert text[1:3] == ["", f"Upgrade 3.13 for {GNU}, {MUSL}: 3.13.7+{VULNERABLE} -> 3.13.8+{PATCHED}"]
    assert "\n".join(text).count("CVE-2025-9230") == 1


def test_the_declaration_holds_upgrades_back_too(locked: Place) -> None:
    locked.release(NEW, ("3.12.9", "3.13.2"))
    before = locked.lockfile.read_text()
    locked.declare("builds: ['3.13', '3.12']\nsource: builds\ncooldown: 9999d\ncooldown_except: none\n")
    assert locked.run("--upgrade").code == 0
    assert locked.lockfile.read_text() == before
    told = json.loads(locked.run("--upgrade", "--cooldown", "0d", "--json").output)
    assert [(one["to"]["version"], "CVE-2025-0938" in one["closes"]) for one in told["upgraded"]] == [
        *(("3.12.9", True), ("3.12.9", True)),
        *(("3.13.2", True), ("3.13.2", True)),
    ]
    assert {"critical", "high"} <= set(told["upgraded"][0]["to"]["advisories"])
    assert told["upgraded"][0]["to"]["end_of_life"] == "2028-10-31"


# Sums of tars, for the deltas of mirrors.

WINDOWS = "x86_64-pc-windows-msvc"


def real(place: Place, tag: str, version: str, triple: str = GNU) -> Path:
    """An archive that can be packed."""
    folder = place.folder / "builds" / tag
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"cpython-{version}+{tag}-{triple}-install_only_stripped.tar.gz"
    archive.write_bytes(gz(tar([*tree(), Entry("python/name", archive.name.encode())])))
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n")
    return archive


def tar_of(archive: Path) -> str:
    """The sum of the tar that is packed from an archive, as a lock file has it."""
    out = io.BytesIO()
    pack(archive, "python", out, "gz")
    return f"1:{hashlib.sha256(gzip.decompress(out.getvalue())).hexdigest()}"


@pytest.fixture
def packable(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for triple in (GNU, MUSL):
        real(place, OLD, "3.13.1", triple)
    place.declare("builds: ['3.13', '3.13.1']\nsource: builds\n")
    return place


def test_sums_of_tars_are_computed_from_the_archives_and_kept(packable: Place) -> None:
    place, words = packable, ("--target", GNU, "--target", MUSL)
    plain = place.run(*words)
    assert (plain.code, json.loads(place.lockfile.read_text())["lock"]) == (0, 1)
    ran = place.run("--deltas", "--message", "commit.txt")
    assert (ran.code, ran.errors) == (0, "")
    assert ran.lines == [
        f"{LOCKFILE}: 0 added, 0 upgraded, 0 removed, 4 as before",
        *(f"  tar      {request} for {triple}: 3.13.1+{OLD}, recorded its sum"
          for request in ("3.13", "3.13.1") for triple in (GNU, MUSL)),
    ]  # fmt: skip
    assert (
        (place.folder / "commit.txt")
        .read_text()
        .startswith("Lock Python: record the tars of 4 entries\n\nRecord the tar of 3.13 ")
    )
    assert json.loads(place.lockfile.read_text())["lock"] == 2
    assert [entry["tar"] for entry in place.builds] == [tar_of(place.folder / entry["url"]) for entry in place.builds]
    before = place.lockfile.read_text()
    # Nothing is read again: the archive as it is now can't be packed.
    for archive in place.folder.glob("builds/*/*.gz"):
        archive.write_bytes(bytes(archive.stat().st_size))
    shutil.rmtree(place.folder / "cache")
    for options in ((), ("--deltas",), ("--check",), ("--check", "--deltas"), ("--deltas", "--upgrade")):
        ran = place.run(*options)
        assert (ran.code, ran.output, ran.errors) == (0, f"{LOCKFILE} is up to date: 4 builds\n", ""), options
    assert place.lockfile.read_text() == before
    # Another request gets the sum of an archive that is known.
    place.declare("builds: ['3.13', '3.13.1', '>=3.13,<3.14']\nsource: builds\n")
    assert place.run("--deltas").code == 0
    assert {entry["tar"] for entry in place.builds} == {entry["tar"] for entry in json.loads(before)["builds"]}


def test_an_upgrade_without_sums_is_noticed_and_its_command_adds_them(packable: Place) -> None:
    place = packable
    assert place.run("--target", GNU, "--deltas").code == 0
    new = real(place, NEW, "3.13.2")
    ran = place.run("--upgrade-request", "3.13")
    assert (ran.code, "tar" in place.builds[0], "tar" in place.builds[1]) == (0, False, True)
    assert f"without the sum of a tar, hosts get no deltas of 3.13 for {GNU}: run lock with --deltas" in " ".join(
        ran.errors.split()
    )
    assert place.run("--check").code == 0
    checked = place.run("--check", "--deltas")
    command = f"standalone-python lock pythons.yml -o {LOCKFILE} --deltas"
    assert (checked.code, checked.sentence) == (
        1,
        f"{LOCKFILE} is stale, 3.13 for {GNU} without the sum of a tar: run: {command}",
    )
    told = json.loads(place.run("--check", "--json").output)
    assert (told["stale"], told["without_tar"]) == (False, [f"3.13 for {GNU}"])
    told = json.loads(place.run("--deltas", "--json").output)
    assert [(entry["request"], entry["tar"]) for entry in told["tars"]] == [("3.13", tar_of(new))]
    assert (told["changed"], told["upgraded"], told["kept"]) == (True, [], 2)
    assert place.run("--check", "--deltas").code == 0


def test_a_sum_of_another_form_is_computed_again(packable: Place) -> None:
    place = packable
    assert place.run("--target", GNU, "--deltas").code == 0
    right = place.lockfile.read_text()
    place.lockfile.write_text(right.replace('"1:', '"7:'))
    assert place.run("--check", "--deltas").code == 1
    assert place.run().code == 0
    assert '"7:' in place.lockfile.read_text(), "a newer version may have recorded it"
    assert place.run("--deltas").code == 0
    assert place.lockfile.read_text() == right


def test_an_archive_that_is_not_the_locked_one_has_no_sum(packable: Place) -> None:
    place = packable
    assert place.run("--target", GNU).code == 0
    before = place.lockfile.read_text()
    for archive in place.folder.glob("builds/*/*.gz"):
        archive.write_bytes(gz(tar([*tree(), Entry("python/name", b"of a hostile server")])))
    ran = place.run("--deltas")
    assert (ran.code, "has the wrong checksum" in ran.sentence) == (1, True)
    assert place.lockfile.read_text() == before


def test_builds_that_no_mirror_has_a_delta_of_need_no_sum(packable: Place) -> None:
    """Those that are packed with zstd. Builds for Windows have sums."""
    place = packable
    windows = real(place, OLD, "3.13.1", WINDOWS)
    full = windows.with_name(f"cpython-3.13.1+{OLD}-{WINDOWS}-pgo-full.tar.zst")
    full.write_bytes(b"nobody reads it")
    with (windows.parent / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(full.read_bytes()).hexdigest()}  {full.name}\n")
    place.declare("builds: ['3.13', '3.13+full']\nsource: builds\n")
    ran = place.run("--target", WINDOWS, "--deltas")
    assert ran.code == 0, ran.errors
    assert [entry.get("tar") for entry in place.builds] == [tar_of(windows), None]
    assert place.run("--check", "--deltas").code == 0
