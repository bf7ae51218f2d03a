# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected: the workflow's Windows job runs there, where neither Ansible nor pyinfra has a controller; the longest is first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import FIRST, TESTS

REPOSITORY = Path(__file__).parents[2]
WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ansible", "pyinfra"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
"""


def test_the_tests_of_the_windows_job_need_no_ansible(tmp_path: Path) -> None:
    (tmp_path / "without.py").write_text(WITHOUT)
    text = (REPOSITORY / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    [folders] = re.findall(r"python -m pytest -n 3 --dist loadfile (tests/\S+(?: tests/\S+)*)", text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "without", "--collect-only", "-q", *folders.split()],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "tests/agents/test_powershell.py::" in done.stdout


def test_what_begins_first_exists() -> None:
    assert [name for name in FIRST if not (TESTS / name).exists()] == []
