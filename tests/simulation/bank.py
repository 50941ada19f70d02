"""The provider's own books: its objects, its limits, and every movement of money."""

from __future__ import annotations

from dataclasses import dataclass, replace

from domain.errors import LookupRequired, NeedsReview, OutcomeUnknown
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.states import State
from domain.payments.submission import ProviderName
from tests.simulation.books import (
    DECLINED,
    TOO_MUCH,
    left_of,
    others_seen,
    part_seen,
    answer_for,
    part_answer,
    too_late,
    void_seen,
)
from tests.simulation.chance import Payer
from tests.simulation.entries import Call, Entry, Stage
from tests.simulation.payers import DECIDED, Payments
from tests.simulation.scheduler import Violation


@dataclass(slots=True)
class Bank(Payments):
    """One account at a provider: what is asked of it, with what follows a payment."""

    #: Whether to be asked what we never may is a Violation, or refused as it would be.
    strict: bool = True

    def carry_out(self, call: Call, payer: Payer) -> Answer:
        """Does it. Raises LookupRequired where something earlier stands in the way."""
        self.pass_time()
        begins = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        if self.name is ProviderName.PAYPAL and begins and payer is Payer.DECLINES:
            # It keeps no order; and what was taken before may be why there is no money.
            return Answer(Verdict.DECLINED, failure=DECLINED)
        if self.name is ProviderName.PAYPAL and call.operation in self._invoices:
            no = self._no_before_the_invoice(call, payer)
            if no is not None and self.luck().fails("invoice"):
                return no
            raise LookupRequired("duplicate_invoice_id")
        match call.kind:
            case Kind.CHARGE | Kind.AUTHORIZE if call.approved:
                return self._go_on(call, payer)
            case Kind.CHARGE | Kind.AUTHORIZE:
                return self._begin(call, payer)
            case Kind.CAPTURE:
                return self._capture(call)
            case Kind.VOID:
                return self._void(call)
            case Kind.REFUND:
                return self._refund(call, payer)

    def look_up(self, payment: Payment, operation: Operation) -> Answer:
        """The status of ``operation``, by a read that cannot lag."""
        self.pass_time()
        first = self._of(payment)
        if first is None:
            if self.name is ProviderName.PAYPAL:
                raise NeedsReview("nothing_to_look_up")
            return Answer(Verdict.ABSENT)
        if first.stage is Stage.FORGOTTEN:
            carried_out = operation.state is State.UNKNOWN and operation.approved
            if carried_out or operation.state is State.REQUIRES_ACTION:
                return Answer(Verdict.EXPIRED)
            raise OutcomeUnknown("lookup_refused")
        return replace(
            self._seen(first, operation), external_movements=others_seen(first, payment)
        )

    def _seen(self, first: Entry, operation: Operation) -> Answer:
        match operation.kind:
            case Kind.CHARGE | Kind.AUTHORIZE:
                return answer_for(first)
            case Kind.VOID:
                return void_seen(self.name, first)
            case _:
                return part_seen(first, operation)

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

    def _no_before_the_invoice(self, call: Call, payer: Payer) -> Answer | None:
        """An unattributed refusal of a second request, whose first may have taken
        the money.
        """
        begins = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        if begins and not call.approved and payer is Payer.MUST_ACT:
            return Answer(Verdict.ACTION_REQUIRED, failure=DECLINED)
        if call.kind is not Kind.CAPTURE:
            return None
        entry = self.entries[call.refs["intent"]]
        return too_late(entry) if entry.stage is Stage.LET_GO else None

    def _capture(self, call: Call) -> Answer:
        entry = self.entries[call.refs["intent"]]
        paypal = self.name is ProviderName.PAYPAL
        if entry.expired or (paypal and entry.stage is Stage.LET_GO):
            return too_late(entry)
        if entry.stage is not Stage.HELD:
            raise LookupRequired("previously_captured_or_voided")
        if entry.captured + call.amount > entry.amount:
            return self._too_much(entry, f"{call.key} would capture more than is held")
        if self.strict and not (call.final or entry.several):
            raise Violation(f"{call.key} would lose what it leaves")
        part = Entry(
            id=f"{entry.id}_c{len(entry.parts) + 1}",
            kind=Kind.CAPTURE,
            operation=call.operation,
            amount=self._amount(call),
            currency=call.currency,
            stage=Stage.DONE,
        )
        entry.parts.append(part)
        entry.captured += part.amount
        whole = entry.captured == entry.amount
        if call.final or whole or not entry.several:
            entry.stage = Stage.DONE
        self._move(part, part.amount)
        return part_answer(part)

    def _void(self, call: Call) -> Answer:
        entry = self.entries[call.refs["intent"]]
        if self.name is ProviderName.PAYPAL and entry.stage is not Stage.HELD:
            return void_seen(self.name, entry)  # the adapter reads before it acts
        if entry.stage not in (Stage.HELD, Stage.ACTING):
            raise LookupRequired("unexpected_state")
        if entry.stage is Stage.HELD:
            left = entry.amount - entry.captured
            self.ledger.append((call.operation, Kind.VOID, left))
        entry.stage, entry.agreed_at = Stage.LET_GO, None
        return void_seen(self.name, entry)

    def _refund(self, call: Call, payer: Payer) -> Answer:
        entry = self.entries[call.refs["intent"]]
        of = call.refs.get("capture", entry.id)
        left = left_of(entry, of)
        if call.amount > left:
            others = any(one.by_others for one in entry.parts)
            if left == 0 and (others or not self.strict):
                raise LookupRequired("already_refunded")
            words = f"{call.key} would refund more than was captured"
            return self._too_much(entry, words)
        stages = {Payer.PENDS: Stage.PENDING, Payer.DECLINES: Stage.DECLINED}
        part = Entry(
            id=f"{entry.id}_r{len(entry.parts) + 1}",
            kind=Kind.REFUND,
            operation=call.operation,
            amount=self._amount(call),
            currency=call.currency,
            stage=stages.get(payer, Stage.DONE),
            of=of,
        )
        entry.parts.append(part)
        if part.stage is Stage.PENDING:
            self._invoices.add(call.operation)
            part.decided_at = self.clock() + DECIDED
        elif part.stage is Stage.DONE:
            self._move(part, part.amount)
        return part_answer(part)

    def _too_much(self, entry: Entry, words: str) -> Answer:
        """We know what we asked for ourselves, and not what others have done."""
        if self.strict and not any(one.by_others for one in entry.parts):
            raise Violation(words)
        return Answer(Verdict.REJECTED, failure=TOO_MUCH)

    def _of(self, payment: Payment) -> Entry | None:
        known = payment.first_operation.refs.get("intent")
        if known is not None:
            return self.entries[known]
        if self.name is ProviderName.PAYPAL:
            return None  # it lists no orders
        for entry in self.entries.values():
            if entry.operation == payment.first_operation.id:
                return entry
        return None
