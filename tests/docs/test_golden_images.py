# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/golden-images.md and examples/, run as they stand.

What is exchanged: the source of builds, as upstream is not reached from where tests run; and folders, for those of the test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import hcl2
import pytest

from tests.tools.examples import EXAMPLES, ran, stages
from tests.tools.hosts import unavailable
from tests.tools.hosts.bases import program
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import shown
from tests.tools.playbook import REPOSITORY
from tests.tools.sources import NEWER, V13LATER, lay_out

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


def inside(root: Path, command: str) -> str:
    """A command in a root, as an engine runs it: with /proc."""
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"'
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        [program("unshare"), "--mount", "sh", "-c", script, root, command],
        capture_output=True,
        text=True,
        env={"PATH": path, "HOME": "/root"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_docker(example: Callable[[str], Path]) -> None:
    """The context is made as the file says. The file is docs/script-recipes.md's, which a real engine builds."""
    folder = example("docker")
    text = (folder / "Dockerfile").read_text()
    (folder / "context").mkdir()
    for command in re.findall(r"^#     (standalone-python .*)$", text, re.MULTILINE):
        ran("sh", "-c", command, folder=folder)
    made = sorted(path.name for path in (folder / "context").rglob("*") if path.name.endswith((".sh", ".tar.gz")))
    assert [name.split("-")[2] for name in made[:2]] == ["aarch64", "x86_64"]
    assert made[2:] == ["install-python.sh"]
    built = next(one.text for one in shown("docs/script-recipes.md") if one.text.startswith("FROM "))
    assert [*stages(text)] == [*stages(built)]


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
