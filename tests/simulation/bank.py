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
    refundable_amount,
    external_movements,
    part_status,
    answer_for,
    part_answer,
    late_capture_answer,
    void_status,
)
from tests.simulation.chance import Payer
from tests.simulation.entries import Call, Entry, Stage
from tests.simulation.payers import DECISION_DELAY, Payments
from tests.simulation.scheduler import Violation


@dataclass(slots=True)
class Bank(Payments):
    """One account at a provider: payments, captures, voids and refunds."""

    #: Whether a forbidden call is a Violation; otherwise it is refused.
    strict: bool = True

    def carry_out(self, call: Call, payer: Payer) -> Answer:
        """Carries a call out. Raises LookupRequired if an earlier one prevents it."""
        self.pass_time()
        begins = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        if self.name is ProviderName.PAYPAL and begins and payer is Payer.DECLINES:
            # It keeps no order. An earlier payment may be the reason for the decline.
            return Answer(Verdict.DECLINED, failure=DECLINED)
        if self.name is ProviderName.PAYPAL and call.operation in self._invoices:
            refusal = self._refusal_before_invoice_check(call, payer)
            if refusal is not None and self.chance().fails("invoice"):
                return refusal
            raise LookupRequired("duplicate_invoice_id")
        match call.kind:
            case Kind.CHARGE | Kind.AUTHORIZE if call.approved:
                return self._continue_order(call, payer)
            case Kind.CHARGE | Kind.AUTHORIZE:
                return self._begin(call, payer)
            case Kind.CAPTURE:
                return self._capture(call)
            case Kind.VOID:
                return self._void(call)
            case Kind.REFUND:
                return self._refund(call, payer)

    def look_up(self, payment: Payment, operation: Operation) -> Answer:
        """Returns the status of ``operation`` by a read without delay."""
        self.pass_time()
        first = self._find_entry(payment)
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
            self._status_of(first, operation),
            external_movements=external_movements(first, payment),
        )

    def _status_of(self, first: Entry, operation: Operation) -> Answer:
        match operation.kind:
            case Kind.CHARGE | Kind.AUTHORIZE:
                return answer_for(first)
            case Kind.VOID:
                return void_status(self.name, first)
            case _:
                return part_status(first, operation)

    def is_released(self, operation: str) -> bool:
        """Whether the money held by ``operation`` was released."""
        return any(
            entry.operation == operation and entry.stage is Stage.RELEASED
            for entry in self.entries.values()
        )

    def may_have_moved(self, operation: str) -> bool:
        """Whether an object of ``operation`` has moved money, or still may."""
        return any(
            entry.operation == operation and entry.stage is not Stage.DECLINED
            for entry in self.entries.values()
        )

    def _refusal_before_invoice_check(self, call: Call, payer: Payer) -> Answer | None:
        """Returns an unattributed refusal; an earlier request may have taken money."""
        begins = call.kind in (Kind.CHARGE, Kind.AUTHORIZE)
        if begins and not call.approved and payer is Payer.MUST_ACT:
            return Answer(Verdict.ACTION_REQUIRED, failure=DECLINED)
        if call.kind is not Kind.CAPTURE:
            return None
        entry = self.entries[call.refs["intent"]]
        return late_capture_answer(entry) if entry.stage is Stage.RELEASED else None

    def _capture(self, call: Call) -> Answer:
        entry = self.entries[call.refs["intent"]]
        paypal = self.name is ProviderName.PAYPAL
        if entry.expired or (paypal and entry.stage is Stage.RELEASED):
            return late_capture_answer(entry)
        if entry.stage is not Stage.HELD:
            raise LookupRequired("previously_captured_or_voided")
        if entry.captured + call.amount > entry.amount:
            return self._refuse_excess(
                entry, f"{call.key} would capture more than the held amount"
            )
        if self.strict and not (call.final or entry.multicapture):
            raise Violation(f"{call.key} would lose the rest of the hold")
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
        if call.final or whole or not entry.multicapture:
            entry.stage = Stage.DONE
        self._move(part, part.amount)
        return part_answer(part)

    def _void(self, call: Call) -> Answer:
        entry = self.entries[call.refs["intent"]]
        if self.name is ProviderName.PAYPAL and entry.stage is not Stage.HELD:
            return void_status(self.name, entry)  # the adapter reads before it acts
        if entry.stage not in (Stage.HELD, Stage.ACTION_REQUIRED):
            raise LookupRequired("unexpected_state")
        if entry.stage is Stage.HELD:
            left = entry.amount - entry.captured
            self.ledger.append((call.operation, Kind.VOID, left))
        entry.stage, entry.agreed_at = Stage.RELEASED, None
        return void_status(self.name, entry)

    def _refund(self, call: Call, payer: Payer) -> Answer:
        entry = self.entries[call.refs["intent"]]
        of = call.refs.get("capture", entry.id)
        left = refundable_amount(entry, of)
        if call.amount > left:
            others = any(one.is_external for one in entry.parts)
            if left == 0 and (others or not self.strict):
                raise LookupRequired("already_refunded")
            words = f"{call.key} would refund more than the captured amount"
            return self._refuse_excess(entry, words)
        stages = {Payer.PENDS: Stage.PENDING, Payer.DECLINES: Stage.DECLINED}
        part = Entry(
            id=f"{entry.id}_r{len(entry.parts) + 1}",
            kind=Kind.REFUND,
            operation=call.operation,
            amount=self._amount(call),
            currency=call.currency,
            stage=stages.get(payer, Stage.DONE),
            parent=of,
        )
        entry.parts.append(part)
        if part.stage is Stage.PENDING:
            self._invoices.add(call.operation)
            part.decided_at = self.clock() + DECISION_DELAY
        elif part.stage is Stage.DONE:
            self._move(part, part.amount)
        return part_answer(part)

    def _refuse_excess(self, entry: Entry, words: str) -> Answer:
        """Refuses an excess. It is a violation unless external movements explain it."""
        if self.strict and not any(one.is_external for one in entry.parts):
            raise Violation(words)
        return Answer(Verdict.REJECTED, failure=TOO_MUCH)

    def _find_entry(self, payment: Payment) -> Entry | None:
        known = payment.first_operation.refs.get("intent")
        if known is not None:
            return self.entries[known]
        if self.name is ProviderName.PAYPAL:
            return None  # it lists no orders
        for entry in self.entries.values():
            if entry.operation == payment.first_operation.id:
                return entry
        return None
