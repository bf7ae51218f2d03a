# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build in a staging folder, and the finisher run there as an agent runs it."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import (
    disk,
    files,
    finish,
    interpreter,
    measure,
    paths,
    receipt,
    sbom,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.sbom import Archive, template
from tests.tools.finisher import ARGUMENTS
from tests.tools.playbook import REPOSITORY

MINORS: list[str] = tomllib.loads((REPOSITORY / "support.toml").read_text())["host"]["interpreters"]
FINISHER = [str(module.__file__) for module in (finish, disk, files, interpreter, measure, receipt, sbom, paths)]


class Staged:
    """An unpacked build in a staging folder, and what the finisher said about it."""

    def __init__(self, archive: Path, root: Path, *, listed: bool = True) -> None:
        self.root = root
        self.name = archive.name[: -len(".tar.gz")]
        self.version = self.name.split("-")[1].split("+")[0]
        self.minor = ".".join(self.version.split(".")[:2])
        self.tree = root / ".standalone-python.staging" / "python"
        self.final = root / self.name
        self.finisher = finish.__file__
        self.tree.parent.mkdir(parents=True)
        subprocess.run(["cp", "-a", unpacked(archive).name + "/python", self.tree], check=True)
        if not listed:
            shutil.rmtree(self.tree / files.FOLDER)

    @property
    def library(self) -> Path:
        return self.tree / "lib" / f"python{self.minor}"

    def send(self, build: Build) -> None:
        """Put the finisher into the staging folder as an agent does it, with the template of the list of components."""
        self.finisher = str(self.tree.parent / "finish.py")
        for path in map(Path, FINISHER):
            shutil.copyfile(path, self.tree.with_name(path.name))
        self.tree.with_name(f"{self.name}.cdx").write_text(template(build, Archive("https://example.org/a", "0" * 64), sh.TOOL))

    def run(self, *, python: str = "", env: Mapping[str, str] | None = None, **keys: str) -> dict[str, str]:
        given = {
            "tree": str(self.tree),
            "final": str(self.final),
            "name": self.name,
            "version": self.version,
            "triple": "x86_64-unknown-linux-gnu",
            "flavor": "install_only_stripped",
            "filename": f"{self.name}.tar.gz",
            **ARGUMENTS,
            **keys,
        }
        command = [python or str(self.tree / "bin" / "python3"), "-I", "-B", self.finisher]
        words = [f"{key}={value}" for key, value in given.items()]
        done = subprocess.run([*command, *words], capture_output=True, text=True, env=env, check=False)
        said = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        assert (done.returncode, "finished" in said) in ((0, True), (3, False)), done
        return {**said, "stderr": done.stderr}

    def move(self) -> Path:
        self.tree.rename(self.final)
        return self.final


@functools.cache
def unpacked(archive: Path) -> tempfile.TemporaryDirectory[str]:
    """An archive's tree with its list of files, once for all tests: a copy takes a third of the time. It goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="unpacked-")
    with tarfile.open(archive) as tar:
        tar.extractall(folder.name, filter="tar")
    tree = Path(folder.name, "python")
    (tree / files.FOLDER).mkdir()
    (tree / files.LIST).write_text(list_of(tree))
    return folder


def list_of(tree: Path) -> str:
    """The list of files as the controller makes it, written independently of the finisher; with the list of components."""
    lines = {}
    for path in tree.rglob("*"):
        relative = path.relative_to(tree).as_posix()
        inside = path.resolve().is_relative_to(tree.resolve()) and path.is_file()
        if inside and (relative == files.SBOM or not relative.startswith(files.FOLDER)):
            lines[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return "".join(f"{lines[path]}  {path}\n" for path in sorted(lines))
