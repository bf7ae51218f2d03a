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

import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..builds.catalogue import Build, parse_name
from ..builds.request import Version
from ..builds.target import cpu_level, from_facts, misfit, parse_triple
from ..digits import LARGEST, whole_number
from ..errors import LONGEST_TEXT, AgentError, DeclarationError, ObservationError, sanitized

BEGIN = "== standalone-python observation 1 =="
END = "== standalone-python observation end =="
UNFINISHED = "== standalone-python observation unfinished =="
FAILURE_BEGIN = "== standalone-python failure 1 =="
FAILURE_END = "== standalone-python failure end =="
_LONGEST_PATH = 4096  # letters; Linux takes no more bytes
_COUNT = re.compile("[0-9]{1,9}")  # compiled once, and not in each of Ansible's workers


@dataclass(frozen=True, slots=True)
class Finish:
    """How a build is finished on a host. Two that differ need the build to be installed anew.

    ``owner``, ``group`` and ``mode`` are empty where nothing was said; ``mode`` is octal text such as ``0755``.
    """

    externally_managed: bool = True
    compile_bytecode: bool = False
    patch_sysconfig: bool = True
    owner: str = ""
    group: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What ``.standalone-python/receipt.json`` says (written by ``agents/on_host/finish.py``).

    ``carried`` is how many user packages came along from the build that it replaced; ``not_carried`` says what didn't, and why.
    ``prefix`` is where the build lay when it was finished, as the host itself calls it; empty in older receipts.
    ``started`` is false where it was installed from outside, into the image of another machine, and no host has started it yet.
    """

    build: Build
    url: str
    finish: Finish
    executable: str
    modules: int
    files_sha256: str
    installed_at: str
    started: bool = True
    carried: int = 0
    not_carried: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """A build on a host that this project installed.

    ``problem`` says in words what is wrong with it; empty where it is sound. ``extra`` are files that somebody put into its
    standard library (seen with ``verify: full`` only), which are reported and left alone. ``unconfirmed``: it was started and
    tried just now, for the first time, and its receipt doesn't say so yet. ``foreign`` says why a build for another kind of
    host can't run here, with the build as subject; such a build has no problem. ``packages`` is how many packages users installed
    into it (0 where ``externally_managed`` is true). ``untrusted`` says who else could change its interpreter, which was not
    started then; empty where nobody could. ``mark`` tells this installation from any other of
    the same build: some lines of its receipt, or ``*`` if they have letters that may not come back to the host as they are.
    ``moved`` is where a build was installed that lies elsewhere now and has no other problem.
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

    @property
    def started(self) -> bool:
        return self.receipt is None or self.receipt.started

    @property
    def finish(self) -> Finish | None:
        return self.receipt.finish if self.receipt else None

    @property
    def installed_at(self) -> str:
        return self.receipt.installed_at if self.receipt else ""


@dataclass(frozen=True, slots=True)
class Observed:
    """A host as an agent found it.

    :ivar root_state: ``writable``, ``unwritable``, ``unreadable``, ``absent`` (it can be made) or ``notfolder``
    :ivar root_obstacle: the file, or the link that leads to no folder, on the way to a root that can't be made; else empty
    :ivar bin_dir_obstacle: the same for ``bin_dir``
    :ivar links: path to target text, of every symbolic link in ``root`` and ``bin_dir`` that could concern us
    :ivar occupied: paths of what is there and is no link and no build of ours; a folder's ends with a slash
    :ivar leftovers: paths of what a killed run left
    :ivar obstacles: paths of what has the name of a lock or of a temporary thing of ours, and isn't one
    :ivar lock: the lock's text (``pid:started:boot:host``), empty where there is none
    :ivar lock_state: ``alive``, ``dead``, ``elsewhere`` or empty
    :ivar root_exposed: who else could change what is written to ``root``, in words; empty where nobody could
    :ivar bin_dir_exposed: the same of ``bin_dir``
    :ivar facts: the host's own facts (see :func:`target.from_facts`); empty where they were not asked for
    :ivar cpu: the flags of the host's CPU, told without the facts where a build needs a level of them; else empty
    :ivar windows: whether builds lie as Windows has them
    :ivar held: paths that were to go, and that a process on the host keeps open
    :ivar outdated: the plan was not carried out: it was made for a host that had something else at a path that it changes
    :ivar cleared: the run cleared what an earlier one left
    :ivar registered: our tags in the registry (PEP 514) to ``VERSION ARCHITECTURE EXECUTABLE``
    :ivar search_path: ``ours`` where we put ``bin_dir`` into the PATH, ``there`` where somebody else did, else empty
    """

    root: str
    bin_dir: str
    root_state: str
    bin_dir_state: str
    installed: tuple[Installed, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    occupied: frozenset[str] = frozenset()
    leftovers: tuple[str, ...] = ()
    lock: str = ""
    lock_state: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    cpu: str = ""
    windows: bool = False
    held: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    outdated: bool = False
    cleared: bool = False
    registered: Mapping[str, str] = field(default_factory=dict)
    search_path: str = ""
    root_obstacle: str = ""
    bin_dir_obstacle: str = ""
    root_exposed: str = ""
    bin_dir_exposed: str = ""

    @property
    def python(self) -> str:
        """The interpreter's path in a build."""
        return "python.exe" if self.windows else "bin/python3"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences that a user should read though all is as declared."""
        way = "" if self.windows else ": run as that user, or let only root and this user change it"
        remarks = [f"{one.name} was not started, as {one.untrusted}{way}" for one in self.installed if one.untrusted]
        if self.held:
            held = joined(self.held)
            remarks.append(
                f"{held} could not be removed, as a process on the host has files in it open; the next run tries again"
            )
        return tuple(remarks)

    @property
    def former_roots(self) -> frozenset[str]:
        """The roots where builds lay that were moved or copied here. Links that lead there are ours."""
        return frozenset(one.moved.rpartition("/")[0] for one in self.installed if one.moved and not self.windows)

    @property
    def tools(self) -> frozenset[str]:
        """The programs found on the host, of those that matter here; empty where facts were not asked for."""
        return frozenset(self.facts.get("tools", "").split())

    @property
    def free_kb(self) -> int | None:
        """Free space on the root's file system in kilobytes; None where it isn't known."""
        return self._number("free_kb")

    @property
    def free_inodes(self) -> int | None:
        """Files and folders that can still be made on the root's file system; None where it has no limit or doesn't tell."""
        return self._number("free_inodes")

    def _number(self, fact: str) -> int | None:
        return whole_number(self.facts.get(fact, ""))


# What pip changes when it upgrades itself or another package that the build brings.
_USERS = re.compile(r"lib/python3\.[0-9]+t?/site-packages/|Lib/site-packages/|Scripts/|bin/pip[0-9.]*$")
FACTS = ("os", "os_version", "arch", "libc", "libc_version", "float_abi", "cpu_flags", "tools", "wget", "free_kb", "free_inodes")


def native(path: str) -> str:
    """A path as the host's own people write it: the only ones that begin with a drive are those of Windows."""
    return path.replace("/", "\\") if path[1:2] == ":" else path


def printed(path: str) -> str:
    """Return a path that a host chose, as part of a sentence; data has :func:`native`."""
    return sanitized(native(path))


def joined(paths: Sequence[str]) -> str:
    """Return the first three paths, and how many more there are, as part of a sentence."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(map(printed, paths[:3]))}{more}"


def parse(text: str) -> Observed:
    """Read what an agent printed.

    :raises AgentError: the agent says that it failed
    :raises ObservationError: there is no whole observation in ``text``
    """
    if FAILURE_BEGIN in text and FAILURE_BEGIN in text.splitlines():
        raise _failure(text)
    pairs = list(_pairs(text, BEGIN, END))
    single: dict[str, str] = {}
    links: dict[str, str] = {}
    occupied: list[str] = []
    leftovers: list[str] = []
    held: list[str] = []
    obstacles: list[str] = []
    registered: dict[str, str] = {}
    blocks: list[list[tuple[str, str]]] = []
    listing: list[str] = []
    for key, value in pairs:
        if key == "build":
            blocks.append([(key, value)])
        elif key in ("receipt", "same", "start", "says", "modules", "verify", "damaged", "extra", "list", "packages"):
            if not blocks:
                raise ObservationError(f"the host's answer can't be read: {key}= stands before any build=")
            blocks[-1].append((key, value))
        elif key == "occupied":
            occupied.append(value)
        elif key == "leftover":
            leftovers.append(value)
        elif key == "ls":
            listing.append(value)
        elif key == "link":
            path, arrow, target = value.partition(" -> ")
            if not arrow:
                raise ObservationError(f"the host's answer can't be read: {_quoted(value)} is not a link and its target")
            links[path] = target
        elif key == "held":
            held.append(value)
        elif key == "obstacle":
            obstacles.append(value)
        elif key == "registered":
            tag, _unused, entry = value.partition(" ")
            registered[tag] = entry
        else:
            single[key] = value
    try:
        root, bin_dir = single["root"], single["bin_dir"]
        for folder in (root, bin_dir):
            if sanitized(folder, _LONGEST_PATH) != folder:
                raise ObservationError(f"the host's answer can't be read: {sanitized(folder)} is not a folder's path")
            if folder.startswith("~"):
                raise AgentError(FAILURES["home"].format(detail=folder), step="observe")
        for line in listing:
            path, target = _listed(line, (root, bin_dir))
            links[path] = target
        windows = single.get("layout") == "windows"
        found = [(block[0][1], _installed(block, root, windows=windows)) for block in blocks]
        found_here = Observed(
            root=root,
            bin_dir=bin_dir,
            root_state=single["root_state"],
            bin_dir_state=single["bin_dir_state"],
            installed=tuple(build for _unused, build in found if build),
            links=links,
            occupied=frozenset(occupied).union(f"{root}/{name}/" for name, build in found if not build),
            leftovers=tuple(leftovers),
            lock=single.get("lock", ""),
            lock_state=single.get("lock_state", ""),
            facts={key: single[key] for key in FACTS if key in single},
            cpu=single.get("cpu", ""),
            windows=windows,
            held=tuple(held),
            obstacles=tuple(obstacles),
            outdated="outdated" in single,
            cleared="cleared" in single,
            registered=registered,
            search_path=single.get("path", ""),
            root_obstacle=single.get("root_obstacle", ""),
            bin_dir_obstacle=single.get("bin_dir_obstacle", ""),
            root_exposed=exposure(single.get("root_exposed", "")),
            bin_dir_exposed=exposure(single.get("bin_dir_exposed", "")),
        )
        # In an image from outside the facts are this machine's, and `relocated` judges by the image's own.
        outside = any(("start", "untried") in block for block in blocks)
        return found_here if outside else judged(found_here, found_here.facts)
    except KeyError as missing:
        raise ObservationError(f"the host's answer can't be read: it says nothing of {missing}") from None


def judged(observed: Observed, facts: Mapping[str, str], *, started: bool = True) -> Observed:
    """Return the host with builds for other kinds of hosts marked as ``foreign`` instead of broken.

    :param facts: what kind of host it is; may be empty
    :param started: every build was started; one that starts belongs here, unless the CPU lacks its level
    """
    installed = []
    for build in observed.installed:
        sound = not build.untrusted and (not build.problem or bool(build.moved))
        foreign = _foreign(build.build.triple, facts, observed.cpu, fits=started and sound)
        installed.append(replace(build, foreign=foreign, problem="", moved="", unconfirmed=False) if foreign else build)
    return replace(observed, installed=tuple(installed))


def _foreign(triple: str, facts: Mapping[str, str], cpu: str, *, fits: bool) -> str:
    """Why builds for a triple can't run on a host; empty where they can, or where too little is known."""
    try:
        needed = parse_triple(triple)
        target = from_facts(facts) if "os" in facts else None
    except (DeclarationError, ObservationError):
        return ""
    flags = facts.get("cpu_flags") or cpu
    level = cpu_level(flags) if flags else needed.level
    if needed.level > level:
        return f"needs a CPU of level v{needed.level}, and the host's has v{level}"
    return misfit(target, triple) if target and not fits else ""


def _pairs(text: str, begin: str, end: str) -> Iterator[tuple[str, str]]:
    lines = text.replace("\r\n", "\n").split("\n")
    try:
        first = lines.index(begin) + 1
        last = lines.index(end, first)
    except ValueError:
        said = sanitized(" ".join(text.split())[-LONGEST_TEXT:]) or "nothing at all"
        raise ObservationError(
            f"the host's answer can't be read: instead of an observation of its interpreters it gave {said}; "
            "see that its shell is a POSIX sh, or PowerShell on Windows, and that nothing ends it early"
        ) from None
    for line in lines[first:last]:
        key, separator, value = line.partition("=")
        if not separator:
            raise ObservationError(f"the host's answer can't be read: {_quoted(line)} is no key=value line")
        if key.endswith("*"):
            key, value = key[:-1], _decoded(value)
        yield key, value


def _quoted(text: str) -> str:
    return sanitized(repr(text))


def _decoded(value: str) -> str:
    try:
        return binascii.a2b_base64(value, strict_mode=True).decode("utf-8")
    except ValueError:
        raise ObservationError(f"the host's answer can't be read: {_quoted(value)} is not base64") from None


def _listed(line: str, folders: tuple[str, str]) -> tuple[str, str]:
    """Path and target of a line of ``ls -ldn``; the path begins with one of ``folders``."""
    starts = [at for folder in folders if (at := line.find(f" {folder.rstrip('/')}/")) >= 0]
    path, arrow, target = line[min(starts) + 1 :].partition(" -> ") if starts else ("", "", "")
    if not arrow:
        raise ObservationError(f"the host's answer can't be read: {_quoted(line)} is no line of ls -l on a link")
    return path, target


def _installed(block: list[tuple[str, str]], root: str, *, windows: bool) -> Installed | None:
    """A build's block of lines; None where its folder has a name that no build of ours has."""
    values: dict[str, list[str]] = {}
    for key, value in block:
        values.setdefault(key, []).append(value)
    name = values["build"][0]
    named = parse_name(name)
    if named is None:
        return None
    if len(values.get("modules", ())) != 1 or not _COUNT.fullmatch(values["modules"][0]):
        raise ObservationError(f"the host's answer can't be read: what it says of {sanitized(name)} is not whole")
    receipt = parse_receipt("\n".join(values.get("receipt", ())))
    if receipt and receipt.build.name != name:
        # A copy of another build, or one that somebody renamed: its paths are wrong.
        receipt = None
    problem = _problem(values, receipt)
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
        mark=_mark(values.get("receipt", ())),
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


def _mark(receipt: Iterable[str]) -> str:
    """What agents compute of a receipt's lines as well."""
    mark = "".join(line for line in receipt if line.startswith(_MARKING))
    return mark if mark.isascii() and mark.isprintable() else "*"


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
        return f"it says that it is {_quoted(said)}"
    found = int(values["modules"][0])
    if found < receipt.modules:
        return f"its standard library lacks {receipt.modules - found} of {receipt.modules} modules and packages"
    if values.get("verify") == ["unable"]:
        raise ObservationError("verify: full needs sha256sum or shasum on the host, which has neither: use verify: quick")
    damaged = [path for path in values.get("damaged", ()) if receipt.finish.externally_managed or not _USERS.match(path)]
    if damaged:
        return f"its files differ from what was installed: {joined(damaged)}"
    listed = values.get("list")
    if listed and not listed[0].startswith(receipt.files_sha256):
        return "its list of files is not the one that was installed"
    return ""


def parse_receipt(text: str) -> Receipt | None:
    """A receipt's JSON text as a :class:`Receipt`; None where it is not a whole receipt of ours."""
    try:
        data = json.loads(text)
        said = {name: _typed(data[name], kind) for kind, names in _RECEIPT.items() for name in names}
        if not 0 <= said["modules"] < LARGEST:
            return None
        return Receipt(
            build=Build(**{name: said[name] for name in _BUILD} | {"version": Version.parse(said["version"])}),
            finish=Finish(**{name: said[name] for name in Finish.__dataclass_fields__}),
            **{name: said[name] for name in ("url", "executable", "modules", "files_sha256", "installed_at")},
            started=_typed(data.get("started", True), bool),
            carried=_typed(data.get("carried", 0), int),
            not_carried=tuple(_typed(text, str) for text in _typed(data.get("not_carried", []), list)),
            prefix=_typed(data.get("prefix", ""), str),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


_MARKING = (' "installed_at": ', ' "files_sha256": ', ' "started": ')
_BUILD = ("version", "release", "triple", "options", "flavor", "filename", "sha256")
_RECEIPT: Mapping[type, tuple[str, ...]] = {
    str: (*_BUILD, "url", "executable", "files_sha256", "installed_at", "owner", "group", "mode"),
    bool: ("externally_managed", "compile_bytecode", "patch_sysconfig"),
    int: ("modules",),
}


def _typed(value: Any, kind: type) -> Any:
    # A bool is an int to isinstance, and no count of anything.
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise TypeError(value)
    return value


def relocated(observed: Observed, places: Mapping[str, str], facts: Mapping[str, str]) -> Observed:
    """What was observed in an image that lies in a folder of this machine, as the host itself would say it.

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


def moved(path: str, places: Mapping[str, str]) -> str:
    """A path in or below one of the folders in ``places``, where that folder is at another place; the innermost counts."""
    for folder in sorted(places, key=len, reverse=True):
        if path == folder or path.startswith(f"{folder}/"):
            return places[folder] + path.removeprefix(folder)
    return path


def exposure(reason: str) -> str:
    """Return who else could change what, as part of a sentence. ``observe.sh`` gives it as ``KIND WHO PATH``, others in words."""
    found = _REASON.fullmatch(reason)
    return _EXPOSURES[found[1]].format(who=sanitized(found[2]), path=printed(found[3])) if found else sanitized(reason)


_EXPOSURES: Mapping[str, str] = {
    "owner": "{path} belongs to the user with the number {who}",
    "group": "the group with the number {who} can write to {path}",
    "others": "every user can write to {path} (its mode is {who})",
    "acl": "an access list lets others write to {path} (its mode is {who})",
    "link": "{path} is a link that leads out of its folder",
    "unknown": "the owner of {path} can't be read",
}
_REASON = re.compile(f"({'|'.join(_EXPOSURES)}) (\\S+) (/.*)")


def _failure(text: str) -> AgentError:
    """The error that an agent's failure block stands for."""
    values: dict[str, list[str]] = {}
    for key, value in _pairs(text, FAILURE_BEGIN, FAILURE_END):
        values.setdefault(key, []).append(value)
    step = sanitized(" ".join(values.get("step", ())))
    code = " ".join(values.get("failure", ()))
    detail = " ".join(" ".join(values.get("detail", ())).split())
    parts = {"detail": detail, "first": detail.split(" ", 1)[0], "last": detail.rpartition(" ")[2]}
    output = sanitized(detail)
    if code == "untrusted":
        parts["detail"] = exposure(detail)
    what = FAILURES.get(code, "{detail}").format(**{name: sanitized(part) for name, part in parts.items()})
    if code in ("inodes", "noinodes"):
        pass
    elif "No space left on device" in detail or (code == "space" and not re.fullmatch("[0-9]+ [0-9]+", detail)):
        what = f"the disk is full ({output}): make room on it and run again"
    elif "Read-only file system" in detail:
        what = f"the file system is read-only ({output}): choose another root, or mount it writable"
    state = (
        "the host is between two states, run again to complete it"
        if values.get("committing") == ["yes"]
        else "the host is as it was"
    )
    return AgentError(f"{step} failed: {what}; {state}", step=step, code=1, output=output)


# What apply.sh and finish.py name as the reason of a failure, as a user reads it. {detail} is what the host said.
FAILURES: Mapping[str, str] = {
    "account": "{detail}: create it there, or declare another owner or group",
    "bytecode": "{detail}: let that one be on the PATH, or leave compile_bytecode out",
    "changed": "{detail} is not what it was when this run looked at it: something else changes this host, find out what "
    "and run again",
    "checksum": "the archive on the host has the sha256 {last}, where {first} was expected: run again",
    "content": "the archive is not a whole build ({detail})",
    "download": "the host could not download it ({detail}): let it reach the source, or use delivery: push",
    "home": "{detail} can't be told, as the host knows no home folder of this user: set HOME there, or give an absolute path",
    "held": "{detail} is in use: a program that runs from it, or a virus scanner, holds files in it; end that and run again",
    "inodes": "the file system has {last} free inodes and {first} are needed: remove files on it, or choose another root",
    "io": "{detail}",
    "launcher": "the launcher's text can't name {detail}, as cmd reads letters that aren't ASCII in one way here and in another "
    "there: choose a bin_dir in the root, or a root without such letters",
    "locked": "another run holds the lock {detail}: wait for it to end; if its host is gone for good, remove that lock",
    "module": "the interpreter can't import a module that the build has ({detail})",
    "nochecksum": "there is no sha256sum, shasum or openssl on the host to check the archive with: install one of them",
    "nodownload": "delivery: pull needs curl or wget on the host, which has neither: install one of them, or use delivery: push",
    "noinodes": "no inodes are left below {detail}: remove files on that file system, or choose another root",
    "notar": "there is no tar on the host to unpack the archive with: install it",
    "nozstd": "the archive is compressed with zstd, which the host doesn't have: install it, or use delivery: push",
    "obstacle": "{detail} is in the way and was not created by standalone-python, which needs that name: move or remove it",
    "permission": "{detail}: become a user who may do that",
    "prefix": "the interpreter does not run from its own place ({detail})",
    "redirected": "the source sends the host on to another address, and its wget would take the token along: install curl, "
    "or use delivery: push",
    "space": "the disk has {last} kB free and {first} kB are needed: make room on it and run again",
    "start": "the build does not start on this host ({detail}): it was removed again; choose a build for this host's C library "
    "and CPU, and see that /proc is mounted where the host is an unpacked root",
    "tokenwget": "the host has only a wget that takes a token, password or query on its command line, where others could read "
    "it: install curl, "
    "or use delivery: push",
    "unpack": "{detail}",
    "untrusted": "{detail}: run as that user, let only administrators or root and this user change it, or choose another folder",
    "unwritable": "{detail}: become a user who may write there, or choose another root",
    "version": "the interpreter is not the version that was promised ({detail})",
}
