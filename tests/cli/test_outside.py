# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unpacked root of another machine, prepared without anything in it being started; and its first start on that machine."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.tools.deploy import LOCAL, operation, run_deploy
from tests.tools.hosts.bases import program
from tests.tools.playbook import run_play
from tests.tools.sources import NEWER, OLD, V13, V13LATER, for_another_machine, make_foreign, put

pytestmark = pytest.mark.usefixtures("warm_cache")

ARM = "aarch64-unknown-linux-gnu"
HERE = "x86_64-unknown-linux-gnu"
ROOT = "opt/python"
BUNDLE = "/etc/pki/tls/certs/ca-bundle.crt"
Builds = Callable[..., Path]


def name(version: str, release: str, triple: str = ARM) -> str:
    return f"cpython-{version}+{release}-{triple}-install_only_stripped"


@pytest.fixture(scope="session")
def foreign(builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds for aarch64, of which nothing starts here."""
    folder = tmp_path_factory.mktemp("foreign")
    for release, version in ((OLD, V13), (NEWER, V13LATER)):
        archive = builds("3.13", tag=release, version=version, triple=ARM)
        put(folder, release, for_another_machine(archive, tmp_path_factory.mktemp("packed")))
    return folder


@pytest.fixture
def root_dir(tmp_path: Path) -> Path:
    """An image whose shell and Python must never be started: they would leave a trace."""
    folder = tmp_path / "image"
    for path in ("bin/sh", "usr/bin/python3", "usr/bin/env"):
        trap = folder / path
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.write_text(f"#!/bin/sh\necho {path} >>{tmp_path}/started\n")
        trap.chmod(0o755)
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:4321:4322::/home/app:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\nstaff:x:4323:\n")
    return folder


def receipt(build: Path) -> dict[str, Any]:
    said = json.loads((build / ".standalone-python/receipt.json").read_text())
    assert isinstance(said, dict)
    return said


def declare(command: Command, source: Path, **options: Any) -> Path:
    return command.file(json.dumps({"builds": ["3.13"], "source": str(source), **options}))


def trusted_as_on_rhel(image: Path) -> None:
    """The known path is an absolute link, which leads to another file of the image and not of this machine."""
    (image / BUNDLE[1:]).parent.mkdir(parents=True)
    (image / BUNDLE[1:]).symlink_to("/etc/extracted.pem")
    (image / "etc/extracted.pem").write_text("# an authority\n-----BEGIN CERTIFICATE-----\n")
    # It leads in a circle there.
    (image / "etc/ssl/certs").mkdir(parents=True)
    (image / "etc/ssl/certs/ca-certificates.crt").symlink_to("ca-certificates.crt")


def test_nothing_in_it_is_started(command: Command, root_dir: Path, foreign: Path) -> None:
    file = declare(command, foreign, certificates="system")
    image = ("--root-dir", root_dir, "--target", ARM)
    assert (
        f"the image {root_dir} has no certificate in /etc/ssl/certs/ca-certificates.crt, "
        in command("plan", file, *image).sentence
    )
    trusted_as_on_rhel(root_dir)
    planned = command("plan", file, *image)
    assert (planned.code, sorted(path.name for path in root_dir.iterdir())) == (2, ["bin", "etc", "usr"]), planned
    applied = command("apply", file, *image)
    assert applied.code == 0, applied
    assert planned.output.endswith("Plan: 1 to install, 2 links to change, 0 to remove.\n")
    assert applied.output.endswith(
        ": 1 installed, 2 links changed, 0 removed.\n3.13 is /opt/python/cpython-3.13/bin/python3\n"
        "nothing was started here: 'standalone-python verify' on the machine itself does it\n"
    )
    build = root_dir / ROOT / name(V13LATER, NEWER)
    assert not receipt(build)["started"]
    assert (root_dir / ROOT / "cpython-3.13").readlink() == Path(build.name)
    assert (root_dir / "usr/local/bin/python3.13").readlink() == Path("/opt/python/cpython-3.13/bin/python3.13")
    data = next(build.glob("lib/python3.13/_sysconfigdata_*.py")).read_text()
    assert f"'/opt/python/{build.name}'" in data
    here = str(root_dir).encode()
    assert not [path for path in build.rglob("*") if path.is_file() and here in path.read_bytes()]
    assert f"_host_certificates = '{BUNDLE}'\n" in (build / "lib/python3.13/ssl.py").read_text()
    again = command("apply", file, *image)
    assert (again.code, again.output) == (0, f"nothing to do: 3.13: {V13LATER} is installed\n")
    for arguments in (image, image[:2]):
        shown = command("status", *arguments)
        assert shown.code == 0
        assert "not started here" in shown.output
    interpreter = json.loads(command("status", "--json", *image).output)["interpreters"][0]
    assert (interpreter["started"], interpreter["sound"], interpreter["target"]) == (False, True, ARM)
    assert interpreter["certificates"] == BUNDLE
    checked = command("verify", *image)
    assert (checked.code, "every file is as it was installed" in checked.output) == (0, True), checked
    assert not (command.folder / "started").exists()


def test_what_was_damaged_is_found_and_mended(command: Command, root_dir: Path, foreign: Path) -> None:
    file = declare(command, foreign, verify="full")
    image = ("--root-dir", root_dir, "--target", ARM)
    assert command("apply", file, *image).code == 0
    module = root_dir / ROOT / name(V13LATER, NEWER) / "lib/python3.13/json/decoder.py"
    before = module.read_text()
    module.write_text("broken\n")
    found = command("verify", *image)
    assert (found.code, "json/decoder.py" in found.output) == (2, True), found
    mended = command("apply", file, *image)
    assert (mended.code, mended.output.partition(" ")[0]) == (0, "Repaired"), mended
    assert module.read_text() == before
    assert not receipt(module.parents[3])["started"]
    assert sorted(path.name for path in (root_dir / ROOT).iterdir()) == [
        ".standalone-python.checked",
        "cpython-3.13",
        name(V13LATER, NEWER),
    ]


def test_back_and_away(command: Command, root_dir: Path, foreign: Path) -> None:
    image = ("--root-dir", root_dir, "--target", ARM)
    for release in (f"{V13}+{OLD}", f"{V13LATER}+{NEWER}"):
        assert command("apply", declare(command, foreign, builds=[release]), *image).code == 0
    link = root_dir / ROOT / "cpython-3.13"
    assert link.readlink() == Path(name(V13LATER, NEWER))
    assert command("rollback", "3.13", *image[:2]).code == 0
    assert link.readlink() == Path(name(V13, OLD))
    removed = command("remove", "3.13", *image[:2])
    assert removed.code == 0, removed
    assert [*(root_dir / ROOT).iterdir(), *(root_dir / "usr/local/bin").iterdir()] == []
    assert not (command.folder / "started").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files get other owners")
def test_owners_are_those_of_the_image(command: Command, root_dir: Path, foreign: Path) -> None:
    image = ("--root-dir", root_dir, "--target", ARM)
    file = declare(command, foreign, owner="app", group="staff", mode="0750")
    assert command("apply", file, *image).code == 0
    build = root_dir / ROOT / name(V13LATER, NEWER)
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in (build, *build.rglob("*"))} == {(4321, 4323)}
    # The root stays with who installs, as on a host.
    assert ((root_dir / ROOT).stat().st_uid, (root_dir / ROOT).stat().st_gid) == (0, 4323)
    assert stat.S_IMODE(build.stat().st_mode) == 0o750
    assert (receipt(build)["owner"], receipt(build)["group"]) == ("app", "staff")
    assert command("plan", file, *image).code == 0
    sentence = command("apply", declare(command, foreign, owner="nobody-there"), *image).sentence
    assert sentence == (
        f"the image {root_dir} has no user nobody-there in its /etc/passwd: add it there first, or use the number"
    )


@pytest.fixture
def anybody(tmp_path: Path) -> Iterator[tuple[Command, list[str]]]:
    """A folder of a user's own, and how to run as that user."""
    if os.geteuid() != 0:
        pytest.skip("needs root: another user runs it")
    folder = Path(tempfile.mkdtemp(prefix="anybody-"))
    os.chown(folder, 4321, 4322)
    # The Python that runs the tests may lie where only root can look.
    looking = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    yield Command(folder), [program("setpriv"), "--reuid=4321", "--regid=4322", "--clear-groups", *looking]
    shutil.rmtree(folder)


def test_a_user_prepares_an_image_of_their_own(anybody: tuple[Command, list[str]], foreign: Path) -> None:
    command, runner = anybody
    source, image = command.folder / "source", command.folder / "image"
    shutil.copytree(foreign, source)
    image.mkdir()
    file = declare(command, source)
    subprocess.run(["chown", "-R", "4321:4322", command.folder], check=True)
    applied = command("apply", file, "--root-dir", image, "--target", ARM, runner=runner)
    assert applied.code == 0, applied
    assert (image / ROOT / name(V13LATER, NEWER)).stat().st_uid == 4321
    assert command("verify", "--root-dir", image, runner=runner).code == 0
    refused = command("apply", file, "--root-dir", image, runner=runner).sentence
    assert "only root may enter it" in refused
    assert "name its machine with --target TRIPLE" in refused


def test_links_lead_nobody_out_of_it(command: Command, root_dir: Path, foreign: Path) -> None:
    outside = command.folder / "outside"
    for folder in ("opt", "bin", "staging/old-build/old", "broken"):
        (outside / folder).mkdir(parents=True)
    (outside / "staging/old-build/old/precious").write_text("precious")
    before = sorted(str(path) for path in outside.rglob("*"))
    (root_dir / "opt").symlink_to(outside / "opt")
    (root_dir / "usr/local").symlink_to("../../../../../../../../../srv/local")
    # Where the first link leads to inside of the image.
    inside = root_dir / str(outside / "opt").lstrip("/") / "python"
    inside.mkdir(parents=True)
    (inside / ".standalone-python.staging").symlink_to(outside / "staging")
    refused = command("apply", declare(command, foreign), "--root-dir", root_dir, "--target", ARM)
    assert "/opt/python/.standalone-python.staging is in the way and was not created by standalone-python" in refused.sentence
    (inside / ".standalone-python.staging").unlink()
    (inside / ".standalone-python.lock-broken-x").symlink_to(outside / "broken")
    image = ("--root-dir", root_dir, "--target", ARM)
    applied = command("apply", declare(command, foreign), *image)
    assert applied.code == 0, applied
    assert (inside / name(V13LATER, NEWER) / "bin/python3").exists()
    assert (root_dir / "srv/local/bin/python3.13").is_symlink()
    # A folder that a killed run could have left, with a link in it.
    (inside / ".standalone-python.staging").mkdir()
    (inside / ".standalone-python.staging/old-build").symlink_to(outside / "staging/old-build")
    assert command("apply", declare(command, foreign, state="latest", builds=[f"{V13}+{OLD}"]), *image).code == 0
    assert not (inside / "old-build").exists()
    assert sorted(str(path) for path in outside.rglob("*")) == before


def test_a_link_to_itself_is_not_the_one_of_this_machine(command: Command, root_dir: Path, foreign: Path) -> None:
    """Followed from here, /opt would be this machine's."""
    (root_dir / "opt").symlink_to("/opt")
    before = sorted(os.listdir("/opt"))
    sentence = command("apply", declare(command, foreign), "--root-dir", root_dir, "--target", ARM).sentence
    assert sentence == (f"/opt/python in the image {root_dir} is a link that leads in a circle, {root_dir}/opt: correct it first")
    assert sorted(os.listdir("/opt")) == before


def test_a_locked_build(command: Command, root_dir: Path, foreign: Path) -> None:
    image = ("--root-dir", root_dir, "--target", ARM)
    assert command("lock", declare(command, foreign, builds=["3.13"]), "--target", ARM).code == 0
    applied = command("apply", declare(command, foreign), "--lockfile", "python.lock.json", *image)
    assert applied.code == 0, applied
    assert "is locked" in command("plan", "python.yml", "--lockfile", "python.lock.json", *image).output
    elsewhere = ("--root-dir", root_dir, "--target", "riscv64-unknown-linux-gnu")
    refused = command("plan", "python.yml", "--lockfile", "python.lock.json", *elsewhere)
    assert (refused.code, "riscv64" in refused.errors) == (1, True), refused


@pytest.mark.parametrize("triple", ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"])
def test_only_linux(command: Command, root_dir: Path, foreign: Path, triple: str) -> None:
    sentence = command("apply", declare(command, foreign), "--root-dir", root_dir, "--target", triple).sentence
    assert sentence == (
        f"the image {root_dir} can't be changed offline for {triple}, as offline images must be of Linux: run this on such a "
        "machine, without --root-dir"
    )


def test_bytecode_needs_the_same_python(command: Command, root_dir: Path, builds: Builds, tmp_path: Path) -> None:
    """Neither what runs the command nor what is on its PATH."""
    minor = "3.12" if sys.version_info[:2] == (3, 13) else "3.13"
    archive = builds(minor, tag=NEWER, version=f"{minor}.9", triple=ARM)
    packed = tmp_path / "packed"
    packed.mkdir()
    put(tmp_path / "source", NEWER, for_another_machine(archive, packed))
    file = declare(command, tmp_path / "source", builds=[minor], compile_bytecode=True)
    image = ("--root-dir", root_dir, "--target", ARM)
    refused = command("apply", file, *image, environment={"PATH": "/usr/bin:/bin"})
    assert refused.code == 1
    assert f"bytecode of {minor}.9 needs a Python {minor}, and this machine has 3." in refused.errors
    assert refused.errors.endswith("or leave compile_bytecode out; the host is as it was\n")
    assert not (root_dir / ROOT).exists()


# The first start, on the machine itself


@pytest.fixture
def booted(command: Command, builds: Builds, tmp_path: Path) -> Path:
    """A root as a machine finds it that an image was made for: everything lies where the image's paths say."""
    source = tmp_path / "source"
    archive = builds("3.13", tag=NEWER, version=V13LATER)
    put(source, NEWER, Path(shutil.copy(archive, tmp_path)))
    image, root = tmp_path / "image", tmp_path / "root"
    image.mkdir()
    file = declare(command, source, root=str(root))
    applied = command("apply", file, "--root-dir", image, "--target", HERE)
    assert applied.code == 0, applied
    (image / str(root).lstrip("/")).rename(root)
    assert not receipt(root / name(V13LATER, NEWER, HERE))["started"]
    return root


def test_the_first_verify_completes_the_receipt(command: Command, booted: Path) -> None:
    build = booted / name(V13LATER, NEWER, HERE)
    assert "not started here" in command("status", "--root", booted).output
    before = receipt(build)
    first = command("verify", "--root", booted)
    assert (first.code, f"{build.name} was started for the first time" in first.output) == (0, True), first
    after = receipt(build)
    assert (before.pop("components"), "openssl" in after.pop("components")) == ({}, True)
    assert after == before | {"started": True}
    second = command("verify", "--root", booted)
    assert (second.code, "first time" in second.output, "sound" in second.output) == (0, False, True)


def test_an_upgrade_completes_it_too(command: Command, booted: Path) -> None:
    """Whatever front end comes first: `plan` says so, and `apply` does it."""
    file = command.folder / "python.yml"
    planned = command("plan", file)
    assert (planned.code, planned.output.partition(V13LATER)[0]) == (2, "Would confirm "), planned
    assert command("apply", file).code == 0
    assert receipt(booted / name(V13LATER, NEWER, HERE))["started"]
    assert command("plan", file).code == 0


@pytest.mark.parametrize("verify", ["quick", "full"])
def test_ansible_completes_it(booted: Path, verify: str) -> None:
    options = {"builds": ["3.13"], "root": str(booted), "verify": verify, "source": str(booted.parent / "source")}
    task = {"standalone.python.interpreters": options}
    info = {"standalone.python.interpreters_info": {"root": str(booted)}}
    run = run_play([info, task, info, task])
    was, first, now, second = (result.result for result in run.results)
    assert (was["interpreters"][0]["started"], now["interpreters"][0]["started"]) == (False, True), run.output
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["plan"] == [f"confirm {name(V13LATER, NEWER, HERE)}: it was not started where it was installed, and starts here"]


def test_pyinfra_completes_it(booted: Path) -> None:
    deploy = operation({"builds": ["3.13"], "root": str(booted), "source": str(booted.parent / "source")})
    first, second = run_deploy(deploy, LOCAL), run_deploy(deploy, LOCAL)
    assert (set(first.changed), set(second.changed)) == ({"@local"}, set()), first.output
    assert receipt(booted / name(V13LATER, NEWER, HERE))["started"]


def _of_another_machine(build: Path) -> None:
    interpreter = build / "bin/python3.13"
    interpreter.write_bytes(make_foreign(interpreter.read_bytes()))


def _without_openssl(build: Path) -> None:
    for library in build.glob("lib/libssl*"):
        library.write_bytes(b"no library")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [(_of_another_machine, "it does not start: "), (_without_openssl, "it does not start: ImportError: ")],
)
def test_one_that_does_not_start_is_damaged_and_repaired(
    command: Command, booted: Path, damage: Callable[[Path], None], problem: str
) -> None:
    build = booted / name(V13LATER, NEWER, HERE)
    damage(build)
    found = command("verify", "--root", booted)
    assert (found.code, f"{build.name} is broken: {problem}" in found.output) == (2, True), found
    assert not receipt(build)["started"]
    mended = command("apply", command.folder / "python.yml")
    assert (mended.code, mended.output.partition(" ")[0]) == (0, "Repaired"), mended
    assert receipt(build)["started"]
    assert command("verify", "--root", booted).code == 0


def test_who_may_not_write_is_not_asked_to(anybody: tuple[Command, list[str]], booted: Path) -> None:
    command, runner = anybody
    root = command.folder / "root"
    shutil.copytree(booted, root, symlinks=True)
    # Not as one that was moved or copied, which a run would have to mend.
    build = root / name(V13LATER, NEWER, HERE)
    written = build / ".standalone-python/receipt.json"
    written.write_text(json.dumps(receipt(build) | {"prefix": str(build)}, indent=1))
    file = command.file(json.dumps({"builds": ["3.13"], "root": str(root), "links": []}))
    for arguments in (("plan", file), ("verify", "--root", root)):
        looked = command(*arguments, runner=runner)
        assert looked.code == 0, looked
    assert not receipt(root / name(V13LATER, NEWER, HERE))["started"]
