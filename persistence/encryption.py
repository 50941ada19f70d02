"""Seals texts, each for one place: personal data, provider tokens, credentials."""

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

#: Seconds until every process that runs seals with a key that was added.
RELOAD: Final = 5.0
#: What a key is for. Both vaults derive different keys, even from the same secret.
PAYMENTS: Final = "payments"
ACCOUNTS: Final = "accounts"

#: The first byte of a seal: the format below. Fernet's tokens begin with ``g``.
_FORMAT: Final = b"\x01"
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_SALT_BYTES: Final = 12
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
#: Format, id of the key, salt and nonce; the ciphertext and its tag follow.
_HEAD: Final = len(_FORMAT) + _ID_BYTES + _SALT_BYTES + _NONCE_BYTES


class FieldUnreadable(DocumentUnreadable):
    """A sealed field cannot be opened."""

    code = "field_unreadable"


class KeyMissing(FieldUnreadable):
    """A stored field was sealed with a key that this process does not have."""

    code = "encryption_key_missing"


class SealBroken(FieldUnreadable):
    """A stored field was not sealed for the place where it stands, or was changed."""

    code = "seal_broken"


class RotationUnderWay(PaymentsError):
    """Another process is changing the encryption keys; nothing was changed."""

    code = "rotation_under_way"


class Vault:
    """AES-256-GCM under the newest key; opens what any of the keys sealed.

    A seal is bound to its place as authenticated data, and opens nowhere else. Each
    has a key of its own, derived by HKDF from the configured key, the purpose and a
    random salt, and a random nonce. One GCM key with random nonces may seal 2**32
    texts; salt and nonce together are 192 random bits, which bound 2**80 seals.

    ``source`` gives the keys, newest first. It is asked again every RELOAD seconds,
    and when a field was sealed with a key that is not known yet, so that a rotation
    reaches processes that run. Raises ValueError where a key is not 32 bytes in
    URL-safe base64.
    """

    def __init__(self, source: KeySource, purpose: str = PAYMENTS) -> None:
        self.purpose = purpose
        self.source = source
        self._given: Sequence[str] = ()
        self.reload()

    def seal(self, text: str, *binding: str) -> bytes:
        """``text`` under the newest key, for ``place`` alone: the collection, the
        field, the document's id, and what else of the document must stay as it is."""
        if time.monotonic() >= self._stale_at:
            self.reload()
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        newest, keys = self._ring
        cipher = self._cipher(keys[newest], salt)
        sealed = cipher.encrypt(nonce, text.encode(), _encode_binding(binding))
        return b"".join((_FORMAT, newest, salt, nonce, sealed))

    def open(self, sealed: Any, *binding: str) -> str:
        """What ``seal`` was given. ``sealed`` is what the database holds: anything.

        Raises KeyMissing where the key is not known, and SealBroken.
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
        """Whether ``sealed`` says that it was made with the newest key."""
        return _is_seal(sealed) and _split_seal(sealed)[0] == self._ring[0]

    def reload(self) -> None:
        """Reads the keys again."""
        given = self.source.keys()
        if given != self._given:
            keys = [
                (self._derived(key, b"id", _ID_BYTES), key)
                for key in decode_keys(given)
            ]
            self._ring = keys[0][0], dict(keys)
            self._given = given
        self._stale_at = time.monotonic() + RELOAD

    def _cipher(self, key: bytes, salt: bytes) -> AESGCM:
        return AESGCM(self._derived(key, b"seal" + salt, _KEY_BYTES))

    def _derived(self, key: bytes, info: bytes, length: int) -> bytes:
        """HKDF without its extraction: the keys are uniformly random."""
        info = f"payments/1/{self.purpose}/".encode() + info
        return HKDFExpand(SHA256(), length, info).derive(key)


def _is_seal(sealed: Any) -> bool:
    whole = _HEAD + _TAG_BYTES
    return isinstance(sealed, bytes) and sealed[:1] == _FORMAT and len(sealed) >= whole


def _split_seal(sealed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The key's id, the salt, the nonce, and the rest."""
    salt = len(_FORMAT) + _ID_BYTES
    nonce = salt + _SALT_BYTES
    return sealed[1:salt], sealed[salt:nonce], sealed[nonce:_HEAD], sealed[_HEAD:]


def _encode_binding(binding: tuple[str, ...]) -> bytes:
    """The same for no other place, whatever its parts hold."""
    return json.dumps(binding).encode()


def decode_keys(keys: Sequence[str]) -> list[bytes]:
    """The keys' bytes. Raises ValueError where one is no key, or there is none."""
    try:
        found = [base64.b64decode(key, altchars=b"-_", validate=True) for key in keys]
    except ValueError:
        found = []
    if not found or any(len(key) != _KEY_BYTES for key in found):
        raise ValueError("an encryption key is 32 bytes in URL-safe base64")
    return found


class KeySource:
    """Where secret keys come from: the environment, or a generated file.

    ``given`` is the setting (comma-separated); where it is empty, ``path`` holds one
    key a line, newest first, and is made with a fresh key, readable by its owner
    alone, the first time it is asked for.
    """

    def __init__(self, given: str, path: Path) -> None:
        self._given = given
        self.path = path

    @property
    def is_generated(self) -> bool:
        """Whether the keys are in a file of ours, which we may add to."""
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
                pass  # another process was first; its key is the one
        return self.path.read_text().split()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """For the length of a rotation, which a second one would spoil: it would drop
        the key that the first one has just begun to seal with.

        Raises RotationUnderWay where another process is in here.
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
            os.close(descriptor)  # and so ends the lock, as the process's end does

    def add_key(self) -> None:
        """Puts a fresh key first; older ones go on opening what they sealed."""
        self._replace([_generate_key(), *self.keys()])

    def drop_old_keys(self) -> None:
        """Forgets every key but the first."""
        self._replace([self.keys()[0]])

    def _replace(self, keys: Sequence[str]) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _write_new(fresh, "\n".join(keys) + "\n")
        fresh.replace(self.path)


class Pepper:
    """Keyed hashes of secrets that must be recognised and never read again.

    The key is a setting or a generated file, as with the vault, and never rotates:
    a new one would disown every secret that was handed out.
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
    """Makes a file for its owner alone; nobody ever sees a part of it.

    Raises FileExistsError where it is there already.
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
