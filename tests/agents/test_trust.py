# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a run trusts, in every shell: it starts, writes and removes nothing that another user could have changed.

Each planted interpreter writes down who runs it. Root is the one who observes and applies, unless a case says otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core import ensure
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import Desired, declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.failures import exposure
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Installed, Observed
from tests.agents import fakes
from tests.agents.driver import Archives, LocalHost, local_host, make
from tests.agents.place import POSIX, Shell, needed, tree

pytestmark = [POSIX, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files get other owners")]

APP, GROUP = 54321, 54322
BUILD = fakes.fake("3.13.1")
STARTED = ("", "")


@pytest.fixture(autouse=True)
def tools_for_all(tmp_path: Path) -> None:
    """Other users find the shell's tools, too."""
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o011)


@pytest.fixture
def ran() -> Iterator[Path]:
    """A file in which each interpreter that is started leaves the number of its user."""
    folder = Path(tempfile.mkdtemp(prefix="ran-"))
    folder.chmod(0o755)
    marker = folder / "by"
    marker.touch()
    marker.chmod(0o666)
    yield marker
    shutil.rmtree(folder)


def planted(disk: Path, ran: Path, *, started: bool = True) -> Path:
    """A build whose interpreter tells who started it."""
    folder = disk / "opt/python" / BUILD.name
    fakes.write(BUILD, folder, json.dumps(fakes.receipt_of(BUILD, started=started), indent=1, sort_keys=True) + "\n")
    interpreter = folder / "bin/python3.13"
    interpreter.unlink()
    interpreter.write_text(f"#!/bin/sh\nid -u >>'{ran}'\necho Python 3.13.1\n")
    interpreter.chmod(0o755)
    return folder


def give(path: Path, user: int = APP, group: int = APP) -> None:
    """With all that is below it."""
    for each in (path, *path.rglob("*")):
        os.lchown(each, user, group)


@dataclass(frozen=True, slots=True)
class Case:
    """``does`` is done to the build, below ``disk/opt/python``. ``open`` begins the reason why it isn't trusted, with {disk},
    {root} and {build}; ``by`` is who ran the interpreter, empty for nobody."""

    name: str
    does: Callable[[Path], object]
    open: str
    by: str


def at(build: Path, where: str) -> Path:
    return {"disk": build.parents[2], "opt": build.parents[1], "root": build.parent}.get(where) or build / where.strip("/")


def mode(where: str, bits: int, *, group: int = 0) -> Callable[[Path], object]:
    def change(build: Path) -> None:
        os.chown(at(build, where), 0, group)
        at(build, where).chmod(bits)

    return change


def owned(where: str, user: int = APP, group: int = APP) -> Callable[[Path], object]:
    return lambda build: give(at(build, where), user, group)


def alone(where: str) -> Callable[[Path], object]:
    return lambda build: os.lchown(at(build, where), APP, APP)


def both(*changes: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda build: [change(build) for change in changes]


def through_link(build: Path) -> None:
    """The root's folder leads over a link that lies where only its user writes, to where only root does."""
    disk = at(build, "disk")
    (disk / "opt").rename(disk / "var-opt")
    (disk / "mine").mkdir()
    (disk / "mine/opt").symlink_to("../var-opt")
    (disk / "opt").symlink_to("mine/opt")
    give(disk / "mine")


def sound_link(build: Path) -> None:
    disk = at(build, "disk")
    (disk / "opt").rename(disk / "var-opt")
    (disk / "opt").symlink_to("var-opt/../var-opt")


def leads_out(build: Path) -> None:
    elsewhere = at(build, "disk") / "elsewhere"
    shutil.copy(build / "bin/python3.13", elsewhere)
    os.chown(elsewhere, APP, APP)
    (build / "bin/python3").unlink()
    (build / "bin/python3").symlink_to(elsewhere)


def forged(build: Path) -> None:
    """A link's text reads like lines of ls that say that all is root's."""
    give(build)
    lines = [f"drwxr-xr-x 2 0 0 4096 Nov 28 08:42 {path}" for path in ("/", build, build / "bin", build / "bin/python3.13")]
    bin_dir = at(build, "disk") / "bin"
    bin_dir.mkdir()
    (bin_dir / "python").symlink_to("\n".join(["x", *lines]))


def chosen_group(build: Path) -> None:
    for each in (build, *build.rglob("*")):
        os.lchown(each, 0, GROUP)
        if not each.is_symlink():
            each.chmod(0o775)


CASES = (
    Case("all is root's", lambda _build: None, "", "0"),
    Case("the interpreter is another user's", alone("bin/python3.13"), "owner 54321 {build}/bin/python3.13", "54321"),
    Case("its folder is", alone("bin"), "owner 54321 {build}/bin", "54321"),
    Case("the folder of its libraries is", alone("lib"), "owner 54321 {build}/lib", "54321"),
    Case("the whole build is, as with owner", owned("."), "owner 54321 {build}", "54321"),
    Case("the root is, as below a home", owned("root"), "owner 54321 {root}", "54321"),
    Case("the folder above the root is", owned("opt"), "owner 54321 {disk}/opt", "54321"),
    Case("two users could", both(alone("opt"), lambda b: os.chown(b, GROUP, 0)), "owner 54321 {disk}/opt", ""),
    Case("an account that has no name", owned("."), "owner 54321 {build}", "54321"),
    Case("a group can write to all, as with mode 0775", chosen_group, f"group {GROUP} {{build}}", ""),
    Case("a group can write to the root", mode("root", 0o775, group=GROUP), f"group {GROUP} {{root}}", ""),
    Case("root's own group can", mode("root", 0o775), "", "0"),
    Case("every user can write to the root", mode("root", 0o777), "others drwxrwxrwx {root}", ""),
    Case("every user can add to the root", mode("root", 0o1777), "others drwxrwxrwt {root}", ""),
    Case("every user can add to a folder above", mode("opt", 0o1777), "", "0"),
    Case("every user can write to a folder above", mode("opt", 0o777), "others drwxrwxrwx {disk}/opt", ""),
    Case(
        "every user can write to the interpreter", mode("bin/python3.13", 0o777), "others -rwxrwxrwx {build}/bin/python3.13", ""
    ),
    Case(
        "a user's build in a folder to which every user can add",
        both(mode("opt", 0o1777), owned("root")),
        "owner 54321 {root}",
        "54321",
    ),
    Case("a user's own group is of no use to it", both(owned("."), lambda b: b.chmod(0o775)), f"group {APP} {{build}}", ""),
    Case(
        "a library is another user's",
        both(lambda b: (b / "lib/libpython3.13.so.1.0").touch(), alone("lib/libpython3.13.so.1.0")),
        "owner 54321 {build}/lib/libpython3.13.so.1.0",
        "54321",
    ),
    Case("a link on the way is root's", sound_link, "", "0"),
    Case("a link on the way lies in a user's folder", through_link, "owner 54321 {disk}/mine", "54321"),
    Case("the interpreter is a link that leads out", leads_out, "link - {build}/bin/python3", ""),
    Case("a link's text looks like ls", forged, "owner 54321 {build}", "54321"),
)


def desired(on: LocalHost, **options: object) -> Desired:
    return declare({"builds": [], "root": on.place.root, "bin_dir": on.place.bin_dir, **options})


def observed(on: LocalHost, **options: object) -> tuple[Observed, Installed]:
    seen = ensure.observe(on, desired(on, **options), facts="no")
    (build,) = seen.installed
    return seen, build


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_interpreter_is_started_by_nobody_who_can_be_harmed(
    case: Case, shell: Shell, disk: Path, ran: Path, tmp_path: Path
) -> None:
    needed("setpriv")
    build = planted(disk, ran)
    names = {"disk": str(disk), "root": str(disk / "opt/python"), "build": str(build)}
    case.does(build)
    before = tree(disk)
    _seen, found = observed(local_host(shell, disk, tmp_path))
    who = ran.read_text().split()
    # busybox' setpriv can't become a user, and su needs a name.
    by = "" if case.by == str(APP) and shell.tools else case.by
    assert who == [by] * bool(by)
    assert found.problem == ""
    expected = exposure(case.open.format(**names))
    assert found.untrusted == ("" if by else expected), found.untrusted
    assert tree(disk) == before


def test_su_serves_where_there_is_no_setpriv(shell: Shell, disk: Path, ran: Path, tmp_path: Path) -> None:
    needed("su")
    without = Shell(shell.name, shell.command, without=(*shell.without, "setpriv"), replaced=shell.replaced)
    build = planted(disk, ran)
    give(build, 1, 1)  # daemon, who has no shell of its own
    _seen, found = observed(local_host(without, disk, tmp_path))
    assert (found.problem, found.untrusted, ran.read_text()) == ("", "", "1\n")


def test_every_file_is_compared_though_nothing_is_started(shell: Shell, disk: Path, ran: Path, tmp_path: Path) -> None:
    build = planted(disk, ran)
    give(build)
    build.chmod(0o777)
    _seen, found = observed(local_host(shell, disk, tmp_path), verify="full")
    assert found.untrusted.startswith("every user can write to ")
    assert "bin/python3.13" in found.problem
    assert ran.read_text() == ""


def test_a_first_start_is_not_tried_by_root(shell: Shell, disk: Path, ran: Path, tmp_path: Path) -> None:
    """What the interpreter may import counts as well, and no receipt is written where another user could lead it away."""
    on = local_host(shell, disk, tmp_path)
    build = planted(disk, ran, started=False)
    os.chown(build / "lib/python3.13/os.py", APP, APP)
    done = make(on, Archives({}), {"builds": ["3.13"], "links": []})
    (found,) = done.after.installed
    assert (found.untrusted, found.started, found.unconfirmed) == (
        exposure(f"owner 54321 {build}/lib/python3.13/os.py"),
        False,
        False,
    )
    assert ran.read_text() == ""
    assert not json.loads((build / fakes.RECEIPT).read_text())["started"]
    assert done.remarks


def test_a_user_trusts_root_and_themselves(shell: Shell, disk: Path, ran: Path, tmp_path: Path) -> None:
    needed("setpriv")
    on = local_host(shell, disk, tmp_path, **{"PATH": os.environ["PATH"]} if shell.tools else {})
    on.as_user = APP
    build = planted(disk, ran)
    assert observed(on)[1].untrusted == ""
    give(build.parent)
    build.parent.chmod(0o775)
    assert observed(on)[1].untrusted == "", "its own group is its own"
    give(build, GROUP, GROUP)
    assert observed(on)[1].untrusted == exposure(f"owner {GROUP} {build}")
    assert ran.read_text().split() == [str(APP)] * 2


# What changes something.


def refused(on: LocalHost, archives: Archives, options: dict[str, object]) -> str:
    before = tree(on.place.disk)
    with pytest.raises(AgentError) as error:
        make(on, archives, options)
    assert tree(on.place.disk) == before
    return str(error.value)


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (lambda root: give(root), "owner 54321 {root}"),
        (lambda root: give(root.parent), "owner 54321 {root.parent}"),
        (lambda root: root.chmod(0o777), "others drwxrwxrwx {root}"),
        (lambda root: (os.chown(root, 0, GROUP), root.chmod(0o775)), f"group {GROUP} {{root}}"),
        (lambda root: (root.rmdir(), give(root.parent)), "owner 54321 {root.parent}"),
    ],
    ids=["the root is a user's", "the folder above it", "every user writes", "a group writes", "a root that is to be made"],
)
def test_root_changes_nothing_below_what_others_can_change(
    does: Callable[[Path], object], reason: str, shell: Shell, disk: Path, tmp_path: Path
) -> None:
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1"], tmp_path)
    root = disk / "opt/python"
    root.mkdir(parents=True)
    does(root)
    assert exposure(reason.format(root=root)) in refused(on, archives, {"builds": ["3.13"], "links": []})


def test_what_becomes_open_after_the_observation_is_seen_by_the_agent(shell: Shell, disk: Path, tmp_path: Path) -> None:
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1"], tmp_path)
    root = disk / "opt/python"
    root.mkdir(parents=True)
    for changed, options in ((root, {"links": []}), (disk / "bin", {})):
        changed.mkdir(exist_ok=True)
        honest = on.run

        def meddled(script: str, changed: Path = changed, honest: Callable[[str], ensure.Completed] = honest) -> ensure.Completed:
            if script.endswith("apply </dev/null\n"):
                os.chown(changed, APP, APP)
            return honest(script)

        on.run = meddled  # type: ignore[method-assign]
        assert exposure(f"owner 54321 {changed}") in refused(on, archives, {"builds": ["3.13"], **options})
        os.chown(changed, 0, 0)
        on.run = honest  # type: ignore[method-assign]


def test_links_go_to_no_folder_that_others_can_change(shell: Shell, disk: Path, tmp_path: Path) -> None:
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1"], tmp_path)
    (disk / "bin").mkdir()
    give(disk / "bin")
    assert exposure(f"owner 54321 {disk}/bin") in refused(on, archives, {"builds": ["3.13"]})
    assert make(on, archives, {"builds": ["3.13"], "links": []}).changed


def test_builds_of_an_owner_stand_in_a_root_of_roots(shell: Shell, disk: Path, tmp_path: Path) -> None:
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1", "3.13.2"], tmp_path)
    options = {"owner": str(APP), "group": str(GROUP), "mode": "0770", "builds": ["3.13.1"]}
    make(on, archives, options)
    root = disk / "opt/python"
    status = root.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, GROUP, 0o751)
    give(root / BUILD.name, APP, GROUP)  # what the fakes' finisher leaves out
    again = make(on, archives, options)
    assert not again.changed
    assert make(on, archives, options | {"builds": ["3.13.2"]}).changed


def test_staging_of_another_user_is_not_followed(shell: Shell, disk: Path, tmp_path: Path) -> None:
    on, archives = local_host(shell, disk, tmp_path), Archives.of_fakes(["3.13.1"], tmp_path)
    staging = disk / f"opt/python/.standalone-python.staging/{BUILD.name}/old"
    staging.mkdir(parents=True)
    give(disk / "opt/python/.standalone-python.staging")
    assert exposure(f"owner 54321 {disk}/opt/python/.standalone-python.staging") in refused(on, archives, {"builds": ["3.13"]})


def test_only_trusted_interpreters_help_a_run(shell: Shell, disk: Path, ran: Path, tmp_path: Path) -> None:
    """Where mv can't rename over a link to a folder, and touch sets no time, an interpreter that is there does it."""
    tools = tmp_path / "fewer"
    tools.mkdir()
    on = local_host(shell, disk, tmp_path, SOURCE_DATE_EPOCH="1736899200")
    for tool in ("mv", "touch"):
        real = shutil.which(tool)
        script = f'#!/bin/sh\ncase $1 in -fT | -fh | -h) exit 1 ;; esac\nexec {real} "$@"\n'
        (tools / tool).write_text(script)
        (tools / tool).chmod(0o755)
    on.place.environment["PATH"] = f"{tools}:{on.place.environment.get('PATH', os.environ['PATH'])}"
    give(planted(disk, ran))
    foreign = disk / "opt/python/cpython-mine"
    shutil.copytree(disk / "opt/python" / BUILD.name, foreign, symlinks=True)
    shutil.rmtree(foreign / ".standalone-python")
    (disk / "opt/python/cpython-3.12").symlink_to("cpython-nothing")
    archives = Archives.of_fakes(["3.12.8"], tmp_path)
    before = ran.read_text()
    with pytest.raises(AgentError, match="time of"):
        make(on, archives, {"builds": ["3.12"], "force": True})
    who = ran.read_text().removeprefix(before).split()
    assert "0" not in who
