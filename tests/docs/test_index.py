# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of the start page is code of the tutorials, where other tests run it."""

from __future__ import annotations

from tests.tools.pages import shown

PAGE = "docs/index.md"
TUTORIALS = ("docs/ansible.md", "docs/pyinfra.md", "docs/command-line.md")


def _texts(page: str) -> set[tuple[str, str]]:
    return {(one.name, one.text) for one in shown(page)}


RUN_THERE = set.union(*map(_texts, TUTORIALS))
TRIED = {PAGE: [text for name, text in _texts(PAGE) if (name, text) in RUN_THERE]}


def test_each_front_end_has_its_first_commands() -> None:
    for tutorial in TUTORIALS:
        assert _texts(PAGE) & _texts(tutorial)
