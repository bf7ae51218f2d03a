#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refreshes the bundled tables of components, advisories and end of life from local clones of their sources.

    scripts/advisories.py refresh CLONES     CLONES holds git repositories named OWNER+NAME, or OWNER+NAME/repo
    scripts/advisories.py document FILE      write the tables as the document that mirrors and updates use

A source without a clone keeps what was known, with its date. Rows are added and corrected, and never dropped. Titles and the
column `only` are the project's own judgement: they stay, and the script names the new rows that need one. The script reads git
objects, and runs nothing of what is in them.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import ContentError
from ansible_collections.standalone.python.plugins.plugin_utils.core.security import advisories, components, tables

PBS, OPENSSL, EXPAT = "astral-sh/python-build-standalone", "openssl/release-metadata", "libexpat/libexpat"
BITNAMI, NVD, EOL = "bitnami/vulndb", "anchore/nvd-data-overrides", "endoflife-date/endoflife.date"

# Advisories of older versions are left out: no build has one of these.
OLDEST = {"cpython": "3.7.1", "openssl": "1.1.1", "expat": "2.2.7", "pip": "19"}
FOLDERS = {"python": "cpython", "sqlite": "sqlite", "setuptools": "setuptools"}
CPES = {
    "python:python": "cpython",
    "openssl:openssl": "openssl",
    "sqlite:sqlite": "sqlite",
    "python:setuptools": "setuptools",
    "pypa:pip": "pip",
    "tukaani:xz": "xz",
}
# Whose ranges replace whose, the strongest first. What a person wrote by hand stays.
STRENGTH = ("hand", "openssl", "expat", "nvdx", "psf", "pypa", "bitnami", "")

Row = dict[str, str]
Pair = tuple[str, str]


class Clone:
    """A local git repository."""

    def __init__(self, path: Path) -> None:
        self._path = path / "repo" if (path / "repo").is_dir() else path

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._path), *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "replace")

    def text(self, path: str, revision: str = "HEAD") -> str:
        return self.git("show", f"{revision}:{path}")

    def texts(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield the path and the text of files, read by one process."""
        asked = list(paths)
        data = subprocess.run(
            ["git", "-C", str(self._path), "cat-file", "--batch"],
            input="".join(f"HEAD:{path}\n" for path in asked).encode(),
            capture_output=True,
            check=True,
        ).stdout
        for path in asked:
            head, _newline, data = data.partition(b"\n")
            size = int(head.rsplit(b" ", 1)[1])
            yield path, data[:size].decode("utf-8", "replace")
            data = data[size + 1 :]

    def files(self, folder: str) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", "HEAD", folder).splitlines()

    def day(self) -> str:
        return self.git("log", "-1", "--format=%cs").strip()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Refreshes the bundled tables of components and advisories.")
    parser.add_argument("--data", type=Path, default=Path(components.DATA), help="folder of the tables")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("refresh", help="read local clones").add_argument("clones", type=Path)
    commands.add_parser("document", help="write the document").add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "document":
            return _write_document(options.data, options.file)
        return _refresh(options.data, options.clones)
    except (ContentError, OSError, subprocess.CalledProcessError, LookupError, ValueError) as error:
        print(f"advisories.py: {error}; nothing was written", file=sys.stderr)
        return 1


def _write_document(data: Path, file: Path) -> int:
    day, sources = advisories.parse_about((data / advisories.ABOUT).read_text("utf-8"))
    text = tables.format_document(day, sources, {name: (data / name).read_text("utf-8") for name in tables.FILES})
    tables.parse_document(text, str(file), day)
    file.write_text(text, "utf-8")
    return 0


def _refresh(data: Path, clones: Path) -> int:
    about = json.loads((data / advisories.ABOUT).read_text("utf-8"))
    texts = {name: (data / name).read_text("utf-8") for name in tables.FILES}
    notes: list[str] = []
    for source, (table, read) in READERS.items():
        path = clones / source.replace("/", "+")
        if not path.is_dir():
            notes.append(f"{source}: no clone, what was known on {about['sources'].get(source, 'no day')} stays")
            continue
        clone = Clone(path)
        rows = read(clone, _rows(texts[table]), notes)
        texts[table] = _text(texts[table].splitlines()[0], sorted(rows, key=ORDERS[table]))
        about["sources"][source] = clone.day()
        about["date"] = max(about["date"], clone.day())
    # Everything is read again before anything is written.
    tables.parse_document(tables.format_document(about["date"], about["sources"], texts), "the new tables", about["date"])
    changed = [name for name in texts if texts[name] != (data / name).read_text("utf-8")]
    for name in changed:
        (data / name).write_text(texts[name], "utf-8")
    (data / advisories.ABOUT).write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    print("\n".join([*notes, f"tables of {about['date']}; changed: {', '.join(changed) or 'none'}"]))
    return 0


def _rows(text: str) -> list[Row]:
    head, *lines = (line.split("\t") for line in text.splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def _text(head: str, rows: Iterable[Row]) -> str:
    names = head.split("\t")
    return "".join(f"{line}\n" for line in (head, *("\t".join(row[name] for name in names) for row in rows)))


# Components.


def read_components(clone: Clone, rows: list[Row], notes: list[str]) -> list[Row]:
    """Add the releases that the table lacks. Which builds have a component is as in the release before; only versions are read.

    :raises LookupError: an entry that the release before had is gone
    """
    known = {row["release"] for row in rows}
    for tag in sorted(set(re.findall("^[0-9]{8}$", clone.git("tag"), re.MULTILINE)) - known):
        if tag > max(known - {components.MISDATED}):
            rows = rows + _rows_of_release(clone, tag, components.newest_before(tag, known), rows, notes)
            known.add(tag)
    return rows


def _rows_of_release(clone: Clone, tag: str, before: str, rows: list[Row], notes: list[str]) -> list[Row]:
    old, new = (_versions(clone.text("pythonbuild/downloads.py", one)) for one in (before, tag))
    rules = ("cpython-unix/targets.yml", "cpython-windows/build.py", "pythonbuild/utils.py")
    if changed := clone.git("diff", "--name-only", before, tag, "--", *rules).split():
        notes.append(f"{tag}: {', '.join(changed)} changed since {before}: compare which builds have which component")
    found = [row | {"release": tag, "version": _version_in(new, old, row)} for row in rows if row["release"] == before]
    minors = {row["applies"] for row in found if row["component"] == "cpython"}
    for entry, version in new.items():
        condition = entry.replace("cpython-", "cpython=")
        if re.fullmatch(r"cpython-[0-9.]+", entry) and condition not in minors:
            found.append({"release": tag, "component": "cpython", "version": version, "applies": condition})
    return [row for row in found if row["version"]]


def _version_in(new: Mapping[str, str], old: Mapping[str, str], row: Row) -> str:
    """Return a component's version by its entry in the release before; empty: the minor version is no longer built."""
    if row["component"] == "cpython":
        return new.get(row["applies"].replace("=", "-"), "")
    entries = [name for name, version in old.items() if _component(name) == row["component"] and version == row["version"]]
    if not entries:
        return row["version"]  # not downloaded: CPython's own copy, or built from a commit
    found = {new[name] for name in entries if name in new}
    if len(found) != 1:
        raise LookupError(
            f"pythonbuild/downloads.py has {len(found)} versions for {' and '.join(entries)}: add the release by hand"
        )
    return found.pop()


def _component(entry: str) -> str:
    for start, name in (("tk-windows-bin", "tcl|tk"), ("uuid", "libuuid")):
        if entry.startswith(start):
            return name
    return re.sub(r"-(static|[0-9]+\.[0-9]+)$", "", entry)


def _versions(text: str) -> dict[str, str]:
    """Return entry -> version of a downloads.py, without running it."""
    found: dict[str, str] = {}
    for entry, body in re.findall(r'^    "([^"]+)": \{\n(.*?)^    \},?$', text, re.MULTILINE | re.DOTALL):
        version = re.search(r'"version": "([^"]+)"', body)
        if version:
            found[entry] = _sqlite(version[1]) if entry == "sqlite" else version[1]
    for entry in [entry for entry in found if entry.startswith("tk-windows-bin")]:
        found |= {f"{name}-windows-bin{entry[14:]}": found[entry] for name in ("tcl", "tk")}
    return found


def _sqlite(digits: str) -> str:
    """Return 3.53.1 for 3530100."""
    parts = [int(digits[0]), int(digits[1:3]), int(digits[3:5]), int(digits[5:7])]
    return ".".join(map(str, parts if parts[3] else parts[:3]))


# Advisories.


def read_openssl(clone: Clone, rows: list[Row], notes: list[str]) -> list[Row]:
    found = {}
    for path, text in clone.texts(path for path in clone.files("secjson/") if "/CVE-" in path):
        record = json.loads(text)["containers"]["cna"]
        versions = [
            one for affected in record["affected"] for one in affected.get("versions", []) if one.get("status") == "affected"
        ]
        pairs = [(one["version"], one.get("lessThan") or _after(one.get("lessThanOrEqual", one["version"]))) for one in versions]
        severity = [metric["other"]["content"].get("text", "") for metric in record.get("metrics", []) if "other" in metric]
        found[Path(path).stem] = (pairs, (severity or [""])[-1].capitalize(), record.get("datePublic", "")[:10])
    return _merged(rows, "openssl", "openssl", found, notes)


def read_expat(clone: Clone, rows: list[Row], notes: list[str]) -> list[Row]:
    """Read the section on security fixes of each release in ``Changes``."""
    found: dict[str, tuple[list[Pair], str, str]] = {}
    release, security = "", False
    for line in clone.text("expat/Changes").splitlines():
        if match := re.match(r"Release (\S+)", line):
            release, security = match[1], False
        elif match := re.match(r" {4,8}([A-Z][A-Za-z ]+):", line):
            security = match[1] == "Security fixes"
        elif security and (match := re.match(r"[\s#0-9:,-]*?(CVE-\d+-\d+)[^-]*?(?:--|for function)", line)):
            found.setdefault(match[1], ([("", release)], "", ""))
    return _merged(rows, "expat", "expat", found, notes)


def read_bitnami(clone: Clone, rows: list[Row], notes: list[str]) -> list[Row]:
    for folder, component in FOLDERS.items():
        found = {}
        for _path, text in clone.texts(clone.files(f"data/{folder}/")):
            record = json.loads(text)
            events = [one["events"] for affected in record["affected"] for one in affected.get("ranges", [])]
            names = [name for name in record["aliases"] if name.startswith("CVE-")]
            pairs = [pair for some in events for pair in _pairs(some)]
            found[names[0]] = (pairs, record["database_specific"].get("severity", ""), "")
        rows = _merged(rows, component, "bitnami", found, notes)
    return rows


def read_nvd(clone: Clone, rows: list[Row], notes: list[str]) -> list[Row]:
    for cpe, component in CPES.items():
        paths = clone.git("grep", "-lF", f"cpe:2.3:a:{cpe}:", "HEAD", "--", "data").replace("HEAD:", "").splitlines()
        found = {}
        for path, text in clone.texts(paths):
            record = json.loads(text)
            nodes = [node for one in record["cve"].get("configurations", []) for node in one["nodes"]]
            matches = [match for node in nodes for match in node["cpeMatch"] if match.get("vulnerable")]
            pairs = [_bounds(one) for one in matches if ":".join(one["criteria"].split(":")[3:5]) == cpe]
            found[Path(path).stem] = (pairs, "", (record["_annotation"].get("published") or "")[:10])
        rows = _merged(rows, component, "nvdx", found, notes)
    return rows


def _bounds(match: Mapping[str, Any]) -> Pair:
    end = match.get("versionEndExcluding", "")
    return match.get("versionStartIncluding", ""), end or (
        _after(match["versionEndIncluding"]) if "versionEndIncluding" in match else ""
    )


def _pairs(events: Iterable[Mapping[str, str]]) -> Iterator[Pair]:
    """Yield the half-open intervals of an OSV range."""
    start: str | None = None
    for event in events:
        ((kind, version),) = event.items()
        if kind == "introduced":
            start = version
        elif start is not None:
            yield start, version if kind == "fixed" else _after(version)
            start = None
    if start is not None:
        yield start, ""


def _after(version: str) -> str:
    """Return the version after the last affected one."""
    *parts, last = re.sub(r"[^0-9.].*", "", version).rstrip(".").split(".")
    return ".".join([*parts, str(int(last) + 1)])


def _merged(
    rows: list[Row], component: str, source: str, found: Mapping[str, tuple[list[Pair], str, str]], notes: list[str]
) -> list[Row]:
    """Return the rows with what a source says of a component. A stronger source's ranges stay."""
    known = {row["id"]: row for row in rows if row["component"] == component}
    elsewhere = {row["id"] for row in rows if row["component"] != component}
    for name, (pairs, severity, published) in found.items():
        affected = _affected(pairs, component)
        row = known.get(name)
        if not affected or (row is None and name in elsewhere):
            continue
        if row is None:
            row = dict.fromkeys(advisories.COLUMNS, "") | {
                "component": component,
                "id": name,
                "title": f"{component}: see {name}",
            }
            rows = [*rows, row]
            notes.append(f"{name} of {component} is new: write its title, and where it applies (the column only)")
        if STRENGTH.index(source) <= STRENGTH.index(row["source"]):
            row |= {"affected": affected, "source": source}
        row["severity"] = severity if source == "openssl" and severity else row["severity"] or severity
        row["published"] = row["published"] or published
    return rows


def _affected(pairs: Iterable[Pair], component: str) -> str:
    """Return intervals as the table has them; empty where no build has such a version."""
    texts: dict[tuple[Any, ...], str] = {}
    for start, end in ((_plain(start), _plain(end)) for start, end in pairs):
        try:
            first, last = advisories.version_key(start or "0"), advisories.version_key(end or "9999")
        except ContentError:
            continue  # such as 0.9.6-cvs, which is older than any build
        if last[1] and first >= last and first[0] == last[0]:
            # "From 3.13 to before 3.13.0rc2" means the pre-releases before that one.
            start = ".".join([*map(str, first[0]), "0", "0"][:3]) + "a0"
            first = advisories.version_key(start)
        oldest = advisories.version_key(OLDEST.get(component, "0"))
        # OpenSSL has a row for each branch, and its branches before 1.1.1 are in no build.
        if first >= last or last <= oldest or (component == "openssl" and first < oldest):
            continue
        bounds = [f">={start}"] if start and start != "0" else []
        texts[first, last] = ",".join([*bounds, *([f"<{end}"] if end else [])]) or "*"
    return ";".join(texts[key] for key in sorted(texts))


def _plain(version: str) -> str:
    """Return a version as CPython writes it: 3.15.0a1 for 3.15.0-alpha1."""
    return re.sub("-?(alpha|beta|rc)(?=[0-9])", lambda match: {"alpha": "a", "beta": "b", "rc": "rc"}[match[1]], version)


# The end of support.


def read_eol(clone: Clone, rows: list[Row], notes: list[str]) -> list[Row]:
    by_minor = {row["cpython"]: row for row in rows}
    for block in clone.text("products/python.md").split("\n  - releaseCycle: ")[1:]:
        minor = block.partition("\n")[0].strip().strip("\"'")
        days = dict(re.findall(r"^    (releaseDate|eoas|eol): ([0-9-]{10})", block, re.MULTILINE))
        if len(days) == 3 and re.fullmatch(r"3\.([7-9]|[1-9][0-9])", minor):
            if minor not in by_minor:
                notes.append(f"CPython {minor} is new in the table of the end of life")
            by_minor[minor] = {
                "cpython": minor,
                "first_release": days["releaseDate"],
                "end_of_bugfix": days["eoas"],
                "end_of_security": days["eol"],
                "source": "endoflife.date",
            }
    return list(by_minor.values())


Reader = Callable[[Clone, list[Row], list[str]], list[Row]]
# In this order: a later source corrects a weaker one.
READERS: Mapping[str, tuple[str, Reader]] = {
    PBS: ("components.tsv", read_components),
    BITNAMI: ("advisories.tsv", read_bitnami),
    NVD: ("advisories.tsv", read_nvd),
    OPENSSL: ("advisories.tsv", read_openssl),
    EXPAT: ("advisories.tsv", read_expat),
    EOL: ("eol.tsv", read_eol),
}
ORDERS: Mapping[str, Callable[[Row], Any]] = {
    "components.tsv": lambda row: (row["release"], row["component"], row["version"], row["applies"]),
    "advisories.tsv": lambda row: (row["component"], row["id"][:4], [int(number) for number in re.findall("[0-9]+", row["id"])]),
    "eol.tsv": lambda row: int(row["cpython"].partition(".")[2]),
}


if __name__ == "__main__":
    sys.exit(main())
