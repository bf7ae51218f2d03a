# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collections of others: community.general, for its connection to a chroot and its uv_python module, and containers.podman.

They come out of PyPI's package ``ansible``, of which nothing else is unpacked: the whole one is ten times as large. Kept in the
folder for temporary files, from one session to the next. Never installed anywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

PARTS = ("ansible_collections/community/general/", "ansible_collections/containers/podman/")


def collections() -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH.

    :raises RuntimeError: pip can't download it; with what pip said
    """
    folder = Path(tempfile.gettempdir()) / f"standalone-python-collections-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise RuntimeError(f"{folder} belongs to someone else: remove it")
    with FileLock(folder / "lock"):
        if not (folder / "whole").exists():
            _unpack(folder)
    return folder


def _unpack(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as download:
        # The newest package for the ansible-core that is here: pip looks at what Python it needs, no more.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", download]
        done = subprocess.run([*command, "ansible"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"pip can't download the package ansible: {done.stderr.strip()[-500:]}")
        (wheel,) = Path(download).glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(PARTS)])
    (folder / "whole").touch()
