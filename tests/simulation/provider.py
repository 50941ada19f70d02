"""A model of a provider: its idempotency keys, objects and limits.

``payers.py`` and ``bank.py`` have the money. This module has the network and the
adapter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from domain.account import Account
from domain.errors import (
    LookupRequired,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from domain.provider_rules import RULES
from tests.simulation.bank import Bank
from tests.simulation.chance import Chance, Fault, Payer
from tests.simulation.entries import Call
from tests.simulation.scheduler import Scheduler, Violation

#: The longest transit of a request; a connection ends before. Together with MAX_WORK it
#: is shorter than the delay that proves absence.
MAX_TRANSIT: Final = timedelta(minutes=4)
#: The longest work on a call after its caller gave up.
MAX_WORK: Final = timedelta(minutes=4)

_DAY: Final = timedelta(days=1)

#: A provider's response, repeated for the same key.
Response = Answer | Exception


class StoredResponse:
    """The request under one key; ``response`` is None while it is in flight."""

    __slots__ = ("body", "until", "response", "done_at")

    def __init__(self, body: str, until: datetime, done_at: datetime | None) -> None:
        self.body = body
        self.until = until
        self.response: Response | None = None
        self.done_at = done_at


class SimulatedProvider:
    """A Provider whose calls pass boundaries, and may fail at each.

    With ``strict``, a forbidden call of the product is a Violation.
    """

    def __init__(
        self,
        account: Account,
        *,
        moved: dict[str, int],
        scheduler: Scheduler,
        chance: Chance,
        clock: Callable[[], datetime],
        on_arrival: Callable[[Payment, Call], None],
        strict: bool = True,
    ) -> None:
        self.account = account
        self.name = account.provider
        self.bank = Bank(
            self.name,
            clock,
            account.id,
            lambda: self.chance,
            strict=strict,
            moved=moved,
        )
        self.chance = chance
        self._scheduler = scheduler
        self._clock = clock
        self._on_arrival = on_arrival
        self._keys: dict[str, StoredResponse] = {}
        self._in_flight: list[tuple[datetime, Call]] = []

    def prepare(self, payment: Payment, operation: Operation) -> str:
        money = Money(operation.amount, payment.submission.amount.currency)
        RULES[self.name].to_units(money)
        return json.dumps(
            [
                operation.kind,
                operation.id,
                money.minor,
                money.currency,
                operation.final,
                operation.approved,
                payment.submission.multicapture,
                payment.submission.payment_method_for(self.name) is not None,
            ]
        )

    def send(self, payment: Payment) -> Answer:
        operation = payment.claimed_operation
        send = operation.send
        if send is None:
            raise self._forbidden_call("send_not_recorded")
        kind, name, amount, currency, final, approved, *rest = json.loads(send.body)
        multicapture, token = rest
        target = operation.target
        call = Call(
            key=send.key,
            body=send.body,
            kind=Kind(kind),
            operation=name,
            amount=amount,
            currency=currency,
            final=final,
            approved=approved,
            multicapture=multicapture,
            token=token,
            refs=dict(
                (
                    payment.get_operation(target) if target else payment.first_operation
                ).refs
            ),
        )
        fault = self.chance.fault()
        late = self._clock() + MAX_TRANSIT
        self._scheduler.boundary(f"sends {send.key} ({fault})")
        if fault is Fault.REFUSED:
            raise NotSent
        if fault is Fault.REQUEST_LOST or self._clock() > late:
            raise OutcomeUnknown("request_lost")
        self._on_arrival(payment, call)
        try:
            return self._handle_call(call, fault)
        finally:
            self._scheduler.boundary(f"gets the answer of {send.key}")

    def look_up(self, payment: Payment) -> Answer:
        fault = self.chance.fault()
        operation = payment.claimed_operation
        self._scheduler.boundary(f"looks up {operation.id} ({fault})")
        if fault in (Fault.NONE, Fault.SLOW, Fault.ERROR_AFTER):
            self.finish_in_flight()
            seen = self.bank.look_up(payment, operation)
            self._scheduler.boundary(f"found {operation.id}: {seen.verdict}")
            return seen
        if fault is Fault.UNAUTHORIZED:
            raise Misconfigured
        if fault is Fault.REFUSED:
            raise NotSent
        raise OutcomeUnknown("no_answer")

    def may_have_moved(self, operation: str) -> bool:
        """Whether money may have moved here for ``operation``, or still may."""
        flying = any(call.operation == operation for _, call in self._in_flight)
        return flying or self.bank.may_have_moved(operation)

    def finish_in_flight(self) -> None:
        """Carries out the calls in flight that are due."""
        now = self._clock()
        due = sorted(
            (one for one in self._in_flight if one[0] <= now), key=lambda one: one[0]
        )
        self._in_flight = [one for one in self._in_flight if one[0] > now]
        for _, call in due:
            self._store_response(call, self._carry_out(call))

    def _handle_call(self, call: Call, fault: Fault) -> Answer:
        self.finish_in_flight()
        if fault is Fault.RATE_LIMITED:
            raise NotExecuted("rate_limited", retry_after=timedelta(seconds=3))
        if fault is Fault.UNAUTHORIZED:
            raise Misconfigured
        known = self._keys.get(call.key)
        if known is not None and self._clock() < known.until:
            return self._repeat(known, call)
        now = self._clock()
        self._keys[call.key] = StoredResponse(
            call.body, now + self._key_lifetime(call), now
        )
        if fault in (Fault.SLOW, Fault.GATEWAY):
            self._in_flight.append((now + MAX_WORK * self.chance.fraction(), call))
            if fault is Fault.GATEWAY:
                raise LookupRequired("resend_refused")
            raise OutcomeUnknown("no_answer")
        response: Response
        if fault is Fault.ERROR_BEFORE:
            response = OutcomeUnknown("http_500")
        else:
            response = self._carry_out(call)
            if fault is Fault.ERROR_AFTER:
                response = OutcomeUnknown("http_500")
        self._store_response(call, response)
        if fault is Fault.ANSWER_LOST:
            raise OutcomeUnknown("no_answer")
        if isinstance(response, Exception):
            raise response
        return response

    def _repeat(self, known: StoredResponse, call: Call) -> Answer:
        if known.body != call.body:
            raise self._forbidden_call("idempotency_mismatch")
        if known.response is None:
            raise OutcomeUnknown("in_flight")
        if isinstance(known.response, LookupRequired):
            raise known.response
        if isinstance(known.response, Exception):
            raise LookupRequired("repeated_500")
        return known.response

    def _forbidden_call(self, reason: str) -> Violation | NeedsReview:
        """Returns the error for a call that the product must never make."""
        return Violation(reason) if self.bank.strict else NeedsReview(reason)

    def _carry_out(self, call: Call) -> Response:
        payer = self.chance.payer()
        begins = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        if begins and not call.token and payer in (Payer.PAYS, Payer.PENDS):
            payer = Payer.MUST_ACT
        try:
            return self.bank.carry_out(call, payer)
        except (LookupRequired, OutcomeUnknown) as error:
            return error

    def _store_response(self, call: Call, response: Response) -> None:
        """Stores the response: Stripe all of them, PayPal none of an error."""
        kept = isinstance(response, Answer) and bool(response.refs)
        if isinstance(response, Answer) and response.verdict is Verdict.ACTION_REQUIRED:
            kept = response.failure is None  # a 422 requires a second agreement
        if self.name is ProviderName.STRIPE or kept:
            self._keys[call.key].response = response
        else:
            del self._keys[call.key]

    def _key_lifetime(self, call: Call) -> timedelta:
        if self.name is ProviderName.STRIPE:
            return _DAY
        first = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        return timedelta(hours=6) if first else 45 * _DAY
