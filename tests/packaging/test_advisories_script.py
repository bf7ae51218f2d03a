# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that refreshes the tables of advisories, with small clones of its sources."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.security import components, tables

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "advisories.py"
LINUX = "platform=linux-gnu"

DATA = {
    "components.tsv": (
        "release\tcomponent\tversion\tapplies\n"
        f"20260101\tcpython\t3.13.11\tcpython=3.13\n20260101\tcpython\t3.9.25\tcpython=3.9\n20260101\texpat\tbundled\t{LINUX}\n"
        f"20260101\topenssl\t1.1.1w\tplatform=windows\n20260101\topenssl\t3.5.4\t{LINUX}\n20260101\tsqlite\t3.50.4\t{LINUX}\n"
    ),
    "advisories.tsv": (
        "component\tid\taffected\tseverity\tpublished\taliases\tonly\tsource\ttitle\n"
        "cpython\tCVE-2026-1\t>=3.13.0,<3.13.9\tHigh\t2026-01-01\t\t\tnvdx\tours\n"
        "cpython\tCVE-2026-2\t*\tLow\t2026-01-01\t\t\thand\tours\n"
        "openssl\tCVE-2026-10\t>=3.5.0\tLow\t2026-01-01\t\tnot-shipped\topenssl\tours\n"
        "zlib\tCVE-2026-99\t<1.3\tLow\t\t\t\thand\tours\n"
    ),
    "eol.tsv": (
        "cpython\tfirst_release\tend_of_bugfix\tend_of_security\tsource\n"
        "3.13\t2024-10-07\t2026-10-01\t2029-10-31\tendoflife.date\n3.15\t2026-10-01\t2028-10-01\t2031-10-31\tplan\n"
    ),
    "about.json": json.dumps(
        {"date": "2026-01-02", "sources": {"openssl/release-metadata": "2026-01-02", "bitnami/vulndb": "2026-01-01"}}
    ),
}
DOWNLOADS = "DOWNLOADS = {{\n{}}}\n"
ENTRY = '    "{}": {{\n        "url": "https://example.net",\n        "version": "{}",\n    }},\n'


def downloads(**versions: str) -> str:
    return DOWNLOADS.format(
        "".join(ENTRY.format(name.replace("_", "-").replace("--", "."), version) for name, version in versions.items())
    )


def osv(name: str, *events: Mapping[str, str], severity: str) -> str:
    affected = [{"ranges": [{"events": list(events)}]}]
    return json.dumps({"aliases": [name], "affected": affected, "database_specific": {"severity": severity}})


def clone(folder: Path, *commits: tuple[Mapping[str, str], str]) -> None:
    """Make a repository; each commit has files and, if it is named, a tag."""
    folder.mkdir(parents=True)

    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.net", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin",
            "GIT_COMMITTER_DATE": "2026-02-03T00:00:00Z", "GIT_AUTHOR_DATE": "2026-02-03T00:00:00Z", "HOME": str(folder)})  # fmt: skip

    git("init", "-q")
    for files, tag in commits:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        git("add", "-A")
        git("commit", "-qm", "x")
        if tag:
            git("tag", tag)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, text in DATA.items():
        (folder / name).write_text(text)
    return folder


def run(data: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", str(SCRIPT), "--data", str(data), *map(str, words)], capture_output=True, text=True, check=False
    )


def test_a_refresh(data: Path, tmp_path: Path) -> None:
    """What is new comes, what a source corrects is corrected, and what it says nothing of stays, as does a person's judgement."""
    clones = tmp_path / "clones"
    old = downloads(cpython_3__13="3.13.11", cpython_3__9="3.9.25", openssl_1__1="1.1.1w", openssl_3__5="3.5.4", sqlite="3500400")
    new = downloads(
        cpython_3__13="3.13.12", cpython_3__15="3.15.0", openssl_1__1="1.1.1w", openssl_3__5="3.5.5", sqlite="3510102"
    )
    clone(
        clones / "astral-sh+python-build-standalone",
        ({"pythonbuild/downloads.py": old, "cpython-unix/targets.yml": "a"}, "20260101"),
        ({"pythonbuild/downloads.py": new, "cpython-unix/targets.yml": "b"}, "20260202"),
    )
    affected = [
        {
            "versions": [
                {"version": "3.5.0", "lessThan": "3.5.5", "status": "affected"},
                {"version": "1.0.2", "status": "affected"},
            ]
        }
    ]
    record = {
        "containers": {
            "cna": {"affected": affected, "datePublic": "2026-01-27", "metrics": [{"other": {"content": {"text": "high"}}}]}
        }
    }
    clone(
        clones / "openssl+release-metadata",
        ({f"secjson/CVE-2026-{number}.json": json.dumps(record) for number in (10, 11, 99)}, ""),
    )
    bitnami = {
        "data/python/1.json": osv("CVE-2026-1", {"introduced": "0"}, {"fixed": "3.13.20"}, severity="Critical"),
        "data/python/2.json": osv("CVE-2026-3", {"introduced": "3.14.0"}, {"last_affected": "3.14.3"}, severity="Medium"),
        "data/python/3.json": osv("CVE-2026-4", {"introduced": "0"}, {"fixed": "3.6.1"}, severity="Medium"),
        "data/sqlite/1.json": osv("CVE-2026-5", {"introduced": "0"}, severity="Low"),
        "data/setuptools/1.json": osv("CVE-2026-6", {"introduced": "0"}, {"fixed": "80"}, severity="Low"),
    }
    clone(clones / "bitnami+vulndb" / "repo", (bitnami, ""))
    changes = "Release 2.8.4 Mon August 31 2026\n        Security fixes:\n       #1 #2  CVE-2026-7 -- text\n        Bug fixes:\n       CVE-2026-8 -- x\n"
    clone(clones / "libexpat+libexpat", ({"expat/Changes": changes}, ""))
    page = 'x\n  - releaseCycle: "3.15"\n    releaseDate: 2026-10-02\n    eoas: 2028-10-01\n    eol: 2031-10-31\n  - releaseCycle: "2.7"\n'
    clone(clones / "endoflife-date+endoflife.date", ({"products/python.md": page}, ""))

    done = run(data, "refresh", clones)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.splitlines()
    assert "20260202: cpython-unix/targets.yml changed since 20260101: compare which builds have which component" in notes
    assert "anchore/nvd-data-overrides: no clone, what was known on no day stays" in notes
    assert sum("is new: write its title" in note for note in notes) == 5
    assert notes[-1] == "tables of 2026-02-03; changed: components.tsv, advisories.tsv, eol.tsv"

    added = [line.split("\t")[1:] for line in (data / "components.tsv").read_text().splitlines() if line.startswith("20260202")]
    assert added == [
        ["cpython", "3.13.12", "cpython=3.13"],
        ["cpython", "3.15.0", "cpython=3.15"],
        ["expat", "bundled", LINUX],
        ["openssl", "1.1.1w", "platform=windows"],
        ["openssl", "3.5.5", LINUX],
        ["sqlite", "3.51.1.2", LINUX],
    ]
    rows = {line.split("\t")[1]: line.split("\t") for line in (data / "advisories.tsv").read_text().splitlines()[1:]}
    assert rows["CVE-2026-1"][2:4] == [">=3.13.0,<3.13.9", "High"], "a stronger source's"
    assert rows["CVE-2026-2"][2] == "*"
    assert rows["CVE-2026-3"][2:4] == [">=3.14.0,<3.14.4", "Medium"]
    assert rows["CVE-2026-5"][2] == "*"
    assert rows["CVE-2026-7"][:3] == ["expat", "CVE-2026-7", "<2.8.4"]
    assert rows["CVE-2026-10"][2:] == [">=3.5.0,<3.5.5", "High", "2026-01-01", "", "not-shipped", "openssl", "ours"]
    assert rows["CVE-2026-11"][2] == ">=3.5.0,<3.5.5"
    assert rows["CVE-2026-99"][0] == "zlib"
    assert {"CVE-2026-4", "CVE-2026-8"} & set(rows) == set()
    assert (data / "eol.tsv").read_text().splitlines()[-1] == "3.15\t2026-10-02\t2028-10-01\t2031-10-31\tendoflife.date"
    about = json.loads((data / "about.json").read_text())
    assert (about["date"], about["sources"]["openssl/release-metadata"]) == ("2026-02-03", "2026-02-03")

    before = {path.name: path.read_bytes() for path in data.iterdir()}
    assert run(data, "refresh", clones).stdout.endswith("tables of 2026-02-03; changed: none\n")
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    assert run(data, "document", tmp_path / "advisories.json").returncode == 0
    assert tables.parse_document((tmp_path / "advisories.json").read_text(), "x", "2026-02-03").date == "2026-02-03"


def test_an_entry_that_is_gone_is_for_a_person(data: Path, tmp_path: Path) -> None:
    old = downloads(cpython_3__13="3.13.11", openssl_3__5="3.5.4", sqlite="3500400")
    clone(
        tmp_path / "astral-sh+python-build-standalone",
        ({"pythonbuild/downloads.py": old}, "20260101"),
        ({"pythonbuild/downloads.py": downloads(cpython_3__13="3.13.12")}, "20260202"),
    )
    done = run(data, "refresh", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has 0 versions for openssl-3.5: add the release by hand; nothing was written" in done.stderr
    assert {name: (data / name).read_text() for name in DATA} == DATA


def test_without_clones_nothing_changes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(components.DATA, data)
    done = run(data, "refresh", tmp_path)
    assert done.stdout.count("no clone, what was known on 20") == 6
    assert done.stdout.endswith("; changed: none\n")
    assert {path.name: path.read_bytes() for path in data.iterdir()} == {
        path.name: path.read_bytes() for path in Path(components.DATA).iterdir()
    }
