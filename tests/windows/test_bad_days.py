# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows hosts on which something goes wrong: a run is killed, a file is held, the disk is full, another run is at work.

Where the hosts have no junctions, a copy of the folder stands for one.
"""

from __future__ import annotations

import pytest

from tests.tools.sources import OLD
from tests.windows.support import ROOT, Host, build_of, meanwhile, names

HOLDING = "$f = [IO.FileStream]::new('{path}', 'Open', 'Read', 'Read'); [IO.File]::WriteAllText('C:\\ProgramData\\begun', ''); "


def test_a_killed_run_is_cleared_by_the_next(host: Host) -> None:
    """All of its PowerShell ends in the middle of unpacking."""
    killer = (
        "[IO.File]::WriteAllText('C:\\ProgramData\\begun', ''); $w = [Diagnostics.Stopwatch]::StartNew(); $n = 0; "
        f"while ($w.Elapsed.TotalSeconds -lt 300) {{ $at = '{ROOT}\\.standalone-python.staging'; try {{ "
        "$n = [IO.Directory]::GetFiles($at, '*', 'AllDirectories').Length } catch { }; if ($n -gt 20) { break }; "
        "[Threading.Thread]::Sleep(20) }; "
        "foreach ($p in [Diagnostics.Process]::GetProcesses()) { "
        "if ($p.ProcessName -match 'powershell|pwsh' -and $p.Id -ne $PID) { $p.Kill() } }; "
    )
    with meanwhile(host, killer):
        killed = host.play(f"3.13+{OLD}")
    assert killed.kind != "ok", killed
    host.remove_sent()
    assert host.sent() == []
    assert ".standalone-python.staging" in host.there()
    again = host.declare(f"3.13+{OLD}")
    assert [verb.split()[0] for verb in names(again)][:2] == ["clear", "install"]
    assert [name for name in host.there() if name.startswith(".")] == []
    assert host.says(build_of(again)["path"], "import sys; print(sys.prefix)") == build_of(again)["prefix"]


def test_a_build_in_use_goes_with_the_run_after_it(host: Host) -> None:
    """One of its files is open, as that of a program is that runs."""
    old = build_of(host.declare(f"3.13+{OLD}", links=[]))
    with meanwhile(host, HOLDING.format(path=rf"{old['prefix']}\python313.dll")):
        done = host.declare("3.13", state="latest", keep=0, links=[])
        assert done.result["changed"]
        # The build that was installed has advisories, and another warning says so.
        (warning,) = [text for text in done.result["warnings"] if "advisories" not in text]
        assert "a process on the host has files in it open; the next run tries again" in warning
        assert ROOT in warning
        still = host.declare("3.13", state="latest", keep=0, links=[])
        assert (still.result["changed"], still.result["plan"]) == (False, [])
        assert still.result["warnings"] == [warning]
    cleared = host.declare("3.13", state="latest", keep=0, links=[])
    assert "warnings" not in cleared.result
    assert [name for name in host.there() if name.startswith(".") or name == old["prefix"].rpartition("\\")[2]] == []
    assert not host.declare("3.13", state="latest", keep=0, links=[]).result["changed"]


def test_another_run_holds_the_lock(host: Host) -> None:
    host.make(ROOT)
    lock = (
        f"$f = [IO.FileStream]::new('{ROOT}\\.standalone-python.lock', 'OpenOrCreate', 'ReadWrite', 'Read, Delete'); "
        "$b = [Text.Encoding]::ASCII.GetBytes('4711:1::there'); $f.Write($b, 0, $b.Length); $f.Flush(); "
        "[IO.File]::WriteAllText('C:\\ProgramData\\begun', ''); "
    )
    with meanwhile(host, lock):
        failed = host.declare(f"3.13+{OLD}", lock_timeout=0, fails=True)
        assert ".standalone-python.lock (pid:started:boot:host is 4711:1::there)" in failed.message
        assert failed.message.endswith("the host is as it was")
    assert host.declare(f"3.13+{OLD}", links=[], register=False).result["plan"][0].startswith("clear what an earlier run left")


@pytest.mark.parametrize("free", ["known to be too little", "used up in the middle"])
def test_a_full_disk(free: str, host: Host) -> None:
    if host.hosts.small is None:
        pytest.skip("needs Wine: a disk that is small enough to be filled")
    root = r"S:\python"
    agent = host.hosts.collections / "ansible_collections/standalone/python/plugins/plugin_utils/core/agents/on_host/disk.ps1"
    text = agent.read_text()
    other = host.hosts.small / "other"
    if free != "known to be too little":
        # As if something else took the room while it unpacks.
        assert text.count(".AvailableFreeSpace / 1024") == 1
        agent.write_text(text.replace(".AvailableFreeSpace / 1024", ".AvailableFreeSpace * 1024"))
        other.write_bytes(bytes(20 << 20))
    try:
        failed = host.declare(f"3.12+{OLD}", root=root, fails=True)
    finally:
        agent.write_text(text)
        other.unlink(missing_ok=True)
    expected = "kB are free" if free == "known to be too little" else "the disk is full"
    assert expected in failed.message
    assert failed.message.endswith("the host is as it was")
    assert list(host.hosts.small.iterdir()) == []
