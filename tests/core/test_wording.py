# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of plans as people read them, before and after they are done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import RegistryEntry
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import (
    Clear,
    Confirm,
    Install,
    Register,
    Remove,
    SetLink,
    SetSearchPath,
    Step,
    Unlink,
    Unregister,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.wording import done, planned, summary
from tests.tools.planning import build_of

OLD, NEW = build_of("3.13.1+20250115"), build_of("3.13.4+20250610")
LINE, LINK, TO = "/opt/python/cpython-3.13", "/usr/local/bin/python3.13", "/opt/python/cpython-3.13/bin/python3.13"
MOVE = SetLink(LINE, NEW.name, OLD.name)
ENTRY = RegistryEntry("3.13.4", "64", "C:/python.exe")
NEWER = "it is newer than 3.13.1 of 20250115"

WORDS: dict[str, tuple[tuple[Step, ...], str, str]] = {
    "install": (
        (Install(NEW, "install", "nothing installed satisfies 3.13"),),
        "Would install 3.13.4+20250610: nothing installed satisfies 3.13",
        "Installed 3.13.4+20250610 in 2.1 s",
    ),
    "another flavor": (
        (Install(replace(NEW, flavor="full"), "install", "x"),),
        "Would install 3.13.4+20250610+full: x",
        "Installed 3.13.4+20250610+full in 2.1 s",
    ),
    "upgrade": (
        (Install(NEW, "upgrade", NEWER), MOVE),
        "Would upgrade 3.13.1+20250115 to 3.13.4+20250610",
        "Upgraded 3.13.1+20250115 to 3.13.4+20250610 in 2.1 s",
    ),
    "upgrade of a build that is not in use": (
        (Install(NEW, "upgrade", NEWER),),
        f"Would upgrade 3.13.4+20250610: {NEWER}",
        "Upgraded 3.13.4+20250610 in 2.1 s",
    ),
    "user packages": (
        (Install(NEW, "upgrade", NEWER, carry=OLD.name, packages=3), MOVE),
        "Would upgrade 3.13.1+20250115 to 3.13.4+20250610; it keeps 3 user packages",
        "Upgraded 3.13.1+20250115 to 3.13.4+20250610 in 2.1 s; it kept 3 user packages",
    ),
    "packages that go": (
        (Install(NEW, "reinstall", "it was finished otherwise", packages=1),),
        "Would reinstall 3.13.4+20250610: it was finished otherwise; it discards 1 user package",
        "Reinstalled 3.13.4+20250610 in 2.1 s: it was finished otherwise; it discarded 1 user package",
    ),
    "downgrade": (
        (Install(OLD, "downgrade", "3.13.1 asks for it"), SetLink(LINE, OLD.name, NEW.name)),
        "Would downgrade 3.13.4+20250610 to 3.13.1+20250115: 3.13.1 asks for it",
        "Downgraded 3.13.4+20250610 to 3.13.1+20250115 in 2.1 s: 3.13.1 asks for it",
    ),
    "repair": (
        (Install(NEW, "repair", "its executable is missing"),),
        "Would repair 3.13.4+20250610: its executable is missing",
        "Repaired 3.13.4+20250610 in 2.1 s: its executable is missing",
    ),
    "stable link": (
        (MOVE,),
        f"Would link {LINE} to 3.13.4+20250610 instead of 3.13.1+20250115",
        f"Linked {LINE} to 3.13.4+20250610 instead of 3.13.1+20250115 in 2.1 s",
    ),
    "link": (
        (SetLink(LINK, TO, "/usr/bin/x\x1b[2J"),),
        f"Would link {LINK} to {TO} instead of /usr/bin/x\\x1b[2J",
        f"Linked {LINK} to {TO} instead of /usr/bin/x\\x1b[2J in 2.1 s",
    ),
    "unlink": ((Unlink(LINK, TO),), f"Would remove the link {LINK} to {TO}", f"Removed the link {LINK} to {TO} in 2.1 s"),
    "remove": (
        (Remove(OLD.name, "it was replaced, and keep is 0"),),
        "Would remove 3.13.1+20250115: it was replaced, and keep is 0",
        "Removed 3.13.1+20250115 in 2.1 s: it was replaced, and keep is 0",
    ),
    "clear": (
        (Clear(("/opt/python/.standalone-python.staging",)),),
        "Would clear what an earlier run left: /opt/python/.standalone-python.staging",
        "Cleared what an earlier run left: /opt/python/.standalone-python.staging in 2.1 s",
    ),
    "confirm": (
        (Confirm(OLD.name),),
        "Would confirm 3.13.1+20250115: it was not started where it was installed, and starts here",
        "Confirmed 3.13.1+20250115 in 2.1 s: it was not started where it was installed, and starts here",
    ),
    "register": (
        (Register("PythonCore\\3.13", ENTRY),),
        f"Would register PythonCore\\3.13 as {ENTRY}",
        f"Registered PythonCore\\3.13 as {ENTRY} in 2.1 s",
    ),
    "unregister": ((Unregister("X", ENTRY),), f"Would unregister X, {ENTRY}", f"Unregistered X, {ENTRY} in 2.1 s"),
    "search path": ((SetSearchPath("C:/bin", True),), "Would add C:\\bin to the PATH", "Added C:\\bin to the PATH in 2.1 s"),
    "search path without": (
        (SetSearchPath("C:/bin", False),),
        "Would take C:\\bin off the PATH",
        "Took C:\\bin off the PATH in 2.1 s",
    ),
}


@pytest.mark.parametrize(("steps", "before", "after"), WORDS.values(), ids=WORDS)
def test_words(steps: tuple[Step, ...], before: str, after: str) -> None:
    assert planned(steps[0], steps) == before
    assert done(steps[0], steps, "2.1 s") == after
    assert done(steps[0], steps) == after.replace(" in 2.1 s", "")


SUMMARIES: dict[tuple[Step, ...], tuple[str, str]] = {
    (Install(NEW, "install", "x"), SetLink(LINE, NEW.name), SetLink(LINK, TO)): (
        "1 to install, 2 links to change, 0 to remove",
        "1 installed, 2 links changed, 0 removed",
    ),
    (
        Clear(("/x",)),
        Install(NEW, "upgrade", "x"),
        Install(OLD, "repair", "x"),
        MOVE,
        Remove("cpython-x", "x"),
        Confirm("cpython-y"),
    ): (
        "1 to upgrade, 1 to repair, 1 to confirm, 1 link to change, leftovers to clear, 1 to remove",
        "1 upgraded, 1 repaired, 1 confirmed, 1 link changed, leftovers cleared, 1 removed",
    ),
    (Unregister("X", ENTRY), SetSearchPath("C:/bin", False), Unlink(LINK, TO)): (
        "1 link to change, 2 settings to change, 0 to remove",
        "1 link changed, 2 settings changed, 0 removed",
    ),
}


@pytest.mark.parametrize(("steps", "sums"), SUMMARIES.items())
def test_summaries(steps: tuple[Step, ...], sums: tuple[str, str]) -> None:
    assert (summary(steps, planned=True), summary(steps, planned=False)) == sums
