"""The movements of a payment, for the comparison with its provider."""

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
from domain.reconciliation import (
    Movement,
    MovementStatus,
    Direction,
    is_withdrawal,
    list_movements,
)
from tests.suites.samples import NOW, authorized, captured, origin, payment


def test_the_movements_of_a_payment_are_its_charges_captures_and_refunds() -> None:
    [charge] = list_movements(captured())
    assert charge == Movement(
        Direction.COLLECTED,
        MovementStatus.MOVED,
        Money(1999, "USD"),
        NOW,
        None,
        captured().id,
        captured().first_operation.id,
    )
    assert list_movements(authorized()) == [], "a hold moves nothing"
    capturing = follow_ups.capture(
        authorized(), amount=600, final=None, id="op_2", origin=origin(), now=NOW
    )
    [capture] = list_movements(capturing)
    assert (capture.status, capture.money, capture.at) == (
        MovementStatus.OPEN,
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
    operation = replace(payment().first_operation, kind=kind, refs=refs)
    its = Account.own(provider)
    [found] = list_movements(replace(payment(), account=its, operations=(operation,)))
    assert found.ref == ref


@pytest.mark.parametrize("state", State)
def test_a_movements_status_follows_its_operation(state: State) -> None:
    operation = replace(
        payment().first_operation, state=state, moved=1999, moved_at=NOW
    )
    [found] = list_movements(replace(payment(), operations=(operation,)))
    match found.status:
        case MovementStatus.OPEN:
            assert operation.has_work
        case MovementStatus.MOVED:
            assert state is State.SUCCEEDED
        case MovementStatus.NOT_MOVED:
            assert operation.is_terminal or state is State.DEAD
        case MovementStatus.UNDER_WAY:
            assert not operation.has_work and not operation.is_terminal
    assert found.at == (NOW if state is State.SUCCEEDED else None)


def test_a_refund_of_a_disputed_amount_is_the_disputes_withdrawal() -> None:
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
        direction=Direction.REFUNDED,
        status=MovementStatus.MOVED,
        money=Money(1999, "USD"),
        at=NOW,
        ref="re_1",
        payment=paid.id,
        operation=paid.first_operation.id,
        charge_ref="cap_1",
    )
    assert is_withdrawal(disputed, taken)
    for other in (
        replace(taken, operation="op_back"),
        replace(taken, charge_ref="cap_2"),
        replace(taken, money=Money(1998, "USD")),
        replace(taken, money=Money(1999, "EUR")),
        replace(taken, direction=Direction.COLLECTED),
    ):
        assert not is_withdrawal(disputed, other)
    assert not is_withdrawal(asked, taken)
