# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What front ends return about interpreters: which default links lead to them, and whether a newer build is known."""

from __future__ import annotations

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import info as module
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import from_rows
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from tests.tools.planning import catalogue_of, name_of, observed_of

OLD, OTHER = name_of("3.13.1+20250115"), name_of("3.12.8+20250115")
STABLE = {"/opt/python/cpython-3.13": OLD, "/opt/python/cpython-3.12": OTHER}
BOTH = ["/usr/local/bin/python3", "/usr/local/bin/python"]


def through(line: str, *names: str) -> dict[str, str]:
    return STABLE | {f"/usr/local/bin/{name}": f"/opt/python/{line}/bin/python3" for name in names}


@pytest.mark.parametrize(
    ("links", "old", "other"),
    [
        (through("cpython-3.13", "python3", "python"), BOTH, []),
        (through("cpython-3.13", "python3") | through("cpython-3.12", "python"), BOTH[:1], BOTH[1:]),
        (through(OLD, "python3"), BOTH[:1], []),
        (through("cpython-3.13", "python3.13"), [], []),
        ({**through("cpython-3.11", "python3"), "/usr/local/bin/python": "/usr/bin/python3"}, [], []),
        ({}, [], []),
    ],
)
def test_default_links(links: dict[str, str], old: list[str], other: list[str]) -> None:
    observed = observed_of({"installed": [OLD, OTHER], "links": links}, declare({"builds": ["3"]}))
    assert [one["default_links"] for one in module.info(observed)["interpreters"]] == [other, old]


def test_default_links_on_windows() -> None:
    name = name_of("3.13.1+20250115", "x86_64-pc-windows-msvc")
    desired = declare({"builds": ["3"], "root": "C:/Python", "bin_dir": "C:/Python/bin"}, windows=True)
    links = {"C:/Python/cpython-3.13": name, "C:/Python/bin/python3.cmd": "C:/Python/cpython-3.13/python.exe"}
    observed = observed_of({"installed": [name], "links": links, "facts": {"os": "Windows"}}, desired)
    assert [one["default_links"] for one in module.info(observed)["interpreters"]] == [["C:\\Python\\bin\\python3.cmd"]]


@pytest.mark.parametrize(
    ("installed", "known", "newest"),
    [
        ("3.13.1+20250115", ["3.13.1+20250115", "3.13.2+20250317", "3.14.0+20251014"], "3.13.2+20250317"),
        ("3.13.1+20250115", ["3.13.1+20250115", "3.13.1+20250317"], "3.13.1+20250317"),
        ("3.13.1+20250115", ["3.13.1+20250115"], "3.13.1+20250115"),
        # It came from a source that knows more.
        ("3.13.2+20250317", ["3.13.1+20250115"], "3.13.2+20250317"),
        ("3.13.1+20250115", ["3.12.8+20250115"], None),
        ("3.13.1+20250115", ["3.13.2+20250317+freethreaded+pgo"], None),
        ("3.13.1+20250115+freethreaded+pgo", ["3.13.2+20250317+freethreaded+pgo"], "3.13.2t+20250317"),
        ("3.13.1+20250115", ["3.13.1+20250115", "3.13.2rc1+20250317"], "3.13.1+20250115"),
        ("3.13.0rc1+20250115", ["3.13.0rc2+20250317"], "3.13.0rc2+20250317"),
    ],
)
def test_newest_known(monkeypatch: pytest.MonkeyPatch, installed: str, known: list[str], newest: str | None) -> None:
    monkeypatch.setattr(module, "_known_catalogue", lambda: catalogue_of(tuple(f"{name_of(text)}.tar.gz" for text in known)))
    observed = observed_of({"installed": [name_of(installed)]}, declare({"builds": ["3"]}))
    assert [one["newest_known"] for one in module.info(observed)["interpreters"]] == [newest]


def test_a_catalogue_that_can_not_be_read_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_minor: str) -> str:
        from_rows("broken", "no row")
        raise AssertionError

    whole = catalogue_of((f"{OLD}.tar.gz",))
    monkeypatch.setattr(module, "_known_catalogue", lambda: type(whole)(whole.name, whole.minors, read))
    observed = observed_of({"installed": [OLD]}, declare({"builds": ["3"]}))
    assert [one["newest_known"] for one in module.info(observed)["interpreters"]] == [None]
