# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tabs of the how-to guides: the front ends of one task declare the same, and each does it.

The plays of most pages are run by the modules of these pages. This one runs the deploys, the commands for one machine, and the plays of
the recipes. Only the source of builds is exchanged, and folders of this machine for folders of the test.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.reading import COOKBOOK, MODULE, NAME, PLAYS, Machine, adapted, ansible
from tests.tools.forked_pyinfra import forked_pyinfra
from tests.tools.hosts.fixtures import FreshHost
from tests.tools.pages import TABS, Shown, code, files, pages, read, shown, tokens
from tests.tools.sources import NEW, OLD, V13

UPGRADES, LOCK, CERTIFICATES = "docs/upgrades.md", "docs/lock.md", "docs/certificates.md"
PAGES = (UPGRADES, LOCK, "docs/air-gap.md", CERTIFICATES, "docs/adopting.md", COOKBOOK)
# What the recipes do on one machine is run in test_guides.py; the certificates of this machine are nobody's to count on.
ON_ONE_MACHINE = (LOCK, "docs/air-gap.md", "docs/adopting.md", UPGRADES)
RECIPES = [one for one in shown(COOKBOOK) if one.tab == "Ansible" and not re.search("|".join(PLAYS), f"{one.name} {one.text}")]
TRIED = {page: [one.text for one in shown(page) if one.tab in ("pyinfra", "Command line")] for page in PAGES}
TRIED[COOKBOOK] += [one.text for one in RECIPES]

EXAMPLE = """
::::{tab-set}
:sync-group: front-end

:::{tab-item} Ansible
:sync: ansible

```yaml
# site.yml
- hosts: all  # :::
```

    ansible-playbook site.yml
:::

:::{tab-item} Command line
:sync: command-line
On one machine:

    standalone-python upgrade
:::
::::

    standalone-python status
"""

pytestmark = pytest.mark.xdist_group("hosts")


def tasks(page: str) -> Iterator[list[Shown]]:
    """The code of each set of tabs: Ansible's tab is the first of a set."""
    found: list[Shown] = []
    before = ""
    for one in shown(page):
        if found and (not one.tab or (one.tab == "Ansible" != before)):
            yield found
            found = []
        before = one.tab
        found += [one] if one.tab else []
    if found:
        yield found


def of_play(text: str) -> dict[str, Any]:
    (play,) = yaml.safe_load(text)
    (options,) = (task[MODULE] for task in play["tasks"] if MODULE in task)
    return {**play.get("module_defaults", {}).get(MODULE, {}), **options}


def of_deploy(text: str) -> dict[str, Any]:
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    (call,) = (call for call in calls if ast.unparse(call.func) == "standalone_python.interpreters")
    given = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    return {name: value for name, value in given.items() if name != "name" and not name.startswith("_")}


def of_command(command: str, page: str) -> dict[str, Any]:
    """The declaration that a command applies, with the options on its command line."""
    file, *options = shlex.split(command)[2:]
    pairs = zip(options[::2], options[1::2], strict=True)
    return {**yaml.safe_load(files(page, "Command line")[file]), **{name.removeprefix("--"): value for name, value in pairs}}


@pytest.mark.parametrize("page", pages())
def test_each_tab_is_of_a_front_end(page: str) -> None:
    """Of the group that the site keeps from page to page, in the same order everywhere."""
    text = read(page)
    order = list(TABS)
    for one in text.split("{tab-set}\n")[1:]:
        assert one.startswith(":sync-group: front-end\n")
        found = re.findall(r"^:{3,}\{tab-item\} (.+)\n:sync: (\S+)$", one.partition("{tab-set}")[0], re.MULTILINE)
        assert len(found) > 1
        assert found == sorted(((name, TABS[name]) for name, _key in found), key=lambda pair: order.index(pair[0]))
    assert text.count("{tab-item}") == text.count("\n:sync: ")
    assert not any(tab for _token, tab in list(tokens(text))[-1:])


def test_code_in_tabs_is_found() -> None:
    found = [(one.tab, one.name, one.text.splitlines()[0]) for one in code("a page", EXAMPLE)]
    assert found == [
        ("Ansible", "site.yml", "- hosts: all  # :::"),
        ("Ansible", "", "ansible-playbook site.yml"),
        ("Command line", "", "standalone-python upgrade"),
        ("", "", "standalone-python status"),
    ]


@pytest.mark.parametrize("page", PAGES)
def test_the_front_ends_of_a_task_declare_the_same(page: str) -> None:
    compared = 0
    for task in tasks(page):
        declared = {
            **{one.tab: of_play(one.text) for one in task if one.name and one.tab == "Ansible"},
            **{one.tab: of_deploy(one.text) for one in task if one.name and one.tab == "pyinfra"},
            **{one.tab: of_command(one.text, page) for one in task if one.text.startswith("standalone-python apply ")},
        }
        assert len(declared) >= 2, task[0]
        compared += 1
        first, *others = declared.values()
        assert others == [first] * len(others), task[0]
    assert compared == read(page).count("{tab-set}")


def with_lock_file(folder: Path, source: Path) -> Machine:
    """A machine whose home has what pages make before their tabs: a mirror, a declaration, its lock file."""
    machine = Machine(folder, source)
    (folder / "pbs").symlink_to(source)
    machine.write(LOCK)
    machine.run("standalone-python lock pythons.yml --target x86_64-unknown-linux-gnu")
    return machine


def test_deploys_and_plays(fresh_host: FreshHost, source: Path, tmp_path: Path) -> None:
    """On one host, in the order of the pages."""
    host = fresh_host("debian")
    bundle = host.root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n")
    # A stand-in for systemctl: a service runs, and is not enabled. It writes down what it is given.
    systemctl = host.root / "usr/local/bin/systemctl"
    systemctl.parent.mkdir(parents=True, exist_ok=True)
    systemctl.write_text(
        '#!/bin/sh\necho "$@" >>/root/systemctl.log\n[ "$1" = show ] && printf "Id=app.service\\nSubState=running\\n"; :\n'
    )
    systemctl.chmod(0o755)
    with_lock_file(tmp_path, source)
    environment = ansible(tmp_path, host)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text((tmp_path / "ssh.conf").read_text())
    (tmp_path / "inventory.py").write_text(f"web = [{NAME!r}]\n")
    (tmp_path / "hosts.ini").write_text(f"{NAME}\n")
    stable = host.root / "opt/python/cpython-3.13"
    with forked_pyinfra(tmp_path, environment) as pyinfra:
        for page in PAGES:
            for one in (one for one in shown(page) if one.tab == "pyinfra"):
                if one.name:
                    text = (
                        one.text
                        if "source=" in one.text
                        else one.text.replace("interpreters(\n", f"interpreters(\n    source={str(source)!r},\n")
                    )
                    (tmp_path / one.name).write_text(text)
                    continue
                number, printed = pyinfra(shlex.split(one.text))
                assert number == 0, f"{page}: {one.text}\n{printed}"
                if one.text.endswith(" back.py -y"):
                    assert stable.readlink().name.startswith(f"cpython-{V13}+{NEW if page == UPGRADES else OLD}-")
                if one.text.endswith(" service.py -y"):
                    log = (host.root / "root/systemctl.log").read_text().splitlines()
                    assert [line for line in log if line.startswith(("restart", "enable"))] == [
                        "restart app.service",
                        "enable app.service",
                    ]
                    assert host.exec(["/srv/app/venv/bin/python", "-V"]).returncode == 0
                if one.text.endswith(" tidy.py -y"):
                    assert len(list(stable.parent.glob("cpython-*"))) == 2
    assert list(stable.parent.glob("cpython-*")) == []
    assert (host.root / "home/deploy/.local/bin/python3.13").is_symlink()
    assert plays(host_environment=environment, folder=tmp_path, source=source) == [1, 1, 1, 0, 1]
    assert list(stable.parent.glob("cpython-*")) == []


def plays(host_environment: Mapping[str, str], folder: Path, source: Path) -> list[int]:
    """Run the plays of recipes and of certificates by one start of Ansible; return how many tasks of each changed something."""
    listed = [*(one for one in shown(CERTIFICATES) if one.tab == "Ansible"), *RECIPES]
    for one in listed:
        if one.name:
            (folder / one.name).write_text(adapted(one.text, source))
    names = [one.text.removeprefix("ansible-playbook -i hosts.ini ") for one in listed if not one.name]
    done = subprocess.run(
        ["ansible-playbook", "-i", "hosts.ini", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=dict(host_environment),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [
        len(re.findall(r"^changed: ", play, re.MULTILINE)) for play in re.split(r"^PLAY \[", done.stdout, flags=re.MULTILINE)[1:]
    ]


def test_commands_on_one_machine(source: Path, tmp_path: Path) -> None:
    machine = with_lock_file(tmp_path, source)
    stable = machine.root / "cpython-3.13"
    machine.run(f"standalone-python install {V13}+{OLD}")
    for page in ON_ONE_MACHINE:
        machine.write(page)
        for one in (one for one in shown(page) if one.tab == "Command line" and not one.name):
            printed = machine.run(one.text)
            if " rollback " in one.text:
                assert stable.readlink().name.startswith(f"cpython-{V13}+{OLD}-"), page
            if one.text.endswith("status"):
                assert "3.13.4" in printed
    # The last command of the last page leaves one build, and its link.
    assert len(list(machine.root.glob("cpython-*"))) == 2
