# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A skip without cause fails a session in CI, with and without xdist, and no session elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import forbidden

PROJECT = Path(__file__).resolve().parent.parent
CASES = """
import pytest

def test_without_cause():
    pytest.skip("not today")

@pytest.mark.skipif(True, reason="needs the internet: upstream's newest release")
def test_with_cause():
    pass

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert False
"""
OPTIONAL = 'import pytest\npytest.importorskip("a_module_that_is_nowhere")\n'


def session(folder: Path, ci: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.skips",
        "-p",
        "no:cacheprovider",
        f"--rootdir={folder}",
    ]
    return subprocess.run(
        [*command, *arguments, str(folder)],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("-n", "1")])
def test_fails_in_ci(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "test_optional.py").write_text(OPTIONAL)
    run = session(tmp_path, "true", *arguments)
    _, _, verdict = run.stdout.partition("skipped in CI though")
    judged = verdict.partition("short test summary")[0]
    assert run.returncode == 1
    assert "test_without_cause: the reason names nothing that a machine may lack: not today" in judged
    assert "a_module_that_is_nowhere" in judged
    assert "test_with_cause" not in judged
    assert "test_expected_to_fail" not in judged


@pytest.mark.parametrize("ci", ["", "false"])
def test_passes_elsewhere(tmp_path: Path, ci: str) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    run = session(tmp_path, ci)
    assert run.returncode == 0, run.stdout
    assert "though" not in run.stdout


def test_judges_by_what_the_machine_has() -> None:
    skips = {"a": "needs root: mounts", "b": "needs macOS: codesign", "c": "slow"}
    assert forbidden(skips, {"needs root:": lambda: False, "needs macOS:": lambda: True}) == [
        "a: this machine has it: needs root: mounts",
        "c: the reason names nothing that a machine may lack: slow",
    ]
