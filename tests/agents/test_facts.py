# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What observe.sh finds out about the kind of a host, where programs lie and where several C libraries are there.

Programs are fakes on the PATH. What a shell reads from the kernel and from /lib is replaced by functions of the same names.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import parse
from tests.agents.place import POSIX, SHELLS, TOOLS, UNPACKING, Place, Shell, link_tools, needed

pytestmark = POSIX

GLIBC = "/lib/x86_64-linux-gnu/libc.so.6"
X86_64, I386 = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux.so.2"
AARCH64, ARMHF, ARMEL = "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3"
MUSL, MUSL_386, MUSL_ARMHF = "/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-i386.so.1", "/lib/ld-musl-armhf.so.1"
INODES = "echo Filesystem Inodes IUsed IFree IUse% Mounted on"
BSD_INODES = "echo Filesystem 1024-blocks Used Available Capacity iused ifree %iused Mounted on"
HEADER = "echo Filesystem 1024-blocks Used Available Capacity Mounted on"


@dataclass(frozen=True, slots=True)
class Kind:
    """
    :ivar programs: name -> what it does, in sh; empty for one that isn't there
    :ivar linked: the file of the C library that the shell is linked to
    :ivar loaders: those that are there
    """

    name: str
    facts: Mapping[str, str | None]
    programs: Mapping[str, str] = field(default_factory=dict)
    linked: str = GLIBC
    loaders: tuple[str, ...] = (X86_64,)


def uname(machine: str, system: str = "Linux") -> dict[str, str]:
    return {"uname": f"case $1 in -m) echo {machine} ;; -s) echo {system} ;; *) echo node ;; esac"}


KINDS = (
    Kind("x86-64", {"os": "Linux", "arch": "x86_64", "libc": "glibc"}, uname("x86_64")),
    Kind("32-bit userland, x86", {"arch": "i686", "libc": "glibc"}, uname("x86_64"), loaders=(I386,)),
    Kind("32-bit userland, x86, musl", {"arch": "i686", "libc": "musl"}, uname("x86_64"), MUSL_386, (MUSL_386,)),
    Kind("both userlands, x86", {"arch": "x86_64"}, uname("x86_64"), loaders=(I386, X86_64)),
    Kind("a 32-bit kernel", {"arch": "i686"}, uname("i686"), loaders=(I386,)),
    Kind("aarch64", {"arch": "aarch64", "float_abi": None}, uname("aarch64"), loaders=(AARCH64,)),
    Kind("32-bit userland, arm", {"arch": "armv7l", "float_abi": "hard"}, uname("aarch64"), loaders=(ARMHF,)),
    Kind("both userlands, arm", {"arch": "aarch64", "float_abi": "hard"}, uname("aarch64"), loaders=(ARMHF, AARCH64)),
    Kind("arm without hardware floats", {"arch": "armv7l", "float_abi": "soft"}, uname("armv7l"), loaders=(ARMEL,)),
    Kind("arm, musl", {"arch": "armv7l", "float_abi": "hard", "libc": "musl"}, uname("armv7l"), MUSL_ARMHF, (MUSL_ARMHF,)),
    Kind("glibc, with musl beside it", {"libc": "glibc"}, loaders=(MUSL, X86_64)),
    Kind("musl, with glibc beside it", {"libc": "musl", "libc_version": None}, {}, MUSL, (MUSL, X86_64)),
    Kind("musl under its own name", {"libc": "musl"}, {}, "/usr/lib/x86_64-linux-musl/libc.so", (MUSL, X86_64)),
    Kind("a static shell, glibc and musl there", {"libc": "glibc"}, {}, "", (MUSL, X86_64)),
    Kind("a static shell, musl there", {"libc": "musl"}, {}, "", (MUSL,)),
    Kind("a static shell and nothing else", {"libc": ""}, {}, "", ()),
    Kind("glibc, by its file", {"libc_version": "2.17"}, {"getconf": "echo glibc 9.9"}, "/lib64/libc-2.17.so"),
    Kind("glibc, by getconf", {"libc_version": "2.28"}, {"getconf": "echo glibc 2.28"}),
    Kind(
        "glibc, by itself",
        {"libc_version": "2.36"},
        {"getconf": "", "libc.so.6": "echo 'GNU C Library (Debian GLIBC 2.36-9+deb12u13) stable release version 2.36.'; echo x"},
        "{programs}/libc.so.6",
    ),
    Kind(
        "glibc, by itself, of Ubuntu",
        {"libc_version": "2.35"},
        {"getconf": "exit 1", "libc.so.6": "echo 'GNU C Library (Ubuntu GLIBC 2.35-0ubuntu3.8) stable release version 2.35.'"},
        "{programs}/libc.so.6",
    ),
    Kind("glibc, by ldd", {"libc_version": "2.12"}, {"getconf": "", "ldd": "echo 'ldd (GNU libc) 2.12'"}, "/none/libc.so.6"),
    Kind(
        "glibc, by ldd, of Debian",
        {"libc_version": "2.41"},
        {"getconf": "", "ldd": "echo 'ldd (Debian GLIBC 2.41-12) 2.41'; echo Copyright"},
        "/none/libc.so.6",
    ),
    Kind("glibc, nobody knows which", {"libc": "glibc", "libc_version": ""}, {"getconf": "", "ldd": ""}, "/none/libc.so.6"),
    Kind("macOS", {"os": "Darwin", "arch": "arm64", "libc": None}, uname("arm64", "Darwin") | {"sysctl": "echo 1"}),
    Kind(
        "macOS, a shell under Rosetta",
        {"arch": "arm64", "cpu_flags": None},
        uname("x86_64", "Darwin") | {"sysctl": "[ $2 = hw.optional.arm64 ] && echo 1"},
    ),
    Kind(
        "macOS, Intel",
        {"arch": "x86_64", "cpu_flags": "fpu sse4.2 avx2 lzcnt"},
        uname("x86_64", "Darwin") | {"sysctl": "[ $2 != hw.optional.arm64 ] && printf 'FPU SSE4.2\\nAVX2\\nLZCNT'"},
    ),
    Kind("another system", {"os": "FreeBSD", "arch": "amd64", "libc": None}, uname("amd64", "FreeBSD")),
    Kind("df", {"free_kb": "78000"}, {"df": f"{HEADER}; echo /dev/vda 99000 21000 78000 21% /"}),
    Kind("df, a device with spaces", {"free_kb": "70"}, {"df": f"{HEADER}; echo '//srv/my share 2 99 21 70 24% /mnt/a b'"}),
    Kind(
        "df, of macOS",
        {"free_kb": "78000"},
        {"df": f"{HEADER}; echo '/dev/disk1s1   99000 21000   78000    22%    /Volumes/a b'"},
    ),
    Kind("df, that doesn't know", {"free_kb": None}, {"df": f"{HEADER}; echo proc - - - - /proc"}),
    Kind("df, that fails", {"free_kb": None}, {"df": "exit 1"}),
    Kind("no df", {"free_kb": None}, {"df": ""}),
    *(
        Kind(f"inodes: {name}", {"free_inodes": expected}, {"df": f"case $* in *-i*|*Pi*) {said} ;; *) {HEADER} ;; esac"})
        for name, expected, said in (
            ("GNU df", "93", f"{INODES}; echo /dev/vda 100 7 93 7% /"),
            ("busybox df, a device with spaces", "93", f"{INODES}; echo '//srv/my share 2                100 7 93 7% /mnt/a b'"),
            ("none left", "0", f"{INODES}; echo /dev/vda 100 100 0 100% /"),
            ("df of macOS", "4882", f"{BSD_INODES}; echo '/dev/disk1s1 99000 21000 78000 22% 118 4882 3% /Volumes/a b'"),
            ("df of FreeBSD", "4882", f"{BSD_INODES}; echo '/dev/ada0p2 99000 21000 78000 22% 118 4882 2% /'"),
            ("a file system without a limit, GNU df", None, f"{INODES}; echo /dev/sda 0 0 0 - /mnt/5 b"),
            ("a file system without a limit, busybox df", None, f"{INODES}; echo /dev/sda 0 0 0 0% /"),
            ("a df without -i", None, "echo df: invalid option >&2; exit 1"),
            ("a df that passes over -i", None, f"{HEADER}; echo /dev/vda 99000 21000 78000 21% /"),
            ("no df", None, "exit 127"),
        )
    ),
    Kind("GNU wget", {"wget": "gnu", "tools": "tar zstd gzip wget sha256sum awk"}, {"wget": "echo GNU Wget 1.21.3 built on x"}),
    Kind("busybox wget", {"wget": None}, {"wget": "echo BusyBox v1.35.0"}),
    Kind(
        "curl, which is enough",
        {"wget": None, "tools": "tar zstd gzip curl wget sha256sum awk"},
        {"curl": "", "wget": "echo GNU Wget"} | {"curl": "exit 9"},
    ),
    Kind("shasum", {"tools": "tar zstd gzip shasum awk"}, {"sha256sum": "", "shasum": "exit 9"}),
)


def observed_facts(kind: Kind, shell: Shell, tmp_path: Path) -> Mapping[str, str]:
    programs = tmp_path / "programs"
    wanted = [name for name in (*TOOLS, *UNPACKING) if name not in kind.programs and name != "shasum"]
    link_tools(programs, wanted)
    for name, text in kind.programs.items():
        if text:
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
    loaders = "".join(f"{loader} " for loader in kind.loaders)
    linked = kind.linked.replace("{programs}", str(programs))
    place = Place(tmp_path, str(tmp_path / "root"), str(tmp_path / "bin"), {"PATH": str(programs)})
    script = sh.observation(declare({"builds": [], "root": place.root}), facts="yes")
    replaced = f"loaders() {{ printf '%s' '{loaders}'; }}\nlinked_libc() {{ printf '%s' '{linked}'; }}\n"
    start = script.rindex("observe </dev/null")
    done = place.run(shell, script[:start] + replaced + script[start:])
    assert done.errors == ""
    return parse(done.output).facts


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_facts(kind: Kind, shell: Shell, tmp_path: Path) -> None:
    found = observed_facts(kind, shell, tmp_path)
    assert {name: found.get(name) for name in kind.facts} == kind.facts


def test_facts_of_this_machine(shell: Shell, tmp_path: Path) -> None:
    """Nothing is replaced: what the shell says of itself agrees with what Python says."""
    place = Place(tmp_path, str(tmp_path / "root"), str(tmp_path / "bin"))
    done = place.run(shell, sh.observation(declare({"builds": [], "root": place.root}), facts="yes"))
    facts = parse(done.output).facts
    assert facts["os"] == platform.system()
    assert facts["arch"] == platform.machine()
    libc = os.confstr("CS_GNU_LIBC_VERSION") if platform.libc_ver()[0] == "glibc" else None
    if libc:
        assert f"{facts['libc']} {facts['libc_version']}" == libc
    space = os.statvfs(tmp_path)
    assert abs(int(facts["free_kb"]) - space.f_bavail * space.f_frsize // 1024) < 1 << 20
    if space.f_files:
        assert abs(int(facts["free_inodes"]) - space.f_ffree) < 100_000
    if platform.machine() == "x86_64" and platform.system() == "Linux":
        assert "sse2" in facts["cpu_flags"].split()


def test_components_are_observed_with_the_facts(shell: Shell, tmp_path: Path) -> None:
    """A look at a host in order leaves out what the controller has no use for."""
    from tests.agents import fakes
    from tests.agents.cases import ONE
    from tests.tools.finisher import receipt_text

    place = Place(tmp_path, str(tmp_path / "root"), str(tmp_path / "bin"))
    build, unused = fakes.fake("3.13.1"), ("bundled", "implementation", "name", "tool")
    receipt = fakes.receipt_of(build, components={"openssl": "3.0.15"}, **dict.fromkeys(unused[:2], "-"), tool="-")
    fakes.write(build, Path(place.root) / ONE, receipt_text(receipt))
    seen: list[tuple[sh.Facts, bool, dict[str, str]]] = [
        ("no", False, {}),
        ("no", True, {}),
        ("yes", False, {"openssl": "3.0.15"}),
    ]
    marks = set()
    for facts, quick, components in seen:
        output = place.run(shell, sh.observation(declare({"builds": [], "root": place.root}), facts=facts, quick=quick)).output
        (installed,) = parse(output).installed
        assert installed.receipt
        assert (installed.problem, installed.receipt.components) == ("", components)
        assert not [key for key in unused if f' "{key}": ' in output]
        assert ('"components"' in output) == (facts == "yes")
        # A quick look has the lines of the mark, and all others between them in one.
        assert not quick or output.count("\nreceipt=") <= 2 * 3 + 1
        marks.add(installed.mark)
    assert len(marks) == 1


def test_a_build_of_a_cpu_level_makes_the_cpu_known(shell: Shell, tmp_path: Path) -> None:
    """Without facts, and for such builds only: what the kernel says is read by the shell itself."""
    from tests.agents import fakes

    if platform.system() != "Linux":
        pytest.skip("needs Linux: its /proc/cpuinfo has the flags of the CPU")
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64: only such a CPU has these levels")
    place = Place(tmp_path, str(tmp_path / "root"), str(tmp_path / "bin"))
    script = sh.observation(declare({"builds": [], "root": place.root}), facts="no")
    plain = fakes.fake("3.13.1")
    fakes.write(plain, Path(place.root) / plain.name)
    assert parse(place.run(shell, script).output).cpu == ""
    leveled = replace(plain, triple="x86_64_v4-unknown-linux-gnu", filename="")
    fakes.write(leveled, Path(place.root) / leveled.name)
    found = parse(place.run(shell, script).output)
    assert found.facts == {}
    assert "sse2" in found.cpu.split()
    start = script.rindex("observe </dev/null")
    weak = f"{script[:start]}cpu_flags() {{ echo $1=fpu sse2; }}\n{script[start:]}"
    assert [(one.problem, one.foreign) for one in parse(place.run(shell, weak).output).installed] == [
        ("", ""),
        ("", "needs a CPU of level v4, and the host's has v1"),
    ]


def test_an_observation_starts_no_more_than_it_must(tmp_path: Path) -> None:
    """On the path that finds everything in order: ls, and each interpreter once. Here printf is the shell's own."""
    from tests.agents import fakes
    from tests.agents.cases import ONE, OTHER

    needed("dash")
    place = Place(tmp_path, str(tmp_path / "root"), str(tmp_path / "bin"))
    for what, name in (("3.13.1", ONE), ("3.12.8", OTHER)):
        fakes.write(fakes.fake(what), Path(place.root) / name)
    (Path(place.root) / "cpython-3.13").symlink_to(ONE)
    shims = tmp_path / "shims"
    shims.mkdir()
    for name in (*TOOLS, *UNPACKING, "sh", "env", "test", "true", "echo"):
        (shims / name).write_text(f'#!/bin/sh\necho {name} >>{tmp_path}/log\nexec /bin/{name} "$@"\n')
        (shims / name).chmod(0o755)
    hook = tmp_path / "hook"
    hook.write_text(f"echo python3 $1 $2 >>{tmp_path}/log\n")
    place.environment.update(PATH=str(shims), FAKE_HOOK=str(hook))
    done = place.run(SHELLS[0], sh.observation(declare({"builds": [], "root": place.root}), facts="no", quick=True))
    assert not any(build.problem for build in parse(done.output).installed)
    assert sorted((tmp_path / "log").read_text().split("\n")[:-1]) == ["ls", "python3 -I -V", "python3 -I -V"]
