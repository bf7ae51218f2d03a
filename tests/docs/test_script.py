# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/script.md, run as it stands. What is exchanged: the address of the mirror, and the root."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from configparser import ConfigParser
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.tools.containers import DEBIAN, engine, unavailable
from tests.tools.pages import commands, files
from tests.tools.playbook import CACHE, REPOSITORY
from tests.tools.sources import NEWER, V13LATER, put, write_catalogue
from tests.tools.web import serve

PAGE = "docs/script.md"
MIRROR = "https://mirror.example.org/python"
TRIED = {PAGE: [*commands(PAGE), *files(PAGE).values()]}


def with_windows(source: Path, folder: Path) -> Path:
    """The builds of ``source``, and one for Windows that nobody unpacks."""
    shutil.copytree(source, folder, symlinks=True)
    name = f"cpython-{V13LATER}+{NEWER}-x86_64-pc-windows-msvc-install_only_stripped.tar.gz"
    (folder.parent / name).write_bytes(b"\x1f\x8b")
    put(folder, NEWER, folder.parent / name)
    return folder


def test_the_page(source: Path, tmp_path: Path) -> None:
    served = with_windows(source, tmp_path / "served")
    catalogue = write_catalogue(served, tmp_path / "catalogue.tsv")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
    }
    printed = {}
    with serve(served) as web:
        (tmp_path / "usb").mkdir()
        for name, text in files(PAGE).items():
            if not text.startswith("builds:"):
                (tmp_path / name).write_text(text.replace(MIRROR, web.url()))
                continue
            root = "" if name == "windows.yml" else f"root: {tmp_path}/root\n"
            (tmp_path / name).write_text(f"{text.replace(MIRROR, web.url())}{root}catalogue: {catalogue}\n")
        for command in commands(PAGE):
            if command.startswith("sh install-python-short.sh"):
                for path in (tmp_path / "mirror").glob("install-python.sh*"):
                    shutil.copy(path, served)
            done = subprocess.run(
                ["sh", "-c", command.replace(MIRROR, web.url())], cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            printed[command] = (done.returncode, done.stdout)
            assert done.returncode in (0, 2), (command, done)
        recipes(tmp_path, environment)
    assert printed["sh install-python.sh --check"][0] == 2
    assert printed["sh install-python.sh"][1].count("install cpython-") == 2
    assert printed["sh -s -- --quiet < install-python.sh"] == (0, "")
    assert printed["sh usb/install-python.sh --check"] == (0, "nothing to do\n")
    assert printed["sh install-python313.sh --check"][1].startswith("nothing to do\nleft alone: cpython-3.12")
    assert printed["sh install-python-short.sh --check"] == (0, "nothing to do\n")
    assert (tmp_path / "install-python.ps1").read_text(encoding="utf-8-sig").endswith("\nInvoke-Main $options\n")


def recipes(folder: Path, environment: dict[str, str]) -> None:
    """What the recipes run, on this machine: no cloud, engine or systemd is asked for."""
    data = yaml.safe_load((folder / "user-data.yml").read_text())
    (file,) = data["write_files"]
    assert len((folder / "user-data.yml").read_bytes()) < 16 * 1024
    assert data["runcmd"] == [[file["path"], "--quiet"]]
    script = gzip.decompress(b64decode(file["content"]))
    assert script == (folder / "install-python-short.sh").read_bytes()
    lines = (folder / "usb/image.dockerfile").read_text().splitlines()
    run = re.sub("RUN --mount=[^ ]+ ", "", lines[-1]).replace("/mnt", str(folder / "usb"))
    service = ConfigParser(strict=False, interpolation=None)
    service.read(folder / "install-python.service")
    started = re.findall("^ExecStart=(.*)$", (folder / "install-python.service").read_text(), re.MULTILINE)
    assert service["Service"]["Type"] == "oneshot"
    assert len(started) == 3
    runtime = folder / "runtime"
    runtime.mkdir()
    for command in (run, *started):
        done = subprocess.run(["sh", "-c", command], cwd=runtime, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (command, done)
    assert done.stdout == "nothing to do\n"


def test_the_container(source: Path, tmp_path: Path) -> None:
    """The build with a real engine: the image starts its Python."""
    if reason := unavailable():
        pytest.skip(reason)
    folder = tmp_path / "usb"
    (tmp_path / "python.yml").write_text(f"builds: ['3.13']\nsource: {source}\n")
    target = ("--target", "x86_64-unknown-linux-gnu")
    made = ("--lockfile", "python.lock.json", "--archives", "usb/archives", "--output", "usb/install-python.sh")
    program = Path(sys.executable).with_name("standalone-python")
    environment = {**os.environ, "STANDALONE_PYTHON_CACHE": str(CACHE)}
    for words in (("lock", "python.yml"), ("script", "python.yml", *made)):
        subprocess.run([program, *words, *target], cwd=tmp_path, env=environment, check=True)
    text = files(PAGE)["usb/image.dockerfile"].replace("debian:bookworm-slim", DEBIAN)
    with engine() as own:
        podman = partial(subprocess.run, env={**os.environ, **own}, input=text, capture_output=True, text=True)
        built = podman(["podman", "build", "--pull=never", "--tag", "image", "--file", "-", str(folder)])
        assert built.returncode == 0, built
        says = podman(["podman", "run", "--rm", "image", "python3.13", "-c", "import ssl, sys; print(sys.prefix)"])
        assert says.stdout == "/opt/python/cpython-3.13\n", says
