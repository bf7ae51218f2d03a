# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority, a server that it certifies, and a program that tries whether an interpreter trusts the two."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NAME = "server.test"

# It makes a TLS server of a thread, connects to it, and prints whether it trusts the server; then the file of certificates.
# Arguments: the server's certificate and key, in one file.
PROBE = """
import socket, ssl, sys, threading
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if hasattr(ssl, "PROTOCOL_TLS_SERVER") else ssl.PROTOCOL_TLS)
server.load_cert_chain(sys.argv[1])
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(1)
def serve():
    try:
        server.wrap_socket(listening.accept()[0], server_side=True).close()
    except OSError:
        pass
thread = threading.Thread(target=serve)
thread.start()
try:
    with socket.create_connection(listening.getsockname(), 20) as plain:
        with ssl.create_default_context().wrap_socket(plain, server_hostname="server.test"):
            print("trusted")
except ssl.SSLError as error:
    print(getattr(error, "verify_message", "") or error)
thread.join()
print(ssl.get_default_verify_paths().cafile)
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """PEM: ``certificate`` for a file of trusted ones, ``server`` for a server named `NAME`, with its key."""

    certificate: str
    server: str


def _usage(*, authority: bool) -> x509.KeyUsage:
    off = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False, **off
    )


def authority() -> Authority:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority.test", NAME)]
    now = datetime.datetime.now(datetime.UTC)
    made = [
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(names[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=name is names[0], path_length=None), critical=True)
        # Python 3.13 and later verify strictly, and want these.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
        .add_extension(_usage(authority=name is names[0]), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(keys[0], hashes.SHA256())
        for name, key in zip(names, keys, strict=True)
    ]
    ca, server = (certificate.public_bytes(Encoding.PEM).decode() for certificate in made)
    key = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Authority(ca, server + key)
