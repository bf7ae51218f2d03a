# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the build machine's paths, text by text."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.on_host import paths

PREFIX = "/opt/python/cpython-3.13"


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("prefix", "/install", PREFIX),
        ("LIBDIR", "/install/lib", f"{PREFIX}/lib"),
        ("INSTALL", "/usr/bin/install -c", "/usr/bin/install -c"),
        ("DESTDIRS", "/install /install/lib", f"{PREFIX} {PREFIX}/lib"),
        ("OTHER", "/installed /opt/install/x", "/installed /opt/install/x"),
        ("CC", "clang -pthread", "cc -pthread"),
        ("CC", "/tools/clang-linux64/bin/clang -pthread", "cc -pthread"),
        ("CC", "/usr/bin/aarch64-linux-gnu-gcc -pthread", "cc -pthread"),
        ("CC", "musl-clang", "cc"),
        ("CC", "clang-18", "cc"),
        ("CC", "cc", "cc"),
        ("CXX", "clang++ -pthread", "c++ -pthread"),
        ("CXX", "/usr/bin/x86_64-linux-gnu-g++", "c++"),
        ("LDSHARED", "clang -pthread -shared -L/tools/deps/lib", "cc -pthread -shared"),
        ("LDCXXSHARED", "clang++ -pthread -shared", "c++ -pthread -shared"),
        ("LINKCC", "clang -pthread", "cc -pthread"),
        ("AR", "/tools/clang-linux64/bin/llvm-ar", "ar"),
        ("AR", "ar", "ar"),
        ("RANLIB", "/tools/llvm/bin/llvm-ranlib", "ranlib"),
        ("LLVM_PROFDATA", "/tools/llvm/bin/llvm-profdata", "llvm-profdata"),
        ("CFLAGS", "-O3 -I/tools/deps/include -I/tools/deps/include/ncursesw -fPIC", "-O3 -fPIC"),
        ("CFLAGS", "-I. -I/tools/deps/include", "-I."),
        (
            "CFLAGS",
            "-arch arm64 -isysroot /Applications/Xcode.app/SDKs/MacOSX14.sdk -fPIC",
            "-arch arm64 -fPIC",
        ),
        ("CFLAGS", "-I/var/folders/24/8k48/T/tmp5g80mkyj/tools/deps/include -O2", "-O2"),
        ("CFLAGS", "-fdebug-default-version=4 -O2", "-O2"),
        ("CFLAGS", "-I/home/me/tools/include -I/opt/build/x", "-I/home/me/tools/include -I/opt/build/x"),
        ("LDFLAGS", "-L/tools/deps/lib -Wl,-rpath,/tools/deps/lib", ""),
        ("LDFLAGS", "-Wl,-rpath,/install/lib", f"-Wl,-rpath,{PREFIX}/lib"),
        ("RUNSHARED", "LD_LIBRARY_PATH=/build/Python-3.13.1", ""),
        ("TESTRUNNER", "LD_LIBRARY_PATH=/build/Python-3.13.1 ./python -E -m test", "./python -E -m test"),
        ("abs_srcdir", "/build/Python-3.13.1", ""),
        (
            "CONFIG_ARGS",
            "'--prefix=/install' 'LDFLAGS=-L/tools/x'",
            f"'--prefix={PREFIX}' 'LDFLAGS=-L/tools/x'",
        ),
    ],
)
def test_patch_value(name: str, value: str, wanted: str) -> None:
    assert paths.patch_value(name, value, PREFIX) == wanted
    assert paths.patch_value(name, wanted, PREFIX) == wanted


def test_patch_value_takes_a_prefix_literally() -> None:
    assert paths.patch_value("LIBDIR", "/install/lib", r"/a\1\g<0>") == r"/a\1\g<0>/lib"


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "Python": repr,
    "JSON": json.dumps,
    "Python, both quotes": lambda text: repr(f"{text} '\""),
}


@pytest.mark.parametrize(
    "former", ["/opt/python/cpython-3", "/it's", '/a "b"', "/both ' and \"", "/back\\slash", "/ö/蛇", "/build/x", "/install/x"]
)
@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_was_made_true_is_as_it_came_again(former: str, form: str) -> None:
    came = FORMS[form]("-I/install/include /install/lib /x/install")
    finished = FORMS[form](f"-I{former}/include {former}/lib /x/install")
    undone = paths.unfinished(finished, former)
    # Which quotes Python writes around a text depends on those in it.
    assert undone == came or ast.literal_eval(undone) == ast.literal_eval(came)


LONG = '#!/bin/sh\n\'\'\'exec\' "{}/cpython-3.13/bin/python3" "$0" "$@"\n\' {}/cpython-3.13\n'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("#!/old/cpython-3.13.1/bin/python3\nx", "#!/new/r/cpython-3.13.1/bin/python3\nx"),
        ("#!/old/cpython-3.13/bin/python3 -I", "#!/new/r/cpython-3.13/bin/python3 -I"),
        (LONG.format("/old", "/old"), LONG.format("/new/r", "/old")),
        ("#!/usr/old/cpython-3.13/bin/python3\n", "#!/usr/old/cpython-3.13/bin/python3\n"),
        ("#!/old/venv/bin/python3\n", "#!/old/venv/bin/python3\n"),
    ],
)
def test_the_first_lines_of_a_script(text: str, wanted: str) -> None:
    assert paths.patch_script(text, "/old/cpython-3.13.1", "/new/r/cpython-3.13.1") == wanted


SYSCONFIG = """# system configuration
build_time_vars = {'AR': '/tools/llvm/bin/llvm-ar',
 'CC': 'clang '
       '-pthread',
 'NEGATIVE': -1,
 'SIZEOF': 8,
 'prefix': '/install'}
"""


def test_patch_sysconfig_text() -> None:
    text = paths.patch_sysconfig_text(SYSCONFIG, PREFIX)
    assert text.splitlines()[:3] == ["# system configuration", "build_time_vars = {", "    'AR': 'ar',"]
    values = ast.literal_eval(text.partition(" = ")[2])
    assert values == {"AR": "ar", "CC": "cc -pthread", "NEGATIVE": -1, "SIZEOF": 8, "prefix": PREFIX, **paths.MARK}
    assert paths.patch_sysconfig_text(text, PREFIX) == text


@pytest.mark.parametrize("text", ["", "x = {}\n", "build_time_vars = {'a': f()}\n", "build_time_vars = {"])
def test_sysconfig_that_is_none(text: str) -> None:
    with pytest.raises(paths.Unreadable, match="sysconfig data"):
        paths.patch_sysconfig_text(text, PREFIX)


def test_patch_json_text() -> None:
    text = json.dumps({"prefix": "/install", "CC": "clang", "n": 1, "c_api": {"headers": "/install/include"}})
    assert json.loads(paths.patch_json_text(text, PREFIX)) == {
        "prefix": PREFIX,
        "CC": "cc",
        "n": 1,
        "c_api": {"headers": f"{PREFIX}/include"},
    }


def test_patch_lines_text() -> None:
    text = "prefix=/install\nLibs.private: -L/tools/deps/lib -ldl\nCC=\t\tclang\n\tcp x /install/bin\n# clang\n"
    wanted = f"prefix={PREFIX}\nLibs.private: -ldl\nCC=\t\tcc\n\tcp x {PREFIX}/bin\n# clang\n"
    assert paths.patch_lines_text(text, PREFIX) == wanted


SHELL = "exit_with_usage ()\n{\n    exit $1\n}\n"
PYTHON = "import sysconfig\n"
HANDOVER = '"exec" "$(dirname $0)/python3.9" "$0" "$@"\n'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"#!/bin/sh\n{HANDOVER}\n{SHELL}", f"#!/bin/sh\n\n{SHELL}"),
        (f"#!/bin/sh\n\n{SHELL}", f"#!/bin/sh\n\n{SHELL}"),
        (f"#!/bin/sh\n{HANDOVER}{PYTHON}", f"#!/bin/sh\n{HANDOVER}{PYTHON}"),
        (f"#!/usr/bin/env bash\n{HANDOVER}{SHELL}", f"#!/usr/bin/env bash\n{HANDOVER}{SHELL}"),
        ("#!/bin/sh", "#!/bin/sh"),
        ("", ""),
    ],
    ids=["shell that Python would get", "shell", "Python", "another shell", "one line", "empty"],
)
def test_a_config_script_of_shell_is_run_by_the_shell(text: str, wanted: str) -> None:
    assert paths.patch_config_script(text, PREFIX) == wanted
