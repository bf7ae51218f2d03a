# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of a declaration: the root, where builds are, and ``bin_dir``, where links are. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import DeclarationError, sanitized

DEFAULT_ROOT = "/opt/python"
WINDOWS_ROOT = "%ProgramData%/standalone-python"
# What has its place in a root, and in a folder of links. Some file systems take large letters for small ones.
_IN_ROOT = re.compile(r"cpython-.*|\.(staging|lock|standalone-python.*)", re.IGNORECASE)
_IN_BIN_DIR = re.compile(r"python(3(\.[0-9]+[td]*)?)?(\.cmd)?", re.IGNORECASE)
_WINDOWS_HEAD = re.compile(r"[A-Za-z]:|~|%[A-Za-z_][A-Za-z0-9_()]*%")
_WINDOWS_NAME = re.compile(r'[^\x00-\x1f<>:"|?*]*[^\x00-\x1f<>:"|?* .]')


def folders(values: Mapping[str, Any], *, windows: bool = False) -> tuple[str, str]:
    """Return ``root`` and ``bin_dir``, absolute or with ``~`` or a variable of Windows in front.

    By default ``bin_dir`` is /usr/local/bin for the default root, else ``bin`` in the root, as it always is on Windows.

    :raises DeclarationError: a path is not absolute or has letters that are not allowed, or one folder is in the way of the other
    """
    folder = _windows_folder if windows else _folder
    root = folder("root", WINDOWS_ROOT if windows and values["root"] == DEFAULT_ROOT else values["root"])
    _check_letters("root", root)
    if not values["bin_dir"]:
        return root, "/usr/local/bin" if root == DEFAULT_ROOT else f"{root}/bin"
    bin_dir = folder("bin_dir", values["bin_dir"])
    _check_letters("bin_dir", bin_dir)
    _check_apart(root, bin_dir)
    return root, bin_dir


def _check_letters(option: str, path: str) -> None:
    if sanitized(path, None) != path:
        raise DeclarationError(
            f"{option} is {path!r}: give a path in UTF-8, without control characters and without invisible characters", (option,)
        )


def _check_apart(root: str, bin_dir: str) -> None:
    """
    :raises DeclarationError: a link, or something else of ours, belongs where the other folder is
    """
    if _IN_ROOT.fullmatch(_first_below(root, bin_dir)):
        raise DeclarationError(
            f"bin_dir is {bin_dir}, where the root {root} has a build or what belongs to one: choose another bin_dir",
            ("bin_dir",),
        )
    if _IN_BIN_DIR.fullmatch(_first_below(bin_dir, root)):
        raise DeclarationError(
            f"root is {root}, where a link in bin_dir {bin_dir} belongs: choose another root or bin_dir", ("root",)
        )


def _first_below(folder: str, path: str) -> str:
    """Return the first name of a path below a folder; nothing where it is not below it."""
    start = f"{folder}/".casefold()
    return path[len(start) :].partition("/")[0] if path.casefold().startswith(start) else ""


def _folder(option: str, value: str) -> str:
    head, *rest = value.split("/")
    names = [name for name in rest if name not in ("", ".")]
    unclear = ".." in names or " -> " in value or any(ord(character) < 32 for character in value)
    if head not in ("", "~") or not names or unclear:
        raise DeclarationError(f"{option} is {value!r}: give an absolute path below /, or one that begins with ~/", (option,))
    return "/".join((head, *names))


def _windows_folder(option: str, value: str) -> str:
    head, *rest = value.replace("\\", "/").split("/")
    names = [name for name in rest if name not in ("", ".")]
    unclear = " -> " in value or not all(map(_WINDOWS_NAME.fullmatch, names))
    if not _WINDOWS_HEAD.fullmatch(head) or not names or unclear:
        raise DeclarationError(
            f"{option} is {value!r}: for a Windows host, give an absolute path below a drive such as C:\\Python, "
            "or one that begins with ~\\ or a variable such as %ProgramData%\\",
            (option,),
        )
    return "/".join((head, *names))
