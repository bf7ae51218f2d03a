# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as it is built: without a warning, with references that say what their specifications say, and with no link
within it that leads nowhere. Links to elsewhere are `make linkcheck`'s, which asks the network.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
import yaml

from ansible_collections.standalone.python.plugins.modules import interpreters
from standalone_python.cli import group
from tests.tools.documented import documented
from tests.tools.pages import COLLECTION, REPOSITORY, pages


class Links(HTMLParser):
    """Where a page leads to, and what in it can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.anchors.update(said[name] or "" for name in ("id", "name") if name in said)
        self.targets += [target for name in ("href", "src") if (target := said.get(name))]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Links]:
    folder = tmp_path_factory.mktemp("site")
    command = [
        *(sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"),
        *("--doctree-dir", str(folder / "doctrees"), str(REPOSITORY / "docs"), str(folder / "html")),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    html = folder / "html"
    assert (html / "declaration.schema.json").read_bytes() == (
        REPOSITORY / "standalone_python/declaration.schema.json"
    ).read_bytes()
    return {path.relative_to(html).as_posix(): Links(path.read_text()) for path in html.rglob("*.html")}


def test_no_link_leads_nowhere(site: Mapping[str, Links]) -> None:
    broken = []
    for page, links in site.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or target.startswith("//"):
                continue
            path = (Path("/") / page).parent / unquote(parts.path) if parts.path else Path("/") / page
            name = os.path.normpath(path).lstrip("/")
            if not name.endswith(".html"):
                continue
            anchor = unquote(parts.fragment)
            if name not in site or (anchor and anchor not in site[name].anchors):
                broken.append(f"{page}: {target}")
    assert broken == []


def test_links_between_the_files_of_the_repository() -> None:
    """As who reads them there follows them: README and its like have no builder that looks."""
    for page in pages():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (REPOSITORY / page).read_text()):
            if not urlsplit(target).scheme:
                assert ((REPOSITORY / page).parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("name", sorted({Path(page).stem for page in pages() if page.startswith("docs/")} - {"index"}))
def test_every_page_is_in_the_navigation(site: Mapping[str, Links], name: str) -> None:
    assert any(urlsplit(target).path.endswith(f"{name}.html") for target in site["index.html"].targets)


def test_reference_of_the_module_and_the_role(site: Mapping[str, Links]) -> None:
    module = documented(interpreters)
    page = site["reference/collection/interpreters_module.html"]
    specified = yaml.safe_load((REPOSITORY / COLLECTION / "roles/interpreters/meta/argument_specs.yml").read_text())
    assert module["short_description"] in page.text
    assert {f"parameter-{name}" for name in module["options"]} <= page.anchors
    role = site["reference/collection/interpreters_role.html"]
    assert {f"parameter-main--{name}" for name in specified["argument_specs"]["main"]["options"]} <= role.anchors


def test_what_is_supported(site: Mapping[str, Links]) -> None:
    """Each Python of support.toml with its series, in a row."""
    table = tomllib.loads((REPOSITORY / "support.toml").read_text())["controller"]
    for python, series in table.items():
        assert f"{python} {' to '.join(series['ansible-core'])} {' to '.join(series['pyinfra'])}" in site["supported.html"].text


def test_reference_of_the_operation(site: Mapping[str, Links]) -> None:
    page = site["reference/pyinfra.html"]
    names = ("interpreters", "Interpreters", "prepare", "BuildRequest")
    assert {f"pyinfra_ops.standalone_python.{name}" for name in names} <= page.anchors
    assert "lock_timeout: seconds to wait" in page.text


def test_reference_of_the_command_line(site: Mapping[str, Links]) -> None:
    text = site["reference/command-line.html"].text
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        for option in command.params:
            assert any(f"{flag}" in text for flag in option.opts), f"{name} {option.name}"
