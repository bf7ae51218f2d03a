# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the Ansible front end share: a host as it was, a sentence as it is read, many attempts in one play."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools.hosts import Host
from tests.tools.playbook import Run, TaskResult, run_play
from tests.tools.sources import NEWER, OLD, V12, V13, V13LATER

MODULE = "standalone.python.interpreters"
INFO = "standalone.python.interpreters_info"
TRIPLE = "x86_64-unknown-linux-gnu"
FLAVOR = "install_only_stripped"
OLD12, OLD13, LATER13 = f"{V12}+{OLD}", f"{V13}+{OLD}", f"{V13LATER}+{NEWER}"
AS_IT_WAS = "; the host is as it was"

# Of a host's root: what is no file of its own, or belongs to no one run.
_ELSEWHERE = frozenset({"dev", "proc", "run", "sys"})


def name(build: str) -> str:
    """``3.13.0+20250115`` -> the name of its folder on a host."""
    return f"cpython-{build}-{TRIPLE}-{FLAVOR}"


def snapshot(top: Path) -> dict[str, str]:
    """Every path below a host's root -> kind, mode, owner, and of a file its size and time, of a link where it leads."""
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(top):
        at = os.path.relpath(folder, top)
        if at == ".":
            folders[:] = [entry for entry in folders if entry not in _ELSEWHERE]
        for entry in (*folders, *files):
            path = os.path.join(folder, entry)
            status = os.lstat(path)
            said = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
            if stat.S_ISLNK(status.st_mode):
                said += f" -> {os.readlink(path)}"
            elif stat.S_ISREG(status.st_mode):
                said += f" {status.st_size} {status.st_mtime_ns}"
            found[os.path.normpath(os.path.join(at, entry))] = said
    return found


def _without_ansible(found: Mapping[str, str]) -> dict[str, str]:
    """Ansible keeps the folder of its temporary files in each home."""
    return {path: said for path, said in found.items() if not re.search(r"(^|/)\.ansible(/tmp)?$", path)}


def differences(before: Mapping[str, str], after: Mapping[str, str], *, exactly: bool = False) -> dict[str, tuple[str, str]]:
    """Path -> what it was and is. Unless ``exactly``, the empty folder that Ansible keeps in a home may be new."""
    paths = [path for path in sorted(before.keys() | after.keys()) if exactly or not re.search(r"(^|/)\.ansible(/tmp)?$", path)]
    found = {path: (before.get(path, "nothing"), after.get(path, "nothing")) for path in paths}
    return {path: (was, now) for path, (was, now) in found.items() if was != now}


@contextmanager
def as_it_was(*hosts: Host, exactly: bool = False) -> Iterator[None]:
    """Nothing on the hosts' disks is otherwise afterwards."""
    before = [snapshot(host.root) for host in hosts]
    yield
    for host, was in zip(hosts, before, strict=True):
        found = differences(was, snapshot(host.root), exactly=exactly)
        assert found == {}, f"{host.name} is not as it was: {found}"


def reads(message: str, sentence: str) -> None:
    """The whole message is this one sentence, in which … stands for anything."""
    assert "\n" not in message, message
    pattern = ".*".join(map(re.escape, sentence.split("…")))
    assert re.fullmatch(pattern, message), f"\n{message}\n  is not\n{sentence}"


def complaint(run: Run, host: str = "") -> str:
    """The message of the one task that failed, as the module's own."""
    return told(run, run.of(host))


def told(run: Run, result: TaskResult) -> str:
    assert result.kind == "failed", run.output
    assert not result.result.get("changed"), run.output
    assert "Traceback" not in run.output
    return result.message


def task(**declared: Any) -> dict[str, Any]:
    return {MODULE: declared}


def line(host: Host, user: str = "root", **variables: str) -> str:
    """The host in an inventory, for a login as ``user``."""
    said = "".join(f" {key}={value!r}" for key, value in variables.items())
    return f"{host.inventory_line.replace('ansible_user=root', f'ansible_user={user}')}{said}\n"


def play(host: Host, *tasks: Mapping[str, Any], user: str = "root", **options: Any) -> Run:
    return run_play(tasks, line(host, user), **options)


def attempts(
    declared: Mapping[str, Mapping[str, Any]], lines: Mapping[str, str], cache: Path | None = None, **options: Any
) -> tuple[Run, dict[str, TaskResult]]:
    """Many declarations at the same time, one a host; the results by the host's name.

    :param lines: of an inventory, by the name of the host; where one host stands in all of them, give each a root of its own
    :param cache: a folder in which each has a cache of its own on the controller
    """
    cases = {key: {"environment": {}, **values} for key, values in declared.items()}
    for key, values in cases.items():
        own = {"STANDALONE_PYTHON_CACHE": str(cache / key)} if cache else {}
        values["environment"] = {**own, **values["environment"]}
    names = {option for values in cases.values() for option in values} - {"environment"}
    asked = {option: f"{{{{ cases[inventory_hostname].{option} | default(omit) }}}}" for option in sorted(names)}
    run = run_play(
        [{MODULE: asked, "environment": "{{ cases[inventory_hostname].environment }}"}],
        "".join(lines[key] for key in cases),
        play={"vars": {"cases": cases}},
        arguments=[*options.pop("arguments", ()), "--forks", str(len(cases))],
        **options,
    )
    results = {result.host: result for result in run.results}
    assert set(results) == set(cases), run.output
    return run, results


def aliases(host: Host, names: Iterable[str]) -> dict[str, str]:
    """One host under many names."""
    return {key: line(host).replace(host.name, key, 1) for key in names}


def python_says(host: Host, python: str, code: str, user: str = "root") -> str:
    done = host.ssh(f"{python} -I -B -c '{code}'", user=user)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def processes(host: Host) -> list[tuple[int, str]]:
    """Numbers, as this machine counts them, and command lines of the host's processes, without its server's."""
    namespace = os.readlink(f"/proc/{host.pid}/ns/pid")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/pid") == namespace:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                found.append((int(entry.name), " ".join(words).strip()))
        except OSError:
            continue
    return [(number, words) for number, words in found if not re.search(r"sshd|host\.sh|^cat$|^$", words)]


def environments(host: Host, numbers: Sequence[int]) -> str:
    return "".join(Path(f"/proc/{number}/environ").read_bytes().decode(errors="replace") for number in numbers)
