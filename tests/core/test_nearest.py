# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A word that is not valid -> the nearest valid one, or all of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVORS
from ansible_collections.standalone.python.plugins.plugin_utils.core.nearest import (
    did_you_mean,
    nearest,
    repeated,
    repeated_in_json,
    unknown,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import OPTIONS


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("build", "builds"),
        ("Builds", "builds"),
        ("bin-dir", "bin_dir"),
        ("bindir", "bin_dir"),
        ("lock_file", "lockfile"),
        ("lock", "lockfile"),
        ("catalog", "catalogue"),
        ("sate", "state"),
        ("user-package", "user_packages"),
        ("path", ""),
        ("python", ""),
        ("", ""),
        ("x" * 100_000, ""),
    ],
)
def test_the_nearest_option(word: str, near: str) -> None:
    assert nearest(word, OPTIONS) == near


def test_a_word_that_is_part_of_one_valid_word_only() -> None:
    assert nearest("stripped", FLAVORS) == "install_only_stripped"
    assert nearest("only", FLAVORS) == ""


def test_the_advice_is_one_word_or_all() -> None:
    assert did_you_mean("build", OPTIONS) == "did you mean `builds`?"
    assert did_you_mean("gone", ["present", "latest"]) == "choose one of present, latest"
    assert unknown("state", "gone", ["present", "latest"], of="3.13") == (
        "unknown state `gone` of 3.13: choose one of present, latest"
    )


class Pairs(list[tuple[str, Any]]):
    """An object, which may have a key twice."""


json_values = st.recursive(
    st.text(max_size=3) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(st.sampled_from(['"', "a", "\\", "é", ":", "{}"]), inner), max_size=3).map(Pairs)
    ),
    max_leaves=8,
)


def written(value: Any, ascii_only: bool) -> str:
    if isinstance(value, Pairs):
        return "{" + ",\n".join(f"{json.dumps(key)}\n: {written(one, ascii_only)}" for key, one in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(one, ascii_only) for one in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


@given(json_values, st.booleans())
def test_a_key_that_is_twice_in_an_object_of_json(value: Any, ascii_only: bool) -> None:
    """It is found wherever Python's parser finds it."""
    text, found = written(value, ascii_only), []
    json.loads(text, object_pairs_hook=lambda pairs: found.append(repeated(pairs)))
    twice = repeated_in_json(text)
    assert [one[0] for one in found if one][:1] == ([twice[0]] if twice else [])
