# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutations of what hosts really printed and of what users write: read, or one error of ours, in a sentence that a terminal can be
given. Each seed makes the same mutations everywhere; in continuous integration there are three times as many.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVORS, canonical, parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed, read
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError, StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage, info, result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import FAILURE_BEGIN, FAILURE_END
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.failures import FAILURES
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.plan import plan
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.rollback import rollback_target
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import describe, predict
from tests.tools.planning import FACTS, name_of, resolver
from tests.tools.recorded import RECORDED
from tests.tools.sentences import HOSTILE, check

SEEDS = range(10)
TIMES = 3 if os.environ.get("CI") else 1
OBSERVATIONS = 1000 * TIMES  # of each seed
REQUESTS = 500 * TIMES

FAILED = "\n".join([FAILURE_BEGIN, "step=unpack", "failure=space", "detail=90000 1000", "committing=yes", FAILURE_END])
TEXTS = (*RECORDED.values(), FAILED, RECORDED["sound"] + FAILED)
VALUES = (
    *(
        "",
        "0",
        "1",
        "-1",
        "yes",
        "writable",
        "unreadable",
        "notfolder",
        "absent",
        "alive",
        "dead",
        "windows",
        "untried",
        "unable",
    ),
    *(
        "²",
        "9" * 5000,
        "9" * 10,
        "1e9",
        "NaN",
        "null",
        "{",
        "}",
        "[" * 2000,
        '"',
        "\\",
        "x" * 20_000,
        HOSTILE,
        "~",
        "~/x",
        "/",
        "C:/x",
    ),
    *("Linux", "Windows_NT", "aarch64", "..", "/opt/python/../..", "/usr/bin/python3", "a -> b -> c", " ", "=", "*=", "\x00"),
    f"12 app app.service here {name_of('3.13.0+20250115')} {HOSTILE}",
    *(name_of("3.13.0+20250115"), "cpython-3.13", "cpython-3.13+freethreaded", *FAILURES),
)
KEYS = (
    *(
        "root",
        "bin_dir",
        "root_state",
        "bin_dir_state",
        "build",
        "receipt",
        "start",
        "says",
        "modules",
        "verify",
        "damaged",
        "extra",
    ),
    *(
        "list",
        "occupied",
        "leftover",
        "ls",
        "held",
        "registered",
        "lock",
        "lock_state",
        "os",
        "arch",
        "libc",
        "libc_version",
        "free_kb",
    ),
    *("process", "processes", "history", "history_state", "layout", "path", "step", "failure", "detail", "unheard-of", ""),
)


def _key_of(line: str) -> str:
    return line.partition("=")[0].removesuffix("*")


def _flipped(lines: list[str], at: int, dice: random.Random) -> None:
    line = lines[at] or " "
    place = dice.randrange(len(line))
    lines[at] = line[:place] + chr(dice.choice((dice.randrange(256), dice.randrange(0x250), 0x202E, 0xDCFF))) + line[place + 1 :]


def _cut(lines: list[str], at: int, dice: random.Random) -> None:
    lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]


def _gone(lines: list[str], at: int, _dice: random.Random) -> None:
    del lines[at]


def _twice(lines: list[str], at: int, dice: random.Random) -> None:
    lines.insert(dice.randrange(len(lines) + 1), lines[at])


def _moved(lines: list[str], at: int, dice: random.Random) -> None:
    lines.insert(dice.randrange(len(lines)), lines.pop(at))


def _other_value(lines: list[str], at: int, dice: random.Random) -> None:
    lines[at] = f"{_key_of(lines[at])}={dice.choice(VALUES)}"


def _new(lines: list[str], at: int, dice: random.Random) -> None:
    lines.insert(at, f"{dice.choice(KEYS)}={dice.choice(VALUES)}")


def _encoded(lines: list[str], at: int, dice: random.Random) -> None:
    value = base64.b64encode(dice.choice((dice.choice(VALUES).encode(errors="replace"), dice.randbytes(9)))).decode()
    lines[at] = f"{_key_of(lines[at])}*={dice.choice((value, value[:-1]))}"


def _ended(lines: list[str], at: int, _dice: random.Random) -> None:
    del lines[at:]


def _spliced(lines: list[str], at: int, dice: random.Random) -> None:
    lines[at:at] = dice.choice(TEXTS).split("\n")[dice.randrange(20) :]


MUTATIONS: Sequence[Callable[[list[str], int, random.Random], None]] = (
    *(_flipped, _flipped, _cut, _gone, _twice, _moved, _other_value, _other_value, _new, _encoded, _ended, _spliced),
)


def mutated(dice: random.Random) -> str:
    """What a host really printed, with one to four things otherwise."""
    lines = dice.choice(TEXTS).split("\n")
    for _number in range(dice.randint(1, 4)):
        if lines:
            dice.choice(MUTATIONS)(lines, dice.randrange(len(lines)), dice)
    return "\n".join(lines)


DESIRED = tuple(
    declare(options)
    for options in (
        {"builds": ["3.13"], "exclusive": True, "force": True},
        {"builds": ["3.12", {"version": "3.13", "default": True}], "state": "latest", "keep": 0, "owner": "app"},
        {"builds": ["3.12"], "state": "absent"},
    )
)
KNOWN = resolver([f"{name_of(text)}.tar.gz" for text in ("3.12.1+20250115", "3.13.0+20250115", "3.13.1+20250201")], FACTS)


def look_at(observed: Observed, dice: random.Random) -> None:
    """All that front ends do with a host: what they say of it can be given to a terminal."""
    for sentence in (
        *describe(observed).splitlines(),
        *(installed.problem for installed in observed.installed),
        *damage(observed),
    ):
        check(sentence)
    desired = dice.choice(DESIRED)
    made = plan(desired, observed, KNOWN)
    told = result_data(made, predict(made, observed, desired))
    for sentence in (*told["plan"], *(one["reason"] for one in (*told["interpreters"], *told["removed"]))):
        check(sentence)
    info(observed)
    rollback_target(observed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_that_prints_anything_is_a_host_or_an_error_of_ours(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    read_at_all = 0
    for number in range(OBSERVATIONS):
        text = mutated(dice)
        try:
            observed = read(Completed(dice.randrange(3), text, dice.choice(("", HOSTILE * 50))))
            read_at_all += 1
            look_at(observed, dice)
        except StandalonePythonError as error:
            check(str(error))
        except Exception as error:
            raise AssertionError(f"seed {seed}, mutation {number}: {text!a}") from error
    # Mutations that only ever break everything would show little.
    assert OBSERVATIONS / 10 < read_at_all < OBSERVATIONS * 9 / 10


# What users write.

REQUEST_PARTS = (
    *(
        "3",
        "3.13",
        "3.13.1",
        "3.14.0rc1",
        ".",
        "3.",
        "13",
        "0",
        "00",
        "9" * 5000,
        "²",
        "-dev",
        "-rc",
        "t",
        "td",
        "d",
        "rc1",
        "a",
        "b",
    ),
    *(
        ">=",
        "<=",
        "~=",
        "==",
        "!=",
        "<",
        ">",
        "===",
        ",",
        ".*",
        "+",
        "-",
        "@",
        " ",
        "\t",
        "\n",
        "!",
        "1!",
        ".post1",
        ".dev0",
        "+local",
    ),
    *(
        "python",
        "cpython-",
        "cpython@",
        "Python",
        "pypy3.10",
        "latest",
        "freethreaded",
        "debug",
        "static",
        "v2",
        "v3",
        "v4",
        "auto",
    ),
    *("20250115", "2025", "99999999", *FLAVORS, HOSTILE, "\x00", "é", "x" * 5000, "{", "%s", "{0}"),
)
REAL_REQUESTS = (
    *(
        "3.13",
        ">=3.12,<3.14",
        "~=3.13.0",
        "3.13t",
        "3.13+debug",
        "3.13+v3",
        "3.13.1+20250115",
        "3.16-dev",
        "cpython-3.13.1",
        "3.14.0rc2",
    ),
    *("==3.13.*", "!=3.13.1,>=3.13", "3.13+freethreaded+pgo", "3.13+20250115+install_only", "3.13+auto"),
)


def request(dice: random.Random) -> str:
    """A text of parts of requests, or a request with some letters otherwise."""
    if dice.random() < 0.5:
        return "".join(dice.choices(REQUEST_PARTS, k=dice.randint(0, 6)))
    text = list(dice.choice(REAL_REQUESTS))
    for _number in range(dice.randint(1, 3)):
        text[dice.randrange(len(text))] = dice.choice(("", chr(dice.randrange(0x250)), dice.choice(REQUEST_PARTS)))
    return "".join(text)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_request_of_any_letters_is_one_or_an_error_of_ours(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    read_at_all = 0
    for number in range(REQUESTS):
        text = request(dice)
        try:
            found = parse_request(text)
        except DeclarationError as error:
            check(str(error))
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}, request {number}: {text!a}") from error
        read_at_all += 1
        again = parse_request(canonical(found))
        assert canonical(again) == canonical(found), text
        assert replace(again, text="", version="") == replace(found, text="", version=""), text
        check(canonical(found))
        for minor in ("3.8", "3.13", "3.14"):
            for version in (f"{minor}.0", f"{minor}.1", f"{minor}.0rc1"):
                assert not found.admits_version(version) or found.admits_minor(minor), text
        try:
            KNOWN(found)
        except StandalonePythonError as error:
            check(str(error))
    assert read_at_all > REQUESTS / 40
