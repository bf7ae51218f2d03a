# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences of ``status`` and ``verify`` that name a command, without a machine."""

from __future__ import annotations

from typing import Any

import pytest

from standalone_python.commands import status
from standalone_python.commands.machine import Where

HERE = Where(None, "", None, None, None, None)
THERE = Where(None, "", "/srv/py thon", "bin", None, None)
OPTIONS = "--root '/srv/py thon' --bin-dir bin"
FILE = Where("python.yml", "mine", None, None, None, None)


def one(version: str, *, sound: bool = True, used: bool = True, checked: str = "", foreign: str = "") -> dict[str, Any]:
    prefix = f"/opt/python/cpython-{version}+20250115"
    return {
        "version": version,
        "release": "20250115",
        "variant": "",
        "prefix": prefix,
        "sound": sound,
        "checked_at": checked,
        "stable_path": f"{'/opt/python/cpython-3.13' if used else prefix}/bin/python3",
        "default_links": [],
        "foreign": foreign,
    }


BROKEN, KEPT = one("3.13.1", sound=False), one("3.13.0", sound=False, used=False)


WITH_FILE = "`standalone-python apply FILE --verify full` with your declaration"


@pytest.mark.parametrize(
    ("interpreters", "damaged", "where", "cures"),
    [
        ([one("3.13.1")], 0, HERE, []),
        ([one("3.12.1"), BROKEN], 1, HERE, [f"to repair it: `standalone-python install 3.13.1+20250115`, or {WITH_FILE}"]),
        ([BROKEN], 1, FILE, ["to repair it: `standalone-python apply --verify full --file python.yml --key mine`"]),
        # A link to nothing, or what a killed run left.
        ([one("3.13.1")], 1, HERE, [f"to repair it: {WITH_FILE}"]),
        (
            [KEPT],
            1,
            THERE,
            [f"to remove what is broken and not in use: `standalone-python uninstall 3.13.0+20250115 {OPTIONS}`"],
        ),
    ],
)
def test_cures(interpreters: list[dict[str, Any]], damaged: int, where: Where, cures: list[str]) -> None:
    assert list(status._cures({"interpreters": interpreters}, ["damage"] * damaged, where)) == cures


def test_what_a_killed_run_left() -> None:
    left = ["to do: clear what an earlier run left: /opt/python/.standalone-python.staging"]
    told = list(status._cures({"interpreters": [one("3.13.1")]}, left, HERE))
    assert told == ["the next 'install', 'upgrade', 'uninstall' or 'apply' does that"]
    assert next(status._cures({"interpreters": [BROKEN]}, ["x is broken: y", *left], FILE)).startswith("to repair it: ")


OLD, NEW = "2026-11-01T00:00:00Z", "2026-11-28T00:00:00Z"


@pytest.mark.parametrize(
    ("interpreters", "words"),
    [
        ([one("3.13.1")], "never checked in full"),
        ([one("3.13.1", checked=NEW), one("3.12.1", checked=OLD)], "not checked in full since 2026-11-01"),
        ([one("3.13.1", checked=NEW), one("3.12.1")], "1 of 2 never checked in full"),
        ([one("3.13.1", checked=NEW), one("3.12.1", foreign="it is for another host")], "not checked in full since 2026-11-28"),
        ([one("3.12.1", foreign="it is for another host")], "never checked in full"),
    ],
)
def test_the_last_full_check(interpreters: list[dict[str, Any]], words: str) -> None:
    command = f"`standalone-python verify {OPTIONS}` compares every file"
    assert status._last_check(interpreters, THERE) == f"a quick look found no damage; {words}: {command}"
