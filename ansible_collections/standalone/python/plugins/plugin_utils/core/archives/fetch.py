# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads over HTTP: a URL becomes a complete file, or an error with advice.

The store verifies checksums. Credentials are sent, as a header, only to the host they are meant for. No message, exception or
file contains them.

Addresses are tried in turn. Temporary failures (``failure.RETRIED``, or an interrupted download) are retried after a pause. An
interrupted download continues where it stopped if the server confirms that the file is the same.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from ..digits import whole_number
from ..errors import sanitized
from ..libraries import missing_libraries
from ..progress import DECISIONS, task, trace, traced
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
from .partial import ELSEWHERE, Partial, Watch, partial_of, receive, writing
from .source import without_credentials

if TYPE_CHECKING:
    import requests

# Seconds of pause before the second, third, ... attempt, on average. A server's Retry-After comes on top, up to LONGEST_PAUSE.
BACKOFF = (0.5, 1.0, 2.0, 4.0)
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
MOST_REDIRECTS = 10

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Fetch(Protocol):
    """Downloads one file."""

    def fetch(self, urls: Sequence[str], to: Path, *, max_bytes: int, expect: Expect) -> None:
        """Download from the first address that provides the file. It is renamed to ``to`` when it is complete.

        :raises ContentError: the content is not as expected: an HTML page, truncated or too large
        :raises TransportError: the file can't be downloaded or written
        """

    def resume(self, urls: Sequence[str], part: Path, *, max_bytes: int, watch: Watch, instead: str = ELSEWHERE) -> None:
        """Complete ``part``, which an earlier run may have begun. After a failure the received bytes stay there.

        The caller must verify the checksum, as the parts may be of different files.

        :param instead: advice for a file that can't be written
        :raises ContentError: the content is not an archive, or too large
        :raises TransportError: the file can't be downloaded or written
        """


@dataclass(frozen=True, slots=True)
class Fetched:
    """The headers of a text: its entity tag and the URL of the next page (RFC 8288, ``rel="next"``); each may be empty.

    :ivar changed: whether the text was downloaded; otherwise the known one is current
    """

    etag: str
    following: str
    changed: bool


def _spread(pause: float) -> float:
    """Return half to one and a half times a pause, so that clients that a busy server refused together come back one by one."""
    import random

    return pause * random.uniform(0.5, 1.5)  # noqa: S311 # no secret depends on it


@dataclass(frozen=True, slots=True)
class Http:
    """Downloads over HTTP(S); proxies, certificate bundles and netrc are found as ``requests`` and OpenSSL find them.

    :param token: sent, as a bearer, to the origin of ``location`` only
    :param location: the source's URL; empty means upstream (GitHub)
    """

    token: str = field(default="", repr=False)
    location: str = field(default="", repr=False)
    backoff: tuple[float, ...] = BACKOFF
    timeout: float = READ_TIMEOUT
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    spread: Callable[[float], float] = field(default=_spread, repr=False)

    def fetch(self, urls: Sequence[str], to: Path, *, max_bytes: int, expect: Expect) -> None:
        self._fetch(urls, to, partial_of(to), max_bytes, expect)

    def fetch_if_changed(self, url: str, to: Path, *, etag: str, max_bytes: int) -> Fetched:
        """Download a text to ``to``, unless the server's text still has this entity tag.

        :raises ContentError: the content is not as expected: an HTML page, truncated or too large
        :raises TransportError: the text can't be downloaded or written
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

    def resume(self, urls: Sequence[str], part: Path, *, max_bytes: int, watch: Watch, instead: str = ELSEWHERE) -> None:
        self._all(urls, Partial(part, checked=True, watch=watch, instead=instead), max_bytes, "archive")

    def _all(self, urls: Sequence[str], part: Partial, max_bytes: int, expect: Expect) -> None:
        # The name in the URL: the file's own name can be a hash.
        name = _name_in(urls[0]) or part.path.name
        with task("Downloading", sanitized(name)) as advance:
            part.advance = advance
            failures, rounds = self._attempts(urls, part, max_bytes, expect)
            if failures:
                raise download_error(name, failures, rounds)

    def size(self, urls: Sequence[str]) -> int:
        """Return the size of a file in bytes, by HEAD requests without retries; the first address that reports it counts.

        :raises ContentError: the addresses have something else, such as an HTML page
        :raises TransportError: no address reports it
        """
        failures: dict[str, Failure] = {}
        with _session() as session:
            for url in urls:
                size = self._size(session, url)
                if not isinstance(size, Failure):
                    return size
                failures[url] = size
        raise download_error(f"the size of {_name_in(urls[0])}", failures, 1)

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
        """Return the failures, none if one address provided the file, and the number of rounds."""
        pending = list(urls)
        failures: dict[str, Failure] = {}
        with _session() as session:
            for rounds, pause in enumerate((*self.backoff, None), 1):
                for url in tuple(pending):
                    failure = self._attempt(session, url, part, max_bytes, expect)
                    if failure is None:
                        return {}, rounds
                    failures[url] = failure
                    trace(DECISIONS, f"{sanitized(without_credentials(url))} {failure.problem}")
                    if not failure.retry:
                        pending.remove(url)
                if not pending or pause is None:
                    break
                asked = min(failures[url].pause for url in pending)
                if asked > LONGEST_PAUSE:
                    break
                pause = asked + self.spread(pause)
                trace(DECISIONS, f"trying again in {pause:.1f} seconds")
                self.sleep(pause)
        return failures, rounds

    def _attempt(self, session: requests.Session, url: str, part: Partial, max_bytes: int, expect: Expect) -> Failure | None:
        # The exception holds the request with its headers: only the reason may leave this method.
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
                    # The server's file is not longer than this part, so the part is of another file.
                    part.path.unlink(missing_ok=True)
                return (
                    blame_github_token(judge_response(response, url, expect), response, _github_token())
                    or receive(response, url, part, headers, max_bytes, expect)
                    or judge_content(part.path, expect)
                )
        # urllib's error for the address of a redirect.
        except ValueError:
            return NO_ADDRESS
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return connection_failure(error, connecting=CONNECT_TIMEOUT, reading=self.timeout)

    def _open(
        self, session: requests.Session, url: str, headers: dict[str, str], *, head: bool = False
    ) -> requests.Response | Failure:
        """Send a request. Redirects are followed here, not in ``requests``: each hop gets only the credentials of its host."""
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
            # The error of requests for a request that can't be sent; many of them are an OSError too.
            except ValueError:
                return explain_unsendable(session, at, shown) or NO_ADDRESS
            except OSError:
                if at.startswith("https:") and (bundle := wrong_bundle_variable()):
                    return local_failure(f"{bundle} is not a file or folder of certificates", f"correct {bundle}, or unset it")
                raise
            if traced(DECISIONS):
                trace(DECISIONS, _traced(response, at))
            if response.status_code not in REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            target = urljoin(bare(at), _as_sent(response.headers["Location"]))
            if urlsplit(at).scheme == "https" and urlsplit(target).scheme != "https":
                return Failure(f"redirects from https to {sanitized(without_credentials(target))}", ADVICE_CONTENT)
            at = target
        return Failure(f"redirects more than {MOST_REDIRECTS} times", ADVICE_CONTENT)

    def _authorization(self, url: str, original_url: str) -> str:
        from requests.utils import get_netrc_auth

        header = authorization(url, original_url, self.token.strip(), self.location, _github_token())
        if header:
            return header
        filed = get_netrc_auth(bare(url))
        return basic(*filed) if filed else ""


@dataclass(frozen=True, slots=True)
class _Header:
    """Sets the header: without an ``auth``, requests would replace a token by netrc's credentials."""

    value: str = field(repr=False)

    def __call__(self, request: Any) -> Any:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


def _system_trust() -> ssl.SSLContext:
    """Return a context that trusts the system's certificate authorities, and those of SSL_CERT_FILE."""
    import truststore

    # Without ssl.VERIFY_X509_STRICT, by which Python 3.13 refuses authorities that curl, pip and uv trust.
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file = os.environ.get("SSL_CERT_FILE", "")
    # OpenSSL reads the variable itself. The stores of macOS and Windows don't.
    if sys.platform in ("darwin", "win32") and os.path.isfile(file):
        context.load_verify_locations(file)
    return context


@contextlib.contextmanager
def _session() -> Iterator[requests.Session]:
    try:
        import requests
        import truststore  # noqa: F401
        from requests.adapters import HTTPAdapter
    except ImportError:
        raise missing_libraries("use a folder or an archive on the controller as the source") from None

    class SystemTrust(HTTPAdapter):
        """Trusts the system's certificate authorities in addition to certifi's or REQUESTS_CA_BUNDLE's.

        requests takes a context only through an adapter. ``truststore.inject_into_ssl`` needs none, but changes all TLS of
        the process, which is Ansible's or pyinfra's. Sessions share no context, as truststore locks it during a handshake.
        """

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options, ssl_context=_system_trust())

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, **options, ssl_context=_system_trust())

    with requests.Session() as session:
        session.mount("https://", SystemTrust())
        # No encoding: an archive must not be unpacked, and the length must be the file's.
        session.headers.update({"User-Agent": "standalone-python", "Accept-Encoding": "identity"})
        yield session


def _traced(response: requests.Response, url: str) -> str:
    """Return a request and its answer, without credentials and what is in the query."""
    request = response.request
    rest = f" ({request.headers['Range']})" if "Range" in request.headers else ""
    return f"{request.method} {sanitized(without_credentials(url))}{rest}: {response.status_code}"


def _name_in(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _github_token() -> str:
    # A token that was read from a file often ends with a line break.
    return os.environ.get("GITHUB_TOKEN", "").strip()


def _as_sent(header: str) -> str:
    """Decode a header: requests reads its bytes as Latin-1, but many servers send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
