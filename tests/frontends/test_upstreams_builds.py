# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upstream's own files instead of a stand-in: each front end installs them, uses them for what people use Python for, and removes them.

The archive is an old one that npm has (`tests/tools/upstreams.py`). Where upstream can be reached, the newest 3.13 of each flavor
is installed as well, with its attestation.
"""

from __future__ import annotations

import json
import os
import posixpath
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import CERTIFICATES
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.components import components
from tests.tools import upstreams
from tests.tools.deploy import LOCAL, operation, run_deploy
from tests.tools.playbook import CACHE, LOCALHOST, run_play

REACHED = "STANDALONE_PYTHON_UPSTREAM"
STANDALONE_PYTHON = str(Path(sys.executable).with_name("standalone-python"))
TRIPLE = f"{os.uname().machine}-unknown-linux-gnu"

FrontEnd = Callable[[Mapping[str, Any]], bool]
"""Applies a declaration to this machine; returns whether that changed anything."""

# What `make install` links, in every minor version since 3.8.
INSTALLED_LINKS = {
    "bin/idle3": "idle{minor}",
    "bin/pydoc3": "pydoc{minor}",
    "bin/python3": "python{minor}",
    "bin/python3-config": "python{minor}-config",
    "lib/libpython{minor}.so": "libpython{minor}.so.1.0",
    "lib/pkgconfig/python3-embed.pc": "python-{minor}-embed.pc",
    "lib/pkgconfig/python3.pc": "python-{minor}.pc",
    "share/man/man1/python3.1": "python{minor}.1",
}
INSTALLED_MODES = {
    "bin/python{minor}": 0o755,
    "bin/python{minor}-config": 0o755,
    "include/python{minor}/Python.h": 0o644,
    "lib/libpython{minor}.so.1.0": 0o755,
    "lib/pkgconfig/python-{minor}.pc": 0o644,
    "lib/python{minor}/os.py": 0o644,
    "share/man/man1/python{minor}.1": 0o644,
}

# What the interpreter of that archive reports. Of expat and libmpdec, and of the wheels in ensurepip, the table has no version.
MEASURED = {
    "ensurepip-pip": "22.0.4",
    "ensurepip-setuptools": "58.1.0",
    "expat": "2.4.7",
    "mpdecimal": "2.5.0",
    "ncurses": "6.3",
    "openssl": "1.1.1o",
    "pip": "22.1.1",
    "setuptools": "62.3.2",
    "sqlite": "3.38.5",
    "tcl": "8.6.12",
    "tk": "8.6.12",
    "zlib": "1.2.12",
}

EXTENSION = r"""
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *ignored) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "sample", "", -1, methods};
PyMODINIT_FUNC PyInit_sample(void) { return PyModule_Create(&definition); }
"""
# The names that the interpreter itself gives for the compiler and its options, as setuptools reads them.
COMPILE = """
import os, shlex, subprocess, sysconfig
get = sysconfig.get_config_var
target = "sample" + get("EXT_SUFFIX")
options = [*shlex.split(get("CFLAGS")), *shlex.split(get("CCSHARED")), "-I", sysconfig.get_path("include")]
subprocess.run([*shlex.split(get("CC")), *options, "-c", "sample.c", "-o", "sample.o"], check=True)
subprocess.run([*shlex.split(get("LDSHARED")), "sample.o", "-o", target], check=True)
import sys; sys.path.insert(0, os.getcwd())
import sample
print(sample.answer())
"""
SETUP = "from setuptools import Extension, setup\nsetup(name='sample', version='1', ext_modules=[Extension('sample', ['sample.c'])])\n"
EMBEDDING = r"""
#include <Python.h>
int main(void) { Py_Initialize(); PyRun_SimpleString("import ssl, sys; print(sys.version.split()[0])"); return Py_FinalizeEx(); }
"""


def _ansible(declared: Mapping[str, Any]) -> bool:
    run = run_play([{"standalone.python.interpreters": dict(declared)}], LOCALHOST)
    assert run.code == 0, run.output
    return bool(run.of().result["changed"])


def _role(declared: Mapping[str, Any]) -> bool:
    values = {f"interpreters_{option}": value for option, value in declared.items()}
    run = run_play([{"ansible.builtin.include_role": {"name": "standalone.python.interpreters"}, "vars": values}], LOCALHOST)
    assert run.code == 0, run.output
    return any(result.result.get("changed") for result in run.results)


def _pyinfra(declared: Mapping[str, Any]) -> bool:
    run = run_deploy(operation(declared), LOCAL)
    assert run.code == 0, run.output
    return bool(run.changed)


def _command_line(declared: Mapping[str, Any], **environment: str) -> bool:
    told = json.loads(_run(STANDALONE_PYTHON, "apply", "-", "--json", stdin=json.dumps(declared), environment=environment))
    return bool(told["changed"])


FRONT_ENDS: Mapping[str, FrontEnd] = {
    "ansible": _ansible,
    "role": _role,
    "pyinfra": _pyinfra,
    "command-line": _command_line,
}


def _run(*command: str | Path, at: Path = Path("/"), stdin: str = "", environment: Mapping[str, str] = {}) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=at,
        input=stdin,
        capture_output=True,
        text=True,
        env={"HOME": "/nonexistent", "PATH": os.defpath, "STANDALONE_PYTHON_CACHE": str(CACHE), **environment},
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _of_minor(table: Mapping[str, Any], minor: str) -> dict[str, Any]:
    return {path.format(minor=minor): what.format(minor=minor) if isinstance(what, str) else what for path, what in table.items()}


def _is_as_make_install_leaves_it(tree: Path, minor: str) -> None:
    links = _of_minor(INSTALLED_LINKS, minor)
    assert {path: os.readlink(tree / path) for path in links if (tree / path).is_symlink()} == links
    modes = _of_minor(INSTALLED_MODES, minor)
    assert {path: stat.S_IMODE((tree / path).stat().st_mode) for path in modes} == modes


def _has_each_member(tree: Path, archive: Path) -> None:
    """Every member of the archive is installed, with its type, mode and target, and nothing but our own files was added."""
    with tarfile.open(archive) as tar:
        expected = {posixpath.relpath(member.name, "python"): _kind(member) for member in tar if not member.isdir()}
    found = {}
    for folder, folders, files in os.walk(tree):
        for path in (Path(folder, name) for name in (*folders, *files)):
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                mode = "" if path.is_symlink() else f"{stat.S_IMODE(status.st_mode):o}"
                found[str(path.relative_to(tree))] = f"link to {os.readlink(path)}" if path.is_symlink() else mode
    added = {path for path in found if path not in expected}
    assert added == {
        ".standalone-python/files.sha256",
        ".standalone-python/receipt.json",
        ".standalone-python/sbom.cdx.json",
        "lib/python3.9/EXTERNALLY-MANAGED",
    }
    assert {path: found.get(path) for path in expected} == expected


def _kind(member: tarfile.TarInfo) -> str:
    return f"link to {member.linkname}" if member.issym() else f"{member.mode:o}"


def _serves_what_people_do(root: Path, minor: str, work: Path) -> None:
    """A virtual environment; a C extension, alone and by setuptools where the build brings it; a program that embeds Python."""
    line = root / f"cpython-{minor}"
    python = line / "bin/python3"
    work.mkdir()
    modules = "bz2, ctypes, curses, dbm, hashlib, lzma, readline, sqlite3, ssl, tkinter, uuid, venv, zlib"
    assert _run(python, "-I", "-c", f"import {modules}, sys; print(sys.prefix)").strip() == str(line)
    (work / "sample.c").write_text(EXTENSION)
    assert _run(python, "-I", "-c", COMPILE, at=work).strip() == "42"

    environment = work / "environment"
    _run(python, "-m", "venv", environment)
    inside = environment / "bin/python"
    assert _run(inside, "-I", "-c", "import sys; print(sys.prefix, sys.base_prefix)").split() == [str(environment), str(line)]
    assert _run(environment / "bin/pip", "--version").split()[-1].startswith(minor)
    if _run(inside, "-I", "-c", "import importlib.util as u; print(u.find_spec('setuptools') is not None)").strip() == "True":
        (work / "setup.py").write_text(SETUP)
        for built in work.glob("sample*.so"):
            built.unlink()
        _run(inside, "setup.py", "--quiet", "build_ext", "--inplace", at=work)
        assert _run(inside, "-c", "import sample; print(sample.answer())", at=work).strip() == "42"

    (work / "embedding.c").write_text(EMBEDDING)
    options = _run(line / f"bin/python{minor}-config", "--cflags", "--ldflags", "--embed").split()
    compiler = _run(python, "-I", "-c", "import sysconfig; print(sysconfig.get_config_var('CC'))").split()
    _run(*compiler, "embedding.c", "-o", "embedding", *options, f"-Wl,-rpath,{line}/lib", at=work)
    version = _run(work / "embedding", environment={"PYTHONHOME": str(line)}).strip()
    assert version == _run(python, "-I", "-V").split()[1]


def _trusts_the_host(python: Path) -> None:
    """It has loaded the authorities of this machine's file, which OpenSSL alone does not find in 2022's build."""
    code = "import ssl; print(ssl.get_default_verify_paths().cafile, len(ssl.create_default_context().get_ca_certs()))"
    for options in (("-I", "-S"), ("-E",), ()):
        file, count = _run(python, *options, "-c", code).split()
        assert file in CERTIFICATES
        assert int(count) > 50


def _is_not_fips(python: Path, tree: Path) -> None:
    """What docs/security.md says of every build: no provider, no mode, and no effect of ``usedforsecurity``."""
    code = "import _hashlib, hashlib; print(_hashlib.get_fips_mode(), hashlib.new('md5', b'', usedforsecurity=True).hexdigest())"
    assert _run(python, "-I", "-c", code).split() == ["0", "d41d8cd98f00b204e9800998ecf8427e"]
    assert [path for path in tree.rglob("*fips*") if path.suffix in (".so", ".dylib", ".dll")] == []


def _verified(root: Path, bin_dir: Path) -> None:
    told = json.loads(_run(STANDALONE_PYTHON, "verify", "--root", root, "--bin-dir", bin_dir, "--json"))
    assert not told.get("problems"), told


def _nothing_is_left(root: Path, bin_dir: Path) -> None:
    assert [path for folder in (root, bin_dir) if folder.exists() for path in folder.rglob("*")] == []


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_each_front_end_with_upstreams_files(front_end: str, tmp_path: Path) -> None:
    archive = upstreams.archive()
    root, bin_dir, apply = tmp_path / "root", tmp_path / "bin", FRONT_ENDS[front_end]
    declared = {
        "builds": [f"{upstreams.VERSION}+{upstreams.TAG}"],
        "source": str(archive.parents[1]),
        "root": str(root),
        "bin_dir": str(bin_dir),
        "certificates": "system",
    }
    assert apply(declared)
    tree = root / upstreams.NAME.removesuffix(".tar.gz")
    receipt = json.loads((tree / ".standalone-python/receipt.json").read_text())
    assert receipt["components"] == MEASURED
    _is_as_make_install_leaves_it(tree, "3.9")
    _has_each_member(tree, archive)
    _trusts_the_host(root / "cpython-3.9/bin/python3")
    # Each front end leaves the same files, so one is enough for what takes half a minute.
    if front_end == "command-line":
        _serves_what_people_do(root, "3.9", tmp_path / "work")
        _trusts_the_host(tmp_path / "work/environment/bin/python")
        _is_not_fips(root / "cpython-3.9/bin/python3", tree)
    _verified(root, bin_dir)
    assert not apply({**declared, "verify": "full"})
    assert apply({**declared, "state": "absent"})
    _nothing_is_left(root, bin_dir)


def test_upstreams_build_contains_what_the_table_says() -> None:
    build = parse_filename(upstreams.NAME)
    listed = {part.name: part.version for part in components(build) if part.version and part.name in MEASURED}
    assert listed == {name: version for name, version in MEASURED.items() if name in listed}
    assert len(listed) == 8


def test_bytecode_of_the_archive_is_no_damage_after_a_run_with_a_fixed_time(tmp_path: Path) -> None:
    """With SOURCE_DATE_EPOCH every file gets a new time, and Python replaces bytecode whose source has another time."""
    archive = upstreams.archive()
    root, bin_dir = tmp_path / "root", tmp_path / "bin"
    declared = {"builds": ["3.9"], "source": str(archive.parents[1]), "root": str(root), "bin_dir": str(bin_dir)}
    assert _command_line(declared, SOURCE_DATE_EPOCH="1700000000")
    _run(root / "cpython-3.9/bin/python3", "-c", "import _bootlocale, os, site")
    _verified(root, bin_dir)


@pytest.mark.skipif(not os.environ.get(REACHED), reason=f"needs the internet: upstream's newest builds, with {REACHED}=1")
@pytest.mark.parametrize("flavor", ["install_only", "install_only_stripped", "full"])
def test_upstreams_newest_build_with_its_attestation(flavor: str, tmp_path: Path) -> None:
    root, bin_dir = tmp_path / "root", tmp_path / "bin"
    cache = {"STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
    token = {name: os.environ[name] for name in ("GITHUB_TOKEN",) if name in os.environ}
    _run(STANDALONE_PYTHON, "catalogue", "update", environment={**cache, **token})
    declared = {
        "builds": ["3.13"],
        "flavor": flavor,
        "catalogue": "updated",
        "attestations": "require",
        "root": str(root),
        "bin_dir": str(bin_dir),
    }
    assert _command_line(declared, **cache, **token)
    (tree,) = root.glob("cpython-3.13.*")
    assert flavor in tree.name or flavor == "full"
    _is_as_make_install_leaves_it(tree, "3.13")
    _serves_what_people_do(root, "3.13", tmp_path / "work")
    _verified(root, bin_dir)
    assert not _command_line({**declared, "verify": "full"}, **cache, **token)
    assert _command_line({**declared, "state": "absent"}, **cache, **token)
    _nothing_is_left(root, bin_dir)
