"""What operators do: freeze a set, have it replayed, say what became of a payment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Final

from application.conflicts import retry_on_conflict
from application.ports.operators import OperatorView, Replays
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
    Replay,
    replay_of,
    replayed,
    resolved,
)
from domain.payments.payment import Payment
from domain.payments.states import STUCK
from domain.payments.submission import Mode
from domain.replays import (
    MAX_ITEMS,
    Came,
    Item,
    ReplaySet,
    Run,
    Search,
    Stage,
    frozen,
    summed,
)

log = logging.getLogger(__name__)

#: Payments that are read at once; each is some kilobytes.
_PAGE: Final = 500
#: Rounds in which an act may meet another write of the same payment or set.
_ROUNDS: Final = 20

_LEFT_ALONE: Final = {Replay.REFUSED: Came.REFUSED, Replay.NOTHING: Came.NOTHING}


@dataclass(frozen=True, slots=True)
class Desk:
    """What the acts of operators share."""

    view: OperatorView
    store: PaymentStore
    replays: Replays
    queue: JobQueue
    clock: Callable[[], datetime]


def find(
    search: Search, *, before: str | None, limit: int, desk: Desk
) -> list[Payment]:
    """At most ``limit`` payments that have such operations, newest first.

    Raises Conflict where nothing bounds what would have to be read.
    """
    if search.state not in (None, *STUCK) and not (search.merchant or search.ids):
        words = "say whose payments, or which; only stuck ones are found without it"
        raise Conflict(ConflictReason.TOO_WIDE, words)
    return desk.view.found(search, before=before, limit=limit)


def preview(
    search: Search, *, by: str, mode: Mode, new_id: Callable[[str], str], desk: Desk
) -> ReplaySet:
    """Freezes what ``search`` finds now, with what a replay would do to it.

    Raises Conflict where that is more than MAX_ITEMS.
    """
    payments, before = list[Payment](), None
    while True:
        page = find(search, before=before, limit=_PAGE, desk=desk)
        payments += page
        if len(page) < _PAGE or len(payments) > MAX_ITEMS:
            break
        before = page[-1].id
    now = desk.clock()
    items = frozen(payments, search, now=now)
    if len(items) > MAX_ITEMS:
        words = f"more than {MAX_ITEMS} operations match; search for less"
        raise Conflict(ConflictReason.TOO_MANY, words)
    replay = ReplaySet(
        id=new_id("rpl"),
        mode=mode,
        by=by,
        created_at=now,
        search=search.told,
        sums=summed(items),
    )
    desk.replays.keep(replay, items)
    return replay


def start(replay_id: str, run: Run, *, desk: Desk) -> ReplaySet:
    """Has a set carried out; one that is under way stays as it is.

    Raises ReplayNotFound, and Conflict where all of it has been carried out.
    """

    def started(found: ReplaySet) -> ReplaySet:
        return found if found.stage is Stage.RUNNING else found.started(run)

    return _moved(replay_id, started, desk)


def cancel(replay_id: str, *, by: str, desk: Desk) -> ReplaySet:
    """Stops a set; what a beat has in hand, a second's items, is still carried out.

    Raises ReplayNotFound, and Conflict where all of it has been carried out.
    """

    def canceled(found: ReplaySet) -> ReplaySet:
        stopped = found.stage is Stage.CANCELED
        return found if stopped else found.canceled(by, now=desk.clock())

    return _moved(replay_id, canceled, desk)


def resolve(
    payment_id: str,
    operation_id: str,
    evidence: Evidence,
    who: Intervention,
    *,
    desk: Desk,
) -> Payment:
    """Writes down what a person found out about an operation, or gave up on.

    Raises PaymentNotFound, Conflict, InvalidPayment and StoreUnavailable.
    """

    def write() -> Payment | None:
        payment = desk.view.get(payment_id)
        if payment is None:
            raise PaymentNotFound
        operation = payment.operation(operation_id)
        step = resolved(payment, operation, evidence, who, now=desk.clock())
        return desk.store.amend(step)

    error = StoreUnavailable("too many write to this payment at once")
    return retry_on_conflict(write, rounds=_ROUNDS, error=error)


def run_replays(desk: Desk) -> int:
    """Carries out what is due of one running set; returns how many items it judged.

    Any number of these at once do no harm: a set's turn is taken for a second, and a
    payment is written only in the version that was frozen. Raises StoreUnavailable.
    """
    replay = desk.replays.turn()
    if replay is None or replay.run is None:
        return 0
    rate = replay.run.rate
    who = Intervention(replay.run.by, replay.run.reason, replay.id)
    left = desk.replays.items(
        replay.id, after=0, limit=rate + MAX_OPERATIONS, left=True
    )
    if not left:
        desk.replays.move(replay.done(now=desk.clock()), was=Stage.RUNNING)
        return 0
    batch = _whole(left, rate)
    ids = list(dict.fromkeys(item.payment for item in batch))
    payments = {one.id: one for one in desk.view.known(ids)}
    verdicts = dict[int, Came]()
    for payment_id, group in groupby(batch, attrgetter("payment")):
        payment = payments.get(payment_id)
        verdicts |= _carried_out(list(group), payment, who, desk)
    desk.replays.mark(replay.id, verdicts)
    if len(batch) == len(left):
        desk.replays.move(replay.done(now=desk.clock()), was=Stage.RUNNING)
    return len(batch)


def _moved(
    replay_id: str, step: Callable[[ReplaySet], ReplaySet], desk: Desk
) -> ReplaySet:
    def write() -> ReplaySet | None:
        found = desk.replays.get(replay_id)
        if found is None:
            raise ReplayNotFound
        after = step(found)
        if after is found or desk.replays.move(after, was=found.stage):
            return after
        return None

    error = StoreUnavailable("too many write to this replay at once")
    return retry_on_conflict(write, rounds=_ROUNDS, error=error)


def _whole(left: Sequence[Item], rate: int) -> Sequence[Item]:
    """``rate`` items and the others of the last one's payment.

    They share a version, so they are replayed by one write.
    """
    if len(left) <= rate:
        return left
    last = left[rate - 1].payment
    end = next((n for n in range(rate, len(left)) if left[n].payment != last), None)
    return left[:end]


def _carried_out(
    items: Sequence[Item], payment: Payment | None, who: Intervention, desk: Desk
) -> dict[int, Came]:
    """Replays the items of one payment by one write, as far as it is as it was."""
    now = desk.clock()
    if payment is None or payment.version != items[0].version:
        return _late(items, payment, who, desk)
    verdicts, step = dict[int, Came](), payment
    for item in items:
        try:
            operation = step.operation(item.operation)
            what = replay_of(step, operation, now=now)
            verdicts[item.number] = _LEFT_ALONE.get(what, Came.REPLAYED)
            if what not in _LEFT_ALONE:
                step = replayed(step, operation, who, now=now)
        except PaymentsError:
            log.exception("replay_failed", extra={"payment": payment.id})
            verdicts[item.number] = Came.REFUSED
    if step is payment:
        return verdicts
    try:
        stored = desk.store.amend(step)
    except WriteRefused:
        log.error("replay_refused", extra={"payment": payment.id})
        return {item.number: Came.REFUSED for item in items}
    if stored is None:
        return _late(items, payment, who, desk)
    desk.queue.ring([payment.id])
    return verdicts


def _late(
    items: Sequence[Item], payment: Payment | None, who: Intervention, desk: Desk
) -> dict[int, Came]:
    """The payment is not as it was frozen: this run did it, or somebody else.

    A beat that stopped before it gave the verdict left the event of its write.
    """
    ours = _replayed_by(who, payment, desk) if payment is not None else set()
    return {
        item.number: Came.REPLAYED if item.operation in ours else Came.MOVED_ON
        for item in items
    }


def _replayed_by(who: Intervention, payment: Payment, desk: Desk) -> set[object]:
    scope = Scope(payment.merchant, payment.mode)
    return {
        event.data["operation"]
        for event in desk.store.timeline(scope, payment.id) or []
        if event.data.get("replay_set") == who.replay
    }
