"""What a provider takes back by itself, in its books and in ours."""

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
    """A day in accounts of this test's own."""
    with day(settings, simulators, STORIES) as done:
        yield done


def _disputed(shop: Day, provider: ProviderName, end: str) -> str:
    """The id of a dispute that has ended so, and that nobody here has heard of."""
    simulator, refs = shop.simulators[provider], shop.payment(provider, "disputed").refs
    name = "charge" if provider is STRIPE else "capture"
    opened = simulator.post("/_disputes", {name: refs[name]})
    assert opened.status_code == 201, opened.text
    dispute_id = opened.json()["id" if provider is STRIPE else "dispute_id"]
    moved = simulator.post(f"/_disputes/{dispute_id}", {"status": end})
    assert moved.status_code == 200, moved.text
    return str(dispute_id)


def _hear(shop: Day, provider: ProviderName, dispute_id: str) -> None:
    with ExitStack() as stack:
        database = container.open_database(shop.settings)
        stack.callback(database.client.close)
        adapters = container.open_adapters(shop.settings, database, connections=1)
        hearing = container.webhook_context(
            shop.settings, database, shop.workers[0], adapters
        )
        hint = DisputeUpdate(Account.own(provider), dispute_id)
        found = disputes.sync_dispute(hint, hearing.dispute_context)
    assert found is not None and len(found.disputes) == 1


def _sums(shop: Day, provider: ProviderName) -> set[tuple[Direction, int, int]]:
    report = shop.report(provider)
    assert report.differences == ()
    return {(one.direction, one.ours, one.theirs) for one in report.totals}


@BOTH
def test_what_a_dispute_took_is_named_until_we_know_of_it(
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
    assert shop.payment(provider, "disputed").due_at is None, "no look can change it"
    _hear(shop, provider, dispute_id)
    both, one = 2 * PRICE.minor, PRICE.minor
    assert _sums(shop, provider) == {
        (Direction.COLLECTED, both, both),
        (Direction.WITHDRAWN, one, one),
    }


def test_what_a_won_dispute_gave_back_is_known_as_well(shop: Day) -> None:
    _hear(shop, STRIPE, _disputed(shop, STRIPE, "won"))
    both, one = 2 * PRICE.minor, PRICE.minor
    assert _sums(shop, STRIPE) == {
        (Direction.COLLECTED, both, both),
        (Direction.WITHDRAWN, one, one),
        (Direction.REINSTATED, one, one),
    }


def test_a_reversal_that_only_the_order_shows_is_a_known_disputes(shop: Day) -> None:
    dispute_id = _disputed(shop, PAYPAL, "lost")
    shop.drift(PAYPAL, do="report_late", seconds=3 * 3600)
    try:
        [found] = shop.report(PAYPAL).differences
        assert found.theirs is not None and found.theirs.direction is Direction.REFUNDED
        _hear(shop, PAYPAL, dispute_id)
        assert shop.report(PAYPAL).differences == ()
    finally:
        shop.drift(PAYPAL, do="report_late", seconds=0)
