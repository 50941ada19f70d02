"""The promises of every PaymentStore."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import pytest

from application.ports.payments import PaymentStore, Query, Scope
from domain.account import Account
from domain.money import Fee
from domain.payments.answer import NextAction, SavedMethod
from domain.payments.settle import settle
from domain.payments.operation import Hold, HoldEnd, Origin
from domain.payments.payment import WAKEUP_GRACE
from domain.payments.routing import reroute_around_outage
from domain.payments.submission import FutureUsage, Mode, ProviderName
from tests.suites.payment_claims import PaymentClaimsSuite
from tests.suites.payment_reads import PaymentReadsSuite
from tests.suites.payment_requests import PaymentRequestsSuite
from tests.suites.payments_due import PaymentsDueSuite
from tests.suites.samples import (
    insert_all,
    DECLINE,
    SHOP,
    payment,
    sending,
    submission,
)
from tests.suites.setup import MOMENT, Setup, claimed, ids_of

STRIPE: Final = ProviderName.STRIPE


class PaymentStoreSuite(
    PaymentReadsSuite, PaymentRequestsSuite, PaymentsDueSuite, PaymentClaimsSuite
):
    """Its subclass's module has a fixture ``setup`` and imports ``store``."""

    def test_a_new_payment_is_read_back_unchanged(
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
        new = payment(submitted=asked, now=setup.now())
        first = replace(new.first_operation, origin=Origin("k", "f", "r1", "t1"))
        new = replace(new, operations=(first,))
        [stored] = insert_all(store, [new])
        assert stored == replace(new, pending_events=(), event_count=1)
        assert store.get(SHOP, new.id) == stored

    def test_an_account_and_its_route_are_stored_and_change_with_a_step(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        one, two = (Account(name, STRIPE) for name in ("acct_1", "acct_2"))
        three = Account("acct_3", ProviderName.PAYPAL)
        asked = replace(submission(), provider=None)
        new = payment(
            submitted=asked, account=one, route=(two, three), routes_on=("no",)
        )
        [stored] = insert_all(store, [replace(new, updated_at=setup.now())])
        assert store.get(SHOP, new.id) == stored
        assert (stored.account, stored.route) == (one, (two, three))
        setup.pass_time(WAKEUP_GRACE)
        for account, route in ((two, (three,)), (three, ())):
            step = reroute_around_outage(stored, now=setup.now())
            assert step is not None
            [stored] = store.settle_many([step])
            assert (stored.account, stored.route) == (account, route)
            assert store.get(SHOP, new.id) == stored
        assert stored.routes_on == ("no",) and stored.submission.provider is None
        assert ids_of(
            store.list_payments(SHOP, Query(provider=ProviderName.PAYPAL))
        ) == [new.id]

    def test_every_field_of_a_step_is_stored(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        step = replace(
            settle(won, DECLINE, now=setup.now(), jitter=0),
            next_action=NextAction("https://bank.example/step"),
            hold=Hold(
                setup.now(),
                setup.now(),
                warnings_sent=1,
                ended=HoldEnd.VOIDED,
                multicapture=True,
            ),
            saved_method=SavedMethod("pm_saved", "cus_ann"),
        )
        fee = replace(step.first_operation, fee=Fee(-30, "EUR"))
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

    def test_the_results_of_a_group_are_in_its_order(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        group = [payment(number, now=setup.now()) for number in (3, 1, 2)]
        assert ids_of(insert_all(store, group)) == ids_of(group)

    def test_a_key_stores_one_payment_and_always_returns_it(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [first] = insert_all(store, [payment(1, key="k", now=setup.now())])
        [again] = insert_all(store, [payment(2, key="k", now=setup.now())])
        assert again == first
        assert ids_of(store.list_payments(SHOP, Query())) == [first.id]

    def test_a_key_twice_in_one_group_stores_one_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        group = [
            payment(1, key="k", now=setup.now()),
            payment(2, key="other", now=setup.now()),
            payment(3, key="k", now=setup.now()),
        ]
        first, other, again = insert_all(store, group)
        assert ids_of([first, other, again]) == [group[0].id, group[1].id, group[0].id]
        assert store.get(SHOP, group[2].id) is None

    def test_a_key_from_many_threads_at_once_stores_one_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        rivals = [payment(number, key="k", now=setup.now()) for number in range(1, 9)]
        with ThreadPoolExecutor(len(rivals)) as pool:
            answers = list(pool.map(lambda one: insert_all(store, [one]), rivals))
        assert len({stored.id for [stored] in answers}) == 1
        assert len(store.list_payments(SHOP, Query())) == 1

    def test_a_repeated_insert_returns_the_same_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        new = payment(now=setup.now())
        assert insert_all(store, [new]) == insert_all(store, [new])
        assert len(store.load_timeline(SHOP, new.id) or ()) == 1

    @pytest.mark.parametrize(
        "other", [Scope("rival", Mode.TEST), Scope(SHOP.merchant, Mode.LIVE)]
    )
    def test_merchants_and_modes_have_separate_keys_and_payments(
        self, store: PaymentStore, setup: Setup, other: Scope
    ) -> None:
        ours, theirs = insert_all(
            store,
            [
                payment(1, key="k", now=setup.now()),
                payment(2, key="k", scope=other, now=setup.now()),
            ],
        )
        assert ours.id != theirs.id
        assert store.get(SHOP, theirs.id) is None
        assert store.load_timeline(SHOP, theirs.id) is None
        assert ids_of(store.list_payments(SHOP, Query())) == [ours.id]
        assert ids_of(store.list_payments(other, Query())) == [theirs.id]

    def test_unknown_payment_is_not_stored(self, store: PaymentStore) -> None:
        assert store.get(SHOP, "pay_none") is None
        assert store.load_timeline(SHOP, "pay_none") is None
        assert store.list_payments(SHOP, Query()) == []
        assert store.find_settled(["pay_none"]) == {"pay_none"}
        assert store.load_due(["pay_none"]) == []
        assert store.find_due_ids(10) == []
        assert store.claim_many([]) == store.settle_many([]) == []
        assert store.amend(payment()) is None
        assert store.load_leased([sending(payment())]) == []
        store.renew_leases(["pay_none"])
        store.postpone(["pay_none"], MOMENT)
