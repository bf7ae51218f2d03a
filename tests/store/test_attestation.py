# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attestations as the library sigstore judges them: those of a Sigstore of the tests' own, whole and tampered with, and real ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.standalone.python.plugins.plugin_utils.core.archives import attestation
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.attestation import verify
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.source import UPSTREAM, Source
from ansible_collections.standalone.python.plugins.plugin_utils.core.archives.store import Store
from ansible_collections.standalone.python.plugins.plugin_utils.core.builds.catalogue import parse_filename
from ansible_collections.standalone.python.plugins.plugin_utils.core.errors import (
    ContentError,
    DeclarationError,
    StandalonePythonError,
    TransportError,
)
from tests.tools.sigstore import Sigstore
from tests.tools.web import serve

BUILD = parse_filename("cpython-3.13.2+20250317-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz")
OLD = parse_filename("cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz")
DIGEST, OTHER = "a" * 64, "b" * 64
FORK = "https://github.com/someone/python-build-standalone"
REAL = Path(__file__).with_name("attestations")


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture(scope="module")
def root(sigstore: Sigstore, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(sigstore.trusted_root(tmp_path_factory.mktemp("root") / "trusted_root.json"))


def test_what_upstream_signed(sigstore: Sigstore, root: str) -> None:
    assert verify(sigstore.lines(DIGEST), BUILD, DIGEST, root)
    assert verify(sigstore.lines(OTHER, DIGEST), BUILD, DIGEST, root), "a statement is of all files of a release"
    assert verify(sigstore.lines(OTHER) + "\n" + sigstore.lines(DIGEST), BUILD, DIGEST, root), "one of them is enough"


def test_nothing_and_other_kinds(sigstore: Sigstore, root: str) -> None:
    assert not verify("", BUILD, DIGEST, root)
    release = sigstore.lines(DIGEST, predicate="https://in-toto.io/attestation/release/v0.1")
    assert not verify(release, BUILD, DIGEST, root), "that a release has a file doesn't say who made it"
    assert verify(release + sigstore.lines(DIGEST), BUILD, DIGEST, root)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"repository": FORK}, "OIDCSourceRepositoryURI does not match .got https://github.com/someone/"),
        (
            {"workflow": f"{FORK}/.github/workflows/release.yml@refs/heads/main"},
            "it is signed by https://github.com/someone/.*, not by",
        ),
        (
            {"workflow": "https://github.com/astral-sh/python-build-standalone-2/.github/workflows/release.yml@refs/heads/main"},
            "it is signed by https://github.com/astral-sh/python-build-standalone-2/",
        ),
        ({"issuer": "https://token.actions.githubusercontent.com/someone"}, "OIDCIssuerV2 does not match"),
    ],
)
def test_who_else_signed(sigstore: Sigstore, root: str, how: dict[str, str], said: str) -> None:
    with pytest.raises(ContentError, match=f"the attestation of {BUILD.filename.replace('+', '.')} is not upstream's: .*{said}"):
        verify(sigstore.lines(DIGEST, **how), BUILD, DIGEST, root)


def test_what_else_was_signed(sigstore: Sigstore, root: str) -> None:
    with pytest.raises(ContentError, match=f"it is of the sha256 {OTHER}, and the archive's sha256 is {DIGEST}"):
        verify(sigstore.lines(OTHER), BUILD, DIGEST, root)
    with pytest.raises(ContentError, match=f"it is of the sha256 {OTHER} and 1 others"):
        verify(sigstore.lines(OTHER, "c" * 64), BUILD, DIGEST, root)


def _flipped(text: str) -> str:
    content = bytearray(base64.b64decode(text))
    content[len(content) // 2] ^= 1
    return base64.b64encode(bytes(content)).decode()


def _other_statement(bundle: Any) -> None:
    statement = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(OTHER.encode(), DIGEST.encode())
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(statement).decode()


def _other_signature(bundle: Any) -> None:
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = _flipped(bundle["dsseEnvelope"]["signatures"][0]["sig"])


def _other_certificate(bundle: Any) -> None:
    certificate = bundle["verificationMaterial"]["certificate"]
    certificate["rawBytes"] = _flipped(certificate["rawBytes"])


def _other_log(bundle: Any) -> None:
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    entry["inclusionProof"]["rootHash"] = _flipped(entry["inclusionProof"]["rootHash"])


def _other_promise(bundle: Any) -> None:
    bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1700000000"


def _no_log(bundle: Any) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


def _no_certificate(bundle: Any) -> None:
    del bundle["verificationMaterial"]["certificate"]


@pytest.mark.parametrize(
    "tamper",
    [_other_statement, _other_signature, _other_certificate, _other_log, _other_promise, _no_log, _no_certificate],
)
def test_tampered_with(sigstore: Sigstore, root: str, tamper: Callable[[Any], None]) -> None:
    """Each is of upstream's, and true but for one thing."""
    bundle = sigstore.attest(OTHER if tamper is _other_statement else DIGEST)
    tamper(bundle)
    with pytest.raises(ContentError, match="is not upstream's: .*; don't use the archive until you know why"):
        verify(json.dumps(bundle), BUILD, DIGEST, root)


def test_the_log_entry_of_another_statement(sigstore: Sigstore, root: str) -> None:
    bundle, other = sigstore.attest(DIGEST), sigstore.attest(DIGEST)
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    with pytest.raises(ContentError, match="is not upstream's"):
        verify(json.dumps(bundle), BUILD, DIGEST, root)


@pytest.mark.parametrize(
    "line", ["nonsense", "{}", "[]", '{"dsseEnvelope": {"payload": "e30="}}x', '{"dsseEnvelope": {"payload": "W10="}}']
)
def test_no_bundle(root: str, line: str) -> None:
    with pytest.raises(ContentError, match="it is not a bundle with a statement"):
        verify(line, BUILD, DIGEST, root)


def test_somebody_elses_sigstore(sigstore: Sigstore, root: str) -> None:
    with pytest.raises(ContentError, match="is not upstream's"):
        verify(Sigstore().lines(DIGEST), BUILD, DIGEST, root)
    with pytest.raises(ContentError, match="is not upstream's"):
        verify(sigstore.lines(DIGEST), BUILD, DIGEST)


def test_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the root that the library brings, without a network; only their signer is not upstream."""
    theirs = (REAL / "of-another-repository.sigstore.jsonl").read_text()
    with pytest.raises(ContentError, match="OIDCSourceRepositoryURI does not match .got https://github.com/malancas/attest-demo"):
        verify(theirs, BUILD, DIGEST)
    with pytest.raises(
        ContentError, match="OIDCIssuerV2 does not match .got https://token.actions.githubusercontent.com/hammer-time"
    ):
        verify((REAL / "of-another-issuer.sigstore.jsonl").read_text(), BUILD, DIGEST)
    bundle = json.loads(theirs)
    _other_signature(bundle)
    attestation._policy.cache_clear()
    monkeypatch.setattr(attestation, "REPOSITORY", "https://github.com/malancas/attest-demo")
    try:
        with pytest.raises(ContentError, match="it is signed by https://github.com/github/artifact-attestations-workflows/"):
            verify(theirs, BUILD, DIGEST)
    finally:
        attestation._policy.cache_clear()


def test_real_and_of_whom_it_is_taken_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is checked of upstream's holds for a real one, were its repository upstream."""
    from sigstore.verify.policy import OIDCIssuerV2

    monkeypatch.setattr(attestation, "_policy", lambda: OIDCIssuerV2(attestation.ISSUER))
    theirs = (REAL / "of-another-repository.sigstore.jsonl").read_text()
    digest = "49a3aa6075e0f49f82843e74b5baa614ad2a588e6675612bf108a0a008c5ac25"
    assert verify(theirs, BUILD, digest)
    with pytest.raises(ContentError, match=f"it is of the sha256 {digest}"):
        verify(theirs, BUILD, DIGEST)
    bundle = json.loads(theirs)
    _other_signature(bundle)
    with pytest.raises(ContentError, match="is not upstream's"):
        verify(json.dumps(bundle), BUILD, digest)


def test_trusted_roots_that_are_none(sigstore: Sigstore, tmp_path: Path) -> None:
    with pytest.raises(
        TransportError, match="the trusted root .*/nowhere can't be read .No such file or directory.: check the path"
    ):
        verify(sigstore.lines(DIGEST), BUILD, DIGEST, str(tmp_path / "nowhere"))
    (tmp_path / "nonsense").write_text("nonsense")
    with pytest.raises(DeclarationError, match="/nonsense is not valid .*: use a trusted_root.json"):
        verify(sigstore.lines(DIGEST), BUILD, DIGEST, str(tmp_path / "nonsense"))


def test_what_github_answers(sigstore: Sigstore, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its API does: the bundles that it has of a digest, or 404; asked once for a fleet."""
    bundle = sigstore.attest(DIGEST)
    www = tmp_path / "www"
    www.mkdir()
    (www / f"sha256:{DIGEST}").write_text(json.dumps({"attestations": [{"bundle": bundle, "repository_id": 1}]}))
    (www / f"sha256:{OTHER}").write_text(json.dumps({"attestations": [{"bundle": None, "bundle_url": "https://elsewhere"}]}))
    with serve(www) as web:
        monkeypatch.setattr(attestation, "API", f"{web.url()}/sha256:")
        store = Store(tmp_path / "cache")
        for _unused in range(2):
            lines = store.attestations(BUILD, DIGEST, UPSTREAM)
            assert json.loads(lines) == bundle
            assert store.attestations(BUILD, "c" * 64, UPSTREAM) == ""
        assert len(web.asked) == 2
        assert verify(lines, BUILD, DIGEST, root)
        assert store.attestations(OLD, DIGEST, UPSTREAM) == "", "nobody is asked for what was before the first"
        assert len(web.asked) == 2
        with pytest.raises(ContentError, match="instead of attestations"):
            store.attestations(BUILD, OTHER, UPSTREAM)
    with pytest.raises(StandalonePythonError, match="could not be reached"):
        store.attestations(BUILD, "d" * 64, UPSTREAM)


def test_beside_an_archive_in_a_folder_and_on_a_server(sigstore: Sigstore, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    (folder / BUILD.release).mkdir(parents=True)
    (folder / BUILD.release / attestation.name_of(BUILD)).write_text("a line\n")
    store = Store(tmp_path / "cache")
    assert store.attestations(BUILD, DIGEST, Source("folder", str(folder))) == "a line\n"
    assert store.attestations(OLD, DIGEST, Source("folder", str(folder))) == ""
    with serve(folder) as web:
        assert store.attestations(BUILD, DIGEST, Source("url", web.url())) == "a line\n"
        assert store.attestations(OLD, DIGEST, Source("url", web.url())) == ""
        assert store.attestations(BUILD, DIGEST, Source("url", web.url("status-403"))) == "", (
            "as a bucket says of what it hasn't got"
        )
