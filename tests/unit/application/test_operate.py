"""Freeze, run, cancel, resolve: what operators do with what is stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

import pytest

from application import operate
from application.operate import Desk
from application.ports import Scope
from domain.answer import Verdict
from domain.errors import (
    Conflict,
    NeedsReview,
    NotSent,
    PaymentNotFound,
    ReplayNotFound,
    StoreUnavailable,
)
from domain.intervening import Intervention, Replay
from domain.payment import Payment
from domain.replaying import MAX_ITEMS, Came, ReplaySet, Run, Search, Stage, Sum
from domain.requests import refund
from domain.settling import settle
from domain.states import State
from domain.submission import Mode
from runtime import container
from tests.fakes import LOSE_REQUEST
from tests.memory_store import MemoryStore
from tests.operator_fakes import MemoryReplays, MemoryView
from tests.suites.replays import brought
from tests.suites.samples import DECLINE, NOW, SHOP, origin, payment, sending
from tests.unit.application.conftest import World

WHO: Final = Intervention("key_2", "the bank is back")
SECOND: Final = timedelta(seconds=1)


class Interrupted(MemoryStore):
    """A store, and somebody who writes just before whoever amends."""

    def __init__(self, store: MemoryStore, times: int) -> None:
        super().__init__(lambda: NOW, table=store._table)
        self._times = times

    def amend(self, payment: Payment) -> Payment | None:
        """See PaymentStore."""
        if self._times:
            self._times -= 1
            [now] = [one for one in self.everything() if one.id == payment.id]
            super().amend(now.told_of(now.first, "meanwhile", now=NOW))
        return super().amend(payment)


@pytest.fixture
def desk(world: World) -> Desk:
    """An operator's desk in the world."""
    return Desk(
        view=MemoryView(world.store),
        store=world.store,
        replays=MemoryReplays(world.clock),
        queue=world.queue,
        clock=world.clock,
    )


def previewed(desk: Desk, search: Search | None = None) -> ReplaySet:
    return operate.preview(
        search or Search(),
        by="key_1",
        mode=Mode.TEST,
        new_id=container.new_id,
        desk=desk,
    )


def run(desk: Desk, replay: ReplaySet, *, rate: int = 10) -> ReplaySet:
    asked = Run(WHO.by, WHO.reason, rate, desk.clock())
    return operate.start(replay.id, asked, desk=desk)


def verdicts(desk: Desk, replay: ReplaySet) -> list[Came | None]:
    items = desk.replays.items(replay.id, after=0, limit=100)
    return [item.came for item in items]


def reviews(world: World, numbers: Sequence[int]) -> list[str]:
    odd = NeedsReview("odd")
    return [brought(world.store, number, odd).id for number in numbers]


def dead(world: World, number: int) -> Payment:
    """It began four days ago and was never taken."""
    [kept] = world.store.insert_many([payment(number)])
    [won] = world.store.claim_many([sending(kept)])
    late = NOW + timedelta(days=4)
    [gave_up] = world.store.settle_many([settle(won, NotSent(), now=late, jitter=1)])
    assert gave_up.first.state is State.DEAD
    return gave_up


def test_a_preview_says_what_would_happen_and_changes_nothing(
    world: World, desk: Desk
) -> None:
    reviews(world, [1, 2])
    brought(world.store, 3, DECLINE)
    before = world.store.everything()
    replay = previewed(desk)
    assert replay.sums == (Sum(Replay.RESENDS, "USD", 2, 2 * 1999),)
    assert (replay.count, replay.stage, replay.by) == (2, Stage.PREVIEWED, "key_1")
    assert world.store.everything() == before
    assert operate.run_replays(desk) == 0
    declined = previewed(desk, Search(state=State.DECLINED, merchant="shop"))
    assert [one.what for one in declined.sums] == [Replay.REFUSED]


def test_a_run_brings_all_under_way_again_and_says_who_and_why(
    world: World, desk: Desk
) -> None:
    ids = [*reviews(world, [1]), dead(world, 2).id]
    replay = run(desk, previewed(desk))
    assert operate.run_replays(desk) == 2
    assert verdicts(desk, replay) == [Came.REPLAYED, Came.REPLAYED]
    assert sorted(world.queue.waiting) == sorted(ids)
    for one in ids:
        told = (world.store.timeline(SHOP, one) or [])[-1]
        assert told.type == "operation.replayed"
        assert (told.data["by"], told.data["reason"]) == (WHO.by, WHO.reason)
        assert told.data["replay_set"] == replay.id
    found = desk.replays.get(replay.id)
    assert found is not None and found.stage is Stage.DONE


def test_a_replayed_set_is_paid_once_and_a_second_run_does_nothing(
    world: World, desk: Desk
) -> None:
    world.script(LOSE_REQUEST)
    ids = [*reviews(world, [1, 2]), dead(world, 3).id]
    replay = run(desk, previewed(desk))
    operate.run_replays(desk)
    for _ in range(3):
        world.attempt(*ids)
        world.now += timedelta(minutes=1)
    assert len(world.provider.ledger) == 3
    with pytest.raises(Conflict):
        run(desk, replay)
    assert operate.run_replays(desk) == 0
    assert len(world.provider.ledger) == 3


def test_no_more_than_its_rate_is_carried_out_in_a_second(
    world: World, desk: Desk
) -> None:
    reviews(world, range(1, 8))
    replay = run(desk, previewed(desk), rate=3)
    done = []
    for _ in range(4):
        done += [operate.run_replays(desk), operate.run_replays(desk)]
        world.now += SECOND
    assert done == [3, 0, 3, 0, 1, 0, 0, 0]
    assert set(verdicts(desk, replay)) == {Came.REPLAYED}


def test_a_canceled_run_stops_and_another_goes_on_with_what_is_left(
    world: World, desk: Desk
) -> None:
    reviews(world, range(1, 4))
    replay = run(desk, previewed(desk), rate=1)
    operate.run_replays(desk)
    stopped = operate.cancel(replay.id, by="key_3", desk=desk)
    assert (stopped.stage, stopped.canceled_by) == (Stage.CANCELED, "key_3")
    assert operate.cancel(replay.id, by="key_4", desk=desk) == stopped
    world.now += SECOND
    assert operate.run_replays(desk) == 0
    run(desk, replay)
    assert operate.run_replays(desk) == 2
    assert verdicts(desk, replay) == 3 * [Came.REPLAYED]
    with pytest.raises(Conflict):
        operate.cancel(replay.id, by="key_3", desk=desk)


def test_a_run_that_is_under_way_stays_as_it_is(world: World, desk: Desk) -> None:
    reviews(world, [1])
    replay = run(desk, previewed(desk))
    assert run(desk, replay, rate=50) == replay


def test_a_payment_that_moved_on_is_left_alone(world: World, desk: Desk) -> None:
    [one] = reviews(world, [1])
    replay = run(desk, previewed(desk))
    found = world.stored(one)
    who = Intervention("key_9", "seen at the provider")
    operate.resolve(one, found.first.id, Verdict.SUCCEEDED, who, desk=desk)
    operate.run_replays(desk)
    assert verdicts(desk, replay) == [Came.MOVED_ON]
    assert world.stored(one).first.state is State.SUCCEEDED


def test_a_payment_that_moves_on_at_the_last_moment_is_left_alone(
    world: World, desk: Desk
) -> None:
    reviews(world, [1])
    replay = run(desk, previewed(desk))
    late = Desk(
        desk.view, Interrupted(world.store, 1), desk.replays, desk.queue, desk.clock
    )
    operate.run_replays(late)
    assert verdicts(desk, replay) == [Came.MOVED_ON]
    assert world.queue.waiting == []


def test_a_beat_that_stopped_before_it_gave_the_verdict_is_not_repeated(
    world: World, desk: Desk
) -> None:
    [one] = reviews(world, [1])
    replay = run(desk, previewed(desk))
    forgetful = MemoryReplays(world.clock)
    found = desk.replays.get(replay.id)
    assert found is not None
    forgetful.keep(found, desk.replays.items(replay.id, after=0, limit=9))
    operate.run_replays(desk)
    version = world.stored(one).version
    forgetful.move(found, was=Stage.RUNNING)
    other = Desk(desk.view, desk.store, forgetful, desk.queue, desk.clock)
    operate.run_replays(other)
    assert verdicts(other, replay) == [Came.REPLAYED]
    assert world.stored(one).version == version


def test_what_may_charge_again_or_is_owed_is_refused(world: World, desk: Desk) -> None:
    brought(world.store, 1, DECLINE)
    declined = previewed(desk, Search(state=State.DECLINED, merchant="shop"))
    world.insert(payment(2))
    queued = previewed(desk, Search(state=State.QUEUED, merchant="shop"))
    assert [one.what for one in queued.sums] == [Replay.NOTHING]
    run(desk, declined)
    operate.run_replays(desk)
    assert verdicts(desk, declined) == [Came.REFUSED]
    assert world.queue.waiting == []


def test_operations_of_one_payment_are_replayed_by_one_write(
    world: World, desk: Desk
) -> None:
    paid = brought(world.store, 1, None)
    for number in (2, 3):
        [now] = [one for one in world.store.everything() if one.id == paid.id]
        asks = partial(refund, amount=500, target=None, id=f"op_{number}", now=NOW)
        asked = world.store.amend(asks(now, origin=origin(f"k-{number}")))
        assert asked is not None
        [won] = world.store.claim_many([sending(asked)])
        odd = NeedsReview("odd")
        world.store.settle_many([settle(won, odd, now=NOW, jitter=1)])
    replay = run(desk, previewed(desk), rate=1)
    assert operate.run_replays(desk) == 2
    assert verdicts(desk, replay) == [Came.REPLAYED, Came.REPLAYED]


def test_an_item_that_cannot_be_replayed_does_not_stop_the_others(
    world: World, desk: Desk
) -> None:
    reviews(world, [1, 2])
    found = previewed(desk)
    good, bad = desk.replays.items(found.id, after=0, limit=9)
    desk.replays.keep(found, [good, replace(bad, operation="op_gone")])
    run(desk, found)
    operate.run_replays(desk)
    assert verdicts(desk, found) == [Came.REPLAYED, Came.REFUSED]


@pytest.mark.parametrize(("times", "done"), [(1, True), (50, False)])
def test_a_run_meets_other_acts_on_its_set(
    world: World, desk: Desk, times: int, done: bool
) -> None:
    class Contended(MemoryReplays):
        """Somebody else writes first, ``times`` times."""

        missed = 0

        def move(self, replay: ReplaySet, *, was: Stage) -> bool:
            """See Replays."""
            self.missed += 1
            return self.missed > times and super().move(replay, was=was)

    busy = replace(desk, replays=Contended(world.clock))
    replay = previewed(busy)
    if done:
        assert run(busy, replay).stage is Stage.RUNNING
    else:
        with pytest.raises(StoreUnavailable):
            run(busy, replay)


def test_a_set_that_found_nothing_is_done_at_once(world: World, desk: Desk) -> None:
    replay = run(desk, previewed(desk))
    assert operate.run_replays(desk) == 0
    found = desk.replays.get(replay.id)
    assert found is not None and found.stage is Stage.DONE


def test_a_search_without_bounds_is_refused(desk: Desk) -> None:
    with pytest.raises(Conflict, match="whose payments"):
        previewed(desk, Search(state=State.SUCCEEDED))


def test_more_than_a_person_can_judge_is_refused(world: World, desk: Desk) -> None:
    stuck = brought(world.store, 1, NeedsReview("odd"))
    many = [replace(stuck, id=f"pay_{number:026d}") for number in range(MAX_ITEMS + 1)]

    class Many(MemoryView):
        """A view of more payments than a set may have."""

        def found(
            self, search: Search, *, before: str | None, limit: int
        ) -> list[Payment]:
            """See OperatorView."""
            start = 0 if before is None else int(before[4:]) + 1
            return many[start : start + limit]

    crowded = replace(desk, view=Many(world.store))
    with pytest.raises(Conflict, match="more than 10000"):
        previewed(crowded)
    many.pop()
    assert previewed(crowded).count == MAX_ITEMS


def test_what_is_not_there_is_told(desk: Desk) -> None:
    with pytest.raises(ReplayNotFound):
        operate.cancel("rpl_9", by="key_1", desk=desk)
    with pytest.raises(PaymentNotFound):
        operate.resolve("pay_9", "op_9", Verdict.SUCCEEDED, WHO, desk=desk)


@pytest.mark.parametrize(("times", "done"), [(1, True), (50, False)])
def test_a_verdict_meets_other_writes(
    world: World, desk: Desk, times: int, done: bool
) -> None:
    [one] = reviews(world, [1])
    busy = Desk(
        desk.view,
        Interrupted(world.store, times),
        desk.replays,
        desk.queue,
        desk.clock,
    )
    operation = world.stored(one).first.id
    if done:
        operate.resolve(one, operation, Verdict.SUCCEEDED, WHO, desk=busy)
    else:
        with pytest.raises(StoreUnavailable):
            operate.resolve(one, operation, Verdict.SUCCEEDED, WHO, desk=busy)
    assert (world.stored(one).first.state is State.SUCCEEDED) is done


def test_all_merchants_payments_are_found(world: World, desk: Desk) -> None:
    reviews(world, [1])
    rival = Scope("rival", Mode.TEST)
    brought(world.store, 2, NeedsReview("odd"), scope=rival)
    found = operate.find(Search(), before=None, limit=9, desk=desk)
    assert [one.merchant for one in found] == ["rival", "shop"]
