"""A failure of one payment affects no other, and its money moves once."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import replace

import pytest

from application.attempt import ESCALATED, run
from domain.errors import NeedsReview, NotSent, OutcomeUnknown, StoreUnavailable
from domain.payments.answer import Answer, Verdict
from domain.payments.event_types import EventType
from domain.payments.operation import Operation
from domain.payments.payment import LEASE, Payment
from domain.payments.start_attempt import expire_claim
from domain.payments.states import State
from tests.suites.samples import NOW, payment, sending, submission
from tests.support.fakes import Act, ScriptedProvider
from tests.support.memory_store import MemoryStore
from tests.unit.application.conftest import World


class _Crowded(MemoryStore):
    """A store with a concurrent write before each of ours."""

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        ids = {payment.id for payment in payments}
        for now in self.all_payments():
            if now.id in ids:
                event = EventType.OPERATION_ACCEPTED
                self.amend(now.with_event(now.claimed_operation, event, now=NOW))
        return super().settle_many(payments)


class _Refusing(MemoryStore):
    """A store that never writes the settle of ``refused``."""

    refused = ""
    settles = 0

    def settle_many(self, payments: Sequence[Payment]) -> list[Payment]:
        self.settles += 1
        return super().settle_many([one for one in payments if one.id != self.refused])


def test_a_settle_that_never_wins_leaves_the_payment_to_recovery(world: World) -> None:
    [one] = world.insert(payment())
    crowded = _Crowded(world.clock, table=world.store.table)
    world.context = replace(world.context, store=crowded)
    assert world.attempt(one) == {}
    assert world.stored(one).first_operation.state is State.RUNNING
    assert world.context.leased_ids == set()


def test_a_refused_settle_is_left_to_recovery_and_blocks_no_other(
    world: World,
) -> None:
    refused, other = world.insert(payment(1), payment(2))
    store = _Refusing(world.clock, table=world.store.table)
    store.refused = refused
    world.context = replace(world.context, store=store)
    assert set(world.attempt(refused, other)) == {other}
    assert store.settles <= 2, "a refused write is not repeated at once"
    assert world.stored(refused).first_operation.state is State.RUNNING
    assert world.context.leased_ids == set()
    world.context = replace(world.context, store=world.store)
    world.now += LEASE
    assert world.attempt(refused)[refused].answer == Verdict.SUCCEEDED
    assert len(world.provider.ledger) == 2


class _Broken(ScriptedProvider):
    """An adapter with faults of its own."""

    def prepare(self, payment: Payment, operation: Operation) -> str:
        if payment.submission.payment_method == "pm_prepare":
            raise AttributeError("nobody foresaw this")
        return super().prepare(payment, operation)

    def send(self, payment: Payment) -> Answer:
        answer = super().send(payment)
        if payment.submission.payment_method == "pm_send":
            raise TypeError("nobody foresaw this")
        return answer


def test_a_fault_in_an_adapter_stays_with_its_payment(world: World) -> None:
    broken = _Broken()
    world.put(broken)
    ids = world.insert(
        payment(1),
        payment(2, submitted=submission(payment_method="pm_prepare")),
        payment(3, submitted=submission(payment_method="pm_send")),
    )
    settled = world.attempt(*ids)
    assert [settled[one].answer for one in ids] == [
        "succeeded",
        ESCALATED,
        "outcome_unknown",
    ]
    assert world.stored(ids[1]).first_operation.state is State.REVIEW
    assert world.stored(ids[2]).first_operation.state is State.UNKNOWN
    assert len(broken.ledger) == 2, "the money had moved before the fault"


def test_payments_with_different_failures_do_not_affect_the_others(
    world: World,
) -> None:
    errors = [NotSent(), OutcomeUnknown(), NeedsReview(), ValueError("odd")]
    script = {f"pm_{number}": [_raising(error)] for number, error in enumerate(errors)}
    world.put(ScriptedProvider(script))
    failing = [
        payment(number + 1, submitted=submission(payment_method=f"pm_{number}"))
        for number in range(len(errors))
    ]
    ids = world.insert(*failing, payment(11), payment(12))
    settled = world.attempt(*ids)
    assert [settled[one].answer for one in ids] == [
        "not_sent",
        "outcome_unknown",
        "needs_review",
        "outcome_unknown",
        "succeeded",
        "succeeded",
    ]


class _Slow(ScriptedProvider):
    """A provider during whose answer another worker takes the payment over."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, payment: Payment) -> Answer:
        answer = super().send(payment)
        if len(self.sends) == 1:
            self._world.now += LEASE
            other = self._world.store.leased_by("two")
            [found] = other.load_due([payment.id])
            now = self._world.now
            other.claim_many([sending(expire_claim(found, now=now), now=now)])
        return answer


def test_a_worker_that_lost_its_lease_settles_nothing(world: World) -> None:
    slow = _Slow(world)
    world.put(slow)
    [one] = world.insert(payment())
    assert world.attempt(one) == {}
    assert world.stored(one).first_operation.state is State.UNKNOWN
    assert world.context.leased_ids == set()
    world.now += LEASE
    assert world.attempt(one)[one].answer == Verdict.SUCCEEDED
    assert len(slow.ledger) == 1


def test_a_payment_that_another_worker_claimed_first_is_left_to_it(
    world: World,
) -> None:
    [one] = world.insert(payment())
    [found] = world.store.load_due([one])
    world.store.leased_by("two").claim_many([sending(found, now=NOW)])
    assert world.attempt(one) == {}
    assert world.provider.sends == []


class _Watching(ScriptedProvider):
    """A provider that records the leases of its worker during the call."""

    def __init__(self, held: set[str]) -> None:
        super().__init__()
        self._held = held
        self.seen: list[set[str]] = []

    def send(self, payment: Payment) -> Answer:
        self.seen.append(set(self._held))
        return super().send(payment)


def test_a_payment_is_leased_from_its_send_until_it_is_settled(world: World) -> None:
    watching = _Watching(world.context.leased_ids)
    world.put(watching)
    [one] = world.insert(payment())
    world.attempt(one)
    assert watching.seen == [{one}]
    assert world.context.leased_ids == set()


class _Waiting(ScriptedProvider):
    """A provider whose answer to ``pm_last`` waits for an event."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def send(self, payment: Payment) -> Answer:
        if payment.submission.payment_method == "pm_last":
            assert self.go_on.wait(timeout=10)
        return super().send(payment)


def test_a_settled_payment_gives_up_its_lease_before_its_group_ends(
    world: World,
) -> None:
    waiting = _Waiting()
    world.put(waiting)
    slow = payment(2, submitted=submission(payment_method="pm_last"))
    first, second = world.insert(payment(1), slow)
    settling = run([first, second], world.context)
    [settled] = next(settling)
    assert settled.payment.id == first
    assert world.context.leased_ids == {second}
    waiting.go_on.set()
    assert [one.payment.id for [one] in settling] == [second]
    assert world.context.leased_ids == set()


def test_a_stopping_worker_returns_its_unsent_payments(world: World) -> None:
    [one] = world.insert(payment())
    world.context.stopping.set()
    assert world.attempt(one)[one].answer == NotSent.code
    assert world.provider.sends == []
    assert world.stored(one).first_operation.state is State.RETRYING
    assert world.context.leased_ids == set()


def test_a_worker_without_the_store_sends_nothing_and_holds_no_lease(
    world: World,
) -> None:
    [one] = world.insert(payment())
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        world.attempt(one)
    assert world.provider.sends == []
    assert world.context.leased_ids == set()


class _Cutting(ScriptedProvider):
    """A provider during whose answer the database becomes unavailable."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, payment: Payment) -> Answer:
        answer = super().send(payment)
        self._world.store.away = True
        return answer


def test_a_store_lost_during_a_call_leaves_the_group_to_recovery_without_leases(
    world: World,
) -> None:
    cutting = _Cutting(world)
    world.put(cutting)
    [one] = world.insert(payment())
    with pytest.raises(StoreUnavailable):
        world.attempt(one)
    assert world.context.leased_ids == set()
    world.store.away = False
    world.now += LEASE
    world.put(cutting)
    with pytest.raises(StoreUnavailable):
        world.attempt(one)
    assert len(cutting.ledger) == 1


def test_a_caller_that_stops_iterating_leaves_no_lease(world: World) -> None:
    ids = world.insert(*map(payment, range(1, 5)))
    settling = run(ids, world.context)
    next(settling)
    assert isinstance(settling, Generator)
    settling.close()
    assert world.context.leased_ids == set()


def _raising(error: Exception) -> Act:
    return Act(raises=lambda: error)
