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
from tests.simulation.chance import PayerAction, Chance, Payer
from tests.simulation.entries import Call, Entry, Stage
from tests.simulation.scheduler import Violation

#: The duration of a hold.
_HOLDS: Final = {
    ProviderName.STRIPE: timedelta(days=7),
    ProviderName.PAYPAL: timedelta(days=29),
}
#: The longest duration of a hold that the payer's bank ends early.
_SHORT: Final = timedelta(minutes=10)
#: The honor period of an authorization at PayPal.
_HONOR_PERIOD: Final = timedelta(days=3)
#: The time until a pending object is decided.
DECISION_DELAY: Final = timedelta(minutes=50)
#: The time until the payer acts.
_ACTION_DELAYS: Final = {
    PayerAction.AGREES: timedelta(minutes=20),
    PayerAction.AT_ONCE: timedelta(),
    PayerAction.LATE: timedelta(hours=2, minutes=55),
    PayerAction.REFUSES: timedelta(minutes=20),
}
#: The lifetime of an order at PayPal after its creation or approval.
_ORDER_LIFETIME: Final = timedelta(hours=3)
#: The difference of a wrong amount.
_AMOUNT_ERROR: Final = 7


@dataclass(slots=True)
class Payments:
    """Charges and authorizations of one account, and every movement of its money."""

    name: ProviderName
    clock: Callable[[], datetime]
    account: str  #: its id
    chance: Callable[[], Chance]
    entries: dict[str, Entry] = field(default_factory=dict)
    #: The amount of each movement by its operation, over all accounts that share this.
    moved: dict[str, int] = field(default_factory=dict)
    #: Movements and voids in order: operation, kind, minor units.
    ledger: list[tuple[str, Kind, int]] = field(default_factory=list)
    #: PayPal refuses a second payment, capture or refund of one invoice id.
    _invoices: set[str] = field(default_factory=set)

    def refuse_open_actions(self) -> None:
        """Makes every payer who has not acted refuse."""
        for entry in self.entries.values():
            if entry.stage is Stage.ACTION_REQUIRED and entry.agreed_at is None:
                entry.agreed_at, entry.refuses = self.clock(), True

    def pass_time(self) -> None:
        """Applies due decisions and actions, and ends expired orders and holds."""
        now = self.clock()
        for entry in self.entries.values():
            if entry.decided_at is not None and entry.decided_at <= now:
                self._decide(entry)
            if entry.agreed_at is not None and entry.agreed_at <= now:
                self._apply_action(entry, entry.agreed_at)
            if entry.asked_at is not None and entry.asked_at + _ORDER_LIFETIME <= now:
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
                entry.stage, entry.expired = Stage.RELEASED, True

    def move(self, part: Entry) -> None:
        """Moves the whole amount of an external ``part``."""
        self._move(part, part.amount)

    def _begin(self, call: Call, payer: Payer) -> Answer:
        entry = Entry(
            id=f"{self.account}_{len(self.entries) + 1}",
            kind=call.kind,
            operation=call.operation,
            amount=self._amount(call),
            currency=call.currency,
            stage=Stage.DECLINED,
            multicapture=call.multicapture or self.name is ProviderName.PAYPAL,
        )
        self.entries[entry.id] = entry
        if payer is Payer.PAYS:
            self._decide(entry)
        elif payer is Payer.PENDS:
            self._set_pending(entry)
        elif payer is Payer.MUST_ACT:
            self._require_action(entry)
        return answer_for(entry)

    def _continue_order(self, call: Call, payer: Payer) -> Answer:
        """Carries out an approved order, or requires a second agreement."""
        entry = self.entries[call.refs["intent"]]
        if entry.stage is Stage.FORGOTTEN:
            return Answer(Verdict.EXPIRED, failure=LATE)
        if entry.stage is Stage.APPROVED and self.chance().fails("again"):
            self._require_action(entry)
        if entry.stage is Stage.ACTION_REQUIRED:
            return Answer(
                Verdict.ACTION_REQUIRED,
                refs={"intent": entry.id},
                next_action=CONFIRM,
                failure=DECLINED,
            )
        if entry.stage is not Stage.APPROVED:
            raise LookupRequired("already_captured")
        if payer is Payer.PENDS:
            self._set_pending(entry)
        else:
            self._decide(entry)
        return answer_for(entry)

    def _set_pending(self, entry: Entry) -> None:
        self._invoices.add(entry.operation)
        entry.stage, entry.asked_at = Stage.PENDING, None
        entry.decided_at = self.clock() + DECISION_DELAY

    def _require_action(self, entry: Entry) -> None:
        """Requires an action of the payer, who acts at once, late or never."""
        now, acts = self.clock(), self.chance().payer_action()
        entry.stage = Stage.ACTION_REQUIRED
        if self.name is ProviderName.PAYPAL:
            entry.asked_at = now
        acted, entry.refuses = _ACTION_DELAYS.get(acts), acts is PayerAction.REFUSES
        entry.agreed_at = now + acted if acted is not None else None

    def _apply_action(self, entry: Entry, at: datetime) -> None:
        """Applies the payer's action.

        Stripe then decides. An approved order of PayPal waits for our call; a refused
        one may still be approved until its end.
        """
        entry.agreed_at = None
        if self.name is ProviderName.STRIPE:
            if entry.refuses:
                entry.stage = Stage.DECLINED
            else:
                self._decide(entry)
        elif not entry.refuses:
            entry.stage, entry.asked_at = Stage.APPROVED, at

    def _decide(self, entry: Entry) -> None:
        """Applies the consent of the payer's bank."""
        entry.decided_at = entry.asked_at = None
        if entry.kind is Kind.AUTHORIZE:
            entry.stage = Stage.HELD
            self._hold(entry)
        else:
            entry.stage, entry.captured = Stage.DONE, entry.amount
        self._move(entry, entry.amount)

    def _hold(self, entry: Entry) -> None:
        """Sets the end of a hold: the usual one, or an early one by the bank."""
        now, lasts = self.clock(), _HOLDS[self.name]
        if self.chance().fails("hold"):
            lasts = _SHORT * self.chance().fraction()
        entry.expires_at = now + lasts
        if self.name is ProviderName.PAYPAL:
            entry.honored_until = min(entry.expires_at, now + _HONOR_PERIOD)

    def _amount(self, call: Call) -> int:
        """Returns the requested amount, or a wrong one by a provider's mistake."""
        return (
            call.amount - _AMOUNT_ERROR
            if self.chance().fails("amount")
            else call.amount
        )

    def _move(self, entry: Entry, amount: int) -> None:
        if entry.operation in self.moved:
            raise Violation(f"{entry.operation} moved money a second time")
        self.moved[entry.operation] = amount
        self.ledger.append((entry.operation, entry.kind, amount))
        self._invoices.add(entry.operation)
