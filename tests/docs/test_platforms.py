# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of docs/macos.md and docs/windows.md: its table says what the script tries, and on this system it is run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.playbook import REPOSITORY
from tests.tools.sources import NEW, V13

SCRIPT = REPOSITORY / "scripts" / "report_platform.py"
_spec = importlib.util.spec_from_file_location("report_platform", SCRIPT)
assert _spec
assert _spec.loader
report = importlib.util.module_from_spec(_spec)
sys.modules["report_platform"] = report
_spec.loader.exec_module(report)

TRIED = {"docs/macos.md": ["scripts/report_platform.py"], "docs/windows.md": ["python scripts/report_platform.py"]}


@pytest.mark.parametrize(
    ("page", "checks"),
    [
        ("docs/macos.md", report.EVERYWHERE + report.POSIX + report.MACOS + report.POSIX_END),
        ("docs/windows.md", report.EVERYWHERE + report.ON_WINDOWS),
    ],
)
def test_the_checklist_names_all_that_is_tried(page: str, checks: tuple[Callable[..., None], ...]) -> None:
    section = (REPOSITORY / page).read_text().partition("## What only a real")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)
    assert rows[0] == "name in the report"
    assert rows[1:] == [check.__name__.replace("_", " ") for check in checks]
    assert "scripts/report_platform.py" in section


def run(*words: str | Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(cache), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, SCRIPT, *words],
        capture_output=True,
        text=True,
        env=environment | {"STANDALONE_PYTHON_CACHE": str(cache / "cache")},
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: stand-in builds")
def test_the_report_of_this_system(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    done = run("--source", source, "--old", f"{V13}+{NEW}", "--folder", folder, cache=tmp_path)
    verdicts = dict(re.findall(r"^\| (.+?) \| (so|NOT SO|not tried)", done.stdout, re.MULTILINE))
    assert verdicts == {check.__name__.replace("_", " "): "so" for check in report.checks()}, done.stdout + done.stderr
    assert done.returncode == 0
    assert done.stdout.startswith("## standalone-python on a real system\n")
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: stand-in builds")
def test_what_is_not_so_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("--source", tmp_path / "empty", "--folder", tmp_path / "work", cache=tmp_path)
    assert done.returncode == 1
    [told] = re.findall(r"^\| installs \| NOT SO<br>(.*) \|$", done.stdout, re.MULTILINE)
    assert "standalone-python: " in told
    assert "is not a source of builds" in told
    assert "| removal leaves nothing | not tried<br>needs a build: see installs |" in done.stdout
    assert done.stdout.endswith("\n1 of 9 are not so.\n")
    assert not (tmp_path / "work").exists()


def test_a_folder_with_something_in_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    done = run("--folder", tmp_path, cache=tmp_path)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert (tmp_path / "mine").exists()
