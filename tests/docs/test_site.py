# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as Sphinx builds it and as Chromium shows it, without a warning, an error or a dead link.

`make linkcheck` checks the links to other sites, because that needs the network.
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
from tests.tools.browser import Browser
from tests.tools.documented import documented
from tests.tools.pages import COLLECTION, REPOSITORY, pages
from tests.tools.programs import program

CODE = "https://git.example/standalone-python"
SITE = "https://docs.example/standalone-python"
WIDTHS = (1280, 400)
FAULTS = ["console", "error box", "overflow"]
# An element beyond the right edge is a fault, unless it is within one that scrolls by itself.
FAULTS_OF_A_PAGE = """(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = element => element && !element.matches("body, html") &&
    (getComputedStyle(element).overflowX !== "visible" || scrolls(element.parentElement));
  const beyond = [...document.querySelectorAll("article *")].filter(
    element => element.getBoundingClientRect().right > width + 1 && !scrolls(element.parentElement));
  const words = element => element.outerHTML.slice(0, 120);
  const wide = document.documentElement.scrollWidth > width ? [`${document.documentElement.scrollWidth} pixels`] : [];
  return {
    "error box": [...document.querySelectorAll(".admonition.error, .system-message, .problematic, .error")].map(words),
    "overflow": [...wide, ...beyond.slice(0, 3).map(words)],
  };
})()"""


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
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages. They are built as a project that knows its addresses builds them."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        *(sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"),
        *("--doctree-dir", str(folder / "doctrees"), str(REPOSITORY / "docs"), str(folder / "html")),
    ]
    environment = os.environ | {"STANDALONE_PYTHON_REPOSITORY": CODE, "STANDALONE_PYTHON_SITE": SITE}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def site(html: Path) -> Mapping[str, Links]:
    return {path.relative_to(html).as_posix(): Links(path.read_text()) for path in html.rglob("*.html")}


def test_the_schema_is_published(html: Path) -> None:
    schema = "declaration.schema.json"
    assert (html / schema).read_bytes() == (REPOSITORY / "standalone_python" / schema).read_bytes()


def test_every_page_in_a_browser(html: Path, tmp_path: Path) -> None:
    """At both widths no page scrolls sideways, shows an error box, or prints an error to the console."""
    wrong = []
    with Browser.start(program("chromium", "chromium"), tmp_path) as browser:
        browser.open(_spoiled(tmp_path, html / "index.html"))
        assert [kind for kind, found in _faults(browser).items() if found] == FAULTS, "the test sees each kind of fault"
        for path in sorted(html.rglob("*.html")):
            browser.resize(WIDTHS[0], 1000)
            browser.open(path)
            for width in WIDTHS:
                browser.resize(width, 1000)
                for kind, found in _faults(browser).items():
                    wrong += [f"{path.relative_to(html)} at {width} pixels: {kind}: {one}" for one in found]
    assert wrong == []


def _faults(browser: Browser) -> dict[str, list[str]]:
    return {"console": list(browser.errors), **browser.evaluate(FAULTS_OF_A_PAGE)}


def _spoiled(folder: Path, page: Path) -> Path:
    """Return a copy of a page that has one fault of each kind."""
    text = page.read_text().replace("<head>", f'<head><base href="{page.as_uri()}">')
    bad = '<div class="admonition error">x</div><div style="width: 3000px">x</div><script>console.error("x")</script>'
    spoiled = folder / "spoiled.html"
    spoiled.write_text(text.replace("</h1>", f"</h1>{bad}"))
    return spoiled


def test_each_page_has_its_edit_link_and_its_card(site: Mapping[str, Links], html: Path) -> None:
    """Pages that are generated have no file to edit."""
    assert f"{CODE}/edit/main/docs/upgrades.md" in site["upgrades.html"].targets
    assert not [target for target in site["reference/collection/interpreters_module.html"].targets if "/edit/" in target]
    card = (html / "upgrades.html").read_text()
    assert f'<meta property="og:url" content="{SITE}/upgrades.html"' in card
    assert '<meta property="og:title" content="Upgrades and rollback"' in card


def test_commands_are_highlighted_and_have_a_button(html: Path) -> None:
    text = (html / "ansible.html").read_text()
    assert '<div class="highlight-commands' in text
    assert re.search(r'<span class="nf">ansible-playbook</span>.*<span class="na">--check</span>', text)
    assert "copybutton" in text


def test_front_ends_are_tabs(site: Mapping[str, Links]) -> None:
    for name in ("Ansible", "pyinfra", "Command line"):
        assert re.search(rf"\b{name}\b", site["index.html"].text)
    assert "sd-tab-item-0" in site["index.html"].anchors


def test_no_link_leads_nowhere(site: Mapping[str, Links], html: Path) -> None:
    broken = []
    for page, links in site.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or target.startswith("//"):
                continue
            path = (Path("/") / page).parent / unquote(parts.path) if parts.path else Path("/") / page
            name = os.path.normpath(path).lstrip("/")
            anchor = unquote(parts.fragment) if name in site else ""
            if not (html / name).exists() or (anchor and anchor not in site[name].anchors):
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
