# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan, and what the host is after each. No I/O.

:func:`ours` decides which links this project created: by name, folder and the exact form of the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..builds.catalogue import Build, parse_name
from ..digits import NUMBER
from ..errors import sanitized
from ..lazy import lazy_dataclass
from .declaration import Desired, Wanted
from .line import finish_of
from .observed import Installed, Observed, RegistryEntry
from .paths import joined, native, printed
from .receipt import Receipt

_LINE = re.compile(rf"cpython-{NUMBER}\.{NUMBER}(\+(freethreaded|debug|static))*")
_LINK_NAME = re.compile(rf"python(3(\.{NUMBER}[td]*)?)?(\.cmd)?")
_EXECUTABLE = re.compile(r"bin/python[0-9.]*[td]*|python\.exe")
InstallAction = Literal["install", "upgrade", "downgrade", "repair", "reinstall"]
Action = InstallAction | Literal["none", "relink"]
HISTORY = ".standalone-python.history"  # in the root; see history.py
_NOW = "~"  # later than any time in a receipt


@lazy_dataclass(frozen=True)
class Clear:
    """Remove what an interrupted run left."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        return f"clear what an earlier run left: {joined(self.paths)}"


@lazy_dataclass(frozen=True)
class Install:
    """Install a build.

    :ivar carry: the name of the replaced build whose user packages are copied; empty if none are
    :ivar packages: the number of user packages in the replaced build, copied or not
    :ivar moved: the prefix that the installed build was finished for, if only that has to be repaired, from its own files
    """

    build: Build
    action: InstallAction
    reason: str
    carry: str = ""
    packages: int = 0
    moved: str = ""

    def __str__(self) -> str:
        does = "keeps" if self.carry else "discards"
        of = f"; {does} {packages_in_words(self.packages)}" if self.packages else ""
        return f"{self.action} {self.build.name}: {self.reason}{of}"


@lazy_dataclass(frozen=True)
class SetLink:
    """Set the link at ``path`` to the text ``to``; ``was`` is its target before, empty if there was no link."""

    path: str
    to: str
    was: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        return f"link {native(self.path)} to {native(self.to)}" + (f" instead of {printed(self.was)}" if self.was else "")


@lazy_dataclass(frozen=True)
class Unlink:
    path: str
    was: str

    def __str__(self) -> str:
        return f"remove the link {native(self.path)} to {printed(self.was)}"


@lazy_dataclass(frozen=True)
class Remove:
    """Remove a build.

    :ivar unless_used: not while a process runs from it; the agent looks for one just before
    """

    name: str
    reason: str
    unless_used: bool = False

    def __str__(self) -> str:
        return f"remove {self.name}: {self.reason}"


@lazy_dataclass(frozen=True)
class Register:
    """Write the entry of ``tag`` to the registry of Windows; ``was`` is its entry before, None for a new tag."""

    tag: str
    entry: RegistryEntry
    was: RegistryEntry | None = None

    def __str__(self) -> str:
        instead = f" instead of {self.was}" if self.was else ""
        return f"register {self.tag} as {self.entry}{instead}"


@lazy_dataclass(frozen=True)
class Unregister:
    tag: str
    was: RegistryEntry

    def __str__(self) -> str:
        return f"unregister {sanitized(self.tag)}, {self.was}"


@lazy_dataclass(frozen=True)
class SetSearchPath:
    """Add the folder of the links to the PATH on Windows, or remove it."""

    folder: str
    there: bool

    def __str__(self) -> str:
        return f"add {native(self.folder)} to the PATH" if self.there else f"take {native(self.folder)} off the PATH"


@lazy_dataclass(frozen=True)
class Confirm:
    """Record in the receipt of a build from an offline image that it was started."""

    name: str

    def __str__(self) -> str:
        return f"confirm {self.name}: it was not started where it was installed, and starts here"


Step = Clear | Install | Confirm | SetLink | Unlink | Remove | Register | Unregister | SetSearchPath


@dataclass(frozen=True, slots=True)
class Seen:
    """What was at a path when a plan was made.

    :ivar text: the target of a link, a build's mark, or the words of a file; ``*`` is for any, as some characters may not reach
        the host unchanged
    """

    kind: Literal["absent", "link", "build", "file", "folder", "text"] = "absent"
    text: str = ""


ABSENT = Seen()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a declared request comes to.

    ``stable_path`` is the executable through the stable link, and
    the same as ``path`` where the stable link belongs to another build of the line. ``links`` are those in ``bin_dir``.
    """

    wanted: Wanted
    build: Build
    path: str
    stable_path: str
    prefix: str
    action: Action
    reason: str
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    :ivar seen: what :func:`seen` found. Where steps change something that it doesn't name, there was nothing.
    :ivar held: the removals that wait until no process uses the build; they are not among the steps
    :ivar remarks: warnings about the declaration on this host, which do not fail the run
    :ivar history: the builds in the root's history afterwards; empty if the file goes, None if it stays as it is
    """

    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]
    seen: Mapping[str, Seen] = field(default_factory=dict)
    held: tuple[Remove, ...] = ()
    remarks: tuple[str, ...] = ()
    history: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def premises(self) -> tuple[str, ...]:
        """The links and builds that the steps depend on, as :func:`touched` names them, each once."""
        return tuple(dict.fromkeys(at for at in (*self.seen, *map(touched, self.steps)) if at))

    @property
    def installs(self) -> tuple[Install, ...]:
        return tuple(step for step in self.steps if isinstance(step, Install))

    @property
    def confirmations(self) -> tuple[Confirm, ...]:
        return tuple(step for step in self.steps if isinstance(step, Confirm))

    @property
    def moves(self) -> tuple[SetLink, ...]:
        """The stable links that lead to another build than before."""
        return tuple(step for step in self.steps if isinstance(step, SetLink) and step.was and _LINE.fullmatch(step.name))

    @property
    def history_at(self) -> str:
        """The path of the history, if it must be what the plan saw; else empty."""
        return next((at for at in self.seen if at.endswith(f"/{HISTORY}")), "")

    @property
    def records_before(self) -> Step | None:
        """The step before which the history is written. A run that is killed after that loses no build that was in use."""
        steps = (step for step in self.steps if step in self.moves or isinstance(step, Remove))
        return next(steps, None) if self.history is not None else None

    @property
    def replaces(self) -> bool:
        """Whether processes may run from an older build afterwards, or from the files of one that was replaced."""
        relinked = any(isinstance(step, SetLink) and step.was for step in self.steps)
        return relinked or bool(self.removals) or any(step.action != "install" for step in self.installs)

    @property
    def removals(self) -> tuple[Remove, ...]:
        return tuple(step for step in self.steps if isinstance(step, Remove))


def packages_in_words(count: int) -> str:
    return f"{count} user package{'' if count == 1 else 's'}"


def touched(step: Step) -> str:
    """The path of the link or the name of the build that ``step`` changes; empty if it changes neither."""
    match step:
        case SetLink(path) | Unlink(path):
            return path
        case Install(build):
            return build.name
        case Confirm(name) | Remove(name):
            return name
        case _:
            return ""


def seen(steps: Iterable[Step], observed: Observed) -> dict[str, Seen]:
    """What ``steps`` are for: all builds, as links lead to them, and what is where something changes.

    An agent changes nothing if the host has something else there by then.
    """
    found = {path: Seen("link", to if to.isprintable() and "\ufffd" not in to else "*") for path, to in observed.links.items()}
    found |= {f"{observed.root}/{i.name}": Seen("build", i.mark) for i in observed.installed}
    found |= {path.rstrip("/"): Seen("folder" if path.endswith("/") else "file") for path in observed.occupied}
    changing = [at for at in map(touched, steps) if at]
    paths = {at: at if "/" in at else f"{observed.root}/{at}" for at in (*(i.name for i in observed.installed), *changing)}
    return {at: found[path] for at, path in paths.items() if changing and path in found}


def ours(path: str, target: str, observed: Observed) -> str:
    """Return the line or build that an own link leads to; empty if this project did not create the link."""
    folder, _unused, name = path.rpartition("/")
    inside = target.removeprefix(f"{observed.root}/")
    for former in observed.former_roots:
        inside = inside.removeprefix(f"{former}/")
    if folder == observed.root and _LINE.fullmatch(name):
        return inside if parse_name(inside) else ""
    head, _unused, rest = inside.partition("/")
    whole = (
        inside != target
        and folder == observed.bin_dir
        and _LINK_NAME.fullmatch(name)
        and _EXECUTABLE.fullmatch(rest)
        and (_LINE.fullmatch(head) or parse_name(head))
    )
    return head if whole else ""


def predict(plan: Plan, observed: Observed, desired: Desired) -> Observed:
    """Return the host as it is after ``plan``. Receipts of new builds lack what only the host can count."""
    installed = {i.name: i for i in observed.installed}
    links = dict(observed.links)
    occupied = set(observed.occupied)
    leftovers, lock, lock_state = observed.leftovers, observed.lock, observed.lock_state
    registered, search_path = dict(observed.registered), observed.search_path
    for step in plan.steps:
        match step:
            case Clear():
                leftovers, lock, lock_state = (), "", ""
            case Install(build):
                brought = step.packages if step.carry else 0
                finish, started = finish_of(desired, build), desired.image is None
                receipt = Receipt(build, "", finish, "", 0, "", _NOW, started=started, carried=brought)
                installed[build.name] = Installed(build.name, build, receipt, packages=brought)
                occupied -= {f"{observed.root}/{build.name}", f"{observed.root}/{build.name}/"}
                links.pop(f"{observed.root}/{build.name}", None)
            case Confirm(name):
                was = installed[name]
                known = replace(was.receipt, started=True) if was.receipt else None
                installed[name] = replace(was, receipt=known, unconfirmed=False)
            case SetLink(path, to):
                links[path] = to
                occupied.discard(path)
            case Unlink(path):
                del links[path]
            case Remove(name):
                del installed[name]
            case Register(tag, entry):
                registered[tag] = entry
            case Unregister(tag):
                del registered[tag]
            case SetSearchPath(_unused, there):
                search_path = "ours" if there else ""
    return replace(
        observed,
        root_state="writable" if observed.root_state == "absent" and plan else observed.root_state,
        installed=tuple(installed[name] for name in sorted(installed)),
        links=links,
        occupied=frozenset(occupied),
        leftovers=leftovers,
        lock=lock,
        lock_state=lock_state,
        registered=registered,
        search_path=search_path,
    )


def _note(installed: Installed) -> str:
    if installed.problem:
        return f" (broken: {installed.problem})"
    if installed.foreign:
        return f" (for another host: {installed.foreign})"
    return "" if installed.started else " (not started here)"


def describe(observed: Observed) -> str:
    """Return the host's interpreters as lines of text, for a diff."""
    lines = [
        installed.name + _note(installed) + (f" ({packages_in_words(installed.packages)})" if installed.packages else "")
        for installed in observed.installed
    ]
    lines += [
        f"{native(path)} -> {printed(target)}" for path, target in sorted(observed.links.items()) if ours(path, target, observed)
    ]
    lines += [f"registered as {sanitized(tag)}: {entry}" for tag, entry in sorted(observed.registered.items())]
    if observed.search_path == "ours":
        lines.append(f"in the PATH: {native(observed.bin_dir)}")
    lines += [f"left by an earlier run: {printed(path)}" for path in observed.leftovers]
    return "".join(f"{line}\n" for line in lines)
