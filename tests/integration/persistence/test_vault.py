"""Keys come, rotate and go without a restart; a missing one is named."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from persistence.vault import KeyMissing, KeySource, Pepper, RotationUnderWay, Vault


def test_what_is_sealed_opens_and_shows_nothing(vault: Vault) -> None:
    sealed = vault.seal("ünïcode 4 you")
    assert b"4 you" not in sealed
    assert vault.open(sealed) == "ünïcode 4 you"
    assert vault.seal("ünïcode 4 you") != sealed


def test_the_key_file_is_its_owners_alone(vault: Vault, key_source: KeySource) -> None:
    assert key_source.generated
    assert stat.S_IMODE(key_source.path.stat().st_mode) == 0o600
    key_source.add()
    assert stat.S_IMODE(key_source.path.stat().st_mode) == 0o600


def test_a_generated_key_stays(vault: Vault, key_source: KeySource) -> None:
    assert Vault(KeySource("", key_source.path)).open(vault.seal("a")) == "a"


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    sources = [KeySource("", tmp_path / "keys" / "k") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda source: tuple(source.keys()), sources))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 1


def test_a_running_process_opens_what_a_rotated_one_sealed(
    vault: Vault, key_source: KeySource
) -> None:
    old = vault.seal("old")
    key_source.add()
    rotated = Vault(key_source)
    new = rotated.seal("new")
    assert vault.open(new) == "new"
    assert rotated.open(old) == "old"
    assert vault.is_current(vault.seal("after the reload"))
    assert not vault.is_current(old)


def test_keys_are_rotated_by_one_at_a_time(key_source: KeySource) -> None:
    other = KeySource("", key_source.path)
    with key_source.alone():
        with pytest.raises(RotationUnderWay), other.alone():
            pass
    with other.alone():
        other.add()
    assert len(key_source.keys()) == 2


def test_a_key_that_was_forgotten_opens_nothing(
    vault: Vault, key_source: KeySource
) -> None:
    sealed = vault.seal("old")
    key_source.add()
    key_source.keep_newest()
    with pytest.raises(KeyMissing):
        Vault(key_source).open(sealed)


@pytest.mark.parametrize("broken", [b"", b"no token", b"\xff\xfe"])
def test_what_was_never_sealed_opens_nothing(vault: Vault, broken: bytes) -> None:
    with pytest.raises(KeyMissing):
        vault.open(broken)


def test_given_keys_are_used_and_no_file_is_made(tmp_path: Path) -> None:
    new, old = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    source = KeySource(f"{new}, {old},", tmp_path / "k")
    assert source.keys() == [new, old]
    assert Vault(source).open(Fernet(old).encrypt(b"a")) == "a"
    assert not source.generated
    assert not source.path.exists()


def test_a_key_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Fernet key"):
        Vault(KeySource("short", tmp_path / "k"))


def test_a_pepper_tells_secrets_apart_and_hashes_alike(key_source: KeySource) -> None:
    pepper = Pepper(key_source)
    assert pepper.hash("a") == Pepper(key_source).hash("a") != pepper.hash("b")


def test_another_pepper_hashes_otherwise(tmp_path: Path) -> None:
    one = Pepper(KeySource("one", tmp_path / "k"))
    two = Pepper(KeySource("two", tmp_path / "k"))
    assert one.hash("a") != two.hash("a")
