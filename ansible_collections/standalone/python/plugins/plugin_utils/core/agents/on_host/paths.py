# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces the paths of the build machine in texts of a build by those of the host.

Upstream builds with clang and --prefix=/install, in /build, with compilers and static libraries in /tools
(on macOS in a temporary folder that holds the two), and records all of it in sysconfig's data, Makefile and pkg-config
files. Source: its page on quirks, and reports to it and to the two projects that patch it after unpacking, uv and
sysconfigpatcher.

Sent beside finish.py; standard library only, Python 3.8 and later. All this goes by words and not by patterns: to import
``re`` costs a third of what the whole finisher does.
"""

from __future__ import annotations

import os
from itertools import groupby, zip_longest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

BUILT_FOR, BUILT_IN = "/install", ("/build", "/tools")
QUOTES = "'\",:"
FOLDER_FLAGS = ("-I", "-L", "-F", "-isystem", "-iquote", "-idirafter")
COMPILER_NAMES = ("clang", "gcc", "g", "c", "cc")
CC, CXX = "cc", "c++"
COMPILERS = {
    "CC": CC,
    "MAINCC": CC,
    "LINKCC": CC,
    "LDSHARED": CC,
    "BLDSHARED": CC,
    "CXX": CXX,
    "LDCXXSHARED": CXX,
}
TOOLS = {
    "AR": "ar",
    "RANLIB": "ranlib",
    "NM": "nm",
    "STRIP": "strip",
    "READELF": "readelf",
    "OBJCOPY": "objcopy",
}
NAMED = (*COMPILERS, *TOOLS)
# How it was configured is history: only the prefix is replaced.
RECORDS = frozenset(["CONFIG_ARGS"])
# Of a shell script named python3.X-config: the line that starts Python instead, and a line that is shell for sure.
HANDOVER, SHELL_FUNCTION = '"exec" "$(dirname $0)/python', "exit_with_usage ()"
# By this uv, which sets it too, knows a build that may be reached by links from elsewhere: it then makes environments
# of the build's own folder, and without it of the folder of a link such as /usr/local/bin, where they don't start.
MARK = {"PYTHON_BUILD_STANDALONE": 1}


class Unreadable(Exception):
    """Data that CPython does not write so: a sentence that says where."""


def patch_prefix(text: str, prefix: str, built_for: str = BUILT_FOR) -> str:
    """Replace each ``/install`` that begins a path by `prefix`, also after ``-L``, ``-I`` or ``-F``."""
    parts = []
    done, at = 0, text.find(built_for)
    while at >= 0:
        end = at + len(built_for)
        before, after = text[:at][-1:], text[end : end + 1]
        begins = not before.strip() or before in QUOTES + "=;(!" or text[:at][-2:] in FOLDER_FLAGS
        if begins and (not after.strip() or after in QUOTES + "/;)\\"):
            parts += [text[done:at], prefix]
            done = end
        at = text.find(built_for, end)
    return "".join(parts) + text[done:]


def unfinished(text: str, former: str) -> str:
    """Return the text as upstream built it, if it was patched for the prefix `former` before.

    That prefix may be written as a text of Python or of JSON.
    """
    import json

    escaped = former.replace("\\", "\\\\").replace("'", "\\'")
    for form in {former: 1, repr(former)[1:-1]: 1, escaped: 1, json.dumps(former)[1:-1]: 1}:
        text = patch_prefix(text, BUILT_FOR, form)
    return text


def patch_script(text: str, former: str, prefix: str) -> str:
    """Replace the interpreter of a script, if it is in the root of `former`, by its folder or by a stable link."""
    old, new = (path.rpartition("/")[0] + "/cpython-" for path in (former, prefix))
    lines = text.split("\n", 2)
    for at, line in enumerate(lines[:2]):
        if at and not line.startswith("'''exec' "):
            continue
        for before in ("#!", " ", '"', "'"):
            line = line.replace(before + old, before + new)
        lines[at] = line
    return "\n".join(lines)


def is_foreign(path: str) -> bool:
    """Whether the path is in a folder of the build machine; on macOS these are in a temporary folder."""
    parts = (path[len("/private") :] if path.startswith("/private/") else path).split("/", 7)
    if parts[:3] == ["", "var", "folders"] and parts[5:6] == ["T"] and len(parts) == 8:
        path = "/" + parts[7]
    return any(path.startswith(top) and path[len(top) :][:1] in ("", "/", *QUOTES) for top in BUILT_IN)


def is_foreign_flag(word: str) -> bool:
    """Whether only the build machine or its compiler could use the word."""
    name, _equals, value = word.partition("=")
    if name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        return is_foreign(value)
    if name in ("-isysroot", "-fdebug-default-version"):
        return bool(value)  # the SDK, where the host's compiler has its own; and what only clang 9 and later knows
    return word.startswith("-") and is_foreign(word[word.find("/") :])


def without_foreign_flags(text: str) -> str:
    """Remove flags, some of which are two words, with the white space after them."""
    runs = ["".join(run) for _space, run in groupby(text, str.isspace)]
    if text[:1].isspace():
        runs.insert(0, "")
    words, kept = list(zip_longest(runs[::2], runs[1::2], fillvalue="")), []
    while words:
        word, space = words.pop(0)
        if words and (word == "-isysroot" or (word in FOLDER_FLAGS and is_foreign(words[0][0]))):
            words.pop(0)
        elif not is_foreign_flag(word):
            kept.append(word + space)
    return "".join(kept)


def is_plain(name: str) -> bool:
    return name[:1] != "-" and all(char.isalnum() or char in "_.+-" for char in name)


def program(word: str) -> str:
    """Return a program's plain name: gcc for ``bin/x86_64-linux-gnu-gcc-12``."""
    name = word.rpartition("/")[2]
    stem, dash, version = name.rpartition("-")
    if dash and not version.strip("0123456789."):
        name = stem
    return (name[:-2] if name.endswith("++") else name).rpartition("-")[2] if is_plain(name) else ""


def program_here(variable: str, word: str) -> str:
    """Return the host's program for a variable with a program of the build machine; else ''."""
    if variable in COMPILERS:
        return COMPILERS[variable] if program(word) in COMPILER_NAMES else ""
    if variable in TOOLS:
        return TOOLS[variable] if program(word) == TOOLS[variable] else ""
    name = word.rpartition("/bin/")[2] if is_foreign(word) else ""
    return name if is_plain(name) else ""


def patch_value(name: str, value: str, prefix: str) -> str:
    """Return the value of a variable for a build in `prefix`."""
    if "/" not in value and "-fdebug" not in value and name not in COMPILERS:
        return value  # most of them
    if name in RECORDS:
        return patch_prefix(value, prefix)
    first = (value.split(None, 1) or [""])[0]
    here = program_here(name, first) if value.startswith(first) else ""
    if here:
        value = here + value[len(first) :]
    if value.split() == [value] and is_foreign(value):
        return ""
    kept = without_foreign_flags(value)
    return patch_prefix(kept if kept == value else kept.rstrip(), prefix)


def literal(node: Any) -> object:
    """Return the value of a literal's syntax tree; sysconfig data has texts and numbers."""
    kind = type(node).__name__
    if kind == "Constant":
        return node.value
    if kind == "UnaryOp" and type(node.op).__name__ == "USub":
        number = literal(node.operand)
        if isinstance(number, (int, float)):
            return -number
    raise Unreadable("sysconfig data has a %s in line %s" % (kind, getattr(node, "lineno", "?")))


def parse_sysconfig(text: str) -> tuple[str, dict[str, object]]:
    """Return the text before ``build_time_vars`` in a ``_sysconfigdata_*.py``, and that dict; nothing is run."""
    import _ast  # ast itself compiles for longer than all of this takes

    try:
        module: Any = compile(text, "_sysconfigdata.py", "exec", _ast.PyCF_ONLY_AST)
    except (SyntaxError, ValueError) as error:
        raise Unreadable("sysconfig data can't be parsed: %s" % error) from error
    for statement in module.body:
        if (
            type(statement).__name__ == "Assign"
            and getattr(statement.targets[0], "id", "") == "build_time_vars"
            and type(statement.value).__name__ == "Dict"
        ):
            values = statement.value.values
            found = {str(literal(key)): literal(values[at]) for at, key in enumerate(statement.value.keys)}
            head = "".join(line + "\n" for line in text.splitlines()[: statement.lineno - 1])
            return head, found
    raise Unreadable("sysconfig data has no dict build_time_vars")


def patched(variables: Mapping[str, object], prefix: str) -> dict[str, object]:
    return {name: patch_value(name, value, prefix) if isinstance(value, str) else value for name, value in variables.items()}


def patch_sysconfig_text(text: str, prefix: str) -> str:
    """Patch ``_sysconfigdata_*.py``: one value a line, sorted. Patching again changes nothing."""
    head, variables = parse_sysconfig(text)
    lines = ["    %r: %r,\n" % item for item in sorted({**patched(variables, prefix), **MARK}.items())]
    return head + "build_time_vars = {\n" + "".join(lines) + "}\n"


def patch_json_text(text: str, prefix: str) -> str:
    """Patch ``_sysconfig_vars_*.json`` or ``build-details.json`` (Python 3.14 and later)."""
    import json

    def walk(name: str, value: object) -> object:
        if isinstance(value, dict):
            return {key: walk(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(name, inner) for inner in value]
        return patch_value(name, value, prefix) if isinstance(value, str) else value

    try:
        content = json.loads(text)
    except ValueError as error:
        raise Unreadable("sysconfig data can't be parsed: %s" % error) from error
    return json.dumps(walk("", content), indent=2, sort_keys=True) + "\n"


def patch_lines_text(text: str, prefix: str) -> str:
    """Patch the assignments of a Makefile or a pkg-config file, and the prefix everywhere."""

    def line_of(line: str) -> str:
        if "/" not in line and not line.startswith(NAMED):
            return line
        before = line.replace(":", "=").partition("=")[0]
        name, value = before.rstrip(" \t"), line[len(before) + 1 :].lstrip(" \t")
        if not name.replace(".", "_").isidentifier() or not value.strip() or value.startswith("="):
            return patch_prefix(line, prefix)
        return line[: len(line) - len(value)] + patch_value(name, value, prefix)

    return "\n".join(map(line_of, text.split("\n")))


def patch_config_script(text: str, _prefix: str) -> str:
    """Return ``python3.X-config`` without the line that hands a shell script to Python.

    In 2022 upstream replaced the first line of each script in ``bin`` by such a handover, also where the rest was shell.
    """
    lines = text.split("\n")
    if lines[:1] == ["#!/bin/sh"] and lines[1:2] and lines[1].startswith(HANDOVER) and SHELL_FUNCTION in lines:
        del lines[1]
    return "\n".join(lines)


def patches(library: str) -> Iterator[tuple[str, Callable[[str, str], str]]]:
    """Return the files with paths of the build machine, each with the function that patches it."""
    for name in sorted(os.listdir(library)):
        path = library + "/" + name
        if name.startswith("_sysconfigdata_") and name.endswith(".py"):
            yield path, patch_sysconfig_text
        elif name == "build-details.json" or (name.startswith("_sysconfig_vars_") and name.endswith(".json")):
            yield path, patch_json_text
        elif name.startswith("config-"):
            for file, patch in (("Makefile", patch_lines_text), ("python-config.py", patch_prefix)):
                if os.path.isfile(path + "/" + file):
                    yield path + "/" + file, patch
    script = os.path.dirname(os.path.dirname(library)) + "/bin/" + os.path.basename(library) + "-config"
    if os.path.isfile(script):
        yield script, patch_config_script
    folder = os.path.dirname(library) + "/pkgconfig"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith(".pc"):
            yield folder + "/" + name, patch_lines_text
