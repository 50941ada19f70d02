"""The promises of every PaymentStore about claims and leases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from application.ports.payments import PaymentStore
from domain.errors import NotExecuted
from domain.payments.settle import settle
from domain.payments.payment import WAKEUP_GRACE, LEASE
from domain.payments.start_attempt import expire_claim
from domain.payments.states import State, Status
from domain.payments.apply_answer import escalate
from tests.suites.samples import (
    insert_all,
    DECLINE,
    PRICE,
    SHOP,
    payment,
    sending,
)
from tests.suites.setup import MOMENT, TICK, Setup, claimed, ids_of
from tests.support.fakes import pay


class PaymentClaimsSuite:
    """The part of PaymentStoreSuite in which work is claimed and settled."""

    def test_a_claimed_payment_cannot_be_claimed_by_another_holder(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        assert store.load_due([won.id]) == setup.store("two").load_due([won.id]) == []
        setup.pass_time(MOMENT)
        assert store.find_due_ids(10) == []

    def test_a_lease_that_ran_out_is_taken_over(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        setup.pass_time(LEASE + TICK)
        other = setup.store("two")
        assert other.find_due_ids(10) == [won.id]
        [found] = other.load_due([won.id])
        assert found.first_operation == won.first_operation
        now = setup.now()
        resent = sending(expire_claim(found, now=now), now=now)
        [taken] = other.claim_many([resent])
        assert taken.first_operation.state is State.UNKNOWN
        late = settle(won, pay(won), now=now, jitter=0)
        assert store.settle_many([late]) == []
        assert setup.store("two").get(SHOP, won.id) != late

    def test_one_of_two_claims_wins(self, store: PaymentStore, setup: Setup) -> None:
        [new] = insert_all(store, [payment(now=setup.now())])
        claim = sending(new, now=setup.now())
        assert ids_of(store.claim_many([claim])) == [new.id]
        assert setup.store("two").claim_many([claim]) == []
        assert store.claim_many([claim]) == []

    def test_one_thread_of_many_wins_each_claim(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        new = insert_all(store, [payment(one, now=setup.now()) for one in range(1, 5)])
        claims = [sending(one, now=setup.now()) for one in new]
        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(lambda _: store.claim_many(claims), range(6)))
        assert sorted(one for group in won for one in ids_of(group)) == ids_of(new)
        for one in new:
            assert len(store.load_timeline(SHOP, one.id) or ()) == 2

    def test_a_lost_claim_does_not_affect_the_rest_of_its_group(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        new = insert_all(store, [payment(one, now=setup.now()) for one in range(1, 4)])
        claims = [sending(one, now=setup.now()) for one in new]
        setup.store("two").claim_many([claims[1]])
        assert ids_of(store.claim_many(claims)) == [new[0].id, new[2].id]

    def test_claim_with_an_escalation_takes_no_lease(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [new] = insert_all(store, [payment(now=setup.now())])
        [review] = store.claim_many(
            [escalate(new, new.first_operation, "why", now=setup.now())]
        )
        assert review.due_at is None
        setup.pass_time(LEASE + WAKEUP_GRACE)
        assert store.find_due_ids(10) == []
        assert store.load_due([new.id]) == []
        assert store.get(SHOP, new.id) == review

    def test_a_settled_payment_is_stored_and_unleased(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        [done] = store.settle_many([settle(won, pay(won), now=setup.now(), jitter=0)])
        assert store.get(SHOP, won.id) == done
        assert (done.status, done.captured) == (Status.CAPTURED, PRICE.minor)
        setup.pass_time(LEASE)
        assert store.find_due_ids(10) == []

    def test_a_retry_returns_the_lease_and_is_due_at_its_time(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        error = NotExecuted("busy", retry_after=timedelta(minutes=1))
        retrying = settle(won, error, now=setup.now(), jitter=0)
        [kept] = store.settle_many([retrying])
        store.renew_leases([won.id])
        assert store.load_due([won.id]) == []
        setup.pass_time(timedelta(minutes=1))
        assert ids_of(setup.store("two").load_due([won.id])) == [kept.id]

    def test_a_second_settle_of_the_same_version_changes_nothing(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        paid = settle(won, pay(won), now=setup.now(), jitter=0)
        declined = settle(won, DECLINE, now=setup.now(), jitter=0)
        [done] = store.settle_many([paid])
        assert store.settle_many([declined]) == store.settle_many([paid]) == []
        assert store.get(SHOP, won.id) == done
        assert len(store.load_timeline(SHOP, won.id) or ()) == 3

    def test_renewal_prolongs_only_the_leases_of_its_owner(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        mine = claimed(store, setup, number=1)
        theirs = claimed(setup.store("two"), setup, number=2)
        setup.pass_time(LEASE - MOMENT)
        store.renew_leases([mine.id, theirs.id])
        setup.pass_time(MOMENT + TICK)
        assert store.find_due_ids(10) == [theirs.id]

    def test_a_renewal_changes_no_version(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        store.renew_leases([won.id])
        paid = settle(won, pay(won), now=setup.now(), jitter=0)
        assert ids_of(store.settle_many([paid])) == [won.id]
