# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages that show commands with their outputs, and the recipes, done as they say; each output is what the command prints.

Upstream is not reached from where tests run, so the source of builds is exchanged, and folders of the machine for folders of the test.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.reading import COOKBOOK, MODULE, PLAYS, Machine
from tests.tools.hosts import Host
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import files, read, tokens, tried
from tests.tools.playbook import Run, run_play
from tests.tools.sources import OLD, V13, V13LATER

PAGES = ("docs/concepts.md", "docs/why.md", COOKBOOK)
# The rest of the tabs is in test_tabs.py.
OF_PLAYS = [text for name, text in files(COOKBOOK, "Ansible").items() if name in PLAYS]
TRIED = {
    **{page: tried(page, "Command line") for page in PAGES},
    COOKBOOK: [*tried(COOKBOOK, "Command line"), *OF_PLAYS, *(f"ansible-playbook -i hosts.ini {name}" for name in PLAYS)],
}

pytestmark = pytest.mark.xdist_group("hosts")


def examples(page: str) -> Iterator[tuple[str, str]]:
    """Each command of a page for this machine, with the output that the page shows behind it; empty if it shows none."""
    listed = [token for token, tab in tokens(read(page)) if tab in ("", "Command line")]
    for token, following in zip(listed, [*listed[1:], None], strict=True):
        if token.type == "code_block":
            *before, last = token.content.splitlines()
            yield from ((line, "") for line in before)
            shown = following is not None and following.type == "fence" and following.info == "text"
            yield last, following.content if following and shown else ""


def lines(text: str) -> list[str]:
    """Without times, which differ and are left out if they are short."""
    return [re.sub(r"( in)? [0-9.]+ s\b", "", line).rstrip() for line in text.strip("\n").splitlines()]


@pytest.fixture
def machine(source: Path, tmp_path: Path) -> Machine:
    return Machine(tmp_path, source)


def test_concepts(machine: Machine) -> None:
    shown = 0
    for command, output in examples("docs/concepts.md"):
        printed = machine.run(command)
        assert lines(printed) == lines(output), command
        shown += bool(output)
    assert shown == 5


def test_a_module_that_is_missing_is_repaired(machine: Machine) -> None:
    """The situation that docs/why.md compares with uv's."""
    ((command, output),) = examples("docs/why.md")
    machine.run(command)
    (machine.root / "cpython-3.13/lib/python3.13/ssl.py").unlink()
    # The number of modules is that of the interpreter that the tests pack.
    number = re.compile(r"1 of [0-9]+ modules")
    assert [number.sub("", line) for line in lines(machine.run(command))] == [number.sub("", line) for line in lines(output)]


def test_recipes_of_one_machine(machine: Machine) -> None:
    """In the page's order, but for the last: what is moved away from is still there then."""
    machine.write(COOKBOOK)
    recipes = [(command, output) for command, output in examples(COOKBOOK) if not command.startswith("ansible-playbook")]
    move = [command for command, _output in recipes if "/srv/app" in command]
    nothing = [(command, output) for command, output in recipes if "nothing.yml" in command]
    assert len(move) == 3
    assert len(nothing) == 2
    for command, _output in recipes:
        if command not in move and "nothing.yml" not in command:
            machine.run(command)
    for name in ("bin/python3", "bin/python3.12", ".local/bin/python3.13"):
        assert (machine.folder / name).exists(), name
    environment = machine.folder / "app/venv"
    machine.run("/opt/python/cpython-3.13/bin/python3 -m venv /srv/app/venv")
    prefix = [str(environment / "bin/python"), "-c", "import sys; print(sys.base_prefix)"]
    assert subprocess.run(prefix, capture_output=True, text=True, check=True).stdout.strip() == str(machine.root / "cpython-3.13")
    for command in move:
        machine.run(command)
    assert str(machine.root) not in subprocess.run(prefix, capture_output=True, text=True, check=True).stdout
    for command, output in nothing:
        printed = machine.run(command)
        assert not output or output.strip() in printed
    assert [*machine.root.iterdir(), *machine.bin_dir.iterdir()] == []


def play(name: str, host: Host, source: Path, builds: str = "") -> Run:
    """Run a play of the page; ``builds`` exchanges the request, as an earlier declaration had it."""
    text = files(COOKBOOK, "Ansible")[name]
    if builds:
        text = text.replace('builds: ["3.13"]', f'builds: ["{builds}"]')
    (one,) = yaml.safe_load(text)
    # An option that the role leaves out has no default of the play.
    variables = {**one.get("vars", {}), "interpreters_source": str(source)}
    known = {"module_defaults": {MODULE: {"source": str(source)}}, **one, "vars": variables}
    run = run_play(one["tasks"], f"{host.inventory_line}\n", play=known)
    assert run.code == 0, run.output
    return run


def test_a_service_survives_an_upgrade(fresh_host: FreshHost, source: Path) -> None:
    """With a stand-in for systemctl, that writes down what it is given."""
    host = fresh_host("debian")
    systemctl = host.root / "usr/local/bin/systemctl"
    systemctl.parent.mkdir(parents=True, exist_ok=True)
    systemctl.write_text('#!/bin/sh\necho "$@" >>/root/systemctl.log\n')
    systemctl.chmod(0o755)
    version = ["/srv/app/venv/bin/python", "-c", "import platform, sys; print(platform.python_version(), sys.prefix)"]
    for builds, expected in ((f"{V13}+{OLD}", V13), ("", V13LATER)):
        play("service.yml", host, source, builds=builds)
        assert host.exec(version).stdout.split() == [expected, "/srv/app/venv"]
    log = (host.root / "root/systemctl.log").read_text().splitlines()
    assert log == ["daemon-reload", "enable app.service", "restart app.service"] * 2
    unit = (host.root / "etc/systemd/system/app.service").read_text()
    assert "ExecStart=/srv/app/venv/bin/python -m http.server" in unit


def test_recipes_of_hosts_without_a_python_of_use(fresh_host: FreshHost, source: Path) -> None:
    """On the same host; one file of certificates is all of RHEL that the recipe needs."""
    host = fresh_host("debian")
    bundle = host.root / "etc/pki/tls/certs/ca-bundle.crt"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n")
    run = play("el8.yml", host, source)
    assert run.results[-1].result["ping"] == "pong"
    assert not (host.root / "usr/local/bin/python3.13").is_symlink()
    play("flatcar.yml", host, source)
    assert host.exec(["/opt/bin/python3", "-c", "import sys; print(sys.prefix)"]).stdout.strip() == "/opt/python/cpython-3.13"


def test_each_play_of_the_page_is_run() -> None:
    assert len(OF_PLAYS) == len(PLAYS)
