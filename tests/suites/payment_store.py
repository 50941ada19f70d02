"""What every PaymentStore promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from application.ports import PaymentStore, Query, Scope
from domain.account import Account
from domain.answer import NextAction, SavedMethod
from domain.errors import NotExecuted
from domain.money import Fee
from domain.operation import Hold, HoldEnd, Origin
from domain.settling import settle
from domain.outcome import escalate
from domain.sending import released
from domain.payment import BELL_GRACE, LEASE
from domain.routing import onward
from domain.states import State, Status
from domain.submission import FutureUsage, Mode, ProviderName
from tests.fakes import pay
from tests.suites.payment_reads import PaymentReadsSuite
from tests.suites.payment_requests import PaymentRequestsSuite
from tests.suites.payments_due import PaymentsDueSuite
from tests.suites.samples import (
    DECLINE,
    PRICE,
    SHOP,
    payment,
    sending,
    submission,
)
from tests.suites.setup import TICK, Setup, claimed, ids_of

#: Longer than any test runs, shorter than any lease.
MOMENT: Final = timedelta(seconds=5)
STRIPE: Final = ProviderName.STRIPE


class PaymentStoreSuite(PaymentReadsSuite, PaymentRequestsSuite, PaymentsDueSuite):
    """Its subclass's module has a fixture ``setup`` and imports ``store``."""

    def test_a_new_payment_comes_back_as_it_was_given(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        asked = replace(
            submission(reference="order 7", execute_at=setup.now()),
            description="Two books",
            return_url="https://shop.example/back",
            email="ann@example.com",
            customer="cus_ann",
            off_session=True,
            setup_future_usage=FutureUsage.OFF_SESSION,
            multicapture=True,
            metadata={"$cart": "a.b", "é": "ü"},
        )
        new = payment(asked=asked, now=setup.now())
        first = replace(new.first, origin=Origin("k", "f", "r1", "t1"))
        new = replace(new, operations=(first,))
        [stored] = store.insert_many([new])
        assert stored == replace(new, news=(), told=1)
        assert store.get(SHOP, new.id) == stored

    def test_an_account_and_its_route_come_back_and_change_with_a_step(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        one, two = (Account(name, STRIPE) for name in ("acct_1", "acct_2"))
        three = Account("acct_3", ProviderName.PAYPAL)
        asked = replace(submission(), provider=None)
        new = payment(asked=asked, account=one, route=(two, three), routes_on=("no",))
        [stored] = store.insert_many([replace(new, updated_at=setup.now())])
        assert store.get(SHOP, new.id) == stored
        assert (stored.account, stored.route) == (one, (two, three))
        setup.pass_time(BELL_GRACE)
        for account, route in ((two, (three,)), (three, ())):
            step = onward(stored, now=setup.now())
            assert step is not None
            [stored] = store.settle_many([step])
            assert (stored.account, stored.route) == (account, route)
            assert store.get(SHOP, new.id) == stored
        assert stored.routes_on == ("no",) and stored.submission.provider is None
        assert ids_of(store.page(SHOP, Query(provider=ProviderName.PAYPAL))) == [new.id]

    def test_every_field_of_a_step_comes_back(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        step = replace(
            settle(won, DECLINE, now=setup.now(), jitter=0),
            next_action=NextAction("https://bank.example/step"),
            hold=Hold(
                setup.now(),
                setup.now(),
                warned=1,
                ended=HoldEnd.VOIDED,
                multicapture=True,
            ),
            saved_method=SavedMethod("pm_saved", "cus_ann"),
        )
        fee = replace(step.first, fee=Fee(-30, "EUR"))
        step = replace(step, operations=(fee, *step.operations[1:]))
        [stored] = store.settle_many([step])
        assert stored.last_error == DECLINE.failure
        assert store.get(SHOP, won.id) == stored

    def test_fields_that_a_step_empties_are_empty(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        step = replace(
            settle(won, DECLINE, now=setup.now(), jitter=0),
            next_action=NextAction("https://bank.example/step"),
        )
        [stored] = store.settle_many([step])
        [emptied] = store.settle_many(
            [replace(stored, next_action=None, last_error=None)]
        )
        assert emptied.next_action is None
        assert store.get(SHOP, won.id) == emptied

    def test_a_group_is_answered_in_order(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        group = [payment(number, now=setup.now()) for number in (3, 1, 2)]
        assert ids_of(store.insert_many(group)) == ids_of(group)

    def test_a_key_stores_one_payment_and_answers_with_it_ever_after(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [first] = store.insert_many([payment(1, key="k", now=setup.now())])
        [again] = store.insert_many([payment(2, key="k", now=setup.now())])
        assert again == first
        assert ids_of(store.page(SHOP, Query())) == [first.id]

    def test_a_key_twice_in_one_group_stores_one_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        group = [
            payment(1, key="k", now=setup.now()),
            payment(2, key="other", now=setup.now()),
            payment(3, key="k", now=setup.now()),
        ]
        first, other, again = store.insert_many(group)
        assert ids_of([first, other, again]) == [group[0].id, group[1].id, group[0].id]
        assert store.get(SHOP, group[2].id) is None

    def test_a_key_from_many_threads_at_once_stores_one_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        rivals = [payment(number, key="k", now=setup.now()) for number in range(1, 9)]
        with ThreadPoolExecutor(len(rivals)) as pool:
            answers = list(pool.map(lambda one: store.insert_many([one]), rivals))
        assert len({stored.id for [stored] in answers}) == 1
        assert len(store.page(SHOP, Query())) == 1

    def test_an_insert_that_comes_again_is_the_same_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        new = payment(now=setup.now())
        assert store.insert_many([new]) == store.insert_many([new])
        assert len(store.timeline(SHOP, new.id) or ()) == 1

    @pytest.mark.parametrize(
        "other", [Scope("rival", Mode.TEST), Scope(SHOP.merchant, Mode.LIVE)]
    )
    def test_merchants_and_modes_have_keys_and_payments_of_their_own(
        self, store: PaymentStore, setup: Setup, other: Scope
    ) -> None:
        ours, theirs = store.insert_many(
            [
                payment(1, key="k", now=setup.now()),
                payment(2, key="k", scope=other, now=setup.now()),
            ]
        )
        assert ours.id != theirs.id
        assert store.get(SHOP, theirs.id) is None
        assert store.timeline(SHOP, theirs.id) is None
        assert ids_of(store.page(SHOP, Query())) == [ours.id]
        assert ids_of(store.page(other, Query())) == [theirs.id]

    def test_what_nobody_made_is_not_there(self, store: PaymentStore) -> None:
        assert store.get(SHOP, "pay_none") is None
        assert store.timeline(SHOP, "pay_none") is None
        assert store.page(SHOP, Query()) == []
        assert store.settled(["pay_none"]) == {"pay_none"}
        assert store.load_due(["pay_none"]) == []
        assert store.due_ids(10) == []
        assert store.claim_many([]) == store.settle_many([]) == []
        assert store.amend(payment()) is None
        assert store.held([sending(payment())]) == []
        store.renew(["pay_none"])
        store.put_off(["pay_none"], MOMENT)

    def test_a_claimed_payment_is_nobody_elses(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        assert store.load_due([won.id]) == setup.store("two").load_due([won.id]) == []
        setup.pass_time(MOMENT)
        assert store.due_ids(10) == []

    def test_a_lease_that_ran_out_is_taken_over(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        setup.pass_time(LEASE + TICK)
        other = setup.store("two")
        assert other.due_ids(10) == [won.id]
        [found] = other.load_due([won.id])
        assert found.first == won.first
        now = setup.now()
        resent = sending(released(found, now=now), now=now)
        [taken] = other.claim_many([resent])
        assert taken.first.state is State.UNKNOWN
        late = settle(won, pay(won), now=now, jitter=0)
        assert store.settle_many([late]) == []
        assert setup.store("two").get(SHOP, won.id) != late

    def test_one_of_two_claims_wins(self, store: PaymentStore, setup: Setup) -> None:
        [new] = store.insert_many([payment(now=setup.now())])
        claim = sending(new, now=setup.now())
        assert ids_of(store.claim_many([claim])) == [new.id]
        assert setup.store("two").claim_many([claim]) == []
        assert store.claim_many([claim]) == []

    def test_one_thread_of_many_wins_each_claim(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        new = store.insert_many([payment(one, now=setup.now()) for one in range(1, 5)])
        claims = [sending(one, now=setup.now()) for one in new]
        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(lambda _: store.claim_many(claims), range(6)))
        assert sorted(one for group in won for one in ids_of(group)) == ids_of(new)
        for one in new:
            assert len(store.timeline(SHOP, one.id) or ()) == 2

    def test_a_lost_claim_takes_none_of_its_group_along(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        new = store.insert_many([payment(one, now=setup.now()) for one in range(1, 4)])
        claims = [sending(one, now=setup.now()) for one in new]
        setup.store("two").claim_many([claims[1]])
        assert ids_of(store.claim_many(claims)) == [new[0].id, new[2].id]

    def test_a_claim_that_hands_over_to_a_person_takes_no_lease(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [new] = store.insert_many([payment(now=setup.now())])
        [review] = store.claim_many([escalate(new, new.first, "why", now=setup.now())])
        assert review.due_at is None
        setup.pass_time(LEASE + BELL_GRACE)
        assert store.due_ids(10) == []
        assert store.load_due([new.id]) == []
        assert store.get(SHOP, new.id) == review

    def test_a_settled_payment_is_stored_and_free(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        [done] = store.settle_many([settle(won, pay(won), now=setup.now(), jitter=0)])
        assert store.get(SHOP, won.id) == done
        assert (done.status, done.captured) == (Status.CAPTURED, PRICE.minor)
        setup.pass_time(LEASE)
        assert store.due_ids(10) == []

    def test_a_retry_gives_the_lease_back_and_is_due_when_it_says(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        error = NotExecuted("busy", retry_after=timedelta(minutes=1))
        retrying = settle(won, error, now=setup.now(), jitter=0)
        [kept] = store.settle_many([retrying])
        store.renew([won.id])
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
        assert len(store.timeline(SHOP, won.id) or ()) == 3

    def test_a_renewal_prolongs_only_what_its_owner_holds(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        mine = claimed(store, setup, number=1)
        theirs = claimed(setup.store("two"), setup, number=2)
        setup.pass_time(LEASE - MOMENT)
        store.renew([mine.id, theirs.id])
        setup.pass_time(MOMENT + TICK)
        assert store.due_ids(10) == [theirs.id]

    def test_a_renewal_is_no_step(self, store: PaymentStore, setup: Setup) -> None:
        won = claimed(store, setup)
        store.renew([won.id])
        paid = settle(won, pay(won), now=setup.now(), jitter=0)
        assert ids_of(store.settle_many([paid])) == [won.id]
