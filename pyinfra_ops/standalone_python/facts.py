# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed on a host, and what kind of host it is: one command to the host, which only reads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pyinfra.api import FactBase, FactProcessError, FactValueError, HiddenValue, StringCommand

from .core import (
    DEFAULT_ROOT,
    UNFINISHED,
    Completed,
    DeclarationError,
    Desired,
    Facts,
    Observed,
    StandalonePythonError,
    Verify,
    info,
    is_unfinished,
    observation,
    observing,
    read,
)
from .transport import on_one_line


class Interpreters(FactBase["dict[str, Any] | None"]):
    """
    Returns the interpreters that this project has installed below a root, whether they are sound or not, and what the host is.

    + root: the folder that holds the builds
    + bin_dir: the folder of the links to the executables; ``/usr/local/bin`` for the default root, else ``bin`` in the root
    + verify: ``quick`` (receipt, executable, standard library), or ``full`` (every file against its recorded sha256)

    ``checked_at`` is when every file was last compared with what was installed; empty where the host has no record of it.
    ``default_links`` are the links ``python3`` and ``python`` that lead to the build. ``newest_known`` is the newest build that
    this machine's catalogue knows of its line and target, perhaps itself; no server is asked.
    ``advisories`` counts open advisories by severity; it is None where nothing is known.

    None means that the host's answer could not be read, and never that nothing is installed.

    The processes are those that run from a build. ``current`` is true if it is the one in use in its line, and its files were
    not replaced since. ``processes_complete`` is false if the user can't see every process of the host. ``outdated_units`` are
    the services of systemd whose processes are not ``current``.

    .. code:: python

        {
            "root": "/opt/python",
            "bin_dir": "/usr/local/bin",
            "interpreters": [
                {
                    "version": "3.13.1",
                    "release": "20250115",
                    "target": "x86_64-unknown-linux-gnu",
                    "variant": "",
                    "flavor": "install_only_stripped",
                    "path": "/opt/python/cpython-3.13.1+20250115-…/bin/python3",
                    "stable_path": "/opt/python/cpython-3.13/bin/python3",
                    "prefix": "/opt/python/cpython-3.13.1+20250115-…",
                    "installed_at": "2025-01-20T09:30:00Z",
                    "checked_at": "2025-01-27T04:00:00Z",
                    "certificates": "",
                    "components": {"openssl": "3.5.3", "sqlite": "3.50.4"},
                    "user_packages": 0,
                    "started": True,
                    "untrusted": "",
                    "sound": True,
                    "problem": "",
                    "foreign": "",
                    "extra": [],
                    "default_links": [],
                    "newest_known": "3.13.9+20251014",
                    "advisories": {"critical": 1, "high": 9},
                    "end_of_life": "2029-10-31",
                },
            ],
            "target": {
                "os": "linux",
                "arch": "x86_64",
                "libc": "gnu",
                "libc_version": (2, 36),
                "level": 3,
                "triple": "x86_64-unknown-linux-gnu",
            },
            "tools": ["gzip", "sha256sum", "tar"],
            "processes": [
                {
                    "pid": 4711,
                    "user": "app",
                    "command": "python3.13",
                    "unit": "app.service",
                    "build": "cpython-3.13.0+20241016-…",
                    "current": False,
                },
            ],
            "processes_complete": True,
            "outdated_units": ["app.service"],
        }
    """

    # The agents are written for it, whatever shell the user's own commands are for.
    shell_executable = "sh"

    def command(self, root: str = DEFAULT_ROOT, bin_dir: str | None = None, verify: Verify = "quick") -> StringCommand:
        try:
            desired = observing({"root": root, "bin_dir": bin_dir, "verify": verify})
        except DeclarationError as error:
            raise FactValueError(str(error)) from None
        return _command(desired.root, desired.bin_dir, desired.verify, facts="yes", processes=True)

    def process(self, output: Iterable[str]) -> dict[str, Any]:
        try:
            return info(read(_answer(output)))
        except StandalonePythonError as error:
            raise FactProcessError(str(error)) from None


class Observation(FactBase["Observed | str | None"]):
    """What the operation looks at: the same as a value of the core's, and what kind of host it is only where that matters.

    ``UNFINISHED`` means that a quick look found something unusual.
    """

    shell_executable = "sh"

    def command(self, root: str, bin_dir: str, facts: Facts, *, verify: Verify = "quick", quick: bool = False) -> StringCommand:
        return _command(root, bin_dir, verify, facts=facts, quick=quick)

    def process(self, output: Iterable[str]) -> Observed | str:
        answer = _answer(output)
        try:
            return UNFINISHED if is_unfinished(answer) else read(answer)
        except StandalonePythonError as error:
            raise FactProcessError(str(error)) from None


def _command(
    root: str, bin_dir: str, verify: Verify, *, facts: Facts, processes: bool = False, quick: bool = False
) -> StringCommand:
    """The agent's script; pyinfra, asked for more words, shows a line of it instead of four hundred."""
    return StringCommand(HiddenValue(_line(root, bin_dir, verify, facts, processes, quick), f"(observe {root})"))


@lru_cache(maxsize=8)
def _line(root: str, bin_dir: str, verify: Verify, facts: Facts, processes: bool, quick: bool) -> str:
    """Return the agent's script as one line. Cached, because it is the same for all hosts."""
    desired = Desired((), root=root, bin_dir=bin_dir, verify=verify)
    return on_one_line(observation(desired, facts=facts, processes=processes, quick=quick))


def _answer(output: Iterable[str]) -> Completed:
    # A terminal ends each line with a carriage return too, the last one as well.
    return Completed(0, "".join(f"{line}\n" for line in output), "")
