"""A merchant with its own accounts, a worker, and both providers."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, replace
from typing import Any

from domain.account import Credentials, StoredAccount
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from persistence.accounts import MongoAccounts
from persistence.merchants import MongoMerchants
from runtime import container
from tests.support.workbench import Workbench

#: A restricted key; the simulator refuses all of these.
REFUSED = "rk_test_refused"


@dataclass
class AccountsShop:
    """A merchant's accounts on a workbench."""

    bench: Workbench

    @property
    def accounts(self) -> MongoAccounts:
        """The deployment's accounts."""
        vault = container.open_account_vault(self.bench.settings)
        return MongoAccounts(self.bench.database, vault)

    def add(self, provider: str = "stripe", **fields: Any) -> StoredAccount:
        """Adds an account of the merchant, with new credentials."""
        name = ProviderName(provider)
        secret = fields.pop("secret", f"sk_test_{uuid.uuid4().hex}")
        client = f"client-{uuid.uuid4().hex}" if provider == "paypal" else None
        account = replace(
            StoredAccount(
                id=container.new_id("acct"),
                merchant=self.bench.shop.key.merchant,
                mode=self.bench.settings.mode,
                provider=name,
                created_at=container.clock(),
                credentials=Credentials(secret, client),
            ),
            **fields,
        )
        self.accounts.add(account)
        return account

    def route_on(self, *codes: str) -> None:
        """Makes declines with these codes move payments to the next account."""
        merchant = self.bench.shop.key.merchant
        MongoMerchants(self.bench.database).change_settings(merchant, routes_on=codes)

    def pay(self, provider: str | None = None, **fields: Any) -> str:
        """Submits a payment for any account; returns its id."""
        given = {"payment_method": "pm_card_visa", "provider": provider, **fields}
        return self.bench.pay(**given)

    def complete(self, payment_id: str) -> Payment:
        """Works on the payment until nothing is due; returns it."""
        return self.bench.work(payment_id)

    def charges(self, payment_id: str) -> list[str]:
        """The accounts of the payment's movements, by their names in the ledgers."""
        payment = self.bench.stored(payment_id)
        operation = payment.first_operation.id
        return [
            str(row["account"])
            for simulator in (self.bench.stripe, self.bench.paypal)
            for row in simulator.movements()
            if operation in (row["metadata"] or {}).values()
        ]

    def routing_events(self, payment_id: str) -> list[tuple[str, str, str]]:
        """The payment's routing events: from, to and reason."""
        path = f"/v1/payments/{payment_id}/events"
        events = self.bench.shop.get(path).json()["data"]
        return [
            (data["from_account"], data["to_account"], data["reason"])
            for data in (event["data"] for event in events)
            if "from_account" in data
        ]


def ledger_name(account: StoredAccount) -> str:
    """The account's name in the ledgers, which is derived from its credentials."""
    credentials = account.credentials
    if account.provider is ProviderName.PAYPAL:
        return str(credentials.client_id)
    digest = hashlib.sha256(str(credentials.secret).encode()).hexdigest()[:16]
    return f"acct_{digest}"
