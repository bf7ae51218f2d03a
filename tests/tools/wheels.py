# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small wheels for tests, and a later pip, without any index."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

SCRIPT = "greet"
SAYS = "hello from greeting"


def write(folder: Path, name: str, version: str, files: Mapping[str, bytes]) -> Path:
    """A wheel of these files; those of its dist-info that every wheel has are added."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **files,
    }
    record = "".join(f"{path},sha256={digest(content)},{len(content)}\n" for path, content in files.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_in, content in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            member = zipfile.ZipInfo(name_in)
            member.external_attr = (0o100755 if ".data/scripts/" in name_in else 0o100644) << 16
            archive.writestr(member, content)
    return path


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def greeting(folder: Path, version: str = "1.0") -> Path:
    """A package with a script, data in share and etc, and a header."""
    return write(
        folder,
        "greeting",
        version,
        {
            "greeting/__init__.py": f"def main():\n    print({SAYS!r})\n".encode(),
            "greeting/data, with a comma.txt": b"data\n",
            f"greeting-{version}.data/data/share/greeting/words.txt": b"hello\n",
            f"greeting-{version}.data/data/etc/greeting.conf": b"loud = no\n",
            f"greeting-{version}.data/headers/greeting.h": b"\n",
            f"greeting-{version}.data/scripts/greet-too": b"#!python\nimport greeting\ngreeting.main()\n",
            f"greeting-{version}.dist-info/entry_points.txt": f"[console_scripts]\n{SCRIPT} = greeting:main\n".encode(),
        },
    )


def later_pip(packages: Path, folder: Path, version: str = "99.0") -> Path:
    """The pip of a site-packages folder as a wheel that calls itself another version."""
    pip = packages / "pip"
    files = {path.relative_to(packages).as_posix(): path.read_bytes() for path in pip.rglob("*") if path.is_file()}
    files = {path: content for path, content in files.items() if "__pycache__" not in path}
    text = files["pip/__init__.py"].decode()
    files["pip/__init__.py"] = re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', text).encode()
    files["pip/new_in_this_version.py"] = b""
    files[f"pip-{version}.dist-info/entry_points.txt"] = (
        b"[console_scripts]\npip = pip._internal.cli.main:main\npip3 = pip._internal.cli.main:main\n"
    )
    return write(folder, "pip", version, files)
