# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages that list something are complete and true: docs/versions.md by the resolver, docs/files.md by the code, docs/policy.md by the
tables, and the changelog by the fragments.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.contents import DEFAULT_SIZE
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import bundled, from_rows, resolve
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.request import parse_request
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.target import named_target
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from standalone_python.cli import group
from tests.tools.pages import COLLECTION, REPOSITORY, commands

VERSIONS, FILES, POLICY = ((REPOSITORY / f"docs/{name}.md").read_text() for name in ("versions", "files", "policy"))
TRIED = {"docs/versions.md": commands("docs/versions.md")}
# The newest release that docs/versions.md counts with; later ones come into the catalogue and change none of its rows.
NEWEST = "20260814"
HOST = named_target("x86_64_v3-unknown-linux-gnu")

CODE = [
    *(REPOSITORY / COLLECTION / "plugins").rglob("*.py"),
    *(REPOSITORY / COLLECTION / "plugins").rglob("*.ps1"),
    *(REPOSITORY / COLLECTION / "plugins").rglob("*.sh"),
    *(REPOSITORY / "standalone_python").rglob("*.py"),
    *(REPOSITORY / "pyinfra_ops").rglob("*.py"),
]
# Of the machine, and handed on to a program as they are.
PASSED_ON = {"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "LC_ALL"}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their first rows."""
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert section, heading
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


FORMS = [(request, cells[2]) for cells in rows(VERSIONS, "Forms") for request in quoted(cells[0])]


@pytest.fixture(scope="module")
def known() -> str:
    """The rows of the bundled catalogue up to the newest release of the page."""
    catalogue = bundled()
    lines = [line for minor in catalogue.minors for line in catalogue.read(minor).splitlines()]
    return "\n".join(line for line in lines if line.partition("\t")[0] <= NEWEST)


def test_the_page_names_the_newest_release_that_it_counts_with() -> None:
    assert f"if release {NEWEST} is the newest one" in " ".join(VERSIONS.split())
    assert len(FORMS) > 20


@pytest.mark.parametrize(("request_", "means"), FORMS, ids=[request for request, _means in FORMS])
def test_a_request_resolves_to_what_the_page_says(request_: str, means: str, known: str) -> None:
    found = resolve(parse_request(request_), HOST, from_rows("the page", known))
    build, *more = quoted(means)
    variant = f"+{found.variant}" if found.variant else ""
    assert build == f"{found.version}+{found.release}{variant}"
    for word in more:
        assert word in (found.triple.partition("-")[0], found.flavor)
    assert (found.triple.partition("-")[0] in more) == ("_v" in found.triple)


@pytest.mark.parametrize("cells", rows(VERSIONS, "What is not a request"), ids=lambda cells: cells[0])
def test_what_the_page_says_is_not_a_request_is_none(cells: list[str], known: str) -> None:
    """An error each, and what the page quotes as its advice is in it."""
    (text,) = quoted(cells[0])[:1]
    if text == "3.10":
        return  # Of YAML's reader: tests/core/test_declaration.py.
    with pytest.raises(StandalonePythonError) as error:
        resolve(parse_request(text), HOST, from_rows("the page", known))
    if "names" in cells[1]:
        assert all(word in str(error.value) for word in quoted(cells[1]))


def test_the_command_prints_what_the_page_shows() -> None:
    """But for the advisories, of which more become known."""
    (command,) = commands("docs/versions.md")
    done = CliRunner().invoke(group, command.split()[1:])
    shown = VERSIONS.partition("```text\n")[2].partition("```")[0]
    assert [line.split()[:5] for line in shown.splitlines()] == [line.split()[:5] for line in done.stdout.splitlines()]


def read_variables() -> set[str]:
    """The names of environment variables in the code."""
    found: set[str] = set()
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"\b_?STANDALONE_PYTHON_[A-Z_]+", text))
        if path.suffix == ".py":
            found |= set(re.findall(r"environ(?:\.get\(|\[)[\"']([A-Z_]+)", text))
    return found


def test_every_environment_variable_is_listed_and_no_other() -> None:
    listed = set(re.findall(r"`(_?[A-Z][A-Z_]{3,})`", FILES)) - {"ROOT", "BIN_DIR"}
    assert read_variables() - PASSED_ON <= listed
    text = "\n".join(path.read_text(encoding="utf-8") for path in CODE)
    # Proxies are read by the library that downloads, and by the host's curl or wget.
    unknown = {name for name in listed if name not in text and not name.endswith("_PROXY")}
    assert unknown == set()
    assert f"| `{DEFAULT_SIZE}` |" in FILES


@pytest.mark.parametrize("heading", ["On a host", "On the controller"])
def test_the_code_knows_each_file(heading: str) -> None:
    """The code has the last part of each path, except of paths that are examples."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in CODE if Path(path).suffix != ".md")
    for cells in rows(FILES, heading):
        for path in quoted(cells[0]):
            name = path.rstrip("/").rpartition("/")[2]
            if not re.match(r"cpython-|NAME|python", name):
                assert name in text, path


def test_every_file_that_a_root_may_have_is_listed() -> None:
    """By the names in the agents: what begins so belongs to standalone-python."""
    named: set[str] = set()
    for path in CODE:
        if "on_host" in path.parts:
            named |= set(re.findall(r"/\.standalone-python\.([a-z]+)\b", path.read_text(encoding="utf-8")))
    assert named
    assert {name for name in named if f".standalone-python.{name}" not in FILES} == set()


def test_the_policy_has_the_dates_of_the_tables() -> None:
    data = REPOSITORY / COLLECTION / "plugins/plugin_utils/core/security/security_data/eol.tsv"
    known = [line.split("\t") for line in data.read_text().splitlines()[1:]]
    assert [[minor, fixes, security] for minor, _first, fixes, security, *_ in known] == rows(POLICY, "Interpreters")
    run = tomllib.loads((REPOSITORY / "support.toml").read_text())["host"]["interpreters"]
    assert f"interpreters {run[0]} to {run[-1]} on hosts" in " ".join(POLICY.split())


def changes(collection: Path) -> str:
    command = [sys.executable, str(REPOSITORY / "scripts/changes.py"), str(collection)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_changelog_has_every_fragment() -> None:
    printed = changes(REPOSITORY / COLLECTION)
    fragments = sorted((REPOSITORY / COLLECTION / "changelogs/fragments").glob("*.yml"))
    assert fragments
    for path in fragments:
        for entries in yaml.safe_load(path.read_text()).values():
            for entry in [entries] if isinstance(entries, str) else entries:
                assert " ".join(entry.split()) in printed


def test_the_changelog_has_releases_the_newest_first(tmp_path: Path) -> None:
    folder = tmp_path / "changelogs"
    (folder / "fragments").mkdir(parents=True)
    shutil.copy(REPOSITORY / COLLECTION / "changelogs/config.yaml", folder)
    releases = {
        "0.9.0": {"release_date": "2027-01-02", "changes": {"bugfixes": ["Old."]}},
        "0.10.0": {"release_date": "2027-02-03", "changes": {"release_summary": "About it.", "minor_changes": ["New\n one."]}},
    }
    (folder / "changelog.yaml").write_text(yaml.safe_dump({"ancestor": None, "releases": releases}))
    released = "## 0.10.0, 2027-02-03\n\nAbout it.\n\n**Minor Changes**\n\n- New one.\n\n## 0.9.0, 2027-01-02\n\n**Bugfixes**\n\n- Old.\n"
    assert changes(tmp_path) == released
    (folder / "fragments/next.yml").write_text("security_fixes: [Next.]\n")
    assert changes(tmp_path) == f"## Not released yet\n\n**Security Fixes**\n\n- Next.\n\n{released}"
