# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an archive gets onto a host, with whatever tar, checksum tool and downloader is there, and with none."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import ssl
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.agents import sh
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import AgentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.declaration import declare
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.observed import Observed, parse
from ansible_collections.standalone.python.plugins.plugin_utils.core.state.step import Install, Plan
from tests.agents import fakes
from tests.agents.driver import Archives, LocalHost, local_host, make
from tests.agents.place import POSIX, SHELLS, TOOLS, Place, Shell, link_tools, needed, tree
from tests.store.support import certificate

pytestmark = POSIX

Form = Literal["gz", "zst"]
TOKEN = 'to"k\\en$HOME-1'
DASH = SHELLS[0]
TARS = {"GNU tar": "tar", "bsdtar": "bsdtar", "busybox tar": "busybox"}
GZIPS = {"gzip": "gzip", "busybox gzip": "busybox"}
DOWNLOADERS = {"curl": ("curl", "curl"), "GNU wget": ("wget", "wget"), "busybox wget": ("wget", "busybox")}


def apply(
    delivery: sh.Delivery, disk: Path, tools: Path, shell: Shell = DASH, *, what: str = "3.13.1", token: str = "", **env: str
) -> Observed:
    """What the host says after one build was installed with only these tools."""
    needed(shell.command[0])
    build = fakes.fake(what)
    place = Place(disk, f"{disk}/opt/python", f"{disk}/bin", {"PATH": str(tools), **env})
    options = {"builds": [], "root": place.root, "bin_dir": place.bin_dir, "delivery": "pull"}
    if isinstance(delivery, sh.Pulled):
        delivery = replace(delivery, token=token)
    script = sh.application(declare(options), Plan((Install(build, "install", ""),), ()), {build.name: delivery})
    return parse(place.run(shell, script).output)


def pushed(folder: Path, form: str = "gz", *, halves: bool = False) -> sh.Pushed:
    path = fakes.archive(fakes.fake("3.13.1"), folder, form)
    split = fakes.halve(path) if halves else 0
    return sh.Pushed(str(path), fakes.sha256(path), form, 1, "", "", split=split)


def whole(disk: Path, what: str = "3.13.1") -> None:
    build = fakes.fake(what)
    assert tree(disk) == {
        "opt": "folder",
        "opt/python": "folder",
        f"opt/python/{build.name}": f"build {build.version}",
    }


# Marked as fetched from the internet

XATTR = """#!/bin/sh
# Of macOS' program as much as is needed: whether a file is marked, and that marks are removed below a folder.
echo "$*" >>"$0.calls"
case $1 in
  -p) [ -e "${3%/*}/marked" ] ;;
  -dr) rm "$3/bin/marked" ;;
esac
"""
# Marks what it unpacks, as macOS' does.
TAR = """#!/bin/sh
{tar} "$@" && : >python/bin/marked
"""
# An interpreter that is marked isn't started, without a person who agrees.
GATE = """
before_finish() { [ ! -e "$here/bin/marked" ] || { echo 'killed by Gatekeeper' >&2; exit 137; }; }
after_finish() { :; }
"""


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell.name)
@pytest.mark.parametrize(
    ("system", "marked", "calls"),
    [("Darwin", True, ["-p", "-dr"]), ("Darwin", False, ["-p"]), ("Linux", False, [])],
)
def test_a_mark_of_quarantine_is_removed_before_the_interpreter_is_started(
    tmp_path: Path, shell: Shell, system: str, marked: bool, calls: list[str]
) -> None:
    tools = link_tools(tmp_path / "tools", [*(name for name in TOOLS if name != "uname"), "gzip", "sha256sum"])
    programs = {
        "uname": f"#!/bin/sh\ncase $1 in -s) echo {system} ;; *) echo node ;; esac\n",
        "xattr": XATTR,
        "tar": TAR.format(tar=shutil.which("tar")) if marked else f'#!/bin/sh\nexec {shutil.which("tar")} "$@"\n',
    }
    for name, text in programs.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "hook").write_text(GATE)
    disk = tmp_path / "disk"
    disk.mkdir()
    apply(pushed(tmp_path), disk, tools, shell, FAKE_HOOK=str(tmp_path / "hook"))
    log = tools / "xattr.calls"
    assert [line.split()[0] for line in log.read_text().splitlines()] == calls if calls else not log.exists()
    whole(disk)
    assert not list(disk.rglob("marked"))


# Sent by the controller


@pytest.mark.parametrize("form", ["gz", "zst"])
@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("tar", TARS)
def test_unpack(tar: str, halves: bool, form: Form, shell: Shell, disk: Path, tmp_path: Path) -> None:
    needed(TARS[tar], "zstd")
    needed_tools = ["tar", "sha256sum", "zstd" if form == "zst" else "gzip"]
    tools = link_tools(tmp_path / "tools", [*TOOLS, *needed_tools], {"tar": TARS[tar]})
    apply(pushed(tmp_path, form, halves=halves), disk, tools, shell)
    whole(disk)


@pytest.mark.parametrize("halves", [False, True])
def test_unpack_with_busybox_gzip(halves: bool, shell: Shell, disk: Path, tmp_path: Path) -> None:
    needed("busybox")
    names = [*TOOLS, "tar", "sha256sum", "gzip"]
    replaced = dict.fromkeys(("gzip", "sha256sum", "head", "tail"), "busybox")
    apply(pushed(tmp_path, "gz", halves=halves), disk, link_tools(tmp_path / "tools", names, replaced), shell)
    whole(disk)


HEADS = {"none": "", "not -c": "#!/bin/sh\n[ \"$1\" != -c ] || { echo 'head: invalid option -- c' >&2; exit 1; }\n"}


@pytest.mark.parametrize("head", HEADS)
def test_a_host_that_can_t_cut_an_archive_unpacks_its_halves_one_after_the_other(
    head: str, shell: Shell, disk: Path, tmp_path: Path
) -> None:
    names = [*(name for name in TOOLS if name != "head"), "tar", "gzip", "sha256sum"]
    tools = link_tools(tmp_path / "tools", names)
    if HEADS[head]:
        (tools / "head").write_text(HEADS[head])
        (tools / "head").chmod(0o755)
    apply(pushed(tmp_path, halves=True), disk, tools, shell)
    whole(disk)


@pytest.mark.parametrize("form", ["gz", "zst"])
@pytest.mark.parametrize("tar", TARS)
@pytest.mark.parametrize("half", [0, 1])
def test_a_damaged_half(half: int, tar: str, form: Form, shell: Shell, disk: Path, tmp_path: Path) -> None:
    """Damaged before it was sent, so that its checksum agrees. The other half does not hide that."""
    needed(TARS[tar], "zstd")
    sent = pushed(tmp_path, form, halves=True)
    path = Path(sent.path)
    parts = [path.read_bytes()[: sent.split], path.read_bytes()[sent.split :]]
    parts[half] = parts[half][: len(parts[half]) // 2] + bytes(20) + parts[half][len(parts[half]) // 2 + 20 :]
    path.write_bytes(b"".join(parts))
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", "zstd", "sha256sum"], {"tar": TARS[tar]})
    with pytest.raises(AgentError, match=r"unpacking .* failed"):
        apply(replace(sent, sha256=fakes.sha256(path)), disk, tools, shell)
    assert tree(disk) == {}


@pytest.mark.parametrize("tool", ["sha256sum", "shasum", "openssl"])
def test_checksum(tool: str, disk: Path, tmp_path: Path) -> None:
    needed(tool)
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", tool])
    apply(pushed(tmp_path), disk, tools)
    whole(disk)
    shutil.rmtree(disk / "opt")
    right = pushed(tmp_path)
    wrong = sh.Pushed(right.path, "0" * 64, right.compression, 1, "", "")
    with pytest.raises(AgentError, match=f"sha256 {right.sha256}, where {'0' * 64} was expected"):
        apply(wrong, disk, tools)
    assert tree(disk) == {}


def test_an_openssl_that_can_t(disk: Path, tmp_path: Path) -> None:
    """It comes first as the fastest; where it doesn't work, another one computes the sum."""
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", "sha256sum"])
    (tools / "openssl").write_text("#!/bin/sh\necho unknown option: -r >&2\nexit 1\n")
    (tools / "openssl").chmod(0o755)
    apply(pushed(tmp_path), disk, tools)
    whole(disk)


@pytest.mark.parametrize("ends", [0, 1])
def test_written_meanwhile(ends: int, shell: Shell, disk: Path, tmp_path: Path) -> None:
    """The archive is gone before the disk is told to write; and a sync that can't, or takes its time, changes nothing."""
    sent = pushed(tmp_path)
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", "sha256sum"])
    (tools / "sync").write_text(f'#!/bin/sh\n[ -e "{sent.path}" ] || echo "$1" >"{tmp_path}/synced"\nsleep 0.2\nexit {ends}\n')
    (tools / "sync").chmod(0o755)
    apply(sent, disk, tools, shell)
    whole(disk)
    assert (tmp_path / "synced").read_text() == "-f\n"


@pytest.mark.parametrize(
    ("missing", "form", "says"),
    [
        ("tar", "gz", "the host has no tar to unpack the archive"),
        ("zstd", "zst", "compressed with zstd"),
        ("sha256sum", "gz", "no sha256sum, shasum or openssl"),
        ("gzip", "gz", r"unpacking .* failed: .*gzip"),
    ],
)
def test_tool_missing(missing: str, form: str, says: str, shell: Shell, disk: Path, tmp_path: Path) -> None:
    names = [name for name in (*TOOLS, "tar", "gzip", "zstd", "sha256sum") if name != missing]
    with pytest.raises(AgentError, match=says):
        apply(pushed(tmp_path, form), disk, link_tools(tmp_path / "tools", names), shell)
    assert tree(disk) == {}


@pytest.mark.parametrize("form", ["gz", "zst"])
@pytest.mark.parametrize("tar", TARS)
@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_truncated(share: int, tar: str, form: Form, disk: Path, tmp_path: Path) -> None:
    """Cut off before it was sent, so that its checksum agrees."""
    needed(TARS[tar])
    sent = pushed(tmp_path, form)
    path = Path(sent.path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * share // 100])
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", "zstd", "sha256sum"], {"tar": TARS[tar]})
    with pytest.raises(AgentError, match=r"unpacking .* failed|not a whole build"):
        apply(replace(sent, sha256=fakes.sha256(path)), disk, tools)
    assert tree(disk) == {}


def test_an_archive_that_is_not_there(shell: Shell, disk: Path, tmp_path: Path) -> None:
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", "sha256sum"])
    with pytest.raises(AgentError, match="unreadable"):
        apply(sh.Pushed(f"{tmp_path}/none", "0" * 64, "gz", 1, "", ""), disk, tools, shell)
    assert tree(disk) == {}


# Rebuilt from an installed build

# What happens before the host gets the delta -> whether the host then rebuilds the build.
MISHAPS: dict[str, bool] = {
    "nothing": True,
    "an old file was changed": False,
    "an old file is gone": False,
    "an old file is a link": False,
    "the old interpreter can't": False,
    "the delta is damaged": False,
    "the delta is of another build": False,
    "no checksum tool but openssl": True,
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_delta_or_else_the_whole_archive_gives_the_same_build(mishap: str, shell: Shell, disk: Path, tmp_path: Path) -> None:
    """In one run, without an error; the old build stays as it is."""
    archives = Archives.of_fakes(["3.13.1", "3.13.2+20250317", "3.12.8"], tmp_path, padding=9000)
    delta = archives.make_delta("3.13.1", "3.13.2+20250317")
    names = [*TOOLS, "tar", "gzip", "openssl" if mishap.startswith("no checksum") else "sha256sum"]
    tools = link_tools(tmp_path / "chosen", names)
    on = local_host(shell, disk, tmp_path, PATH=str(tools), FAKE_PYTHON="" if "can't" in mishap else sys.executable)
    make(on, archives, {"builds": ["3.13.1"]})
    file = disk / "opt/python" / fakes.fake("3.13.1").name / "lib/libpython.so"
    match mishap:
        case "an old file was changed":
            file.write_bytes(file.read_bytes().replace(b"a", b"b"))
        case "an old file is gone":
            file.unlink()
        case "an old file is a link":
            file.rename(file.with_name("other"))
            file.symlink_to("other")
    before = fakes.read(file.parents[1])

    class Host(LocalHost):
        def upload(self, path: Path, name: str) -> str:
            there = super().upload(path, name)
            if name.endswith(".delta"):
                sent.append("delta")
                if mishap == "the delta is damaged":
                    Path(there).write_bytes(path.read_bytes()[:-1] + b"?")
                elif mishap == "the delta is of another build":
                    Path(there).write_bytes(b"standalone-python delta 1\n0 0 0\n")
            else:
                sent.append("whole")
            return there

    sent: list[str] = []
    there = Host(on.place, on.shell, on.sent)
    done = make(there, archives, {"builds": ["3.13"], "state": "latest", "keep": 1}, fleet=1)
    assert [step.action for step in done.plan.installs] == ["upgrade"]
    assert sent == (["delta"] if MISHAPS[mishap] else ["delta", "whole"])
    assert delta.exists()
    assert fakes.state_of(disk / "opt/python" / fakes.fake("3.13.2+20250317").name, 9000) == "build 3.13.2+20250317"
    assert fakes.read(file.parents[1]) == before
    assert not list((disk / "opt/python").glob(".standalone-python.[sl]*"))


# Fetched by the host


@dataclass
class Server:
    """:ivar asked: path and Authorization of each request; ``moved``: path -> where it redirects to"""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    address: str = ""


@contextmanager
def serve(certificate: Path | None = None) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers.get("Authorization", "")))
            content = state.files.get(self.path)
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{state.address.rpartition(':')[2]}/there")
            elif self.path in state.moved:
                self.send_response(307)
                self.send_header("Location", state.moved[self.path])
            else:
                self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            running.socket = context.wrap_socket(running.socket, server_side=True)
        state.address = f"127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield state
        running.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as state:
        yield state


# What is wrong with the delta of a mirror, or with the host -> whether the host then rebuilds the build.
PULLED: dict[str, bool] = {
    "nothing": True,
    "the mirror lacks it": False,
    "it is damaged": False,
    "it makes a tar that unpacks elsewhere": False,
    "an old file was changed": False,
    "the old interpreter can't": False,
}


@pytest.mark.parametrize("mishap", PULLED)
def test_a_host_downloads_a_delta_or_else_the_whole_archive(
    mishap: str, shell: Shell, server: Server, disk: Path, tmp_path: Path
) -> None:
    """In one run, without an error; the receipt names the archive either way."""
    old, new = "3.13.1", "3.13.2+20250317"
    archives = Archives.of_fakes([old, new], tmp_path, padding=9000)
    tools = link_tools(tmp_path / "chosen", [*TOOLS, "tar", "gzip", "openssl", "sha256sum", "curl"])
    careless_tar(tools / "tar")
    on = local_host(shell, disk, tmp_path, PATH=str(tools), FAKE_PYTHON="" if "can't" in mishap else sys.executable)
    make(on, archives, {"builds": [old]})
    delta = archives.publish_delta(old, new, f"http://{server.address}")
    name, path = fakes.fake(new).filename, archives.known[fakes.fake(new)]
    assert archives.delta is not None
    at = f"/{archives.delta[1].name}"
    server.files = {at: delta.read_bytes(), f"/{name}": path.read_bytes()}
    match mishap:
        case "the mirror lacks it":
            del server.files[at]
        case "it is damaged":
            server.files[at] = server.files[at][:-1] + b"?"
        case "it makes a tar that unpacks elsewhere":
            server.files[at] = hostile_delta()
            archives.list_delta(server.files[at])
        case "an old file was changed":
            file = disk / "opt/python" / fakes.fake(old).name / "lib/libpython.so"
            file.write_bytes(file.read_bytes().replace(b"a", b"b"))
    done = make(on, archives, {"builds": ["3.13"], "state": "latest", "keep": 1, "delivery": "pull"})
    assert [step.action for step in done.plan.installs] == ["upgrade"]
    assert [asked.partition("-install_only")[2] for asked, _token in server.asked] == [
        f"_stripped.tar.gz.from-{archives.delta[0].sha256[:12]}.delta",
        *([] if PULLED[mishap] else ["_stripped.tar.gz"]),
    ]
    assert fakes.state_of(disk / "opt/python" / fakes.fake(new).name, 9000) == "build 3.13.2+20250317"
    installed = next(one for one in done.after.installed if one.name == fakes.fake(new).name)
    assert installed.receipt is not None
    assert (installed.receipt.build.sha256, installed.receipt.url) == (fakes.sha256(path), archives.shown_url(fakes.fake(new)))
    assert not list((disk / "opt/python").glob(".standalone-python.[sl]*"))
    assert not list(disk.rglob("planted"))


def hostile_delta() -> bytes:
    """A delta that has the checksum of a mirror's list, and makes a tar that leaves the staging folder."""
    content = hostile_tar()
    parts = [lzma.compress(part) for part in (b"new %d\n" % len(content), content, b"")]
    return b"standalone-python delta 1\n%d %d %d\n" % tuple(map(len, parts)) + b"".join(parts)


def hostile_tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as made:
        made.addfile(folder("python"))
        info = tarfile.TarInfo("python/../../../planted")
        info.size = 4
        made.addfile(info, io.BytesIO(b"evil"))
    return content.getvalue()


def folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def careless_tar(path: Path) -> None:
    """Let a host have a tar that unpacks wherever an archive says, as old ones do."""
    real = path.readlink()
    path.unlink()
    path.write_text(f'#!/bin/sh\nexec {real} -P "$@"\n')
    path.chmod(0o755)


def with_downloader(name: str, folder: Path) -> Path:
    """A PATH with one downloader only. It and every other program writes down what it was called with."""
    tool, program = DOWNLOADERS[name]
    needed(program)
    real = folder / "real"
    link_tools(real, [*TOOLS, "tar", "gzip", "zstd", "sha256sum", tool], {tool: program})
    tools = folder / "tools"
    tools.mkdir()
    for path in real.iterdir():
        shim = tools / path.name
        # Nobody waits here for a server that never recovers.
        runs = "" if path.name == "sleep" else f'exec {path} "$@"\n'
        shim.write_text(f'#!/bin/sh\nprintf \'%s\\n\' "$0" "$@" >>{folder}/called\n{runs}')
        shim.chmod(0o755)
    return tools


def pulled(server: Server, folder: Path, *paths: str, scheme: str = "http://", what: str = "3.13.1") -> sh.Pulled:
    """From these paths in turn; the archive is at ``/there``."""
    build = fakes.fake(what)
    full = build.flavor == "full"
    member = "python/install" if full else "python"
    path = fakes.archive(build, folder, "zst" if full else "gz", top=member)
    server.files["/there"] = path.read_bytes()
    urls = tuple(f"{scheme}{server.address}{path}" for path in paths)
    return sh.Pulled(urls, "zst" if full else "gz", member, "https://shown", fakes.sha256(path))


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_pull(downloader: str, shell: Shell, server: Server, disk: Path, tmp_path: Path) -> None:
    apply(pulled(server, tmp_path, "/there"), disk, with_downloader(downloader, tmp_path), shell)
    whole(disk)
    assert server.asked == [("/there", "")]


def test_a_hostile_archive_is_not_unpacked(shell: Shell, server: Server, disk: Path, tmp_path: Path) -> None:
    """Not by any program of the host: its checksum comes first."""
    delivery = pulled(server, tmp_path, "/there")
    server.files["/there"] = gzip.compress(hostile_tar())
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", "sha256sum", "curl"])
    careless_tar(tools / "tar")
    with pytest.raises(AgentError, match=f"where {delivery.archive_sha256} was expected"):
        apply(delivery, disk, tools, shell)
    assert tree(disk) == {}


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_pull_a_full_archive(downloader: str, disk: Path, server: Server, tmp_path: Path) -> None:
    what = "3.13.1 full"
    apply(pulled(server, tmp_path, "/there", what=what), disk, with_downloader(downloader, tmp_path), what=what)
    whole(disk, what)


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_pull_from_the_first_that_answers(downloader: str, disk: Path, server: Server, tmp_path: Path) -> None:
    apply(pulled(server, tmp_path, "/one", "/two", "/there", "/three"), disk, with_downloader(downloader, tmp_path))
    whole(disk)
    assert [path for path, _ in server.asked] == ["/one", "/two", "/there"]


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_pull_from_where_the_source_sends_the_host(downloader: str, disk: Path, server: Server, tmp_path: Path) -> None:
    apply(pulled(server, tmp_path, "/moved"), disk, with_downloader(downloader, tmp_path))
    whole(disk)


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_pull_from_nowhere(downloader: str, disk: Path, server: Server, tmp_path: Path) -> None:
    delivery = pulled(server, tmp_path, "/one", "/two")
    with pytest.raises(AgentError, match=r"could not download it \(.*/one: .*404.*/two: .*404") as error:
        apply(delivery, disk, with_downloader(downloader, tmp_path))
    assert "as it was" in str(error.value)
    assert tree(disk) == {}


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_pull_something_else(downloader: str, disk: Path, server: Server, tmp_path: Path) -> None:
    delivery = pulled(server, tmp_path, "/there")
    server.files["/there"] = b"<!DOCTYPE html><title>Log in</title>"
    with pytest.raises(AgentError, match=f"where {delivery.archive_sha256} was expected"):
        apply(delivery, disk, with_downloader(downloader, tmp_path))
    assert tree(disk) == {}


@pytest.mark.parametrize("downloader", ["curl", "GNU wget"])
def test_a_token_is_sent_and_never_seen(downloader: str, shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    tools = with_downloader(downloader, tmp_path)
    apply(pulled(server, tmp_path, "/there"), disk, tools, shell, token=TOKEN)
    assert server.asked == [("/there", f"Bearer {TOKEN}")]
    called = (tmp_path / "called").read_text()
    assert DOWNLOADERS[downloader][0] in called
    assert TOKEN not in called
    assert TOKEN.replace("\\", "\\\\").replace('"', '\\"') not in called
    kept = b"".join(content for content in fakes.read(disk).values() if isinstance(content, bytes))
    assert TOKEN.encode() not in kept


@pytest.mark.parametrize("downloader", ["curl", "GNU wget"])
def test_a_token_is_for_the_source_only(downloader: str, shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    """It sends the host on to another; curl keeps the token from that one, and wget could not."""
    delivery, tools = pulled(server, tmp_path, "/moved"), with_downloader(downloader, tmp_path)
    asked = [("/moved", f"Bearer {TOKEN}")]
    if downloader == "curl":
        apply(delivery, disk, tools, shell, token=TOKEN)
        asked.append(("/there", ""))
    else:
        with pytest.raises(AgentError, match="its wget would take the token along: install curl"):
            apply(delivery, disk, tools, shell, token=TOKEN)
    assert server.asked == asked


@pytest.mark.parametrize("downloader", ["curl", "GNU wget"])
def test_credentials_of_a_url_are_never_seen(downloader: str, shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    delivery = pulled(server, tmp_path, "/not", "/there", scheme="http://me:pass%40word@")
    apply(delivery, disk, with_downloader(downloader, tmp_path), shell)
    assert server.asked[-1][0] == "/there"
    assert "pass%40" not in (tmp_path / "called").read_text()
    server.files.clear()
    another = disk / "another"
    another.mkdir()
    with pytest.raises(AgentError, match="404") as error:
        apply(delivery, another, tmp_path / "tools", shell)
    assert "pass%40" not in str(error.value)


@pytest.mark.parametrize("downloader", ["curl", "GNU wget"])
@pytest.mark.parametrize("answer", ["absent", "nobody", "no address", "redirect"])
def test_a_query_is_never_seen(downloader: str, answer: str, shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    query = "?key=s3cr3t&to=a@b/c#s3cr3t"
    delivery = pulled(server, tmp_path, f"/not{query}", f"/gone{query}", scheme="http://me:s3cr3t@")
    server.moved = (
        {f"/gone{query.partition('#')[0]}": f"http://you:s3cr3t@{server.address}/away{query}"} if answer == "redirect" else {}
    )
    if answer in ("nobody", "no address"):
        server.address = "127.0.0.1:1" if answer == "nobody" else "[half"
        urls = tuple(f"http://me:s3cr3t@{server.address}{path}" for path in (f"/not{query}", f"/gone{query}"))
        delivery = replace(delivery, urls=urls)
    with pytest.raises(AgentError, match="could not download it") as error:
        apply(delivery, disk, with_downloader(downloader, tmp_path), shell)
    assert f"http://{server.address}/not: " in str(error.value)
    assert "s3cr3t" not in str(error.value)
    assert "s3cr3t" not in (tmp_path / "called").read_text()


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_a_url_is_one_address(downloader: str, shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    """curl would take brackets and braces for several."""
    delivery = pulled(server, tmp_path, "/[1-3]/{a,b}")
    server.files["/[1-3]/{a,b}"] = server.files["/%5B1-3%5D/%7Ba,b%7D"] = server.files["/[1-3]/%7Ba,b%7D"] = server.files.pop(
        "/there"
    )
    apply(delivery, disk, with_downloader(downloader, tmp_path), shell)
    whole(disk)
    assert len(server.asked) == 1


MOVES: Mapping[str, Mapping[str, str]] = {
    "a whole address": {"/a/b": "http://ADDRESS/there"},
    "a path": {"/a/b": "/there"},
    "a name beside it": {"/a/b": "c?x=1/2", "/a/c?x=1/2": "../there"},
    "another server's name": {"/a/b": "//ADDRESS/there"},
}


@pytest.mark.parametrize("downloader", DOWNLOADERS)
@pytest.mark.parametrize("case", MOVES)
def test_a_redirect_leads_to(case: str, downloader: str, disk: Path, server: Server, tmp_path: Path) -> None:
    if downloader == "busybox wget" and case in ("a name beside it", "another server's name"):
        return  # it asks for such an address as it is written
    delivery = pulled(server, tmp_path, "/a/b")
    server.moved = {path: to.replace("ADDRESS", server.address) for path, to in MOVES[case].items()}
    server.files["/a/../there"] = server.files["/there"]
    apply(delivery, disk, with_downloader(downloader, tmp_path))
    whole(disk)


@pytest.mark.parametrize("downloader", ["curl", "GNU wget"])
def test_a_redirect_in_a_circle_ends(downloader: str, shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    delivery = pulled(server, tmp_path, "/round")
    server.moved = {"/round": "/round"}
    with pytest.raises(AgentError, match="could not download it .*redirect"):
        apply(delivery, disk, with_downloader(downloader, tmp_path), shell)
    assert len(server.asked) <= 51


# GNU wget has the system's authorities only, which a test can't change.
SENT_ON = """#!/bin/sh
[ "$1" != --version ] || { echo GNU Wget 1.21; exit; }
cat >>"$0.asked"
printf '  HTTP/1.1 302 Found\\n  Location: %s\\n0 redirections exceeded.\\n' 'http://127.0.0.1:1/there?key=s3cr3t' >&2
exit 8
"""


@pytest.mark.parametrize("downloader", ["curl", "GNU wget"])
def test_https_never_leads_to_http(downloader: str, shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    tools = with_downloader(downloader, tmp_path)
    authority = certificate(tmp_path)
    with serve(authority) as secure:
        secure.moved = {"/from": f"http://{server.address}/there?key=s3cr3t"}
        delivery = pulled(server, tmp_path, "/there")
        delivery = replace(delivery, urls=(f"https://localhost:{secure.address.rpartition(':')[2]}/from",))
        if downloader == "GNU wget":
            (tools / "wget").write_text(SENT_ON)
        with pytest.raises(AgentError, match="could not download it .*(redirect|not supported|disabled)") as error:
            apply(delivery, disk, tools, shell, CURL_CA_BUNDLE=str(authority))
        assert "s3cr3t" not in str(error.value)
    assert server.asked == []
    assert downloader == "curl" or (tools / "wget.asked").read_text().splitlines() == list(delivery.urls)


@pytest.mark.parametrize(
    ("where", "token"),
    [(("http://", "/there"), TOKEN), (("http://me:pass@", "/there"), ""), (("http://", "/there?key=pass"), "")],
)
def test_a_downloader_that_keeps_no_secret(
    where: tuple[str, str], token: str, disk: Path, server: Server, tmp_path: Path
) -> None:
    tools = with_downloader("busybox wget", tmp_path)
    delivery = pulled(server, tmp_path, where[1], scheme=where[0])
    with pytest.raises(AgentError, match="only a wget that takes"):
        apply(delivery, disk, tools, token=token)
    called = (tmp_path / "called").read_text()
    assert "pass" not in called
    assert TOKEN not in called
    assert tree(disk) == {}


def test_no_downloader(shell: Shell, disk: Path, server: Server, tmp_path: Path) -> None:
    tools = link_tools(tmp_path / "tools", [*TOOLS, "tar", "gzip", "sha256sum"])
    with pytest.raises(AgentError, match="needs curl or wget"):
        apply(pulled(server, tmp_path, "/there"), disk, tools, shell)
    assert tree(disk) == {}
