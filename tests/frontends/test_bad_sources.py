# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and sources that come to nothing, as a user of the Ansible module meets them: one sentence each, and nothing is sent."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.support import (
    AS_IT_WAS,
    LATER13,
    OLD12,
    OLD13,
    TRIPLE,
    aliases,
    as_it_was,
    attempts,
    name,
    play,
    reads,
    task,
    told,
)
from tests.tools.hosts import Host
from tests.tools.playbook import Run, TaskResult, run_play
from tests.tools.sources import NEWER, OLD, lay_out
from tests.tools.web import PAGE, TOKEN, Web, serve

pytestmark = pytest.mark.xdist_group("hosts")

FILE12 = f"{name(OLD12)}.tar.gz"
FILE13 = f"{name(LATER13)}.tar.gz"
NOWHERE = "http://127.0.0.1:1/builds"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hostile(to: Path, *members: tarfile.TarInfo) -> Path:
    """An archive laid out as a build, with these members beside an interpreter."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(to, "w:gz", compresslevel=1) as archive:
        for path in ("python/bin/python3", "python/bin/python3.13"):
            member = tarfile.TarInfo(path)
            member.size, member.mode = 9, 0o755
            archive.addfile(member, BytesIO(b"#!/bin/sh"))
        for member in members:
            archive.addfile(member, BytesIO(b"x" * member.size))
    with (to.parent / "SHA256SUMS").open("a") as sums:
        sums.write(f"{sha256(to)}  {to.name}\n")
    return to


def member(path: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


# What must not be in an archive.
HOSTILE: Mapping[str, tarfile.TarInfo] = {
    "absolute": member("/etc/cron.d/evil"),
    "climbing": member("python/../../etc/evil"),
    "link": member("python/lib/out", tarfile.SYMTYPE, "../../../etc"),
    "device": member("python/lib/memory", tarfile.CHRTYPE),
    "setuid": member("python/bin/su", mode=0o4755),
    "twice": member("python/bin/python3"),
}


@dataclass(frozen=True)
class Refused:
    """What was asked of a host in vain, and what came of it."""

    run: Run
    results: Mapping[str, TaskResult]
    texts: Mapping[str, str] = field(default_factory=dict)

    def says(self, case: str, sentence: str) -> None:
        for key, text in {**self.texts, "FILE12": FILE12, "FILE13": FILE13}.items():
            sentence = sentence.replace(f"<{key}>", text)
        reads(told(self.run, self.results[case]), sentence)


@pytest.fixture(scope="module")
def refused(
    fleet: Mapping[str, Host], source: Path, catalogue: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Refused]:
    """Declarations that come to nothing because of where the build comes from, pushed to the busybox host all at once."""
    folder = tmp_path_factory.mktemp("refused")
    altered = folder / "altered"
    original = source / NEWER / FILE13
    damaged = lay_out(altered, original.resolve(), copy=True)
    with damaged.open("r+b") as file:
        file.seek(1000)
        file.write(b"altered")
    short = lay_out(folder / "short", original.resolve(), copy=True)
    os.truncate(short, 100_000)
    for case, bad in HOSTILE.items():
        hostile(folder / "hostile" / case / OLD / f"{name(OLD13)}.tar.gz", bad)
    with serve(source) as web:
        one = {"builds": [OLD12], "catalogue": str(catalogue)}
        declared: dict[str, dict[str, Any]] = {
            "no-build": {"builds": ["3.9"], "source": str(source)},
            "no-release": {"builds": ["3.12.1+20200101"], "source": str(source)},
            "no-flavor": {"builds": [{"version": "3.12", "flavor": "full"}], "source": str(source)},
            "no-prerelease": {"builds": ["3.14-dev"], "source": str(source)},
            "unreadable": {"builds": ["three point thirteen"], "source": str(source)},
            "altered": {"builds": ["3.13"], "source": str(altered)},
            "short": {"builds": ["3.13"], "source": str(short.parents[1])},
            "wrong-checksum": {"builds": ["3.13"], "source": str(original), "checksum": "0" * 64},
            "cut": {**one, "source": web.url("cut")},
            "page": {**one, "source": web.url("page")},
            "absent": {**one, "source": web.url("nothing/here")},
            "forbidden": {**one, "source": web.url("status-403")},
            "too-many": {**one, "source": web.url("status-429")},
            "broken": {**one, "source": web.url("status-502")},
            "unreachable": {**one, "source": NOWHERE},
            "no-folder": {"builds": ["3.13"], "source": str(folder / "nothing")},
            "no-archive": {"builds": ["3.13"], "source": str(folder / "nothing" / FILE13)},
            "pull-of-a-folder": {"builds": ["3.13"], "source": str(source), "delivery": "pull"},
            **{f"hostile-{case}": {"builds": ["3.13"], "source": str(folder / "hostile" / case)} for case in HOSTILE},
        }
        with as_it_was(fleet["busybox"]):
            declared = {case: {"root": f"/srv/{case}", **options} for case, options in declared.items()}
            run, results = attempts(declared, aliases(fleet["busybox"], declared), tmp_path_factory.mktemp("caches"))
        texts = {
            "source": str(source),
            "folder": str(folder),
            "url": web.url(""),
            "path12": f"{OLD}/{FILE12.replace('+', '%2B')}",
            "sha256": sha256(original),
            "sha256 altered": sha256(damaged),
            "sha256 short": sha256(short),
        }
        yield Refused(run, results, texts)


GLIBC = "x86_64 linux, glibc 2.… in the folder <source>"
PLAIN = "(x86_64-unknown-linux-gnu, install_only_stripped)"
NOT_PROMISED = "the archive <FILE13> has the wrong checksum: its SHA-256 should be "
FETCHED = "<FILE12> could not be downloaded: "
REFUSED: Mapping[str, str] = {
    "unreadable": "the request 'three point thirteen' can't be read, 'three point thirteen' is not a version: write one like …",
    "no-build": f"no build of 3.9 for {GLIBC}: it has no version 3.9; nearest is 3.12.1+20250115 {PLAIN}",
    "no-release": f"no build of 3.12.1+20200101 for {GLIBC}: release 20200101 doesn't have it; "
    f"nearest is 3.12.1+20250115 {PLAIN}",
    "no-flavor": f"no build of 3.12+full for {GLIBC}: it exists only as install_only_stripped; "
    f"nearest is 3.12.1+20250115 {PLAIN}",
    "no-prerelease": f"no build of 3.14-dev for {GLIBC}: it has no version 3.14; nearest is 3.13.4+20250409 {PLAIN}",
    "altered": f"{NOT_PROMISED}<sha256> and is <sha256 altered>; download it again, or correct the checksum",
    "short": f"{NOT_PROMISED}<sha256> and is <sha256 short>; download it again, or correct the checksum",
    "wrong-checksum": f"{NOT_PROMISED}{'0' * 64} and is <sha256>; download it again, or correct the checksum",
    "cut": f"{FETCHED}<url>cut/<path12> broke off in the middle (tried 5 times); check the network and the proxy, …",
    "page": f"{FETCHED}<url>page/<path12> sent an HTML page where an archive was expected; check what the server or …",
    "absent": f"{FETCHED}<url>nothing/here/<path12> answered 404 Not Found; check the release, and that the source has …",
    "forbidden": f"{FETCHED}<url>status-403/<path12> answered 403 Forbidden (tried 5 times); check the token …",
    "too-many": f"{FETCHED}<url>status-429/<path12> answered 429 Too Many Requests (tried 5 times); try again later",
    "broken": f"{FETCHED}<url>status-502/<path12> answered 502 Bad Gateway (tried 5 times); try again later, or …",
    "unreachable": f"{FETCHED}{NOWHERE}/<path12> could not be reached: Connection refused (tried 5 times); check the network …",
    "no-folder": "'<folder>/nothing' is not a valid source: it must be 'upstream', an http(s) URL, an existing folder …",
    "no-archive": "the archive <folder>/nothing/<FILE13> does not exist: put it there, or choose another source",
    "pull-of-a-folder": "delivery is pull and the source <source> is on the controller, where no host can fetch it: "
    "use delivery: push, or a source that is an http(s) URL",
    **{
        f"hostile-{case}": f"the archive {name(OLD13)}.tar.gz is refused: it… '{bad.name}'…; download it again from upstream"
        for case, bad in HOSTILE.items()
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_sent(case: str, refused: Refused) -> None:
    refused.says(case, REFUSED[case])


def test_every_refusal_is_looked_at(refused: Refused) -> None:
    assert refused.results.keys() == REFUSED.keys()


def test_a_server_that_recovers(fleet: Mapping[str, Host], catalogue: Path, web: Web, tmp_path: Path) -> None:
    """What a busy server refuses twice it is asked a third time, by the controller and by a host's curl."""
    codes = (403, 429, 503)
    one = {"builds": [OLD12], "catalogue": str(catalogue)}
    declared: dict[str, dict[str, Any]] = {f"push-{code}": {**one, "source": web.url(f"first-{code}")} for code in codes}
    declared["pull-502"] = {**one, "source": web.url("first-502"), "delivery": "pull"}
    declared = {case: {"root": str(tmp_path / case), **options} for case, options in declared.items()}
    run, results = attempts(declared, aliases(fleet["macish"], declared), tmp_path / "caches")
    assert [result.kind for result in results.values()] == ["ok"] * len(declared), run.output
    assert [web.count(f"first-{code}") for code in (*codes, 502)] == [3, 3, 3, 3]


PULLED: Mapping[str, str] = {
    "absent": "downloading <name> failed: the host could not download it (<url>nothing/here/<path12>: curl: (22) …404…): let it reach …",
    "page": "unpacking <name> failed: the archive on the host has the sha256 <sha256 page>, where <sha256> was expected: run again…",
    "altered": "unpacking <name> failed: the archive on the host has the sha256 <sha256>, where <sha256 altered> was expected: …",
}


def test_refused_by_the_host_that_pulls(
    fleet: Mapping[str, Host], source: Path, catalogue: Path, web: Web, tmp_path: Path
) -> None:
    """As above, where the host looks at what it has downloaded itself."""
    digest = sha256(source / OLD / FILE12)
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text(f"{OLD}\t{FILE12}\t{'0' * 64}\n")
    one = {"builds": [OLD12], "catalogue": str(catalogue), "delivery": "pull"}
    declared: dict[str, dict[str, Any]] = {
        "absent": {**one, "source": web.url("nothing/here")},
        "page": {**one, "source": web.url("page")},
        "altered": {**one, "source": web.url(), "catalogue": str(wrong)},
    }
    # Not in a folder that one of them makes and another finds.
    declared = {case: {"root": f"/{case}", **options} for case, options in declared.items()}
    with as_it_was(fleet["macish"], exactly=True):
        run, results = attempts(declared, aliases(fleet["macish"], declared))
    refused = Refused(
        run,
        results,
        {
            "name": name(OLD12),
            "url": web.url(""),
            "path12": f"{OLD}/{FILE12.replace('+', '%2B')}",
            "sha256": digest,
            "sha256 page": hashlib.sha256(PAGE).hexdigest(),
            "sha256 altered": "0" * 64,
        },
    )
    for case, sentence in PULLED.items():
        refused.says(case, f"{sentence}{AS_IT_WAS}")


def test_without_network_what_is_there_is_enough(
    fleet: Mapping[str, Host], source: Path, catalogue: Path, tmp_path: Path
) -> None:
    host, root = fleet["busybox"], str(tmp_path / "root")
    there = {"builds": ["3.12", {"version": "3.13", "default": True}], "root": root}
    assert play(host, task(**there, source=str(source))).of().result["changed"]
    cache = {"STANDALONE_PYTHON_CACHE": str(tmp_path / "empty")}
    with as_it_was(host):
        run = play(
            host,
            task(**there, source=NOWHERE, catalogue=f"{NOWHERE}/rows.tsv"),
            task(**there, source=str(tmp_path / "nothing")),
            environment=cache,
        )
    assert [(result.kind, result.result.get("changed")) for result in run.results] == [("ok", False)] * 2, run.output
    assert not (tmp_path / "empty").exists()


def test_the_lookup_for_another_kind_of_host(source: Path) -> None:
    """The bundled catalogue has it and asks nobody; the folder has not."""
    call = "lookup('standalone.python.build', '3.13.1+20250115', target='armv7-unknown-linux-gnueabihf'"
    run = run_play(
        [
            {"ansible.builtin.debug": {"msg": f"{{{{ {call}) }}}}"}},
            {"ansible.builtin.debug": {"msg": f"{{{{ {call}, source=source) }}}}"}},
        ],
        play={"vars": {"source": str(source)}},
    )
    found, refused = run.results
    file = "cpython-3.13.1+20250115-armv7-unknown-linux-gnueabihf-install_only_stripped.tar.gz"
    assert found.result["msg"] == {
        "filename": file,
        "url": f"https://github.com/astral-sh/python-build-standalone/releases/download/20250115/{file.replace('+', '%2B')}",
        "sha256": "6e7b1ae187baf64faeaca980ff77d3d8477dbf05eb5eaa8d3f0c49bda579a610",
        "version": "3.13.1",
        "release": "20250115",
        "target": "armv7-unknown-linux-gnueabihf",
        "flavor": "install_only_stripped",
    }
    assert refused.kind == "failed", run.output
    assert refused.message.endswith(
        f"no build of 3.13.1+20250115 for armv7 linux, glibc, hard float in the folder {source}: it has no version 3.13.1"
    ), refused.message


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ("'3.13', ['3.12', '3.13.0']", ["3.13.4", "3.12.1", "3.13.0"]),
        ("3.13", ["3.13.4"]),
        ("{'version': '3.13', 'release': '20250115'}", ["3.13.0"]),
        ("3.1", "the version is the number 3.1, as YAML and Python read 3.10 without quotes: write '3.10' in quotes"),
        ("[none]", "None is not a valid request: write a text such as '3.13' or a mapping with version: '3.13'"),
    ],
)
def test_what_the_lookup_takes(terms: str, said: str | list[str], source: Path) -> None:
    """What the module takes as one of its builds, and lists of that."""
    call = f"query('standalone.python.build', {terms}, target='{TRIPLE}', source=source) | map(attribute='version')"
    run = run_play([{"ansible.builtin.debug": {"msg": f"{{{{ {call} }}}}"}}], play={"vars": {"source": str(source)}})
    assert run.of().message.endswith(said) if isinstance(said, str) else run.of().result["msg"] == said, run.output


def test_the_lookup_of_a_mirror_with_a_token(catalogue: Path, web: Web, tmp_path: Path) -> None:
    """The catalogue names the file, and what says its checksum wants the token."""
    rows = tmp_path / "rows.tsv"
    rows.write_text(re.sub(r"\t[0-9a-f]{64}", "\t-", catalogue.read_text()))
    call = "lookup('standalone.python.build', '3.12', target=triple, source=source, token=token, catalogue=catalogue)"
    variables = {"triple": TRIPLE, "source": web.url("token"), "token": TOKEN, "catalogue": str(rows)}
    run = run_play(
        [{"ansible.builtin.debug": {"msg": f"{{{{ {call} }}}}"}}],
        play={"vars": variables},
        environment={"STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")},
    )
    assert run.of().result["msg"]["filename"] == FILE12, run.output
    assert TOKEN not in run.output


def test_what_can_not_be_fetched_has_a_name(catalogue: Path, tmp_path: Path) -> None:
    """A release's SHA256SUMS, or a catalogue, is named as people know it and not as the cache calls it."""
    rows = tmp_path / "rows.tsv"
    rows.write_text(f"{OLD}\t{FILE12}\t-\n")
    run = run_play(
        [
            task(builds=["3.12"], source=NOWHERE, catalogue=str(rows), root=str(tmp_path / "root")),
            task(builds=["3.12"], source=NOWHERE, catalogue=f"{NOWHERE}/rows.tsv", root=str(tmp_path / "root")),
        ],
        play={"ignore_errors": True},
        environment={"STANDALONE_PYTHON_CACHE": str(tmp_path / "cache")},
    )
    messages = sorted({told(run, result) for result in run.results})
    tried = "could not be reached: Connection refused (tried 5 times); check the network and the proxy, …"
    reads(messages[0], f"SHA256SUMS could not be downloaded: {NOWHERE}/{OLD}/SHA256SUMS {tried}")
    reads(messages[1], f"rows.tsv could not be downloaded: {NOWHERE}/rows.tsv {tried}")
