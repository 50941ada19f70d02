"""Adds, configures, rolls and retires the provider accounts of merchants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from application.ports.accounts import AccountStore
from application.write_retries import retry_write
from domain.account import StoredAccount, TooManyAccounts
from domain.errors import StoreUnavailable
from domain.payments.routing import MAX_ACCOUNTS

#: Tries of a change that meets another one, or a rotation of the encryption keys.
_MAX_ROUNDS: Final = 5


def add_account(account: StoredAccount, *, store: AccountStore) -> None:
    """Stores a new account.

    Raises TooManyAccounts, AlreadyConnected and StoreUnavailable.
    """
    if store.count(account.merchant, account.mode) >= MAX_ACCOUNTS:
        raise TooManyAccounts
    store.add(account)


def configure_account(
    account_id: str,
    *,
    currencies: tuple[str, ...] | None = None,
    weight: int | None = None,
    rate: int | None = None,
    webhook_id: str | None = None,
    store: AccountStore,
) -> StoredAccount:
    """Changes the given settings of an account. Raises as ``change_account`` does."""

    def step(before: StoredAccount) -> StoredAccount:
        old = before.credentials
        return replace(
            before,
            currencies=before.currencies if currencies is None else currencies,
            weight=before.weight if weight is None else weight,
            calls_per_second=before.calls_per_second if rate is None else rate,
            credentials=replace(old, webhook_id=webhook_id or old.webhook_id),
        )

    return change_account(account_id, step, store=store)


def roll_secret(
    account_id: str,
    secret: str | None,
    *,
    client_id: str | None = None,
    store: AccountStore,
    now: datetime,
) -> StoredAccount:
    """Gives an account a new secret, and a new client id where there is one.

    Raises as ``change_account`` does.
    """

    def step(before: StoredAccount) -> StoredAccount:
        old = before.credentials
        new = replace(old, secret=secret, client_id=client_id or old.client_id)
        return replace(before, credentials=new, rolled_at=now)

    return change_account(account_id, step, store=store)


def roll_webhook_secrets(
    account_id: str, secrets: tuple[str, ...], *, store: AccountStore, now: datetime
) -> StoredAccount:
    """Replaces the secrets that the webhooks of an account are signed with.

    Raises as ``change_account`` does.
    """

    def step(before: StoredAccount) -> StoredAccount:
        new = replace(before.credentials, webhook_secrets=secrets)
        return replace(before, credentials=new, rolled_at=now)

    return change_account(account_id, step, store=store)


def retire_account(
    account_id: str, *, store: AccountStore, now: datetime
) -> StoredAccount:
    """Excludes an account from new payments; a second call keeps the first date.

    Raises as ``change_account`` does.
    """
    return change_account(
        account_id,
        lambda before: replace(before, retired_at=before.retired_at or now),
        store=store,
    )


def restore_account(account_id: str, *, store: AccountStore) -> StoredAccount:
    """Allows new payments of a retired account again.

    Raises as ``change_account`` does.
    """
    return change_account(
        account_id, lambda before: replace(before, retired_at=None), store=store
    )


def change_account(
    account_id: str,
    step: Callable[[StoredAccount], StoredAccount],
    *,
    store: AccountStore,
) -> StoredAccount:
    """Applies ``step`` to the account as it is stored, and stores the result.

    Raises AccountNotFound, StoreUnavailable and the errors of ``step``.
    """

    def write() -> StoredAccount | None:
        before = store.get(account_id)
        after = replace(step(before), version=before.version + 1)
        return after if store.replace(after) else None

    error = StoreUnavailable("too many write to this account at once")
    return retry_write(write, rounds=_MAX_ROUNDS, error=error)
