"""The promises, checked at every write, at every call and at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.payments.operation import Kind, Operation
from domain.payments.payment import Event, Payment
from domain.payments.states import CORRECTIONS, STUCK, TERMINAL, State
from domain.payments.submission import DuplicatePolicy
from tests.simulation.dashboard import EXTERNAL
from tests.simulation.entries import Call
from tests.simulation.provider import SimulatedProvider
from tests.simulation.scheduler import Actor, Violation

#: States after a send with an unknown result.
_OPEN: Final = frozenset({State.RUNNING, State.UNKNOWN})
#: Kinds that take or hold money of the payer.
_COLLECTING: Final = frozenset({Kind.CHARGE, Kind.AUTHORIZE, Kind.CAPTURE})
#: States in which money may have moved without an entry in our books.
_MAY_HAVE_MOVED: Final = frozenset({State.REVIEW, State.REQUIRES_ACTION})
#: States before and after a lookup that proved absence. REJECTED is for follow-ups
#: whose money was moved externally.
_UNPROVEN: Final = frozenset({State.UNKNOWN, State.REVIEW})
_PROVEN: Final = frozenset({State.RETRYING, State.DEAD, State.REJECTED})
#: States from which a payment may be rerouted.
_REROUTABLE: Final = frozenset({State.QUEUED, State.RETRYING, State.RUNNING})
_CORRECTED: Final = {(before, after) for (before, _), after in CORRECTIONS.items()}


@dataclass(slots=True)
class Oracle:
    """Checks the promises against the last write of each payment."""

    providers: Mapping[str, SimulatedProvider]  #: by account
    moved: Mapping[str, int]  #: over all accounts, by operation
    known: dict[str, Payment] = field(default_factory=dict)
    #: Every recorded key and its body.
    recorded_sends: dict[str, str] = field(default_factory=dict)
    #: The fence and the actor of each claimed payment.
    claims: dict[str, tuple[int, Actor]] = field(default_factory=dict)
    #: Accepted requests by idempotency key: fingerprint and operation.
    promises: dict[str, tuple[str, str]] = field(default_factory=dict)

    def record_write(self, payments: Sequence[Payment]) -> None:
        """Checks and records a write of ``payments``."""
        for payment in payments:
            before = self.known.get(payment.id)
            if before is not None:
                _check_step(before, payment)
                self._check_reroute(before, payment)
            else:
                self._check_reference(payment)
            _check_bounds(payment)
            self.known[payment.id] = payment
            for one in payment.operations:
                if one.send is not None:
                    if one.send.key != one.provider_key:
                        raise Violation(
                            f"{one.send.key} is not the key of its operation"
                        )
                    self.recorded_sends[one.send.key] = one.send.body

    def check_arrival(self, payment: Payment, call: Call) -> None:
        """Checks that a call at the provider was recorded before."""
        if self.recorded_sends.get(call.key) != call.body:
            raise Violation(f"{call.key} was sent without a record")

    def record_claims(self, payments: Sequence[Payment], actor: Actor) -> None:
        """Records that ``actor`` has claimed ``payments``."""
        for payment in payments:
            if payment.claim is not None:
                self.claims[payment.id] = (payment.claim.fence, actor)

    def check_settlement(self, payments: Sequence[Payment], actor: Actor) -> None:
        """Checks that ``actor`` settles only payments of its own claims."""
        for payment in payments:
            claim = self.known[payment.id].claim
            fence = None if claim is None else claim.fence
            if self.claims.get(payment.id) != (fence, actor):
                raise Violation(f"{payment.id} was settled after its claim was lost")

    def _check_reference(self, new: Payment) -> None:
        """Checks that no other payment of a protected reference may take money."""
        reference = new.submission.reference
        if reference is None or new.submission.duplicate_policy is DuplicatePolicy.NONE:
            return
        for one in self.known.values():
            held = one.hold is not None and one.hold.ended is None
            open_ = any(
                operation.kind in _COLLECTING and operation.state not in TERMINAL
                for operation in one.operations
            )
            if one.submission.reference == reference:
                if held or open_ or one.captured > one.refunded:
                    raise Violation(f"{new.id} beside {one.id}: {reference} twice")

    def _check_reroute(self, before: Payment, after: Payment) -> None:
        """Checks that a reroute leaves no account that may move money."""
        if before.account == after.account:
            return
        first = before.first_operation
        if self.providers[before.account.id].may_have_moved(first.id):
            raise Violation(
                f"{first.id} was rerouted from {before.account.id}, which has it"
            )
        if first.state not in _REROUTABLE:
            raise Violation(f"{first.id} was rerouted while {first.state}")

    def record_promise(self, key: str, fingerprint: str, operation: str) -> None:
        """Records that a client's request was accepted."""
        accepted = self.promises.setdefault(key, (fingerprint, operation))
        if accepted != (fingerprint, operation):
            raise Violation(f"{key} was accepted as two operations")

    def check_end(self, timelines: Mapping[str, Sequence[Event]]) -> None:
        """Checks the end: nothing is lost or done twice, and all events are written."""
        operations: dict[str, Operation] = {}
        for payment in self.known.values():
            _check_timeline(payment, timelines[payment.id])
            stated_amounts = {
                str(event.data["operation"])
                for event in timelines[payment.id]
                if event.data.get("by") and "amount" in event.data
            }
            for one in payment.operations:
                operations[one.id] = one
                self._check_operation_end(payment, one)
                less = one.moved != one.amount and one.kind is not Kind.VOID
                if (
                    one.state is State.SUCCEEDED
                    and less
                    and one.id not in stated_amounts
                ):
                    raise Violation(f"{one.id} succeeded with {one.moved}")
            self._check_sums(payment)
            self._check_hold(payment)
        for key, (_, operation) in self.promises.items():
            if operation not in operations:
                raise Violation(f"{key} was accepted, and {operation} is lost")
        known = {_movement_name(one) for one in operations.values()}
        for moved in self.moved:
            if moved not in known and self._must_be_known(moved):
                raise Violation(f"{moved} moved money that no operation shows")

    def _must_be_known(self, moved: str) -> bool:
        """Whether our books must have a movement.

        They need no external movement of another object, or of a payment in review.
        """
        if not moved.startswith(EXTERNAL):
            return True
        intent = moved.removeprefix(EXTERNAL).rpartition("_")[0]
        return any(
            payment.first_operation.refs.get("intent") == intent
            and not any(one.state in STUCK for one in payment.operations)
            for payment in self.known.values()
        )

    def _check_operation_end(self, payment: Payment, one: Operation) -> None:
        moved = self.moved.get(_movement_name(one))
        if one.has_work or one.state is State.PENDING:
            raise Violation(f"{one.id} is {one.state}, and time does not change it")
        if one.state not in TERMINAL and not one.waiting_for:
            raise Violation(f"{one.id} is {one.state}, and has no waiting_for")
        if one.state in TERMINAL and one.due_at is not None:
            raise Violation(f"{one.id} is {one.state}, and still has work")
        if one.kind is Kind.VOID:
            held = payment.first_operation.id in self.moved
            if one.state is State.SUCCEEDED and held:
                if not self._is_released(payment, payment.first_operation):
                    raise Violation(
                        f"{one.id} succeeded, and the money is still on hold"
                    )
            return
        if one.state is State.SUCCEEDED:
            if moved is None or one.moved != moved or moved > one.amount:
                raise Violation(f"{one.id} succeeded, and the provider moved {moved}")
        elif moved is None or one.state in _MAY_HAVE_MOVED:
            if one.moved:
                raise Violation(f"{one.id} is {one.state}, and counts {one.moved}")
        elif one.kind is not Kind.AUTHORIZE or not self._is_released(payment, one):
            raise Violation(f"{one.id} is {one.state}, and the provider moved {moved}")

    def _check_hold(self, payment: Payment) -> None:
        """Checks that a hold with a known end is not open after its release."""
        hold = payment.hold
        if hold is None or hold.ended is not None or hold.expires_at is None:
            return
        if self._is_released(payment, payment.first_operation):
            raise Violation(f"{payment.id} is {payment.status}, and nothing is held")

    def _check_sums(self, payment: Payment) -> None:
        """Checks the provider's sums against ours, with and without reservations."""
        captured = self._sum_movements(payment, Kind.CHARGE, Kind.CAPTURE)
        refunded = self._sum_movements(payment, Kind.REFUND)
        open_first = (
            0 if payment.first_operation.is_terminal else payment.first_operation.amount
        )
        most = payment.captured + payment.capture_reserved + open_first
        if not payment.captured <= captured <= most:
            raise Violation(f"{payment.id}: captured {captured}, our books differ")
        back = payment.refunded + payment.refund_reserved
        if not payment.refunded <= refunded <= back:
            raise Violation(f"{payment.id}: refunded {refunded}, our books differ")
        if refunded > captured:
            raise Violation(f"{payment.id}: refunded {refunded} of {captured}")

    def _sum_movements(self, payment: Payment, *kinds: Kind) -> int:
        return sum(
            self.moved.get(_movement_name(one), 0)
            for one in payment.operations
            if one.kind in kinds
        )

    def _is_released(self, payment: Payment, operation: Operation) -> bool:
        return self.providers[payment.account.id].bank.is_released(operation.id)


def _movement_name(operation: Operation) -> str:
    """Returns the name of an operation's movement in the providers' books."""
    if not operation.is_external:
        return operation.id
    return f"{EXTERNAL}{operation.refs.get(operation.kind)}"


def _check_bounds(payment: Payment) -> None:
    captured, refunded = payment.captured, payment.refunded
    if captured + payment.capture_reserved > payment.authorized:
        raise Violation(f"{payment.id}: captures exceed the authorization")
    if refunded + payment.refund_reserved > captured:
        raise Violation(f"{payment.id}: refunds exceed the captured amount")


def _check_step(before: Payment, after: Payment) -> None:
    """Checks that ``after`` may follow ``before`` in one write."""
    if after.version != before.version + 1:
        raise Violation(f"{after.id}: version {after.version} after {before.version}")
    if (
        len(after.operations) < len(before.operations)
        or after.event_count < before.event_count
    ):
        raise Violation(f"{after.id} lost an operation, or part of its timeline")
    for was, now in zip(before.operations, after.operations, strict=False):
        if was is now:
            continue
        # An operator may state that less than the requested amount moved.
        same_amount = now.amount == was.amount or now.amount == now.moved < was.amount
        if (was.id, was.kind) != (now.id, now.kind) or not same_amount:
            raise Violation(f"{was.id} became another operation")
        if was.state in TERMINAL and now.state is not was.state:
            if (was.state, now.state) not in _CORRECTED:
                raise Violation(f"{was.id}: {was.state} became {now.state}")
        if was.state in _OPEN and was.send is not None and now.send is not None:
            if (was.send.key, was.send.body) != (now.send.key, now.send.body):
                raise Violation(f"{was.id}: another key while {was.state}")
        if now.generation != was.generation:
            proven = was.state in _UNPROVEN and now.state in _PROVEN
            approved = now.approved and not was.approved
            routed = before.account != after.account
            proven = proven or approved or routed
            if now.generation != was.generation + 1 or not proven:
                raise Violation(f"{was.id}: a new generation, and no proof of absence")


def _check_timeline(payment: Payment, timeline: Sequence[Event]) -> None:
    if [event.seq for event in timeline] != list(range(1, payment.event_count + 1)):
        raise Violation(f"{payment.id}: its timeline has a gap")
    states: dict[str, object] = {}
    for event in timeline:
        if "to" not in event.data:
            continue
        name = str(event.data["operation"])
        was = event.data.get("from")
        if was is not None and states.get(name, was) != was:
            raise Violation(f"{name}: {was} has no event")
        states[name] = event.data["to"]
    for one in payment.operations:
        if states.get(one.id) != one.state.value:
            raise Violation(f"{one.id} is {one.state}, and its timeline differs")
