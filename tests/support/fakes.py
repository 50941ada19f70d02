"""Implementers of the ports in memory: small, exact and thread-safe.

The store is in ``memory_store``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from application.ports.admission import Admission
from domain.circuit_breaker import Call, breaker_name
from domain.errors import (
    InvalidPayment,
    NeedsReview,
    OutcomeUnknown,
    ProviderError,
    QueueUnavailable,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import Kind, Operation, Send
from domain.payments.payment import Payment
from domain.provider_rules import ProviderName


class MemoryQueue:
    """A JobQueue with ``size`` slots; ``away`` makes it lose ids."""

    def __init__(self, size: int = 1000) -> None:
        self.waiting: list[str] = []  #: queued ids
        self.away = False
        self._size = size

    def notify(self, ids: Sequence[str]) -> None:
        if not self.away:
            self.waiting.extend(ids)

    def free_slots(self) -> int:
        if self.away:
            raise QueueUnavailable
        return max(self._size - len(self.waiting), 0)

    def take(self, most: int) -> list[str]:
        """Takes the oldest ids, like one message."""
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken


@dataclass(frozen=True, slots=True)
class Act:
    """A provider's reaction to a send: decides or not, then answers or raises."""

    decides: Callable[[Payment], Answer] | None = None
    raises: Callable[[], Exception] | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """Money moved by a provider."""

    payment: str
    amount: Money


def pay(payment: Payment) -> Answer:
    """Moves the requested amount."""
    operation, currency = payment.claimed_operation, payment.submission.amount.currency
    own = _OWN[payment.provider, operation.kind]
    refs = {own: f"pi_{operation.provider_key}"}
    moved = None if operation.kind is Kind.VOID else Money(operation.amount, currency)
    return Answer(Verdict.SUCCEEDED, moved, refs)


#: The name of an operation's own object among its refs.
_OWN: Final = {
    (ProviderName.STRIPE, Kind.CHARGE): "payment_intent",
    (ProviderName.STRIPE, Kind.AUTHORIZE): "payment_intent",
    (ProviderName.PAYPAL, Kind.CHARGE): "capture",
    (ProviderName.PAYPAL, Kind.AUTHORIZE): "authorization",
    **{(one, Kind.CAPTURE): "capture" for one in ProviderName},
    **{(one, Kind.VOID): "void" for one in ProviderName},
    **{(one, Kind.REFUND): "refund" for one in ProviderName},
}
PAY: Final = Act(pay)
LOSE_REQUEST: Final = Act(raises=lambda: OutcomeUnknown("request_lost"))
LOSE_ANSWER: Final = Act(pay, lambda: OutcomeUnknown("answer_lost"))
#: A payment method that no provider accepts.
UNPREPARABLE: Final = "pm_unpreparable"


class ScriptedProvider:
    """A Provider with a ``script`` of acts by payment method.

    Each send takes the next act; without one it pays. The first decision under a key is
    final: later sends get the same answer, so no key moves money twice. Another body
    under a known key is refused. A lookup returns the decision under the operation's
    key, or absence.
    """

    def __init__(self, script: Mapping[str, Sequence[Act]] | None = None) -> None:
        self.ledger: dict[str, Movement] = {}  #: by key
        self.sends: list[Send] = []
        self.lookups: list[str] = []  #: ids of the operations looked up
        self._script = {name: list(acts) for name, acts in (script or {}).items()}
        self._bodies: dict[str, str] = {}
        self._decided: dict[str, Answer] = {}
        self._lock = threading.Lock()

    def prepare(self, payment: Payment, operation: Operation) -> str:
        asked = payment.submission
        if asked.payment_method == UNPREPARABLE:
            raise InvalidPayment("not taken", field="payment_method")
        return json.dumps({"amount": operation.amount, "for": operation.id})

    def send(self, payment: Payment) -> Answer:
        send = payment.claimed_operation.send
        assert send is not None, "every send is recorded first"
        with self._lock:
            self.sends.append(send)
            if self._bodies.setdefault(send.key, send.body) != send.body:
                raise NeedsReview("key_reused")
            acts = self._script.get(payment.submission.payment_method or "")
            act = acts.pop(0) if acts else PAY
            answer = self._decide(payment, send.key, act)
        if act.raises is not None:
            raise act.raises()
        assert answer is not None, "an act decides, raises, or does both"
        return answer

    def look_up(self, payment: Payment) -> Answer:
        operation = payment.claimed_operation
        with self._lock:
            self.lookups.append(operation.id)
            key = operation.send.key if operation.send else operation.provider_key
            return self._decided.get(key, Answer(Verdict.ABSENT))

    def correct(self, payment: Payment, answer: Answer) -> None:
        """Changes the provider's decision about the first operation."""
        self._decided[payment.first_operation.provider_key] = answer

    def _decide(self, payment: Payment, key: str, act: Act) -> Answer | None:
        if key not in self._decided and act.decides is not None:
            answer = self._decided[key] = act.decides(payment)
            if answer.moved is not None:
                self.ledger[key] = Movement(payment.id, answer.moved)
        return self._decided.get(key)


class AdmitAll:
    """Admission control that admits all calls and records outcomes."""

    def __init__(self) -> None:
        self.granted: int | None = None  #: calls granted at most; None: all
        self.retry_in = timedelta(seconds=5)
        self.delays: dict[str, float] = {}  #: seconds to wait, by account
        self.open_breakers: set[str] = set()  #: names of open breakers
        self.requested_accounts: list[str] = []  #: accounts, one per request
        self.recorded_accounts: set[str] = set()  #: accounts
        self.outcomes: list[Answer | ProviderError] = []

    def admit(
        self, account: str, calls: Sequence[Call], *, urgent: bool = True
    ) -> Admission:
        self.requested_accounts.append(account)
        names = {one: {account, breaker_name(account, one.kind)} for one in calls}
        stopped = [one for one in calls if names[one] & self.open_breakers]
        passing = [one for one in calls if one not in stopped]
        return Admission(
            passing[: self.granted],
            self.retry_in,
            delay=self.delays.get(account, 0.0) if passing else 0.0,
            blocked=stopped,
        )

    def record(
        self, account: str, outcomes: Sequence[tuple[Call, Answer | ProviderError]]
    ) -> None:
        self.recorded_accounts.add(account)
        self.outcomes += [outcome for _, outcome in outcomes]
