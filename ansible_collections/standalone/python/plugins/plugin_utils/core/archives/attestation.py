# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GitHub's artifact attestations of archives: signed statements that a workflow of python-build-standalone made the very file.

A file has one Sigstore bundle a line, as ``gh attestation download`` writes it. The library ``sigstore`` verifies the
certificate, its log, the entry in the transparency log and the signature. This module checks the signer and the file. It needs no
network: the trusted root comes with the library, or from a file.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import ContentError, DeclarationError, TransportError, sanitized

if TYPE_CHECKING:
    from ..builds.catalogue import Build

ENDING = ".sigstore.jsonl"
FOLDER = "attestations"
"""The folder next to a lock file, with the attestations of its archives."""

# The first release with attestations, by upstream's release notes.
SINCE = "20250212"
ISSUER = "https://token.actions.githubusercontent.com"
REPOSITORY = "https://github.com/astral-sh/python-build-standalone"
API = "https://api.github.com/repos/astral-sh/python-build-standalone/attestations/sha256:"
PAYLOAD = "application/vnd.in-toto+json"
PROVENANCE = "https://slsa.dev/provenance/"


def name_of(build: Build) -> str:
    """Return the name of the file with the attestations of a build's archive."""
    return f"{build.filename}{ENDING}"


def from_api(text: str) -> str:
    """Return the lines of such a file from a response of GitHub's API; empty if it has no attestations.

    :raises ContentError: the response is not valid
    """
    try:
        bundles = [one["bundle"] for one in json.loads(text)["attestations"]]
        if not all(isinstance(bundle, dict) for bundle in bundles):
            raise TypeError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ContentError(f"{API}… sent {text[:80]!r} instead of attestations: try again later") from None
    return "".join(json.dumps(bundle, separators=(",", ":")) + "\n" for bundle in bundles)


def verify(lines: str, build: Build, sha256: str, trusted_root: str = "") -> bool:
    """Return whether a bundle proves that upstream built the archive; False if there is no bundle of that kind.

    :param lines: bundles, one a line
    :param trusted_root: the path of a Sigstore trusted root; empty means the library's own
    :raises ContentError: there are bundles, but none is valid for the archive
    :raises TransportError: the library is not installed, or the trusted root can't be read
    """
    wrong = []
    for line in filter(str.strip, lines.splitlines()):
        problem = _problem_of(line, sha256, trusted_root)
        if problem == "":
            return True
        if problem is not None:
            wrong.append(problem)
    if wrong:
        raise ContentError(
            f"the attestation of {build.filename} is not upstream's: {wrong[0]}; don't use the archive until you know why, "
            "or remove the attestation if only that is wrong"
        )
    return False


def missing(build: Build, where: str) -> str:
    """Return the message for a missing attestation, without advice, which the caller adds."""
    older = f", upstream has them since release {SINCE}" if build.release < SINCE else ""
    return f"there is no attestation of {build.filename} {where}{older}"


def _problem_of(line: str, sha256: str, trusted_root: str) -> str | None:
    """Return what is wrong with a bundle, '' if it is valid, None if it is of another kind."""
    verifier = _verifier(trusted_root)
    from sigstore.errors import Error
    from sigstore.models import Bundle

    try:
        kind = _statement(json.loads(line)["dsseEnvelope"]["payload"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "it is not a bundle with a statement"
    if not str(kind.get("predicateType", "")).startswith(PROVENANCE):
        # Such as GitHub's own of a whole release: another signer, for another purpose.
        return None
    try:
        payload_type, payload = verifier.verify_dsse(Bundle.from_json(line), _policy())
    except Error as error:
        return sanitized(" ".join(str(error).split())) or type(error).__name__
    except Exception as error:
        # The library parses untrusted input, and not all of its exceptions are its own.
        return f"it can't be read ({type(error).__name__})"
    if payload_type != PAYLOAD:
        return f"it signs {sanitized(repr(payload_type))}, not a statement"
    try:
        digests = [subject["digest"].get("sha256") for subject in json.loads(payload)["subject"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "its statement names no files"
    if sha256 not in digests:
        return f"it is of {_shown(digests)}, and the archive's sha256 is {sha256}"
    return ""


def _shown(digests: list[Any]) -> str:
    first = f"the sha256 {sanitized(str(digests[0]))}" if digests else "no file"
    return f"{first} and {len(digests) - 1} others" if len(digests) > 1 else first


def _statement(payload: str) -> dict[str, Any]:
    from base64 import b64decode

    statement: dict[str, Any] = json.loads(b64decode(payload))
    if not isinstance(statement, dict):
        raise TypeError
    return statement


@cache
def _verifier(trusted_root: str) -> Any:
    """Cached: making it takes as long as several verifications."""
    try:
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig, TrustedRoot
        from sigstore.verify import Verifier
    except ImportError:
        raise TransportError(
            "verifying attestations needs the Python package sigstore, which is not installed on the controller: "
            "pip install 'standalone-python[attestations]'"
        ) from None
    import logging

    # It warns about working offline, which is intended.
    logging.getLogger("sigstore").setLevel(logging.ERROR)
    try:
        if not trusted_root:
            return Verifier(trusted_root=ClientTrustConfig.production(offline=True).trusted_root)
        return Verifier(trusted_root=TrustedRoot.from_file(trusted_root))
    except OSError as error:
        at = f"the trusted root {trusted_root or 'of sigstore'}"
        raise TransportError(f"{at} can't be read ({error.strerror}): check the path and its permissions") from None
    except (Error, ValueError) as error:
        reason = sanitized(" ".join(str(error).split())[:120])
        raise DeclarationError(
            f"{trusted_root or 'the trusted root of sigstore'} is not valid ({reason}): use a trusted_root.json of Sigstore"
        ) from None


@cache
def _policy() -> Any:
    """Return the policy for signers: a workflow of upstream's repository, identified by GitHub."""
    from cryptography.x509 import SubjectAlternativeName, UniformResourceIdentifier
    from sigstore.errors import VerificationError
    from sigstore.verify.policy import AllOf, OIDCIssuerV2, OIDCSourceRepositoryURI

    class Workflow:
        def verify(self, cert: Any) -> None:
            names = cert.extensions.get_extension_for_class(SubjectAlternativeName).value
            signers = names.get_values_for_type(UniformResourceIdentifier)
            if not signers or not all(one.startswith(f"{REPOSITORY}/.github/workflows/") for one in signers):
                found = ", ".join(signers) or "nobody"
                raise VerificationError(f"it is signed by {found}, not by a workflow of {REPOSITORY}")

    return AllOf([OIDCIssuerV2(ISSUER), OIDCSourceRepositoryURI(REPOSITORY), Workflow()])
