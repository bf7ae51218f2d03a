# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/command-line.md tells people to run, run as they would, on a Debian of its own.

Only the source of builds is exchanged, for upstream is not reached from where tests run, and root and image for folders of the test.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.hosts.bases import program
from tests.tools.playbook import CACHE, REPOSITORY

PAGE = (REPOSITORY / "docs/command-line.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}

pytestmark = pytest.mark.xdist_group("hosts")


def files(section: str) -> list[tuple[str, str]]:
    return re.findall(r"```yaml\n# (\S+)\n(.*?)```", section, re.DOTALL)


def lines(section: str) -> list[str]:
    """Its commands, but for pip, which tests/docs/test_readme.py looks at."""
    prose = re.sub(r"```.*?```", "", section, flags=re.DOTALL)
    return [line for line in re.findall(r"^    (\S.*)$", prose, re.MULTILINE) if not line.startswith("pip ")]


def code(section: str) -> list[str]:
    return [*(text for _name, text in files(section)), *lines(section)]


TRIED = {"docs/command-line.md": [text for section in SECTIONS.values() for text in code(section)]}


def run(section: str, source: Path, folder: Path, image: Path | None = None) -> str:
    """Write a section's files and run its commands, in their order; returns what they print."""
    for name, text in files(section):
        where = "" if image else f"root: {folder}/root\n"
        (folder / name).write_text(f"{text}source: {source}\n{where}")
    commands = [command.replace("/srv/image", str(image)) for command in lines(section)]
    if not image:
        commands = [_in_place(command, source, folder) for command in commands]
    done = subprocess.run(
        [*([program("unshare"), "--mount"] if image else []), "bash", "-exc", "\n".join(commands)],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "STANDALONE_PYTHON_CACHE": str(CACHE),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _in_place(command: str, source: Path, folder: Path) -> str:
    """Return a command with the root and the source of the test, where the page leaves them out."""
    root = "" if "--root" in command or ".yml" in command else f" --root {folder}/root"
    command = re.sub(r"^standalone-python (status|verify|rollback|install|upgrade|uninstall)", rf"\g<0>{root}", command)
    return re.sub(r"^standalone-python (install|upgrade)", rf"\g<0> --source {source}", command)


def without_times(text: str) -> list[str]:
    """Its lines; a step that is short has no time."""
    return re.sub(r" in [0-9.]+ s\b", "", text).splitlines()


@pytest.mark.parametrize("heading", [heading for heading in SECTIONS if heading != "An image"])
def test_the_page(heading: str, source: Path, tmp_path: Path) -> None:
    printed = run(SECTIONS[heading], source, tmp_path)
    if heading == "Without a file":
        assert (tmp_path / "root/bin/python3").readlink() == tmp_path / "root/cpython-3.13/bin/python3"
        assert not (tmp_path / "root/bin/python3.12").is_symlink()
        assert (tmp_path / ".local/bin/python3.13").is_symlink()
        here = printed.replace(f"{tmp_path}/root/bin", "/usr/local/bin").replace(f"{tmp_path}/root", "/opt/python")
        shown = without_times(SECTIONS[heading].partition("```text\n")[2].partition("```")[0])
        assert {line for line in shown if line and not line.startswith("$ ")} <= set(without_times(here))
    if heading == "A file":
        assert printed.splitlines()[-1].startswith("nothing to do: 3.13: 3.13.4 of 20250409 is the newest")
    if heading == "Back to the build before":
        assert "3.13.0+20250115 is in use instead of 3.13.4+20250409" in printed
        # The page shows what `apply newer.yml` prints.
        said = without_times(printed.replace(f"{tmp_path}/root", "/opt/python"))
        example = SECTIONS["What it prints"].split("```text\n")[2].partition("```")[0]
        assert set(without_times(example)) <= set(said)
        assert (tmp_path / "root/cpython-3.13").readlink().name.startswith("cpython-3.13.0+20250115-")


def test_an_image(image: Path, source: Path, tmp_path: Path) -> None:
    assert "every file is as it was installed" in run(SECTIONS["An image"], source, tmp_path, image)
    assert not list((image / "proc").iterdir())
