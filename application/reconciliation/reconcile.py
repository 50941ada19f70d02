"""Compares a provider's movements with ours, and corrects nothing.

The provider's list finds candidates, and a read of the payment by its ids decides. Both
sides are read in slices of time, so that a month costs no more memory than an hour.
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

#: The most payments that are read at once; each is some kilobytes.
_MAX_PAYMENTS: Final = 1_000
#: The shortest slice: the resolution of stored times.
_MIN_SLICE: Final = timedelta(milliseconds=1)
#: Reads of a payment that changes meanwhile; then the next run compares it.
_MAX_READS: Final = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a comparison."""

    share: float  #: the compared part of the time, from 0 to 1
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
    """Compares the movements from ``since`` until before ``until`` (UTC).

    Both are whole seconds. Stores the differences as open. Where a payment differs, a
    status lookup of the operation becomes due; nothing else is written. Raises
    NotReconciled and StoreUnavailable.
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
    """The time from ``since`` until ``until`` in parts of at most ``length``."""
    while since < until:
        end = min(since + length, until)
        yield since, end
        since = end


def _compare_provider_slice(run: _Run, begin: datetime, end: datetime) -> None:
    """Compares the movements that the provider lists in a slice.

    A slice that is too long for one list is compared by halves.
    """
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
        for entry in page.unreadable:
            run.comparison.add_unreadable(entry)
        _compare_provider_initiated(
            run, [one for one in page.movements if one.direction in PROVIDER_INITIATED]
        )
        requested = [
            _with_payment(run, one)
            for one in page.movements
            if one.direction not in PROVIDER_INITIATED
        ]
        ids = {one.payment for one in requested if one.payment is not None}
        ours = {one.id: one for one in _load_payments(run, ids)}
        listed: dict[str, list[Movement]] = {}
        for one in requested:
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
    """A listed movement with our payment's id.

    An external refund has none of our ids, but its charge has them.
    """
    payment_ids, charge_ref = run.comparison.payment_ids, movement.charge_ref
    if (
        movement.payment is not None
        or movement.direction is not Direction.REFUNDED
        or charge_ref is None
    ):
        return movement
    if charge_ref not in payment_ids and len(payment_ids) < _MAX_PAYMENTS:
        statement = run.context.statements(run.account)
        try:
            payment_ids[charge_ref] = call_with_retries(
                run.account,
                lambda: statement.find_payment_id(charge_ref),
                calls=1,
                context=run.context,
            )
        except MalformedAnswer:
            payment_ids[charge_ref] = None
    return replace(movement, payment=payment_ids.get(charge_ref))


def _compare_provider_initiated(run: _Run, movements: Sequence[Movement]) -> None:
    """Counts movements that the provider made by itself.

    Such a movement agrees where we know a dispute of its charge. Amounts are not
    compared: only the provider knows the share of each dispute.
    """
    refs = sorted({one.charge_ref for one in movements if one.charge_ref is not None})
    disputed = run.context.view.find_disputed(run.account, refs) if refs else []
    known = {each.ref: one.id for one in disputed for each in one.disputes}
    for one in movements:
        if one.charge_ref in known:
            run.comparison.totals.add(
                (replace(one, payment=known[one.charge_ref]), one)
            )
        else:
            _count_pair(run, (None, one))


def _load_payments(run: _Run, ids: set[str]) -> list[Payment]:
    found = run.context.view.load(sorted(ids)) if ids else []
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
    """Compares our movements in a slice that the provider's list did not have."""
    for payment in _find_moved(run, begin, end):
        if any(
            one.at is not None
            and begin <= one.at < end
            and not run.comparison.has_matched(one)
            for one in list_movements(payment)
        ):
            _compare_payment(run, payment, ())


def _find_moved(run: _Run, begin: datetime, end: datetime) -> Iterator[Payment]:
    """Our payments with movements in a slice, by halves where they are too many."""
    found = run.context.view.find_moved(run.account, begin, end, limit=_MAX_PAYMENTS)
    if len(found) < _MAX_PAYMENTS or end - begin <= _MIN_SLICE:
        yield from found
        return
    middle = begin + (end - begin) / 2
    yield from _find_moved(run, begin, middle)
    yield from _find_moved(run, middle, end)


def _compare_payment(run: _Run, payment: Payment, listed: Sequence[Movement]) -> None:
    """Compares a payment with a read of it by its ids at the provider.

    Both are read again where the payment changed meanwhile. A listed movement with our
    payment's id that the read does not show is compared as well: it belongs to an
    object that we do not know, such as a second charge.
    """
    compared = run.comparison.compared_payments
    if payment.id in compared:
        for one in _unknown_movements(listed, compared[payment.id]):
            _count_pair(run, (None, one), payment)
        return
    compared[payment.id] = None
    statement = run.context.statements(run.account)
    for _ in range(_MAX_READS):
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
        compared[payment.id] = refs
        shown = [*theirs, *_unknown_movements(listed, refs)]
    # External movements have none of our ids, but they belong to the payment.
    of_payment = (replace(one, payment=one.payment or payment.id) for one in shown)
    requested = [one for one in of_payment if not is_withdrawal(payment, one)]
    for pair in match_movements(list_movements(payment), requested):
        if not run.comparison.is_counted(pair):
            _count_pair(run, pair, payment)


def _unreadable_payment(
    run: _Run, payment: Payment, listed: Sequence[Movement]
) -> UnreadableEntry:
    """The entry of a payment that cannot be read at the provider."""
    times = [
        one.at for one in (*listed, *list_movements(payment)) if one.at is not None
    ]
    since, until = run.comparison.since, run.comparison.until
    at = next((one for one in times if since <= one < until), since)
    return UnreadableEntry(at, next(iter(payment.refs.values()), None), payment.id)


def _unknown_movements(
    listed: Sequence[Movement], refs: frozenset[str | None] | None
) -> list[Movement]:
    """The listed movements that the read of their payment did not show."""
    return [] if refs is None else [one for one in listed if one.ref not in refs]


def _count_pair(run: _Run, pair: Pair, payment: Payment | None = None) -> None:
    """Counts a pair; a payment of ours that differs is looked up.

    The lookup records external changes, so that the next comparison agrees.
    """
    difference = run.comparison.add_pair(pair)
    if difference is not None and payment is not None:
        _request_lookup(run, payment.id, difference)


def _request_lookup(run: _Run, payment_id: str, difference: Difference) -> None:
    """Makes a status lookup of the operation due, where its state allows one.

    The beat notifies the workers of it within a second.
    """
    context, reason = run.context, f"{run.account.id} differs: {difference.kind}"
    intervention = Intervention("reconciliation", reason)
    for payment in _load_payments(run, {payment_id}):
        try:
            operation = payment.get_operation(
                difference.operation or payment.first_operation.id
            )
            step = request_lookup(payment, operation, intervention, now=context.clock())
        except (Conflict, PaymentNotFound):
            return
        # If the payment has changed meanwhile, the next run compares it.
        try:
            context.store.amend(step)
        except WriteRefused:
            log.error("lookup_refused", payment=payment_id)
