# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent prints about a host, read into :class:`Observed`.

The text is that of the observers in ``agents/on_host``: ``key=value`` lines between two sentinels, or ``key*=`` with
the value in base64; what stands outside them (banners, a login shell's greetings) is ignored. A Windows host's paths have slashes
here as all others, and :func:`native` is for people. No I/O. What can't be read is an error, never a host on which nothing is
installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, get_args

from ..builds.catalogue import Build, parse_name
from ..builds.target import cpu_level, cpu_misfit, from_facts, misfit, parse_triple
from ..digits import whole_number
from ..errors import AgentError, DeclarationError, ObservationError, sanitized
from ..lazy import lazy_dataclass
from .answer import BEGIN, END, FAILURE_BEGIN, pairs, quoted
from .check import damage_of, parse_check
from .failures import FAILURES, exposure, failure_in
from .paths import joined, moved, printed
from .process import NAMED, Process, parse_process, users_in_words
from .receipt import Finish, Receipt, mark_of, parse_receipt

_LONGEST_PATH = 4096  # letters; Linux takes no more bytes
FolderState = Literal["writable", "unwritable", "unreadable", "absent", "notfolder"]
Sight = Literal["", "all", "some", "none"]
LockState = Literal["", "alive", "dead", "elsewhere"]
SearchPath = Literal["", "ours", "there"]
_FOLDER_STATES: Mapping[str, FolderState] = {state: state for state in get_args(FolderState)}
_SIGHTS: Mapping[str, Sight] = {sight: sight for sight in get_args(Sight)}
_LOCK_STATES: Mapping[str, LockState] = {state: state for state in get_args(LockState)}
_SEARCH_PATHS: Mapping[str, SearchPath] = {state: state for state in get_args(SearchPath)}
_COUNT = re.compile("[0-9]{1,9}")  # compiled once, and not in each of Ansible's workers


@dataclass(frozen=True, slots=True)
class Installed:
    """A build on a host that this project installed.

    :ivar problem: what is wrong with it, in words; empty if it is sound
    :ivar damage: what only a full check finds, now or when it was last done, in words; it is the ``problem`` if there is no other
    :ivar checked_at: when the last full check was that the host remembers, in UTC such as 2026-11-28T19:40:00Z; else empty
    :ivar extra: files that were added to its standard library; known with ``verify: full`` only, reported and left alone
    :ivar unconfirmed: the agent started and tried it for the first time, and its receipt lacks that
    :ivar foreign: why a build for another kind of host can't run here, with the build as subject; it has no ``problem`` then
    :ivar packages: the number of packages that users installed into it; 0 if ``externally_managed`` is true
    :ivar untrusted: who else can change its interpreter, which was not started then; else empty
    :ivar moved: where the build was installed, if it lies elsewhere now and has no other problem; else empty
    :ivar mark: distinguishes this installation from any other of the same build: some lines of its receipt, or ``*`` if they have
        characters that may not reach the host unchanged
    """

    name: str
    build: Build
    receipt: Receipt | None
    problem: str = ""
    extra: tuple[str, ...] = ()
    unconfirmed: bool = False
    foreign: str = ""
    packages: int = 0
    untrusted: str = ""
    moved: str = ""
    mark: str = field(default="", compare=False)
    damage: str = ""
    checked_at: str = ""

    @property
    def started(self) -> bool:
        return self.receipt is None or self.receipt.started

    @property
    def finish(self) -> Finish | None:
        return self.receipt.finish if self.receipt else None

    @property
    def installed_at(self) -> str:
        return self.receipt.installed_at if self.receipt else ""


@lazy_dataclass(frozen=True)
class RegistryEntry:
    """What the registry of Windows says of a tag.

    :ivar version: such as ``3.13.1``
    :ivar bits: ``64bit`` or ``32bit``, the entry's ``SysArchitecture``
    :ivar executable: the path of its interpreter, with slashes
    """

    version: str
    bits: str
    executable: str

    @classmethod
    def parse(cls, text: str) -> RegistryEntry:
        """Read ``VERSION BITS EXECUTABLE``, as an agent prints an entry; what is missing is empty."""
        version, bits, executable = [*text.split(" ", 2), "", ""][:3]
        return cls(version, bits, executable)

    def __str__(self) -> str:
        return f"{sanitized(self.version)} at {printed(self.executable)}"


@dataclass(frozen=True, slots=True)
class Observed:
    """A host as an agent found it.

    :ivar root_state: whether this user can write to ``root``; ``absent`` means that the user can create it
    :ivar root_obstacle: the file or dangling link that prevents the creation of ``root``; else empty
    :ivar bin_dir_obstacle: the same for ``bin_dir``
    :ivar links: path to target text of the symbolic links in ``root`` and ``bin_dir`` whose names this project uses
    :ivar occupied: paths with such names that are neither links nor own builds; a folder's path ends with a slash
    :ivar leftovers: paths that an interrupted run left
    :ivar obstacles: paths with the name of an own lock or temporary folder that this project did not create
    :ivar lock: the lock's text (``pid:started:boot:host``); empty without a lock
    :ivar lock_state: whether the holder of the lock is running; ``elsewhere`` if another machine holds it; empty without a lock
    :ivar root_exposed: who else can change what is written to ``root``, in words; else empty
    :ivar bin_dir_exposed: the same for ``bin_dir``
    :ivar facts: the host's own facts (see :func:`target.from_facts`); empty if they were not observed
    :ivar cpu: the flags of the host's CPU, if a build needs a CPU level and ``facts`` is empty; else empty
    :ivar windows: whether builds have the layout of Windows
    :ivar held: paths that stay for now, because a process on the host runs from them or has files in them open
    :ivar processes: those that run from builds below ``root``; empty if ``sight`` is
    :ivar sight: which processes of the host this user can see; empty if they were not looked for
    :ivar outdated: the plan was not carried out, because a path that it changes differs from what the plan saw
    :ivar cleared: the run removed the leftovers of an earlier one
    :ivar registered: own tags in the registry (PEP 514), and the entry of each
    :ivar history: the state and the lines of the root's history, for :func:`history.read_history`; empty if nobody asked for it
    :ivar search_path: ``ours`` if this project added ``bin_dir`` to the PATH, ``there`` if somebody else did, else empty
    """

    root: str
    bin_dir: str
    root_state: FolderState
    bin_dir_state: FolderState
    installed: tuple[Installed, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    occupied: frozenset[str] = frozenset()
    leftovers: tuple[str, ...] = ()
    lock: str = ""
    lock_state: LockState = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    cpu: str = ""
    windows: bool = False
    held: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    outdated: bool = False
    cleared: bool = False
    registered: Mapping[str, RegistryEntry] = field(default_factory=dict)
    search_path: SearchPath = ""
    root_obstacle: str = ""
    bin_dir_obstacle: str = ""
    root_exposed: str = ""
    bin_dir_exposed: str = ""
    processes: tuple[Process, ...] = ()
    sight: Sight = ""
    history: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """The interpreter's path in a build."""
        return "python.exe" if self.windows else "bin/python3"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Warnings that do not fail a run."""
        way = "" if self.windows else ": run as that user, or let only root and this user change it"
        remarks = [f"{one.name} was not started, as {one.untrusted}{way}" for one in self.installed if one.untrusted]
        users = {path: [one for one in self.processes if f"{self.root}/{one.build}" == path] for path in self.held}
        used = [path for path in self.held if users[path]]
        remarks += [f"{printed(path)} is in use and stays: {users_in_words(users[path])}" for path in used[:NAMED]]
        if len(used) > NAMED:
            remarks.append(f"{joined(used[NAMED:])} are in use and stay, too")
        if held := [path for path in self.held if not users[path]]:
            remarks.append(
                f"{joined(held)} could not be removed, as a process on the host has files in it open; the next run tries again"
            )
        return tuple(remarks)

    @property
    def former_roots(self) -> frozenset[str]:
        """The roots that builds were moved or copied from. Links into them are own links."""
        return frozenset(one.moved.rpartition("/")[0] for one in self.installed if one.moved and not self.windows)

    @property
    def tools(self) -> frozenset[str]:
        """The programs that the host has, of those that agents use; empty if facts were not observed."""
        return frozenset(self.facts.get("tools", "").split())

    @property
    def free_kb(self) -> int | None:
        """Free space on the root's file system in kilobytes; None if unknown."""
        return self._number("free_kb")

    @property
    def free_inodes(self) -> int | None:
        """Free inodes on the root's file system; None if it has no limit or does not report one."""
        return self._number("free_inodes")

    def _number(self, fact: str) -> int | None:
        return whole_number(self.facts.get(fact, ""))


FACTS = ("os", "os_version", "arch", "libc", "libc_version", "float_abi", "cpu_flags", "tools", "wget", "free_kb", "free_inodes")


# Keys that can come more than once for a host, and those that belong to the ``build=`` above them. Any other comes once.
_OF_HOST = ("occupied", "leftover", "ls", "link", "held", "obstacle", "registered", "process", "history")
_OF_BUILD = frozenset(
    ("receipt", "same", "start", "says", "modules", "verify", "damaged", "extra", "list", "packages", "certificates", "checked")
)
_Block = dict[str, list[str]]
"""What an agent says of one build: key -> values."""


def parse(text: str) -> Observed:
    """Read what an agent printed.

    :raises AgentError: the agent reported a failure
    :raises ObservationError: ``text`` has no complete observation
    """
    if FAILURE_BEGIN in text and FAILURE_BEGIN in text.splitlines():
        raise failure_in(text)
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {key: [] for key in _OF_HOST}
    blocks: list[_Block] = []
    for key, value in pairs(text, BEGIN, END):
        if key in _OF_BUILD:
            if not blocks:
                raise ObservationError(f"the host's answer can't be read: {key}= stands before any build=")
            blocks[-1].setdefault(key, []).append(value)
        elif key in several:
            several[key].append(value)
        elif key == "build":
            blocks.append({key: [value]})
        else:
            single[key] = value
    try:
        observed = _observed(single, several, blocks)
    except KeyError as missing:
        raise ObservationError(f"the host's answer can't be read: it lacks {missing}") from None
    # In an offline image these facts are this machine's; `relocated` judges by the image's own.
    offline = any("untried" in block.get("start", ()) for block in blocks)
    return observed if offline else judged(observed, observed.facts)


def _observed(single: Mapping[str, str], several: Mapping[str, list[str]], blocks: Sequence[_Block]) -> Observed:
    """
    :raises KeyError: a key is missing
    """
    root, bin_dir = single["root"], single["bin_dir"]
    for folder in (root, bin_dir):
        if sanitized(folder, _LONGEST_PATH) != folder:
            raise ObservationError(f"the host's answer can't be read: {sanitized(folder)} is not a folder's path")
        if folder.startswith("~"):
            raise AgentError(FAILURES["home"].format(detail=folder), step="observe")
    windows = single.get("layout") == "windows"
    found = [(block["build"][0], _installed(block, root, windows=windows)) for block in blocks]
    return Observed(
        root=root,
        bin_dir=bin_dir,
        root_state=_state("root_state", single["root_state"], _FOLDER_STATES),
        bin_dir_state=_state("bin_dir_state", single["bin_dir_state"], _FOLDER_STATES),
        installed=tuple(build for _name, build in found if build),
        links=dict([*(_listed(line, (root, bin_dir)) for line in several["ls"]), *map(_link, several["link"])]),
        occupied=frozenset(several["occupied"]).union(f"{root}/{name}/" for name, build in found if not build),
        leftovers=tuple(several["leftover"]),
        lock=single.get("lock", ""),
        lock_state=_state("lock_state", single.get("lock_state", ""), _LOCK_STATES),
        facts={key: single[key] for key in FACTS if key in single},
        cpu=single.get("cpu", ""),
        windows=windows,
        held=tuple(several["held"]),
        obstacles=tuple(several["obstacle"]),
        outdated="outdated" in single,
        cleared="cleared" in single,
        registered={
            tag: RegistryEntry.parse(entry) for tag, _space, entry in (line.partition(" ") for line in several["registered"])
        },
        search_path=_state("path", single.get("path", ""), _SEARCH_PATHS),
        root_obstacle=single.get("root_obstacle", ""),
        bin_dir_obstacle=single.get("bin_dir_obstacle", ""),
        root_exposed=exposure(single.get("root_exposed", "")),
        bin_dir_exposed=exposure(single.get("bin_dir_exposed", "")),
        processes=tuple(process for line in several["process"] if (process := parse_process(line))),
        sight=_state("processes", single.get("processes", ""), _SIGHTS),
        history=(single["history_state"], *several["history"]) if "history_state" in single else (),
    )


_Known = TypeVar("_Known", bound=str)


def _state(key: str, value: str, known: Mapping[str, _Known]) -> _Known:
    if value not in known:
        raise ObservationError(f"the host's answer can't be read: {quoted(value)} is not a valid {key}")
    return known[value]


def judged(observed: Observed, facts: Mapping[str, str], *, started: bool = True) -> Observed:
    """Return the host with builds for other kinds of hosts marked as ``foreign`` instead of broken.

    :param facts: what kind of host it is; may be empty
    :param started: every build was started; one that starts belongs here, unless the CPU lacks its level
    """
    installed = []
    for build in observed.installed:
        sound = not build.untrusted and (not build.problem or bool(build.moved))
        foreign = _foreign(build.build.triple, facts, observed.cpu, fits=started and sound)
        installed.append(
            replace(build, foreign=foreign, problem="", damage="", moved="", unconfirmed=False) if foreign else build
        )
    return replace(observed, installed=tuple(installed))


def _foreign(triple: str, facts: Mapping[str, str], cpu: str, *, fits: bool) -> str:
    """Return why builds for a triple can't run on a host; empty if they can, or if too little is known."""
    try:
        needed = parse_triple(triple)
        target = from_facts(facts) if "os" in facts else None
    except (DeclarationError, ObservationError):
        return ""
    flags = facts.get("cpu_flags") or cpu
    level = cpu_level(flags) if flags else needed.level
    return cpu_misfit(needed, level) or (misfit(target, triple) if target and not fits else "")


def _listed(line: str, folders: tuple[str, str]) -> tuple[str, str]:
    """Return path and target from a line of ``ls -ldn``; the path begins with one of ``folders``."""
    starts = [at for folder in folders if (at := line.find(f" {folder.rstrip('/')}/")) >= 0]
    path, arrow, target = line[min(starts) + 1 :].partition(" -> ") if starts else ("", "", "")
    if not arrow:
        raise ObservationError(f"the host's answer can't be read: {quoted(line)} is not a line of ls -l about a link")
    return path, target


def _link(value: str) -> tuple[str, str]:
    """Return path and target from ``PATH -> TARGET``, as PowerShell's agent prints a link."""
    path, arrow, target = value.partition(" -> ")
    if not arrow:
        raise ObservationError(f"the host's answer can't be read: {quoted(value)} is not a link and its target")
    return path, target


def _installed(values: _Block, root: str, *, windows: bool) -> Installed | None:
    """Return a build as its block tells of it; None where its folder has a name that no build has."""
    name = values["build"][0]
    named = parse_name(name)
    if named is None:
        return None
    if len(values.get("modules", ())) != 1 or not _COUNT.fullmatch(values["modules"][0]):
        raise ObservationError(f"the host's answer can't be read: what it says of {sanitized(name)} is not whole")
    receipt = parse_receipt("\n".join(values.get("receipt", ())))
    if receipt and receipt.build.name != name:
        # The folder was copied or renamed: the build's paths are wrong.
        receipt = None
    problem = _problem(values, receipt)
    check = parse_check(values.get("checked", [""])[0], receipt)
    damage = damage_of(values.get("damaged", ()), values.get("list", [None])[0], receipt)
    if {"list", "damaged"} & set(values):
        problem = problem or damage
    elif values.get("verify") == ["unable"] and not problem:
        raise ObservationError("verify: full needs sha256sum or shasum on the host, which has neither: use verify: quick")
    elif check and check.damage:
        damage = check.damage
        problem = problem or f"{damage} (found by the full check of {check.at[:10]})"
    unconfirmed = receipt is not None and not receipt.started and not problem and values["start"] == ["0"]
    packages = values.get("packages", ["0"])[0]
    found = Installed(
        name,
        receipt.build if receipt else named,
        receipt,
        problem,
        tuple(values.get("extra", ())),
        unconfirmed,
        packages=int(packages) if _COUNT.fullmatch(packages) else 0,
        untrusted=exposure(" ".join(values.get("says", ()))) if values.get("start") == ["untrusted"] else "",
        mark=mark_of(values.get("receipt", ())),
        damage=damage,
        checked_at=check.at if check else "",
    )
    return found if "same" in values else _in_place(found, root, windows=windows)


def _in_place(installed: Installed, root: str, *, windows: bool) -> Installed:
    """Return the build with ``moved`` and its problem as they are for builds in ``root``."""
    problem = "" if installed.moved else installed.problem
    was = installed.receipt.prefix if installed.receipt and not problem and not installed.foreign else ""
    here = f"{root}/{installed.name}"
    if windows:
        was = was.replace("\\", "/").removeprefix("//?/")
    if not was or was == here or (windows and was.casefold() == here.casefold()):
        return replace(installed, moved="", problem=problem)
    reason = f"it was installed as {printed(was)} and lies in {printed(here)}: it was moved or copied"
    return replace(installed, moved=was, problem=reason, unconfirmed=False)


def _problem(values: Mapping[str, list[str]], receipt: Receipt | None) -> str:
    if receipt is None:
        return "its receipt is missing or can't be read"
    lines = values.get("says", [""])
    said = sanitized(" ".join(" ".join(lines).split()))
    if "start" not in values:
        return "its executable is missing"
    untried = values["start"] in (["untried"], ["untrusted"])
    if values["start"] != ["0"] and not untried:
        return f"it does not start: {said or 'exit code ' + sanitized(values['start'][0])}"
    # What else stands there the system said, such as of an LD_PRELOAD that is gone.
    if not untried and lines[-1].strip() != f"Python {receipt.build.version}":
        return f"it says that it is {quoted(said)}"
    found = int(values["modules"][0])
    if found < receipt.modules:
        return f"its standard library lacks {receipt.modules - found} of {receipt.modules} modules and packages"
    if "certificates" in values:
        return f"{printed(receipt.certificates)}, whose certificates it trusts, is not a file on this host any more"
    return ""


def relocated(observed: Observed, places: Mapping[str, str], facts: Mapping[str, str]) -> Observed:
    """Return the observation of an offline image with the paths and facts of the image itself.

    :param places: where the root and the folder of links lie, to what they are called on the host
    :param facts: what kind of host it is; what this machine said of itself in their place is left out
    """

    def on_host(path: str) -> str:
        return moved(path, places)

    own = {key: value for key, value in observed.facts.items() if key in ("tools", "wget", "free_kb", "free_inodes")}
    return replace(
        observed,
        root=on_host(observed.root),
        bin_dir=on_host(observed.bin_dir),
        installed=tuple(
            _in_place(replace(one, foreign=""), on_host(observed.root), windows=observed.windows) for one in observed.installed
        ),
        root_obstacle=on_host(observed.root_obstacle),
        bin_dir_obstacle=on_host(observed.bin_dir_obstacle),
        links={on_host(path): target for path, target in observed.links.items()},
        occupied=frozenset(map(on_host, observed.occupied)),
        leftovers=tuple(map(on_host, observed.leftovers)),
        obstacles=tuple(map(on_host, observed.obstacles)),
        facts={**own, **facts} if observed.facts else {},
    )
