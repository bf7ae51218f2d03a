# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources and their addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import (
    UPSTREAM,
    Source,
    parse_source,
    sums_urls,
    urls,
    without_credentials,
)
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import DeclarationError
from tests.store.support import NAME, TAG, build

BUILD = build(NAME, None)
QUOTED = NAME.replace("+", "%2B")
HEX = "0123456789abcdef" * 4
GITHUB = "https://github.com/astral-sh/python-build-standalone/releases/download"
MIRROR = "https://releases.astral.sh/github/python-build-standalone/releases/download"


def source(text: str, checksum: str = "") -> Source:
    return parse_source(text, checksum, is_dir=lambda path: path == "/srv/builds")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", UPSTREAM),
        ("upstream", UPSTREAM),
        (" https://mirror.example/pbs/ ", Source("url", "https://mirror.example/pbs")),
        (
            "http://u:p@mirror.example:8080/pbs?key=1#x",
            Source("url", "http://u:p@mirror.example:8080/pbs?key=1"),
        ),
        ("/srv/builds", Source("folder", "/srv/builds")),
        (f"/srv/{NAME}", Source("archive", f"/srv/{NAME}")),
    ],
)
def test_parse_source(text: str, expected: Source) -> None:
    assert source(text) == expected


@pytest.mark.parametrize("checksum", [HEX, f"sha256:{HEX}", f"SHA256:{HEX.upper()}"])
def test_checksum_forms(checksum: str) -> None:
    assert source(NAME, checksum) == Source("archive", NAME, HEX)


@pytest.mark.parametrize(
    ("text", "checksum", "said"),
    [
        ("ftp://mirror.example/pbs", "", "http"),
        ("https:///pbs", "", "is not a valid URL"),
        ("https://mirror.example:port/pbs", "", "is not a valid URL"),
        ("https://mirror.example/a b", "", "is not a valid URL"),
        ("/srv/nothing", "", "is not a valid source"),
        (NAME, "md5:0123", "64 hexadecimal digits"),
        (NAME, HEX[1:], "64 hexadecimal digits"),
        ("", HEX, "only valid for a local archive"),
        ("https://mirror.example/pbs", HEX, "only valid for a local archive"),
        ("/srv/builds", HEX, "only valid for a local archive"),
    ],
)
def test_refused(text: str, checksum: str, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        source(text, checksum)


def test_urls() -> None:
    assert urls(UPSTREAM, BUILD) == (f"{GITHUB}/{TAG}/{QUOTED}",)
    assert sums_urls(UPSTREAM, "20260302") == (f"{GITHUB}/20260302/SHA256SUMS",)
    assert sums_urls(UPSTREAM, "20260303") == (
        f"{MIRROR}/20260303/SHA256SUMS",
        f"{GITHUB}/20260303/SHA256SUMS",
    )
    mirror = source("https://mirror.example/pbs/?key=1")
    assert urls(mirror, BUILD) == (f"https://mirror.example/pbs/{TAG}/{QUOTED}?key=1",)
    assert urls(source("/srv/builds"), BUILD) == (f"/srv/builds/{TAG}/{NAME}",)
    assert sums_urls(source("/srv/builds"), TAG) == (f"/srv/builds/{TAG}/SHA256SUMS",)
    assert urls(source(f"/srv/{NAME}"), BUILD) == (f"/srv/{NAME}",)
    assert sums_urls(source(f"/srv/{NAME}"), TAG) == ("/srv/SHA256SUMS",)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/a?key=secret#secret", "https://host/a"),
        ("https://user:se@cret@host:8443/a", "https://host:8443/a"),
        ("https://secret@[::1]/a", "https://[::1]/a"),
        ("https://user:secret@host:secret/a", "https://host:secret/a"),
        ("https://user:secret@[broken/a?secret", "https://[broken/a"),
        ("/srv/builds/a@b?c", "/srv/builds/a@b?c"),
        ("", ""),
    ],
)
def test_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@given(st.text(alphabet="ab@:/?#[]% 0", max_size=20))
def test_no_password_is_shown(rest: str) -> None:
    assert "secret" not in without_credentials(f"https://user:secret@host{rest}")
    assert "secret" not in repr(Source("url", f"https://user:secret@host{rest}"))
    assert "secret" not in str(Source("url", f"https://user:secret@host{rest}"))
