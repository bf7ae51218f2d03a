# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is only a value: it reads the calls in a script and does to its :class:`Observed` what the agents would do to a
file system. It knows nothing of plans, so that what it has afterwards says whether script and prediction agree.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.sh import CERTIFICATES, REMEMBERED
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Payload
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import FLAVOR, Request, Version
from ansible_collections.standalone.python.plugins.plugin_utils.core.ensure import Completed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.answer import BEGIN, END
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.check import Check, check_line
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Installed, Observed
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.receipt import Finish, Receipt
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import HISTORY
from tests.tools.planning import resolver

NO_START = "it does not start: "


def answer(observed: Observed, *, facts: bool, processes: bool = False, history: bool = False) -> str:
    """What ``observe.sh`` would print about a host."""
    users = _processes(observed) if processes else ()
    past = _history(observed) if history else ()
    return "".join(f"{line}\n" for line in (BEGIN, *_lines(observed, facts), *users, *past, END))


def _history(observed: Observed) -> Iterator[str]:
    state, *lines = observed.history or ("absent",)
    yield f"history_state={state}"
    yield from (f"history={line}" for line in lines)


def _processes(observed: Observed) -> Iterator[str]:
    yield f"processes={observed.sight or 'all'}"
    for one in observed.processes:
        state = "replaced" if one.replaced else "here"
        yield f"process={one.pid} {one.user or '?'} {one.unit or '-'} {state} {one.build} {one.command}"
    yield from (f"held={path}" for path in observed.held)


def _lines(observed: Observed, facts: bool) -> Iterator[str]:
    for key in ("root", "bin_dir", "root_state", "bin_dir_state", "root_exposed", "bin_dir_exposed", "lock", "lock_state"):
        if value := getattr(observed, key):
            yield f"{key}={value}"
    yield from (f"{key}=yes" for key in ("outdated", "cleared") if getattr(observed, key))
    yield from (f"leftover={path}" for path in observed.leftovers)
    for installed in observed.installed:
        yield f"build={installed.name}"
        if receipt := installed.receipt:
            known = replace(receipt, prefix=installed.moved or receipt.prefix)
            yield from (f"receipt={line}" for line in receipt_text(known).split("\n"))
        if installed.foreign:
            yield from ("start=126", "says=cannot execute: Exec format error")
        elif installed.problem.startswith(NO_START):
            yield from ("start=127", f"says={installed.problem.removeprefix(NO_START)}")
        elif installed.untrusted:
            yield from ("start=untrusted", f"says={installed.untrusted}")
        elif installed.problem != "its executable is missing":
            yield from ("start=0", f"says=Python {installed.build.version}")
        if installed.checked_at and installed.receipt:
            yield f"checked={check_line(Check(installed.checked_at, installed.damage), installed.receipt)}"
        elif installed.damage:
            yield f"damaged={installed.damage.rpartition(': ')[2]}"
        yield f"modules={installed.receipt.modules if installed.receipt else 0}"
    yield from (f"occupied={path}" for path in sorted(observed.occupied))
    yield from (f"ls=lrwxrwxrwx 1 root root 9 Nov 23 12:57 {path} -> {to}" for path, to in observed.links.items())
    if facts:
        yield from (f"{key}={value}" for key, value in observed.facts.items())


def receipt_text(receipt: Receipt) -> str:
    build = {key: value for key, value in asdict(receipt.build).items() if key != "version"}
    more = {key: getattr(receipt, key) for key in ("prefix", "url", "executable", "modules", "files_sha256", "installed_at")}
    return json.dumps(build | asdict(receipt.finish) | more | {"version": str(receipt.build.version)}, indent=1)


@dataclass
class MemoryHost:
    """
    :ivar state: what it has; its facts are told only where a script asks for them, or nothing is installed and it asks for
        them then; its processes only where a script asks for them
    :ivar scripts: those it was given
    :ivar before: what another run makes of its state while this one waits for the lock
    :ivar meddle: what somebody else makes of its state while a plan is carried out
    :ivar records: of full checks, by the name of the build
    :ivar says: instead of an answer to the script of that number, counted from 0
    """

    state: Observed
    scripts: list[str] = field(default_factory=list)
    uploads: dict[str, Path] = field(default_factory=dict)
    meddle: Callable[[Observed], Observed] = lambda state: state
    before: Callable[[Observed], Observed] = lambda state: state
    says: Mapping[int, Completed] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    _unused: set[str] = field(default_factory=set)  # what was sent for the next script, after which it is gone

    def run(self, script: str) -> Completed:
        self.scripts.append(script)
        arrived, self._unused = self._unused, set()
        if len(self.scripts) - 1 in self.says:
            return self.says[len(self.scripts) - 1]
        if script.endswith("\napply </dev/null\n"):
            self.state = self.before(self.state)
            left, self.state = self.state, _cleared(self.state)
            done = left != self.state
            if not all(map(partial(_as_seen, self.state), _calls(script, "premises"))):
                return Completed(0, answer(replace(self.state, outdated=True, cleared=done), facts=False), "")
            after = self.meddle(_applied(self.state, script, {at: path for at, path in self.uploads.items() if at in arrived}))
            self.state = replace(after, held=())
            return Completed(0, answer(replace(after, cleared=done), facts=False, processes=_asks(script)), "")
        if script.endswith("\nremember </dev/null\n"):
            self.records |= {name: line for _record, name, line, *_or_return in _calls(script, "records")}
            return Completed(0, f"{REMEMBERED}\n", "")
        assert script.endswith("\nobserve </dev/null 2>/dev/null\n")
        (wanted,) = re.findall("^facts=(no|yes)$", script, flags=re.MULTILINE)
        told = wanted == "yes"
        past = "\nhistory=yes\n" in script
        assert past == ("\ntell_history() {\n" in script)
        return Completed(0, answer(self.state, facts=told, processes=_asks(script), history=past), "")

    def upload(self, path: Path, name: str) -> str:
        there = f"/tmp/sent/{name}"
        assert there not in self._unused
        self._unused.add(there)
        self.uploads[there] = path
        return there

    @property
    def asked(self) -> list[str]:
        """What it was given, in short: ``observe``, with ``facts``, ``processes`` or ``history``, ``remember``, or ``apply``."""
        return [
            "remember"
            if script.endswith("\nremember </dev/null\n")
            else "apply"
            if script.endswith("\napply </dev/null\n")
            else "observe with facts"
            if "\nfacts=yes\n" in script
            else "observe with processes"
            if _asks(script)
            else "observe with history"
            if "\nhistory=yes\n" in script
            else "observe"
            for script in self.scripts
        ]


def _asks(script: str) -> bool:
    """Whether the script asks for processes, and has what finds them."""
    asks = "\nprocesses=yes\n" in script
    assert asks == ("\ntell_processes() {\n" in script)
    return asks


def _calls(script: str, function: str) -> list[list[str]]:
    match = re.search(rf"^{function}\(\) {{\n:\n(.*?)^}}$", script, flags=re.MULTILINE | re.DOTALL)
    assert match is not None
    return [shlex.split(line) for line in match[1].splitlines()]


def _as_seen(state: Observed, call: Sequence[str]) -> bool:
    """Whether a premise of a script is true."""
    _function, at, kind, text = call[:4]
    path = at if "/" in at else f"{state.root}/{at}"
    if path == f"{state.root}/{HISTORY}":
        return (kind, text) == (("text", " ".join(state.history[1:])) if state.history else ("absent", ""))
    builds = [build for build in state.installed if f"{state.root}/{build.name}" == path]
    if builds:
        receipt = receipt_text(builds[0].receipt) if builds[0].receipt else ""
        mark = "".join(re.findall('^ "(?:installed_at|files_sha256|started)": .*$', receipt, flags=re.MULTILINE))
        return kind == "build" and text in (mark, "*")
    if path in state.links:
        return kind == "link" and text in (state.links[path], "*")
    return kind == ("folder" if f"{path}/" in state.occupied else "file" if path in state.occupied else "absent")


def _cleared(state: Observed) -> Observed:
    return replace(state, leftovers=(), lock="", lock_state="") if state.lock_state in ("", "dead") else state


def _applied(state: Observed, script: str, uploads: Mapping[str, Path]) -> Observed:
    assert state.root_state in ("writable", "absent"), "a plan was made for a root that can't be written"
    assert not state.root_exposed, "a plan was made for a root that others can change"
    made: dict[str, Installed] = {}
    name = ""
    for function, *words in _calls(script, "prepare"):
        match function, words:
            case "announce", [done]:
                assert re.fullmatch("done=[1-9]", done)
            case "can_make_links", [folder]:
                assert folder in (state.root, state.bin_dir)
            case "find_certificates", files:
                assert tuple(files) == CERTIFICATES
                assert not made, "the host may have none, and builds are prepared already"
            case "start_build", [name]:
                pass
            case "can_record", []:
                pass
            case "require_trusted", ["$bin_dir"]:
                assert not state.bin_dir_exposed, "a plan was made for a folder for links that others can change"
            case "unpack_pushed", [path, _sha256, form, need_kb, need_inodes, *_split]:
                assert path in uploads
                assert form in ("gz", "zst")
                assert int(need_kb) > 0
                assert int(need_inodes) > 0
            case "copy_installed", [_files_sha256]:
                pass
            case "unpack_pulled", [_sha256, _form, "python" | "python/install", *urls]:
                assert urls
            case "finish_build", values:
                made[name] = _finished(dict(value.split("=", 1) for value in values))
            case _:
                raise AssertionError((function, words))
    installed = {build.name: build for build in state.installed}
    links, occupied = dict(state.links), set(state.occupied)
    held: list[str] = []
    history = state.history
    for function, *words in _calls(script, "commit"):
        match function, words:
            case "require_unchanged", _:
                assert [["is_unchanged", *words, "||", "return"]] == [
                    call for call in _calls(script, "premises") if call[1] == words[0]
                ]
            case "announce", [done]:
                assert re.fullmatch("done=[1-9][0-9]*", done)
            case "record", names:
                history = ("present", *names) if names else ()
            case "commit_build", [name]:
                installed[name] = made.pop(name)
                links.pop(f"{state.root}/{name}", None)
                occupied -= {f"{state.root}/{name}", f"{state.root}/{name}/"}
            case "link", [path, to]:
                links[path] = to
                occupied.discard(path)
            case "unlink", [path]:
                del links[path]
            case "remove_unused", [name, "&&", "announce", _] if any(process.build == name for process in state.processes):
                assert _asks(script)
                held.append(f"{state.root}/{name}")
            case ("remove", [name]) | ("remove_unused", [name, "&&", "announce", _]):
                del installed[name]
            case _:
                raise AssertionError((function, words))
    assert not made
    return replace(
        state,
        root_state="writable",
        installed=tuple(installed[name] for name in sorted(installed)),
        links=links,
        occupied=frozenset(occupied),
        held=tuple(held),
        history=history,
    )


def _finished(said: Mapping[str, str]) -> Installed:
    build = Build(
        Version.parse(said["version"]),
        said["release"],
        said["triple"],
        said["options"],
        FLAVOR[said["flavor"]],
        said["filename"],
        said["sha256"],
    )
    finish = Finish(
        said["externally_managed"] == "1",
        said["compile_bytecode"] == "1",
        said["patch_sysconfig"] == "1",
        said["owner"],
        said["group"],
        said["mode"],
        "system" if said["certificates"] == "system" else "build",
    )
    receipt = Receipt(build, said["url"], finish, "bin/python3", 600, "0" * 64, "2026-06-01T00:00:00Z")
    return Installed(build.name, build, receipt)


@dataclass
class MemorySupply:
    """Builds from a small catalogue; ``asked`` has what was asked of it."""

    filenames: tuple[str, ...] | None
    unpacked: int = 100_000_000
    inodes: int = 4_000
    asked: list[str] = field(default_factory=list)
    token_for_hosts: str = ""
    unreached: bool = False

    def resolve(self, request: Request, facts: Mapping[str, str], current: Build | None = None) -> Build:
        self.asked.append(f"resolve {request.text}")
        assert facts
        return resolver(self.filenames, facts)(request)

    def payload(self, build: Build, *, zstd: bool) -> Payload:
        self.asked.append(f"payload {'zst' if zstd else 'gz'}")
        form: Literal["zst", "gz"] = "zst" if zstd else "gz"
        return Payload(Path(f"/cache/{build.name}.{form}"), "ef" * 32, form, 25_000_000, self.unpacked, 3750, self.inodes)

    def urls(self, build: Build) -> tuple[str, ...]:
        return (f"https://one.example/{build.filename}", f"https://two.example/{build.filename}")

    def sha256(self, build: Build) -> str:
        return "cd" * 32

    def assumption(self, builds: Iterable[Build]) -> str:
        """As of a source that can't be reached."""
        return f"the source may lack {', '.join(names)}" if self.unreached and (names := [build.name for build in builds]) else ""

    def published(self, build: Build, bases: Iterable[Build]) -> None:
        return None

    def shown_url(self, build: Build) -> str:
        return f"https://one.example/{build.filename}"

    def attested(self, build: Build) -> str:
        return "no"
