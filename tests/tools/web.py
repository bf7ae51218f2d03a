# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server for a folder, on the loopback interface, that is as good or as bad as the first part of a path says.

``/plain/TAG/FILE`` is the file; ``cut`` and ``slow`` send half of it, ``page`` a page, ``status-503`` that status, ``first-503``
that status twice; ``later-503`` asks to wait a minute for an archive; ``nohead`` answers 405 where only the head of a file is asked for; ``token`` and ``basic`` want to be shown something, and ``token-slow`` is slow then. ``ranges``
gives out a part to who asks for it. It is a proxy too, for addresses of any host.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOKEN = "a-token-that-nobody-may-see"
PASSWORD = "a-password-that-nobody-may-see"
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``proxied`` is the host that was meant where it came as to a proxy."""

    path: str
    headers: Mapping[str, str]
    proxied: str = ""
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """``sent``: how many bytes of the body before the connection is closed; all of them where it is None."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/octet-stream"
    sent: int | None = None
    range: str = ""


@dataclass
class Web:
    """
    :ivar going: what ``slow`` waits for in the middle of a file
    :ivar half: set once ``slow`` has sent half of one
    """

    folder: Path
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    going: threading.Event = field(default_factory=threading.Event)
    half: threading.Event = field(default_factory=threading.Event)

    def url(self, how: str = "plain", *, user: str = "", host: str = "") -> str:
        return f"http://{user}{'@' if user else ''}{host or f'127.0.0.1:{self.port}'}/{how}"

    def count(self, beginning: str, end: str = ".tar.gz") -> int:
        """How often files were asked for below a path, with their content."""
        asked = [asked.path for asked in self.asked if asked.method == "GET"]
        return sum(path.startswith(f"/{beginning}/") and path.endswith(end) for path in asked)

    def answer(self, how: str, path: str, headers: Mapping[str, str], times: int) -> Answer:
        """:param times: how often this was asked for, this time included"""
        file = self.folder / path
        content = file.read_bytes() if file.is_file() else None
        word, _, code = how.partition("-")
        authorization = {"token": f"Bearer {TOKEN}", "basic": "Basic " + b64encode(f"someone:{PASSWORD}".encode()).decode()}
        if word in authorization and headers.get("authorization") != authorization[word]:
            return Answer(401)
        if word == "page":
            return Answer(200, PAGE, "text/html")
        if word == "status" or (word == "later" and path.endswith(".tar.gz")) or (word == "first" and times <= 2):
            return Answer(int(code))
        if content is None:
            return Answer(404)
        if word == "ranges" and "range" in headers:
            start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
            return Answer(206, content[start:], range=f"bytes {start}-{len(content) - 1}/{len(content)}")
        return Answer(200, content, sent=len(content) // 2 if {word, code} & {"cut", "slow"} else None)


@contextmanager
def serve(folder: Path) -> Iterator[Web]:
    web = Web(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            path = unquote(url.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            web.asked.append(Asked(path, headers, url.netloc, self.command))
            times = sum(asked.path == path for asked in web.asked)
            _, how, rest = f"{path}//".split("/", 2)
            head = self.command == "HEAD"
            answer = Answer(405) if head and how == "nohead" else web.answer(how, rest.strip("/"), headers, times)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            if how.startswith("later") and answer.status != 200:
                self.send_header("Retry-After", "60")
            if answer.range:
                self.send_header("Content-Range", answer.range)
            self.end_headers()
            if head:
                return
            self.wfile.write(answer.body[: answer.sent])
            if how.endswith("slow") and answer.status == 200:
                self.wfile.flush()
                web.half.set()
                web.going.wait(60)
                self.wfile.write(answer.body[answer.sent :])

        do_HEAD = do_GET

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                # Whoever asked has gone: that is what some tests do.
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.block_on_close = False
        web.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield web
        finally:
            web.going.set()
            listening.shutdown()
