# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lazy dataclass is a dataclass from its first instance on, whichever method is used first."""

from __future__ import annotations

import copy
import dataclasses
import threading
from dataclasses import dataclass, field

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.lazy import lazy_dataclass


@lazy_dataclass(frozen=True)
class One:
    """The docstring stays."""

    name: str
    rows: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def shown(self) -> str:
        return f"{self.name}: {self.rows}"


@dataclass(frozen=True)
class Usual:
    name: str
    rows: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list, compare=False, repr=False)


def test_it_is_a_dataclass() -> None:
    one = One("a", rows=(1,))
    assert (one, hash(one), repr(one)) == (One("a", (1,), ["x"]), hash(Usual("a", (1,))), "One(name='a', rows=(1,))")
    assert one != One("b")
    assert one != Usual("a", (1,))
    assert dataclasses.replace(one, name="b").shown == "b: (1,)"
    assert dataclasses.asdict(one) == {"name": "a", "rows": (1,), "notes": []}
    assert copy.deepcopy(one) == one
    assert (One.__name__, One.__qualname__, One.__module__, One.__doc__) == ("One", "One", __name__, "The docstring stays.")
    match one:
        case One(name, (number,)):
            assert (name, number) == ("a", 1)
        case _:
            pytest.fail("no match")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"  # type: ignore[misc]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        One()  # type: ignore[call-arg]


def test_no_class_inherits_from_one() -> None:
    with pytest.raises(TypeError, match="More inherits from a lazy dataclass: make that one a dataclass"):

        class More(One):
            pass


def test_the_first_instances_in_several_threads() -> None:
    for _ in range(20):

        @lazy_dataclass(frozen=True)
        class Fresh:
            name: str

        made: list[object] = []
        barrier = threading.Barrier(8)

        def make(kind: type = Fresh, made: list[object] = made, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            made.append(kind("a"))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == [Fresh("a")] * 8
