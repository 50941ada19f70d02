"""Compares what a provider says moved with what we say, and corrects nothing.

A list finds what may differ, a read of the payment by its ids decides. Both sides are
read slice by slice of time, so that a month costs no more memory than an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from application.logs import get_logger
from application.reconciliation.comparison import SLICE_LENGTH, Comparison
from application.reconciliation.provider_calls import (
    ReconciliationContext,
    call_with_retries,
)
from domain.account import Account
from domain.errors import (
    Conflict,
    ListTooLong,
    MalformedAnswer,
    NotReconciled,
    PaymentNotFound,
    ProviderError,
    WriteRefused,
)
from domain.payments.operator_actions import Intervention, request_lookup
from domain.payments.payment import Payment
from domain.reconciliation import (
    PROVIDER_INITIATED,
    Difference,
    Movement,
    Pair,
    ReconciliationReport,
    UnreadableEntry,
    Direction,
    compare_pair,
    find_differences,
    is_withdrawal,
    list_movements,
    match_movements,
)

log = get_logger(__name__)

#: Payments of ours that are read at once; each is some kilobytes.
_MAX_PAYMENTS: Final = 1_000
#: No time is halved further: what we write has this resolution.
_MIN_SLICE: Final = timedelta(milliseconds=1)
#: Reads of a payment that moves meanwhile; then the next run judges it.
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a comparison has come."""

    share: float  #: of the time that is compared, from 0 to 1
    compared: int
    difference_count: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One comparison under way."""

    account: Account
    context: ReconciliationContext
    comparison: Comparison


def reconcile(
    account: Account,
    since: datetime,
    until: datetime,
    *,
    context: ReconciliationContext,
    on_progress: Callable[[Progress], None],
) -> ReconciliationReport:
    """Compares what moved from ``since`` until before ``until`` (UTC).

    Both are whole seconds. Stores the differences as open ones. Where a payment of
    ours differs, a look at that operation is asked for; nothing else is written.
    Raises NotReconciled and StoreUnavailable.
    """
    began_at, so_far = context.clock(), Comparison(since, until)
    run = _Run(account, context, so_far)
    try:
        for begin, end in split_range(since, until, SLICE_LENGTH):
            so_far.begin_slice(begin, end)
            _compare_provider_slice(run, begin, end)
            _compare_unlisted(run, begin, end)
            share = (end - since) / (until - since)
            on_progress(Progress(share, so_far.totals.count, so_far.difference_count))
    except ProviderError as error:
        words = (
            f"{account.id} could not be read to the end ({error.detail}): no report."
        )
        raise NotReconciled(words) from None
    report = ReconciliationReport(
        id=context.new_id("rec"),
        mode=context.mode,
        account=account,
        since=since,
        until=until,
        began_at=began_at,
        ended_at=context.clock(),
        compared=so_far.totals.count,
        counts=so_far.counts,
        differences=tuple(so_far.differences.values()),
        totals=so_far.totals.by_direction,
    )
    context.differences.record_report(report)
    return report


def split_range(
    since: datetime, until: datetime, length: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """The time from ``since`` until ``until`` in parts of ``length`` at most."""
    while since < until:
        end = min(since + length, until)
        yield since, end
        since = end


def _compare_provider_slice(run: _Run, begin: datetime, end: datetime) -> None:
    """What the provider lists of a slice; of a busy one by its halves."""
    try:
        _compare_pages(run, begin, end)
    except ListTooLong:
        middle = (begin + (end - begin) / 2).replace(microsecond=0)
        if middle <= begin:
            raise
        _compare_provider_slice(run, begin, middle)
        _compare_provider_slice(run, middle, end)


def _compare_pages(run: _Run, begin: datetime, end: datetime) -> None:
    statement, cursor = run.context.statements(run.account), None
    while True:
        page = call_with_retries(
            run.account,
            lambda: statement.list_page(begin, end, cursor),
            calls=1,
            context=run.context,
        )
        for unread in page.unreadable:
            run.comparison.add_unreadable(unread)
        _compare_provider_initiated(
            run, [one for one in page.movements if one.direction in PROVIDER_INITIATED]
        )
        asked = [
            _with_payment(run, one)
            for one in page.movements
            if one.direction not in PROVIDER_INITIATED
        ]
        named = {one.payment for one in asked if one.payment is not None}
        ours = {one.id: one for one in _load_payments(run, named)}
        listed: dict[str, list[Movement]] = {}
        for one in asked:
            if one.payment in ours:
                listed.setdefault(one.payment, []).append(one)
            else:
                _count_pair(run, (None, one))
        for payment_id, movements in listed.items():
            _compare_listed(run, ours[payment_id], movements)
        cursor = page.next_cursor
        if cursor is None:
            return


def _with_payment(run: _Run, movement: Movement) -> Movement:
    """A listed movement with our payment. A refund that others made has none of our
    ids, but the charge that it is of does."""
    traced, of = run.comparison.payment_ids, movement.charge_ref
    if (
        movement.payment is not None
        or movement.direction is not Direction.REFUNDED
        or of is None
    ):
        return movement
    if of not in traced and len(traced) < _MAX_PAYMENTS:
        statement = run.context.statements(run.account)
        try:
            traced[of] = call_with_retries(
                run.account,
                lambda: statement.find_payment_id(of),
                calls=1,
                context=run.context,
            )
        except MalformedAnswer:
            traced[of] = None
    return replace(movement, payment=traced.get(of))


def _compare_provider_initiated(run: _Run, taken: Sequence[Movement]) -> None:
    """What the provider took by itself, or gave back, is ours where we know a dispute
    of that charge; which one of them took how much only the provider can say."""
    refs = sorted({one.charge_ref for one in taken if one.charge_ref is not None})
    disputed = run.context.view.find_disputed(run.account, refs) if refs else []
    known = {each.ref: one.id for one in disputed for each in one.disputes}
    for one in taken:
        if one.charge_ref in known:
            run.comparison.totals.add(
                (replace(one, payment=known[one.charge_ref]), one)
            )
        else:
            _count_pair(run, (None, one))


def _load_payments(run: _Run, named: set[str]) -> list[Payment]:
    found = run.context.view.load(sorted(named)) if named else []
    return [one for one in found if one.account == run.account]


def _compare_listed(run: _Run, payment: Payment, listed: Sequence[Movement]) -> None:
    pairs = [
        pair for pair in match_movements(list_movements(payment), listed) if pair[1]
    ]
    for pair in pairs:
        if pair[0] is not None and compare_pair(pair) is None:
            run.comparison.count_match(pair)
    if find_differences(pairs):
        _compare_payment(run, payment, listed)


def _compare_unlisted(run: _Run, begin: datetime, end: datetime) -> None:
    """What we say moved in a slice, and the provider's lists have not shown."""
    for payment in _find_moved(run, begin, end):
        if any(
            one.at is not None
            and begin <= one.at < end
            and not run.comparison.has_matched(one)
            for one in list_movements(payment)
        ):
            _compare_payment(run, payment, ())


def _find_moved(run: _Run, begin: datetime, end: datetime) -> Iterator[Payment]:
    """Ours of a slice; of a busy one its halves, so that few are held at once."""
    found = run.context.view.find_moved(run.account, begin, end, limit=_MAX_PAYMENTS)
    if len(found) < _MAX_PAYMENTS or end - begin <= _MIN_SLICE:
        yield from found
        return
    middle = begin + (end - begin) / 2
    yield from _find_moved(run, begin, middle)
    yield from _find_moved(run, middle, end)


def _compare_payment(run: _Run, payment: Payment, listed: Sequence[Movement]) -> None:
    """Compares all of a payment with what a read of it by its ids shows.

    Ours is as it was while theirs was read, else it is read again. What is listed with
    our payment's id, and is no part of what that read shows, stands beside it: it moved
    by an object that we do not know, as a second charge does.
    """
    judged = run.comparison.compared_payments
    if payment.id in judged:
        for one in _movements_of_other_payments(listed, judged[payment.id]):
            _count_pair(run, (None, one), payment)
        return
    judged[payment.id] = None
    statement = run.context.statements(run.account)
    for _ in range(_ROUNDS):
        before = payment
        try:
            theirs = call_with_retries(
                run.account,
                lambda: statement.for_payment(before),
                calls=2,
                context=run.context,
            )
        except MalformedAnswer:
            run.comparison.add_unreadable(_unreadable_payment(run, before, listed))
            return
        [payment] = _load_payments(run, {before.id}) or [before]
        if payment.version == before.version:
            break
    else:
        return
    if theirs is None:
        shown = listed
    else:
        refs = frozenset(one.ref for one in theirs)
        judged[payment.id] = refs
        shown = [*theirs, *_movements_of_other_payments(listed, refs)]
    # What others made has none of our ids, and is the payment's all the same.
    named = (replace(one, payment=one.payment or payment.id) for one in shown)
    asked = [one for one in named if not is_withdrawal(payment, one)]
    for pair in match_movements(list_movements(payment), asked):
        if not run.comparison.is_counted(pair):
            _count_pair(run, pair, payment)


def _unreadable_payment(
    run: _Run, payment: Payment, listed: Sequence[Movement]
) -> UnreadableEntry:
    """That the provider's read of ``payment`` tells nothing; when it moved."""
    moved = [
        one.at for one in (*listed, *list_movements(payment)) if one.at is not None
    ]
    since, until = run.comparison.since, run.comparison.until
    at = next((one for one in moved if since <= one < until), since)
    return UnreadableEntry(at, next(iter(payment.refs.values()), None), payment.id)


def _movements_of_other_payments(
    listed: Sequence[Movement], refs: frozenset[str | None] | None
) -> list[Movement]:
    """Those of ``listed`` that a read of their payment did not show."""
    return [] if refs is None else [one for one in listed if one.ref not in refs]


def _count_pair(run: _Run, pair: Pair, payment: Payment | None = None) -> None:
    """Takes a pair into the report; a payment of ours that differs is looked into.

    What others did with it is thereby taken over, and agrees in the next comparison.
    """
    found = run.comparison.add_pair(pair)
    if found is not None and payment is not None:
        _request_lookup(run, payment.id, found)


def _request_lookup(run: _Run, payment_id: str, found: Difference) -> None:
    """Has the operation looked at, unless work is owed on it or a person decides.

    The beat rings for it within a second.
    """
    auditor, reason = run.context, f"{run.account.id} differs: {found.kind}"
    who = Intervention("reconciliation", reason)
    for payment in _load_payments(run, {payment_id}):
        try:
            operation = payment.get_operation(
                found.operation or payment.first_operation.id
            )
            step = request_lookup(payment, operation, who, now=auditor.clock())
        except (Conflict, PaymentNotFound):
            return
        # Where it has moved on meanwhile, the next run sees how it is then.
        try:
            auditor.store.amend(step)
        except WriteRefused:
            log.error("lookup_refused", payment=payment_id)
