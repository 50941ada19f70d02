"""Detects at start that the encryption keys do not match the stored documents."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from persistence.codec import Document
from persistence.encryption import ACCOUNTS, PAYMENTS, FieldUnreadable, Vault
from persistence.legacy_encryption import OldSeals, is_token
from persistence.mongo import translating_errors

#: One document per purpose with a sealed word. The first process creates it.
_CHECKS: Final = {PAYMENTS: "encryption", ACCOUNTS: "account_encryption"}
_CHECK_TEXT: Final = "sealed"


class SealState(StrEnum):
    """How the stored documents are sealed, by the word, which is resealed last."""

    NOTHING = "nothing"  #: the database was not used yet
    NEWEST_KEY = "newest_key"  #: all documents have the newest key
    OLDER_KEY = "older_key"  #: a rotation has not finished
    EARLIER_RELEASE = "earlier_release"  #: an upgrade has not finished
    OTHER_KEYS = "other_keys"  #: none of our keys opens the word


def is_used(database: Database[Document], purpose: str) -> bool:
    """Whether this database was used for ``purpose``. Raises StoreUnavailable."""
    with translating_errors():
        return database.keyring.find_one({"_id": _CHECKS[purpose]}) is not None


def find_seal_state(database: Database[Document], vault: Vault) -> SealState:
    """The state of the seals of ``vault``'s purpose. Raises StoreUnavailable."""
    found = _find_check(database, vault)
    if found is None:
        return SealState.NOTHING
    word = found.get(_CHECK_TEXT)
    if is_token(word):
        # Opening a token that is bound to no place is harmless: it is not shown.
        is_ours = _is_old_seal(word, vault)
        return SealState.EARLIER_RELEASE if is_ours else SealState.OTHER_KEYS
    try:
        if vault.open(word, *_seal_binding(vault)) != _CHECK_TEXT:
            return SealState.OTHER_KEYS
    except FieldUnreadable:
        return SealState.OTHER_KEYS
    return SealState.NEWEST_KEY if vault.is_current(word) else SealState.OLDER_KEY


def has_matching_keys(database: Database[Document], vault: Vault) -> bool:
    """Whether ``vault`` opens the database's word; seals the word on first use.

    Raises StoreUnavailable.
    """
    if _find_check(database, vault) is None:
        fresh = vault.seal(_CHECK_TEXT, *_seal_binding(vault))
        with translating_errors():
            try:
                database.keyring.insert_one(
                    {"_id": _CHECKS[vault.purpose], _CHECK_TEXT: fresh}
                )
            except DuplicateKeyError:
                pass  # another process was first, perhaps with other keys
    return find_seal_state(database, vault) not in (
        SealState.NOTHING,
        SealState.OTHER_KEYS,
    )


def is_rotation_begun(database: Database[Document], vault: Vault) -> bool:
    """Whether a rotation has added the newest key and has not finished.

    Raises StoreUnavailable.
    """
    state = find_seal_state(database, vault)
    if state is SealState.EARLIER_RELEASE:
        word = (_find_check(database, vault) or {}).get(_CHECK_TEXT, b"")
        return not OldSeals(vault.source).is_current(word)
    return state is SealState.OLDER_KEY


def reseal_check(database: Database[Document], vault: Vault) -> None:
    """Seals the word with the newest key. Raises StoreUnavailable."""
    fresh = vault.seal(_CHECK_TEXT, *_seal_binding(vault))
    with translating_errors():
        database.keyring.update_one(
            {"_id": _CHECKS[vault.purpose]}, {"$set": {_CHECK_TEXT: fresh}}, upsert=True
        )


def _find_check(database: Database[Document], vault: Vault) -> Document | None:
    with translating_errors():
        return database.keyring.find_one({"_id": _CHECKS[vault.purpose]})


def _is_old_seal(word: Any, vault: Vault) -> bool:
    try:
        return OldSeals(vault.source).open(word) == _CHECK_TEXT
    except FieldUnreadable:
        return False


def _seal_binding(vault: Vault) -> tuple[str, ...]:
    return "keyring", _CHECK_TEXT, _CHECKS[vault.purpose]
