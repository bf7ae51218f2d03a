# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No page shows code that no test tries. Each module here says in TRIED what it tries of which page, with what it tries it from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from tests.tools.pages import directives, pages, shown

# tests/packaging installs from what is built; tests/docs/test_readme.py looks at the extras.
EXTRAS = ("ansible", "attestations", "delta", "pyinfra", "s3")
INSTALLED = ("pip install .", "pip install -r requirements.txt", *(f"pip install '.[{extra}]'" for extra in EXTRAS))

# A parser of Markdown finds no code in a directive in backticks. A directive in colons (tabs, cards) hides nothing.
WITHOUT_CODE = {"{toctree}", "{include}", "{eval-rst}", "{image}", "{figure}"}


def tried() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in set(Path(__file__).parent.glob("test_*.py")) - {Path(__file__)}:
        module = import_module(f"tests.docs.{path.stem}")
        told: Mapping[str, Collection[str]] = getattr(module, "TRIED", {})
        for page, texts in told.items():
            found[page].update(text.strip() for text in texts)
    return found


@pytest.mark.parametrize("page", pages())
def test_all_code_of_a_page_is_tried(page: str) -> None:
    known = tried().get(page, set()) | set(INSTALLED)
    untried = [f"{page}:{one.line}: {one.text.splitlines()[0]}" for one in shown(page) if one.text.strip() not in known]
    assert untried == []


@pytest.mark.parametrize("page", pages())
def test_no_directive_hides_code(page: str) -> None:
    assert {name.split()[0] for name in directives(page)} <= WITHOUT_CODE
