"""What webhooks tell of several captures of one payment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.payments.states import State, Status
from tests.support.simulator_process import eventually
from tests.support.webhook_workbench import HearingBench

#: Told of each capture that leaves the rest on hold, and of the authorization.
PART = "payment_intent.amount_capturable_updated"


def test_what_a_webhook_alone_can_tell_of_one_of_several_captures(
    bench: HearingBench,
) -> None:
    work = bench.work
    payment_id = work.paid(capture="manual", multicapture=True)
    assert work.ask(payment_id, "captures", amount=500, final=False).ok
    work.work(payment_id)
    intent = work.stored(payment_id).refs["payment_intent"]
    work.lose_answer("stripe", f"/v1/payment_intents/{intent}/capture")
    assert work.ask(payment_id, "captures", amount=700, final=False).ok
    assert work.step(payment_id).operations[-1].state is State.UNKNOWN
    posts = work.calls("stripe", "POST")
    heard = bench.receivers["stripe"]
    eventually(lambda: heard.types().count(PART) == 3, "each capture is told of")
    bench.hear(*bench.told("stripe"))
    after = work.stored(payment_id)
    assert [one.moved for one in after.operations] == [1999, 500, 700]
    assert after.status is Status.PARTIALLY_CAPTURED
    assert work.calls("stripe", "POST") == posts, "it was looked at, not sent again"


@pytest.mark.parametrize("told", ["before the next part", "after it"])
def test_the_fee_of_a_part_whose_answer_was_lost_is_learnt_whenever_it_is_told_of(
    bench: HearingBench, told: str
) -> None:
    work = bench.work
    payment_id = work.paid(capture="manual", multicapture=True)
    intent = work.stored(payment_id).refs["payment_intent"]
    work.lose_answer("stripe", f"/v1/payment_intents/{intent}/capture")
    assert work.ask(payment_id, "captures", amount=500, final=False).ok
    lost = work.step(payment_id).operations[-1]
    assert lost.state is State.UNKNOWN
    if told == "before the next part":
        _hear(bench, parts=2)
    else:
        # Its resend is due later than what is asked for now.
        work.database.payments.update_one(
            {"_id": payment_id, "operations.id": lost.id},
            {"$set": {"operations.$.due_at": work.now() + timedelta(hours=1)}},
        )
    assert work.ask(payment_id, "captures", amount=700, final=False).ok
    work.step(payment_id)
    _hear(bench, parts=3)
    after = work.stored(payment_id)
    assert [one.moved for one in after.operations] == [1999, 500, 700]
    assert work.told(payment_id).count("attempt.sent") == 3, "none was sent again"
    # 2.9 % of each part, and 0.30 USD.
    assert work.shown(payment_id)["amount_fee"] == 45 + 50


def _hear(bench: HearingBench, *, parts: int) -> None:
    """All that Stripe has told so far, once it told so often that some is on hold."""
    heard = bench.receivers["stripe"]
    eventually(lambda: heard.types().count(PART) == parts, "each capture is told of")
    bench.hear(*bench.told("stripe"))


def test_what_is_known_of_every_capture_is_no_news(bench: HearingBench) -> None:
    work = bench.work
    payment_id = work.paid(capture="manual", multicapture=True)
    for amount, final in ((500, False), (700, False), (99, True)):
        asked = work.ask(payment_id, "captures", amount=amount, final=final)
        assert asked.status_code == 202, asked.text
        work.work(payment_id)
    before = work.stored(payment_id)
    told = bench.told("stripe", PART, "payment_intent.succeeded")
    bench.hear(*told, *reversed(told))
    after = work.stored(payment_id)
    assert after.version == before.version
    assert "webhook.received" not in work.told(payment_id)
