# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a root: what it means, and what changes and rollbacks make of it. What agents write, tests/agents tries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import ensure, observe
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.history import (
    History,
    read_history,
    recorded,
    used_before,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.rollback import rollback_target
from tests.tools.memory_host import MemoryHost, MemorySupply
from tests.tools.planning import name_of, observed_of
from tests.tools.random_hosts import ROOT

A, B, C = (name_of(text) for text in ("3.13.0+20250115", "3.13.1+20250317", "3.13.2+20250409"))
OTHER, FREE = name_of("3.12.8+20250115"), name_of("3.13.0+20250115+freethreaded")
LINE = "cpython-3.13"
ALL = frozenset((A, B, C, OTHER, FREE))


@pytest.mark.parametrize(
    ("said", "names", "problem"),
    [
        (("present",), (), ""),
        (("present", A, OTHER), (A, OTHER), ""),
        (("absent",), (), "does not exist"),
        (("unreadable",), (), "can't be read"),
        (("untrusted",), (), "can be changed by other users"),
        ((), (), "can't be read"),
        (("present", A, ""), (), "is damaged"),
        (("present", A, f"{B} "), (), "is damaged"),
        (("present", A, "../../etc"), (), "is damaged"),
        (("present", f"{A}\x1b[31m"), (), "is damaged"),
        (("present", "cpython-3.13"), (), "is damaged"),
        (("else", A), (), "is damaged"),
    ],
)
def test_what_is_read(said: tuple[str, ...], names: tuple[str, ...], problem: str) -> None:
    assert read_history(said) == History(names, problem)


@pytest.mark.parametrize(
    ("names", "current", "before"),
    [
        ((), C, None),
        ((OTHER, FREE), C, None),
        ((A, B), C, (B, A)),
        ((A, OTHER, B, FREE), C, (B, A)),
        ((A, B), B, (A,)),
        ((A, B, B), B, (A,)),
        ((A,), A, ()),
        ((A, B, A), C, (A, B, A)),
    ],
)
def test_what_was_used_before(names: tuple[str, ...], current: str, before: tuple[str, ...] | None) -> None:
    assert used_before(History(names), LINE, current) == before


@pytest.mark.parametrize(
    ("names", "was", "now", "rollback", "after"),
    [
        ((), A, B, False, (A,)),
        ((A,), B, C, False, (A, B)),
        ((A,), A, B, False, (A,)),
        ((OTHER,), A, B, False, (OTHER, A)),
        ((A, OTHER), B, A, False, (OTHER, A, B)),
        ((A, B), C, B, True, (A, B)),
        ((A, B), C, A, True, (A,)),
        ((A, OTHER, B), C, A, True, (OTHER, A)),
        ((A, B, A, B), C, A, True, (A, B, A)),
        ((), C, A, True, ()),
        ((B,), C, A, True, (B,)),
        ((name_of("3.13.9+20260101"), A), B, C, False, (A, B)),
        ((), name_of("3.13.9+20260101"), C, False, ()),
        ((FREE,) + (A, B) * 20, C, A, False, (FREE, *((A, B) * 10)[1:], C)),
    ],
)
def test_what_is_recorded(names: tuple[str, ...], was: str, now: str, rollback: bool, after: tuple[str, ...]) -> None:
    assert recorded(History(names), [(was, now)], ALL, rollback=rollback) == after


@given(st.lists(st.sampled_from((*sorted(ALL), "rollback")), max_size=40))
def test_a_rollback_undoes_the_last_change_that_no_rollback_undid(moves: list[str]) -> None:
    """Beside a stack that is a list, as a person would keep it."""
    names: tuple[str, ...] = ()
    current, stack = B, list[str]()
    for move in moves:
        if move == "rollback":
            before = used_before(History(names), LINE, current)
            assert (before or ())[:1] == tuple(stack[-1:])
            if not stack:
                continue
            was, current = current, stack.pop()
            names = recorded(History(names), [(was, current)], ALL, rollback=True)
        elif move in (A, B, C) and move != current:
            names = recorded(History(names), [(current, move)], ALL, rollback=False)
            stack = [*stack, current][-20:]
            current = move
    assert len(names) <= 20


# With hosts.


def desired(build: str, **options: Any) -> Desired:
    return declare({"builds": [build], "keep": 9} | options)


def host() -> MemoryHost:
    return MemoryHost(observed_of({}, desired("3.13")))


def apply(there: MemoryHost, build: str, **options: Any) -> None:
    ensure(there, desired(build, **options), MemorySupply(tuple(f"{name}.tar.gz" for name in (A, B, C, OTHER))))


def back(there: MemoryHost) -> Observed:
    """Roll 3.13 back; returns the host before."""
    observed = observe(there, desired("3.13"), facts="history")
    ensure(there, replace(declare(rollback_target(observed, "3.13").options), rollback=True), MemorySupply(None))
    return observed


def in_use(there: MemoryHost) -> str:
    return there.state.links[f"{ROOT}/{LINE}"].split("-")[1]


def test_apply_pushes_and_rollback_pops() -> None:
    there = host()
    for build in ("3.13.0", "3.13.1", "3.12", "3.13.2"):
        apply(there, build)
    assert there.state.history == ("present", A, B)
    back(there)
    assert in_use(there) == "3.13.1+20250317"
    # Declared again is a change like any other.
    apply(there, "3.13.2")
    back(there)
    assert in_use(there) == "3.13.1+20250317"
    back(there)
    assert in_use(there) == "3.13.0+20250115"
    with pytest.raises(DeclarationError) as raised:
        back(there)
    assert str(raised.value) == (
        f"no build of 3.13 was in use before 3.13.0+20250115 in {ROOT}: the other builds of the line are 3.13.1+20250317, "
        "3.13.2+20250409; declare the one that you want"
    )
    # The way back by a declaration is a change, too: a rollback undoes it.
    apply(there, "3.13.2")
    apply(there, "3.13.1")
    back(there)
    assert in_use(there) == "3.13.2+20250409"
    back(there)
    assert in_use(there) == "3.13.0+20250115"


def test_a_build_that_was_installed_again_since_is_no_way_forward() -> None:
    """As a repair does, or a new option: its time of installation is the latest of all."""
    there = host()
    for build in ("3.13.0", "3.13.1", "3.13.2"):
        apply(there, build)
    again = tuple(
        replace(one, receipt=replace(one.receipt, installed_at="2027-01-01T00:00:00Z")) if one.name == A and one.receipt else one
        for one in there.state.installed
    )
    there.state = replace(there.state, installed=again)
    back(there)
    assert in_use(there) == "3.13.1+20250317"
    back(there)
    assert in_use(there) == "3.13.0+20250115"


def test_what_another_run_recorded_meanwhile_is_not_lost() -> None:
    there = host()
    for build in ("3.13.0", "3.12"):
        apply(there, build)
    there.before = lambda state: replace(state, history=("present", OTHER))
    apply(there, "3.13.1")
    assert there.state.history == ("present", OTHER, A)
    assert there.asked[-5:] == ["observe with facts", "observe with history", "apply", "observe with history", "apply"]


def test_a_history_that_cannot_be_used_is_written_anew() -> None:
    there = host()
    apply(there, "3.13.0")
    there.state = replace(there.state, history=("present", "what is this?"))
    apply(there, "3.13.1")
    assert there.state.history == ("present", A)


def test_with_the_last_build_the_history_goes() -> None:
    there = host()
    for build in ("3.13.0", "3.13.1"):
        apply(there, build)
    apply(there, "3.13.0", state="absent")
    assert there.state.history == ("present", A), "no link moved: the next that does drops it"
    apply(there, "3.13", state="absent")
    assert (there.state.installed, there.state.history) == ((), ())


def test_a_run_that_moves_nothing_does_not_read_it() -> None:
    there = host()
    apply(there, "3.13.0")
    apply(there, "3.12")
    apply(there, "3.13.0")
    apply(there, "3.12", state="latest")
    apply(there, "3.12", state="absent")
    assert there.asked.count("apply") == 3
    assert "observe with history" not in there.asked
