"""The promises of every ApiKeyStore, as the use cases show them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from application.ports.accounts import ApiKeyStore
from application.api_keys import authenticate, create_key, revoke_key, roll_key
from domain.api_keys import ApiKey, KeyNotFound, Role
from domain.payments.submission import Mode
from tests.suites.samples import NOW

DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)


def created(
    store: ApiKeyStore,
    *,
    merchant: str = "shop",
    role: Role = Role.MERCHANT,
    mode: Mode = Mode.TEST,
    now: datetime = NOW,
) -> tuple[ApiKey, str]:
    """A new key and its secret."""
    return create_key(merchant=merchant, role=role, mode=mode, store=store, now=now)


def opened(store: ApiKeyStore, secret: str, now: datetime = NOW) -> ApiKey | None:
    """The key that ``secret`` opens at ``now``."""
    return authenticate(secret, store=store, clock=lambda: now)


class ApiKeySuite:
    """Its subclass's module has fixtures ``keys`` and ``elsewhere``: the same keys in
    two processes. The second process has read none yet."""

    def test_a_secret_opens_its_key_in_every_process(
        self, keys: ApiKeyStore, elsewhere: ApiKeyStore
    ) -> None:
        key, secret = created(keys, role=Role.OPERATOR, mode=Mode.LIVE)
        assert secret.startswith("sk_live_")
        assert opened(keys, secret) == opened(elsewhere, secret) == key
        assert (key.merchant, key.role, key.mode) == ("shop", Role.OPERATOR, Mode.LIVE)

    def test_a_key_is_cached_after_its_secret_opened_it(
        self, keys: ApiKeyStore
    ) -> None:
        _, secret = created(keys)
        assert not keys.is_cached(secret)
        opened(keys, secret)
        assert keys.is_cached(secret)

    @pytest.mark.parametrize(
        "secret", ["", "_", "sk_test_", "sk_test_0", "é", "x" * 9999]
    )
    def test_a_text_that_is_not_a_secret_opens_no_key(
        self, keys: ApiKeyStore, secret: str
    ) -> None:
        created(keys)
        assert opened(keys, secret) is None

    def test_a_known_id_with_a_wrong_secret_opens_no_key(
        self, keys: ApiKeyStore
    ) -> None:
        _, secret = created(keys)
        wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")
        assert opened(keys, wrong) is None
        assert opened(keys, secret.replace("sk_test", "sk_live")) is None
        assert opened(keys, secret) is not None

    def test_a_rolled_key_stays_valid_for_its_overlap_beside_its_successor(
        self, keys: ApiKeyStore, elsewhere: ApiKeyStore
    ) -> None:
        old, old_secret = created(keys, role=Role.ADMIN)
        new, new_secret = roll_key(old.id, overlap=DAY, store=keys, now=NOW)
        assert (new.merchant, new.role, new.mode) == (old.merchant, old.role, old.mode)
        assert opened(elsewhere, old_secret, NOW + DAY - SECOND) is not None
        assert opened(elsewhere, new_secret, NOW + DAY - SECOND) == new
        assert opened(elsewhere, old_secret, NOW + DAY) is None
        assert opened(elsewhere, new_secret, NOW + DAY) == new

    def test_a_rolled_key_can_be_revoked_before_its_end(
        self, keys: ApiKeyStore
    ) -> None:
        old, _ = created(keys)
        roll_key(old.id, overlap=DAY, store=keys, now=NOW)
        assert keys.get(old.id).expires_at == NOW + DAY
        revoke_key(old.id, store=keys, now=NOW + SECOND)
        assert keys.get(old.id).expires_at == NOW + SECOND

    def test_a_revoked_key_is_invalid_in_a_process_without_a_cache_of_it(
        self, keys: ApiKeyStore, elsewhere: ApiKeyStore
    ) -> None:
        key, secret = created(keys)
        revoke_key(key.id, store=keys, now=NOW)
        assert opened(elsewhere, secret) is None

    def test_a_revoked_key_cannot_be_rolled_or_prolonged(
        self, keys: ApiKeyStore
    ) -> None:
        key, _ = created(keys)
        assert revoke_key(key.id, store=keys, now=NOW).expires_at == NOW
        with pytest.raises(KeyNotFound):
            roll_key(key.id, overlap=DAY, store=keys, now=NOW)
        with pytest.raises(KeyNotFound):
            revoke_key(key.id, store=keys, now=NOW)
        assert [one.expires_at for one in keys.list("shop")] == [NOW]

    def test_an_unknown_key_is_named_by_the_error(self, keys: ApiKeyStore) -> None:
        with pytest.raises(KeyNotFound, match="key_0"):
            revoke_key("key_0", store=keys, now=NOW)
        with pytest.raises(KeyNotFound, match="key_0"):
            roll_key("key_0", overlap=DAY, store=keys, now=NOW)

    def test_keys_are_listed_oldest_first_for_one_merchant_or_all(
        self, keys: ApiKeyStore
    ) -> None:
        made = [
            created(keys, merchant=merchant, now=NOW + number * SECOND)[0]
            for number, merchant in enumerate(("b", "a", "b"))
        ]
        assert keys.list() == made
        assert keys.list("b") == [made[0], made[2]]
        assert keys.list("nobody") == []
