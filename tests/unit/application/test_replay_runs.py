"""Replays are carried out once and at their rate, and can be stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

import pytest

from application import operator_actions
from application.operator_actions import OperatorContext
from domain.errors import (
    Conflict,
    NeedsReview,
    NotSent,
    StoreUnavailable,
    WriteRefused,
)
from domain.payments.answer import Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import refund
from domain.payments.operator_actions import Evidence, Intervention, ReplayAction
from domain.payments.payment import Payment
from domain.payments.states import State
from domain.replays import ItemOutcome, ReplaySet, Search, ReplayStage
from tests.suites.replays import brought
from tests.suites.samples import (
    insert_all,
    DECLINE,
    NOW,
    SHOP,
    origin,
    payment,
    sending,
)
from tests.support.fakes import LOSE_REQUEST
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryReplays
from tests.support.operator_setup import (
    OPERATOR,
    Interrupted,
    preview,
    reviews,
    run,
    verdicts,
)
from tests.unit.application.conftest import World

SECOND: Final = timedelta(seconds=1)


def dead(world: World, number: int) -> Payment:
    """An operation that was refused for four days."""
    [kept] = insert_all(world.store, [payment(number)])
    [won] = world.store.claim_many([sending(kept)])
    late = NOW + timedelta(days=4)
    [gave_up] = world.store.settle_many([settle(won, NotSent(), now=late, jitter=1)])
    assert gave_up.first_operation.state is State.DEAD
    return gave_up


def test_a_replay_restarts_all_operations_and_records_operator_and_reason(
    world: World, operator_context: OperatorContext
) -> None:
    ids = [*reviews(world, [1]), dead(world, 2).id]
    replay = run(operator_context, preview(operator_context))
    assert operator_actions.run_replays(operator_context) == 2
    assert verdicts(operator_context, replay) == [
        ItemOutcome.REPLAYED,
        ItemOutcome.REPLAYED,
    ]
    assert sorted(world.queue.waiting) == sorted(ids)
    for one in ids:
        event = (world.store.load_timeline(SHOP, one) or [])[-1]
        assert event.type == "operation.replayed"
        assert (event.data["by"], event.data["reason"]) == (
            OPERATOR.by,
            OPERATOR.reason,
        )
        assert event.data["replay_set"] == replay.id
    found = operator_context.replays.get(replay.id)
    assert found is not None and found.stage is ReplayStage.DONE


def test_a_replayed_set_is_paid_once_and_a_second_run_does_nothing(
    world: World, operator_context: OperatorContext
) -> None:
    world.script(LOSE_REQUEST)
    ids = [*reviews(world, [1, 2]), dead(world, 3).id]
    replay = run(operator_context, preview(operator_context))
    operator_actions.run_replays(operator_context)
    for _ in range(3):
        world.attempt(*ids)
        world.now += timedelta(minutes=1)
    assert len(world.provider.ledger) == 3
    with pytest.raises(Conflict):
        run(operator_context, replay)
    assert operator_actions.run_replays(operator_context) == 0
    assert len(world.provider.ledger) == 3


def test_a_replay_carries_out_at_most_its_rate_in_a_second(
    world: World, operator_context: OperatorContext
) -> None:
    reviews(world, range(1, 8))
    replay = run(operator_context, preview(operator_context), rate=3)
    done = []
    for _ in range(4):
        done += [
            operator_actions.run_replays(operator_context),
            operator_actions.run_replays(operator_context),
        ]
        world.now += SECOND
    assert done == [3, 0, 3, 0, 1, 0, 0, 0]
    assert set(verdicts(operator_context, replay)) == {ItemOutcome.REPLAYED}


def test_a_canceled_replay_stops_and_another_continues_with_the_rest(
    world: World, operator_context: OperatorContext
) -> None:
    reviews(world, range(1, 4))
    replay = run(operator_context, preview(operator_context), rate=1)
    operator_actions.run_replays(operator_context)
    stopped = operator_actions.cancel_replay(
        replay.id, by="key_3", context=operator_context
    )
    assert (stopped.stage, stopped.canceled_by) == (ReplayStage.CANCELED, "key_3")
    assert (
        operator_actions.cancel_replay(replay.id, by="key_4", context=operator_context)
        == stopped
    )
    world.now += SECOND
    assert operator_actions.run_replays(operator_context) == 0
    run(operator_context, replay)
    assert operator_actions.run_replays(operator_context) == 2
    assert verdicts(operator_context, replay) == 3 * [ItemOutcome.REPLAYED]
    with pytest.raises(Conflict):
        operator_actions.cancel_replay(replay.id, by="key_3", context=operator_context)


def test_a_second_run_of_a_running_replay_changes_nothing(
    world: World, operator_context: OperatorContext
) -> None:
    reviews(world, [1])
    replay = run(operator_context, preview(operator_context))
    assert run(operator_context, replay, rate=50) == replay


def test_a_changed_payment_is_not_replayed(
    world: World, operator_context: OperatorContext
) -> None:
    [one] = reviews(world, [1])
    replay = run(operator_context, preview(operator_context))
    found = world.stored(one)
    who = Intervention("key_9", "seen at the provider")
    operator_actions.resolve(
        one,
        found.first_operation.id,
        Evidence(Verdict.SUCCEEDED),
        who,
        context=operator_context,
    )
    operator_actions.run_replays(operator_context)
    assert verdicts(operator_context, replay) == [ItemOutcome.MOVED_ON]
    assert world.stored(one).first_operation.state is State.SUCCEEDED


def test_a_payment_that_changes_during_its_replay_is_not_replayed(
    world: World, operator_context: OperatorContext
) -> None:
    reviews(world, [1])
    replay = run(operator_context, preview(operator_context))
    late = OperatorContext(
        operator_context.view,
        Interrupted(world.store, 1),
        operator_context.replays,
        operator_context.queue,
        operator_context.clock,
    )
    operator_actions.run_replays(late)
    assert verdicts(operator_context, replay) == [ItemOutcome.MOVED_ON]
    assert world.queue.waiting == []


class _Refusing(MemoryStore):
    """A store that refuses the steps of one payment."""

    refused = ""

    def amend(self, payment: Payment) -> Payment | None:
        if payment.id == self.refused:
            raise WriteRefused
        return super().amend(payment)


def test_a_refused_write_is_its_items_verdict_and_the_replay_continues(
    world: World, operator_context: OperatorContext
) -> None:
    refused, other = reviews(world, [1, 2])
    store = _Refusing(world.clock, table=world.store.table)
    store.refused = refused
    operator_context = replace(operator_context, store=store)
    replay = run(operator_context, preview(operator_context))
    assert operator_actions.run_replays(operator_context) == 2
    came = {
        item.payment: item.outcome
        for item in operator_context.replays.list_items(replay.id, after=0, limit=9)
    }
    assert came == {refused: ItemOutcome.REFUSED, other: ItemOutcome.REPLAYED}


def test_a_replayed_item_whose_verdict_was_lost_is_not_replayed_again(
    world: World, operator_context: OperatorContext
) -> None:
    [one] = reviews(world, [1])
    replay = run(operator_context, preview(operator_context))
    forgetful = MemoryReplays(world.clock)
    found = operator_context.replays.get(replay.id)
    assert found is not None
    forgetful.add(
        found, operator_context.replays.list_items(replay.id, after=0, limit=9)
    )
    operator_actions.run_replays(operator_context)
    version = world.stored(one).version
    forgetful.update_stage(found, was=ReplayStage.RUNNING)
    other = OperatorContext(
        operator_context.view,
        operator_context.store,
        forgetful,
        operator_context.queue,
        operator_context.clock,
    )
    operator_actions.run_replays(other)
    assert verdicts(other, replay) == [ItemOutcome.REPLAYED]
    assert world.stored(one).version == version


def test_an_operation_that_may_charge_again_or_has_work_is_refused(
    world: World, operator_context: OperatorContext
) -> None:
    brought(world.store, 1, DECLINE)
    declined = preview(operator_context, Search(state=State.DECLINED, merchant="shop"))
    world.insert(payment(2))
    queued = preview(operator_context, Search(state=State.QUEUED, merchant="shop"))
    assert [one.action for one in queued.totals] == [ReplayAction.NOTHING]
    run(operator_context, declined)
    operator_actions.run_replays(operator_context)
    assert verdicts(operator_context, declined) == [ItemOutcome.REFUSED]
    assert world.queue.waiting == []


def test_operations_of_one_payment_are_replayed_by_one_write(
    world: World, operator_context: OperatorContext
) -> None:
    paid = brought(world.store, 1, None)
    for number in (2, 3):
        [now] = [one for one in world.store.all_payments() if one.id == paid.id]
        asks = partial(refund, amount=500, target=None, id=f"op_{number}", now=NOW)
        asked = world.store.amend(asks(now, origin=origin(f"k-{number}")))
        assert asked is not None
        [won] = world.store.claim_many([sending(asked)])
        odd = NeedsReview("odd")
        world.store.settle_many([settle(won, odd, now=NOW, jitter=1)])
    replay = run(operator_context, preview(operator_context), rate=1)
    assert operator_actions.run_replays(operator_context) == 2
    assert verdicts(operator_context, replay) == [
        ItemOutcome.REPLAYED,
        ItemOutcome.REPLAYED,
    ]


def test_an_item_that_cannot_be_replayed_does_not_stop_the_others(
    world: World, operator_context: OperatorContext
) -> None:
    reviews(world, [1, 2])
    found = preview(operator_context)
    good, bad = operator_context.replays.list_items(found.id, after=0, limit=9)
    operator_context.replays.add(found, [good, replace(bad, operation="op_gone")])
    run(operator_context, found)
    operator_actions.run_replays(operator_context)
    assert verdicts(operator_context, found) == [
        ItemOutcome.REPLAYED,
        ItemOutcome.REFUSED,
    ]


@pytest.mark.parametrize(("times", "done"), [(1, True), (50, False)])
def test_a_run_of_a_replay_is_retried_after_other_writes(
    world: World, operator_context: OperatorContext, times: int, done: bool
) -> None:
    class Contended(MemoryReplays):
        """Replays with ``times`` concurrent writes before ours."""

        missed = 0

        def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
            self.missed += 1
            return self.missed > times and super().update_stage(replay, was=was)

    busy = replace(operator_context, replays=Contended(world.clock))
    replay = preview(busy)
    if done:
        assert run(busy, replay).stage is ReplayStage.RUNNING
    else:
        with pytest.raises(StoreUnavailable):
            run(busy, replay)


def test_an_empty_replay_is_done_at_once(
    world: World, operator_context: OperatorContext
) -> None:
    replay = run(operator_context, preview(operator_context))
    assert operator_actions.run_replays(operator_context) == 0
    found = operator_context.replays.get(replay.id)
    assert found is not None and found.stage is ReplayStage.DONE
