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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from ..digits import whole_number
from ..errors import TransportError, sanitized
from .credentials import authorization, bare, basic
from .failure import (
    ADVICE_CONTENT,
    LONGEST_PAUSE,
    NO_ADDRESS,
    Expect,
    Failure,
    blame_github_token,
    connection_failure,
    download_error,
    explain_unsendable,
    judge_content,
    judge_response,
    local_failure,
    wrong_bundle_variable,
)
from .partial import Partial, Watch, partial_of, receive, writing
from .source import without_credentials

if TYPE_CHECKING:
    import requests

# Seconds of pause before the second, third, ... attempt; a server's Retry-After counts instead where it is
# longer, up to the bound.
BACKOFF = (0.5, 1.0, 2.0, 4.0)
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
MOST_REDIRECTS = 10

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Fetch(Protocol):
    """Brings one file."""

    def fetch(self, urls: Sequence[str], to: Path, *, max_bytes: int, expect: Expect) -> None:
        """Make ``to`` the content of the first address that gives it, by a rename, so that ``to`` is whole or
        not there.

        :raises ContentError: what came is not what was expected: a page, a part, too much
        :raises TransportError: it could not be had, or not be written
        """


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
        self._fetch(urls, to, partial_of(to), max_bytes, expect)

    def fetch_if_changed(self, url: str, to: Path, *, etag: str, max_bytes: int) -> Fetched:
        """Make ``to`` the text at an address, unless it is still the one that had the entity tag.

        :raises ContentError: what came is not what was expected: a page, a part, too much
        :raises TransportError: it could not be had, or not be written
        """
        part = partial_of(to)
        part.conditional, part.etag = True, etag
        self._fetch((url,), to, part, max_bytes, "text")
        return Fetched(part.etag, part.following, not part.unchanged)

    def _fetch(self, urls: Sequence[str], to: Path, part: Partial, max_bytes: int, expect: Expect) -> None:
        try:
            self._all(urls, part, max_bytes, expect)
            if not part.unchanged:
                with writing(part):
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
        self._all(urls, Partial(part, checked=True, watch=watch, instead=instead), max_bytes, "archive")

    def _all(self, urls: Sequence[str], part: Partial, max_bytes: int, expect: Expect) -> None:
        failures, rounds = self._attempts(urls, part, max_bytes, expect)
        if failures:
            # Not by the file's own name, which can be a hash.
            raise download_error(unquote(urlsplit(urls[0]).path.rpartition("/")[2]) or part.path.name, failures, rounds)

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
        raise download_error(f"the size of {unquote(urlsplit(urls[0]).path.rpartition('/')[2])}", failures, 1)

    def _size(self, session: requests.Session, url: str) -> int | Failure:
        import requests
        import urllib3

        try:
            response = self._open(session, url, {}, head=True)
            if isinstance(response, Failure):
                return response
            with response:
                length = whole_number(response.headers.get("Content-Length", ""))
                wrong = blame_github_token(judge_response(response, url, "archive"), response, _github_token())
            return wrong or (Failure("doesn't report it", ADVICE_CONTENT) if length is None else length)
        except ValueError:
            return NO_ADDRESS
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return connection_failure(error, connecting=CONNECT_TIMEOUT, reading=self.timeout)

    def _attempts(self, urls: Sequence[str], part: Partial, max_bytes: int, expect: Expect) -> tuple[dict[str, Failure], int]:
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
                    if not failure.retry:
                        pending.remove(url)
                if not pending or pause is None:
                    break
                pause = max(pause, min(failures[url].pause for url in pending))
                if pause > LONGEST_PAUSE:
                    break
                self.sleep(pause)
        return failures, rounds

    def _attempt(self, session: requests.Session, url: str, part: Partial, max_bytes: int, expect: Expect) -> Failure | None:
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
                    blame_github_token(judge_response(response, url, expect), response, _github_token())
                    or receive(response, url, part, headers, max_bytes, expect)
                    or judge_content(part.path, expect)
                )
        # What urllib says of an address that the server redirects to.
        except ValueError:
            return NO_ADDRESS
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return connection_failure(error, connecting=CONNECT_TIMEOUT, reading=self.timeout)

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
                return explain_unsendable(session, at, shown) or NO_ADDRESS
            except OSError:
                if at.startswith("https:") and (bundle := wrong_bundle_variable()):
                    return local_failure(f"{bundle} is not a file or folder of certificates", f"correct {bundle}, or unset it")
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
            "downloading needs the Python package requests, which is not installed on the controller: "
            "install it, or use a local folder or archive as the source"
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


def _github_token() -> str:
    # A token read from a file often brings the end of its line along.
    return os.environ.get("GITHUB_TOKEN", "").strip()


def _as_sent(header: str) -> str:
    """A header as it was meant: its bytes are read as Latin-1, and many servers send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
