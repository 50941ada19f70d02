"""Encrypts personal data, provider tokens and credentials, bound to their place."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from domain.errors import DocumentUnreadable, PaymentsError

#: Seconds until every running process seals with a newly added key.
RELOAD: Final = 5.0
#: The purposes of keys. The vaults derive different keys, even from the same secret.
PAYMENTS: Final = "payments"
ACCOUNTS: Final = "accounts"

#: The first byte of a seal: its format. Fernet tokens begin with ``g``.
_FORMAT: Final = b"\x01"
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_SALT_BYTES: Final = 12
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
#: Length of format, key id, salt and nonce; the ciphertext and its tag follow.
_HEAD: Final = len(_FORMAT) + _ID_BYTES + _SALT_BYTES + _NONCE_BYTES


class FieldUnreadable(DocumentUnreadable):
    """A sealed field cannot be opened."""

    code = "field_unreadable"


class KeyMissing(FieldUnreadable):
    """A stored field was sealed with a key that this process does not have."""

    code = "encryption_key_missing"


class SealBroken(FieldUnreadable):
    """A stored field was sealed for another place, or was changed."""

    code = "seal_broken"


class RotationUnderWay(PaymentsError):
    """Another process is changing the encryption keys; nothing was changed."""

    code = "rotation_under_way"


class Vault:
    """Seals with AES-256-GCM under the newest key; opens seals of all known keys.

    The place of a seal is its authenticated data: it opens nowhere else. Each seal has
    a random nonce and a key of its own, derived by HKDF from the configured key, the
    purpose and a random salt. One GCM key with random nonces may seal 2**32 texts; salt
    and nonce together have 192 random bits, enough for 2**80 seals.

    ``source`` gives the keys, newest first. It is read again every RELOAD seconds, and
    when a seal has an unknown key, so that running processes follow a rotation. Raises
    ValueError if a key is not 32 bytes in URL-safe base64.
    """

    def __init__(self, source: KeySource, purpose: str = PAYMENTS) -> None:
        self.purpose = purpose
        self.source = source
        self._given: Sequence[str] = ()
        self.reload()

    def seal(self, text: str, *binding: str) -> bytes:
        """Seals ``text`` under the newest key.

        ``binding`` is its place: the collection, the field, the document's id and other
        fields of the document that must not change.
        """
        if time.monotonic() >= self._stale_at:
            self.reload()
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        newest, keys = self._ring
        cipher = self._cipher(keys[newest], salt)
        sealed = cipher.encrypt(nonce, text.encode(), _encode_binding(binding))
        return b"".join((_FORMAT, newest, salt, nonce, sealed))

    def open(self, sealed: Any, *binding: str) -> str:
        """Opens a seal; ``sealed`` may be any value of the database.

        Raises KeyMissing if the key is unknown, and SealBroken.
        """
        if not _is_seal(sealed):
            raise SealBroken
        key_id, salt, nonce, rest = _split_seal(sealed)
        if key_id not in self._ring[1]:
            self.reload()
        key = self._ring[1].get(key_id)
        if key is None:
            raise KeyMissing
        try:
            text = self._cipher(key, salt).decrypt(
                nonce, rest, _encode_binding(binding)
            )
        except InvalidTag:
            raise SealBroken from None
        return text.decode()

    def is_current(self, sealed: Any) -> bool:
        """Whether ``sealed`` names the newest key."""
        return _is_seal(sealed) and _split_seal(sealed)[0] == self._ring[0]

    def reload(self) -> None:
        """Reads the keys again."""
        given = self.source.keys()
        if given != self._given:
            keys = [
                (self._derive(key, b"id", _ID_BYTES), key) for key in decode_keys(given)
            ]
            self._ring = keys[0][0], dict(keys)
            self._given = given
        self._stale_at = time.monotonic() + RELOAD

    def _cipher(self, key: bytes, salt: bytes) -> AESGCM:
        return AESGCM(self._derive(key, b"seal" + salt, _KEY_BYTES))

    def _derive(self, key: bytes, info: bytes, length: int) -> bytes:
        """Derives by HKDF without extraction, as the keys are uniformly random."""
        info = f"payments/1/{self.purpose}/".encode() + info
        return HKDFExpand(SHA256(), length, info).derive(key)


def _is_seal(sealed: Any) -> bool:
    shortest = _HEAD + _TAG_BYTES
    return (
        isinstance(sealed, bytes) and sealed[:1] == _FORMAT and len(sealed) >= shortest
    )


def _split_seal(sealed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The key's id, the salt, the nonce and the ciphertext."""
    salt = len(_FORMAT) + _ID_BYTES
    nonce = salt + _SALT_BYTES
    return sealed[1:salt], sealed[salt:nonce], sealed[nonce:_HEAD], sealed[_HEAD:]


def _encode_binding(binding: tuple[str, ...]) -> bytes:
    """Encodes a binding so that no two bindings have the same bytes."""
    return json.dumps(binding).encode()


def decode_keys(keys: Sequence[str]) -> list[bytes]:
    """The keys' bytes. Raises ValueError if one is invalid or there is none."""
    try:
        found = [base64.b64decode(key, altchars=b"-_", validate=True) for key in keys]
    except ValueError:
        found = []
    if not found or any(len(key) != _KEY_BYTES for key in found):
        raise ValueError("an encryption key is 32 bytes in URL-safe base64")
    return found


class KeySource:
    """Secret keys from the environment or from a generated file.

    ``given`` is the setting (comma-separated). If it is empty, the file ``path`` has
    one key per line, newest first. It is generated on first use, readable by its owner
    alone.
    """

    def __init__(self, given: str, path: Path) -> None:
        self._given = given
        self.path = path

    @property
    def is_generated(self) -> bool:
        """Whether the keys are in the generated file, which a rotation may change."""
        return not self._given

    def keys(self) -> Sequence[str]:
        """The keys, newest first."""
        if self._given:
            return [key.strip() for key in self._given.split(",") if key.strip()]
        if not self.path.exists():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                _write_new(self.path, _generate_key() + "\n")
            except FileExistsError:
                pass  # another process has just generated the file
        return self.path.read_text().split()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Excludes other rotations: a second one could drop the key of the first.

        Raises RotationUnderWay if another process holds the lock.
        """
        self.keys()  # makes the folder
        lock = self.path.with_suffix(".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RotationUnderWay from None
            yield
        finally:
            os.close(descriptor)  # releases the lock

    def add_key(self) -> None:
        """Adds a new key in front; older keys still open their seals."""
        self._replace([_generate_key(), *self.keys()])

    def drop_old_keys(self) -> None:
        """Removes every key but the newest."""
        self._replace([self.keys()[0]])

    def _replace(self, keys: Sequence[str]) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _write_new(fresh, "\n".join(keys) + "\n")
        fresh.replace(self.path)


class Pepper:
    """Keyed hashes of secrets, which are recognized by their hash and never stored.

    The key comes from a KeySource and never rotates: a new key would invalidate every
    issued secret.
    """

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._key: bytes | None = None

    def hash(self, secret: str) -> str:
        """HMAC-SHA256 in hex."""
        if self._key is None:
            self._key = self._source.keys()[0].encode()
        return hmac.new(self._key, secret.encode(), hashlib.sha256).hexdigest()


def _generate_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _write_new(path: Path, text: str) -> None:
    """Creates a file atomically, readable by its owner alone.

    Raises FileExistsError if it exists.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    finally:
        draft.unlink()
