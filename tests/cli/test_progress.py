# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user sees who waits: bars on terminals, lines in logs, traces; and a download that Ctrl-C interrupts."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from fcntl import ioctl
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import progress
from standalone_python import console, output
from standalone_python.bar import Status, bar, sentence
from standalone_python.local import LocalHost
from tests.cli.conftest import Command
from tests.tools.sources import OLD, V13
from tests.tools.web import PASSWORD, TOKEN, Web, serve

NAME = "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
HALF = Status("Downloading", NAME, 12, 22_500_000, 45_100_000, 1_000_000)
UNKNOWN = Status("Downloading", "SHA256SUMS", 3, 512_000, None, 256_000)
WAITING = Status("Locking", "/opt/python", 75)

BARS = [
    (HALF, 80, "Downloading cpython-3.13.1  [######........]  22.5/45.1 MB  1.0 MB/s  0:23 left"),
    (HALF, 60, "Downloading cpython-3.13.1  22.5/45.1 MB  0:23 left"),
    (HALF, 44, "Downloading cpython-3.13.1  49%  0:23 left"),
    (HALF, 30, "Downloading  49%  0:23 left"),
    (HALF, 12, "Downloading"),
    (UNKNOWN, 80, "Downloading SHA256SUMS  512.0 kB  256 kB/s  0:03"),
    (UNKNOWN, 44, "Downloading SHA256SUMS  512.0 kB  0:03"),
    (WAITING, 80, "Locking /opt/python  1:15"),
    (
        Status("Syncing", "mirror", 9, 9_000_000_000, 12_000_000_000, 8e5),
        80,
        "Syncing mirror  [##################......]  9.0/12.0 GB  800 kB/s  1:02:30 left",
    ),
    (Status("Packing", "a\x1b[2J", 0, 999, 999), 80, "Packing a\\x1b[2J  [##############################]  999.0/999.0 B  0:00"),
]


@pytest.mark.parametrize(("status", "width", "expected"), BARS, ids=lambda value: str(value) if isinstance(value, int) else "")
def test_a_bar_fits_and_says_the_most_important(status: Status, width: int, expected: str) -> None:
    assert bar(status, width) == expected
    assert len(expected) < width


def test_a_bar_of_any_width_fits() -> None:
    for status in (HALF, UNKNOWN, WAITING):
        assert all(len(bar(status, width)) < width for width in range(1, 200))


def test_a_line_of_a_log_has_all() -> None:
    assert sentence(HALF) == f"Downloading {NAME}: 22.5/45.1 MB, 1.0 MB/s, 0:23 left"
    assert sentence(WAITING) == "Locking /opt/python: 1:15"


def test_quiet_leaves_out_remarks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for quiet, expected in ((False, "standalone-python: a remark\n"), (True, "")):
        monkeypatch.setattr(console.CONSOLE, "quiet", quiet)
        output.tell_remarks(["a remark"])
        assert capsys.readouterr().err == expected


def test_what_the_agent_does_is_shown_while_it_does_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "INTERVAL", 0.02)
    shown = console.Console()

    def lines_of(words: str) -> bool:
        deadline, errors = time.monotonic() + 10, ""
        while words not in errors and time.monotonic() < deadline:
            time.sleep(0.01)
            errors += capsys.readouterr().err
        return words in errors

    with progress.listening(shown):
        with progress.task("Changing", "the host"):
            assert lines_of("Changing the host: 0:00\n")
            progress.agent_line("locking /opt/python")
            assert lines_of("Locking /opt/python: 0:00\n")
            progress.agent_line("unpacking cpython-3.13.1\x1b")
            assert lines_of("Unpacking cpython-3.13.1\\x1b: 0:00\n")
        with progress.task("Waiting for", "another process"):
            assert lines_of("Waiting for another process: 0:00\n"), "nothing of the agent is left"
    shown.close()
    capsys.readouterr()
    time.sleep(0.06)
    assert capsys.readouterr().err == ""


# The command, with lines ten times a second instead of every ten seconds.
HURRIED = "from standalone_python import cli, console; console.INTERVAL = 0.1; cli.main()"
# How it is run -> the columns of its terminal, 0 for a pipe; variables; options before and after the command; what it shows.
SHOWN: Mapping[str, tuple[int, dict[str, str], list[str], list[str], str]] = {
    "80": (80, {}, [], [], r"\rDownloading cpython-3\.13\.0  \[#+\.+\]  [0-9.]+/[0-9.]+ MB  .*"),
    "44": (44, {"NO_COLOR": "1"}, [], [], r"\rDownloading cpython-3\.13\.0  [45][0-9]%  .*"),
    "dumb": (80, {"TERM": "dumb"}, [], [], r"Downloading cpython-3\.13\.0\S+\.tar\.gz: [0-9.]+/[0-9.]+ MB, .*"),
    "pipe": (0, {}, [], [], r"Downloading cpython-3\.13\.0\S+\.tar\.gz: [0-9.]+/[0-9.]+ MB, .*"),
    "quiet": (0, {}, ["-q"], [], ""),
    "no progress": (80, {}, [], ["--no-progress"], ""),
}


@pytest.fixture
def web(source: Path) -> Iterator[Web]:
    with serve(source) as server:
        yield server


class Apply:
    """``apply`` of one build, at work."""

    def __init__(self, command: Command, name: str, source: str, catalogue: Path, options: list[str] | None = None) -> None:
        columns, variables, before, after, self.expected = SHOWN[name]
        declared = command.file(
            json.dumps(
                {"builds": [f"{V13}+{OLD}"], "source": source, "catalogue": str(catalogue), "root": f"{command.folder}/root"}
            ),
            f"{name}/python.yml",
        )
        self.cache = command.folder / name / "cache"
        arguments = [*before, "apply", str(declared), *after, *(options or [])]
        environment = command.environment() | {"TERM": "xterm", "STANDALONE_PYTHON_CACHE": str(self.cache)} | variables
        self._ours, its = pty.openpty() if columns else os.pipe()
        if columns:
            ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.columns = columns
        program = [sys.executable, "-P", "-c", HURRIED, *arguments]
        self.process = subprocess.Popen(program, cwd=command.folder, stdout=subprocess.DEVNULL, stderr=its, env=environment)
        os.close(its)

    def interrupted(self, by: signal.Signals) -> str:
        self.process.send_signal(by)
        printed = b""
        try:
            while piece := os.read(self._ours, 1 << 16):
                printed += piece
        except OSError:
            pass  # Linux says so that nobody has the terminal open any more.
        os.close(self._ours)
        assert self.process.wait(20) == 128 + by, printed
        return printed.decode().replace("\r\n", "\n")


def test_progress_and_ctrl_c(command: Command, web: Web, catalogue: Path) -> None:
    """A server that stalls in the middle of an archive. Each way to run the command shows it in its own form, or not at all."""
    running = {name: Apply(command, name, web.url("slow"), catalogue) for name in SHOWN}
    deadline = time.monotonic() + 20
    while not all(any(part.stat().st_size > 1 << 16 for part in one.cache.rglob("cpython-*.part")) for one in running.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.6)
    for name, one in running.items():
        by, word = (signal.SIGTERM, "SIGTERM") if name == "pipe" else (signal.SIGINT, "Ctrl-C")
        printed = one.interrupted(by)
        *shown, last = re.split("\n", printed.strip().replace("\r", "\n\r"))
        assert "\x1b" not in printed
        keeps = f"the next run continues the download of {kept(one)}; nothing was changed"
        assert last.strip("\r") == f"standalone-python: ended by {word}; {keeps}"
        texts = [text for text in shown if "Downloading" in text]
        assert bool(texts) == bool(one.expected), (name, printed)
        assert not texts or re.fullmatch(one.expected, texts[-1]), (name, texts)
        if one.columns and one.expected.startswith("\\r"):
            assert all(len(text.strip("\r")) < one.columns for text in shown), (name, shown)
            assert shown[-1].strip("\r ") == "", f"the bar is removed: {shown}"
        elif one.expected:
            assert len(texts) > 1


def kept(one: Apply) -> str:
    (part,) = one.cache.rglob("*.part")
    return part.name.removesuffix(".part")


SECRET = "a-query-that-nobody-may-see"


def test_traces_of_a_continued_download_have_no_secret(command: Command, web: Web, catalogue: Path) -> None:
    """A mirror that wants a key in its address and a token, behind a proxy that wants a password. The first run is killed."""
    first = Apply(command, "pipe", web.url("slow"), catalogue)
    assert web.half.wait(20)
    while not any(part.stat().st_size > 1 << 16 for part in first.cache.rglob("cpython-*.part")):
        time.sleep(0.05)
    first.process.kill()
    first.process.wait()
    (part,) = first.cache.rglob("cpython-*.part")
    came = part.stat().st_size
    declared = {
        "builds": [f"{V13}+{OLD}"],
        "source": f"http://user:{PASSWORD}@mirror.example/ranges?key={SECRET}",
        "catalogue": f"http://mirror.example/plain/rows?key={SECRET}",
        "root": f"{command.folder}/root",
    }
    (web.folder / "rows").write_bytes(catalogue.read_bytes())
    proxy = f"http://user:{PASSWORD}@127.0.0.1:{web.port}"
    environment = {"http_proxy": proxy, "STANDALONE_PYTHON_CACHE": str(first.cache), "GITHUB_TOKEN": TOKEN}
    done = command("-v", "apply", command.file(json.dumps(declared)), "-v", environment=environment)
    (web.folder / "rows").unlink()
    assert done.code == 0, done
    address = f"http://mirror.example/ranges/{OLD}/{part.name.removesuffix('.part').replace('+', '%2B')}"
    assert f"GET {address} (bytes={came}-): 206" in done.errors.splitlines()
    assert re.search(rf"^{V13}\+{OLD} is cpython-.*: nothing installed satisfies {V13}\+{OLD}$", done.errors, re.M), done.errors
    assert re.search(rf"^{V13}\+{OLD} on .* is cpython-.* by the catalogue http://mirror\.example/plain/rows$", done.errors, re.M)
    assert re.search(r"^observe: a script of [0-9]+ letters to the host: [0-9.]+ s$", done.errors, re.M), done.errors
    assert re.search(r"^apply: a script of [0-9]+ letters to the host: [0-9.]+ s$", done.errors, re.M), done.errors
    (asked,) = [asked for asked in web.asked if asked.path.startswith("/ranges/") and asked.path.endswith(".gz")]
    assert asked.headers["range"] == f"bytes={came}-"
    assert "proxy-authorization" in asked.headers
    assert not any(secret in done.output + done.errors for secret in (PASSWORD, SECRET, TOKEN, "user:"))


@pytest.mark.timeout(60)
def test_a_host_that_reads_slowly_gets_the_whole_script() -> None:
    """More than fits into a pipe, while the conversation looks for progress several times."""
    script = "sleep 0.5\n" + ": what a shell reads only after that\n" * 30_000 + "echo whole\n"
    with LocalHost() as host:
        assert host.run(script).output == "whole\n"


@pytest.mark.timeout(60)
def test_a_host_that_stops_reading_ends_the_run() -> None:
    with LocalHost() as host:
        ended = host.run("echo no room >&2; exit 3\n" + ": never read\n" * 100_000)
    assert (ended.code, ended.output, ended.errors) == (3, "", "no room\n")
