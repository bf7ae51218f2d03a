# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user reads before, while and after something is done: on a terminal, in a log, and after a failure."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from standalone_python.output import duration
from standalone_python.table import display_width
from tests.cli.conftest import PROGRAM, Command, on_terminal
from tests.tools.hosts.bases import program
from tests.tools.sources import NEWER, OLD, V12, V13, V13LATER

pytestmark = pytest.mark.usefixtures("warm_cache")

OLD13, LATER13, OLD12 = f"{V13}+{OLD}", f"{V13LATER}+{NEWER}", f"{V12}+{OLD}"


def normal(text: str, command: Command) -> list[str]:
    """Return lines without what differs from run to run: only a step that takes a tenth of a second has its time."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text.replace("\r\n", "\n"))
    text = re.sub(r" in [0-9.]+ s(?=$|[:;])", "", text, flags=re.MULTILINE)
    return text.replace(str(command.folder), "~").splitlines()


def test_a_day(command: Command, source: Path) -> None:
    """What is planned is in the future, what was done in the past, in the same order, and each ends with what it comes to."""
    first = command.file(json.dumps({"builds": [OLD13, "3.12"], "source": str(source), "root": "~/py"}))
    told = command("apply", first)
    assert normal(told.output, command) == [
        f"Installed {OLD13}",
        f"Installed {OLD12}",
        f"Linked ~/py/cpython-3.13 to {OLD13}",
        "Linked ~/py/bin/python3.13 to ~/py/cpython-3.13/bin/python3.13",
        f"Linked ~/py/cpython-3.12 to {OLD12}",
        "Linked ~/py/bin/python3.12 to ~/py/cpython-3.12/bin/python3.12",
        "Done: 2 installed, 4 links changed, 0 removed.",
        f"{OLD13} is ~/py/cpython-3.13/bin/python3",
        "3.12 is ~/py/cpython-3.12/bin/python3",
    ]
    then = command.file(
        json.dumps({"builds": ["3.13"], "state": "latest", "exclusive": True, "keep": 0, "source": str(source), "root": "~/py"})
    )
    steps = [
        ("upgrade", f"{OLD13} to {LATER13}"),
        ("remove", "the link ~/py/bin/python3.12 to ~/py/cpython-3.12/bin/python3.12"),
        ("link", f"~/py/cpython-3.13 to {LATER13} instead of {OLD13}"),
        ("remove", f"the link ~/py/cpython-3.12 to {OLD12}"),
        ("remove", f"{OLD12}: no declared request asks for it"),
        ("remove", f"{OLD13}: it was replaced, and keep is 0"),
    ]
    planned = normal(command("plan", then).output, command)
    assert sorted(planned[:-1]) == sorted(f"Would {verb} {what}" for verb, what in steps)
    assert planned[-1] == "Plan: 1 to upgrade, 3 links to change, 2 to remove."
    for width in (80, 44):
        lines = normal(on_terminal(command, "plan", then, COLUMNS=str(width)), command)
        lines = [line for line in lines if not line.startswith("standalone-python: ")]
        assert " ".join(" ".join(lines).split()) == " ".join(planned), width
        words = {word for line in planned for word in line.split()}
        assert all(display_width(line) <= width or (set(line.split()) <= words and " " not in line.strip()) for line in lines)
    done = normal(on_terminal(command, "apply", then, "--no-progress", COLUMNS="300"), command)
    past = {"upgrade": "Upgraded", "remove": "Removed", "link": "Linked"}
    printed = [line.replace("", "") for line in done[: len(steps)]]
    assert printed == [re.sub(r"^Would (\w+)", lambda found: past[found[1]], line) for line in planned[:-1]]
    assert done[len(steps)] == "Done: 1 upgraded, 3 links changed, 2 removed."


def with_ln(command: Command, text: str) -> dict[str, str]:
    """Return the environment in which ``ln`` does what a script says from its third call on: lock, stable link, ..."""
    tools = command.folder / "tools"
    tools.mkdir()
    count = f'echo >>"{tools}/calls"; [ "$(wc -l <"{tools}/calls")" -lt 3 ] || {{ {text}; }}\n'
    (tools / "ln").write_text(f'#!/bin/sh\n{count}exec {program("ln")} "$@"\n')
    (tools / "ln").chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


LEFT = [
    "  not done: link ~/root/bin/python3.13 to ~/root/cpython-3.13/bin/python3.13",
    "  not done: link ~/root/bin/python3 to ~/root/cpython-3.13/bin/python3",
    "  not done: link ~/root/bin/python to ~/root/cpython-3.13/bin/python3",
]
PHRASE = "done: 1 installed, 1 link changed, 0 removed; not done: 3 links to change, 0 to remove"


@pytest.mark.parametrize("how", ["it fails", "it is ended"])
def test_after_a_failure_it_says_what_was_done(how: str, command: Command, source: Path) -> None:
    file = command.file(json.dumps({"builds": [{"version": OLD13, "default": True}], "source": str(source)}))
    waiting = command.folder / "waiting"
    text = "echo 'ln: no luck' >&2; exit 1" if how == "it fails" else f"true >'{waiting}'; sleep 2; exit 1"
    process = subprocess.Popen(
        [PROGRAM, "--no-progress", "apply", file, "--root", "root"],
        cwd=command.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=command.environment() | with_ln(command, text),
    )
    if how == "it is ended":
        while not waiting.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert normal(output, command) == [f"Installed {OLD13}", f"Linked ~/root/cpython-3.13 to {OLD13}"]
    error, *left = normal(errors, command)
    state = "linking ~/root/bin/python3.13 failed: ln: no luck; the host is between two states, run again to complete it"
    assert error == f"standalone-python: {state if how == 'it fails' else 'ended by SIGTERM'}; {PHRASE}"
    assert left == LEFT
    assert process.returncode == (1 if how == "it fails" else 128 + signal.SIGTERM)
    again = command("apply", file, "--root", "root")
    assert normal(again.output, command)[3] == "Done: 3 links changed, 0 removed."


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (2.14, "2.1 s"), (59.9, "59.9 s"), (61.4, "1 min 1 s"), (119.6, "2 min 0 s")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
