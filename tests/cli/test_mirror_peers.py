# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror serves others too: the real uv, mise, pbs-installer and Hatch take builds from one, over HTTP from a plain web server.

The builds are stand-ins, so a program that knows upstream's checksum of an archive by heart has to refuse them: it is looked at as
far as that, which is what it asks for and why it refuses.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.tools import mise
from tests.tools.deploy import LOCAL, operation, run_deploy
from tests.tools.playbook import LOCALHOST, REPOSITORY, run_play
from tests.tools.sources import NEWER, V13LATER, put
from tests.tools.web import Web, serve

TRIPLE = "x86_64-unknown-linux-gnu"
# What pbs-installer's table has, with a checksum and without one.
PBS_TAG, PBS_VERSION = "20250610", "3.13.4"
OLD_TAG, OLD_NAME = "20211017", f"cpython-3.10.0-{TRIPLE}-install_only-20211017T1616.tar.gz"
# Hatch takes a URL for one of this project's builds by this path alone.
UPSTREAMS_PATH = "python-build-standalone/releases/download"

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86-64: the builds are named so")


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def run(home: Path, *command: str, settings: Mapping[str, str] = {}, code: int = 0) -> str:
    """All that a program prints, with nothing of the environment of who runs the tests."""
    clean = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "NO_PROXY": "*",
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(home / "cache"),
    }
    done = subprocess.run(command, capture_output=True, text=True, env={**clean, **settings}, cwd=home, timeout=300)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    return done.stdout if not code and done.stdout else printed


@pytest.fixture(scope="module")
def served(builds: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A mirror made by ``mirror sync``, of builds that each of the programs has a name for."""
    work = tmp_path_factory.mktemp("work")
    source = work / "source"
    for minor, tag, name, keywords in (
        ("3.13", NEWER, "", {"version": V13LATER}),
        ("3.13", PBS_TAG, "", {"version": PBS_VERSION}),
        ("3.10", OLD_TAG, OLD_NAME, {"flavor": "install_only"}),
    ):
        packed = builds(minor, tag=tag, **keywords)
        copy = work / (name or packed.name)
        copy.write_bytes(packed.read_bytes())
        put(source, tag, copy)
    dest = work / "www" / UPSTREAMS_PATH
    requests = [f"{V13LATER}+{NEWER}", f"{PBS_VERSION}+{PBS_TAG}", f"3.10+{OLD_TAG}"]
    asked = [part for request in requests for part in ("--request", request)]
    run(work, program("standalone-python"), "mirror", "sync", str(dest), *asked, "--target", TRIPLE, "--source", str(source))
    with serve(dest.parents[2]) as web:
        yield web


@pytest.fixture
def dest(served: Web) -> Path:
    return served.folder / UPSTREAMS_PATH


@pytest.fixture
def url(served: Web) -> str:
    served.asked.clear()
    return f"{served.url('plain')}/{UPSTREAMS_PATH}"


def starts(python: Path, version: str) -> None:
    said = subprocess.run([str(python), "-c", "import ssl, sys; print(sys.version)"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(version)


def uv(home: Path, settings: Mapping[str, str], *arguments: str, code: int = 0) -> str:
    own = {
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_PREFERENCE": "only-managed",
        "UV_PYTHON_INSTALL_DIR": str(home / "uv"),
        "UV_PYTHON_BIN_DIR": str(home / "bin"),
        "UV_CACHE_DIR": str(home / "uv-cache"),
        "UV_HTTP_RETRIES": "0",
    }
    return run(home, program("uv"), *arguments, settings={**own, **settings}, code=code)


def test_uv_with_its_list_from_the_mirror(dest: Path, url: str, served: Web, tmp_path: Path) -> None:
    (dest / "uv.json").write_text(
        run(tmp_path, program("standalone-python"), "mirror", "export", str(dest), "--for", "uv", "--url", url)
    )
    uv(tmp_path, {"UV_PYTHON_DOWNLOADS_JSON_URL": f"{url}/uv.json"}, "python", "install", "3.13")
    starts(next((tmp_path / "uv").glob("cpython-3.13*-linux-*")) / "bin/python3.13", PBS_VERSION)
    assert [asked.path.rpartition("/")[2] for asked in served.asked] == [
        "uv.json",
        f"cpython-{PBS_VERSION}+{PBS_TAG}-{TRIPLE}-install_only_stripped.tar.gz",
    ]


def test_uv_checks_what_the_list_says(dest: Path, url: str, tmp_path: Path) -> None:
    listed = run(tmp_path, program("standalone-python"), "mirror", "export", str(dest), "--for", "uv", "--url", url)
    told = json.loads(listed)
    for entry in told.values():
        entry["sha256"] = "0" * 64
    (tmp_path / "uv.json").write_text(json.dumps(told))
    settings = {"UV_PYTHON_DOWNLOADS_JSON_URL": (tmp_path / "uv.json").as_uri()}
    said = uv(tmp_path, settings, "python", "install", "3.13", code=1)
    assert "hash" in said.lower()


def test_uv_with_upstreams_list_and_the_mirror(dest: Path, url: str, served: Web, tmp_path: Path) -> None:
    """Its list has upstream's addresses, as the one that it brings; only the checksum is the stand-in's."""
    upstream = "https://github.com/astral-sh/python-build-standalone/releases/download"
    listed = run(tmp_path, program("standalone-python"), "mirror", "export", str(dest), "--for", "uv", "--url", upstream)
    (tmp_path / "uv.json").write_text(listed)
    settings = {"UV_PYTHON_DOWNLOADS_JSON_URL": (tmp_path / "uv.json").as_uri(), "UV_PYTHON_INSTALL_MIRROR": url}
    uv(tmp_path, settings, "python", "install", "3.13")
    starts(next((tmp_path / "uv").glob("cpython-3.13*-linux-*")) / "bin/python3.13", PBS_VERSION)
    assert served.count("plain") == 1


def test_uv_with_the_list_that_it_brings(url: str, served: Web, tmp_path: Path) -> None:
    """It asks the mirror for the right file, and refuses a stand-in for upstream's checksum."""
    said = uv(tmp_path, {"UV_PYTHON_INSTALL_MIRROR": url}, "python", "install", PBS_VERSION, code=1)
    (asked,) = served.asked
    assert (
        asked.path == f"/plain/{UPSTREAMS_PATH}/{PBS_TAG}/cpython-{PBS_VERSION}+{PBS_TAG}-{TRIPLE}-install_only_stripped.tar.gz"
    )
    assert "hash mismatch" in said.lower()


def test_mise_asks_the_mirror_alone(dest: Path, url: str, served: Web, tmp_path: Path) -> None:
    """With what ``export`` prints, mise lists, chooses and installs without another server; the machine's CPU doesn't matter."""
    settings = mise.settings(tmp_path)
    exported = run(tmp_path, program("standalone-python"), "mirror", "export", str(dest), "--for", "mise", "--url", url)
    (tmp_path / "mise.toml").write_text(f'{exported}\n[tools]\npython = "3.13"\n')
    run(tmp_path, str(mise.program()), "install", settings=settings)
    starts(tmp_path / "data/installs/python/3.13/bin/python3.13", PBS_VERSION)
    asked = {asked.path.removeprefix(f"/plain/{UPSTREAMS_PATH}/") for asked in served.asked}
    name = f"{PBS_TAG}/cpython-{PBS_VERSION}+{PBS_TAG}-{TRIPLE}-install_only_stripped.tar.gz"
    assert asked == {f"tools/python-precompiled-{TRIPLE}.gz", name}


def test_mise_with_a_version_that_the_mirror_lacks(dest: Path, url: str, tmp_path: Path) -> None:
    exported = run(tmp_path, program("standalone-python"), "mirror", "export", str(dest), "--for", "mise", "--url", url)
    (tmp_path / "mise.toml").write_text(f'{exported}\n[tools]\npython = "3.12"\n')
    printed = run(tmp_path, str(mise.program()), "install", settings=mise.settings(tmp_path), code=1)
    assert "no precompiled python found" in printed.lower(), printed


def test_pbs_installer(url: str, served: Web, tmp_path: Path) -> None:
    """Its base URL is a release's: it puts nothing but the file's name after it. Of this old build it knows no checksum."""
    settings = {"PBS_INSTALLER_BASE_URL": f"{url}/{OLD_TAG}"}
    run(tmp_path, program("pbs-install"), "3.10.0", "-d", str(tmp_path / "pbs"), settings=settings)
    starts(tmp_path / "pbs/bin/python3.10", "3.10.")
    assert [asked.path for asked in served.asked] == [f"/plain/{UPSTREAMS_PATH}/{OLD_TAG}/{OLD_NAME}"]


def test_pbs_installer_with_a_build_whose_checksum_it_knows(dest: Path, url: str, served: Web, tmp_path: Path) -> None:
    name = f"cpython-{PBS_VERSION}+{PBS_TAG}-{TRIPLE}-install_only_stripped.tar.gz"
    settings = {"PBS_INSTALLER_BASE_URL": f"{url}/{PBS_TAG}"}
    said = run(tmp_path, program("pbs-install"), PBS_VERSION, "-d", str(tmp_path / "pbs"), code=1, settings=settings)
    assert [asked.path for asked in served.asked] == [f"/plain/{UPSTREAMS_PATH}/{PBS_TAG}/{name}"]
    assert "Checksum mismatch" in said
    assert f"got {hashlib.sha256((dest / PBS_TAG / name).read_bytes()).hexdigest()}" in said


def test_hatch(url: str, served: Web, tmp_path: Path) -> None:
    address = f"{url}/{PBS_TAG}/cpython-{PBS_VERSION}%2B{PBS_TAG}-{TRIPLE}-install_only_stripped.tar.gz"
    settings = {"HATCH_PYTHON_CUSTOM_SOURCE_3_13": address, "HATCH_DATA_DIR": str(tmp_path / "hatch")}
    run(tmp_path, program("hatch"), "python", "install", "3.13", "--private", settings=settings)
    starts(tmp_path / "hatch/pythons/3.13/python/bin/python3", PBS_VERSION)
    assert served.count("plain") == 1
    assert PBS_VERSION in run(tmp_path, program("hatch"), "python", "show", "--ascii", settings=settings)


def test_hatch_elsewhere(url: str, served: Web, tmp_path: Path) -> None:
    """Below another path it installs, and then can't read what it has installed. It is its limit; docs/mirror.md says so."""
    (served.folder / "short").unlink(missing_ok=True)
    (served.folder / "short").symlink_to(served.folder / UPSTREAMS_PATH)
    address = f"{served.url('plain')}/short/{PBS_TAG}/cpython-{PBS_VERSION}%2B{PBS_TAG}-{TRIPLE}-install_only_stripped.tar.gz"
    settings = {"HATCH_PYTHON_CUSTOM_SOURCE_3_13": address, "HATCH_DATA_DIR": str(tmp_path / "hatch")}
    run(tmp_path, program("hatch"), "python", "install", "3.13", "--private", settings=settings)
    assert "Unknown distribution source" in run(tmp_path, program("hatch"), "python", "show", code=1, settings=settings)


@pytest.mark.parametrize("how", ["folder", "url"])
def test_ansible_and_pyinfra_with_the_source_and_no_other_setting(
    how: str, dest: Path, url: str, served: Web, tmp_path: Path
) -> None:
    """The newest that the mirror has is installed, not the newest that the bundled catalogue knows; and then nobody is asked."""
    declared = {"builds": ["3.13"], "source": str(dest) if how == "folder" else url, "links": []}
    roots = {name: tmp_path / name for name in ("ansible", "pyinfra")}
    told = {**declared, "root": str(roots["ansible"]), "bin_dir": str(tmp_path / "bin")}
    cache = {"STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")}
    play = run_play([{"standalone.python.interpreters": told}], LOCALHOST, environment=cache)
    assert play.code == 0, play.output
    deployed = run_deploy(
        operation(declared, root=str(roots["pyinfra"]), bin_dir=str(tmp_path / "bin")), LOCAL, environment=cache
    )
    assert deployed.code == 0, deployed.output
    for root in roots.values():
        starts(root / "cpython-3.13/bin/python3", PBS_VERSION)
    asked = [asked.path.rpartition("/")[2] for asked in served.asked]
    assert asked.count("catalogue.tsv") == (how == "url")
    served.asked.clear()
    again = run_play(
        [{"standalone.python.interpreters": told}], LOCALHOST, environment={"STANDALONE_PYTHON_CACHE": str(tmp_path / "new")}
    )
    assert (again.code, again.of().result["changed"], served.asked) == (0, False, [])
