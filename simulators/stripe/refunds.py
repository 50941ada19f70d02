"""Refunds: at once, later, or failing later."""

from __future__ import annotations

from typing import Final

from simulators.calls import Answer, Call, Refused, new_id
from simulators.stripe.dispute_shape import refundable
from simulators.stripe.errors import answer, error, invalid
from simulators.stripe.objects import Charge, Refund
from simulators.stripe.params import (
    REFUND,
    amount_of,
    check_known,
    check_step,
    metadata_of,
    text,
)
from simulators.stripe.shapes import show_charge, show_refund
from simulators.stripe.store import Store

#: Seconds after which a pending refund succeeds and a failing one fails: a day.
SETTLEMENT: Final = 86400
REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")


class Refunds:
    """Refunds money, at most the captured amount."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, call: Call) -> Answer:
        """``POST /v1/refunds``.

        The ledger gets its row when the money has really gone back: at once, or when
        a pending refund succeeds. A refund that fails later never gets one.
        """
        check_known(call.body, REFUND)
        charge = self._charge(call)
        left = charge.amount_captured - charge.amount_refunded
        reason = call.body.get("reason")
        if reason is not None and reason not in REASONS:
            raise invalid(
                f"Invalid reason: must be one of {', '.join(REASONS)}", "reason"
            )
        if left == 0:
            raise Refused(
                error(
                    400,
                    f"Charge {charge.id} has already been refunded.",
                    stored=True,
                    code="charge_already_refunded",
                )
            )
        if charge.dispute is not None and not refundable(charge.dispute):
            raise Refused(
                error(
                    400,
                    f"Charge {charge.id} has been charged back; cannot issue a refund.",
                    stored=True,
                    code="charge_disputed",
                )
            )
        amount = amount_of(call.body, "amount", left)
        check_step(amount, charge.intent.currency, "amount")
        if amount > left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge "
                f"({left})",
                "amount",
            )
        return answer(call, show_refund(self._give_back(charge, amount, call)))

    def _charge(self, call: Call) -> Charge:
        """Return the charge that the call names, directly or by its intent."""
        charge_id = text(call.body, "charge", 5000)
        intent_id = text(call.body, "payment_intent", 5000)
        if charge_id is not None:
            charge = self._store.charge(call.account, charge_id, "charge")
        elif intent_id is not None:
            intent = self._store.intent(call.account, intent_id, "payment_intent")
            if intent.charge is None or not intent.charge.amount_captured:
                raise invalid(
                    f"This PaymentIntent ({intent.id}) does not have a successful "
                    f"charge to refund.",
                    "payment_intent",
                )
            charge = intent.charge
        else:
            raise invalid(
                "One of the following params should be provided for this request: "
                "payment_intent or charge.",
                code="parameter_missing",
            )
        if not charge.amount_captured:
            raise invalid(f"Charge {charge.id} has not been captured.", "charge")
        return charge

    def _give_back(self, charge: Charge, amount: int, call: Call) -> Refund:
        store, account = self._store, self._store.account(call.account)
        manner = charge.method.refund
        refund = Refund(
            id=new_id("re_3", 23),
            charge=charge,
            position=len(account.refunds),
            created=store.now(),
            amount=amount,
            metadata=metadata_of(call.body),
            reason=call.body.get("reason"),
            status="pending" if manner == "pending" else "succeeded",
            key=call.key,
        )
        account.refunds.append(refund)
        store.refunds[refund.id] = refund
        charge.amount_refunded += amount
        if manner == "pending":
            store.world.clock.schedule(SETTLEMENT, lambda: self._complete(refund))
        else:
            self._settle(refund)
        if manner == "failing":
            store.world.clock.schedule(SETTLEMENT, lambda: self._fail(refund))
        if manner == "instant":
            self._move(refund)
        store.send_event(call.account, "refund.created", show_refund(refund), call)
        store.send_event(call.account, "charge.refunded", show_charge(charge), call)
        return refund

    def _complete(self, refund: Refund) -> None:
        refund.status = "succeeded"
        self._settle(refund)
        self._move(refund)
        self._send_event(refund, "refund.updated", "charge.refund.updated")

    def _fail(self, refund: Refund) -> None:
        refund.status = "failed"
        refund.failure_reason = "expired_or_canceled_card"
        refund.charge.amount_refunded -= refund.amount
        refund.failure_balance_transaction = self._store.settle(
            refund.charge.intent,
            "refund_failure",
            refund.id,
            refund.amount,
            description="REFUND FAILURE FOR CHARGE",
        ).id
        self._send_event(
            refund, "refund.updated", "charge.refund.updated", "refund.failed"
        )

    def _settle(self, refund: Refund) -> None:
        refund.balance_transaction = self._store.settle(
            refund.charge.intent,
            "refund",
            refund.id,
            -refund.amount,
            description="REFUND FOR CHARGE",
        ).id

    def _move(self, refund: Refund) -> None:
        intent = refund.charge.intent
        self._store.move(
            "refund", intent, refund.id, refund.amount, refund.key, refund.metadata
        )

    def _send_event(self, refund: Refund, *types: str) -> None:
        account = refund.charge.intent.account
        for type in types:
            self._store.send_event(account, type, show_refund(refund), None)
