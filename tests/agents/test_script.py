# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script for hosts without a controller: on each state of a host it decides what a plan decides, and it does that."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents.script import short_script
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import HISTORY
from tests.agents import fakes
from tests.agents.cases import NEWER, ONE, OTHER
from tests.agents.driver import Archives, LocalHost, start
from tests.agents.offered import ORIGIN, TRIPLE, Offered, changed_receipt, checked, run, script_of
from tests.agents.place import POSIX, SHELLS, TOOLS, Place, Shell, link_tools, needed
from tests.tools.web import serve

pytestmark = POSIX


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Offered:
    return Offered.of_fakes(("3.13.1",), tmp_path_factory.mktemp("archives"))  # type: ignore[return-value]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "disk").mkdir()
    return Place(tmp_path / "disk", f"{tmp_path}/disk/root", f"{tmp_path}/disk/bin")


def _remove(path: str) -> Callable[[Place, str], None]:
    return lambda place, _sha256: place.path(path).unlink()


def _link(path: str, to: str) -> Callable[[Place, str], None]:
    def link(place: Place, _sha256: str) -> None:
        place.path(path).unlink(missing_ok=True)
        place.path(path).symlink_to(place.text(to))

    return link


def _write(path: str) -> Callable[[Place, str], None]:
    def write(place: Place, _sha256: str) -> None:
        place.path(path).unlink(missing_ok=True)
        place.path(path).write_text("mine")

    return write


def _empty(place: Place, _sha256: str) -> None:
    shutil.rmtree(place.root)
    shutil.rmtree(place.bin_dir)


def _foreign_folder(place: Place, _sha256: str) -> None:
    shutil.rmtree(Path(place.root) / ONE / ".standalone-python")


def _leftover(place: Place, _sha256: str) -> None:
    (Path(place.root) / ".standalone-python.staging").mkdir()


@dataclass(frozen=True, slots=True)
class State:
    """What is other on a host than on one in order.

    :ivar options: what is declared otherwise
    :ivar fails: both refuse
    :ivar left: what stays, which a script says
    """

    name: str
    change: Callable[[Place, str], None] | None = None
    options: Mapping[str, Any] | None = None
    fails: bool = False
    left: str = ""


def has(*names: str, default: str = "", history: str = "") -> Callable[[Place, str], None]:
    """The host has other builds, each with its links if it is of another line.

    :param default: what ``python3`` and, if it is of the line of 3.13, the stable link lead to
    """

    def add(place: Place, sha256: str) -> None:
        for build in map(fakes.fake, names):
            fakes.write(build, Path(place.root) / build.name)
            minor = build.version.minor_line
            if minor != "3.13":
                _link(f"{{root}}/cpython-{minor}", build.name)(place, sha256)
                _link(f"{{bin}}/python{minor}", f"{{root}}/cpython-{minor}/bin/python{minor}")(place, sha256)
        if default:
            minor = fakes.fake(default).version.minor_line
            _link(f"{{root}}/cpython-{minor}", fakes.fake(default).name)(place, sha256)
            _link("{bin}/python3", f"{{root}}/cpython-{minor}/bin/python3")(place, sha256)
        if history:
            (Path(place.root) / HISTORY).write_text("".join(f"{fakes.fake(name).name}\n" for name in history.split(", ")))

    return add


def _after(*changes: Callable[[Place, str], None]) -> Callable[[Place, str], None]:
    def change(place: Place, sha256: str) -> None:
        for one in changes:
            one(place, sha256)

    return change


OF_OTHERS = (
    _link("{bin}/python3.12-config", "{root}/cpython-3.12/bin/python3.12-config"),
    _link("{bin}/python", "/usr/bin/python3"),
    _link("{root}/cpython-3.12.8", OTHER),
)
ABSENT: Mapping[str, Any] = {"builds": ["3.13.1", {"version": "3.12", "state": "absent"}]}
GONE = ("--archives", "/gone")
OLDER = ("3.13.0", "3.13.0+20250108", "3.13.0 full")


STATES = (
    State("in order"),
    State("empty", _empty),
    State("no interpreter", _remove(f"{{root}}/{ONE}/bin/python3.13")),
    State("a module is gone", _remove(f"{{root}}/{ONE}/lib/python3.13/os.py")),
    State("no receipt", _remove(f"{{root}}/{ONE}/{fakes.RECEIPT}")),
    State("another version in the receipt", changed_receipt(version="3.13.2")),
    State("another archive", changed_receipt(sha256="1" * 64)),
    State("moved", changed_receipt(prefix="/srv/elsewhere")),
    State("not started yet", changed_receipt(started=False)),
    State("certificates of the system", changed_receipt(certificates="system")),
    State("certificates are gone", changed_receipt(certificates_file="/gone/ca.pem")),
    State("no mode", None, {"mode": "0755"}),
    State("another mode", changed_receipt(mode="0750"), {"mode": "0755"}),
    State("the mode declared", changed_receipt(mode="0750"), {"mode": "0750"}),
    State("users may install", None, {"externally_managed": False}),
    State("default", None, {"builds": [{"version": "3.13.1", "default": True}]}),
    State("no links wanted", _remove("{bin}/python3.13"), {"links": []}),
    State("a link is gone", _remove("{bin}/python3.13")),
    State("a link of ours leads elsewhere", _link("{bin}/python3.13", "{root}/cpython-3.12/bin/python3.12")),
    State("a link of others", _link("{bin}/python3.13", "/usr/bin/python3"), fails=True),
    State("a link of others, force", _link("{bin}/python3.13", "/usr/bin/python3"), {"force": True}),
    State("a file for a link", _write("{bin}/python3.13"), fails=True),
    State("a stable link of others", _link("{root}/cpython-3.13", "/usr"), fails=True),
    State("a stable link of ours", _link("{root}/cpython-3.13", "cpython-3.13.0+20250115-x86_64-unknown-linux-gnu-full")),
    State("a folder of others", _foreign_folder, fails=True),
    State("a folder of others, force", _foreign_folder, {"force": True}),
    State("a killed run", _leftover),
    State("a full check found damage", checked("its files differ from what was installed: bin/python3.13")),
    State("a full check found nothing", checked("clean")),
    State("a full check of the installation before", checked("its files differ", "1" * 64)),
    State("an upgrade", has(*OLDER, default="3.13.0+20250108")),
    State("an upgrade, keep none", has(*OLDER, default="3.13.0", history="3.13.0+20250108, 3.13.1"), {"keep": 0}),
    State("an upgrade, keep two", has(*OLDER, default="3.13.0+20250108", history="3.13.0 full"), {"keep": 2}),
    State("upgraded", has("3.13.0")),
    State("a newer build that is not in use", has("3.13.0", "3.13.2+20250317")),
    State("another line", has("3.12.8"), left=f"left alone: {OTHER}"),
    State("absent", has("3.12.8", default="3.12.8"), ABSENT),
    State("absent, links of others", _after(has("3.12.8"), *OF_OTHERS), ABSENT),
    State(
        "absent, a link that leads nowhere",
        _after(has("3.12.8"), _link("{bin}/python3.11", "{root}/cpython-3.11/bin/python3.11")),
        ABSENT,
    ),
    State("absent, half done", _after(has("3.12.8"), _remove("{bin}/python3.12"), _remove("{root}/cpython-3.12")), ABSENT),
    State("absent is all", has("3.13.0", history="3.13.0"), {"builds": [{"version": "3.13", "state": "absent"}]}),
    State("exclusive", has("3.12.8", "3.13.0", default="3.13.0"), {"exclusive": True}),
    State("exclusive, processes don't matter", has("3.12.8"), {"exclusive": True, "in_use": "remove"}),
)


def lay_out(place: Place, archives: Archives, state: State) -> dict[str, Any]:
    build = fakes.fake("3.13.1")
    sha256 = archives.sha256(build)
    fakes.write(build, Path(place.root) / ONE)
    changed_receipt(sha256=sha256, prefix=f"{place.root}/{ONE}", modules=5, started=True)(place, sha256)
    Path(place.bin_dir).mkdir()
    _link("{root}/cpython-3.13", ONE)(place, sha256)
    _link("{bin}/python3.13", "{root}/cpython-3.13/bin/python3.13")(place, sha256)
    if state.change:
        state.change(place, sha256)
    return {"builds": ["3.13.1"], "root": place.root, "bin_dir": place.bin_dir, **(state.options or {})}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name.replace(" ", "-"))
def test_it_decides_what_a_plan_decides(state: State, place: Place, archives: Offered, tmp_path: Path) -> None:
    needed("dash")
    options = lay_out(place, archives, state)
    before = place.tree()
    text = script_of(archives, options)
    folder = archives.lay_out(tmp_path / "archives")
    told = run(place, SHELLS[0], text, "--archives", str(folder), "--check", "--json")
    assert place.tree() == before
    desired = declare({"lockfile": "python.lock.json", **options})
    host = LocalHost(place, SHELLS[0], tmp_path)
    if state.fails:
        with pytest.raises(ensure.AgentError) as refused:
            ensure.ensure(host, desired, archives, check=True)
        reason = str(refused.value).partition(":")[0]
        assert told.code == 1, told
        assert told.errors.startswith(f"install-python: {reason}"), (told.errors, reason)
        assert told.errors.count("\n") == 1
        return
    planned = ensure.ensure(host, desired, archives, check=True).plan
    assert told.code == (2 if planned else 0), (told, planned)
    verbs = [str(step).partition(":")[0].partition(" instead of")[0] for step in planned.steps]
    assert json.loads(told.output)["plan"] == verbs
    done = run(place, SHELLS[0], text, "--archives", str(folder))
    assert done.code == 0, done
    assert done.output.splitlines() == [*(verbs or ["nothing to do"]), *filter(None, [state.left])]
    assert not ensure.ensure(host, desired, archives, check=True).plan
    if planned.history is not None:
        assert (Path(place.root) / HISTORY).exists() == bool(planned.history)
        assert not planned.history or (Path(place.root) / HISTORY).read_text().split() == [*planned.history]
    if planned.removals:
        for name in (step.name for step in planned.removals):
            assert not (Path(place.root) / name).exists()
    elif "file" not in before.get("bin/python3.13", ""):
        assert place.tree()[f"root/{ONE}"].startswith("build 3.13.1")


def test_what_a_script_can_not_decide(place: Place, archives: Offered, tmp_path: Path) -> None:
    """Builds that no catalogue names stay, with their links; and so do replaced ones with packages that only a controller copies."""
    needed("dash")
    unknown = fakes.fake("3.12.99").name
    more = {"exclusive": True, "keep": 0, "externally_managed": False}
    state = State("", _after(has("3.12.8", "3.12.99", "3.13.0"), _link("{root}/cpython-3.12", unknown)), more)
    options = lay_out(place, archives, state)
    changed_receipt(externally_managed=False)(place, "")
    old = Path(place.root) / fakes.fake("3.13.0").name
    (old / fakes.RECEIPT).write_text('{\n "externally_managed": false,\n "bundled": ""\n}\n')
    (old / "lib/python3.13/site-packages/mine-1.dist-info").mkdir(parents=True)
    text = script_of(archives, options)
    done = run(place, SHELLS[0], text, *GONE)
    assert (done.code, done.errors) == (0, ""), done
    assert done.output.splitlines() == [f"remove {OTHER}", f"left alone: {unknown} {old.name}"]
    again = json.loads(run(place, SHELLS[0], text, *GONE, "--json").output)
    assert (again["changed"], again["plan"], again["left_alone"], again["in_use"]) == (False, [], [unknown, old.name], [])
    discarding = run(place, SHELLS[0], script_of(archives, options | {"user_packages": "discard"}), *GONE)
    assert discarding.output.splitlines() == [f"remove {old.name}", f"left alone: {unknown}"]


def test_a_build_in_use(place: Place, archives: Offered, tmp_path: Path) -> None:
    """It stays, with its stable link, until no process runs from it."""
    needed("dash")
    options = lay_out(place, archives, State("", has("3.12.8"), ABSENT))
    program = Path(place.root) / OTHER / "bin/python3.12"
    shutil.copy(shutil.which("sleep") or "", program)
    text = script_of(archives, options)
    host, desired = LocalHost(place, SHELLS[0], tmp_path), declare({"lockfile": "python.lock.json", **options})
    with ExitStack() as stack:
        start(stack, program)
        planned = ensure.ensure(host, desired, archives, check=True).plan
        verbs = [str(step).partition(":")[0] for step in planned.steps]
        assert [step.name for step in planned.held] == [OTHER]
        done = run(place, SHELLS[0], text, *GONE)
        busy = f"in use, a later run removes them: {OTHER}"
        assert (done.code, done.output.splitlines()) == (0, [*verbs, busy]), done
        assert not ensure.ensure(host, desired, archives, check=True).plan
        assert run(place, SHELLS[0], text, *GONE, "--check").output.splitlines() == ["nothing to do", busy]
        assert json.loads(run(place, SHELLS[0], text, *GONE, "--check", "--json").output)["in_use"] == [OTHER]
    done = run(place, SHELLS[0], text, *GONE)
    assert done.output.splitlines() == [f"remove the link {place.root}/cpython-3.12 to {OTHER}", f"remove {OTHER}"]
    assert run(place, SHELLS[0], text, *GONE).output == "nothing to do\n"


def test_processes_that_nobody_shows(place: Place, archives: Offered, tmp_path: Path) -> None:
    """The script removes builds, and has the remark of a run with a controller."""
    needed("dash")
    options = lay_out(place, archives, State("", has("3.12.8"), ABSENT))
    place.environment["PATH"] = str(link_tools(tmp_path / "tools", [name for name in TOOLS if name != "grep"]))
    text = script_of(archives, options)
    told = json.loads(run(place, SHELLS[0], text, *GONE, "--check", "--json").output)
    desired = declare({"lockfile": "python.lock.json", **options})
    done = run(place, SHELLS[0], text, *GONE)
    assert done.output.splitlines() == [*told["plan"], *told["remarks"]], done
    fakes.write(fakes.fake("3.12.8"), Path(place.root) / OTHER)
    result = ensure.ensure(LocalHost(place, SHELLS[0], tmp_path), desired, archives)
    assert told["remarks"] == [*result.remarks]
    assert f"may have run from {OTHER}" in told["remarks"][0]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell.name)
def test_every_shell(shell: Shell, place: Place, archives: Offered, tmp_path: Path) -> None:
    needed(shell.command[0])
    if path := shell.path(tmp_path / "tools"):
        place.environment["PATH"] = path
    folder = str(archives.lay_out(tmp_path / "archives"))
    options = {"builds": [{"version": "3.13.1", "default": True}], "root": "~/it's a root", "owner": str(os.geteuid())}
    text = script_of(archives, options)
    assert run(place, shell, text, "--archives", folder, "--check", "--quiet").code == 2
    assert not list(place.disk.iterdir())
    done = run(place, shell, text, "--archives", folder, "--json")
    assert (done.code, done.errors) == (0, ""), done
    root = place.disk / "it's a root"
    assert json.loads(done.output) == {
        "changed": True,
        "target": TRIPLE,
        "plan": [
            f"install {ONE}",
            f"link {root}/cpython-3.13 to {ONE}",
            *(f"link {root}/bin/{name} to {root}/cpython-3.13/bin/{to}" for name, to in (("python3.13", "python3.13"),)),
            *(f"link {root}/bin/{name} to {root}/cpython-3.13/bin/python3" for name in ("python3", "python")),
        ],
        "left_alone": [],
        "in_use": [],
        "remarks": [],
        "made_from": str(ORIGIN),
    }
    again = run(place, shell, text, "--archives", "/gone")
    assert (again.code, again.output, again.errors) == (0, "nothing to do\n", "")
    # What the stable link led to is recorded for a rollback, as every front end does.
    fakes.write(fakes.fake("3.13.2+20250317"), root / NEWER)
    (root / "cpython-3.13").unlink()
    (root / "cpython-3.13").symlink_to(NEWER)
    (root / HISTORY).write_text(f"{ONE}\ncpython-3.13.9+20260101-gone\n../\n")
    turned = run(place, shell, text, "--archives", "/gone")
    assert (turned.code, turned.errors) == (0, ""), turned
    assert (root / "cpython-3.13").readlink().name == ONE
    assert (root / HISTORY).read_text() == f"{ONE}\n{NEWER}\n"
    removed = run(place, shell, script_of(archives, options | {"keep": 0}), *GONE)
    assert (removed.code, removed.output, removed.errors) == (0, f"remove {NEWER}\n", "")
    assert not (root / NEWER).exists()


SAYS = (
    (("--root",), 64, "--root needs a folder"),
    (("--root", "relative"), 64, "give an absolute path"),
    (("--root", "/a\nb"), 64, "not a valid folder"),
    (("--rot", "/a"), 64, "unknown option --rot: see --help"),
    (("--archives", "/gone", "--root", "{disk}/new"), 1, "can't be downloaded (/gone/20250115/"),
    ((), 1, "has to be run as a file: sh FILE, or name their folder with --archives; nothing was changed"),
    (("--archives", "{disk}/wrong", "--root", "{disk}/new"), 1, "was expected: run again; nothing was changed"),
    (("--archives", "{disk}/wrong", "--root", "{disk}/file"), 1, "is not a folder: choose another with --root"),
)


@pytest.mark.parametrize(("words", "code", "says"), SAYS, ids=lambda value: str(value)[:30])
def test_refusals(words: tuple[str, ...], code: int, says: str, place: Place, archives: Offered) -> None:
    needed("dash")
    wrong = archives.lay_out(place.disk / "wrong")
    for path in wrong.glob("*/*"):
        path.write_bytes(path.read_bytes() + b" ")
    (place.disk / "file").touch()
    before = place.tree()
    text = script_of(archives, {"builds": ["3.13.1"], "root": place.root, "bin_dir": place.bin_dir})
    done = run(place, SHELLS[0], text, *map(place.text, words))
    assert (done.code, done.output) == (code, ""), done
    assert says in done.errors
    assert done.errors.count("\n") == 1
    assert place.tree() == before


EXPOSED = (
    ("root", None, 0o777, "can't be used as root, as every user can write to"),
    ("bin", None, 0o777, "can't be used as bin_dir, as every user can write to"),
    ("root", 65534, 0o755, "can't be written by this user: become a user who may"),
    ("bin", 65534, 0o755, "is unwritable for this user"),
)


@pytest.mark.parametrize(("folder", "user", "mode", "says"), EXPOSED)
def test_where_this_user_may_not_write(
    folder: str, user: int | None, mode: int, says: str, disk: Path, archives: Offered, tmp_path: Path
) -> None:
    """A check refuses what a run would refuse."""
    needed("dash", "setpriv")
    if os.geteuid() != 0:
        pytest.skip("needs root: to become another user")
    place = Place(disk, f"{disk}/root", f"{disk}/bin")
    for name in ("root", "bin"):
        (disk / name).mkdir()
        os.chown(disk / name, user or 0, -1)
    os.chown(disk / folder, 0, -1)
    (disk / folder).chmod(mode)
    text = script_of(archives, {"builds": ["3.13.1"], "root": place.root, "bin_dir": place.bin_dir})
    shell = Shell("dash", (*SHELLS[0].command, "--", "--archives", "/gone", "--check"))
    done = place.run(shell, text, as_user=user)
    assert (done.code, done.output) == (1, ""), done
    assert says in done.errors
    assert done.errors.count("\n") == 1


def test_the_short_script(place: Place, tmp_path: Path) -> None:
    """It runs what it downloads with the same options and exit code, if that is what it was made for, and leaves nothing."""
    needed("dash", "curl")
    content = b"#!/bin/sh\nprintf '%s|' \"$@\"\nexit 2\n"
    (tmp_path / "served").mkdir()
    (tmp_path / "served/install-python.sh").write_bytes(content)
    (tmp_path / "tmp").mkdir()
    place.environment["TMPDIR"] = str(tmp_path / "tmp")
    with serve(tmp_path / "served") as web:
        short = short_script(f"{web.url()}/install-python.sh", content, ORIGIN)
        done = run(place, SHELLS[0], short, "--root", "/a b")
        assert (done.code, done.output, done.errors) == (2, "--root|/a b|", "")
        other = run(place, SHELLS[0], short_script(f"{web.url()}/install-python.sh", b"other", ORIGIN))
        assert (other.code, other.output) == (1, "")
        assert "where " in other.errors
        assert "was expected: publish the script anew; nothing was changed" in other.errors
        gone = run(place, SHELLS[0], short_script(f"{web.url()}/gone.sh", content, ORIGIN))
        assert (gone.code, gone.output) == (1, "")
        assert gone.errors.endswith("can not be downloaded: let this host reach it; nothing was changed\n")
    assert not list((tmp_path / "tmp").iterdir())
