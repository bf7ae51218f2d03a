# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A word that is not valid -> the nearest valid one, or all of them."""

from __future__ import annotations

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVORS
from ansible_collections.standalone.python.plugins.plugin_utils.core.nearest import did_you_mean, nearest, unknown
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
