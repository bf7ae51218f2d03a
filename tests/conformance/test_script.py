# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script for hosts without a controller, as a front end: what it leaves on hosts of several kinds is what `apply` leaves here."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.cases import LATER13, OLD12, Place
from tests.conformance.driver import tree
from tests.conformance.front_ends import STANDALONE_PYTHON
from tests.tools.hosts import Host, unavailable
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import CACHE
from tests.tools.sources import V13LATER, put, write_catalogue
from tests.tools.web import serve

pytestmark = pytest.mark.xdist_group("hosts")

TARGETS = ("x86_64-unknown-linux-gnu",)
# Kinds of hosts, and whether they have curl or wget.
LOADER, ELSEWHERE = "/lib64/ld-linux-x86-64.so.2", "/srv64/ld-linux-x86-64.so.2"
MUSL = "x86_64-unknown-linux-musl"
GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2")
WITH_GLIBC = {"debian": False, "busybox": True, "macish": True}


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)}
    done = subprocess.run([STANDALONE_PYTHON, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done
    return done


def test_every_kind_of_host(source: Path, catalogue: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Twice by `sh -s`, without a file on the host; then a link and a module are lost, and the script brings them again."""
    if reason := unavailable():
        pytest.skip(reason)
    fleet: Mapping[str, Host] = request.getfixturevalue("fleet")
    root = str(tmp_path / "root")
    declared = {"builds": [LATER13, {"version": OLD12, "default": True}], "root": root, "catalogue": str(catalogue)}
    (tmp_path / "python.yml").write_text(json.dumps(declared))
    with serve(source) as web:
        web_source = ("--source", web.url())
        command(tmp_path, "lock", "python.yml", *web_source, "--target", *TARGETS)
        locked = (*web_source, "--lockfile", "python.lock.json")
        command(tmp_path, "script", "python.yml", *locked, "--target", *TARGETS, "--output", "install-python.sh")
        text = (tmp_path / "install-python.sh").read_text()
        command(tmp_path, "apply", "python.yml", *locked)
        here = Place(Path("/"), root)
        expected = tree(here)
        declared |= {"builds": [OLD12], "exclusive": True}
        (tmp_path / "fewer.yml").write_text(json.dumps(declared))
        command(tmp_path, "script", "fewer.yml", *locked, "--target", *TARGETS, "--output", "fewer.sh")
        fewer = (tmp_path / "fewer.sh").read_text()
        command(tmp_path, "apply", "fewer.yml", *locked)
        expected_fewer = tree(here)
        for kind, downloads in WITH_GLIBC.items():
            host, place = fleet[kind], Place(fleet[kind].root, root)
            words = ["sh", "-s", "--"]
            if not downloads:
                refused = host.exec(words, stdin=text)
                assert (refused.returncode, refused.stdout) == (1, "")
                assert "neither curl nor wget" in refused.stderr
                assert not place.here.exists()
                shutil.copytree(source, host.root / "srv/archives")
                words += ["--archives", "/srv/archives"]
            checked = host.exec([*words, "--check", "--quiet"], stdin=text)
            assert (checked.returncode, checked.stdout) == (2, ""), (kind, checked)
            done = host.exec(words, stdin=text)
            assert (done.returncode, done.stderr) == (0, ""), (kind, done)
            assert len(done.stdout.splitlines()) == 8, (kind, done)
            assert tree(place) == expected, kind
            asked = len(web.asked)
            again = host.exec(["sh", "-s"], stdin=text)
            assert (again.returncode, again.stdout, again.stderr) == (0, "nothing to do\n", ""), (kind, again)
            assert len(web.asked) == asked, kind
            (place.bin / "python").unlink()
            shutil.rmtree(place.build("3.13") / "lib/python3.13/json")
            mended = host.exec([*words, "--json"], stdin=text)
            verbs = [" ".join(line.split()[:1]) for line in json.loads(mended.stdout)["plan"]]
            assert verbs == ["repair", "link"], (kind, mended)
            assert tree(place) == expected, kind
            removed = host.exec(["sh", "-s"], stdin=fewer)
            assert (removed.returncode, removed.stderr) == (0, ""), (kind, removed)
            assert tree(place) == expected_fewer, kind
            shutil.rmtree(host.root / "srv/archives", ignore_errors=True)
            shutil.rmtree(place.here)
        again = subprocess.run(["sh", "-s"], input=fewer, capture_output=True, text=True)
        assert (again.returncode, again.stdout) == (0, "nothing to do\n"), again
        unknown = fleet["musl"].exec(["sh", "-s"], stdin=text)
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert unknown.stderr.startswith("install-python: this host is Linux x86_64 musl, for which this script has no build"), (
            unknown
        )
        assert TARGETS[0] in unknown.stderr
        assert not (fleet["musl"].root / root.lstrip("/")).exists()


def test_musl(source: Path, fresh_host: FreshHost, tmp_path: Path) -> None:
    """A host with musl, from nothing to success and once more. No CPython for musl is to be had, so the stand-in is one for glibc.
    Its loader has another place than on hosts with glibc."""
    host, served = fresh_host("musl"), tmp_path / "served"
    (archive,) = source.glob(f"*/cpython-{V13LATER}+*-{TARGETS[0]}-install_only_stripped.tar.gz")
    copy = tmp_path / archive.name.replace(TARGETS[0], MUSL)
    copy.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes()).replace(LOADER.encode(), ELSEWHERE.encode()), 1))
    put(served, archive.parent.name, copy)
    libraries = {f"/usr/lib/x86_64-linux-gnu/{name}": f"/usr/lib/x86_64-linux-gnu/{name}" for name in GLIBC}
    for path, to in {LOADER: ELSEWHERE, **libraries}.items():
        there = host.root / to.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    catalogue = str(write_catalogue(served, tmp_path / "rows.tsv"))
    with serve(served) as web:
        declared = {"builds": [{"version": "3.13", "default": True}], "source": web.url(), "catalogue": catalogue}
        (tmp_path / "python.yml").write_text(json.dumps(declared))
        command(tmp_path, "lock", "python.yml", "--target", MUSL)
        words = ("--lockfile", "python.lock.json", "--target", MUSL, "--output", "install-python.sh")
        command(tmp_path, "script", "python.yml", *words)
        text = (tmp_path / "install-python.sh").read_text()
        done = host.exec(["sh", "-s", "--", "--json"], stdin=text)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert json.loads(done.stdout)["target"] == MUSL
        assert host.exec(["python3", "-c", "import ssl, sys; print(sys.prefix)"]).stdout == "/opt/python/cpython-3.13\n"
        again = host.exec(["sh", "-s"], stdin=text)
        assert (again.returncode, again.stdout) == (0, "nothing to do\n"), again
