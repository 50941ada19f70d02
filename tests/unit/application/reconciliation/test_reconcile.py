"""A comparison with a provider: its reads, its differences, and the lookups it
requests.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from application.reconciliation.comparison import MAX_DIFFERENCES
from domain.errors import (
    MalformedAnswer,
    NeedsReview,
    OutcomeUnknown,
    ProviderError,
    WriteRefused,
)
from domain.money import Money
from domain.payments.answer import Answer, ExternalMovement, Verdict
from domain.payments.settle import settle
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from domain.reconciliation import (
    DifferenceKind,
    MovementStatus,
    MovementTotal,
    UnreadableEntry,
    Direction,
)
from tests.suites.samples import insert_all, NOW, PRICE, SHOP, payment, submission
from tests.support.account_admission import PAYPAL
from tests.support.compared_accounts import NO, SPAN, Books, kinds, sums, theirs
from tests.support.memory_store import MemoryStore


def test_books_that_agree_need_no_payment_read() -> None:
    books = Books()
    for number in range(1, 8):
        books.paid(number, after=timedelta(minutes=number))
    report = books.report()
    assert (report.differences, report.compared) == ((), 7)
    assert report.totals == (
        MovementTotal(Direction.COLLECTED, "USD", 7 * PRICE.minor, 7 * PRICE.minor, 0),
    )
    assert books.statement.reads == []
    assert [one.share for one in books.verify] == pytest.approx(
        [(n + 1) / 6 for n in range(6)]
    )
    assert books.verify[-1].compared == 7


def test_the_differences_of_a_report_are_stored_once_it_is_complete() -> None:
    books = Books()
    books.statement.listed = [theirs(payment())]
    report = books.report()
    assert report.difference_count == 1
    assert books.differences.taken == [report]


def test_a_movement_missing_in_the_list_is_read_by_id() -> None:
    books = Books()
    paid = books.paid(known=False)
    books.statement.held[paid.id] = [theirs(paid)]
    report = books.report()
    assert (kinds(report), sums(report)) == ([], [(PRICE.minor, PRICE.minor)])
    assert books.statement.reads == [paid.id]


def test_a_movement_with_an_outdated_status_is_read_by_id() -> None:
    books = Books()
    paid = books.paid(known=False)
    books.statement.listed = [replace(theirs(paid), status=MovementStatus.UNDER_WAY)]
    books.statement.held[paid.id] = [theirs(paid)]
    assert kinds(books.report()) == []


def test_a_movement_unknown_to_the_provider_is_ours_alone_and_looked_up() -> None:
    books = Books()
    paid = books.paid(known=False)
    report = books.report()
    assert (kinds(report), sums(report)) == (
        [DifferenceKind.OURS_ALONE],
        [(PRICE.minor, 0)],
    )
    asked = books.stored(paid)
    assert asked.first_operation.state is State.SUCCEEDED
    assert asked.due_at == asked.first_operation.lookups_since == books.account.now()
    events = books.store.load_timeline(SHOP, paid.id)
    assert events is not None and events[-1].data["by"] == "reconciliation"


def test_a_declined_charge_that_moved_money_is_a_difference_and_looked_up() -> None:
    books = Books()
    declined = books.paid(outcome=NO)
    report = books.report()
    assert (kinds(report), sums(report)) == ([DifferenceKind.STATE], [(0, PRICE.minor)])
    assert books.stored(declined).first_operation.lookups_since is not None


@pytest.mark.parametrize(
    ("outcome", "found"),
    [(OutcomeUnknown(), []), (NeedsReview("odd"), [DifferenceKind.STATE])],
)
def test_an_operation_with_work_or_in_review_is_not_looked_up(
    outcome: ProviderError, found: list[DifferenceKind]
) -> None:
    books = Books()
    paid = books.paid(outcome=outcome)
    assert kinds(books.report()) == found
    assert books.stored(paid) == paid


def test_a_movement_without_a_payment_of_ours_is_theirs_alone() -> None:
    books = Books()
    strange = theirs(payment(9))
    nameless = replace(strange, payment=None, operation=None, ref="ch_x")
    nothing = replace(strange, status=MovementStatus.NOT_MOVED, ref="ch_y")
    books.statement.listed = [strange, nameless, nothing]
    report = books.report()
    assert [one.ref for one in report.differences] == ["ch_9", "ch_x"]
    assert set(kinds(report)) == {DifferenceKind.THEIRS_ALONE}
    assert sums(report) == [(0, 2 * PRICE.minor)]


def test_a_second_charge_of_a_payment_is_found_and_the_first_agrees() -> None:
    books = Books()
    paid = books.paid()
    books.statement.listed.append(theirs(paid, at=NOW + SPAN / 2, ref="ch_2nd"))
    report = books.report()
    [found] = report.differences
    assert (found.kind, found.ref) == (DifferenceKind.THEIRS_ALONE, "ch_2nd")
    assert (found.payment, found.operation) == (paid.id, None)
    assert sums(report) == [(PRICE.minor, 2 * PRICE.minor)]


def test_a_second_charge_that_a_read_by_our_ids_does_not_show_is_found() -> None:
    """A second request under another key makes another object."""
    books = Books()
    paid = books.paid()
    books.statement.held[paid.id] = [theirs(paid)]
    books.statement.listed.append(theirs(paid, at=NOW + SPAN / 2, ref="ch_2nd"))
    report = books.report()
    [found] = report.differences
    assert (found.kind, found.ref) == (DifferenceKind.THEIRS_ALONE, "ch_2nd")
    assert found.payment == paid.id
    assert sums(report) == [(PRICE.minor, 2 * PRICE.minor)]


def test_a_charge_without_a_known_id_is_compared_by_the_list() -> None:
    books = Books()
    declined = books.paid(outcome=NO)
    books.statement.held[declined.id] = None
    assert kinds(books.report()) == [DifferenceKind.STATE]


def test_a_payment_that_moves_while_it_is_read_is_read_again() -> None:
    books = Books()
    paid = books.paid(known=False)

    def move(_: Payment) -> None:
        if len(books.statement.reads) == 1:
            assert books.store.amend(books.stored(paid)) is not None

    books.statement.reading = move
    assert kinds(books.report()) == [DifferenceKind.OURS_ALONE]
    assert books.statement.reads == [paid.id] * 2


def test_a_refused_write_ends_no_comparison() -> None:
    books = Books()
    paid = books.paid(known=False)

    class Refusing(MemoryStore):
        def amend(self, payment: Payment) -> Payment | None:
            raise WriteRefused

    store = Refusing(books.account.now, table=books.store.table)
    books.context = replace(books.context, store=store)
    assert kinds(books.report()) == [DifferenceKind.OURS_ALONE]
    assert books.stored(paid).first_operation.lookups_since is None


def test_a_payment_that_changes_at_every_read_is_left_to_the_next_run() -> None:
    books = Books()
    paid = books.paid(known=False)

    def move(_: Payment) -> None:
        assert books.store.amend(books.stored(paid)) is not None

    books.statement.reading = move
    assert kinds(books.report()) == []


def test_differences_beyond_the_list_are_counted() -> None:
    books = Books(size=500)
    books.statement.listed = [
        replace(theirs(payment(9)), payment=None, ref=f"ch_{n}")
        for n in range(MAX_DIFFERENCES + 5)
    ]
    report = books.report()
    assert len(report.differences) == MAX_DIFFERENCES
    assert report.difference_count == MAX_DIFFERENCES + 5


def test_a_payment_in_progress_is_in_neither_total() -> None:
    books = Books()
    books.paid(outcome=OutcomeUnknown())
    report = books.report()
    assert (report.totals, report.compared) == ((), 0)


def test_a_payment_with_a_difference_on_both_sides_is_read_once() -> None:
    books = Books()
    paid = books.paid(known=False)
    books.statement.listed = [replace(theirs(paid), money=Money(1, "USD"))]
    assert kinds(books.report()) == [DifferenceKind.AMOUNT]
    assert books.statement.reads == [paid.id]


def test_a_movement_naming_another_providers_payment_is_theirs_alone() -> None:
    books = Books()
    asked = submission(provider=PAYPAL)
    [other] = insert_all(books.store, [payment(submitted=asked, now=NOW)])
    books.statement.listed = [theirs(other)]
    assert kinds(books.report()) == [DifferenceKind.THEIRS_ALONE]
    assert books.stored(other) == other


def test_an_unreadable_line_is_named_and_the_rest_is_compared() -> None:
    books = Books()
    books.paid()
    books.statement.unread = [UnreadableEntry(NOW, "ch_odd", None)]
    report = books.report()
    [found] = report.differences
    assert (found.kind, found.ref) == (DifferenceKind.UNREADABLE, "ch_odd")
    assert sums(report) == [(PRICE.minor, PRICE.minor)]


def test_a_payment_unreadable_at_the_provider_is_named_and_the_rest_is_compared() -> (
    None
):
    books = Books()
    odd, fine = books.paid(1, known=False), books.paid(2)

    def garble(read: Payment) -> None:
        if read.id == odd.id:
            raise MalformedAnswer

    books.statement.reading = garble
    report = books.report()
    [found] = report.differences
    assert (found.kind, found.payment) == (DifferenceKind.UNREADABLE, odd.id)
    assert (found.ref, found.operation) == ("pi_1", None)
    assert books.stored(odd) == odd
    assert report.compared == 1 and fine.id not in books.statement.reads


def test_an_external_refund_agrees_after_a_lookup_of_its_payment() -> None:
    """The refund names no payment; its charge does, and is read once."""
    books = Books()
    paid = books.paid()
    back = replace(
        theirs(paid, ref="re_1"),
        direction=Direction.REFUNDED,
        money=Money(500, "USD"),
        payment=None,
        operation=None,
        charge_ref="ch_1",
    )
    books.statement.listed += [back, replace(back, ref="re_2")]
    books.statement.owners["ch_1"] = paid.id
    books.statement.held[paid.id] = list(books.statement.listed)
    report = books.report()
    assert kinds(report) == [DifferenceKind.THEIRS_ALONE] * 2
    assert {one.payment for one in report.differences} == {paid.id}
    asked = books.stored(paid)
    assert (
        asked.first_operation.due_at == asked.first_operation.lookups_since is not None
    )
    found = ExternalMovement(
        Kind.REFUND,
        Verdict.SUCCEEDED,
        Money(500, "USD"),
        {"refund": "re_1"},
        parent_ref="ch_1",
    )
    answer = Answer(
        Verdict.SUCCEEDED,
        PRICE,
        external_movements=(found, replace(found, refs={"refund": "re_2"})),
    )
    [won] = books.store.claim_many(
        [start_lookup(asked, asked.first_operation, now=NOW)]
    )
    books.store.settle_many([settle(won, answer, now=NOW, jitter=0)])
    assert kinds(books.report()) == []
    assert books.stored(paid).refunded == 1000


@pytest.mark.parametrize("readable", [True, False])
def test_a_refund_of_an_unknown_charge_stays_a_difference(readable: bool) -> None:
    books = Books()
    paid = books.paid()
    back = replace(
        theirs(paid, ref="re_1"),
        direction=Direction.REFUNDED,
        payment=None,
        charge_ref="ch_9",
    )
    books.statement.listed += [back]
    if not readable:
        books.statement.unreadable.add("ch_9")
    assert kinds(books.report()) == [DifferenceKind.THEIRS_ALONE]
    assert books.stored(paid).due_at is None
