"""The promises, checked at every write and every call, and once more at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.payments.operation import Kind, Operation
from domain.payments.payment import Event, Payment
from domain.payments.states import CORRECTIONS, STUCK, TERMINAL, State
from domain.payments.submission import DuplicatePolicy
from tests.simulation.dashboard import OTHERS
from tests.simulation.entries import Call
from tests.simulation.provider import SimulatedProvider
from tests.simulation.scheduler import Actor, Violation

#: States in which a send may have moved money and we do not know.
_OPEN: Final = frozenset({State.RUNNING, State.UNKNOWN})
#: What takes money from the payer, or puts it on hold.
_TAKES: Final = frozenset({Kind.CHARGE, Kind.AUTHORIZE, Kind.CAPTURE})
#: Where money may have moved though our books do not say so.
_MAY_HAVE_MOVED: Final = frozenset({State.REVIEW, State.REQUIRES_ACTION})
#: Before and after a look that proved that the provider never had it; what others left
#: no money for is rejected with it.
_UNPROVEN: Final = frozenset({State.UNKNOWN, State.REVIEW})
_PROVEN: Final = frozenset({State.RETRYING, State.DEAD, State.REJECTED})
#: From here a payment may go on to another account.
_FREE: Final = frozenset({State.QUEUED, State.RETRYING, State.RUNNING})
_CORRECTED: Final = {(before, after) for (before, _), after in CORRECTIONS.items()}


@dataclass(slots=True)
class Oracle:
    """What it knows of each payment is what was written last."""

    providers: Mapping[str, SimulatedProvider]  #: by account
    moved: Mapping[str, int]  #: over all accounts, by operation
    known: dict[str, Payment] = field(default_factory=dict)
    #: Every key and body that was ever written down.
    written_down: dict[str, str] = field(default_factory=dict)
    #: Who has a payment, and by which fence.
    claims: dict[str, tuple[int, Actor]] = field(default_factory=dict)
    #: Accepted requests by idempotency key: fingerprint and operation.
    promised: dict[str, tuple[str, str]] = field(default_factory=dict)

    def wrote(self, payments: Sequence[Payment]) -> None:
        """``payments`` are stored now."""
        for payment in payments:
            before = self.known.get(payment.id)
            if before is not None:
                _follows(before, payment)
                self._is_free(before, payment)
            else:
                self._stands_alone(payment)
            _within_bounds(payment)
            self.known[payment.id] = payment
            for one in payment.operations:
                if one.send is not None:
                    if one.send.key != one.provider_key:
                        raise Violation(f"{one.send.key} names no intent of ours")
                    self.written_down[one.send.key] = one.send.body

    def arrived(self, payment: Payment, call: Call) -> None:
        """``call`` reached the provider."""
        if self.written_down.get(call.key) != call.body:
            raise Violation(f"{call.key} was sent, and never written down")

    def claimed(self, payments: Sequence[Payment], actor: Actor) -> None:
        """``actor`` has ``payments`` now, until it settles or loses them."""
        for payment in payments:
            if payment.claim is not None:
                self.claims[payment.id] = (payment.claim.fence, actor)

    def settled(self, payments: Sequence[Payment], actor: Actor) -> None:
        """``actor`` has written down what its calls came to."""
        for payment in payments:
            claim = self.known[payment.id].claim
            fence = None if claim is None else claim.fence
            if self.claims.get(payment.id) != (fence, actor):
                raise Violation(f"{payment.id} was settled by who had lost it")

    def _stands_alone(self, new: Payment) -> None:
        """No other payment of a guarded reference may still take money, or has."""
        reference = new.submission.reference
        if reference is None or new.submission.duplicate_policy is DuplicatePolicy.NONE:
            return
        for one in self.known.values():
            held = one.hold is not None and one.hold.ended is None
            open_ = any(
                operation.kind in _TAKES and operation.state not in TERMINAL
                for operation in one.operations
            )
            if one.submission.reference == reference:
                if held or open_ or one.captured > one.refunded:
                    raise Violation(f"{new.id} beside {one.id}: {reference} twice")

    def _is_free(self, before: Payment, after: Payment) -> None:
        """Nobody goes on from an account that may have moved money, or may yet."""
        if before.account == after.account:
            return
        first = before.first_operation
        if self.providers[before.account.id].may_move(first.id):
            raise Violation(
                f"{first.id} went on from {before.account.id}, which has it"
            )
        if first.state not in _FREE:
            raise Violation(f"{first.id} went on while {first.state}")

    def promise(self, key: str, fingerprint: str, operation: str) -> None:
        """A client got the answer that its request is accepted."""
        accepted = self.promised.setdefault(key, (fingerprint, operation))
        if accepted != (fingerprint, operation):
            raise Violation(f"{key} was accepted as two operations")

    def judge(self, timelines: Mapping[str, Sequence[Event]]) -> None:
        """Checks the end: nothing is lost or done twice, and all events are written."""
        operations: dict[str, Operation] = {}
        for payment in self.known.values():
            _explained(payment, timelines[payment.id])
            said = {
                str(event.data["operation"])
                for event in timelines[payment.id]
                if event.data.get("by") and "amount" in event.data
            }
            for one in payment.operations:
                operations[one.id] = one
                self._ended(payment, one)
                less = one.moved != one.amount and one.kind is not Kind.VOID
                if one.state is State.SUCCEEDED and less and one.id not in said:
                    raise Violation(f"{one.id} succeeded with {one.moved}")
            self._sums(payment)
            self._hold(payment)
        for key, (_, operation) in self.promised.items():
            if operation not in operations:
                raise Violation(f"{key} was promised, and {operation} is lost")
        known = {_moved_by(one) for one in operations.values()}
        for moved in self.moved:
            if moved not in known and self._should_know(moved):
                raise Violation(f"{moved} moved money, and nobody knows of it")

    def _should_know(self, moved: str) -> bool:
        """Of what others did at the provider not, while the payment waits for a person,
        or is of another object."""
        if not moved.startswith(OTHERS):
            return True
        intent = moved.removeprefix(OTHERS).rpartition("_")[0]
        return any(
            payment.first_operation.refs.get("intent") == intent
            and not any(one.state in STUCK for one in payment.operations)
            for payment in self.known.values()
        )

    def _ended(self, payment: Payment, one: Operation) -> None:
        moved = self.moved.get(_moved_by(one))
        if one.has_work or one.state is State.PENDING:
            raise Violation(f"{one.id} is {one.state}, and nothing happens any more")
        if one.state not in TERMINAL and not one.waiting_for:
            raise Violation(f"{one.id} is {one.state}, and does not say what for")
        if one.state in TERMINAL and one.due_at is not None:
            raise Violation(f"{one.id} is {one.state}, and work is owed on it")
        if one.kind is Kind.VOID:
            held = payment.first_operation.id in self.moved
            if one.state is State.SUCCEEDED and held:
                if not self._let_go(payment, payment.first_operation):
                    raise Violation(f"{one.id} voided what is still on hold")
            return
        if one.state is State.SUCCEEDED:
            if moved is None or one.moved != moved or moved > one.amount:
                raise Violation(f"{one.id} succeeded, and the provider moved {moved}")
        elif moved is None or one.state in _MAY_HAVE_MOVED:
            if one.moved:
                raise Violation(f"{one.id} is {one.state}, and counts {one.moved}")
        elif one.kind is not Kind.AUTHORIZE or not self._let_go(payment, one):
            raise Violation(f"{one.id} is {one.state}, and the provider moved {moved}")

    def _hold(self, payment: Payment) -> None:
        """Checks that a hold with a known end is not open after its release."""
        hold = payment.hold
        if hold is None or hold.ended is not None or hold.expires_at is None:
            return
        if self._let_go(payment, payment.first_operation):
            raise Violation(f"{payment.id} is {payment.status}, and nothing is held")

    def _sums(self, payment: Payment) -> None:
        """Between what we say and what we say may come, is what the provider moved."""
        captured = self._moved(payment, Kind.CHARGE, Kind.CAPTURE)
        refunded = self._moved(payment, Kind.REFUND)
        open_first = (
            0 if payment.first_operation.is_terminal else payment.first_operation.amount
        )
        most = payment.captured + payment.capture_reserved + open_first
        if not payment.captured <= captured <= most:
            raise Violation(f"{payment.id}: captured {captured}, we say otherwise")
        back = payment.refunded + payment.refund_reserved
        if not payment.refunded <= refunded <= back:
            raise Violation(f"{payment.id}: refunded {refunded}, we say otherwise")
        if refunded > captured:
            raise Violation(f"{payment.id}: refunded {refunded} of {captured}")

    def _moved(self, payment: Payment, *kinds: Kind) -> int:
        return sum(
            self.moved.get(_moved_by(one), 0)
            for one in payment.operations
            if one.kind in kinds
        )

    def _let_go(self, payment: Payment, operation: Operation) -> bool:
        return self.providers[payment.account.id].bank.let_go(operation.id)


def _moved_by(operation: Operation) -> str:
    """The name that money moved by, in the providers' books."""
    if not operation.is_external:
        return operation.id
    return f"{OTHERS}{operation.refs.get(operation.kind)}"


def _within_bounds(payment: Payment) -> None:
    captured, refunded = payment.captured, payment.refunded
    if captured + payment.capture_reserved > payment.authorized:
        raise Violation(f"{payment.id}: captures beyond the authorization")
    if refunded + payment.refund_reserved > captured:
        raise Violation(f"{payment.id}: refunds beyond what was captured")


def _follows(before: Payment, after: Payment) -> None:
    """Whether ``after`` may come of ``before`` in one write."""
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
        # An operator says how much moved, where that is less than was asked for.
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


def _explained(payment: Payment, timeline: Sequence[Event]) -> None:
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
            raise Violation(f"{one.id} is {one.state}, and its timeline says otherwise")
