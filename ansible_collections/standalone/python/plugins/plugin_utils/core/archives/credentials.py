# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secret a server may be shown. Pure: asks nobody, and keeps nothing.

A token is for the origin of the source that it was given for, a user and password in a URL for that URL's
origin, GITHUB_TOKEN for GitHub. Where a server redirects to, nothing of it follows.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from .source import GITHUB

# Not the hosts that GitHub redirects to: those carry their own permission in the URL.
GITHUB_HOSTS = frozenset({"github.com", "api.github.com"})


def authorization(url: str, asked: str, token: str, location: str, github_token: str) -> str:
    """The Authorization header for one hop, or ''.

    :param url: what is about to be asked
    :param asked: the address at the start of the redirects, whose user and password belong to its own origin
    """
    hop = urlsplit(url)
    if token and _same_origin(hop, urlsplit(location or GITHUB)):
        return f"Bearer {token}"
    first = urlsplit(asked)
    if first.username is not None and _same_origin(hop, first):
        return basic(unquote(first.username), unquote(first.password or ""))
    if github_token and hop.scheme == "https" and hop.hostname in GITHUB_HOSTS and hop.port in (None, 443):
        return f"Bearer {github_token}"
    return ""


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _same_origin(one: SplitResult, other: SplitResult) -> bool:
    """Same scheme, host and port; or the same host, moved from http to https on their usual ports."""

    def ported(url: SplitResult) -> tuple[str, int]:
        return url.scheme, url.port or (443 if url.scheme == "https" else 80)

    same = ported(one) == ported(other) or (ported(one), ported(other)) == (("https", 443), ("http", 80))
    return one.hostname == other.hostname and same


def bare(url: str) -> str:
    """A URL without user and password, as it may be asked."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
