"""The statement in memory passes the suite of all statements."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.states import State
from domain.reconciliation import MovementStatus, list_movements
from tests.suites.samples import DECLINE, PRICE, origin, payment, sending
from tests.suites.statements import Books, StatementSuite
from tests.support.fake_statement import MemoryStatement


class MemoryAccount:
    """An account whose charges are in the statement."""

    page = 2

    def __init__(self, statement: MemoryStatement) -> None:
        self._statement = statement
        self._numbers = itertools.count(1)

    def charged(self) -> Payment:
        number = next(self._numbers)
        paid = Answer(Verdict.SUCCEEDED, PRICE, {"charge": f"ch_{number}"})
        return self._settled(number, paid)

    def declined(self) -> Payment:
        return self._settled(next(self._numbers), DECLINE)

    def refunded(self, payment: Payment) -> Payment:
        back = Operation(
            id=f"{payment.first_operation.id}_back",
            kind=Kind.REFUND,
            amount=PRICE.minor,
            origin=origin(),
            starts_at=payment.updated_at,
            state=State.SUCCEEDED,
            moved=PRICE.minor,
            moved_at=payment.updated_at,
            refs={"refund": f"re_{payment.id}"},
        )
        done = replace(payment, operations=(*payment.operations, back))
        self._statement.listed += list_movements(done)[-1:]
        return done

    def forgotten(self, payment: Payment) -> Payment:
        self._statement.held[payment.id] = []
        return payment

    def _settled(self, number: int, answer: Answer) -> Payment:
        now = datetime.now(UTC).replace(microsecond=0)
        done = settle(
            sending(payment(number, now=now), now=now), answer, now=now, jitter=0
        )
        self._statement.listed += [
            one for one in list_movements(done) if one.status is MovementStatus.MOVED
        ]
        return done


@pytest.fixture
def books() -> Books:
    """A new account."""
    statement = MemoryStatement(size=MemoryAccount.page)
    return Books(statement, MemoryAccount(statement))


class TestMemoryStatement(StatementSuite):
    """The suite of all implementers."""
