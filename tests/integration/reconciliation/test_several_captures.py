"""Each of several captures of one charge is a movement and is compared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.payments.submission import ProviderName
from domain.reconciliation import DifferenceKind, Direction
from runtime.settings import Settings
from tests.suites.accounts import capture, refund
from tests.support.reconciliation_shop import MANUAL, PAYPAL, STRIPE, Day, Story, day
from tests.support.simulator_process import Simulator

#: Minor units; two are equal.
PARTS = (700, 500, 700)
STORIES = {
    "in parts": Story(
        "pays",
        MANUAL,
        lambda one: capture(capture(capture(one, PARTS[0]), PARTS[1]), PARTS[2]),
        several=True,
    ),
    "in one part": Story("pays", MANUAL, lambda one: capture(one, 600), several=True),
    "at once": Story("pays", MANUAL, lambda one: capture(one, final=True)),
}
COLLECTED = sum(PARTS) + 600 + 1999


@pytest.fixture
def shop(
    settings: Settings, simulators: dict[ProviderName, Simulator]
) -> Iterator[Day]:
    """A day in new accounts."""
    with day(settings, simulators, STORIES) as done:
        yield done


def test_every_part_is_compared_once(shop: Day) -> None:
    for provider in (STRIPE, PAYPAL):
        report = shop.report(provider)
        assert report.differences == ()
        assert report.compared == len(PARTS) + 2
        [collected] = report.totals
        assert (collected.direction, collected.ours, collected.theirs) == (
            Direction.COLLECTED,
            COLLECTED,
            COLLECTED,
        )
        known = [
            one.fee.minor
            for name in STORIES
            for one in shop.payment(provider, name).operations
            if one.fee is not None
        ]
        assert collected.fees == sum(known), "the stored fees equal the provider's"


def test_a_different_part_is_named_with_its_operation(shop: Day) -> None:
    payment = shop.payment(STRIPE, "in one part")
    ref = shop.drift(STRIPE, do="change_amount", id=payment.refs["charge"], amount=601)
    [found] = shop.report(STRIPE).differences
    assert (found.kind, found.ref) == (DifferenceKind.AMOUNT, ref)
    assert found.operation == payment.operations[1].id


def test_refunds_of_parts_are_compared_as_well(shop: Day) -> None:
    step = refund(shop.payment(STRIPE, "in parts"), 500)
    assert shop.workers[0].store.amend(step) is not None
    shop.work_off()
    report = shop.report(STRIPE)
    assert report.differences == ()
    sums = {(one.direction, one.ours, one.theirs) for one in report.totals}
    assert sums == {
        (Direction.COLLECTED, COLLECTED, COLLECTED),
        (Direction.REFUNDED, 500, 500),
    }
