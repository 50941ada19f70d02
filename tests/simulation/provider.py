"""An honest model of a provider: what its keys, objects and limits really do.

``payers.py`` and ``bank.py`` hold the money; this is the wire to it, and the adapter
at our end.
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

#: A request that is on its way for longer never arrives: connections end before. With
#: the bank's own time it stays below the silence that proves absence.
WIRE: Final = timedelta(minutes=4)
#: The longest that the bank works on a call after its caller gave up.
WORKS: Final = timedelta(minutes=4)

_DAY: Final = timedelta(days=1)

#: What the provider said, to be said again to the same key.
Said = Answer | Exception


class Remembered:
    """What came under one key; ``said`` is None while it is in flight."""

    __slots__ = ("body", "until", "said", "done_at")

    def __init__(self, body: str, until: datetime, done_at: datetime | None) -> None:
        self.body = body
        self.until = until
        self.said: Said | None = None
        self.done_at = done_at


class SimulatedProvider:
    """A Provider whose calls pass boundaries, and may go wrong at each.

    Where it is ``strict``, a call that the product must never make ends the history.
    """

    def __init__(
        self,
        account: Account,
        *,
        moved: dict[str, int],
        scheduler: Scheduler,
        chance: Chance,
        clock: Callable[[], datetime],
        arrived: Callable[[Payment, Call], None],
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
        self._arrived = arrived
        self._keys: dict[str, Remembered] = {}
        self._in_flight: list[tuple[datetime, Call]] = []

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """See Provider."""
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
        """See Provider."""
        operation = payment.claimed_operation
        send = operation.send
        if send is None:
            raise self._never("send_not_written_down")
        kind, name, amount, currency, final, approved, *rest = json.loads(send.body)
        several, token = rest
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
            several=several,
            token=token,
            refs=dict(
                (
                    payment.get_operation(target) if target else payment.first_operation
                ).refs
            ),
        )
        fault = self.chance.fault()
        late = self._clock() + WIRE
        self._scheduler.boundary(f"sends {send.key} ({fault})")
        if fault is Fault.REFUSED:
            raise NotSent
        if fault is Fault.REQUEST_LOST or self._clock() > late:
            raise OutcomeUnknown("request_lost")
        self._arrived(payment, call)
        try:
            return self._received(call, fault)
        finally:
            self._scheduler.boundary(f"hears of {send.key}")

    def look_up(self, payment: Payment) -> Answer:
        """See Provider."""
        fault = self.chance.fault()
        operation = payment.claimed_operation
        self._scheduler.boundary(f"looks at {operation.id} ({fault})")
        if fault in (Fault.NONE, Fault.SLOW, Fault.ERROR_AFTER):
            self.settle()
            seen = self.bank.look_up(payment, operation)
            self._scheduler.boundary(f"saw {operation.id}: {seen.verdict}")
            return seen
        if fault is Fault.UNAUTHORIZED:
            raise Misconfigured
        if fault is Fault.REFUSED:
            raise NotSent
        raise OutcomeUnknown("no_answer")

    def may_move(self, operation: str) -> bool:
        """Whether money may have moved here for ``operation``, or may yet."""
        flying = any(call.operation == operation for _, call in self._in_flight)
        return flying or self.bank.may_move(operation)

    def settle(self) -> None:
        """Carries out what was in flight until now."""
        now = self._clock()
        due = sorted(
            (one for one in self._in_flight if one[0] <= now), key=lambda one: one[0]
        )
        self._in_flight = [one for one in self._in_flight if one[0] > now]
        for _, call in due:
            self._remember(call, self._carried_out(call))

    def _received(self, call: Call, fault: Fault) -> Answer:
        self.settle()
        if fault is Fault.RATE_LIMITED:
            raise NotExecuted("rate_limited", retry_after=timedelta(seconds=3))
        if fault is Fault.UNAUTHORIZED:
            raise Misconfigured
        known = self._keys.get(call.key)
        if known is not None and self._clock() < known.until:
            return self._again(known, call)
        now = self._clock()
        self._keys[call.key] = Remembered(call.body, now + self._memory(call), now)
        if fault in (Fault.SLOW, Fault.GATEWAY):
            self._in_flight.append((now + WORKS * self.chance.fraction(), call))
            if fault is Fault.GATEWAY:
                raise LookupRequired("resend_refused")
            raise OutcomeUnknown("no_answer")
        said: Said
        if fault is Fault.ERROR_BEFORE:
            said = OutcomeUnknown("http_500")
        else:
            said = self._carried_out(call)
            if fault is Fault.ERROR_AFTER:
                said = OutcomeUnknown("http_500")
        self._remember(call, said)
        if fault is Fault.ANSWER_LOST:
            raise OutcomeUnknown("no_answer")
        if isinstance(said, Exception):
            raise said
        return said

    def _again(self, known: Remembered, call: Call) -> Answer:
        if known.body != call.body:
            raise self._never("idempotency_mismatch")
        if known.said is None:
            raise OutcomeUnknown("in_flight")
        if isinstance(known.said, LookupRequired):
            raise known.said
        if isinstance(known.said, Exception):
            raise LookupRequired("repeated_500")
        return known.said

    def _never(self, why: str) -> Violation | NeedsReview:
        """What the product must never do, and what it would hear."""
        return Violation(why) if self.bank.strict else NeedsReview(why)

    def _carried_out(self, call: Call) -> Said:
        payer = self.chance.payer()
        begins = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        if begins and not call.token and payer in (Payer.PAYS, Payer.PENDS):
            payer = Payer.MUST_ACT
        try:
            return self.bank.carry_out(call, payer)
        except (LookupRequired, OutcomeUnknown) as error:
            return error

    def _remember(self, call: Call, said: Said) -> None:
        """Stripe keeps whatever it said; PayPal keeps no key that ended in an error."""
        kept = isinstance(said, Answer) and bool(said.refs)
        if isinstance(said, Answer) and said.verdict is Verdict.ACTION_REQUIRED:
            kept = said.failure is None  # a 422 asks them once more
        if self.name is ProviderName.STRIPE or kept:
            self._keys[call.key].said = said
        else:
            del self._keys[call.key]

    def _memory(self, call: Call) -> timedelta:
        if self.name is ProviderName.STRIPE:
            return _DAY
        first = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        return timedelta(hours=6) if first else 45 * _DAY
