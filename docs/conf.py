# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx: `make docs` builds the documentation, and a warning is an error.

References are generated: those of the collection by antsibull-docs from the specifications of modules, lookup and role, that of
the operation from its text and signature, that of the command line from its commands.

A clone does not know where it is developed or published. STANDALONE_PYTHON_REPOSITORY is the address of the repository and adds
links that edit a page. STANDALONE_PYTHON_SITE is the address of the pages and completes the addresses in social cards.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from pygments.lexer import inherit
from pygments.lexers.shell import BashLexer
from pygments.token import Name, Text

PROJECT = Path(__file__).resolve().parent.parent
GALAXY = (PROJECT / "ansible_collections/standalone/python/galaxy.yml").read_text(encoding="utf-8")
# Generated, and left alone by git.
COLLECTION = PROJECT / "docs/reference/collection"
SUPPORTED = PROJECT / "docs/reference/supported.txt"
CHANGES = PROJECT / "docs/reference/changes.txt"
TITLE = re.compile(r"^standalone\.python\.(?=.*\n\++$)", re.MULTILINE)
CONTENTS = re.compile(r"^\.\. contents::\n(?: +:.*\n)*", re.MULTILINE)
ANSIBLES = {
    "action_plugins": "plugins/action.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}

sys.path.insert(0, str(PROJECT))


def _edit_links(repository: str) -> dict[str, Any]:
    """Return the theme's options for links that edit a page; none if the repository is unknown."""
    if not repository:
        return {"top_of_page_buttons": []}
    return {"source_edit_link": f"{repository}/edit/main/docs/{{filename}}", "top_of_page_buttons": ["edit"]}


project = "standalone-python"
author = copyright = "standalone-python contributors"  # noqa: A001  # Sphinx's name
version = release = re.findall(r"^version: (\S+)$", GALAXY, re.MULTILINE)[0]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_antsibull_ext",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxext.opengraph",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "none"
# A long signature is a list of options, a line for each, below a name that fits on a phone.
add_module_names = False
python_maximum_signature_line_length = 60
# Quotes and ellipses, but not dashes: the help of a command names options such as --target.
smartquotes_action = "qe"
html_theme = "furo"
html_title = f"standalone-python {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_theme_options = _edit_links(os.environ.get("STANDALONE_PYTHON_REPOSITORY", "").rstrip("/"))
# Blocks that only show an output have no button.
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"
SITE = os.environ.get("STANDALONE_PYTHON_SITE", "").rstrip("/")
ogp_site_url = SITE and f"{SITE}/"
ogp_site_name = project
ogp_social_cards = {"enable": False}
# The JSON Schema of a declaration is published beside the pages.
html_extra_path = ["../standalone_python/declaration.schema.json"]
exclude_patterns = ["reference/collection/environment_variables.rst", "reference/collection/index.rst"]
# Of `make linkcheck`: names that only an example has.
linkcheck_ignore = [r"https?://[^/]*\bexample\b"]


class Commands(BashLexer):
    """Highlights an indented block of a page: in each line the program, and its options."""

    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"^[\w./-]+", Name.Function),
            (r"(?<=\s)--?[a-zA-Z][\w-]*", Name.Attribute),
            (r"(?<=\s)\d[\w.+:]*", Text),  # a version is one word
            inherit,
        ]
    }


def _highlight_commands(_app: Any, tree: nodes.document) -> None:
    """Mark indented blocks as commands. The parser of Markdown gives them no language."""
    for block in tree.findall(nodes.literal_block):
        if block.get("language") in (None, "none") and "code" not in block["classes"]:
            block["language"] = "commands"


def _long_names(_app: Any, tree: nodes.document) -> None:
    """Mark long code in tables, which may break anywhere; shorter names stay whole where there is room."""
    for cell in tree.findall(nodes.entry):
        for name in cell.findall(nodes.literal):
            if len(name.astext()) > 30:
                name["classes"].append("long")


def _collection() -> None:
    command = [
        *(str(Path(sys.executable).with_name("antsibull-docs")), "collection", "--use-current", "--fail-on-error"),
        *("--squash-hierarchy", "--cleanup", "everything", "--dest-dir", str(COLLECTION), "standalone.python"),
    ]
    COLLECTION.mkdir(parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(PROJECT), "PATH": path})
    for page in COLLECTION.glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        # The theme has its own list of sections, and shows an error in place of a second one.
        text = CONTENTS.sub("", text)
        # A note on each page has the full name, which is wider than a phone as a title.
        page.write_text(TITLE.sub("", text, count=1), encoding="utf-8")


def _supported() -> None:
    """Write support.toml as a table."""
    table = tomllib.loads((PROJECT / "support.toml").read_text(encoding="utf-8"))
    rows = ["| Python of the controller | ansible-core | pyinfra |", "|---|---|---|"]
    for python, series in table["controller"].items():
        rows.append(f"| {python} | {' to '.join(series['ansible-core'])} | {' to '.join(series['pyinfra'])} |")
    interpreters = table["host"]["interpreters"]
    rows += ["", f"Interpreters that are run: {interpreters[0]} to {interpreters[-1]}."]
    SUPPORTED.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _changes() -> None:
    """Write the changelog, with what is not released yet."""
    with CHANGES.open("wb") as file:
        subprocess.run([sys.executable, PROJECT / "scripts/changes.py"], check=True, stdout=file)


def _ansibles_own(_app: Any, _environment: Any, node: Any, text: nodes.Element) -> nodes.reference | None:
    """A link into Ansible's documentation, for a name that antsibull-docs takes for granted."""
    page = ANSIBLES.get(node.get("reftarget"))
    if page is None:
        return None
    return nodes.reference("", "", text, internal=False, refuri=f"https://docs.ansible.com/projects/ansible/latest/{page}")


def _generated(_app: Any, page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Remove the link that edits a page from pages that have no file in the repository."""
    if page.startswith("reference/collection/") or context.get("page_source_suffix") is None:
        context["theme_source_edit_link"] = ""


def setup(app: Any) -> None:
    app.add_lexer("commands", Commands)
    app.connect("doctree-read", _highlight_commands)
    app.connect("doctree-read", _long_names)
    app.connect("html-page-context", _generated)
    app.connect("missing-reference", _ansibles_own)
    _collection()
    _supported()
    _changes()
