# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a download failed, what to do about it, and whether to retry. Messages never contain a token, a password or a query."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from ..digits import whole_number
from ..errors import ContentError, StandalonePythonError, TransportError, sanitized
from .compression import MAGIC
from .credentials import GITHUB_HOSTS
from .source import without_credentials

if TYPE_CHECKING:
    import requests

Expect = Literal["archive", "text"]

# Seconds: the longest Retry-After that is respected.
LONGEST_PAUSE = 60.0

# GitHub answers 403 when an address has sent too many requests.
RETRIED = frozenset({403, 408, 425, 429, 500, 502, 503, 504})
ABSENT = frozenset({404, 410})
DENIED = frozenset({401, 403})

_DENIED = "check the token or the password, and what it may read"
ADVICE: Mapping[int, str] = {
    401: _DENIED,
    403: f"{_DENIED}, or try again later",
    404: "check the release, and that the source has upstream's layout TAG/FILE",
    407: "put the proxy's user and password into the proxy's URL in the environment",
    410: "check the release, and that the source has upstream's layout TAG/FILE",
    429: "try again later",
}
ADVICE_GITHUB = "set GITHUB_TOKEN, or try again later"
ADVICE_RENEW = "GITHUB_TOKEN was sent, but it has expired or lacks the permission: renew or unset it"
ADVICE_SERVER = "try again later, or name another source"
ADVICE_NETWORK = "check the network and the proxy, or name a mirror or a local folder as the source"
ADVICE_CONTENT = "check what the server or a proxy sends"

PAGE_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")


class NotThereError(TransportError):
    """Every address answered that the file does not exist."""


class DeniedError(TransportError):
    """Every address answered that access is denied. Object stores answer the same for a file that does not exist."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one attempt failed; ``pause`` is the server's Retry-After, in seconds."""

    problem: str
    advice: str
    retry: bool = False
    content: bool = False
    absent: bool = False
    denied: bool = False
    pause: float = 0.0


NO_ADDRESS = Failure("is not an http(s) URL, or redirects to something else", ADVICE_CONTENT)


def judge_response(response: requests.Response, url: str, expect: Expect) -> Failure | None:
    """Return what is wrong with the status and headers of a response; None if nothing is."""
    status = response.status_code
    if status in (200, 206):
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() in (
            "text/html",
            "application/xhtml+xml",
        ):
            return page_failure(expect)
        return None
    advice = (
        ADVICE_GITHUB if status in (403, 429) and urlsplit(url).hostname in GITHUB_HOSTS else ADVICE.get(status, ADVICE_SERVER)
    )
    # GitHub's hourly rate limit: an early retry can't succeed.
    if status in (403, 429) and response.headers.get("X-RateLimit-Remaining") == "0":
        return Failure(f"answered {status}, its hourly rate limit is used up", ADVICE_GITHUB)
    return Failure(
        f"answered {status} {sanitized(response.reason or '')}".rstrip(),
        advice,
        retry=status in RETRIED or status == 416,
        absent=status in ABSENT,
        denied=status in DENIED,
        pause=_retry_after(response.headers.get("Retry-After", "")),
    )


def page_failure(expect: Expect) -> Failure:
    """Return the failure for an HTML page, most often a log-in page."""
    wanted = "an archive" if expect == "archive" else "plain text"
    return Failure(f"sent an HTML page where {wanted} was expected", ADVICE_CONTENT, content=True)


def local_failure(reason: str, advice: str) -> Failure:
    """Return the failure for a problem on this machine, which a retry can't solve."""
    return Failure(f"can't be requested, as {reason}", advice)


def _retry_after(text: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), a number or a date; 0 if it is neither."""
    from email.utils import parsedate_to_datetime

    seconds = whole_number(text.strip())
    if seconds is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def download_error(name: str, failures: Mapping[str, Failure], rounds: int) -> StandalonePythonError:
    """Return the error for a file that no address provided.

    :param failures: URL -> failure
    :param rounds: how often the addresses were tried
    """

    def problem(failure: Failure) -> str:
        asks = f", and asks to wait {failure.pause:.0f} seconds" if failure.pause > LONGEST_PAUSE else ""
        tried = f" (tried {rounds} times)" if failure.retry and rounds > 1 else ""
        return f"{failure.problem}{asks}{tried}"

    # Without a network all addresses fail in the same way.
    addresses: dict[str, list[str]] = {}
    for url, failure in failures.items():
        addresses.setdefault(problem(failure), []).append(sanitized(without_credentials(url)))
    reasons = "; ".join(f"{' and '.join(urls)} {what}" for what, urls in addresses.items())
    # "Not found" gives the advice only if no address had another problem.
    last = sorted(failures.values(), key=lambda failure: not failure.absent)[-1]
    if any(failure.content for failure in failures.values()):
        kind: type[StandalonePythonError] = ContentError
    elif all(failure.absent for failure in failures.values()):
        kind = NotThereError
    else:
        kind = DeniedError if all(failure.absent or failure.denied for failure in failures.values()) else TransportError
    return kind(f"{name} could not be downloaded: {reasons}; {last.advice}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, as requests and urllib3 nest them."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        at = todo.pop(0)
        if isinstance(at, BaseException) and at not in seen:
            seen.append(at)
            yield at
            todo += [*at.args, getattr(at, "reason", None), at.__cause__, at.__context__]


def connection_failure(error: BaseException, *, connecting: float, reading: float) -> Failure:
    """Return the failure for an exception during a request; the time limits are in seconds."""
    return Failure(_reason(error, connecting, reading), ADVICE_NETWORK, retry=not _final(error))


def _final(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _reason(error: BaseException, connecting: float, reading: float) -> str:
    """Describe a failed connection without the exception's own text, which can contain the proxy's password or a query."""
    from http.client import IncompleteRead

    import requests
    import urllib3

    causes = list(_causes(error))
    proxy = any(isinstance(cause, requests.exceptions.ProxyError) for cause in causes)
    missed = "could not be reached through the proxy" if proxy else "could not be reached"
    # It is a subclass of the time-out, but means that there is no connection.
    waited = [cause for cause in causes if not isinstance(cause, urllib3.exceptions.NewConnectionError)]
    for cause in waited:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has an untrusted certificate ({cause.verify_message}; add its authority with REQUESTS_CA_BUNDLE)"
        if isinstance(cause, socket.gaierror):
            return f"{missed}: the host name can't be resolved"
        if isinstance(cause, (urllib3.exceptions.ConnectTimeoutError, requests.exceptions.ConnectTimeout)):
            return f"{missed}: no connection within {connecting:g} seconds"
        if isinstance(cause, (urllib3.exceptions.ReadTimeoutError, TimeoutError)):
            return f"did not answer within {reading:g} seconds"
        if isinstance(cause, (IncompleteRead, urllib3.exceptions.InvalidChunkLength)):
            return "broke off in the middle"
    for cause in waited:
        if isinstance(cause, OSError) and cause.strerror and cause.errno:
            return f"{missed}: {cause.strerror}"
    return "closed the connection without an answer"


def blame_github_token(failure: Failure | None, response: requests.Response, github_token: str) -> Failure | None:
    """Return the failure, with other advice if GitHub denied a public file to GITHUB_TOKEN."""
    shown = response.request.headers.get("Authorization", "")
    from_environment = shown == f"Bearer {github_token}" and urlsplit(response.url).hostname in GITHUB_HOSTS
    # With a Retry-After the denial is temporary.
    named = failure is not None and failure.denied and not failure.pause and from_environment
    return replace(failure, advice=ADVICE_RENEW, denied=False) if failure and named else failure


def explain_unsendable(session: requests.Session, url: str, shown: str) -> Failure | None:
    """Return why a request can't be sent; None if the address itself is the reason.

    :param shown: the Authorization header
    """
    if not (shown.isascii() and shown.isprintable()):
        reason = "the token has a character that is not valid in an HTTP header"
        return local_failure(reason, "check the option token, and GITHUB_TOKEN")
    from requests.utils import get_environ_proxies, select_proxy

    proxy = ""
    try:
        proxy = select_proxy(url, get_environ_proxies(url)) or ""
        if proxy:
            # As requests does before it connects.
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
        reason = f"{name} names a SOCKS proxy, which needs the Python package PySocks"
        return local_failure(reason, "install it, or name an HTTP proxy")
    return local_failure(
        f"{name} is not a valid proxy URL",
        "use http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, and write / as %2F and @ as %40 in the password",
    )


def wrong_bundle_variable() -> str:
    """Return the name of the variable that should name certificates for requests but does not; else ''."""
    name = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name)), "")
    try:
        if name and not os.path.isdir(os.environ[name]):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(os.environ[name])
    except OSError:
        return name
    return ""


def judge_content(path: Path, expect: Expect) -> Failure | None:
    with path.open("rb") as file:
        head = file.read(512)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGE_STARTS):
        return page_failure(expect)
    if not head:
        return Failure("sent nothing", ADVICE_CONTENT, content=True)
    if expect == "archive" and not head.startswith(tuple(MAGIC.values())):
        return Failure("sent something that is neither gzip nor zstd", ADVICE_CONTENT, content=True)
    return None
