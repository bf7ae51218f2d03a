# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Sigstore of the tests' own: a certificate authority, its log of certificates and a transparency log, each with a key of its own, and
what they make when a workflow signs. To verify it takes the trusted root that it writes, and nothing else than upstream's would.

The forms are those of RFC 6962 (certificate transparency), of Rekor's entries ``dsse`` 0.0.1, and of Go's signed notes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

UPSTREAM = "https://github.com/astral-sh/python-build-standalone"
GITHUB = "https://token.actions.githubusercontent.com"
PROVENANCE = "https://slsa.dev/provenance/v1"

_FULCIO = "1.3.6.1.4.1.57264.1"
_SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")

Key = ec.EllipticCurvePrivateKey


def _key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _id(key: Key) -> bytes:
    return hashlib.sha256(_spki(key)).digest()


def _signed(key: Key, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _text(value: str) -> bytes:
    """A DER UTF8String, of less than 128 bytes."""
    return bytes((0x0C, len(value.encode()))) + value.encode()


@dataclass
class Sigstore:
    authority: Key = field(default_factory=_key)
    certificates: Key = field(default_factory=_key)
    log: Key = field(default_factory=_key)

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of tests")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.root = (
            x509.CertificateBuilder(name, name, self.authority.public_key(), x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key()), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def trusted_root(self, path: Path) -> Path:
        """Written to a file, as upstream's users have theirs from Sigstore."""
        start = {"start": "2020-01-01T00:00:00Z"}

        def log(key: Key, url: str) -> dict[str, Any]:
            told = {"rawBytes": _b64(_spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": start}
            return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": told, "logId": {"keyId": _b64(_id(key))}}

        authority = {
            "subject": {"organization": "tests", "commonName": "tests"},
            "uri": "https://fulcio.test",
            "certChain": {"certificates": [{"rawBytes": _b64(self.root.public_bytes(Encoding.DER))}]},
            "validFor": start,
        }
        told = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.log, "https://rekor.test")],
            "certificateAuthorities": [authority],
            "ctlogs": [log(self.certificates, "https://ctfe.test")],
            "timestampAuthorities": [],
        }
        path.write_text(json.dumps(told))
        return path

    def attest(
        self,
        *digests: str,
        repository: str = UPSTREAM,
        workflow: str = "",
        issuer: str = GITHUB,
        predicate: str = PROVENANCE,
    ) -> dict[str, Any]:
        """The bundle of a statement of some files, by their sha256.

        :param workflow: the URL of what signs; upstream's release workflow, of the repository, where it is empty
        """
        workflow = workflow or f"{repository}/.github/workflows/release.yml@refs/heads/main"
        key = _key()
        certificate = self._certificate(key, repository, workflow, issuer)
        subjects = [{"name": f"file-{number}", "digest": {"sha256": digest}} for number, digest in enumerate(digests)]
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": predicate,
            "predicate": {"buildDefinition": {}, "runDetails": {}},
        }
        payload, kind = json.dumps(statement).encode(), "application/vnd.in-toto+json"
        signature = _signed(key, f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
        envelope = {"payload": _b64(payload), "payloadType": kind, "signatures": [{"sig": _b64(signature)}]}
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": _b64(certificate.public_bytes(Encoding.DER))},
                "tlogEntries": [self._entry(certificate, payload, signature)],
            },
            "dsseEnvelope": envelope,
        }

    def lines(self, *digests: str, **how: str) -> str:
        return json.dumps(self.attest(*digests, **how)) + "\n"

    def _certificate(self, key: Key, repository: str, workflow: str, issuer: str) -> x509.Certificate:
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        known = x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key())
        builder = (
            x509.CertificateBuilder(self.root.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
            .not_valid_before(self.now)
            .not_valid_after(self.now + timedelta(minutes=10))
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(workflow)]), critical=True)
        )
        for number, value in ((8, issuer), (9, workflow), (12, repository)):
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_FULCIO}.{number}"), _text(value))
            builder = builder.add_extension(extension, critical=False)
        before = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        moment = struct.pack("!Q", int(self.now.timestamp() * 1000))
        # What the log signs: the certificate as it was before its receipt was put into it (RFC 6962, 3.2).
        length = struct.pack("!I", len(before))[1:]
        entry = b"\0\0" + moment + b"\0\1" + _id(self.authority) + length + before + b"\0\0"
        signature = _signed(self.certificates, entry)
        receipt = b"\0" + _id(self.certificates) + moment + b"\0\0\4\3" + struct.pack("!H", len(signature)) + signature
        listed = struct.pack("!HH", len(receipt) + 2, len(receipt)) + receipt
        octets = bytes((0x04, len(listed))) if len(listed) < 128 else bytes((0x04, 0x81, len(listed)))
        return builder.add_extension(x509.UnrecognizedExtension(_SCTS, octets + listed), critical=False).sign(
            self.authority, hashes.SHA256()
        )

    def _entry(self, certificate: x509.Certificate, payload: bytes, signature: bytes) -> dict[str, Any]:
        pem = certificate.public_bytes(Encoding.PEM)
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": _b64(signature), "verifier": _b64(pem)}],
        }
        body = json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}, sort_keys=True, separators=(",", ":")).encode()
        leaf = hashlib.sha256(b"\0" + body).digest()
        integrated = int((self.now + timedelta(minutes=1)).timestamp())
        promise = {"body": _b64(body), "integratedTime": integrated, "logID": _id(self.log).hex(), "logIndex": 0}
        note = f"rekor.test - 1\n1\n{_b64(leaf)}\n"
        noted = _b64(_id(self.log)[:4] + _signed(self.log, note.encode()))
        return {
            "logIndex": "0",
            "logId": {"keyId": _b64(_id(self.log))},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(integrated),
            "inclusionPromise": {
                "signedEntryTimestamp": _b64(
                    _signed(self.log, json.dumps(promise, sort_keys=True, separators=(",", ":")).encode())
                )
            },
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _b64(leaf),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n— rekor.test {noted}\n"},
            },
            "canonicalizedBody": _b64(body),
        }
