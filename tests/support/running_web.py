"""A web process started by `python -m web`, and clients of its API."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import requests
from pymongo.database import Database

from application import attempt
from application.api_keys import create_key
from domain.api_keys import ApiKey, Role
from domain.errors import ProviderError
from domain.payments.answer import Answer
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from domain.payments.submission import Mode, ProviderName
from local_stack import probe
from local_stack.initialise import initialise
from persistence.codec import Document
from persistence.payments import MongoPayments
from runtime import container, processes
from runtime.settings import Settings
from tests.support.fakes import AdmitAll, MemoryQueue

#: Seconds for the start, mostly for imports.
START = 30.0
#: Seconds for an answer; more than the 30 of a long poll.
TIMEOUT = 40.0


@dataclass(frozen=True, slots=True)
class Client:
    """A web app with its own key."""

    base: str
    key: ApiKey
    secret: str

    def submit(
        self, body: object, *, key: str | None = None, **headers: str
    ) -> requests.Response:
        """Posts a payment, by default with a new idempotency key."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return requests.post(
            f"{self.base}/v1/payments",
            json=body,
            headers={
                "Authorization": f"Bearer {self.secret}",
                "Idempotency-Key": key or uuid.uuid4().hex,
                **named,
            },
            timeout=TIMEOUT,
        )

    def send(
        self, method: str, path: str, data: Any = None, **headers: str
    ) -> requests.Response:
        """Sends a request with this key; empty headers are left out."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        given = {"Authorization": f"Bearer {self.secret}", **named}
        return requests.request(
            method,
            self.base + path,
            data=data,
            headers={name: text for name, text in given.items() if text},
            timeout=TIMEOUT,
        )

    def get(self, path: str, **headers: str) -> requests.Response:
        """Reads ``path``."""
        return self.send("GET", path, **headers)


@dataclass(frozen=True, slots=True)
class RunningWeb:
    """A web process that serves until its block ends."""

    base: str
    health: str  #: base URL of health and metrics
    settings: Settings
    pid: int
    log: Path

    def metrics(self) -> str:
        """The text of its metrics."""
        return requests.get(f"{self.health}/metrics", timeout=TIMEOUT).text

    def database(self) -> Database[Document]:
        """Its database."""
        return container.open_database(self.settings)

    def client(self, role: Role = Role.MERCHANT, mode: Mode = Mode.TEST) -> Client:
        """A client of a new merchant."""
        merchant = f"m_{uuid.uuid4().hex[:12]}"
        database = self.database()
        try:
            keys = container.open_keys(self.settings, database)
            key, secret = create_key(
                merchant=merchant,
                role=role,
                mode=mode,
                store=keys,
                now=container.clock(),
            )
        finally:
            database.client.close()
        return Client(self.base, key, secret)

    def stored(self, payment_id: str) -> Document | None:
        """The raw document of a payment."""
        database = self.database()
        try:
            return database.payments.find_one({"_id": payment_id})
        finally:
            database.client.close()

    def work(self, payment_id: str, outcome: Answer | ProviderError) -> Payment:
        """Carries a payment out at a provider with this outcome of the call."""
        database = self.database()
        store = MongoPayments(
            database, container.open_vault(self.settings), lease_holder="test"
        )
        try:
            with ThreadPoolExecutor(1) as calls:
                context = attempt.AttemptContext(
                    store=store,
                    queue=MemoryQueue(),
                    providers=lambda account: FixedProvider(outcome),
                    admission=AdmitAll(),
                    executors=dict.fromkeys(ProviderName, calls),
                    clock=container.clock,
                    jitter=lambda: 1.0,
                    leased_ids=set(),
                )
                [[settled]] = attempt.run([payment_id], context)
                return settled.payment
        finally:
            database.client.close()


@dataclass(frozen=True, slots=True)
class FixedProvider:
    """A Provider with one answer for every call."""

    outcome: Answer | ProviderError

    def prepare(self, payment: Payment, operation: Operation) -> str:
        return "{}"

    def send(self, payment: Payment) -> Answer:
        if isinstance(self.outcome, ProviderError):
            raise self.outcome
        return self.outcome

    def look_up(self, payment: Payment) -> Answer:
        return self.send(payment)


#: The product's command, which reads its port from the settings.
SERVE = (sys.executable, "-m", "web")


@contextmanager
def running_web(
    settings: Settings, command: Sequence[str] = SERVE
) -> Iterator[RunningWeb]:
    """A live web process on ``settings``, with other ports."""
    settings = replace(
        settings,
        host="127.0.0.1",
        port=processes.free_port(),
        metrics_port=processes.free_port(),
    )
    log = settings.home / "web.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    base = f"http://127.0.0.1:{settings.port}"
    health = f"http://127.0.0.1:{settings.metrics_port}"

    def alive() -> bool:
        return probe.is_ready(f"{health}/healthz")

    with processes.running(
        "web",
        list(command),
        environment={**os.environ, **settings.environment()},
        log=log,
        ready=alive,
        seconds=START,
    ) as process:
        yield RunningWeb(base, health, settings, process.pid, log)


@contextmanager
def prepared_web(
    home: Path,
    mongo_url: str,
    redis_url: str,
    *,
    command: Sequence[str] = SERVE,
    **changed: Any,
) -> Iterator[RunningWeb]:
    """A web process on a new database with indexes, dropped at the end."""
    settings = Settings(
        home=home,
        mongo_url=mongo_url,
        redis_url=redis_url,
        database=f"test_{uuid.uuid4().hex[:16]}",
        log_format="json",
        log_level="DEBUG",
    )
    initialise(settings)
    try:
        with running_web(replace(settings, **changed), command) as running:
            yield running
    finally:
        database = container.open_database(settings)
        database.client.drop_database(settings.database)
        database.client.close()


def stripe_payment(**fields: object) -> dict[str, Any]:
    """A valid submission, with ``fields`` changed."""
    body = {
        "amount": 1999,
        "currency": "USD",
        "provider": "stripe",
        "payment_method": "pm_card_visa",
        "reference": f"order-{uuid.uuid4().hex[:12]}",
    }
    return {**body, **fields}


def now() -> datetime:
    """UTC."""
    return datetime.now(timezone.utc)
