# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/first-hour.md, as its readers type it: the files and commands in their order, and each output compared with the page.

Its first play and first deploy are README's. Only folders and addresses are the test's: builds come from a folder, /opt/python lies
in the reader's home, and names of hosts lead to test hosts.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.reading import ssh_config
from tests.tools.hosts import Host
from tests.tools.hosts.bases import program
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import COLLECTION, commands, files
from tests.tools.playbook import CACHE, REPOSITORY
from tests.tools.sources import NEWER, OLD
from tests.tools.web import serve

PAGE = "docs/first-hour.md"
HOME = "/home/ann"
# What a server sends half of before Ctrl-C, and its address on the page.
CUT = f"cpython-3.13.1+{OLD}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
MIRROR = "https://mirror.example.net"
# Bytes of it that have arrived by then, at least.
SOME = 500_000
# Nobody listens there.
NO_INTERNET = {"HTTPS_PROXY": "http://127.0.0.1:9"}
LINE = [command for command in commands("README.md") if command.startswith("standalone-python ")]
PLAY, DEPLOY = (
    re.findall(pattern, (REPOSITORY / "README.md").read_text(), re.DOTALL)[0]
    for pattern in (r"```yaml\n(- .*?)```", r"```python\n# deploy.py\n(.*?)```")
)
DEPLOYED = "pyinfra web1.example.net deploy.py -y"

pytestmark = [
    pytest.mark.xdist_group("hosts"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86-64: the builds are named so"),
]


@dataclass(frozen=True, slots=True)
class Typed:
    """One thing that the reader does.

    :ivar file: the name of a file to write; empty for a command
    :ivar text: the file's text, or the command
    :ivar shown: the lines that the command prints, as the page shows them
    """

    file: str
    text: str
    shown: list[str] = field(default_factory=list)


def section(heading: str) -> Iterator[Typed]:
    part = (REPOSITORY / PAGE).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for token in MarkdownIt().parse(part):
        if token.type == "code_block":
            yield from (Typed("", line) for line in token.content.splitlines())
        elif token.type == "fence" and token.info == "text":
            for one in re.split(r"^\$ ", token.content, flags=re.MULTILINE)[1:]:
                command, *shown = one.rstrip().splitlines()
                yield Typed("", command, shown)
        elif token.type == "fence":
            name, _newline, text = token.content.partition("\n")
            yield Typed(name.removeprefix("# "), text)


TRIED = {
    PAGE: [one.text for heading in ("Command line", "Ansible", "pyinfra") for one in section(heading)],
    "README.md": [PLAY, DEPLOY, DEPLOYED, *LINE],
    f"{COLLECTION}/README.md": [PLAY],
}


def stable(line: str) -> str:
    """A line without what differs from day to day: times, dates, counts of advisories, the newest release, the width of columns."""
    line = re.sub(r" in [0-9.]+ s\b", "", line)
    line = re.sub(r"\b20\d\d-\d\d-\d\d\b", "DAY", line)
    line = re.sub(r"\b3\.\d+\.\d+\+20(2[6-9]|[3-9]\d)\d{4}\b", "NEWEST", line)
    line = re.sub(r"\b\d+ (critical|high)\b", r"N \1", line)
    return " ".join(line.split())


def compared(shown: list[str], printed: str) -> bool:
    """Whether a page shows what was printed. ``…`` alone omits lines, and within a line it omits words."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(stable(line)).replace("…", ".*") + r"\n"
        for line in shown
        if line.strip()
    )
    text = "".join(f"{line}\n" for line in map(stable, printed.splitlines()) if line)
    return re.fullmatch(pattern, text) is not None


def test_a_page_that_is_wrong_is_noticed() -> None:
    assert compared(["Installed 3.13.0 in 1.0 s", "…", "last …"], "Installed 3.13.0 in 2.5 s\n\na\nb\nlast line\n")
    assert not compared(["Installed 3.13.0"], "Installed 3.13.4\n")
    assert not compared(["Installed 3.13.0"], "Installed 3.13.0\nand more\n")
    assert not compared(["Installed 3.13.0", "and more"], "Installed 3.13.0\n")


@dataclass(frozen=True, slots=True)
class Reader:
    """
    :ivar typed: command -> as it is run here
    :ivar printed: output -> as the page shows it
    """

    folder: Path
    environment: Mapping[str, str]
    typed: Callable[[str], str] = str
    printed: Callable[[str], str] = str

    def read(self, heading: str) -> None:
        for one in section(heading):
            if one.file:
                (self.folder / one.file).parent.mkdir(exist_ok=True)
                (self.folder / one.file).write_text(one.text)
            else:
                printed = self.printed(self.run(one)).replace(str(self.folder), HOME)
                assert compared(one.shown, printed), f"$ {one.text}\n{printed}"

    def run(self, one: Typed) -> str:
        """Run a command and return what it prints. Where the page shows ``^C``, end it when half an archive has arrived."""
        command = self.typed(one.text)
        interrupted = one.shown[:1] == ["^C"]
        started = subprocess.Popen(
            ["sh", "-c", f"exec {command}" if interrupted else command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**self.environment, **({"STANDALONE_PYTHON_CACHE": str(self.folder / "cut")} if interrupted else {})},
            start_new_session=True,
        )
        if interrupted:
            while not any(part.stat().st_size > SOME for part in (self.folder / "cut").rglob("*.part")):
                assert started.poll() is None
                time.sleep(0.05)
            started.send_signal(signal.SIGINT)
        printed = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", started.communicate()[0])
        return f"^C\n{printed}" if interrupted else printed


def environment(folder: Path, source: Path, **more: str) -> dict[str, str]:
    """The environment of a reader whose home has a mirror of one release, and another release beside it."""
    for name, release in (("mirror", OLD), ("newer", NEWER)):
        (folder / name).mkdir()
        (folder / name / release).symlink_to(source / release)
    return {
        "PATH": f"{folder}/programs:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        "STANDALONE_PYTHON_CACHE": str(CACHE),
        **more,
    }


@pytest.fixture
def two_hosts(fresh_host: FreshHost, tmp_path: Path) -> tuple[Host, Host]:
    """A Debian and a host with busybox only, which ssh, Ansible and pyinfra know as web1 and web2."""
    hosts = fresh_host("debian"), fresh_host("busybox")
    (tmp_path / ".ssh").mkdir()
    known = ssh_config({f"web{number}.example.net": host for number, host in enumerate(hosts, 1)})
    (tmp_path / ".ssh/config").write_text(f"{known}Host *\nLogLevel ERROR\n")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/ssh").write_text(f'#!/bin/sh\nexec {program("ssh")} -F {tmp_path}/.ssh/config "$@"\n')
    (tmp_path / "programs/ssh").chmod(0o755)
    return hosts


def test_command_line(source: Path, tmp_path: Path) -> None:
    root = f"{tmp_path}/root"
    (tmp_path / "served" / OLD).mkdir(parents=True)
    (tmp_path / "served" / OLD / CUT).write_bytes(b"\x1f\x8b" + bytes(8 * SOME))

    def typed(command: str) -> str:
        if "--bin-dir" not in command:
            command = re.sub(
                r"^standalone-python (status|verify|rollback|install|upgrade|uninstall|report)\b",
                rf"\g<0> --root {root}",
                command,
            )
        return command.replace("/opt/python", root).replace("/usr/local/bin", f"{root}/bin").replace(MIRROR, web.url("slow"))

    def printed(text: str) -> str:
        return text.replace(f" --root {root}", "").replace(f"{root}/bin", "/usr/local/bin").replace(root, "/opt/python")

    known = environment(tmp_path, source, **NO_INTERNET)
    with serve(tmp_path / "served") as web:
        Reader(tmp_path, known | {"PATH": f"{root}/bin:{known['PATH']}"}, typed, printed).read("Command line")


def test_ansible(source: Path, tmp_path: Path, two_hosts: tuple[Host, Host]) -> None:
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY), "ANSIBLE_HOME": f"{tmp_path}/ansible", "ANSIBLE_NOCOLOR": "1"}
    Reader(tmp_path, environment(tmp_path, source, **settings)).read("Ansible")


def test_pyinfra(source: Path, tmp_path: Path, two_hosts: tuple[Host, Host]) -> None:
    Reader(tmp_path, environment(tmp_path, source)).read("pyinfra")


def test_the_first_play_and_the_first_deploy_are_those_of_readme() -> None:
    """README's commands too: there without a source."""
    part = (REPOSITORY / PAGE).read_text()
    assert len(LINE) == 2
    assert all(re.search(rf"^\$ {re.escape(command)} --source mirror$", part, re.MULTILINE) for command in LINE)
    shown = files(PAGE)
    assert shown["first.yml"].replace("        source: mirror\n", "") == PLAY
    assert shown["deploy.py"].replace('    source="mirror",\n', "") == DEPLOY
