# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users installed into a build comes along when another takes its place, with real interpreters and the real pip."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import carry, files, finish, launchers
from tests.finisher.staged import MINORS, Staged
from tests.tools import wheels

Builds = Callable[..., Path]
NEWEST = "3.13"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: stand-in builds")


class Line:
    """Builds of one minor version in one root, which replace each other."""

    def __init__(self, builds: Builds, minor: str, root: Path) -> None:
        self.builds, self.minor, self.root = builds, minor, root
        self.last = self.first = self.stage("20250115")

    def stage(self, tag: str, **keywords: str) -> Staged:
        archive = self.builds(self.minor, tag=tag)
        shutil.rmtree(self.root / ".standalone-python.staging", ignore_errors=True)
        staged = Staged(archive, self.root)
        given = {"externally_managed": "0", "root": str(self.root), **keywords}
        said = staged.run(**given)
        assert said["finished"] == "ok", said
        return staged

    def install(self) -> Path:
        return self.last.move()

    def replace(self, tag: str, **keywords: str) -> dict[str, object]:
        """The next build comes, and the old one goes; the receipt of the new one."""
        old = self.last.final
        self.last = self.stage(tag, carry=old.name, **keywords)
        if self.last.final == old:
            shutil.rmtree(old)
        tree = self.last.move()
        shutil.rmtree(old, ignore_errors=True) if old != tree else None
        receipt: dict[str, object] = json.loads((tree / finish.RECEIPT).read_text())
        return receipt

    @property
    def tree(self) -> Path:
        return self.last.final

    @property
    def packages(self) -> Path:
        return self.tree / "lib" / f"python{self.minor}" / "site-packages"

    def pip(self, *words: str) -> None:
        command = [self.tree / "bin/python3", "-m", "pip", "--disable-pip-version-check", *words]
        writing = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=writing)
        assert done.returncode == 0, done.stderr

    def says(self, *command: str) -> str:
        done = subprocess.run([self.tree / command[0], *command[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def damaged(self) -> list[str]:
        done = subprocess.run(
            ["sha256sum", "-c", files.LIST], cwd=self.tree, capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
        )
        return [line for line in done.stdout.splitlines() if not line.endswith(": OK")]


@pytest.fixture(params=[MINORS[0], "3.11", MINORS[-1]])
def each(request: pytest.FixtureRequest, builds: Builds, tmp_path: Path) -> Iterator[Line]:
    yield Line(builds, request.param, tmp_path)
    shutil.rmtree(tmp_path)


@pytest.fixture
def line(builds: Builds, tmp_path: Path) -> Iterator[Line]:
    yield Line(builds, NEWEST, tmp_path)
    shutil.rmtree(tmp_path)


def test_packages_and_scripts_come_along(each: Line, tmp_path: Path) -> None:
    """To another build, and then to that one's own successor of the same name."""
    each.install()
    each.pip("install", "--no-index", str(wheels.greeting(tmp_path)))
    (each.packages / "mine.py").write_text("x = 1\n")
    (each.packages / "mine.pth").write_text("/somewhere/else\n")
    (each.tree / "bin/mine").write_text(f"#!{each.first.final}/bin/python3\nprint('mine')\n")
    (each.tree / "bin/mine").chmod(0o750)
    (each.tree / "bin/greet-link").symlink_to("greet")
    before = (each.packages / "greeting/__init__.py").stat()
    for tag in ("20250317", "20250317"):
        receipt = each.replace(tag)
        assert (receipt["carried"], receipt["not_carried"]) == (1, [])
        assert each.says("bin/greet") == each.says("bin/greet-too") == each.says("bin/greet-link") == wheels.SAYS
        assert each.says("bin/mine") == "mine"
        assert stat.S_IMODE((each.tree / "bin/mine").stat().st_mode) == 0o750
        assert each.says("bin/python3", "-c", "import greeting, mine, pip; print(greeting.__file__)").startswith(
            str(each.packages)
        )
        assert (each.packages / "mine.pth").read_text() == "/somewhere/else\n"
        assert (each.tree / "share/greeting/words.txt").read_text() == "hello\n"
        assert (each.tree / "etc/greeting.conf").is_file()
        assert list(each.tree.glob("include/**/greeting.h"))
        # So its bytecode stays valid.
        after = (each.packages / "greeting/__init__.py").stat()
        assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
        assert (each.packages / "greeting/__pycache__").is_dir()
        assert each.damaged() == []
        assert len(list(each.packages.glob("pip-*.dist-info"))) == 1
    each.pip("uninstall", "-y", "greeting")
    assert not (each.tree / "bin/greet").exists()


def test_nothing_to_carry_and_nothing_is(line: Line) -> None:
    """Bytecode that root's pip left of the build's own modules is no user's."""
    line.install()
    line.pip("--version")
    assert list(line.packages.glob("pip/__pycache__/*.pyc"))
    receipt = line.replace("20250317")
    assert (receipt["carried"], receipt["carried_files"], receipt["not_carried"]) == (0, 0, [])
    assert not list(line.packages.glob("pip/__pycache__"))


def test_a_pip_that_upgraded_itself_stays(line: Line, tmp_path: Path) -> None:
    line.install()
    line.pip("install", "--no-index", str(wheels.later_pip(line.packages, tmp_path)))
    assert line.says("bin/pip", "--version").startswith("pip 99.0 ")
    for compiled in ("0", "1"):
        receipt = line.replace("20250317", compile_bytecode=compiled)
        assert [path.name for path in line.packages.glob("pip-*")] == ["pip-99.0.dist-info"]
        assert receipt["not_carried"] == []
        assert (receipt["carried"], receipt["bundled"]) == (1, "")
        for script in ("bin/pip", "bin/pip3"):
            assert line.says(script, "--version").startswith("pip 99.0 ")
        assert line.damaged() == []
    line.pip("check")


def test_a_pip_that_is_the_builds_own_is_renewed_with_it(line: Line) -> None:
    line.install()
    own = [path.name for path in line.packages.glob("pip-*.dist-info")]
    receipt = line.replace("20250317")
    assert receipt["bundled"] == own[0]
    assert [path.name for path in line.packages.glob("pip-*.dist-info")] == own


def test_a_package_of_the_new_build_without_a_record_in_the_old_one_is_named(line: Line) -> None:
    line.install()
    own = next(line.packages.glob("pip-*.dist-info"))
    (line.packages / "pip-1.0.dist-info").mkdir()
    (line.packages / "pip-1.0.dist-info/METADATA").write_text("Name: pip\n")
    receipt = line.replace("20250317")
    assert receipt["not_carried"] == [
        f"lib/python{NEWEST}/site-packages/pip-1.0.dist-info: it has no RECORD, and the new build has that package"
    ]
    assert [path.name for path in line.packages.glob("pip-*")] == [own.name]


def test_what_is_in_the_way_is_named_and_stays(line: Line) -> None:
    line.install()
    listed = line.tree / files.LIST
    # As if only the new build brought that program, as later pips do with others of theirs.
    listed.write_text("".join(text for text in listed.read_text().splitlines(True) if not text.endswith("  bin/pip3\n")))
    (line.tree / "bin/pip3").unlink()
    (line.tree / "bin/pip3").write_text("mine\n")
    receipt = line.replace("20250317")
    assert receipt["not_carried"] == ["bin/pip3: the new build has a file of that name"]
    assert (line.tree / "bin/pip3").read_text() != "mine\n"


def test_many_files_that_stay_behind_are_counted(line: Line) -> None:
    line.install()
    for number in range(30):
        os.mkfifo(line.packages / f"pipe{number:02}")
    behind = line.replace("20250317")["not_carried"]
    assert isinstance(behind, list)
    assert len(behind) == carry.MOST_NAMED + 1
    assert behind[0].endswith("site-packages/pipe00: it is neither a file nor a link")
    assert behind[-1] == "10 more files"


def test_an_externally_managed_build_gives_nothing(line: Line) -> None:
    """Even where its receipt is lost."""
    line.install()
    (line.packages / "mine.py").touch()
    (line.packages.parent / "EXTERNALLY-MANAGED").touch()
    receipt = line.replace("20250317")
    assert (receipt["carried_files"], (line.packages / "mine.py").exists()) == (0, False)


def test_a_build_without_its_list_gives_what_the_same_build_does_not_have(line: Line, tmp_path: Path) -> None:
    line.install()
    line.pip("install", "--no-index", str(wheels.greeting(tmp_path)))
    (line.tree / files.LIST).unlink()
    receipt = line.replace("20250115")
    assert (receipt["carried"], receipt["not_carried"]) == (1, [])
    assert line.says("bin/greet") == wheels.SAYS


def test_no_link_is_followed(line: Line, tmp_path: Path) -> None:
    """Neither where files are read nor where they are written."""
    line.install()
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    (line.packages / "folder").symlink_to(secret)
    (line.packages / "file").symlink_to(secret / "file")
    (line.packages / "inside").symlink_to(line.packages / "inside.py")
    info = line.packages / "evil-1.0.dist-info"
    info.mkdir()
    named = ("folder/file", "folder/new", "../../../../../secret/file", "/etc/passwd", "../../../.standalone-python/receipt.json")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in named))
    receipt = line.replace("20250317")
    assert receipt["not_carried"] == []
    assert os.readlink(line.packages / "folder") == str(secret)
    assert os.readlink(line.packages / "file") == str(secret / "file")
    # A link into the old build leads into the new one.
    assert os.readlink(line.packages / "inside") == str(line.packages / "inside.py")
    assert os.listdir(secret) == ["file"]
    assert (line.tree / finish.RECEIPT).is_file()


def test_site_packages_that_is_a_link_gives_nothing(line: Line, tmp_path: Path) -> None:
    line.install()
    shutil.move(line.packages, tmp_path / "elsewhere")
    (tmp_path / "elsewhere/mine.py").touch()
    line.packages.symlink_to(tmp_path / "elsewhere")
    receipt = line.replace("20250317")
    assert receipt["carried_files"] == 0
    assert receipt["not_carried"] == [f"lib/python{NEWEST}/site-packages/: Not a directory"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root: files of several users")
@pytest.mark.parametrize("owner", [0, 4711], ids=["root", "a user"])
def test_only_files_of_the_owner_and_of_root_come_along(owner: int, line: Line, tmp_path: Path) -> None:
    tree = line.install()
    for folder, folders, others in os.walk(tree):
        for path in (folder, *(os.path.join(folder, name) for name in (*folders, *others))):
            os.chown(path, owner, owner, follow_symlinks=False)
    (tmp_path / "cache").write_text("from a cache\n")
    os.chown(tmp_path / "cache", owner, owner)
    (tmp_path / "private").write_text("root's\n")
    (tmp_path / "private").chmod(0o600)
    wanted = {"of_owner.py": owner, "of_root.py": 0, "of_another.py": 4712}
    for name, user in wanted.items():
        (line.packages / name).write_text("")
        os.chown(line.packages / name, user, -1)
    os.link(tmp_path / "cache", line.packages / "of_cache.py")
    os.link(tmp_path / "private", line.packages / "of_private.py")
    (line.packages / "folder_of_another").mkdir()
    (line.packages / "folder_of_another/file.py").touch()
    os.chown(line.packages / "folder_of_another", 4712, -1)
    behind = line.replace("20250317")["not_carried"]
    assert isinstance(behind, list)
    stay = {
        text.rpartition("site-packages/")[2].partition(":")[0]
        for text in behind
        if not text.startswith("lib/python3.13/site-packages/folder")
    }
    assert {"of_another.py"} | ({"of_private.py"} if owner else set()) == stay
    assert any("folder_of_another" in text for text in behind)
    found = {path.name: path.stat().st_uid for path in line.packages.glob("*of_*.py")}
    assert found == {"of_owner.py": owner, "of_root.py": 0, "of_cache.py": owner, **({} if owner else {"of_private.py": 0})}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root: to give files away")
def test_a_declared_owner_owns_what_comes_along(line: Line) -> None:
    line.install()
    (line.packages / "mine").mkdir()
    (line.packages / "mine/file.py").touch()
    (line.packages / "link").symlink_to("mine")
    line.replace("20250317", owner="4711", group="4712")
    for name in ("mine", "mine/file.py", "link"):
        status = (line.packages / name).lstat()
        assert (status.st_uid, status.st_gid) == (4711, 4712)


def test_a_folder_that_nobody_may_write_comes_along(line: Line) -> None:
    line.install()
    (line.packages / "mine/deeper").mkdir(parents=True)
    (line.packages / "mine/deeper/file.py").touch()
    (line.packages / "mine/deeper").chmod(0o555)
    (line.packages / "mine").chmod(0o555)
    assert line.replace("20250317")["not_carried"] == []
    modes = [stat.S_IMODE((line.packages / name).stat().st_mode) for name in ("mine", "mine/deeper")]
    assert modes == [0o555, 0o555]


def test_odd_names_come_along_and_are_told_in_one_line(line: Line) -> None:
    line.install()
    odd = os.fsdecode(b"a\xff\n\x1b[31m'\".py")
    (line.packages / odd).touch()
    os.mkfifo(line.packages / "pipe\n\x1b")
    receipt = line.replace("20250317")
    assert (line.packages / odd).exists()
    assert receipt["not_carried"] == [f"lib/python{NEWEST}/site-packages/pipe\\n\\x1b: it is neither a file nor a link"]


def test_a_full_disk_is_a_failure_and_not_a_file_that_stays_behind(line: Line, tmp_path: Path) -> None:
    line.install()
    with open(line.packages / "large.bin", "wb") as file:
        file.truncate(8 << 20)
    shutil.rmtree(tmp_path / ".standalone-python.staging", ignore_errors=True)
    staged = Staged(line.builds(NEWEST, tag="20250317"), tmp_path)
    python = tmp_path / "limited"
    python.write_text(f"#!/bin/sh\ntrap '' XFSZ\nulimit -f 4096\nexec '{staged.tree}/bin/python3' \"$@\"\n")
    python.chmod(0o755)
    said = staged.run(python=str(python), externally_managed="0", root=str(tmp_path), carry=line.tree.name)
    assert (said["failure"], "File too large" in said["detail"]) == ("io", True)


# Texts


OLD, NEW = "/opt/python/cpython-3.13.9+1", "/opt/python/cpython-3.13.10+2"
LONG = "/opt/" + "x" * 90
HEADS = {
    "plain": (f"#!{OLD}/bin/python3.13\nprint()\n", f"#!{NEW}/bin/python3.13\nprint()\n"),
    "with an option": (f"#!{OLD}/bin/python3.13 -E\n", f"#!{NEW}/bin/python3.13 -E\n"),
    "stable link": ("#!/opt/python/cpython-3.13/bin/python3\n", "#!/opt/python/cpython-3.13/bin/python3\n"),
    "another build's": (f"#!{OLD}7/bin/python3\n", f"#!{OLD}7/bin/python3\n"),
    "env": ("#!/usr/bin/env python3\n", "#!/usr/bin/env python3\n"),
    "shell": (f"#!/bin/sh\nexec {OLD}/bin/python3 x\n", f"#!/bin/sh\nexec {OLD}/bin/python3 x\n"),
    "behind a shell": (
        f"#!/bin/sh\n'''exec' {OLD}/bin/python3 \"$0\" \"$@\"\n' '''\nprint()\n",
        f"#!/bin/sh\n'''exec' {NEW}/bin/python3 \"$0\" \"$@\"\n' '''\nprint()\n",
    ),
    "behind a shell, quoted": (
        f"#!/bin/sh\n'''exec' \"{OLD}/bin/python3\" \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' \"{NEW}/bin/python3\" \"$0\" \"$@\"\n' '''\n",
    ),
    "no script": (f"\x7fELF {OLD}/bin/python3\n", f"\x7fELF {OLD}/bin/python3\n"),
    "no second line": (f"#!{OLD}/bin/python3", f"#!{NEW}/bin/python3"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("case", HEADS)
def test_first_lines(case: str) -> None:
    before, after = HEADS[case]
    assert launchers.patch_head(before.encode(), OLD, NEW) == after.encode()


def test_a_first_line_that_gets_too_long_for_the_kernel_goes_behind_a_shell() -> None:
    old, new = f"{LONG}/{'y' * 10}", f"{LONG}/{'y' * 30}"
    assert launchers.patch_head(f"#!{old}/bin/python3\nx\n".encode(), old, new).decode() == (
        f"#!/bin/sh\n'''exec' {new}/bin/python3 \"$0\" \"$@\"\n' '''\nx\n"
    )


RECORDS = {
    "greeting/__init__.py,sha256=x,1": "lib/python3.13/site-packages/greeting/__init__.py",
    "../../../bin/greet,,": "bin/greet",
    '"a, ""b"".py",sha256=x,1': 'lib/python3.13/site-packages/a, "b".py',
    "../../../../../etc/passwd,,": "",
    "/etc/passwd,,": "",
    "../../../.standalone-python/receipt.json,,": "",
    "../../..,,": "",
    "": "lib/python3.13/site-packages",
}


@pytest.mark.parametrize("text", RECORDS)
def test_paths_of_records(text: str) -> None:
    assert carry.recorded(text, "lib/python3.13/site-packages") == ({RECORDS[text]} if RECORDS[text] and text else set())


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Foo_Bar-1.0.dist-info", "foo-bar"),
        ("foo.bar__baz-1.dist-info", "foo-bar-baz"),
        ("pip-25.0.1.dist-info", "pip"),
        ("old.egg-info", "old"),
    ],
)
def test_names_of_packages(folder: str, name: str) -> None:
    assert carry.package_name(folder) == name


def launcher(line: str) -> bytes:
    """As pip makes it: a program, a first line, a zip whose offsets begin with itself."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", "import greeting\n")
    return b"MZ program with a #! of its own" + b"\0" * 50 + f"#!{line}\r\n".encode() + archive.getvalue()


WAS, IS = "C:\\Python\\cpython-3.13.9+1", "C:\\Python\\cpython-3.13.10+2"


@pytest.mark.parametrize("spelled", [WAS, WAS.lower()])
@pytest.mark.parametrize("quote", ["", '"'])
def test_launchers_of_windows(quote: str, spelled: str) -> None:
    found = launchers.patch_launcher(launcher(f"{quote}{spelled}\\python.exe{quote}"), WAS, IS)
    assert found == launcher(f"{quote}{IS}\\python.exe{quote}")
    assert zipfile.ZipFile(BytesIO(found)).read("__main__.py") == b"import greeting\n"


def test_launchers_of_windows_that_lead_through_a_stable_link_stay() -> None:
    same = launcher("C:\\Python\\cpython-3.13\\python.exe")
    assert launchers.patch_launcher(same, WAS, IS) == same


@pytest.mark.parametrize("program", [b"MZ " + f"{WAS}\\python.exe".encode() + b" UVUV", b"PK\x05\x06" + f"{WAS}\\".encode()])
def test_launchers_of_windows_in_another_form_can_not_be_patched(program: bytes) -> None:
    assert launchers.patch_launcher(program, WAS, IS) == b""
