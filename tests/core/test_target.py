# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets: what facts and triples say, which triples can run there, and why others can't."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds import catalogue
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import (
    LEVEL_FLAGS,
    TRIPLES,
    Target,
    candidates,
    cpu_level,
    from_facts,
    misfit,
    named_target,
    parse_triple,
    to_facts,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    DeclarationError,
    NoBuildError,
    ObservationError,
)

# /proc/cpuinfo of a machine of each level, shortened to what is of interest and something that isn't.
V2 = "fpu sse sse2 cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = f"{V2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni"
# macOS' sysctl, as observe.sh prints it.
MACOS = "fpu sse3 cx16 ssse3 sse4.1 sse4.2 popcnt osxsave avx1.0 f16c fma movbe bmi1 avx2 bmi2 lahf lzcnt syscall"

GLIBC = {"os": "Linux", "libc": "glibc", "libc_version": "2.36"}


@pytest.mark.parametrize(
    ("facts", "expected", "triple", "words"),
    [
        (
            GLIBC | {"arch": "x86_64", "cpu_flags": V3},
            Target("linux", "x86_64", "gnu", (2, 36), 3),
            "x86_64-unknown-linux-gnu",
            "x86_64 linux, glibc 2.36",
        ),
        (
            {"os": "Linux", "arch": "x86_64", "libc": "musl", "cpu_flags": "fpu"},
            Target("linux", "x86_64", "musl"),
            "x86_64-unknown-linux-musl",
            "x86_64 linux, musl",
        ),
        (
            {"os": "Linux", "arch": "aarch64", "libc": "musl", "libc_version": "1.2.5", "cpu_flags": V4},
            Target("linux", "aarch64", "musl", (1, 2)),
            "aarch64-unknown-linux-musl",
            "aarch64 linux, musl 1.2",
        ),
        (
            GLIBC | {"arch": "armv7l", "float_abi": "hard"},
            Target("linux", "armv7", "gnueabihf", (2, 36)),
            "armv7-unknown-linux-gnueabihf",
            "armv7 linux, glibc 2.36, hard float",
        ),
        (
            GLIBC | {"arch": "armv7l", "float_abi": "soft"},
            Target("linux", "armv7", "gnueabi", (2, 36)),
            "armv7-unknown-linux-gnueabi",
            "armv7 linux, glibc 2.36, soft float",
        ),
        (
            {"os": "Linux", "arch": "armv7l", "libc": "musl"},
            Target("linux", "armv7", "musl"),
            "armv7-unknown-linux-musleabihf",
            "armv7 linux, musl",
        ),
        (
            GLIBC | {"arch": "i686", "cpu_flags": V3},
            Target("linux", "i686", "gnu", (2, 36)),
            "i686-unknown-linux-gnu",
            "i686 linux, glibc 2.36",
        ),
        (
            GLIBC | {"arch": "riscv64", "libc_version": "2.40-dev"},
            Target("linux", "riscv64", "gnu", (2, 40)),
            "riscv64-unknown-linux-gnu",
            "riscv64 linux, glibc 2.40",
        ),
        (
            {"os": "Linux", "arch": "x86_64", "libc": "", "libc_version": ""},
            Target("linux", "x86_64"),
            "x86_64-unknown-linux",
            "x86_64 linux, unknown C library",
        ),
        (
            {"os": "Darwin", "arch": "arm64", "libc": "", "cpu_flags": ""},
            Target("darwin", "aarch64"),
            "aarch64-apple-darwin",
            "aarch64 macOS",
        ),
        (
            {"os": "Darwin", "arch": "x86_64", "cpu_flags": MACOS},
            Target("darwin", "x86_64", level=3),
            "x86_64-apple-darwin",
            "x86_64 macOS",
        ),
        (
            {"os": "Windows_NT", "arch": "AMD64"},
            Target("windows", "x86_64"),
            "x86_64-pc-windows-msvc",
            "x86_64 Windows",
        ),
        (
            {"os": "windows", "arch": "x86"},
            Target("windows", "i686"),
            "i686-pc-windows-msvc",
            "i686 Windows",
        ),
    ],
)
def test_facts(facts: dict[str, str], expected: Target, triple: str, words: str) -> None:
    target = from_facts(facts)
    assert target == expected
    assert target.triple == triple
    assert str(target) == words


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "the host's system is '': builds exist for Linux, macOS and Windows only"),
        (
            {"os": "FreeBSD", "arch": "amd64"},
            "the host's system is 'FreeBSD': builds exist for Linux, macOS and Windows only",
        ),
        (
            {"os": "MINGW64_NT-10.0-19045", "arch": "x86_64"},
            (
                "the host's system is 'MINGW64_NT-10.0-19045', a POSIX shell on Windows: manage Windows hosts with "
                "Ansible and PowerShell (ansible_shell_type: powershell)"
            ),
        ),
        (
            GLIBC | {"arch": "vax"},
            "the host's architecture is 'vax', which is unknown: please report it",
        ),
        (
            GLIBC | {"arch": "x86_64", "libc": "uclibc"},
            "the host's C library is 'uclibc': builds exist for glibc and musl only",
        ),
        (
            GLIBC | {"arch": "x86_64", "libc_version": "new"},
            "the host's C library has the version 'new', which is not valid: please report it",
        ),
        (
            GLIBC | {"arch": "armv7l"},
            "the host is armv7 with glibc, and its float ABI is '' instead of hard or soft: please report it",
        ),
    ],
)
def test_facts_that_cannot_be_read(facts: dict[str, str], message: str) -> None:
    with pytest.raises(ObservationError) as caught:
        from_facts(facts)
    assert str(caught.value) == message


@given(
    st.dictionaries(
        st.sampled_from(["os", "arch", "libc", "libc_version", "float_abi", "cpu_flags"]),
        st.text() | st.sampled_from(["Linux", "x86_64", "armv7l", "glibc", "musl", "2.36", "hard"]),
    )
)
def test_any_facts_are_a_target_or_an_observation_error(facts: dict[str, str]) -> None:
    try:
        target = from_facts(facts)
    except ObservationError as error:
        message = str(error)
    else:
        message = "read"
        assert target.triple == candidates(target)[0]
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(("flags", "level"), [("", 1), ("fpu sse2", 1), (V2, 2), (V3, 3), (V4, 4), (MACOS, 3)])
def test_cpu_level(flags: str, level: int) -> None:
    assert cpu_level(flags) == level
    assert cpu_level(flags.upper()) == level


@pytest.mark.parametrize("flag", sorted(set.union(*(set(flags) for _, flags in LEVEL_FLAGS))))
def test_a_level_needs_each_of_its_flags_and_the_level_below(flag: str) -> None:
    own = next(level for level, flags in LEVEL_FLAGS if flag in flags)
    assert cpu_level(" ".join(word for word in V4.split() if word != flag)) == own - 1


@pytest.mark.parametrize("text", sorted({build.triple for build in catalogue.builds(catalogue.bundled())}))
def test_every_triple_of_the_catalogue_is_a_target(text: str) -> None:
    target = parse_triple(text)
    assert candidates(target, f"v{target.level}" if target.level > 1 else "") == (text,)
    assert misfit(target, text) == ""


def test_the_table_of_triples_is_that_of_the_catalogue() -> None:
    assert sorted(TRIPLES) == sorted({build.triple for build in catalogue.builds(catalogue.bundled())})


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("", ""),
        ("x86", ""),
        ("linux64", ""),
        ("x86_64-linux-gnu", "x86_64-unknown-linux-gnu"),
        ("x86_64_v5-unknown-linux-gnu", "x86_64_v4-unknown-linux-gnu"),
        ("aarch64_v3-unknown-linux-gnu", "aarch64-unknown-linux-gnu"),
        ("x86_64-unknown-linux", "x86_64-unknown-linux-gnu"),
        ("X86_64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"),
        ("x86_64-windows-msvc", "x86_64-pc-windows-msvc"),
    ],
)
def test_no_triple(text: str, near: str) -> None:
    for parse in (parse_triple, named_target):
        with pytest.raises(DeclarationError) as caught:
            parse(text)
        advice = f"did you mean `{near}`?" if near else "write one like x86_64-unknown-linux-gnu, "
        assert str(caught.value).startswith(f"unknown target `{text}`: {advice}")


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("arm64-apple-darwin", "aarch64-apple-darwin"),
        ("amd64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"),
        ("arch64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
        ("armv7l-unknown-linux-gnueabihf", "armv7-unknown-linux-gnueabihf"),
    ],
)
def test_a_triple_of_an_unknown_architecture_may_come_from_a_catalogue_and_not_from_a_user(text: str, near: str) -> None:
    assert parse_triple(text).triple == text
    with pytest.raises(DeclarationError, match=f"^unknown target `{text}`: did you mean `{near}`[?]$"):
        named_target(text)


def test_candidates() -> None:
    gnu = Target("linux", "x86_64", "gnu", (2, 36), 3)
    assert candidates(gnu) == ("x86_64-unknown-linux-gnu",)
    assert candidates(gnu, "v2") == ("x86_64_v2-unknown-linux-gnu",)
    assert candidates(gnu, "v3") == ("x86_64_v3-unknown-linux-gnu",)
    assert candidates(gnu, "auto") == (
        "x86_64_v3-unknown-linux-gnu",
        "x86_64_v2-unknown-linux-gnu",
        "x86_64-unknown-linux-gnu",
    )
    assert candidates(Target("linux", "x86_64", "musl"), "auto") == ("x86_64-unknown-linux-musl",)
    assert candidates(Target("darwin", "aarch64"), "auto") == ("aarch64-apple-darwin",)


@pytest.mark.parametrize(
    ("target", "level", "message"),
    [
        (
            Target("linux", "x86_64", "gnu", (2, 36), 3),
            "v4",
            (
                "no build at level v4 for x86_64 linux, glibc 2.36: the host's CPU has level v3, "
                "request auto (its highest level) or leave v4 out"
            ),
        ),
        (
            Target("darwin", "aarch64"),
            "v3",
            "no build at level v3 for aarch64 macOS: CPU levels exist for x86_64 only, leave v3 out",
        ),
    ],
)
def test_levels_that_a_target_lacks(target: Target, level: str, message: str) -> None:
    with pytest.raises(NoBuildError) as caught:
        candidates(target, level)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("target", "triple", "reason"),
    [
        (Target("linux", "x86_64", "gnu", (2, 17)), "x86_64-unknown-linux-gnu", ""),
        (Target("linux", "x86_64", "gnu", None), "x86_64-unknown-linux-gnu", ""),
        (Target("linux", "riscv64", "gnu", (2, 28)), "riscv64-unknown-linux-gnu", ""),
        (Target("linux", "x86_64", "musl", (1, 1)), "x86_64-unknown-linux-musl", ""),
        (
            Target("linux", "x86_64", "gnu", (2, 12)),
            "x86_64-unknown-linux-gnu",
            "needs glibc 2.17 or later, and the host has 2.12",
        ),
        (
            Target("linux", "riscv64", "gnu", (2, 27)),
            "riscv64-unknown-linux-gnu",
            "needs glibc 2.28 or later, and the host has 2.27",
        ),
        (
            Target("linux", "x86_64", "gnu", (2, 36)),
            "x86_64-unknown-linux-musl",
            "needs musl, and the host has glibc",
        ),
        (
            Target("linux", "armv7", "gnueabihf", (2, 36)),
            "armv7-unknown-linux-gnueabi",
            "needs glibc with soft float, and the host has glibc with hard float",
        ),
        (
            Target("linux", "x86_64", "gnu", (2, 36), 2),
            "x86_64_v3-unknown-linux-gnu",
            "needs a CPU of level v3, and the host's has v2",
        ),
        (
            Target("linux", "x86_64", "gnu", (2, 36)),
            "aarch64-apple-darwin",
            "is for aarch64 macOS, and the host is x86_64 linux, glibc 2.36",
        ),
        (
            Target("linux", "x86_64"),
            "x86_64-unknown-linux-gnu",
            "needs glibc or musl, and the C library of the host is neither",
        ),
    ],
)
def test_misfit(target: Target, triple: str, reason: str) -> None:
    assert misfit(target, triple) == reason


@pytest.mark.parametrize(
    "triple",
    [
        "x86_64-unknown-linux-gnu",
        "x86_64_v3-unknown-linux-musl",
        "x86_64_v4-unknown-linux-gnu",
        "aarch64-unknown-linux-musl",
        "armv7-unknown-linux-gnueabihf",
        "armv7-unknown-linux-gnueabi",
        "armv7-unknown-linux-musleabihf",
        "s390x-unknown-linux-gnu",
        "aarch64-apple-darwin",
        "x86_64-pc-windows-msvc",
    ],
)
def test_facts_of_a_triple_are_those_of_its_hosts(triple: str) -> None:
    assert from_facts(to_facts(parse_triple(triple))) == parse_triple(triple)


def test_facts_have_the_version_of_the_c_library() -> None:
    target = Target("linux", "x86_64", "gnu", (2, 36), 2)
    assert from_facts(to_facts(target)) == target
