"""A payment provider, as the use cases call it."""

from __future__ import annotations

from typing import Protocol

from domain.payments.answer import Answer
from domain.payments.operation import Operation
from domain.payments.payment import Payment


class Provider(Protocol):
    """Stripe, PayPal, or a stand-in: it translates and decides nothing.

    ``send`` and ``look_up`` raise NotSent or another NotExecuted where the call was not
    carried out, LookupRequired or another OutcomeUnknown where it may have been,
    NeedsReview where a person must look, and no other error.
    """

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """The body (JSON) of the request that carries ``operation`` out.

        Pure. Raises InvalidPayment where the provider takes no such payment.
        """

    def send(self, payment: Payment) -> Answer:
        """Sends what ``payment.working.send`` has written down."""

    def look_up(self, payment: Payment) -> Answer:
        """What became of ``payment.working``; it changes nothing at the provider.

        ABSENT only where a read that cannot lag proves that it never arrived.
        """
