# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""install and upgrade: what their arguments change on a host, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.arguments import (
    installed_requests,
    requested,
    to_install,
    to_upgrade,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.line import finish_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.plan import plan
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Plan, predict
from tests.tools.planning import name_of, observed_of, resolver

CATALOGUE = tuple(
    f"{name_of(build)}.tar.{'zst' if build.endswith(' full') else 'gz'}"
    for build in (
        *("3.12.1+20250115", "3.12.9+20250409", "3.13.0+20250115", "3.13.4+20250409", "3.14.0+20250409"),
        *("3.13.4+20250409+freethreaded+pgo full", "3.13.4+20250409+pgo full", "3.15.0a7+20250409"),
    )
)
OLD12, OLD13, NEW12, NEW13 = map(name_of, ("3.12.1+20250115", "3.13.0+20250115", "3.12.9+20250409", "3.13.4+20250409"))
OPEN = {"externally_managed": False, "compile_bytecode": True, "owner": "app", "certificates": "system"}


def line(minor: str, build: str, *names: str) -> dict[str, str]:
    """The links of a line: its stable link, and those of some names in bin_dir."""
    inside = {name: "python3" if name == "python" else name for name in names}
    links = {f"/usr/local/bin/{name}": f"/opt/python/cpython-{minor}/bin/{executable}" for name, executable in inside.items()}
    return links | {f"/opt/python/cpython-{minor}": build}


def host(*installed: str | Mapping[str, Any], **links: Any) -> Observed:
    return observed_of({"installed": installed, **links}, declare({"builds": []}))


def installing(observed: Observed, *requests: str, default: str | None = None, state: str = "present") -> Desired:
    return to_install(declare({"builds": requested(requests, default), "state": state}), observed)


def upgrading(observed: Observed, *requests: str) -> Desired:
    return to_upgrade(declare({"builds": []}), observed, requests)


def planned(desired: Desired, observed: Observed) -> Plan:
    """A plan. Made once more of the host after it, it is empty."""
    resolve = resolver(CATALOGUE)
    made = plan(desired, observed, resolve)
    assert not plan(desired, predict(made, observed, desired), resolve)
    return made


def words(made: Plan) -> list[str]:
    return [str(step).partition(":")[0] for step in made.steps]


TWO = host(
    {"name": OLD12, "finish": OPEN},
    OLD13,
    links=line("3.12", OLD12, "python3.12", "python3", "python") | line("3.13", OLD13, "python3.13"),
)


@pytest.mark.parametrize(
    ("requests", "does"),
    [
        (("3.12",), []),
        (("3.13", "3.12"), []),
        (("3.13", "3.12", "3.12.1+20250115"), []),
        ((">=3.12", "3.12"), []),
        (
            ("3.14",),
            [
                f"install {name_of('3.14.0+20250409')}",
                f"link /opt/python/cpython-3.14 to {name_of('3.14.0+20250409')}",
                "link /usr/local/bin/python3.14 to /opt/python/cpython-3.14/bin/python3.14",
            ],
        ),
        (("3.13.4",), [f"upgrade {NEW13}", f"link /opt/python/cpython-3.13 to {NEW13} instead of {OLD13}"]),
    ],
    ids=["is there", "are there", "are there twice", "are there, by a range too", "a new line", "a newer build"],
)
def test_install_changes_what_it_names(requests: Sequence[str], does: Sequence[str]) -> None:
    assert words(planned(installing(TWO, *requests), TWO)) == list(does)


def test_install_moves_the_default_links_if_it_is_told_to() -> None:
    assert words(planned(installing(TWO, "3.13", default="cpython-3.13"), TWO)) == [
        "link /usr/local/bin/python3 to /opt/python/cpython-3.13/bin/python3 instead of /opt/python/cpython-3.12/bin/python3",
        "link /usr/local/bin/python to /opt/python/cpython-3.13/bin/python3 instead of /opt/python/cpython-3.12/bin/python3",
    ]


def test_install_latest_upgrades() -> None:
    assert words(planned(installing(TWO, "3.13", state="latest"), TWO))[0] == f"upgrade {NEW13}"


def test_install_removes_no_build_that_was_kept() -> None:
    kept = [f"3.13.{micro}+20250115" for micro in range(3)]
    observed = host(*map(name_of, kept), links=line("3.13", name_of(kept[-1]), "python3.13"))
    assert planned(installing(observed, "3.13.4"), observed).removals == ()


def test_upgrade_takes_each_line_to_its_newest_build_and_keeps_its_links() -> None:
    made = planned(upgrading(TWO), TWO)
    assert words(made) == [
        f"upgrade {NEW12}",
        f"upgrade {NEW13}",
        f"link /opt/python/cpython-3.12 to {NEW12} instead of {OLD12}",
        f"link /opt/python/cpython-3.13 to {NEW13} instead of {OLD13}",
    ]
    assert words(planned(upgrading(TWO, ">=3.13"), TWO))[0] == f"upgrade {NEW13}"


def test_an_upgraded_build_is_finished_like_the_one_before() -> None:
    desired = upgrading(TWO)
    new12, new13 = (install.build for install in planned(desired, TWO).installs)
    assert (finish_of(desired, new12).owner, finish_of(desired, new13).owner) == ("app", "")
    delivery = sh.Own("/a", "", "https://a", "")
    given = {build.name: dict(word.split("=", 1) for word in sh.finish_arguments(desired, install, delivery))
             for install in planned(desired, TWO).installs for build in (install.build,)}  # fmt: skip
    assert {name: (one["externally_managed"], one["certificates"], one["owner"]) for name, one in given.items()} == {
        NEW12: ("0", "system", "app"),
        NEW13: ("1", "build", ""),
    }


def test_upgrade_keeps_as_many_builds_as_there_were() -> None:
    kept = [f"3.13.{micro}+20250115" for micro in range(3)]
    observed = host(*map(name_of, kept), links=line("3.13", name_of(kept[-1])))
    assert [step.name for step in planned(upgrading(observed), observed).removals] == [name_of(kept[0])]
    current = host(*map(name_of, kept), NEW13, links=line("3.13", NEW13))
    assert words(planned(upgrading(current), current)) == []


def test_upgrade_makes_no_link_where_the_lines_have_none() -> None:
    observed = host(OLD13, links=line("3.13", OLD13))
    assert words(planned(upgrading(observed), observed))[1:] == [f"link /opt/python/cpython-3.13 to {NEW13} instead of {OLD13}"]


@pytest.mark.parametrize(
    ("build", "request_of", "to"),
    [
        ("3.13.0+20250115+freethreaded+pgo full", "3.13t", "3.13.4+20250409+freethreaded+pgo full"),
        ("3.13.0+20250115+pgo full", "3.13", "3.13.4+20250409+pgo full"),
        ("3.15.0a1+20250115", "3.15-dev", "3.15.0a7+20250409"),
        (name_of("3.13.0+20250115", "x86_64_v3-unknown-linux-gnu"), "3.13+v3", ""),
        (name_of("3.12.1+20250115", "x86_64-unknown-linux-musl"), "3.12+static", ""),
    ],
)
def test_upgrade_stays_with_the_kind_of_build(build: str, request_of: str, to: str) -> None:
    observed = host(name_of(build))
    assert installed_requests(observed) == request_of
    if to:
        assert [install.build.name for install in planned(upgrading(observed), observed).installs] == [name_of(to)]


def test_what_is_for_another_host_is_not_upgraded() -> None:
    observed = host({"name": OLD13, "foreign": "is for aarch64"})
    assert (upgrading(observed).builds, installed_requests(observed)) == ((), "nothing")


def test_an_upgrade_of_what_is_not_there() -> None:
    with pytest.raises(DeclarationError) as raised:
        upgrading(TWO, "3.13", "3.14")
    assert str(raised.value) == (
        "nothing installed in /opt/python matches 3.14, so it can't be upgraded; installed there: 3.12, 3.13; "
        "use 'install' to install 3.14"
    )


def test_a_default_that_is_not_requested() -> None:
    with pytest.raises(DeclarationError) as raised:
        requested(["3.13", "3.14"], "3.12")
    assert str(raised.value) == "--default 3.12 is not one of the requests 3.13, 3.14: name one of them, or add 3.12"
