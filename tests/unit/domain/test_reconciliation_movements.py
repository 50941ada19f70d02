"""What a payment says that moved, to be compared with what its provider says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.account import Account
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.dispute import Dispute, DisputeState
from domain.payments.operation import Kind
from domain.payments.states import State
from domain.payments.submission import ProviderName
from domain.reconciliation import Movement, Standing, Way, is_withdrawal, movements_of
from tests.suites.samples import NOW, authorized, captured, origin, payment


def test_a_payment_moves_what_its_charges_captures_and_refunds_did() -> None:
    [charge] = movements_of(captured())
    assert charge == Movement(
        Way.COLLECTED,
        Standing.MOVED,
        Money(1999, "USD"),
        NOW,
        None,
        captured().id,
        captured().first.id,
    )
    assert movements_of(authorized()) == [], "a hold moves nothing"
    capturing = follow_ups.capture(
        authorized(), amount=600, final=None, id="op_2", origin=origin(), now=NOW
    )
    [capture] = movements_of(capturing)
    assert (capture.standing, capture.money, capture.at) == (
        Standing.OPEN,
        Money(600, "USD"),
        None,
    )


@pytest.mark.parametrize(
    ("provider", "kind", "ref"),
    [
        (ProviderName.STRIPE, Kind.CHARGE, "ch"),
        (ProviderName.STRIPE, Kind.REFUND, "re"),
        (ProviderName.PAYPAL, Kind.CAPTURE, "cap"),
        (ProviderName.PAYPAL, Kind.REFUND, "re"),
    ],
)
def test_a_movement_has_the_providers_id_of_its_object(
    provider: ProviderName, kind: Kind, ref: str
) -> None:
    refs = {"charge": "ch", "refund": "re", "capture": "cap", "order": "ord"}
    operation = replace(payment().first, kind=kind, refs=refs)
    its = Account.own(provider)
    [found] = movements_of(replace(payment(), account=its, operations=(operation,)))
    assert found.ref == ref


@pytest.mark.parametrize("state", State)
def test_a_movement_stands_as_its_operation_does(state: State) -> None:
    operation = replace(payment().first, state=state, moved=1999, moved_at=NOW)
    [found] = movements_of(replace(payment(), operations=(operation,)))
    match found.standing:
        case Standing.OPEN:
            assert operation.owed
        case Standing.MOVED:
            assert state is State.SUCCEEDED
        case Standing.NOT_MOVED:
            assert operation.ended or state is State.DEAD
        case Standing.UNDER_WAY:
            assert not operation.owed and not operation.ended
    assert found.at == (NOW if state is State.SUCCEEDED else None)


def test_a_refund_that_took_what_a_known_dispute_is_about_is_its_withdrawal() -> None:
    lost = Dispute(
        id="dp_1",
        ref="cap_1",
        money=Money(1999, "USD"),
        reason="unauthorised",
        state=DisputeState.LOST,
        opened_at=NOW,
        withdrawn=1999,
    )
    paid = captured()
    asked = follow_ups.refund(
        paid, amount=None, target=None, id="op_back", origin=origin(), now=NOW
    )
    disputed = replace(asked, disputes=(lost,))
    taken = Movement(
        way=Way.REFUNDED,
        standing=Standing.MOVED,
        money=Money(1999, "USD"),
        at=NOW,
        ref="re_1",
        payment=paid.id,
        operation=paid.first.id,
        of="cap_1",
    )
    assert is_withdrawal(disputed, taken)
    for other in (
        replace(taken, operation="op_back"),
        replace(taken, of="cap_2"),
        replace(taken, money=Money(1998, "USD")),
        replace(taken, money=Money(1999, "EUR")),
        replace(taken, way=Way.COLLECTED),
    ):
        assert not is_withdrawal(disputed, other)
    assert not is_withdrawal(asked, taken)
