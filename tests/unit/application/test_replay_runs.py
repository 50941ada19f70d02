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
from tests.suites.samples import DECLINE, NOW, SHOP, origin, payment, sending
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
    [kept] = world.store.insert_many([payment(number)])
    [won] = world.store.claim_many([sending(kept)])
    late = NOW + timedelta(days=4)
    [gave_up] = world.store.settle_many([settle(won, NotSent(), now=late, jitter=1)])
    assert gave_up.first_operation.state is State.DEAD
    return gave_up


def test_a_replay_restarts_all_operations_and_records_operator_and_reason(
    world: World, desk: OperatorContext
) -> None:
    ids = [*reviews(world, [1]), dead(world, 2).id]
    replay = run(desk, preview(desk))
    assert operator_actions.run_replays(desk) == 2
    assert verdicts(desk, replay) == [ItemOutcome.REPLAYED, ItemOutcome.REPLAYED]
    assert sorted(world.queue.waiting) == sorted(ids)
    for one in ids:
        told = (world.store.load_timeline(SHOP, one) or [])[-1]
        assert told.type == "operation.replayed"
        assert (told.data["by"], told.data["reason"]) == (OPERATOR.by, OPERATOR.reason)
        assert told.data["replay_set"] == replay.id
    found = desk.replays.get(replay.id)
    assert found is not None and found.stage is ReplayStage.DONE


def test_a_replayed_set_is_paid_once_and_a_second_run_does_nothing(
    world: World, desk: OperatorContext
) -> None:
    world.script(LOSE_REQUEST)
    ids = [*reviews(world, [1, 2]), dead(world, 3).id]
    replay = run(desk, preview(desk))
    operator_actions.run_replays(desk)
    for _ in range(3):
        world.attempt(*ids)
        world.now += timedelta(minutes=1)
    assert len(world.provider.ledger) == 3
    with pytest.raises(Conflict):
        run(desk, replay)
    assert operator_actions.run_replays(desk) == 0
    assert len(world.provider.ledger) == 3


def test_a_replay_carries_out_at_most_its_rate_in_a_second(
    world: World, desk: OperatorContext
) -> None:
    reviews(world, range(1, 8))
    replay = run(desk, preview(desk), rate=3)
    done = []
    for _ in range(4):
        done += [operator_actions.run_replays(desk), operator_actions.run_replays(desk)]
        world.now += SECOND
    assert done == [3, 0, 3, 0, 1, 0, 0, 0]
    assert set(verdicts(desk, replay)) == {ItemOutcome.REPLAYED}


def test_a_canceled_replay_stops_and_another_continues_with_the_rest(
    world: World, desk: OperatorContext
) -> None:
    reviews(world, range(1, 4))
    replay = run(desk, preview(desk), rate=1)
    operator_actions.run_replays(desk)
    stopped = operator_actions.cancel_replay(replay.id, by="key_3", context=desk)
    assert (stopped.stage, stopped.canceled_by) == (ReplayStage.CANCELED, "key_3")
    assert (
        operator_actions.cancel_replay(replay.id, by="key_4", context=desk) == stopped
    )
    world.now += SECOND
    assert operator_actions.run_replays(desk) == 0
    run(desk, replay)
    assert operator_actions.run_replays(desk) == 2
    assert verdicts(desk, replay) == 3 * [ItemOutcome.REPLAYED]
    with pytest.raises(Conflict):
        operator_actions.cancel_replay(replay.id, by="key_3", context=desk)


def test_a_second_run_of_a_running_replay_changes_nothing(
    world: World, desk: OperatorContext
) -> None:
    reviews(world, [1])
    replay = run(desk, preview(desk))
    assert run(desk, replay, rate=50) == replay


def test_a_changed_payment_is_not_replayed(world: World, desk: OperatorContext) -> None:
    [one] = reviews(world, [1])
    replay = run(desk, preview(desk))
    found = world.stored(one)
    who = Intervention("key_9", "seen at the provider")
    operator_actions.resolve(
        one, found.first_operation.id, Evidence(Verdict.SUCCEEDED), who, context=desk
    )
    operator_actions.run_replays(desk)
    assert verdicts(desk, replay) == [ItemOutcome.MOVED_ON]
    assert world.stored(one).first_operation.state is State.SUCCEEDED


def test_a_payment_that_changes_during_its_replay_is_not_replayed(
    world: World, desk: OperatorContext
) -> None:
    reviews(world, [1])
    replay = run(desk, preview(desk))
    late = OperatorContext(
        desk.view, Interrupted(world.store, 1), desk.replays, desk.queue, desk.clock
    )
    operator_actions.run_replays(late)
    assert verdicts(desk, replay) == [ItemOutcome.MOVED_ON]
    assert world.queue.waiting == []


class _Refusing(MemoryStore):
    """A store that refuses the steps of one payment."""

    refused = ""

    def amend(self, payment: Payment) -> Payment | None:
        if payment.id == self.refused:
            raise WriteRefused
        return super().amend(payment)


def test_a_refused_write_is_its_items_verdict_and_the_replay_continues(
    world: World, desk: OperatorContext
) -> None:
    refused, other = reviews(world, [1, 2])
    store = _Refusing(world.clock, table=world.store.table)
    store.refused = refused
    desk = replace(desk, store=store)
    replay = run(desk, preview(desk))
    assert operator_actions.run_replays(desk) == 2
    came = {
        item.payment: item.outcome
        for item in desk.replays.list_items(replay.id, after=0, limit=9)
    }
    assert came == {refused: ItemOutcome.REFUSED, other: ItemOutcome.REPLAYED}


def test_a_replayed_item_whose_verdict_was_lost_is_not_replayed_again(
    world: World, desk: OperatorContext
) -> None:
    [one] = reviews(world, [1])
    replay = run(desk, preview(desk))
    forgetful = MemoryReplays(world.clock)
    found = desk.replays.get(replay.id)
    assert found is not None
    forgetful.add(found, desk.replays.list_items(replay.id, after=0, limit=9))
    operator_actions.run_replays(desk)
    version = world.stored(one).version
    forgetful.update_stage(found, was=ReplayStage.RUNNING)
    other = OperatorContext(desk.view, desk.store, forgetful, desk.queue, desk.clock)
    operator_actions.run_replays(other)
    assert verdicts(other, replay) == [ItemOutcome.REPLAYED]
    assert world.stored(one).version == version


def test_an_operation_that_may_charge_again_or_has_work_is_refused(
    world: World, desk: OperatorContext
) -> None:
    brought(world.store, 1, DECLINE)
    declined = preview(desk, Search(state=State.DECLINED, merchant="shop"))
    world.insert(payment(2))
    queued = preview(desk, Search(state=State.QUEUED, merchant="shop"))
    assert [one.action for one in queued.totals] == [ReplayAction.NOTHING]
    run(desk, declined)
    operator_actions.run_replays(desk)
    assert verdicts(desk, declined) == [ItemOutcome.REFUSED]
    assert world.queue.waiting == []


def test_operations_of_one_payment_are_replayed_by_one_write(
    world: World, desk: OperatorContext
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
    replay = run(desk, preview(desk), rate=1)
    assert operator_actions.run_replays(desk) == 2
    assert verdicts(desk, replay) == [ItemOutcome.REPLAYED, ItemOutcome.REPLAYED]


def test_an_item_that_cannot_be_replayed_does_not_stop_the_others(
    world: World, desk: OperatorContext
) -> None:
    reviews(world, [1, 2])
    found = preview(desk)
    good, bad = desk.replays.list_items(found.id, after=0, limit=9)
    desk.replays.add(found, [good, replace(bad, operation="op_gone")])
    run(desk, found)
    operator_actions.run_replays(desk)
    assert verdicts(desk, found) == [ItemOutcome.REPLAYED, ItemOutcome.REFUSED]


@pytest.mark.parametrize(("times", "done"), [(1, True), (50, False)])
def test_a_run_of_a_replay_is_retried_after_other_writes(
    world: World, desk: OperatorContext, times: int, done: bool
) -> None:
    class Contended(MemoryReplays):
        """Replays with ``times`` concurrent writes before ours."""

        missed = 0

        def update_stage(self, replay: ReplaySet, *, was: ReplayStage) -> bool:
            self.missed += 1
            return self.missed > times and super().update_stage(replay, was=was)

    busy = replace(desk, replays=Contended(world.clock))
    replay = preview(busy)
    if done:
        assert run(busy, replay).stage is ReplayStage.RUNNING
    else:
        with pytest.raises(StoreUnavailable):
            run(busy, replay)


def test_an_empty_replay_is_done_at_once(world: World, desk: OperatorContext) -> None:
    replay = run(desk, preview(desk))
    assert operator_actions.run_replays(desk) == 0
    found = desk.replays.get(replay.id)
    assert found is not None and found.stage is ReplayStage.DONE
