"""Disputes that providers tell of, over HTTP: laid over the payment, each fact once."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from application import notice
from domain.dispute import DisputeState
from domain.notice import Fate
from domain.operation import Kind
from domain.payment import Payment
from domain.states import State, Status
from runtime import metrics
from tests.integration.traps.workbench import CHARGES
from tests.integration.webhooks.hearing import HearingBench, Told
from tests.integration.webhooks.killed import OF_DISPUTES

OPENED, WITHDRAWN = "dispute.opened", "dispute.funds_withdrawn"
REINSTATED, UPDATED = "dispute.funds_reinstated", "dispute.updated"

#: What a provider tells of a dispute that is opened, and then ends so.
TOLD: Final = {
    ("stripe", "won"): ("created", "funds_withdrawn", "closed", "funds_reinstated"),
    ("stripe", "lost"): ("created", "funds_withdrawn", "closed"),
    ("paypal", "won"): ("CREATED", "RESOLVED"),
    ("paypal", "lost"): ("CREATED", "CAPTURE.REVERSED", "RESOLVED"),
}
#: What the timeline has of it, where each is heard as it happens.
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
def test_a_dispute_is_followed_from_its_opening_to_its_end(
    bench: HearingBench, provider: str, end: str
) -> None:
    work, before = bench.work, _counted()
    payment_id = work.paid(provider)
    dispute_id = _open(bench, payment_id)
    _hear_all(bench, provider)
    [opened] = work.stored(payment_id).disputes
    assert (opened.id, opened.state) == (dispute_id, DisputeState.NEEDS_RESPONSE)
    assert opened.respond_by is not None and opened.respond_by > work.now()
    assert opened.operation == work.stored(payment_id).first.id
    _move(bench, provider, dispute_id, REVIEW[provider])
    _hear_all(bench, provider)
    assert work.stored(payment_id).disputes[0].state is DisputeState.UNDER_REVIEW
    _move(bench, provider, dispute_id, end)
    _hear_all(bench, provider)
    after = work.stored(payment_id)
    [ended] = after.disputes
    assert (ended.state, ended.respond_by) == (DisputeState(end), None)
    assert ended.outcome is not None
    assert ended.withdrawn == (1999 if end == "lost" else 0)
    assert after.disputed == (1999 if end == "lost" else 0)
    _is_untouched(after)
    assert _facts(bench, payment_id) == FACTS[provider, end]
    new = _counted() - before
    assert new == Counter((provider, one) for one in FACTS[provider, end])


@ALL
def test_its_events_in_every_order_twice(
    bench: HearingBench, provider: str, end: str
) -> None:
    work = bench.work
    payment_id = work.paid(provider)
    _move(bench, provider, _open(bench, payment_id), end)
    told = _told(bench, provider, TOLD[provider, end])
    assert len(told) == len(TOLD[provider, end])
    before = work.database.payments.find_one({"_id": payment_id})
    assert before is not None
    ends = set()
    for order in itertools.permutations(told):
        work.database.payments.replace_one({"_id": payment_id}, before)
        work.database.webhooks.delete_many({})
        for one in order:
            bench.hear(one, one)
        ids = [one.id for one in order]
        bench.inbox.replay(ids, now=work.now())
        assert {one.fate for one in bench.handle(ids)} == {Fate.HANDLED}
        [dispute] = work.stored(payment_id).disputes
        facts = tuple(_facts(bench, payment_id))
        assert len(set(facts)) == len(facts), "each fact once"
        ends.add((replace(dispute, updated_at=None), facts))
    [(dispute, facts)] = ends
    assert (dispute.state, facts[0]) == (DisputeState(end), OPENED)
    assert facts[-1] == f"dispute.{end}"
    _is_untouched(work.stored(payment_id))


def test_a_dispute_that_is_told_before_our_own_calls_answer(
    bench: HearingBench,
) -> None:
    work = bench.work
    payment_id = work.pay(payment_method="pm_card_createDispute")
    match = {"method": "POST", "path": CHARGES["stripe"]}
    work.stripe.arm(do="delay", when="after", seconds=1.5, match=match)
    calling = threading.Thread(target=work.step, args=(payment_id,))
    calling.start()
    told = _told(bench, "stripe", ("created", "funds_withdrawn"))
    for one in told:
        assert bench.give(one).status_code == 200
    handled = notice.handle([one.id for one in told], bench.hearing)
    assert {one.fate for one in handled} == {Fate.HANDLED}
    early = work.stored(payment_id)
    assert (early.first.state, len(early.disputes)) == (State.RUNNING, 1)
    assert early.disputes[0].operation == early.first.id
    calling.join()
    after = work.stored(payment_id)
    _is_untouched(after)
    assert after.disputes == early.disputes
    assert _facts(bench, payment_id) == [OPENED, WITHDRAWN]
    [charge] = [one for one in work.moved(payment_id) if one[0] == "charge"]
    assert charge == ("charge", 1999)


@pytest.mark.parametrize("boundary", range(len(OF_DISPUTES)), ids=OF_DISPUTES)
def test_crash_in_the_middle_of_laying_a_dispute_over_its_payment(
    bench: HearingBench, boundary: int
) -> None:
    work = bench.work
    payment_id = work.paid()
    _open(bench, payment_id)
    [told] = _told(bench, "stripe", ("created",))
    assert bench.give(told).status_code == 200
    dead = subprocess.run(
        [sys.executable, "-m", "tests.integration.webhooks.killed"]
        + [told.id, str(boundary)],
        env={**os.environ, **work.settings.environment()},
        timeout=60,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL
    work.pass_time(timedelta(minutes=1))
    assert bench.give(told).status_code == 200, "it is sent again"
    bench.handle(bench.inbox.due_ids(9))
    assert bench.fate(told) is Fate.HANDLED
    assert _facts(bench, payment_id) == [OPENED, WITHDRAWN]
    _is_untouched(work.stored(payment_id))


def test_an_inquiry_that_escalates_at_stripe(bench: HearingBench) -> None:
    work = bench.work
    payment_id = work.paid()
    dispute_id = _open(bench, payment_id, status="warning_needs_response")
    _hear_all(bench, "stripe")
    [asked] = work.stored(payment_id).disputes
    assert (asked.inquiry, asked.withdrawn) == (True, 0)
    _move(bench, "stripe", dispute_id, "needs_response")
    _hear_all(bench, "stripe")
    [taken] = work.stored(payment_id).disputes
    assert (taken.inquiry, taken.withdrawn) == (False, 1999)
    assert _facts(bench, payment_id) == [OPENED, WITHDRAWN, UPDATED]


@pytest.mark.parametrize(
    ("provider", "begin", "end", "outcome"),
    [
        ("stripe", "warning_needs_response", "warning_closed", "warning_closed"),
        ("paypal", "OPEN", "canceled", "canceled_by_buyer"),
    ],
)
def test_one_that_ends_undecided_is_closed_and_costs_nothing(
    bench: HearingBench, provider: str, begin: str, end: str, outcome: str
) -> None:
    payment_id = bench.work.paid(provider)
    _move(bench, provider, _open(bench, payment_id, status=begin), end)
    _hear_all(bench, provider)
    after = bench.work.stored(payment_id)
    [closed] = after.disputes
    assert (closed.state, closed.outcome) == (DisputeState.CLOSED, outcome)
    assert (after.disputed, closed.withdrawn) == (0, 0)
    assert _facts(bench, payment_id) == [OPENED, "dispute.closed"]


def test_a_capture_that_paypal_reversed_without_a_dispute(bench: HearingBench) -> None:
    work = bench.work
    payment_id = work.paid("paypal")
    reversal = _reverse(bench, payment_id)
    [told] = _told(bench, "paypal", ("CAPTURE.REVERSED",))
    bench.hear(told)
    bench.hear(told)
    after = work.stored(payment_id)
    [taken] = after.disputes
    assert (taken.id, taken.reason) == (reversal, "reversed")
    assert (taken.state, taken.withdrawn) == (DisputeState.LOST, 1999)
    assert taken.operation == after.first.id
    assert _facts(bench, payment_id) == [OPENED, WITHDRAWN, "dispute.lost"]
    _is_untouched(after)


def test_a_reversal_after_a_dispute_that_was_won_is_one_of_its_own(
    bench: HearingBench,
) -> None:
    payment_id = bench.work.paid("paypal")
    _move(bench, "paypal", _open(bench, payment_id), "won")
    _hear_all(bench, "paypal")
    reversal = _reverse(bench, payment_id)
    _hear_all(bench, "paypal", "CAPTURE.REVERSED")
    won, taken = bench.work.stored(payment_id).disputes
    assert (won.state, won.reason) == (DisputeState.WON, "unauthorised")
    assert (taken.id, taken.reason) == (reversal, "reversed")


def test_a_dispute_of_one_of_two_captures_names_that_one(bench: HearingBench) -> None:
    work = bench.work
    payment_id = work.paid("paypal", capture="manual")
    for amount in (1200, 799):
        assert work.ask(payment_id, "captures", amount=amount).status_code == 202
        work.work(payment_id)
    second = work.stored(payment_id).operations[-1]
    _open(bench, payment_id, capture=second.refs["capture"])
    _hear_all(bench, "paypal")
    after = work.stored(payment_id)
    assert [one.operation for one in after.disputes] == [second.id]
    assert (after.disputed, after.captured) == (799, 1999)


def test_what_a_lost_dispute_took_of_several_captures_is_refunded_of_none(
    bench: HearingBench,
) -> None:
    work = bench.work
    payment_id = work.paid(capture="manual", multicapture=True)
    for amount in (1200, 500):
        asked = work.ask(payment_id, "captures", amount=amount, final=False)
        assert asked.status_code == 202
        work.work(payment_id)
    _move(bench, "stripe", _open(bench, payment_id), "lost")
    _hear_all(bench, "stripe")
    assert work.stored(payment_id).disputed == 1700
    refused = work.ask(payment_id, "refunds", amount=500)
    assert (refused.status_code, refused.json()["reason"]) == (409, "nothing_to_refund")


def test_a_capture_of_stripes_is_disputed(bench: HearingBench) -> None:
    work = bench.work
    payment_id = work.paid(capture="manual")
    assert work.ask(payment_id, "captures").status_code == 202
    captured = work.work(payment_id).operations[-1]
    assert captured.kind is Kind.CAPTURE
    _open(bench, payment_id)
    _hear_all(bench, "stripe")
    assert work.stored(payment_id).disputes[0].operation == captured.id


@BOTH
def test_a_dispute_of_somebody_elses_charge_is_unmatched(
    bench: HearingBench, provider: str
) -> None:
    if provider == "stripe":
        form = {"amount": "1999", "currency": "usd", "confirm": "true"}
        form |= {"payment_method": "pm_card_createDispute", "off_session": "true"}
        ours = bench.work.settings.stripe_secret_key
        bench.work.stripe.stripe("POST", "/v1/payment_intents", form, merchant=ours)
    else:
        bench.work.paid(provider)
        drifted = {"do": "unknown_charge", "amount": 500}
        foreign = bench.work.paypal.post("/_drift", drifted).json()["id"]
        opened = bench.work.paypal.post("/_disputes", {"capture": foreign})
        assert opened.status_code == 201, opened.text
    told = _told(bench, provider, TOLD[provider, "won"][:1])
    bench.hear(*told)
    assert [bench.fate(one) for one in told] == [Fate.UNMATCHED]


@BOTH
def test_a_refund_while_it_is_disputed_is_refused_by_the_provider_and_said_so(
    bench: HearingBench, provider: str
) -> None:
    work = bench.work
    payment_id = work.paid(provider)
    dispute_id = _open(bench, payment_id)
    _hear_all(bench, provider)
    assert work.ask(payment_id, "refunds").status_code == 202
    refused = work.work(payment_id)
    assert refused.operations[-1].state is State.REJECTED
    _is_untouched(refused)
    shown = work.shown(payment_id)
    assert shown["last_error"]["code"] == "charge_disputed"
    assert [one["state"] for one in shown["disputes"]] == ["needs_response"]
    _move(bench, provider, dispute_id, "won")
    _hear_all(bench, provider)
    assert work.ask(payment_id, "refunds").status_code == 202
    assert work.work(payment_id).status is Status.REFUNDED


@BOTH
def test_what_a_lost_dispute_took_is_not_refunded_as_well(
    bench: HearingBench, provider: str
) -> None:
    work = bench.work
    payment_id = work.paid(provider)
    _move(bench, provider, _open(bench, payment_id), "lost")
    _hear_all(bench, provider)
    refused = work.ask(payment_id, "refunds")
    assert refused.status_code == 409
    assert refused.json()["reason"] == "nothing_to_refund"
    kinds = [kind for kind, _ in work.moved(payment_id)]
    assert kinds.count("refund") == 0


@BOTH
def test_a_shop_sees_its_disputes(bench: HearingBench, provider: str) -> None:
    work = bench.work
    quiet, payment_id = work.paid(provider), work.paid(provider)
    assert work.shown(quiet)["disputes"] == []
    dispute_id = _open(bench, payment_id)
    _hear_all(bench, provider)
    shown = work.shown(payment_id)
    assert (shown["amount_disputed"], shown["amount_captured"]) == (1999, 1999)
    [dispute] = shown["disputes"]
    stored = work.stored(payment_id)
    assert dispute == {
        "id": dispute_id,
        "operation": stored.first.id,
        "state": "needs_response",
        "inquiry": False,
        "reason": "fraudulent" if provider == "stripe" else "unauthorised",
        "amount": 1999,
        "amount_withdrawn": 1999 if provider == "stripe" else 0,
        "currency": "USD",
        "respond_by": dispute["respond_by"],
        "opened_at": dispute["opened_at"],
        "updated_at": dispute["updated_at"],
        "outcome": None,
    }
    assert dispute["opened_at"] < dispute["respond_by"]
    for query, ids in (("true", [payment_id]), ("false", [quiet])):
        found = work.shop.get(f"/v1/payments?disputed={query}").json()["data"]
        assert [one["id"] for one in found] == ids
    refused = work.shop.get("/v1/payments?disputed=maybe")
    assert refused.status_code == 422


@BOTH
def test_a_provider_that_is_away_is_asked_again_until_it_is_back(
    bench: HearingBench, provider: str
) -> None:
    work = bench.work
    payment_id = work.paid(provider)
    _open(bench, payment_id)
    told = _told(bench, provider, TOLD[provider, "won"][:1])
    work.at(provider).arm(do="drop", times=20, match={"method": "GET"})
    bench.hear(*told)
    for _ in range(10):
        work.pass_time(timedelta(minutes=11))
        bench.handle(bench.inbox.due_ids(9))
    assert [bench.fate(one) for one in told] == [Fate.WAITING], "for two hours"
    work.at(provider).heal()
    work.pass_time(timedelta(minutes=11))
    bench.handle(bench.inbox.due_ids(9))
    assert [bench.fate(one) for one in told] == [Fate.HANDLED]
    assert _facts(bench, payment_id)[0] == OPENED


def _open(bench: HearingBench, payment_id: str, **wanted: Any) -> str:
    """The id of a dispute of the payment, or of what ``wanted`` names."""
    payment = bench.work.stored(payment_id)
    provider = payment.provider
    name = "charge" if provider == "stripe" else "capture"
    asked = {name: payment.refs[name], **wanted}
    answer = bench.work.at(provider).post("/_disputes", asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id" if provider == "stripe" else "dispute_id"])


def _move(bench: HearingBench, provider: str, dispute_id: str, status: str) -> None:
    path = f"/_disputes/{dispute_id}"
    answer = bench.work.at(provider).post(path, {"status": status})
    assert answer.status_code == 200, answer.text


def _reverse(bench: HearingBench, payment_id: str) -> str:
    """The id of the refund by which PayPal takes the payment back."""
    capture = bench.work.stored(payment_id).refs["capture"]
    answer = bench.work.paypal.post("/_reversals", {"capture": capture})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _told(bench: HearingBench, provider: str, types: Iterable[str]) -> list[Told]:
    """What was told of these types, once all of them were."""
    begin = "charge.dispute." if provider == "stripe" else "CUSTOMER.DISPUTE."
    named = {
        f"PAYMENT.{one}" if one.startswith("CAPTURE") else f"{begin}{one}"
        for one in types
    }
    return [one for one in bench.told(provider, *named) if one.type in named]


def _hear_all(bench: HearingBench, provider: str, *types: str) -> None:
    """Has the product hear of all disputes' events so far, the older ones again."""
    end = "created" if provider == "stripe" else "CREATED"
    _told(bench, provider, types or (end,))
    sent = bench.work.at(provider).get("/_webhooks")["deliveries"]
    bench.all_told(provider, len({one["event_id"] for one in sent}))
    told = [
        one
        for one in bench.told(provider)
        if "dispute" in one.type.lower() or one.type == "PAYMENT.CAPTURE.REVERSED"
    ]
    bench.hear(*told)


def _facts(bench: HearingBench, payment_id: str) -> list[str]:
    """What the timeline has of disputes, in order."""
    return [one for one in bench.work.told(payment_id) if one.startswith("dispute.")]


def _counted() -> Counter[tuple[str, str]]:
    """How often this process has told each fact, by provider."""
    return Counter(
        {
            (sample.labels["provider"], sample.labels["event"]): int(sample.value)
            for family in metrics.DISPUTES.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }
    )


def _is_untouched(payment: Payment) -> None:
    """No dispute changes what was captured or refunded, nor the status."""
    assert (payment.status, payment.captured) == (Status.CAPTURED, 1999)
    assert (payment.refunded, payment.refund_reserved) == (0, 0)
    assert payment.first.state is State.SUCCEEDED
