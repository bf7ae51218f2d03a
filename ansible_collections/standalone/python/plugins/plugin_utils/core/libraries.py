# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python packages that the controller needs and may lack, such as after an installation from Galaxy alone.

Modules import them where they use them. Front ends run all of their work in :func:`libraries_explained`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import TransportError

# As in the collection's requirements.txt.
LIBRARIES = ("filelock", "packaging", "platformdirs", "requests", "truststore", "urllib3", "zstandard")


@contextmanager
def libraries_explained() -> Iterator[None]:
    """Replace the error of a missing package by one that names all missing packages and the command that installs them.

    :raises TransportError: a package is missing
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] in LIBRARIES:
            raise missing_libraries() from None
        raise


def missing_libraries(instead: str = "") -> TransportError:
    """Return the error that names the missing packages, the interpreter that lacks them, and the command that installs them.

    :param instead: what a user can do without them
    """
    import shlex
    import sys
    from importlib import import_module

    missing = []
    for name in LIBRARIES:
        try:
            import_module(name)
        except ImportError:
            missing.append(name)
    *most, last = missing or LIBRARIES
    packages = f"packages {', '.join(most)} and {last}, which are" if most else f"package {last}, which is"
    command = f"{shlex.quote(sys.executable)} -m pip install {' '.join([*most, last])}"
    return TransportError(
        f"standalone-python needs the Python {packages} not installed for {sys.executable} on the controller: "
        f"run {command}{f', or {instead}' if instead else ''}"
    )
