"""Tests that keys of another deployment are detected at start."""

from __future__ import annotations

from pathlib import Path

from pymongo.database import Database

from persistence.codec import Document
from persistence.encryption import KeySource, Vault
from persistence.key_checks import (
    SealState,
    is_rotation_begun,
    has_matching_keys,
    reseal_check,
    find_seal_state,
)


def test_rotated_keys_pass_the_check_and_other_keys_fail(
    payments_db: Database[Document], key_source: KeySource, tmp_path: Path
) -> None:
    payments_db.keyring.delete_many({})
    assert has_matching_keys(payments_db, Vault(key_source))
    other = Vault(KeySource("", tmp_path / "other"))
    assert not has_matching_keys(payments_db, other)

    key_source.add_key()
    assert find_seal_state(payments_db, Vault(key_source)) is SealState.OLDER_KEY
    assert is_rotation_begun(payments_db, Vault(key_source))
    reseal_check(payments_db, Vault(key_source))
    assert find_seal_state(payments_db, Vault(key_source)) is SealState.NEWEST_KEY
    assert not is_rotation_begun(payments_db, Vault(key_source))
    key_source.drop_old_keys()
    assert has_matching_keys(payments_db, Vault(key_source))
