# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, deliver, apply, observe: on a host that is only a value, and counts what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed, Result, decide, ensure, observe
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    AgentError,
    DeclarationError,
    NoBuildError,
    ObservationError,
    StandalonePythonError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage, info, result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.memory import remember
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import (
    BEGIN,
    FAILURE_BEGIN,
    FAILURE_END,
    UNFINISHED,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed, Sight, parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Install, Remove, describe
from tests.tools.memory_host import MemoryHost, MemorySupply, answer
from tests.tools.planning import FACTS, installed_of, name_of, observed_of
from tests.tools.random_hosts import BIN, ROOT, Situation, situations

OLD, NEW, OTHER = name_of("3.13.1+20250115"), name_of("3.13.2+20250317"), name_of("3.12.8+20250115")
LINKS = {f"{ROOT}/cpython-3.13": OLD, f"{BIN}/python3.13": f"{ROOT}/cpython-3.13/bin/python3.13"}
IN_ORDER: dict[str, Any] = {"installed": [OLD], "links": LINKS}
FOREIGN = {"name": name_of("3.13.5+20250601", "aarch64-unknown-linux-gnu"), "foreign": "is for another host"}
CATALOGUE = (f"{OLD}.tar.gz", f"{NEW}.tar.gz")


def desired(**options: Any) -> Desired:
    return declare({"builds": ["3.13"]} | options)


def host(said: dict[str, Any] | None = None, **more: Any) -> MemoryHost:
    return MemoryHost(observed_of(said or {}, desired()), **more)


def untouched() -> MemorySupply:
    """A supply that fails when a build is looked for in it."""
    return MemorySupply(None)


def test_the_memory_host_tells_what_the_parser_reads() -> None:
    state = observed_of(
        IN_ORDER | {"occupied": [f"{BIN}/python"], "leftovers": [f"{ROOT}/.standalone-python.staging"]}, desired()
    )
    assert parse(answer(state, facts=True)) == state


@settings(max_examples=50)
@given(situations())
def test_the_parser_reads_any_host_that_can_be_told(situation: Situation) -> None:
    observed = replace(situation.observed, sight="all")
    assert parse(answer(observed, facts=True, processes=True)) == observed


# What a host is asked.


def test_what_a_quick_look_cannot_tell_is_asked_again_with_all_that_may_be_needed() -> None:
    there = host(IN_ORDER, says={0: Completed(0, f"{BEGIN}\nroot={ROOT}\n{UNFINISHED}\n", "")})
    assert not ensure(there, desired(), untouched()).changed
    assert there.asked == ["observe", "observe with facts"]
    quick, whole = there.scripts
    assert len(quick) < len(whole) / 2


def test_nothing_to_do_is_one_question_without_facts() -> None:
    there, supply = host(IN_ORDER), untouched()
    result = ensure(there, desired(), supply)
    assert (result.changed, there.asked, there.uploads, supply.asked) == (False, ["observe"], {}, [])
    assert result.after == result.before
    assert [outcome.action for outcome in result.plan.outcomes] == ["none"]


DAMAGE = "its files differ from what was installed: lib/a.py"
DAMAGED = [{"name": OLD, "damage": "lib/a.py"}]


@pytest.mark.parametrize(
    ("said", "check", "asked", "records"),
    [
        (IN_ORDER, False, ["observe", "remember"], {OLD: "clean"}),
        (IN_ORDER, True, ["observe"], {}),
        (IN_ORDER | {"installed": DAMAGED}, True, ["observe", "observe with facts"], {}),
        # The new files are compared after the change.
        (IN_ORDER | {"installed": DAMAGED}, False, ["observe", "observe with facts", "apply", "remember"], {OLD: "clean"}),
        # What this user may not change, or another user could.
        (IN_ORDER | {"root_state": "unwritable"}, False, ["observe"], {}),
        (IN_ORDER | {"root_exposed": "owner 7 /opt"}, False, ["observe"], {}),
        # A build for another kind of host is not this host's to judge; a quick look sees that one does not start.
        (IN_ORDER | {"installed": [OLD, FOREIGN]}, False, ["observe", "observe with facts", "remember"], {OLD: "clean"}),
        (
            IN_ORDER | {"installed": [OLD, {"name": OTHER, "problem": "it does not start: no"}]},
            False,
            ["observe", "observe with facts", "remember"],
            {OLD: "clean"},
        ),
    ],
)
def test_a_full_check_is_recorded(said: dict[str, Any], check: bool, asked: list[str], records: dict[str, str]) -> None:
    there = host(said)
    result = ensure(there, desired(verify="full"), MemorySupply(CATALOGUE), check=check)
    assert there.asked == asked
    assert {name: line.partition(" ")[2].partition(" ")[2] for name, line in there.records.items()} == records
    found = {i.name for i in result.after.installed if i.checked_at}
    assert found == set(records)


def test_what_a_full_check_found_is_recorded_until_the_repair() -> None:
    """A quick look after it says the same, and a run that only looks quickly repairs it."""
    there = host(IN_ORDER | {"installed": DAMAGED})
    _after, why_not = remember(there.run, desired(verify="full"), parse(answer(there.state, facts=False)))
    assert why_not == ""
    assert there.records[OLD].endswith(f" {DAMAGE}")
    at, _space, _rest = there.records[OLD].partition(" ")
    there.state = replace(there.state, installed=tuple(replace(one, checked_at=at) for one in there.state.installed))
    seen = parse(answer(there.state, facts=False)).installed[0]
    assert seen.problem == f"{DAMAGE} (found by the full check of {at[:10]})"
    repaired = ensure(there, desired(), MemorySupply(CATALOGUE))
    assert [str(step.action) for step in repaired.plan.installs] == ["repair"]
    assert not repaired.after.installed[0].problem


def test_a_host_that_does_not_record_says_why() -> None:
    there = host(IN_ORDER, says={0: Completed(0, "mkdir: can't create: \x1b[31mRead-only\n", "")})
    observed, why_not = remember(there.run, desired(verify="full"), there.state)
    assert (observed, why_not) == (there.state, "mkdir: can't create: \\x1b[31mRead-only")


@pytest.mark.parametrize(
    ("options", "said", "asked", "action"),
    [
        ({}, IN_ORDER, ["observe"], "none"),
        ({"state": "latest"}, IN_ORDER | {"installed": [NEW], "links": LINKS | {f"{ROOT}/cpython-3.13": NEW}},
         ["observe with facts"], "none"),
        ({}, {}, ["observe", "observe with facts", "apply"], "install"),
        ({"state": "latest"}, IN_ORDER, ["observe with facts", "observe with history", "apply"], "upgrade"),
        ({}, {"installed": [OLD]}, ["observe", "apply"], "relink"),
        (
            {},
            IN_ORDER | {"installed": [{"name": OLD, "problem": "its executable is missing"}]},
            ["observe", "observe with facts", "apply"],
            "repair",
        ),
        (
            {},
            IN_ORDER | {"installed": [{"name": OLD, "receipt": False}]},
            ["observe", "observe with facts", "apply"],
            "repair",
        ),
        ({"lockfile": "l"}, IN_ORDER | {"installed": [NEW], "links": LINKS | {f"{ROOT}/cpython-3.13": NEW}},
         ["observe with facts"], "none"),
        ({"lockfile": "l"}, IN_ORDER, ["observe with facts", "observe with history", "apply"], "upgrade"),
        ({"compile_bytecode": True}, IN_ORDER, ["observe", "observe with facts", "apply"], "reinstall"),
        ({"certificates": "system"}, IN_ORDER, ["observe", "observe with facts", "apply"], "reinstall"),
        # What was in use is written down: that needs a look at what is written there.
        ({"certificates": "system", "state": "latest"}, IN_ORDER, ["observe with facts", "observe with history", "apply"],
         "upgrade"),
        # A build for another kind of host doesn't start. What is enough beside it is found with the facts, and then left.
        ({}, IN_ORDER | {"installed": [OLD, FOREIGN]}, ["observe", "observe with facts"], "none"),
        ({}, {"installed": [FOREIGN]}, ["observe", "observe with facts", "apply"], "install"),
    ],
)  # fmt: skip
def test_a_host_is_asked_no_more_than_is_needed(
    options: dict[str, Any], said: dict[str, Any], asked: list[str], action: str
) -> None:
    there = host(said)
    result = ensure(there, desired(**options), MemorySupply(CATALOGUE))
    assert there.asked == asked
    assert [outcome.action for outcome in result.plan.outcomes] == [action]
    assert result.changed == (action != "none")
    assert len(there.uploads) == len(result.plan.installs)


MOVED = IN_ORDER | {"installed": [{"name": OLD, "moved": f"/old/{OLD}"}]}


def test_what_was_moved_is_repaired_from_its_own_files() -> None:
    there, supply = host(MOVED), untouched()
    result = ensure(there, desired(), supply)
    assert [(step.action, step.moved) for step in result.plan.installs] == [("repair", f"/old/{OLD}")]
    assert (there.asked, there.uploads, supply.asked) == (["observe", "observe with facts", "apply"], {}, [])
    assert "\ncopy_installed 0000" in there.scripts[-1]
    assert f"former=/old/{OLD}" in there.scripts[-1]


@pytest.mark.parametrize("doing", ["copying", "finishing"])
def test_what_was_moved_and_is_not_whole_is_downloaded(doing: str) -> None:
    failure = f"{FAILURE_BEGIN}\nstep={doing} {OLD}\nfailure=content\ncommitting=no\ndetail=x\n{FAILURE_END}\n"
    there, supply = host(MOVED, says={2: Completed(1, failure, "")}), MemorySupply(CATALOGUE)
    result = ensure(there, desired(), supply)
    assert [step.action for step in result.plan.installs] == ["repair"]
    assert there.asked == ["observe", "observe with facts", "apply", "apply"]
    assert (len(there.uploads), "\ncopy_installed 0000" in there.scripts[-1]) == (1, False)


@pytest.mark.parametrize("options", [{"externally_managed": False}, {"compile_bytecode": True}, {"certificates": "system"}])
def test_what_was_moved_and_is_declared_otherwise_is_downloaded(options: dict[str, Any]) -> None:
    there = host(MOVED)
    ensure(there, desired(**options), MemorySupply(CATALOGUE))
    assert len(there.uploads) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"state": "absent", "in_use": "remove"}, IN_ORDER),
        ({"builds": [], "exclusive": True, "in_use": "remove"}, IN_ORDER),
        ({}, IN_ORDER | {"leftovers": [f"{ROOT}/.standalone-python.staging"]}),
        ({"links": []}, IN_ORDER),
    ],
)
def test_what_needs_no_build_needs_no_facts(options: dict[str, Any], said: dict[str, Any]) -> None:
    there, supply = host(said), untouched()
    assert ensure(there, desired(**options), supply).changed
    assert (there.asked, supply.asked) == (["observe", "apply"], [])


@pytest.mark.parametrize(("said", "looks"), [({}, ["no", "yes"]), (IN_ORDER, ["no"]), ({"installed": [OTHER]}, ["no", "yes"])])
def test_the_kind_of_host_is_observed_only_where_something_has_to_change(said: dict[str, Any], looks: list[str]) -> None:
    there, seen = host(said), []

    def look(facts: sh.Facts) -> Observed:
        seen.append(facts)
        return observe(there, desired(), facts=facts)

    decision = decide(desired(), MemorySupply(CATALOGUE), look)
    assert seen == looks
    assert bool(decision.plan) == (said is not IN_ORDER)


def test_only_observing() -> None:
    there = host(IN_ORDER)
    assert observe(there, desired(), facts="no").facts == {}
    assert observe(there, desired(), facts="yes").facts == FACTS
    assert there.asked == ["observe", "observe with facts"]


def test_the_environment_is_in_every_script() -> None:
    there = host()
    ensure(there, desired(), MemorySupply(CATALOGUE), environment={"https_proxy": "http://proxy:3128"})
    assert len(there.scripts) == 3
    assert all(script.startswith("export https_proxy=http://proxy:3128\n") for script in there.scripts)


def test_an_environment_that_no_shell_takes_is_found_before_anything_is_asked() -> None:
    there = host()
    with pytest.raises(DeclarationError):
        ensure(there, desired(), untouched(), environment={"a-b": "c"})
    assert there.scripts == []


# Check mode.


@pytest.mark.parametrize(
    ("options", "said", "asked"),
    [
        ({}, {}, ["observe", "observe with facts"]),
        ({"state": "latest"}, IN_ORDER, ["observe with facts"]),
        (
            {},
            IN_ORDER | {"installed": [{"name": OLD, "problem": "its executable is missing"}]},
            ["observe", "observe with facts"],
        ),
        ({"state": "absent"}, IN_ORDER, ["observe", "observe with processes"]),
    ],
)
def test_check_mode_only_looks(options: dict[str, Any], said: dict[str, Any], asked: list[str]) -> None:
    there, supply = host(said), MemorySupply(CATALOGUE)
    before = there.state
    result = ensure(there, desired(**options), supply, check=True)
    assert result.changed
    assert (there.asked, there.uploads, there.state) == (asked, {}, before)
    assert not [question for question in supply.asked if question.startswith("payload")]


def seen(state: Observed) -> tuple[Any, ...]:
    """What check mode promises of a host: everything but what only a finisher knows."""
    return (
        describe(state),
        [(build.name, build.problem, build.finish) for build in state.installed],
        dict(state.links),
        state.occupied,
        state.leftovers,
        state.lock,
        state.root_state,
    )


def attempt(there: MemoryHost, situation: Situation, *, check: bool) -> Result | str:
    try:
        return ensure(there, situation.desired, MemorySupply(situation.filenames), check=check)
    except StandalonePythonError as error:
        return str(error)


@settings(max_examples=200)
@given(situations())
def test_what_check_mode_predicts_is_what_happens(situation: Situation) -> None:
    there = MemoryHost(situation.observed)
    predicted, ran = attempt(there, situation, check=True), attempt(there, situation, check=False)
    if isinstance(predicted, str) or isinstance(ran, str):
        event("error")
        assert predicted == ran
        assert there.state == situation.observed
        return
    event("change" if ran.changed else "no change")
    assert [str(step) for step in predicted.plan.steps] == [str(step) for step in ran.plan.steps]
    assert predicted.plan.outcomes == ran.plan.outcomes
    assert seen(predicted.after) == seen(ran.after) == seen(there.state)
    again = attempt(there, situation, check=False)
    assert isinstance(again, Result)
    assert not again.changed
    assert again.after == again.before
    assert [outcome.build.name for outcome in again.plan.outcomes] == [outcome.build.name for outcome in ran.plan.outcomes]


# What happens on the way.


@pytest.mark.parametrize(("tools", "form"), [("tar gzip zstd", "zst"), ("tar gzip", "gz"), ("", "gz")])
def test_zstd_where_the_host_has_it(tools: str, form: str) -> None:
    there, supply = host({"facts": {"tools": tools}}), MemorySupply(CATALOGUE)
    ensure(there, desired(), supply)
    assert supply.asked == ["resolve 3.13", f"payload {form}"]
    assert list(there.uploads) == [f"/tmp/sent/{NEW}.tar.{form}"]


def test_a_disk_that_is_too_small_is_found_before_anything_is_sent() -> None:
    there = host({"facts": {"free_kb": "90000"}})
    with pytest.raises(AgentError) as caught:
        ensure(there, desired(), MemorySupply(CATALOGUE))
    assert str(caught.value) == (
        f"{NEW} needs 107422 kB below {ROOT}, where 90000 kB are free: make room, or choose another root; the host is as it was"
    )
    assert (there.uploads, there.asked) == ({}, ["observe", "observe with facts"])


def test_a_file_system_with_too_few_inodes_is_found_before_anything_is_sent() -> None:
    there = host({"facts": {"free_inodes": "4019"}})
    with pytest.raises(AgentError) as caught:
        ensure(there, desired(), MemorySupply(CATALOGUE))
    assert str(caught.value) == (
        f"{NEW} needs 4020 inodes below {ROOT}, where 4019 are free: remove files on that file system, or choose another root; "
        "the host is as it was"
    )
    assert (there.uploads, there.asked) == ({}, ["observe", "observe with facts"])
    assert ensure(host({"facts": {"free_inodes": "4020"}}), desired(), MemorySupply(CATALOGUE)).changed


def test_free_space_that_is_not_known_is_left_to_the_host() -> None:
    assert ensure(host({"facts": {"free_kb": ""}}), desired(), MemorySupply(CATALOGUE)).changed


def test_pull_sends_nothing() -> None:
    there, supply = host({"facts": {"tools": "tar curl"}}), MemorySupply(CATALOGUE, token_for_hosts="s3cret")
    ensure(there, desired(delivery="pull"), supply)
    assert there.uploads == {}
    assert supply.asked == ["resolve 3.13"]
    assert f"https://one.example/{NEW}.tar.gz" in there.scripts[-1].replace("'", "")
    assert ["s3cret" in script for script in there.scripts] == [False, False, True]


def test_a_plan_says_that_the_source_may_lack_a_build() -> None:
    """A run finds out, and its error then says the same where the host downloads."""
    assumed = f"the source may lack {NEW}"
    supply = MemorySupply(CATALOGUE, unreached=True)
    assert assumed in ensure(host(), desired(), supply, check=True).remarks
    assert assumed not in ensure(host(IN_ORDER), desired(), supply, check=True).remarks
    assert assumed not in ensure(host(), desired(), supply).remarks
    failure = f"{FAILURE_BEGIN}\nstep=downloading {NEW}\nfailure=download\ncommitting=no\ndetail=404\n{FAILURE_END}\n"
    there = host({"facts": {"tools": "tar curl"}}, says={2: Completed(1, failure, "")})
    with pytest.raises(AgentError, match="download") as caught:
        ensure(there, desired(delivery="pull"), supply)
    assert str(caught.value).endswith(f"; {assumed}")


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("facts", "token", "said"),
    [
        ({"tools": "tar curl"}, "", "<full> is compressed with zstd, which the host doesn't have, and delivery is pull: "),
        ({"tools": "tar zstd"}, "", "delivery: pull needs curl or wget on the host, which has neither: "),
        (
            {"tools": "tar zstd wget"},
            "s3cret",
            "the host has only a wget that takes a token, password or query on its command line, ",
        ),
    ],
)
def test_pull_by_a_host_that_lacks_a_program(facts: dict[str, str], token: str, said: str, check: bool) -> None:
    """It is found where a change is only told, too."""
    full = f"{name_of('3.13.2+20250317+pgo+lto full')}.tar.zst"
    there, pull = host({"facts": facts}), desired(builds=["3.13+full"], delivery="pull")
    with pytest.raises(AgentError) as caught:
        ensure(there, pull, MemorySupply((full,), token_for_hosts=token), check=check)
    assert str(caught.value).startswith(said.replace("<full>", full))
    assert "apply" not in there.asked
    for able in ({"tools": "tar zstd curl"}, {"tools": "tar zstd wget", "wget": "gnu"}):
        assert ensure(host({"facts": able}), pull, MemorySupply((full,), token_for_hosts=token), check=check).changed


@pytest.mark.parametrize("source", ["https://one.example/pbs?key=s3cret", "https://me:s3cret@one.example/pbs"])
def test_an_address_with_a_secret_is_refused_before_anything_is_done(source: str) -> None:
    there = host({"facts": {"tools": "tar wget"}})
    with pytest.raises(AgentError, match="only a wget that takes a token, password or query") as caught:
        ensure(there, desired(delivery="pull", source=source), MemorySupply(CATALOGUE), check=True)
    assert "s3cret" not in str(caught.value)
    assert "apply" not in there.asked


def test_no_such_build() -> None:
    there = host()
    with pytest.raises(NoBuildError):
        ensure(there, desired(builds=["3.13.9"]), MemorySupply(CATALOGUE))
    assert "apply" not in there.asked


# A host that does not do as it should.


def failing(**more: Any) -> str:
    with pytest.raises(StandalonePythonError) as caught:
        ensure(host(**more), desired(), MemorySupply(CATALOGUE))
    return f"{type(caught.value).__name__}: {caught.value}"


def test_the_agents_sentence_reaches_the_user() -> None:
    lines = [FAILURE_BEGIN, "step=unpacking x", "failure=notar", "committing=no", FAILURE_END, ""]
    assert failing(says={2: Completed(1, "\n".join(lines), "")}) == (
        "AgentError: unpacking x failed: the host has no tar to unpack the archive: install it; the host is as it was"
    )


def test_an_observation_that_can_not_be_read() -> None:
    for number in range(3):
        assert failing(says={number: Completed(127, "", "sh: not found\n")}) == (
            "ObservationError: the host did not run what was sent to it (exit code 127): sh: not found; see that its shell is a "
            "POSIX sh, or PowerShell on Windows, and that it has the program that changes the user, such as sudo, or connect as that user"
        )
    # The connection may have been lost in the middle.
    for code, output in ((255, ""), (127, "Welcome!")):
        assert failing(says={2: Completed(code, output, "sorry\n")}).endswith(f"; it also said (exit code {code}): sorry")


def test_an_observation_that_can_not_be_read_and_nothing_said() -> None:
    assert failing(says={0: Completed(0, "Welcome!\n", " \n")}) == (
        "ObservationError: the host's answer can't be read: instead of an observation of its interpreters it gave Welcome!; "
        "see that its shell is a POSIX sh, or PowerShell on Windows, and that nothing ends it early"
    )


def test_a_host_that_is_not_as_planned_afterwards() -> None:
    def without_links(state: Observed) -> Observed:
        return replace(state, links={f"{ROOT}/cpython-3.13": NEW})

    assert failing(meddle=without_links) == (
        "AgentError: the host is not as planned after the change: still to do is "
        f"link {BIN}/python3.13 to {ROOT}/cpython-3.13/bin/python3.13; "
        "something else changes it, or see what the host's shell printed with -vvv"
    )


def test_a_build_that_does_not_start_afterwards() -> None:
    def broken(state: Observed) -> Observed:
        return replace(state, installed=tuple(replace(build, problem="it does not start: no") for build in state.installed))

    assert f"still to do is repair {NEW}: it does not start: no" in failing(meddle=broken)


def test_a_build_that_was_not_removed() -> None:
    there = host(IN_ORDER, meddle=lambda state: replace(state, installed=(*state.installed, installed_of(OLD))))
    with pytest.raises(AgentError) as caught:
        ensure(there, desired(state="latest", keep=0), MemorySupply(CATALOGUE))
    assert f"still to do is remove {OLD}: it was replaced, and keep is 0" in str(caught.value)


def test_a_build_that_is_gone_afterwards() -> None:
    """Without facts nothing can be looked for any more: still an error of ours, with a sentence."""
    there = host({"installed": [OLD]}, meddle=lambda state: replace(state, installed=()))
    with pytest.raises(AgentError) as caught:
        ensure(there, desired(), untouched())
    assert str(caught.value) == (
        "the host is not as planned after the change: a build has disappeared; something else changes the host"
    )


def test_an_upload_that_fails_leaves_the_host_alone() -> None:
    there = host()

    def upload(path: Any, name: str) -> str:
        raise ConnectionError("gone")

    there.upload = upload  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        ensure(there, desired(), MemorySupply(CATALOGUE))
    assert "apply" not in there.asked


def test_somebody_else_did_it_between_two_looks() -> None:
    """The first look finds nothing installed, the second, with facts, everything in order."""
    there = host(IN_ORDER, says={0: Completed(0, answer(observed_of({}, desired()), facts=False), "")})
    result = ensure(there, desired(), untouched())
    assert (result.changed, there.asked) == (False, ["observe", "observe with facts"])


def test_somebody_else_repaired_it_between_two_looks() -> None:
    broken = observed_of(IN_ORDER | {"installed": [{"name": OLD, "problem": "its executable is missing"}]}, desired())
    there = host(IN_ORDER, says={0: Completed(0, answer(broken, facts=False), "")})
    result = ensure(there, desired(), untouched())
    assert (result.changed, there.asked) == (False, ["observe", "observe with facts"])


def test_an_observation_error_is_no_empty_host() -> None:
    with pytest.raises(ObservationError):
        observe(host(says={0: Completed(0, "", "")}), desired(), facts="yes")


def test_several_builds_are_one_application() -> None:
    there = host()
    result = ensure(there, desired(builds=["3.13.1", "3.13.2"]), MemorySupply(CATALOGUE))
    assert there.asked == ["observe", "observe with facts", "apply"]
    assert len(there.uploads) == 2
    assert [step.build.name for step in result.plan.steps if isinstance(step, Install)] == [OLD, NEW]


# Processes run from builds that a declaration wants removed.


ABSENT: dict[str, Any] = {"builds": ["3.13"], "state": "absent"}
USED = IN_ORDER | {"processes": [f"7 app app.service here {OLD} python3.13", f"8 0 - here {NEW} python3"]}
LOOK = ["observe", "observe with processes"]


def test_a_build_in_use_is_held_until_its_process_has_ended() -> None:
    there = host(USED)
    predicted = ensure(there, desired(**ABSENT), untouched(), check=True)
    assert there.asked == LOOK
    first, second = (ensure(there, desired(**ABSENT), untouched()) for _ in range(2))
    assert there.asked == [*LOOK, *LOOK, "apply", *LOOK]
    for held in (predicted, first, second):
        assert [step.name for step in held.plan.held] == [OLD]
        assert held.plan.removals == ()
        (remark,) = held.remarks
        assert remark == (
            f"{ROOT}/{OLD} is in use and stays: python3.13 (pid 7, user app, unit app.service) runs from it; "
            "restart it, and the next run removes the build"
        )
        assert result_data(held.plan, held.after)["held"] == [
            {
                "name": OLD,
                "path": f"{ROOT}/{OLD}",
                "reason": "3.13 is declared absent",
                "processes": [{"pid": 7, "user": "app", "command": "python3.13", "unit": "app.service"}],
            }
        ]
    assert predicted.plan == first.plan
    assert (predicted.changed, first.changed, second.changed) == (True, True, False), "only the link in bin_dir is removed"
    assert (first.after.links, describe(second.before)) == ({f"{ROOT}/cpython-3.13": OLD}, describe(second.after))
    there.state = replace(there.state, processes=())
    third = ensure(there, desired(**ABSENT), untouched())
    assert (third.plan.removals, third.plan.held, third.remarks) == ((Remove(OLD, "3.13 is declared absent", True),), (), ())
    assert (there.state.installed, there.state.links) == ((), {})


def test_a_process_that_starts_between_the_look_and_the_removal() -> None:
    there = host({"installed": [OLD]})
    there.before = lambda state: replace(state, processes=observed_of(USED, desired()).processes)
    result = ensure(there, desired(**ABSENT), untouched())
    assert ([step.name for step in result.plan.held], result.changed, len(result.remarks)) == ([OLD], False, 1)
    assert [installed.name for installed in there.state.installed] == [OLD]


def test_a_build_in_use_is_removed_where_that_is_declared() -> None:
    there = host(USED)
    result = ensure(there, desired(**ABSENT, in_use="remove"), untouched())
    assert (there.asked, [step.name for step in result.plan.removals], result.plan.held) == (["observe", "apply"], [OLD], ())
    data = result_data(result.plan, result.after)
    assert [(process["build"], process["current"]) for process in data["processes"]] == [(OLD, False), (NEW, False)]
    assert (data["processes_complete"], data["outdated_units"]) == (True, ["app.service"])


@pytest.mark.parametrize(
    ("sight", "part"),
    [("all", ""), ("some", "this user does not see every process"), ("none", "has neither /proc nor lsof nor fuser")],
)
def test_a_removal_says_if_processes_could_not_be_seen(sight: Sight, part: str) -> None:
    there = host({"installed": [OLD]})
    there.state = replace(there.state, sight=sight)
    result = ensure(there, desired(**ABSENT), untouched())
    assert (part in "".join(result.remarks), len(result.remarks)) == (True, int(sight != "all"))
    assert result_data(result.plan, result.after)["processes_complete"] == (sight == "all")


def test_what_runs_from_builds_is_told_worst_first() -> None:
    """An older build's, those of a build that a repair has replaced, those of the build in use."""
    lines = (f"9 - - here {OLD} python", f"3 a - here {NEW} python", f"5 a b.service replaced {OLD} python")
    state = observed_of({**IN_ORDER, "installed": [OLD, NEW], "processes": lines}, desired())
    data = info(replace(state, sight="some"))
    assert [(one["pid"], one["current"]) for one in data["processes"]] == [(5, False), (3, False), (9, True)]
    assert (data["processes_complete"], data["outdated_units"]) == (False, ["b.service"])
    assert info(state)["processes"] is info(state)["processes_complete"] is info(state)["outdated_units"] is None


# Another run changes the host between the decision and the lock.


def after_another_run(there: MemoryHost, **options: Any) -> Callable[[Observed], Observed]:
    """What a run with these options makes of the host's state, once."""
    waiting = [options]

    def before(state: Observed) -> Observed:
        if not waiting:
            return state
        other = MemoryHost(state)
        ensure(other, desired(**waiting.pop()), MemorySupply((*CATALOGUE, f"{OTHER}.tar.gz")))
        return other.state

    return before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, {}),
        ({"state": "latest"}, IN_ORDER),
        ({"state": "latest", "keep": 0}, IN_ORDER),
        ({"state": "absent"}, IN_ORDER),
        ({"links": []}, IN_ORDER),
        ({}, {"installed": [OLD]}),
        ({}, IN_ORDER | {"installed": [{"name": OLD, "problem": "its executable is missing"}]}),
        ({"compile_bytecode": True}, IN_ORDER),
        ({}, IN_ORDER | {"leftovers": [f"{ROOT}/.standalone-python.staging"]}),
        ({}, {"leftovers": [f"{ROOT}/.standalone-python.staging"]}),
    ],
)
def test_what_another_run_did_meanwhile_is_not_done_again(options: dict[str, Any], said: dict[str, Any]) -> None:
    there = host(said)
    there.before = after_another_run(there, **options)
    result = ensure(there, desired(**options), MemorySupply(CATALOGUE))
    assert (result.changed, result.plan.steps, describe(result.before)) == (False, (), describe(result.after))
    assert there.asked.count("apply") == 1
    assert not ensure(there, desired(**options), MemorySupply(CATALOGUE)).changed


def test_only_what_another_run_left_is_done() -> None:
    there = host({})
    there.before = after_another_run(there, builds=["3.12"])
    result = ensure(there, desired(builds=["3.13", "3.12"]), MemorySupply((*CATALOGUE, f"{OTHER}.tar.gz")))
    assert [step.build.name for step in result.plan.installs] == [NEW]
    assert there.asked[-2:] == ["apply", "apply"]
    assert len(there.uploads) == 2, "what was sent for the first plan is not sent again"


def test_another_run_makes_more_necessary() -> None:
    """What kind of host it is was not observed for the first plan, and the second one needs it."""
    there = host({"installed": [OLD]})
    there.before = after_another_run(there, builds=["3.13"], state="absent")
    result = ensure(there, desired(), MemorySupply(CATALOGUE))
    assert [step.build.name for step in result.plan.installs] == [NEW]
    assert there.asked == ["observe", "apply", "observe with facts", "apply"]


def test_a_foreign_file_that_came_meanwhile_is_named() -> None:
    there = host({"installed": [OLD]})
    there.before = lambda state: replace(state, occupied=frozenset({f"{BIN}/python3.13"}))
    with pytest.raises(AgentError, match="it is a file and was not created by standalone-python"):
        ensure(there, desired(), MemorySupply(CATALOGUE))
    assert there.state.installed[0].name == OLD
    assert f"{ROOT}/cpython-3.13" not in there.state.links


def test_a_host_that_never_stays_as_it_is() -> None:
    there = host({"installed": [OLD]})
    numbers = iter(range(9))
    there.before = lambda state: replace(
        state, links={f"{ROOT}/cpython-3.13": f"cpython-3.13.{next(numbers)}+20250115-x86_64-unknown-linux-gnu-install_only"}
    )
    with pytest.raises(
        AgentError, match="cannot change /opt/python, as something else changed it 3 times .*; this run changed nothing"
    ):
        ensure(there, desired(links=[]), MemorySupply(CATALOGUE))
    assert there.asked.count("apply") == 3


def test_what_this_run_cleared_before_it_found_nothing_left_to_do_is_told() -> None:
    there = host({"leftovers": [f"{ROOT}/.standalone-python.staging"]})
    there.before = lambda state: replace(observed_of(IN_ORDER, desired()), leftovers=state.leftovers)
    result = ensure(there, desired(), MemorySupply(CATALOGUE))
    assert list(map(str, result.plan.steps)) == [f"clear what an earlier run left: {ROOT}/.standalone-python.staging"]
    assert (bool(result.before.leftovers), result.after.leftovers) == (True, ())


def test_what_is_in_the_way_is_no_damage() -> None:
    """It hinders a change, and what a killed run left is told all the same."""
    left = f"{ROOT}/.standalone-python.staging"
    state = observed_of(IN_ORDER | {"obstacles": [f"{ROOT}/.standalone-python.lock"], "leftovers": [left]}, desired())
    assert damage(state) == (f"to do: clear what an earlier run left: {left}",)
