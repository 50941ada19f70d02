"""Who compares the providers' books with ours: the parts of a reconciliation."""

from __future__ import annotations

import time
from typing import Final

from pymongo.database import Database

from application.auditor import Auditor
from domain.submission import ProviderName
from persistence.breakers import MongoBreakers
from persistence.codec import Document
from persistence.payments import MongoPayments
from persistence.replays import MongoOperatorView
from providers.http import PooledSession
from providers.paypal_statement import PayPalStatement
from providers.stripe_statement import StripeStatement
from runtime import metrics
from runtime.container import clock, new_id, open_limiter, open_vault
from runtime.settings import Settings

#: A reconciliation makes at most every so manieth of an account's calls, however long
#: that takes: payments come first.
SHARE: Final = 5


def auditor(settings: Settings, database: Database[Document]) -> Auditor:
    """In the deployment's mode; nothing connects before it is used."""
    vault, rates = open_vault(settings), settings.rates()
    return Auditor(
        statements={
            ProviderName.STRIPE: StripeStatement(
                api_base=settings.stripe_api_base,
                secret_key=settings.stripe_secret_key,
                session=_session(ProviderName.STRIPE),
            ),
            ProviderName.PAYPAL: PayPalStatement(
                api_base=settings.paypal_api_base,
                client_id=settings.paypal_client_id,
                client_secret=settings.paypal_client_secret,
                mode=settings.mode,
                session=_session(ProviderName.PAYPAL),
            ),
        },
        view=MongoOperatorView(database, vault, settings.mode),
        store=MongoPayments(database, vault, holder="auditor", mode=settings.mode),
        limiter=open_limiter(settings, database, rates=rates.__getitem__),
        breakers=MongoBreakers(database),
        pace={name: SHARE / rate if rate else 0.0 for name, rate in rates.items()},
        mode=settings.mode,
        clock=clock,
        sleep=time.sleep,
        new_id=new_id,
    )


def _session(provider: ProviderName) -> PooledSession:
    """One call at a time needs one connection."""
    return PooledSession(connections=1, observe=metrics.observer(provider))
