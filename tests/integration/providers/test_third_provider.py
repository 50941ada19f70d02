"""A payment at a third provider, through the use cases and the composition root."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from application import attempt
from application.accept import NewPayment, accept_payment, accept_request
from domain.account import Account
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.routing import Routes
from domain.payments.states import Status
from domain.payments.submission import CaptureMethod, Submission
from domain.provider_rules import ProviderName
from runtime import container, processes
from runtime.container import WorkerServices
from runtime.settings import Settings
from tests.suites.accounts import Trouble
from tests.suites.samples import SHOP, origin
from tests.support.acme import Acme, acme_registered
from tests.support.fakes import MemoryQueue
from web.app import build

#: Seconds until a lost answer is resolved: some retries, beside other tests.
PATIENCE = 60.0


@pytest.fixture
def acme() -> Acme:
    """The provider."""
    return Acme()


@pytest.fixture
def name(acme: Acme) -> Iterator[ProviderName]:
    """Its name, while it is registered."""
    with acme_registered(acme) as registered:
        yield registered


@pytest.fixture
def worker(name: ProviderName, settings: Settings) -> Iterator[WorkerServices]:
    """The services of a worker that knows the provider."""
    services = container.create_worker_services(settings)
    yield services
    for pool in services.attempt_context.executors.values():
        pool.shutdown()
    services.database.client.close()


def test_a_payment_is_held_captured_and_refunded_at_a_third_provider(
    acme: Acme, name: ProviderName, worker: WorkerServices
) -> None:
    payment = accept_payment(
        NewPayment(
            Submission(
                Money(1999, "EUR"),
                name,
                capture=CaptureMethod.MANUAL,
                payment_method="acme_pays",
            ),
            origin("hold"),
        ),
        scope=SHOP,
        routes=Routes(),
        draw=lambda: 0.0,
        clock=container.clock,
        new_id=container.new_id,
        **_intake(worker),
    ).payment
    assert payment.account == Account.own(name)
    acme.troubles.append(Trouble.ANSWER_LOST)
    assert _worked(payment, worker).status is Status.AUTHORIZED

    _follow_up(payment, follow_ups.capture, worker, amount=1500, final=True)
    assert _worked(payment, worker).status is Status.CAPTURED

    _follow_up(payment, follow_ups.refund, worker, amount=500, target=None)
    assert _worked(payment, worker).status is Status.PARTIALLY_REFUNDED

    moved = [(one.kind, one.money.minor) for one in acme.service.of(payment.id)]
    assert moved == [(Kind.AUTHORIZE, 1999), (Kind.CAPTURE, 1500), (Kind.REFUND, 500)]


def test_webhooks_of_a_third_provider_have_their_own_address(
    name: ProviderName, settings: Settings
) -> None:
    services = container.create_web_services(settings)
    client = build(services).app.test_client()
    answer = client.post(f"/v1/webhooks/{name}", data=b"{}")
    services.database.client.close()
    assert answer.status_code == 401
    assert answer.get_json()["code"] == "webhook_not_trusted"
    document = client.get("/openapi.json").get_json()
    documented = document["paths"][f"/v1/webhooks/{name}"]["post"]
    assert [one["name"] for one in documented["parameters"]] == ["Acme-Signature"]


def _intake(worker: WorkerServices) -> dict[str, Any]:
    return {"store": worker.attempt_context.store, "queue": MemoryQueue()}


def _follow_up(
    payment: Payment, request: Any, worker: WorkerServices, **fields: Any
) -> None:
    """Requests a capture or a refund, as the API does."""
    made = origin(request.__name__)
    asked = partial(
        request,
        id=container.new_id("op"),
        origin=made,
        now=container.clock(),
        **fields,
    )
    accept_request(payment.id, asked, made, scope=SHOP, **_intake(worker))


def _worked(payment: Payment, worker: WorkerServices) -> Payment:
    """The stored payment, once no work is left on it."""
    store = worker.attempt_context.store

    def settled() -> bool:
        for _ in attempt.run([payment.id], worker.attempt_context):
            pass
        return store.find_settled([payment.id]) == {payment.id}

    assert processes.wait_until(settled, seconds=PATIENCE)
    stored = store.get(SHOP, payment.id)
    assert stored is not None
    return stored
