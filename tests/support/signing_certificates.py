"""Certificates not of PayPal: expired, or of another root or host."""

from __future__ import annotations

import threading
import time
import uuid
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The name in PayPal's certificates of test mode.
NAME = "messageverificationcerts.sandbox.paypal.com"
PATH = "/v1/notifications/certs/CERT-360caa42-fca2a594"
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A certificate authority."""

    key: rsa.RSAPrivateKey
    root: x509.Certificate

    @classmethod
    def new(cls) -> Authority:
        """A new authority."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = _name("A Root of the Tests")
        builder = _builder(name, name, key, key, -10 * _DAY, 10 * _DAY)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        builder = builder.add_extension(_usage(signs_others=True), True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    def pem(self) -> bytes:
        """The root certificate."""
        return self.root.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, name: str = NAME, *, until: timedelta = _DAY
    ) -> tuple[rsa.RSAPrivateKey, bytes]:
        """A key and its certificate, which expires ``until`` from now."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        issuer = self.root.subject
        builder = _builder(_name(name), issuer, key, self.key, -9 * _DAY, until)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(_usage(signs_others=False), True)
        builder = builder.add_extension(usage, False).add_extension(names, False)
        leaf = builder.sign(self.key, hashes.SHA256())
        return key, leaf.public_bytes(serialization.Encoding.PEM)


def signed(
    key: rsa.RSAPrivateKey, body: bytes, *, url: str, webhook_id: str
) -> dict[str, str]:
    """PayPal's signature headers for a body, by any key."""
    transmission = str(uuid.uuid4())
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = f"{transmission}|{at}|{webhook_id}|{zlib.crc32(body)}".encode()
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return {
        "PayPal-Transmission-Id": transmission,
        "PayPal-Transmission-Time": at,
        "PayPal-Transmission-Sig": b64encode(signature).decode(),
        "PayPal-Cert-Url": url,
        "PayPal-Auth-Algo": "SHA256withRSA",
    }


@contextmanager
def serving(
    content: bytes, status: int = 200, *, wait: float = 0.0, **headers: str
) -> Iterator[str]:
    """The base URL of a server with one answer, until the block ends; each answer
    takes ``wait`` seconds."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(wait)  # a slow server, not a wait for anything
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    issuer_key: rsa.RSAPrivateKey,
    since: timedelta,
    until: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    of_issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(
        issuer_key.public_key()
    )
    of_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .add_extension(of_key, False)
        .add_extension(of_issuer, False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
