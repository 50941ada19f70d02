"""The comparison of the providers' books with ours, to the cent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.circuit_breaker import TripReason
from domain.errors import NotReconciled
from domain.payments.states import State
from domain.payments.submission import ProviderName
from domain.reconciliation import DifferenceKind, MovementTotal, Direction
from persistence.circuit_breakers import MongoBreakerStore
from runtime.settings import Settings
from tests.suites.samples import PRICE
from tests.support.reconciliation_shop import (
    CURRENCIES,
    FAILS_LATER,
    MONIES,
    PAYPAL,
    STRIPE,
    Day,
    day,
)
from tests.support.simulator_process import Simulator, simulators as others

BOTH = pytest.mark.parametrize("provider", [STRIPE, PAYPAL])
#: The totals of STORIES per provider: four payments and a part of a fifth; one full and
#: one partial refund, because the third is pending.
COLLECTED = 4 * PRICE.minor + 600
REFUNDED = PRICE.minor + 500


@pytest.fixture
def shop(
    settings: Settings, simulators: dict[ProviderName, Simulator]
) -> Iterator[Day]:
    """A day in new accounts."""
    with day(settings, simulators) as done:
        yield done
    for one in simulators.values():
        one.heal()


def test_ordinary_traffic_agrees_to_the_cent(shop: Day) -> None:
    for provider in (STRIPE, PAYPAL):
        report = shop.report(provider)
        assert report.differences == ()
        sums = {(one.direction, one.ours, one.theirs) for one in report.totals}
        assert sums == {
            (Direction.COLLECTED, COLLECTED, COLLECTED),
            (Direction.REFUNDED, REFUNDED, REFUNDED),
        }
        [collected] = [
            one for one in report.totals if one.direction is Direction.COLLECTED
        ]
        rate, fixed = (0.029, 30) if provider is STRIPE else (0.0349, 49)
        fees = COLLECTED * rate + 5 * fixed
        assert collected.fees == pytest.approx(fees, abs=5)


@BOTH
def test_an_unknown_charge_is_the_only_difference(
    shop: Day, provider: ProviderName
) -> None:
    ref = shop.drift(provider, do="unknown_charge", amount=1234)
    [found] = shop.report(provider).differences
    assert (found.kind, found.ref) == (DifferenceKind.THEIRS_ALONE, ref)
    assert found.theirs is not None and found.theirs.money.minor == 1234
    assert (found.payment, found.operation) == (None, None)


def test_a_second_charge_of_a_payment_is_a_difference(shop: Day) -> None:
    """The second intent has our ids, but is unknown to us."""
    paid = shop.payment(STRIPE, "paid")
    form = {"amount": str(PRICE.minor), "currency": "usd", "confirm": "true"}
    form |= {"payment_method": "pm_card_visa", "off_session": "true"}
    form |= {
        "metadata[payment]": paid.id,
        "metadata[operation]": paid.first_operation.id,
    }
    again = shop.simulators[STRIPE].stripe(
        "POST", "/v1/payment_intents", form, merchant=shop.settings.stripe_secret_key
    )
    [found] = shop.report(STRIPE).differences
    assert (found.kind, found.payment) == (DifferenceKind.THEIRS_ALONE, paid.id)
    assert found.ref == again.json()["latest_charge"] != paid.refs["charge"]
    assert found.theirs is not None and found.theirs.money == PRICE


@BOTH
def test_a_different_amount_is_named_with_our_payment_and_looked_up(
    shop: Day, provider: ProviderName
) -> None:
    before = shop.payment(provider, "paid")
    refs = before.first_operation.refs
    ref = shop.drift(
        provider,
        do="change_amount",
        id=refs["charge" if provider is STRIPE else "capture"],
        amount=PRICE.minor + 1,
    )
    report = shop.report(provider)
    [found] = report.differences
    assert (found.kind, found.ref) == (DifferenceKind.AMOUNT, ref)
    assert (found.payment, found.operation) == (before.id, before.first_operation.id)
    assert found.ours and found.theirs
    assert found.theirs.money.minor - found.ours.money.minor == 1
    assert MovementTotal(
        Direction.COLLECTED, "USD", COLLECTED, COLLECTED + 1, fees=_fees(report.totals)
    ) in set(report.totals)
    asked = shop.payment(provider, "paid").first_operation
    assert asked.state is State.SUCCEEDED and asked.lookups_since is not None
    looked = shop.look_up(provider, "paid")
    assert looked.captured == PRICE.minor, "an amount is reported only"


@BOTH
def test_a_refund_missing_at_the_provider_is_ours_alone(
    shop: Day, provider: ProviderName
) -> None:
    operation = shop.payment(provider, "part refunded").operations[-1]
    shop.drift(provider, do="lose_refund", id=operation.refs["refund"])
    [found] = shop.report(provider).differences
    assert (found.kind, found.operation) == (DifferenceKind.OURS_ALONE, operation.id)
    assert found.theirs is None


def test_a_refund_that_failed_later_is_corrected_by_a_lookup(
    settings: Settings,
) -> None:
    with others() as (stripe, paypal):
        with day(settings, {STRIPE: stripe, PAYPAL: paypal}, FAILS_LATER) as shop:
            assert shop.report(STRIPE).differences == ()
            stripe.advance(90_000)
            [found] = shop.report(STRIPE).differences
            assert found.kind is DifferenceKind.STATE
            corrected = shop.look_up(STRIPE, "refund fails")
            assert corrected.operations[-1].state is State.DECLINED
            assert corrected.refunded == 0
            assert shop.report(STRIPE).differences == ()


@BOTH
def test_a_payment_in_progress_is_no_difference(
    shop: Day, provider: ProviderName
) -> None:
    """Its answer was lost, so only the provider has the movement."""
    paid = shop.payment(provider, "paid")
    operations = {"state": "unknown", "moved": 0, "refs": {}}
    shop.database.payments.update_one(
        {"_id": paid.id},
        {"$set": {f"operations.0.{name}": one for name, one in operations.items()}},
    )
    report = shop.report(provider)
    assert report.differences == ()


@BOTH
def test_a_payment_that_failed_only_in_our_books_is_corrected_by_a_lookup(
    shop: Day, provider: ProviderName
) -> None:
    paid = shop.payment(provider, "paid")
    shop.database.payments.update_one(
        {"_id": paid.id},
        {
            "$set": {"operations.0.state": "declined", "operations.0.moved": 0},
            "$unset": {"operations.0.moved_at": "", "moved_at": ""},
        },
    )
    [found] = shop.report(provider).differences
    assert (found.kind, found.payment) == (DifferenceKind.STATE, paid.id)
    corrected = shop.look_up(provider, "paid")
    assert (corrected.first_operation.state, corrected.captured) == (
        State.SUCCEEDED,
        PRICE.minor,
    )
    assert shop.report(provider).differences == ()


def test_a_movement_missing_in_paypals_search_is_read_by_its_order(shop: Day) -> None:
    shop.drift(PAYPAL, do="report_late", seconds=3 * 3600)
    try:
        report = shop.report(PAYPAL)
        assert report.differences == ()
        assert {(one.ours, one.theirs) for one in report.totals} == {
            (COLLECTED, COLLECTED),
            (REFUNDED, REFUNDED),
        }
    finally:
        shop.drift(PAYPAL, do="report_late", seconds=0)


@BOTH
def test_a_provider_that_fails_in_the_middle_leaves_no_report(
    shop: Day, provider: ProviderName
) -> None:
    """Its list can be read, but not the payment that differs."""
    shop.drift(provider, do="change_amount", amount=1)
    path = "/v1/payment_intents" if provider is STRIPE else "/v2/checkout/orders"
    match = {"method": "GET", "path": path}
    shop.simulators[provider].arm(do="answer", times=100, match=match)
    with pytest.raises(NotReconciled, match="http_500.*no report"):
        shop.report(provider)


@BOTH
def test_a_call_that_fails_once_is_made_again(
    shop: Day, provider: ProviderName
) -> None:
    for do in ("answer", "drop", "rate_limit"):
        shop.simulators[provider].arm(do=do, times=1, match={"method": "GET"})
        assert shop.report(provider).differences == ()


def test_a_search_with_too_many_results_is_split(shop: Day) -> None:
    body = {"name": "INVALID_REQUEST", "details": [{"issue": "RESULTSET_TOO_LARGE"}]}
    shop.simulators[PAYPAL].arm(
        do="answer",
        status=400,
        body=body,
        match={"method": "GET", "path": "/v1/reporting"},
    )
    report = shop.report(PAYPAL)
    assert report.differences == ()
    assert (COLLECTED, COLLECTED) in {(one.ours, one.theirs) for one in report.totals}


def test_amounts_of_every_kind_of_currency_agree(
    settings: Settings, simulators: dict[ProviderName, Simulator]
) -> None:
    with day(settings, simulators, CURRENCIES) as shop:
        for provider in (STRIPE, PAYPAL):
            report = shop.report(provider)
            assert report.differences == ()
            totals = {(one.currency, one.ours, one.theirs) for one in report.totals}
            expected = MONIES[provider]
            assert totals == {(one.currency, one.minor, one.minor) for one in expected}


@BOTH
def test_an_open_breaker_stops_a_reconciliation(
    shop: Day, provider: ProviderName
) -> None:
    breakers = MongoBreakerStore(shop.database)
    breakers.open(
        provider, trip_reason=TripReason.OPERATOR, reason="an audit", by="ann"
    )
    with pytest.raises(NotReconciled, match="an audit"):
        shop.report(provider)


def _fees(sums: tuple[MovementTotal, ...]) -> int:
    [fees] = [one.fees for one in sums if one.direction is Direction.COLLECTED]
    return fees
