# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What agents promise, as one table: how a host's disk looks before, what the agent is told to do, what it says, how the disk
looks afterwards.

Nothing here knows a shell. In texts, {root}, {bin} and {disk} are the host's; builds are named as ``3.13.1`` or
``3.13.1+20250317`` and are fakes (see fakes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# What is on the disk before


@dataclass(frozen=True, slots=True)
class File:
    path: str
    text: str = ""
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Program:
    """It prints something, and ends."""

    path: str
    out: str = ""
    errors: str = ""
    code: int = 0


@dataclass(frozen=True, slots=True)
class Folder:
    """``other``: it belongs to the other user, as whom the agent runs."""

    path: str
    mode: int = 0o755
    other: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Built:
    """A build as its finisher left it; with another receipt, or (None) none; at its place, or at ``path``; finished for ``prefix``."""

    what: str
    receipt: str | None = ""
    path: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """Something of a build that was there is not any more."""

    path: str


@dataclass(frozen=True, slots=True)
class Lock:
    """``alive``: its holder runs; ``dead``: it has ended; ``reused``: its number is another process's now; ``elsewhere``: it is
    on another host; ``before``: it ran before this machine started anew; ``contained``: in a container that has this
    machine's name. On Windows a dead one is a file that no process has open."""

    kind: Literal["alive", "dead", "reused", "elsewhere", "before", "contained"]
    name: str = ".standalone-python.lock"


@dataclass(frozen=True, slots=True)
class Running:
    """A process that maps a file of a build and so runs from it, as one that has loaded an extension module does."""

    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The record of a full check of a build; ``line``: what stands there instead."""

    what: str
    damage: str = ""
    line: str = ""


Thing = Running | File | Program | Folder | Link | Built | Gone | Lock | Checked

NL = "\n"

# What the agent is told to do


@dataclass(frozen=True, slots=True)
class Get:
    """A build comes. ``spoiled``: its archive has another checksum than it should, or is cut off, or has no interpreter."""

    what: str
    spoiled: Literal["", "checksum", "cut", "empty", "start", "reports"] = ""
    need_kb: int = 1
    inodes: int = 1


@dataclass(frozen=True, slots=True)
class SetTo:
    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Unset:
    path: str


@dataclass(frozen=True, slots=True)
class Drop:
    """``unless_used``: the build stays if a process runs from it."""

    what: str
    unless_used: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """The history is written, where a plan writes it: before the first link that is turned, or the first build that goes.

    :ivar over: what the plan saw in it; None if it does not matter
    """

    names: tuple[str, ...]
    over: tuple[str, ...] | None = None


Step = Get | SetTo | Unset | Drop | Record


@dataclass(frozen=True, slots=True)
class Case:
    """
    :ivar settings: of the declaration, where not the defaults; root and bin_dir are below the disk, or begin with ~/
    :ivar steps: None for an observation
    :ivar sees: parts of the observation (of the one before the end, where steps are carried out)
    :ivar fails: the code of the failure, and a text in what the user is told
    :ivar after: the disk, apart from what it was before (None for what is gone); a failure leaves it as it was
    :ivar between: what somebody else changes after the host was looked at
    :ivar outdated: the plan is not carried out, as the host has something else than what was seen
    :ivar posix: it is about names or links that Windows doesn't have
    """

    name: str
    before: tuple[Thing, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[Step, ...] | None = None
    sees: Mapping[str, object] = field(default_factory=dict)
    fails: tuple[str, str] = ("", "")
    after: Mapping[str, str | None] = field(default_factory=dict)
    user: Literal["", "other"] = ""
    umask: int | None = None
    between: tuple[Thing, ...] = ()
    outdated: bool = False
    posix: bool = False

    @property
    def everywhere(self) -> bool:
        """Whether Windows has what the case is about."""
        locks = any(isinstance(thing, Lock) and thing.kind != "dead" for thing in self.before)
        return not (self.posix or self.user or self.umask or locks or "mode" in self.settings)


ONE = "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped"
NEWER = "cpython-3.13.2+20250317-x86_64-unknown-linux-gnu-install_only_stripped"
OTHER = "cpython-3.12.8+20250115-x86_64-unknown-linux-gnu-install_only_stripped"
STABLE, PYTHON = "{root}/cpython-3.13", "{bin}/python3.13"
TO_PYTHON = "{root}/cpython-3.13/bin/python3.13"
FINISHED = (Built("3.13.1"), Link(STABLE, ONE), Link(PYTHON, TO_PYTHON))
INSTALL = (Get("3.13.1"), SetTo(STABLE, ONE), SetTo(PYTHON, TO_PYTHON))
INSTALLED: Mapping[str, str | None] = {
    "{root}": "folder",
    f"{{root}}/{ONE}": "build 3.13.1",
    "{bin}": "folder",
    STABLE: f"-> {ONE}",
    PYTHON: f"-> {TO_PYTHON}",
}
UPGRADE = (Get("3.13.2+20250317"), SetTo(STABLE, NEWER), SetTo(PYTHON, TO_PYTHON), Drop("3.13.1"))
UPGRADED: Mapping[str, str | None] = {
    f"{{root}}/{ONE}": None,
    f"{{root}}/{NEWER}": "build 3.13.2+20250317",
    STABLE: f"-> {NEWER}",
}
# A receipt of a build that users may install packages into, with what came with it.
OPEN = "(externally_managed: false, bundled: pip-25.0.dist-info setuptools-1.dist-info)"
INSTALLED_PACKAGES = (
    *("pip-25.0.dist-info", "pip", "mine", "mine-1.0.dist-info", "its-1 $HOME.dist-info", "old.egg-info", "setuptools"),
    *("notes.dist-information", ".dist-info.txt"),
)
ODD_ROOTS = {
    "spaces": "opt/py thon  s",
    "quotes": """opt/it's a "root\"""",
    "dollar": "opt/$HOME`id`$(id)",
    "glob": "opt/[a-z]*?{a,b}",
    "backslash": "opt/back\\slash\\n",
    "unicode": "opt/Pythön-蛇-🐍",
    "dash": "-rf/--help",
    "equals": "opt/a=b;c&d#f!",
    "pipe": "opt/a|b",
    "tilde within": "opt/~/python",
}
# What isn't ours under the names of ours.
OBSTACLES: tuple[File | Folder | Link, ...] = (
    File("{root}/.standalone-python.staging", "mine"),
    Folder("{root}/.standalone-python-link/mine"),
    Folder("{bin}/.standalone-python-link/mine"),
)
POSIX_OBSTACLES: tuple[File | Folder | Link, ...] = (
    Link("{root}/.standalone-python.staging", "{disk}/elsewhere"),
    Link("{root}/.standalone-python.staging", "{disk}"),
    File("{root}/.standalone-python-link", "mine"),
    File("{bin}/.standalone-python-link", "mine"),
)


def obstacle_of(thing: File | Folder | Link) -> str:
    return thing.path.removesuffix("/mine")


# What isn't ours under the names that ours had before.
OTHERS: tuple[File | Folder | Link, ...] = (
    File("{root}/.lock"),
    File("{root}/.lock", "mine"),
    File("{root}/.lock/mine"),
    Link("{root}/.lock", "../../elsewhere"),
    File("{root}/.staging", "mine"),
    Folder("{root}/.staging"),
    File("{root}/.staging/mine"),
    File("{root}/.staging/.mine"),
    File("{root}/.staging/cpython-3.13.1"),
    Link("{root}/.staging", "{disk}"),
    File("{root}/.staging.1/mine"),
    File("{root}/.lock-broken-1/mine"),
)
NO_LOCKS = (
    "../../fifo:1:b:h",
    "1/../../fifo:1:b:h",
    "-1:1:b:h",
    "0:1:b:h",
    "01:1:b:h",
    "\u00b2:1:b:h",
    "1\n2:1:b:h",
    "9" * 2000 + ":1:b:h",
    "1:../fifo:b:h",
    "1:" + "9" * 2000 + ":b:h",
    ":1:b:h",
    "1:1:b:",
    "1:1:b",
    "1",
)
_MINE = File(f"{{root}}/{ONE}/mine")
_ANEW = Built("3.13.1", "(later)")
# What somebody else changes between the look at a host and the change, by the step that would meet it.
CHANGED: tuple[tuple[str, tuple[Step, ...], tuple[Thing, ...]], ...] = (
    ("a link to set became a file", UPGRADE, (Gone(PYTHON), File(PYTHON, "mine"))),
    ("a link to set became a folder", UPGRADE, (Gone(PYTHON), Folder(PYTHON))),
    ("a link to set leads elsewhere", UPGRADE, (Gone(STABLE), Built("3.12.8"), Link(STABLE, OTHER))),
    ("a link to set is gone", (Get("3.13.2+20250317"), SetTo(STABLE, NEWER)), (Gone(STABLE),)),
    ("a file came where a link goes", (SetTo("{bin}/python3", TO_PYTHON),), (File("{bin}/python3", "mine"),)),
    ("a folder came where a link goes", (SetTo("{bin}/python3", TO_PYTHON),), (Folder("{bin}/python3"),)),
    ("a link came where a link goes", (SetTo("{bin}/python3", TO_PYTHON),), (Link("{bin}/python3", TO_PYTHON),)),
    ("a link to remove became a file", (Unset(PYTHON),), (Gone(PYTHON), File(PYTHON, "mine"))),
    ("a link to remove became a folder", (Unset(PYTHON),), (Gone(PYTHON), Folder(PYTHON))),
    ("a link to remove leads elsewhere", (Unset(STABLE),), (Gone(STABLE), Built("3.12.8"), Link(STABLE, OTHER))),
    ("a link to remove is gone", (Unset(PYTHON),), (Gone(PYTHON),)),
    ("a build to remove became somebody's folder", (Drop("3.13.1"),), (Gone(f"{{root}}/{ONE}"), _MINE)),
    ("a build to remove became a file", (Drop("3.13.1"),), (Gone(f"{{root}}/{ONE}"), File(f"{{root}}/{ONE}"))),
    ("a build to remove was installed anew", (Drop("3.13.1"),), (Gone(f"{{root}}/{ONE}"), _ANEW)),
    ("a build to remove is gone", (Drop("3.13.1"),), (Gone(f"{{root}}/{ONE}"),)),
    ("a build to replace became somebody's folder", INSTALL, (Gone(f"{{root}}/{ONE}"), _MINE)),
    ("a build to replace was installed anew", INSTALL, (Gone(f"{{root}}/{ONE}"), _ANEW)),
    ("a build to replace lost its receipt", INSTALL, (Gone(f"{{root}}/{ONE}/.standalone-python/receipt.json"),)),
    ("a build to replace is gone", INSTALL, (Gone(f"{{root}}/{ONE}"),)),
    ("a build came where one goes", UPGRADE, (Built("3.13.2+20250317"),)),
    ("a folder came where a build goes", UPGRADE, (File(f"{{root}}/{NEWER}/mine"),)),
    ("the last of several steps", UPGRADE, (Gone(f"{{root}}/{ONE}"), _MINE)),
)
CHANGED_WITH_FORCE: tuple[tuple[str, tuple[Thing, ...], tuple[Step, ...], tuple[Thing, ...]], ...] = (
    ("a file came", (), (SetTo("{bin}/python3", TO_PYTHON),), (File("{bin}/python3", "mine"),)),
    (
        "a file became a folder",
        (File("{bin}/python3"),),
        (SetTo("{bin}/python3", TO_PYTHON),),
        (Gone("{bin}/python3"), Folder("{bin}/python3")),
    ),
    (
        "a foreign build's place is ours",
        (File(f"{{root}}/{NEWER}/mine"),),
        UPGRADE,
        (Gone(f"{{root}}/{NEWER}"), Built("3.13.2+20250317")),
    ),
)
# As image-based systems have them (ostree, bootc): what they name comes with the first start, or never.
DANGLING_LINKS: Mapping[str, tuple[Thing, ...]] = {
    "relative": (Link("{disk}/opt", "var/opt"), Link("{disk}/usr/local", "../var/usrlocal")),
    "absolute": (Link("{disk}/opt", "{disk}/var/opt"), Link("{disk}/usr/local", "{disk}/var/usrlocal")),
    "one after the other": (
        *(Link("{disk}/opt", "a/opt"), Link("{disk}/a", "{disk}/b/c/"), Link("{disk}/b", "var/b")),
        Link("{disk}/usr/local", "/{disk}/a/local"),
    ),
    "the very last part": (*(Link("{root}", "../srv/python"), Link("{disk}/usr/local/bin", "{disk}/opt/python/links")),),
    "an odd name": (Link("{disk}/opt", "it's -> $HOME *\\n"), Link("{disk}/usr/local", "../-p -> x")),
}
MADE_BEHIND_LINKS: Mapping[str, tuple[str, str]] = {
    "relative": ("var/opt/python", "var/usrlocal/bin"),
    "absolute": ("var/opt/python", "var/usrlocal/bin"),
    "one after the other": ("var/b/c/opt/python", "var/b/c/local/bin"),
    "the very last part": ("srv/python", "srv/python/links"),
    "an odd name": ("it's -> $HOME *\\n/python", "-p -> x/bin"),
}


def barred(top: str) -> dict[str, tuple[Thing, ...]]:
    """What can be in the place of a folder on the way, and neither is one nor leads to one that can be made."""
    at = f"{{disk}}/{top}"
    return {
        "a file": (File(at),),
        "a link to a file": (File("{disk}/file"), Link(at, "file")),
        "a link below a file": (File("{disk}/file"), Link(at, "{disk}/file/opt")),
        "a link in a circle": (Link(at, "other"), Link("{disk}/other", top)),
        "a link that gets longer": (Link(at, f"{top}/{top}"),),
    }


CHECKS = "{root}/.standalone-python.checked"
DAMAGE = "its files differ from what was installed: lib/a.py"
# A record that says nothing. A quick look goes by what it sees itself.
NO_RECORDS = {
    "empty": "\n",
    "another installation": f"2026-11-20T08:00:00Z 2026-01-01T00:00:00Z/{'0' * 64} {DAMAGE}\n",
    "a line that was cut off": "2026-11-20T08:00:00Z 2026-\n",
    "not a record": "\x1b]0;title\x07 start=1\nbuild=x\n",
}
NEVER_ON_WINDOWS = ("quotes", "glob", "backslash", "pipe")


HISTORY = "{root}/.standalone-python.history"


def _builds(**faults: str) -> dict[str, str]:
    return {name.replace("_", "."): fault for name, fault in faults.items()}


OBSERVING: tuple[Case, ...] = (
    Case("a history", (*FINISHED, File(HISTORY, f"{OTHER}\n{NEWER}\n")), sees={"history": ("present", OTHER, NEWER)}),
    Case(
        "a history without an end", (File(HISTORY, f"{OTHER}\n\n it's *"),), sees={"history": ("present", OTHER, "", " it's *")}
    ),
    Case("no history", FINISHED, sees={"history": ("absent",)}),
    Case("a history that is a folder", (Folder(HISTORY),), sees={"history": ("unreadable",)}),
    Case(
        "a history that is a link",
        (File("{disk}/file", ONE), Link(HISTORY, "{disk}/file")),
        sees={"history": ("unreadable",)},
        posix=True,
    ),
    Case("a history that others can change", (File(HISTORY, ONE, 0o666),), sees={"history": ("untrusted",)}, posix=True),
    Case(
        "a build, its links and a history nobody asks for",
        (*FINISHED, File(HISTORY, f"{OTHER}\n")),
        sees={"builds": {"3.13.1": ""}, "leftovers": (), "obstacles": ()},
    ),
    Case("nothing there", sees={"root_state": "absent", "bin_dir_state": "absent", "builds": {}, "links": {}}),
    Case("an empty root", (Folder("{root}"),), sees={"root_state": "writable", "builds": {}}),
    Case("the root is a file", (File("{root}"),), sees={"root_state": "notfolder"}),
    Case(
        "the root is a link to a folder", (Folder("{disk}/real"), Link("{root}", "{disk}/real")), sees={"root_state": "writable"}
    ),
    # .NET Framework can't read where a junction leads.
    Case("the root is a link to nothing", (Link("{root}", "nowhere"),), sees={"root_state": "absent"}, posix=True),
    Case("the root is a link to itself", (Link("{root}", "python"),), sees={"root_state": "notfolder"}, posix=True),
    *(
        Case(
            f"links on the way to what isn't there yet: {what}",
            links,
            {"bin_dir": "usr/local/bin"},
            sees={"root_state": "absent", "bin_dir_state": "absent", "root_obstacle": "", "bin_dir_obstacle": ""},
            posix=True,
        )
        for what, links in DANGLING_LINKS.items()
    ),
    Case(
        "a link on the way into a folder of others",
        (Folder("{disk}/var"), Link("{disk}/opt", "var/lib/opt")),
        user="other",
        sees={"root_state": "unwritable", "root_obstacle": ""},
    ),
    *(
        Case(
            f"no folder on the way: {what}",
            (*things, Link("{disk}/usr", "opt")),
            {"bin_dir": "usr/bin"},
            sees={
                "root_state": "unwritable",
                "root_obstacle": "{disk}/opt",
                "bin_dir_state": "unwritable",
                "bin_dir_obstacle": "{disk}/usr",
            },
            posix=True,
        )
        for what, things in barred("opt").items()
    ),
    Case("the root can't be read", (Folder("{root}", 0o711),), user="other", sees={"root_state": "unreadable"}),
    Case("the root can't be written", (Folder("{root}"),), user="other", sees={"root_state": "unwritable"}),
    Case("the root can't be made", user="other", sees={"root_state": "unwritable", "bin_dir_state": "unwritable"}),
    Case(
        "the root would be below a file",
        (File("{disk}/opt"),),
        sees={"root_state": "unwritable", "root_obstacle": "{disk}/opt", "bin_dir_obstacle": ""},
    ),
    Case("the home stands for ~", FINISHED, {"root": "~/opt/python", "bin_dir": "~/bin"}, sees={"builds": {"3.13.1": ""}}),
    Case(
        "the home has a slash at its end",
        FINISHED,
        {"root": "~/opt/python", "HOME": "{disk}/"},
        sees={"root": "{disk}/opt/python", "builds": {"3.13.1": ""}},
    ),
    Case(
        "a build and its links",
        FINISHED,
        sees={"builds": {"3.13.1": ""}, "links": {STABLE: ONE, PYTHON: TO_PYTHON}, "occupied": (), "leftovers": ()},
    ),
    Case("every file is as it was", FINISHED, {"verify": "full"}, sees={"builds": {"3.13.1": ""}}),
    Case(
        "two builds",
        (*FINISHED, Built("3.12.8")),
        sees={"builds": {"3.13.1": "", "3.12.8": ""}},
    ),
    Case(
        "a folder of that name without a receipt's folder",
        (Folder(f"{{root}}/{ONE}/bin"), File("{root}/cpython-notes.txt")),
        sees={"builds": {}, "occupied": (f"{{root}}/{ONE}/", "{root}/cpython-notes.txt")},
    ),
    Case(
        "a folder with a receipt's folder and no build's name",
        (Folder("{root}/cpython-mine/.standalone-python"),),
        sees={"builds": {}, "occupied": ("{root}/cpython-mine/",)},
    ),
    Case(
        "foreign things where links go",
        (File("{bin}/python3"), Folder("{bin}/python"), Link("{bin}/python3.13", "/usr/bin/python3"), File("{bin}/pip")),
        sees={"occupied": ("{bin}/python/", "{bin}/python3"), "links": {PYTHON: "/usr/bin/python3"}},
    ),
    Case(
        "links to nothing, to themselves, with spaces and arrows",
        (Link("{bin}/python3", "no where"), Link("{bin}/python", "python"), Link("{bin}/python3.13", "a -> b")),
        sees={"links": {"{bin}/python3": "no where", "{bin}/python": "python", PYTHON: "a -> b"}},
        posix=True,
    ),
    Case("no receipt", (Built("3.13.1", receipt=None),), sees={"builds": {"3.13.1": "receipt is missing"}}),
    Case("an empty receipt", (Built("3.13.1", "\n"),), sees={"builds": {"3.13.1": "receipt is missing"}}),
    Case("half a receipt", (Built("3.13.1", '{\n "version": "3.13'),), sees={"builds": {"3.13.1": "receipt is missing"}}),
    Case(
        "a receipt that looks like an agent's answer",
        (
            Built("3.13.1", "== standalone-python observation end ==\nbuild=x\nlock=y\n== standalone-python observation 1 =="),
            Built("3.12.8"),
        ),
        sees={"builds": {"3.13.1": "receipt is missing", "3.12.8": ""}},
    ),
    Case("a receipt in one line without an end", (Built("3.13.1", "(one line)"),), sees={"builds": {"3.13.1": ""}}),
    Case(
        "another build's receipt",
        (Built("3.12.8"), Built("3.12.8", path=f"{{root}}/{ONE}")),
        sees={"builds": {"3.12.8": "", "3.13.1": "receipt is missing"}},
    ),
    Case(
        "a receipt says where the build lies",
        (Built("3.13.1", prefix=f"{{root}}/{ONE}"),),
        sees={"builds": {"3.13.1": ""}},
    ),
    Case(
        "a build that was moved or copied",
        (Built("3.13.1", prefix=f"{{disk}}/old/{ONE}"),),
        sees={"builds": {"3.13.1": "it was installed as .*old.* and lies in .*: it was moved or copied$"}},
    ),
    Case(
        "a build that was copied, and the other one is still there",
        (Built("3.13.1", prefix=f"{{disk}}/old/{ONE}"), Built("3.13.1", path=f"{{disk}}/old/{ONE}")),
        sees={"builds": {"3.13.1": "it was moved or copied$"}},
    ),
    Case(
        "a root that is reached by a link",
        (Built("3.13.1", prefix=f"{{disk}}/alias/{ONE}"), Link("{disk}/alias", "{root}")),
        sees={"builds": {"3.13.1": ""}},
        posix=True,
    ),
    Case(
        "the interpreter is gone",
        (*FINISHED, Gone(f"{{root}}/{ONE}/bin/python3.13")),
        sees={"builds": {"3.13.1": "executable is missing"}},
    ),
    Case(
        "the interpreter can't be executed",
        (*FINISHED, File(f"{{root}}/{ONE}/bin/python3.13", "#!/bin/sh\n")),
        sees={"builds": {"3.13.1": "executable is missing|does not start"}},
    ),
    Case(
        "the interpreter does not start",
        (
            *FINISHED,
            Program(f"{{root}}/{ONE}/bin/python3.13", errors="libaz.so: no such\n\n== end ==", code=127),
        ),
        sees={"builds": {"3.13.1": "does not start: libaz.so: no such +== end =="}},
    ),
    Case(
        "the interpreter says that it is another",
        (*FINISHED, Program(f"{{root}}/{ONE}/bin/python3.13", "Python 3.13.0\n")),
        sees={"builds": {"3.13.1": "it says that it is 'Python 3.13.0'"}},
    ),
    Case(
        "a module is gone",
        (*FINISHED, Gone(f"{{root}}/{ONE}/lib/python3.13/os.py")),
        sees={"builds": {"3.13.1": "1 of 5 "}},
    ),
    Case(
        "the only extension module is gone",
        (*FINISHED, Gone(f"{{root}}/{ONE}/lib/python3.13/lib-dynload/_json.so")),
        sees={"builds": {"3.13.1": "1 of 5 "}},
    ),
    Case(
        "the standard library is gone",
        (*FINISHED, Gone(f"{{root}}/{ONE}/lib")),
        sees={"builds": {"3.13.1": "[45] of 5 "}},
    ),
    Case(
        "bytecode makes no module more",
        (
            *FINISHED,
            File(f"{{root}}/{ONE}/lib/python3.13/__pycache__/os.pyc"),
            Gone(f"{{root}}/{ONE}/lib/python3.13/os.py"),
        ),
        sees={"builds": {"3.13.1": "1 of 5 "}},
    ),
    Case(
        "a quick look opens no file",
        (*FINISHED, File(f"{{root}}/{ONE}/lib/python3.13/os.py", "raise SystemExit")),
        sees={"builds": {"3.13.1": ""}},
    ),
    Case(
        "a changed file is found",
        (*FINISHED, File(f"{{root}}/{ONE}/lib/python3.13/os.py", "raise SystemExit")),
        {"verify": "full"},
        sees={"builds": {"3.13.1": "files differ .*: lib/python3.13/os.py$"}},
    ),
    Case(
        "a file with an odd name is gone",
        (*FINISHED, Gone(f'{{root}}/{ONE}/share/it\'s "odd" $HOME.txt')),
        {"verify": "full"},
        sees={"builds": {"3.13.1": 'files differ .*: share/it\'s "odd" \\$HOME.txt$'}},
    ),
    Case(
        "a link leads elsewhere",
        (*FINISHED, Link(f"{{root}}/{ONE}/bin/python", "../lib/python3.13/os.py")),
        {"verify": "full"},
        sees={"builds": {"3.13.1": "files differ .*: bin/python$"}},
        posix=True,
    ),
    Case(
        "files that were added are reported and are no fault",
        (
            *FINISHED,
            File(f"{{root}}/{ONE}/lib/python3.13/sitecustomize.py"),
            File(f"{{root}}/{ONE}/lib/python3.13/site-packages/mine.py"),
        ),
        {"verify": "full"},
        sees={"builds": {"3.13.1": ""}, "extra": ("lib/python3.13/sitecustomize.py",)},
    ),
    Case(
        "packages that came with the build and others, where users may install some",
        (
            Built("3.13.1", OPEN),
            *(Folder(f"{{root}}/{ONE}/lib/python3.13/site-packages/{name}") for name in INSTALLED_PACKAGES),
        ),
        sees={"builds": {"3.13.1": ""}, "packages": (3,)},
    ),
    Case("no packages, where users may install some", (Built("3.13.1", OPEN),), sees={"packages": (0,)}),
    Case(
        "packages of a build whose receipt doesn't say which came with it",
        (
            Built("3.13.1", OPEN.replace("bundled", "other")),
            Folder(f"{{root}}/{ONE}/lib/python3.13/site-packages/mine-1.dist-info"),
        ),
        sees={"packages": (1,)},
    ),
    Case(
        "packages where nobody may install any are not counted",
        (Built("3.13.1"), Folder(f"{{root}}/{ONE}/lib/python3.13/site-packages/mine-1.dist-info")),
        sees={"packages": (0,)},
    ),
    Case(
        "a changed package that came with the build, where users may install some",
        (
            *(Built("3.13.1", OPEN), File(f"{{root}}/{ONE}/lib/python3.13/site-packages/README.txt", "changed")),
            File(f"{{root}}/{ONE}/bin/greet"),
        ),
        {"verify": "full"},
        sees={"builds": {"3.13.1": ""}, "extra": ()},
    ),
    Case(
        "a removed package that came with the build, where users may install some",
        (Built("3.13.1", OPEN), Gone(f"{{root}}/{ONE}/lib/python3.13/site-packages/README.txt")),
        {"verify": "full"},
        sees={"builds": {"3.13.1": ""}},
    ),
    Case(
        "a changed package that came with the build, where nobody may install any",
        (Built("3.13.1"), File(f"{{root}}/{ONE}/lib/python3.13/site-packages/README.txt", "changed")),
        {"verify": "full"},
        sees={"builds": {"3.13.1": "files differ .*: lib/python3.13/site-packages/README.txt$"}},
    ),
    Case(
        "a changed file beside the packages, where users may install some",
        (Built("3.13.1", OPEN), File(f"{{root}}/{ONE}/lib/python3.13/os.py", "changed")),
        {"verify": "full"},
        sees={"builds": {"3.13.1": "files differ .*: lib/python3.13/os.py$"}},
    ),
    Case(
        "the list of files was changed",
        (*FINISHED, File(f"{{root}}/{ONE}/.standalone-python/files.sha256")),
        {"verify": "full"},
        sees={"builds": {"3.13.1": "list of files|files differ"}},
    ),
    Case(
        "the list of files is gone",
        (*FINISHED, Gone(f"{{root}}/{ONE}/.standalone-python/files.sha256")),
        {"verify": "full"},
        sees={"builds": {"3.13.1": "files differ .*: .standalone-python/files.sha256"}},
    ),
    Case(
        "what a killed run left",
        (
            Folder("{root}/.standalone-python.staging/x/python"),
            Link("{root}/.standalone-python-link", "x"),
            Link("{bin}/.standalone-python-link", "x"),
            Folder("{root}/.standalone-python.lock-broken-1_2"),
        ),
        sees={
            "leftovers": (
                "{root}/.standalone-python.staging",
                "{root}/.standalone-python-link",
                "{bin}/.standalone-python-link",
                "{root}/.standalone-python.lock-broken-1_2",
            )
        },
    ),
    Case(
        "what an older version left when it was killed",
        (
            Folder("{root}/.staging/cpython-3.13.1/python"),
            File("{root}/.staging/finish.py"),
            Folder("{root}/.lock-broken-1_2"),
            Lock("dead", ".lock"),
        ),
        sees={"leftovers": ("{root}/.lock", "{root}/.lock-broken-1_2", "{root}/.staging"), "lock": "", "obstacles": ()},
        posix=True,
    ),
    Case("an older version holds the lock", (Folder("{root}"), Lock("alive", ".lock")), sees={"lock_state": "alive"}, posix=True),
    *(
        Case(
            f"others have the names of older versions: {thing}",
            (*FINISHED, thing),
            sees={"leftovers": (), "obstacles": (), "lock": ""},
            posix=isinstance(thing, Link),
        )
        for thing in OTHERS
    ),
    *(
        Case(
            f"something else has the name of what a run makes: {thing}",
            (*FINISHED, thing),
            sees={"obstacles": (obstacle_of(thing),), "leftovers": ()},
            posix=thing in POSIX_OBSTACLES,
        )
        for thing in (*OBSTACLES, *POSIX_OBSTACLES)
    ),
    *(
        Case(
            f"the text of a lock is no lock's: {text[:30]!r}",
            (Folder("{root}"), Link("{root}/.standalone-python.lock", text)),
            sees={"obstacles": ("{root}/.standalone-python.lock",), "lock": "", "leftovers": ()},
            posix=True,
        )
        for text in NO_LOCKS
    ),
    Case("somebody holds the lock", (Folder("{root}"), Lock("alive")), sees={"lock_state": "alive"}),
    Case("a lock's holder is dead", (Folder("{root}"), Lock("dead")), sees={"lock_state": "dead"}),
    Case("a lock's holder is dead, its number used again", (Folder("{root}"), Lock("reused")), sees={"lock_state": "dead"}),
    Case("a lock from before the last start", (Folder("{root}"), Lock("before")), sees={"lock_state": "dead"}),
    Case("a lock of another host", (Folder("{root}"), Lock("elsewhere")), sees={"lock_state": "elsewhere"}),
    Case("a lock of a container", (Folder("{root}"), Lock("contained")), sees={"lock_state": "elsewhere"}),
    Case(
        "another user holds the lock",
        (Folder("{root}"), Lock("alive")),
        user="other",
        sees={"lock_state": "alive"},
    ),
    *(
        Case(
            f"an odd root: {name}",
            FINISHED,
            {"root": root, "verify": "full"},
            sees={"builds": {"3.13.1": ""}, "links": {STABLE: ONE, PYTHON: TO_PYTHON}},
            posix=name in NEVER_ON_WINDOWS,
        )
        for name, root in ODD_ROOTS.items()
    ),
    Case(
        "a quick look knows what a full check found",
        (*FINISHED, Checked("3.13.1", DAMAGE)),
        sees={"builds": {"3.13.1": r"lib/a\.py \(found by the full check of 2026-11-20\)"}},
    ),
    Case(
        "a quick look knows that a full check found nothing",
        (*FINISHED, Checked("3.13.1")),
        sees={"builds": {"3.13.1": ""}, "checked": ("2026-11-20T08:00:00Z",)},
    ),
    Case(
        "a full check goes by the files and not by the record",
        (*FINISHED, Checked("3.13.1", DAMAGE)),
        {"verify": "full"},
        sees={"builds": {"3.13.1": ""}},
    ),
    *(
        Case(
            f"a record that says nothing: {name}",
            (*FINISHED, Checked("3.13.1", line=line)),
            sees={"builds": {"3.13.1": ""}, "checked": ("",)},
        )
        for name, line in NO_RECORDS.items()
    ),
    Case("a folder has the name of a record", (*FINISHED, Folder(f"{CHECKS}/{ONE}")), sees={"builds": {"3.13.1": ""}}),
    Case(
        "an odd folder for links",
        FINISHED,
        {"bin_dir": "opt/py thon/$b'i\"n"},
        sees={"builds": {"3.13.1": ""}, "links": {STABLE: ONE, PYTHON: TO_PYTHON}},
        posix=True,
    ),
    Case(
        "names with newlines concern nobody",
        (*FINISHED, Link("{bin}/python\nlock=x", "y"), Folder("{root}/cpython-\n== standalone-python observation end ==")),
        sees={"builds": {"3.13.1": ""}, "links": {STABLE: ONE, PYTHON: TO_PYTHON}, "lock_state": "", "occupied": ()},
        posix=True,
    ),
)

APPLYING: tuple[Case, ...] = (
    Case("install", steps=INSTALL, sees={"builds": {"3.13.1": ""}}, after={"{disk}/opt": "folder", **INSTALLED}),
    Case(
        "install below the home",
        settings={"root": "~/opt/python", "bin_dir": "~/bin"},
        steps=INSTALL,
        after={"{disk}/opt": "folder", **INSTALLED},
    ),
    Case("umask 077", steps=INSTALL, umask=0o077, after={"{disk}/opt": "folder", **INSTALLED}),
    Case("umask 002", steps=INSTALL, umask=0o002, after={"{disk}/opt": "folder", **INSTALLED}),
    Case(
        "the root's mode",
        settings={"mode": "0750"},
        steps=(Get("3.13.1"),),
        after={"{disk}/opt": "folder", "{root}": "folder 750", f"{{root}}/{ONE}": "build 3.13.1 (mode 0750)"},
    ),
    Case(
        "the root is there and keeps its mode",
        (Folder("{root}", 0o711),),
        settings={"mode": "0750"},
        steps=(Get("3.13.1"),),
        after={f"{{root}}/{ONE}": "build 3.13.1 (mode 0750)"},
    ),
    Case(
        "how it is finished",
        settings={"externally_managed": False, "compile_bytecode": True, "patch_sysconfig": False},
        steps=(Get("3.13.1"),),
        after={
            "{disk}/opt": "folder",
            "{root}": "folder",
            f"{{root}}/{ONE}": "build 3.13.1 (compile_bytecode True, externally_managed False, patch_sysconfig False)",
        },
    ),
    *(
        Case(
            f"install into an odd root: {name}",
            settings={"root": root},
            steps=INSTALL,
            sees={"builds": {"3.13.1": ""}},
            after={"(parents)": "folder", **INSTALLED},
            posix=name in (*NEVER_ON_WINDOWS, "unicode"),
        )
        for name, root in ODD_ROOTS.items()
    ),
    Case(
        "upgrade in a root with letters that aren't ASCII",
        FINISHED,
        {"root": ODD_ROOTS["unicode"]},
        steps=UPGRADE,
        sees={"builds": {"3.13.2": ""}},
        after=UPGRADED,
        posix=True,  # such a launcher can't be outside of the root
    ),
    Case("upgrade", FINISHED, steps=UPGRADE, sees={"builds": {"3.13.2": ""}}, after=UPGRADED),
    Case(
        "a link is turned, and the history says where it led",
        (*FINISHED, Built("3.13.2+20250317")),
        steps=(SetTo(STABLE, NEWER), Record((ONE,), ())),
        after={STABLE: f"-> {NEWER}", HISTORY: f"file {f'{ONE}{NL}'!r}"},
    ),
    Case(
        "a history is replaced",
        (*FINISHED, Built("3.13.2+20250317"), File(HISTORY, f"{OTHER}\n")),
        steps=(SetTo(STABLE, NEWER), Record((OTHER, ONE), (OTHER,))),
        after={STABLE: f"-> {NEWER}", HISTORY: f"file {f'{OTHER}{NL}{ONE}{NL}'!r}"},
    ),
    Case(
        "a history that can't be used is replaced",
        (*FINISHED, Built("3.13.2+20250317"), File("{disk}/file", "mine"), Link(HISTORY, "{disk}/file")),
        steps=(SetTo(STABLE, NEWER), Record((ONE,))),
        after={STABLE: f"-> {NEWER}", HISTORY: f"file {f'{ONE}{NL}'!r}"},
        posix=True,
    ),
    Case(
        "a history that another run wrote meanwhile",
        (*FINISHED, Built("3.13.2+20250317"), File(HISTORY, f"{OTHER}\n")),
        steps=(SetTo(STABLE, NEWER), Record((OTHER, ONE), (OTHER,))),
        between=(File(HISTORY, f"{OTHER}\n{OTHER}\n"),),
        outdated=True,
    ),
    Case(
        "a history that another run made meanwhile",
        (*FINISHED, Built("3.13.2+20250317")),
        steps=(SetTo(STABLE, NEWER), Record((ONE,), ())),
        between=(File(HISTORY, f"{OTHER}\n"),),
        outdated=True,
    ),
    Case(
        "a folder in the place of the history",
        (*FINISHED, Built("3.13.2+20250317"), File(f"{HISTORY}/mine")),
        steps=(SetTo(STABLE, NEWER), Record((ONE,))),
        fails=("obstacle", ".standalone-python.history is in the way"),
    ),
    Case(
        "the last build goes, and the history with it",
        (*FINISHED, File(HISTORY, f"{OTHER}\n")),
        steps=(Unset(PYTHON), Unset(STABLE), Record(()), Drop("3.13.1")),
        after={PYTHON: None, STABLE: None, HISTORY: None, f"{{root}}/{ONE}": None},
    ),
    Case(
        "two builds at once",
        steps=(Get("3.13.1"), Get("3.12.8"), SetTo(STABLE, ONE)),
        sees={"builds": {"3.13.1": "", "3.12.8": ""}},
        after={
            "{disk}/opt": "folder",
            "{root}": "folder",
            f"{{root}}/{ONE}": "build 3.13.1",
            f"{{root}}/{OTHER}": "build 3.12.8",
            STABLE: f"-> {ONE}",
        },
    ),
    Case(
        "repair: the build is exchanged",
        (*FINISHED, Gone(f"{{root}}/{ONE}/lib")),
        steps=(Get("3.13.1"),),
        sees={"builds": {"3.13.1": ""}},
        after={f"{{root}}/{ONE}": "build 3.13.1"},
    ),
    Case(
        "repair: what a full check found is forgotten",
        (*FINISHED, Checked("3.13.1", DAMAGE)),
        steps=(Get("3.13.1"),),
        sees={"builds": {"3.13.1": ""}, "checked": ("",)},
        after={f"{{root}}/{ONE}": "build 3.13.1", CHECKS: None},
    ),
    Case(
        "removal: what a full check found is forgotten, of that build only",
        (*FINISHED, Built("3.12.8"), Checked("3.13.1", DAMAGE), Checked("3.12.8")),
        steps=(Drop("3.13.1"),),
        sees={"builds": {"3.12.8": ""}, "checked": ("2026-11-20T08:00:00Z",)},
        after={f"{{root}}/{ONE}": None, f"{CHECKS}/{ONE}": None},
    ),
    Case(
        "links only",
        (Built("3.13.1"),),
        steps=INSTALL[1:],
        after={STABLE: f"-> {ONE}", PYTHON: f"-> {TO_PYTHON}", "{bin}": "folder"},
    ),
    Case(
        "a link over a link to a folder",
        (Built("3.13.1"), Built("3.13.2+20250317"), Link(STABLE, ONE)),
        steps=(SetTo(STABLE, NEWER),),
        after={STABLE: f"-> {NEWER}"},
    ),
    Case(
        "absent",
        FINISHED,
        steps=(Unset(PYTHON), Unset(STABLE), Drop("3.13.1")),
        sees={"builds": {}, "links": {}},
        after={PYTHON: None, STABLE: None, f"{{root}}/{ONE}": None},
    ),
    Case(
        "a build in use is held, and its links go",
        (*FINISHED, Built("3.12.8"), Running("3.13.1")),
        steps=(Unset(PYTHON), Unset(STABLE), Drop("3.12.8"), Drop("3.13.1")),
        sees={"held": (f"{{root}}/{ONE}",), "users": {"3.13.1": 1}},
        after={f"{{root}}/{OTHER}": None, PYTHON: None, STABLE: None},
        posix=True,
    ),
    Case(
        "a build in use is held, and the new one is in use for others",
        (*FINISHED, Running("3.13.1"), Running("3.13.1")),
        steps=UPGRADE,
        sees={"held": (f"{{root}}/{ONE}",), "users": {"3.13.1": 2}},
        after={path: what for path, what in UPGRADED.items() if what},
        posix=True,
    ),
    Case(
        "a build in use is removed where that is declared",
        (*FINISHED, Running("3.13.1")),
        steps=(Unset(PYTHON), Unset(STABLE), Drop("3.13.1", unless_used=False)),
        sees={"held": (), "users": {"3.13.1": 1}},
        after={f"{{root}}/{ONE}": None, PYTHON: None, STABLE: None},
        posix=True,
    ),
    *(
        Case(
            f"a build in use in a root with {what}",
            (Built("3.13.1"), Running("3.13.1")),
            {"root": ODD_ROOTS[what]},
            steps=(Drop("3.13.1"),),
            sees={"held": (f"{{root}}/{ONE}",), "users": {"3.13.1": 1}},
            after={},
            posix=True,
        )
        for what in ("spaces", "glob", "backslash", "unicode", "dash")
    ),
    Case("what the run before has removed", FINISHED, steps=(Unset("{bin}/python3"), Drop("3.12.8")), after={}),
    Case(
        "files and links that the plan saw are replaced",
        (File(PYTHON, "mine"), Folder("{root}"), Link("{root}/cpython-3.13", "/usr")),
        steps=INSTALL,
        after=INSTALLED,
    ),
    Case(
        "a foreign folder in a build's place, with force",
        (File(f"{{root}}/{ONE}/mine"),),
        {"force": True},
        steps=INSTALL,
        after={**INSTALLED, f"{{root}}/{ONE}/mine": None},
    ),
    Case("another checksum", FINISHED, steps=(Get("3.13.2+20250317", "checksum"), *UPGRADE[1:]), fails=("checksum", "sha256")),
    Case("another checksum, nothing there", steps=(Get("3.13.1", "checksum"),), fails=("checksum", "sha256")),
    Case("a cut-off archive", FINISHED, steps=(Get("3.13.2+20250317", "cut"),), fails=("unpack", "as it was")),
    Case(
        "an archive without an interpreter", FINISHED, steps=(Get("3.13.2+20250317", "empty"),), fails=("content", "bin/python3")
    ),
    Case(
        "a build that does not start",
        FINISHED,
        steps=(Get("3.13.2+20250317", "start"), *UPGRADE[1:]),
        fails=("start", "GLIBC_2.99' not found"),
    ),
    Case(
        "what the finisher reports",
        FINISHED,
        steps=(Get("3.13.2+20250317", "reports"),),
        fails=("module", "import ssl"),
    ),
    Case(
        "the second of two builds fails",
        steps=(Get("3.13.1"), Get("3.12.8", "checksum")),
        fails=("checksum", "as it was"),
    ),
    Case("too little space", FINISHED, steps=(Get("3.13.2+20250317", need_kb=1 << 50),), fails=("space", "make room")),
    Case(
        "too few inodes",
        FINISHED,
        steps=(Get("3.13.2+20250317", inodes=1 << 50),),
        fails=("inodes", f"inodes and {1 << 50} are needed: remove files"),
        posix=True,
    ),
    *(
        Case(
            f"no such {kind}{where}",
            before,
            {option: "nixda"},
            steps,
            fails=("account", f"the {kind} nixda does not exist on this host: create it"),
            posix=True,
        )
        for option, kind in (("owner", "user"), ("group", "group"))
        for where, before, steps in (("", FINISHED, UPGRADE), (", and no root", (), INSTALL))
    ),
    Case(
        "files can't be given away",
        (Folder("{root}", other=True),),
        {"owner": "root"},
        INSTALL,
        fails=("permission", "not permitted"),
        user="other",
    ),
    Case("the root is a file", (File("{root}"),), steps=INSTALL, fails=("unwritable", "as it was")),
    *(
        Case(
            f"links on the way to what isn't there yet: {what}",
            links,
            {"bin_dir": "usr/local/bin"},
            steps=INSTALL,
            sees={"builds": {"3.13.1": ""}, "links": {STABLE: ONE, PYTHON: TO_PYTHON}},
            after={
                "(parents of)": "\n".join(MADE_BEHIND_LINKS[what]),
                f"{{disk}}/{MADE_BEHIND_LINKS[what][0]}/{ONE}": "build 3.13.1",
                f"{{disk}}/{MADE_BEHIND_LINKS[what][0]}/cpython-3.13": f"-> {ONE}",
                f"{{disk}}/{MADE_BEHIND_LINKS[what][1]}/python3.13": f"-> {TO_PYTHON}",
            },
            posix=True,
        )
        for what, links in DANGLING_LINKS.items()
    ),
    Case(
        "links on the way to what isn't there yet, and the archive is spoiled",
        DANGLING_LINKS["one after the other"],
        {"bin_dir": "usr/local/bin"},
        steps=(Get("3.13.1", "checksum"), *INSTALL[1:]),
        fails=("checksum", "sha256"),
        posix=True,
    ),
    Case(
        "a mode for a root behind a link to what isn't there yet",
        (Link("{disk}/opt", "var/opt"),),
        {"mode": "0750"},
        steps=(Get("3.13.1"),),
        after={
            "(parents of)": "var/opt/python",
            "{disk}/var/opt/python": "folder 750",
            f"{{disk}}/var/opt/python/{ONE}": "build 3.13.1 (mode 0750)",
        },
        posix=True,
    ),
    *(
        Case(f"no folder on the way: {what}", things, steps=INSTALL, fails=("unwritable", "as it was"), posix=True)
        for what, things in barred("opt").items()
    ),
    *(
        Case(
            f"no folder on the way to where links go: {what}",
            (*FINISHED[:1], *things),
            {"bin_dir": "usr/local/bin"},
            steps=INSTALL,
            fails=("unwritable", "as it was"),
            posix=True,
        )
        for what, things in barred("usr").items()
    ),
    Case("not allowed to write", (Folder("{root}"),), steps=INSTALL, user="other", fails=("unwritable", "ermission denied")),
    Case("not allowed to make the root", steps=INSTALL, user="other", fails=("unwritable", "ermission denied")),
    Case(
        "somebody holds the lock",
        (*FINISHED, Lock("alive")),
        {"lock_timeout": 0},
        steps=UPGRADE,
        fails=("locked", "another run holds the lock"),
    ),
    Case(
        "another user holds the lock",
        (Folder("{root}", other=True), Lock("alive")),
        {"lock_timeout": 0},
        steps=INSTALL,
        user="other",
        fails=("locked", "another run holds the lock"),
    ),
    Case(
        "a lock of another host is respected",
        (*FINISHED, Lock("elsewhere")),
        {"lock_timeout": 0},
        steps=UPGRADE,
        fails=("locked", "another run holds the lock"),
    ),
    *(
        Case(
            f"a lock whose holder is no more is broken: {kind}",
            (*FINISHED, Lock(kind)),
            {"lock_timeout": 0},
            steps=UPGRADE,
            sees={"lock_state": "", "cleared": True},
            after={**UPGRADED, "{root}/.standalone-python.lock": None},
        )
        for kind in ("dead", "reused", "before")
    ),
    Case(
        "a folder stands where the lock goes",
        (*FINISHED, File("{root}/.standalone-python.lock/mine")),
        steps=UPGRADE,
        fails=("obstacle", ".standalone-python.lock is in the way"),
    ),
    Case(
        "a file stands where the lock goes",
        (*FINISHED, File("{root}/.standalone-python.lock", "mine")),
        steps=UPGRADE,
        fails=("obstacle", ".standalone-python.lock is in the way"),
    ),
    *(
        Case(
            f"something else has the name of what a run makes: {thing}",
            (*FINISHED, thing),
            steps=UPGRADE,
            fails=("obstacle", f"{obstacle_of(thing).rpartition('}')[2]} is in the way and was not created by standalone-python"),
            posix=thing in POSIX_OBSTACLES,
        )
        for thing in (*OBSTACLES, *POSIX_OBSTACLES)
    ),
    *(
        Case(
            f"a lock whose text is no lock's is not followed: {text[:30]!r}",
            (*FINISHED, Link("{root}/.standalone-python.lock", text)),
            steps=UPGRADE,
            fails=("obstacle", ".standalone-python.lock is in the way"),
            posix=True,
        )
        for text in NO_LOCKS
    ),
    Case(
        "a lock under the name of older versions is respected",
        (*FINISHED, Lock("alive", ".lock")),
        {"lock_timeout": 0},
        steps=UPGRADE,
        fails=("locked", "/.lock (pid:started:boot:host is "),
        posix=True,
    ),
    Case(
        "what older versions left under their names is cleared",
        (
            *FINISHED,
            File(f"{{root}}/.staging/{NEWER}/python/file"),
            File("{root}/.staging/finish.py"),
            Folder("{root}/.staging.4711/cpython-3.12.1/removed"),
            Folder("{root}/.lock-broken-1_2"),
            Lock("dead", ".lock"),
        ),
        steps=UPGRADE,
        sees={"leftovers": (), "lock": "", "obstacles": (), "cleared": True},
        after={
            **UPGRADED,
            "{root}/.staging": None,
            "{root}/.staging.4711": None,
            "{root}/.lock-broken-1_2": None,
            "{root}/.lock": None,
        },
        posix=True,
    ),
    Case(
        "an exchange that an older version did not complete is undone",
        (Built("3.13.1", path=f"{{root}}/.staging/{ONE}/old"), Link(STABLE, ONE), File(f"{{root}}/.staging/{ONE}/python/half")),
        steps=(),
        sees={"builds": {"3.13.1": ""}, "leftovers": (), "cleared": True},
        after={"{root}/.staging": None, f"{{root}}/{ONE}": "build 3.13.1"},
    ),
    *(
        Case(
            f"what others have under the names of older versions is left alone: {thing}",
            (*FINISHED, thing),
            steps=UPGRADE,
            sees={"leftovers": (), "obstacles": (), "lock": "", "cleared": False},
            after=UPGRADED,
            posix=isinstance(thing, Link),
        )
        for thing in OTHERS
    ),
    *(
        Case(f"what was seen is something else by now: {what}", FINISHED, steps=steps, between=between, outdated=True)
        for what, steps, between in CHANGED
    ),
    *(
        Case(
            f"with force, what was seen is something else by now: {what}",
            (*FINISHED, *before),
            {"force": True},
            steps=steps,
            between=between,
            outdated=True,
        )
        for what, before, steps, between in CHANGED_WITH_FORCE
    ),
    Case(
        "what a killed run left is cleared",
        (
            *FINISHED,
            File("{root}/.standalone-python.staging/x/python/file"),
            Folder("{root}/.standalone-python.staging/y/python", 0o500),
            Link("{root}/.standalone-python-link", "x"),
            Link("{bin}/.standalone-python-link", "x"),
            Folder("{root}/.standalone-python.lock-broken-1_2"),
        ),
        steps=(),
        sees={"leftovers": (), "builds": {"3.13.1": ""}, "cleared": True},
        after={"(leftovers)": None},
    ),
    Case(
        "an exchange that was not completed is undone",
        (
            Built("3.13.1", path=f"{{root}}/.standalone-python.staging/{ONE}/old"),
            Link(STABLE, ONE),
            File(f"{{root}}/.standalone-python.staging/{ONE}/python/half"),
        ),
        steps=(),
        sees={"builds": {"3.13.1": ""}, "leftovers": (), "cleared": True},
        after={"(leftovers)": None, f"{{root}}/{ONE}": "build 3.13.1"},
    ),
    Case(
        "an exchange that was completed stays",
        (*FINISHED, File(f"{{root}}/.standalone-python.staging/{ONE}/old/half")),
        steps=(),
        sees={"builds": {"3.13.1": ""}, "leftovers": (), "cleared": True},
        after={"(leftovers)": None},
    ),
)
