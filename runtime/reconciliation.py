"""Who compares the providers' books with ours: the parts of a reconciliation."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from pymongo.database import Database

from application.reconciliation.provider_calls import ReconciliationContext
from domain.account import Account
from domain.payments.submission import ProviderName
from persistence.circuit_breakers import MongoBreakerStore
from persistence.codec import Document
from persistence.differences import MongoDifferences
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from persistence.server_clock import ServerClock
from runtime.container import (
    id_factory,
    open_accounts,
    open_adapters,
    open_rate_limiter,
    open_vault,
)
from runtime.settings import Settings

#: A reconciliation makes at most every so manieth of an account's calls, however long
#: that takes: payments come first.
RATE_SHARE: Final = 5


def reconciliation_context(
    settings: Settings, database: Database[Document]
) -> ReconciliationContext:
    """In the deployment's mode; nothing connects before it is used."""
    vault = open_vault(settings)
    # One call at a time needs one connection.
    adapters = open_adapters(settings, database, connections=1)
    clock = ServerClock(database)

    def pace(account: Account) -> float:
        rate = adapters.rate_of(account.id)
        return RATE_SHARE / rate if rate else 0.0

    return ReconciliationContext(
        statements=adapters.statement_for,
        view=MongoOperatorView(database, vault, settings.mode),
        store=MongoPayments(database, vault, holder="auditor", mode=settings.mode),
        differences=MongoDifferences(database, settings.mode),
        limiter=open_rate_limiter(settings, database, rates=adapters.rate_of),
        breakers=MongoBreakerStore(database),
        pace=pace,
        mode=settings.mode,
        clock=clock,
        sleep=time.sleep,
        new_id=id_factory(clock),
    )


def list_accounts(
    settings: Settings, database: Database[Document]
) -> dict[Account, datetime | None]:
    """Those of the deployment's mode, its own first, and since when each is retired.

    Raises StoreUnavailable.
    """
    stored = open_accounts(settings, database).retirement_dates(settings.mode)
    return {**dict.fromkeys(map(Account.own, ProviderName)), **stored}
