# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that makes and refreshes the catalogue's data, against an upstream on this machine."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.builds import catalogue
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import TransportError

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "catalogue.py"

A = "cpython-3.13.1+20250115-aarch64-apple-darwin-install_only.tar.gz"
B = "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only.tar.gz"
C = "cpython-3.12.9+20250205-aarch64-apple-darwin-install_only.tar.gz"
OLD = "cpython-3.9.0-x86_64-apple-darwin-pgo+lto-20201020T0626.tar.zst"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("catalogue_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    return script


script = load_script()


class Upstream:
    """What GitHub has: releases with the digests of their files, and their SHA256SUMS."""

    def __init__(self) -> None:
        self.releases: list[dict[str, Any]] = []
        self.sums: dict[str, str] = {}
        self.status = 200
        self.page = 1
        self.requests: list[tuple[str, dict[str, str], int]] = []
        self.url = ""

    def release(
        self,
        tag: str,
        files: dict[str, str],
        sums: dict[str, str] | None = None,
        *,
        draft: bool = False,
    ) -> None:
        assets = [{"name": name, "digest": digest or None, "size": 1} for name, digest in files.items()]
        if sums is not None:
            self.sums[tag] = "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items())
            url = f"{self.url}/download/{tag}/SHA256SUMS"
            assets.append({"name": "SHA256SUMS", "digest": None, "browser_download_url": url})
        self.releases.append({"tag_name": tag, "draft": draft, "assets": assets})

    def answer(self, path: str) -> tuple[bytes, str]:
        if path.startswith("/download/"):
            return self.sums[path.split("/")[2]].encode(), ""
        number = int(path.partition("&page=")[2] or 1)
        first = (number - 1) * self.page
        more = first + self.page < len(self.releases)
        following = f'<{self.url}/releases?per_page=10&page={number + 1}>; rel="next"' if more else ""
        return json.dumps(self.releases[first : first + self.page]).encode(), following


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    here = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, following = here.answer(self.path)
            etag = f'"{hash(body)}"'
            status = 304 if here.status == 200 and self.headers.get("If-None-Match") == etag else here.status
            here.requests.append((self.path, dict(self.headers), status))
            self.send_response(status)
            self.send_header("ETag", etag)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            if status == 403:
                self.send_header("X-RateLimit-Remaining", "0")
            if following:
                self.send_header("Link", following)
            self.send_header("Content-Length", str(0 if status == 304 else len(body)))
            self.end_headers()
            if status != 304:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    rows = tmp_path / "releases.tsv"
    rows.write_text(f"tag\tfilename\tsha256\n20201020\t{OLD}\t-\n20250115\t{A}\t-\n")
    assert script.main(["--data", str(folder), "from-tsv", str(rows)]) == 0
    return folder


def refresh(upstream: Upstream, data: Path, *options: str) -> int:
    arguments = [
        "--data",
        str(data),
        "refresh",
        "--api",
        f"{upstream.url}/releases",
        "--kept",
        str(data.parent / "kept"),
    ]
    return int(script.main([*arguments, *options]))


def content(data: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in data.iterdir()}


def test_a_refresh_adds_rows_and_fills_in_checksums(upstream: Upstream, data: Path) -> None:
    upstream.release("20250205", {C: f"sha256:{'c' * 64}", f"{C}.sha256": f"sha256:{'0' * 64}"})
    upstream.release("20250115", {A: "", B: f"sha256:{'b' * 64}"}, {A: "a" * 64, B: "b" * 64, "PYTHON.json": "0" * 64})
    upstream.release("20250301", {C: f"sha256:{'d' * 64}"}, draft=True)
    upstream.release("latest", {C: f"sha256:{'d' * 64}"})
    assert refresh(upstream, data) == 0
    assert content(data) == {
        "3.9.tsv": f"20201020\t{OLD}\t-\n",
        "3.12.tsv": f"20250205\t{C}\t{'c' * 64}\t1\n",
        "3.13.tsv": f"20250115\t{A}\t{'a' * 64}\t1\n20250115\t{B}\t{'b' * 64}\t1\n",
    }


def test_a_second_refresh_asks_on_condition_and_changes_nothing(
    upstream: Upstream, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.release("20250205", {C: ""}, {C: "c" * 64})
    upstream.release("20250115", {A: ""}, {A: "a" * 64})
    assert refresh(upstream, data) == 0
    before = content(data)
    upstream.requests.clear()
    capsys.readouterr()
    assert refresh(upstream, data) == 0
    assert content(data) == before
    assert [(path, status) for path, _, status in upstream.requests] == [
        ("/releases?per_page=10", 304),
        ("/download/20250205/SHA256SUMS", 304),
        ("/releases?per_page=10&page=2", 304),
        ("/download/20250115/SHA256SUMS", 304),
    ]
    assert capsys.readouterr().out == ("2 releases read: 0 builds added, 0 checksums filled in; 0 files changed: none\n")


def test_since_passes_over_older_releases_wherever_they_are(upstream: Upstream, data: Path) -> None:
    upstream.release("20250115", {A: ""}, {A: "a" * 64})
    upstream.release("20250205", {C: ""}, {C: "c" * 64})
    before = content(data)
    assert refresh(upstream, data, "--since", "20250201") == 0
    assert content(data) == before | {"3.12.tsv": f"20250205\t{C}\t{'c' * 64}\t1\n"}


def test_a_row_that_upstream_no_longer_has_stays(upstream: Upstream, data: Path) -> None:
    before = content(data)
    upstream.release("20250115", {}, {"PYTHON.json": "0" * 64})
    assert refresh(upstream, data) == 0
    assert content(data) == before


def test_a_checksum_that_changes_is_an_error_that_names_both(
    upstream: Upstream, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.release("20250115", {A: f"sha256:{'a' * 64}"})
    assert refresh(upstream, data) == 0
    before = content(data)
    upstream.releases.clear()
    upstream.release("20250205", {C: f"sha256:{'c' * 64}"})
    upstream.release("20250115", {A: f"sha256:{'e' * 64}"})
    assert refresh(upstream, data) == 1
    assert content(data) == before
    assert capsys.readouterr().err == (
        f"catalogue.py: the sha256 of {A} in release 20250115 was {'a' * 64} and is {'e' * 64} "
        "in release 20250115 of today: find out which is right; nothing was written\n"
    )


def test_digest_and_checksum_must_agree(upstream: Upstream, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upstream.release("20250115", {A: f"sha256:{'a' * 64}"}, {A: "e" * 64})
    before = content(data)
    assert refresh(upstream, data) == 1
    assert content(data) == before
    assert f"was {'a' * 64} and is {'e' * 64} in SHA256SUMS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "answered 403, its hourly rate limit is used up; set GITHUB_TOKEN, or try again later"),
        (404, "answered 404 Not Found; check the release, and that the source has upstream's layout TAG/FILE"),
    ],
)
def test_refusals(upstream: Upstream, data: Path, capsys: pytest.CaptureFixture[str], status: int, words: str) -> None:
    upstream.status = status
    before = content(data)
    assert refresh(upstream, data) == 1
    assert capsys.readouterr().err == f"catalogue.py: releases could not be downloaded: {upstream.url}/releases {words}\n"
    assert content(data) == before


def test_an_answer_that_is_no_list_of_releases(upstream: Upstream, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upstream.releases.append({"message": "hello"})
    assert refresh(upstream, data) == 1
    assert 'sent b\'[{"message": "hello"}]\' instead of a list of releases' in capsys.readouterr().err


def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    kept = script.CachedGet(tmp_path / "kept", script.Http(backoff=()))
    with pytest.raises(TransportError, match=r"http://127.0.0.1:9/releases could not be reached: Connection refused"):
        kept("http://127.0.0.1:9/releases?per_page=10")


def test_the_token_goes_to_github_only(upstream: Upstream, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which hosts are GitHub, tests/store/test_fetch.py asks."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    upstream.release("20250115", {A: ""}, {A: "a" * 64})
    assert refresh(upstream, data) == 0
    assert upstream.requests
    assert not any("Authorization" in headers for _, headers, _ in upstream.requests)


def test_what_was_kept_and_is_damaged_is_fetched_anew(upstream: Upstream, data: Path) -> None:
    upstream.release("20250115", {A: ""}, {A: "a" * 64})
    assert refresh(upstream, data) == 0
    for path in (data.parent / "kept").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    upstream.requests.clear()
    assert refresh(upstream, data) == 0
    assert [status for _, _, status in upstream.requests] == [200, 200]


def test_making_it_anew_drops_what_the_rows_do_not_have(data: Path, tmp_path: Path) -> None:
    rows = tmp_path / "other.tsv"
    rows.write_text(f"20250205\t{C}\t-\n")
    assert script.main(["--data", str(data), "from-tsv", str(rows)]) == 0
    assert content(data) == {"3.12.tsv": f"20250205\t{C}\t-\n"}


def test_rows_that_contradict_each_other(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "other.tsv"
    rows.write_text(f"20250205\t{C}\t{'a' * 64}\n20250205\t{C}\t{'b' * 64}\n")
    before = content(data)
    assert script.main(["--data", str(data), "from-tsv", str(rows)]) == 1
    assert f"was {'a' * 64} and is {'b' * 64}" in capsys.readouterr().err
    assert content(data) == before


def test_the_bundled_data_is_what_the_script_would_write(tmp_path: Path) -> None:
    bundled = Path(catalogue.DATA)
    rows = tmp_path / "releases.tsv"
    rows.write_text("".join(sorted(line for text in content(bundled).values() for line in text.splitlines(True))))
    assert script.main(["--data", str(tmp_path / "data"), "from-tsv", str(rows)]) == 0
    assert content(tmp_path / "data") == content(bundled)


def test_its_help_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(["--help"])
    assert ended.value.code == 0
    assert {"from-tsv", "refresh"} <= set(capsys.readouterr().out.replace(",", " ").replace("{", " ").replace("}", " ").split())
