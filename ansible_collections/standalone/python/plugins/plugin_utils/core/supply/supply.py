# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The builds of one declaration: its source, its catalogue or lock file, and the controller's cache.

Each is opened when it is first needed. A run that changes nothing needs only the lock file, if there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..builds.catalogue import Build, Catalogue, builds, bundled, resolve
from ..builds.request import Request, with_parts
from ..builds.target import Target, for_level, from_facts, named_target
from ..errors import ContentError, TransportError, sanitized
from ..progress import DECISIONS, trace, traced
from ..state.declaration import Attestations, Desired, parse_wanted
from .lock import Lock, Locked, Slot, locked_build, read_lock

if TYPE_CHECKING:
    from ..archives.source import Source
    from ..archives.store import Payload, Store
    from ..security.advisories import Assessment, Tables
    from .known_tables import Known
    from .published import Published

ASSUMED = "the bundled catalogue names this build, as the source's own catalogue is unknown"
"""The end of an error about a build that the source may lack."""


class Supply:
    """
    :ivar remarks: sentences to show to the user that are not failures
    """

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._resolved: dict[tuple[Request, Target, Build | None], Build] = {}
        self._assumed: set[str] = set()
        self._assessed: dict[Build, Assessment] = {}
        self.remarks: list[str] = []
        self._attested: set[str] = set()

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
        """Return a supply without a declaration, for commands that install nothing."""
        desired = Desired(
            (),
            source=source,
            catalogue=catalogue,
            checksum=checksum,
            token=token,
            lockfile=lockfile,
            attestations=attestations,
            trusted_root=trusted_root,
        )
        return cls(desired)

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
            return bundled()  # without the store: importing it takes longer than finding a row
        from .catalogues import load_catalogue

        return load_catalogue(self.store, self.source, self._desired.catalogue)

    def known_builds(self, triples: Iterable[str]) -> Iterator[Build]:
        """Yield the builds for some triples that the catalogue, the bundled catalogue or the lock file names, some twice."""
        wanted = tuple(triples)
        if self._desired.lockfile:
            yield from (entry.build for entry in self.lock.builds if entry.build.triple in wanted)
        # A mirror may lack old builds that hosts still have.
        yield from builds(bundled(), triples=wanted)
        yield from builds(self.catalogue, triples=wanted)

    @property
    def tables(self) -> Tables:
        return self.known_tables.tables

    @cached_property
    def known_tables(self) -> Known:
        """The newest tables of advisories: bundled, of this user's last update, or of the source."""
        from .known_tables import known_tables, with_tables_of_source

        known = known_tables()
        if self.source.kind in ("url", "folder"):
            known = with_tables_of_source(known, self.store, self.source)
        self.remarks += known.remarks
        return known

    def assess(self, build: Build) -> Assessment:
        """
        :raises ContentError: the components of the build are unknown
        """
        from ..security.advisories import assess

        # Builds that differ in flavor and optimisation only contain the same.
        key = replace(build, options=build.variant, flavor="full", filename="", sha256=None)
        if key not in self._assessed:
            self._assessed[key] = assess(key, tables=self.tables)
        return replace(self._assessed[key], build=build)

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
            build = self._resolved[key] = self._find(request, target, current)
            if traced(DECISIONS):
                origin = f"the lock file {self._desired.lockfile}" if self._desired.lockfile else self.catalogue.name
                remark = "" if self._desired.lockfile else self.catalogue.remark
                trace(DECISIONS, f"{request.text} on {target} is {build.name} by {origin}{remark and f'; {remark}'}")
        return self._resolved[key]

    def _find(self, request: Request, target: Target, current: Build | None) -> Build:
        if self._desired.lockfile:
            return locked_build(self.lock, request, target, self._desired.lockfile)
        # A request that names a release asks for it, however young it is.
        if request.release or not self._desired.selective:
            build = resolve(request, target, self.catalogue)
        else:
            from .policy import find_upgrade, policy_of

            build = find_upgrade(request, target, self.catalogue, current, policy_of(self._desired), self.assess)
        if self.catalogue.remark:
            self._assumed.add(build.name)
        return build

    def assumption(self, builds: Iterable[Build]) -> str:
        """Return a sentence on those builds that the bundled catalogue names for a server that may lack them; empty without such
        builds. The server has no catalogue, or can't be reached."""
        names = sorted({build.name for build in builds} & self._assumed)
        if not names:
            return ""
        return f"the source may lack {', '.join(names)}, as only the bundled catalogue was asked; {self.catalogue.remark}"

    @contextmanager
    def _assumption_explained(self, build: Build) -> Iterator[None]:
        """Say in the error of a build that the source lacks where the choice came from."""
        try:
            yield
        except (ContentError, TransportError) as error:
            if build.name not in self._assumed:
                raise
            raise TransportError(f"{error}; {ASSUMED}") from None

    def lock_entry(self, slot: Slot, current: Locked | None = None) -> Locked:
        """Return the entry of a lock file for a request on a target, without the size.

        :param current: the entry that an upgrade would replace; it is returned if the declaration admits no newer build
        :raises StandalonePythonError: there is no such build, or its checksum is unknown
        """
        build = self.resolve_for(slot.request, slot.host, current.build if current else None)
        if current and build is current.build:
            return current
        return Locked(*slot.key, replace(build, sha256=self.sha256(build)), self.shown_url(build))

    def find_attestations(self, build: Build, have: str = "") -> str:
        """Return the attestations of a build's archive, one per line; at least one is verified. Empty if the source has none
        and none are required.

        :param have: the attestations that are already here; if they don't verify, the source's are downloaded
        :raises ContentError: they are wrong, or there are none and they are required
        :raises StandalonePythonError: they can't be downloaded or verified
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
        """Verify a build's attestations before anything of it goes to a host, if the declaration wants that."""
        if self._desired.attestations == "off":
            return
        from ..archives.attestation import FOLDER, name_of
        from ..archives.texts import read_optional_text

        beside = os.path.join(os.path.dirname(os.path.expanduser(self._desired.lockfile)), FOLDER, name_of(build))
        if self.find_attestations(build, read_optional_text(beside) if self._desired.lockfile else ""):
            self._attested.add(build.name)

    def attested(self, build: Build) -> str:
        """Return ``yes`` if an attestation of the build's archive was verified in this run, else ``no``."""
        return "yes" if build.name in self._attested else "no"

    def payload(self, build: Build, *, zstd: bool) -> Payload:
        with self._assumption_explained(build):
            self._require_attestations(build)
            return self.store.payload(build, self._source_of(build), zstd=zstd)

    def locked_payload(self, build: Build) -> Payload:
        """Return the payload that is packed from the archive with the checksum of ``build``, which a lock file has or gets."""
        return self.store.payload(build, replace(self.source, checksum=build.sha256 or ""), zstd=False)

    def sha256(self, build: Build) -> str:
        with self._assumption_explained(build):
            return self.store.sha256(build, self._source_of(build))

    def _source_of(self, build: Build) -> Source:
        """Return the source; for a single archive, with the checksum of the lock file."""
        locked = self._desired.lockfile and self.source.kind == "archive"
        return replace(self.source, checksum=build.sha256 or "") if locked else self.source

    def urls(self, build: Build) -> tuple[str, ...]:
        """Return the URLs from which a host can download a build."""
        from ..archives.source import urls

        self._require_attestations(build)
        return urls(self.source, build)

    @property
    def token(self) -> str:
        return self._desired.token

    @property
    def token_for_hosts(self) -> str:
        """The token that a host needs to download a build. It is only for the source's own server; upstream needs none."""
        return self._desired.token if self.source.kind == "url" else ""

    def published(self, build: Build, bases: Iterable[Build]) -> tuple[Build, Published, tuple[str, ...]] | None:
        """Return a delta that the mirror publishes, with the installed build that it needs and its URLs.

        The mirror's list says which tar a delta makes. It counts if the mirror's own catalogue chose the build, or if the lock
        file has the same sum. Another catalogue and attestations guarantee the whole archive only.
        """
        desired = self._desired
        if self.source.kind != "url" or desired.attestations != "off":
            return None
        tar = ""
        if desired.lockfile:
            from .tars import locked_tar

            if not (tar := locked_tar(self.lock, build)):
                return None
        elif desired.catalogue not in ("", "bundled") or build.name in self._assumed:
            return None
        from ..archives.source import url_of
        from .published import parse_published

        listed = {(one.archive, one.base): one for one in parse_published(self._deltas) if one.size}
        digest = self.sha256(build)
        for base in bases:
            one = listed.get((digest, base.sha256 or ""))
            if one is None or (one.release, one.filename) != (build.release, build.filename):
                continue
            if tar in ("", one.tar):
                return base, one, (url_of(self.source.location, one.release, one.name),)
        return None

    @cached_property
    def _deltas(self) -> str:
        """The mirror's list of deltas; empty if it has none, or can't be reached."""
        from ..archives.cache import use_cache
        from ..archives.source import url_of
        from ..archives.texts import TEXT_AGE
        from ..errors import StandalonePythonError
        from .published import DELTAS

        try:
            with use_cache(self.store.root):
                return self.store.texts.get((url_of(self.source.location, DELTAS),), self.source, TEXT_AGE, optional=True)[0]
        except StandalonePythonError:
            return ""

    def shown_url(self, build: Build) -> str:
        """Return where a build comes from, for people and receipts: without credentials, in ASCII."""
        from ..archives.source import urls, without_credentials

        return sanitized(without_credentials(urls(self.source, build)[0]), None)


def lookup_build(supply: Supply, wanted: Any, triple: str, flavor: str = "") -> dict[str, str]:
    """Return the build that a request resolves to on a target triple, as plain data.

    :param wanted: the request, as an element of ``builds``
    :raises StandalonePythonError: the request or the triple is not valid, there is no build, or its checksum is unknown
    """
    request, target = with_parts(parse_wanted(wanted).request, flavor=flavor), named_target(triple)
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
