"""A shop, a worker and both providers, with clocks set by the test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import requests
from prometheus_client.parser import text_string_to_metric_families
from pymongo.database import Database

from application import attempt
from application.ports.payments import Scope
from domain.payments.operation import Operation
from domain.payments.payment import WAKEUP_GRACE, Payment
from domain.payments.submission import Mode
from persistence.codec import Document
from runtime import container
from runtime.settings import Settings
from tests.support.fakes import AdmitAll
from tests.support.running_web import Client, RunningWeb
from tests.support.simulator_process import Simulator, simulators

#: Payment methods that succeed, by provider.
PAYS: Final = {"stripe": "pm_card_visa", "paypal": "vault_ada"}
#: The path of a charge, by provider.
CHARGES: Final = {"stripe": "/v1/payment_intents", "paypal": "/v2/checkout/orders"}
#: Steps of a payment at one moment; more would be an endless loop.
_STEPS: Final = 20


@dataclass
class Workbench:
    """A web process and simulators, called over HTTP.

    The worker is this process. It works on demand, and ``pass_time`` sets its clock
    ahead of the real one.
    """

    shop: Client
    settings: Settings
    database: Database[Document]
    stripe: Simulator
    paypal: Simulator
    context: attempt.AttemptContext
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        """UTC by the clock of the worker and the simulators."""
        return container.clock() + self.ahead

    def pass_time(self, by: timedelta) -> None:
        """Moves the clocks of the worker and of both providers."""
        self.ahead += by
        for provider in (self.stripe, self.paypal):
            provider.advance(by.total_seconds())

    def simulator(self, provider: str) -> Simulator:
        """One provider's simulator."""
        return self.stripe if provider == "stripe" else self.paypal

    def lose_answer(self, provider: str, path: str | None = None) -> None:
        """Arms the loss of the next answer; the call is carried out."""
        match = {"method": "POST", "path": path or CHARGES[provider]}
        self.simulator(provider).arm(do="commit_then_drop", match=match)

    def submit(
        self, provider: str | None = "stripe", **fields: Any
    ) -> requests.Response:
        """Submits a payment of 19.99 USD, with ``fields`` changed."""
        key = fields.pop("key", None)
        body = {
            "amount": 1999,
            "currency": "USD",
            "provider": provider,
            "payment_method": PAYS[provider or "stripe"],
            "reference": f"order-{uuid.uuid4().hex[:12]}",
            **fields,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return self.shop.submit(given, key=key)

    def pay(self, provider: str | None = "stripe", **fields: Any) -> str:
        """Submits an accepted payment; returns its id."""
        answer = self.submit(provider, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def complete_payment(self, provider: str = "stripe", **fields: Any) -> str:
        """Submits a payment whose first operation succeeds; returns its id."""
        payment_id = self.pay(provider, **fields)
        assert self.work(payment_id).first_operation.moved, self.fetch(payment_id)
        return payment_id

    def request(
        self, payment_id: str, job: str, *, key: str | None = None, **body: Any
    ) -> requests.Response:
        """Requests a capture, a void or a refund."""
        return requests.post(
            f"{self.shop.base}/v1/payments/{payment_id}/{job}",
            json=body or None,
            headers={
                "Authorization": f"Bearer {self.shop.secret}",
                "Idempotency-Key": key or uuid.uuid4().hex,
            },
            timeout=10,
        )

    def fetch(self, payment_id: str) -> dict[str, Any]:
        """The payment in the API."""
        return dict(self.shop.get(f"/v1/payments/{payment_id}").json())

    def event_types(self, payment_id: str) -> list[str]:
        """The types of the events on its timeline."""
        events = self.shop.get(f"/v1/payments/{payment_id}/events").json()["data"]
        return [str(event["type"]) for event in events]

    def stored(self, payment_id: str) -> Payment:
        """The stored payment."""
        scope = Scope(self.shop.key.merchant, Mode.TEST)
        found = self.context.store.get(scope, payment_id)
        assert found is not None
        return found

    def work(self, payment_id: str) -> Payment:
        """Takes every due step; leases count as expired."""
        for _ in range(_STEPS):
            payment = self.stored(payment_id)
            if payment.claim is None:
                due = payment.due_at
                if due is None or due > self.now() + WAKEUP_GRACE:
                    return payment
            self.step(payment_id)
        raise AssertionError(
            f"still due after {_STEPS} steps: {self.event_types(payment_id)}"
        )

    def step(self, payment_id: str) -> Payment:
        """Takes the next step, even if it is not due yet."""
        self.database.payments.update_one(
            {"_id": payment_id}, [{"$set": {"due_at": "$$NOW"}}]
        )
        list(attempt.run([payment_id], self.context))
        return self.stored(payment_id)

    def list_movements(self, payment_id: str) -> list[tuple[str, int]]:
        """The provider's movements of the payment: kinds, and amounts in its unit."""
        payment = self.stored(payment_id)
        rows = self.simulator(payment.provider).movements()
        ours = {one.id for one in payment.operations}
        return [
            (row["kind"], row["amount"])
            for row in rows
            if ours & set(row["metadata"].values()) or _is_of(row["key"], payment)
        ]

    def calls(self, provider: str, method: str) -> int:
        """The number of the provider's API calls with this method."""
        text = requests.get(f"{self.simulator(provider).url}/metrics", timeout=10).text
        return sum(
            int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "simulator_requests_total"
            and sample.labels["method"] == method
            and "oauth2" not in sample.labels["route"]
        )


def _is_of(key: str | None, payment: Payment) -> bool:
    return key is not None and any(_began(key, one) for one in payment.operations)


def _began(key: str, operation: Operation) -> bool:
    return key.startswith(f"{operation.id}-")


@contextmanager
def workbench(web: RunningWeb) -> Iterator[Workbench]:
    """A new shop of ``web``, with new providers."""
    with ExitStack() as stack:
        stripe, paypal = stack.enter_context(simulators())
        settings = replace(
            web.settings, stripe_api_base=stripe.url, paypal_api_base=paypal.url
        )
        context = worker(settings, stack)
        database = container.open_database(settings)
        stack.callback(database.client.close)
        bench = Workbench(web.client(), settings, database, stripe, paypal, context)
        bench.context = replace(context, clock=bench.now)
        yield bench


def worker(settings: Settings, stack: ExitStack) -> attempt.AttemptContext:
    """The context of a worker without breakers, closed with ``stack``."""
    services = container.create_worker_services(settings)
    stack.callback(services.database.client.close)
    for pool in services.attempt_context.executors.values():
        stack.callback(pool.shutdown)
    return replace(services.attempt_context, admission=AdmitAll(), jitter=lambda: 0.0)
