"""Keys that did not seal what is stored are noticed before they do harm."""

from __future__ import annotations

from pathlib import Path

from pymongo.database import Database

from persistence.codec import Document
from persistence.encryption import KeySource, Vault
from persistence.key_checks import Sealed, is_begun, keys_fit, reseal_check, sealed


def test_other_keys_do_not_fit_and_rotated_ones_do(
    payments_db: Database[Document], key_source: KeySource, tmp_path: Path
) -> None:
    payments_db.keyring.delete_many({})
    assert keys_fit(payments_db, Vault(key_source))
    other = Vault(KeySource("", tmp_path / "other"))
    assert not keys_fit(payments_db, other)

    key_source.add()
    assert sealed(payments_db, Vault(key_source)) is Sealed.OLDER_KEY
    assert is_begun(payments_db, Vault(key_source))
    reseal_check(payments_db, Vault(key_source))
    assert sealed(payments_db, Vault(key_source)) is Sealed.NEWEST_KEY
    assert not is_begun(payments_db, Vault(key_source))
    key_source.keep_newest()
    assert keys_fit(payments_db, Vault(key_source))
