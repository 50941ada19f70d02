"""PayPal's webhook signatures, by a certificate chain of the simulator's own.

The scheme: RSA with SHA-256 over ``transmission id|time|webhook id|crc32 of the body``.
Source: https://developer.paypal.com/api/rest/webhooks/rest/
"""

from __future__ import annotations

import uuid
import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simulators.calls import Json, to_json

#: Default webhook id of signatures.
DEFAULT_WEBHOOK_ID: Final = "WH-SIMULATOR"
ALGORITHM: Final = "SHA256withRSA"
#: Names in PayPal's own certificates, and the simulator's host names.
HOSTS: Final = (
    "messageverificationcerts.paypal.com",
    "messageverificationcerts.sandbox.paypal.com",
    "localhost",
)
#: A year outlasts any run of the simulator; kept ones are made anew at its end.
VALIDITY: Final = timedelta(days=365)
#: Leeway before the start, for clocks that disagree.
LEEWAY: Final = timedelta(days=1)


class Signer:
    """Keys and certificates made at start, and the signatures by them."""

    def __init__(self, kept: Path | None = None) -> None:
        """With ``kept``, a file, a later run has the same keys and the same root."""
        self._key, leaf, middle, root = _load(kept) or _generate()
        if kept is not None:
            _save(kept, self._key, leaf, middle, root)
        self.root_pem = root.public_bytes(serialization.Encoding.PEM)
        self.chain_pem = b"".join(
            each.public_bytes(serialization.Encoding.PEM) for each in (leaf, middle)
        )
        #: Path of the chain at the simulator.
        self.path = f"/v1/notifications/certs/CERT-{leaf.serial_number % 2**32:08x}"

    def sign(
        self, webhook_ids: tuple[str, ...], event_id: str, body: bytes, base: str
    ) -> Mapping[str, str]:
        """Return PayPal's five headers for a body; there is one webhook id.

        The time in them is real, not the simulator's: receivers compare it with
        their own.
        """
        transmission = str(uuid.uuid4())
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        message = _message(transmission, at, webhook_ids[0], body)
        signature = self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return {
            "PAYPAL-TRANSMISSION-ID": transmission,
            "PAYPAL-TRANSMISSION-TIME": at,
            "PAYPAL-TRANSMISSION-SIG": b64encode(signature).decode(),
            "PAYPAL-CERT-URL": base + self.path,
            "PAYPAL-AUTH-ALGO": ALGORITHM,
        }

    def verify(self, sent: Json) -> bool:
        """Whether a body of ``verify-webhook-signature`` was signed here.

        The event is encoded again as this simulator encodes it, so a caller must keep
        the order of its fields.
        """
        texts = [
            sent.get(name)
            for name in (
                "transmission_id",
                "transmission_time",
                "webhook_id",
                "transmission_sig",
            )
        ]
        if not all(isinstance(text, str) for text in texts):
            return False
        transmission, at, webhook_id, signature = map(str, texts)
        event = to_json(sent.get("webhook_event"))
        try:
            self._key.public_key().verify(
                b64decode(signature, validate=True),
                _message(transmission, at, webhook_id, event),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except (InvalidSignature, NotBase64):
            return False
        return sent.get("auth_algo") == ALGORITHM


#: The signing key, its certificate, the issuer's and the root.
_Chain = tuple[rsa.RSAPrivateKey, x509.Certificate, x509.Certificate, x509.Certificate]


def _generate() -> _Chain:
    root_key = ec.generate_private_key(ec.SECP256R1())
    middle_key = ec.generate_private_key(ec.SECP256R1())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    root_name, middle_name = _name("Simulator Root"), _name("Simulator Issuing CA")
    root = _authority(root_name, root_name, root_key, root_key, 1)
    middle = _authority(middle_name, root_name, middle_key, root_key, 0)
    return key, _leaf(middle_name, key, middle_key), middle, root


def _load(file: Path | None) -> _Chain | None:
    """The keys of an earlier run; None without usable ones."""
    if file is None or not file.exists():
        return None
    pem = file.read_bytes()
    try:
        key = serialization.load_pem_private_key(pem, None)
        leaf, middle, root = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return None
    ends = leaf.not_valid_after_utc
    if not isinstance(key, rsa.RSAPrivateKey) or ends < datetime.now(UTC) + LEEWAY:
        return None
    return key, leaf, middle, root


def _save(file: Path, key: rsa.RSAPrivateKey, *chain: x509.Certificate) -> None:
    pem = serialization.Encoding.PEM
    form, open_ = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.touch(mode=0o600)
    certificates = [one.public_bytes(pem) for one in chain]
    file.write_bytes(b"".join([key.private_bytes(pem, form, open_), *certificates]))


def _message(transmission: str, at: str, webhook_id: str, body: bytes) -> bytes:
    return f"{transmission}|{at}|{webhook_id}|{zlib.crc32(body)}".encode()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LEEWAY)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), False
        )
    )


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    below: int,
) -> x509.Certificate:
    """Make a certificate that may issue others, ``below`` levels of them."""
    return (
        _builder(subject, issuer, key.public_key(), issuer_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), True)
        .add_extension(_usage(certificates=True), True)
        .sign(issuer_key, hashes.SHA256())
    )


def _leaf(
    issuer: x509.Name, key: rsa.RSAPrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in HOSTS]
    names.append(x509.IPAddress(ip_address("127.0.0.1")))
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _builder(_name(HOSTS[0]), issuer, key.public_key(), issuer_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(_usage(certificates=False), True)
        .add_extension(x509.ExtendedKeyUsage(usages), False)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(issuer_key, hashes.SHA256())
    )


def _usage(certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
