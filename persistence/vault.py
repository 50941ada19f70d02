"""Encrypts single fields: personal data, provider tokens, request bodies."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from domain.errors import PaymentsError

#: Seconds until every process that runs seals with a key that was added.
RELOAD: Final = 5.0


class KeyMissing(PaymentsError):
    """A stored field was encrypted with a key that this process does not have."""

    code = "encryption_key_missing"


class RotationUnderWay(PaymentsError):
    """Another process is changing the encryption keys; nothing was changed."""

    code = "rotation_under_way"


class Vault:
    """Fernet (AES-128-CBC with HMAC-SHA256) under the newest key; reads under any.

    ``source`` gives the keys, newest first. It is asked again every RELOAD seconds,
    and when a field was sealed with a key that is not known yet, so that a rotation
    reaches processes that run. Raises ValueError where a key is not a Fernet key.
    """

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: Sequence[str] = ()
        self.reload()

    def seal(self, text: str) -> bytes:
        """``text`` encrypted under the newest key."""
        if time.monotonic() >= self._stale_at:
            self.reload()
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """What ``seal`` was given. Raises KeyMissing where no key fits."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            self.reload()
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise KeyMissing from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether ``sealed`` was made under the newest key."""
        try:
            Fernet(self._keys[0]).decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def reload(self) -> None:
        """Reads the keys again."""
        keys = self._source.keys()
        if keys != self._keys:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
            self._keys = keys
        self._stale_at = time.monotonic() + RELOAD


class Opener(Protocol):
    """Gives a sealed field's text."""

    def open(self, sealed: bytes) -> str:
        """See Vault."""


class Unopened:
    """Leaves every field shut, an empty text in its place: for those who read many
    payments and want nothing that is sealed, as each costs a tenth of a millisecond.
    """

    def open(self, sealed: bytes) -> str:
        """See Opener."""
        return ""


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
    def generated(self) -> bool:
        """Whether the keys are in a file of ours, which we may add to."""
        return not self._given

    def keys(self) -> Sequence[str]:
        """The keys, newest first."""
        if self._given:
            return [key.strip() for key in self._given.split(",") if key.strip()]
        if not self.path.exists():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                _write_new(self.path, _generated() + "\n")
            except FileExistsError:
                pass  # another process was first; its key is the one
        return self.path.read_text().split()

    @contextmanager
    def alone(self) -> Iterator[None]:
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

    def add(self) -> None:
        """Puts a fresh key first; older ones go on opening what they sealed."""
        self._replace([_generated(), *self.keys()])

    def keep_newest(self) -> None:
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


def _generated() -> str:
    return Fernet.generate_key().decode()


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
