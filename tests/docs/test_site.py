# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as Sphinx builds it and as Chromium shows it, without a warning, an error or a dead link.

`make linkcheck` checks the links to other sites, because that needs the network.
"""

from __future__ import annotations

import itertools
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
from tests.tools.pages import COLLECTION, REPOSITORY, TABS, pages
from tests.tools.programs import program

CODE = "https://git.example/standalone-python"
SITE = "https://docs.example/standalone-python"
WIDTHS = (1280, 400)
FAULTS = ["console", "error box", "overflow", "contrast"]
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

# WCAG 2.1, level AA: https://www.w3.org/TR/WCAG21/#contrast-minimum. The ground of a text in a drawing is the last rectangle behind it.
CONTRAST = r"""(() => {
  document.getAnimations().forEach(animation => animation.finish());
  const colour = text => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
  const ground = element => {
    if (!element) return [255, 255, 255];
    const own = colour(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const behind = text => {
    const {left, right, top, bottom} = text.getBoundingClientRect();
    const holds = box => box.left <= left && right <= box.right && box.top <= top && bottom <= box.bottom;
    const rectangles = [...document.querySelectorAll("rect")].filter(rectangle => holds(rectangle.getBoundingClientRect()));
    return colour(getComputedStyle(rectangles.at(-1) ?? document.documentElement).fill);
  };
  const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = rgb => rgb.slice(0, 3).reduce((sum, value, i) => sum + linear(value / 255) * [0.2126, 0.7152, 0.0722][i], 0);
  const found = new Set();
  const texts = document.createTreeWalker(document.body ?? document.documentElement, NodeFilter.SHOW_TEXT);
  for (let text; text = texts.nextNode();) {
    const element = text.parentElement, style = getComputedStyle(element);
    if (!text.data.trim() || /^(style|title|script)$/.test(element.localName)) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const drawn = element.localName === "text";
    const below = drawn ? behind(element) : ground(element);
    const shades = [luminance(over(colour(drawn ? style.fill : style.color), below)), luminance(below)];
    const ratio = (Math.max(...shades) + 0.05) / (Math.min(...shades) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)}: ${element.className} ${text.data.trim().slice(0, 40)}`);
  }
  return [...found].slice(0, 5);
})()"""
# Within its frame, where nothing is drawn.
PLACE_OF_THE_DRAWING = """(() => {
  const {left, top} = document.querySelector("article img").getBoundingClientRect();
  return [left + scrollX + 8, top + scrollY + 8];
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
    """At both widths no page scrolls sideways, shows an error box, or prints an error. Its texts are readable in both schemes."""
    wrong = []
    drawings = sorted((html / "_images").glob("*.svg"))
    assert len(drawings) > 2
    with Browser.start(program("chromium", "chromium"), tmp_path) as browser:
        browser.open(_spoiled(tmp_path, html / "index.html"))
        assert [kind for kind, found in _faults(browser).items() if found] == FAULTS, "the test sees each kind of fault"
        browser.open(_spoiled_drawing(tmp_path, drawings[0]))
        assert browser.evaluate(CONTRAST), "the test sees faint words of a drawing"
        for path in sorted(html.rglob("*.html")):
            browser.resize(WIDTHS[0], 1000)
            browser.open(path)
            for width in WIDTHS:
                browser.resize(width, 1000, dark=width == WIDTHS[-1])
                for kind, found in _faults(browser).items():
                    wrong += [f"{path.relative_to(html)} at {width} pixels: {kind}: {one}" for one in found]
        for path in drawings:
            for dark in (False, True):
                browser.resize(WIDTHS[0], 1000, dark=dark)
                browser.open(path)
                wrong += [f"{path.name}, dark {dark}: {one}" for one in browser.evaluate(CONTRAST)]
    assert wrong == []


def test_drawings_follow_the_scheme_and_the_switch(html: Path, tmp_path: Path) -> None:
    """The page of a drawing is dark where the system is, and where the reader switched the theme."""
    with Browser.start(program("chromium", "chromium"), tmp_path) as browser:
        browser.open(html / "concepts.html")
        for system, theme in itertools.product((False, True), ("auto", "light", "dark")):
            browser.resize(WIDTHS[0], 1000, dark=system)
            browser.evaluate(f"document.body.dataset.theme = {theme!r}")
            left, top = browser.evaluate(PLACE_OF_THE_DRAWING)
            is_dark = max(browser.pixel(left, top)) < 128
            assert is_dark is (system if theme == "auto" else theme == "dark"), (system, theme)


def _faults(browser: Browser) -> dict[str, list[str]]:
    return {"console": list(browser.errors), **browser.evaluate(FAULTS_OF_A_PAGE), "contrast": browser.evaluate(CONTRAST)}


def _spoiled(folder: Path, page: Path) -> Path:
    """Return a copy of a page that has one fault of each kind."""
    text = page.read_text().replace("<head>", f'<head><base href="{page.as_uri()}">')
    bad = (
        '<div class="admonition error">x</div><div style="width: 3000px; color: #aaa">x</div><script>console.error("x")</script>'
    )
    spoiled = folder / "spoiled.html"
    spoiled.write_text(text.replace("</h1>", f"</h1>{bad}"))
    return spoiled


def _spoiled_drawing(folder: Path, drawing: Path) -> Path:
    spoiled = folder / "spoiled.svg"
    spoiled.write_text(drawing.read_text().replace("</svg>", '<text x="9" y="99" style="fill: #888">x</text></svg>'))
    return spoiled


def test_each_page_has_its_edit_link_and_its_card(site: Mapping[str, Links], html: Path) -> None:
    """Pages that are generated have no file to edit."""
    assert f"{CODE}/edit/main/docs/upgrades.md" in site["upgrades.html"].targets
    assert not [target for target in site["reference/collection/interpreters_module.html"].targets if "/edit/" in target]
    card = (html / "upgrades.html").read_text()
    assert f'<meta property="og:url" content="{SITE}/upgrades.html"' in card
    assert '<meta property="og:title" content="Upgrades and rollback"' in card


def test_options_keep_their_hyphens(site: Mapping[str, Links]) -> None:
    """Sphinx makes a dash of two hyphens, unless it is told not to."""
    assert "Otherwise --target names" in site["reference/command-line.html"].text


def test_commands_are_highlighted_and_have_a_button(html: Path) -> None:
    text = (html / "ansible.html").read_text()
    assert '<div class="highlight-commands' in text
    assert re.search(r'<span class="nf">ansible-playbook</span>.*<span class="na">--check</span>', text)
    assert "copybutton" in text


def test_front_ends_are_tabs(site: Mapping[str, Links]) -> None:
    """On the start page and in how-to guides; what a reader chooses is kept from page to page."""
    for page in ("index.html", "upgrades.html", "cookbook.html"):
        for name in TABS:
            assert re.search(rf"\b{name}\b", site[page].text)
        assert "sd-tab-item-0" in site[page].anchors


def test_the_choice_of_a_front_end_is_kept(html: Path, tmp_path: Path) -> None:
    with Browser.start(program("chromium", "chromium"), tmp_path) as browser:
        browser.open(html / "index.html")
        browser.evaluate("document.querySelector('label[data-sync-id=pyinfra]').click()")
        browser.open(html / "upgrades.html")
        chosen = browser.evaluate(
            "[...document.querySelectorAll('.sd-tab-set > input:checked + label')].map(one => one.innerText)"
        )
    assert len(chosen) > 5
    assert set(chosen) == {"pyinfra"}


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


def test_pages_load_nothing_from_other_servers(html: Path) -> None:
    loads = re.compile(
        r"""<(?:script|img|iframe|link rel="(?:stylesheet|icon|preload)")[^>]*(?:src|href)=["'](?:https?:)?//[^>]*>"""
    )
    assert loads.search('<script src="https://cdn.example/x.js">')
    assert [f"{path.name}: {found}" for path in html.rglob("*.html") for found in loads.findall(path.read_text())] == []
    assert not [
        path.name for path in html.rglob("*.css") if re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", path.read_text())
    ]


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
    names = ("interpreters", "report", "Interpreters", "prepare", "BuildRequest")
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
