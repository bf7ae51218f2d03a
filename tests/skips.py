# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails a continuous-integration session in which a test was skipped that this machine could have run.

A pytest plugin, loaded from pyproject.toml. Outside CI it does nothing. It never decides whether a test is
skipped: it reads the reasons afterwards. A reason begins with what is missing and a colon, ``needs macOS:
codesign``; the table below knows how to find out whether that is truly missing here, and any other reason
fails the session.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from tests.tools import casefold, mkbuild, windows


def _no_namespaces() -> bool:
    """Whether this machine refuses what the test hosts are made of: namespaces to mount and run in."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return True
    trial = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    try:
        return subprocess.run(trial, capture_output=True, check=False).returncode != 0
    except FileNotFoundError:
        return True


def _no_containers() -> bool:
    # Imported here: on Windows it can't be.
    from tests.tools import containers

    return bool(containers.unavailable())


def _no_binfmt() -> bool:
    from tests.tools.hosts import foreign

    return foreign.no_binfmt()


def _no_cpython(minor: str) -> bool:
    return sys.platform != "linux" or minor not in mkbuild.available()


# What a skip may give as its reason -> whether that is really missing on this machine.
LACKING: Mapping[str, Callable[[], bool]] = {
    "needs Windows:": lambda: windows.WINE or windows.lacking(),
    "needs Wine:": lambda: windows.maker() is None,
    "needs PowerShell 7:": lambda: not windows.HERE or shutil.which("pwsh") is None,
    "needs junctions:": lambda: (windows.WINE or not windows.HERE) and windows.inventory() is None,
    "needs POSIX:": lambda: os.name != "posix",
    "needs macOS:": lambda: sys.platform != "darwin",
    "needs Linux:": lambda: sys.platform != "linux",
    "needs x86-64:": lambda: platform.machine() != "x86_64",
    "needs the internet:": lambda: not os.environ.get("STANDALONE_PYTHON_UPSTREAM"),
    "needs pyenv:": lambda: shutil.which("pyenv") is None,
    "needs npm:": lambda: shutil.which("npm") is None,
    "needs root:": lambda: not hasattr(os, "geteuid") or os.geteuid() != 0,
    "needs namespaces:": _no_namespaces,
    "needs binfmt:": _no_binfmt,
    "needs FUSE:": casefold.lacking,
    "needs Podman:": _no_containers,
    **{f"needs CPython 3.{number}:": functools.partial(_no_cpython, f"3.{number}") for number in range(8, 20)},
}

_SKIPPED = re.compile(r"^Skipped: ")


def reason_of(longrepr: object) -> str:
    """The reason in a skipped report, which is (file, line, "Skipped: REASON") or text."""
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return _SKIPPED.sub("", str(text))


def forbidden(skips: Mapping[str, str], lacking: Mapping[str, Callable[[], bool]] = LACKING) -> list[str]:
    """Of the skips (test -> reason) those that this machine gave no cause for, as lines for people."""
    lines: list[str] = []
    truth: dict[str, bool] = {}
    for test, reason in skips.items():
        prefix = next((known for known in lacking if reason.startswith(known)), None)
        if prefix is None:
            lines.append(f"{test}: the reason names nothing that a machine may lack: {reason}")
            continue
        if prefix not in truth:
            truth[prefix] = lacking[prefix]()
        if not truth[prefix]:
            lines.append(f"{test}: this machine has it: {reason}")
    return lines


class SkipWatch:
    """Collects skips in the process that reports (with xdist: the controller) and judges at the end."""

    def __init__(self) -> None:
        self.skips: dict[str, str] = {}
        self.verdict: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skips[report.nodeid] = reason_of(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skips[report.nodeid] = reason_of(report.longrepr)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.verdict = forbidden(self.skips)
        if self.verdict and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.verdict:
            terminalreporter.section("skipped in CI though this machine could have run them")
            for line in self.verdict:
                terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    if in_ci and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipWatch(), "standalone-python-skip-watch")
