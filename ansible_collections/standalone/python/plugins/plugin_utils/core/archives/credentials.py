# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which credentials a server gets. Pure: no I/O, no state.

A token is sent to the origin of its source only, a user and password in a URL to that URL's origin only, and GITHUB_TOKEN to
GitHub only. None of them follows a redirect to another origin.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from .source import GITHUB

# Not the hosts that GitHub redirects to: URLs there are signed.
GITHUB_HOSTS = frozenset({"github.com", "api.github.com"})


def authorization(url: str, original_url: str, token: str, location: str, github_token: str) -> str:
    """Return the Authorization header for one request, or ''.

    :param url: of this request
    :param original_url: the URL before all redirects, whose user and password belong to its own origin
    """
    hop = urlsplit(url)
    if token and _same_origin(hop, urlsplit(location or GITHUB)):
        return f"Bearer {token}"
    first = urlsplit(original_url)
    if first.username is not None and _same_origin(hop, first):
        return basic(unquote(first.username), unquote(first.password or ""))
    if github_token and hop.scheme == "https" and hop.hostname in GITHUB_HOSTS and hop.port in (None, 443):
        return f"Bearer {github_token}"
    return ""


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _same_origin(one: SplitResult, other: SplitResult) -> bool:
    """Return whether scheme, host and port agree, or the same host moved from http to https on the default ports."""

    def ported(url: SplitResult) -> tuple[str, int]:
        return url.scheme, url.port or (443 if url.scheme == "https" else 80)

    same = ported(one) == ported(other) or (ported(one), ported(other)) == (("https", 443), ("http", 80))
    return one.hostname == other.hostname and same


def bare(url: str) -> str:
    """Return a URL without user and password, as it is sent in a request."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
