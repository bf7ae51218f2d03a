# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build was in use before, where the history does not know. What it knows, test_history.py has; tests/cli tries it all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.line import line_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Installed, Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.plan import plan
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Finish, Receipt
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.rollback import exact, rollback_target

TRIPLE = "x86_64-unknown-linux-gnu-install_only_stripped"


def installed(build: str, day: int, *, options: str = "", fault: str = "") -> Installed:
    made = parse_filename(f"cpython-{build}-x86_64-unknown-linux-gnu-{options}install_only_stripped.tar.gz")
    receipt = Receipt(made, "", Finish(externally_managed=False, certificates="system"), "", 0, "", f"2026-11-{day:02}T00:00:00Z")
    return Installed(made.name, made, receipt, fault)


def host(*builds: Installed, use: int, bin_links: tuple[str, ...] = ()) -> Observed:
    """:param use: which of the builds has the line's stable link"""
    line = line_of(builds[use].build)
    links = {f"/p/{line}": builds[use].name} | {f"/p/bin/{name}": f"/p/{line}/bin/{name}" for name in bin_links}
    return Observed("/p", "/p/bin", "writable", "writable", tuple(sorted(builds, key=lambda one: one.name)), links)


A, B, C = installed("3.13.0+20250115", 1), installed("3.13.1+20250317", 2), installed("3.13.2+20250409", 3)
SAME_TIME = installed("3.13.1+20250317", 1)
REPLACED_LATER = installed("3.13.0+20250115", 5)
OTHER_LINE = installed("3.13.0+20260303", 1, options="freethreaded-")


@pytest.mark.parametrize(
    ("observed", "to"),
    [
        (host(A, B, C, use=2), B),
        (host(A, B, C, use=1), A),
        (host(A, SAME_TIME, use=1), A),
        (host(REPLACED_LATER, B, use=0), B),
        (host(A, installed("3.13.1+20250317", 2, fault="broken"), C, use=2), A),
        (host(A, B, OTHER_LINE, use=1), A),
    ],
    ids=[
        "the last",
        "one further",
        "the same second",
        "a downgrade",
        "broken ones are passed over",
        "another variant is another line",
    ],
)
def test_what_was_before_by_the_order_of_installation(observed: Observed, to: Installed) -> None:
    for history, why in ((), "can't be read"), (("absent",), "does not exist"), (("present",), "names no build of 3.13"):
        found = rollback_target(replace(observed, history=history), "3.13")
        assert found.previous == to
        assert found.remark == (
            f"/p/.standalone-python.history, which keeps what was in use before, {why}: {exact(to.build)} was chosen because it "
            "was installed last before the current build"
        )


def test_what_the_history_says_counts_and_broken_or_missing_builds_are_passed_over() -> None:
    gone = "cpython-3.13.9+20260101-x86_64-unknown-linux-gnu-install_only_stripped"
    broken = installed("3.13.1+20250317", 2, fault="broken")
    found = rollback_target(replace(host(REPLACED_LATER, broken, C, use=2), history=("present", A.name, gone, B.name)), "3.13")
    assert (found.previous, found.remark) == (REPLACED_LATER, "")
    with pytest.raises(DeclarationError, match="every earlier build of 3.13 in /p is broken, 3.13.1"):
        rollback_target(replace(host(broken, C, use=1), history=("present", B.name)), "3.13")
    with pytest.raises(
        DeclarationError, match="no build of 3.13 was in use before 3.13.2.* in /p: no other build of the line is"
    ):
        rollback_target(replace(host(C, use=0), history=("present", gone)), "3.13")


@pytest.mark.parametrize(
    "bin_links",
    [(), ("python3.13",), ("python3.13", "python3", "python"), ("python3", "python")],
    ids=lambda names: str(len(names)),
)
def test_all_that_changes_is_the_stable_link(bin_links: tuple[str, ...]) -> None:
    observed = host(A, B, C, use=2, bin_links=bin_links)
    links = {f"/p/bin/{name}": f"/p/cpython-3.13/bin/{'python3' if name == 'python' else name}" for name in bin_links} | {
        "/p/cpython-3.13": C.name
    }
    observed = Observed("/p", "/p/bin", "writable", "writable", observed.installed, links)

    def resolve(request: object) -> object:
        raise AssertionError(request)

    planned = plan(declare(rollback_target(observed).options), observed, resolve)  # type: ignore[arg-type]
    assert [str(step) for step in planned.steps] == [f"link /p/cpython-3.13 to {B.name} instead of {C.name}"]


@pytest.mark.parametrize(
    ("observed", "line", "says"),
    [
        (host(A, use=0), "3.13", "no other build of the line is kept; declare an older one"),
        (host(A, B, use=0), "3.13", "other builds of the line are newer, 3.13.1+20250317; declare the one"),
        (host(A, B, use=1), "3.13t", "no build of 3.13t is in use in /p, the lines in use there are 3.13:"),
        (host(A, B, use=1), "3.13.1", "'3.13.1' is not a line"),
        (host(A, B, use=1), ">=3.13", "'>=3.13' is not a line"),
        (Observed("/p", "/p/bin", "absent", "absent"), "", "no build is installed in /p, so there is nothing to roll back"),
        (Observed("/p", "/p/bin", "absent", "absent"), "3.13", "no build is installed in /p, so there is nothing to roll back"),
        (Observed("/p", "/p/bin", "absent", "absent", (A,)), "", "the lines in use in /p are none"),
    ],
)
def test_no_way_back(observed: Observed, line: str, says: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        rollback_target(observed, line)
    assert says in str(raised.value)


def test_exact() -> None:
    assert exact(OTHER_LINE.build) == "3.13.0+20260303+freethreaded"
