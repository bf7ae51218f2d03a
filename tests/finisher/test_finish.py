# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finisher, run by every interpreter of this machine that support.toml names, on its own stand-in build."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import (
    files,
    finish,
    measure,
    paths,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_name
from tests.finisher.staged import FINISHER, MINORS, Staged, list_of
from tests.tools import machos, mkbuild, tls
from tests.tools.finisher import receipt_text

NEWEST = "3.13"
Builds = Callable[..., Path]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: stand-in builds")


def snapshot(tree: Path) -> dict[str, tuple[int, str]]:
    """Path -> (mode, content or where a link leads) of everything in a tree."""
    found = {}
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        content = ""
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(tree).as_posix()] = (status.st_mode, content)
    return found


def ask(python: Path, code: str, *arguments: str) -> str:
    done = subprocess.run([python, "-I", "-B", "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(params=MINORS)
def staged(request: pytest.FixtureRequest, builds: Builds, tmp_path: Path) -> Iterator[Staged]:
    yield Staged(builds(request.param), tmp_path)
    shutil.rmtree(tmp_path)


@pytest.fixture
def newest(builds: Builds, tmp_path: Path) -> Iterator[Staged]:
    yield Staged(builds(NEWEST), tmp_path)
    shutil.rmtree(tmp_path)


# What the public modules say about the libraries that a stand-in build contains.
VERSIONS = """
import curses, decimal, json, pyexpat, sqlite3, ssl, sys, zlib
told = {
    "expat": pyexpat.EXPAT_VERSION.split("_")[1],
    "mpdecimal": decimal.__libmpdec_version__,
    "ncurses": "%d.%d" % curses.ncurses_version[:2],
    "openssl": ssl.OPENSSL_VERSION.split()[1],
    "sqlite": sqlite3.sqlite_version,
    "zlib": zlib.ZLIB_RUNTIME_VERSION,
}
try:
    from compression import zstd
    told["zstd"] = zstd.zstd_version
except ImportError:
    pass
print(json.dumps(told))
"""

# Every interpreter


def test_finishes_and_moves(staged: Staged) -> None:
    said = staged.run()
    assert said["finished"] == "ok", said
    assert said["executable"] == f"bin/python{staged.minor}"
    assert not (staged.library / "__pycache__").exists()
    tree = staged.move()
    python = tree / said["executable"]
    places = json.loads(ask(python, "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix]))"))
    assert places == [str(tree)] * 3

    listing = (tree / files.LIST).read_text()
    assert listing == list_of(tree)
    receipt = json.loads((tree / finish.RECEIPT).read_text())
    assert receipt["files_sha256"] == hashlib.sha256(listing.encode()).hexdigest()
    assert receipt["files"] == int(said["files"]) == listing.count("\n")
    assert receipt["modules"] == int(said["modules"]) > 150
    assert receipt["missing"] == []
    assert (receipt["schema"], receipt["version"], receipt["implementation"]) == (
        1,
        staged.version,
        "cpython",
    )
    assert receipt["url"] == "https://example.org/a%2Bb"
    assert (receipt["externally_managed"], receipt["compile_bytecode"]) == (True, False)
    reported = json.loads(ask(python, VERSIONS))
    (pip,) = (tree / "lib" / f"python{staged.minor}" / "site-packages").glob("pip-*.dist-info")
    reported["pip"] = pip.name.removeprefix("pip-").removesuffix(".dist-info")
    assert {name: version for name, version in receipt["components"].items() if not name.startswith("ensurepip-")} == reported


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A host's file of trusted certificates, and a server's file with its certificate and key."""
    made = tls.authority()
    folder = tmp_path_factory.mktemp("certificates")
    files = folder / "it's trusted.pem", folder / "server.pem"
    for file, text in zip(files, (made.certificate, made.server), strict=True):
        file.write_text(text)
    return str(files[0]), str(files[1])


def tried(python: Path, server: str, **environment: str) -> list[str]:
    """What the handshake comes to, and the file of certificates; without the variables that this machine has for OpenSSL."""
    words = [python, "-B", "-c", tls.PROBE, server]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()


def test_sysconfig_is_true_and_the_host_s_authorities_are_trusted(staged: Staged, trusted: tuple[str, str]) -> None:
    said = staged.run(certificates="system", certificates_file=trusted[0])
    assert said["finished"] == "ok", said
    python = staged.move() / "bin" / "python3"
    assert (staged.final / files.LIST).read_text() == list_of(staged.final)
    assert tried(python, trusted[1]) == ["trusted", trusted[0]]
    variables = json.loads(ask(python, "import json, sysconfig; print(json.dumps(sysconfig.get_config_vars()))"))
    assert variables["prefix"] == str(staged.final)
    assert variables["LIBDIR"] == f"{staged.final}/lib"
    assert variables["AR"] == "ar"
    assert (variables["CC"].split()[0], variables["CXX"].split()[0]) == ("cc", "c++")
    assert variables["LDSHARED"].startswith("cc -shared")
    foreign = {
        name: value
        for name, value in variables.items()
        if isinstance(value, str) and name not in paths.RECORDS and re.search(r"/tools/deps|(^|\s)/install", value)
    }
    assert not foreign
    pc = (staged.final / "lib" / "pkgconfig" / f"python-{staged.minor}.pc").read_text()
    assert f"\nprefix={staged.final}\n" in pc
    makefile = next((staged.final / "lib" / f"python{staged.minor}").glob("config-*/Makefile")).read_text()
    assert f"{staged.final}" in makefile
    assert "/tools/llvm" not in makefile


EXTENSION = """
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "deep", "", -1, methods};
PyMODINIT_FUNC PyInit_deep(void) { return PyModule_Create(&module); }
"""

BUILD = """
import os, shlex, subprocess, sys, sysconfig
value, folder = sysconfig.get_config_var, sys.argv[1]
includes = ["-I" + sysconfig.get_path(name) for name in ("include", "platinclude")]
cc = shlex.split(value("CC")) + shlex.split(value("CFLAGS")) + shlex.split(value("CCSHARED"))
subprocess.run(cc + includes + ["-c", "deep.c", "-o", "deep.o"], check=True, cwd=folder)
ld = shlex.split(value("LDSHARED")) + shlex.split(value("LDFLAGS"))
subprocess.run(ld + ["deep.o", "-o", "deep" + value("EXT_SUFFIX")], check=True, cwd=folder)
sys.path.insert(0, folder)
import deep
print(deep.answer(), sysconfig.get_path("include"))
"""


def test_builds_a_c_extension(staged: Staged, tmp_path: Path) -> None:
    staged.run()
    python = staged.move() / "bin" / "python3"
    (tmp_path / "deep.c").write_text(EXTENSION)
    said = ask(python, BUILD, str(tmp_path)).splitlines()[-1]
    assert said == f"42 {staged.final}/include/python{staged.minor}"


def test_whole_list_where_none_was_delivered(builds: Builds, tmp_path: Path) -> None:
    staged = Staged(builds(NEWEST), tmp_path, listed=False)
    assert staged.run()["finished"] == "ok"
    assert (staged.tree / files.LIST).read_text() == list_of(staged.tree)


def test_pip_refuses_and_a_virtual_environment_does_not(newest: Staged) -> None:
    newest.run()
    tree = newest.move()
    pip = [str(tree / "bin" / "pip3"), "install", "--no-index", "--dry-run", "nothing-of-that-name"]
    refused = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "externally-managed-environment" in refused.stderr
    assert "standalone-python" in refused.stderr
    subprocess.run([tree / "bin" / "python3", "-m", "venv", newest.root / "venv"], check=True)
    pip[0] = str(newest.root / "venv" / "bin" / "pip")
    allowed = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert "externally-managed" not in allowed.stderr
    assert "No matching distribution" in allowed.stderr


def test_switched_off(newest: Staged) -> None:
    before = snapshot(newest.library)
    assert newest.run(externally_managed="0", patch_sysconfig="0")["finished"] == "ok"
    assert snapshot(newest.library) == before


@pytest.mark.parametrize(
    ("recorded", "epoch", "kept"),
    [(0, "", True), (1, "", False), (0, "1700000000", False)],
    ids=["of its source", "of another source", "of a source that gets another time"],
)
def test_bytecode_of_the_archive_stays_only_where_python_would_keep_it(
    newest: Staged, recorded: int, epoch: str, kept: bool
) -> None:
    source = newest.library / "this.py"
    cached = newest.library / "__pycache__/this.cpython-313.pyc"
    cached.parent.mkdir()
    flags, modified = bytes(4), int(source.stat().st_mtime) + recorded
    cached.write_bytes(MAGIC_NUMBER + flags + modified.to_bytes(4, "little") + source.stat().st_size.to_bytes(4, "little"))
    (newest.tree / files.LIST).write_text(list_of(newest.tree))
    newest.run(env={"SOURCE_DATE_EPOCH": epoch} if epoch else {})
    assert cached.exists() == kept
    assert (newest.tree / files.LIST).read_text() == list_of(newest.tree)


@pytest.mark.parametrize("minor", ["3.8", "3.13"])
def test_reproducible(minor: str, builds: Builds, tmp_path: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": "1736899200", "PATH": os.environ["PATH"]}
    seen = []
    for number in (1, 2):
        staged = Staged(builds(minor), tmp_path / str(number))
        said = staged.run(env=env, compile_bytecode="1", final="/opt/python/same")
        assert said["finished"] == "ok", said
        assert (staged.tree / files.LIST).read_text() == list_of(staged.tree)
        seen.append(snapshot(staged.tree))
    assert seen[0] == seen[1]
    assert json.loads((staged.tree / finish.RECEIPT).read_text())["installed_at"] == "2025-01-15T00:00:00Z"
    compiled = list(staged.tree.rglob("*.pyc"))
    assert len(compiled) > 500
    # PEP 552: flags 1 is a hash that is not checked against the source.
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\1\0\0\0"}
    code = "import marshal, sys; print(marshal.loads(open(sys.argv[1], 'rb').read()[16:]).co_filename)"
    pyc = next(staged.library.glob("json/__pycache__/decoder.*.pyc"))
    said_path = ask(staged.tree / "bin" / "python3", code, str(pyc))
    assert said_path == f"/opt/python/same/lib/python{minor}/json/decoder.py"


# Once more, at another place


@pytest.mark.parametrize(("minor", "bytecode"), [("3.8", "0"), ("3.13", "1"), ("3.14", "0")])
def test_a_tree_that_was_moved_becomes_what_it_would_be_there(minor: str, bytecode: str, builds: Builds, tmp_path: Path) -> None:
    """Whatever was recorded of the place before, in whichever form: texts of Python, JSON, Makefile and pkg-config."""
    env = {"SOURCE_DATE_EPOCH": "1736899200", "PATH": os.environ["PATH"]}
    former, final = '/build/it\'s "ö"/cpython-3', "/install/new/cpython-3"
    seen = []
    for number, places in enumerate(([final], [former, final])):
        staged = Staged(builds(minor), tmp_path / str(number))
        for at, place in enumerate(places):
            more = {"former": places[at - 1]} if at else {}
            said = staged.run(env=env, compile_bytecode=bytecode, final=place, **more)
            assert said["finished"] == "ok", said
        assert json.loads((staged.tree / finish.RECEIPT).read_text())["prefix"] == final
        assert (staged.tree / files.LIST).read_text() == list_of(staged.tree)
        seen.append(snapshot(staged.tree))
    assert seen[0] == seen[1]


def test_scripts_of_a_user_start_the_interpreter_of_the_new_place(newest: Staged) -> None:
    newest.run()
    script = newest.tree / "bin/tool"
    script.write_text(f"#!{newest.final}/bin/python3\nprint('{newest.final} stays')\n")
    listed = (newest.tree / files.LIST).read_text()
    new = f"/new/{newest.name}"
    assert newest.run(former=str(newest.final), final=new)["finished"] == "ok"
    assert script.read_text() == f"#!{new}/bin/python3\nprint('{newest.final} stays')\n"
    # What is no file of the build comes into no list.
    assert {line[66:] for line in (newest.tree / files.LIST).read_text().splitlines()} == {
        line[66:] for line in listed.splitlines()
    }


# By another Python, where nothing of the tree can be started


@pytest.mark.parametrize("minor", [MINORS[0], MINORS[-1]])
def test_another_python_makes_the_same_of_it(minor: str, builds: Builds, tmp_path: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": "1736899200", "PATH": os.environ["PATH"]}
    seen, receipts = [], []
    for number, more in enumerate(({}, {"started": "0"})):
        staged = Staged(builds(minor), tmp_path / str(number))
        executable = (staged.tree / "bin/python3").resolve()
        mode = executable.stat().st_mode
        if more:
            executable.chmod(0o644)  # so that nobody starts it
        said = staged.run(python=sys.executable if more else "", env=env, final="/opt/python/same", **more)
        assert said["finished"] == "ok", said
        executable.chmod(mode)
        seen.append({path: what for path, what in snapshot(staged.tree).items() if path != finish.RECEIPT})
        receipts.append(json.loads((staged.tree / finish.RECEIPT).read_text()))
    assert seen[0] == seen[1]
    assert receipts[1] == receipts[0] | {"started": False, "components": {}}
    confirmed = tmp_path / "receipt.json"
    command = [staged.tree / "bin/python3", "-I", "-B", finish.__file__, f"tree={staged.tree}", f"confirm={confirmed}"]
    command.append(f"modules={sh.MODULES}")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "finished=ok\n", done
    assert json.loads(confirmed.read_text()) == receipts[0]


def test_what_does_not_start_as_it_should_is_not_confirmed(newest: Staged, tmp_path: Path) -> None:
    assert newest.run(python=sys.executable, started="0")["finished"] == "ok"
    command = [sys.executable, "-I", "-B", finish.__file__, f"tree={newest.tree}", f"confirm={tmp_path}/receipt.json"]
    command.append(f"modules={sh.MODULES}")
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.partition("\n")[0]) == (3, "failure=prefix")
    assert not (tmp_path / "receipt.json").exists()


def test_list_of_components(builds: Builds, tmp_path: Path) -> None:
    """It is one of the build's files: the same after a second run and at another place, and without versions that nobody measured."""
    seen, documents = [], []
    for number, keys in enumerate(({"mode": "0750"}, {"mode": "0750", "started": "0"})):
        staged = Staged(builds(NEWEST), tmp_path / str(number))
        build = parse_name(staged.name)
        assert build
        staged.send(build)
        python = sys.executable if number else ""
        assert staged.run(python=python, **keys)["finished"] == "ok"
        assert (staged.tree / files.LIST).read_text() == list_of(staged.tree)
        seen.append(snapshot(staged.tree)[files.SBOM])
        again = staged.run(python=python, **keys, former=str(staged.final), final="/elsewhere")
        assert again["finished"] == "ok"
        assert (staged.tree / files.LIST).read_text() == list_of(staged.tree)
        assert snapshot(staged.tree)[files.SBOM] == seen[number]
        documents.append(json.loads((staged.tree / files.SBOM).read_text()))
        receipt = json.loads((staged.tree / finish.RECEIPT).read_text())
        assert receipt["files"] == len((staged.tree / files.LIST).read_text().splitlines())
        versions = {part["bom-ref"]: part.get("version") for part in documents[number]["components"]}
        assert versions.items() >= receipt["components"].items()
    assert stat.S_IMODE(seen[0][0]) == 0o640
    sources = [{item["value"] for part in found["components"] for item in part["properties"][:1]} for found in documents]
    assert sources == [{"name", "measured", "table"}, {"name", "table"}]


def test_bytecode_by_a_python_of_the_same_minor(newest: Staged) -> None:
    env = {"PATH": os.defpath}
    said = newest.run(python=sys.executable, env=env, compile_bytecode="1", started="0", version="3.99.1")
    assert (said["failure"], said["detail"].partition(",")[0]) == (
        "bytecode",
        "bytecode of 3.99.1 needs a Python 3.99",
    )


def test_modes_and_owner(newest: Staged, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    (newest.tree / "share" / "leads-out").symlink_to(outside)
    readme, folder = newest.library / "this.py", newest.tree / "include"
    readme.chmod(0o4777 if os.geteuid() == 0 else 0o777)
    folder.chmod(0o700)
    owner = "1" if os.geteuid() == 0 else ""
    assert newest.run(mode="0750", owner=owner, group=owner)["finished"] == "ok"
    modes = {p: stat.S_IMODE(p.lstat().st_mode) for p in newest.tree.rglob("*") if not p.is_symlink()}
    assert set(modes.values()) == {0o750, 0o640}
    assert modes[folder] == modes[newest.tree / "bin" / f"python{NEWEST}"] == modes[readme] == 0o750
    assert modes[newest.tree / finish.RECEIPT] == 0o640
    assert stat.S_IMODE(newest.tree.stat().st_mode) == 0o750
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    if owner:
        assert {(p.lstat().st_uid, p.lstat().st_gid) for p in [newest.tree, *newest.tree.rglob("*")]} == {(1, 1)}
        assert outside.stat().st_uid == 0


def test_counts_as_a_shell_does(newest: Staged) -> None:
    said = newest.run()
    (newest.library / "__pycache__").mkdir()
    script = (
        "set -- lib/python3.*/* lib/python3.*/lib-dynload/*; count=$#\n"
        'for path; do case $path in */__pycache__) count=$((count - 1)) ;; esac; done; echo "$count"'
    )
    counted = subprocess.run(["sh", "-c", script], cwd=newest.tree, capture_output=True, text=True, check=True)
    assert said["modules"] == counted.stdout.strip()


def test_receipt_is_json_and_one_key_a_line(newest: Staged) -> None:
    tool = 'odd "tool" \\ with tab\t and \u00e9\U0001f40d'
    newest.run(tool=tool)
    text = (newest.tree / finish.RECEIPT).read_text()
    receipt = json.loads(text)
    assert receipt["tool"] == tool
    assert text == receipt_text(receipt)


def test_a_second_run_changes_nothing(newest: Staged) -> None:
    env = {"SOURCE_DATE_EPOCH": "1736899200"}
    newest.run(env=env)
    before = snapshot(newest.tree)
    assert newest.run(env=env)["finished"] == "ok"
    assert snapshot(newest.tree) == before


@pytest.mark.parametrize("minor", ["3.8", "3.13"])
def test_library_of_an_older_macos_build_learns_where_it_is(minor: str, builds: Builds, tmp_path: Path) -> None:
    """In a tree for this machine, as the finisher looks at files and not at the system."""
    newest = Staged(builds(minor), tmp_path)
    true, false = newest.tree / "lib/libpython3.13.dylib", newest.tree / "lib/libpython3.13t.dylib"
    true.write_bytes(machos.library("/install/lib/libpython3.13.dylib", padding=4096))
    false.write_bytes(machos.library("/install/lib/libpython3.13t.dylib", padding=0))
    (newest.tree / "lib/libpython3.dylib").symlink_to(true.name)
    (newest.tree / files.LIST).write_text(list_of(newest.tree))
    before = false.read_bytes()
    assert newest.run()["finished"] == "ok"
    assert f"{newest.final}/lib/libpython3.13.dylib\0".encode() in true.read_bytes()
    assert false.read_bytes() == before
    assert (newest.tree / files.LIST).read_text() == list_of(newest.tree)
    [unpatched] = json.loads((newest.tree / finish.RECEIPT).read_text())["unpatched"]
    assert unpatched.startswith("lib/libpython3.13t.dylib keeps its install name: its header has 0 bytes")


def test_library_is_left_alone_where_paths_are_not_to_be_patched(newest: Staged) -> None:
    library = newest.tree / "lib/libpython3.13.dylib"
    library.write_bytes(machos.library("/install/lib/libpython3.13.dylib"))
    (newest.tree / files.LIST).write_text(list_of(newest.tree))
    before = library.read_bytes()
    assert newest.run(patch_sysconfig="0")["finished"] == "ok"
    assert library.read_bytes() == before


# What goes wrong


def test_wrong_version(newest: Staged) -> None:
    said = newest.run(version="3.13.99")
    assert said["failure"] == "version"
    assert "3.13.99" in said["detail"]
    assert newest.version in said["detail"]
    assert not (newest.tree / finish.RECEIPT).exists()


def test_interpreter_of_another_prefix(newest: Staged) -> None:
    said = newest.run(python=str(mkbuild.available()[NEWEST]))
    assert said["failure"] == "prefix"
    assert str(newest.tree) in said["detail"]


def test_without_its_library_it_falls_back_and_is_caught(newest: Staged) -> None:
    """The interpreter as it was built: with no library beside it, it takes the one of its own prefix."""
    shutil.rmtree(newest.library)
    python = newest.tree / "bin" / f"python{NEWEST}"
    shutil.copy(os.path.realpath(mkbuild.available()[NEWEST]), python)
    said = newest.run()
    assert said["failure"] == "prefix", said
    assert str(newest.tree) in said["detail"]


def test_a_build_has_nothing_to_fall_back_to(newest: Staged) -> None:
    shutil.rmtree(newest.library)
    python = newest.tree / "bin" / "python3"
    done = subprocess.run([python, "-I", "-c", ""], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "encodings" in done.stderr


@pytest.mark.parametrize("listed", [True, False])
def test_module_that_is_gone(builds: Builds, tmp_path: Path, listed: bool) -> None:
    staged = Staged(builds(NEWEST), tmp_path, listed=listed)
    (staged.library / "ssl.py").unlink()
    said = staged.run()
    assert said["failure"] == ("content" if listed else "module"), said
    assert "ssl" in said["detail"]
    assert "\n" not in said["detail"]


def test_extension_that_does_not_load(builds: Builds, tmp_path: Path) -> None:
    staged = Staged(builds(NEWEST), tmp_path, listed=False)
    next(staged.library.glob("lib-dynload/_sqlite3.*")).write_bytes(b"not a library")
    said = staged.run()
    assert said["failure"] == "module"
    assert "import sqlite3" in said["detail"]


def test_module_that_the_build_lacks_is_noted(builds: Builds, tmp_path: Path) -> None:
    staged = Staged(builds(NEWEST), tmp_path, listed=False)
    next(staged.library.glob("lib-dynload/_lzma.*")).unlink()
    assert staged.run()["finished"] == "ok"
    assert json.loads((staged.tree / finish.RECEIPT).read_text())["missing"] == ["lzma"]


def test_a_module_that_cannot_tell_its_version_never_fails_an_installation(builds: Builds, tmp_path: Path) -> None:
    staged = Staged(builds(NEWEST), tmp_path, listed=False)
    next(staged.library.glob("lib-dynload/pyexpat.*")).write_bytes(b"not a library")
    (staged.library / "ensurepip/_bundled/pip-1;rm.whl").touch()
    assert staged.run()["finished"] == "ok"
    components = json.loads((staged.tree / finish.RECEIPT).read_text())["components"]
    assert {"expat", "sqlite"} - set(components) == {"expat"}
    (staged.library / "_curses.py").write_text("import os; os.kill(os.getpid(), 9)")
    assert staged.run()["finished"] == "ok"
    components = json.loads((staged.tree / finish.RECEIPT).read_text())["components"]
    assert {name for name in components if not name.startswith("ensurepip")} == {"pip"}


def test_listed_file_that_is_gone(newest: Staged) -> None:
    (newest.library / "wave.py").unlink()
    said = newest.run()
    assert said["failure"] == "content"
    assert f"lib/python{NEWEST}/wave.py" in said["detail"]


def test_sysconfig_data_that_is_no_literal(newest: Staged) -> None:
    path = next(newest.library.glob("_sysconfigdata_*.py"))
    path.write_text("import os\nbuild_time_vars = {'prefix': os.getcwd()}\n")
    said = newest.run()
    assert said["failure"] == "patch"
    assert "Call" in said["detail"]


@pytest.mark.parametrize(
    ("full", "switch", "words"),
    [
        (files.FOLDER, "externally_managed", ""),
        (f"lib/python{NEWEST}/json/__pycache__", "compile_bytecode", "bytecode could not be written: "),
    ],
    ids=["list", "bytecode"],
)
def test_disk_full(newest: Staged, full: str, switch: str, words: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small file system")
    (newest.tree / full).mkdir(exist_ok=True)
    script = 'mount -t tmpfs -o size=4k tmpfs "$1" || exit 99; shift; exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(newest.tree / full)]
    command += [str(newest.tree / "bin" / "python3"), "-I", "-B", finish.__file__, f"tree={newest.tree}"]
    command += ["final=/x", "name=x", f"version={newest.version}", f"modules={sh.MODULES}"]
    command += [f"{key}={int(key == switch)}" for key in finish.SWITCHES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        pytest.skip("needs namespaces: mounts a small file system")
    assert done.stdout.startswith(f"failure=space\ndetail={words}"), done


@pytest.mark.parametrize(
    ("key", "value"),
    [("mode", "4755"), ("mode", "rwx"), ("externally_managed", "yes"), ("name", ""), ("colour", "red")],
)
def test_arguments(newest: Staged, key: str, value: str) -> None:
    said = newest.run(**{key: value})  # type: ignore[arg-type]
    assert said["failure"] == "arguments"
    assert key in said["detail"]


def test_sysconfig_that_is_none(newest: Staged) -> None:
    next(newest.library.glob("_sysconfigdata_*.py")).write_text("build_time_vars = {'a': f()}\n")
    said = newest.run()
    assert (said["failure"], said["detail"]) == ("patch", "sysconfig data has a Call in line 1")


def test_unknown_owner(newest: Staged) -> None:
    said = newest.run(owner="nobody-of-that-name")
    assert (said["failure"], said["detail"]) == ("account", "the user nobody-of-that-name does not exist on this host")


# The pure parts

PREFIX = "/opt/python/cpython-3.13"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.0.15", "3.0.15"),
        ("1.1.1za", "1.1.1za"),
        ("25.0rc1", "25.0rc1"),
        ("1.3.1.zlib-ng", ""),
        ("1\n2", ""),
        ("1\x1b[31m", ""),
        ('1"', ""),
        ("\u0661.2", ""),
        ("v1", ""),
        ("", ""),
        ("1" * 33, ""),
        (3, "3"),
        (None, ""),
    ],
)
def test_only_versions_enter_a_receipt(text: object, version: str) -> None:
    assert measure.checked(text) == version


def test_a_library_goes_by_the_name_that_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "_ssl": {"OPENSSL_VERSION": "LibreSSL 3.2.2"},
        "zlib": {"ZLIBNG_VERSION": "2.2.4", "ZLIB_RUNTIME_VERSION": "1.3.1.zlib-ng"},
        "pyexpat": {"EXPAT_VERSION": "2.6.4"},
        "_sqlite3": {"sqlite_version": 3},
        "_decimal": {"__libmpdec_version__": "  "},
        "_curses": {"ncurses_version": (6, 4, 20240101)},
        "_zstd": {},
    }
    for name, attributes in modules.items():
        monkeypatch.setitem(sys.modules, name, type("module", (), attributes))
    assert measure.listed(measure.from_modules()) == ["libressl=3.2.2", "zlib-ng=2.2.4", "ncurses=6.4", "mpdecimal="]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "ncurses=6.4" not in measure.listed(measure.from_modules())


@pytest.mark.parametrize("folders", [("lib", "tcl8", "tcl8.6", "tk8.6"), ("tcl", "tcl8", "tcl9.0", "tk9.0")])
def test_tcl_and_tk_name_their_release_in_their_scripts(
    folders: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, *names = folders
    for name in names:
        (tmp_path / folder / name).mkdir(parents=True)
    (tmp_path / folder / names[1] / "init.tcl").write_text("# Tcl\npackage require -exact Tcl 8.6.12\n")
    (tmp_path / folder / names[2] / "tk.tcl").write_text("package require -exact tk  9.0.3\n")
    monkeypatch.setattr(os, "name", "nt" if folder == "tcl" else "posix")
    library = tmp_path / ("Lib" if folder == "tcl" else "lib/python3.13")
    assert measure.listed(measure.from_scripts(str(library))) == ["tcl=8.6.12", "tk=9.0.3"]


def test_leading_to_follows_links_of_links() -> None:
    links = {"a/one": "../b/file", "two": "a/one", "three": "elsewhere", "loop": "loop"}
    assert files.leading_to(links, {"b/file"}) == {"a/one", "two"}


def test_file_system_that_ignores_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eterm").write_text("last")
    walked = files.Walked()
    walked.files = ["eterm"]
    monkeypatch.setattr(os.path, "lexists", lambda path: os.path.basename(path).lower() == "eterm")
    entries = files.reconcile(str(tmp_path), {"Eterm": "0" * 64, "eterm": "1" * 64}, walked, set())
    assert entries == {"eterm": hashlib.sha256(b"last").hexdigest()}


@pytest.mark.parametrize("text", ["abc\n", f"{'0' * 64} x\n", f"{'0' * 64}  x"])
def test_list_that_cannot_be_read(text: str) -> None:
    with pytest.raises(files.Incomplete):
        files.parse_list(text)


def test_list_reads_back() -> None:
    entries = {"a b": "0" * 64, "ä\u2028x": "1" * 64}
    assert files.parse_list(files.format_list(entries)) == entries


def test_imports_nothing_heavy() -> None:
    """What the top of a file imports is compiled on each host that has just unpacked a build."""
    trees = [ast.parse(Path(file).read_text()) for file in FINISHER]
    nodes = [node for tree in trees for node in tree.body]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "errno", "itertools", "os", "stat", "sys", "time"}


# Certificates


def test_the_environment_names_other_certificates_than_the_host(newest: Staged, trusted: tuple[str, str], tmp_path: Path) -> None:
    """The variables of OpenSSL still count, and a file that is gone is no error. A moved tree gets its new file, and one block."""
    bundle = tmp_path / "bundle.pem"
    shutil.copy(trusted[0], bundle)
    newest.run(certificates="system", certificates_file=str(bundle))
    python, module = newest.tree / "bin" / "python3", newest.library / "ssl.py"
    other = tmp_path / "other.pem"
    other.write_text(tls.authority().certificate)
    assert tried(python, trusted[1]) == ["trusted", str(bundle)]
    assert tried(python, trusted[1], SSL_CERT_FILE=str(other)) == ["unable to get local issuer certificate", str(other)]
    assert tried(python, trusted[1], SSL_CERT_FILE=trusted[0]) == ["trusted", trusted[0]]
    bundle.unlink()
    said, where = tried(python, trusted[1])
    assert (said, where == str(bundle)) == ("unable to get local issuer certificate", False)
    once = module.read_text()
    said_again = newest.run(certificates="system", certificates_file=trusted[0], former=str(newest.final))
    assert said_again["finished"] == "ok", said_again
    assert module.read_text() == once.replace(repr(str(bundle)), repr(trusted[0]))
    assert tried(python, trusted[1]) == ["trusted", trusted[0]]
    module.write_text(module.read_text().replace("class SSLContext(", "class Context("))
    failed = newest.run(certificates="system", certificates_file=trusted[0])
    assert (failed["failure"], failed["detail"]) == ("patch", "ssl.py has no line with class SSLContext(_SSLContext):")
