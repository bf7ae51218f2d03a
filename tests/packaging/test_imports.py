# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is imported by the run that changes nothing, and by a plain request: each test asks a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import errors

CORE = Path(str(errors.__file__)).parent
PACKAGE = "ansible_collections.standalone.python.plugins.plugin_utils.core"
REPOSITORY = CORE.parents[len(PACKAGE.split(".")) - 1]
ANSWER = REPOSITORY / "tests/core/observations/sound.txt"

# What the path that finds everything in order loads, action plugin included.
HOT = (
    *(
        "digits",
        "lazy",
        "libraries",
        "nearest",
        "errors",
        "progress",
        "builds.request",
        "state.declaration",
        "builds.target",
        "builds.catalogue",
        "state.observed",
        "state.step",
        "state.plan",
        *(
            "state.answer",
            "state.paths",
            "state.receipt",
            "state.check",
            "state.failures",
            "state.folders",
            "state.process",
            "state.line",
            "state.choice",
        ),
        "agents.sh",
        "ensure",
        "memory",
    ),
    *("state.registry", "agents.powershell"),
    *("supply.lock", "info", "supply.supply"),
)
HEAVY = {
    *("boto3", "cryptography", "requests", "sigstore", "urllib3", "zstandard", "packaging", "filelock", "platformdirs"),
    *("tarfile", "ssl", "socket", "http", "yaml", "email", "subprocess", "tempfile", "shutil", "asyncio", "logging"),
}


def run(program: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a program; no site-packages, so that nothing hides behind them."""
    text = f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n{program}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def heavy(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in HEAVY}


def test_importing_the_hot_path_is_light() -> None:
    loaded = run("".join(f"import {PACKAGE}.{name}\n" for name in HOT))
    assert heavy(loaded - run("")) == set()
    ours = {name.removeprefix(f"{PACKAGE}.") for name in loaded if name.startswith(f"{PACKAGE}.")}
    packages = {path.name for path in CORE.iterdir() if path.is_dir()}
    assert ours - packages == set(HOT)


def test_walking_the_hot_path_is_light() -> None:
    """A host in order, from options to result, with the action plugin's supply."""
    loaded = run(
        f"from {PACKAGE} import ensure\nfrom {PACKAGE}.state import declaration\nfrom {PACKAGE}.supply import supply\n"
        f"text = open({str(ANSWER)!r}, encoding='utf-8').read()\n"
        "class Host:\n"
        "    def run(self, script):\n"
        "        return ensure.Completed(0, text, '')\n"
        # Ansible's workers begin with what their parent has imported: what is compiled later, each of them compiles.
        "import re\n"
        "def compile(*_arguments):\n"
        "    raise AssertionError('a regular expression is compiled on the hot path')\n"
        "re._compiler.compile = compile\n"
        "desired = declaration.declare({'builds': ['3.12', '3.13.0', '3.13+auto', '3.12.1+20250115']})\n"
        "result = ensure.ensure(Host(), desired, supply.Supply(desired))\n"
        "assert not result.changed and len(result.plan.outcomes) == 4\n"
    )
    assert heavy(loaded) == set()
    assert f"{PACKAGE}.archives.store" not in loaded
    assert f"{PACKAGE}.archives.source" not in loaded


def test_a_lock_file_is_all_that_it_adds_to_the_hot_path(tmp_path: Path) -> None:
    """It is read, and nothing else is opened or loaded."""
    loaded = run(
        f"from {PACKAGE} import ensure\nfrom {PACKAGE}.state import declaration\nfrom {PACKAGE}.supply import lock, supply\n"
        f"text = open({str(ANSWER)!r}, encoding='utf-8').read()\n"
        "class Host:\n"
        "    def run(self, script):\n"
        "        return ensure.Completed(0, text, '')\n"
        "there = {i.build.version.minor_line: i.build for i in ensure.read(Host().run('')).installed}\n"
        "entries = [lock.Locked(minor, there[minor].triple, there[minor], 'https://a') for minor in ('3.12', '3.13')]\n"
        f"path = {str(tmp_path / 'python.lock.json')!r}\n"
        "open(path, 'w').write(lock.format_lock(lock.Lock(tuple(entries))))\n"
        "desired = declaration.declare({'builds': ['3.12', 'cpython-3.13'], 'lockfile': path, 'catalogue': '/nonexistent'})\n"
        "result = ensure.ensure(Host(), desired, supply.Supply(desired))\n"
        "assert not result.changed and [outcome.reason for outcome in result.plan.outcomes][0].endswith(' is locked')\n"
    )
    assert heavy(loaded) == set()
    assert {f"{PACKAGE}.archives.{room}" for room in ("store", "source", "fetch", "cache")} & loaded == set()


def test_pyinfras_operation_imports_only_the_hot_path() -> None:
    """What reports and advisories need is imported where it is used."""
    folder = REPOSITORY / "pyinfra_ops/standalone_python"
    lazy = {"reports", "reporting"}
    for path in folder.glob("*.py"):
        if path.stem in lazy:
            continue
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        core = {str(node.module).removeprefix(f"{PACKAGE}.") for node in top if str(node.module).startswith(PACKAGE)}
        assert core <= set(HOT)
        assert bool(core) == (path.stem == "core")
        assert lazy & {str(node.module) for node in top if node.level} == set()


def test_a_plain_request_imports_nothing_heavy() -> None:
    loaded = run(
        f"from {PACKAGE}.builds.catalogue import bundled, resolve\n"
        f"from {PACKAGE}.builds.request import parse_request\n"
        f"from {PACKAGE}.builds.target import Target\n"
        "resolve(parse_request('3.13t'), Target('linux', 'x86_64', 'gnu', (2, 36)), bundled())\n"
    )
    assert heavy(loaded) | ({"urllib.request", "pathlib"} & loaded) == set()


def test_packaging_is_imported_only_for_operators() -> None:
    parse = f"from {PACKAGE}.builds.request import parse_request as p\n"
    loaded = run(f"{parse}r = p('3.13t+20250115'); r.admits('3.13.1', '', '20250115'); r.admits_minor('3.13')\n")
    assert "packaging" not in loaded


# Arguments of the command line -> what it must not import: front ends' other parts, and what takes longer than the rest.
COMMANDS = {
    ("--version",): {"click", "importlib.metadata", "dataclasses", "json", "signal", PACKAGE},
    ("catalogue", "list", "3.13", "--target", "x86_64-unknown-linux-gnu"): {
        *(
            f"{PACKAGE}.{name}"
            for name in ("ensure", "state.observed", "state.step", "agents.sh", "archives.store", "archives.fetch")
        ),
        *("importlib.metadata", "platformdirs", "rich", "subprocess", "hashlib", "yaml", "tempfile", "requests"),
    },
    ("status", "--root", "/nonexistent"): {
        *(f"{PACKAGE}.{name}" for name in ("security.advisories", "supply.known_tables", "archives.cache")),
        *("importlib.metadata", "platformdirs", "rich", "hashlib", "yaml", "tempfile", "requests"),
    },
}


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_imports_only_what_it_needs(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "standalone_python", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    before = subprocess.run([sys.executable, "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True)
    loaded = imported(done.stderr) - imported(before.stderr)
    assert "standalone_python.streams" in loaded
    assert COMMANDS[arguments] & loaded == set()


def imported(report: str) -> set[str]:
    """The names in a report of ``-X importtime``."""
    lines = (line.split("|") for line in report.splitlines() if line.startswith("import time:"))
    return {line[2].strip() for line in lines if len(line) == 3}


PLUGINS = REPOSITORY / "ansible_collections/standalone/python/plugins"


def test_ansible_keeps_the_cores_bytecode() -> None:
    """Ansible's own loader would compile each module again, in each process."""
    program = (
        "import sys\n"
        "from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder\n"
        f"_AnsibleCollectionFinder([{str(REPOSITORY)!r}])._install()\n"
        "import ansible_collections.standalone.python.plugins.action.interpreters\n"
        "kinds = {type(module.__spec__.loader).__name__ for name, module in sys.modules.items()\n"
        f"    if name.startswith({PACKAGE + '.'!r}) and getattr(module, '__file__', None)}}\n"
        "print(*kinds)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["SourceFileLoader"], done.stderr


@pytest.mark.parametrize("folder", ["action", "lookup"])
def test_plugins_import_the_core_through_the_finder(folder: str) -> None:
    for path in (PLUGINS / folder).glob("*.py"):
        lines = [line for line in path.read_text().splitlines() if line.startswith("from ..plugin_utils")]
        assert not lines or lines[0].startswith("from ..plugin_utils import cached_imports"), path
