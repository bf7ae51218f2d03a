# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No sentence commands a terminal, and each has an end, whatever a host, a server or an archive put into it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core import errors
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import failure
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.tree import check_target
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed, Result, read
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    LONGEST_TEXT,
    AgentError,
    StandalonePythonError,
    sanitized,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.info import damage, result_data
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import BEGIN, END, FAILURE_BEGIN, FAILURE_END
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.failures import FAILURES
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed, parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.plan import plan
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import describe
from tests.tools.planning import FACTS, name_of, observed_of, resolver
from tests.tools.recorded import RECORDED
from tests.tools.sentences import HOSTILE, check, unsafe

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StandalonePythonError)]
B313 = name_of("3.13.0+20250115")
# Texts of a line, as agents print a line for each; and among them what terminals obey.
letters = st.one_of(st.characters(), st.sampled_from(HOSTILE))
lines = st.text(letters.filter(lambda letter: letter != "\n"), max_size=40).map(lambda text: text.replace("\r", ""))


def no_sentence(text: str) -> Iterator[str]:
    """The sentence that an agent's answer ends in, if it does."""
    try:
        read(Completed(1, text, HOSTILE))
    except StandalonePythonError as error:
        yield str(error)


@given(st.text(letters), st.integers(60, 400))
def test_a_foreign_text_is_on_one_line_and_has_an_end(text: str, limit: int) -> None:
    check(sanitized(text, limit), limit)


@given(st.text(st.characters(categories=("L", "N", "P", "S")), max_size=LONGEST_TEXT))
def test_what_people_can_read_stays_as_it_is(text: str) -> None:
    assert sanitized(text) == text


def test_letters_that_are_seen_stay_and_others_are_escaped() -> None:
    assert sanitized("« dossier introuvable »\xa0: naïve 日本 🐍") == "« dossier introuvable »\xa0: naïve 日本 🐍"
    assert sanitized("a\x1b[31m\x9b\u202e\u200b\udcff\n\tb") == r"a\x1b[31m\x9b\u202e\u200b\udcff\n\tb"


def test_a_long_text_loses_its_middle_and_says_how_much() -> None:
    cut = sanitized(f"begins {'x' * 123_000} ends")
    assert cut.startswith("begins x")
    assert cut.endswith("x ends")
    assert " (122752 letters left out) " in cut
    assert len(cut) <= LONGEST_TEXT
    assert len(sanitized("x" * 123_000, None)) == 123_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [HOSTILE, f"the beginning {'x' * 123_000} the end", HOSTILE * 1000, ""])
def test_no_error_commands_a_terminal_and_each_keeps_its_beginning_and_its_end(kind: type, text: str) -> None:
    sentence = check(str(kind(text)))
    assert sentence[:3] == sanitized(text, None)[:3]
    assert sentence[-3:] == sanitized(text, None)[-3:]
    assert str(copy.copy(kind(text))) == sentence


# What a host says.


@pytest.mark.parametrize("key", ["detail", "step", "failure", "committing"])
@pytest.mark.parametrize("code", [*FAILURES, "unheard-of"])
def test_no_failure_of_an_agent_commands_a_terminal(key: str, code: str) -> None:
    said = {"failure": code, "step": "unpack", "detail": "1000 10"} | {key: HOSTILE * 500}
    text = "\n".join([FAILURE_BEGIN, *(f"{name}={value}" for name, value in said.items()), FAILURE_END])
    (sentence,) = no_sentence(text)
    check(sentence, 1000)


def test_a_disk_without_inodes_gives_a_sentence_of_bounded_length() -> None:
    detail = " ".join(f"tar: python/lib/{number}.py: Cannot open: No space left on device" for number in range(1800))
    with pytest.raises(AgentError) as caught:
        parse(f"{FAILURE_BEGIN}\nstep=unpack\nfailure=unpack\ndetail={detail}\n{FAILURE_END}")
    assert len(detail) > 100_000
    assert len(str(caught.value)) < 600
    assert "the disk is full (tar: python/lib/0.py" in str(caught.value)
    assert str(caught.value).endswith("make room on it and run again; the host is as it was")


@given(lines)
def test_what_is_no_observation_is_shown_without_what_a_terminal_obeys(garbage: str) -> None:
    for text in (garbage + HOSTILE, f"{BEGIN}\n{garbage}{HOSTILE}\n{END}", f"{BEGIN}\nx*={garbage}{HOSTILE}\n{END}"):
        for sentence in no_sentence(text):
            check(sentence, 1200)


def test_a_start_that_says_escapes_is_a_fault_without_them() -> None:
    for says in (HOSTILE, HOSTILE * 200):
        for start in ("0", "1"):
            text = RECORDED["sound"].replace("start=0\nsays=Python 3.12.1", f"start={start}\nsays={says}", 1)
            faults = [installed.problem for installed in parse(text.replace("\r", "")).installed if installed.problem]
            assert len(faults) == 1
            check(faults[0], 400)


def test_a_root_of_which_a_terminal_obeys_a_part_is_no_answer() -> None:
    for key in ("root", "bin_dir"):
        (sentence,) = no_sentence(RECORDED["sound"].replace(f"\n{key}=/", f"\n{key}=/{HOSTILE[:9]}", 1))
        assert "is not a folder's path" in check(sentence)


def hostile_host(text: str, **said: Any) -> Observed:
    desired = declare({"builds": []})
    return observed_of(
        {
            "installed": [{"name": B313, "finish": {"owner": text, "mode": text}}],
            "links": {"/usr/local/bin/python3.13": f"/usr/bin/{text}", f"/opt/python/{text}": text},
            "leftovers": [
                f"/opt/python/.standalone-python.staging/{text}",
                *(f"/opt/python/{number}{text}" for number in range(500)),
            ],
            "lock": text,
            "lock_state": "dead",
            "occupied": [f"/opt/python/{text}/"],
            **said,
        },
        desired,
    )


@settings(max_examples=50)
@given(lines)
def test_no_step_and_no_reason_commands_a_terminal(text: str) -> None:
    text += HOSTILE
    observed = hostile_host(text)
    for force in (True, False):
        desired = declare({"builds": ["3.13"], "force": force, "owner": "app", "exclusive": True})
        try:
            made = plan(desired, observed, resolver([f"{B313}.tar.gz"], FACTS))
        except StandalonePythonError as error:
            check(str(error))
            continue
        assert force
        assert made.steps
        for sentence in (*map(str, made.steps), *(outcome.reason for outcome in made.outcomes)):
            check(sentence)
        told = result_data(made, observed)
        for sentence in (*told["plan"], *(one["reason"] for one in told["interpreters"])):
            check(sentence)
        # Who shows it escapes what names a host chose beyond this: data keeps them.
        assert any(text in path for path in observed.links.values())
    for sentence in (*damage(observed), *describe(observed).splitlines()):
        check(sentence)
    assert unsafe(describe(observed).replace("\n", "")) == []


def test_what_windows_holds_and_has_registered_commands_no_terminal() -> None:
    desired = declare({"builds": ["3.13"], "exclusive": True}, windows=True)
    root = "C:/ProgramData/standalone-python"
    entry = f"3.13.0{HOSTILE.replace(' ', '')} 64bit {root}/cpython-3.13/{HOSTILE}"
    observed = observed_of({"registered": {f"3.13{HOSTILE}": entry}}, desired)
    made = plan(declare({"builds": [], "exclusive": True}, windows=True), observed, resolver(None))
    assert made.steps
    for sentence in (*map(str, made.steps), *describe(observed).splitlines()):
        check(sentence)
    held = tuple(f"{root}/{HOSTILE}{number}" for number in range(900))
    after = Observed(root, f"{root}/bin", "writable", "writable", held=held)
    (remark,) = Result(made, observed, after).remarks
    check(remark, 1200)
    assert "and 897 more could not be removed" in remark


# What a server says.


@given(st.integers(100, 599), st.text(letters, max_size=500), st.text(letters, max_size=40))
def test_no_answer_of_a_server_commands_a_terminal(status: int, reason: str, header: str) -> None:
    headers = {"Content-Type": header, "Retry-After": header, "X-RateLimit-Remaining": "0", "Location": header}
    response = cast("Any", SimpleNamespace(status_code=status, reason=reason + HOSTILE, headers=headers))
    url = "https://example.org/20250115/SHA256SUMS"
    if wrong := failure.judge_response(response, url, "text"):
        check(str(failure.download_error("SHA256SUMS", {url: wrong}, 3)), 1000)


def test_the_reason_of_a_status_stays_readable() -> None:
    response = cast("Any", SimpleNamespace(status_code=404, reason="\x1b]0;owned\x07Not Found", headers={}))
    wrong = failure.judge_response(response, "https://example.org/x", "text")
    assert wrong is not None
    assert wrong.problem == r"answered 404 \x1b]0;owned\x07Not Found"


# What an archive says.


@pytest.mark.parametrize("target", ["/" + "x" * 4000, "../" * 500 + "x"])
def test_a_long_target_of_a_link_is_refused_in_a_short_sentence(target: str) -> None:
    check(check_target("bin/python3", target), LONGEST_TEXT + 100)
