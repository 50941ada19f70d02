"""The promises of every PaymentStore about requests during a claim."""

from __future__ import annotations

from datetime import timedelta

import pytest

from application.ports.payments import PaymentStore
from domain.errors import IdempotencyMismatch, ReferenceInProgress
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import refund, void
from domain.payments.payment import LEASE, Payment
from domain.payments.start_attempt import expire_claim
from domain.payments.submission import DuplicatePolicy
from tests.suites.samples import (
    insert_all,
    DECLINE,
    SHOP,
    origin,
    payment,
    sending,
    submission,
)
from tests.suites.setup import TICK, Setup, claimed, ids_of
from tests.support.fakes import pay


class PaymentRequestsSuite:
    """The part of PaymentStoreSuite with concurrent requests."""

    def test_postponed_payment_is_due_later_without_a_step(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [new] = insert_all(store, [payment(now=setup.now())])
        store.postpone([new.id], timedelta(minutes=1))
        assert store.load_due([new.id]) == []
        setup.pass_time(timedelta(minutes=1))
        assert store.load_due([new.id]) == [new]

    def test_claimed_or_settled_payment_is_not_postponed(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        held = claimed(store, setup, number=1)
        done = claimed(store, setup, number=2)
        store.settle_many([settle(done, DECLINE, now=setup.now(), jitter=0)])
        store.postpone([held.id, done.id], timedelta(minutes=5))
        setup.pass_time(LEASE + TICK)
        assert setup.store("two").find_due_ids(10) == [held.id]

    def test_a_request_to_a_held_payment_keeps_the_lease_and_the_settle_finds_it(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        held, web = _refunding(store, setup), setup.store("web")
        found = web.get(SHOP, held.id)
        assert found is not None
        more = refund(
            found, amount=7, target=None, id="op_2", origin=origin(), now=setup.now()
        )
        assert web.amend(more) is not None
        assert setup.store("two").load_due([held.id]) == []
        back = Answer(Verdict.SUCCEEDED, Money(5, "USD"), {"refund": "re_1"})
        late = settle(held, back, now=setup.now(), jitter=0)
        assert store.settle_many([late]) == []
        [fresh] = store.load_leased([held])
        [done] = store.settle_many([settle(fresh, back, now=setup.now(), jitter=0)])
        assert store.get(SHOP, held.id) == done
        assert (done.refunded, done.refund_reserved) == (5, 7)
        assert store.load_leased([held]) == []
        assert [event.seq for event in store.load_timeline(SHOP, held.id) or ()] == [
            *range(1, 8)
        ]
        assert ids_of(setup.store("two").load_due([held.id])) == [held.id]

    def test_payment_taken_over_is_held_by_its_new_owner_only(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        setup.pass_time(LEASE + TICK)
        other = setup.store("two")
        [found] = other.load_due([won.id])
        now = setup.now()
        other.claim_many([sending(expire_claim(found, now=now), now=now)])
        assert store.load_leased([won]) == []

    def test_a_request_to_a_payment_that_moved_on_changes_nothing(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        paid = _paid(store, setup)
        wanted = refund(
            paid, amount=5, target=None, id="op_r", origin=origin(), now=setup.now()
        )
        assert store.amend(wanted) is not None
        assert store.amend(wanted) is None
        stored = store.get(SHOP, paid.id)
        assert stored is not None
        assert len(stored.operations) == 2
        assert ids_of(store.load_due([paid.id])) == [paid.id]

    def test_canceled_payment_can_be_read(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [new] = insert_all(store, [payment(now=setup.now())])
        wanted = void(new, id="op_v", origin=origin(), now=setup.now())
        stored = store.amend(wanted)
        assert stored is not None
        assert [one.amount for one in stored.operations] == [1999, 0]
        assert store.get(SHOP, new.id) == stored

    def test_a_key_of_another_payment_is_refused(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        paid = _paid(store, setup)
        insert_all(store, [payment(2, key="taken", now=setup.now())])
        wanted = refund(
            paid,
            amount=5,
            target=None,
            id="op_r",
            origin=origin("taken"),
            now=setup.now(),
        )
        with pytest.raises(IdempotencyMismatch):
            store.amend(wanted)
        assert store.get(SHOP, paid.id) == paid

    def test_a_key_of_a_refund_answers_with_the_refunds_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        paid = _paid(store, setup)
        store.amend(
            refund(
                paid,
                amount=5,
                target=None,
                id="op_r",
                origin=origin("k"),
                now=setup.now(),
            )
        )
        [found] = insert_all(store, [payment(2, key="k", now=setup.now())])
        assert found.id == paid.id

    def test_payment_of_a_reference_blocks_the_next_one(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        asked = submission(reference="r", duplicate_policy=DuplicatePolicy.UNFINISHED)
        first = payment(1, submitted=asked, now=setup.now())
        [stored] = insert_all(store, [first])
        with pytest.raises(ReferenceInProgress) as refused:
            insert_all(store, [payment(2, submitted=asked, now=setup.now())])
        assert refused.value.payment == first.id
        assert insert_all(store, [first]) == [stored], "its own request may be repeated"
        unguarded = submission(reference="r")
        insert_all(store, [payment(3, submitted=unguarded, now=setup.now())])
        [won] = store.claim_many([sending(stored, now=setup.now())])
        store.settle_many([settle(won, DECLINE, now=setup.now(), jitter=0)])
        [next_one] = insert_all(store, [payment(4, submitted=asked, now=setup.now())])
        assert next_one.id == payment(4).id


def _paid(store: PaymentStore, setup: Setup) -> Payment:
    """A payment whose charge has succeeded."""
    won = claimed(store, setup)
    [paid] = store.settle_many([settle(won, pay(won), now=setup.now(), jitter=0)])
    return paid


def _refunding(store: PaymentStore, setup: Setup) -> Payment:
    """A charged payment with a partial refund under way."""
    asked = refund(
        _paid(store, setup),
        amount=5,
        target=None,
        id="op_1",
        origin=origin("k-1"),
        now=setup.now(),
    )
    amended = store.amend(asked)
    assert amended is not None
    [held] = store.claim_many([sending(amended, now=setup.now())])
    return held
