# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real mise, from npm."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.tools import npm, packed

PACKAGE = "@jdxcode/mise-linux-x64@2026.9.15"
INTEGRITY = "sha512-ButPFGyztN0Rk/HOHvHuf+W80CkvQRAjbDWHvhGJc3PnL3e2KhCYZIOyjx8wPkhr9VJa/7sJZXpxtt5JLjsfaQ=="


def program() -> Path:
    """Return the path of mise for Linux on x86_64; skip the test where npm does not have it."""
    package = npm.package(PACKAGE, INTEGRITY)
    return packed.kept("mise", PACKAGE, lambda folder: _unpack(package, folder))


def settings(home: Path) -> dict[str, str]:
    """Return the environment in which mise keeps everything below a folder and trusts its configuration there."""
    return {
        "MISE_DATA_DIR": str(home / "data"),
        "MISE_CACHE_DIR": str(home / "cache"),
        "MISE_TRUSTED_CONFIG_PATHS": str(home),
        "MISE_YES": "1",
    }


def _unpack(package: Path, folder: Path) -> Path:
    path = folder / "mise"
    with tarfile.open(package) as tar:
        stream = tar.extractfile("package/bin/mise")
        assert stream
        path.write_bytes(stream.read())
    path.chmod(0o755)
    return path
