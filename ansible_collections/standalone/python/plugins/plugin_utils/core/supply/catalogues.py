# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the catalogue that the option ``catalogue`` names."""

from __future__ import annotations

import os
from dataclasses import replace

from ..archives.cache import os_reason, use_cache
from ..archives.source import SUMS, Source, parse_url, url_of, without_credentials
from ..archives.store import Store, require_archive
from ..archives.texts import TEXT_AGE, local_path, read_text
from ..builds.catalogue import Catalogue, bundled, from_rows, parse_filename
from ..builds.sums import parse_sums, rows_from_sums
from ..errors import ContentError, StandalonePythonError, TransportError
from .user_catalogue import updated

CATALOGUE = "catalogue.tsv"
"""The name of a mirror's catalogue, at its top."""


def load_catalogue(store: Store, source: Source, catalogue: str = "") -> Catalogue:
    """Return the catalogue to choose builds from.

    :param catalogue: a path or URL of rows, or a folder of releases. Empty and ``bundled`` mean the source's own
        catalogue if it has one (a folder, or a server with a ``catalogue.tsv``), else the bundled catalogue.
        ``updated`` means the bundled catalogue plus the rows of this user's last update.
        If the source is an archive, the catalogue contains only that archive.
    :raises ContentError: it is not a valid catalogue
    :raises TransportError: it can't be downloaded or read, and the cache has no copy
    """
    if source.kind == "archive":
        return _catalogue_of_archive(store, source)
    if catalogue in ("", "bundled"):
        if source.kind == "folder":
            return _catalogue_of_folder(source.location)
        return _own_catalogue(store, source) if source.kind == "url" else bundled()
    if catalogue == "updated":
        return updated(store.root)
    if "://" in catalogue:
        address = parse_url(catalogue, "catalogue")
        with use_cache(store.root):
            text, kept = store.texts.get((address,), source, age=TEXT_AGE)
        return from_rows(f"the catalogue {without_credentials(address)}{kept}", text)
    if local_path(catalogue).is_dir():
        return _catalogue_of_folder(catalogue)
    return from_rows(f"the catalogue {catalogue}", read_text(local_path(catalogue), "catalogue"))


def _own_catalogue(store: Store, source: Source) -> Catalogue:
    """Return a server's own catalogue; the bundled one if the server has none or can't be reached. The remark has the reason,
    and appears if a build is missing. An archive that can't be downloaded has its own error."""
    address = url_of(source.location, CATALOGUE)
    with use_cache(store.root):
        try:
            text, remark = store.texts.get((address,), source, age=TEXT_AGE, optional=True)
        except StandalonePythonError as error:
            text, remark = "", str(error)
    if text:
        return from_rows(f"the catalogue {without_credentials(address)}{remark}", text)
    return replace(bundled(), remark=f"the source's own catalogue is unknown: {remark}")


def _catalogue_of_archive(store: Store, source: Source) -> Catalogue:
    name = os.path.basename(source.location)
    try:
        build = parse_filename(name)
    except (StandalonePythonError, ValueError):
        raise ContentError(
            f"the name of the archive {source.location} does not identify a build: rename it to upstream's name, such as "
            "cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
        ) from None
    require_archive(local_path(source.location))
    return from_rows(f"the archive {source.location}", f"{build.release}\t{name}\t{store.sha256(build, source)}\n")


def _catalogue_of_folder(location: str) -> Catalogue:
    """Return the catalogue of a folder: the files that its SHA256SUMS files list and that exist."""
    folder = local_path(location)
    rows: list[str] = []
    count_listed = count_present = 0
    try:
        # Newest release first. Folders with other names are not releases.
        releases = sorted(folder.glob(f"{8 * '[0-9]'}/{SUMS}"), reverse=True)
        for sums in releases:
            text, present = read_text(sums, SUMS), set(os.listdir(sums.parent))
            names = parse_sums(text, sums.parent.name).known.keys()
            count_listed, count_present = count_listed + len(names), count_present + len(names & present)
            lines = rows_from_sums(sums.parent.name, text).splitlines(keepends=True)
            rows += [line for line in lines if line.split("\t")[1] in present]
    except OSError as error:
        raise TransportError(f"the folder {location} can't be read ({os_reason(error)}): check its permissions") from None
    if not releases:
        raise ContentError(
            f"the folder {location} is not a source of builds: it has no TAG/{SUMS}; "
            f"use upstream's layout, TAG/FILE and TAG/{SUMS}"
        )
    note = f" ({count_present} of {count_listed} listed files exist)" if count_present < count_listed else ""
    return from_rows(f"the folder {location}{note}", "".join(rows))
