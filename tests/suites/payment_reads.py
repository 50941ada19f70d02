"""The promises of every PaymentStore about reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from application.ports.payments import PaymentStore, Query
from domain.payments.settle import settle
from domain.payments.apply_dispute import apply_dispute
from domain.payments.follow_ups import void
from domain.payments.operation import Origin
from domain.payments.states import Status
from domain.payments.submission import ProviderName
from domain.payments.apply_answer import escalate
from tests.suites.samples import (
    insert_all,
    DECLINE,
    NOW,
    SHOP,
    disputed,
    payment,
    sending,
    submission,
)
from tests.suites.setup import Setup, claimed, ids_of
from tests.support.fakes import pay


class PaymentReadsSuite:
    """The part of PaymentStoreSuite with reads."""

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            (Query(), (6, 5, 4, 3, 2, 1)),
            (Query(limit=2), (6, 5)),
            (Query(before=payment(5).id, limit=2), (4, 3)),
            (Query(before=payment(1).id), ()),
            (Query(status=Status.CAPTURED), (6, 2)),
            (Query(status=Status.CAPTURED, before=payment(6).id), (2,)),
            (Query(provider=ProviderName.PAYPAL), (5, 3)),
            (Query(reference="B"), (4, 3)),
            (Query(reference="B", provider=ProviderName.PAYPAL), (3,)),
            (Query(reference="b"), ()),
        ],
    )
    def test_a_page_has_the_matching_payments_newest_first(
        self,
        store: PaymentStore,
        setup: Setup,
        query: Query,
        numbers: Sequence[int],
    ) -> None:
        _six_payments(store, setup.now())
        assert ids_of(store.list_payments(SHOP, query)) == [
            payment(one).id for one in numbers
        ]

    def test_page_has_payments_with_disputes_or_without(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        _six_payments(store, setup.now())
        assert store.list_payments(SHOP, Query(disputed=True)) == []
        three = store.get(SHOP, payment(3).id)
        assert three is not None
        stored = store.amend(apply_dispute(three, disputed(three), now=setup.now()))
        assert stored is not None and store.get(SHOP, three.id) == stored
        assert store.list_payments(SHOP, Query(disputed=True)) == [stored]
        others = [payment(one).id for one in (6, 5, 4, 2, 1)]
        assert ids_of(store.list_payments(SHOP, Query(disputed=False))) == others

    def test_a_payment_is_found_by_the_key_of_any_of_its_requests(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        [new] = insert_all(store, [payment(key="mine")])
        asked = void(new, id="op_void", origin=Origin("later", "f"), now=setup.now())
        stored = store.amend(asked)
        assert (
            store.find_by_key(SHOP, "mine")
            == store.find_by_key(SHOP, "later")
            == stored
        )
        assert store.find_by_key(SHOP, "another") is None
        assert store.find_by_key(replace(SHOP, merchant="rival"), "mine") is None

    def test_a_page_includes_its_start_and_excludes_its_end(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        now = NOW  # ids have this order
        _six_payments(store, now)
        three, five = now + timedelta(hours=3), now + timedelta(hours=5)
        for query, numbers in (
            (Query(created_from=three, created_before=five), (4, 3)),
            (Query(created_from=five), (6, 5)),
            (Query(created_before=three), (2, 1)),
        ):
            expected = [payment(one).id for one in numbers]
            assert ids_of(store.list_payments(SHOP, query)) == expected

    def test_a_timeline_has_every_event_in_order(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        store.settle_many([settle(won, pay(won), now=setup.now(), jitter=0)])
        timeline = store.load_timeline(SHOP, won.id) or []
        assert [event.seq for event in timeline] == [1, 2, 3]
        assert [event.data["to"] for event in timeline] == [
            "queued",
            "running",
            "succeeded",
        ]
        assert timeline[1].data["provider_key"] == won.first_operation.provider_key

    def test_settled_ids_have_no_work_or_no_payment(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup, number=1)
        insert_all(store, [payment(2, now=setup.now())])
        ids = [payment(number).id for number in (1, 2, 3)]
        assert store.find_settled(ids) == {ids[2]}
        store.settle_many([settle(won, DECLINE, now=setup.now(), jitter=0)])
        assert store.find_settled(ids) == {won.id, ids[2]}

    def test_payment_in_review_counts_as_settled(
        self, store: PaymentStore, setup: Setup
    ) -> None:
        won = claimed(store, setup)
        handed = escalate(won, won.first_operation, "why", now=setup.now())
        store.settle_many([replace(handed, claim=None)])
        assert store.find_settled([won.id]) == {won.id}


def _six_payments(store: PaymentStore, now: datetime) -> None:
    """Made an hour apart; 2 and 6 are paid, 3 and 5 are PayPal's, 3 and 4 are B's."""
    for number in range(1, 7):
        by_paypal = number in (3, 5)
        asked = submission(
            provider=ProviderName.PAYPAL if by_paypal else ProviderName.STRIPE,
            reference="B" if number in (3, 4) else None,
        )
        made = now + timedelta(hours=number)
        [new] = insert_all(store, [payment(number, submitted=asked, now=made)])
        if number in (2, 6):
            [won] = store.claim_many([sending(new, now=made)])
            store.settle_many([settle(won, pay(won), now=made, jitter=0)])
