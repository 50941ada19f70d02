"""Compares what a provider says moved with what we say, and corrects nothing.

A list finds what may differ, a read of the payment by its ids decides. Both sides are
read slice by slice of time, so that a month costs no more memory than an hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from application.reconciliation.comparison import SLICE, Comparison
from application.reconciliation.provider_calls import Auditor, called
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
from domain.payments.operator_actions import Intervention, looked_into
from domain.payments.payment import Payment
from domain.reconciliation import (
    TAKEN,
    Difference,
    Movement,
    Pair,
    Report,
    Unread,
    Way,
    difference,
    differences,
    is_withdrawal,
    movements_of,
    paired,
)

log = logging.getLogger(__name__)

#: Payments of ours that are read at once; each is some kilobytes.
_MOST: Final = 1_000
#: No time is halved further: what we write has this resolution.
_SHORTEST: Final = timedelta(milliseconds=1)
#: Reads of a payment that moves meanwhile; then the next run judges it.
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a comparison has come."""

    share: float  #: of the time that is compared, from 0 to 1
    compared: int
    differing: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One comparison under way."""

    account: Account
    auditor: Auditor
    so_far: Comparison


def reconcile(
    account: Account,
    since: datetime,
    until: datetime,
    *,
    auditor: Auditor,
    told: Callable[[Progress], None],
) -> Report:
    """Compares what moved from ``since`` until before ``until`` (UTC).

    Both are whole seconds. Stores the differences as open ones. Where a payment of
    ours differs, a look at that operation is asked for; nothing else is written.
    Raises NotReconciled and StoreUnavailable.
    """
    began_at, so_far = auditor.clock(), Comparison(since, until)
    run = _Run(account, auditor, so_far)
    try:
        for begin, end in slices(since, until, SLICE):
            so_far.go_on(begin, end)
            _compare_theirs(run, begin, end)
            _compare_ours(run, begin, end)
            share = (end - since) / (until - since)
            told(Progress(share, so_far.tally.count, so_far.differing))
    except ProviderError as error:
        words = (
            f"{account.id} could not be read to the end ({error.detail}): no report."
        )
        raise NotReconciled(words) from None
    report = Report(
        id=auditor.new_id("rec"),
        mode=auditor.mode,
        account=account,
        since=since,
        until=until,
        began_at=began_at,
        ended_at=auditor.clock(),
        compared=so_far.tally.count,
        counts=so_far.counts,
        differences=tuple(so_far.found.values()),
        sums=so_far.tally.sums,
    )
    auditor.differences.take(report)
    return report


def slices(
    since: datetime, until: datetime, length: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """The time from ``since`` until ``until`` in parts of ``length`` at most."""
    while since < until:
        end = min(since + length, until)
        yield since, end
        since = end


def _compare_theirs(run: _Run, begin: datetime, end: datetime) -> None:
    """What the provider lists of a slice; of a busy one by its halves."""
    try:
        _compare_pages(run, begin, end)
    except ListTooLong:
        middle = (begin + (end - begin) / 2).replace(microsecond=0)
        if middle <= begin:
            raise
        _compare_theirs(run, begin, middle)
        _compare_theirs(run, middle, end)


def _compare_pages(run: _Run, begin: datetime, end: datetime) -> None:
    statement, cursor = run.auditor.statements(run.account), None
    while True:
        page = called(
            run.account,
            lambda: statement.page(begin, end, cursor),
            calls=1,
            auditor=run.auditor,
        )
        for unread in page.unread:
            run.so_far.take_unread(unread)
        _compare_taken(run, [one for one in page.movements if one.way in TAKEN])
        asked = [_named(run, one) for one in page.movements if one.way not in TAKEN]
        named = {one.payment for one in asked if one.payment is not None}
        ours = {one.id: one for one in _known(run, named)}
        listed: dict[str, list[Movement]] = {}
        for one in asked:
            if one.payment in ours:
                listed.setdefault(one.payment, []).append(one)
            else:
                _count(run, (None, one))
        for payment_id, movements in listed.items():
            _compare_listed(run, ours[payment_id], movements)
        cursor = page.next
        if cursor is None:
            return


def _named(run: _Run, movement: Movement) -> Movement:
    """A listed movement with our payment. A refund that others made has none of our
    ids, but the charge that it is of does."""
    traced, of = run.so_far.traced, movement.of
    if movement.payment is not None or movement.way is not Way.REFUNDED or of is None:
        return movement
    if of not in traced and len(traced) < _MOST:
        statement = run.auditor.statements(run.account)
        try:
            traced[of] = called(
                run.account,
                lambda: statement.payment_of(of),
                calls=1,
                auditor=run.auditor,
            )
        except MalformedAnswer:
            traced[of] = None
    return replace(movement, payment=traced.get(of))


def _compare_taken(run: _Run, taken: Sequence[Movement]) -> None:
    """What the provider took by itself, or gave back, is ours where we know a dispute
    of that charge; which one of them took how much only the provider can say."""
    refs = sorted({one.of for one in taken if one.of is not None})
    disputed = run.auditor.view.disputed(run.account, refs) if refs else []
    known = {each.ref: one.id for one in disputed for each in one.disputes}
    for one in taken:
        if one.of in known:
            run.so_far.tally.add((replace(one, payment=known[one.of]), one))
        else:
            _count(run, (None, one))


def _known(run: _Run, named: set[str]) -> list[Payment]:
    found = run.auditor.view.known(sorted(named)) if named else []
    return [one for one in found if one.account == run.account]


def _compare_listed(run: _Run, payment: Payment, listed: Sequence[Movement]) -> None:
    pairs = [pair for pair in paired(movements_of(payment), listed) if pair[1]]
    for pair in pairs:
        if pair[0] is not None and difference(pair) is None:
            run.so_far.agree(pair)
    if differences(pairs):
        _judge(run, payment, listed)


def _compare_ours(run: _Run, begin: datetime, end: datetime) -> None:
    """What we say moved in a slice, and the provider's lists have not shown."""
    for payment in _moved(run, begin, end):
        if any(
            one.at is not None
            and begin <= one.at < end
            and not run.so_far.has_agreed(one)
            for one in movements_of(payment)
        ):
            _judge(run, payment, ())


def _moved(run: _Run, begin: datetime, end: datetime) -> Iterator[Payment]:
    """Ours of a slice; of a busy one its halves, so that few are held at once."""
    found = run.auditor.view.moved(run.account, begin, end, limit=_MOST)
    if len(found) < _MOST or end - begin <= _SHORTEST:
        yield from found
        return
    middle = begin + (end - begin) / 2
    yield from _moved(run, begin, middle)
    yield from _moved(run, middle, end)


def _judge(run: _Run, payment: Payment, listed: Sequence[Movement]) -> None:
    """Compares all of a payment with what a read of it by its ids shows.

    Ours is as it was while theirs was read, else it is read again. What is listed with
    our payment's id, and is no part of what that read shows, stands beside it: it moved
    by an object that we do not know, as a second charge does.
    """
    judged = run.so_far.judged
    if payment.id in judged:
        for one in _elsewhere(listed, judged[payment.id]):
            _count(run, (None, one), payment)
        return
    judged[payment.id] = None
    statement = run.auditor.statements(run.account)
    for _ in range(_ROUNDS):
        before = payment
        try:
            theirs = called(
                run.account, lambda: statement.of(before), calls=2, auditor=run.auditor
            )
        except MalformedAnswer:
            run.so_far.take_unread(_unread(run, before, listed))
            return
        [payment] = _known(run, {before.id}) or [before]
        if payment.version == before.version:
            break
    else:
        return
    if theirs is None:
        shown = listed
    else:
        refs = frozenset(one.ref for one in theirs)
        judged[payment.id] = refs
        shown = [*theirs, *_elsewhere(listed, refs)]
    # What others made has none of our ids, and is the payment's all the same.
    named = (replace(one, payment=one.payment or payment.id) for one in shown)
    asked = [one for one in named if not is_withdrawal(payment, one)]
    for pair in paired(movements_of(payment), asked):
        if not run.so_far.is_counted(pair):
            _count(run, pair, payment)


def _unread(run: _Run, payment: Payment, listed: Sequence[Movement]) -> Unread:
    """That the provider's read of ``payment`` tells nothing; when it moved."""
    moved = [one.at for one in (*listed, *movements_of(payment)) if one.at is not None]
    since, until = run.so_far.since, run.so_far.until
    at = next((one for one in moved if since <= one < until), since)
    return Unread(at, next(iter(payment.refs.values()), None), payment.id)


def _elsewhere(
    listed: Sequence[Movement], refs: frozenset[str | None] | None
) -> list[Movement]:
    """Those of ``listed`` that a read of their payment did not show."""
    return [] if refs is None else [one for one in listed if one.ref not in refs]


def _count(run: _Run, pair: Pair, payment: Payment | None = None) -> None:
    """Takes a pair into the report; a payment of ours that differs is looked into.

    What others did with it is thereby taken over, and agrees in the next comparison.
    """
    found = run.so_far.take(pair)
    if found is not None and payment is not None:
        _ask_for_look(run, payment.id, found)


def _ask_for_look(run: _Run, payment_id: str, found: Difference) -> None:
    """Has the operation looked at, unless work is owed on it or a person decides.

    The beat rings for it within a second.
    """
    auditor, reason = run.auditor, f"{run.account.id} differs: {found.differs}"
    who = Intervention("reconciliation", reason)
    for payment in _known(run, {payment_id}):
        try:
            operation = payment.operation(found.operation or payment.first.id)
            step = looked_into(payment, operation, who, now=auditor.clock())
        except (Conflict, PaymentNotFound):
            return
        # Where it has moved on meanwhile, the next run sees how it is then.
        try:
            auditor.store.amend(step)
        except WriteRefused:
            log.error("look_refused", extra={"payment": payment_id})
