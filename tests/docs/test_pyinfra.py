# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/pyinfra.md tells users of pyinfra, done as they would: the files written, the commands run, in their order.

Only the source of builds is exchanged, for upstream is not reached from where tests run, and the place of the image's root. The
host's name leads to a test host by an SSH configuration.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.reading import ssh_config
from tests.tools.hosts import Host
from tests.tools.hosts.bases import program
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import commands, outputs
from tests.tools.playbook import CACHE, REPOSITORY

NAME = "web1.example.net"
IMAGE = "/srv/image"
PAGE = "docs/pyinfra.md"

pytestmark = pytest.mark.xdist_group("hosts")


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below a heading.

    :ivar files: text by name, as the first line of a block of Python names it
    :ivar commands: indented lines
    """

    heading: str
    files: Mapping[str, str]
    commands: tuple[str, ...]


def sections(page: str) -> Iterator[Section]:
    for part in re.split(r"^## ", (REPOSITORY / page).read_text(), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", part, re.DOTALL)
        prose = re.sub(r"```.*?```", "", part, flags=re.DOTALL)
        yield Section(part.partition("\n")[0], dict(blocks), tuple(re.findall(r"^    (\S.*)$", prose, re.MULTILINE)))


SECTIONS = {section.heading: section for section in sections(PAGE)}

TRIED = {PAGE: [text for section in SECTIONS.values() for text in (*section.files.values(), *section.commands)]}


def installable(command: str) -> bool:
    """Whether a command is for pip, which tests/docs/test_readme.py looks at."""
    return command.startswith("pip ")


def adapted(text: str, source: Path, image: Path | None = None) -> str:
    """A file or a command with builds from ``source``."""
    text = re.sub(r"(standalone_python\.interpreters\()", rf'\1source="{source}", ', text)
    text = text.replace('{"builds"', f'{{"source": "{source}", "builds"')
    return text.replace(IMAGE, str(image)) if image else text


@pytest.fixture
def reader(tmp_path: Path) -> Callable[..., str]:
    """Does what a section says, on a host; returns all that was printed."""

    def do(section: Section, source: Path, host: Host | None = None, image: Path | None = None) -> str:
        if host:
            (tmp_path / ".ssh").mkdir()
            (tmp_path / ".ssh/config").write_text(ssh_config({NAME: host}))
        for name, text in section.files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(adapted(text, source, image))
        commands = [adapted(command, source, image) for command in section.commands if not installable(command)]
        # Mounts of its own: what a section mounts is gone with its shell, whatever happens.
        alone = [program("unshare"), "--mount"] if image else []
        done = subprocess.run(
            [*alone, "sh", "-exc", "\n".join(commands)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "PYTHONPATH": str(REPOSITORY),
                "STANDALONE_PYTHON_CACHE": str(CACHE),
            },
            check=False,
        )
        printed = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout + done.stderr)
        assert done.returncode == 0, printed
        return printed

    return do


def results(printed: str) -> list[tuple[str, ...]]:
    """Of each run, in how many operations hosts were: in all, changed, failed, as they were."""
    return [tuple(line.split()) for line in re.findall(r"^ *Grand total +(.*?) *$", printed, re.MULTILINE)]


def runs(host: Host, python: str, prefix: str) -> None:
    """An interpreter of the host runs, and from where it shall."""
    done = host.exec([python, "-c", "import ssl, sys; print(sys.prefix)"])
    assert (done.returncode, done.stdout.strip()) == (0, prefix), done.stderr


STABLE = "/opt/python/cpython-3.13"


def first(host: Host, printed: str) -> None:
    shown = outputs(PAGE)
    assert len(shown) > 5
    assert set(shown) <= {line.strip() for line in printed.splitlines()}
    assert results(printed) == [("1", "1", "-", "-")]
    runs(host, f"{STABLE}/bin/python3", STABLE)
    assert (host.exec(["readlink", "/usr/local/bin/python3.13"])).stdout.strip() == f"{STABLE}/bin/python3.13"


def options(host: Host, printed: str) -> None:
    assert "+ lock_timeout: seconds to wait" in printed
    assert results(printed) == [("1", "1", "-", "-")]
    runs(host, "python3", STABLE)
    assert host.exec(["python3.12", "-V"]).returncode == 0
    assert printed.count("noop: ") == 0


def fact(host: Host, printed: str) -> None:
    assert '"triple": "x86_64-unknown-linux-gnu"' in printed
    runs(host, "/srv/app-3.13.4/bin/python", "/srv/app-3.13.4")


def data(host: Host, printed: str) -> None:
    assert results(printed) == [("1", "1", "-", "-")]
    runs(host, "python", STABLE)


def behaviour(host: Host, printed: str) -> None:
    assert results(printed) == [("2", "2", "-", "-"), ("2", "-", "-", "2")]


def users(host: Host, printed: str) -> None:
    assert host.exec(["find", "/home/deploy/python", "!", "-user", "deploy"]).stdout == ""
    assert host.exec(["find", "/tmp", "-mindepth", "1"]).stdout == ""
    runs(host, "/home/deploy/python/bin/python3.13", "/home/deploy/python/cpython-3.13")


CHECKS: Mapping[str, Callable[[Host, str], None]] = {
    "A first deploy": first,
    "Options": options,
    "What a host has": fact,
    "Hosts by their data": data,
    "How it behaves": behaviour,
    "Users, shells, secrets": users,
}


def test_each_section_is_tried() -> None:
    assert [heading for heading in SECTIONS if heading != "Golden images"] == list(CHECKS)


def test_each_block_is_a_file() -> None:
    assert (REPOSITORY / PAGE).read_text().count("```python") == sum(len(section.files) for section in SECTIONS.values())


def test_pip_is_told_the_same_as_in_readme() -> None:
    told = [command for section in SECTIONS.values() for command in section.commands if installable(command)]
    readme = commands("README.md")
    assert told
    assert set(told) <= set(readme)


@pytest.mark.parametrize("heading", CHECKS)
def test_the_page(heading: str, fresh_host: FreshHost, source: Path, reader: Callable[..., str]) -> None:
    host = fresh_host("debian")
    CHECKS[heading](host, reader(SECTIONS[heading], source, host))


def test_hosts_without_file_transfer_are_like_all_others(fresh_host: FreshHost, source: Path, reader: Callable[..., str]) -> None:
    host = fresh_host("busybox", file_transfer=False)
    first(host, reader(SECTIONS["A first deploy"], source, host))


def test_golden_image(image: Path, source: Path, reader: Callable[..., str]) -> None:
    section = SECTIONS["Golden images"]
    printed = reader(section, source, image=image)
    assert results(printed) == [("1", "1", "-", "-")]
    assert re.search(rf"^{STABLE}$", printed, re.MULTILINE)
    assert not any((image / "tmp").iterdir())
    assert (image / "usr/local/bin/python3").readlink() == Path(STABLE, "bin/python3")
    assert not list((image / "proc").iterdir())
    assert results(reader(section, source, image=image)) == [("1", "-", "-", "1")]
