"""Withdrawals by disputes, in the provider's books and in ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from application import disputes
from domain.account import Account
from domain.payments.dispute import DisputeUpdate
from domain.payments.submission import ProviderName
from domain.reconciliation import DifferenceKind, Direction
from runtime import container
from runtime.settings import Settings
from tests.suites.samples import PRICE
from tests.support.reconciliation_shop import PAYPAL, STRIPE, Day, Story, day
from tests.support.simulator_process import Simulator

BOTH = pytest.mark.parametrize("provider", [STRIPE, PAYPAL])
STORIES = {"paid": Story("pays"), "disputed": Story("pays")}


@pytest.fixture
def shop(
    settings: Settings, simulators: dict[ProviderName, Simulator]
) -> Iterator[Day]:
    """A day in new accounts."""
    with day(settings, simulators, STORIES) as done:
        yield done


def _disputed(shop: Day, provider: ProviderName, end: str) -> str:
    """Makes a dispute, unknown to us, that ended as ``end``; returns its id."""
    simulator, refs = shop.simulators[provider], shop.payment(provider, "disputed").refs
    name = "charge" if provider is STRIPE else "capture"
    opened = simulator.post("/_disputes", {name: refs[name]})
    assert opened.status_code == 201, opened.text
    dispute_id = opened.json()["id" if provider is STRIPE else "dispute_id"]
    moved = simulator.post(f"/_disputes/{dispute_id}", {"status": end})
    assert moved.status_code == 200, moved.text
    return str(dispute_id)


def _sync(shop: Day, provider: ProviderName, dispute_id: str) -> None:
    with ExitStack() as stack:
        database = container.open_database(shop.settings)
        stack.callback(database.client.close)
        adapters = container.open_adapters(shop.settings, database, connections=1)
        context = container.webhook_context(
            shop.settings, database, shop.workers[0], adapters
        )
        update = DisputeUpdate(Account.own(provider), dispute_id)
        found = disputes.sync_dispute(update, context.dispute_context)
    assert found is not None and len(found.disputes) == 1


def _sums(shop: Day, provider: ProviderName) -> set[tuple[Direction, int, int]]:
    report = shop.report(provider)
    assert report.differences == ()
    return {(one.direction, one.ours, one.theirs) for one in report.totals}


@BOTH
def test_a_withdrawal_is_a_difference_until_its_dispute_is_known(
    shop: Day, provider: ProviderName
) -> None:
    dispute_id = _disputed(shop, provider, "lost")
    [found] = shop.report(provider).differences
    assert found.kind is DifferenceKind.THEIRS_ALONE
    assert found.theirs is not None
    assert (found.theirs.direction, found.theirs.money) == (Direction.WITHDRAWN, PRICE)
    named = shop.payment(provider, "disputed")
    assert (
        found.theirs.charge_ref
        == named.refs["charge" if provider is STRIPE else "capture"]
    )
    if provider is STRIPE:
        assert found.ref == dispute_id
    else:
        assert found.payment == named.id
    assert (
        shop.payment(provider, "disputed").due_at is None
    ), "a lookup would not change it"
    _sync(shop, provider, dispute_id)
    both, one = 2 * PRICE.minor, PRICE.minor
    assert _sums(shop, provider) == {
        (Direction.COLLECTED, both, both),
        (Direction.WITHDRAWN, one, one),
    }


def test_a_reinstatement_by_a_won_dispute_is_no_difference(shop: Day) -> None:
    _sync(shop, STRIPE, _disputed(shop, STRIPE, "won"))
    both, one = 2 * PRICE.minor, PRICE.minor
    assert _sums(shop, STRIPE) == {
        (Direction.COLLECTED, both, both),
        (Direction.WITHDRAWN, one, one),
        (Direction.REINSTATED, one, one),
    }


def test_a_reversal_shown_only_by_the_order_belongs_to_its_dispute(shop: Day) -> None:
    dispute_id = _disputed(shop, PAYPAL, "lost")
    shop.drift(PAYPAL, do="report_late", seconds=3 * 3600)
    try:
        [found] = shop.report(PAYPAL).differences
        assert found.theirs is not None and found.theirs.direction is Direction.REFUNDED
        _sync(shop, PAYPAL, dispute_id)
        assert shop.report(PAYPAL).differences == ()
    finally:
        shop.drift(PAYPAL, do="report_late", seconds=0)
