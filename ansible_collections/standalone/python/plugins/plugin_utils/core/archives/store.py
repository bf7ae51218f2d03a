# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's cache: verified archives, and the payloads for hosts, which are packed once for a whole fleet.

No file is trusted because it exists. An archive is hashed before it is read. A payload is used only if it is the recorded file
(size, times, inode) or has the recorded hash. No file gets its name before it is complete.

    <root>/builds/<build's name>-<start of the archive's sha256>/
        <file name>        the archive, if it was downloaded; archives in local folders are not copied
        <file name>.part   an interrupted download of it, which the next run continues
        payload.tar.zst    the payload, or payload.tar.gz; payload.tar.zst.json describes it
        delta-...          see ``deltas``
        lock               held by the process that works in the folder
    <root>/unzstd/lock     held by the process that reads a .tar.zst
    <root>/texts/          SHA256SUMS files and other texts, named by a hash of their addresses
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..errors import ContentError, TransportError
from .cache import (
    TEMPORARY,
    atomic_write,
    default_root,
    exclusive_lock,
    file_stamp,
    make_private,
    os_reason,
    remove_stale_parts,
    use_cache,
)
from .compression import require_zstandard
from .contents import size_limit, touch, trim
from .source import SUMS, Source, sums_urls, url_below, urls, without_credentials
from .texts import TEXT_AGE, Texts, local_path, read_optional_text, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..builds.catalogue import Build, Compression
    from ..builds.sums import Sums
    from .archive import Packed
    from .fetch import Fetch
    from .unzstd import Readable

    Meanwhile = Callable[[Readable, int], "Payload"]

# Bytes: well above the largest archive of upstream.
LARGEST_ARCHIVE = 1 << 30

# The version of how payloads are made. A cached payload of another version is made again.
RECIPE = 6


@dataclass(frozen=True, slots=True)
class Payload:
    """A tar for a host: one tree ``python/``, whose last member is the list of its files (see ``archive``).

    :param sha256: of the file at ``path``, 64 hexadecimal digits
    :param size: of that file, in bytes
    :param unpacked: about the bytes that it takes on a file system with blocks of 4 KiB
    :param files: files and links in it, without the list
    :param inodes: files, links and folders in it, without the list and its folder
    :param split: bytes of its first half (see ``archive.pack``); 0 if it has one part only
    """

    path: Path
    sha256: str
    compression: Compression
    size: int
    unpacked: int
    files: int
    inodes: int
    split: int = 0


def room(files: Payload | Packed) -> tuple[int, int]:
    """Return the kilobytes and the inodes that a host needs for a build."""
    # A tenth for the file system's overhead. Inodes besides the archive's own: staging, receipt, bytecode of the modules that the
    # finisher imports.
    return files.unpacked * 11 // 10 // 1024 + 1, files.inodes + 20


class Store:
    """The cache below ``root``; by default the folder that STANDALONE_PYTHON_CACHE names, or the user's cache folder.

    :param fetch: the downloader; HTTP by default
    :param token: for the source's own host, with the default downloader
    """

    def __init__(self, root: Path | None = None, fetch: Fetch | None = None, *, token: str = "") -> None:
        self.root = root or default_root()
        self._fetcher = fetch
        self._token = token
        self.texts = Texts(self.root, self._fetch, token)

    def payload(self, build: Build, source: Source, *, zstd: bool) -> Payload:
        """Return the payload of a build, from the cache or packed now.

        :param zstd: whether the host can read zstd
        :raises ContentError: the archive has the wrong checksum, or is unsafe
        :raises TransportError: the archive can't be downloaded or read, or the cache can't be written
        """
        compression = _compression(zstd)
        digest = self.sha256(build, source)
        with use_cache(self.root):
            folder = self.root / "builds" / f"{build.name}-{digest[:12]}"
            ready = recorded(folder, compression, digest)
            if ready is not None:
                touch(_about(ready.path))
                return ready
            limit = size_limit()
            make_private(folder)
            with exclusive_lock(folder) as locked:
                # Without a lock another process may be writing under the plain name.
                part = folder / f"{build.filename}{'' if locked else f'.{os.getpid()}'}{TEMPORARY}"
                remove_stale_parts(folder, sure=locked, keep=part.name)
                ready = recorded(folder, compression, digest, rehash=True)
                if ready is None:
                    ready = self._make(part, build, source, digest, compression)
                    trim(self.root, folder.name, limit)
                return ready

    def sha256(self, build: Build, source: Source) -> str:
        """Return the SHA-256 that a build's archive must have, as 64 hexadecimal digits.

        :raises ContentError: neither the build nor the source's SHA256SUMS has it
        """
        if source.kind == "archive":
            return source.checksum or self._beside(source)
        if build.sha256:
            return build.sha256
        from ..builds.sums import parse_sums
        from .failure import NotThereError

        where = without_credentials(sums_urls(source, build.release)[-1])
        try:
            sums = parse_sums(self._sums(source, build.release), build.release)
            if build.filename not in sums.known:
                sums = parse_sums(self._sums(source, build.release, age=TEXT_AGE), build.release)
        except NotThereError:
            raise _unknown(build, f"there is no {where}") from None
        if build.filename not in sums.known:
            raise _unknown(build, f"{where} does not list it{_quoted(sums)}")
        return sums.known[build.filename]

    def attestations(self, build: Build, digest: str, source: Source) -> str:
        """Return the attestations of a build's archive, one bundle a line, not verified; empty if the source has none.

        :param digest: the archive's SHA-256
        :raises StandalonePythonError: the source can't be reached
        """
        from . import attestation

        if source.kind in ("folder", "archive"):
            return read_optional_text(f"{urls(source, build)[0]}{attestation.ENDING}")
        upstream = source.kind == "upstream"
        if upstream and build.release < attestation.SINCE:
            return ""
        address = f"{attestation.API}{digest}" if upstream else url_below(source.location, build, attestation.ENDING)
        with use_cache(self.root):
            text, _kept = self.texts.get((address,), source, age=TEXT_AGE, optional=True)
        return attestation.from_api(text) if upstream and text else text

    def _beside(self, source: Source) -> str:
        from ..builds.sums import parse_sums

        name = os.path.basename(source.location)
        beside = local_path(sums_urls(source, "")[0])
        sums = parse_sums(read_text(beside, SUMS)) if beside.exists() else None
        digest = sums.known.get(name) if sums else None
        if digest is None:
            found = f"does not list it{_quoted(sums)}" if sums else "does not exist"
            raise ContentError(
                f"the checksum of the archive {source.location} is unknown: none was given, and {beside} "
                f"{found}; set checksum to sha256:HEX, or put upstream's {SUMS} next to it"
            )
        return digest

    def _sums(self, source: Source, tag: str, age: float | None = None) -> str:
        """Return the SHA256SUMS of a release, from the cache if it is not older than ``age`` seconds."""
        addresses = sums_urls(source, tag)
        if source.kind == "folder":
            return read_text(local_path(addresses[0]), SUMS)
        with use_cache(self.root):
            return self.texts.get(addresses, source, age)[0]

    def _fetch(self, source: Source, brief: bool) -> Fetch:
        from .fetch import BACKOFF, Http

        if self._fetcher is None:
            return Http(self._token, source.location, backoff=BACKOFF[:1] if brief else BACKOFF)
        if isinstance(self._fetcher, Http) and not self._fetcher.location:
            return replace(self._fetcher, location=source.location)
        return self._fetcher

    def _make(self, part: Path, build: Build, source: Source, digest: str, compression: Compression) -> Payload:
        from . import archive

        folder = part.parent
        for other in (self.root / "builds").iterdir():
            remove_stale_parts(other, sure=False, keep=part.name)
        if build.compression == "zst":
            require_zstandard()
        path, tree = folder / f"payload.tar.{compression}", archive.tree_of(build.flavor)
        # With zstd, tar takes most of the time, and two tars take as long. .NET reads only the first member of gzip.
        halves = compression == "gz" and "windows" not in build.triple

        def written(pack: Callable[[BinaryIO], Packed]) -> Payload:
            with atomic_write(path) as out:
                packed = pack(cast(BinaryIO, out))
                if packed.sha256 != digest:
                    raise _differs(Path(build.filename), digest, packed.sha256)
            sha256 = out.digest.hexdigest()
            return Payload(path, sha256, compression, out.size, packed.unpacked, packed.files, packed.inodes, packed.split)

        def meanwhile(file: Readable, size: int) -> Payload:
            return written(lambda out: archive.pack_arriving(file, build.filename, size, tree, out, compression, halves=halves))

        original, payload = self._original(part, build, source, digest, meanwhile)
        if payload is None:
            with self._turn(build):
                payload = written(lambda out: archive.pack(original, tree, out, compression, halves=halves))
        _record(payload, digest)
        return payload

    def _turn(self, build: Build) -> contextlib.AbstractContextManager[object]:
        """Return a lock for reading a .tar.zst, which needs much memory: one at a time on a controller."""
        if build.compression != "zst":
            return contextlib.nullcontext()
        folder = self.root / "unzstd"
        make_private(folder)
        return exclusive_lock(folder)

    def _original(
        self, part: Path, build: Build, source: Source, digest: str, meanwhile: Meanwhile
    ) -> tuple[Path, Payload | None]:
        """Return the verified archive of a build; download it if it is not cached. Return its payload too, if it was packed
        during the download.

        :param part: the file of its download, which an interrupted run may have begun
        """
        if source.kind in ("folder", "archive"):
            path = local_path(urls(source, build)[0])
            if path.name != build.filename:
                raise ContentError(
                    f"the source is the archive {path.name}, but {build.filename} is needed: name that one as the source"
                )
            require_archive(path)
            _verify(path, digest)
            return path, None
        path = part.with_name(build.filename)
        if path.exists():
            with contextlib.suppress(ContentError):
                _verify(path, digest)
                return path, None
            path.unlink()
        payload = self._download(part, build, source, digest, meanwhile)
        os.replace(part, path)
        return path, payload

    def _download(self, part: Path, build: Build, source: Source, digest: str, meanwhile: Meanwhile) -> Payload | None:
        from .overlap import PackedMeanwhile
        from .resume import complete, note_unfinished

        # Reading a .tar.zst needs so much memory that only one process at a time does it, and that must not wait for a server.
        arriving = PackedMeanwhile(part, meanwhile if build.compression == "gz" else None)
        fetch, addresses = self._fetch(source, False), urls(source, build)

        def receive() -> None:
            try:
                fetch.resume(addresses, part, max_bytes=LARGEST_ARCHIVE, watch=arriving)
            except ContentError:
                part.unlink(missing_ok=True)
                raise

        try:
            found = complete(arriving, digest, receive)
        except BaseException as ended:
            arriving.stop()
            if part.name != f"{build.filename}{TEMPORARY}":
                part.unlink(missing_ok=True)
            elif arriving.done:
                note_unfinished(ended, f"the next run continues the download of {build.filename}")
            raise
        payload = arriving.result()
        if found != digest:
            raise _differs(part.with_name(build.filename), digest, found)
        return payload


def _quoted(sums: Sums) -> str:
    return f" (and has {len(sums.unread)} lines that can't be read, such as {sums.unread[0]!r})" if sums.unread else ""


def _compression(zstd: bool) -> Compression:
    return "zst" if zstd and importlib.util.find_spec("zstandard") else "gz"


def require_archive(path: Path) -> None:
    if not path.is_file():
        raise TransportError(f"the archive {path} does not exist: put it there, or choose another source")


def _verify(path: Path, digest: str) -> None:
    from .archive import checksum

    try:
        found = checksum(path)
    except OSError as error:
        raise TransportError(
            f"the archive {path} can't be read ({os_reason(error)}): check its permissions and its disk"
        ) from None
    if found != digest:
        raise _differs(path, digest, found)


def _differs(path: Path, digest: str, found: str) -> ContentError:
    return ContentError(
        f"the archive {path.name} has the wrong checksum: its SHA-256 should be {digest} and "
        f"is {found}; download it again, or correct the checksum"
    )


def _unknown(build: Build, reason: str) -> ContentError:
    return ContentError(
        f"the checksum of {build.filename} is unknown: the catalogue has none and {reason}; "
        "download the file, and name it as the source together with its checksum"
    )


def archive_size(build: Build, source: Source, token: str = "") -> int:
    """Return the size of a build's archive in bytes, without downloading it.

    :raises StandalonePythonError: the source can't be reached, or does not report the size
    """
    addresses = urls(source, build)
    if source.kind in ("folder", "archive"):
        try:
            return os.path.getsize(os.path.expanduser(addresses[0]))
        except OSError as error:
            raise TransportError(f"the archive {addresses[0]} can't be read ({error.strerror}): put it there") from None
    from .fetch import Http

    return Http(token, source.location).size(addresses)


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _record(payload: Payload, original: str) -> None:
    about = {
        "recipe": RECIPE,
        "original": original,
        "stamp": file_stamp(payload.path),
        "sha256": payload.sha256,
        "unpacked": payload.unpacked,
        "files": payload.files,
        "inodes": payload.inodes,
        "split": payload.split,
    }
    with atomic_write(_about(payload.path)) as out:
        out.write(json.dumps(about).encode())


def payload_in(folder: Path) -> tuple[Payload, str] | None:
    """Return the payload that the cache has in a build's folder, and the SHA-256 of its archive."""
    for compression in ("zst", "gz"):
        try:
            original = json.loads(_about(folder / f"payload.tar.{compression}").read_bytes())["original"]
            if payload := recorded(folder, compression, original):
                return payload, original
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return None


def recorded(folder: Path, compression: Compression, original: str, *, rehash: bool = False) -> Payload | None:
    """Return the cached payload if it is the recorded file.

    :param rehash: compare the hash if the file's times differ
    """
    path = folder / f"payload.tar.{compression}"
    try:
        about: dict[str, Any] = json.loads(_about(path).read_bytes())
        now = file_stamp(path)
        numbers = (about["unpacked"], about["files"], about["inodes"], about["split"])
        payload = Payload(path, about["sha256"], compression, now[0], *numbers)
        same = about["stamp"] == now
        if (about["recipe"], about["original"]) != (RECIPE, original):
            return None
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not same and rehash:
        from .archive import checksum

        same = checksum(path) == payload.sha256
        if same:
            _record(payload, original)
    return payload if same else None
