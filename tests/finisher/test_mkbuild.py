# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packer of stand-in builds: what other tests rely on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import mkbuild

Builds = Callable[..., Path]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: stand-in builds")


def test_prefix_in_a_program_keeps_what_shares_its_tail() -> None:
    literals = [
        "/opt/versions/3.13.0",
        "x/opt/versions/3.13.0",
        "/opt/versions/3.13.01",
        "/opt/versions/3.13.0/lib",
    ]
    program = "".join(f"\0{literal}" for literal in literals).encode() + b"\0"
    changed, count = mkbuild.with_version(program, "3.13.0", "3.13.4")
    assert count == 2
    changed = mkbuild.with_prefix(changed, "/opt/versions/3.13.4")
    assert len(changed) == len(program)
    wanted = ["/install\0ions/3.13.4", "x/opt/versions/3.13.4", *literals[2:]]
    assert changed == "".join(f"\0{literal}" for literal in wanted).encode() + b"\0"


def test_prefix_too_short_to_hold_the_new_one_stays() -> None:
    assert mkbuild.with_prefix(b"\0/usr\0/usr/lib\0", "/usr") == b"\0/usr\0/usr/lib\0"


@pytest.mark.parametrize(
    ("value", "prefix", "wanted"),
    [
        ("/opt/py/lib", "/opt/py", "/install/lib"),
        (
            "-L/opt/py/lib -Wl,-rpath,/opt/py/lib -L/opt/py/lib -Wl,-rpath,/opt/py/lib",
            "/opt/py",
            "-L/tools/deps/lib",
        ),
        ("gcc -shared", "/usr", "clang -shared"),
        ("x86_64-linux-gnu-g++ -pthread", "/usr", "clang++ -pthread"),
        ("/usr/bin/install -c", "/usr", "/usr/bin/install -c"),
        ("/usr/lib/python3.11", "/usr", "/install/lib/python3.11"),
        ("/src/build/x", "/usr", "/build/Python-3.13.0/x"),
    ],
)
def test_captured(value: str, prefix: str, wanted: str) -> None:
    assert mkbuild.captured(value, prefix, "/src/build", "3.13.0") == wanted


def test_sums_replace_and_sort(tmp_path: Path) -> None:
    for name, digest in (("b", "1"), ("a", "2"), ("b", "3")):
        mkbuild.record(tmp_path, name, digest)
    assert (tmp_path / "SHA256SUMS").read_text() == "2  a\n3  b\n"


@pytest.mark.parametrize(
    ("keywords", "part"),
    [
        ({"version": "3.13.100"}, "3.13.100"),
        ({"version": "3.12.0"}, "3.12.0"),
        ({"flavor": "nothing"}, "nothing"),
        ({"tag": "2025"}, "2025"),
    ],
)
def test_refuses(keywords: dict[str, str], part: str, tmp_path: Path) -> None:
    python = mkbuild.available().get("3.13")
    if python is None:
        pytest.skip("needs CPython 3.13: there is none on this machine")
    given = {"tag": "20250115", **keywords}
    with pytest.raises(mkbuild.PackError, match=part):
        mkbuild.pack(python, given.pop("tag"), tmp_path, **given)  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("*.tar.*"))


def test_says_another_version_and_keeps_no_path_of_this_machine(builds: Builds, tmp_path: Path) -> None:
    archive = builds("3.13", tag="20250317", version="3.13.4")
    assert archive.name.startswith("cpython-3.13.4+20250317-")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (archive.parent / "SHA256SUMS").read_text() == f"{digest}  {archive.name}\n"
    with tarfile.open(archive) as tar:
        names = [member.name for member in tar]
        tar.extractall(tmp_path, filter="tar")
    assert all(name == "python" or name.startswith("python/") for name in names)
    assert len({name.lower() for name in names}) < len(names)
    python = tmp_path / "python" / "bin" / "python3"
    assert subprocess.check_output([python, "-V"], text=True) == "Python 3.13.4\n"
    origin = str(mkbuild.probe(mkbuild.available()["3.13"]).prefix).encode()
    holding = [p for p in tmp_path.rglob("*") if p.is_file() and origin + b"/" in p.read_bytes()]
    assert not (origin != b"/usr" and holding)
    assert os.readlink(tmp_path / "python" / "share" / "terminfo" / "N" / "NCR260VT300WPP").startswith("../n/")


def test_full(builds: Builds) -> None:
    archive = builds("3.13", flavor="full", options="freethreaded+pgo+lto")
    assert archive.name.endswith("-freethreaded+pgo+lto-full.tar.zst")
    listing = subprocess.run(
        [sys.executable, "-c", LISTING, str(archive)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert listing[0] == "python/PYTHON.json"
    assert "python/install/bin/python3.13" in listing


LISTING = """
import sys, tarfile, zstandard
with open(sys.argv[1], "rb") as raw:
    stream = zstandard.ZstdDecompressor().stream_reader(raw)
    for member in tarfile.open(fileobj=stream, mode="r|"):
        print(member.name)
"""
