"""Tests of events with any value in any field: they delay no other event."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

import bson
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from application import webhooks
from domain.account import Account
from domain.errors import UnreadableWebhook
from domain.payments.dispute import DisputeUpdate
from domain.payments.states import Status
from domain.payments.submission import ProviderName
from domain.webhooks import WebhookStatus, Webhook
from providers.paypal import webhooks as paypal_webhooks
from providers.stripe import webhooks as stripe_webhooks
from tests.integration.providers.test_poison import HOSTILE
from tests.support.dispute_steps import open_dispute
from tests.support.simulator_process import eventually
from tests.support.webhook_workbench import WebhookWorkbench, SignedDelivery

#: The event type of a successful charge.
_PAID: Final = {
    "stripe": "payment_intent.succeeded",
    "paypal": "PAYMENT.CAPTURE.COMPLETED",
}
_READ: Final = {
    "stripe": stripe_webhooks.parse_event,
    "paypal": paypal_webhooks.parse_event,
}
#: Texts of another application in place of our ids.
_FOREIGN: Final = ["half \ud83d", "\0", "order-17", "x" * 10_000, 17, None, ["a"], {}]


@pytest.fixture(params=["stripe", "paypal"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)


def _pay_with_lost_answer(
    bench: WebhookWorkbench, provider: str
) -> tuple[str, SignedDelivery]:
    """A payment whose answer was lost, and its webhook."""
    payment_id = bench.work.pay(provider)
    bench.work.lose_answer(provider)
    bench.work.step(payment_id)

    def matching() -> list[SignedDelivery]:
        deliveries = bench.deliveries(provider, _PAID[provider])
        name = payment_id.encode()
        return [
            one
            for one in deliveries
            if one.type == _PAID[provider] and name in one.body
        ]

    eventually(lambda: bool(matching()), "the payment's webhook arrives")
    return payment_id, matching()[0]


def _overwritten(
    bench: WebhookWorkbench, delivery: SignedDelivery, name: object
) -> SignedDelivery:
    """The same event again, with another application's text on the object."""
    stripe = delivery.provider == "stripe"
    object_id = (
        delivery.event["data"]["object"] if stripe else delivery.event["resource"]
    )["id"]
    fields: dict[str, Any] = {"custom_id": name, "invoice_id": name}
    if stripe:
        fields = {"metadata": {"payment": name, "operation": name, "capture": name}}
    work, receiver = (
        bench.work.simulator(delivery.provider),
        bench.receivers[delivery.provider],
    )
    wanted = {"do": "overwrite", "id": object_id, "fields": fields}
    assert work.post("/_drift", wanted).status_code == 201
    before = len(receiver.received)
    again = {"event_id": delivery.event["id"]}
    assert work.post("/_webhooks/resend", again).status_code == 202
    eventually(lambda: len(receiver.received) > before, "the event is resent")
    return SignedDelivery(delivery.provider, *receiver.received[-1])


@pytest.mark.parametrize("name", _FOREIGN, ids=range(len(_FOREIGN)))
def test_an_event_with_a_foreign_text_as_our_id_is_unmatched_at_once(
    bench: WebhookWorkbench, provider: str, name: object
) -> None:
    _, foreign = _pay_with_lost_answer(bench, provider)
    payment_id, ours = _pay_with_lost_answer(bench, provider)
    odd = _overwritten(bench, foreign, name)
    for one in (odd, ours):
        assert bench.post(one).status_code == 200
    bench.handle([odd.id, ours.id])
    assert (bench.status(odd), bench.status(ours)) == (
        WebhookStatus.UNMATCHED,
        WebhookStatus.HANDLED,
    )
    assert bench.work.stored(payment_id).status is Status.CAPTURED
    [kept] = bench.inbox.find(status=WebhookStatus.UNMATCHED, since=None, limit=9)
    assert (kept.tries, kept.due_at) == (0, None)


def _paths(value: Any) -> list[tuple[str | int, ...]]:
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [(), *((name, *path) for name, one in inner for path in _paths(one))]


def _changed(event: Any, path: tuple[str | int, ...], value: Any) -> bytes:
    changed = found = copy.deepcopy({"": event})
    for name in ("", *path)[:-1]:
        found = found[name]  # type: ignore[index]  # a path of this very event
    found[("", *path)[-1]] = value  # type: ignore[index]  # as above
    return json.dumps(changed[""]).encode()


def test_an_event_with_any_value_in_any_field_delays_no_other(
    bench: WebhookWorkbench, provider: str
) -> None:
    payment_id = bench.work.complete_payment(provider)
    assert bench.work.request(payment_id, "refunds", amount=500).status_code == 202
    bench.work.step(payment_id)
    open_dispute(bench, bench.work.complete_payment(provider))
    refund = {"stripe": "refund.created", "paypal": "PAYMENT.CAPTURE.REFUNDED"}
    dispute = {"stripe": "charge.dispute.created", "paypal": "CUSTOMER.DISPUTE.CREATED"}
    known = (_PAID[provider], refund[provider], dispute[provider])
    events = [one for one in bench.deliveries(provider, *known) if one.type in known]
    places = [
        (number, path)
        for number, one in enumerate(events)
        for path in _paths(one.event)
    ]
    account, count = Account.own(ProviderName(provider)), iter(range(10_000))

    def webhook(place: tuple[int, tuple[str | int, ...]], value: Any) -> Webhook:
        number, path = place
        body = _changed(events[number].event, path, value).decode()
        now, name = bench.work.now(), f"evt_{next(count)}"
        return Webhook(account, name, events[number].type, body, now, due_at=now)

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        st.lists(
            st.tuples(st.sampled_from(places), st.sampled_from(HOSTILE)), min_size=5
        )
    )
    def holds(drawn: list[tuple[tuple[int, tuple[str | int, ...]], Any]]) -> None:
        group = [webhook(place, value) for place, value in drawn]
        for one in group:
            try:
                read = _READ[provider](one)
            except UnreadableWebhook:
                continue
            if read is not None and not isinstance(read, DisputeUpdate):
                bson.encode({"refs": dict(read.refs), "payment": read.payment})
        for one in group:
            assert bench.inbox.add(one)
        ended = webhooks.handle([one.id for one in group], bench.context)
        assert {one.id for one in ended} == {one.id for one in group}

    holds()
