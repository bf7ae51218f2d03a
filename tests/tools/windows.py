# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows for tests: this machine where it is one; else one under Wine, made by what STANDALONE_PYTHON_WINDOWS names.

The variable names a folder with a ``host.sh`` that makes Windows hosts under Wine, or a file: the Ansible inventory of Windows
hosts. Without it, and on another system, tests that need Windows are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import pytest
from filelock import FileLock

VARIABLE = "STANDALONE_PYTHON_WINDOWS"
HERE = os.name == "nt"


def _is_wine() -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    return hasattr(ctypes.windll.ntdll, "wine_get_version")


# A Windows without junctions and without tar.exe.
WINE = _is_wine()
_WINE = os.pathsep.join(("/usr/lib/wine", os.environ.get("PATH", "")))


def named() -> Path | None:
    """What the variable names."""
    text = os.environ.get(VARIABLE, "")
    return Path(text).absolute() if text else None


def maker() -> Path | None:
    """The host.sh that makes Windows hosts under Wine; None where an inventory, or nothing, is named."""
    place = named()
    return place / "host.sh" if place and (place / "host.sh").is_file() else None


def inventory() -> Path | None:
    """The inventory of Windows hosts that are there already."""
    place = named()
    return place if place and place.is_file() else None


def lacking() -> bool:
    """Whether this machine has no Windows for tests."""
    return not HERE and named() is None


def needed() -> None:
    """Skips the test where there is none."""
    if lacking():
        pytest.skip(f"needs Windows: {VARIABLE} names none (CONTRIBUTING.md says what it can name)")
    place = named()
    if place and not (maker() or inventory()):
        raise RuntimeError(f"{VARIABLE} is {place}, which is neither a folder with a host.sh nor an inventory")


@dataclass(frozen=True, slots=True)
class Windows:
    """Runs Windows programs. ``wine`` is Wine's program and the folder of the Windows it runs, empty on Windows itself."""

    drive: Path
    wine: tuple[str, Path] | None = None

    def text(self, path: Path) -> str:
        """A path of the drive as Windows knows it."""
        return str(PureWindowsPath("C:/", *path.relative_to(self.drive).parts)) if self.wine else str(path)

    def path(self, text: str) -> Path:
        """What Windows calls ``text``, as this machine reaches it; on Wine's disk a name's case matters from outside."""
        return self.drive.joinpath(*PureWindowsPath(text).parts[1:]) if self.wine else Path(text)

    def run(
        self, program: Path, *words: str, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What a program says. Under Wine with pipes, as Windows' Python wants no file as its output."""
        command, environment = [str(program), *words], dict(os.environ)
        if self.wine:
            wine, prefix = self.wine
            command.insert(0, wine)
            environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
            environment |= {"WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "LANG": "C.UTF-8"}
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            input=stdin or "",
            env=environment | dict(env or {}),
            cwd=self.drive,
            check=False,
        )


def make(folder: Path) -> Windows:
    """The Windows of this machine: itself, or one under Wine, which is made in ``folder`` once and kept there."""
    if HERE:
        # By its whole name, which programs say.
        return Windows(Path(tempfile.gettempdir()).resolve())
    script = maker()
    if script is None:
        pytest.skip(f"needs Windows: {VARIABLE} names hosts elsewhere, and this test needs one on this machine")
    wine = shutil.which("wine64", path=_WINE)
    if wine is None:
        pytest.skip("needs Windows: wine64 is not installed (tests/windows-packages.txt names the package)")
    with FileLock(folder / "making.lock"):
        done = subprocess.run(
            [str(script), "make"], env={**os.environ, "W": str(folder)}, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{script} make failed with code {done.returncode}: {done.stderr[-2000:]}")
    prefix = folder / "windows" / "made"
    return Windows(prefix / "drive_c", (wine, prefix))
