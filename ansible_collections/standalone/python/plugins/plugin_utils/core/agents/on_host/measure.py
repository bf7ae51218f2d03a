# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the versions of the components that this build contains.

A module that can't be imported, or tells nothing, leaves its component out: that never fails an installation. Names are those of
the controller's table. Sent beside finish.py; standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ALLOWED = "0123456789abcdefghijklmnopqrstuvwxyz."
LONGEST = 32
# Name, module, attribute, and the text before the version. Of modules that tell two names, the first with the text counts.
MODULES = (
    ("libressl", "_ssl", "OPENSSL_VERSION", "LibreSSL "),
    ("openssl", "_ssl", "OPENSSL_VERSION", "OpenSSL "),
    ("sqlite", "_sqlite3", "sqlite_version", ""),
    ("expat", "pyexpat", "EXPAT_VERSION", "expat_"),
    ("zlib-ng", "zlib", "ZLIBNG_VERSION", ""),
    ("zlib", "zlib", "ZLIB_RUNTIME_VERSION", ""),
    ("ncurses", "_curses", "ncurses_version", ""),
    ("zstd", "_zstd", "zstd_version", ""),
    ("mpdecimal", "_decimal", "__libmpdec_version__", ""),
)
# On macOS these are the system's, which the build does not contain.
OF_MACOS = ("zlib", "ncurses")
# Where Tcl and Tk name their own release; importing _tkinter gives only the first two numbers.
SCRIPTS = (("tcl", "init.tcl"), ("tk", "tk.tcl"))
REQUIRED = "package require -exact "
PACKAGES = ("pip", "setuptools")


def versions(library: str) -> list[str]:
    """Return ``NAME=VERSION`` texts of the libraries that the build contains; the version is empty where it is unknown.

    :param library: the folder of the standard library
    """
    return listed(from_scripts(library)) + listed(from_modules())


def packages(library: str, bundled: str) -> list[str]:
    """Return the same of pip and setuptools, and of their wheels in ensurepip, which new virtual environments get.

    :param bundled: the metadata folders of the build's packages, separated by spaces
    """
    return listed(from_packages(library, bundled))


def by_name(texts: Iterable[str]) -> dict[str, str]:
    """Return component to version of ``NAME=VERSION`` texts; others are left out."""
    return dict(text.split("=", 1) for text in texts if "=" in text)


def listed(source: Iterator[tuple[str, object]]) -> list[str]:
    found: dict[str, str] = {}
    try:
        for name, version in source:
            found.setdefault(name, checked(version))
    except Exception:  # noqa: S110
        pass  # what was found before remains
    return ["%s=%s" % pair for pair in found.items()]


def checked(version: object) -> str:
    """Return a version that is fit for a receipt; empty for all other texts."""
    text = str(version)
    return text if len(text) <= LONGEST and "0" <= text[:1] <= "9" and not text.strip(ALLOWED) else ""


def from_modules() -> Iterator[tuple[str, object]]:
    asked: set[str] = set()
    for name, module, attribute, before in MODULES:
        if module in asked or (sys.platform == "darwin" and name in OF_MACOS):
            continue
        try:
            value = getattr(__import__(module), attribute, None)
        except Exception:  # noqa: S112
            continue
        if name == "ncurses" and value is not None:
            value = "%d.%d" % value[:2]
        if isinstance(value, str) and value.startswith(before):
            asked.add(module)
            yield name, (value[len(before) :].split() or [""])[0]


def from_scripts(library: str) -> Iterator[tuple[str, object]]:
    home = os.path.dirname(library)
    folder = os.path.join(home, "tcl") if os.name == "nt" else home
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for component, script in SCRIPTS:
        for name in names:
            path = os.path.join(folder, name, script)
            # Not tcl8, which has no init.tcl.
            if not name.startswith(component) or not os.path.isfile(path):
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line[len(REQUIRED) :].split() for line in file if line.startswith(REQUIRED)]
            for words in lines:
                if len(words) == 2 and words[0].lower() == component:
                    yield component, words[1]


def from_packages(library: str, bundled: str) -> Iterator[tuple[str, object]]:
    for folder in bundled.split():
        name, _dash, version = folder[: -len(".dist-info")].partition("-")
        if name in PACKAGES:
            yield name, version
    wheels = os.path.join(library, "ensurepip", "_bundled")
    for wheel in sorted(os.listdir(wheels)) if os.path.isdir(wheels) else ():
        name, _dash, rest = wheel.partition("-")
        if name in PACKAGES and wheel.endswith(".whl"):
            yield "ensurepip-" + name, rest.partition("-")[0]
