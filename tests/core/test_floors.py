# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the core is built, read from its imports: which room may lean on which, which may touch the world."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import errors

CORE = Path(str(errors.__file__)).parent
PACKAGE = "ansible_collections.standalone.python.plugins.plugin_utils.core"
REPOSITORY = CORE.parents[len(PACKAGE.split(".")) - 1]
# Dotted names below the core, without the scripts that run on hosts: "errors", "builds.request".
MODULES = {
    ".".join(path.relative_to(CORE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(CORE.rglob("*.py"))
    if "on_host" not in path.parts
}

# What a package may import besides itself and BELOW. Each names only packages above it in this table, so that there is no circle.
PACKAGES: dict[str, frozenset[str]] = {
    "builds": frozenset(),
    "state": frozenset({"builds"}),
    "security": frozenset({"builds", "state"}),
    "agents": frozenset({"builds", "state", "security"}),
    "archives": frozenset({"builds"}),
    "supply": frozenset({"builds", "state", "security", "archives"}),
    "mirrors": frozenset({"builds", "security", "archives", "supply"}),
}
# Modules of no package: what every package may import, and what may import every package.
BELOW = {"errors", "digits", "lazy", "libraries", "nearest", "progress"}
ABOVE = {"delivery", "ensure", "memory", "info", "reporting", "script"}

# Who touches files or processes at all.
WORLDLY = {
    *(
        "archives.archive",
        "archives.cache",
        "archives.contents",
        "archives.delta",
        "archives.deltas",
        "archives.fetch",
        "archives.store",
        "archives.tarstream",
        "archives.texts",
    ),
    *("archives.link_lock", "archives.overlap", "archives.partial", "archives.resume", "archives.unzstd"),
    *("supply.catalogues", "supply.lock", "supply.policy", "supply.known_tables", "supply.update", "supply.user_catalogue"),
    *(
        "mirrors.deltas",
        "mirrors.mirror",
        "mirrors.s3",
        "mirrors.s3_client",
        "mirrors.s3_lock",
        "mirrors.storage",
        "mirrors.sync",
    ),
}
# Who else may import what: reading data that lies beside the module, and names of types, of exceptions and of a parameter's default.
EXCEPTIONS = {
    "archives.attestation": {"logging"},
    "builds.catalogue": {"os", "open"},
    "security.components": {"os", "open"},
    "libraries": {"importlib"},
    "progress": {"time"},
    "reporting": {"datetime", "pathlib"},
    "security.fleet_bom": {"datetime"},
    "security.page": {"os", "open"},
    "security.report": {"datetime"},
    "security.formats": {"datetime", "io"},
    "security.tables": {"datetime"},
    "lazy": {"threading"},
    "archives.compression": {"zstandard"},
    "archives.failure": {"os", "pathlib", "socket", "ssl", "http", "requests", "urllib3", "time"},
    "agents.sh": {"os", "open"},
    "delivery": {"pathlib"},
    "ensure": {"pathlib"},
    "memory": {"time"},
    "supply.supply": {"os"},
    "archives.source": {"os"},
}
NETWORK = {
    "socket",
    "ssl",
    "http",
    "requests",
    "urllib3",
    "ftplib",
    "asyncio",
    "socketserver",
    "urllib.request",
    "boto3",
    "botocore",
}
WORLD = NETWORK | {
    *("os", "pathlib", "io", "shutil", "tempfile", "glob", "fcntl", "mmap", "tarfile", "zipfile", "gzip", "lzma", "bz2"),
    *("subprocess", "multiprocessing", "threading", "concurrent", "signal", "ctypes", "pwd", "grp", "platform", "importlib"),
    *("filelock", "platformdirs", "zstandard", "time", "datetime", "random", "logging", "ansible"),
}
CALLS = {"open", "exec", "eval", "compile", "__import__", "input", "print"}


def imports(tree: ast.AST) -> Iterator[str]:
    """Absolute imports anywhere in a module, whole names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(name: str) -> Iterator[str]:
    """The modules of the core that a module imports, also late or for types only, by their dotted names."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = name.split(".")[: -node.level]
            assert len(name.split(".")) >= node.level, f"{name} imports from outside the core"
            found = ".".join([*above, *([node.module] if node.module else [])])
            yield from [found] if found in MODULES else [f"{found}.{alias.name}".lstrip(".") for alias in node.names]


def reaches(tree: ast.AST) -> set[str]:
    """What a module uses to touch the world."""
    found = set()
    for name in imports(tree):
        found |= {known for known in WORLD if name == known or name.startswith(f"{known}.")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.add(node.func.id)
    return found


def package(name: str) -> str:
    """The package of a module; empty where it is in none."""
    return name.rpartition(".")[0]


def test_every_module_is_in_a_package() -> None:
    assert {name for name in MODULES if not package(name)} == BELOW | ABOVE
    assert {package(name) for name in MODULES} - {""} == set(PACKAGES)


def test_packages_are_listed_from_the_bottom() -> None:
    for number, (name, others) in enumerate(PACKAGES.items()):
        assert others <= set(list(PACKAGES)[:number]), name


@pytest.mark.parametrize("name", sorted(set(MODULES) - ABOVE))
def test_no_import_goes_upward(name: str) -> None:
    permitted = BELOW | {
        other for other in MODULES if package(name) and package(other) in PACKAGES[package(name)] | {package(name)}
    }
    assert set(rooms(name)) - permitted == set()


def test_no_rooms_lean_on_each_other_in_a_circle() -> None:
    leans = {name: set(rooms(name)) for name in MODULES}
    while free := [name for name, others in leans.items() if not others & set(leans)]:
        for name in free:
            del leans[name]
    assert leans == {}


@pytest.mark.parametrize("name", sorted(set(MODULES) - WORLDLY))
def test_who_may_touch_files_and_processes(name: str) -> None:
    assert reaches(MODULES[name]) - EXCEPTIONS.get(name, set()) == set()


@pytest.mark.parametrize(
    "name",
    sorted(
        set(MODULES)
        - {"archives.fetch", "archives.failure", "archives.partial", "mirrors.s3", "mirrors.s3_client", "mirrors.s3_lock"}
    ),
)
def test_only_fetch_and_s3_touch_the_network(name: str) -> None:
    assert reaches(MODULES[name]) & NETWORK == set()


def test_pure_rooms_that_read_do_not_write() -> None:
    writing = {"write_text", "write_bytes", "mkdir", "unlink", "rename", "touch", "symlink_to", "remove", "makedirs"}
    for name in EXCEPTIONS:
        attributes = {node.attr for node in ast.walk(MODULES[name]) if isinstance(node, ast.Attribute)}
        assert attributes & writing == set(), name


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_no_test_of_this_folder_starts_a_process(path: Path) -> None:
    """Such tests are slow, and depend on what a machine has installed."""
    found = {name.partition(".")[0] for name in imports(ast.parse(path.read_text(encoding="utf-8")))}
    assert found & {"subprocess", "multiprocessing", "pty"} == set()


def test_these_tables_say_nothing_too_much() -> None:
    """An exception that nobody needs any more goes."""
    for name, allowed in EXCEPTIONS.items():
        assert allowed <= reaches(MODULES[name]), name


# Its first statement takes the working directory out of sys.path: interpreters before 3.11 have no -P, and -I drops PYTHONHASHSEED.
OWN_GUARD = "BOOT"


def child_pythons(tree: ast.AST) -> Iterator[list[str]]:
    """The words of every command that runs Python code by ``-c`` or ``-m``, constants and names as they are written."""
    for node in ast.walk(tree):
        elements = node.elts if isinstance(node, (ast.List, ast.Tuple)) else node.args if isinstance(node, ast.Call) else []
        words = [str(one.value) if isinstance(one, ast.Constant) else ast.unparse(one) for one in elements]
        if {"-c", "-m"} & set(words) and not {"sh", "/bin/sh"} & set(words):
            yield words


@pytest.mark.parametrize(
    "folder", ["ansible_collections", "benchmarks", "demo", "docs", "pyinfra_ops", "scripts", "standalone_python"]
)
def test_no_child_python_looks_for_modules_in_the_working_directory(folder: str) -> None:
    unsafe = [
        f"{path.relative_to(REPOSITORY)}: {' '.join(words)}"
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for words in child_pythons(ast.parse(path.read_text(encoding="utf-8")))
        if not {"-I", "-P", OWN_GUARD} & set(words)
    ]
    assert unsafe == []


@pytest.mark.parametrize("path", sorted(CORE.glob("agents/on_host/*.sh")), ids=lambda path: path.name)
def test_an_agent_starts_python_isolated(path: Path) -> None:
    assert re.findall(r'"[^"\n]*python[^"\n]*" -(?!I ).*', path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", MODULES)
def test_numbers_are_read_by_one_function(name: str) -> None:
    """``²`` is a digit to Python, and no number; so is ``\\d`` of a pattern."""
    for node in ast.walk(MODULES[name]):
        assert not (isinstance(node, ast.Attribute) and node.attr in ("isdecimal", "isnumeric"))
        # Those of bytes are ASCII.
        assert not (isinstance(node, ast.Attribute) and node.attr == "isdigit") or name == "archives.tarstream"
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, str) and "\\d" in node.value)


def test_no_test_module_imports_another() -> None:
    """What several of them need is in tests/tools, in a conftest.py or in a module beside them; fixtures and relative imports too."""
    found = [
        f"{path.relative_to(REPOSITORY)}: {node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for path in sorted((REPOSITORY / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if any(part.startswith("test_") for part in f"{getattr(node, 'module', '')}.{alias.name}".split("."))
    ]
    assert found == []


COMMAND_LINE = REPOSITORY / "standalone_python"


def imported_by(path: Path) -> Iterator[str]:
    """The modules of the command line that one of them imports, also late or by a name in a text: ``cli``, ``commands.lock``."""
    known = {".".join(one.relative_to(COMMAND_LINE).with_suffix("").parts) for one in COMMAND_LINE.rglob("*.py")}
    here = path.relative_to(COMMAND_LINE).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = here[: -node.level]
            found = ".".join([*above, *([node.module] if node.module else [])])
            yield from {found, *(f"{found}.{alias.name}".lstrip(".") for alias in node.names)} & known
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("standalone_python."):
            yield from {node.value.removeprefix("standalone_python.").partition(":")[0]} & known


def test_no_modules_of_the_command_line_import_each_other_in_a_circle() -> None:
    leans = {
        ".".join(path.relative_to(COMMAND_LINE).with_suffix("").parts): set(imported_by(path))
        for path in COMMAND_LINE.rglob("*.py")
    }
    assert {"commands.apply", "commands.mirror"} <= leans["cli"]
    while free := [name for name, others in leans.items() if not others & set(leans)]:
        for name in free:
            del leans[name]
    assert leans == {}


def test_the_list_of_pyinfras_names_is_what_it_imports() -> None:
    tree = ast.parse((REPOSITORY / "pyinfra_ops/standalone_python/core.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert names - {"annotations"} == set(listed)
