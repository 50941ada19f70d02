"""The promises of every OperatorView and every ReplayStore."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports.operators import OperatorView, ReplayStore
from application.ports.payments import PaymentStore, Scope
from domain.account import Account
from domain.errors import NeedsReview, ProviderError
from domain.money import Money
from domain.payments.answer import Answer
from domain.payments.settle import settle
from domain.payments.apply_dispute import apply_dispute
from domain.payments.payment import Payment
from domain.payments.states import State
from domain.payments.submission import Mode, ProviderName
from domain.replays import (
    ItemOutcome,
    ReplaySet,
    ReplayRun,
    Search,
    ReplayStage,
    freeze,
    summarize,
)
from tests.suites.samples import (
    insert_all,
    NOW,
    SHOP,
    disputed,
    payment,
    sending,
    submission,
)
from tests.support.fakes import pay

RIVAL = Scope("rival", Mode.TEST)
RUN = ReplayRun("key_2", "the bank is back", 5, NOW)


@dataclass(frozen=True, slots=True)
class OperatorPorts:
    """Implementers under test, on one database."""

    store: PaymentStore
    view: OperatorView
    replays: ReplayStore


def brought(
    store: PaymentStore,
    number: int,
    outcome: Answer | ProviderError | None,
    *,
    scope: Scope = SHOP,
    **fields: Any,
) -> Payment:
    """A payment after a first send with ``outcome``, by default a success."""
    new = payment(number, submitted=submission(**fields), scope=scope, now=NOW)
    [kept] = insert_all(store, [replace(new, created_at=NOW + number * HOUR)])
    [won] = store.claim_many([sending(kept)])
    [done] = store.settle_many([settle(won, outcome or pay(won), now=NOW, jitter=1)])
    return done


HOUR = timedelta(hours=1)
ODD = NeedsReview("odd")


class OperatorSuite:
    """Its subclass's module has a fixture ``operator_ports``."""

    @pytest.mark.parametrize(
        ("search", "numbers"),
        [
            (Search(), (4, 3, 1)),
            (Search(state=State.REVIEW), (4, 3, 1)),
            (Search(state=State.DEAD), ()),
            (Search(provider=ProviderName.PAYPAL), (3,)),
            (Search(error="strange"), (4,)),
            (Search(merchant="rival"), (4,)),
            (Search(merchant="shop", state=State.SUCCEEDED), (2,)),
            (Search(ids=(payment(1).id, payment(2).id)), (1,)),
            (Search(created_from=NOW + 3 * HOUR), (4, 3)),
            (Search(created_before=NOW + 3 * HOUR), (1,)),
            (Search(amount_from=2000), (3,)),
            (Search(amount_to=1999), (4, 1)),
        ],
    )
    def test_a_search_finds_matching_operations_of_all_merchants(
        self, operator_ports: OperatorPorts, search: Search, numbers: tuple[int, ...]
    ) -> None:
        _four(operator_ports.store)
        expected = [payment(number).id for number in numbers]
        found = operator_ports.view.find(search, before=None, limit=10)
        assert [one.id for one in found] == expected
        after = operator_ports.view.find(search, before=payment(4).id, limit=1)
        assert [one.id for one in after] == [
            one for one in expected if one != payment(4).id
        ][:1]

    def test_payments_are_found_by_the_time_of_their_movements(
        self, operator_ports: OperatorPorts
    ) -> None:
        _four(operator_ports.store)
        brought(operator_ports.store, 5, None)
        two, five = payment(2).id, payment(5).id

        def moved(provider: ProviderName, hours: int, limit: int = 9) -> set[str]:
            since = NOW + hours * HOUR
            account = Account.own(provider)
            found = operator_ports.view.find_moved(
                account, since, since + HOUR, limit=limit
            )
            return {one.id for one in found}

        assert moved(ProviderName.STRIPE, 0) == {two, five}
        assert len(moved(ProviderName.STRIPE, 0, limit=1)) == 1
        assert moved(ProviderName.STRIPE, -1) == moved(ProviderName.STRIPE, 1) == set()
        assert moved(ProviderName.PAYPAL, 0) == set()

    def test_payments_are_found_by_their_disputed_objects(
        self, operator_ports: OperatorPorts
    ) -> None:
        one, two = (brought(operator_ports.store, number, None) for number in (1, 2))
        step = apply_dispute(one, disputed(one, outcome="lost", inquiry=True), now=NOW)
        kept = operator_ports.store.amend(step)
        assert kept is not None
        assert operator_ports.view.find_disputed(
            Account.own(ProviderName.STRIPE), ["ch_1", "ch_2"]
        ) == [kept]
        assert (
            operator_ports.view.find_disputed(
                Account.own(ProviderName.STRIPE), ["ch_2"]
            )
            == []
        )
        assert (
            operator_ports.view.find_disputed(
                Account.own(ProviderName.PAYPAL), ["ch_1"]
            )
            == []
        )
        assert operator_ports.view.load([two.id]) == [two]

    def test_payments_are_loaded_by_their_ids(
        self, operator_ports: OperatorPorts
    ) -> None:
        _four(operator_ports.store)
        ids = [payment(2).id, payment(9).id]
        assert [one.id for one in operator_ports.view.load(ids)] == ids[:1]

    def test_a_replay_is_read_back_unchanged(
        self, operator_ports: OperatorPorts
    ) -> None:
        kept = _kept(operator_ports)
        assert operator_ports.replays.get(kept.id) == kept
        assert operator_ports.replays.get("rpl_9") is None
        items = operator_ports.replays.list_items(kept.id, after=0, limit=10)
        assert [item.number for item in items] == [1, 2, 3]
        assert items == freeze(
            operator_ports.view.find(Search(), before=None, limit=10), Search(), now=NOW
        )
        [second] = operator_ports.replays.list_items(kept.id, after=1, limit=1)
        assert second.number == 2

    def test_a_replay_changes_only_from_its_current_stage(
        self, operator_ports: OperatorPorts
    ) -> None:
        kept = _kept(operator_ports)
        started = kept.start(RUN)
        assert operator_ports.replays.update_stage(started, was=ReplayStage.PREVIEWED)
        assert not operator_ports.replays.update_stage(
            started, was=ReplayStage.PREVIEWED
        )
        assert operator_ports.replays.get(kept.id) == started

    def test_a_running_replay_is_claimed_by_one_caller_for_a_second(
        self, operator_ports: OperatorPorts
    ) -> None:
        kept = _kept(operator_ports)
        assert operator_ports.replays.claim_due() is None
        operator_ports.replays.update_stage(kept.start(RUN), was=ReplayStage.PREVIEWED)
        assert operator_ports.replays.claim_due() == kept.start(RUN)
        assert operator_ports.replays.claim_due() is None

    def test_a_canceled_replay_is_never_claimed(
        self, operator_ports: OperatorPorts
    ) -> None:
        kept = _kept(operator_ports)
        operator_ports.replays.update_stage(kept.start(RUN), was=ReplayStage.PREVIEWED)
        gone = kept.start(RUN).cancel("key_3", now=NOW)
        assert operator_ports.replays.update_stage(gone, was=ReplayStage.RUNNING)
        assert operator_ports.replays.claim_due() is None
        assert operator_ports.replays.get(kept.id) == gone

    def test_the_first_verdict_of_an_item_stands(
        self, operator_ports: OperatorPorts
    ) -> None:
        kept = _kept(operator_ports)
        operator_ports.replays.record_outcomes(
            kept.id, {1: ItemOutcome.REPLAYED, 2: ItemOutcome.MOVED_ON}
        )
        operator_ports.replays.record_outcomes(kept.id, {1: ItemOutcome.MOVED_ON})
        operator_ports.replays.record_outcomes(kept.id, {})
        left = operator_ports.replays.list_items(kept.id, after=0, limit=10, left=True)
        assert [item.number for item in left] == [3]
        assert operator_ports.replays.count_outcomes(kept.id) == {
            ItemOutcome.REPLAYED: 1,
            ItemOutcome.MOVED_ON: 1,
        }


def _four(store: PaymentStore) -> None:
    """All but the second are in review; 3 is PayPal's and large, 4 the rival's."""
    brought(store, 1, ODD)
    brought(store, 2, None)
    brought(store, 3, ODD, provider=ProviderName.PAYPAL, amount=Money(9900, "USD"))
    brought(store, 4, NeedsReview("strange"), scope=RIVAL)


def _kept(operator_ports: OperatorPorts) -> ReplaySet:
    _four(operator_ports.store)
    found = operator_ports.view.find(Search(), before=None, limit=10)
    items = freeze(found, Search(), now=NOW)
    kept = ReplaySet(
        id="rpl_1",
        mode=Mode.TEST,
        by="key_1",
        created_at=NOW,
        search=Search(provider=ProviderName.STRIPE).given_fields,
        totals=summarize(items),
    )
    operator_ports.replays.add(kept, items)
    return kept
