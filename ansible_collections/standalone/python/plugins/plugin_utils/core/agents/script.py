# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders one POSIX shell script that installs builds on hosts without a controller, for several kinds of hosts. No I/O.

The script is the agents, and the plan for an empty host of each kind. ``on_host/script.sh`` does those steps of the host's kind
whose result the host lacks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from ..builds.catalogue import Build
from ..builds.target import LEVEL_FLAGS, MACHINES, MINIMUM_GLIBC, MINIMUM_GLIBC_ELSEWHERE, SYSTEMS, Target, to_facts
from ..state.declaration import Desired
from ..state.failures import EXPOSURES, FAILURES
from ..state.process import BLIND
from ..state.receipt import Finish
from ..state.step import Install, Plan, Remove, SetLink
from .sh import Delivery, agents, downloader, driver, installation

# What shellcheck can't know of a script that is joined from parts, besides deliberate splitting into words.
_SHELLCHECK = "SC2086,SC2046,SC2154,SC2034,SC2317,SC2329,SC3066,SC3067,SC2016"
WITHOUT_CONTROLLER: Mapping[str, str] = {
    "download": "the archive can't be downloaded ({detail}): let this host reach the source, or use --archives FOLDER",
    "nodownload": "this host has neither curl nor wget: install one of them, or use --archives FOLDER",
    "nozstd": "the archive is compressed with zstd, which this host doesn't have: install it",
}
_BUILD = ("version", "release", "triple", "options", "flavor")
_PLACE = "9" * 8
# Agents of PowerShell report these, or a controller makes them of an answer.
_ELSEWHERE = ("held", "launcher", "tokenwget", "redirected", "arguments")


@dataclass(frozen=True, slots=True)
class Removals:
    """The names of builds that may have to go.

    :ivar unwanted: these go
    :ivar replaced: a declared line -> its builds that no request chooses, newest first; all but ``keep`` of a host's go
    """

    unwanted: tuple[str, ...] = ()
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.unwanted or any(self.replaced.values()))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of host, what an empty host of it needs, and what other hosts of it may have to lose."""

    target: Target
    triple: str
    plan: Plan
    removals: Removals = Removals()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a script comes from, for its header.

    :ivar tool: name and version of the program that makes it
    :ivar command: makes it anew
    :ivar lockfile: as it was given; ``sha256`` is of its content
    """

    tool: str
    command: str
    lockfile: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.lockfile} (sha256 {self.sha256})"


@dataclass(frozen=True, slots=True)
class Archives:
    """Where a script finds archives that it doesn't download.

    :ivar beside: a folder, relative to the script's own; empty if there is none
    :ivar embedded: whether the archive follows the script in its own file
    """

    beside: str = ""
    embedded: bool = False


def script(
    desired: Desired,
    kinds: Sequence[Kind],
    deliveries: Mapping[str, Delivery],
    origin: Origin,
    archives: Archives,
) -> str:
    """Return the text of the script.

    :param deliveries: name of each build to how its archive gets to the host
    """
    installs = tuple({step.build.name: step for kind in kinds for step in kind.plan.installs}.values())
    unless_used = desired.in_use == "keep" and any(kind.removals for kind in kinds)
    # With a removal, the agents for processes come too.
    together = Plan((*installs, *([Remove("", "", unless_used=True)] if unless_used else [])), ())
    numbers = {step.build.name: number for number, step in enumerate(installs, 1)}
    settings = {
        "kinds": ", ".join(kind.triple for kind in kinds),
        "made_from": str(origin),
        "force": "yes" if desired.force else "",
        "beside": archives.beside,
        "embedded": _PLACE if archives.embedded else "",
        "keeps_packages": "yes" if not desired.finish.externally_managed and desired.user_packages == "keep" else "",
        "unless_used": "yes" if unless_used else "",
        # The script looks for processes only when something would be removed.
        "processes": "",
    }
    text = "".join(
        (
            "#!/bin/sh\n",
            header(desired, kinds, origin, "sh FILE --help"),
            f"# shellcheck disable={_SHELLCHECK}\n",
            agents(desired, together, deliveries),
            *(f"{name}={quote(value)}\n" for name, value in settings.items()),
            *(
                installation(f"prepare_{numbers[step.build.name]}", desired, step, deliveries[step.build.name])
                for step in installs
            ),
            *(_kind(number, kind, desired, deliveries, numbers) for number, kind in enumerate(kinds, 1)),
            _choice(kinds),
            _sentences("sentence", {**FAILURES, **WITHOUT_CONTROLLER}),
            _sentences("blindness", BLIND) if unless_used else "",
            _exposures(),
            _help(kinds, origin),
            driver(),
            'main "$@"\n',
        )
    )
    # The placeholder is as long as the number, so that it doesn't move what it counts.
    return text.replace(_PLACE, f"{len(text.encode()) + 1:0{len(_PLACE)}}")


def short_script(url: str, content: bytes, origin: Origin) -> str:
    """Return a script that runs another one, which hosts download: where there is room for 16 kB only.

    :param content: of the other one
    """
    lines = (
        f"Downloads {url}, verifies its sha256, and runs it with the same options.",
        f"Made by {origin.tool} of {origin}; don't edit it. To make it anew:",
        f"  {origin.command}",
    )
    comment = "".join(f"# {line}\n" for line in lines)
    return f"#!/bin/sh\n{comment}{downloader(url, hashlib.sha256(content).hexdigest())}"


def header(desired: Desired, kinds: Sequence[Kind], origin: Origin, use: str) -> str:
    """Return the comment at the beginning of a script."""
    lines = [
        f"Installs Python in {desired.root}, as python-build-standalone built it:",
        *(f"  {kind.triple}: {', '.join(step.build.name for step in kind.plan.installs)}" for kind in kinds),
        f"Made by {origin.tool} of {origin}; don't edit it. To make it anew:",
        f"  {origin.command}",
        f"To use it: {use}. It is free software (GPL-3.0-or-later) without any warranty.",
    ]
    return "".join(f"# {line}\n" for line in lines)


def _help(kinds: Sequence[Kind], origin: Origin) -> str:
    text = f"""\
Installs Python on this host, or repairs it; on a host in order it changes nothing.
  --check          change nothing; the exit code is 2 if something would change
  --root FOLDER    instead of the declared root; the links are then in FOLDER/bin
  --bin-dir FOLDER the folder of the links
  --archives FOLDER take the archives from there; nothing is downloaded
  --quiet          print errors only
  --json           print one JSON object
  --help           print this
Exit codes: 0 success, 1 failure, 2 something would change, 64 wrong option.
Kinds of hosts: {", ".join(kind.triple for kind in kinds)}
Made by {origin.tool} of {origin}
"""
    return f"help() {{\ncat <<'END OF HELP'\n{text}END OF HELP\n}}\n"


def _kind(number: int, kind: Kind, desired: Desired, deliveries: Mapping[str, Delivery], numbers: Mapping[str, int]) -> str:
    lines = []
    for step in kind.plan.steps:
        if isinstance(step, Install):
            build, name = step.build, step.build.name
            lines_of = map("\n".join, receipt_lines(build, desired.finish, deliveries[name]))
            words = (name, str(build.version), f"prepare_{numbers[name]}", *lines_of)
            lines.append(_call("build", *words))
        elif isinstance(step, SetLink):
            folder, _slash, name = step.path.rpartition("/")
            to = step.to.removeprefix(f"{desired.root}/")
            lines.append(_call("stable_link" if folder == desired.root else "link_in_bin", name, to))
    if kind.removals.unwanted:
        lines.append(_call("unwanted", *kind.removals.unwanted))
    for line, names in kind.removals.replaced.items():
        lines.append(_call("replaced", line, str(desired.keep), *names))
    lines.append(_call("others", *(step.build.name for step in kind.plan.installs)))
    return f"kind_{number}() {{\n" + "".join(f"{line}\n" for line in lines) + "}\n"


def receipt_lines(build: Build, finish: Finish, delivery: Delivery) -> tuple[list[str], list[str], list[str]]:
    """Return how lines of a receipt begin: for this build, for a build with the declared finish; and how no line begins."""
    its = [_line(key, str(getattr(build, key))) for key in _BUILD]
    has: dict[str, object] = {"sha256": delivery.archive_sha256}
    has |= {name: getattr(finish, name) for name in ("externally_managed", "compile_bytecode", "patch_sysconfig")}
    # What isn't declared doesn't matter.
    has |= {name: value for name in ("owner", "group", "mode") if (value := getattr(finish, name))}
    unlike = []
    if finish.certificates == "build":
        unlike.append(_line("certificates", "system"))  # older receipts don't have the line
    else:
        has["certificates"] = finish.certificates
    if has.get("mode") == "0755":
        # A receipt without a mode means the same, so all others are named.
        del has["mode"]
        unlike += [f'"mode": "07{digits}' for digits in (*"0123467", *(f"5{digit}" for digit in "0123467"))]
    return its, [_line(*item) for item in has.items()], unlike


def _line(key: str, value: object) -> str:
    return f'"{key}": {json.dumps(value)}'


def _choice(kinds: Sequence[Kind]) -> str:
    """Return the function that sets the number of the host's kind: the one with the highest CPU level that it has."""
    lines = ["choose_kind() {", "level=1"]
    if any(kind.target.level > 1 for kind in kinds):
        for level, flags in LEVEL_FLAGS:
            tests = " ".join(f'&& has_word {flag} "$3"' for flag in sorted(flags))
            lines.append(f"[ $level = {level - 1} ] {tests} && level={level}")
    lines.append("case $1 in")
    by_pattern: dict[str, list[tuple[int, Kind]]] = {}
    for number, kind in enumerate(kinds, 1):
        by_pattern.setdefault(_pattern(kind.target), []).append((number, kind))
    for pattern, found in by_pattern.items():
        lines.append(f"{pattern})")
        oldest = MINIMUM_GLIBC.get(found[0][1].target.arch, MINIMUM_GLIBC_ELSEWHERE)
        if found[0][1].target.libc.startswith("gnu"):
            lines.append(f'is_since "$2" {oldest[0]} {oldest[1]} || return 0')
        for number, kind in sorted(found, key=lambda item: item[1].target.level):
            lines.append(f"[ $level -lt {kind.target.level} ] || {{ kind={number} triple={kind.triple}; }}")
        lines.append(";;")
    return "\n".join([*lines, "esac", "}", ""])


def _pattern(target: Target) -> str:
    """Return a pattern for ``OS,ARCH,LIBC,FLOAT-ABI`` as agents print these facts."""
    facts = to_facts(target)
    systems = [name.capitalize() for name, system in SYSTEMS.items() if system == target.os and name in ("linux", "darwin")]
    machines = [name for name, arch in MACHINES.items() if arch == target.arch]
    end = f"{facts.get('libc', '')},{facts.get('float_abi', '*')}"
    return " | ".join(f"{system},{machine},{end}" for system in systems for machine in machines)


def _sentences(name: str, texts: Mapping[str, str]) -> str:
    cases = "".join(f'{code}) {name}="{_filled(text)}" ;;\n' for code, text in texts.items() if code not in _ELSEWHERE)
    return f"{name}() {{\n{name}=${{2-}}\ncase $1 in\n{cases}esac\n}}\n"


def _filled(text: str) -> str:
    for letter in '\\"`$':
        text = text.replace(letter, f"\\{letter}")
    for part, variable in (("{detail}", "$2"), ("{first}", "${2%% *}"), ("{last}", "${2##* }")):
        text = text.replace(part, variable)
    return text


def _exposures() -> str:
    cases = "".join(f'{kind}\\ *) exposure="{text.format(path="$path", who="$who")}" ;;\n' for kind, text in EXPOSURES.items())
    head = "exposure=$1\nrest=${1#* }\nwho=${rest%% *}\npath=${rest#* }\n"
    return f"exposure() {{\n{head}case $1 in\n{cases}esac\n}}\n"


def _call(*words: str) -> str:
    return " ".join(map(quote, words))
