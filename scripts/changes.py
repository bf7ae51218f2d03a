#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the changelog of a collection as Markdown: ``scripts/changes.py [COLLECTION]``.

antsibull-changelog keeps released changes in ``changelogs/changelog.yaml``, and others as fragments. It makes a changelog of
releases only. The documentation shows the fragments too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Changes = Mapping[str, list[str] | str]

PROJECT = Path(__file__).resolve().parent.parent
COLLECTION = PROJECT / "ansible_collections/standalone/python"


def rendered(collection: Path) -> str:
    """Return the changelog: what is not released yet, then each release, the newest first."""
    folder = collection / "changelogs"
    config, released = (_read(folder / name) for name in ("config.yaml", "changelog.yaml"))
    sections: dict[str, str] = {config["prelude_section_name"]: "", **dict(config["sections"])}
    fragments = merged(_read(path) for path in sorted((folder / "fragments").glob("*.yml")))
    blocks = list(_block("Not released yet", fragments, sections)) if fragments else []
    releases: Mapping[str, Any] = released.get("releases") or {}
    for version in sorted(releases, key=_numbers, reverse=True):
        release = releases[version]
        blocks += _block(f"{version}, {release['release_date']}", release.get("changes", {}), sections)
    return "\n\n".join(blocks) + "\n"


def merged(fragments: Iterable[Changes]) -> Changes:
    """Return the entries of several fragments by section, in the order of the fragments."""
    found: dict[str, list[str]] = {}
    for fragment in fragments:
        for section, entries in fragment.items():
            found.setdefault(section, []).extend([entries] if isinstance(entries, str) else entries)
    return found


def _block(title: str, changes: Changes, sections: Mapping[str, str]) -> Iterator[str]:
    """Yield the parts of one release. A section without a title is a paragraph."""
    yield f"## {title}"
    for section, heading in sections.items():
        entries = changes.get(section, [])
        texts = [" ".join(entry.split()) for entry in ([entries] if isinstance(entries, str) else entries)]
        if texts and heading:
            yield f"**{heading}**"
            yield "\n".join(f"- {text}" for text in texts)
        else:
            yield from texts


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split("-")[0].split(".")]


def _read(path: Path) -> Mapping[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


if __name__ == "__main__":
    sys.stdout.write(rendered(Path(sys.argv[1]) if len(sys.argv) > 1 else COLLECTION))
