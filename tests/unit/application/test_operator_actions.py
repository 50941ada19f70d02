"""Operators find, preview and resolve stuck operations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from application import operator_actions
from application.operator_actions import OperatorContext
from application.ports.payments import Scope
from domain.errors import (
    Conflict,
    NeedsReview,
    PaymentNotFound,
    ReplayNotFound,
    StoreUnavailable,
)
from domain.payments.answer import Verdict
from domain.payments.operator_actions import Evidence, ReplayAction
from domain.payments.payment import Payment
from domain.payments.states import State
from domain.payments.submission import Mode
from domain.replays import MAX_ITEMS, Search, ReplayStage, ReplayTotal
from tests.suites.replays import brought
from tests.suites.samples import DECLINE
from tests.support.operator_fakes import MemoryView
from tests.support.operator_setup import OPERATOR, Interrupted, preview, reviews
from tests.unit.application.conftest import World


def test_preview_has_the_effects_and_changes_nothing(
    world: World, operator_context: OperatorContext
) -> None:
    reviews(world, [1, 2])
    brought(world.store, 3, DECLINE)
    before = world.store.all_payments()
    replay = preview(operator_context)
    assert replay.totals == (ReplayTotal(ReplayAction.RESEND, "USD", 2, 2 * 1999),)
    assert (replay.count, replay.stage, replay.by) == (
        2,
        ReplayStage.PREVIEWED,
        "key_1",
    )
    assert world.store.all_payments() == before
    assert operator_actions.run_replays(operator_context) == 0
    declined = preview(operator_context, Search(state=State.DECLINED, merchant="shop"))
    assert [one.action for one in declined.totals] == [ReplayAction.REFUSED]


def test_a_search_without_bounds_is_refused(operator_context: OperatorContext) -> None:
    with pytest.raises(Conflict, match="give a merchant or ids"):
        preview(operator_context, Search(state=State.SUCCEEDED))


def test_preview_of_too_many_operations_is_refused(
    world: World, operator_context: OperatorContext
) -> None:
    stuck = brought(world.store, 1, NeedsReview("odd"))
    many = [replace(stuck, id=f"pay_{number:026d}") for number in range(MAX_ITEMS + 1)]

    class Many(MemoryView):
        """A view of more payments than a set may have."""

        def find(
            self, search: Search, *, before: str | None, limit: int
        ) -> list[Payment]:
            start = 0 if before is None else int(before[4:]) + 1
            return many[start : start + limit]

    crowded = replace(operator_context, view=Many(world.store))
    with pytest.raises(Conflict, match="more than 10000"):
        preview(crowded)
    many.pop()
    assert preview(crowded).count == MAX_ITEMS


def test_unknown_payment_and_replay_are_not_found(
    operator_context: OperatorContext,
) -> None:
    with pytest.raises(ReplayNotFound):
        operator_actions.cancel_replay("rpl_9", by="key_1", context=operator_context)
    with pytest.raises(PaymentNotFound):
        operator_actions.resolve(
            "pay_9",
            "op_9",
            Evidence(Verdict.SUCCEEDED),
            OPERATOR,
            context=operator_context,
        )


@pytest.mark.parametrize(("times", "done"), [(1, True), (50, False)])
def test_resolution_is_retried_after_other_writes(
    world: World, operator_context: OperatorContext, times: int, done: bool
) -> None:
    [one] = reviews(world, [1])
    busy = OperatorContext(
        operator_context.view,
        Interrupted(world.store, times),
        operator_context.replays,
        operator_context.queue,
        operator_context.clock,
    )
    operation = world.stored(one).first_operation.id
    if done:
        operator_actions.resolve(
            one, operation, Evidence(Verdict.SUCCEEDED), OPERATOR, context=busy
        )
    else:
        with pytest.raises(StoreUnavailable):
            operator_actions.resolve(
                one, operation, Evidence(Verdict.SUCCEEDED), OPERATOR, context=busy
            )
    assert (world.stored(one).first_operation.state is State.SUCCEEDED) is done


def test_all_merchants_payments_are_found(
    world: World, operator_context: OperatorContext
) -> None:
    reviews(world, [1])
    rival = Scope("rival", Mode.TEST)
    brought(world.store, 2, NeedsReview("odd"), scope=rival)
    found = operator_actions.find_payments(
        Search(), before=None, limit=9, context=operator_context
    )
    assert [one.merchant for one in found] == ["rival", "shop"]
