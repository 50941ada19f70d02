"""Tests of keys that are added, rotated and removed without a restart."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, strategies as st

from persistence.encryption import (
    ACCOUNTS,
    FieldUnreadable,
    KeyMissing,
    KeySource,
    Pepper,
    RotationUnderWay,
    SealBroken,
    Vault,
)

HERE = ("payments", "personal_data", "pay_1", "shop", "test")
#: A vault for property tests, which cannot use fixtures of a single test.
VAULT = Vault(KeySource(Fernet.generate_key().decode(), Path("not there")))


def test_a_sealed_text_opens_and_does_not_show_its_content(vault: Vault) -> None:
    sealed = vault.seal("ünïcode 4 you", *HERE)
    assert b"4 you" not in sealed
    assert vault.open(sealed, *HERE) == "ünïcode 4 you"
    assert vault.seal("ünïcode 4 you", *HERE) != sealed


def test_the_key_file_is_readable_by_its_owner_alone(
    vault: Vault, key_source: KeySource
) -> None:
    assert key_source.is_generated
    assert stat.S_IMODE(key_source.path.stat().st_mode) == 0o600
    key_source.add_key()
    assert stat.S_IMODE(key_source.path.stat().st_mode) == 0o600


def test_a_generated_key_stays(vault: Vault, key_source: KeySource) -> None:
    assert (
        Vault(KeySource("", key_source.path)).open(vault.seal("a", *HERE), *HERE) == "a"
    )


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    sources = [KeySource("", tmp_path / "keys" / "k") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda source: tuple(source.keys()), sources))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 1


def test_a_running_process_opens_seals_of_a_rotated_key(
    vault: Vault, key_source: KeySource
) -> None:
    old = vault.seal("old", *HERE)
    key_source.add_key()
    rotated = Vault(key_source)
    new = rotated.seal("new", *HERE)
    assert vault.open(new, *HERE) == "new"
    assert rotated.open(old, *HERE) == "old"
    assert vault.is_current(vault.seal("after the reload", *HERE))
    assert not vault.is_current(old)


def test_keys_are_rotated_by_one_process_at_a_time(key_source: KeySource) -> None:
    other = KeySource("", key_source.path)
    with key_source.exclusive():
        with pytest.raises(RotationUnderWay), other.exclusive():
            pass
    with other.exclusive():
        other.add_key()
    assert len(key_source.keys()) == 2


def test_a_forgotten_key_opens_no_seal(vault: Vault, key_source: KeySource) -> None:
    sealed = vault.seal("old", *HERE)
    key_source.add_key()
    key_source.drop_old_keys()
    with pytest.raises(KeyMissing):
        Vault(key_source).open(sealed, *HERE)


@pytest.mark.parametrize(
    "broken", [b"", b"no token", b"\xff\xfe", b"\x01" * 44, None, 7, "text", {"a": 1}]
)
def test_an_unsealed_value_does_not_open(vault: Vault, broken: Any) -> None:
    with pytest.raises(SealBroken):
        vault.open(broken, *HERE)
    assert not vault.is_current(broken)


def test_a_seal_by_an_unknown_key_asks_for_that_key(vault: Vault) -> None:
    with pytest.raises(KeyMissing):
        vault.open(b"\x01" * 45, *HERE)


@given(text=st.text(max_size=40), bit=st.integers(0), cut=st.integers(0))
def test_a_changed_or_truncated_seal_does_not_open(
    text: str, bit: int, cut: int
) -> None:
    sealed = VAULT.seal(text, *HERE)
    flipped = bytearray(sealed)
    flipped[bit // 8 % len(sealed)] ^= 1 << bit % 8
    for broken in (bytes(flipped), sealed[: cut % len(sealed)], sealed + b"\x00"):
        with pytest.raises(FieldUnreadable):
            VAULT.open(broken, *HERE)
    assert VAULT.open(sealed, *HERE) == text


@given(st.lists(st.text(max_size=5)), st.lists(st.text(max_size=5)))
def test_a_seal_opens_only_in_its_place(here: list[str], there: list[str]) -> None:
    sealed = VAULT.seal("a", *here)
    assert VAULT.open(sealed, *here) == "a"
    if here != there:
        with pytest.raises(SealBroken):
            VAULT.open(sealed, *there)


def test_keys_for_accounts_open_no_seal_of_payments(key_source: KeySource) -> None:
    payments, accounts = Vault(key_source), Vault(key_source, ACCOUNTS)
    for one, other in ((payments, accounts), (accounts, payments)):
        with pytest.raises(KeyMissing):
            other.open(one.seal("a", *HERE), *HERE)


def test_no_two_seals_share_a_salt_or_a_nonce(vault: Vault) -> None:
    heads = {vault.seal("a", *HERE)[5:29] for _ in range(1_000)}
    assert len({head[:12] for head in heads}) == len({head[12:] for head in heads})
    assert len(heads) == 1_000


def test_given_keys_are_used_and_no_file_is_made(tmp_path: Path) -> None:
    new, old = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    source = KeySource(f"{new}, {old},", tmp_path / "k")
    assert source.keys() == [new, old]
    sealed = Vault(KeySource(old, tmp_path / "k")).seal("a", *HERE)
    assert Vault(source).open(sealed, *HERE) == "a"
    assert not source.is_generated
    assert not source.path.exists()


def test_a_malformed_key_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(KeySource("short", tmp_path / "k"))


def test_a_pepper_gives_equal_hashes_to_equal_secrets_alone(
    key_source: KeySource,
) -> None:
    pepper = Pepper(key_source)
    assert pepper.hash("a") == Pepper(key_source).hash("a") != pepper.hash("b")


def test_another_pepper_gives_another_hash(tmp_path: Path) -> None:
    one = Pepper(KeySource("one", tmp_path / "k"))
    two = Pepper(KeySource("two", tmp_path / "k"))
    assert one.hash("a") != two.hash("a")
