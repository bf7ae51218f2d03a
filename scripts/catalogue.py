#!/usr/bin/env python3
# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates and updates the data of the bundled catalogue: one file for each minor version, newest release first.

    scripts/catalogue.py from-tsv FILE            create it from rows `tag<TAB>file name<TAB>sha256 or -[<TAB>size]`
    scripts/catalogue.py refresh [--since TAG]    add the builds of GitHub's releases and their SHA256SUMS

A refresh never drops a row, and fills in unknown checksums. If a checksum differs from the known one, it writes nothing.
GITHUB_TOKEN, if set, is sent to GitHub only. Downloads are cached with ETags, so unchanged data is not downloaded again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.fetch import Http
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds import catalogue
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import StandalonePythonError
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.github import API, read_rows, refresh, render
from ansible_collections.standalone.python.plugins.plugin_utils.core.supply.update import (
    CachedGet,
    load_catalogue_rows,
    write_catalogue,
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Makes and refreshes the data of the bundled catalogue.")
    parser.add_argument("--data", type=Path, default=Path(catalogue.DATA), help="folder of the data")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("from-tsv", help="create the data from a file of rows, and replace the old data")
    made.add_argument("file", type=Path)
    renewed = commands.add_parser("refresh", help="add upstream's new builds")
    renewed.add_argument("--since", default="", metavar="TAG", help="only releases with this tag or a newer one")
    renewed.add_argument("--api", default=API, help="URL of GitHub's list of releases")
    renewed.add_argument("--kept", type=Path, help="folder for cached downloads; by default the user's cache")
    options = parser.parse_args(arguments)
    try:
        return _from_tsv(options) if options.command == "from-tsv" else _refresh(options)
    except (StandalonePythonError, OSError) as error:
        print(f"catalogue.py: {error}", file=sys.stderr)
        return 1


def _from_tsv(options: argparse.Namespace) -> int:
    rows = read_rows(str(options.file), options.file.read_text("utf-8"))
    changed = write_catalogue(options.data, rows)
    for path in options.data.glob("*.tsv"):
        if path.name not in render(rows):
            path.unlink()
            changed.append(path.name)
    print(f"{len(rows)} builds; {len(changed)} files changed: {', '.join(changed) or 'none'}")
    return 0


def _refresh(options: argparse.Namespace) -> int:
    if options.kept is None:
        import platformdirs

        options.kept = platformdirs.user_cache_path("standalone-python") / "refresh"
    rows = load_catalogue_rows(options.data)
    before, unknown = len(rows), sum(known.sha256 == "-" for known in rows.values())
    count = refresh(rows, CachedGet(options.kept, Http()), options.api, options.since)
    filled = unknown - sum(rows[key].sha256 == "-" for key in list(rows)[:before])
    changed = write_catalogue(options.data, rows)
    print(
        f"{count} releases read: {len(rows) - before} builds added, {filled} checksums filled in; "
        f"{len(changed)} files changed: {', '.join(changed) or 'none'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
