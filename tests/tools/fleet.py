# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of ``interpreters_info`` as hosts would give them, without hosts."""

from __future__ import annotations

from typing import Any

GNU = "x86_64-unknown-linux-gnu"
FLAVOR = "install_only_stripped"
OLD, NEW = "3.13.7+20250918", "3.14.7+20260814"
# Builds of a fleet whose hosts differ.
VARIED = (
    *("3.13.1+20250115", "3.13.9+20251120", OLD, NEW, "3.14.4+20260414", "3.12.5+20240814", "3.12.12+20251120"),
    *("3.9.13+20220528", "3.11.13+20250918", "3.10.20+20260623"),
)


def name(build: str, triple: str = GNU) -> str:
    return f"cpython-{build}-{triple}-{FLAVOR}"


def interpreter(build: str, *, linked: bool = True, problem: str = "", root: str = "/opt/python") -> dict[str, Any]:
    version, _plus, release = build.partition("+")
    prefix = f"{root}/{name(build)}"
    line = f"{root}/cpython-{version.rpartition('.')[0]}"
    return {
        "version": version,
        "release": release,
        "target": GNU,
        "variant": "",
        "flavor": FLAVOR,
        "path": f"{prefix}/bin/python3",
        "stable_path": f"{line if linked else prefix}/bin/python3",
        "prefix": prefix,
        "installed_at": "2026-01-01T00:00:00Z",
        "user_packages": 0,
        "started": True,
        "untrusted": "",
        "sound": not problem,
        "problem": problem,
        "foreign": "",
        "extra": [],
    }


def result(*interpreters: dict[str, Any], root: str = "/opt/python", **more: Any) -> dict[str, Any]:
    """Return the result of one host; ``more`` are further keys."""
    return {
        "root": root,
        "bin_dir": "/usr/local/bin",
        "interpreters": list(interpreters),
        "target": {"os": "linux", "triple": GNU},
        "tools": ["tar"],
        **more,
    }


def process(build: str, /, *, current: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "pid": 4711,
        "user": "app",
        "command": "python3.13",
        "build": name(build),
        "unit": "app.service",
        "current": current,
    } | more


def unreachable(message: str) -> dict[str, Any]:
    return {"unreachable": True, "changed": False, "msg": message}


def fleet(hosts: int) -> dict[str, Any]:
    """Return the results of a fleet, three builds a host, of which some are broken, unreachable or empty."""
    found: dict[str, Any] = {}
    for number in range(hosts):
        host = f"{('web', 'db', 'app', 'ci')[number % 4]}{number:04}.example.com"
        if number % 97 == 5:
            found[host] = unreachable(f"ssh: connect to host {host} port 22: Connection refused")
            continue
        builds = [VARIED[(number * 7 + step * 3) % len(VARIED)] for step in range(3)] if number % 131 != 7 else []
        problem = "its executable does not start (exit code 127)" if number % 89 == 11 else ""
        more: dict[str, Any] = (
            {"processes": [process("3.13.0+20241016")], "processes_complete": False} if number % 50 == 3 else {}
        )
        found[host] = result(*(interpreter(build, problem=problem) for build in builds), **more)
    return found
