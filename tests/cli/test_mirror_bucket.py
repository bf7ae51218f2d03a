# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``standalone-python mirror`` to an object store that speaks S3: what test_mirror.py says of a folder, and what only a bucket has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.mirror import lists
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.s3 import Bucket
from tests.cli.conftest import PROGRAM, Command, Ended, synced
from tests.tools.s3 import BUCKET, ENVIRONMENT, SECRET, Store, serve_s3
from tests.tools.sources import releases_of_noise
from tests.tools.web import Web, serve

TRIPLE, OTHER = "x86_64-unknown-linux-gnu", "aarch64-apple-darwin"
SIZE = 1_000_000
DEST = f"s3://{BUCKET}/some/pbs"
NEW = f"20250317/cpython-3.13.2+20250317-{TRIPLE}-install_only_stripped.tar.gz"
OLD = f"20250115/cpython-3.12.8+20250115-{TRIPLE}-install_only_stripped.tar.gz"
NEW_MAC = NEW.replace(TRIPLE, OTHER)
BOTH = ("--request", "3.12", "--request", "3.13", "--target", TRIPLE)
ONE = ("--request", "3.13", "--target", TRIPLE)

Mirror = Callable[..., Ended]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, work = tmp_path_factory.mktemp("releases"), tmp_path_factory.mktemp("work")
    return releases_of_noise(folder, work, (NEW, OLD, NEW_MAC), SIZE)


@pytest.fixture
def web(releases: Path) -> Iterator[Web]:
    with serve(releases) as server:
        yield server


@pytest.fixture(scope="module")
def stores() -> Iterator[Store]:
    with serve_s3() as served:
        yield served


@pytest.fixture
def store(stores: Store) -> Store:
    stores.reset()
    return stores


@pytest.fixture
def environment(store: Store, command: Command) -> Mapping[str, str]:
    return ENVIRONMENT | {"AWS_ENDPOINT_URL": store.url, "NO_PROXY": "*"}


@pytest.fixture
def mirror(environment: Mapping[str, str], command: Command) -> Mirror:
    def run(*arguments: str | Path, code: int = 0, **more: str) -> Ended:
        ended = command("mirror", *arguments, environment={**environment, **more})
        assert ended.code == code, ended
        assert "Traceback" not in ended.errors
        assert SECRET not in ended.output + ended.errors
        return ended

    return run


def true(store: Store, releases: Path, *paths: str) -> None:
    """The bucket holds these archives, whole, and its lists say so."""
    held = {key.removeprefix("some/pbs/") for key in store.names() if key.startswith("some/pbs/")}
    builds = []
    for path in paths:
        assert store.content(f"some/pbs/{path}") == (releases / path).read_bytes()
        tag, name = path.split("/")
        (line,) = (line for line in (releases / tag / "SHA256SUMS").read_text().splitlines() if line.endswith(name))
        builds.append(replace(parse_filename(name, tag), sha256=line.split()[0]))
    expected = lists(builds)
    assert held - {".mirror/read.json"} == {*paths, *expected, "advisories.json"}
    assert {path: store.content(f"some/pbs/{path}") for path in expected} == expected


def test_first_time_then_nothing_to_do(mirror: Mirror, store: Store, web: Web, releases: Path, command: Command) -> None:
    would = mirror("sync", DEST, *BOTH, "--source", web.url(), "--dry-run", code=2)
    plan = f"Plan: 2 to download, 0 to remove, 0 already in {DEST}.\n"
    assert would.output == f"Would download {NEW}\nWould download {OLD}\n{plan}"
    assert store.names() == set()
    first = mirror("sync", DEST, *BOTH, "--source", web.url())
    assert synced(first.output)[-1] == f"Done in TIME: 2 downloaded, 0 removed, 0 already in {DEST}."
    assert first.errors == ""
    true(store, releases, NEW, OLD)
    assert store.asked.index(("PUT", f"/{BUCKET}/some/pbs/catalogue.tsv")) > max(
        at for at, asked in enumerate(store.asked) if asked[0] == "PUT" and asked[1].endswith(".tar.gz")
    ), "what is listed was there before"
    store.asked.clear()
    again = mirror("sync", DEST, *BOTH, "--source", web.url())
    assert again.output == f"nothing to do: 2 already in {DEST}\n"
    assert web.count("plain") == 2
    assert store.count("PUT") == store.count("GET") == store.count("HEAD") == 0, "archives are known by their entity tags"
    assert mirror("verify", DEST).output == f"{DEST}: 2 archives, 2 MB, all is well\n"
    assert not any(path.is_file() for path in (command.folder / "cache/mirror").rglob("*")), "nothing is left on this machine"


def test_a_bucket_of_its_own_and_an_endpoint_on_the_command_line(mirror: Mirror, store: Store, releases: Path) -> None:
    mirror(
        "sync", f"s3://{BUCKET}", *ONE, "--source", releases, "--endpoint-url", store.url, AWS_ENDPOINT_URL="http://127.0.0.1:1"
    )
    assert {NEW, "catalogue.tsv", "20250317/SHA256SUMS"} < store.names()
    exported = mirror(
        "export", f"s3://{BUCKET}/", "--for", "mise", "--url", "https://mirror.example/pbs", "--endpoint-url", store.url
    )
    assert "mirror.example" in exported.output
    told = json.loads(mirror("verify", f"s3://{BUCKET}", "--json").output)
    assert told == {"dest": f"s3://{BUCKET}", "archives": 1, "bytes": SIZE + 2, "problems": []}


def test_a_host_is_provisioned_from_a_bucket(mirror: Mirror, store: Store, source: Path, command: Command) -> None:
    mirror("sync", DEST, "--request", "3.13", "--target", os.uname().machine + "-unknown-linux-gnu", "--source", source)
    url = f"{store.url}/{BUCKET}/some/pbs"
    declared = command.file(f"builds: ['3.13']\nsource: {url}\nroot: {command.folder}/root\nbin_dir: {command.folder}/bin\n")
    before = {"NO_PROXY": "*", "STANDALONE_PYTHON_CACHE": str(command.folder / "cache-before")}
    closed = command("apply", declared, environment=before)
    assert closed.code == 1, "a bucket is its owner's until it is published"
    store.publish()
    assert command("plan", declared, environment={"NO_PROXY": "*"}).code == 2
    applied = command("apply", declared, environment={"NO_PROXY": "*"})
    assert applied.code == 0, applied
    prefix = command.folder / "root/cpython-3.13"
    printed = subprocess.run([prefix / "bin/python3", "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
    assert printed.stdout.strip() == str(prefix), printed
    assert command("plan", declared, environment={"NO_PROXY": "*"}).code == 0


def test_what_is_there_already(mirror: Mirror, store: Store, releases: Path, web: Web) -> None:
    """As another tool has put it there, or a sync that was killed before it could list it."""
    store.client.put_object(Bucket=BUCKET, Key=f"some/pbs/{NEW}", Body=(releases / NEW).read_bytes())
    mirror("sync", DEST, *ONE, "--source", web.url())
    assert store.count("PUT") == 1
    true(store, releases, NEW)
    store.client.delete_object(Bucket=BUCKET, Key="some/pbs/.mirror/read.json")
    mirror("sync", DEST, *BOTH, "--source", web.url())
    store.client.delete_object(Bucket=BUCKET, Key="some/pbs/.mirror/read.json")
    store.asked.clear()
    mirror("sync", DEST, *BOTH, "--source", web.url())
    assert store.count("GET") == 1, "what a sync has sent says itself what it is"
    assert store.count("PUT") == 0
    assert web.count("plain") == 1


def test_prune(mirror: Mirror, store: Store, releases: Path) -> None:
    mirror("sync", DEST, *BOTH, "--source", releases)
    foreign = ("some/pbs/index.html", "some/pbs/20250317/notes.txt", "some/pbs/20250101/SHA256SUMS", "some/other", OLD)
    for key in foreign:
        store.client.put_object(Bucket=BUCKET, Key=key, Body=b"not ours\n")
    only = (*ONE, "--source", releases, "--prune")
    would = mirror("sync", DEST, *only, "--dry-run", code=2).output
    assert would == f"Would remove {OLD}\nPlan: 0 to download, 1 to remove, 1 already in {DEST}.\n"
    store.asked.clear()
    assert synced(mirror("sync", DEST, *only).output) == [
        f"Removed {OLD}",
        f"Done in TIME: 0 downloaded, 1 removed, 1 already in {DEST}.",
    ]
    changes = [(method, path.rpartition("/")[2]) for method, path in store.asked if method in ("PUT", "DELETE")]
    assert changes.index(("PUT", "catalogue.tsv")) < changes.index(("DELETE", OLD.partition("/")[2])), (
        "first it is listed no more"
    )
    for key in foreign:
        assert store.content(key) == b"not ours\n"
        store.client.delete_object(Bucket=BUCKET, Key=key)
    true(store, releases, NEW)


def test_killed_then_completed(
    mirror: Mirror, store: Store, web: Web, releases: Path, environment: Mapping[str, str], command: Command
) -> None:
    rows = ("--catalogue", str(releases / "catalogue.tsv"))
    mirror("sync", DEST, "--request", "3.12", "--target", TRIPLE, "--source", web.url(), *rows)
    program = [str(PROGRAM), "mirror", "sync", DEST, *BOTH, "--source", web.url("slow"), *rows]
    with subprocess.Popen(program, env={**command.environment(), **environment}) as running:
        assert web.half.wait(30)
        while not (parts := list((command.folder / "cache/mirror").rglob("*.part"))) or parts[0].stat().st_size < SIZE // 4:
            assert running.poll() is None
        running.send_signal(signal.SIGKILL)
    came = parts[0].stat().st_size
    store.client.delete_object(Bucket=BUCKET, Key="some/pbs/.mirror/lock")
    true(store, releases, OLD)
    mirror("verify", DEST)
    mirror("sync", DEST, *BOTH, "--source", web.url("ranges"), *rows)
    true(store, releases, NEW, OLD)
    (asked,) = [asked for asked in web.asked if asked.path.startswith("/ranges/") and asked.path.endswith(".gz")]
    assert asked.headers["range"] == f"bytes={came}-"
    assert store.count("PUT") == 2, "what was complete was not sent again"


@pytest.mark.parametrize("conditions", [True, False])
def test_two_at_once(
    mirror: Mirror, store: Store, web: Web, releases: Path, environment: Mapping[str, str], command: Command, conditions: bool
) -> None:
    store.conditions = conditions
    rows = ("--catalogue", str(releases / "catalogue.tsv"))
    commands = [
        [str(PROGRAM), "mirror", "sync", DEST, *wanted, "--source", web.url(how), *rows]
        for how, wanted in (("slow", ONE), ("plain", BOTH))
    ]
    run = partial(
        subprocess.Popen,
        env={**command.environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with run(commands[0]) as first:
        assert web.half.wait(30)
        with run(commands[1]) as second:
            assert second.stderr
            waiting = second.stderr.readline()
            if not conditions:
                assert second.wait(60) == 0
            web.going.set()
            output, _errors = second.communicate()
        said = first.communicate()[1]
        assert (first.returncode, second.returncode) == (0, 0)
    if conditions:
        assert said == ""
        assert waiting == f"another sync is running in {DEST}: waiting for it\n"
        assert synced(output) == [f"Downloaded {OLD}", f"Done in TIME: 1 downloaded, 0 removed, 1 already in {DEST}."]
    else:
        assert said == waiting == f"{DEST} can't keep another sync away: don't run two at once there\n"
        # The first didn't know of what the second brought; nothing is wrong, and the next one lists it.
        mirror("verify", DEST)
        mirror("sync", DEST, *BOTH, "--source", web.url(), *rows)
    true(store, releases, NEW, OLD)
    mirror("verify", DEST)


def test_the_lock_of_a_killed_sync(
    store: Store, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is kept while it is renewed, and taken over soon after its time is over."""
    for name, value in {**environment, "STANDALONE_PYTHON_CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    mine, other = (Bucket(BUCKET, "some/pbs", lease=4.0) for _unused in range(2))
    waited: list[str] = []
    with mine.exclusive_lock(5.0) as locked:
        assert locked
        began = time.monotonic()
        with pytest.raises(
            TransportError,
            match=f"another sync is running in the mirror {DEST}: wait for it; if no sync is running, remove s3://",
        ):
            other.exclusive_lock(6.0, lambda: waited.append("waits")).__enter__()
        assert time.monotonic() - began > 5.0, "longer than it would be kept without being renewed"
    assert store.names() == set()
    store.client.put_object(Bucket=BUCKET, Key="some/pbs/.mirror/lock", Body=b"a machine that burned down")
    with other.exclusive_lock(20.0, lambda: waited.append("waits")) as locked:
        assert locked
        assert waited == ["waits", "waits"]
    assert store.names() == set()


def test_a_sync_that_lost_its_lock_writes_no_more(
    store: Store, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where its machine slept for an hour."""
    for name, value in {**environment, "STANDALONE_PYTHON_CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    mine = Bucket(BUCKET, "some/pbs", lease=1.0)
    with mine.exclusive_lock(5.0):
        store.client.put_object(Bucket=BUCKET, Key="some/pbs/.mirror/lock", Body=b"another's")
        assert mine.lease.lost.wait(30)
        with pytest.raises(TransportError, match="lost its lock, .* run the sync again"):
            mine.put("catalogue.tsv", b"")
    assert store.content("some/pbs/.mirror/lock") == b"another's"


def test_damage_is_found_and_mended(mirror: Mirror, store: Store, releases: Path) -> None:
    mirror("sync", DEST, *BOTH, "--source", releases)
    told = store.client.head_object(Bucket=BUCKET, Key=f"some/pbs/{NEW}")["Metadata"]
    # As where the store's disk lost a bit: what it says of the object is as it was.
    damaged = bytearray((releases / NEW).read_bytes())
    damaged[SIZE // 2] ^= 1
    store.client.put_object(Bucket=BUCKET, Key=f"some/pbs/{NEW}", Body=bytes(damaged), Metadata=told)
    store.client.delete_object(Bucket=BUCKET, Key=f"some/pbs/{OLD}")
    said = mirror("verify", DEST, code=2).output.splitlines()
    assert said[0].startswith(f"{NEW} is damaged: its SHA-256 should be {told['sha256']} and is ")
    assert said[1:] == [f"{OLD} is damaged: it does not exist", f"{DEST}: 2 archives, 1 MB, 2 problems"]
    mirror("sync", DEST, *BOTH, "--source", releases)
    mirror("verify", DEST)
    true(store, releases, NEW, OLD)


def test_a_store_that_damages_what_it_is_sent(mirror: Mirror, store: Store, releases: Path) -> None:
    mirror("sync", DEST, "--request", "3.12", "--target", TRIPLE, "--source", releases)
    store.damaging = True
    said = mirror("sync", DEST, *ONE, "--source", releases, code=1).sentence
    assert said == f"the mirror {DEST} stored {NEW} incorrectly: run the sync again"
    store.damaging = False
    assert f"some/pbs/{NEW}" not in store.names()


def test_a_store_that_is_busy_for_a_moment(mirror: Mirror, store: Store, releases: Path) -> None:
    store.broken = 2
    mirror("sync", DEST, *ONE, "--source", releases)
    true(store, releases, NEW)


def test_a_store_whose_answers_are_lost(mirror: Mirror, store: Store, releases: Path) -> None:
    """Its lock is there then, and it is this sync's own."""
    store.forgetful = 1
    done = mirror("sync", DEST, *ONE, "--source", releases)
    assert done.errors == ""
    true(store, releases, NEW)


def test_a_lying_server_gets_nothing_into_the_bucket(mirror: Mirror, store: Store, releases: Path, tmp_path: Path) -> None:
    (tmp_path / "lying/20250317").mkdir(parents=True)
    (tmp_path / "lying" / NEW).write_bytes(b"\x1f\x8b something else")
    rows = ("--catalogue", releases / "catalogue.tsv")
    with serve(tmp_path / "lying") as web:
        said = mirror("sync", DEST, *ONE, "--source", web.url(), *rows, code=1).sentence
    assert "has the wrong checksum" in said
    assert store.count("PUT") == 0


@pytest.mark.parametrize(
    ("dest", "settings", "said"),
    [
        ("s3://", {}, "the mirror's bucket is not valid: use s3://BUCKET or s3://BUCKET/PREFIX"),
        (f"s3://me:{SECRET}@builds/x", {}, "the mirror's bucket is not valid"),
        (
            "s3://nowhere/x",
            {},
            "the mirror s3://nowhere/x can't be {done} (the bucket does not exist): create it, or choose another",
        ),
        (
            DEST,
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            f"the mirror {DEST} can't be {{done}} (http://127.0.0.1:1 could not be reached)",
        ),
        (
            DEST,
            {"AWS_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:1"},
            "(http://127.0.0.1:1 could not be reached): check the network",
        ),
        (DEST, {"AWS_ENDPOINT_URL": "nonsense"}, "the endpoint is not a valid URL: use http://HOST or https://HOST"),
        (DEST, {"AWS_ACCESS_KEY_ID": ""}, "(no credentials were found): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (DEST, {"AWS_PROFILE": "nobody"}, "(ProfileNotFound of boto3): check its settings, such as AWS_PROFILE"),
    ],
)
def test_bad_input(mirror: Mirror, store: Store, releases: Path, dest: str, settings: dict[str, str], said: str) -> None:
    for done, arguments in (("written to", ("sync", dest, *ONE, "--source", releases)), ("read", ("verify", dest))):
        assert said.format(done=done) in mirror(*arguments, code=1, AWS_MAX_ATTEMPTS="1", **settings).sentence
    assert store.names() == set()


def test_credentials_that_are_refused(mirror: Mirror, store: Store, releases: Path) -> None:
    store.check_credentials()
    said = mirror("sync", DEST, *ONE, "--source", releases, code=1).sentence
    assert said.startswith(f"the mirror {DEST} can't be written to (")
    assert said.endswith(": check the credentials")


def test_an_endpoint_is_for_buckets(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    said = mirror("sync", tmp_path / "folder", *ONE, "--source", releases, "--endpoint-url", "http://x", code=1).sentence
    assert said == "an endpoint is only valid for a mirror in a bucket: use s3://BUCKET/PREFIX, or leave it out"


def test_without_the_extra(mirror: Mirror, releases: Path, tmp_path: Path) -> None:
    # What comes first on the path is found first: this stands for a controller that hasn't got it.
    (tmp_path / "without").mkdir()
    (tmp_path / "without/boto3.py").write_text("raise ImportError('no boto3')\n")
    path = os.pathsep.join((str(tmp_path / "without"), os.environ.get("PYTHONPATH", "")))
    said = mirror("sync", DEST, *ONE, "--source", releases, code=1, PYTHONPATH=path).sentence
    assert (
        said == f"the mirror {DEST} needs the Python package boto3, which is not installed: pip install 'standalone-python[s3]'"
    )


def test_no_secret_is_anywhere(mirror: Mirror, store: Store, releases: Path, tmp_path: Path) -> None:
    mirror("sync", DEST, *ONE, "--source", releases)
    assert not any(SECRET in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    stored: list[Any] = [store.content(key) for key in store.names()]
    assert not any(SECRET.encode() in content for content in stored)
