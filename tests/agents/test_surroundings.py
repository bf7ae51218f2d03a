# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else there is on hosts: variables that somebody exported, a home that isn't there, disks of other machines, in every shell."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError, ObservationError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from tests.agents import fakes
from tests.agents.driver import Archives, LocalHost, local_host, make
from tests.agents.place import POSIX, TOOLS, UNPACKING, Place, Shell, link_tools, needed, tree

pytestmark = POSIX

OLD, NEW = fakes.fake("3.13.1"), fakes.fake("3.13.2+20250317")


def with_program(name: str, text: str, tmp_path: Path) -> str:
    """A PATH on which one program is another; ``{real}`` in its text is the real one."""
    folder = link_tools(tmp_path / "odd", [tool for tool in (*TOOLS, *UNPACKING) if tool != name])
    (folder / name).write_text(f"#!/bin/sh\n{text.replace('{real}', str(shutil.which(name)))}\n")
    (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    "environment",
    [
        {"LD_PRELOAD": "/gone/libagent.so"},
        {"PYTHONUTF8": "2", "PYTHONMALLOC": "no"},
        {"SHELLOPTS": "braceexpand:noglob:noclobber:nounset:errexit"},
        {"CLICOLOR": "1", "CLICOLOR_FORCE": "1", "LS_COLORS": "ln=01;36", "CDPATH": "/:/tmp", "IFS": "/", "POSIXLY_CORRECT": "1"},
    ],
    ids=["loader", "python", "shell", "others"],
)
@pytest.mark.parametrize("verify", ["quick", "full"])
def test_what_somebody_exported(environment: dict[str, str], verify: str, shell: Shell, disk: Path, tmp_path: Path) -> None:
    on = local_host(shell, disk, tmp_path, **environment)
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    done = make(on, archives, {"builds": ["3.13"], "verify": verify})
    assert [step.build.name for step in done.plan.installs] == [OLD.name]
    assert not make(on, archives, {"builds": ["3.13"], "verify": verify}).plan


def test_a_shell_that_runs_already_reads_the_script(shell: Shell, disk: Path, tmp_path: Path) -> None:
    """As Ansible's local connection has it: the script is read from a pipe, and not by a second shell."""
    on = local_host(replace(shell, command=(*shell.command[:-1], "-c", ". /dev/stdin")), disk, tmp_path)
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    assert make(on, archives, {"builds": ["3.13"]}).plan
    assert not make(on, archives, {"builds": ["3.13"]}).plan


# What a caller has for its own programs. LD_BIND_NOW and LD_DEBUG would stop no shell, and could stop an interpreter.
FOR_OTHER_PROGRAMS = (
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", "LD_DEBUG", "LD_SHOW_AUXV", "GLIBC_TUNABLES"),
    *("DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"),
    *("OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES"),
)


@pytest.mark.parametrize("outside", [False, True], ids=["on the host", "confirmed"])
def test_an_interpreter_gets_no_libraries_of_the_caller(outside: bool, shell: Shell, disk: Path, tmp_path: Path) -> None:
    """It is started to be looked at, to finish itself, to exchange itself and for the first time; other programs keep what they have."""
    hook = tmp_path / "hook"
    met = " ".join(f'"${{{name}-}}"' for name in FOR_OTHER_PROGRAMS)
    hook.write_text(
        f'for met in {met}; do [ -z "$met" ] || {{ echo "$*: $met" >>{tmp_path}/met; echo libother.so: no; exit 127; }}; done\n'
        "before_finish() { :; }\nafter_finish() { :; }\n"
    )
    # Some of these would stop the shell itself: its first command exports them.
    exported = "".join(f"export {name}=/gone/{name.lower()}\n" for name in FOR_OTHER_PROGRAMS)
    plain = local_host(shell, disk, tmp_path, FAKE_HOOK=str(hook), FAKE_PYTHON=sys.executable)

    class Caller(LocalHost):
        def run(self, script: str) -> ensure.Completed:
            return super().run(exported + script)

    on = Caller(plain.place, plain.shell, plain.sent)
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    if outside:
        fakes.write(OLD, disk / "opt/python" / OLD.name, json.dumps(fakes.receipt_of(OLD, started=False), indent=1) + "\n")
    assert make(on, archives, {"builds": ["3.13"]}).plan
    assert not make(on, archives, {"builds": ["3.13"]}).plan
    assert [step.action for step in make(on, archives, {"builds": ["3.13"], "externally_managed": False}).plan.installs] == [
        "reinstall"
    ]
    assert not (tmp_path / "met").exists()


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_a_root_that_was_moved_is_repaired_from_its_own_files(damaged: bool, shell: Shell, disk: Path, tmp_path: Path) -> None:
    """Without an archive, unless a file differs; links into the old root are ours, and a second run has nothing to do."""
    on = local_host(shell, disk, tmp_path)
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    make(on, archives, {"builds": ["3.13"]})
    (disk / "opt").rename(disk / "srv")
    on = LocalHost(Place(disk, f"{disk}/srv/python", f"{disk}/bin", on.place.environment), on.shell, on.sent)
    if damaged:
        (disk / "srv/python" / OLD.name / "lib/python3.13/os.py").write_text("raise SystemExit\n")
    done = make(on, archives, {"builds": ["3.13"]})
    (step,) = done.plan.installs
    assert (step.action, step.moved) == ("repair", f"{disk}/opt/python/{OLD.name}")
    assert step.reason == f"it was installed as {step.moved} and lies in {disk}/srv/python/{OLD.name}: it was moved or copied"
    assert len([script for script in on.scripts if script.endswith("apply </dev/null\n")]) == 1 + damaged
    assert (disk / "bin/python3.13").readlink() == disk / "srv/python/cpython-3.13/bin/python3.13"
    assert [(one.problem, one.moved) for one in done.after.installed] == [("", "")]
    assert not make(on, archives, {"builds": ["3.13"], "verify": "full"}).plan
    assert [path.name for path in (disk / "srv/python").glob(".standalone-python.*")] == [".standalone-python.checked"]


@pytest.mark.parametrize("verify", ["quick", "full"])
def test_errors_and_output_may_come_as_one(verify: str, shell: Shell, disk: Path, tmp_path: Path) -> None:
    """As through a terminal; and the shell has something to say, of a locale that is not installed."""

    class Terminal(LocalHost):
        def run(self, script: str) -> ensure.Completed:
            return super().run(f"exec 2>&1\n{script}")

    plain = local_host(shell, disk, tmp_path, LC_ALL="xx_XX.UTF-8")
    on = Terminal(plain.place, plain.shell, plain.sent)
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    assert make(on, archives, {"builds": ["3.13"], "verify": verify, "state": "latest"}).plan
    assert not make(on, archives, {"builds": ["3.13"], "verify": verify, "state": "latest"}).plan


def test_a_run_goes_on_where_nobody_reads_its_answer(shell: Shell, disk: Path, tmp_path: Path) -> None:
    """The connection was lost: what the agent prints while it runs must not end it between two steps."""

    class Deaf(LocalHost):
        def run(self, script: str) -> ensure.Completed:
            if not script.endswith("apply </dev/null\n"):
                return super().run(script)
            process = self.place.start(self.shell, script)
            assert process.stdout
            process.stdout.close()
            return ensure.Completed(process.wait(), "", "")

    on = local_host(shell, disk, tmp_path)
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    with pytest.raises(ObservationError, match="nothing at all"):
        make(Deaf(on.place, on.shell, on.sent), archives, {"builds": ["3.13"]})
    assert not make(on, archives, {"builds": ["3.13"]}).plan


@pytest.mark.parametrize(
    ("home", "account"),
    [("(unset)", "exit 1"), ("(unset)", "echo 'EXAMPLE\\jane doe'"), ("(unset)", "echo 'a;touch {hit};'"), ("work", "echo jane")],
)
def test_no_home(home: str, account: str, shell: Shell, disk: Path, tmp_path: Path) -> None:
    """An account that is known nowhere, or whose name is no word of a shell; or a HOME that leads nowhere."""
    hit = tmp_path / "hit"
    on = local_host(shell, disk, tmp_path, HOME=home, PATH=with_program("id", account.replace("{hit}", str(hit)), tmp_path))
    before = tree(disk)
    for options in ({"root": "~/opt/python", "bin_dir": str(disk)}, {"root": str(disk), "bin_dir": "~/bin"}):
        with pytest.raises(AgentError, match="~/.* can't be resolved, as the host knows no home .* give an absolute path"):
            make(on, Archives({}), {"builds": [], "exclusive": True, **options})
    assert tree(disk) == before
    assert not hit.exists()


NFS = """
# Of a file that is open a folder keeps something, under another name.
{real} "$@"
code=$?
for path; do :; done
case $path in *.standalone-python.staging*) ;; *) exit $code ;; esac
[ -e "$0.open" ] || exit $code
mkdir -p "$path/name/removed/bin"
: >"$path/name/removed/bin/.nfs0000000000000001"
echo "rm: cannot remove '$path/name/removed/bin/.nfs0000000000000001': Device or resource busy" >&2
exit 1
"""


def test_a_removed_build_that_a_program_runs_from_on_nfs(shell: Shell, disk: Path, tmp_path: Path) -> None:
    """It is gone from its place; what the file system keeps of it is told, hinders no run, and is cleared when it can be."""
    path = with_program("rm", NFS, tmp_path)
    is_open = Path(path) / "rm.open"
    on = local_host(shell, disk, tmp_path, PATH=path)
    declared = {"builds": ["3.13"], "state": "latest", "keep": 0}
    make(on, Archives.of_fakes(["3.13.1"], tmp_path), declared)
    is_open.touch()
    archives = Archives.of_fakes(["3.13.2+20250317"], tmp_path)
    done = make(on, archives, declared)
    (left,) = done.after.held
    assert left.startswith(f"{disk}/opt/python/.standalone-python.staging.")
    assert done.remarks == (
        f"{left} could not be removed, as a process on the host has files in it open; the next run tries again",
    )
    assert [installed.name for installed in done.after.installed] == [NEW.name]
    again = make(on, archives, declared)
    assert (bool(again.plan), len(again.remarks)) == (False, 1)
    is_open.unlink()
    assert make(on, archives, declared).remarks == ()
    assert not list(disk.glob("opt/python/.standalone-python.staging*"))
    assert not make(on, archives, declared).plan


def test_a_build_that_cant_go_back_to_its_place_is_kept(shell: Shell, disk: Path, tmp_path: Path) -> None:
    """A run was killed while the build was exchanged, and now the disk takes no renames."""
    kept = disk / "opt/python/.standalone-python.staging" / OLD.name / "old"
    fakes.write(OLD, kept)
    path = with_program(
        "mv",
        'case $* in */old*) [ ! -e "$0.fails" ] || { echo "mv: Input/output error" >&2; exit 1; } ;; esac\nexec {real} "$@"',
        tmp_path,
    )
    fails = Path(path) / "mv.fails"
    fails.touch()
    on = local_host(shell, disk, tmp_path, PATH=path)
    archives = Archives.of_fakes(["3.13.1"], tmp_path)
    with pytest.raises(AgentError, match="Input/output error"):
        make(on, archives, {"builds": ["3.13"]})
    assert (kept / fakes.RECEIPT).is_file()
    fails.unlink()
    done = make(on, archives, {"builds": ["3.13"]})
    assert [(installed.name, installed.problem) for installed in done.after.installed] == [(OLD.name, "")]
    assert not list(disk.glob("opt/python/.standalone-python.staging*"))


def test_a_checksum_tool_that_fails_and_says_nothing(shell: Shell, disk: Path, tmp_path: Path) -> None:
    needed("sha256sum")
    fakes.write(OLD, disk / "opt/python" / OLD.name)
    on = local_host(
        shell, disk, tmp_path, PATH=with_program("sha256sum", 'case $1 in -c) exit 1 ;; esac\nexec {real} "$@"', tmp_path)
    )
    desired = declare({"builds": [], "root": on.place.root, "bin_dir": on.place.bin_dir, "verify": "full"})
    (found,) = ensure.observe(on, desired, facts="no").installed
    assert "its files differ" in found.problem


@pytest.mark.parametrize(
    ("program", "when", "does", "state"),
    [
        # While the build is prepared: nothing has changed yet.
        ("tar", "*", "rm -f '{bin}/python3.13'; echo mine >'{bin}/python3.13'", "the host is as it was"),
        ("tar", "*", "rm -f '{bin}/python3.13'; mkdir '{bin}/python3.13'", "the host is as it was"),
        ("tar", "*", "ln -sfn elsewhere '{root}/cpython-3.13'", "the host is as it was"),
        ("tar", "*", "rm -rf '{root}/{old}'; mkdir '{root}/{old}'", "the host is as it was"),
        ("tar", "*", "mkdir '{root}/{new}'", "the host is as it was"),
        # While the new build gets its name: what comes after is not done.
        ("mv", "*{new}*", "rm -f '{bin}/python3.13'; echo mine >'{bin}/python3.13'", "run again to complete it"),
        ("mv", "*{new}*", "ln -sfn elsewhere '{root}/cpython-3.13'", "run again to complete it"),
        ("mv", "*{new}*", "rm -rf '{root}/{old}'; mkdir '{root}/{old}'", "run again to complete it"),
    ],
)
def test_what_becomes_foreign_while_a_run_is_at_work_stays(
    program: str, when: str, does: str, state: str, shell: Shell, disk: Path, tmp_path: Path
) -> None:
    """Nothing holds others back who don't know the lock."""
    first = local_host(shell, disk, tmp_path)
    options = {"builds": ["3.13"], "state": "latest", "keep": 0}
    make(first, Archives.of_fakes(["3.13.1"], tmp_path), options)
    at = {"{root}": f"{disk}/opt/python", "{bin}": f"{disk}/bin", "{old}": OLD.name, "{new}": NEW.name}
    for name, text in at.items():
        when, does = when.replace(name, text), does.replace(name, text)
    meddling = (
        f'{{real}} "$@"\ncode=$?\ncase $* in {when}) [ -e "$0.done" ] || {{{{ : >"$0.done"; {does}; }}}} ;; esac\nexit $code'
    )
    (tmp_path / "second").mkdir()
    on = local_host(
        shell, disk, tmp_path / "second", PATH=with_program(program, meddling.replace("{{", "{").replace("}}", "}"), tmp_path)
    )
    with pytest.raises(AgentError, match=f"is not what it was when this run looked at it: .*; .*{state}"):
        make(on, Archives.of_fakes(["3.13.2+20250317"], tmp_path), options | {"links": []})
    changed = does.rpartition("'")[0].rpartition("'")[2]
    found = Path(changed)
    assert found.is_symlink() == ("ln -sfn" in does)
    if "echo" in does:
        assert found.read_text() == "mine\n"
    elif "mkdir" in does:
        assert list(found.iterdir()) == []
    else:
        assert os.readlink(found) == "elsewhere"
    assert not (disk / "opt/python/.standalone-python.lock").is_symlink()
