# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock files as values: what is kept, what is found anew, what a host gets of them, and what a person may not do to one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import (
    builds,
    bundled,
    parse_filename,
    resolve,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import canonical, parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import Target, from_facts
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    ContentError,
    DeclarationError,
    NoBuildError,
    TransportError,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock import (
    Lock,
    Locked,
    Slot,
    add_command,
    format_lock,
    locked_build,
    parse_lock,
    read_lock,
    slots,
    write_lock,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.lock_changes import changes, relock, stale
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.supply import Supply
from tests.tools.planning import FACTS

GNU, MUSL, ARM = "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu"
V3_HOST = from_facts(FACTS)
CATALOGUE = bundled()
REQUESTS = (
    "3.9",
    "3.13",
    "3.13t",
    "3.13+debug",
    ">=3.11,<3.13",
    "3.12+v3",
    "3.13+auto",
    "3.12+install_only_stripped",
    "3.15-dev",
    "3.13.17+20261021",
)


@cache
def find(slot: Slot) -> Locked:
    build = resolve(slot.request, slot.host, CATALOGUE)
    url = f"https://mirror.example.com/{build.release}/{build.filename}"
    return Locked(*slot.key, replace(build, sha256=build.sha256 or "ab" * 32), url, 1000 + len(build.filename))


def refuse(slot: Slot) -> Locked:
    raise AssertionError(f"{slot.key} was looked for, and it is locked")


def locked(*requests: str, targets: tuple[str, ...] = (GNU,)) -> Lock:
    return relock(Lock(declaration="pythons.yml"), slots(map(parse_request, requests), targets), find)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    requests = draw(st.lists(st.sampled_from(REQUESTS), unique=True, max_size=5))
    targets = draw(st.lists(st.sampled_from((GNU, MUSL)), unique=True, min_size=1))
    entries = locked(*requests, targets=tuple(targets)).builds
    sizes = draw(st.lists(st.none() | st.integers(1, 1 << 30), min_size=len(entries), max_size=len(entries)))
    tars = draw(
        st.lists(st.sampled_from(("", f"1:{'ab' * 32}", f"12:{'cd' * 32}")), min_size=len(entries), max_size=len(entries))
    )
    sized = [replace(entry, size=size, tar=tar) for entry, size, tar in zip(entries, sizes, tars, strict=True)]
    return Lock(tuple(sized), *draw(st.sampled_from((("", ""), ("pythons.yml", ""), ("../group_vars/all ä.yml", "pythons")))))


# The text.


@given(locks())
def test_what_is_written_is_read(lock: Lock) -> None:
    assert parse_lock(format_lock(lock), "python.lock.json") == lock


@given(locks(), st.randoms())
def test_the_order_of_entries_is_always_the_same(lock: Lock, random: Any) -> None:
    shuffled = list(lock.builds)
    random.shuffle(shuffled)
    assert format_lock(replace(lock, builds=tuple(shuffled))) == format_lock(lock)


def test_the_text_is_made_for_a_diff() -> None:
    """What changes with a build is at the end of its entry, and what tells which one it is is right above."""
    text = format_lock(locked("3.9", "3.13"))
    assert [line.split('"')[1] for line in text.splitlines()[5:13] if '"' in line] == [
        *("request", "target", "release", "file", "url", "sha256", "size"),
    ]
    assert text.index('"3.9"') < text.index('"3.13"')
    assert text.endswith("}\n")
    assert "standalone-python lock" in text.splitlines()[1]


def test_older_versions_read_a_lock_without_sums_and_say_what_to_do_about_another() -> None:
    """They read the format 1 only, and of another one they say `use the version that made it`."""
    lock = locked("3.9", "3.13")
    assert json.loads(format_lock(lock))["lock"] == 1
    summed = replace(lock, builds=(replace(lock.builds[0], tar=f"1:{'ab' * 32}"), lock.builds[1]))
    data = json.loads(format_lock(summed))
    assert (data["lock"], [list(entry)[-1] for entry in data["builds"]]) == (2, ["tar", "size"])
    # The last sum went with its entry, by hand.
    del data["builds"][0]
    assert parse_lock(json.dumps(data), "l") == replace(lock, builds=lock.builds[1:])


# What a request is.


@pytest.mark.parametrize(
    ("texts", "one"),
    [
        (("3.13", "cpython-3.13", "cpython@3.13", " Python 3.13 "), "3.13"),
        (("3.13t", "3.13+freethreaded", "cpython-3.13t"), "3.13+freethreaded"),
        (("3.13td", "3.13+debug+freethreaded"), "3.13+freethreaded+debug"),
        ((">=3.12,<3.14", "<3.14, >= 3.12", ">=3.12,<3.14,>=3.12"), ">=3.12,<3.14"),
        (("3.16-dev", "cpython-3.16-dev"), "3.16-dev"),
        (("3.16a2", "3.16.0a2"), "3.16.0a2"),
        (("cpython", "python"), "cpython"),
        (("3.13+install_only+v3+20250115", "3.13+20250115+install_only+v3"), "3.13+v3+20250115+install_only"),
    ],
)
def test_one_text_for_all_that_mean_the_same(texts: tuple[str, ...], one: str) -> None:
    assert {canonical(parse_request(text)) for text in texts} == {one}


@given(
    st.sampled_from(
        ("3", "3.13", "3.13.1", "3.16-dev", "3.16.0a2", ">=3.12,<3.14", "~=3.13.0", "!=3.13.1,>=3.14.0rc1", "cpython")
    ),
    st.lists(st.sampled_from(("debug", "freethreaded", "static", "v3", "20250115", "full")), unique=True),
)
def test_the_canonical_text_means_the_same_request(version: str, parts: list[str]) -> None:
    request = parse_request("+".join((version, *parts)))
    again = parse_request(canonical(request))
    in_order = canonical(request).partition("+")[0]
    assert replace(again, text="", version="") == replace(request, text="", version="")
    assert sorted(again.version.split(",")) == sorted(request.version.split(","))
    assert canonical(again) == canonical(request)
    assert in_order


# What is kept and what is found.


@given(locks())
def test_what_is_locked_stays(lock: Lock) -> None:
    wanted = [Slot(parse_request(entry.request), entry.target) for entry in lock.builds]
    assert relock(lock, wanted, refuse) == lock
    assert stale(lock, wanted) == ((), ())
    assert not changes(lock, relock(lock, wanted, refuse))


def test_only_what_is_new_is_looked_for() -> None:
    old = locked("3.13", "3.9")
    looked: list[tuple[str, str]] = []

    def finding(slot: Slot) -> Locked:
        looked.append(slot.key)
        return find(slot)

    wanted = slots(map(parse_request, ("cpython-3.13", "3.12")), (GNU,))
    new = relock(old, wanted, finding)
    assert looked == [("3.12", GNU)]
    made = changes(old, new)
    assert [entry.request for entry in made.added] == ["3.12"]
    assert [entry.request for entry in made.removed] == ["3.9"]
    assert made.changed == ()
    missing, superfluous = stale(old, wanted)
    assert [slot.key for slot in missing] == looked
    assert [entry.key for entry in superfluous] == [("3.9", GNU)]


def dated(entry: Locked, filename: str) -> Locked:
    return replace(entry, build=replace(parse_filename(filename), sha256="cd" * 32))


def test_upgrading_takes_what_is_newer_and_only_for_what_was_asked() -> None:
    new = locked("3.13", "3.12")
    older = f"cpython-3.12.1+20240107-{GNU}-install_only.tar.gz", f"cpython-3.13.0+20241016-{GNU}-install_only.tar.gz"
    old = replace(new, builds=tuple(dated(entry, name) for entry, name in zip(new.builds, older, strict=True)))
    wanted = slots(map(parse_request, ("3.13", "3.12")), (GNU,))
    assert relock(old, wanted, find, lambda request: True) == new
    partly = relock(old, wanted, find, lambda request: canonical(request) == "3.13")
    assert partly.builds == (old.builds[0], new.builds[1])
    assert [(before.build.release, after.request) for before, after in changes(old, partly).changed] == [("20241016", "3.13")]


def test_upgrading_never_goes_back() -> None:
    """A mirror that is behind doesn't take away what is locked."""
    new = locked("3.13")
    behind = dated(new.builds[0], f"cpython-3.13.0+20241016-{GNU}-install_only.tar.gz")
    wanted = slots([parse_request("3.13")], (GNU,))
    assert relock(new, wanted, lambda slot: behind, lambda request: True) == new


def test_an_older_lock_without_a_request_is_stale_and_a_newer_build_makes_none_stale() -> None:
    old = replace(locked("3.13"), builds=(dated(locked("3.13").builds[0], f"cpython-3.13.0+20241016-{GNU}-install_only.tar.gz"),))
    assert stale(old, slots([parse_request("3.13")], (GNU,))) == ((), ())
    missing, superfluous = stale(old, slots([parse_request("3.13")], (MUSL,)))
    assert ([slot.target for slot in missing], [entry.target for entry in superfluous]) == ([MUSL], [GNU])


# CPU levels.


def test_auto_is_locked_for_every_level_where_levels_are() -> None:
    auto = parse_request("3.13+auto")
    assert [slot.target for slot in slots([auto], (GNU,))] == [
        GNU,
        *(f"x86_64_v{level}-unknown-linux-gnu" for level in (2, 3, 4)),
    ]
    for triple in (ARM, "x86_64-apple-darwin", "x86_64-pc-windows-msvc"):
        assert [slot.target for slot in slots([auto], (triple,))] == [triple]


def test_a_level_in_the_request_is_one_entry() -> None:
    (entry,) = locked("3.12+v3").builds
    assert (entry.target, entry.build.level) == (GNU, "v3")


@pytest.mark.parametrize(("level", "gets"), [(1, ""), (2, "v2"), (3, "v3"), (4, "v4")])
def test_a_host_gets_what_is_locked_for_its_level(level: int, gets: str) -> None:
    lock, host = locked("3.13+auto", "3.13"), replace(V3_HOST, level=level)
    assert locked_build(lock, parse_request("cpython-3.13+auto"), host, "l").level == gets
    assert locked_build(lock, parse_request("3.13"), host, "l").level == ""


def test_what_the_host_cannot_run_is_not_given_to_it() -> None:
    lock = locked("3.12+v3", "3.13")
    with pytest.raises(
        NoBuildError, match=r"3\.12\+v3 is locked to .* in l, which can't run on the host: the host's CPU has level v2"
    ):
        locked_build(lock, parse_request("3.12+v3"), replace(V3_HOST, level=2), "l")
    with pytest.raises(NoBuildError, match=r"it needs glibc 2\.17 or later, and the host has 2\.12"):
        locked_build(lock, parse_request("3.13"), replace(V3_HOST, libc_version=(2, 12)), "l")


# What a host gets, and the sentence where it is missing.


def test_any_way_to_write_a_request_finds_it() -> None:
    lock = locked("3.13t", ">=3.11,<3.13")
    for text in ("3.13+freethreaded", "cpython-3.13t", "python@3.13t"):
        assert locked_build(lock, parse_request(text), V3_HOST, "l") == lock.builds[1].build
    assert locked_build(lock, parse_request("<3.13,>=3.11"), V3_HOST, "l") == lock.builds[0].build


LOCKFILE = "/srv/fleet/python.lock.json"
UPDATE = f"run: standalone-python lock /srv/fleet/pythons.yml -o {LOCKFILE}"
ARM_HOST = Target("linux", "aarch64", "gnu")
DECLARE = "add it to the declaration, and"
OF_ARM = f"3.13 for {ARM} is not in the lock file {LOCKFILE}"


@pytest.mark.parametrize(
    ("lock", "wanted", "host", "sentence"),
    [
        (
            locked("3.13", "3.9"),
            "3.12",
            V3_HOST,
            f"3.12 is not in the lock file {LOCKFILE}, which has 3.13, 3.9 for {GNU}: {DECLARE} {UPDATE}",
        ),
        (locked("3.13"), "3.13", ARM_HOST, f"{OF_ARM}, which is for {GNU}: {UPDATE} --target {ARM} --target {GNU}"),
        (Lock(), "3.13", ARM_HOST, f"{OF_ARM}, which is empty: run: standalone-python lock FILE -o {LOCKFILE} --target {ARM}"),
    ],
    ids=["request", "target", "empty"],
)
def test_what_is_missing_is_an_error_with_the_command(lock: Lock, wanted: str, host: Target, sentence: str) -> None:
    with pytest.raises(NoBuildError) as caught:
        locked_build(lock, parse_request(wanted), host, LOCKFILE)
    assert str(caught.value) == sentence


def test_the_command_can_be_pasted() -> None:
    command = add_command(Lock(declaration="../my pythons.yml"), "/srv/fleet/locks/a.json")
    assert command == "standalone-python lock '/srv/fleet/my pythons.yml' -o /srv/fleet/locks/a.json"
    assert (
        add_command(Lock(declaration="a.yml", key="pythons"), "a.json") == "standalone-python lock a.yml --key pythons -o a.json"
    )


# What a lock file may not be.


def spoil(change: Callable[[dict[str, Any]], Any]) -> str:
    said = json.loads(format_lock(locked("3.13", "3.12")))
    change(said)
    return json.dumps(said)


def entry(**change: Any) -> str:
    return spoil(lambda said: said["builds"][1].update(change))


# Its name doesn't say the release.
OLD = {"request": "3.9", "file": f"cpython-3.9.0-{GNU}-pgo-20201020T0626.tar.zst"}
ENTRY = f"the lock file l can't be used, its entry of 3.13 for {GNU} is wrong: "
WRONG: dict[str, tuple[str, str]] = {
    "no JSON": ('{\n"lock": 1,\n"builds": [,]}', "the lock file l can't be read, line 3 is not JSON (Expecting value): restore it"),
    "nested": ("[" * 100_000, "the lock file l can't be read, it is nested too deeply: restore it"),
    "a list": ("[]", "l is not a lock file, it lacks 'lock' and a list 'builds': check the path"),
    "something else": ('{"packages": []}', "l is not a lock file, it lacks 'lock' and a list 'builds': check the path"),
    "a conflict": ("{\n<<<<<<< HEAD\n=======\n>>>>>>> other\n}", "the lock file l contains a merge conflict: keep either side"),
    "a conflict without labels": ("{\n<<<<<<<\n=======\n>>>>>>>\n}", "the lock file l contains a merge conflict: keep either side"),
    "a list twice": ('{"lock": 1, "builds": [], "builds": []}', "the lock file l has the key 'builds' twice in one object, in line 1: restore it"),
    "a checksum twice": ('{"lock": 1, "builds": [{"sha256": "a"}, {\n"sha256": ":}",\n\n"sh\\u0061256": "b"}]}', "the lock file l has the key 'sha256' twice in one object, in lines 2 and 4: restore it"),
    "digits": ('{"lock": 1, "builds": [{"size": ' + "1" * 5000 + "}]}", "the lock file l can't be read, a number in it has too many digits: restore it"),
    "a truth value as form": ('{"lock": true, "builds": []}', "the lock file l has the format True, but this version of standalone-python reads"),
    "a fraction as form": ('{"lock": 1.0, "builds": []}', "the lock file l has the format 1.0, but this version of standalone-python reads"),
    "a later form": (spoil(lambda said: said.update(lock=3)), "the lock file l has the format 3, but this version of standalone-python reads"),
    "more": (spoil(lambda said: said.update(more=1)), "unknown key `more` of the lock file l: choose one of about, lock, declaration, key, builds; restore it"),
    "declaration": (spoil(lambda said: said.update(declaration=1)), "the lock file l can't be used, declaration is 1, but must be a text: restore it"),
    "twice": (spoil(lambda said: said["builds"].append(said["builds"][0])), f"the lock file l has 3.12 for {GNU} twice: "),
    "no entry": (spoil(lambda said: said["builds"].append("3.12")), "the lock file l can't be used, its entry 3 is wrong: an entry must have "),
    "a key more": (entry(sha265="00"), f"{ENTRY}unknown key `sha265`: did you mean `sha256`?; "),
    "a key less": (spoil(lambda said: said["builds"][1].pop("url")), f"{ENTRY}an entry must have "),
    "kind": (entry(size="1"), f"{ENTRY}size is '1'; "),
    "truth as size": (entry(size=True), f"{ENTRY}size is True; "),
    "size": (entry(size=0), f"{ENTRY}size is 0, but must be a number of bytes; "),
    "a tar without form": (entry(tar="ab" * 32), f"{ENTRY}tar is '{'ab' * 32}', but must be a number, a colon and 64 hexadecimal digits; "),
    "a tar that is no text": (entry(tar=1), f"{ENTRY}tar is 1; "),
    "lines": (entry(url="https://a\nb"), f"{ENTRY}url is 'https://a\\nb'; "),
    "checksum": (entry(sha256="AB" * 32), f"{ENTRY}sha256 is '{'AB' * 32}', but must have 64 hexadecimal digits; "),
    "request": (entry(request="3.13 t"), "the lock file l can't be used, its entry of 3.13 t for "),
    "not canonical": (entry(request="cpython-3.13"), f"{ENTRY.replace('3.13', 'cpython-3.13')}the request must be written 3.13; "),
    "target": (entry(target="amiga"), "the lock file l can't be used, its entry of 3.13 for amiga is wrong: unknown target `amiga`: write one like"),
    "level": (entry(target=f"x86_64_v3{GNU[6:]}"), f"{ENTRY.replace('86_64', '86_64_v3')}the target must be written {GNU}; "),
    "file": (entry(file="../../etc/passwd"), f"{ENTRY}'../../etc/passwd' is not the name of a build"),
    "release": (entry(release="20250115"), f"{ENTRY}the release is 20250115, but the file's name has another one; "),
    "release as a path": (entry(**OLD, release="../outside"), f"{ENTRY.replace('3.13', '3.9')}the release is '../outside', but must be a date such as 20250115; "),
    "another target": (entry(target=MUSL), f"the lock file l can't be used, its entry of 3.13 for {MUSL} is wrong: cpython-3.13."),
    "another version": (entry(request="3.11"), f"the lock file l can't be used, its entry of 3.11 for {GNU} is wrong: cpython-3.13."),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str) -> None:
    text, sentence = WRONG[case]
    with pytest.raises(ContentError) as caught:
        parse_lock(text, "l")
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_build_without_checksum_is_not_locked() -> None:
    lock = locked("3.13")
    bare = replace(lock, builds=(replace(lock.builds[0], build=replace(lock.builds[0].build, sha256=None)),))
    with pytest.raises(ContentError, match="cannot lock .*, as its sha256 is unknown"):
        format_lock(bare)


# Files.


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX: links to files, which Windows allows administrators only")
def test_a_lock_file_is_written_whole_and_through_a_link(tmp_path: Path) -> None:
    there, link = tmp_path / "there.json", tmp_path / "python.lock.json"
    link.symlink_to(there)
    lock = locked("3.13")
    write_lock(str(link), lock)
    assert link.is_symlink()
    assert read_lock(str(link)) == lock
    assert sorted(os.listdir(tmp_path)) == ["python.lock.json", "there.json"]


def test_a_lock_file_that_cannot_be_had(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.json")
    with pytest.raises(
        TransportError, match=f"the lock file {re.escape(missing)} does not exist: create it with: standalone-python lock FILE -o"
    ):
        read_lock(missing)
    with pytest.raises(TransportError, match="can't be read"):
        read_lock(str(tmp_path))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ContentError, match="is not text"):
        read_lock(str(tmp_path / "binary"))
    with pytest.raises(TransportError, match="can't be written"):
        write_lock(str(tmp_path / "no/folder.json"), locked("3.13"))


# In a declaration.


def test_a_supply_with_a_lock_file_opens_no_catalogue(tmp_path: Path) -> None:
    lock = locked("3.13")
    write_lock(str(tmp_path / "l"), lock)
    supply = Supply(declare({"builds": ["3.13"], "lockfile": str(tmp_path / "l"), "catalogue": "/nonexistent"}))
    build = supply.resolve(parse_request("cpython-3.13"), FACTS)
    assert (build, supply.sha256(build)) == (lock.builds[0].build, lock.builds[0].build.sha256)
    with pytest.raises(NoBuildError, match=r"3\.12 is not in the lock file"):
        supply.resolve(parse_request("3.12"), FACTS)


def test_the_builds_that_a_supply_knows(tmp_path: Path) -> None:
    """Those of the lock file, of the declared catalogue and of the bundled one, for some triples."""
    rows = [f"{release}\tcpython-3.13.99+{release}-{GNU}-install_only.tar.gz\t-" for release in ("20990101", "20990202")]
    rows += [f"20990202\tcpython-3.13.99+20990202-{ARM}-install_only.tar.gz\t-"]
    (tmp_path / "catalogue.tsv").write_text("".join(f"{row}\n" for row in rows[1:]))
    only_locked = replace(parse_filename(rows[0].split("\t")[1]), sha256="ab" * 32)
    write_lock(str(tmp_path / "l"), Lock((Locked("3.13", GNU, only_locked, "https://example.org/a"),)))
    options = {"builds": ["3.13"], "lockfile": str(tmp_path / "l"), "catalogue": str(tmp_path / "catalogue.tsv")}
    names = {build.name for build in Supply(declare(options)).known_builds([GNU])}
    assert {name for name in names if "+2099" in name} == {row.split("\t")[1].removesuffix(".tar.gz") for row in rows[:2]}
    assert {build.name for build in builds(CATALOGUE, triples=[GNU])} < names


def test_checksum_and_lockfile_contradict_each_other() -> None:
    with pytest.raises(DeclarationError, match="checksum and lockfile both name"):
        declare({"builds": ["3.13"], "lockfile": "l", "checksum": "ab" * 32})
