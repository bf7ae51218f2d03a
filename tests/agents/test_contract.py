# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents for POSIX shells keep the contract that cases.py writes down, in every shell."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import UNFINISHED, while_running
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.failures import FAILURES
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Remove
from tests.agents import cases
from tests.agents.cases import Case
from tests.agents.contract import OTHER, declared, expected_tree, hold, place_for, planned, put, recorded
from tests.agents.place import POSIX, Shell, finished, needed, tree

pytestmark = POSIX


@pytest.mark.parametrize("case", cases.OBSERVING, ids=lambda case: case.name)
def test_observe(case: Case, shell: Shell, disk: Path, tmp_path: Path) -> None:
    place = place_for(case, shell, disk, tmp_path / "tools")
    desired = declared(case, place)
    with ExitStack() as stack:
        for thing in case.before:
            put(thing, place, stack)
        before = tree(disk)
        facts: sh.Facts = "history" if "history" in case.sees else "no"
        done = place.run(shell, sh.observation(desired, facts=facts), as_user=as_user(case, tmp_path))
        hold(case.sees, parse(done.output), place)
        quick = place.run(shell, sh.observation(desired, facts="no", quick=True), as_user=as_user(case, tmp_path)).output
        if not quick.endswith(f"\n{UNFINISHED}\n") and facts == "no":
            hold(case.sees, parse(quick), place)
    assert done.code == 0
    assert done.errors == ""
    assert tree(disk) == before


IN_ORDER = frozenset(
    (
        *("nothing there", "an empty root", "a build and its links", "two builds", "a root that is reached by a link"),
        "a quick look knows what a full check found",
        "a build, its links and a history nobody asks for",
    )
)


@pytest.mark.parametrize("case", [case for case in cases.OBSERVING if case.name in IN_ORDER], ids=lambda case: case.name)
def test_a_quick_look_is_enough_where_nothing_is_unusual(case: Case, shell: Shell, disk: Path, tmp_path: Path) -> None:
    place = place_for(case, shell, disk, tmp_path / "tools")
    with ExitStack() as stack:
        for thing in case.before:
            put(thing, place, stack)
        said = place.run(shell, sh.observation(declared(case, place), facts="no", quick=True)).output
    hold(case.sees, parse(said), place)


@pytest.mark.parametrize("case", cases.APPLYING, ids=lambda case: case.name)
def test_apply(case: Case, shell: Shell, disk: Path, tmp_path: Path) -> None:
    place = place_for(case, shell, disk, tmp_path / "tools")
    desired = declared(case, place)
    with ExitStack() as stack:
        for thing in case.before:
            put(thing, place, stack)
        sent = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sent-")))
        sent.chmod(0o755)
        user = as_user(case, tmp_path)
        said = place.run(shell, sh.observation(desired, facts="no"), as_user=user).output
        for thing in case.between:
            put(thing, place, stack)
        before = tree(disk)
        plan, deliveries = planned(case, place, sent, said)
        script = sh.application(desired, plan, deliveries)
        done = place.run(shell, script, as_user=user, umask=case.umask)
        if case.fails[0]:
            with pytest.raises(AgentError) as error:
                parse(done.output)
            assert f"\nfailure={case.fails[0]}\n" in done.output
            assert case.fails[0] in FAILURES
            assert case.fails[1] in str(error.value)
            assert "the host is as it was" in str(error.value)
            assert done_steps(done.output) == []
            assert done.code == 1
        else:
            hold(case.sees, parse(done.output), place)
            assert parse(done.output).outdated == case.outdated
            assert done.code == 0
            # A build that a process uses is not removed, so that step is not done.
            held = parse(done.output).held
            steps = plan.steps if not case.outdated else ()
            left = [isinstance(step, Remove) and f"{parse(done.output).root}/{step.name}" in held for step in steps]
            assert done_steps(done.output) == [number for number, is_left in enumerate(left, 1) if not is_left]
    assert tree(disk) == expected_tree(case, place, before)


def done_steps(output: str) -> list[int]:
    """Return the numbers of the steps that an agent reported as done, after the first thing that it began: the lock."""
    lines = [what for line in output.splitlines() if (what := while_running(line)) is not None]
    assert str([*lines, "locking "][0]).startswith("locking ")
    return [line for line in lines if isinstance(line, int)]


def as_user(case: Case, tmp_path: Path) -> int | None:
    if not case.user:
        return None
    if os.geteuid() != 0:
        pytest.skip("needs root: to run as another user")
    needed("setpriv")
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001 and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    return OTHER


FOUND = "its files differ from what was installed: it's a $HOME \\n"
UNRECORDED: dict[str, tuple[cases.Thing, ...]] = {
    "is not a folder": (cases.File(cases.CHECKS, "mine"),),
    "not a folder": (cases.Link(cases.CHECKS, "{disk}"),),
    "is a folder": (cases.Folder(f"{cases.CHECKS}/{cases.ONE}/mine"),),
}


def test_a_full_check_is_recorded(shell: Shell, disk: Path, tmp_path: Path) -> None:
    """Also over an older record, and over what a killed run left; links in an image are not followed."""
    case = Case(
        "record",
        (*cases.FINISHED, cases.Checked("3.13.1")),
        {"root": cases.ODD_ROOTS["quotes"]},
        sees={"builds": {"3.13.1": re.escape(FOUND)}},
    )
    place = place_for(case, shell, disk, tmp_path / "tools")
    desired = declared(case, place)
    with ExitStack() as stack:
        for thing in (*case.before, cases.File("{disk}/mine", "mine"), cases.Link(f"{cases.CHECKS}/.new", "{disk}/mine")):
            put(thing, place, stack)
    line = recorded("3.13.1", FOUND)
    done = place.run(shell, sh.remembering(place.root, {cases.ONE: line}))
    assert (done.output, done.code) == (f"{sh.REMEMBERED}\n", 0)
    hold(case.sees, parse(place.run(shell, sh.observation(desired, facts="no", quick=True)).output), place)
    assert [path.name for path in place.path(cases.CHECKS).iterdir()] == [cases.ONE]
    assert (disk / "mine").read_text() == "mine"
    # A tree that has the same bytes each time has no time of a check, and no older result.
    place.environment["SOURCE_DATE_EPOCH"] = "1700000000"
    done = place.run(shell, sh.remembering(place.root, {cases.ONE: line}))
    assert (done.output, done.code) == ("with SOURCE_DATE_EPOCH a host gets no time of a check\n", 0)
    assert not place.path(cases.CHECKS).exists()


def test_full_checks_that_end_at_once(shell: Shell, disk: Path, tmp_path: Path) -> None:
    """The record is that of one of them, and whole."""
    place = place_for(Case("record"), shell, disk, tmp_path / "tools")
    with ExitStack() as stack:
        for thing in cases.FINISHED:
            put(thing, place, stack)
    lines = [recorded("3.13.1", f"{number} " * 80) for number in range(4)]
    running = [place.start(shell, sh.remembering(place.root, {cases.ONE: line})) for line in lines]
    answers = [finished(process).output for process in running]
    assert f"{sh.REMEMBERED}\n" in answers, answers
    assert (place.path(cases.CHECKS) / cases.ONE).read_text().removesuffix("\n") in lines


@pytest.mark.parametrize("why", UNRECORDED)
def test_a_full_check_that_can_not_be_recorded(why: str, shell: Shell, disk: Path, tmp_path: Path) -> None:
    case = Case("record", (*cases.FINISHED, *UNRECORDED[why]))
    place = place_for(case, shell, disk, tmp_path / "tools")
    with ExitStack() as stack:
        for thing in case.before:
            put(thing, place, stack)
    before = tree(disk)
    done = place.run(shell, sh.remembering(place.root, {cases.ONE: recorded("3.13.1")}))
    assert why in done.output
    assert (sh.REMEMBERED in done.output, done.errors, tree(disk)) == (False, "", before)
