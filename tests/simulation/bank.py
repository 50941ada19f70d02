"""The provider's own books: its objects, its limits, and every movement of money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from domain.answer import Answer, Failure, NextAction, Verdict
from domain.errors import LookNeeded, NeedsReview
from domain.money import Money
from domain.operation import Kind, Operation
from domain.payment import Payment
from domain.submission import ProviderName
from tests.simulation.chance import Payer
from tests.simulation.entries import Call, Entry, Stage
from tests.simulation.scheduler import Violation

#: How long a provider keeps money on hold.
_HOLDS: Final = {
    ProviderName.STRIPE: timedelta(days=7),
    ProviderName.PAYPAL: timedelta(days=29),
}
#: PayPal vouches for an authorization that long.
_HONORED: Final = timedelta(days=3)
#: When what was taken but not done is decided.
_DECIDED: Final = timedelta(minutes=50)
#: When a payer who must act has done so.
_AGREED: Final = timedelta(minutes=20)

_DECLINED: Final = Failure("declined", "Declined.")


@dataclass(slots=True)
class Bank:
    """One account at a provider."""

    name: ProviderName
    clock: Callable[[], datetime]
    account: str  #: its id; no object of one is another's
    #: Whether to be asked what we never may is a Violation, or refused as it would be.
    strict: bool = True
    entries: dict[str, Entry] = field(default_factory=dict)
    #: Every movement of money by the operation that it was for; each only once, over
    #: all accounts that share this.
    moved: dict[str, int] = field(default_factory=dict)
    #: The same and the voids, in order: operation, kind, minor units.
    ledger: list[tuple[str, Kind, int]] = field(default_factory=list)
    #: PayPal refuses a second payment, capture or refund of one invoice id.
    _invoices: set[str] = field(default_factory=set)

    def carry_out(self, call: Call, payer: Payer) -> Answer:
        """Does it. Raises LookNeeded where something earlier stands in the way."""
        self.pass_time()
        begins = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        if self.name is ProviderName.PAYPAL and begins and payer is Payer.DECLINES:
            # It keeps no order; and what was taken before may be why there is no money.
            return Answer(Verdict.DECLINED, failure=_DECLINED)
        if self.name is ProviderName.PAYPAL and call.operation in self._invoices:
            raise LookNeeded("duplicate_invoice_id")
        match call.kind:
            case Kind.CHARGE | Kind.AUTHORIZE if call.approved:
                return self._go_on(call)
            case Kind.CHARGE | Kind.AUTHORIZE:
                return self._begin(call, payer)
            case Kind.CAPTURE:
                return self._capture(call)
            case Kind.VOID:
                return self._void(call)
            case Kind.REFUND:
                return self._refund(call, payer)

    def look(self, payment: Payment, operation: Operation) -> Answer:
        """What became of ``operation``, read from what can not lag."""
        self.pass_time()
        first = self._of(payment)
        if first is None:
            if self.name is ProviderName.PAYPAL:
                raise NeedsReview("nothing_to_look_at")
            return Answer(Verdict.ABSENT)
        match operation.kind:
            case Kind.CHARGE | Kind.AUTHORIZE:
                return self._told(first)
            case Kind.VOID:
                return self._void_seen(first)
            case _:
                return self._part_seen(first, operation)

    def let_go(self, operation: str) -> bool:
        """Whether what ``operation`` had put on hold is free again."""
        return any(
            entry.operation == operation and entry.stage is Stage.LET_GO
            for entry in self.entries.values()
        )

    def may_move(self, operation: str) -> bool:
        """Whether an object for ``operation`` has moved money, or may yet."""
        return any(
            entry.operation == operation and entry.stage is not Stage.DECLINED
            for entry in self.entries.values()
        )

    def pass_time(self) -> None:
        """Lets pending ones be decided, and holds run out."""
        now = self.clock()
        for entry in self.entries.values():
            if entry.decided_at is not None and entry.decided_at <= now:
                self._decide(entry)
            if entry.agreed_at is not None and entry.agreed_at <= now:
                self._agree(entry)
            for part in entry.parts:
                if part.decided_at is not None and part.decided_at <= now:
                    part.decided_at = None
                    part.stage = Stage.DONE
                    self._move(part, part.amount)
            if (
                entry.stage is Stage.HELD
                and entry.expires_at is not None
                and entry.expires_at <= now
            ):
                entry.stage, entry.expired = Stage.LET_GO, True

    def _begin(self, call: Call, payer: Payer) -> Answer:
        entry = Entry(
            id=f"{self.account}_{len(self.entries) + 1}",
            kind=call.kind,
            operation=call.operation,
            amount=call.amount,
            currency=call.currency,
            stage=Stage.DECLINED,
            several=call.several or self.name is ProviderName.PAYPAL,
        )
        self.entries[entry.id] = entry
        if payer is Payer.PAYS:
            self._decide(entry)
        elif payer is Payer.PENDS:
            self._invoices.add(call.operation)
            entry.stage = Stage.PENDING
            entry.decided_at = self.clock() + _DECIDED
        elif payer is Payer.MUST_ACT:
            entry.stage = Stage.ACTING
            entry.agreed_at = self.clock() + _AGREED
        return self._told(entry)

    def _agree(self, entry: Entry) -> None:
        """At Stripe that is all it takes; an order of PayPal's waits for our word."""
        entry.agreed_at = None
        if self.name is ProviderName.STRIPE:
            self._decide(entry)
        else:
            entry.stage = Stage.APPROVED

    def _go_on(self, call: Call) -> Answer:
        entry = self.entries[call.refs["intent"]]
        if entry.stage is Stage.APPROVED:
            self._decide(entry)
            return self._told(entry)
        raise LookNeeded("already_captured")

    def _decide(self, entry: Entry) -> None:
        """The payer's bank says yes."""
        entry.decided_at = None
        if entry.kind is Kind.AUTHORIZE:
            entry.stage = Stage.HELD
            entry.expires_at = self.clock() + _HOLDS[self.name]
        else:
            entry.stage, entry.captured = Stage.DONE, entry.amount
        self._move(entry, entry.amount)

    def _capture(self, call: Call) -> Answer:
        entry = self.entries[call.refs["intent"]]
        if entry.expired:
            return Answer(Verdict.EXPIRED, failure=Failure("expired", "Too late."))
        if entry.stage is not Stage.HELD:
            raise LookNeeded("previously_captured_or_voided")
        if entry.captured + call.amount > entry.amount:
            return self._too_much(f"{call.key} would capture more than is held")
        if self.strict and not (call.final or entry.several):
            raise Violation(f"{call.key} would lose what it leaves")
        part = Entry(
            id=f"{entry.id}_c{len(entry.parts) + 1}",
            kind=Kind.CAPTURE,
            operation=call.operation,
            amount=call.amount,
            currency=call.currency,
            stage=Stage.DONE,
        )
        entry.parts.append(part)
        entry.captured += call.amount
        whole = entry.captured == entry.amount
        if call.final or whole or not entry.several:
            entry.stage = Stage.DONE
        self._move(part, call.amount)
        return self._told_part(part)

    def _void(self, call: Call) -> Answer:
        entry = self.entries[call.refs["intent"]]
        if self.name is ProviderName.PAYPAL and entry.stage is not Stage.HELD:
            return self._void_seen(entry)  # the adapter reads before it acts
        if entry.stage not in (Stage.HELD, Stage.ACTING):
            raise LookNeeded("unexpected_state")
        if entry.stage is Stage.HELD:
            left = entry.amount - entry.captured
            self.ledger.append((call.operation, Kind.VOID, left))
        entry.stage, entry.agreed_at = Stage.LET_GO, None
        return self._void_seen(entry)

    def _refund(self, call: Call, payer: Payer) -> Answer:
        entry = self.entries[call.refs["intent"]]
        back = [one for one in entry.parts if one.kind is Kind.REFUND]
        taken = sum(one.amount for one in back if one.stage is not Stage.DECLINED)
        if taken + call.amount > entry.captured:
            if taken == entry.captured and not self.strict:
                raise LookNeeded("already_refunded")
            return self._too_much(f"{call.key} would refund more than was captured")
        stages = {Payer.PENDS: Stage.PENDING, Payer.DECLINES: Stage.DECLINED}
        part = Entry(
            id=f"{entry.id}_r{len(entry.parts) + 1}",
            kind=Kind.REFUND,
            operation=call.operation,
            amount=call.amount,
            currency=call.currency,
            stage=stages.get(payer, Stage.DONE),
        )
        entry.parts.append(part)
        if part.stage is Stage.PENDING:
            self._invoices.add(call.operation)
            part.decided_at = self.clock() + _DECIDED
        elif part.stage is Stage.DONE:
            self._move(part, part.amount)
        return self._told_part(part)

    def _too_much(self, words: str) -> Answer:
        if self.strict:
            raise Violation(words)
        return Answer(Verdict.REJECTED, failure=Failure("too_much", "Too much."))

    def _move(self, entry: Entry, amount: int) -> None:
        if entry.operation in self.moved:
            raise Violation(f"{entry.operation} moved money a second time")
        self.moved[entry.operation] = amount
        self.ledger.append((entry.operation, entry.kind, amount))
        self._invoices.add(entry.operation)

    def _of(self, payment: Payment) -> Entry | None:
        known = payment.first.refs.get("intent")
        if known is not None:
            return self.entries[known]
        if self.name is ProviderName.PAYPAL:
            return None  # it lists no orders
        for entry in self.entries.values():
            if entry.operation == payment.first.id:
                return entry
        return None

    def _told(self, entry: Entry) -> Answer:
        refs = {"intent": entry.id}
        money = Money(entry.amount, entry.currency)
        match entry.stage:
            case Stage.DECLINED:
                return Answer(Verdict.DECLINED, refs=refs, failure=_DECLINED)
            case Stage.ACTING:
                action = NextAction("https://bank.example/confirm")
                return Answer(Verdict.ACTION_REQUIRED, refs=refs, next_action=action)
            case Stage.APPROVED:
                return Answer(Verdict.APPROVED, refs=refs)
            case Stage.PENDING:
                return Answer(Verdict.PENDING, refs=refs)
            case Stage.LET_GO:
                late = Verdict.EXPIRED if entry.expired else Verdict.CANCELED
                return Answer(late, refs=refs)
            case _:
                return Answer(
                    Verdict.SUCCEEDED,
                    money,
                    refs,
                    expires_at=entry.expires_at,
                    honored_until=self._honored(entry),
                    multicapture=entry.several,
                )

    def _told_part(self, part: Entry) -> Answer:
        refs = {part.kind.value: part.id}
        if part.kind is Kind.CAPTURE:
            refs["intent"] = part.id.rpartition("_")[0]
        match part.stage:
            case Stage.PENDING:
                return Answer(Verdict.PENDING, refs=refs)
            case Stage.DECLINED:
                return Answer(Verdict.DECLINED, refs=refs, failure=_DECLINED)
            case _:
                money = Money(part.amount, part.currency)
                return Answer(Verdict.SUCCEEDED, money, refs)

    def _part_seen(self, entry: Entry, operation: Operation) -> Answer:
        for part in reversed(entry.parts):
            if part.operation == operation.id:
                return self._told_part(part)
        if operation.kind is Kind.CAPTURE and entry.stage is Stage.LET_GO:
            late = Verdict.EXPIRED if entry.expired else Verdict.CANCELED
            return Answer(late, refs={"intent": entry.id})
        if operation.kind is Kind.CAPTURE and entry.stage is not Stage.HELD:
            raise NeedsReview("captured_elsewhere")
        return Answer(Verdict.ABSENT)

    def _void_seen(self, entry: Entry) -> Answer:
        refs = {"intent": entry.id}
        if entry.stage is Stage.LET_GO:
            late = entry.expired and self.name is ProviderName.STRIPE
            return Answer(Verdict.EXPIRED if late else Verdict.SUCCEEDED, refs=refs)
        if entry.stage in (Stage.HELD, Stage.ACTING):
            return Answer(Verdict.ABSENT)
        failure = Failure("already_captured", "Captured before.")
        return Answer(Verdict.DECLINED, refs=refs, failure=failure)

    def _honored(self, entry: Entry) -> datetime | None:
        if self.name is ProviderName.STRIPE or entry.expires_at is None:
            return None
        return entry.expires_at - _HOLDS[self.name] + _HONORED
