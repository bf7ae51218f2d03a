# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only network code on the controller: an address becomes a file, whole, or an error becomes a sentence.

It never judges a checksum (the store does), and never lets a secret out: a token and a password go, as a
header, to the one host they are meant for, and into no message, no exception and no file.

Addresses are tried in turn. One that answers "not now" (``failure.RETRIED``) or breaks off is tried again after a
pause, the others are not; a download that broke off goes on where it stopped if the server can say that the
file is still the same one.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from ..digits import whole_number
from ..errors import TransportError, sanitized
from .compression import MAGIC
from .credentials import GITHUB_HOSTS, authorization, bare, basic
from .failure import (
    ADVICE_CONTENT,
    ADVICE_NETWORK,
    ADVICE_RENEW,
    LONGEST_PAUSE,
    Expect,
    Failure,
    failed,
    page,
    refused,
    unaskable,
    unreached,
)
from .source import without_credentials

if TYPE_CHECKING:
    import requests

# Seconds of pause before the second, third, ... attempt; a server's Retry-After counts instead where it is
# longer, up to the bound.
BACKOFF = (0.5, 1.0, 2.0, 4.0)
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
MOST_REDIRECTS = 10

# Bytes that are read at a time, and the seconds that they may take to come. Each piece costs several downloads at a time a change
# of threads.
LARGEST_PIECE = 1 << 20
SMALLEST_PIECE = 1 << 16
# Bytes that are unpacked at a time: zlib copies what it has left of them after each gzip member, which can have 20.
LARGEST_SLICE = 1 << 12
PIECE_TIME = 0.1

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_NO_ADDRESS = Failure("is, or redirects to, something that is no http(s) URL", ADVICE_CONTENT)

# What a text may be packed with (RFC 9110, 8.4.1): zlib reads them all. We ask for gzip at most.
PACKED = frozenset({"gzip", "x-gzip", "deflate"})

PAGE_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")


class Fetch(Protocol):
    """Brings one file."""

    def fetch(self, urls: Sequence[str], to: Path, *, max_bytes: int, expect: Expect) -> None:
        """Make ``to`` the content of the first address that gives it, by a rename, so that ``to`` is whole or
        not there.

        :raises ContentError: what came is not what was expected: a page, a part, too much
        :raises TransportError: it could not be had, or not be written
        """


class Watch(Protocol):
    """Sees the bytes of a download on their way to its file."""

    def begins(self, offset: int, size: int) -> None:
        """What comes next is written at an offset, after what the file has already; ``size`` is that of the whole file, 0 where
        the server doesn't say."""

    def wrote(self, chunk: bytes) -> None: ...


@dataclass(slots=True)
class _Partial:
    """A download under way: the file, and what says that the server's file is still the one it is part of.

    :ivar checked: whether the caller judges the whole by its checksum, so that any address may go on with it
    :ivar instead: what else to do where the file can't be written
    """

    path: Path
    url: str = ""
    validator: str = ""
    checked: bool = False
    watch: Watch | None = None
    instead: str = "have the cache elsewhere with STANDALONE_PYTHON_CACHE"
    # Of a file that is asked for on condition that it changed: the entity tag that is known, and what the server answered.
    conditional: bool = False
    etag: str = ""
    following: str = ""
    unchanged: bool = False

    def headers(self, url: str) -> dict[str, str]:
        """What asks for what is missing, or for what changed."""
        if self.conditional:
            # Lists of releases are twenty times as long unpacked.
            return {"Accept-Encoding": "gzip"} | ({"If-None-Match": self.etag} if self.etag else {})
        same = url == self.url and bool(self.validator)
        if not (same or self.checked) or not self.path.exists() or not self.path.stat().st_size:
            return {}
        condition = {"If-Range": self.validator} if same else {}
        return {"Range": f"bytes={self.path.stat().st_size}-", **condition}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server says beside a text: its entity tag, and the URL of the next page (RFC 8288, ``rel="next"``);
    each may be empty. ``changed``: the text came; else the one that is known is still it."""

    etag: str
    following: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Http:
    """Fetches over HTTP(S); proxies, certificate bundles and netrc are found where ``requests`` and OpenSSL
    look for them.

    :param token: shown, as a bearer, to the origin of ``location`` and to nobody else
    :param location: the source's URL; upstream's own (GitHub) where it is empty
    """

    token: str = field(default="", repr=False)
    location: str = field(default="", repr=False)
    backoff: tuple[float, ...] = BACKOFF
    timeout: float = READ_TIMEOUT
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def fetch(self, urls: Sequence[str], to: Path, *, max_bytes: int, expect: Expect) -> None:
        self._fetch(urls, to, _partial(to), max_bytes, expect)

    def fetch_if_changed(self, url: str, to: Path, *, etag: str, max_bytes: int) -> Fetched:
        """Make ``to`` the text at an address, unless it is still the one that had the entity tag.

        :raises ContentError: what came is not what was expected: a page, a part, too much
        :raises TransportError: it could not be had, or not be written
        """
        part = _partial(to)
        part.conditional, part.etag = True, etag
        self._fetch((url,), to, part, max_bytes, "text")
        return Fetched(part.etag, part.following, not part.unchanged)

    def _fetch(self, urls: Sequence[str], to: Path, part: _Partial, max_bytes: int, expect: Expect) -> None:
        try:
            self._all(urls, part, max_bytes, expect)
            if not part.unchanged:
                with _writing(part):
                    os.replace(part.path, to)
        finally:
            part.path.unlink(missing_ok=True)

    def resume(self, urls: Sequence[str], part: Path, *, max_bytes: int, watch: Watch, instead: str) -> None:
        """Make ``part`` whole, going on after what an earlier run left in it, and leave there what came where it fails.

        Whether all of it is one file, and the right one, the caller has to find out: by its checksum.

        :param instead: what else to do where it can't be written, for the sentence
        :raises ContentError: what came is no archive, or too much
        :raises TransportError: it could not be had, or not be written
        """
        self._all(urls, _Partial(part, checked=True, watch=watch, instead=instead), max_bytes, "archive")

    def _all(self, urls: Sequence[str], part: _Partial, max_bytes: int, expect: Expect) -> None:
        failures, rounds = self._attempts(urls, part, max_bytes, expect)
        if failures:
            # Not by the file's own name, which can be a hash.
            raise failed(unquote(urlsplit(urls[0]).path.rpartition("/")[2]) or part.path.name, failures, rounds)

    def size(self, urls: Sequence[str]) -> int:
        """How many bytes the file has, as the first address says that can be asked; each is asked once, without the content.

        :raises ContentError: what they say is of something else, such as a page
        :raises TransportError: none of them says
        """
        failures: dict[str, Failure] = {}
        with _session() as session:
            for url in urls:
                size = self._size(session, url)
                if not isinstance(size, Failure):
                    return size
                failures[url] = size
        raise failed(f"the size of {unquote(urlsplit(urls[0]).path.rpartition('/')[2])}", failures, 1)

    def _size(self, session: requests.Session, url: str) -> int | Failure:
        import requests
        import urllib3

        try:
            response = self._open(session, url, {}, head=True)
            if isinstance(response, Failure):
                return response
            with response:
                length = whole_number(response.headers.get("Content-Length", ""))
                wrong = _blamed(refused(response, url, "archive"), response)
            return wrong or (Failure("doesn't say it", ADVICE_CONTENT) if length is None else length)
        except ValueError:
            return _NO_ADDRESS
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return unreached(error, connecting=CONNECT_TIMEOUT, reading=self.timeout)

    def _attempts(self, urls: Sequence[str], part: _Partial, max_bytes: int, expect: Expect) -> tuple[dict[str, Failure], int]:
        """The failures, none where one address gave the file, and how many rounds were made."""
        pending = list(urls)
        failures: dict[str, Failure] = {}
        with _session() as session:
            for rounds, pause in enumerate((*self.backoff, None), 1):
                for url in tuple(pending):
                    failure = self._attempt(session, url, part, max_bytes, expect)
                    if failure is None:
                        return {}, rounds
                    failures[url] = failure
                    if not failure.again:
                        pending.remove(url)
                if not pending or pause is None:
                    break
                pause = max(pause, min(failures[url].pause for url in pending))
                if pause > LONGEST_PAUSE:
                    break
                self.sleep(pause)
        return failures, rounds

    def _attempt(self, session: requests.Session, url: str, part: _Partial, max_bytes: int, expect: Expect) -> Failure | None:
        # A caught exception holds the request and its headers: only its reason may leave this method.
        import requests
        import urllib3

        try:
            headers = part.headers(url)
            response = self._open(session, url, headers)
            if isinstance(response, Failure):
                return response
            with response:
                if part.conditional and part.etag and response.status_code == 304:
                    part.unchanged = True
                    return None
                if response.status_code == 416:
                    # There is nothing after what we have: it is part of something else.
                    part.path.unlink(missing_ok=True)
                return (
                    _blamed(refused(response, url, expect), response)
                    or _receive(response, url, part, headers, max_bytes, expect)
                    or _judge(part.path, expect)
                )
        # What urllib says of an address that the server redirects to.
        except ValueError:
            return _NO_ADDRESS
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return unreached(error, connecting=CONNECT_TIMEOUT, reading=self.timeout)

    def _open(
        self, session: requests.Session, url: str, headers: dict[str, str], *, head: bool = False
    ) -> requests.Response | Failure:
        """Ask, and follow redirects here rather than in ``requests``, so that each hop gets the credentials
        of its own host only."""
        at = url
        for _unused in range(MOST_REDIRECTS):
            shown = self._authorization(at, url)
            try:
                response = (session.head if head else session.get)(
                    bare(at),
                    headers=headers,
                    auth=_Header(shown),
                    allow_redirects=False,
                    stream=True,
                    timeout=(CONNECT_TIMEOUT, self.timeout),
                )
            # What requests says where it can't even ask, whatever the reason; many of them are an OSError too.
            except ValueError:
                return _unaskable(session, at, shown) or _NO_ADDRESS
            except OSError:
                if at.startswith("https:") and (bundle := _bad_bundle()):
                    return unaskable(f"{bundle} names no file or folder of certificates", f"correct {bundle}, or unset it")
                raise
            if response.status_code not in REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            target = urljoin(bare(at), _as_sent(response.headers["Location"]))
            if urlsplit(at).scheme == "https" and urlsplit(target).scheme != "https":
                return Failure(f"redirects from https to {sanitized(without_credentials(target))}", ADVICE_CONTENT)
            at = target
        return Failure(f"redirects more than {MOST_REDIRECTS} times", ADVICE_CONTENT)

    def _authorization(self, url: str, asked: str) -> str:
        from requests.utils import get_netrc_auth

        ours = authorization(url, asked, self.token.strip(), self.location, _github_token())
        if ours:
            return ours
        filed = get_netrc_auth(bare(url))
        return basic(*filed) if filed else ""


def _github_token() -> str:
    # A token read from a file often brings the end of its line along.
    return os.environ.get("GITHUB_TOKEN", "").strip()


def _blamed(failure: Failure | None, response: requests.Response) -> Failure | None:
    """The failure, which names GITHUB_TOKEN where GitHub was shown it and denies what everybody may read."""
    shown = response.request.headers.get("Authorization", "")
    ours = shown == f"Bearer {_github_token()}" and urlsplit(response.url).hostname in GITHUB_HOSTS
    # A server that asks to wait denies nothing for good.
    named = failure is not None and failure.denied and not failure.pause and ours
    return replace(failure, advice=ADVICE_RENEW, denied=False) if failure and named else failure


@dataclass(frozen=True, slots=True)
class _Header:
    """Sets the header itself: without an ``auth``, requests would put netrc's credentials over a token."""

    value: str = field(repr=False)

    def __call__(self, request: Any) -> Any:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


def _system_trust() -> ssl.SSLContext:
    """Read once, for who makes many downloads: it takes as long as one of them."""
    return _trust_of(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


@cache
def _trust_of(_file: str, _folder: str) -> ssl.SSLContext:
    # OpenSSL reads the variables itself.
    context = ssl.create_default_context()
    # Python 3.13 refuses authorities without Authority Key Identifier, which curl, pip and uv trust.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@contextlib.contextmanager
def _session() -> Iterator[requests.Session]:
    try:
        import requests
        from requests.adapters import HTTPAdapter
    except ImportError:
        raise TransportError(
            "downloading needs the Python package 'requests' on the controller, which is not installed: "
            "install it, or name a local folder or archive as the source"
        ) from None

    class SystemTrust(HTTPAdapter):
        """Trusts the system's certificate authorities beside certifi's, as Ansible's own modules do."""

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options, ssl_context=_system_trust())

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, **options, ssl_context=_system_trust())

    with requests.Session() as session:
        session.mount("https://", SystemTrust())
        # Asked for as it is: an archive must not be unpacked on the way, and a length must be the file's.
        session.headers.update({"User-Agent": "standalone-python", "Accept-Encoding": "identity"})
        yield session


def _unaskable(session: requests.Session, url: str, shown: str) -> Failure | None:
    """Why an address can't even be asked; None where that is for the address itself.

    :param shown: the Authorization header
    """
    if not (shown.isascii() and shown.isprintable()):
        why = "the token has a line break or a letter in it that no header can have"
        return unaskable(why, "check the token, and GITHUB_TOKEN")
    from requests.utils import get_environ_proxies, select_proxy

    proxy = ""
    try:
        proxy = select_proxy(url, get_environ_proxies(url)) or ""
        if proxy:
            # What requests does before it connects.
            adapter: Any = session.get_adapter(url)
            whole = proxy if "://" in proxy else f"http://{proxy}"
            adapter.proxy_manager_for(whole)
            adapter.proxy_headers(whole)
            if urlsplit(whole).hostname:
                return None
    except ValueError:
        pass
    if not proxy:
        return None
    scheme = urlsplit(url).scheme
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    name = next((name for name in names if os.environ.get(name)), "the system's setting for proxies")
    if proxy.lower().startswith("socks"):
        why = f"{name} names a SOCKS proxy, which needs the Python package PySocks"
        return unaskable(why, "install it, or name an HTTP proxy")
    return unaskable(
        f"{name} is no URL of a proxy", "write http://HOST:PORT, and a user and password before HOST with %2F for / and %40 for @"
    )


def _bad_bundle() -> str:
    """The variable that names certificates for requests where there are none."""
    name = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name)), "")
    try:
        if name and not os.path.isdir(os.environ[name]):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(os.environ[name])
    except OSError:
        return name
    return ""


def _as_sent(header: str) -> str:
    """A header as it was meant: its bytes are read as Latin-1, and many servers send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _partial(to: Path) -> _Partial:
    return _Partial(to.with_name(f"{to.name}.{os.getpid()}.part"))


def _receive(
    response: requests.Response, url: str, part: _Partial, asked: Mapping[str, str], max_bytes: int, expect: Expect
) -> Failure | None:
    offset = int(asked.get("Range", "bytes=0-")[len("bytes=") : -1])
    encoding = response.headers.get("Content-Encoding", "").strip().lower() if expect == "text" else ""
    if encoding not in ("", "identity", *PACKED):
        return Failure(f"sends the text as {sanitized(encoding)}, which is not supported", ADVICE_CONTENT, content=True)
    unpacked = _Unpacked() if encoding in PACKED else None
    if response.status_code == 206 and (unpacked or not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")):
        part.validator = ""
        part.path.unlink(missing_ok=True)
        return Failure("sent another part of the file than was asked for", ADVICE_CONTENT, again=True, content=True)
    start = offset if response.status_code == 206 else 0
    # What is unpacked here is no part of what the server counts.
    part.url, part.validator = url, "" if unpacked else _validator(response.headers)
    if part.conditional:
        part.etag = response.headers.get("ETag", "")
        part.following = response.links.get("next", {}).get("url", "")
    length = whole_number(response.headers.get("Content-Length", ""))
    too_large = Failure(f"sends more than the {max_bytes} bytes that are allowed", ADVICE_CONTENT, content=True)
    if length is not None and start + length > max_bytes:
        return too_large
    received = written = start
    with _writing(part):
        out = part.path.open("ab" if start else "wb")
    if part.watch:
        part.watch.begins(start, 0 if length is None else start + length)
    with contextlib.closing(out):
        try:
            for piece in _pieces(response):
                received += len(piece)
                for chunk in unpacked.pieces(piece) if unpacked else (piece,):
                    written += len(chunk)
                    if max(written, received) > max_bytes:
                        return too_large
                    with _writing(part):
                        out.write(chunk)
                    if part.watch:
                        part.watch.wrote(chunk)
        except zlib.error:
            return Failure("sends a text that can't be unpacked", ADVICE_CONTENT, content=True)
        with _writing(part):
            out.flush()
    # Older releases of urllib3 take the end of the connection for the end of the file.
    if length is not None and received - start < length:
        return Failure(f"broke off after {received} of {start + length} bytes", ADVICE_NETWORK, again=True)
    if unpacked and not unpacked.complete:
        return Failure("broke off in the middle", ADVICE_NETWORK, again=True)
    return None


class _Unpacked:
    """Unpacks a text a bounded piece at a time: urllib3 before 2.6 makes a thousand bytes of one at once."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self.complete = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """
        :raises zlib.error: it is packed in no way that zlib knows
        """
        for at in range(0, len(data), LARGEST_SLICE):
            left = data[at : at + LARGEST_SLICE]
            while left:
                if self._decoder.eof:
                    self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
                yield self._decoder.decompress(left, LARGEST_PIECE)
                left = self._decoder.unconsumed_tail or self._decoder.unused_data
        self.complete = self._decoder.eof


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The content as it is sent. Of what comes slowly no more at a time than comes soon, so that a run that is killed has written
    what came."""
    size = SMALLEST_PIECE
    while True:
        asked = time.monotonic()
        piece: bytes = response.raw.read(size, decode_content=False)
        if not piece:
            return
        soon = time.monotonic() - asked < PIECE_TIME
        size = min(2 * size, LARGEST_PIECE) if soon else max(size // 2, SMALLEST_PIECE)
        yield piece


def _validator(headers: Mapping[str, str]) -> str:
    """What If-Range can compare: a strong entity tag, else the date (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


@contextlib.contextmanager
def _writing(part: _Partial) -> Iterator[None]:
    """Tells an error of the disk from one of the network, which is an OSError too."""
    try:
        yield
    except OSError as error:
        raise TransportError(
            f"the download can't be written to {part.path.parent} ({error.strerror}): make room there, or {part.instead}"
        ) from None


def _judge(path: Path, expect: Expect) -> Failure | None:
    with path.open("rb") as file:
        head = file.read(512)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGE_STARTS):
        return page(expect)
    if not head:
        return Failure("sent nothing", ADVICE_CONTENT, content=True)
    if expect == "archive" and not head.startswith(tuple(MAGIC.values())):
        return Failure("sent something that is neither gzip nor zstd", ADVICE_CONTENT, content=True)
    return None
