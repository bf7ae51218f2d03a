# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``--attestations`` of the real commands: from a source that has attestations, beside a lock file, in a mirror, and without a network.

A Sigstore of the tests' own stands for the public one; that the library judges real ones alike, tests/store/test_attestation.py says.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.attestation import ENDING
from tests.cli.conftest import Command
from tests.tools.sigstore import Sigstore
from tests.tools.sources import NEWER, OLD, V12, V13LATER
from tests.tools.web import serve

TRIPLE = f"{os.uname().machine}-unknown-linux-gnu"
ROOT = ("--trusted-root", "trusted_root.json")
REQUIRE = ("--attestations", "require", *ROOT)
PREFER = ("--attestations", "prefer", *ROOT)


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture
def attested(source: Path, sigstore: Sigstore, command: Command) -> Path:
    """A source whose archives have attestations, but for those that are older than upstream's first."""
    folder = command.folder / "source"
    shutil.copytree(source, folder, symlinks=True)
    for sums in folder.glob("*/SHA256SUMS"):
        for line in sums.read_text().splitlines():
            digest, name = line.split()
            if sums.parent.name != OLD:
                (sums.parent / f"{name}{ENDING}").write_text(sigstore.lines(digest))
    sigstore.trusted_root(command.folder / "trusted_root.json")
    return folder


def declare(command: Command, source: object, *requests: str, more: str = "") -> Path:
    where = f"root: {command.folder}/root\nbin_dir: {command.folder}/bin\n"
    return command.file(f"builds: {json.dumps(requests)}\nsource: {source}\n{where}{more}")


def the_attestation(source: Path) -> Path:
    (path,) = (source / NEWER).glob(f"cpython-{V13LATER}*{ENDING}")
    return path


def test_apply(command: Command, attested: Path) -> None:
    file = declare(command, attested, "3.13")
    done = command("apply", file, "-q", *REQUIRE)
    assert (done.code, done.errors) == (0, "")
    shutil.rmtree(command.folder / "root")
    the_attestation(attested).unlink()
    done = command("apply", file, *REQUIRE)
    assert done.code == 1
    assert f"there is no attestation of cpython-{V13LATER}+{NEWER}-{TRIPLE}" in done.errors
    assert f"beside it in {attested}: choose another build or source, or allow it with attestations: prefer" in done.errors
    assert not (command.folder / "root/cpython-3.13").exists()
    done = command("apply", file, *PREFER)
    assert done.code == 0
    assert done.errors.startswith(f"standalone-python: there is no attestation of cpython-{V13LATER}+")
    assert (command.folder / "root/cpython-3.13/bin/python3").exists()
    assert command("apply", file, *REQUIRE).code == 0, "what is installed is not asked again"


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_a_wrong_one_is_an_error_always(command: Command, attested: Path, sigstore: Sigstore, mode: str) -> None:
    the_attestation(attested).write_text(sigstore.lines("b" * 64))
    file = declare(command, attested, "3.13", more=f"attestations: {mode}\ntrusted_root: trusted_root.json\n")
    done = command("apply", file)
    assert done.code == 1
    assert "is not upstream's: it is of the sha256 bbbb" in done.errors
    assert not (command.folder / "root/cpython-3.13").exists()
    assert command("apply", file, "--attestations", "off").code == 0


def test_older_ones_have_none(command: Command, attested: Path) -> None:
    done = command("apply", declare(command, attested, f"{V12}+{OLD}"), *REQUIRE)
    assert done.code == 1
    assert "there is no attestation of" in done.errors
    assert ", upstream has them since release 20250212: choose another build or source" in done.errors


def test_beside_a_lock_file_they_serve_a_controller_without_any(command: Command, attested: Path, source: Path) -> None:
    """The source that is used then has none itself."""
    declare(command, attested, "3.13")
    (command.folder / "locks").mkdir()
    locked = command("lock", "python.yml", "--target", TRIPLE, "-o", "locks/python.lock.json", *REQUIRE)
    assert (locked.code, locked.errors) == (0, "")
    (kept,) = (command.folder / "locks/attestations").iterdir()
    assert kept.name == the_attestation(attested).name
    file = declare(command, source, "3.13")
    assert command("apply", file, *REQUIRE).code == 1
    done = command("apply", file, "-q", "--lockfile", "locks/python.lock.json", *REQUIRE)
    assert (done.code, done.errors) == (0, "")
    shutil.rmtree(command.folder / "root")
    kept.write_text(kept.read_text().replace("a", "b", 1))
    done = command("apply", file, "--lockfile", "locks/python.lock.json", *PREFER)
    assert done.code == 1
    assert "is not upstream's" in done.errors


def test_lock_writes_nothing_where_one_is_wrong(command: Command, attested: Path, sigstore: Sigstore) -> None:
    declare(command, attested, "3.13", "3.12")
    lock = ("lock", "python.yml", "--target", TRIPLE)
    assert f"there is no attestation of cpython-{V12}+{OLD}" in command(*lock, *REQUIRE).sentence
    assert not (command.folder / "python.lock.json").exists()
    done = command(*lock, *PREFER)
    assert done.code == 0
    assert done.errors.count("\n") == 1
    assert f"there is no attestation of cpython-{V12}+{OLD}" in done.errors
    the_attestation(command.folder / "source").write_text(sigstore.lines("b" * 64))
    assert command("lock", "python.yml", *PREFER).code == 0, "the right one is at hand"
    shutil.rmtree(command.folder / "attestations")
    assert "is not upstream's" in command("lock", "python.yml", *PREFER).sentence


def test_a_mirror_has_them_too(command: Command, attested: Path, sigstore: Sigstore) -> None:
    wanted = ("--request", "3.13", "--target", TRIPLE, "--source", str(attested))
    dest = command.folder / "mirror"
    name = the_attestation(attested).name
    assert command("mirror", "sync", dest, *wanted).code == 0
    assert not (dest / NEWER / name).exists()
    done = command("mirror", "sync", dest, *wanted, *REQUIRE)
    assert (done.code, done.errors) == (0, "")
    assert (dest / NEWER / name).read_text() == the_attestation(attested).read_text(), "brought also for what was there"
    assert command("mirror", "verify", dest, *REQUIRE).output.endswith("1 archives, 15 MB, all is well\n")
    with serve(dest) as web:
        done = command("apply", declare(command, web.url(), "3.13"), "-q", *REQUIRE, environment={"NO_PROXY": "*"})
        assert (done.code, done.errors) == (0, "")
    the_attestation(attested).unlink()
    assert command("mirror", "sync", dest, *wanted, *REQUIRE).code == 0, "what it has is enough"
    (dest / NEWER / name).write_text(sigstore.lines("b" * 64))
    assert "is not upstream's: it is of the sha256 bbbb" in command("mirror", "sync", dest, *wanted, *PREFER).sentence
    said = command("mirror", "verify", dest, *PREFER)
    assert said.code == 2
    assert "is not upstream's: it is of the sha256 bbbb" in said.output
    others = ("--request", "3.12", "--target", TRIPLE, "--source", str(attested), "--prune")
    assert command("mirror", "sync", dest, *others, *PREFER).code == 0
    assert not (dest / NEWER).exists()
    said = command("mirror", "verify", dest, *REQUIRE)
    assert said.code == 2
    assert f"there is no attestation of cpython-{V12}+{OLD}" in said.output
    said = command("mirror", "verify", dest, *PREFER)
    assert said.code == 0
    assert f"there is no attestation of cpython-{V12}+{OLD}" in said.errors


def test_nothing_comes_into_a_mirror_with_a_wrong_one(command: Command, attested: Path, sigstore: Sigstore) -> None:
    the_attestation(attested).write_text(sigstore.lines("b" * 64))
    wanted = ("--request", "3.13", "--request", f"3.13+{NEWER[:4]}0317", "--target", TRIPLE, "--source", str(attested))
    dest = command.folder / "mirror"
    done = command("mirror", "sync", dest, *wanted, *REQUIRE)
    sentence, left = done.errors.splitlines()
    assert f"1 of 2 archives are missing from the mirror {dest}: the attestation of cpython-{V13LATER}" in sentence
    assert (done.code, left.strip().startswith(f"not done: download {NEWER}/cpython-{V13LATER}")) == (1, True)
    assert not list(dest.glob(f"{NEWER}/cpython-*"))
    assert NEWER not in (dest / "catalogue.tsv").read_text()
    assert len(list(dest.glob(f"*/*{ENDING}"))) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            "lock python.yml --target TRIPLE -o no/where.json --attestations require --trusted-root trusted_root.json",
            1,
            "can't be written to",
        ),
        ("apply python.yml --attestations always", 64, "'always' is not valid, choose one of off, prefer, require"),
        ("lock python.yml --check --attestations require", 64, "--check looks at no archive: leave --attestations out"),
        (
            "apply python.yml --attestations require --trusted-root nowhere",
            1,
            "the trusted root nowhere can't be read (No such file",
        ),
    ],
)
def test_bad_input(command: Command, attested: Path, arguments: str, code: int, said: str) -> None:
    declare(command, attested, "3.13")
    done = command(*arguments.replace("TRIPLE", TRIPLE).split())
    assert done.code == code
    assert said in done.errors
    assert "Traceback" not in done.errors


def test_without_the_extra(command: Command, attested: Path) -> None:
    command.file("raise ImportError('no sigstore')\n", "without/sigstore.py")
    path = os.pathsep.join((str(command.folder / "without"), command.environment()["PYTHONPATH"]))
    done = command("apply", declare(command, attested, "3.13"), *REQUIRE, environment={"PYTHONPATH": path})
    assert done.code == 1
    command_of_pip = "pip install 'standalone-python[attestations]'"
    assert done.errors.endswith(f"which is not installed on the controller: {command_of_pip}; nothing was changed\n")
    assert not (command.folder / "root/cpython-3.13").exists()
