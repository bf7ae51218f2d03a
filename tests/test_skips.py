# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A skip without cause fails a session in CI, with and without xdist, and no session elsewhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.skips import LACKING, forbidden
from tests.tools import mkbuild

PROJECT = Path(__file__).resolve().parent.parent
CASES = """
import pytest

def test_without_cause():
    pytest.skip("not today")

@pytest.mark.skipif(True, reason="needs the internet: upstream's newest release")
def test_with_cause():
    pass

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert False
"""
OPTIONAL = 'import pytest\npytest.importorskip("a_module_that_is_nowhere")\n'


def session(folder: Path, ci: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.skips",
        "-p",
        "no:cacheprovider",
        f"--rootdir={folder}",
    ]
    return subprocess.run(
        [*command, *arguments, str(folder)],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("-n", "1")])
def test_fails_in_ci(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "test_optional.py").write_text(OPTIONAL)
    run = session(tmp_path, "true", *arguments)
    _, _, verdict = run.stdout.partition("skipped in CI though")
    judged = verdict.partition("short test summary")[0]
    assert run.returncode == 1
    assert "test_without_cause: the reason names nothing that a machine may lack: not today" in judged
    assert "a_module_that_is_nowhere" in judged
    assert "test_with_cause" not in judged
    assert "test_expected_to_fail" not in judged


@pytest.mark.parametrize("ci", ["", "false"])
def test_passes_elsewhere(tmp_path: Path, ci: str) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    run = session(tmp_path, ci)
    assert run.returncode == 0, run.stdout
    assert "though" not in run.stdout


def test_judges_by_what_the_machine_has() -> None:
    skips = {"a": "needs root: mounts", "b": "needs macOS: codesign", "c": "slow"}
    assert forbidden(skips, {"needs root:": lambda: False, "needs macOS:": lambda: True}) == [
        "a: this machine has it: needs root: mounts",
        "c: the reason names nothing that a machine may lack: slow",
    ]


def test_knows_which_interpreters_this_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mkbuild, "available", lambda: {"3.13": Path("python3.13")})
    monkeypatch.setattr("sys.platform", "linux")
    told = {minor: f"needs CPython {minor}: there is none on this machine" for minor in ("3.13", "3.14", "2.7")}
    assert forbidden(told) == [
        f"3.13: this machine has it: {told['3.13']}",
        f"2.7: the reason names nothing that a machine may lack: {told['2.7']}",
    ]


def texts(node: ast.expr | None) -> Iterator[str]:
    """Yield what an expression may be as a text, with ``*`` for each value that only a run knows; nothing for a variable."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts)
        case ast.IfExp(body=first, orelse=second):
            yield from (*texts(first), *texts(second))


def reasons(tree: ast.AST) -> Iterator[str]:
    """Yield each reason in the calls of `skip` and `skipif`, and in what functions return as one."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="skip"), args=[reason, *_]):
                yield from texts(reason)
            case ast.Call(func=ast.Attribute(attr="skipif"), keywords=keywords):
                for keyword in keywords:
                    yield from texts(keyword.value) if keyword.arg == "reason" else ()
            case ast.Return(value=reason):
                yield from (text for text in texts(reason) if text.startswith("needs "))


def test_each_reason_in_the_tests_names_what_a_machine_may_lack() -> None:
    """Packages are not in the table: `make test` installs them, so their lack fails a session in CI."""
    known = (*LACKING, "needs packages:")
    found = [
        (str(path.relative_to(PROJECT)), reason)
        for path in sorted(PROJECT.glob("tests/**/*.py"))
        for reason in reasons(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert len(found) > 50
    assert [
        (path, reason)
        for path, reason in found
        if not any(fnmatchcase(beginning, reason.partition(":")[0] + ":") for beginning in known)
    ] == []
