# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between which builds deltas are made: those that differ in patch version and release only."""

from __future__ import annotations

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.kinds import neighbours, upgrades

LINUX, MAC = "x86_64-unknown-linux-gnu", "aarch64-apple-darwin"
BUILDS = {
    name: parse_filename(f"cpython-{version}-install_only{flavor}.tar.gz")
    for name, version, flavor in (
        ("second", f"3.13.2+20250317-{LINUX}", "_stripped"),
        ("first", f"3.13.1+20250115-{LINUX}", "_stripped"),
        ("rebuilt", f"3.13.2+20250409-{LINUX}", "_stripped"),
        ("release candidate", f"3.13.0rc3+20241002-{LINUX}", "_stripped"),
        ("minor", f"3.12.9+20250317-{LINUX}", "_stripped"),
        ("target", f"3.13.1+20250115-{MAC}", "_stripped"),
        ("flavor", f"3.13.1+20250115-{LINUX}", ""),
        ("options", f"3.13.1+20250115-{LINUX}-freethreaded", "_stripped"),
    )
}
NAMES = {build: name for name, build in BUILDS.items()}


def test_neighbours() -> None:
    found = [(NAMES[new], NAMES[old]) for new, old in neighbours(BUILDS.values())]
    assert found == [("rebuilt", "second"), ("second", "first"), ("first", "release candidate")]


def test_upgrades() -> None:
    found = [(NAMES[new], NAMES[old]) for new, old in upgrades(BUILDS.values())]
    assert found == [("rebuilt", "second"), ("rebuilt", "first"), ("rebuilt", "release candidate")]
    assert upgrades([]) == neighbours([]) == ()
