# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles a standard library to the same bytes on every run. Python imports such bytecode without comparing it with its source.

The order of a set's elements follows the hash seed, and which constants marshal shares follows what a process imported and
compiled before. So each of SHARES fixed parts has its own process, whose seed is 0, and none writes before all have imported
what they need from source.

Sent beside finish.py with compile_bytecode; standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import py_compile
import sys
from functools import partial
from subprocess import PIPE, Popen, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

SHARES = 4
# -I would ignore the hash seed. Without -I, Python could import a module from the current folder instead of the standard library.
BOOT = (
    "import sys; del sys.path[0], sys.argv[0]; __file__ = sys.argv[0]; "
    "exec(compile(open(__file__, encoding='utf-8').read(), __file__, 'exec'))"
)
PASSED = ("SYSTEMROOT", "PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "LC_ALL")


class Unable(Exception):
    """No Python here can compile for the build: a sentence."""


def compiler(version: str) -> str:
    """Return a Python of this machine with the bytecode of `version`; each pre-release has its own.

    :raises Unable: there is none
    """
    minor = version.split(".")[:2]
    name = "python" + ".".join(minor)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = []
    for path in [sys.executable, *(os.path.join(folder, name) for folder in folders)]:
        try:
            done = run([path, "-I", "-B", "-c", "import sys; print(sys.version.split()[0])"], stdout=PIPE, check=False)
        except OSError:
            continue
        said = done.stdout.decode(errors="replace").strip()
        final = (said + version).replace(".", "").isdigit()
        if said == version or (final and said.split(".")[:2] == minor):
            return path
        found.append(said)
    raise Unable(
        "bytecode of %s needs a Python %s, and this machine has %s" % (version, ".".join(minor), ", ".join(dict.fromkeys(found)))
    )


def compile_tree(python: str, finisher: str, tree: str, final: str, library: str) -> None:
    """Let `python` compile every module below `library` for its path below `final`.

    :param finisher: path of finish.py, which calls `compile_share` in each process
    :raises OSError: bytecode can't be written
    """
    environment = {key: os.environ[key] for key in PASSED if key in os.environ}
    environment["PYTHONHASHSEED"] = "0"
    command = [python, "-s", "-S", "-B", "-W", "ignore", "-c", BOOT, finisher, "compile", tree, final, library]
    running = [Popen([*command, str(share)], env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE) for share in range(SHARES)]
    for process in running:
        _pipe(process.stdout).readline()
    for process in running:
        _pipe(process.stdin).close()
    said = [(_pipe(process.stderr).read().decode(errors="replace"), process.wait()) for process in running]
    for text in (text.strip() for text, status in said if status):
        number = next((number for number in errno.errorcode if "[Errno %d]" % number in text), 0)
        raise OSError(number, "bytecode could not be written", text.rpartition("\n")[2])


def compile_share(patiently: Callable[[Callable[[], object]], None], tree: str, final: str, library: str, share: str) -> None:
    """Compile every SHARES-th module, except those that aren't valid for this Python, such as templates."""
    paths = sources(library)[int(share) :: SHARES]
    print("ready", flush=True)
    sys.stdin.readline()
    for path in paths:
        compile_one = partial(
            py_compile.compile,
            path,
            cfile=importlib.util.cache_from_source(path, optimization=""),
            dfile=os.path.join(final, os.path.relpath(path, tree)),
            doraise=True,
            optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        try:
            patiently(compile_one)
        except py_compile.PyCompileError:
            continue


def sources(library: str) -> list[str]:
    """Return all modules below the standard library's folder, in a fixed order."""
    found = []
    for folder, folders, files in os.walk(library):
        folders.sort()
        found += [os.path.join(folder, name) for name in sorted(files) if name.endswith(".py")]
    return found


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the process was started without a pipe")
    return stream
