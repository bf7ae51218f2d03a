# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What images need of the agents, in every shell: a build that was not started where it was installed, links that lead
elsewhere, and one time for all that was changed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Confirm
from tests.agents import fakes
from tests.agents.driver import Archives, LocalHost, local_host, make
from tests.agents.place import POSIX, Shell, needed

pytestmark = POSIX

BUILD = fakes.fake("3.13.1")
MOMENT = 1736899200


def unstarted(disk: Path) -> Path:
    folder = disk / "opt/python" / BUILD.name
    fakes.write(BUILD, folder, json.dumps(fakes.receipt_of(BUILD, started=False), indent=1, sort_keys=True) + "\n")
    return folder


def desired(on: LocalHost) -> Desired:
    return declare({"builds": [], "root": on.place.root, "bin_dir": on.place.bin_dir})


def test_the_first_start_is_confirmed(shell: Shell, disk: Path, tmp_path: Path) -> None:
    folder, on = unstarted(disk), local_host(shell, disk, tmp_path)
    done = make(on, Archives({}), {"builds": ["3.13"], "links": []})
    assert Confirm(BUILD.name) in done.plan.steps
    assert json.loads((folder / fakes.RECEIPT).read_text())["started"]
    assert not make(on, Archives({}), {"builds": ["3.13"], "links": []}).plan


def test_a_first_start_that_fails_is_a_fault(shell: Shell, disk: Path, tmp_path: Path) -> None:
    unstarted(disk)
    on = local_host(shell, disk, tmp_path, FAKE_TRIAL="1")
    (found,) = ensure.observe(on, desired(on), facts="no").installed
    assert (found.problem, found.unconfirmed) == ("it does not start: exit code 1", False)


def test_links_of_a_hostile_image_are_not_followed(shell: Shell, disk: Path, tmp_path: Path) -> None:
    """They stand where a killed run leaves folders, which the next one clears."""
    root, elsewhere = disk / "opt/python", disk / "elsewhere"
    (elsewhere / "name/old").mkdir(parents=True)
    (elsewhere / "empty").mkdir()
    root.mkdir(parents=True)
    staging, on = root / ".standalone-python.staging", local_host(shell, disk, tmp_path)
    staging.mkdir()
    (staging / "name").symlink_to(elsewhere / "name")
    (root / ".standalone-python.lock-broken-x").symlink_to(elsewhere / "empty")
    make(on, Archives({}), {"builds": [], "exclusive": True})
    assert sorted(path.name for path in root.iterdir()) == []
    staging.symlink_to(elsewhere)
    make(on, Archives({}), {"builds": [], "exclusive": True})
    with pytest.raises(AgentError, match="staging is in the way and was not created by standalone-python"):
        make(on, Archives.of_fakes(["3.13.1"], tmp_path), {"builds": ["3.13"]})
    assert (elsewhere / "name/old").is_dir()
    assert (elsewhere / "empty").is_dir()


def test_a_receipt_that_is_no_file_is_not_waited_for(shell: Shell, disk: Path, tmp_path: Path) -> None:
    receipt = unstarted(disk) / fakes.RECEIPT
    receipt.unlink()
    os.mkfifo(receipt)
    on = local_host(shell, disk, tmp_path)
    (found,) = ensure.observe(on, desired(on), facts="no").installed
    assert found.problem == "its receipt is missing or can't be read"


@pytest.mark.parametrize("without", [(), ("touch",)], ids=["touch", "python"])
def test_one_time_for_all_that_was_changed(without: tuple[str, ...], shell: Shell, disk: Path, tmp_path: Path) -> None:
    tools = Shell(shell.name, shell.command, shell.tools, (*shell.without, *without), shell.replaced)
    on = local_host(tools, disk, tmp_path, SOURCE_DATE_EPOCH=str(MOMENT), FAKE_PYTHON=os.path.realpath(sys.executable))
    (disk / "bin").mkdir()
    archives = Archives.of_fakes(["3.13.1", "3.13.2+20250317"], tmp_path)
    make(on, archives, {"builds": ["3.13.1"]})
    assert int((disk / "opt").lstat().st_mtime) == MOMENT
    make(on, archives, {"builds": ["3.13"], "state": "latest"})
    paths = ["opt/python", "opt/python/cpython-3.13", "opt/python/.standalone-python.history", "bin", "bin/python3.13"]
    assert {path: int((disk / path).lstat().st_mtime) for path in paths} == dict.fromkeys(paths, MOMENT)
    if without:
        return  # what could set it is gone with the last build
    make(on, archives, {"builds": ["3.13"], "state": "absent"})
    assert {int((disk / path).stat().st_mtime) for path in ("opt/python", "bin")} == {MOMENT}
    assert list((disk / "opt/python").iterdir()) == []


def test_a_folder_of_somebody_else_keeps_its_time(shell: Shell, disk: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: to run as another user")
    needed("setpriv")
    on = local_host(shell, disk, tmp_path, SOURCE_DATE_EPOCH=str(MOMENT), FAKE_PYTHON="/bin/false")
    for folder, mode in ((disk / "bin", 0o775), (disk / "opt", 0o775), *((folder, 0o755) for folder in (tmp_path, on.sent))):
        folder.mkdir(exist_ok=True)
        os.chown(folder, 0, 54321)
        folder.chmod(mode)
    for folder in tmp_path.parents:
        folder.chmod(folder.stat().st_mode | 0o011)
    on.as_user = 54321
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    make(on, archives, {"builds": ["3.13"]})
    assert int((disk / "bin").stat().st_mtime) != MOMENT
    assert {int((disk / path).lstat().st_mtime) for path in ("bin/python3.13", "opt/python")} == {MOMENT}
    assert not make(on, archives, {"builds": ["3.13"]}).plan
