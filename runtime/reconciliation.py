"""Who compares the providers' books with ours: the parts of a reconciliation."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from pymongo.database import Database

from application.reconciliation.provider_calls import Auditor
from domain.account import Account
from domain.payments.submission import ProviderName
from persistence.circuit_breakers import MongoBreakers
from persistence.codec import Document
from persistence.differences import Differences
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from persistence.server_clock import ServerClock
from runtime.container import (
    ids_by,
    open_accounts,
    open_adapters,
    open_limiter,
    open_vault,
)
from runtime.settings import Settings

#: A reconciliation makes at most every so manieth of an account's calls, however long
#: that takes: payments come first.
SHARE: Final = 5


def auditor(settings: Settings, database: Database[Document]) -> Auditor:
    """In the deployment's mode; nothing connects before it is used."""
    vault = open_vault(settings)
    # One call at a time needs one connection.
    adapters = open_adapters(settings, database, connections=1)
    clock = ServerClock(database)

    def pace(account: Account) -> float:
        rate = adapters.rate(account.id)
        return SHARE / rate if rate else 0.0

    return Auditor(
        statements=adapters.statement,
        view=MongoOperatorView(database, vault, settings.mode),
        store=MongoPayments(database, vault, holder="auditor", mode=settings.mode),
        differences=Differences(database, settings.mode),
        limiter=open_limiter(settings, database, rates=adapters.rate),
        breakers=MongoBreakers(database),
        pace=pace,
        mode=settings.mode,
        clock=clock,
        sleep=time.sleep,
        new_id=ids_by(clock),
    )


def all_accounts(
    settings: Settings, database: Database[Document]
) -> dict[Account, datetime | None]:
    """Those of the deployment's mode, its own first, and since when each is retired.

    Raises StoreUnavailable.
    """
    stored = open_accounts(settings, database).retired(settings.mode)
    return {**dict.fromkeys(map(Account.own, ProviderName)), **stored}
