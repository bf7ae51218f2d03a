# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/golden-images.md and examples/, run as they stand.

What is exchanged: the source of builds, as upstream is not reached from where tests run; folders for those of the test; and lines
that bring programs into a container, for the same programs of this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path

import hcl2
import pytest

from tests.tools.hosts import unavailable
from tests.tools.hosts.bases import bases, program
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.playbook import CACHE, REPOSITORY
from tests.tools.sources import NEWER, V13LATER, lay_out

EXAMPLES = REPOSITORY / "examples"
PAGE = (REPOSITORY / "docs/golden-images.md").read_text()
HEADINGS = ("An offline image", "The same to the bit")
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
TRIED = {
    "docs/golden-images.md": [
        text
        for heading in HEADINGS
        for text in (
            *re.findall(r"```yaml\n# \S+\n(.*?)```", SECTIONS[heading], re.DOTALL),
            *re.findall(r"^    (\S.*)$", SECTIONS[heading], re.MULTILINE),
        )
    ]
}
ARM = "aarch64-unknown-linux-gnu"
STARTS = 'python3.13 -c "import ssl, sqlite3, sys; print(sys.version)"'

pytestmark = pytest.mark.xdist_group("hosts")


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
    }


def ran(*command: str | Path, folder: Path, **more: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment(folder) | more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def both(source: Path, builds: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds for this machine and for aarch64."""
    folder = tmp_path_factory.mktemp("both")
    lay_out(folder, builds("3.13", tag=NEWER, version=V13LATER))
    lay_out(folder, builds("3.13", tag=NEWER, version=V13LATER, triple=ARM))
    return folder


@pytest.fixture
def example(both: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of an example, whose builds come from here."""

    def copied(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder)
        for file in folder.glob("python.yml"):
            file.write_text(f"{file.read_text()}source: {both}\n")
        return folder

    return copied


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_page(heading: str, both: Path, tmp_path: Path) -> None:
    section = SECTIONS[heading]
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", section, re.DOTALL):
        (tmp_path / name).write_text(f"{text}source: {both}\n")
    commands = re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", section, flags=re.DOTALL), re.MULTILINE)
    assert commands
    printed = ran("bash", "-exc", "\n".join(commands).replace("/srv/", f"{tmp_path}/"), folder=tmp_path)
    assert "not started here" in printed or "nothing was started here" in printed


def test_every_example_is_told_of() -> None:
    """Beside restart/, which docs/upgrades.md tells of."""
    assert {f"{path.name}/" for path in EXAMPLES.iterdir() if path.name != "restart"} == set(
        re.findall(r"^- \*\*`(\w+/)", SECTIONS["Examples"], re.MULTILINE)
    )


def test_mkosi(example: Callable[[str], Path], image: Path) -> None:
    """The script as mkosi runs it: mkosi itself wants a running systemd."""
    folder = example("mkosi")
    config = ConfigParser()
    config.read(folder / "mkosi.conf")
    assert config["Distribution"]["Distribution"] == "debian"
    for architecture, triple in (("x86-64", "x86_64-unknown-linux-gnu"), ("arm64", ARM)):
        told = {"BUILDROOT": str(image), "SRCDIR": str(folder), "ARCHITECTURE": architecture}
        ran(folder / "mkosi.finalize", "final", folder=folder, **told)
        assert (image / f"opt/python/cpython-{V13LATER}+{NEWER}-{triple}-install_only_stripped/bin/python3").exists()
        ran("standalone-python", "remove", "3.13", "--root-dir", image, "--target", triple, folder=folder)


def test_debootstrap(example: Callable[[str], Path], tmp_path: Path) -> None:
    if reason := unavailable():
        pytest.skip(reason)
    suite = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    assert suite, "a Debian says its name"
    listed = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        f"Codename: {suite[1]}",
        "Component: main",
    ]
    mirror = next(line for line in subprocess.check_output(listed, text=True).splitlines() if re.match("(https?|file):", line))
    folder = example("debootstrap")
    ran(program("unshare"), "--mount", folder / "image.sh", "image.tar", suite[1], mirror, folder=folder)
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(folder / "image.tar") as tar:
        newest = max(member.mtime for member in tar)
        tar.extractall(root, filter="tar")
    assert newest <= 1736899200
    (root / "dev/null").unlink(missing_ok=True)
    os.mknod(root / "dev/null", 0o20666, os.makedev(1, 3))
    assert V13LATER in inside(root, STARTS)


def inside(root: Path, command: str, binds: Mapping[Path, str] = {}, **told: str) -> str:
    """A command in a root, as an engine runs it: with /proc, and here with folders of this machine."""
    mounts = ['mount -t proc proc "$0/proc"']
    for here, there in binds.items():
        (root / there.lstrip("/")).mkdir(parents=True, exist_ok=True)
        mounts.append(f'mount --bind {here} "$0{there}"')
    script = " && ".join([*mounts, 'exec chroot "$0" /bin/sh -c "$1"'])
    path = "/tool/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        [program("unshare"), "--mount", "sh", "-c", script, root, command],
        capture_output=True,
        text=True,
        env={"PATH": path, "HOME": "/root", **told},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages(dockerfile: str) -> Iterator[list[tuple[str, str]]]:
    """The instructions of each stage: word and rest, lines that go on joined."""
    stage: list[tuple[str, str]] = []
    for line in re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ").splitlines():
        word, _space, rest = line.partition(" ")
        if word == "FROM":
            if stage:
                yield stage
            stage = []
        if word:
            stage.append((word, rest))
    yield stage


@pytest.mark.parametrize("platform", ["amd64", "arm64"])
def test_docker(
    platform: str, example: Callable[[str], Path], both: Path, image: Path, builds: Callable[..., Path], tmp_path: Path
) -> None:
    folder = example("docker")
    first, last = stages((folder / "Dockerfile").read_text())
    # A Python for the stage, with what the project needs of packages; the lines that would install it are left out below.
    minor = f"3.{sys.version_info.minor}"
    tool = tmp_path / "tool"
    with tarfile.open(builds(minor)) as tar:
        tar.extractall(tool, filter="tar")
    binds = {
        tool / "python": "/tool",
        REPOSITORY: "/project",
        Path(sys.prefix, f"lib/python{minor}/site-packages"): "/packages",
        both: str(both),
        Path(os.path.realpath(next(both.rglob("*x86_64*.gz")))).parents[2]: str(
            Path(os.path.realpath(next(both.rglob("*x86_64*.gz")))).parents[2]
        ),
    }
    (tool / "python/bin/standalone-python").write_text(
        '#!/bin/sh\nPYTHONPATH=/project:/packages exec /tool/bin/python3 -B -m standalone_python "$@"\n'
    )
    (tool / "python/bin/standalone-python").chmod(0o755)
    builder = tmp_path / "builder"
    shutil.copytree(
        bases() / "debian", builder, symlinks=True, ignore=lambda at, names: names if at.endswith("debian/dev") else []
    )
    os.mknod(builder / "dev/null", 0o20666, os.makedev(1, 3))
    arguments = {"TARGETARCH": platform}
    left_out = 0
    for word, rest in first:
        match word:
            case "RUN" if rest.startswith(("apt-get ", "python3 -m venv ")):
                left_out += 1
            case "RUN":
                assert "nothing was started here" in inside(builder, rest, binds, **arguments)
            case "ARG":
                name, _equals, value = rest.partition("=")
                arguments.setdefault(name, value)
            case "COPY":
                what, to = rest.split()
                shutil.copy(folder / what, builder / to.lstrip("/"))
            case "FROM" | "ENV":
                pass
            case _:
                raise AssertionError(word)
    assert left_out == 2
    words = [word for word, _rest in last]
    assert words == ["FROM", "COPY", "RUN", "CMD"]
    assert last[1][1] == "--from=python /image/ /"
    shutil.copytree(builder / "image", image, symlinks=True, dirs_exist_ok=True)
    if platform == "amd64":
        assert V13LATER in inside(image, last[2][1])
    else:
        assert next((image / "opt/python").glob(f"cpython-3.13*{ARM}*")).is_dir()
    assert not (image / "tool").exists()


def test_packer(example: Callable[[str], Path], fresh_host: FreshHost, both: Path) -> None:
    """With the real one: its version 1.6, which Debian has, doesn't know the block that names plugins."""
    host = fresh_host("debian")
    folder = example("packer")
    for file in folder.glob("*.hcl"):
        assert hcl2.loads(file.read_text())
    if not shutil.which("packer"):
        pytest.skip("needs packages: packer is not installed (tests/packages.txt names the package)")
    (folder / "plugins.pkr.hcl").unlink()
    playbook = folder / "playbook.yml"
    playbook.write_text(playbook.read_text().replace("        verify: full\n", f"        verify: full\n        source: {both}\n"))
    told = {"host": host.address, "port": host.port, "key": host.key}
    variables = [word for name, value in told.items() for word in ("-var", f"{name}={value}")]
    more = {
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
        "CHECKPOINT_DISABLE": "1",
        "PACKER_CACHE_DIR": str(folder / "cache"),
        "PACKER_CONFIG_DIR": str(folder),
    }
    ran("packer", "validate", *variables, ".", folder=folder, **more)
    built = ran("packer", "build", "-color=false", *variables, ".", folder=folder, **more)
    assert f"{V13LATER} " in built
