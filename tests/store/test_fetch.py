# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a real server on this machine, on its good and its bad days."""

from __future__ import annotations

import base64
import gzip
import io
import logging
import os
import subprocess
import sys
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path

import pytest
import requests

from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.credentials import authorization
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.failure import (
    ADVICE,
    ADVICE_NETWORK,
    DeniedError,
    Failure,
    NotThereError,
    download_error,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    ContentError,
    StandalonePythonError,
    TransportError,
)
from tests.store.support import Answer, Reported, Server, certificate, gz, serve, tunnel, without_key_identifiers
from tests.tools.mkbuild import available
from tests.tools.sentences import check

ARCHIVE = gz(bytes(range(256)) * 5000) + bytes(3_000_000)
GOOD = Answer(body=ARCHIVE)
PROJECT = Path(__file__).resolve().parents[2]
SECRET = "s3cr3t-t0ken"


def http(token: str = "", location: str = "", timeout: float = 5.0) -> tuple[Http, list[float]]:
    pauses: list[float] = []
    backoff = (0.5, 1.0, 2.0)
    return Http(token, location, backoff=backoff, timeout=timeout, sleep=pauses.append, spread=lambda pause: pause), pauses


def get(to: Path, server: Server, *paths: str, max_bytes: int = 1 << 23) -> list[float]:
    fetch, pauses = http()
    fetch.fetch([server.url(path) for path in paths], to, max_bytes=max_bytes, expect="archive")
    return pauses


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "build.tar.gz"


def left(to: Path) -> list[str]:
    return [path.name for path in to.parent.iterdir()]


def test_good(to: Path) -> None:
    with serve({"/a": [GOOD]}) as server:
        assert get(to, server, "/a") == []
    assert to.read_bytes() == ARCHIVE
    assert left(to) == [to.name]


@pytest.mark.parametrize("status", [403, 408, 425, 429, 500, 502, 503, 504])
def test_not_now_then_well(to: Path, status: int) -> None:
    with serve({"/a": [Answer(status), Answer(status), GOOD]}) as server:
        assert get(to, server, "/a") == [0.5, 1.0]
    assert to.read_bytes() == ARCHIVE


@pytest.mark.parametrize(("asks", "waited"), [("7", 7.5), ("0", 0.5), ("nonsense", 0.5)])
def test_retry_after(to: Path, asks: str, waited: float) -> None:
    with serve({"/a": [Answer(429, headers={"Retry-After": asks}), GOOD]}) as server:
        assert get(to, server, "/a") == [waited]


def test_retry_after_a_date(to: Path) -> None:
    asks = formatdate(time.time() + 50, usegmt=True)
    with serve({"/a": [Answer(429, headers={"Retry-After": asks}), GOOD]}) as server:
        (pause,) = get(to, server, "/a")
    assert 20 < pause <= 50.5


def test_pauses_differ_so_that_clients_come_back_one_by_one(to: Path) -> None:
    pauses: list[float] = []
    with serve({"/a": [Answer(503)]}) as server, pytest.raises(TransportError, match="tried 21 times"):
        Http(backoff=(1.0,) * 20, sleep=pauses.append).fetch([server.url("/a")], to, max_bytes=100, expect="archive")
    assert all(0.5 <= pause <= 1.5 for pause in pauses)
    assert max(pauses) - min(pauses) > 0.2


def test_retry_after_too_long(to: Path) -> None:
    answer = Answer(429, headers={"Retry-After": "3600"})
    with (
        serve({"/a": [answer]}) as server,
        pytest.raises(TransportError, match=r"429.*asks to wait 3600 seconds"),
    ):
        get(to, server, "/a")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (403, TransportError, "answered 403 Forbidden .tried 4 times.; check the token"),
        (429, TransportError, "answered 429 Too Many Requests .tried 4 times.; try again later"),
        (503, TransportError, "answered 503 Service Unavailable .tried 4 times.; try again later"),
        (401, TransportError, "answered 401 Unauthorized; check the token or the password"),
        (404, NotThereError, "answered 404 Not Found; check the release"),
    ],
)
def test_never(to: Path, status: int, kind: type[Exception], said: str) -> None:
    with serve({"/a": [Answer(status, b"sorry")]}) as server, pytest.raises(kind, match=said) as caught:
        get(to, server, "/a")
    assert server.url("/a") in str(caught.value)
    assert "a could not be downloaded: " in str(caught.value)
    assert left(to) == []


def test_next_address(to: Path) -> None:
    with serve({"/b": [GOOD]}) as server:
        assert get(to, server, "/a", "/b") == []
    assert to.read_bytes() == ARCHIVE


def test_next_address_after_a_page(to: Path) -> None:
    page = Answer(body=b"<html>log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with serve({"/a": [page], "/b": [GOOD]}) as server:
        get(to, server, "/a", "/b")
    assert to.read_bytes() == ARCHIVE


def test_all_addresses_are_named(to: Path) -> None:
    with serve({"/b": [Answer(503)]}) as server, pytest.raises(TransportError) as caught:
        get(to, server, "/a", "/b")
    assert "/a answered 404" in str(caught.value)
    assert "/b answered 503" in str(caught.value)
    assert server.count("/a") == 1
    assert server.count("/b") == 4


def test_resumes(to: Path) -> None:
    broken = Answer(body=ARCHIVE, cut=2_000_000, ranges=True)
    reported = Reported()
    with serve({"/a": [broken, Answer(body=ARCHIVE, ranges=True)]}) as server, progress.listening(reported):
        get(to, server, "/a")
    assert to.read_bytes() == ARCHIVE
    # What was in flight when the connection broke may be lost.
    start = int(server.asked[1][1]["range"].removeprefix("bytes=").rstrip("-"))
    assert 1_500_000 <= start <= 2_000_000
    begun, first, *_pieces, last, ended = reported.events
    assert (begun, ended) == (("Downloading", "a", None), True)
    assert (first, last) == ((0, len(ARCHIVE)), (len(ARCHIVE), None))
    assert (start, len(ARCHIVE)) in reported.events


def test_does_not_resume_another_file(to: Path) -> None:
    other = ARCHIVE[:100] + bytes(len(ARCHIVE) - 100)
    with serve(
        {
            "/a": [
                Answer(body=other, cut=2_000_000, ranges=True, tag='"old"'),
                Answer(body=ARCHIVE, ranges=True, tag='"new"'),
            ]
        }
    ) as server:
        get(to, server, "/a")
    assert to.read_bytes() == ARCHIVE


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_starts_anew_where_nothing_says_that_the_file_is_the_same(to: Path, tag: str) -> None:
    headers = {"ETag": tag} if tag else {}
    with serve({"/a": [Answer(body=ARCHIVE, cut=2_000_000, headers=headers), GOOD]}) as server:
        get(to, server, "/a")
    assert to.read_bytes() == ARCHIVE
    assert "range" not in server.asked[1][1]


def test_wrong_part(to: Path) -> None:
    wrong = Answer(206, ARCHIVE[5:], headers={"Content-Range": f"bytes 5-{len(ARCHIVE) - 1}/{len(ARCHIVE)}"})
    with serve({"/a": [Answer(body=ARCHIVE, cut=2_000_000, ranges=True), wrong, GOOD]}) as server:
        get(to, server, "/a")
    assert to.read_bytes() == ARCHIVE


@dataclass
class Seen:
    """What a download did: where it began, and what it wrote from there."""

    began: list[tuple[int, int]] = field(default_factory=list)
    content: bytes = b""

    def begins(self, offset: int, size: int) -> None:
        self.began.append((offset, size))
        self.content = self.content[:offset]

    def wrote(self, chunk: bytes) -> None:
        self.content += chunk


def resume(part: Path, server: Server, *paths: str) -> Seen:
    seen = Seen(content=part.read_bytes() if part.exists() else b"")
    http()[0].resume([server.url(path) for path in paths], part, max_bytes=1 << 23, watch=seen, instead="go elsewhere")
    return seen


def test_goes_on_with_what_an_earlier_run_left(to: Path) -> None:
    to.write_bytes(ARCHIVE[:1_000_000])
    with serve({"/a": [Answer(body=ARCHIVE, ranges=True, unconditional=True)]}) as server:
        seen = resume(to, server, "/a")
    assert to.read_bytes() == seen.content == ARCHIVE
    assert seen.began == [(1_000_000, len(ARCHIVE))]


def test_goes_on_at_another_address(to: Path) -> None:
    cut = Answer(body=ARCHIVE, cut=2_000_000, ranges=True, tag='"one"')
    whole = Answer(body=ARCHIVE, ranges=True, unconditional=True, tag='"two"')
    with serve({"/a": [cut, Answer(404)], "/b": [whole]}) as server:
        seen = resume(to, server, "/a", "/b")
    assert to.read_bytes() == seen.content == ARCHIVE
    assert [began > 1_500_000 for began, _size in seen.began] == [False, True]


def test_starts_anew_where_the_server_has_no_parts(to: Path) -> None:
    to.write_bytes(b"\x1f\x8b" + bytes(999))
    with serve({"/a": [GOOD]}) as server:
        seen = resume(to, server, "/a")
    assert to.read_bytes() == seen.content == ARCHIVE
    assert server.asked[0][1]["range"] == "bytes=1001-"


def test_starts_anew_where_there_is_nothing_after_what_was_left(to: Path) -> None:
    to.write_bytes(bytes(5_000_000))
    with serve({"/a": [Answer(416), GOOD]}) as server:
        resume(to, server, "/a")
    assert to.read_bytes() == ARCHIVE
    assert "range" not in server.asked[1][1]


def test_leaves_what_came_for_the_next_run(to: Path) -> None:
    with serve({"/a": [Answer(body=ARCHIVE, cut=2_000_000), Answer(503)]}) as server, pytest.raises(TransportError, match="503"):
        resume(to, server, "/a")
    assert ARCHIVE.startswith(to.read_bytes())
    assert to.stat().st_size > 1_500_000


def test_full_disk_of_what_is_resumed(to: Path, full_disk: Callable[[int], AbstractContextManager[None]]) -> None:
    with (
        serve({"/a": [GOOD]}) as server,
        full_disk(500_000),
        pytest.raises(TransportError, match="make room there, or go elsewhere"),
    ):
        resume(to, server, "/a")
    assert ARCHIVE.startswith(to.read_bytes())


@pytest.mark.parametrize("whole", [True, False])
def test_content_of_an_untold_length(to: Path, whole: bool) -> None:
    chunked = f"{len(ARCHIVE):x}\r\n".encode() + ARCHIVE + b"\r\n0\r\n\r\n" * whole
    answer = Answer(body=chunked, headers={"Transfer-Encoding": "chunked"}, length=False)
    with (
        serve({"/a": [answer]}) as server,
        nullcontext() if whole else pytest.raises(TransportError, match="broke off in the middle"),
    ):
        http()[0].fetch([server.url("/a")], to, max_bytes=10**7, expect="archive")
    assert to.exists() == whole
    assert not whole or to.read_bytes() == ARCHIVE


def test_always_truncated(to: Path) -> None:
    with (
        serve({"/a": [Answer(body=ARCHIVE, cut=1000)]}) as server,
        pytest.raises(TransportError, match="broke off"),
    ):
        get(to, server, "/a")
    assert left(to) == []


def test_hangs_up_at_once(to: Path) -> None:
    import socket
    from threading import Thread

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            for _ in range(4):
                listening.accept()[0].close()

        thread = Thread(target=hang_up)
        thread.start()
        with pytest.raises(TransportError, match="tried 4 times"):
            http()[0].fetch([f"http://127.0.0.1:{listening.getsockname()[1]}/a"], to, max_bytes=100, expect="archive")
        thread.join()


def test_never_answers(to: Path) -> None:
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(TransportError, match=r"0.05 seconds"),
    ):
        http(timeout=0.05)[0].fetch([f"http://127.0.0.1:{listening.getsockname()[1]}/a"], to, max_bytes=100, expect="archive")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(body=b"<html>", headers={"Content-Type": "text/html"}), "HTML page where an archive"),
        (Answer(body=b"\n <!DOCTYPE html><p>"), "HTML page where an archive"),
        (Answer(body=b"not an archive"), "neither gzip nor zstd"),
        (Answer(body=b""), "sent nothing"),
        (Answer(body=gz(b"x") + bytes(1000)), "more than the allowed 900 bytes"),
        (Answer(body=gz(b"x") + bytes(1000), length=False), "more than the allowed 900 bytes"),
    ],
)
def test_not_what_was_promised(to: Path, answer: Answer, said: str) -> None:
    with serve({"/a": [answer]}) as server, pytest.raises(ContentError, match=said):
        get(to, server, "/a", max_bytes=900)
    assert len(server.asked) == 1
    assert left(to) == []


def test_archive_with_a_content_encoding_stays_packed(to: Path) -> None:
    with serve({"/a": [Answer(body=ARCHIVE, headers={"Content-Encoding": "gzip"})]}) as server:
        get(to, server, "/a")
    assert to.read_bytes() == ARCHIVE


def test_text_with_a_content_encoding_is_unpacked(to: Path) -> None:
    with serve({"/a": [Answer(body=gz(b"text"), headers={"Content-Encoding": "gzip"})]}) as server:
        http()[0].fetch([server.url("/a")], to, max_bytes=900, expect="text")
    assert to.read_bytes() == b"text"


PACKED: Mapping[str, tuple[str, bytes]] = {
    "deflate": ("deflate", zlib.compress(b"text")),
    "two members": ("gzip", gz(b"te") + gz(b"xt")),
    "capitals": ("GZIP", gz(b"text")),
    "not packed": ("identity", b"text"),
}


@pytest.mark.parametrize("case", PACKED)
def test_how_a_text_may_be_packed(to: Path, case: str) -> None:
    encoding, body = PACKED[case]
    with serve({"/a": [Answer(body=body, headers={"Content-Encoding": encoding})]}) as server:
        http()[0].fetch([server.url("/a")], to, max_bytes=900, expect="text")
    assert to.read_bytes() == b"text"


def test_a_packed_text_that_breaks_off_begins_anew(to: Path) -> None:
    body = gz(os.urandom(300))
    packed = Answer(body=body, headers={"Content-Encoding": "gzip"}, ranges=True)
    with serve({"/a": [replace(packed, cut=150), replace(packed, body=body[:-10]), packed]}) as server:
        http()[0].fetch([server.url("/a")], to, max_bytes=900, expect="text")
    assert to.read_bytes() == gzip.decompress(body)
    assert [asked.get("range") for _path, asked in server.asked] == [None, None, None]


# What is a MB or less on the way and much more when it is unpacked; what each costs is measured.
WIDENED: Mapping[str, tuple[Callable[[], bytes], str, str]] = {
    "zeros": (lambda: gz(bytes(1 << 28)), "gzip", "sends more than the allowed 67108864 bytes"),
    "zeros, as deflate": (lambda: zlib.compress(bytes(1 << 28)), "deflate", "sends more than the allowed 67108864 bytes"),
    "nothing, many times": (lambda: gz(b"") * 50_000, "gzip", "sent nothing"),
    "zeros in zeros": (lambda: gz(gz(bytes(1 << 28))), "gzip, gzip", "sends the text as gzip, gzip, which is not supported"),
    "in another way": (lambda: b"text", "br", "sends the text as br, which is not supported"),
    "not packed": (lambda: b"text", "gzip", "sends a text that can't be decompressed"),
    "garbage after it": (lambda: gz(b"text") + b"garbage", "gzip", "sends a text that can't be decompressed"),
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("case", WIDENED)
def test_a_packed_text_costs_no_more_than_it_may_have(to: Path, case: str, chunked: bool) -> None:
    made, encoding, said = WIDENED[case]
    body = made()
    answer = Answer(body=body, headers={"Content-Encoding": encoding}, length=not chunked)
    with serve({"/a": [answer]}) as server:
        began = time.process_time()
        tracemalloc.start()
        try:
            with pytest.raises(ContentError, match=said):
                http()[0].fetch([server.url("/a")], to, max_bytes=64 << 20, expect="text")
            assert tracemalloc.get_traced_memory()[1] < (16 << 20) + len(body)
        finally:
            tracemalloc.stop()
        assert time.process_time() - began < 10
    assert left(to) == []


def test_no_network(to: Path) -> None:
    fetch, pauses = http()
    with pytest.raises(TransportError, match=r"http://nowhere\.invalid/a could not be reached: the host name can't be"):
        fetch.fetch(["http://nowhere.invalid/a"], to, max_bytes=100, expect="archive")
    assert pauses == [0.5, 1.0, 2.0]


def test_nobody_listens(to: Path) -> None:
    with pytest.raises(TransportError, match="could not be reached: Connection refused"):
        http()[0].fetch(["http://127.0.0.1:9/a"], to, max_bytes=100, expect="archive")


def test_proxy_with_a_password(to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("http_proxy", f"http://user:{SECRET}@127.0.0.1:9")
    with pytest.raises(TransportError, match="through the proxy: Connection refused") as caught:
        http()[0].fetch(["http://mirror.invalid/a"], to, max_bytes=100, expect="archive")
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "http_proxy",
            "socks5://127.0.0.1:9",
            "http_proxy names a SOCKS proxy, which needs the Python package PySocks; install it",
        ),
        ("HTTP_PROXY", f"http://user:{SECRET}/w@127.0.0.1:80", "HTTP_PROXY is not a valid proxy URL; use http://HOST:PORT"),
        ("all_proxy", "http://[bad", "all_proxy is not a valid proxy URL; use"),
        ("http_proxy", f"http://{SECRET}:%E2%82%AC@127.0.0.1:9", "http_proxy is not a valid proxy URL; use"),
    ],
)
def test_a_proxy_that_is_none(to: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(variable, value)
    monkeypatch.setitem(sys.modules, "socks", None)
    fetch, pauses = http()
    with pytest.raises(TransportError, match=f"http://mirror.invalid/a can't be requested, as {said}") as caught:
        fetch.fetch(["http://mirror.invalid/a"], to, max_bytes=100, expect="archive")
    assert pauses == []
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize("token", [f"{SECRET}\nmore", f"{SECRET}\u20ac"])
def test_a_token_that_no_header_can_have(to: Path, token: str) -> None:
    with (
        serve({"/a": [GOOD]}) as server,
        pytest.raises(TransportError, match="can't be requested, as the token has a character") as caught,
    ):
        http(token, server.url("/"))[0].fetch([server.url("/a")], to, max_bytes=1 << 23, expect="archive")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_are_not_there(to: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "gone.pem"))
    fetch, pauses = http()
    with pytest.raises(
        TransportError, match=f"https://127.0.0.1:9/a can't be requested, as {variable} is not a file or folder of cert"
    ):
        fetch.fetch(["https://127.0.0.1:9/a"], to, max_bytes=100, expect="archive")
    assert pauses == []


@pytest.mark.parametrize("proxied", [False, True])
def test_authorities_of_the_system_are_trusted(to: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxied: bool) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path)))
    with serve({"/a": [GOOD]}, tls=tmp_path / "tls.pem") as server, tunnel() as (proxy, through):
        if proxied:
            monkeypatch.delenv("NO_PROXY")
            monkeypatch.setenv("https_proxy", proxy)
        http()[0].fetch([f"https://localhost:{server.port}/a"], to, max_bytes=1 << 23, expect="archive")
        assert through == proxied * [f"localhost:{server.port}"]
    assert to.read_bytes() == ARCHIVE


# A controller of another version, with the libraries of this one: they are pure Python.
FETCHER = f"""
import sys
sys.path[1:1] = {[str(Path(requests.__file__).parents[1]), str(PROJECT)]!r}
from pathlib import Path
from {Http.__module__} import Http
Http(backoff=()).fetch([sys.argv[1]], Path(sys.argv[2]), max_bytes=1 << 23, expect="archive")
"""


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("minor", [minor for minor in available() if minor not in ("3.8", "3.9", "3.10")])
def test_an_authority_without_key_identifiers_is_trusted(to: Path, tmp_path: Path, minor: str, variable: str) -> None:
    """Python 3.13 made its own contexts stricter than those of curl, pip and uv."""
    authority, server_file = without_key_identifiers(tmp_path)
    with serve({"/a": [GOOD]}, tls=server_file) as server:
        command = [available()[minor], "-I", "-c", FETCHER, f"https://localhost:{server.port}/a", str(to)]
        environment = {**os.environ, variable: str(authority)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert to.read_bytes() == ARCHIVE


@pytest.mark.parametrize("host", ["api.github.com", "github.com"])
@pytest.mark.parametrize(
    ("status", "token", "named"), [(401, SECRET, True), (403, f"{SECRET}\n", True), (401, "", False), (404, SECRET, False)]
)
def test_a_github_token_of_the_environment_is_named_where_github_denies_it(
    to: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, status: int, token: str, named: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path, host)))
    monkeypatch.setenv("GITHUB_TOKEN", token)
    monkeypatch.delenv("NO_PROXY")
    with (
        serve({"/a": [Answer(status, b'{"message": "Bad credentials"}')]}, tls=tmp_path / "tls.pem") as server,
        tunnel(server.port) as (proxy, _),
    ):
        monkeypatch.setenv("https_proxy", proxy)
        with pytest.raises(TransportError, match=f"https://{host}/a answered {status}") as caught:
            http()[0].fetch([f"https://{host}/a"], to, max_bytes=1 << 23, expect="archive")
    assert ("renew or unset it" in str(caught.value)) is named
    assert isinstance(caught.value, DeniedError | NotThereError) is not named
    assert server.asked[0][1].get("authorization", "") == (f"Bearer {SECRET}" if token else "")
    assert SECRET not in everything(caught.value)


def test_full_disk(to: Path, full_disk: Callable[[int], AbstractContextManager[None]]) -> None:
    with (
        serve({"/a": [GOOD]}) as server,
        full_disk(500_000),
        pytest.raises(TransportError, match="can't be written"),
    ):
        get(to, server, "/a")
    assert left(to) == []
    assert len(server.asked) == 1


def test_keeps_what_is_there_when_it_fails(to: Path) -> None:
    to.write_bytes(b"kept")
    with serve({}) as server, pytest.raises(TransportError):
        get(to, server, "/a")
    assert to.read_bytes() == b"kept"


def everything(error: BaseException | None) -> str:
    """An exception as any logger could show it, with all that hangs on it."""
    said = ""
    while error is not None:
        said += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        error = error.__context__
    return said


def test_token_for_the_source(to: Path) -> None:
    with serve({"/a": [GOOD]}) as server:
        fetch, _ = http(SECRET, server.url("/"))
        fetch.fetch([server.url("/a")], to, max_bytes=1 << 23, expect="archive")
        assert server.asked[0][1]["authorization"] == f"Bearer {SECRET}"
        fetch.fetch([server.url("/a", host="localhost")], to, max_bytes=1 << 23, expect="archive")
        assert "authorization" not in server.asked[1][1]
        assert SECRET not in repr(fetch)


@pytest.mark.parametrize("user", ["", f"user:{SECRET}@"])
def test_credentials_stay_behind_at_a_redirect(to: Path, user: str) -> None:
    with serve({"/b": [GOOD]}) as server:
        server.answers["/a"] = [Answer(302, headers={"Location": server.url("/b", host="localhost")})]
        fetch, _ = http("" if user else SECRET, server.url("/"))
        fetch.fetch([server.url("/a", user=user)], to, max_bytes=1 << 23, expect="archive")
    basic = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
    assert [asked.get("authorization") for _, asked in server.asked] == [
        basic if user else f"Bearer {SECRET}",
        None,
    ]
    assert to.read_bytes() == ARCHIVE


def test_redirect_on_the_same_host_keeps_the_token(to: Path) -> None:
    with serve({"/a": [Answer(307, headers={"Location": "/b"})], "/b": [GOOD]}) as server:
        http(SECRET, server.url("/"))[0].fetch([server.url("/a")], to, max_bytes=1 << 23, expect="archive")
    assert [asked.get("authorization") for _, asked in server.asked] == 2 * [f"Bearer {SECRET}"]


def test_a_redirect_may_have_letters_as_they_are(to: Path) -> None:
    """They come as bytes of UTF-8, and http.client takes them for Latin-1."""
    location = "/gr\u00fc\u00dfe".encode().decode("latin-1")
    with serve({"/a": [Answer(302, headers={"Location": location})], "/gr%C3%BC%C3%9Fe": [GOOD]}) as server:
        get(to, server, "/a")
    assert to.read_bytes() == ARCHIVE


def test_endless_redirects(to: Path) -> None:
    answer = Answer(301, headers={"Location": "/a"})
    with serve({"/a": [answer]}) as server, pytest.raises(TransportError, match="more than 10 times"):
        get(to, server, "/a")


def test_a_size_is_asked_for_without_the_content_and_with_each_hosts_own_credentials() -> None:
    with serve({"/b": [GOOD]}) as server:
        server.answers["/a"] = [Answer(302, headers={"Location": server.url("/b", host="localhost")})]
        assert http(SECRET, server.url("/"))[0].size([server.url("/gone"), server.url("/a")]) == len(ARCHIVE)
    assert [(path, asked.get("authorization")) for path, asked in server.asked] == [
        ("/gone", f"Bearer {SECRET}"),
        ("/a", f"Bearer {SECRET}"),
        ("/b", None),
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(405), "answered 405 Method Not Allowed"),
        (Answer(503), "answered 503 Service Unavailable; try again later"),
        (Answer(200, b"<html>", headers={"Content-Type": "text/html"}), "sent an HTML page"),
        (Answer(200, ARCHIVE, length=False), "doesn't report it"),
        (Answer(302, headers={"Location": "ftp://a/b"}), "or redirects to something else"),
    ],
)
def test_a_size_that_is_not_told_is_asked_for_once(answer: Answer, said: str) -> None:
    with serve({"/build.tar.gz": [answer]}) as server, pytest.raises(StandalonePythonError, match=said) as caught:
        http()[0].size([server.url("/build.tar.gz")])
    assert str(caught.value).startswith("the size of build.tar.gz could not be downloaded: http://")
    assert server.count("/build.tar.gz") == 1


def test_netrc_is_for_its_host(to: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serve({"/a": [GOOD]}) as server:
        get(to, server, "/a")
        http()[0].fetch([server.url("/a", host="localhost")], to, max_bytes=1 << 23, expect="archive")
        http("token", server.url("/"))[0].fetch([server.url("/a")], to, max_bytes=1 << 23, expect="archive")
    basic = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
    assert [asked.get("authorization") for _, asked in server.asked] == [basic, None, "Bearer token"]


@pytest.mark.parametrize(
    ("url", "asked", "location", "expected"),
    [
        ("https://github.com/x", "https://github.com/x", "https://mirror.example", "Bearer github"),
        ("https://api.github.com/x", "https://github.com/x", "https://mirror.example", "Bearer github"),
        ("https://github.com/x", "https://github.com/x", "", "Bearer own"),
        ("http://github.com/x", "http://github.com/x", "https://mirror.example", ""),
        ("https://github.com:444/x", "https://github.com:444/x", "https://mirror.example", ""),
        ("https://github.com.example/x", "https://github.com.example/x", "", ""),
        ("https://objects.githubusercontent.com/x", "https://github.com/x", "", ""),
        ("https://releases.astral.sh/x", "https://releases.astral.sh/x", "", ""),
        ("https://mirror.example/x", "https://mirror.example/x", "https://mirror.example/", "Bearer own"),
        ("https://mirror.example:443/x", "http://mirror.example/x", "http://mirror.example/", "Bearer own"),
        ("http://mirror.example/x", "https://mirror.example/x", "https://mirror.example/", ""),
        ("https://mirror.example:8443/x", "https://mirror.example/x", "https://mirror.example/", ""),
        ("https://mirror.example@evil.example/x", "https://evil.example/x", "https://mirror.example/", ""),
    ],
)
def test_authorization(url: str, asked: str, location: str, expected: str) -> None:
    assert authorization(url, asked, "own", location, "github") == expected


@pytest.mark.parametrize(
    "answers",
    [
        [Answer(403)],
        [Answer(body=ARCHIVE, cut=1000)],
        [Answer(body=b"<html>")],
        [Answer(302, headers={"Location": "http://127.0.0.1:9/a?key=" + SECRET})],
        [Answer(302, headers={"Location": f"http://user:{SECRET}@[broken/"})],
        [Answer(302, headers={"Location": "gopher://nowhere/"})],
    ],
)
def test_secrets_are_in_no_error(to: Path, answers: list[Answer], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve({"/a": answers}) as server:
        fetch, _ = http(SECRET, server.url("/"))
        with pytest.raises(StandalonePythonError) as caught:
            fetch.fetch([server.url("/a", user=f"user:{SECRET}@")], to, max_bytes=1 << 23, expect="archive")
    assert SECRET not in everything(caught.value)
    assert server.url("/a") in str(caught.value)
    assert SECRET not in "\n".join(record.getMessage() for record in caplog.records if "key=" not in record.getMessage())
    assert left(to) == []


def test_https_does_not_become_http(to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def answer(self: requests.Session, url: str, **options: object) -> requests.Response:
        response = requests.Response()
        response.status_code = 302
        response.headers["Location"] = "http://mirror.example/b"
        response.raw = io.BytesIO()
        return response

    monkeypatch.setattr(requests.Session, "get", answer)
    with pytest.raises(TransportError, match=r"redirects from https to http://mirror.example/b"):
        http()[0].fetch(["https://mirror.example/a"], to, max_bytes=100, expect="archive")


def test_a_status_line_and_a_redirect_with_control_characters_reach_no_terminal(to: Path) -> None:
    answers = {
        "/a": [Answer(404, reason="\x1b]0;owned\x07 Not Found")],
        "/b": [Answer(404, reason="\x9b31m" + "long " * 10_000)],
        "/c": [Answer(302, headers={"Location": "ftp://example.org/\x1b]52;c;cm0gLXJm\x07"})],
    }
    with serve(answers) as server:
        for path in answers:
            with pytest.raises(StandalonePythonError) as caught:
                get(to, server, path)
            check(str(caught.value), 1000)
            assert path != "/a" or r"answered 404 \x1b]0;owned\x07 Not Found" in str(caught.value)


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000])
def test_a_length_that_is_no_number_is_not_said(to: Path, length: str) -> None:
    with serve({"/a": [Answer(body=ARCHIVE, headers={"Content-Length": length}, length=False)]}) as server:
        get(to, server, "/a")
        with pytest.raises(TransportError, match="doesn't report it"):
            http()[0].size([server.url("/a")])
    assert to.read_bytes() == ARCHIVE


@pytest.mark.parametrize("asks", ["\xb2", "9" * 5000, "Mon, 99999999999999999999 Jan 2025 00:00:00 GMT"])
def test_a_pause_that_is_no_number_is_not_asked_for(to: Path, asks: str) -> None:
    with serve({"/a": [Answer(503, headers={"Retry-After": asks}), GOOD]}) as server:
        assert get(to, server, "/a") == [0.5]


def test_addresses_that_fail_alike_are_named_together() -> None:
    unreachable = Failure("could not be reached: the host name can't be resolved", ADVICE_NETWORK, retry=True)
    gone = Failure("answered 404 Not Found", ADVICE[404], absent=True)
    error = download_error("a.tar.gz", {"https://a/x": unreachable, "https://b/x": unreachable, "https://c/x": gone}, 5)
    assert str(error) == (
        "a.tar.gz could not be downloaded: https://a/x and https://b/x could not be reached: the host name can't be resolved "
        f"(tried 5 times); https://c/x answered 404 Not Found; {ADVICE_NETWORK}"
    )
