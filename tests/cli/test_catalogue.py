# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""catalogue list, show and update, as their user meets them; upstream is a server on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.advisories import bundled_tables
from ansible_collections.standalone.python.plugins.plugin_utils.core.security.tables import DOCUMENT, bundled_document
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply import github as lists
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply import update
from tests.cli.conftest import Command, below
from tests.tools.hosts.bases import program
from tests.tools.sources import NEW, NEWER, OLD, V13, V13LATER
from tests.tools.web import serve

GNU = "x86_64-unknown-linux-gnu"
MUSL = "x86_64-unknown-linux-musl"
SOON = "20991231"
NEWS = f"cpython-3.13.99+{SOON}-{GNU}-install_only_stripped.tar.gz"


def rows(command: Command, *arguments: str | Path) -> list[list[str]]:
    ended = command("catalogue", "list", *arguments)
    assert ended.code == 0, ended
    return [line.split() for line in ended.output.splitlines()]


def test_the_builds_of_a_folder(command: Command, source: Path) -> None:
    head, *builds = rows(command, "3.13", "--source", source)
    assert head == ["version", "release", "date", "variant", "flavor", "size", "advisories"]
    assert [row[:3] + row[9:] for row in builds] == [
        [V13LATER, NEWER, "2025-04-09", "newest"],
        [V13, NEW, "2025-03-17"],
        [V13, OLD, "2025-01-15"],
    ]
    assert all(row[8] in ("critical", "high") for row in builds), "these old builds have advisories"
    assert all(row[6] == "MB" and float(row[5]) > 1 for row in builds), "a file that is there has a size"


def test_the_overview_has_one_build_of_each_line(command: Command, source: Path) -> None:
    _head, *builds = rows(command, "--source", source, "--target", GNU)
    assert [row[0] for row in builds] == [V13LATER, "3.12.1"]
    _head, *builds = rows(command, "--target", GNU)
    lines = [(row[0].rsplit(".", 1)[0], row[3]) for row in builds]
    assert len(set(lines)) == len(lines)
    assert sum("newest" in row for row in builds) == 1
    assert len(lines) > 10


@pytest.mark.parametrize("triple", [GNU, "aarch64-apple-darwin", "x86_64-pc-windows-msvc", "x86_64_v3-unknown-linux-gnu"])
def test_other_kinds_of_host(command: Command, triple: str) -> None:
    told = json.loads(command("catalogue", "list", "3.13", "--target", triple, "--json").output)
    assert (told["target"], told["catalogue"]) == (triple, "the bundled catalogue")
    assert {build["target"] for build in told["builds"]} == {triple}
    assert [build["newest"] for build in told["builds"]].count(True) == 1
    assert told["builds"][0]["newest"]
    first = told["builds"][0]
    assert first["url"].endswith(f"/{first['release']}/{first['filename'].replace('+', '%2B')}")
    assert first["date"].replace("-", "") == first["release"]


def test_versions_by_targets(command: Command) -> None:
    """One target has no build at all; the others have what each of them has alone."""
    nowhere = "riscv64-apple-darwin"
    head, *shown = rows(command, "3.13", *(word for triple in (GNU, nowhere, MUSL) for word in ("--target", triple)))
    assert head == ["version", GNU, nowhere, MUSL]
    for column, triple in ((1, GNU), (3, MUSL)):
        _head, *alone = rows(command, "3.13", "--target", triple)
        releases = {row[0]: row[1] for row in reversed(alone)}
        assert {row[0]: row[column].strip("*") for row in shown if row[column] != "-"} == releases
        assert [row[0] for row in shown if row[column].endswith("*")] == [alone[0][0]]
    assert {row[2] for row in shown} == {"-"}
    none = command("catalogue", "list", "3.13", "--target", nowhere, "--target", nowhere, "--target", "ppc64le-apple-darwin")
    assert none.code == 1


def test_levels_side_by_side(command: Command) -> None:
    head, first, *_rest = rows(command, "3.13.1+auto", "--target", "x86_64_v3-unknown-linux-gnu")
    assert head[0] == "target"
    assert first[0] == "x86_64_v3-unknown-linux-gnu"
    assert first[-1] == "newest"


def test_show(command: Command, source: Path) -> None:
    ended = command("catalogue", "show", "3.13", "--source", source, "--json")
    told = json.loads(ended.output)
    assert told["filename"] == f"cpython-{V13LATER}+{NEWER}-{GNU}-install_only_stripped.tar.gz"
    assert told["size"] == (source / NEWER / told["filename"]).stat().st_size
    assert len(told["sha256"]) == 64
    printed = dict(line.split(None, 1) for line in command("catalogue", "show", "3.13", "--source", source).output.splitlines())
    assert printed["sha256"] == told["sha256"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("list", "three"), "the request 'three' can't be read"),
        (("list", "3.6", "--target", GNU), "no build of 3.6 for x86_64 linux"),
        (("list", "--target", "arm64-apple-darwin"), "unknown target `arm64-apple-darwin`: did you mean `aarch64-apple-darwin`?"),
        (("list", "--target", "riscv64-apple-darwin"), "no build of 3 for riscv64 macOS"),
        (("list", "--source", "/nowhere"), "'/nowhere' is not a valid source"),
        (("list", "--catalogue", "/nowhere"), "the catalogue /nowhere can't be read"),
        (("list", "--catalogue", "updated"), "run 'standalone-python catalogue update'"),
        (("show", "3.13.100", "--target", GNU), "no build of 3.13.100"),
        (("update", "--from", "/nowhere"), "the catalogue /nowhere can't be read"),
        (("update", "--from", "ftp://example.net/x"), "ftp://example.net/x"),
    ],
)
def test_what_can_not_be_told(command: Command, arguments: tuple[str, ...], says: str) -> None:
    assert says in command("catalogue", *arguments).sentence
    assert below(command.folder) == set()


class Upstream:
    """What GitHub's API has, one release a page; each release's SHA256SUMS."""

    def __init__(self) -> None:
        self.url = ""
        self.releases: list[tuple[str, dict[str, str]]] = []
        self.asked: list[tuple[str, int]] = []
        self.status = 200

    def page(self, number: int) -> list[dict[str, Any]]:
        tag, files = self.releases[number - 1]
        assets: list[dict[str, Any]] = [
            {"name": name, "digest": f"sha256:{sha256}", "size": 31_000_000} for name, sha256 in files.items()
        ]
        sums = {"name": "SHA256SUMS", "digest": None, "size": 9, "browser_download_url": f"{self.url}/{tag}/SHA256SUMS"}
        return [{"tag_name": tag, "draft": False, "assets": [*assets, sums]}]

    def answer(self, path: str) -> tuple[bytes, str]:
        if path.endswith("SHA256SUMS"):
            files = dict(self.releases)[path.split("/")[1]]
            return "".join(f"{sha256}  {name}\n" for name, sha256 in files.items()).encode(), ""
        number = int(path.partition("&page=")[2] or 1)
        more = f'<{self.url}/releases?per_page=10&page={number + 1}>; rel="next"' if number < len(self.releases) else ""
        return json.dumps(self.page(number)).encode(), more


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    here = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, more = here.answer(self.path)
            etag = f'"{hash(body)}"'
            status = 304 if here.status == 200 and self.headers.get("If-None-Match") == etag else here.status
            here.asked.append((self.path, status))
            self.send_response(status)
            self.send_header("ETag", etag)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            if status == 403:
                self.send_header("X-RateLimit-Remaining", "0")
            if more and status == 200:
                self.send_header("Link", more)
            self.send_header("Content-Length", str(0 if status == 304 else len(body)))
            self.end_headers()
            if status != 304:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.url = f"http://127.0.0.1:{server.server_address[1]}"
        here.releases = [
            (SOON, {NEWS: "a" * 64}),
            ("20250115", {f"cpython-3.13.98+20250115-{GNU}-install_only.tar.gz": "b" * 64}),
        ]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield here
        server.shutdown()


def test_update_and_who_uses_it(command: Command, upstream: Upstream) -> None:
    done = command("catalogue", "update", "--from", f"{upstream.url}/releases")
    assert done.code == 0, done
    assert done.output.startswith(f"2 releases read from {upstream.url}/releases: 2 builds are new, 0 checksums were filled in; ")
    assert f"the newest release is {SOON}" in done.output
    _head, first, *_rest = rows(command, "3.13", "--target", GNU)
    assert first[:7] == ["3.13.99", SOON, "2099-12-31", "-", "install_only_stripped", "31.0", "MB"]
    assert first[-1] == "newest"
    bundled = rows(command, "3.13", "--target", GNU, "--catalogue", "bundled")
    assert SOON not in str(bundled), "who says bundled gets what everybody has"
    given = {"builds": ["3.13"], "root": str(command.folder / "root")}
    assert "3.13.99" not in command("plan", "-", given=json.dumps(given)).output
    assert "Would install 3.13.99+" in command("plan", "-", given=json.dumps(given | {"catalogue": "updated"})).output
    shown = command("catalogue", "show").output
    assert f"newest release {SOON}, updated on " in shown
    assert "(today) from http://127.0.0.1" in shown


def test_a_second_update_asks_on_condition_and_stops_at_what_is_known(command: Command, upstream: Upstream) -> None:
    asking = ("catalogue", "update", "--from", f"{upstream.url}/releases", "--json")
    assert json.loads(command(*asking).output)["added"] == 2
    upstream.asked.clear()
    assert json.loads(command(*asking).output) == {
        "source": f"{upstream.url}/releases", "releases": 1, "added": 0, "filled": 0, "newest": SOON,
        "advisories": bundled_tables().date,
    }  # fmt: skip
    assert [status for path, status in upstream.asked if DOCUMENT not in path] == [304, 304]
    assert not any("page=2" in path for path, _status in upstream.asked)


def test_an_update_that_fails_says_how_old_is_what_is_known(command: Command, upstream: Upstream) -> None:
    asking = ("catalogue", "update", "--from", f"{upstream.url}/releases")
    upstream.status = 403
    sentence = command(*asking).sentence
    assert "answered 403, its hourly rate limit is used up; " in sentence
    assert "; what is known is as before: the bundled catalogue, newest release 20" in sentence
    assert command("catalogue", "list", "--catalogue", "updated").code == 1, "nothing half done"
    upstream.status = 200
    assert command(*asking).code == 0
    upstream.status = 404
    assert f"what is known is as before: newest release {SOON}, updated on " in command(*asking).sentence
    assert rows(command, "3.13", "--target", GNU)[1][1] == SOON


def test_an_updated_catalogue_that_was_damaged(command: Command, upstream: Upstream) -> None:
    asking = ("catalogue", "update", "--from", f"{upstream.url}/releases")
    assert command(*asking).code == 0
    file = command.folder / "cache/catalogue/3.13.tsv"
    (file.parent / "notes.tsv").write_text("not ours\n")
    whole = file.read_bytes()
    for content in (whole[:-30], b"", b"\xff\n" + whole, whole.replace(b"\t", b" ", 1)):
        file.write_bytes(content)
        for call in (("catalogue", "list", "3.13", "--catalogue", "updated"), asking):
            assert command(*call).sentence.startswith(
                f"{file} can't be read: delete its folder, and run standalone-python catalogue update"
            ), content[-80:]
    file.unlink()
    file.mkdir()
    assert f"{file} can't be read (Is a directory)" in command("catalogue", "list", "3.13").sentence
    shutil.rmtree(file.parent)
    assert command(*asking).code == 0


def _versions(*artifacts: tuple[str, str, str]) -> str:
    """Astral's list: a release a line."""
    site = "https://github.com/astral-sh/python-build-standalone/releases/download"
    lines = [
        {
            "version": tag,
            "date": "2099-12-31T00:00:00Z",
            "artifacts": [
                {"platform": GNU, "variant": "default", "url": f"{site}/{tag}/{name.replace('+', '%2B')}", "sha256": sha256},
                {"platform": GNU, "variant": "default", "url": f"{site}/{tag}/SHA256SUMS", "sha256": "d" * 64},
            ],
        }
        for tag, name, sha256 in artifacts
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_astral_s_list_of_versions(command: Command, tmp_path: Path) -> None:
    (tmp_path / "versions.ndjson").write_text(_versions((SOON, NEWS, "a" * 64)))
    (tmp_path / "wrong.ndjson").write_text(_versions((SOON, NEWS, "c" * 64)))
    (tmp_path / "half.ndjson").write_text(_versions((SOON, NEWS, "a" * 64))[:-30])
    with serve(tmp_path) as web:
        done = command("catalogue", "update", "--from", web.url("plain/versions.ndjson"), "--json")
        assert json.loads(done.output)["added"] == 1
        told = json.loads(command("catalogue", "show", "3.13.99", "--target", GNU, "--json").output)
        assert (told["sha256"], told["release"]) == ("a" * 64, SOON)
        assert (
            f"was {'a' * 64} and is {'c' * 64}"
            in command("catalogue", "update", "--from", web.url("plain/wrong.ndjson")).sentence
        )
        assert "instead of a list of versions" in command("catalogue", "update", "--from", web.url("plain/half.ndjson")).sentence


def test_github_s_limit_is_used_up(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Astral tells its own tools is asked then; where that can't be had either, GitHub's sentence says why."""
    (tmp_path / "versions.ndjson").write_text(_versions((SOON, NEWS, "a" * 64)))
    upstream.status = 403
    monkeypatch.setattr(lists, "API", f"{upstream.url}/releases")
    with serve(tmp_path) as web:
        monkeypatch.setattr(lists, "VERSIONS", (web.url("plain/nowhere"), web.url("plain/versions.ndjson")))
        done = update.update_catalogue(tmp_path / "cache", Http())
        assert (done.added, done.about.source) == (1, web.url("plain/versions.ndjson"))
    with pytest.raises(TransportError, match="answered 403, its hourly rate limit is used up"):
        update.update_catalogue(tmp_path / "other", Http(backoff=()))


def test_no_network(command: Command) -> None:
    """Upstream itself, behind a proxy that isn't there."""
    ended = command("catalogue", "update", environment={"https_proxy": "http://127.0.0.1:9"})
    assert "could not be reached through the proxy" in ended.sentence
    assert "what is known is as before: the bundled catalogue" in ended.sentence
    assert rows(command, "3.13", "--target", GNU)


def test_a_checksum_that_changes_is_an_error_and_nothing_is_kept(command: Command, upstream: Upstream) -> None:
    asking = ("catalogue", "update", "--from", f"{upstream.url}/releases")
    assert command(*asking).code == 0
    upstream.releases[0] = (SOON, {NEWS: "c" * 64})
    assert f"was {'a' * 64} and is {'c' * 64}" in command(*asking).sentence
    told = json.loads(command("catalogue", "show", "3.13.99", "--target", GNU, "--json").output)
    assert told["sha256"] == "a" * 64


def test_a_mirror_s_catalogue_and_a_folder(command: Command, source: Path, catalogue: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    shutil.copy(catalogue, mirror)
    document = mirror / DOCUMENT
    document.write_text(json.dumps(json.loads(bundled_document()) | {"date": "2026-08-23"}))
    with serve(mirror) as web:
        done = command("catalogue", "update", "--from", web.url(f"plain/{catalogue.name}"))
        assert done.output.startswith("3 releases read from http://127.0.0.1"), done
        assert done.output.endswith("\nadvisories of 2026-08-23, which are new\n")
        document.write_text("<html>")
        again = command("catalogue", "update", "--from", web.url(f"plain/{catalogue.name}"))
        assert again.output.endswith("\nadvisories of 2026-08-23\n"), again
        assert again.errors.endswith("; the tables of 2026-08-23 stay in use\n")
    assert (
        "is not a document of advisories: get it again"
        in command("catalogue", "update", "--advisories", document, "--from", source).sentence
    )
    assert (
        "advisories of 2026-08-23\n"
        in command("advisories", "cpython-3.13.7+20250918-x86_64-unknown-linux-gnu-install_only").errors
    )
    told = json.loads(command("catalogue", "update", "--from", source, "--json").output)
    assert (told["added"], told["advisories"]) == (0, "2026-08-23")
    assert [row[1] for row in rows(command, f"{V13LATER}+{NEWER}", "--target", GNU)[1:]] == [NEWER]


def test_what_is_no_catalogue(command: Command, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><p>hello")
    (tmp_path / "object.json").write_text('{"message": "hello"}')
    with serve(tmp_path) as web:
        assert (
            "sent an HTML page where plain text was expected"
            in command("catalogue", "update", "--from", web.url("plain/page.html")).sentence
        )
        assert "instead of a list of releases" in command("catalogue", "update", "--from", web.url("plain/object.json")).sentence
    assert "the bundled catalogue" in command("catalogue", "list", "--target", GNU).errors


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (
            (),
            {"STANDALONE_PYTHON_CACHE": "~nobodyhere/x"},
            "STANDALONE_PYTHON_CACHE is '~nobodyhere/x', but that home folder does not exist",
        ),
        (("3.13", "--catalogue", "~nobodyhere/c"), {}, "the catalogue ~nobodyhere/c can't be read (No such file or directory)"),
        (("3.13", "--source", f"~nobodyhere/{NEWS}"), {}, f"the archive ~nobodyhere/{NEWS} does not exist: put it there"),
    ],
)
def test_a_home_that_is_none(command: Command, arguments: tuple[str, ...], variables: dict[str, str], says: str) -> None:
    assert says in command("catalogue", "show", *arguments, environment=variables).sentence
    assert not [path for path in command.folder.iterdir() if path.name.startswith("~")]


def test_no_home(command: Command) -> None:
    """As in a container that is run with the number of a user."""
    nobody = [program("unshare"), "--user", "--map-user=54321", "env", "-u", "HOME", "-u", "STANDALONE_PYTHON_CACHE"]
    tried = subprocess.run([*nobody, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"needs namespaces: {tried.stderr.strip()}")
    ended = command("catalogue", "show", runner=nobody)
    assert ended.sentence.startswith("there is no place for the cache, as the current user has no home folder: set HOME, or set")
