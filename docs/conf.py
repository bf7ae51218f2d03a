# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx builds the documentation of this: `make docs`, warnings being errors.

References are made of what they tell of: those of the collection by antsibull-docs from the specifications of modules, lookup and
role, that of the operation from its text and signature, that of the command line from its commands. Nothing of them stands here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes

PROJECT = Path(__file__).resolve().parent.parent
GALAXY = (PROJECT / "ansible_collections/standalone/python/galaxy.yml").read_text(encoding="utf-8")
# Generated, and left alone by git.
COLLECTION = PROJECT / "docs/reference/collection"
SUPPORTED = PROJECT / "docs/reference/supported.txt"
ANSIBLES = {
    "action_plugins": "plugins/action.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}

sys.path.insert(0, str(PROJECT))

project = "standalone-python"
author = copyright = "standalone-python contributors"  # noqa: A001  # Sphinx's name
version = release = re.findall(r"^version: (\S+)$", GALAXY, re.MULTILINE)[0]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click", "sphinx_antsibull_ext"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "none"
html_theme = "furo"
html_title = f"standalone-python {release}"
# The JSON Schema of a declaration is published beside the pages.
html_extra_path = ["../standalone_python/declaration.schema.json"]
exclude_patterns = ["reference/collection/environment_variables.rst", "reference/collection/index.rst"]
# Of `make linkcheck`: names that only an example has.
linkcheck_ignore = [r"https?://[^/]*\bexample\b"]


def _collection() -> None:
    command = [
        *(str(Path(sys.executable).with_name("antsibull-docs")), "collection", "--use-current", "--fail-on-error"),
        *("--squash-hierarchy", "--cleanup", "everything", "--dest-dir", str(COLLECTION), "standalone.python"),
    ]
    COLLECTION.mkdir(parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(PROJECT), "PATH": path})


def _supported() -> None:
    """support.toml as a table."""
    table = tomllib.loads((PROJECT / "support.toml").read_text(encoding="utf-8"))
    rows = ["| Python of the controller | ansible-core | pyinfra |", "|---|---|---|"]
    for python, series in table["controller"].items():
        rows.append(f"| {python} | {' to '.join(series['ansible-core'])} | {' to '.join(series['pyinfra'])} |")
    interpreters = table["host"]["interpreters"]
    rows += ["", f"Interpreters that are run: {interpreters[0]} to {interpreters[-1]}."]
    SUPPORTED.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _ansibles_own(_app: Any, _environment: Any, node: Any, text: nodes.Element) -> nodes.reference | None:
    """A link into Ansible's documentation, for a name that antsibull-docs takes for granted."""
    page = ANSIBLES.get(node.get("reftarget"))
    if page is None:
        return None
    return nodes.reference("", "", text, internal=False, refuri=f"https://docs.ansible.com/projects/ansible/latest/{page}")


def setup(app: Any) -> None:
    app.connect("missing-reference", _ansibles_own)
    _collection()
    _supported()
