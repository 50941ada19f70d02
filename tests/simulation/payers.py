"""Charges and authorizations at a provider, and their progress over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from domain.errors import LookupRequired
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import Kind
from domain.payments.submission import ProviderName
from tests.simulation.books import CONFIRM, DECLINED, LATE, answer_for
from tests.simulation.chance import Acts, Chance, Payer
from tests.simulation.entries import Call, Entry, Stage
from tests.simulation.scheduler import Violation

#: How long a provider keeps money on hold.
_HOLDS: Final = {
    ProviderName.STRIPE: timedelta(days=7),
    ProviderName.PAYPAL: timedelta(days=29),
}
#: Or, where the payer's bank wants it back, at most.
_SHORT: Final = timedelta(minutes=10)
#: PayPal vouches for an authorization that long.
_HONORED: Final = timedelta(days=3)
#: When what was taken but not done is decided.
DECIDED: Final = timedelta(minutes=50)
#: When a payer who must act has done so.
_ACTED: Final = {
    Acts.AGREES: timedelta(minutes=20),
    Acts.AT_ONCE: timedelta(),
    Acts.LATE: timedelta(hours=2, minutes=55),
    Acts.REFUSES: timedelta(minutes=20),
}
#: PayPal forgets an order so long after it was made, or approved, and not carried out.
_ORDERED: Final = timedelta(hours=3)
#: By how much the amount is wrong where it is.
_ODD: Final = 7


@dataclass(slots=True)
class Payments:
    """Charges and authorizations of one account, and every movement of its money."""

    name: ProviderName
    clock: Callable[[], datetime]
    account: str  #: its id; no object of one is another's
    luck: Callable[[], Chance]
    entries: dict[str, Entry] = field(default_factory=dict)
    #: Every movement of money by the operation that it was for; each only once, over
    #: all accounts that share this.
    moved: dict[str, int] = field(default_factory=dict)
    #: The same and the voids, in order: operation, kind, minor units.
    ledger: list[tuple[str, Kind, int]] = field(default_factory=list)
    #: PayPal refuses a second payment, capture or refund of one invoice id.
    _invoices: set[str] = field(default_factory=set)

    def decide(self) -> None:
        """Whoever has not acted yet refuses to."""
        for entry in self.entries.values():
            if entry.stage is Stage.ACTING and entry.agreed_at is None:
                entry.agreed_at, entry.refuses = self.clock(), True

    def pass_time(self) -> None:
        """Lets pending ones be decided, payers act, and orders and holds run out."""
        now = self.clock()
        for entry in self.entries.values():
            if entry.decided_at is not None and entry.decided_at <= now:
                self._decide(entry)
            if entry.agreed_at is not None and entry.agreed_at <= now:
                self._act(entry, entry.agreed_at)
            if entry.asked_at is not None and entry.asked_at + _ORDERED <= now:
                entry.stage = Stage.FORGOTTEN
                entry.asked_at = entry.agreed_at = None
            for part in entry.parts:
                if part.decided_at is not None and part.decided_at <= now:
                    part.decided_at = None
                    part.stage = Stage.DECLINED if part.refuses else Stage.DONE
                    if part.stage is Stage.DONE:
                        self._move(part, part.amount)
                if part.fails_at is not None and part.fails_at <= now:
                    part.fails_at, part.stage = None, Stage.DECLINED
                    del self.moved[part.operation]
            if (
                entry.stage is Stage.HELD
                and entry.expires_at is not None
                and entry.expires_at <= now
            ):
                entry.stage, entry.expired = Stage.LET_GO, True

    def move(self, part: Entry) -> None:
        """All of ``part`` moves, which somebody made without us."""
        self._move(part, part.amount)

    def _begin(self, call: Call, payer: Payer) -> Answer:
        entry = Entry(
            id=f"{self.account}_{len(self.entries) + 1}",
            kind=call.kind,
            operation=call.operation,
            amount=self._amount(call),
            currency=call.currency,
            stage=Stage.DECLINED,
            several=call.several or self.name is ProviderName.PAYPAL,
        )
        self.entries[entry.id] = entry
        if payer is Payer.PAYS:
            self._decide(entry)
        elif payer is Payer.PENDS:
            self._pend(entry)
        elif payer is Payer.MUST_ACT:
            self._ask(entry)
        return answer_for(entry)

    def _go_on(self, call: Call, payer: Payer) -> Answer:
        """An approved order is carried out; or its payer has to agree once more."""
        entry = self.entries[call.refs["intent"]]
        if entry.stage is Stage.FORGOTTEN:
            return Answer(Verdict.EXPIRED, failure=LATE)
        if entry.stage is Stage.APPROVED and self.luck().fails("again"):
            self._ask(entry)
        if entry.stage is Stage.ACTING:
            return Answer(
                Verdict.ACTION_REQUIRED,
                refs={"intent": entry.id},
                next_action=CONFIRM,
                failure=DECLINED,
            )
        if entry.stage is not Stage.APPROVED:
            raise LookupRequired("already_captured")
        if payer is Payer.PENDS:
            self._pend(entry)
        else:
            self._decide(entry)
        return answer_for(entry)

    def _pend(self, entry: Entry) -> None:
        self._invoices.add(entry.operation)
        entry.stage, entry.asked_at = Stage.PENDING, None
        entry.decided_at = self.clock() + DECIDED

    def _ask(self, entry: Entry) -> None:
        """The payer must act; they may do so at once, late, or never."""
        now, acts = self.clock(), self.luck().acts()
        entry.stage = Stage.ACTING
        if self.name is ProviderName.PAYPAL:
            entry.asked_at = now
        acted, entry.refuses = _ACTED.get(acts), acts is Acts.REFUSES
        entry.agreed_at = now + acted if acted is not None else None

    def _act(self, entry: Entry, at: datetime) -> None:
        """At Stripe that is all it takes; an order of PayPal's waits for our word, and
        one that was refused may yet be approved by somebody else, until it runs out."""
        entry.agreed_at = None
        if self.name is ProviderName.STRIPE:
            if entry.refuses:
                entry.stage = Stage.DECLINED
            else:
                self._decide(entry)
        elif not entry.refuses:
            entry.stage, entry.asked_at = Stage.APPROVED, at

    def _decide(self, entry: Entry) -> None:
        """The payer's bank says yes."""
        entry.decided_at = entry.asked_at = None
        if entry.kind is Kind.AUTHORIZE:
            entry.stage = Stage.HELD
            self._hold(entry)
        else:
            entry.stage, entry.captured = Stage.DONE, entry.amount
        self._move(entry, entry.amount)

    def _hold(self, entry: Entry) -> None:
        """For as long as usual, or until the payer's bank wants it back."""
        now, lasts = self.clock(), _HOLDS[self.name]
        if self.luck().fails("hold"):
            lasts = _SHORT * self.luck().fraction()
        entry.expires_at = now + lasts
        if self.name is ProviderName.PAYPAL:
            entry.honored_until = min(entry.expires_at, now + _HONORED)

    def _amount(self, call: Call) -> int:
        """What moves: what was asked for, but for a mistake of the provider's."""
        return call.amount - _ODD if self.luck().fails("amount") else call.amount

    def _move(self, entry: Entry, amount: int) -> None:
        if entry.operation in self.moved:
            raise Violation(f"{entry.operation} moved money a second time")
        self.moved[entry.operation] = amount
        self.ledger.append((entry.operation, entry.kind, amount))
        self._invoices.add(entry.operation)
