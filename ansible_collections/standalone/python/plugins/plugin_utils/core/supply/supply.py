# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one declaration's builds come from: its source, its catalogue or lock file and the controller's cache, each opened when
it is first needed. A declaration that finds everything in place needs none of them, but for a lock file, which says what that is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..builds.catalogue import Build, Catalogue, bundled, resolve
from ..builds.request import Request, with_parts
from ..builds.target import Target, for_level, from_facts, parse_triple
from ..errors import ContentError, sanitized
from ..state.declaration import Attestations, Desired, parse_wanted
from .lock import Lock, Locked, Slot, locked_build, read_lock

if TYPE_CHECKING:
    from ..archives.source import Source
    from ..archives.store import Payload, Store


class Supply:
    """
    :ivar remarks: sentences that the user is to be told, but that are no failures
    """

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._resolved: dict[tuple[Request, Target, Build | None], Build] = {}
        self.remarks: list[str] = []

    @classmethod
    def of(
        cls,
        *,
        source: str = "upstream",
        catalogue: str = "bundled",
        checksum: str = "",
        token: str = "",
        lockfile: str = "",
        attestations: Attestations = "off",
        trusted_root: str = "",
    ) -> Supply:
        """For a front end that installs nothing."""
        told = Desired(
            (),
            source=source,
            catalogue=catalogue,
            checksum=checksum,
            token=token,
            lockfile=lockfile,
            attestations=attestations,
            trusted_root=trusted_root,
        )
        return cls(told)

    @cached_property
    def source(self) -> Source:
        from ..archives.source import parse_source

        return parse_source(self._desired.source, self._desired.checksum)

    @cached_property
    def store(self) -> Store:
        from ..archives.store import Store

        return Store(token=self._desired.token)

    @cached_property
    def catalogue(self) -> Catalogue:
        if self._desired.catalogue in ("", "bundled") and self.source.kind == "upstream":
            return bundled()  # without the store, which takes longer to import than a row to find
        from .catalogues import load_catalogue

        return load_catalogue(self.store, self.source, self._desired.catalogue)

    @cached_property
    def lock(self) -> Lock:
        return read_lock(self._desired.lockfile)

    def resolve(self, request: Request, facts: Mapping[str, str], current: Build | None = None) -> Build:
        """
        :param current: the installed build that an upgrade would replace; it counts only with ``security_only`` or ``cooldown``
        :raises NoBuildError: no build for the request on a host with these facts
        """
        return self.resolve_for(request, from_facts(facts), current)

    def resolve_for(self, request: Request, target: Target, current: Build | None = None) -> Build:
        key = (request, target, current)
        if key not in self._resolved:
            self._resolved[key] = self._find(request, target, current)
        return self._resolved[key]

    def _find(self, request: Request, target: Target, current: Build | None) -> Build:
        if self._desired.lockfile:
            return locked_build(self.lock, request, target, self._desired.lockfile)
        # A request that names a release asks for it, however young it is.
        if request.release or not self._desired.selective:
            return resolve(request, target, self.catalogue)
        from .policy import find_upgrade, policy_of

        return find_upgrade(request, target, self.catalogue, current, policy_of(self._desired))

    def lock_entry(self, slot: Slot, current: Locked | None = None) -> Locked:
        """What a lock file has to say of a request on a target, but for the size.

        :param current: the entry that an upgrade would replace; it is returned where the declaration admits no newer build

        :raises StandalonePythonError: there is no such build, or its checksum can't be had
        """
        build = self.resolve_for(slot.request, slot.host, current.build if current else None)
        if current and build is current.build:
            return current
        return Locked(*slot.key, replace(build, sha256=self.sha256(build)), self.shown_url(build))

    def find_attestations(self, build: Build, have: str = "") -> str:
        """The attestations of a build's archive, one a line, of which one is found right; empty where there are none and none are
        required.

        :param have: those that are at hand; the source is asked where there are none
        :raises ContentError: they are wrong, or there are none and they are required
        :raises StandalonePythonError: they can't be had or not be verified
        """
        from ..archives import attestation

        digest, root = self.sha256(build), os.path.expanduser(self._desired.trusted_root)
        if have and attestation.verify(have, build, digest, root):
            return have
        lines = self.store.attestations(build, digest, self._source_of(build))
        if attestation.verify(lines, build, digest, root):
            return lines
        sentence = attestation.missing(build, "at GitHub" if self.source.kind == "upstream" else f"beside it in {self.source}")
        if self._desired.attestations == "require":
            raise ContentError(f"{sentence}: choose another build or source, or allow it with attestations: prefer")
        self.remarks.append(sentence)
        return ""

    def _require_attestations(self, build: Build) -> None:
        """Nothing goes to a host whose attestations are asked for and are wrong or missing."""
        if self._desired.attestations == "off":
            return
        from ..archives.attestation import FOLDER, name_of
        from ..archives.texts import read_optional_text

        beside = os.path.join(os.path.dirname(os.path.expanduser(self._desired.lockfile)), FOLDER, name_of(build))
        self.find_attestations(build, read_optional_text(beside) if self._desired.lockfile else "")

    def payload(self, build: Build, *, zstd: bool) -> Payload:
        self._require_attestations(build)
        return self.store.payload(build, self._source_of(build), zstd=zstd)

    def sha256(self, build: Build) -> str:
        return self.store.sha256(build, self._source_of(build))

    def _source_of(self, build: Build) -> Source:
        """The source; of a single archive the lock file knows the checksum."""
        locked = self._desired.lockfile and self.source.kind == "archive"
        return replace(self.source, checksum=build.sha256 or "") if locked else self.source

    def urls(self, build: Build) -> tuple[str, ...]:
        """Where a host can fetch a build itself."""
        from ..archives.source import urls

        self._require_attestations(build)
        return urls(self.source, build)

    @property
    def token(self) -> str:
        return self._desired.token

    @property
    def token_for_hosts(self) -> str:
        """The token that a host needs to fetch a build itself; it is for the source's own host, and upstream needs none."""
        return self._desired.token if self.source.kind == "url" else ""

    def shown_url(self, build: Build) -> str:
        """Where a build comes from, for people and receipts: without credentials, and in letters that every host can read."""
        from ..archives.source import urls, without_credentials

        return sanitized(without_credentials(urls(self.source, build)[0]), None)


def lookup_build(supply: Supply, wanted: Any, triple: str, flavor: str = "") -> dict[str, str]:
    """The build that a request means on a target triple, as plain data.

    :param wanted: the request, as an element of ``builds``

    :raises StandalonePythonError: the request or the triple can't be read, there is none, or its checksum can't be had
    """
    request, target = with_parts(parse_wanted(wanted).request, flavor=flavor), parse_triple(triple)
    build = supply.resolve_for(for_level(request, target), target)
    return {
        "filename": build.filename,
        "url": supply.shown_url(build),
        "sha256": supply.sha256(build),
        "version": str(build.version),
        "release": build.release,
        "target": build.triple,
        "flavor": build.flavor,
    }
