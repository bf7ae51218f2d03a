# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the script for hosts without a controller: what it contains, how large it is, and what can't be made."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
from base64 import encodebytes
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.script import Archives, Origin, short_script
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import UPSTREAM, urls
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, builds, bundled, resolve
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import Request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import LEVEL_FLAGS, from_facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.script import builds_of, kinds_of, make
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare

LINUX, MUSL, MAC, WINDOWS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
ORIGIN = Origin("standalone-python 0", "standalone-python script python.yml", "python.lock.json", "0" * 64)


class Bundled:
    """The builds of the bundled catalogue, as a lock file has them."""

    token_for_hosts = ""

    def resolve(self, request: Request, facts: Mapping[str, str], current: Build | None = None) -> Build:
        return resolve(request, from_facts(facts), bundled())

    def known_builds(self, triples: Iterable[str]) -> Iterable[Build]:
        return builds(bundled(), triples=triples)

    def payload(self, build: Build, *, zstd: bool) -> Any:
        raise AssertionError(build)

    def urls(self, build: Build) -> tuple[str, ...]:
        return urls(UPSTREAM, build)

    def sha256(self, build: Build) -> str:
        return build.sha256 or hashlib.sha256(build.filename.encode()).hexdigest()

    def shown_url(self, build: Build) -> str:
        return urls(UPSTREAM, build)[0]

    def attested(self, build: Build) -> str:
        return "no"

    def published(self, build: Build, bases: Iterable[Build]) -> None:
        return None

    def assumption(self, builds: Iterable[Build]) -> str:
        return ""


@cache
def of_three() -> str:
    return script(LINUX, MUSL, MAC)


def script(*triples: str, archives: Archives | None = None, **options: Any) -> str:
    windows = WINDOWS in triples
    desired = declare({"builds": ["3.13"], "lockfile": "python.lock.json", **options}, windows=windows)
    return make(desired, Bundled(), kinds_of(desired, Bundled(), triples), ORIGIN, archives)


def user_data(text: str) -> int:
    """The size of `gzip -9 | base64`."""
    return len(encodebytes(gzip.compress(text.encode(), 9, mtime=0)))


def choose(text: str, facts: str, glibc: str = "", flags: str = "") -> str:
    """Return the triple and the number of the kind that the script chooses for a host."""
    functions = text.rpartition("main ")[0]
    called = f"kind=\ntriple=\nchoose_kind '{facts}' '{glibc}' ' {flags} '\nprintf %s \"$kind $triple\"\n"
    done = subprocess.run(["sh", "-s"], input=functions + called, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_it_contains() -> None:
    text = of_three()
    assert text == script(LINUX, MUSL, MAC)
    head = text.partition("\nroot=")[0]
    for said in (LINUX, MUSL, MAC, ORIGIN.tool, ORIGIN.command, ORIGIN.sha256, "in /opt/python"):
        assert said in head
    desired = declare({"builds": ["3.13"], "lockfile": "python.lock.json"})
    builds = builds_of(kinds_of(desired, Bundled(), (LINUX, MUSL, MAC)))
    assert len(builds) == 3
    for build in builds:
        assert Bundled().sha256(build) in text
    assert text.endswith('\nmain "$@"\n')
    assert not re.search("def set_install_names", text), "it has a part that no build needs"


def test_size() -> None:
    """A script for one target; each further target costs little, as the agents are in it once."""
    one, three = user_data(script(LINUX)), user_data(of_three())
    assert one < 52_000
    assert three - one < 3_000


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"certificates": "system", "compile_bytecode": True, "owner": "root", "mode": "0750", "force": True},
        {"builds": ["3.13+auto", "3.12"], "root": "/srv/it's $HOME", "externally_managed": False},
    ],
    ids=["plain", "options", "levels"],
)
def test_shellcheck(options: Mapping[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "install-python.sh"
    path.write_text(script(LINUX, MUSL if "certificates" not in options else MAC, **options))
    short = tmp_path / "short.sh"
    short.write_text(short_script("https://mirror.example.org/python/install-python.sh", b"", ORIGIN))
    done = subprocess.run([Path(sys.executable).with_name("shellcheck"), path, short], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


V3 = " ".join(sorted(LEVEL_FLAGS[0][1] | LEVEL_FLAGS[1][1]))
HOSTS = (
    ("Linux,x86_64,glibc,", "2.36", "", f"1 {LINUX}"),
    ("Linux,x86_64,glibc,", "2.16", "", ""),
    ("Linux,x86_64,glibc,", "", "", f"1 {LINUX}"),
    ("Linux,x86_64,musl,", "", "", ""),
    ("Linux,aarch64,musl,", "", "", f"2 {MUSL}"),
    ("Darwin,arm64,,", "", "", f"3 {MAC}"),
    ("Darwin,x86_64,,", "", "", ""),
    ("FreeBSD,amd64,,", "", "", ""),
)


@pytest.mark.parametrize(("facts", "glibc", "flags", "chosen"), HOSTS)
def test_the_kind_of_a_host(facts: str, glibc: str, flags: str, chosen: str) -> None:
    assert choose(of_three(), facts, glibc, flags) == chosen


def test_the_level_of_a_cpu() -> None:
    text = script(LINUX, builds=["3.13+auto"])
    chosen = {flags: choose(text, "Linux,x86_64,glibc,", "2.36", flags) for flags in ("", V3)}
    assert chosen == {"": f"1 {LINUX}", V3: f"3 {LINUX}"}
    only = script(LINUX, builds=["3.13+v3"])
    assert [choose(only, "Linux,x86_64,glibc,", "2.36", flags) for flags in ("", V3)] == ["", f"1 {LINUX}"]


REFUSALS: Sequence[tuple[Sequence[str], Mapping[str, Any], str]] = (
    ((), {}, "no kind of host is given: name each with --target"),
    ((LINUX,), {"lockfile": None, "state": "latest"}, "a script installs exactly the builds of a lock file, and none is given"),
    ((LINUX, WINDOWS), {}, "so no script is for both: make one for each"),
    ((WINDOWS, LINUX), {}, "so no script is for both: make one for each"),
    (("x86_64-linux",), {}, "unknown target"),
    ((LINUX,), {"token": "secret"}, "the declaration has token, which a script can't have"),
    ((LINUX,), {"source": "https://user:secret@example.org/builds"}, "the declaration has token, which a script can't have"),
    ((LINUX,), {"verify": "full"}, "leave verify: full out"),
    ((LINUX,), {"root": "/opt\n/python"}, "root is "),
    (("s390x-unknown-linux-musl",), {}, "no build"),
)


@pytest.mark.parametrize(("triples", "options", "says"), REFUSALS, ids=lambda value: str(value)[:40])
def test_refusals(triples: Sequence[str], options: Mapping[str, Any], says: str) -> None:
    with pytest.raises(StandalonePythonError, match=re.escape(says)) as refused:
        script(*triples, **options)
    assert "secret" not in str(refused.value)


def test_where_16_kilobytes_fit() -> None:
    """The user-data of Amazon EC2. The whole script is what the short one downloads and verifies."""
    short = short_script("https://mirror.example.org/python/install-python.sh", b"the script", ORIGIN)
    assert user_data(short) < 16 * 1024 / 4
    assert hashlib.sha256(b"the script").hexdigest() in short
    assert ORIGIN.command in short


def test_for_powershell() -> None:
    text = script(WINDOWS, builds=[{"version": "3.13", "default": True}], add_to_path=True)
    assert text == script(WINDOWS, builds=[{"version": "3.13", "default": True}], add_to_path=True)
    head, _param, rest = text.partition("\nparam(")
    for said in (WINDOWS, ORIGIN.command, ORIGIN.sha256, "-File FILE -Help"):
        assert said in head
    for called in ("Set-StableLink 'cpython-3.13' ", "Set-InBin 'python3.cmd' 'cpython-3.13/python.exe'", "Set-InPath"):
        assert called in rest
    assert re.search("^Set-Registered '3.13' '3[.]13[.][0-9]+' '64bit' 'cpython-3.13/python.exe'$", rest, re.MULTILINE)
    assert text.endswith("\nInvoke-Main $options\n")
    with pytest.raises(StandalonePythonError, match="--self-extracting is for shell scripts only"):
        script(WINDOWS, archives=Archives(embedded=True))


def test_one_build_in_a_script() -> None:
    embedded = Archives(embedded=True)
    text = script(LINUX, archives=embedded)
    assert f"embedded={len(text.encode()) + 1:08}" in text
    with pytest.raises(StandalonePythonError, match="--self-extracting takes one build into the script, and 2 are declared"):
        script(LINUX, MAC, archives=embedded)
