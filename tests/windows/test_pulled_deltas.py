# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows hosts that download the deltas of a mirror: used, damaged, missing, and killed in the middle."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.storage import Folder
from ansible_collections.standalone.python.plugins.plugin_utils.core.mirrors.sync import sync
from tests.tools.playbook import TaskResult
from tests.tools.sources import NEW, OLD
from tests.tools.web import Web, serve
from tests.windows.support import ROOT, Host, build_of, meanwhile, names


@dataclass(frozen=True)
class Mirror:
    """:ivar archives: by release"""

    folder: Path
    web: Web
    archives: dict[str, Path]

    def asked(self) -> list[str]:
        """What the host downloaded since this was last asked: whole archives or deltas."""
        paths = [asked.path for asked in self.web.asked if asked.path.endswith((".delta", ".tar.gz"))]
        self.web.asked.clear()
        return [path.rpartition(".")[2] for path in paths]


@pytest.fixture(scope="module")
def synced(windows_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    source, store = parse_source(str(windows_source), ""), Store(folder / "cache")
    wanted = [parse_filename(path.name) for tag in (OLD, NEW) for path in (windows_source / tag).glob("cpython-3.13*.tar.gz")]
    wanted = [replace(build, sha256=store.sha256(build, source)) for build in wanted]
    sync(Folder(folder / "mirror"), wanted, source, deltas=True)
    return folder / "mirror"


@pytest.fixture
def mirror(synced: Path) -> Iterator[Mirror]:
    (delta,) = synced.glob("*/*.delta")
    content = delta.read_bytes()
    with serve(synced) as web:
        yield Mirror(synced, web, {path.parent.name: path for path in synced.glob("*/*.tar.gz")})
    delta.write_bytes(content)


@pytest.fixture
def old(host: Host, mirror: Mirror, tmp_path: Path) -> str:
    """The name of the older build, which the host has downloaded."""
    host.environment["STANDALONE_PYTHON_CACHE"] = str(tmp_path / "cache")
    done = host.declare(f"3.13+{OLD}", source=mirror.web.url(), delivery="pull")
    assert mirror.asked() == ["gz"]
    return str(build_of(done)["prefix"]).rpartition("\\")[2]


def upgrade(host: Host, mirror: Mirror) -> TaskResult:
    return host.play("3.13", state="latest", source=mirror.web.url(), delivery="pull", keep=1)


def hold_upgraded(host: Host, mirror: Mirror, old: str, done: TaskResult) -> None:
    """The host has the files of the archive, and its link leads there."""
    assert done.kind == "ok", done
    newer = build_of(done)
    name = newer["prefix"].rpartition("\\")[2]
    assert newer["release"] == NEW
    assert host.there() == sorted([".standalone-python.history", "bin", "cpython-3.13", old, name])
    where = "import sys; print(sys.prefix)"
    assert host.says(newer["links"][0], where).splitlines()[-1] == rf"{ROOT}\cpython-3.13"
    if (place := host.outside(newer["prefix"])) is not None:
        with tarfile.open(mirror.archives[NEW]) as tar:
            for member in (one for one in tar if one.isfile()):
                content = tar.extractfile(member)
                assert content is not None
                assert (place / member.name.removeprefix("python/")).read_bytes() == content.read(), member.name
    again = upgrade(host, mirror)
    assert (again.kind, again.result["changed"]) == ("ok", False)


# What is wrong with the delta of the mirror -> what the host downloads.
MISHAPS = {
    "nothing": ["delta"],
    "the mirror lacks it": ["delta", "gz"],
    "it is damaged": ["delta", "gz"],
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_host_downloads_a_delta_or_else_the_whole_archive(mishap: str, host: Host, mirror: Mirror, old: str) -> None:
    """In one run, without an error."""
    (delta,) = mirror.folder.glob("*/*.delta")
    match mishap:
        case "the mirror lacks it":
            delta.unlink()
        case "it is damaged":
            delta.write_bytes(delta.read_bytes()[:-1] + b"?")
    done = upgrade(host, mirror)
    assert mirror.asked() == MISHAPS[mishap]
    assert names(done)[0].startswith("upgrade cpython-3.13.")
    hold_upgraded(host, mirror, old, done)


def test_a_rebuild_is_killed(host: Host, mirror: Mirror, old: str) -> None:
    """All PowerShell of the host ends while the tar is unpacked. The old build stays as it is, and the next run uses the delta.
    tests/faults/test_kill_windows.py has every step."""
    killer = (
        "[IO.File]::WriteAllText('C:\\ProgramData\\begun', ''); $w = [Diagnostics.Stopwatch]::StartNew(); $go = $false; "
        "while ($w.Elapsed.TotalSeconds -lt 60 -and -not $go) { "
        f"try {{ foreach ($n in [IO.Directory]::GetDirectories('{ROOT}\\.standalone-python.staging')) {{ "
        "$go = $go -or [IO.Directory]::GetFiles(\"$n\\python\", '*', 'AllDirectories').Length -gt 20 } } catch { }; "
        "[Threading.Thread]::Sleep(5) }; "
        "foreach ($p in [Diagnostics.Process]::GetProcesses()) { "
        "if ($p.ProcessName -match 'powershell|pwsh' -and $p.Id -ne $PID) { $p.Kill() } }; "
    )
    with meanwhile(host, killer):
        killed = upgrade(host, mirror)
    assert killed.kind != "ok", killed
    assert mirror.asked() == ["delta"]
    assert ".standalone-python.staging" in host.there()
    assert [name for name in host.there() if not name.startswith(".")] == ["bin", "cpython-3.13", old]
    assert host.says(rf"{ROOT}\bin\python3.13.cmd", "import ssl; print('started')").splitlines()[-1] == "started"
    host.remove_sent()
    done = upgrade(host, mirror)
    assert mirror.asked() == ["delta"]
    assert [verb.split()[0] for verb in names(done)][:2] == ["clear", "upgrade"]
    hold_upgraded(host, mirror, old, done)
