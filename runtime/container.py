"""The composition root: builds the parts of each kind of process."""

from __future__ import annotations

import os
import random
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

import pymongo
from pymongo.database import Database
from redis.exceptions import RedisError
from ulid import ULID, ULIDGenerator

from application import attempt, disputes
from application.ports.accounts import AccountStore, ApiKeyStore, MerchantStore
from application.admission import SharedAdmissionControl
from application.operator_actions import OperatorContext
from application.ports.admission import BreakerStore, AdmissionControl, RateLimiter
from application.ports.operators import OperatorView
from application.ports.payments import JobQueue, PaymentStore
from application.ports.webhooks import WebhookInbox
from application.reconciliation.provider_calls import ReconciliationContext
from application.webhooks import WebhookContext
from domain.account import Account
from domain.errors import StoreUnavailable
from domain.payments.submission import ProviderName
from persistence import mongo, monitoring
from persistence.accounts import MongoAccounts
from persistence.api_keys import MongoApiKeys
from persistence.circuit_breakers import MongoBreakerStore
from persistence.codec import Document
from persistence.differences import MongoDifferences
from persistence.encryption import ACCOUNTS, PAYMENTS, KeySource, Pepper, Vault
from persistence.group_commit import GroupCommitPayments
from persistence.indexes import UniqueIndexes
from persistence.key_checks import has_matching_keys
from persistence.merchants import MongoMerchants
from persistence.operator_queries import MongoOperatorView
from persistence.payments import MongoPayments
from persistence.redis_limiter import RedisRateLimiter
from persistence.replays import MongoReplayStore
from persistence.server_clock import ServerClock
from persistence.webhooks import MongoWebhooks
from runtime import metrics
from runtime.accounts.registry import AccountAdapters
from runtime.accounts.webhook_verifiers import WebhookVerifiers
from runtime.provider_table import PROVIDERS
from runtime.queue.celery_app import make_app
from runtime.queue.wakeups import DUE_PAYMENTS, WEBHOOKS, WakeupQueue, connect_redis
from runtime.quotas import QuotaName, Quotas
from runtime.settings import API_BASES, Settings

#: Assumed workers per account if neither server knows their number: more than most
#: deployments have, because too few calls are better than refused calls.
WORKERS: Final = 8
#: A reconciliation makes at most one in so many of an account's calls, because payments
#: come first.
RATE_SHARE: Final = 5


@dataclass(frozen=True, slots=True)
class WebServices:
    """The dependencies of the routes."""

    settings: Settings
    database: Database[Document]
    store: PaymentStore
    queue: JobQueue
    keys: ApiKeyStore
    merchants: MerchantStore
    accounts: AccountStore
    clock: Callable[[], datetime]
    draw: Callable[[], float]  #: uniform in [0, 1)
    new_id: Callable[[str], str]
    hash: Callable[[str], str]  #: keyed, so that its input cannot be guessed
    check_readiness: Callable[[], dict[str, str]]
    breakers: BreakerStore
    operator_context: OperatorContext
    inbox: WebhookInbox
    webhook_verifiers: WebhookVerifiers
    webhook_queue: JobQueue
    quotas: Quotas


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """The dependencies of the tasks."""

    settings: Settings
    attempt_context: attempt.AttemptContext
    webhook_context: WebhookContext
    database: Database[Document]
    worker_name: str


def create_web_services(settings: Settings) -> WebServices:
    """The parts of a web process; each connects on first use."""
    settings.require("mongo_url", "redis_url")
    database = open_database(settings)
    redis, app = connect_redis(settings), make_app(settings)
    wakeup_queue = WakeupQueue(app, redis)
    vault, account_vault = open_vault(settings), open_account_vault(settings)
    clock = open_clock(database)

    def check() -> dict[str, str]:
        found = {"mongodb": "ok", "redis": "ok", "encryption": "ok"}
        try:
            # One time limit for all checks, because probes share few threads.
            with pymongo.timeout(mongo.PING_TIMEOUT):
                if not mongo.ping(database).get("isWritablePrimary"):
                    found["mongodb"] = "no primary"
                elif not indexes.is_complete():
                    found["mongodb"] = "a unique index is missing: run payments init"
                elif not all(
                    has_matching_keys(database, one) for one in (vault, account_vault)
                ):
                    found["encryption"] = "the keys do not open the stored data"
        except StoreUnavailable:
            found["mongodb"] = "unreachable"
        try:
            redis.ping()
        except RedisError:
            found["redis"] = "unreachable"
        return found

    indexes = UniqueIndexes(database)
    store = GroupCommitPayments(database, vault, lease_holder="web")
    accounts = MongoAccounts(database, account_vault)
    return WebServices(
        settings=settings,
        database=database,
        store=store,
        queue=wakeup_queue,
        keys=open_keys(settings, database),
        merchants=MongoMerchants(database),
        accounts=accounts,
        clock=clock,
        draw=random.SystemRandom().random,
        new_id=id_factory(clock),
        hash=open_pepper(settings).hash,
        check_readiness=check,
        breakers=MongoBreakerStore(database),
        operator_context=operator_context(
            settings, database, store=store, queue=wakeup_queue, clock=clock
        ),
        inbox=open_inbox(settings, database, clock=clock),
        webhook_verifiers=WebhookVerifiers(settings, accounts),
        webhook_queue=WakeupQueue(app, redis, to=WEBHOOKS),
        quotas=Quotas(
            {
                QuotaName.KEY: settings.rate_key,
                QuotaName.MERCHANT: settings.rate_merchant,
                QuotaName.ADDRESS: settings.rate_address,
                QuotaName.WEBHOOKS: settings.rate_webhooks,
            },
            redis,
            clock=clock.seconds,
        ),
    )


def create_worker_services(settings: Settings) -> WorkerServices:
    """The parts of a worker process; each connects on first use."""
    settings.require("mongo_url", "redis_url", *API_BASES)
    database, vault = open_database(settings), open_vault(settings)
    adapters = open_adapters(settings, database, connections=settings.worker_slots)
    queue = WakeupQueue(make_app(settings), connect_redis(settings))
    worker_name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    attempt_context = attempt.AttemptContext(
        store=MongoPayments(
            database, vault, lease_holder=worker_name, mode=settings.mode
        ),
        queue=queue,
        providers=adapters.provider_for,
        admission=open_admission(
            settings, database, worker_name, rates=adapters.rate_of
        ),
        executors={
            name: ThreadPoolExecutor(settings.worker_slots, name) for name in PROVIDERS
        },
        clock=open_clock(database),
        jitter=random.SystemRandom().random,
        leased_ids=set(),
    )
    return WorkerServices(
        settings=settings,
        attempt_context=attempt_context,
        webhook_context=webhook_context(settings, database, attempt_context, adapters),
        database=database,
        worker_name=worker_name,
    )


def open_adapters(
    settings: Settings, database: Database[Document], *, connections: int
) -> AccountAdapters:
    """The adapters of all accounts, with ``connections`` to each provider."""
    accounts = open_accounts(settings, database)
    return AccountAdapters(settings, accounts, connections=connections)


def open_admission(
    settings: Settings,
    database: Database[Document],
    by: str,
    *,
    rates: Callable[[str], float],
) -> AdmissionControl:
    """The breakers and rate limits of all accounts, for the worker ``by``.

    ``rates`` returns the calls a second by account id.
    """
    return SharedAdmissionControl(
        breakers=MongoBreakerStore(database),
        limiter=open_rate_limiter(settings, database, rates=rates),
        watch=metrics.PrometheusAdmissionMetrics(),
        by=by,
        jitter=random.SystemRandom().random,
    )


def open_rate_limiter(
    settings: Settings,
    database: Database[Document],
    *,
    rates: Callable[[str], float],
) -> RateLimiter:
    """The rate limit of each account, shared by all workers."""

    def workers() -> int:
        try:
            return monitoring.count_live_workers(database)
        except StoreUnavailable:
            return WORKERS

    return RedisRateLimiter(connect_redis(settings), rates, workers=workers)


def operator_context(
    settings: Settings,
    database: Database[Document],
    *,
    store: PaymentStore,
    queue: JobQueue,
    clock: Callable[[], datetime],
) -> OperatorContext:
    """The dependencies of operators' actions, in the deployment's mode."""
    return OperatorContext(
        view=MongoOperatorView(database, open_vault(settings), settings.mode),
        store=store,
        replays=MongoReplayStore(database, settings.mode),
        queue=queue,
        clock=clock,
    )


def webhook_context(
    settings: Settings,
    database: Database[Document],
    attempt_context: attempt.AttemptContext,
    adapters: AccountAdapters,
) -> WebhookContext:
    """The dependencies of webhook handling. Lookups are queued as due payments."""
    view = MongoOperatorView(database, open_vault(settings), settings.mode)
    return WebhookContext(
        inbox=open_inbox(settings, database, clock=attempt_context.clock),
        view=view,
        store=attempt_context.store,
        queue=WakeupQueue(make_app(settings), connect_redis(settings), to=DUE_PAYMENTS),
        parsers={name: parts.read_webhook for name, parts in PROVIDERS.items()},
        dispute_context=dispute_context(view, attempt_context, adapters),
        statements=adapters.statement_for,
        clock=attempt_context.clock,
    )


def reconciliation_context(
    settings: Settings, database: Database[Document]
) -> ReconciliationContext:
    """The dependencies of a reconciliation, in the deployment's mode."""
    vault = open_vault(settings)
    # Calls are made one at a time.
    adapters = open_adapters(settings, database, connections=1)
    clock = ServerClock(database)

    def pace(account: Account) -> float:
        rate = adapters.rate_of(account.id)
        return RATE_SHARE / rate if rate else 0.0

    return ReconciliationContext(
        statements=adapters.statement_for,
        view=MongoOperatorView(database, vault, settings.mode),
        store=MongoPayments(
            database, vault, lease_holder="reconciler", mode=settings.mode
        ),
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
    """The accounts of the deployment's mode, its own first, with retirement dates.

    Raises StoreUnavailable.
    """
    stored = open_accounts(settings, database).retirement_dates(settings.mode)
    return {**dict.fromkeys(map(Account.own, ProviderName)), **stored}


def open_inbox(
    settings: Settings,
    database: Database[Document],
    *,
    clock: Callable[[], datetime],
) -> MongoWebhooks:
    """The webhooks of the deployment's mode."""
    return MongoWebhooks(database, open_vault(settings), settings.mode, clock=clock)


def open_database(settings: Settings) -> Database[Document]:
    """The payments' database."""
    return mongo.connect(settings.mongo_url, settings.database)


@dataclass(frozen=True, slots=True)
class EncryptionKeys:
    """Keys of one purpose, and their source."""

    purpose: str
    title: str  #: for display
    setting: str  #: the variable that gives them
    field: str  #: of the settings; also the name of the file used without it

    def source(self, settings: Settings) -> KeySource:
        """The setting, or a generated file in the home."""
        given: str = getattr(settings, self.field)
        return KeySource(given, settings.home / "keys" / self.field)


PAYMENT_KEYS: Final = EncryptionKeys(
    *(PAYMENTS, "encryption keys"), *("PAYMENTS_ENCRYPTION_KEYS", "encryption_keys")
)
ACCOUNT_KEYS: Final = EncryptionKeys(
    *(ACCOUNTS, "account encryption keys"),
    *("PAYMENTS_ACCOUNT_ENCRYPTION_KEYS", "account_encryption_keys"),
)
ENCRYPTION_KEYS: Final = (PAYMENT_KEYS, ACCOUNT_KEYS)


def open_vault(settings: Settings) -> Vault:
    """Encrypts and decrypts fields of payments and webhooks."""
    return Vault(PAYMENT_KEYS.source(settings), PAYMENTS)


def open_account_vault(settings: Settings) -> Vault:
    """Encrypts and decrypts merchants' credentials, with keys of its own."""
    return Vault(ACCOUNT_KEYS.source(settings), ACCOUNTS)


def open_clock(database: Database[Document]) -> ServerClock:
    """The database's clock; a metric shows the skew of this machine's clock."""
    clock = ServerClock(database)
    metrics.CLOCK_SKEW.set_function(clock.skew)
    return clock


def open_keys(settings: Settings, database: Database[Document]) -> MongoApiKeys:
    """The API keys of the deployment."""
    return MongoApiKeys(database, open_pepper(settings))


def open_accounts(settings: Settings, database: Database[Document]) -> MongoAccounts:
    """The provider accounts of the deployment's merchants."""
    return MongoAccounts(database, open_account_vault(settings))


def open_pepper(settings: Settings) -> Pepper:
    """Hashes secrets that are recognised and never read."""
    return Pepper(KeySource(settings.pepper, settings.home / "keys" / "pepper"))


def clock() -> datetime:
    """UTC by this machine's clock, in milliseconds like the database's times."""
    at = datetime.now(timezone.utc)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def new_id(kind: str) -> str:
    """An id like ``pay_01J…``: a ULID, so that ids sort by time."""
    return f"{kind}_{ULID()}"


def id_factory(clock: ServerClock) -> Callable[[str], str]:
    """Makes ids like ``new_id``, with the time of ``clock``."""
    generator = ULIDGenerator(lambda: int(clock.seconds() * 1000))
    return lambda kind: f"{kind}_{generator.generate()}"


def dispute_context(
    view: OperatorView,
    attempt_context: attempt.AttemptContext,
    adapters: AccountAdapters,
) -> disputes.DisputeContext:
    """The dependencies of disputes, with the worker's breakers and clock."""
    return disputes.DisputeContext(
        view=view,
        store=attempt_context.store,
        disputes=adapters.dispute_reader_for,
        admission=attempt_context.admission,
        clock=attempt_context.clock,
        count_event=_count_dispute,
    )


def _count_dispute(provider: ProviderName, event: str) -> None:
    metrics.DISPUTES.labels(provider, event).inc()
