# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/script-recipes.md: each recipe is read by the program that it is for, or by its validator, and what it runs is run.

What is exchanged: the address of the mirror; the folders that a recipe writes to, for those of the test; an image of a registry, for
one made of a test host; and lines that need a network, which bring programs into a container.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hcl2
import pytest
import yaml

from tests.agents.engines import of_this_machine
from tests.tools import containers
from tests.tools.examples import EXAMPLES, environment, ran, stages
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.packed import own_folder
from tests.tools.pages import commands, files, shown
from tests.tools.sources import NEWER, V13LATER, lay_out, put_windows, write_catalogue
from tests.tools.web import serve

PAGE = "docs/script-recipes.md"
FILES = files(PAGE)
COMMANDS = commands(PAGE)
UNNAMED = [one.text for one in shown(PAGE) if not one.name and "\n" in one.text]
OFFLINE, MIRROR, BOOTC, IGNITION = UNNAMED
TRIED = {PAGE: [*FILES.values(), *COMMANDS, *UNNAMED]}
ARM = "aarch64-unknown-linux-gnu"
# The limits of user-data: Amazon EC2's, and the least of Azure's, Google Cloud's and OpenStack's.
EC2, OTHERS = 16 * 1024, 65535

pytestmark = pytest.mark.xdist_group("hosts")


def installed(name: str) -> str:
    program = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if not program:
        pytest.skip(f"needs packages: {name} is not installed (tests/packages.txt names the packages)")
    return program


@cache
def cloud_init() -> Sequence[str]:
    """The words that start cloud-init. Its package is unpacked and not installed: installed, it would set up this machine anew."""
    folder = own_folder("cloud-init") / "unpacked"
    if not folder.is_dir():
        if not shutil.which("apt-get"):
            pytest.skip("needs packages: cloud-init is Debian's")
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            ran("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "cloud-init", folder=Path(work))
            (package,) = Path(work).glob("*.deb")
            ran("dpkg-deb", "--extract", package, f"{work}/new", folder=Path(work))
            Path(work, "new").rename(folder)
    modules = folder / "usr/lib/python3/dist-packages"
    return ("env", f"PYTHONPATH={modules}", sys.executable, "-m", "cloudinit.cmd.main")


@dataclass(frozen=True, slots=True)
class Made:
    """The folder in which the page's commands were run, with the page's files, and a root that no other test knows."""

    folder: Path
    root: Path

    @property
    def published(self) -> Path:
        return self.folder / "mirror/install-python.sh"

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def run(self, script: str, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """A recipe's shell on this machine, which is no host."""
        words = ["sh", "-c", script, "sh", *arguments]
        where = self.folder / "run"
        where.mkdir(exist_ok=True)
        return subprocess.run(words, cwd=where, capture_output=True, text=True, env={**environment(self.folder), **more})


@pytest.fixture(scope="module")
def made(builds: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder, upstream = tmp_path_factory.mktemp("recipes"), tmp_path_factory.mktemp("upstream")
    for triple in ("x86_64-unknown-linux-gnu", ARM):
        lay_out(upstream, builds("3.13", tag=NEWER, version=V13LATER, triple=triple))
    put_windows(upstream, folder)
    write_catalogue(upstream, folder / "rows.tsv")
    for name in ("mirror", "offline"):
        (folder / name).mkdir()
    with serve(folder / "mirror") as web:

        def exchanged(text: str) -> str:
            text = re.sub("https?://mirror.example.org/python", web.url().rstrip("/"), text)
            return text.replace(" mirror sync ", f" mirror sync --source {upstream} ")

        for name, text in FILES.items():
            (folder / name).write_text(exchanged(text))
        for name in ("python.yml", "windows.yml"):
            with (folder / name).open("a") as declaration:
                declaration.write(f"catalogue: {folder}/rows.tsv\n")
        for command in COMMANDS:
            ran("sh", "-c", exchanged(command), folder=folder)
        yield Made(folder, folder / "root")


def user_data(made: Made) -> tuple[str, str]:
    """The file's content, and the command that cloud-init runs, for a shell."""
    document = yaml.safe_load(made.text("user-data.yml"))
    ((file,), (command,)) = document["write_files"], document["runcmd"]
    assert (file["encoding"], file["permissions"]) == ("gz+b64", "0755")
    assert command == [file["path"], "--quiet"]
    return gzip.decompress(base64.b64decode(file["content"])).decode(), shlex.join(command[1:])


def test_cloud_init(made: Made) -> None:
    assert user_data(made)[0] == made.text("install-python-short.sh")
    (filled,) = (command for command in COMMANDS if "SCRIPT" in command)
    (made.folder / "whole").mkdir()
    shutil.copy(made.folder / "install-python.sh", made.folder / "whole/install-python-short.sh")
    (made.folder / "whole/user-data.yml").write_text(FILES["user-data.yml"])
    ran("sh", "-c", filled, folder=made.folder / "whole")
    for name, limit in (("user-data.yml", EC2), ("whole/user-data.yml", OTHERS)):
        ran(*cloud_init(), "schema", "--config-file", made.folder / name, folder=made.folder)
        assert (made.folder / name).stat().st_size < limit


def kickstart(made: Made) -> str:
    """What the section contains."""
    section = re.fullmatch(r"%post --erroronfail --log=\S+\n(.*)%end\n", made.text("python.ks"), re.DOTALL)
    assert section
    return section[1]


def timer(made: Made) -> str:
    """What the service starts, one after the other."""
    text = made.text("install-python.service").replace("/etc/", f"{made.folder}/")
    return "set -e\n" + "\n".join(re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE))


def test_what_downloads_the_script(made: Made) -> None:
    """The first run installs, the others find nothing to do. A script that somebody has changed is never started."""
    script, quiet = user_data(made)
    root = f"--root {made.root}"
    texts = (f"set -- {root} {quiet}\n{script}", f"set -- {root}\n{kickstart(made)}", f"{timer(made)} {root}")
    printed = []
    for text in texts:
        done = made.run(text)
        assert (done.returncode, done.stderr) == (0, ""), (text, done)
        printed.append(done.stdout)
    assert printed == ["", "nothing to do\n", "Verified OK\nnothing to do\n"]
    assert V13LATER in ran(made.root / "bin/python3", "--version", folder=made.folder)
    genuine = made.published.read_text()
    made.published.write_text(genuine.replace("\n", f"\ntouch {made.folder}/started\n", 1))
    try:
        for text in texts:
            done = made.run(text)
            assert done.returncode == 1, (text, done)
            assert not (made.folder / "started").exists()
    finally:
        made.published.write_text(genuine)


def test_kickstart(made: Made) -> None:
    ran(installed("ksvalidator"), "-v", "RHEL9", made.folder / "python.ks", folder=made.folder)


def test_mkosi(made: Made) -> None:
    """The script as mkosi runs it, which itself needs a running systemd."""
    script = made.text("mkosi.postinst.chroot")
    assert script.endswith('install-python.sh"\n')
    ran(installed("shellcheck"), made.folder / "mkosi.postinst.chroot", folder=made.folder)
    built = made.run(f"{script.rstrip()} --root {made.root}", "build", SRCDIR=str(made.folder))
    assert (built.returncode, built.stdout) == (0, "")
    done = made.run(f"{script.rstrip()} --root {made.root}", "final", SRCDIR=str(made.folder))
    assert (done.returncode, done.stderr) == (0, ""), done
    assert (made.root / "cpython-3.13/bin/python3.13").exists()


def ignition_of(butane: str) -> object:
    """What Butane makes of such a document: https://coreos.github.io/butane/config-flatcar-v1_0/."""
    document = yaml.safe_load(butane)
    assert (document.pop("variant"), document.pop("version")) == ("flatcar", "1.0.0")
    return {"ignition": {"version": "3.3.0"}, **document}


def test_ignition(made: Made) -> None:
    told = json.loads(IGNITION)
    assert told == ignition_of(FILES["python.bu"])
    document = ignition_of(made.text("python.bu"))
    (made.folder / "python.ign").write_text(json.dumps(document))
    done = subprocess.run([installed("ignition-validate"), made.folder / "python.ign"], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    (unit,) = told["systemd"]["units"]
    verify(made, {unit["name"]: unit["contents"]})
    (started,) = re.findall(r"^ExecStart=/bin/sh \S+ (.*)$", unit["contents"], re.MULTILINE)
    assert started == "--bin-dir /opt/bin"
    assert f"  {started.split()[0]} FOLDER" in ran("sh", made.folder / "install-python.sh", "--help", folder=made.folder)


def verify(made: Made, units: dict[str, str]) -> None:
    folder = made.folder / "units"
    folder.mkdir(exist_ok=True)
    for name, text in units.items():
        (folder / name).write_text(text)
    for name in units:
        done = subprocess.run([installed("systemd-analyze"), "verify", folder / name], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_units_of_the_timer(made: Made) -> None:
    verify(made, {name: FILES[name] for name in FILES if name.endswith((".service", ".timer"))})


def test_detection_of_intune(made: Made, tmp_path: Path) -> None:
    """Another version is not found, nor one that doesn't start. Of the commands of the app, tests/windows/test_script.py has more."""
    shell = of_this_machine()
    text = made.text("detect.ps1").replace("\\", "/")
    environment = {"ProgramData": str(tmp_path), "HOME": str(tmp_path), "POWERSHELL_TELEMETRY_OPTOUT": "1"}

    def detected(text: str) -> tuple[int, str]:
        done = subprocess.run(shell.command, input=f"{text}\n", env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout

    python = tmp_path / "standalone-python/cpython-3.13/python.exe"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho {V13LATER}\n")
    python.chmod(0o755)
    assert detected(text) == (0, f"Python {V13LATER}\n")
    assert detected(text.replace(V13LATER, "3.13.99")) == (1, "")
    python.write_text(f"#!/bin/sh\necho {V13LATER}\nexit 3\n")
    assert detected(text) == (1, "")


def test_containers(made: Made) -> None:
    """Built by a real engine: once without a network and without curl, and once from the mirror."""
    if reason := containers.unavailable():
        pytest.skip(reason)
    images = {containers.DEBIAN: "debian", "docker.io/library/with-wget": "busybox"}
    mirrored = MIRROR.replace(containers.DEBIAN, "docker.io/library/with-wget", 1)
    mirrored, exchanged = re.subn(r"apt-get update && apt-get install .*", "true", mirrored)
    assert exchanged == 1
    with containers.engine(images) as own:

        def podman(*words: str | Path) -> str:
            return ran("podman", *words, folder=made.folder, **own)

        for text, context, options in (
            (OFFLINE, made.folder / "offline", ["--network", "none"]),
            (mirrored, made.folder / "mirror", []),
        ):
            (made.folder / "Dockerfile").write_text(text)
            podman(
                "build",
                "--pull=never",
                "--layers=false",
                "--tag",
                "image",
                *options,
                "--file",
                made.folder / "Dockerfile",
                context,
            )
            seen = 'python3 -c "import ssl, sys; print(sys.version)" && find / -xdev -name "install-python*" && ls -d /context'
            done = podman("run", "--rm", "image", "sh", "-c", f"({seen}) 2>&1 || true").splitlines()
            assert done[0].startswith(f"{V13LATER} ")
            assert len([line for line in done if "install-python" in line]) == 0


def test_bootc() -> None:
    """The same as in a container, which is built, but for the image and its own check."""
    (first,), (second,) = stages(OFFLINE), stages(BOOTC)
    assert [line for line in second if line[0] == "RUN"] == [
        next(line for line in first if line[0] == "RUN"),
        ("RUN", "bootc container lint"),
    ]
    assert re.fullmatch(r"\S+/centos-bootc:stream\d+", second[0][1])


def test_packer(made: Made, fresh_host: FreshHost, tmp_path: Path) -> None:
    """With the real one, on a machine without curl and wget."""
    packer = installed("packer")
    text = made.text("python.pkr.hcl")
    assert hcl2.loads(text)
    (tmp_path / "python.pkr.hcl").write_text(text)
    (tmp_path / "machine.pkr.hcl").write_text((EXAMPLES / "packer/image.pkr.hcl").read_text().partition("\nbuild {")[0])
    (tmp_path / "offline").symlink_to(made.folder / "offline")
    host = fresh_host("debian")
    told = {"host": host.address, "port": host.port, "key": host.key}
    variables = [word for name, value in told.items() for word in ("-var", f"{name}={value}")]
    more = {"CHECKPOINT_DISABLE": "1", "PACKER_CACHE_DIR": str(tmp_path / "cache"), "PACKER_CONFIG_DIR": str(tmp_path)}
    built = ran(packer, "build", "-color=false", *variables, ".", folder=tmp_path, **more)
    assert "install cpython-3.13" in built
    shows = host.exec(["sh", "-c", "python3 --version; ls -A /tmp"])
    assert shows.stdout.splitlines()[0] == f"Python {V13LATER}"
    assert "offline" not in shows.stdout
