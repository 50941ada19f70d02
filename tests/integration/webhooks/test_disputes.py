"""Tests of disputes over HTTP: applied to the payment, each fact once."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from application import webhooks
from domain.payments.dispute import DisputeState
from domain.payments.states import State
from domain.webhooks import WebhookStatus
from runtime import metrics
from tests.support import dispute_steps
from tests.support.dispute_steps import OPENED, REINSTATED, UPDATED, WITHDRAWN
from tests.support.killed_webhook_worker import OF_DISPUTES
from tests.support.webhook_workbench import WebhookWorkbench
from tests.support.workbench import CHARGES

#: The events of a dispute that is opened and then ends, by provider and end.
TOLD: Final = {
    ("stripe", "won"): ("created", "funds_withdrawn", "closed", "funds_reinstated"),
    ("stripe", "lost"): ("created", "funds_withdrawn", "closed"),
    ("paypal", "won"): ("CREATED", "RESOLVED"),
    ("paypal", "lost"): ("CREATED", "CAPTURE.REVERSED", "RESOLVED"),
}
#: Its events on the timeline, if each webhook is handled as it happens.
FACTS: Final = {
    ("stripe", "won"): [OPENED, WITHDRAWN, UPDATED, REINSTATED, "dispute.won"],
    ("stripe", "lost"): [OPENED, WITHDRAWN, UPDATED, "dispute.lost"],
    ("paypal", "won"): [OPENED, UPDATED, "dispute.won"],
    ("paypal", "lost"): [OPENED, UPDATED, WITHDRAWN, "dispute.lost"],
}
REVIEW: Final = {"stripe": "under_review", "paypal": "UNDER_REVIEW"}
ALL: Final = pytest.mark.parametrize(("provider", "end"), list(TOLD))
BOTH: Final = pytest.mark.parametrize("provider", ["stripe", "paypal"])


@ALL
def test_a_dispute_is_tracked_from_its_opening_to_its_end(
    bench: WebhookWorkbench, provider: str, end: str
) -> None:
    work, before = bench.work, _counted()
    payment_id = work.complete_payment(provider)
    dispute_id = dispute_steps.open_dispute(bench, payment_id)
    dispute_steps.deliver_all(bench, provider)
    [opened] = work.stored(payment_id).disputes
    assert (opened.id, opened.state) == (dispute_id, DisputeState.NEEDS_RESPONSE)
    assert opened.respond_by is not None and opened.respond_by > work.now()
    assert opened.operation == work.stored(payment_id).first_operation.id
    dispute_steps.move(bench, provider, dispute_id, REVIEW[provider])
    dispute_steps.deliver_all(bench, provider)
    assert work.stored(payment_id).disputes[0].state is DisputeState.UNDER_REVIEW
    dispute_steps.move(bench, provider, dispute_id, end)
    dispute_steps.deliver_all(bench, provider)
    after = work.stored(payment_id)
    [ended] = after.disputes
    assert (ended.state, ended.respond_by) == (DisputeState(end), None)
    assert ended.outcome is not None
    assert ended.withdrawn == (1999 if end == "lost" else 0)
    assert after.disputed == (1999 if end == "lost" else 0)
    dispute_steps.is_untouched(after)
    assert dispute_steps.facts(bench, payment_id) == FACTS[provider, end]
    new = _counted() - before
    assert new == Counter((provider, one) for one in FACTS[provider, end])


@ALL
def test_dispute_webhooks_in_every_order_twice_have_one_result(
    bench: WebhookWorkbench, provider: str, end: str
) -> None:
    work = bench.work
    payment_id = work.complete_payment(provider)
    dispute_steps.move(
        bench, provider, dispute_steps.open_dispute(bench, payment_id), end
    )
    deliveries = dispute_steps.deliveries_of(bench, provider, TOLD[provider, end])
    assert len(deliveries) == len(TOLD[provider, end])
    before = work.database.payments.find_one({"_id": payment_id})
    assert before is not None
    ends = set()
    for order in itertools.permutations(deliveries):
        work.database.payments.replace_one({"_id": payment_id}, before)
        work.database.webhooks.delete_many({})
        for one in order:
            bench.deliver(one, one)
        ids = [one.id for one in order]
        bench.inbox.reprocess(ids, now=work.now())
        assert {one.status for one in bench.handle(ids)} == {WebhookStatus.HANDLED}
        [dispute] = work.stored(payment_id).disputes
        facts = tuple(dispute_steps.facts(bench, payment_id))
        assert len(set(facts)) == len(facts), "each fact once"
        ends.add((replace(dispute, updated_at=None), facts))
    [(dispute, facts)] = ends
    assert (dispute.state, facts[0]) == (DisputeState(end), OPENED)
    assert facts[-1] == f"dispute.{end}"
    dispute_steps.is_untouched(work.stored(payment_id))


def test_a_dispute_before_the_answer_to_our_call_is_applied(
    bench: WebhookWorkbench,
) -> None:
    work = bench.work
    payment_id = work.pay(payment_method="pm_card_createDispute")
    match = {"method": "POST", "path": CHARGES["stripe"]}
    work.stripe.arm(do="delay", when="after", seconds=1.5, match=match)
    calling = threading.Thread(target=work.step, args=(payment_id,))
    calling.start()
    deliveries = dispute_steps.deliveries_of(
        bench, "stripe", ("created", "funds_withdrawn")
    )
    for one in deliveries:
        assert bench.post(one).status_code == 200
    handled = webhooks.handle([one.id for one in deliveries], bench.context)
    assert {one.status for one in handled} == {WebhookStatus.HANDLED}
    early = work.stored(payment_id)
    assert (early.first_operation.state, len(early.disputes)) == (State.RUNNING, 1)
    assert early.disputes[0].operation == early.first_operation.id
    calling.join()
    after = work.stored(payment_id)
    dispute_steps.is_untouched(after)
    assert after.disputes == early.disputes
    assert dispute_steps.facts(bench, payment_id) == [OPENED, WITHDRAWN]
    [charge] = [one for one in work.list_movements(payment_id) if one[0] == "charge"]
    assert charge == ("charge", 1999)


@pytest.mark.parametrize("boundary", range(len(OF_DISPUTES)), ids=OF_DISPUTES)
def test_a_crash_while_applying_a_dispute_loses_nothing(
    bench: WebhookWorkbench, boundary: int
) -> None:
    work = bench.work
    payment_id = work.complete_payment()
    dispute_steps.open_dispute(bench, payment_id)
    [delivery] = dispute_steps.deliveries_of(bench, "stripe", ("created",))
    assert bench.post(delivery).status_code == 200
    dead = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_webhook_worker"]
        + [delivery.id, str(boundary)],
        env={**os.environ, **work.settings.environment()},
        timeout=60,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL
    work.pass_time(timedelta(minutes=1))
    assert bench.post(delivery).status_code == 200, "it is sent again"
    bench.handle(bench.inbox.find_due_ids(9))
    assert bench.status(delivery) is WebhookStatus.HANDLED
    assert dispute_steps.facts(bench, payment_id) == [OPENED, WITHDRAWN]
    dispute_steps.is_untouched(work.stored(payment_id))


@BOTH
def test_a_dispute_of_a_foreign_charge_is_unmatched(
    bench: WebhookWorkbench, provider: str
) -> None:
    if provider == "stripe":
        form = {"amount": "1999", "currency": "usd", "confirm": "true"}
        form |= {"payment_method": "pm_card_createDispute", "off_session": "true"}
        ours = bench.work.settings.stripe_secret_key
        bench.work.stripe.stripe("POST", "/v1/payment_intents", form, merchant=ours)
    else:
        bench.work.complete_payment(provider)
        drifted = {"do": "unknown_charge", "amount": 500}
        foreign = bench.work.paypal.post("/_drift", drifted).json()["id"]
        opened = bench.work.paypal.post("/_disputes", {"capture": foreign})
        assert opened.status_code == 201, opened.text
    deliveries = dispute_steps.deliveries_of(bench, provider, TOLD[provider, "won"][:1])
    bench.deliver(*deliveries)
    assert [bench.status(one) for one in deliveries] == [WebhookStatus.UNMATCHED]


@BOTH
def test_a_dispute_webhook_is_retried_until_the_provider_answers(
    bench: WebhookWorkbench, provider: str
) -> None:
    work = bench.work
    payment_id = work.complete_payment(provider)
    dispute_steps.open_dispute(bench, payment_id)
    deliveries = dispute_steps.deliveries_of(bench, provider, TOLD[provider, "won"][:1])
    work.simulator(provider).arm(do="drop", times=20, match={"method": "GET"})
    bench.deliver(*deliveries)
    for _ in range(10):
        work.pass_time(timedelta(minutes=11))
        bench.handle(bench.inbox.find_due_ids(9))
    assert [bench.status(one) for one in deliveries] == [
        WebhookStatus.WAITING
    ], "for two hours"
    work.simulator(provider).heal()
    work.pass_time(timedelta(minutes=11))
    bench.handle(bench.inbox.find_due_ids(9))
    assert [bench.status(one) for one in deliveries] == [WebhookStatus.HANDLED]
    assert dispute_steps.facts(bench, payment_id)[0] == OPENED


def _counted() -> Counter[tuple[str, str]]:
    """How often this process has counted each event, by provider."""
    return Counter(
        {
            (sample.labels["provider"], sample.labels["event"]): int(sample.value)
            for family in metrics.DISPUTES.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }
    )


@ALL
def test_a_dispute_exchanged_at_two_rates_shows_the_amount_withdrawn(
    bench: WebhookWorkbench, provider: str, end: str
) -> None:
    """The money is withdrawn and reinstated in the account's currency, at two rates."""
    work = bench.work
    payment_id = work.complete_payment(provider)
    dispute_id = dispute_steps.open_dispute(bench, payment_id)
    dispute_steps.move(bench, provider, dispute_id, end)
    back = end == "won"
    amounts = [("DEBIT", 3870), ("CREDIT", 3862)] if back else [("DEBIT", 3870)]
    lines = [
        {
            **{"id": f"txn_{size}", "object": "balance_transaction", "fee": 0},
            **{"amount": -size if type == "DEBIT" else size, "currency": "eur"},
        }
        for type, size in amounts
    ]
    movements = [
        {
            **{"party": "SELLER", "type": type, "reason": "DISPUTE_SETTLEMENT"},
            "amount": {"currency_code": "EUR", "value": f"{size / 100:.2f}"},
        }
        for type, size in amounts
    ]
    stripe = {"balance_transactions": lines}
    fields = stripe if provider == "stripe" else {"fund_movements": movements}
    wanted = {"do": "overwrite", "id": dispute_id, "fields": fields}
    assert work.simulator(provider).post("/_drift", wanted).status_code == 201
    dispute_steps.deliver_all(bench, provider)
    [ended] = work.stored(payment_id).disputes
    assert (ended.state, ended.withdrawn) == (DisputeState(end), 0 if back else 1999)
    [shown] = work.fetch(payment_id)["disputes"]
    assert shown["amount_withdrawn"] == ended.withdrawn
