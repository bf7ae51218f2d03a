# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that this interpreter is complete. Sent beside finish.py; standard library only, Python 3.8 and later."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

WINDOWS = os.name == "nt"


class Broken(Exception):
    """The interpreter is not complete: a code of finish.py and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def check_interpreter(tree: str, version: str) -> None:
    """Check prefix and version. A CPython without its library silently uses the folder that it was built for.

    :raises Broken: they differ
    """
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        found = getattr(sys, name)
        if os.path.realpath(found) != tree:
            raise Broken("prefix", "the interpreter of %s runs with sys.%s %s" % (tree, name, found))
    if not os.path.realpath(os.__file__ or "").startswith(tree + os.sep):
        raise Broken("prefix", "the interpreter of %s uses the library %s" % (tree, os.__file__))
    reported = sys.version.split()[0]
    if reported != version:
        raise Broken("version", "expected was %s, but the interpreter reports %s" % (version, reported))


def missing_modules(modules: Mapping[str, str], library: str, listed: Iterable[str]) -> list[str]:
    """Return those of `modules` whose extension this build lacks.

    :param modules: module to the extension that it needs
    :param listed: the build's list of files
    :raises Broken: a module can't be imported, although the build has its extension

    Only the extension is loaded, as it may need something that the host lacks. Of the module's Python files the existence is
    checked: they came with the verified archive, and compiling them would take four times as long.
    """
    missing = []
    for name, extension in sorted(modules.items()):
        try:
            written = [
                os.path.join(library, *(name + end).split("/")) for end in (".py", "/__init__.py", ".pyc", "/__init__.pyc")
            ]
            if name != extension and not any(map(os.path.isfile, written)):
                raise ModuleNotFoundError("No module named '%s'" % name, name=name)
            __import__(extension)
        except Exception as error:
            lacking = isinstance(error, ModuleNotFoundError) and error.name in (name, extension)
            if not lacking or carries(extension, library, listed):
                raise Broken("module", "import %s: %s: %s" % (name, type(error).__name__, error)) from error
            missing.append(name)
    return missing


def beside(work: Callable[[], list[str]], more: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """Start `work` in another process, and then `more`; call the result to get what they returned or `work` raised.

    Loading the extensions takes a third of this program's time. The process may die in `more`.
    """
    if not hasattr(os, "fork"):
        return lambda: work() + more()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                text = "\n".join(["ok", *work()])
            except Broken as failure:
                text = "%s\n%s" % (failure.code, " ".join(str(failure).split()))
                more = list
            os.write(writing, text.encode("utf-8", "backslashreplace"))
            os.write(writing, "\n".join(["", *more()]).encode("ascii"))
        finally:
            os._exit(0)
    os.close(writing)

    def result() -> list[str]:
        with open(reading, encoding="utf-8") as pipe:
            code, *lines = pipe.read().split("\n")
        status = os.waitpid(child, 0)[1]
        if code == "ok":
            return [line for line in lines if line]
        if not code:
            raise Broken("module", "the interpreter died (wait status %d) while importing modules" % status)
        raise Broken(code, "".join(lines))

    return result


def carries(extension: str, library: str, listed: Iterable[str]) -> bool:
    """Whether the build has the extension, or its list names it."""
    if extension in sys.builtin_module_names:
        return True
    folder = os.path.join(os.path.dirname(library), "DLLs") if WINDOWS else library + "/lib-dynload"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    here = any(name.startswith(extension + ".") for name in names)
    return here or any("lib-dynload/%s." % extension in path or "DLLs/%s." % extension in path for path in listed)
