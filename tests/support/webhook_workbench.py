"""A workbench whose tests deliver the providers' webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from prometheus_client import CollectorRegistry
from werkzeug.serving import make_server

from application import webhooks
from application.webhooks import WebhookContext
from domain.payments.payment import Payment
from domain.webhooks import WebhookStatus, Webhook
from persistence.webhooks import MongoWebhooks
from runtime import container, metrics
from runtime.settings import Settings
from tests.support.fakes import MemoryQueue
from tests.support.running_web import RunningWeb
from tests.support.simulator_process import (
    PATIENCE,
    Receiver,
    Simulator,
    eventually,
    simulators,
)
from tests.support.workbench import Workbench, worker
from web.app import build

#: For the signatures of the simulators.
SECRET = "whsec_simulator"
WEBHOOK_ID = "WH-SIMULATOR"


@dataclass(frozen=True)
class SignedDelivery:
    """One webhook of a provider."""

    provider: str
    headers: dict[str, str]
    body: bytes
    account: str | None = None  #: the address's account; None: the deployment's

    @property
    def event(self) -> dict[str, Any]:
        """The decoded event."""
        return dict(json.loads(self.body))

    @property
    def type(self) -> str:
        """The provider's type of the event."""
        return str(self.event.get("type") or self.event["event_type"])

    @property
    def id(self) -> str:
        """The id in the inbox."""
        return f"{self.account or self.provider}:{self.event['id']}"

    @property
    def path(self) -> str:
        """The path of its delivery."""
        path = f"/v1/webhooks/{self.provider}"
        return path if self.account is None else f"{path}/{self.account}"


@dataclass
class WebClock:
    """The web process's clock, which a test may set ahead."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return container.clock() + self.ahead


@dataclass
class WebhookWorkbench:
    """A Workbench that keeps webhooks until a test delivers them."""

    work: Workbench
    base: str
    clock: WebClock
    context: WebhookContext
    inbox: MongoWebhooks
    receivers: dict[str, Receiver]

    def deliveries(self, provider: str, *types: str) -> list[SignedDelivery]:
        """A provider's webhooks, once all of ``types`` have arrived."""
        receiver = self.receivers[provider]
        eventually(lambda: set(types) <= set(receiver.types()), f"{types} arrive")
        return [SignedDelivery(provider, *one) for one in list(receiver.received)]

    def all_deliveries(self, provider: str, count: int) -> list[SignedDelivery]:
        """A provider's webhooks, once ``count`` have arrived."""
        received = self.receivers[provider].received
        eventually(lambda: len(received) >= count, f"{count} webhooks arrive")
        return self.deliveries(provider)

    def post(self, delivery: SignedDelivery, **headers: str) -> requests.Response:
        """Delivers a webhook to the product."""
        return requests.post(
            f"{self.base}{delivery.path}",
            data=delivery.body,
            headers={**_kept(delivery.headers), **headers},
            timeout=PATIENCE,
        )

    def deliver(self, *delivery: SignedDelivery) -> list[Webhook]:
        """Delivers and handles webhooks, and makes the due lookups."""
        for one in delivery:
            answer = self.post(one)
            assert answer.status_code == 200, answer.text
        return self.handle([one.id for one in delivery])

    def handle(self, ids: Sequence[str]) -> list[Webhook]:
        """Handles webhooks, and takes the steps that became due."""
        handled = webhooks.handle(ids, self.context)
        for one in handled:
            if one.payment is not None:
                self.work.work(one.payment)
        return handled

    def facts(self, payment: Payment) -> list[tuple[str, str]]:
        """The changes of state on the timeline: operation and new state."""
        path = f"/v1/payments/{payment.id}/events"
        events = self.work.shop.get(path).json()["data"]
        return [
            (str(one["data"]["operation"]), str(one["data"]["to"]))
            for one in events
            if one["data"].get("from", one["data"].get("to")) != one["data"].get("to")
        ]

    def status(self, delivery: SignedDelivery) -> WebhookStatus | None:
        """The webhook's status; None if it is not in the inbox."""
        found = self.work.database.webhooks.find_one({"_id": delivery.id})
        return WebhookStatus(found["status"]) if found else None


def refused(provider: str) -> dict[str, float]:
    """The number of refused webhooks, by reason."""
    return _counted(metrics.REGISTRY, "payments_webhooks_refused", provider)


def dropped(provider: str) -> dict[str, float]:
    """The number of dropped webhooks, by reason."""
    return _counted(metrics.REGISTRY, "payments_webhooks_dropped", provider)


def drops(bench: WebhookWorkbench, delivery: SignedDelivery, reason: str) -> None:
    """Asserts that a webhook gets 200, is counted, and changes nothing."""
    payments = list(bench.work.database.payments.find())
    before = dropped(delivery.provider).get(reason, 0)
    refusals = refused(delivery.provider)
    answer = bench.post(delivery)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"received": True}
    assert dropped(delivery.provider)[reason] == before + 1
    assert refused(delivery.provider) == refusals
    assert bench.work.database.webhooks.count_documents({}) == 0
    assert list(bench.work.database.payments.find()) == payments


def _counted(registry: CollectorRegistry, name: str, provider: str) -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for family in registry.collect()
        if family.name == name
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["provider"] == provider
    }


def _kept(headers: dict[str, str]) -> dict[str, str]:
    own = ("stripe-signature", "paypal-", "content-type")
    return {
        name: text for name, text in headers.items() if name.lower().startswith(own)
    }


@contextmanager
def webhook_workbench(settings: Settings, folder: Path) -> Iterator[WebhookWorkbench]:
    """A product on ``settings``, with new providers."""
    with ExitStack() as stack:
        stripe, paypal = stack.enter_context(simulators())
        receivers = {
            "stripe": _listening(stripe, stack),
            "paypal": _listening(paypal, stack),
        }
        roots = folder / "root.pem"
        root = requests.get(f"{paypal.url}/_root.pem", timeout=PATIENCE)
        roots.write_bytes(root.content)
        settings = replace(
            settings,
            stripe_api_base=stripe.url,
            paypal_api_base=paypal.url,
            stripe_webhook_secrets=SECRET,
            paypal_webhook_id=WEBHOOK_ID,
            paypal_roots=roots,
        )
        clock = WebClock()
        base = stack.enter_context(served(settings, clock))
        attempt_context = worker(settings, stack)
        database = container.open_database(settings)
        stack.callback(database.client.close)
        running = RunningWeb(base, "", settings, 0, folder / "web.log")
        bench = Workbench(
            running.client(), settings, database, stripe, paypal, attempt_context
        )
        bench.context = replace(attempt_context, clock=bench.now)
        inbox = container.open_inbox(settings, database, clock=bench.now)
        adapters = container.open_adapters(settings, database, connections=2)
        webhook_context = container.webhook_context(
            settings, database, bench.context, adapters
        )
        webhook_context = replace(webhook_context, queue=MemoryQueue())
        yield WebhookWorkbench(bench, base, clock, webhook_context, inbox, receivers)


def _listening(provider: Simulator, stack: ExitStack) -> Receiver:
    receiver = Receiver()
    stack.callback(receiver.close)
    answer = provider.post("/_webhooks", {"url": receiver.url})
    assert answer.status_code == 201, answer.text
    return receiver


@contextmanager
def served(settings: Settings, clock: WebClock) -> Iterator[str]:
    """The application in this process, with the clock of the test."""
    services = replace(container.create_web_services(settings), clock=clock)
    server = make_server("127.0.0.1", 0, build(services).app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="web")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()
        services.database.client.close()
