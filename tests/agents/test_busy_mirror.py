# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror that serves 50 of 200 at a time: it resets the connections of the others, or answers 503, and all get the file in the end."""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http
from tests.agents.place import POSIX, SHELLS, Shell, link_tools, needed

pytestmark = POSIX

DOWNLOADERS = {"curl": ("curl", "curl"), "GNU wget": ("wget", "wget"), "busybox wget": ("wget", "busybox")}
CONTENT = b"\x1f\x8bthe archive\n"
WAIT = 240

# What download.sh needs of the other parts. The archive is only printed here.
HOST = """
have() {{ command -v "$1" >/dev/null 2>&1; }}
put() {{ printf '%s' "$1"; }}
begin() {{ :; }}
fail_if_full() {{ :; }}
sleep() {{ {sleep}; }}
to_disk_meanwhile() {{ :; }}
fail() {{ echo "$*" >&2; exit 1; }}
{download}
unpack_download() {{ cat "$here/archive"; }}
token=
name=build
here={here}
unpack_pulled sum gz python {urls}
"""


class Mirror:
    """Serves from one thread. At first it keeps ``limit`` connections waiting and refuses the others, until ``clients`` have come; then
    it serves all.

    :ivar always: what it answers instead, without the protocol's version
    :ivar served: the paths that got the content
    :ivar refused: the paths that did not, each time
    """

    def __init__(self, limit: int, clients: int, always: str) -> None:
        self.limit, self.clients, self.always = limit, clients, always
        self.served: list[str] = []
        self.refused: list[str] = []
        self.released = threading.Event()
        self._held: list[tuple[socket.socket, str]] = []
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/{path}"

    def listen(self) -> None:
        self._listening.listen(1024)
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        if self._thread.is_alive():
            self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ, b"")
            while not self._ended:
                for key, _events in selector.select(0.05):
                    if key.fileobj is self._listening:
                        selector.register(self._listening.accept()[0], selectors.EVENT_READ, b"")
                        continue
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    try:
                        asked = connection.recv(4096)
                    except OSError:
                        asked = b""
                    request = key.data + asked
                    if asked and b"\r\n\r\n" not in request:
                        selector.modify(connection, selectors.EVENT_READ, request)
                        continue
                    selector.unregister(connection)
                    if asked:
                        self._answer(connection, request.split()[1].decode().lstrip("/"))
                    else:
                        connection.close()

    def _answer(self, connection: socket.socket, path: str) -> None:
        if self.always:
            self._refuse(connection, path)
            return
        if self.released.is_set():
            self._send(connection, path)
            return
        if len(self._held) < self.limit:
            self._held.append((connection, path))
        else:
            self._refuse(connection, path)
        if len({path for _connection, path in self._held} | set(self.refused)) == self.clients:
            self.released.set()
            for held, path in self._held:
                self._send(held, path)

    def _send(self, connection: socket.socket, path: str) -> None:
        self.served.append(path)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT)
        connection.close()

    def _refuse(self, connection: socket.socket, path: str) -> None:
        self.refused.append(path)
        if self.always:
            connection.sendall(f"HTTP/1.1 {self.always}\r\nConnection: close\r\n\r\n".encode())
        elif len(self.refused) % 2:
            # Closing it then sends a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\r\n")
        connection.close()


@contextmanager
def mirror(limit: int, clients: int, always: str = "") -> Iterator[Mirror]:
    serving = Mirror(limit, clients, always)
    try:
        yield serving
    finally:
        serving.close()


def tools_of(name: str, folder: Path) -> Path:
    """A PATH with one downloader."""
    tool, program = DOWNLOADERS[name]
    needed(program)
    return link_tools(folder / name.replace(" ", "-"), ["cat", "od", "printf", "rm", "sed", "tr", tool], {tool: program})


def start(shell: Shell, tools: Path, here: Path, url: str, sleep: str) -> subprocess.Popen[str]:
    """:param sleep: what it does instead of waiting"""
    here.mkdir()
    (here / "script").write_text(HOST.format(download=sh.text_of("download.sh"), here=here, urls=url, sleep=sleep))
    program = shutil.which(shell.command[0])
    assert program
    with (here / "script").open() as text:
        return subprocess.Popen(
            [program, *shell.command[1:]],
            stdin=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="latin-1",
            env={"PATH": str(tools), "NO_PROXY": "*", "no_proxy": "*"},
        )


def test_two_hundred_at_a_mirror_for_fifty(tmp_path: Path) -> None:
    """190 hosts and 10 controllers. Who was refused waits until the mirror has time, as its sleep does here."""
    needed("dash")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Open for both, so that no reader waits for a writer.
    gate = os.open(fifo, os.O_RDWR)
    tools = {name: tools_of(name, tmp_path) for name in DOWNLOADERS}
    wants = [*["curl"] * 100, *["GNU wget"] * 45, *["busybox wget"] * 45]
    with mirror(50, 200) as busy:
        busy.listen()

        def sleep(_seconds: float) -> None:
            busy.released.wait(WAIT)

        def fetch(number: int) -> None:
            http = Http(sleep=sleep)
            http.fetch([busy.url(f"controller-{number}")], tmp_path / f"fetched-{number}", max_bytes=1000, expect="archive")

        controllers = [threading.Thread(target=fetch, args=(number,)) for number in range(10)]
        hosts = [
            start(SHELLS[0], tools[name], tmp_path / f"host-{number}", busy.url(f"host-{number}"), f"read -r go <{fifo}")
            for number, name in enumerate(wants)
        ]
        for controller in controllers:
            controller.start()
        assert busy.released.wait(WAIT)
        os.write(gate, b"\n" * 10_000)
        ended = [host.communicate(timeout=WAIT) for host in hosts]
        for controller in controllers:
            controller.join(WAIT)
    os.close(gate)
    assert [host.returncode for host in hosts] == [0] * 190, [errors for _output, errors in ended if errors]
    contents = [output for output, _errors in ended] + [path.read_text("latin-1") for path in tmp_path.glob("fetched-*")]
    assert contents == [CONTENT.decode("latin-1")] * 200
    assert sorted(busy.served) == sorted({*busy.served})
    assert len(busy.served) == 200
    assert len(set(busy.refused)) == 150


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_a_mirror_that_starts_late(downloader: str, tmp_path: Path) -> None:
    """It refuses connections until the host has waited once."""
    needed("dash")
    fifo, waits = tmp_path / "fifo", tmp_path / "waits"
    os.mkfifo(fifo)
    gate = os.open(fifo, os.O_RDWR)
    tools, sleep = tools_of(downloader, tmp_path), f'echo "$*" >>{waits}; read -r go <{fifo}'
    with mirror(1, 1) as late:
        host = start(SHELLS[0], tools, tmp_path / "host", late.url("a"), sleep)
        until = time.monotonic() + WAIT
        while not waits.exists() and host.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        late.listen()
        os.write(gate, b"\n" * 100)
        output, errors = host.communicate(timeout=WAIT)
    os.close(gate)
    assert (host.returncode, output.encode("latin-1")) == (0, CONTENT), errors
    assert int(waits.read_text().split()[0]) in (1, 2, 3)


# What the server answers, each time, and how often the host asks then.
ANSWERS = {
    "503 Service Unavailable": 6,
    "429 Too Many Requests\r\nRetry-After: 60": 6,
    "503 Service Unavailable\r\nRetry-After: 61": 1,
    "503 Service Unavailable\r\nretry-after: 86400": 1,
    "404 Not Found": 1,
    "401 Unauthorized": 1,
    "200 OK\r\nContent-Length: 500": 6,
}


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_how_often_a_host_asks(downloader: str, shell: Shell, tmp_path: Path) -> None:
    """All hosts wait about twice as long each time, none as long as another; a server's wish comes on top."""
    needed(shell.command[0])
    waits = tmp_path / "waits"
    tools, sleep = tools_of(downloader, tmp_path), f'echo "$*" >>{waits}'
    for number, (answer, asks) in enumerate(ANSWERS.items()):
        if downloader == "busybox wget" and "Retry-" in answer.title():
            continue  # it does not show the server's headers
        if downloader == "GNU wget" and "200" in answer and shell.name != "dash":
            continue  # it continues the file once by itself, and waits a second before
        waits.write_text("")
        with mirror(0, 0, always=answer) as serving:
            serving.listen()
            host = start(shell, tools, tmp_path / f"host-{number}", serving.url("a"), sleep)
            _output, errors = host.communicate(timeout=WAIT)
        times = [int(line) for line in waits.read_text().split()]
        assert (host.returncode, len(times)) == (1, asks - 1), (answer, errors)
        assert "/a: " in errors
        asked = 60 if answer.endswith(" 60") else 0
        assert all(
            asked + base // 2 <= slept <= asked + base // 2 + base for slept, base in zip(times, (2, 4, 8, 16, 32), strict=False)
        ), times
        if "200" not in answer:
            assert len(serving.refused) == asks
