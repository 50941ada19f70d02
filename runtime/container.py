"""The composition root: which parts a process is made of."""

from __future__ import annotations

import os
import random
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone

from celery import Celery
from pymongo.database import Database
from redis.exceptions import RedisError
from ulid import ULID

from application import attempt
from application.ports import JobQueue, PaymentStore
from domain.errors import StoreUnavailable
from domain.submission import ProviderName
from persistence import mongo
from persistence.codec import Document
from persistence.grouped import GroupedPayments
from persistence.keys import ApiKeys
from persistence.payments import MongoPayments
from persistence.vault import KeySource, Pepper, Vault
from providers.http import Observe
from providers.paypal import PayPal
from providers.resilience import Patient
from providers.stripe import Stripe
from runtime import metrics
from runtime.broker import Bell, connect_redis, make_app
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class WebServices:
    """What the routes need."""

    settings: Settings
    store: PaymentStore
    queue: JobQueue
    keys: ApiKeys
    clock: Callable[[], datetime]
    new_id: Callable[[str], str]
    check: Callable[[], dict[str, str]]


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """What the tasks need."""

    settings: Settings
    tools: attempt.Tools
    queue: JobQueue
    database: Database[Document]
    holder: str


def web_services(settings: Settings) -> WebServices:
    """The parts of a web process; nothing connects before it is used."""
    settings.require("mongo_url", "redis_url")
    database = open_database(settings)
    redis = connect_redis(settings)
    bell = Bell(make_app(settings), redis)

    def check() -> dict[str, str]:
        found = {"mongodb": "ok", "redis": "ok"}
        try:
            if not mongo.ping(database).get("isWritablePrimary"):
                found["mongodb"] = "no primary"
        except StoreUnavailable:
            found["mongodb"] = "unreachable"
        try:
            redis.ping()
        except RedisError:
            found["redis"] = "unreachable"
        return found

    return WebServices(
        settings=settings,
        store=GroupedPayments(database, open_vault(settings), holder="web"),
        queue=bell,
        keys=open_keys(settings, database),
        clock=clock,
        new_id=new_id,
        check=check,
    )


def worker_services(settings: Settings, app: Celery) -> WorkerServices:
    """The parts of a worker process; nothing connects before it is used."""
    settings.require("mongo_url", "redis_url", "stripe_api_base", "paypal_api_base")
    database = open_database(settings)
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    tools = attempt.Tools(
        store=MongoPayments(database, open_vault(settings), holder=holder),
        providers={
            ProviderName.STRIPE: Patient(
                Stripe(
                    api_base=settings.stripe_api_base,
                    secret_key=settings.stripe_secret_key,
                    connections=settings.worker_slots,
                    observe=_observer(ProviderName.STRIPE),
                )
            ),
            ProviderName.PAYPAL: Patient(
                PayPal(
                    api_base=settings.paypal_api_base,
                    client_id=settings.paypal_client_id,
                    client_secret=settings.paypal_client_secret,
                    mode=settings.mode,
                    connections=settings.worker_slots,
                    observe=_observer(ProviderName.PAYPAL),
                )
            ),
        },
        calls=ThreadPoolExecutor(settings.worker_slots, "call"),
        clock=clock,
        jitter=random.SystemRandom().random,
        held=set(),
    )
    bell = Bell(app, connect_redis(settings))
    return WorkerServices(settings, tools, bell, database, holder)


def open_database(settings: Settings) -> Database[Document]:
    """The payments' database."""
    return mongo.connect(settings.mongo_url, settings.database)


def open_vault(settings: Settings) -> Vault:
    """Opens and seals fields with the deployment's keys."""
    return Vault(encryption_keys(settings))


def encryption_keys(settings: Settings) -> KeySource:
    """Where the vault's keys come from."""
    return KeySource(
        settings.encryption_keys, settings.home / "keys" / "encryption_keys"
    )


def open_keys(settings: Settings, database: Database[Document]) -> ApiKeys:
    """The API keys of the deployment."""
    pepper = Pepper(KeySource(settings.pepper, settings.home / "keys" / "pepper"))
    return ApiKeys(database, pepper, clock=clock)


def clock() -> datetime:
    """UTC, at the database's resolution of a millisecond."""
    at = datetime.now(timezone.utc)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def new_id(kind: str) -> str:
    """``pay_01J…``: a ULID, so ids sort by the time they were made."""
    return f"{kind}_{ULID()}"


def _observer(provider: ProviderName) -> Observe:
    def observe(call: str, status_class: str, seconds: float) -> None:
        metrics.PROVIDER_CALLS.labels(provider, call, status_class).observe(seconds)

    return observe
