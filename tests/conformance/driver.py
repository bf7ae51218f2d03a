"""Performs the cases of the table through a front end, on several hosts at once, and holds each step against what it says."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.conformance.cases import Case, Place, Step


@dataclass(frozen=True, slots=True)
class Answer:
    """What a front end says of one declaration on one host.

    :ivar plan: lines; what it would do or has done
    :ivar error: its sentence where it failed, else empty
    :ivar remarks: the warnings of a run that did not fail, as text; pyinfra has them when it changes hosts
    """

    changed: bool
    plan: tuple[str, ...]
    error: str = ""
    remarks: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Answers:
    predicted: Answer
    done: Answer
    again: Answer


class FrontEnd(Protocol):
    def __call__(self, declared: Mapping[str, Any], *runs: str) -> Mapping[str, Mapping[str, Answer]]:
        """Return what each run says of each host. The run "predicted" changes nothing; "done" and "again" may."""


Tree = Mapping[str, str]
"""What lies below a place: path to kind, mode, owner and content."""


def perform(case: Case, front_end: FrontEnd, places: Mapping[str, Place], source: str) -> list[dict[str, Tree]]:
    """Do a case; returns what each host has after each step."""
    trees: list[dict[str, Tree]] = []
    for number, step in enumerate(case.steps, 1):
        for place in places.values():
            if step.first:
                step.first(place)
        root = next(iter(places.values())).root
        answers = front_end({"source": source, "root": root, **step.declared}, "predicted", "done", "again")
        assert set(answers) == set(places)
        for host, place in places.items():
            where = f"{case.name}, step {number}, {host}"
            hold(step, Answers(**answers[host]), place, where)
        trees.append({host: tree(place) for host, place in places.items()})
    return trees


def tree(place: Place) -> Tree:
    """All below a place's root. Of a receipt, all but the time in it; of the record of a full check, what it found."""
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(place.here):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            said = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
            if stat.S_ISLNK(status.st_mode):
                said += f" -> {os.readlink(path)}"
            elif stat.S_ISREG(status.st_mode):
                said += f" {_content(path, (status.st_ino, status.st_ctime_ns, status.st_size))}"
            found[os.path.relpath(path, place.here)] = said
    return found


def _content(path: str, version: tuple[int, int, int]) -> str:
    if "/.standalone-python.checked/" in path:
        return Path(path).read_text().split(" ", 2)[2]
    if not path.endswith("/.standalone-python/receipt.json"):
        return _digest(path, version)
    receipt = json.loads(Path(path).read_bytes())
    assert receipt.pop("installed_at")
    return json.dumps(receipt, sort_keys=True)


@functools.cache
def _digest(path: str, _version: tuple[int, int, int]) -> str:
    """Of a file that few steps change: after them it is another file, or has another time of change."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hold(step: Step, answers: Answers, place: Place, where: str) -> None:
    if step.says:
        for answer in (answers.predicted, answers.done, answers.again):
            assert step.says in answer.error, f"{where}: {answer}"
    else:
        assert not answers.done.error, f"{where}: {answers.done.error}"
        assert answers.predicted == answers.done, f"{where}: predicted otherwise than done"
        assert (answers.again.changed, answers.again.plan) == (False, ()), f"{where}: {answers.again} the second time"
        verbs = [" ".join(line.replace(":", " ").split()[:2]) for line in answers.done.plan]
        done = tuple(_short(verb) for verb in verbs if not verb.startswith(("link ", "remove the")))
        assert done == step.does, f"{where}: {answers.done.plan}"
        assert answers.done.changed == bool(answers.done.plan), where
        for answer in (answers.done, answers.again):
            assert step.remark in answer.remarks, f"{where}: {answer.remarks}"
    if step.builds is not None:
        assert place.builds() == sorted(step.builds), where
    if step.links is not None:
        assert place.links() == step.links, where
    if step.then:
        step.then(place)
    assert not (place.here / ".standalone-python.staging").exists(), where
    assert not (place.here / ".standalone-python.lock").is_symlink(), where


def _short(verb: str) -> str:
    """``install cpython-3.13.0+20250115-…`` as ``install 3.13.0+20250115``."""
    word, _, name = verb.partition(" ")
    return f"{word} {name.split('-')[1]}" if name.startswith("cpython-") else word
