# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows hosts without Python, through Ansible. Where the hosts have no junctions, a copy of the folder stands for one."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import deltas
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import parse_source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from tests.tools.playbook import REPOSITORY
from tests.tools.sources import NEW, OLD
from tests.tools.windows_hosts import WindowsHosts
from tests.windows.support import MODULE, ROOT, Host, build_of, names

ME = "[Security.Principal.WindowsIdentity]::GetCurrent().User.Value"
FOR_JUNCTIONS = ("Use-Junction", "Invoke-Program", "Get-Starter", "Get-SystemProgram")


def with_a_delta(source: Path, root: Path) -> Path:
    """A cache that has the delta between the two releases of 3.13."""
    store, known = Store(root), []
    there = parse_source(str(source), "")
    for tag in (OLD, NEW):
        (archive,) = (source / tag).glob("cpython-3.13*.tar.gz")
        build = parse_filename(archive.name)
        build = replace(build, sha256=store.sha256(build, there))
        known.append((build, store.payload(build, there, zstd=False)))
    (old, _payload), (new, payload) = known
    deltas.make_beside(payload, new.sha256 or "", old)
    assert deltas.find(payload, new.sha256 or "", old) is not None
    return root


@pytest.mark.parametrize(("host", "rebuilds"), [("cmd", True), ("powershell", False)], indirect=["host"])
def test_from_nothing_to_nothing_with_junctions_or_their_stand_in(
    rebuilds: bool, host: Host, windows_source: Path, tmp_path: Path
) -> None:
    """The upgrade sends a delta. If the old build has a broken lzma, the same run then sends the whole archive."""
    host.environment["STANDALONE_PYTHON_CACHE"] = str(with_a_delta(windows_source, tmp_path / "cache"))
    predicted = host.declare(f"3.13+{OLD}", check=True)
    assert host.there() == []
    done = host.declare(f"3.13+{OLD}")
    assert predicted.result["plan"] == done.result["plan"]
    assert predicted.result["diff"]["after"] == done.result["diff"]["after"]
    build = build_of(done)
    version, name = build["version"], build["prefix"].rpartition("\\")[2]
    assert done.result["changed"]
    assert done.result["root"] == ROOT
    assert done.result["bin_dir"] == ROOT + r"\bin"
    assert build["prefix"] == rf"{ROOT}\{name}"
    assert build["path"] == rf"{ROOT}\{name}\python.exe"
    assert build["stable_path"] == rf"{ROOT}\cpython-3.13\python.exe"
    assert build["links"] == [ROOT + r"\bin\python3.13.cmd"]
    assert done.result["diff"]["before"] == ""
    assert host.there() == ["bin", "cpython-3.13", name]

    # It runs from each of its places, with the library of that place.
    where = "import ssl, sqlite3, sys; print(sys.prefix)"
    assert host.says(build["path"], where) == build["prefix"]
    assert host.says(build["stable_path"], where) == rf"{ROOT}\cpython-3.13"
    assert host.says(build["links"][0], where).splitlines()[-1] == rf"{ROOT}\cpython-3.13"
    assert host.registered()["3.13"] == {
        "DisplayName": f"Python {version} (64-bit, standalone-python)",
        "SysArchitecture": "64bit",
        "SysVersion": "3.13",
        "Version": version,
        "": rf"{ROOT}\cpython-3.13" + "\\",
        "ExecutablePath": rf"{ROOT}\cpython-3.13\python.exe",
        "WindowedExecutablePath": rf"{ROOT}\cpython-3.13\pythonw.exe",
    }

    told = host.info()
    (interpreter,) = told["interpreters"]
    assert {key: interpreter[key] for key in ("version", "path", "stable_path", "sound")} == {
        "version": version,
        "path": build["path"],
        "stable_path": build["stable_path"],
        "sound": True,
    }
    assert told["target"]["triple"] == "x86_64-pc-windows-msvc"

    again = host.declare(f"3.13+{OLD}")
    assert (again.result["changed"], again.result["plan"]) == (False, [])
    assert again.result["diff"]["before"] == again.result["diff"]["after"] == done.result["diff"]["after"]

    if not rebuilds:
        host.powershell(rf"[IO.File]::WriteAllText('{build['prefix']}\Lib\lzma.py', 'import lost')")
    declared = {"builds": ["3.13"], "source": str(windows_source), "state": "latest", "keep": 1}
    run = host.run({MODULE: declared}, diff=True, arguments=["-vvv"])
    upgraded = run.of()
    sent = re.findall(r"send cpython-3\.13\S*\.(delta|tar\.gz) to the host, \d+ bytes", run.output)
    assert sent == (["delta"] if rebuilds else ["delta", "tar.gz"]), run.output
    assert ("No module named 'lost'" in run.output) != rebuilds
    assert host.sent() == []
    newer = build_of(upgraded)["prefix"].rpartition(chr(92))[2]
    assert names(upgraded) == [f"upgrade {newer}", "link C"]
    if (place := host.outside(rf"{ROOT}\{newer}")) is not None:
        (archive,) = (windows_source / NEW).glob("cpython-3.13*.tar.gz")
        with tarfile.open(archive) as tar:
            for member in (one for one in tar if one.isfile()):
                content = tar.extractfile(member)
                assert content is not None
                assert (place / member.name.removeprefix("python/")).read_bytes() == content.read(), member.name
    assert build_of(upgraded)["release"] == NEW
    assert host.says(build["links"][0], where).splitlines()[-1] == rf"{ROOT}\cpython-3.13"
    assert host.there() == sorted([".standalone-python.history", "bin", "cpython-3.13", name, newer])
    tidied = host.declare("3.13", keep=0)
    assert names(tidied) == [f"remove {name}"]

    gone = host.declare("3.13", state="absent")
    assert gone.result["changed"]
    assert host.registered() == {}
    assert host.there() == ["bin"]
    assert host.there(ROOT + r"\bin") == []


def test_what_is_broken_is_repaired(host: Host) -> None:
    prefix = build_of(host.declare(f"3.13+{OLD}", links=[]))["prefix"]
    for spoil, verify in (
        (rf"[IO.File]::Delete('{prefix}\python.exe')", "quick"),
        (rf"[IO.File]::AppendAllText('{prefix}\Lib\json\__init__.py', '#')", "full"),
    ):
        host.powershell(spoil)
        done = host.declare(f"3.13+{OLD}", links=[], verify=verify)
        assert names(done) == [f"repair {prefix.rpartition(chr(92))[2]}"]
    assert not host.declare(f"3.13+{OLD}", links=[]).result["changed"]


def test_who_may_do_what_in_a_root_for_all(host: Host) -> None:
    """All read and start what is in it; administrators and the system write. What others can change is neither started nor written to.

    Of the lists of who may do what Wine keeps a part only.
    """
    agents = REPOSITORY / "ansible_collections/standalone/python/plugins/plugin_utils/core/agents/on_host"
    text = "".join(path.read_text() for path in sorted(agents.glob("*.ps1")))
    needed = ("Get-Me", "Test-Administrator", "Get-OwnList")
    functions = [re.search(rf"^function {name}\b[^\n]*(?:}}|{{[^\n]*\n.*?^}})$", text, re.M | re.S) for name in needed]
    build = build_of(host.declare(f"3.13+{OLD}"))
    shown = (
        "; foreach ($r in $l.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) { "
        '"$($r.IdentityReference.Value) $([int]$r.FileSystemRights) $([int]$r.InheritanceFlags) $([int]$r.PropagationFlags)" }'
    )
    given = host.powershell(
        "\n".join(one[0] for one in functions if one) + "\n$l = Get-OwnList; $l.AreAccessRulesProtected" + shown
    )
    everything, reading = 0x1F01FF, 0x1200A9
    assert given.splitlines() == [
        "True",
        f"S-1-5-18 {everything} 3 0",
        f"S-1-5-32-544 {everything} 3 0",
        f"S-1-5-32-545 {reading} 3 0",
    ]
    kept = host.powershell(f"{ME}; $l = [Security.AccessControl.DirectorySecurity]::new('{ROOT}', 'Access'){shown}")
    mine, *rules = kept.splitlines()
    writing = 0x500D0156
    assert {who for who, rights, *_flags in map(str.split, rules) if int(rights) & writing} <= {"S-1-5-18", "S-1-5-32-544", mine}

    name = build["prefix"].rpartition("\\")[2]
    with host.reached(build["path"], "everybody") as who:
        again = host.declare(f"3.13+{OLD}")
        assert (again.result["changed"], again.result["plan"]) == (False, [])
        [warning] = again.result["warnings"]
        assert warning.startswith(f"{name} was not started, as ")
        assert warning.endswith(f"{who} {build['path']}")
        assert host.info()["warnings"] == [warning]
    with host.reached(ROOT, "an owner") as who:
        before = host.there()
        for check in True, False:
            refused = host.declare("3.13", state="latest", check=check, fails=True)
            assert f"{who} {ROOT}: let only administrators and this user change it" in refused.message
        assert host.there() == before
    with host.reached(ROOT + r"\bin", "everybody") as who:
        assert f"{who} {ROOT}\\bin: let only" in host.declare(f"3.13+{OLD}", f"3.12+{OLD}", fails=True).message
        assert "warnings" not in host.declare(f"3.13+{OLD}").result


def test_the_root_of_a_drive_or_a_share_is_no_junction(host: Host) -> None:
    """Wine shows drives as links. Who could change one is judged by its access list alone."""
    agent = REPOSITORY / "ansible_collections/standalone/python/plugins/plugin_utils/core/agents/on_host/observe.ps1"
    functions = re.findall(r"^function (?:Find-Link|Test-Root)\b.*?^}$", agent.read_text(), re.M | re.S)
    paths = "'C:\\', '\\\\server\\share', '\\\\server\\share\\', 'C:\\python', '\\\\server\\share\\python'"
    said = host.powershell("\n".join((*functions, "function Test-Link { $true }", f"foreach ($p in {paths}) {{ Find-Link $p }}")))
    assert [line.split(" is a junction")[0] for line in said.splitlines()] == [r"C:\python", r"\\server\share\python"]


def test_what_others_left_in_staging_is_no_place_to_make_builds(host: Host) -> None:
    """It may have been put there while the root was open to them. Nothing of it is used, and it is not cleared either."""
    host.make(ROOT)
    staging = ROOT + r"\.standalone-python.staging"
    host.powershell(
        rf"[void][IO.Directory]::CreateDirectory('{staging}\cpython-3.13\python'); "
        rf"[IO.File]::WriteAllText('{staging}\finish.py', 'raise SystemExit(3)')"
    )
    with host.reached(staging, "an owner") as who:
        refused = host.declare(f"3.13+{OLD}", fails=True)
        assert f"{who} {staging}: run as that user, let only administrators or root and this user change it" in refused.message
        assert refused.message.endswith("the host is as it was")
        assert (host.there(), host.there(staging)) == ([".standalone-python.staging"], ["cpython-3.13", "finish.py"])
    assert host.declare(f"3.13+{OLD}").result["changed"]


def test_the_path_is_changed_where_asked_for_and_once_and_undone(host: Host) -> None:
    before = host.search_path()
    host.declare(f"3.13+{OLD}")
    assert host.search_path() == before
    added = host.declare(f"3.13+{OLD}", add_to_path=True)
    assert added.result["plan"] == [rf"add {ROOT}\bin to the PATH"]
    assert host.search_path() == (rf"{before[0]};{ROOT}\bin", before[1])
    for options in ({"add_to_path": True}, {}):
        assert not host.declare(f"3.13+{OLD}", **options).result["changed"]
    assert host.declare(f"3.13+{OLD}", add_to_path=False).result["plan"] == [rf"take {ROOT}\bin off the PATH"]
    assert host.search_path() == before
    host.declare(f"3.13+{OLD}", add_to_path=True)
    host.declare("3.13", state="absent")
    assert host.search_path() == before
    assert host.there() == ["bin"]


def test_registration(host: Host) -> None:
    host.declare(f"3.13+{OLD}", register=False)
    assert host.registered() == {}
    assert host.declare(f"3.13+{OLD}", f"3.12+{OLD}").result["changed"]
    assert set(host.registered()) == {"3.13", "3.12"}
    assert [line.split(",")[0] for line in host.declare(f"3.13+{OLD}", register=False).result["plan"]] == ["unregister 3.13"]
    assert set(host.registered()) == {"3.12"}
    another = host.declare(f"3.12+{OLD}", root=r"C:\another root", fails=True)
    assert another.message == (
        rf"StandalonePython\3.12 in the registry stands for {ROOT}\cpython-3.12\python.exe, which is not in C:\another root: "
        "remove it there, use register: false, or use force: true"
    )
    host.declare("3.12", state="absent")
    assert host.registered() == {}


def test_a_root_in_the_profile_is_its_user_s_own(host: Host) -> None:
    """Also with letters that no console agrees upon."""
    done = host.declare(f"3.13+{OLD}", root="~\\Pythön 蛇")
    build = build_of(done)
    assert build["stable_path"].endswith(r"Pythön 蛇\cpython-3.13\python.exe")
    assert host.registered() == {}
    assert host.registered("CurrentUser")["3.13"]["Version"] == build["version"]
    assert not host.declare(f"3.13+{OLD}", root="~\\Pythön 蛇").result["changed"]


def test_what_is_not_ours_stays(host: Host) -> None:
    host.make(ROOT)
    host.powershell(
        rf"[void][IO.Directory]::CreateDirectory('{ROOT}\bin'); [IO.File]::WriteAllText('{ROOT}\bin\python3.13.cmd', 'mine')"
    )
    failed = host.declare(f"3.13+{OLD}", fails=True)
    assert "it is a file and was not created by standalone-python" in failed.message
    assert host.sent() == []
    assert host.powershell(rf"[IO.File]::ReadAllText('{ROOT}\bin\python3.13.cmd')") == "mine"
    host.declare(f"3.13+{OLD}", force=True)
    assert not host.declare(f"3.13+{OLD}").result["changed"]


def test_several_hosts_at_once(windows_hosts: WindowsHosts, windows_source: Path) -> None:
    """Half of them over each shell. What the inventory names twice has a root for each name."""
    root = "~/ten/{{ inventory_hostname }}"
    declared = {"builds": [f"3.12+{OLD}"], "source": str(windows_source), "root": root, "links": [], "register": False}
    run = windows_hosts.play({MODULE: declared}, {MODULE: declared}, arguments=["--forks", "10"])
    assert run.code == 0, run.output
    assert [result.result["changed"] for result in run.results].count(True) == len(windows_hosts.names)
    gone = windows_hosts.play({MODULE: {**declared, "builds": [], "exclusive": True}}, arguments=["--forks", "10"])
    assert {json.dumps(result.result["removed"] != []) for result in gone.results} == {"true"}


def test_the_junction_itself(host: Host) -> None:
    """The one function of the agents that hosts without junctions have another one for."""
    if not host.hosts.junctions:
        pytest.skip("needs junctions: Wine has none")
    agent = REPOSITORY / "ansible_collections/standalone/python/plugins/plugin_utils/core/agents/on_host/observe.ps1"
    text = agent.read_text()
    functions = [re.search(rf"^function {name}\b.*?^}}$", text, re.M | re.S) for name in FOR_JUNCTIONS]
    said = host.powershell(
        "\n".join(function[0] for function in functions if function)
        + r"""
        $at = [IO.Path]::Combine([IO.Path]::GetTempPath(), "junction %PATH% & 'ö' " + [Guid]::NewGuid())
        [void][IO.Directory]::CreateDirectory("$at\to"); [IO.File]::WriteAllText("$at\to\file", 'seen')
        Use-Junction 'make' "$at\link" "$at\to"
        Use-Junction 'is' "$at\link"; Use-Junction 'is' "$at\to"; Use-Junction 'is' "$at\nothing"
        [IO.File]::ReadAllText("$at\link\file")
        [IO.Directory]::Move("$at\to", "$at\moved"); Use-Junction 'is' "$at\link"; [IO.Directory]::Move("$at\moved", "$at\to")
        Use-Junction 'remove' "$at\link"; Use-Junction 'is' "$at\link"; [IO.File]::Exists("$at\to\file")
        [IO.Directory]::Delete($at, $true)
        """
    )
    assert said.split() == ["True", "False", "False", "seen", "True", "False", "True"]
