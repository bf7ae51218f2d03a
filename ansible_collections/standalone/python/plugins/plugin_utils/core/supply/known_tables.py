# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest tables of advisories that are known here: the bundled ones, those of the last update, and those of a mirror.

    <root>/catalogue/advisories.json    what ``catalogue update`` fetched last
    MIRROR/advisories.json              what ``mirror sync`` wrote beside the list of builds

Tables that can't be read are never used: the newest of the others stay in use, and one sentence says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..archives.cache import atomic_write, default_root, make_private, os_reason, require_private, use_cache
from ..archives.source import Source, url_of, without_credentials
from ..archives.texts import TEXT_AGE, local_path, read_text
from ..errors import ContentError, StandalonePythonError, TransportError
from ..security.advisories import Tables, bundled_tables
from ..security.tables import DOCUMENT, bundled_document, parse_document
from .user_catalogue import FOLDER

if TYPE_CHECKING:
    from ..archives.store import Store

LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Known:
    """
    :ivar text: the document of the tables; empty for the bundled ones
    :ivar remarks: why newer tables are not used, as sentences
    """

    tables: Tables
    text: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """The document of the tables, for a mirror."""
        return self.text or bundled_document()

    def or_newer(self, where: str, read: Callable[[], str]) -> Known:
        """Return the tables of a place if they can be read and are newer.

        :param where: for messages
        :param read: returns the document; empty if there is none
        """
        try:
            text = read()
            if not text:
                return self
            if len(text) > LARGEST:
                raise ContentError(f"{where} is larger than {LARGEST} bytes: check that it is the right file")
            tables = parse_document(text, where, today())
        except StandalonePythonError as error:
            return Known(self.tables, self.text, (*self.remarks, f"{error}; the tables of {self.tables.date} stay in use"))
        return Known(tables, text, self.remarks) if tables.date > self.tables.date else self


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def known_tables(root: Path | None = None) -> Known:
    """Return the newest tables that this user has.

    :param root: the cache; by default the user's
    :raises ContentError: the bundled tables can't be read
    """
    known = Known(bundled_tables())
    try:
        path = (default_root() if root is None else root) / FOLDER / DOCUMENT
        exists = path.exists()
    except (OSError, TransportError):
        return known
    return known.or_newer(str(path), lambda: _read_private(path)) if exists else known


def with_tables_of_source(known: Known, store: Store, source: Source) -> Known:
    """Return the tables of a mirror if they are newer. A mirror without tables is in order."""
    if source.kind == "folder":
        path = local_path(source.location) / DOCUMENT
        return known.or_newer(str(path), lambda: read_text(path, "document") if path.exists() else "")
    if source.kind != "url":
        return known
    address = url_of(source.location, DOCUMENT)

    def fetch() -> str:
        with use_cache(store.root):
            return store.texts.get((address,), source, age=TEXT_AGE, optional=True)[0]

    return known.or_newer(without_credentials(address), fetch)


def keep_tables(root: Path, text: str, where: str) -> Tables | None:
    """Keep the tables of a document in the cache; None if those in use are as new.

    :raises ContentError: they can't be read; what is kept stays
    :raises TransportError: the cache can't be written to
    """
    if len(text) > LARGEST:
        raise ContentError(f"{where} is larger than {LARGEST} bytes: check that it is the right file")
    tables = parse_document(text, where, today())
    if tables.date <= known_tables(root).tables.date:
        return None
    with use_cache(root):
        folder = root / FOLDER
        make_private(folder)
        with atomic_write(folder / DOCUMENT) as out:
            out.write(text.encode())
    return tables


def newer_document(text: str, there: str) -> str:
    """Return the document that a mirror gets: the one that it has if that can be read and is newer."""
    if not there or there == text:
        return text
    try:
        return there if parse_document(there, DOCUMENT, today()).date > parse_document(text, DOCUMENT, today()).date else text
    except ContentError:
        return text


def document_problem(text: str, name: str) -> str:
    """Return what is wrong with the document of a mirror; empty if it can be read."""
    try:
        parse_document(text, name, today())
    except ContentError as error:
        return str(error)
    return ""


def _read_private(path: Path) -> str:
    try:
        require_private(path.parent.parent)
        return read_text(path, "document")
    except OSError as error:
        raise TransportError(f"{path} can't be read ({os_reason(error)}): check its permissions") from None
