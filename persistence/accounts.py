"""Merchants' provider accounts on MongoDB, their credentials sealed together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from application.ports.payments import Scope
from domain.account import (
    Account,
    AccountNotFound,
    AlreadyConnected,
    Credentials,
    StoredAccount,
)
from domain.errors import DocumentUnreadable
from domain.payments.routing import MAX_ACCOUNTS, Candidate
from domain.payments.submission import Mode, ProviderName
from persistence.codec import Document, to_dict, to_sealed_text
from persistence.document_faults import decode_or_report
from persistence.encryption import Vault
from persistence.mongo import translating_errors

#: The sealed field.
CREDENTIALS: Final = "credentials"


class MongoAccounts:
    """The AccountStore on MongoDB.

    Every method raises StoreUnavailable if the database does not answer; methods that
    open credentials raise DocumentUnreadable if that fails. ``vault`` is the vault of
    accounts: the vault of payments has other keys.
    """

    def __init__(self, database: Database[Document], vault: Vault) -> None:
        self._accounts = database.accounts
        self._vault = vault

    def count(self, merchant: str, mode: Mode) -> int:
        with translating_errors():
            return self._accounts.count_documents(
                {"merchant": merchant, "mode": mode.value}
            )

    def add(self, account: StoredAccount) -> None:
        with translating_errors():
            try:
                self._accounts.insert_one(self._encode(account))
            except DuplicateKeyError:  # of the connected account; ids are new
                raise AlreadyConnected from None

    def get(self, account_id: str) -> StoredAccount:
        """One account. Raises AccountNotFound."""
        with translating_errors():
            found = self._accounts.find_one({"_id": account_id})
        if found is None:
            raise AccountNotFound
        return decode_or_report(found, self._decode, self._accounts)

    def find_connected(self, name: str, mode: Mode) -> StoredAccount:
        """The account with Stripe's account id ``name``. Raises AccountNotFound."""
        with translating_errors():
            found = self._accounts.find_one({"connected": name, "mode": mode.value})
        if found is None:
            raise AccountNotFound
        return decode_or_report(found, self._decode, self._accounts)

    def retirement_dates(self, mode: Mode) -> dict[Account, datetime | None]:
        """When each account of a mode was retired, or None; the oldest account first.

        Opens no secret.
        """
        with translating_errors():
            found = self._accounts.find(
                {"mode": mode.value}, {"provider": 1, "retired_at": 1}
            )
            listed = list(found.sort("_id", ASCENDING))
        return {
            Account(one["_id"], ProviderName(one["provider"])): one.get("retired_at")
            for one in listed
        }

    def list(
        self, *, merchant: str | None = None, ids: Sequence[str] | None = None
    ) -> Sequence[StoredAccount]:
        """All accounts, those of a merchant, or those of ``ids``; the oldest first.

        One that cannot be read is left out and reported.
        """
        wanted: Document = {} if merchant is None else {"merchant": merchant}
        if ids is not None:
            wanted["_id"] = {"$in": list(ids)}
        with translating_errors():
            found = list(self._accounts.find(wanted).sort("_id", ASCENDING))
        return self._split_readable(found)[0]

    def list_unreadable(self, *, merchant: str | None = None) -> Sequence[str]:
        """The ids of accounts whose credentials cannot be opened."""
        wanted: Document = {} if merchant is None else {"merchant": merchant}
        with translating_errors():
            found = list(self._accounts.find(wanted).sort("_id", ASCENDING))
        return self._split_readable(found)[1]

    def _split_readable(
        self, documents: Sequence[Document]
    ) -> tuple[Sequence[StoredAccount], Sequence[str]]:
        """The accounts that can be read and the ids of the others."""
        accounts, unreadable = [], []
        for document in documents:
            try:
                accounts.append(
                    decode_or_report(document, self._decode, self._accounts)
                )
            except DocumentUnreadable:
                unreadable.append(document["_id"])
        return accounts, unreadable

    def replace(self, account: StoredAccount) -> bool:
        with translating_errors():
            result = self._accounts.replace_one(
                {"_id": account.id, "version": account.version - 1},
                self._encode(account),
            )
        return bool(result.matched_count)

    def _encode(self, account: StoredAccount) -> Document:
        owner = {
            "_id": account.id,
            "merchant": account.merchant,
            "mode": account.mode.value,
            "provider": account.provider.value,
        }
        credentials = to_sealed_text(to_dict(account.credentials))
        document: Document = {
            **owner,
            "currencies": list(account.currencies) or None,
            "weight": account.weight,
            "rate": account.calls_per_second,
            "connected": account.connected_account,
            CREDENTIALS: self._vault.seal(credentials, *seal_binding(owner)),
            "created_at": account.created_at,
            "rolled_at": account.rolled_at,
            "retired_at": account.retired_at,
            "version": account.version,
        }
        return {name: value for name, value in document.items() if value is not None}

    def _decode(self, document: Mapping[str, Any]) -> StoredAccount:
        sealed = document.get(CREDENTIALS)
        fields = json.loads(self._vault.open(sealed, *seal_binding(document)))
        return StoredAccount(
            id=document["_id"],
            merchant=document["merchant"],
            mode=Mode(document["mode"]),
            provider=ProviderName(document["provider"]),
            created_at=document["created_at"],
            credentials=Credentials(
                **{**fields, "webhook_secrets": tuple(fields["webhook_secrets"])}
            ),
            currencies=tuple(document.get("currencies", ())),
            weight=document["weight"],
            calls_per_second=document.get("rate"),
            connected_account=document.get("connected"),
            rolled_at=document.get("rolled_at"),
            retired_at=document.get("retired_at"),
            version=document["version"],
        )


def seal_binding(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that an account's credentials are bound to."""
    bound = ("_id", "merchant", "mode", "provider")
    return "accounts", CREDENTIALS, *(document[name] for name in bound)


def load_candidates(
    database: Database[Document], scope: Scope
) -> tuple[Candidate, ...]:
    """The accounts that a merchant's payments may use; opens no secret.

    Raises StoreUnavailable, and DocumentUnreadable if one cannot be read.
    """
    wanted = {"merchant": scope.merchant, "mode": scope.mode.value}
    shown = dict.fromkeys(("provider", "currencies", "weight", "retired_at"), 1)
    with translating_errors():
        found = list(database.accounts.find(wanted, shown).limit(MAX_ACCOUNTS))
    # An unreadable account is not left out: payments would go to another account.
    return tuple(
        decode_or_report(one, _decode_candidate, database.accounts) for one in found
    )


def _decode_candidate(document: Document) -> Candidate:
    return Candidate(
        Account(document["_id"], ProviderName(document["provider"])),
        frozenset(document.get("currencies", ())),
        document["weight"],
        retired="retired_at" in document,
    )
