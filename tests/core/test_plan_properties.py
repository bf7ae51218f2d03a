# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the plan of any declaration on any host, whatever the plan is."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace

from hypothesis import event, given, settings

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Request
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.line import line_of
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.plan import plan
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import (
    Clear,
    Install,
    Plan,
    Remove,
    SetLink,
    Unlink,
    describe,
    predict,
)
from tests.tools.planning import resolver
from tests.tools.random_hosts import BIN, ROOT, Situation, situations
from tests.tools.sentences import check

# In continuous integration there are more of them.
TIMES = 5 if os.environ.get("CI") else 1
ORDER = (Clear, Install, SetLink, Unlink, Remove)


def made(situation: Situation) -> Plan | None:
    """The plan; None where there is none, which must be said by an error of ours."""
    try:
        found = plan(situation.desired, situation.observed, resolver(situation.filenames))
    except StandalonePythonError as error:
        event(type(error).__name__)
        return None
    event("changes" if found else "nothing to do")
    return found


def admits(request: Request, build: Build) -> bool:
    return request.admits(build.version, build.variant, build.release, build.flavor) and (request.level in ("auto", build.level))


@settings(max_examples=300 * TIMES)
@given(situations())
def test_a_second_run_changes_nothing_and_finds_the_same(situation: Situation) -> None:
    first = made(situation)
    if first is None:
        return
    after = predict(first, situation.observed, situation.desired)
    second = plan(situation.desired, after, resolver(situation.filenames))
    assert [str(step) for step in second.steps] == []
    assert [outcome.build.name for outcome in second.outcomes] == [outcome.build.name for outcome in first.outcomes]
    assert [outcome.stable_path for outcome in second.outcomes] == [outcome.stable_path for outcome in first.outcomes]
    assert [outcome.links for outcome in second.outcomes] == [outcome.links for outcome in first.outcomes]
    assert all(outcome.action == "none" for outcome in second.outcomes)
    assert predict(second, after, situation.desired) == after


@settings(max_examples=150 * TIMES)
@given(situations())
def test_what_is_said_of_a_plan_and_of_why_there_is_none_commands_no_terminal(situation: Situation) -> None:
    observed = situation.observed
    try:
        found = plan(situation.desired, observed, resolver(situation.filenames))
    except StandalonePythonError as error:
        check(str(error))
        return
    after = predict(found, observed, situation.desired)
    for sentence in (*map(str, found.steps), *(outcome.reason for outcome in found.outcomes), *damage(observed)):
        check(sentence)
    for line in (describe(observed) + describe(after)).splitlines():
        check(line)


@settings(max_examples=150 * TIMES)
@given(situations())
def test_what_is_not_ours_is_in_no_step(situation: Situation) -> None:
    found = made(situation)
    if found is None:
        return
    for step in found.steps:
        match step:
            case SetLink(path):
                assert situation.desired.force or path not in situation.foreign
            case Install(build):
                assert situation.desired.force or f"{ROOT}/{build.name}" not in situation.foreign
            case Unlink(path, was):
                assert path not in situation.foreign
                assert situation.observed.links[path] == was
            case Remove(name):
                assert name in {installed.name for installed in situation.observed.installed}


@settings(max_examples=150 * TIMES)
@given(situations())
def test_the_host_afterwards_is_as_declared(situation: Situation) -> None:
    desired = situation.desired
    found = made(situation)
    if found is None:
        return
    after = predict(found, situation.observed, desired)
    there = {installed.name: installed for installed in after.installed}
    chosen = {outcome.build.name for outcome in found.outcomes}
    lines = {line_of(outcome.build) for outcome in found.outcomes}

    for outcome in found.outcomes:
        assert admits(outcome.wanted.request, outcome.build)
        assert not there[outcome.build.name].problem
        # Every declared line has its stable link, and the path that is called stable is one that exists.
        target = after.links[f"{ROOT}/{line_of(outcome.build)}"]
        assert target in chosen
        assert outcome.stable_path in (f"{ROOT}/{line_of(outcome.build)}/bin/python3", outcome.path)
        assert (outcome.stable_path != outcome.path) == (target == outcome.build.name)
        for link in outcome.links:
            assert after.links[link].startswith(f"{ROOT}/{line_of(outcome.build)}/bin/python")
    for wanted in desired.builds:
        if wanted.state == "absent":
            assert not any(admits(wanted.request, installed.build) for installed in after.installed)
    for line in lines:
        replaced = [name for name, installed in there.items() if line_of(installed.build) == line and name not in chosen]
        assert len(replaced) <= desired.keep
    if desired.exclusive:
        assert {line_of(installed.build) for installed in after.installed} <= lines


def dangling(observed: Observed, foreign: frozenset[str]) -> set[str]:
    """Paths of links of ours that lead to no build."""
    there = {installed.name for installed in observed.installed}
    standing = there | {
        path.rpartition("/")[2]
        for path, target in observed.links.items()
        if path.startswith(f"{ROOT}/") and (target in there or path in foreign)
    }
    return {
        path
        for path, target in observed.links.items()
        if target.removeprefix(f"{ROOT}/").partition("/")[0] not in (standing if path.startswith(BIN) else there)
    }


@settings(max_examples=150 * TIMES)
@given(situations())
def test_no_link_of_ours_dangles_afterwards_or_on_the_way(situation: Situation) -> None:
    found = made(situation)
    if found is None:
        return
    before, desired, foreign = situation.observed, situation.desired, situation.foreign
    assert dangling(predict(found, before, desired), foreign) <= foreign
    # A run that is killed between two steps leaves none behind that led somewhere before.
    for count in range(len(found.steps)):
        part = predict(Plan(found.steps[:count], ()), before, desired)
        assert dangling(part, foreign) <= dangling(before, foreign) | foreign


@settings(max_examples=100 * TIMES)
@given(situations())
def test_steps_stand_in_the_order_of_work_and_none_undoes_another(situation: Situation) -> None:
    found = made(situation)
    if found is None:
        return
    kinds = [ORDER.index(type(step)) for step in found.steps]
    assert kinds == sorted(kinds)
    coming = [install.build.name for install in found.installs]
    going = [removal.name for removal in found.removals]
    assert len(set(coming)) == len(coming)
    assert len(set(going)) == len(going)
    assert not set(going) & ({outcome.build.name for outcome in found.outcomes} | set(coming))
    changed = [step.path for step in found.steps if isinstance(step, (SetLink, Unlink))]
    assert len(set(changed)) == len(changed)
    assert all(step.to != step.was for step in found.steps if isinstance(step, SetLink))


@settings(max_examples=100 * TIMES)
@given(situations())
def test_a_build_is_looked_for_only_where_what_is_installed_is_not_enough(situation: Situation) -> None:
    asked: list[Request] = []
    known = resolver(situation.filenames)

    def resolve(request: Request) -> Build:
        asked.append(request)
        return known(request)

    with contextlib.suppress(StandalonePythonError):
        plan(situation.desired, situation.observed, resolve)
    for wanted in situation.desired.builds:
        able = [i for i in situation.observed.installed if admits(wanted.request, i.build)]
        sound = able and all(i.receipt and not i.problem for i in able)
        absent = any(other.state == "absent" for other in situation.desired.builds)
        if wanted.state == "present" and sound and not absent and not situation.desired.lockfile:
            twins = [w for w in situation.desired.builds if w.request == wanted.request and w.state == "latest"]
            assert wanted.request not in asked or twins
    assert len(asked) == len(set(asked)), "one request is resolved more than once"


@settings(max_examples=100 * TIMES)
@given(situations())
def test_with_a_lock_file_a_request_means_what_is_locked_and_nothing_else(situation: Situation) -> None:
    """The resolver stands for the lock file."""
    locked = replace(situation, desired=replace(situation.desired, lockfile="python.lock.json"))
    found = made(locked)
    known = resolver(locked.filenames)
    for outcome in found.outcomes if found else ():
        assert outcome.build.name == known(outcome.wanted.request).name


@settings(max_examples=100 * TIMES)
@given(situations())
def test_the_order_in_which_a_host_names_its_builds_does_not_matter(situation: Situation) -> None:
    observed = situation.observed
    backwards = replace(observed, installed=observed.installed[::-1], links=dict(reversed(list(observed.links.items()))))
    one, other = made(situation), made(replace(situation, observed=backwards))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert {str(step) for step in one.steps} == {str(step) for step in other.steps}
        assert one.outcomes == other.outcomes
