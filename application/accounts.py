"""Adds, configures, rolls and retires the provider accounts of merchants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from application.ports.accounts import AccountStore
from application.conflicts import retry_on_conflict
from domain.account import StoredAccount, TooManyAccounts
from domain.errors import StoreUnavailable
from domain.payments.routing import MAX_ACCOUNTS

#: Rounds in which a change may meet another one, or keys that rotate.
_MAX_CONFLICTS: Final = 5


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
        its = before.credentials
        return replace(
            before,
            currencies=before.currencies if currencies is None else currencies,
            weight=before.weight if weight is None else weight,
            calls_per_second=before.calls_per_second if rate is None else rate,
            credentials=replace(its, webhook_id=webhook_id or its.webhook_id),
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
        its = before.credentials
        its = replace(its, secret=secret, client_id=client_id or its.client_id)
        return replace(before, credentials=its, rolled_at=now)

    return change_account(account_id, step, store=store)


def roll_webhook_secrets(
    account_id: str, secrets: tuple[str, ...], *, store: AccountStore, now: datetime
) -> StoredAccount:
    """Gives an account the secrets that its webhooks are signed with from now on.

    Raises as ``change_account`` does.
    """

    def step(before: StoredAccount) -> StoredAccount:
        its = replace(before.credentials, webhook_secrets=secrets)
        return replace(before, credentials=its, rolled_at=now)

    return change_account(account_id, step, store=store)


def retire_account(
    account_id: str, *, store: AccountStore, now: datetime
) -> StoredAccount:
    """Gives an account no new payments; its first retirement keeps its date.

    Raises as ``change_account`` does.
    """
    return change_account(
        account_id,
        lambda before: replace(before, retired_at=before.retired_at or now),
        store=store,
    )


def restore_account(account_id: str, *, store: AccountStore) -> StoredAccount:
    """Gives a retired account new payments again.

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
    """Writes ``step`` of the account on top of every other change.

    Raises AccountNotFound, StoreUnavailable and whatever ``step`` does.
    """

    def write() -> StoredAccount | None:
        before = store.get(account_id)
        after = replace(step(before), version=before.version + 1)
        return after if store.replace(after) else None

    error = StoreUnavailable("too many write to this account at once")
    return retry_on_conflict(write, rounds=_MAX_CONFLICTS, error=error)
