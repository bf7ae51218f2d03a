# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of all front ends, parsed into :class:`Desired`. No I/O.

``OPTIONS`` has the form of Ansible's argument specification, which is plain data; other front ends use the same table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ..builds.request import FLAVORS, Request, parse_request, with_parts
from ..digits import whole_number
from ..errors import DeclarationError
from ..lazy import lazy_dataclass
from ..nearest import did_you_mean, unknown
from .folders import DEFAULT_ROOT, folders
from .receipt import Certificates, Finish

State = Literal["present", "latest", "absent"]
LinkKind = Literal["versioned", "default"]
Delivery = Literal["push", "pull"]
Attestations = Literal["off", "prefer", "require"]
InUse = Literal["keep", "remove"]
Verify = Literal["quick", "full"]
UserPackages = Literal["keep", "discard"]
CooldownExcept = Literal["critical", "high", "medium", "low", "none"]
STATES: Mapping[str, State] = {state: state for state in get_args(State)}

# The module's documentation explains each; a test compares it with this table.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "builds": {"type": "list", "elements": "raw", "required": True},
    "state": {"type": "str", "choices": list(STATES), "default": "present"},
    "exclusive": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 1},
    "in_use": {"type": "str", "choices": list(get_args(InUse)), "default": "keep"},
    "root": {"type": "str", "default": DEFAULT_ROOT},
    "bin_dir": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw"},
    "links": {
        "type": "list",
        "elements": "str",
        "choices": list(get_args(LinkKind)),
        "default": list(get_args(LinkKind)),
    },
    "force": {"type": "bool", "default": False},
    "delivery": {"type": "str", "choices": list(get_args(Delivery)), "default": "push"},
    "source": {"type": "str", "default": "upstream"},
    "checksum": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "catalogue": {"type": "str", "default": "bundled"},
    "lockfile": {"type": "str"},
    "security_only": {"type": "bool", "default": False},
    "cooldown": {"type": "str"},
    "cooldown_except": {"type": "str", "choices": list(get_args(CooldownExcept)), "default": "high"},
    "attestations": {"type": "str", "choices": list(get_args(Attestations)), "default": "off"},
    "trusted_root": {"type": "str"},
    "verify": {"type": "str", "choices": list(get_args(Verify)), "default": "quick"},
    "externally_managed": {"type": "bool", "default": True},
    "user_packages": {"type": "str", "choices": list(get_args(UserPackages)), "default": "keep"},
    "compile_bytecode": {"type": "bool", "default": False},
    "patch_sysconfig": {"type": "bool", "default": True},
    "certificates": {"type": "str", "choices": list(get_args(Certificates)), "default": "build"},
    "register": {"type": "bool", "default": True},
    "add_to_path": {"type": "bool"},
    "lock_timeout": {"type": "int", "default": 60},
}
# Never repeated in a message: a secret, and what can be a URL with a password.
UNSHOWN = frozenset({"token", "source", "catalogue"})
INFO_OPTIONS: Mapping[str, Mapping[str, Any]] = {name: OPTIONS[name] for name in ("root", "bin_dir", "verify")}
_REQUIRED = tuple(name for name, spec in OPTIONS.items() if spec.get("required"))
_DEFAULTS = {name: spec.get("default") for name, spec in OPTIONS.items() if name not in _REQUIRED}

_KINDS = {"str": "text", "bool": "truth value, true or false", "int": "whole number", "list": "list"}
# Texts that mean a truth value, as YAML 1.1 and Ansible take them.
TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "y", "t", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "f", "0"), False),
}
BUILD_KEYS = ("version", "variant", "flavor", "release", "default", "state")
"""The keys of an element of ``builds`` that is a mapping."""
# Linux has 32 bits for the number of an account.
_LARGEST_ACCOUNT = 2**32 - 2
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@$-]{0,255}")
_DIGITS = re.compile("[0-9]+")
_MODE = re.compile("(0o)?[0-7]{1,6}")
_INT = re.compile("-?[0-9]{1,9}")
_DAYS = re.compile("([0-9]{1,4})([dw])")
_TOO_LONG = "something with a number of too many digits"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One declared request.

    :ivar default: True gives the links ``python3`` and ``python`` to its build, False removes them from its line, and None keeps
        them where they are unless another build gets them
    """

    request: Request
    state: State = "present"
    default: bool | None = None


@lazy_dataclass(frozen=True)
class OfflineImage:
    """The image of another machine, in a folder of this one. None of its programs is started.

    :ivar root: the path of the declared root on this machine, without links
    :ivar bin_dir: the same for the folder of links
    :ivar python: this machine's interpreter, which runs the finisher instead of a build's own
    :ivar facts: the facts of the image's host (see :func:`target.from_facts`); empty if unknown
    :ivar uid: the number of the declared owner in the image; empty if none is declared
    :ivar gid: the same for the group
    :ivar certificates: the path, on the image's host, of the certificates that it trusts; empty unless the declaration needs them
    """

    root: str
    bin_dir: str
    python: str
    facts: Mapping[str, str] = field(default_factory=dict)  # pylint: disable=invalid-field-call
    uid: str = ""
    gid: str = ""
    certificates: str = ""


@dataclass(frozen=True, slots=True)
class Desired:
    """A whole declaration. Paths are absolute, or begin with ``~/``; texts are empty where the declaration has none.

    ``windows``: it is for a Windows host. Then paths may begin with ``%NAME%/``, and have slashes as all others.
    ``add_to_path``: None where nothing was said, which leaves the PATH as it is.
    ``cooldown``: days that a release must be old.
    ``finishes``: the name of a build or of a line -> how it is finished, where that is not ``finish``.
    ``rollback``: it goes back to a build that was in use before.
    """

    builds: tuple[Wanted, ...]
    exclusive: bool = False
    keep: int = 1
    in_use: InUse = "keep"
    root: str = DEFAULT_ROOT
    bin_dir: str = "/usr/local/bin"
    links: frozenset[LinkKind] = frozenset({"versioned", "default"})
    force: bool = False
    delivery: Delivery = "push"
    source: str = "upstream"
    checksum: str = ""
    token: str = field(default="", repr=False)
    catalogue: str = "bundled"
    lockfile: str = ""
    security_only: bool = False
    cooldown: int = 0
    cooldown_except: CooldownExcept = "high"
    attestations: Attestations = "off"
    trusted_root: str = ""
    verify: Verify = "quick"
    finish: Finish = field(default_factory=Finish)
    finishes: Mapping[str, Finish] = field(default_factory=dict, hash=False)
    user_packages: UserPackages = "keep"
    register: bool = True
    add_to_path: bool | None = None
    lock_timeout: int = 60
    windows: bool = False
    image: OfflineImage | None = None
    rollback: bool = False

    @property
    def selective(self) -> bool:
        """Whether an upgrade takes only some of the newer builds."""
        return self.security_only or self.cooldown > 0

    @property
    def places(self) -> Mapping[str, str]:
        """What root and bin_dir are called on the host -> where they are; empty where that is the same."""
        return {self.root: self.image.root, self.bin_dir: self.image.bin_dir} if self.image else {}


def declare(options: Mapping[str, Any], *, windows: bool = False) -> Desired:
    """A declaration from the options that a user gave; None and what is missing mean the default.

    :param windows: it is for a Windows host

    :raises DeclarationError: an option or a request that can't be read, or that contradicts another
    """
    values = _checked(options, OPTIONS)
    root, bin_dir = folders(values, windows=windows)
    if windows and (not_there := [name for name in ("owner", "group", "mode") if values[name]]):
        raise DeclarationError(
            f"{not_there[0]} is {values[not_there[0]]!r}: leave it out for Windows hosts, where a root is made so that all users "
            "can read and administrators write, and an existing root passes on its own permissions",
            (not_there[0],),
        )
    if values["keep"] < 0:
        raise DeclarationError(f"keep is {values['keep']}: give the number of replaced builds that stay, 0 or more", ("keep",))
    if values["lock_timeout"] < 0:
        raise DeclarationError(f"lock_timeout is {values['lock_timeout']}: give seconds, 0 or more", ("lock_timeout",))
    if values["delivery"] == "pull" and is_local(values["source"]):
        raise DeclarationError(
            f"delivery is pull and the source {values['source']} is on the controller, where no host can fetch it: "
            "use delivery: push, or a source that is an http(s) URL",
            ("delivery",),
        )
    if values["checksum"] and values["lockfile"]:
        raise DeclarationError("checksum and lockfile both name the sha256 of the archive: leave checksum out", ("checksum",))
    return Desired(
        builds=_wanted(values["builds"], values["state"]),
        exclusive=values["exclusive"],
        keep=values["keep"],
        in_use=values["in_use"],
        root=root,
        bin_dir=bin_dir,
        links=frozenset(values["links"]),
        force=values["force"],
        delivery=values["delivery"],
        source=values["source"],
        checksum=values["checksum"] or "",
        token=values["token"] or "",
        catalogue=values["catalogue"],
        lockfile=values["lockfile"] or "",
        security_only=values["security_only"],
        cooldown=_days(values["cooldown"]),
        cooldown_except=values["cooldown_except"],
        attestations=values["attestations"],
        trusted_root=values["trusted_root"] or "",
        verify=values["verify"],
        finish=Finish(
            externally_managed=values["externally_managed"],
            compile_bytecode=values["compile_bytecode"],
            patch_sysconfig=values["patch_sysconfig"],
            # Windows has its own store, which every build reads.
            certificates="build" if windows else values["certificates"],
            owner=_account("owner", values["owner"]),
            group=_account("group", values["group"]),
            mode=_mode(values["mode"]),
        ),
        user_packages=values["user_packages"],
        register=values["register"],
        add_to_path=values["add_to_path"],
        lock_timeout=values["lock_timeout"],
        windows=windows,
    )


def observing(options: Mapping[str, Any], *, windows: bool = False) -> Desired:
    """A declaration that asks for nothing, from the options of a front end that only observes."""
    values = _checked(options, INFO_OPTIONS)
    root, bin_dir = folders(values, windows=windows)
    return Desired(builds=(), root=root, bin_dir=bin_dir, verify=values["verify"], windows=windows)


def is_local(text: str) -> bool:
    """Whether the option ``source`` or ``catalogue`` names a path on the controller."""
    return text.strip() not in ("", "upstream", "bundled", "updated") and "://" not in text


def parse_wanted(element: Any, state: State = "present") -> Wanted:
    """One element of ``builds``: a request, or a mapping with the keys version, variant, flavor, release, default and state."""
    if not isinstance(element, Mapping):
        return Wanted(parse_request(_text(element)), state)
    for key in element:
        if key not in BUILD_KEYS:
            named = _in_words(element.get("version") or "a build")
            raise DeclarationError(unknown("option", _in_words(key), BUILD_KEYS, of=named), (key,))
    if element.get("version") in (None, ""):
        raise DeclarationError(f"the build {_quoted(dict(element))} has no version: give one, such as version: '3.13'")
    version = _in_words(element["version"])
    given = {name: value for name, value in element.items() if value not in (None, "")}
    parts = {name: _converted(name, "str", given.get(name, ""), of=version) for name in ("variant", "flavor", "release")}
    flavor = parts["flavor"]
    if flavor and flavor not in FLAVORS:
        raise DeclarationError(unknown("flavor", flavor, FLAVORS, of=version), ("flavor",))
    stated = _converted("state", "str", given.get("state", state), of=version)
    if stated not in STATES:
        raise DeclarationError(unknown("state", stated, STATES, of=version), ("state",))
    default = bool(_converted("default", "bool", given["default"], of=version)) if "default" in given else None
    if default and stated == "absent":
        raise DeclarationError(f"{version} is declared both default and absent: choose one", ("default",))
    return Wanted(with_parts(parse_request(_text(element["version"])), **parts), STATES[stated], default)


def _checked(options: Mapping[str, Any], table: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Every option of ``table`` with its value or default.

    Texts are taken for numbers, truth values and lists as Ansible takes them: what a template gives is often text.
    """
    for name in options:
        if name not in table:
            raise DeclarationError(unknown("option", _in_words(name), table), (name,))
    # Only what was given is looked at: defaults need no check.
    values = _DEFAULTS | {name: _value(name, table[name], value) for name, value in options.items() if value is not None}
    if missing := [name for name in _REQUIRED if name in table and name not in values]:
        raise DeclarationError(f"{missing[0]} is missing: give it", (missing[0],))
    return values


def _value(name: str, spec: Mapping[str, Any], value: Any) -> Any:
    if value is False and "off" in spec.get("choices", ()):
        value = "off"  # as YAML 1.1 reads it without quotes
    # A request may have commas in it.
    single = spec.get("elements") == "raw" and isinstance(value, (str, int, float, Mapping))
    value = [value] if single else _converted(name, spec["type"], value)
    choices = spec.get("choices")
    for item in value if isinstance(value, list) else (value,):
        if choices and item not in choices:
            raise DeclarationError(f"{name} is {_quoted(item)}: {did_you_mean(_in_words(item), choices)}", (name,))
    return value


def _converted(name: str, kind: str, value: Any, *, of: str = "") -> Any:
    """
    :param of: the build whose option it is, for messages
    """
    text = value.strip() if isinstance(value, str) else value
    truth = isinstance(value, bool)
    match kind:
        case "raw":
            return value
        case "bool" if truth or (isinstance(text, (str, int)) and _in_words(text).lower() in TRUTHS):
            return value if truth else TRUTHS[_in_words(text).lower()]
        case "int" if not truth and isinstance(text, (str, int, float)) and _INT.fullmatch(_in_words(text)):
            return int(text)
        case "str" if not truth and isinstance(value, (str, int, float)):
            return _in_words(value)
        case "list" if isinstance(value, (list, tuple)):
            return list(value)
        case "list" if isinstance(value, str):
            return [item for part in value.split(",") if (item := part.strip())]
    kinds = {bool: "a truth value", list: "a list", tuple: "a list", dict: "a mapping"}
    shown = kinds.get(type(value), "no text") if name in UNSHOWN else _quoted(value)
    raise DeclarationError(f"{name}{f' of {of}' if of else ''} is {shown}: give a {_KINDS[kind]}", (name,))


def _in_words(value: Any) -> str:
    """Return ``str(value)``, which Python refuses for a whole number of more than 4,300 digits."""
    try:
        return str(value)
    except ValueError:
        return _TOO_LONG


def _quoted(value: Any) -> str:
    return repr(value) if isinstance(value, str) else _in_words(value)


def _wanted(elements: Sequence[Any], state: State) -> tuple[Wanted, ...]:
    read: dict[Wanted, None] = {}
    for index, element in enumerate(elements):
        try:
            read[parse_wanted(element, state)] = None
        except DeclarationError as error:
            error.at = ("builds", index, *error.at)
            raise
    builds = tuple(read)
    defaults = [wanted.request.text for wanted in builds if wanted.default]
    if len(defaults) > 1:
        raise DeclarationError(
            f"{' and '.join(defaults)} are all marked default: only one build can have python3 and python", ("builds",)
        )
    states: dict[Request, State] = {}
    for wanted in builds:
        if states.setdefault(wanted.request, wanted.state) != wanted.state:
            raise DeclarationError(
                f"{wanted.request.text} is declared both {states[wanted.request]} and {wanted.state}: choose one", ("builds",)
            )
    return builds


def _text(version: Any) -> str:
    """A version as YAML gives it, as text. YAML reads 3.10 as the number 3.1, and nothing can tell it from 3.1 any more."""
    if isinstance(version, float):
        text = repr(version)
        major, _unused, minor = text.partition(".")
        if len(minor) == 1 and 0 < int(minor) < 7:
            raise DeclarationError(
                f"the version is the number {text}, as YAML and Python read {major}.{minor}0 without quotes: "
                f"write '{major}.{minor}0' in quotes"
            )
        return text
    if isinstance(version, bool) or not isinstance(version, (str, int)):
        raise DeclarationError(
            f"{_quoted(version)} is not a valid request: write a text such as '3.13' or a mapping with version: '3.13'"
        )
    return _in_words(version)


def _days(value: str | None) -> int:
    match = _DAYS.fullmatch(value.strip()) if value else None
    if value and match is None:
        raise DeclarationError(f"cooldown is {value!r}: give days or weeks, such as 7d or 2w", ("cooldown",))
    return int(match[1]) * (7 if match[2] == "w" else 1) if match else 0


def _account(option: str, value: str | None) -> str:
    number = whole_number(value) if value and _DIGITS.fullmatch(value) else 0
    if value and (not _ACCOUNT.fullmatch(value) or number is None or number > _LARGEST_ACCOUNT):
        raise DeclarationError(f"{option} is {value!r}: give the name or the number of an account", (option,))
    return value or ""


def _mode(value: Any) -> str:
    if value is None or value == "":
        return ""
    try:
        text = _in_words(value).strip()
        number = isinstance(value, int) and not isinstance(value, bool)
        bits = value if number else int(text, 8) if _MODE.fullmatch(text) else -1
    except ValueError:
        bits = -1
    if bits & 0o700 != 0o700 or not 0 <= bits <= 0o777:
        raise DeclarationError(
            f"mode is {_quoted(value)}: give octal digits in quotes such as '0755', for folders and executables, "
            "with rwx for the owner",
            ("mode",),
        )
    return f"{bits:04o}"
