# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/lock.md tells people to write and to run, in its order, on a test host.

Only the source of builds is exchanged, for upstream is not reached from where tests run; and it gets archives for the second target, and
attestations of a Sigstore of the tests' own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.tools.hosts import Host
from tests.tools.pages import commands, files, shown, tried
from tests.tools.playbook import CACHE, REPOSITORY
from tests.tools.sigstore import Sigstore
from tests.tools.sources import NEW, NEWER, OLD, put

PAGE = "docs/lock.md"
FILES = files(PAGE, "Ansible")
# What pip is told is tried in test_readme.py; other tabs are in test_tabs.py.
COMMANDS = [command for command in commands(PAGE, "Ansible") if not command.startswith("pip ")]
ENTRY = [one.text for one in shown(PAGE) if one.text.startswith("{")]
TRIED = {PAGE: [*tried(PAGE, "Ansible"), *ENTRY]}
ARM = "aarch64-unknown-linux-gnu"

pytestmark = pytest.mark.xdist_group("hosts")


@pytest.fixture
def place(source: Path, fleet: Mapping[str, Host], tmp_path: Path) -> Path:
    """A reader's folder: the page's files, an inventory, and a mirror of what upstream has."""
    mirror = tmp_path / "mirror"
    for tag in (OLD, NEW, NEWER):
        (mirror / tag).mkdir(parents=True)
        for archive in (source / tag).glob("cpython-*"):
            (mirror / tag / archive.name).symlink_to(archive)
        (mirror / tag / "SHA256SUMS").write_text((source / tag / "SHA256SUMS").read_text())
    for build in (f"3.12.1+{OLD}", f"3.13.4+{NEWER}"):
        other = tmp_path / f"cpython-{build}-{ARM}-install_only_stripped.tar.gz"
        other.write_bytes(b"not for a host of this test")
        put(mirror, build.partition("+")[2], other)
    sigstore = Sigstore()
    sigstore.trusted_root(tmp_path / "trusted_root.json")
    for sums in mirror.glob("*/SHA256SUMS"):
        for digest, name in map(str.split, sums.read_text().splitlines()):
            (sums.parent / f"{name}.sigstore.jsonl").write_text(sigstore.lines(digest))
    for name, text in FILES.items():
        text = text.replace("builds: [", f"source: {mirror}\nbuilds: [") if name == "pythons.yml" else text
        text = text.replace("        lockfile:", f"        source: {mirror}\n        root: {tmp_path}/root\n        lockfile:")
        if name == "back.yml":
            text = f"{text}        source: {mirror}\n        root: {tmp_path}/root\n"
        (tmp_path / name).write_text(text)
    (tmp_path / "hosts.ini").write_text(f"{fleet['debian'].inventory_line}\n")
    return tmp_path


def run(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "STANDALONE_PYTHON_CACHE": str(CACHE),
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_NOCOLOR": "1",
        },
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_page_from_top_to_bottom(place: Path, fleet: Mapping[str, Host]) -> None:
    # What the host had before all this.
    assert "changed=1" in run(COMMANDS[-1], place)
    root = fleet["debian"].root / str(place)[1:] / "root"
    (before,) = root.glob("cpython-3.13.0+20250115-*")
    inode = before.stat().st_ino
    root_option = " --trusted-root trusted_root.json"
    said = {command: run(command + (root_option if "--attestations" in command else ""), place) for command in COMMANDS}
    assert len(said) == len(COMMANDS) == 11
    first, check, inventory, play, *upgrades, attested, summed, back = said.values()
    assert attested == upgrades[0]
    assert summed.count("recorded its sum") == 2
    assert len(list((place / "attestations").glob("*.sigstore.jsonl"))) == 2
    assert first.startswith("pythons.lock.json: 4 added, 0 upgraded, 0 removed, 0 as before\n")
    assert check == "pythons.lock.json is up to date: 4 builds\n"
    # The one host of the inventory is of the first target.
    assert inventory.startswith("pythons.lock.json: 0 added, 0 upgraded, 2 removed, 2 as before\n")
    assert "changed=1" in play
    assert upgrades == ["pythons.lock.json is up to date: 2 builds\n"] * 4
    assert sorted(path.name for path in root.glob("cpython-3.1?")) == ["cpython-3.12", "cpython-3.13"]
    assert "changed=1" in back
    assert (root / "cpython-3.13").readlink() == Path(before.name)
    assert before.stat().st_ino == inode, "it was made anew"
    assert list(root.glob(f"cpython-3.13.4+{NEWER}-*"))
    assert "changed=0" in run(COMMANDS[-1], place)
    # The lock file says again which it is.
    assert "changed=1" in run(COMMANDS[3], place)
    assert "changed=0" in run(COMMANDS[3], place)


def test_the_entry_that_is_shown_is_one(place: Path) -> None:
    run(COMMANDS[0], place)
    shown: dict[str, Any] = json.loads(ENTRY[0])
    made = json.loads((place / "pythons.lock.json").read_text())["builds"]
    (same,) = [entry for entry in made if (entry["request"], entry["target"]) == (shown["request"], shown["target"])]
    assert list(same) == list(shown)
    assert (same["release"], same["file"]) == (shown["release"], shown["file"])
    assert shown["url"].endswith(f"/{shown['release']}/{shown['file'].replace('+', '%2B')}")
