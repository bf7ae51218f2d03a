# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finisher on Windows builds, run by Windows' own interpreters: on Windows, or under Wine where this machine has that."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path, PureWindowsPath

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import disk, files, finish
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import FINISHER
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_name
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.sbom import Archive, template
from tests.tools.finisher import ARGUMENTS, receipt_text
from tests.tools.windows import Windows

MINORS = ("3.11", "3.13")
Builds = Callable[..., Path]
EPOCH = "1736899200"
# Most of the library by size; a Windows under Wine is slow, and these are like the others.
TOOL = 'odd "tool" é\U0001f40d'
LARGE = ("idlelib", "lib2to3", "pydoc_data", "site-packages/pip", "tkinter", "turtledemo", "unittest", "xml", "xmlrpc")


class Staged:
    """An unpacked Windows build in a staging folder of a Windows disk."""

    def __init__(self, windows: Windows, archive: Path, root: Path, *, whole: bool = False) -> None:
        self.windows = windows
        self.root = root
        self.name = archive.name.removesuffix(".tar.gz")
        self.version = self.name.split("-")[1].split("+")[0]
        self.tree = root / ".standalone-python.staging" / "python"
        self.final = root / self.name
        self.tree.parent.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            tar.extractall(self.tree.parent, filter="tar")
        if not whole:
            for name in LARGE:
                shutil.rmtree(self.tree / "Lib" / name, ignore_errors=True)
        self.relist()
        self.said: dict[str, str] = {}
        self.finisher = root / ".standalone-python.staging" / "finish.py"
        for name in (*FINISHER, "bytecode.py"):
            shutil.copyfile(Path(finish.__file__).with_name(name), self.finisher.with_name(name))
        build = parse_name(self.name)
        assert build
        self.finisher.with_name(f"{self.name}.cdx").write_text(template(build, Archive(), TOOL), newline="\n")

    def relist(self) -> None:
        (self.tree / files.FOLDER).mkdir(exist_ok=True)
        (self.tree / files.LIST).write_text(list_of(self.tree), newline="\n")

    def run(self, **keys: str) -> dict[str, str]:
        given = {
            "tree": self.windows.text(self.tree),
            "final": self.windows.text(self.final),
            "name": self.name,
            "version": self.version,
            "triple": "x86_64-pc-windows-msvc",
            "flavor": "install_only",
            "filename": f"{self.name}.tar.gz",
            "started": "1",
            **ARGUMENTS,
            **keys,
        }
        words = [f"{key}={value}" for key, value in given.items()]
        python = self.tree / "python.exe"
        done = self.windows.run(python, "-I", "-B", self.windows.text(self.finisher), *words, env={"SOURCE_DATE_EPOCH": EPOCH})
        said = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        assert (done.returncode, "finished" in said) in ((0, True), (3, False)), done
        return said

    def ask(self, python: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return self.windows.run(python, *words)


def list_of(tree: Path) -> str:
    """The list of files as the controller makes it, written independently of the finisher."""
    paths = {p.relative_to(tree).as_posix(): p for p in tree.rglob("*") if p.is_file()}
    inside = sorted(path for path in paths if path == files.SBOM or not path.startswith(files.FOLDER))
    return "".join(f"{hashlib.sha256(paths[path].read_bytes()).hexdigest()}  {path}\n" for path in inside)


@pytest.fixture
def place(windows_here: Windows) -> Iterator[Path]:
    """A folder of a Windows disk with letters in its name that no code page has all of."""
    folder = windows_here.drive / f"standalone-python-{os.getpid()}" / "Ünïcode ž 蛇"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder.parent)


@pytest.fixture(scope="module", params=MINORS)
def finished(windows_here: Windows, windows_builds: Builds, request: pytest.FixtureRequest) -> Iterator[Staged]:
    """A whole build that was finished and has moved into its place; it is only looked at."""
    folder = windows_here.drive / f"standalone-python-{os.getpid()}-{request.param}"
    staged = Staged(windows_here, windows_builds(request.param, whole=True), folder / "Ünïcode ž 蛇", whole=True)
    staged.said = staged.run(tool=TOOL)
    assert staged.said.get("finished") == "ok", staged.said
    staged.tree.rename(staged.final)
    yield staged
    shutil.rmtree(folder)


@pytest.fixture
def staged(windows_here: Windows, windows_builds: Builds, place: Path) -> Staged:
    return Staged(windows_here, windows_builds("3.13"), place)


def test_it_runs_in_its_final_place(finished: Staged) -> None:
    code = "import ssl, sys; print(sys.prefix, sys.base_prefix, sep='|')"
    done = finished.ask(finished.final / "python.exe", "-I", "-B", "-X", "utf8", "-c", code)
    assert done.stdout.strip().split("|") == [finished.windows.text(finished.final)] * 2, done


def test_its_list_and_receipt_are_true(finished: Staged) -> None:
    listing = (finished.final / files.LIST).read_bytes().decode()
    assert listing == list_of(finished.final)
    assert "  Lib/EXTERNALLY-MANAGED\n" in listing
    receipt = json.loads((finished.final / finish.RECEIPT).read_bytes())
    assert receipt["files_sha256"] == hashlib.sha256(listing.encode()).hexdigest()
    assert receipt["files"] == int(finished.said["files"]) == listing.count("\n")
    entries = [p for name in ("Lib", "DLLs") for p in (finished.final / name).iterdir() if p.name != "__pycache__"]
    assert receipt["modules"] == int(finished.said["modules"]) == len(entries)
    assert receipt["executable"] == finished.said["executable"] == "python.exe"
    assert (receipt["version"], receipt["triple"]) == (finished.version, "x86_64-pc-windows-msvc")
    assert (receipt["missing"], receipt["unpatched"]) == ([], [])
    code = (
        "import pyexpat, sqlite3, ssl; print(pyexpat.EXPAT_VERSION[6:], sqlite3.sqlite_version, ssl.OPENSSL_VERSION.split()[1])"
    )
    reported = finished.ask(finished.final / "python.exe", "-I", "-B", "-c", code).stdout.split()
    components = receipt["components"]
    assert [components[name] for name in ("expat", "openssl", "sqlite")] == [reported[0], reported[2], reported[1]]
    assert {"mpdecimal", "zlib"} < set(components)
    listed = json.loads((finished.final / files.SBOM).read_bytes())["components"]
    assert {part["bom-ref"]: part.get("version") for part in listed}.items() >= components.items()


def test_its_receipt_and_list_are_as_on_every_system(finished: Staged) -> None:
    """ASCII and one line feed a line, or the agents' hashes and the controller's differ."""
    text = (finished.final / finish.RECEIPT).read_bytes().decode("ascii")
    assert text == receipt_text(json.loads(text))
    assert json.loads(text)["tool"] == TOOL
    assert b"\r" not in (finished.final / files.LIST).read_bytes()


# pip's own check, without the rest of it: some of what that asks Windows for, Wine doesn't have.
PIP = """
import sys
sys.modules["_wmi"] = None
from pip._internal.utils.misc import check_externally_managed
try:
    check_externally_managed()
except Exception as refusal:
    print(type(refusal).__name__, refusal.context)
"""


def test_pip_refuses_and_says_how_windows_does_it(finished: Staged) -> None:
    refused = finished.ask(finished.final / "python.exe", "-I", "-B", "-X", "utf8", "-c", PIP)
    assert refused.stdout.startswith("ExternallyManagedEnvironment "), refused
    assert r"PATH\Scripts\pip install PACKAGE" in refused.stdout


# Wine 8 lacks a function by which Python 3.12 and later copy files, and what pip asks for the system's version.
WITHOUT = "import sys, _winapi; sys.modules['_wmi'] = None; del _winapi.CopyFile2; "
SEEN = "import sys, ssl, sqlite3; print(sys.prefix, sys.base_prefix, sep='|')"


def test_a_virtual_environment_is_made_with_it_and_has_pip(finished: Staged) -> None:
    """By the launchers that a whole build brings. Under Wine pip comes into that of 3.11 only."""
    place = finished.root / "environment"
    lacking = finished.windows.wine is not None and not finished.version.startswith("3.11.")
    words = ["-m", "venv", finished.windows.text(place)]
    if lacking:
        words = ["-c", f"{WITHOUT}import venv; venv.main(['--without-pip', sys.argv[1]])", words[-1]]
    quiet = {"PYTHONDONTWRITEBYTECODE": "1"}
    made = finished.windows.run(finished.final / "python.exe", "-X", "utf8", *words, env=quiet)
    assert made.returncode == 0, made
    python = place / "Scripts" / "python.exe"
    done = finished.windows.run(python, "-X", "utf8", "-c", SEEN, env=quiet)
    assert done.stdout.strip().split("|") == [finished.windows.text(place), finished.windows.text(finished.final)], done
    if not lacking:
        told = finished.windows.run(python, "-X", "utf8", "-m", "pip", "--version", env=quiet)
        assert re.match(r"pip \d+\.\d+ from ", told.stdout), told
        assert finished.windows.text(place) in told.stdout


def test_it_has_tcl(finished: Staged) -> None:
    done = finished.ask(
        finished.final / "python.exe", "-I", "-B", "-c", "import tkinter; print(tkinter.Tcl().eval('info patchlevel'))"
    )
    assert done.stdout.startswith("8.6."), done


def test_switched_off(staged: Staged) -> None:
    before = list_of(staged.tree)
    assert staged.run(externally_managed="0")["finished"] == "ok"
    (staged.tree / files.SBOM).unlink()
    assert list_of(staged.tree) == before


def test_bytecode_knows_its_final_place_also_where_paths_are_longer_than_windows_usually_takes(
    windows_here: Windows, windows_builds: Builds, place: Path
) -> None:
    """The folder alone is shorter than 260 characters, as a program is started in it; what is deep in it is longer."""
    staged = Staged(windows_here, windows_builds("3.13"), place / ("d" * 60) / ("e" * 50))
    far = staged.tree / "Lib" / "site-packages" / ("f" * 100) / ("g" * 60)
    far.mkdir(parents=True)
    (far / "module.py").write_text("value = 1\n")
    staged.relist()
    assert len(windows_here.text(far)) > 300
    final = r"C:\ProgramData\standalone-python\same"
    said = staged.run(compile_bytecode="1", final=final)
    assert said["finished"] == "ok", said
    assert (staged.tree / files.LIST).read_bytes().decode() == list_of(staged.tree)
    for folder, name in ((far, "module"), (staged.tree / "Lib" / "json", "decoder")):
        [pyc] = (folder / "__pycache__").glob(f"{name}.cpython-313.pyc")
        assert pyc.read_bytes()[4:8] == b"\1\0\0\0"
        where = PureWindowsPath(final, *folder.relative_to(staged.tree).parts, f"{name}.py")
        assert str(where).encode() in pyc.read_bytes()


def test_owner_and_mode_are_of_no_concern_but_recorded(staged: Staged) -> None:
    asked = {"owner": "nobody-of-that-name", "group": "none-either", "mode": "0750"}
    assert staged.run(**asked)["finished"] == "ok"
    receipt = json.loads((staged.tree / finish.RECEIPT).read_bytes())
    assert {key: receipt[key] for key in asked} == asked


# What goes wrong


def test_wrong_version(staged: Staged) -> None:
    said = staged.run(version="3.13.99")
    assert said["failure"] == "version"
    assert "3.13.99" in said["detail"]
    assert not (staged.tree / finish.RECEIPT).exists()


def test_of_another_place(staged: Staged) -> None:
    """What it says is UTF-8, whatever the code page."""
    said = staged.run(tree=staged.windows.text(staged.root))
    assert said["failure"] == "prefix"
    assert staged.windows.text(staged.root) in said["detail"]


def test_listed_file_that_is_gone(staged: Staged) -> None:
    (staged.tree / "Lib" / "wave.py").unlink()
    assert staged.run() == {
        "failure": "content",
        "detail": "Lib/wave.py of the build's list is missing",
    }


def test_extension_that_does_not_load(staged: Staged) -> None:
    (staged.tree / "DLLs" / "_sqlite3.pyd").write_bytes(b"not a library")
    said = staged.run()
    assert said["failure"] == "module"
    assert "import sqlite3" in said["detail"]


def test_module_that_the_build_lacks_is_noted(staged: Staged) -> None:
    (staged.tree / "DLLs" / "_lzma.pyd").unlink()
    staged.relist()
    assert staged.run()["finished"] == "ok"
    assert json.loads((staged.tree / finish.RECEIPT).read_bytes())["missing"] == ["lzma"]


# What no Windows is needed for


def test_a_file_that_a_scanner_holds_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(disk, "WINDOWS", False)
    answers = iter([PermissionError(), PermissionError(), None])

    def work() -> None:
        answer = next(answers)
        if answer:
            raise answer

    with pytest.raises(PermissionError):
        disk.patiently(work)
    monkeypatch.setattr(disk, "WINDOWS", True)
    disk.patiently(work)
    with pytest.raises(StopIteration):
        next(answers)


def test_a_file_that_stays_held_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(disk.time, "sleep", waits.append)
    monkeypatch.setattr(disk, "WINDOWS", True)

    def work() -> None:
        raise PermissionError(13, "held", "x")

    with pytest.raises(PermissionError):
        disk.patiently(work)
    assert sum(waits) == pytest.approx(2)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (r"C:\opt\x", r"\\?\C:\opt\x"),
        (r"\\server\share\x", r"\\?\UNC\server\share\x"),
        (r"\\?\C:\opt\x", r"\\?\C:\opt\x"),
    ],
)
def test_the_form_of_long_paths(path: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "WINDOWS", False)
    assert disk.as_it_is(path) == path
    monkeypatch.setattr(disk, "WINDOWS", True)
    assert disk.as_it_is(path) == wanted


def test_user_packages_come_along(windows_here: Windows, windows_builds: Builds, place: Path) -> None:
    """With launchers as pip makes them; one of another form that names the old build is told."""
    old = Staged(windows_here, windows_builds("3.13"), place)
    assert old.run(externally_managed="0").get("finished") == "ok"
    old.tree.rename(old.final)
    shutil.rmtree(old.tree.parent)
    python = windows_here.text(old.final / "python.exe")
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", "")
    packages, scripts = old.final / "Lib/site-packages", old.final / "Scripts"
    scripts.mkdir(exist_ok=True)
    (packages / "mine").mkdir(parents=True)
    (packages / "mine/__init__.py").write_text("x = 1\n")
    (packages / "mine-1.0.dist-info").mkdir()
    record = ("mine/__init__.py", "../../Scripts/mine.exe", "../../share/mine.txt", "../../../../outside.txt")
    (packages / "mine-1.0.dist-info/RECORD").write_text("".join(f"{path},,\n" for path in record))
    (old.final / "share").mkdir(exist_ok=True)
    (old.final / "share/mine.txt").write_text("mine")
    (scripts / "mine.exe").write_bytes(b"MZ" + f"#!{python}\r\n".encode() + archive.getvalue())
    (scripts / "another.exe").write_bytes(b"MZ" + f"{python} UVUV".encode())
    (scripts / "plain.py").write_text("print(1)\n")
    new = Staged(windows_here, windows_builds("3.13", tag="20250317", version="3.13.4"), place)
    for name in ("carry.py", "launchers.py"):
        shutil.copyfile(Path(finish.__file__).with_name(name), new.finisher.with_name(name))
    said = new.run(externally_managed="0", root=windows_here.text(place), carry=old.name)
    assert said.get("finished") == "ok", said
    receipt = json.loads((new.tree / finish.RECEIPT).read_text("utf-8"))
    assert receipt["carried"] == 1
    assert receipt["not_carried"] == [
        "Scripts/another.exe: it is a launcher of the old build: use python -m, or install the package again"
    ]
    done = new.ask(new.tree / "python.exe", "-B", "-c", "import mine; print(mine.x)")
    assert done.stdout.strip() == "1", done
    fresh = windows_here.text(new.final / "python.exe")
    assert (new.tree / "Scripts/mine.exe").read_bytes() == b"MZ" + f"#!{fresh}\r\n".encode() + archive.getvalue()
    assert (new.tree / "share/mine.txt").read_text() == "mine"
    assert (new.tree / "Scripts/plain.py").is_file()
    assert not (place.parent.parent / "outside.txt").exists()
