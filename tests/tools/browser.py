# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One headless Chromium for many pages, steered through a pair of pipes: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

# Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
_START = 'exec "$0" "$@" 3<&"$TO_BROWSER" 4>&"$FROM_BROWSER"'
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe")


class Browser:
    """A page in a browser.

    :ivar errors: what the console of the page printed as errors, since it was opened
    """

    def __init__(self, commands: IO[bytes], answers: IO[bytes]) -> None:
        self._commands = commands
        self._answers = answers
        self._number = 0
        self._session: str | None = None
        self._events: list[str] = []
        self.errors: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    @classmethod
    @contextmanager
    def start(cls, program: str, folder: Path) -> Iterator[Self]:
        """Start Chromium with its profile in a folder; end it and its processes afterwards."""
        (read, to_browser), (from_browser, write) = os.pipe(), os.pipe()
        environment = os.environ | {"HOME": str(folder), "TO_BROWSER": str(read), "FROM_BROWSER": str(write)}
        with (
            open(to_browser, "wb") as commands,
            open(from_browser, "rb") as answers,
            subprocess.Popen(
                ["bash", "-c", _START, program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"],
                env=environment,
                pass_fds=(read, write),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ) as process,
        ):
            os.close(read)
            os.close(write)
            try:
                yield cls(commands, answers)
            finally:
                # Asked to close, it removes its files in the temporary folder.
                with suppress(OSError, subprocess.TimeoutExpired):
                    commands.write(b'{"id": 0, "method": "Browser.close"}\0')
                    commands.flush()
                    process.wait(20)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while (answer := self._next()).get("id") != self._number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page; return when it and all that it names is loaded."""
        self.errors.clear()
        self._events.clear()
        self.send("Page.navigate", url=path.as_uri() + fragment)
        while "Page.loadEventFired" not in self._events:
            self._next()

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression of JavaScript."""
        done = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"])
        return done["result"].get("value")

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def pixel(self, x: float, y: float) -> tuple[int, int, int]:
        """Return the colour, as red, green and blue, at a place of the page."""
        clip = {"x": x, "y": y, "width": 1, "height": 1, "scale": 1}
        png = base64.b64decode(self.send("Page.captureScreenshot", format="png", clip=clip)["data"])
        data, place = b"", len(b"\x89PNG\r\n\x1a\n")
        while place < len(png):  # A chunk is its length, its kind, its data and a checksum.
            end = place + 8 + int.from_bytes(png[place : place + 4], "big")
            data += png[place + 8 : end] if png[place + 4 : place + 8] == b"IDAT" else b""
            place = end + 4
        # A byte for the filter of the line, then the one pixel.
        _filter, red, green, blue, *_opacity = zlib.decompress(data)
        return red, green, blue

    def _next(self) -> Any:
        text = bytearray()
        while (letter := self._answers.read(1)) != b"\0":
            if not letter:
                raise RuntimeError("the browser ended")
            text += letter
        message = json.loads(text)
        method, parameters = message.get("method", ""), message.get("params", {})
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            self.errors.append(json.dumps(parameters["args"]))
        return message
