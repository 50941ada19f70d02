"""A payment under hypothesis' requests, answers, errors and pauses.

The machine compares it with the provider's movements by key. It has no concurrency and
no calls in flight; the random histories have them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from domain.errors import (
    Conflict,
    LookupRequired,
    Misconfigured,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import capture, refund, void
from domain.payments.operation import ClaimAction, Kind, Operation
from domain.payments.operator_actions import (
    Evidence,
    Intervention,
    replay_operation,
    resolve_operation,
)
from domain.payments.payment import Event, Payment
from domain.payments.start_attempt import (
    advance_hold,
    start_lookup,
    expire_claim,
    record_send,
)
from domain.payments.states import STUCK, TERMINAL, State
from domain.payments.submission import CaptureMethod, ProviderName
from tests.suites.samples import NOW, PRICE, origin, payment, stored, submission

OPERATOR: Final = Intervention("operator", "a reason")
REFS: Final = {"payment_intent": "pi_1", "authorization": "a_1"}
amounts: Final = st.none() | st.sampled_from([1, 600, 1000, 1999])
errors: Final = st.sampled_from(
    [
        NotSent(),
        NotExecuted("busy"),
        Misconfigured(),
        OutcomeUnknown(),
        LookupRequired(),
    ]
)


class PaymentMachine(RuleBasedStateMachine):
    """One payment, its stored timeline, and the provider's books."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.payment: Payment = stored(payment())
        self.timeline: list[Event] = []
        self.moved: dict[str, str] = {}  #: key by operation
        self.ended: dict[str, State] = {}
        self.request_count = 0

    @initialize(
        provider=st.sampled_from([*ProviderName]),
        manual=st.booleans(),
        paid=st.booleans(),
    )
    def begin(self, provider: ProviderName, manual: bool, paid: bool) -> None:
        how = CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC
        asked = replace(submission(provider=provider), capture=how)
        self.timeline = []
        self._store(payment(submitted=asked))
        if paid:
            self.claim_due_step()
            self.carry_out(answered=True)

    @rule(by=st.sampled_from([1.0, 20.0, 660.0, 20_000.0, 86_000.0, 300_000.0]))
    def pass_time(self, by: float) -> None:
        self.now += timedelta(seconds=by)

    @rule(
        kind=st.sampled_from([Kind.CAPTURE] * 3 + [Kind.REFUND] * 3 + [Kind.VOID]),
        amount=amounts,
        final=st.booleans(),
    )
    def request_follow_up(self, kind: Kind, amount: int | None, final: bool) -> None:
        self.request_count += 1
        name = f"op_{self.request_count}"
        request, now = origin(name), self.now
        here = self.payment
        try:
            if kind is Kind.CAPTURE:
                step = capture(
                    here, amount=amount, final=final, id=name, origin=request, now=now
                )
            elif kind is Kind.REFUND:
                step = refund(
                    here, amount=amount, target=None, id=name, origin=request, now=now
                )
            else:
                step = void(here, id=name, origin=request, now=now)
        except Conflict:
            return
        self._store(step)

    @precondition(lambda self: self.payment.due_at or self.payment.claim)
    @rule()
    def claim_due_step(self) -> None:
        """Claims the due payment, after the end of another lease if there was one."""
        self.now = max(self.now, self.payment.due_at or self.now)
        free = expire_claim(self.payment, now=self.now)
        if free.hold is not None and free.hold.next_at is not None:
            if free.hold.next_at == free.due_at:
                free = advance_hold(free, now=self.now)
        operation = free.next_operation
        if operation is None:
            self._store(free)
        elif operation.needs_lookup(now=self.now):
            self._store(start_lookup(free, operation, now=self.now))
        else:
            self._store(record_send(free, operation, "{}", now=self.now))

    @precondition(lambda self: self._is_sending)
    @rule(answered=st.booleans())
    def carry_out(self, answered: bool) -> None:
        self._settle(
            self._move_money() if answered else self._lose_answer(carried_out=True)
        )

    @precondition(lambda self: self._is_sending)
    @rule(error=errors)
    def fail_send(self, error: ProviderError) -> None:
        self._settle(error)

    @precondition(lambda self: self._is_sending)
    @rule(named=st.booleans())
    def decline(self, named: bool) -> None:
        """A refusal without an object may mean that an earlier send took the money."""
        moved = self.payment.claimed_operation.id in self.moved
        refs = REFS if named and not moved else {}
        self._settle(Answer(Verdict.DECLINED, refs=refs))

    @precondition(lambda self: self._is_sending and not self._has_moved)
    @rule()
    def answer_pending(self) -> None:
        self._settle(Answer(Verdict.PENDING, refs=REFS))

    @precondition(lambda self: self._is_looking_up)
    @rule(error=st.none() | errors)
    def look_up(self, error: ProviderError | None) -> None:
        one = self.payment.claimed_operation
        if error is not None:
            self._settle(error)
        elif one.id in self.moved:
            self._settle(self._success(one))
        elif one.state is State.PENDING:
            self._settle(Answer(Verdict.DECLINED, refs=REFS))
        else:
            self._settle(Answer(Verdict.ABSENT))

    @rule(resolve=st.booleans())
    def resolve_or_replay(self, resolve: bool) -> None:
        for one in self.payment.operations:
            if one.state not in STUCK:
                continue
            done = one.id in self.moved
            verdict = Verdict.SUCCEEDED if done else Verdict.CANCELED
            try:
                if resolve:
                    step = resolve_operation(
                        self.payment, one, Evidence(verdict), OPERATOR, now=self.now
                    )
                else:
                    step = replay_operation(self.payment, one, OPERATOR, now=self.now)
            except Conflict:
                return
            self._store(step)
            return

    @invariant()
    def money_is_within_bounds(self) -> None:
        here = self.payment
        assert 0 <= here.captured + here.capture_reserved <= here.authorized
        assert 0 <= here.refunded + here.refund_reserved <= here.captured
        assert here.authorized in (0, PRICE.minor)

    @invariant()
    def recorded_amounts_are_true(self) -> None:
        for one in self.payment.operations:
            if one.kind is Kind.VOID:
                continue
            moved = one.id in self.moved
            assert one.moved == (one.amount if one.state is State.SUCCEEDED else 0)
            if one.state is State.SUCCEEDED:
                assert moved
            elif one.state in TERMINAL or one.state is State.DEAD:
                assert not moved, f"{one.id} is {one.state}"

    @invariant()
    def final_states_never_change(self) -> None:
        for one in self.payment.operations:
            assert self.ended.get(one.id, one.state) is one.state
            if one.state in TERMINAL:
                self.ended[one.id] = one.state

    @invariant()
    def open_operations_have_a_next_step(self) -> None:
        for one in self.payment.operations:
            working = self.payment.claim is not None
            assert one.is_terminal or one.due_at or one.waiting_for or working

    @invariant()
    def the_timeline_explains_it(self) -> None:
        states: dict[object, object] = {}
        assert [one.seq for one in self.timeline] == list(
            range(1, len(self.timeline) + 1)
        )
        for event in self.timeline:
            name = event.data.get("operation")
            if "from" in event.data:
                assert states[name] == event.data["from"]
            states[name] = event.data["to"]
        assert all(states[one.id] == one.state for one in self.payment.operations)

    @property
    def _is_sending(self) -> bool:
        claim = self.payment.claim
        return claim is not None and claim.action is ClaimAction.SEND

    @property
    def _is_looking_up(self) -> bool:
        claim = self.payment.claim
        return claim is not None and claim.action is ClaimAction.LOOKUP

    @property
    def _has_moved(self) -> bool:
        return self.payment.claimed_operation.id in self.moved

    def _move_money(self) -> Answer:
        one = self.payment.claimed_operation
        assert one.send is not None
        assert self.moved.setdefault(one.id, one.send.key) == one.send.key, "twice"
        return self._success(one)

    def _lose_answer(self, *, carried_out: bool) -> ProviderError:
        if carried_out:
            self._move_money()
        return OutcomeUnknown("no_answer")

    def _success(self, one: Operation) -> Answer:
        money = None if one.kind is Kind.VOID else Money(one.amount, PRICE.currency)
        held = self.now + timedelta(days=7) if one.kind is Kind.AUTHORIZE else None
        own = {"capture": one.id} if one.collects_money else {}
        refs = {**REFS, **own}
        return Answer(Verdict.SUCCEEDED, money, refs, expires_at=held)

    def _settle(self, outcome: Answer | ProviderError) -> None:
        self._store(settle(self.payment, outcome, now=self.now, jitter=0.5))

    def _store(self, step: Payment) -> None:
        self.timeline += step.pending_events
        self.payment = stored(step)


TestPaymentMachine = PaymentMachine.TestCase
TestPaymentMachine.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None
)
