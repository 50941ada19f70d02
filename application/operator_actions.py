"""The use cases of operators: preview and run a replay, and resolve an operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Final

from application.write_retries import retry_write
from application.logs import get_logger
from application.ports.operators import OperatorView, ReplayStore
from application.ports.payments import JobQueue, PaymentStore, Scope
from domain.conflict_reasons import ConflictReason
from domain.errors import (
    Conflict,
    PaymentNotFound,
    PaymentsError,
    ReplayNotFound,
    StoreUnavailable,
    WriteRefused,
)
from domain.payments.follow_ups import MAX_OPERATIONS
from domain.payments.operator_actions import (
    Evidence,
    Intervention,
    ReplayAction,
    decide_replay,
    replay_operation,
    resolve_operation,
)
from domain.payments.payment import Payment
from domain.payments.states import STUCK
from domain.payments.submission import Mode
from domain.replays import (
    MAX_ITEMS,
    ItemOutcome,
    ReplayItem,
    ReplaySet,
    ReplayRun,
    Search,
    ReplayStage,
    freeze,
    summarize,
)

log = get_logger(__name__)

#: Payments that are read at once; each is some kilobytes.
_PAGE_SIZE: Final = 500
#: Tries of an action that meets other writes of the same payment or set.
_MAX_ROUNDS: Final = 20

_OUTCOMES_WITHOUT_CHANGE: Final = {
    ReplayAction.REFUSED: ItemOutcome.REFUSED,
    ReplayAction.NOTHING: ItemOutcome.NOTHING,
}


@dataclass(frozen=True, slots=True)
class OperatorContext:
    """The dependencies of the use cases of operators."""

    view: OperatorView
    store: PaymentStore
    replays: ReplayStore
    queue: JobQueue
    clock: Callable[[], datetime]


def find_payments(
    search: Search, *, before: str | None, limit: int, context: OperatorContext
) -> list[Payment]:
    """At most ``limit`` payments with matching operations, newest first.

    Raises Conflict where the search is too wide.
    """
    if search.state not in (None, *STUCK) and not (search.merchant or search.ids):
        words = "give a merchant or ids; only stuck operations are found without them"
        raise Conflict(ConflictReason.TOO_WIDE, words)
    return context.view.find(search, before=before, limit=limit)


def preview_replay(
    search: Search,
    *,
    by: str,
    mode: Mode,
    new_id: Callable[[str], str],
    context: OperatorContext,
) -> ReplaySet:
    """Freezes the matching operations as a set, with the effect of a replay of each.

    Raises Conflict where they are more than MAX_ITEMS.
    """
    payments, before = list[Payment](), None
    while True:
        page = find_payments(search, before=before, limit=_PAGE_SIZE, context=context)
        payments += page
        if len(page) < _PAGE_SIZE or len(payments) > MAX_ITEMS:
            break
        before = page[-1].id
    now = context.clock()
    items = freeze(payments, search, now=now)
    if len(items) > MAX_ITEMS:
        words = f"more than {MAX_ITEMS} operations match; search for less"
        raise Conflict(ConflictReason.TOO_MANY, words)
    replay = ReplaySet(
        id=new_id("rpl"),
        mode=mode,
        by=by,
        created_at=now,
        search=search.given_fields,
        totals=summarize(items),
    )
    context.replays.add(replay, items)
    return replay


def start_replay(
    replay_id: str, run: ReplayRun, *, context: OperatorContext
) -> ReplaySet:
    """Starts the run of a set; a running set stays as it is.

    Raises ReplayNotFound, and Conflict where the whole set has been carried out.
    """

    def started(found: ReplaySet) -> ReplaySet:
        return found if found.stage is ReplayStage.RUNNING else found.start(run)

    return _update_set(replay_id, started, context)


def cancel_replay(replay_id: str, *, by: str, context: OperatorContext) -> ReplaySet:
    """Stops a set; the items of the current second may still be carried out.

    Raises ReplayNotFound, and Conflict where the whole set has been carried out.
    """

    def canceled(found: ReplaySet) -> ReplaySet:
        is_canceled = found.stage is ReplayStage.CANCELED
        return found if is_canceled else found.cancel(by, now=context.clock())

    return _update_set(replay_id, canceled, context)


def resolve(
    payment_id: str,
    operation_id: str,
    evidence: Evidence,
    intervention: Intervention,
    *,
    context: OperatorContext,
) -> Payment:
    """Stores an operator's evidence about an operation.

    Raises PaymentNotFound, Conflict, InvalidPayment and StoreUnavailable.
    """

    def write() -> Payment | None:
        payment = context.view.get(payment_id)
        if payment is None:
            raise PaymentNotFound
        operation = payment.get_operation(operation_id)
        step = resolve_operation(
            payment, operation, evidence, intervention, now=context.clock()
        )
        return context.store.amend(step)

    error = StoreUnavailable("too many write to this payment at once")
    return retry_write(write, rounds=_MAX_ROUNDS, error=error)


def run_replays(context: OperatorContext) -> int:
    """Carries out the next items of one running set; returns their number.

    Several calls at once do no harm: a call claims a set for a second, and a payment is
    written only in its frozen version. Raises StoreUnavailable.
    """
    replay = context.replays.claim_due()
    if replay is None or replay.run is None:
        return 0
    rate = replay.run.rate
    intervention = Intervention(replay.run.by, replay.run.reason, replay.id)
    left = context.replays.list_items(
        replay.id, after=0, limit=rate + MAX_OPERATIONS, left=True
    )
    if not left:
        context.replays.update_stage(
            replay.finish(now=context.clock()), was=ReplayStage.RUNNING
        )
        return 0
    batch = _take_whole_payments(left, rate)
    ids = list(dict.fromkeys(item.payment for item in batch))
    payments = {one.id: one for one in context.view.load(ids)}
    outcomes = dict[int, ItemOutcome]()
    for payment_id, group in groupby(batch, attrgetter("payment")):
        payment = payments.get(payment_id)
        outcomes |= _replay_items(list(group), payment, intervention, context)
    context.replays.record_outcomes(replay.id, outcomes)
    if len(batch) == len(left):
        context.replays.update_stage(
            replay.finish(now=context.clock()), was=ReplayStage.RUNNING
        )
    return len(batch)


def _update_set(
    replay_id: str, step: Callable[[ReplaySet], ReplaySet], context: OperatorContext
) -> ReplaySet:
    def write() -> ReplaySet | None:
        found = context.replays.get(replay_id)
        if found is None:
            raise ReplayNotFound
        after = step(found)
        if after is found or context.replays.update_stage(after, was=found.stage):
            return after
        return None

    error = StoreUnavailable("too many write to this replay at once")
    return retry_write(write, rounds=_MAX_ROUNDS, error=error)


def _take_whole_payments(left: Sequence[ReplayItem], rate: int) -> Sequence[ReplayItem]:
    """``rate`` items, and the other items of the last one's payment.

    The items of a payment share a version, so one write replays them.
    """
    if len(left) <= rate:
        return left
    last = left[rate - 1].payment
    end = next((n for n in range(rate, len(left)) if left[n].payment != last), None)
    return left[:end]


def _replay_items(
    items: Sequence[ReplayItem],
    payment: Payment | None,
    intervention: Intervention,
    context: OperatorContext,
) -> dict[int, ItemOutcome]:
    """Replays the items of one payment by one write, unless it has changed."""
    now = context.clock()
    if payment is None or payment.version != items[0].version:
        return _outcomes_after_change(items, payment, intervention, context)
    outcomes, step = dict[int, ItemOutcome](), payment
    for item in items:
        try:
            operation = step.get_operation(item.operation)
            action = decide_replay(step, operation, now=now)
            outcomes[item.number] = _OUTCOMES_WITHOUT_CHANGE.get(
                action, ItemOutcome.REPLAYED
            )
            if action not in _OUTCOMES_WITHOUT_CHANGE:
                step = replay_operation(step, operation, intervention, now=now)
        except PaymentsError:
            log.exception("replay_failed", payment=payment.id)
            outcomes[item.number] = ItemOutcome.REFUSED
    if step is payment:
        return outcomes
    try:
        stored = context.store.amend(step)
    except WriteRefused:
        log.error("replay_refused", payment=payment.id)
        return {item.number: ItemOutcome.REFUSED for item in items}
    if stored is None:
        return _outcomes_after_change(items, payment, intervention, context)
    context.queue.notify([payment.id])
    return outcomes


def _outcomes_after_change(
    items: Sequence[ReplayItem],
    payment: Payment | None,
    intervention: Intervention,
    context: OperatorContext,
) -> dict[int, ItemOutcome]:
    """The outcomes of items whose payment has changed since the freeze.

    A beat may have replayed them and stopped before it recorded the outcomes; the
    timeline has the event of its write.
    """
    replayed = (
        _replayed_operations(intervention, payment, context)
        if payment is not None
        else set()
    )
    return {
        item.number: (
            ItemOutcome.REPLAYED if item.operation in replayed else ItemOutcome.MOVED_ON
        )
        for item in items
    }


def _replayed_operations(
    intervention: Intervention, payment: Payment, context: OperatorContext
) -> set[object]:
    """The ids of the operations that this set has replayed."""
    scope = Scope(payment.merchant, payment.mode)
    return {
        event.data["operation"]
        for event in context.store.load_timeline(scope, payment.id) or []
        if event.data.get("replay_set") == intervention.replay
    }
