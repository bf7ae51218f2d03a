# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations and hosts for property tests, from a universe of builds that is small enough to make them meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import SUFFIXES
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from tests.tools.planning import name_of, observed_of
from tests.tools.sentences import HOSTILE

ROOT, BIN = "/opt/python", "/usr/local/bin"
V3 = "x86_64_v3-unknown-linux-gnu"

UNIVERSE = (
    *map(name_of, ("3.12.1+20250101", "3.12.2+20250101", "3.12.2+20250201", "3.13.0+20250101", "3.13.0+20250201")),
    *map(name_of, ("3.13.1+20250201", "3.13.1+20250201 install_only", "3.13.1+20250201+pgo+lto full")),
    *map(name_of, ("3.13.0+20250101+freethreaded", "3.13.1+20250201+freethreaded", "3.14.0rc1+20250201")),
    name_of("3.13.0+20250201", V3),
    name_of("3.13.1+20250201", V3),
)
FILENAMES = {name: name + SUFFIXES["zst" if name.endswith("-full") else "gz"] for name in UNIVERSE}
REQUESTS: tuple[Any, ...] = (
    *("3.12", "3.13", "3.12.1", "3.13.0", "3.13.1", ">=3.12", "~=3.13.0", "<3.13", "3.13.0+20250101"),
    *("3.13t", "3.13.1t", "3.13+auto", "3.13+v3", "3.14-dev", "3.14"),
    {"version": "3.13", "flavor": "install_only"},
    {"version": "3.13", "flavor": "full"},
)
LINES = ("cpython-3.12", "cpython-3.13", "cpython-3.13+freethreaded", "cpython-3.14")
BIN_NAMES = ("python3.12", "python3.13", "python3.13t", "python3", "python", "python3.14")
FOREIGN_TARGETS = (
    HOSTILE,
    f"/opt/python/{HOSTILE}",
    *("/usr/bin/python3", "../bin/python3.11", f"{ROOT}/venvs/app/bin/python3", "cpython-custom", "/opt/python2"),
)
FAULTS = ("", "", "", "its executable is missing", "it does not start: no libpython")


@dataclass(frozen=True)
class Situation:
    """``foreign``: paths of what is not ours. ``filenames``: what the catalogue has."""

    desired: Desired
    observed: Observed
    filenames: tuple[str, ...]
    foreign: frozenset[str]


def _element(request: Any, state: str | None, default: bool | None) -> Any:
    said = dict(request) if isinstance(request, Mapping) else {"version": request}
    return (
        said | ({"state": state} if state else {}) | ({"default": default} if default is not None and state != "absent" else {})
    )


@st.composite
def declarations(draw: st.DrawFn) -> dict[str, Any]:
    requests = draw(st.lists(st.sampled_from(REQUESTS), max_size=4, unique_by=repr))
    default = draw(st.integers(-2, 3))
    unsaid = st.sampled_from((None, None, False))
    states = st.sampled_from((None, None, None, "present", "latest", "absent"))
    state = draw(st.sampled_from(("present", "present", "latest", "absent")))
    return {
        "builds": [
            _element(request, draw(states), draw(unsaid) if index != default or state == "absent" else True)
            for index, request in enumerate(requests)
        ],
        "state": state,
        "exclusive": draw(st.booleans()),
        "keep": draw(st.integers(0, 2)),
        "in_use": draw(st.sampled_from(("keep", "keep", "remove"))),
        "links": draw(st.sampled_from((["versioned", "default"], ["versioned"], ["default"], []))),
        "force": draw(st.sampled_from((False, False, True))),
        "externally_managed": draw(st.sampled_from((True, True, True, False))),
        "owner": draw(st.sampled_from((None, None, "app"))),
        "mode": draw(st.sampled_from((None, "0755"))),
        "lockfile": draw(st.sampled_from((None, None, "python.lock.json"))),
    }


@st.composite
def _host(draw: st.DrawFn) -> tuple[dict[str, Any], frozenset[str]]:
    """The part ``host:`` of a golden file, and the paths in it that are foreign."""
    names = draw(st.lists(st.sampled_from(UNIVERSE), unique=True, max_size=6))
    installed = [
        {
            "name": name,
            "problem": draw(st.sampled_from(FAULTS)),
            "receipt": draw(st.sampled_from((True, True, True, False))),
            "finish": {"externally_managed": draw(st.sampled_from((True, True, False)))},
            "installed_at": f"2026-0{draw(st.integers(1, 3))}-01T00:00:00Z",
        }
        for name in names
    ]
    for said in installed:
        if not said["receipt"]:
            said["problem"] = ""
            del said["problem"]
    links: dict[str, str] = {}
    occupied: set[str] = set()
    foreign: set[str] = set()
    stable = st.sampled_from(("none", "none", "ours", "ours", "ours", "ours", "link", "file"))
    for path in (*(f"{ROOT}/{line}" for line in LINES), *(f"{BIN}/{name}" for name in BIN_NAMES)):
        match draw(stable):
            case "ours" if path.startswith(ROOT):
                links[path] = draw(st.sampled_from(names or UNIVERSE) | st.sampled_from(UNIVERSE))
            case "ours":
                inside = draw(st.sampled_from(LINES) | st.sampled_from(UNIVERSE))
                links[path] = f"{ROOT}/{inside}/bin/{draw(st.sampled_from(('python3', path.rpartition('/')[2])))}"
            case "link" if draw(st.booleans()):
                links[path] = draw(st.sampled_from(FOREIGN_TARGETS))
                foreign.add(path)
            case "file" if draw(st.booleans()):
                occupied.add(path)
                foreign.add(path)
    for name in draw(st.sampled_from(((), (), UNIVERSE[3:6], UNIVERSE))):
        if name not in names:
            occupied.add(f"{ROOT}/{name}")
            foreign.add(f"{ROOT}/{name}")
    return {
        "installed": installed,
        "links": links,
        "occupied": occupied,
        "processes": draw(st.sampled_from(((), (), (f"7 app - here {names[0]} python3",) if names else ()))),
        "leftovers": draw(st.sampled_from(((), (), (f"{ROOT}/.standalone-python.staging",), (f"{ROOT}/{HOSTILE}",)))),
        **draw(st.sampled_from(({}, {}, {"lock": "1:2:b:h", "lock_state": "dead"}, {"lock": "1:2:b:h", "lock_state": "alive"}))),
        "root_state": draw(st.sampled_from(("writable", "writable", "writable", "unwritable"))),
        "bin_dir_state": draw(st.sampled_from(("writable", "writable", "writable", "unwritable"))),
        "root_exposed": draw(st.sampled_from(("", "", "", "/opt belongs to the user with the number 1001"))),
        "bin_dir_exposed": draw(st.sampled_from(("", "", "", "the group with the number 50 can write to /usr/local"))),
    }, frozenset(foreign)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    desired = declare(draw(declarations()))
    host, foreign = draw(_host())
    missing = draw(st.sets(st.sampled_from(UNIVERSE), max_size=3))
    filenames = tuple(filename for name, filename in FILENAMES.items() if name not in missing)
    return Situation(desired, observed_of(host, desired), filenames, foreign)
