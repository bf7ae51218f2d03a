# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets: the kind of a host, and the target triples that can run there, best first.

Turns an agent's facts (:func:`from_facts`) or a triple (:func:`parse_triple`) into a :class:`Target`.
Never looks at the machine it runs on. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import DeclarationError, NoBuildError, ObservationError
from ..nearest import nearest
from .request import Level, Request, with_parts

# The output of uname -s, or the system that PowerShell's agent prints -> os. OS_NAMES has the names for people.
SYSTEMS: Mapping[str, Os] = {
    "linux": "linux",
    "darwin": "darwin",
    "macos": "darwin",
    "windows": "windows",
    "windows_nt": "windows",
}
Os = Literal["linux", "darwin", "windows"]
OS_NAMES: Mapping[Os, str] = {"linux": "linux", "darwin": "macOS", "windows": "Windows"}

# uname -m (UTS_MACHINE in the Linux kernel's arch/*/Makefile, hw.machine on macOS), PROCESSOR_ARCHITECTURE of
# Windows -> arch as in target triples. Some have no builds: they are listed so that the error says that.
MACHINES = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "x64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "i386": "i686",
    "i486": "i686",
    "i586": "i686",
    "i686": "i686",
    "x86": "i686",
    "armv7": "armv7",
    "armv7l": "armv7",
    "armv7hl": "armv7",
    "armv8l": "armv7",
    "armv6l": "armv6",
    "armv5tel": "armv5te",
    "ppc64le": "ppc64le",
    "ppc64": "ppc64",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loongarch64",
    "mips": "mips",
    "mips64": "mips64",
    "sparc64": "sparc64",
}

# The C library that an agent found, with the float ABI if the architecture has two -> libc.
LIBCS = {
    ("glibc", "armv7", "hard"): "gnueabihf",
    ("glibc", "armv7", "soft"): "gnueabi",
}

# The oldest glibc that runs Linux builds (python-build-standalone's documentation, "Running Distributions").
MINIMUM_GLIBC = {"riscv64": (2, 28)}
MINIMUM_GLIBC_ELSEWHERE = (2, 17)

# What each x86-64 level adds: the table "Micro-Architecture Levels" of the psABI (low-level-sys-info.tex in
# gitlab.com/x86-psABIs/x86-64-ABI). Names as in Linux' /proc/cpuinfo (arch/x86/include/asm/cpufeatures.h),
# where SSE3 is pni and LZCNT is abm. It doesn't show OSXSAVE, but the kernel hides avx without it.
LEVEL_FLAGS: tuple[tuple[int, frozenset[str]], ...] = (
    (2, frozenset({"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"})),
    (3, frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})),
    (4, frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})),
)
# The names of the same features in macOS' sysctl (machdep.cpu.*), in lower case.
FLAG_ALIASES = {
    "sse3": "pni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "lahf": "lahf_lm",
    "avx1.0": "avx",
    "lzcnt": "abm",
    "osxsave": "xsave",
}

# The triples that have builds, for advice on a misspelt one.
TRIPLES = (
    *(f"x86_64{level}-unknown-linux-{libc}" for libc in ("gnu", "musl") for level in ("", "_v2", "_v3", "_v4")),
    *("aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "i686-unknown-linux-gnu"),
    *("armv7-unknown-linux-gnueabi", "armv7-unknown-linux-gnueabihf"),
    *("ppc64le-unknown-linux-gnu", "riscv64-unknown-linux-gnu", "s390x-unknown-linux-gnu"),
    *("aarch64-apple-darwin", "x86_64-apple-darwin"),
    *("aarch64-pc-windows-msvc", "i686-pc-windows-msvc", "x86_64-pc-windows-msvc"),
)

_TRIPLE = re.compile(
    r"(?P<arch>[a-z0-9]+(?:_64)?)(?:_v(?P<level>[234]))?-(?:"
    r"unknown-linux-(?P<libc>gnueabihf|gnueabi|gnu|musleabihf|musleabi|musl)|(?P<darwin>apple-darwin)|(?P<windows>pc-windows-msvc))"
)
_LEVELS: Mapping[int, Level] = {1: "", 2: "v2", 3: "v3", 4: "v4"}
_LIBC_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(?:[^0-9].*)?")


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of host.

    :ivar os: ``linux``, ``darwin`` or ``windows``
    :ivar arch: as in target triples: ``x86_64``, ``aarch64``, ``i686``, ``armv7``, ``ppc64le``, ...
    :ivar libc: on Linux ``gnu``, ``gnueabihf``, ``gnueabi``, ``musl``, or empty for any other; elsewhere empty
    :ivar libc_version: (major, minor), None if unknown
    :ivar level: the x86-64 level of its CPU, 1 to 4; 1 on other architectures
    """

    os: Os
    arch: str
    libc: str = ""
    libc_version: tuple[int, int] | None = None
    level: int = 1

    @property
    def triple(self) -> str:
        """The baseline triple, without a CPU level."""
        return _triple(self, 1)

    def __str__(self) -> str:
        """Return text for people: ``x86_64 linux, glibc 2.36``."""
        words = [f"{self.arch} {OS_NAMES[self.os]}"]
        if self.os == "linux":
            version = ".".join(str(number) for number in self.libc_version or ())
            words.append(f"{_libc_family(self.libc)} {version}".strip())
            words += [{"gnueabihf": "hard float", "gnueabi": "soft float"}[self.libc]] if "eabi" in self.libc else []
        return ", ".join(words)


def from_facts(facts: Mapping[str, str]) -> Target:
    """Return the target that an agent's facts describe.

    The facts are ``os``, ``arch``, ``libc``, ``libc_version``, ``float_abi`` and ``cpu_flags``.

    :raises ObservationError: a fact is missing or has an unknown value
    """
    system = SYSTEMS.get(facts.get("os", "").lower())
    if system is None:
        if facts.get("os", "").lower().startswith(("mingw", "msys", "cygwin")):
            raise ObservationError(
                f"the host's system is {facts['os']!r}, a POSIX shell on Windows: manage Windows hosts with "
                "Ansible and PowerShell (ansible_shell_type: powershell)"
            )
        raise ObservationError(f"the host's system is {facts.get('os', '')!r}: builds exist for Linux, macOS and Windows only")
    machine = facts.get("arch", "")
    arch = MACHINES.get(machine.lower())
    if arch is None:
        raise ObservationError(f"the host's architecture is {machine!r}, which is unknown: please report it")
    level = cpu_level(facts.get("cpu_flags", "")) if arch == "x86_64" else 1
    if system != "linux":
        return Target(system, arch, level=level)
    version = facts.get("libc_version", "")
    match = _LIBC_VERSION.fullmatch(version)
    if version and match is None:
        raise ObservationError(f"the host's C library has the version {version!r}, which is not valid: please report it")
    return Target(
        system,
        arch,
        _libc(arch, facts.get("libc", ""), facts.get("float_abi", "")),
        (int(match[1]), int(match[2])) if match else None,
        level,
    )


def to_facts(target: Target) -> Mapping[str, str]:
    """Return the facts that an agent prints on a host of this kind; the reverse of :func:`from_facts`."""
    facts = {"os": next(name for name, system in SYSTEMS.items() if system == target.os), "arch": target.arch}
    if target.libc:
        facts["libc"] = _libc_family(target.libc)
    if target.libc_version:
        facts["libc_version"] = _dotted(target.libc_version)
    abis = {libc: abi for (_family, _arch, abi), libc in LIBCS.items()}
    if target.libc in abis:
        facts["float_abi"] = abis[target.libc]
    if target.level > 1:
        facts["cpu_flags"] = " ".join(sorted(flag for level, flags in LEVEL_FLAGS if level <= target.level for flag in flags))
    return facts


def parse_triple(text: str) -> Target:
    """Parse a target triple; ``x86_64_v3-unknown-linux-gnu`` is a target whose CPU has level 3.

    :raises DeclarationError: the text is not a target triple
    """
    match = _TRIPLE.fullmatch(text)
    if match is None or (match["level"] and match["arch"] != "x86_64"):
        raise _unknown(text)
    system: Os = "darwin" if match["darwin"] else "windows" if match["windows"] else "linux"
    libc = match["libc"] or ""
    return Target(system, match["arch"], "musl" if libc.startswith("musl") else libc, None, int(match["level"] or 1))


def named_target(text: str) -> Target:
    """Parse the target triple that a user wrote. Unlike those of hosts and builds, its architecture must be a known one.

    :raises DeclarationError: the text is not a target triple, or its architecture is unknown
    """
    target = parse_triple(text)
    if target.arch not in MACHINES.values():
        raise _unknown(text)
    return target


def _unknown(text: str) -> DeclarationError:
    arch, dash, system = text.partition("-")
    # Such as arm64-apple-darwin.
    near = f"{MACHINES.get(arch.lower(), arch)}{dash}{system}"
    if near not in TRIPLES:
        near = nearest(text, TRIPLES)
    likely = "x86_64-unknown-linux-gnu, aarch64-unknown-linux-musl, aarch64-apple-darwin or x86_64-pc-windows-msvc"
    return DeclarationError(f"unknown target `{text}`: {f'did you mean `{near}`?' if near else f'write one like {likely}'}")


def cpu_level(flags: str) -> int:
    """Return the x86-64 level, 1 to 4, of a CPU with these space-separated flags."""
    present = {FLAG_ALIASES.get(flag, flag) for flag in flags.lower().split()}
    level = 1
    for reached, needed in LEVEL_FLAGS:
        if not needed <= present:
            break
        level = reached
    return level


def candidates(target: Target, level: Level = "") -> tuple[str, ...]:
    """Return the triples whose builds can satisfy a request at a CPU level, best first.

    :raises NoBuildError: the target does not have this level
    """
    reason = level_misfit(target, level)
    if reason:
        raise NoBuildError(f"no build at level {level} for {target}: {reason}")
    if level == "auto":
        return tuple(_triple(target, number) for number in range(target.level, 0, -1))
    return (_triple(target, int(level[1:])) if level else target.triple,)


def for_level(request: Request, target: Target) -> Request:
    """Return the request with the CPU level of a target's triple, unless the request already has one."""
    return request if request.level else with_parts(request, variant=_LEVELS[target.level])


def level_misfit(target: Target, level: Level) -> str:
    """Return why a request can't have this CPU level on a target, and what to do; empty if it can."""
    if level in ("", "auto"):
        return ""
    if target.arch != "x86_64":
        return f"CPU levels exist for x86_64 only, leave {level} out"
    if int(level[1:]) > target.level:
        highest = f"the host's CPU has level v{target.level}"
        return f"{highest}, request auto (its highest level) or leave {level} out"
    return ""


def cpu_misfit(needed: Target, level: int) -> str:
    """Return why builds for a target can't run on a CPU of a level, with the builds as subject; empty if they can."""
    return f"needs a CPU of level v{needed.level}, and the host's has v{level}" if needed.level > level else ""


def misfit(target: Target, triple: str) -> str:
    """Return why builds for a triple can't run on a target, with the builds as subject; empty if they can.

    :raises DeclarationError: ``triple`` is not a target triple
    """
    if target.os == "linux" and not target.libc:
        return "needs glibc or musl, and the C library of the host is neither"
    needed = parse_triple(triple)
    if (needed.os, needed.arch) != (target.os, target.arch):
        return f"is for {needed.arch} {OS_NAMES[needed.os]}, and the host is {target}"
    if needed.libc != target.libc:
        return f"needs {_libc_name(needed.libc)}, and the host has {_libc_name(target.libc)}"
    if reason := cpu_misfit(needed, target.level):
        return reason
    oldest = MINIMUM_GLIBC.get(target.arch, MINIMUM_GLIBC_ELSEWHERE)
    if target.libc.startswith("gnu") and target.libc_version is not None and target.libc_version < oldest:
        return f"needs glibc {_dotted(oldest)} or later, and the host has {_dotted(target.libc_version)}"
    return ""


def _libc(arch: str, family: str, float_abi: str) -> str:
    if family in ("", "musl"):
        return family
    if family != "glibc":
        raise ObservationError(f"the host's C library is {family!r}: builds exist for glibc and musl only")
    if arch != "armv7":
        return "gnu"
    libc = LIBCS.get((family, arch, float_abi))
    if libc is None:
        raise ObservationError(
            f"the host is armv7 with glibc, and its float ABI is {float_abi!r} instead of hard or soft: please report it"
        )
    return libc


def _libc_family(libc: str) -> str:
    return "glibc" if libc.startswith("gnu") else libc or "unknown C library"


def _libc_name(libc: str) -> str:
    abi = {"gnueabihf": " with hard float", "gnueabi": " with soft float"}.get(libc, "")
    return _libc_family(libc) + abi


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _triple(target: Target, level: int) -> str:
    arch = target.arch if level == 1 else f"{target.arch}_v{level}"
    if target.os == "linux":
        # musl also has two ABIs on 32-bit ARM. Distributions with musl (Alpine's armv7) use hard float.
        libc = "musleabihf" if (target.libc, target.arch) == ("musl", "armv7") else target.libc
        return f"{arch}-unknown-linux-{libc}" if libc else f"{arch}-unknown-linux"
    return f"{arch}-apple-darwin" if target.os == "darwin" else f"{arch}-pc-windows-msvc"
