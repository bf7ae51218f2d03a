# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in builds for all tests, packed from this machine's interpreters and shared by every worker; and the test hosts."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tools import mkbuild, packed, windows
from tests.tools.packed import own_folder

# Who runs this in the background may have let it ignore these signals, and with it everything that tests start.
for _sign, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _number = getattr(signal, _sign, None)  # Windows has no SIGHUP
    if _number and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# Once for all folders, so that a worker has one fleet.
pytest_plugins = ["tests.tools.sources"]
if os.name != "nt":  # no test host runs there
    pytest_plugins += ["tests.tools.hosts.fixtures", "tests.tools.windows_hosts"]

Builds = Callable[..., Path]

TESTS = Path(__file__).parent
# A file goes to one worker as a whole. What takes minutes begins first: begun last, it would leave the other workers idle.
FIRST = (
    *("conformance/test_everywhere.py", "molecule", "windows", "frontends", "docs/test_golden_images.py", "packaging"),
    *("docs/test_adopting.py", "cli/test_foreign_images.py", "cli/test_machine.py", "agents", "finisher", "faults"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests; xdist keeps that order with ``--no-loadscope-reorder``. Repeat those that fail under Wine."""

    def place(item: pytest.Item) -> int:
        return next((at for at, name in enumerate(FIRST) if item.path.is_relative_to(TESTS / name)), len(FIRST))

    items.sort(key=place)
    # Wine ends or stops a program now and then for reasons of its own. What is wrong with ours fails twice.
    if windows.inventory() is None:
        for item in items:
            if item.path.is_relative_to(TESTS / "windows"):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def builds() -> Builds:
    """``builds("3.13", tag="20250317", version="3.13.4", ...)``: `packed.build`; the test is skipped where there is no such CPython."""
    interpreters = mkbuild.available() if sys.platform == "linux" else {}

    def build(minor: str, *, tag: str = "20250115", **keywords: Any) -> Path:
        if sys.platform != "linux":
            pytest.skip("needs Linux: stand-in builds are packed from its interpreters")
        if minor not in interpreters:
            pytest.skip(f"needs CPython {minor}: there is none on this machine")
        return packed.build(interpreters[minor], tag, **keywords)

    return build


@pytest.fixture(scope="session")
def windows_builds() -> Builds:
    """The same of Windows builds: ``windows_builds("3.13", tag="20250317", version="3.13.4")``; see `mkwinbuild.pack`."""
    cache = own_folder("builds")

    def build(minor: str, *, tag: str = "20250115", **keywords: Any) -> Path:
        from tests.tools import mkwinbuild

        texts = [Path(module.__file__ or "").read_text() for module in (mkbuild, mkwinbuild)]
        key = ("windows", *texts, minor, tag, sorted(keywords.items()))
        return packed.once(cache, key, tag, lambda folder: mkwinbuild.pack(minor, tag, folder, **keywords))

    return build


@pytest.fixture(scope="session")
def windows_here() -> windows.Windows:
    """A Windows that runs programs on this machine; the test is skipped where there is none."""
    windows.needed()
    return windows.make(own_folder("windows"))
