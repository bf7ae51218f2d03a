# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the store share: small archives laid out like a build's, and a server that misbehaves as
told.

The archives hold text where a build has programs: nothing in them can be started.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import socket
import ssl
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import zstandard

from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import Build, parse_filename

TAG = "20250115"
NAME = f"cpython-3.13.1+{TAG}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
FULL_NAME = f"cpython-3.13.1+{TAG}-x86_64-unknown-linux-gnu-pgo+lto-full.tar.zst"

LONG = "/".join(["lib", "python3.13", *(f"a-folder-with-a-long-name-{n}" for n in range(6)), "module.py"])


@dataclass(frozen=True)
class Entry:
    """A member to be written, good or bad."""

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    pax: dict[str, str] = field(default_factory=dict)


def folder(name: str) -> Entry:
    return Entry(name, kind=tarfile.DIRTYPE, mode=0o755)


def symlink(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.LNKTYPE, link=target)


def tree(top: str = "python") -> list[Entry]:
    """Files and links of every kind that a build has."""
    return [
        folder(top),
        folder(f"{top}/bin"),
        Entry(f"{top}/bin/python3.13", b"the interpreter\n" * 1000, mode=0o755),
        symlink(f"{top}/bin/python3", "python3.13"),
        symlink(f"{top}/bin/python", "python3"),
        hardlink(f"{top}/bin/pip3.13", f"{top}/bin/python3.13"),
        folder(f"{top}/lib"),
        Entry(f"{top}/lib/python3.13/os.py", b"import abc\n"),
        Entry(f"{top}/lib/python3.13/empty.py"),
        Entry(f"{top}/lib/python3.13/script (dev).tmpl", b"spaces\n"),
        Entry(f"{top}/lib/python3.13/gr\u00fc\u00dfe.txt", b"not ASCII\n"),
        Entry(f"{top}/{LONG}", b"long\n"),
        symlink(f"{top}/lib/current", "python3.13"),
        symlink(f"{top}/lib/os.py", "current/os.py"),
        symlink(f"{top}/lib/dangling", "nothing/here"),
        symlink(f"{top}/lib/loop", "loop"),
        Entry(f"{top}/share/terminfo/x/xterm", b"\x1a\x01" * 50),
        symlink(f"{top}/share/terminfo/v", "../terminfo/x"),
        symlink(f"{top}/share/terminfo/link-to-\u00fc", "../../lib/python3.13/gr\u00fc\u00dfe.txt"),
    ]


LISTED = {
    "bin/pip3.13",
    "bin/python",
    "bin/python3",
    "bin/python3.13",
    "lib/os.py",
    "lib/python3.13/empty.py",
    "lib/python3.13/gr\u00fc\u00dfe.txt",
    "lib/python3.13/os.py",
    "lib/python3.13/script (dev).tmpl",
    "share/terminfo/link-to-\u00fc",
    "share/terminfo/x/xterm",
    LONG,
}


def tar(entries: Iterable[Entry], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.linkname, info.mode = entry.kind, entry.link, entry.mode
            info.size, info.mtime, info.pax_headers = len(entry.content), 1_700_000_000, dict(entry.pax)
            archive.addfile(info, io.BytesIO(entry.content))
    return out.getvalue()


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(data)


def small() -> bytes:
    return gz(tar(tree()))


def full() -> bytes:
    """As a full archive is laid out: more than what is installed."""
    return zst(
        tar(
            [
                folder("python"),
                Entry("python/PYTHON.json", b"{}"),
                Entry("python/build/core.o", b"object" * 500),
                symlink("python/build/out", "/build/out"),
                *tree("python/install"),
                Entry("python/licenses/LICENSE.txt", b"free\n"),
            ]
        )
    )


def build(name: str, archive: bytes | None) -> Build:
    digest = None if archive is None else hashlib.sha256(archive).hexdigest()
    return replace(parse_filename(name), sha256=digest)


def lay_out(root: Path, name: str, archive: bytes) -> None:
    """A folder of releases, as upstream's."""
    release = root / TAG
    release.mkdir(parents=True, exist_ok=True)
    (release / name).write_bytes(archive)
    with (release / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(archive).hexdigest()}  {name}\n")


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    :param cut: hang up after so many bytes of the body
    :param stall: seconds to keep the connection after that
    :param ranges: serve the part that is asked for, if the condition agrees
    :param unconditional: and also where there is no condition
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: float = 0.0
    ranges: bool = False
    unconditional: bool = False
    tag: str = '"one"'
    length: bool = True
    reason: str | None = None


class Reported(progress.Listener):
    """What a front end is told of a download."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def begin(self, task: progress.Task) -> None:
        self.events.append(task)

    def advance(self, task: progress.Task, done: int, total: int | None = None) -> None:
        self.events.append((done, total))

    def end(self, task: progress.Task, *, complete: bool) -> None:
        self.events.append(complete)


@dataclass
class Server:
    """Answers by path: the first answer to the first request, and so on; the last one again and again."""

    answers: dict[str, Sequence[Answer]]
    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1", user: str = "") -> str:
        return f"http://{user}{host}:{self.port}{path}"

    def count(self, path: str) -> int:
        return sum(1 for asked, _ in self.asked if asked == path)


@contextmanager
def serve(answers: dict[str, Sequence[Answer]], tls: Path | None = None) -> Iterator[Server]:
    """:param tls: the file of :func:`certificate`, for a server that speaks HTTPS"""
    server = Server(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            known = server.answers.get(path, [Answer(404, b"no")])
            answer = known[min(server.count(path), len(known) - 1)]
            server.asked.append((path, {key.lower(): value for key, value in self.headers.items()}))
            body, status = answer.body, answer.status
            headers = dict(answer.headers)
            if answer.ranges:
                headers["ETag"] = answer.tag
                if "Range" in self.headers and (
                    self.headers["If-Range"] == answer.tag or (answer.unconditional and "If-Range" not in self.headers)
                ):
                    start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                    headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                    body, status = body[start:], 206
            self.send_response(status, answer.reason)
            for key, value in headers.items():
                self.send_header(key, value)
            if answer.length:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body if answer.cut is None else body[: answer.cut])
            if answer.cut is not None:
                self.wfile.flush()
                time.sleep(answer.stall)
                self.close_connection = True

        do_HEAD = do_GET

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        server.port = listening.server_address[1]
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()


def certificate(folder: Path, host: str = "localhost") -> Path:
    """A certificate for a host that is its own authority, and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    unlocked = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "tls.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*unlocked))
    return file


def without_key_identifiers(folder: Path) -> tuple[Path, Path]:
    """An authority such as ``openssl x509 -req`` makes without extensions, and a certificate for localhost that it signed, with
    its key: neither says which key signed it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _unused in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "localhost")]
    extensions = (x509.BasicConstraints(ca=True, path_length=None), x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    made = [
        x509.CertificateBuilder(
            names[0], name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1)
        )
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(keys[0], hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        for name, key, extension in zip(names, keys, extensions, strict=True)
    ]
    unlocked = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    authority, server = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(made[0])
    server.write_bytes(made[1] + keys[1].private_bytes(*unlocked))
    return authority, server


@contextmanager
def tunnel(port: int = 0) -> Iterator[tuple[str, list[str]]]:
    """A proxy for HTTPS: its URL, and a list of where it was asked to connect to. With a port, all leads to that of this machine."""
    asked: list[str] = []
    to = port

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            host, _colon, port = self.path.partition(":")
            with socket.create_connection(("127.0.0.1", to) if to else (host, int(port))) as there:
                self.send_response(200)
                self.end_headers()
                back = Thread(target=pump, args=(there, self.connection), daemon=True)
                back.start()
                pump(self.connection, there)
                back.join()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    def pump(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads, listening.block_on_close = True, False
        Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", asked
        finally:
            listening.shutdown()


CACHED = "cpython-3.13.{}+20250115-x86_64-unknown-linux-gnu-install_only_stripped"


def cached(root: Path, micro: int, *, age: float, size: int = 100) -> Path:
    """A build's folder with a payload, an archive, an unfinished download, a lock and a file of someone else."""
    name = CACHED.format(micro)
    folder = root / "builds" / f"{name}-0123456789ab"
    folder.mkdir(parents=True)
    files = {
        "payload.tar.zst": size,
        "payload.tar.zst.json": 10,
        f"{name}.tar.gz": size,
        f"{name}.tar.gz.part": 5,
        "payload.tar.gz.77.part": 5,
        "lock": 0,
        "notes.txt": 1000,
    }
    for file, length in files.items():
        (folder / file).write_bytes(b"x" * length)
        os.utime(folder / file, (time.time() - age,) * 2)
    return folder
