"""The port of a payment provider."""

from __future__ import annotations

from typing import Protocol

from domain.payments.answer import Answer
from domain.payments.operation import Operation
from domain.payments.payment import Payment


class Provider(Protocol):
    """An adapter of a provider: it translates and decides nothing.

    ``send`` and ``look_up`` raise NotSent or another NotExecuted where the call was not
    carried out, LookupRequired or another OutcomeUnknown where it may have been carried
    out, NeedsReview where an operator must decide, and no other error.
    """

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """The body (JSON) of the request that carries ``operation`` out.

        No call is made. Raises InvalidPayment where the provider takes no such payment.
        """

    def send(self, payment: Payment) -> Answer:
        """Sends the recorded send of ``payment.claimed_operation``."""

    def look_up(self, payment: Payment) -> Answer:
        """The status of ``payment.claimed_operation``, by reads only.

        ABSENT requires a read that cannot lag and proves that it never arrived.
        """
