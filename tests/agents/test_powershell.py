# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents for PowerShell keep the same contract, as far as Windows has what a case is about.

Run by what engines.py has: on Windows by Windows PowerShell 5.1 and PowerShell 7, elsewhere by PowerShell's own engine. What an
Ansible run does with them on a Windows host is tested in tests/windows.
"""

from __future__ import annotations

import base64
import json
import platform
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import powershell as renderer
from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import delta
from ansible_collections.standalone.python.plugins.plugin_utils.core.delivery import in_doubt
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.failures import FAILURES
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed, parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Install, Plan, Seen
from tests.agents import cases, engines, fakes
from tests.agents.cases import Case
from tests.agents.contract import declared, expected_tree, hold, place_for, planned, put, recorded
from tests.agents.engines import run
from tests.agents.place import Place, Shell, needed, tree
from tests.store.support import Answer, certificate, serve
from tests.tools.windows import HERE, WINE
from tests.tools.wrapped import module_script

AGENTS = Path(str(renderer.__file__)).with_name("on_host")
MODULE = AGENTS.parents[3] / "modules/windows_agent.ps1"
UTILITY = AGENTS.parents[3] / "module_utils/windows_agent.psm1"

linted = pytest.mark.skipif(
    HERE, reason="needs Linux: its linter stands for Windows PowerShell 5.1, which runs all the others on Windows"
)


SYSTEMS = ("tar.exe", "no tar.exe")


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """%SystemRoot%, with a tar or without."""
    folder = tmp_path / "windows"
    if HERE and request.param == "tar.exe":
        if WINE:
            pytest.skip("needs Windows: Wine has no tar.exe")
        return engines.system_root()
    (folder / "System32").mkdir(parents=True)
    if request.param == "tar.exe":
        needed("bsdtar")
        (folder / "System32/tar.exe").symlink_to(shutil.which("bsdtar") or "bsdtar")
    return folder


def windows_place(case: Case, shell: Shell, disk: Path, tmp_path: Path) -> Place:
    return replace(place_for(case, shell, disk, tmp_path / "tools"), windows=True)


def without(case: Case) -> Case:
    """A case without what only locks of POSIX hosts leave."""
    left = case.sees.get("leftovers")
    sees = (
        {**case.sees, "leftovers": tuple(p for p in left if ".standalone-python.lock-broken" not in p)}
        if isinstance(left, tuple)
        else case.sees
    )
    before = tuple(thing for thing in case.before if ".standalone-python.lock-broken" not in getattr(thing, "path", ""))
    return replace(case, before=before, sees=sees)


def everywhere(table: tuple[Case, ...]) -> list[object]:
    return [pytest.param(without(case), id=case.name) for case in table if case.everywhere]


@pytest.mark.parametrize("case", everywhere(cases.OBSERVING))
def test_observe(case: Case, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    place = windows_place(case, powershell, disk, tmp_path)
    with ExitStack() as stack:
        for thing in case.before:
            put(thing, place, stack)
        before = tree(disk, windows=True)
        facts: sh.Facts = "history" if "history" in case.sees else "no"
        done = run(powershell, place, renderer.observation(declared(case, place), facts=facts), tmp_path)
        hold(case.sees, parse(done.output), place)
    # Windows PowerShell says there, in XML, that it loads a module.
    errors = "" if HERE and 'S="Error"' not in done.errors else done.errors
    assert (done.code, errors) == (0, "")
    assert tree(disk, windows=True) == before


def test_a_full_check_is_recorded(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    case = Case("record", (*cases.FINISHED, cases.Checked("3.13.1")), sees={"builds": {"3.13.1": "it's \u2018"}})
    place = windows_place(case, powershell, disk, tmp_path)
    with ExitStack() as stack:
        for thing in case.before:
            put(thing, place, stack)
    records = {cases.ONE: recorded("3.13.1", "it's \u2018", windows=True)}
    assert answer_to_records(powershell, place, records, tmp_path) == sh.REMEMBERED
    hold(
        case.sees, parse(run(powershell, place, renderer.observation(declared(case, place), facts="no"), tmp_path).output), place
    )
    assert [path.name for path in place.path(cases.CHECKS).iterdir()] == [cases.ONE]
    (place.path(cases.CHECKS) / cases.ONE).unlink()
    place.path(cases.CHECKS).rmdir()
    place.path(cases.CHECKS).write_text("mine")
    assert sh.REMEMBERED not in answer_to_records(powershell, place, records, tmp_path)
    assert place.path(cases.CHECKS).read_text() == "mine"


def answer_to_records(powershell: Shell, place: Place, records: dict[str, str], system: Path) -> str:
    return run(powershell, place, renderer.remembering(place.root, records), system).output.strip()


def unpacks(case: Case) -> bool:
    """Return whether a case is about what comes out of an archive. In the others it does not matter who unpacks it."""
    spoiled = any(isinstance(step, cases.Get) and step.spoiled for step in case.steps or ())
    return spoiled or case.name.startswith(("install", "upgrade", "two builds", "repair", "how it is finished"))


APPLYING = [
    pytest.param(without(case), system, id=f"{case.name}-{system}")
    for case in cases.APPLYING
    for system in SYSTEMS
    if case.everywhere and (system == SYSTEMS[WINE] or unpacks(case))
]


@pytest.mark.parametrize(("case", "system"), APPLYING, indirect=["system"])
def test_apply(case: Case, powershell: Shell, system: Path, disk: Path, tmp_path: Path) -> None:
    place = windows_place(case, powershell, disk, tmp_path)
    (tmp_path / "sent").mkdir()
    with ExitStack() as stack:
        for thing in case.before:
            put(thing, place, stack)
        said = run(powershell, place, renderer.observation(declared(case, place), facts="no"), system).output
        for thing in case.between:
            put(thing, place, stack)
        before = tree(disk, windows=True)
        plan, deliveries = planned(case, place, tmp_path / "sent", said)
        done = run(powershell, place, renderer.application(declared(case, place), plan, deliveries), system)
        if case.fails[0]:
            with pytest.raises(AgentError) as error:
                parse(done.output)
            assert f"\nfailure={case.fails[0]}\n" in done.output
            assert case.fails[0] in FAILURES
            assert place.text(case.fails[1]) in str(error.value)
            assert "the host is as it was" in str(error.value)
        else:
            hold(case.sees, parse(done.output), place)
            assert parse(done.output).outdated == case.outdated
    assert tree(disk, windows=True) == expected_tree(case, place, before)


@pytest.mark.parametrize("bin_dir", ["bin", "opt/python ö/bin"])
def test_a_launcher_has_only_ascii_letters(bin_dir: str, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """cmd reads others in one way here and another there. In the root it can do without; elsewhere that fails before anything."""
    case = Case("", settings={"root": "opt/python ö", "bin_dir": bin_dir}, steps=cases.INSTALL)
    place = windows_place(case, powershell, disk, tmp_path)
    # The home's name alone would do no harm.
    place.environment["HOME"] = "/elsewhere"
    said = run(powershell, place, renderer.observation(declared(case, place), facts="no"), tmp_path).output
    plan, deliveries = planned(case, place, tmp_path, said)
    answer = run(powershell, place, renderer.application(declared(case, place), plan, deliveries), tmp_path).output
    if bin_dir == "bin":
        with pytest.raises(AgentError, match="the launcher's text can't name .*; the host is as it was"):
            parse(answer)
        assert tree(disk, windows=True) == {}
    else:
        assert parse(answer).links == {place.text(cases.STABLE): cases.ONE, place.text(cases.PYTHON): place.text(cases.TO_PYTHON)}
        assert place.path(cases.PYTHON).read_bytes().isascii()


def apply(delivery: sh.Delivery, shell: Shell, disk: Path, system: Path, **environment: str) -> Observed:
    """One build comes to an empty disk."""
    place = Place(disk, f"{disk.as_posix()}/opt/python", f"{disk.as_posix()}/bin", environment, windows=True)
    build = fakes.fake("3.13.1")
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir, "delivery": "pull"}, windows=HERE)
    script = renderer.application(desired, Plan((Install(build, "install", ""),), ()), {build.name: delivery})
    return parse(run(shell, place, script, system).output)


def test_a_junction_to_nothing_on_the_way(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """Where it leads can't be read, so it is named before anything changes."""
    place = Place(disk, f"{disk.as_posix()}/opt/python", f"{disk.as_posix()}/opt/python/bin", windows=True)
    with ExitStack() as stack:
        put(cases.Link("{disk}/opt", "{disk}/var"), place, stack)
        # A junction can only be made to a folder.
        shutil.rmtree(disk / "var", ignore_errors=True)
        desired = declare({"builds": ["3.13"], "root": place.root, "bin_dir": place.bin_dir}, windows=HERE)
        observed = parse(run(powershell, place, renderer.observation(desired, facts="no"), tmp_path).output)
    assert (observed.root_state, observed.root_obstacle) == ("unwritable", f"{disk.as_posix()}/opt")


# Of each system: roots of drives and shares, and folders in them.
ROOTS, IN_ROOTS = (
    (("C:\\", r"\\server\share", "\\\\server\\share\\"), (r"C:\python", r"\\server\share\python"))
    if HERE
    else (("/",), ("/opt", "/opt/python"))
)


def test_the_root_of_a_drive_or_a_share_is_no_junction(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """Whatever its attributes are. Who could change it is judged by its access list alone."""
    functions = re.findall(r"^function (?:Find-Link|Test-Root)\b.*?^}$", (AGENTS / "observe.ps1").read_text(), re.M | re.S)
    asked = "".join(f"Find-Link '{path}'\n" for path in ROOTS + IN_ROOTS)
    script = "\n".join((*functions, "function Test-Link { $true }", asked))
    said = run(powershell, Place(disk, "", ""), script, tmp_path).output
    assert said.splitlines() == [f"{path} is a junction or a link, whose target can't be checked" for path in IN_ROOTS]


WHOLE = {"opt": "folder", "opt/python": "folder", f"opt/python/{fakes.fake('3.13.1').name}": "build 3.13.1"}


@pytest.mark.parametrize("dialect", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT], ids=["gnu", "pax", "ustar"])
def test_long_names(dialect: int, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """Unpacked without tar.exe."""
    names = ["Lib/" + "a" * 99, "Lib/" + "b" * 50 + "/" + "c" * 50]
    names += ["Lib/öäü-蛇"] if dialect != tarfile.USTAR_FORMAT else []
    source = tmp_path / "source"
    fakes.write(fakes.fake("3.13.1"), source / "python", None, windows=True)
    for name in names:
        (source / "python" / name).parent.mkdir(exist_ok=True)
        (source / "python" / name).write_bytes(name.encode() * 3000)
    path = tmp_path / "long.tar.gz"
    with tarfile.open(path, "w:gz", format=dialect) as tar:
        tar.add(source / "python", "python")
    place = Place(disk, f"{disk.as_posix()}/p", f"{disk.as_posix()}/bin", windows=True)
    build = fakes.fake("3.13.1")
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir}, windows=HERE)
    delivery = sh.Pushed(str(path), fakes.sha256(path), "gz", 1, "", "")
    script = renderer.application(desired, Plan((Install(build, "install", ""),), ()), {build.name: delivery})
    parse(run(powershell, place, script, tmp_path).output)
    for name in names:
        assert (disk / "p" / build.name / name).read_bytes() == name.encode() * 3000


@pytest.mark.parametrize(
    "name",
    ["../out", "python/../../out", "/out", "python/a:b", "python/CON", "python/nul.txt", "python/dot.", "python/a\\b", "other/x"],
)
def test_a_member_that_would_land_elsewhere(name: str, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """Its checksum agrees, and it is refused all the same."""
    path = tmp_path / "hostile.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(AgentError, match="not a whole build .*it has the member"):
        apply(sh.Pushed(str(path), fakes.sha256(path), "gz", 1, "", ""), powershell, disk, tmp_path)
    assert tree(disk) == {}


def test_a_link_as_a_member(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "link.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("python/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(AgentError, match="neither a file nor a folder"):
        apply(sh.Pushed(str(path), fakes.sha256(path), "gz", 1, "", ""), powershell, disk, tmp_path)


@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_truncated(share: int, powershell: Shell, system: Path, disk: Path, tmp_path: Path) -> None:
    """Cut off before it was sent, so that its checksum agrees."""
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * share // 100])
    with pytest.raises(AgentError, match=r"unpacking .* failed|not a whole build"):
        apply(sh.Pushed(str(path), fakes.sha256(path), "gz", 1, "", ""), powershell, disk, system)
    assert tree(disk) == {}


class _Asked(SimpleHTTPRequestHandler):
    """Serves a folder and remembers what it was asked."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        self.path = "/" + self.path.rpartition("/")[2]
        super().do_GET()

    def log_message(self, *_args: object) -> None:
        pass


def test_pull(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """From the first that answers, with the credentials of a URL, or a token; through the environment's proxy, if it names one."""
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    handler = type("Asked", (_Asked,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = f"127.0.0.1:{server.server_port}"
        good = f"http://me:p%40ss@{at}/{path.name}"

        def pulled(*urls: str, token: str = "") -> sh.Pulled:
            return sh.Pulled(urls, "gz", "python", "https://shown", fakes.sha256(path), token)

        with pytest.raises(AgentError, match=r"could not download it \(127.0.0.1:\d+/none: .*404") as error:
            apply(pulled(f"http://me:secret@{at}/none"), powershell, disk, tmp_path)
        assert "secret" not in str(error.value)
        with pytest.raises(AgentError, match="has the sha256"):
            apply(replace(pulled(good), archive_sha256="0" * 64), powershell, disk, tmp_path)
        assert tree(disk) == {}
        handler.asked.clear()
        apply(pulled(f"http://{at}/none", good), powershell, disk, tmp_path)
        assert handler.asked == [("/none", ""), (f"/{path.name}", "Basic bWU6cEBzcw==")]
        handler.asked.clear()
        shutil.rmtree(disk / "opt")
        apply(pulled(f"http://x.example/{path.name}", token="t0k'n$x"), powershell, disk, tmp_path, http_proxy=f"http://{at}")
        assert handler.asked == [(f"http://x.example/{path.name}", "Bearer t0k'n$x")]
        server.shutdown()
    assert tree(disk, windows=True) == WHOLE


def pulling(urls: tuple[str, ...], path: Path, token: str = "") -> sh.Pulled:
    return sh.Pulled(urls, "gz", "python", "https://shown", fakes.sha256(path), token)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://me:s3cret@{at}/none?key=s3cret#s3cret", ""),
        ("http://{at}/none?next=https://me:s3cret@there/", ""),
        ("http://me:s3cret@127.0.0.1:9/none?key=s3cret", ""),
        ("http://me:s3cret@[127.0.0.1/none?key=s3cret", ""),
        ("http://x.example/none?key=s3cret", "http://me:s3cret@127.0.0.1:port"),
        ("http://x.example/none?key=s3cret", "me:s3cret@127.0.0.1:9"),
        ("http://{at}/moved?key=s3cret", ""),
    ],
)
def test_no_secret_of_an_address_is_said(url: str, proxy: str, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    moved = Answer(302, headers={"Location": "http://me:s3cret@[::/?key=s3cret"})
    with serve({"/moved": [moved]}) as server:
        source = pulling((url.format(at=f"127.0.0.1:{server.port}"),), path)
        with pytest.raises(
            AgentError, match=r"could not download it \([a-z0-9.:\[]+/(none|moved): .*the host is as it was"
        ) as error:
            apply(source, powershell, disk, tmp_path, **({"http_proxy": proxy} if proxy else {}))
    assert "s3cret" not in str(error.value) + error.value.output
    assert tree(disk) == {}


def test_a_login_is_for_the_first_server_only(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """However the server redirects, and as long as it does not do so for ever."""
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    with serve({"/b": [Answer(body=path.read_bytes())]}) as other, serve({}) as server:
        server.answers |= {"/a": [Answer(301, headers={"Location": "/c"})], "/r": [Answer(307, headers={"Location": "/r"})]}
        server.answers["/c"] = [Answer(302, headers={"Location": other.url("/b")})]
        apply(pulling((server.url("/a"),), path, "t0ken"), powershell, disk, tmp_path)
        assert [(asked, headers.get("authorization")) for asked, headers in server.asked] == [
            ("/a", "Bearer t0ken"),
            ("/c", "Bearer t0ken"),
        ]
        assert [(asked, headers.get("authorization")) for asked, headers in other.asked] == [("/b", None)]
        another = disk / "another"
        another.mkdir()
        with pytest.raises(AgentError, match="the server redirects more than 10 times"):
            apply(pulling((server.url("/r"),), path), powershell, another, tmp_path)


@pytest.mark.skipif(HERE, reason="needs Linux: Windows takes no authority from the environment")
def test_no_redirect_leads_from_https_to_http(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    authority = certificate(tmp_path)
    served = Answer(body=path.read_bytes())
    with serve({"/build": [served]}) as plain, serve({"/build": [served]}, authority) as server:
        secure = f"https://localhost:{server.port}"
        server.answers |= {"/down": [Answer(302, headers={"Location": plain.url("/build")})]}
        server.answers |= {"/same": [Answer(302, headers={"Location": f"{secure}/build"})]}
        plain.answers["/up"] = [Answer(302, headers={"Location": f"{secure}/build"})]
        with pytest.raises(AgentError, match=r"localhost:\d+/down: the server redirects from https to http, which is refused"):
            apply(pulling((f"{secure}/down",), path), powershell, disk, tmp_path, SSL_CERT_FILE=str(authority))
        assert plain.asked == []
        for url in (f"{secure}/same", plain.url("/up")):
            apply(pulling((url,), path), powershell, disk, tmp_path, SSL_CERT_FILE=str(authority))
            shutil.rmtree(disk / "opt")


def expose(path: Path, mode: int = 0o777) -> None:
    """Let others change a file or folder; with the mode 0o1777 only put new things into it."""
    if HERE:
        if WINE:
            pytest.skip("needs Windows: under Wine lists of who may do what are tried by tests/windows")
        right = "(WD,AD)" if mode & 0o1000 else "(M,DC)" if path.is_dir() else "(M)"
        subprocess.run(["icacls", str(path), "/grant", f"*S-1-1-0:{right}"], check=True, capture_output=True)
    else:
        path.chmod(mode)


# What the server answers, each time, and how often the host asks then.
ANSWERS = {
    "a status that may pass": (Answer(503), 6),
    "a wait of a minute": (Answer(429, headers={"Retry-After": "60"}), 6),
    "a wait of more": (Answer(503, headers={"Retry-After": "61"}), 1),
    "a wait of a day": (Answer(503, headers={"retry-after": "86400"}), 1),
    "a date": (Answer(503, headers={"Retry-After": "Wed, 21 Oct 2030 07:28:00 GMT"}), 6),
    "nothing there": (Answer(404), 1),
    "a login is missing": (Answer(401), 1),
    "a part of the file": (Answer(body=b"x" * 5000, cut=100), 6),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_how_often_a_host_asks(answer: str, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """As hosts with a POSIX shell: about twice as long each time, none as long as another; a server's wish comes on top."""
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    waited = tmp_path / "waited"
    waited.touch()
    said, asks = ANSWERS[answer]
    with serve({"/a": [said]}) as server:
        with pytest.raises(AgentError, match=r"could not download it \(127.0.0.1:\d+/a: .*the host is as it was"):
            apply(pulling((server.url("/a"),), path), powershell, disk, tmp_path, WAITED=str(waited))
        assert server.count("/a") == asks
    times = [int(line) / 1000 for line in waited.read_text().split()]
    asked = 60 if answer == "a wait of a minute" else 0
    assert len(times) == asks - 1
    assert all(asked + base / 2 <= slept <= asked + base * 1.5 for slept, base in zip(times, (2, 4, 8, 16, 32), strict=False))
    assert len({slept / base for slept, base in zip(times, (2, 4, 8, 16, 32), strict=False)}) == len(times)
    assert tree(disk) == {}


def test_a_busy_mirror_answers_later(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """Of two mirrors only the one that may recover is asked again. The next file has nothing of one that was cut off."""
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    whole = Answer(body=path.read_bytes())
    busy = [Answer(503), Answer(body=whole.body, cut=len(whole.body) - 1), Answer(429, headers={"Retry-After": "1"}), whole]
    waited = tmp_path / "waited"
    with serve({"/busy": busy}) as server:
        urls = (server.url("/none"), server.url("/busy"))
        apply(pulling(urls, path), powershell, disk, tmp_path, WAITED=str(waited))
        assert [asked for asked, _headers in server.asked] == ["/none", *["/busy"] * 4]
    assert len(waited.read_text().split()) == 3
    assert tree(disk, windows=True) == WHOLE


SHORT = r"""
class Short {
    [long]$ContentLength = 10
    [IO.Stream] GetResponseStream() { return [IO.MemoryStream]::new([byte[]](1, 2, 3)) }
}
try { Save-Body ([Short]::new()) '@FILE@' } catch { "$(Get-Delay $_.Exception) $($_.Exception.Message)" }
"""


def test_net_framework_closes_a_connection_without_an_error(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """It is found by the length that the server has announced. .NET throws by itself."""
    functions = re.findall(r"^function (?:Save-Body|Get-Delay)\b.*?^}$", (AGENTS / "download.ps1").read_text(), re.M | re.S)
    script = "\n".join((*functions, SHORT.replace("@FILE@", f"{tmp_path.as_posix()}/file")))
    assert run(powershell, Place(disk, "", ""), script, tmp_path).output.strip() == "0 the connection broke off"


@pytest.mark.parametrize(("host", "waits"), [("127.0.0.1:9", 5), ("nowhere.invalid:80", 0)])
def test_a_server_that_can_t_be_reached(host: str, waits: int, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """It may start later, unless nobody knows its name."""
    path = fakes.archive(fakes.fake("3.13.1"), tmp_path, windows=True)
    waited = tmp_path / "waited"
    waited.touch()
    with pytest.raises(AgentError, match=f"could not download it \\({host}/a: "):
        apply(pulling((f"http://{host}/a",), path), powershell, disk, tmp_path, WAITED=str(waited))
    assert len(waited.read_text().split()) == waits


# What happens before the host rebuilds a build -> which failure it reports; none where it has the build then.
MISHAPS = {
    "nothing": "",
    "the mirror lacks the delta": "download",
    "an old file was changed": "unpack",
    "an old file is gone": "unpack",
    "the old interpreter can't": "unpack",
    "the delta is damaged": "checksum",
    "the delta is of another build": "unpack",
    "the disk has no room for the tar": "space",
    "others can change the old library": "untrusted",
}


# A mishap of the mirror needs a host that downloads.
REBUILDING = [
    pytest.param(by, mishap, system, id=f"{by}-{mishap}-{system}")
    for by in ("sent", "downloaded")
    for mishap, system in [("nothing", SYSTEMS[0]), *((mishap, SYSTEMS[1]) for mishap in MISHAPS)]
    if by == "downloaded" or "mirror" not in mishap
]


@pytest.mark.parametrize(("by", "mishap", "system"), REBUILDING, indirect=["system"])
def test_a_build_is_rebuilt_or_everything_stays(
    by: str, mishap: str, powershell: Shell, system: Path, disk: Path, tmp_path: Path
) -> None:
    """After any failure the host gets a whole archive, as the step is "rebuilding" or "downloading"."""
    old, new = fakes.fake("3.13.1"), fakes.fake("3.13.2+20250317")
    (tmp_path / "sent").mkdir()
    environment = {} if "can't" in mishap else {"FAKE_PYTHON": sys.executable}
    place = Place(disk, f"{disk.as_posix()}/opt/python", f"{disk.as_posix()}/bin", environment, windows=True)
    folder = disk / "opt/python" / old.name
    fakes.write(old, folder, padding=9000, windows=True)
    archives = [fakes.archive(build, tmp_path, padding=9000, windows=True) for build in (old, new)]
    sent = tmp_path / "sent/new.delta"
    with sent.open("wb") as out:
        tar = delta.make(*archives, out, tmp_path)
    assert sent.stat().st_size < archives[1].stat().st_size / 4
    sha256, need_kb = fakes.sha256(sent), 1
    match mishap:
        case "an old file was changed":
            data = (folder / "lib/libpython.so").read_bytes()
            (folder / "lib/libpython.so").write_bytes(data[:-1] + b"?")
        case "an old file is gone":
            (folder / "lib/libpython.so").unlink()
        case "the delta is damaged":
            sent.write_bytes(sent.read_bytes()[:-1] + b"?")
        case "the delta is of another build":
            sent.write_bytes(b"standalone-python delta 1\n0 0 0\n")
            sha256 = fakes.sha256(sent)
        case "the disk has no room for the tar":
            # PowerShell asks the drive, which is not the file system where another one is mounted in it.
            need_kb = shutil.disk_usage(disk.anchor).free // 1500
        case "others can change the old library":
            expose(folder / "Lib/json")
    before = tree(disk, windows=True)
    desired = declare({"builds": [], "root": place.root, "bin_dir": place.bin_dir}, windows=HERE)
    delivery = sh.Delta(str(sent), sha256, old.name, tar, need_kb, "https://example.org/a.tar.gz", "f" * 64)
    plan = Plan((Install(new, "upgrade", "the test says so"),), (), {new.name: Seen()})
    with serve({} if "mirror" in mishap else {"/new.delta": [Answer(body=sent.read_bytes())]}) as server:
        if by == "downloaded":
            delivery = replace(delivery, path="", urls=(server.url("/new.delta"),), token="t0k'n$x")
        answer = run(powershell, place, renderer.application(desired, plan, {new.name: delivery}), system).output
        shown = [(asked, headers.get("authorization")) for asked, headers in server.asked]
    assert shown == ([("/new.delta", "Bearer t0k'n$x")] if by == "downloaded" else [])
    assert sent.exists() == (by == "downloaded")
    if code := MISHAPS[mishap]:
        with pytest.raises(AgentError, match="the host is as it was") as error:
            parse(answer)
        assert f"\nfailure={code}\n" in answer
        assert in_doubt(error.value.step, {new.name: delivery}) == {new.name}
        assert tree(disk, windows=True) == before
    else:
        assert {build.name for build in parse(answer).installed} == {old.name, new.name}
        assert sent.parent.exists() == sent.exists()
        assert fakes.state_of(disk / "opt/python" / new.name, 9000, windows=True) == "build 3.13.2+20250317"
        after = tree(disk, windows=True)
        assert {path: after[path] for path in before} == before


IN_REACH = {
    "the interpreter": (f"opt/python/{cases.ONE}/python.exe", 0o777),
    "a library beside it": (f"opt/python/{cases.ONE}/python313.dll", 0o666),
    "its folder": (f"opt/python/{cases.ONE}", 0o777),
    "its folder, for new files only": (f"opt/python/{cases.ONE}", 0o1777),
    "the root": ("opt/python", 0o777),
    "a folder above the root": ("opt", 0o777),
}


@pytest.mark.parametrize("where", IN_REACH)
def test_an_interpreter_that_others_can_change_is_not_started(where: str, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    path, mode = IN_REACH[where]
    place = Place(disk, f"{disk.as_posix()}/opt/python", f"{disk.as_posix()}/bin", windows=True)
    folder = disk / "opt/python" / cases.ONE
    fakes.write(fakes.fake("3.13.1"), folder, windows=True)
    (folder / "python313.dll").touch()
    started = tmp_path / "started"
    hook = tmp_path / "hook"
    hook.write_text(f"open({str(started)!r}, 'w').close()" if HERE else f": >{started}\n")
    script = renderer.observation(
        declare({"builds": [], "root": place.root}, windows=HERE), facts="no", environment={"FAKE_HOOK": str(hook)}
    )
    assert parse(run(powershell, place, script, tmp_path).output).remarks == ()
    assert started.exists()
    started.unlink()
    expose(disk / path, mode)
    [build] = (observed := parse(run(powershell, place, script, tmp_path).output)).installed
    assert not started.exists()
    assert build.problem == ""
    assert re.search(r"\(S-1-1-0\) can change .*" + re.escape(Path(path).name), build.untrusted), build.untrusted
    assert observed.remarks == (f"{cases.ONE} was not started, as {build.untrusted}",)
    assert bool(observed.root_exposed) == (where in ("the root", "a folder above the root"))


def test_new_things_beside_the_root_are_no_danger(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """As in ProgramData and C:\\, where all users may make folders."""
    place = Place(disk, f"{disk.as_posix()}/opt/python", f"{disk.as_posix()}/bin", windows=True)
    fakes.write(fakes.fake("3.13.1"), disk / "opt/python" / cases.ONE, windows=True)
    expose(disk / "opt", 0o1777)
    script = renderer.observation(declare({"builds": [], "root": place.root}, windows=HERE), facts="no")
    observed = parse(run(powershell, place, script, tmp_path).output)
    assert [(build.untrusted, build.problem) for build in observed.installed] == [("", "")]
    assert observed.root_exposed == ""


@pytest.mark.parametrize("where", ["opt/python", "opt", "opt/python/.standalone-python.staging", "bin", ""])
def test_nothing_is_written_where_others_can_change_it(where: str, powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """The root, what is above it, what an earlier run left in it, the folder of launchers; and what these would be made in."""
    case = Case("", steps=cases.INSTALL)
    place = windows_place(case, powershell, disk, tmp_path)
    if where:
        (disk / where).mkdir(parents=True)
        (disk / where / "mine").touch()
    expose(disk / where)
    before = tree(disk, windows=True)
    desired = declared(case, place)
    said = run(powershell, place, renderer.observation(desired, facts="no"), tmp_path).output
    script = renderer.application(desired, *planned(case, place, tmp_path, said))
    answer = run(powershell, place, script, tmp_path).output
    with pytest.raises(
        AgentError, match=r"\(S-1-1-0\) can change .*: run as that user, let only administrators .*; the host is as it was"
    ):
        parse(answer)
    assert "\nfailure=untrusted\n" in answer
    assert tree(disk, windows=True) == before


def test_facts(powershell: Shell, system: Path, disk: Path) -> None:
    place = Place(
        disk,
        f"{disk.as_posix()}/opt",
        f"{disk.as_posix()}/bin",
        {"PROCESSOR_ARCHITECTURE": "x86", "PROCESSOR_ARCHITEW6432": "AMD64"},
    )
    desired = declare({"builds": [], "root": place.root}, windows=HERE)
    found = parse(run(powershell, place, renderer.observation(desired, facts="yes"), system).output).facts
    assert (found["os"], found["arch"]) == ("Windows_NT", platform.machine() if HERE else "AMD64")
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["os_version"])
    assert found["tools"] == ("tar" if (system / "System32/tar.exe").exists() else "")
    assert int(found["free_kb"]) > 0


def as_another_user(shell: Shell, script: str, tmp_path: Path) -> tuple[int, str, str]:
    """The module through which a task that becomes another user runs a script, with its arguments as Ansible's wrapper gives them."""
    given = {"command": renderer.RUN, "input": renderer.packed(script).decode(), "_ansible_check_mode": True}
    path = tmp_path / "module.ps1"
    path.write_text(module_script(MODULE.read_bytes(), [UTILITY.read_bytes()], given))
    command = [shell.command[0], "-NoProfile", "-File", str(path)]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=True)
    assert (done.stderr, done.stdout.count(b"\n")) == (b"", 1)
    answer = json.loads(done.stdout.decode("ascii"))
    assert answer.pop("changed") is False
    return answer["code"], *(base64.b64decode(answer[key]).decode() for key in ("output", "errors"))


def test_as_another_user(powershell: Shell, tmp_path: Path) -> None:
    """What is beside a script, letters of all kinds, and more than any pipe or command line takes at once."""
    given = "$given = 'cw=='\n"
    large = f"$long = '{secrets.token_hex(200_000)}'\n'ö' * 300000\n"
    code, output, errors = as_another_user(powershell, f"{given}$given; 'it''s \"蛇\"', '', 'c:\\'; {large}", tmp_path)
    assert (code, errors) == (0, "")
    assert output == f'cw==\nit\'s "蛇"\n\nc:\\\n{"ö" * 300000}'
    assert as_another_user(powershell, "'lost'; throw ('ü' * 300000)", tmp_path) == (1, "", "ü" * 300000)


def test_an_agent_as_another_user(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    desired = declare({"builds": [], "root": f"{disk.as_posix()}/opt", "bin_dir": f"{disk.as_posix()}/bin"}, windows=HERE)
    fakes.write(fakes.fake("3.13.1"), disk / "opt" / cases.ONE, windows=True)
    body, call = renderer.observation(desired, facts="no").rstrip("\n").rsplit("\n", 1)
    code, output, errors = as_another_user(powershell, f"{body}\n{engines.STAND_INS}{call}\n", tmp_path)
    assert (code, errors) == (0, "")
    assert [build.name for build in parse(output).installed] == [cases.ONE]


@linted
@pytest.mark.parametrize("script", [*sorted(AGENTS.glob("*.ps1")), MODULE, UTILITY], ids=lambda path: path.name)
def test_windows_powershell_5_has_what_they_use(script: Path, powershell: Shell) -> None:
    done = subprocess.run([powershell.command[0], "--lint", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@linted
def test_windows_powershell_5_has_what_commands_use(powershell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "commands.ps1"
    path.write_text("\n".join((renderer.RUN, renderer.new_folder("it's"), renderer.without_folder("C:\\it's"))))
    done = subprocess.run([powershell.command[0], "--lint", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_environment_reaches_what_is_started(powershell: Shell, disk: Path, tmp_path: Path) -> None:
    """With letters and lines that no command line would bring there whole."""
    value = 'it\'s \u2018a\u2019 $HOME `n\nsecond line; "\u20ac"'
    fakes.write(fakes.fake("3.13.1"), disk / "opt" / cases.ONE, windows=True)
    hook = tmp_path / "hook"
    said = tmp_path / "said"
    in_python = f"open({str(said)!r}, 'w', encoding='utf-8', newline='').write(os.environ['SAID'])"
    hook.write_text(in_python if HERE else f"printf '%s' \"$SAID\" >{said}\n")
    place = Place(disk, f"{disk.as_posix()}/opt", f"{disk.as_posix()}/bin", windows=True)
    environment = {"SAID": value, "FAKE_HOOK": str(hook)}
    script = renderer.observation(declare({"builds": [], "root": place.root}, windows=HERE), facts="no", environment=environment)
    assert parse(run(powershell, place, script, tmp_path).output).installed[0].problem == ""
    assert said.read_text("utf-8") == value
