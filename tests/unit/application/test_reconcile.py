"""A comparison with a provider: what it reads, what it believes, what it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from application import reconcile as use_case
from application.auditor import Auditor
from application.reconcile import MAX_DIFFERENCES, SLICE, Progress
from domain.answer import Answer, Verdict
from domain.breaker import Why
from domain.errors import (
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotReconciled,
    OutcomeUnknown,
    ProviderError,
)
from domain import requests
from domain.money import Money
from domain.payment import Payment
from domain.reconciling import Differs, Movement, Report, Standing, Sum, Way
from domain.settling import settle
from domain.states import State
from domain.submission import Mode
from tests.fake_statement import MemoryStatement
from tests.memory_store import MemoryStore
from tests.operator_fakes import MemoryView
from tests.suites.samples import NOW, PRICE, SHOP, origin, payment, sending, submission
from tests.unit.application.account import PAYPAL, STRIPE, Account

SPAN: Final = 6 * SLICE
NO: Final = Answer(Verdict.DECLINED)


class Books:
    """Stripe's books and ours, some hours of them from NOW on."""

    def __init__(
        self,
        *,
        rate: float = 0.0,
        pace: float = 0.0,
        size: int = 2,
        most: int = 10_000,
    ) -> None:
        self.account = Account(rate=rate)
        self.store = MemoryStore(clock=self.account.now)
        self.statement = MemoryStatement(size=size, most=most)
        self.heard: list[Progress] = []
        self.slept: list[float] = []
        self.auditor = Auditor(
            statements={STRIPE: self.statement, PAYPAL: MemoryStatement()},
            view=MemoryView(self.store),
            store=self.store,
            limiter=self.account.limiter,
            breakers=self.account.breakers,
            pace={STRIPE: pace, PAYPAL: 0.0},
            mode=Mode.TEST,
            clock=self.account.now,
            sleep=self._sleep,
            new_id=lambda kind: f"{kind}_1",
        )

    def paid(
        self,
        number: int = 1,
        *,
        after: timedelta = timedelta(),
        outcome: Answer | ProviderError | None = None,
        known: bool = True,
    ) -> Payment:
        """A payment of ours whose charge came to ``outcome``, by default to success.

        ``known``: Stripe's books have its charge.
        """
        at = NOW + after
        [new] = self.store.insert_many([payment(number, now=NOW)])
        [won] = self.store.claim_many([sending(new, now=NOW)])
        paid = Answer(Verdict.SUCCEEDED, PRICE, {"charge": f"ch_{number}"})
        step = settle(won, outcome or paid, now=at, jitter=0)
        [done] = self.store.settle_many([step])
        if known:
            self.statement.listed.append(theirs(done, at=at))
        return done

    def refunded(self, paid: Payment, *, after: timedelta) -> Payment:
        """The payment once all of it went back, as Stripe's books have it too."""
        at = NOW + after
        step = requests.refund(
            paid, amount=None, target=None, id="op_back", origin=origin(), now=NOW
        )
        asked = self.store.amend(step)
        assert asked is not None
        [won] = self.store.claim_many([sending(asked, now=NOW)])
        back = Answer(Verdict.SUCCEEDED, PRICE, {"refund": "re_1"})
        [done] = self.store.settle_many([settle(won, back, now=at, jitter=0)])
        refund = theirs(done, at=at, ref="re_1")
        self.statement.listed.append(
            replace(refund, way=Way.REFUNDED, operation="op_back")
        )
        return done

    def report(self, span: timedelta = SPAN) -> Report:
        """What a comparison of ``span`` from NOW on comes to."""
        return use_case.reconcile(
            STRIPE, NOW, NOW + span, auditor=self.auditor, told=self.heard.append
        )

    def stored(self, one: Payment) -> Payment:
        """A payment as it is now."""
        found = self.store.get(SHOP, one.id)
        assert found is not None
        return found

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.account.passed += seconds


def theirs(ours: Payment, *, at: datetime = NOW, ref: str | None = None) -> Movement:
    """Stripe's charge of a payment."""
    return Movement(
        way=Way.COLLECTED,
        standing=Standing.MOVED,
        money=PRICE,
        at=at,
        ref=ref or f"ch_{int(ours.id[4:])}",
        payment=ours.id,
        operation=ours.first.id,
    )


def kinds(report: Report) -> list[Differs]:
    """What was found."""
    return [one.differs for one in report.differences]


def sums(report: Report) -> Sequence[tuple[int, int]]:
    """Ours and theirs."""
    return [(one.ours, one.theirs) for one in report.sums]


def test_books_that_agree_need_no_payment_read() -> None:
    books = Books()
    for number in range(1, 8):
        books.paid(number, after=timedelta(minutes=number))
    report = books.report()
    assert (report.differences, report.compared) == ((), 7)
    assert report.sums == (
        Sum(Way.COLLECTED, "USD", 7 * PRICE.minor, 7 * PRICE.minor, 0),
    )
    assert books.statement.reads == []
    assert [one.share for one in books.heard] == pytest.approx(
        [(n + 1) / 6 for n in range(6)]
    )
    assert books.heard[-1].compared == 7


def test_what_the_list_does_not_show_is_believed_from_a_read_by_id() -> None:
    books = Books()
    paid = books.paid(known=False)
    books.statement.held[paid.id] = [theirs(paid)]
    report = books.report()
    assert (kinds(report), sums(report)) == ([], [(PRICE.minor, PRICE.minor)])
    assert books.statement.reads == [paid.id]


def test_a_list_that_is_behind_is_not_believed() -> None:
    books = Books()
    paid = books.paid(known=False)
    books.statement.listed = [replace(theirs(paid), standing=Standing.UNDER_WAY)]
    books.statement.held[paid.id] = [theirs(paid)]
    assert kinds(books.report()) == []


def test_what_a_provider_does_not_have_is_ours_alone_and_looked_into() -> None:
    books = Books()
    paid = books.paid(known=False)
    report = books.report()
    assert (kinds(report), sums(report)) == ([Differs.OURS_ALONE], [(PRICE.minor, 0)])
    asked = books.stored(paid)
    assert asked.first.state is State.SUCCEEDED
    assert asked.due_at == asked.first.look_since == books.account.now()
    events = books.store.timeline(SHOP, paid.id)
    assert events is not None and events[-1].data["by"] == "reconciliation"


def test_what_we_called_a_no_and_the_provider_took_is_looked_into() -> None:
    books = Books()
    declined = books.paid(outcome=NO)
    report = books.report()
    assert (kinds(report), sums(report)) == ([Differs.STATE], [(0, PRICE.minor)])
    assert books.stored(declined).first.look_since is not None


@pytest.mark.parametrize(
    ("outcome", "found"),
    [(OutcomeUnknown(), []), (NeedsReview("odd"), [Differs.STATE])],
)
def test_what_is_worked_on_or_waits_for_a_person_is_left_alone(
    outcome: ProviderError, found: list[Differs]
) -> None:
    books = Books()
    paid = books.paid(outcome=outcome)
    assert kinds(books.report()) == found
    assert books.stored(paid) == paid


def test_what_names_no_payment_of_ours_is_theirs_alone() -> None:
    books = Books()
    strange = theirs(payment(9))
    nameless = replace(strange, payment=None, operation=None, ref="ch_x")
    nothing = replace(strange, standing=Standing.NOT_MOVED, ref="ch_y")
    books.statement.listed = [strange, nameless, nothing]
    report = books.report()
    assert [one.ref for one in report.differences] == ["ch_9", "ch_x"]
    assert set(kinds(report)) == {Differs.THEIRS_ALONE}
    assert sums(report) == [(0, 2 * PRICE.minor)]


def test_a_second_charge_of_a_payment_is_found_and_the_first_agrees() -> None:
    books = Books()
    paid = books.paid()
    books.statement.listed.append(theirs(paid, at=NOW + SPAN / 2, ref="ch_2nd"))
    report = books.report()
    [found] = report.differences
    assert (found.differs, found.ref) == (Differs.THEIRS_ALONE, "ch_2nd")
    assert (found.payment, found.operation) == (paid.id, None)
    assert sums(report) == [(PRICE.minor, 2 * PRICE.minor)]


def test_a_difference_that_is_met_twice_is_told_once() -> None:
    """We heard of it much later than it happened."""
    books = Books()
    paid = books.paid(after=SPAN / 2, known=False)
    cheap = replace(theirs(paid), money=Money(1, "USD"))
    books.statement.listed = [cheap]
    report = books.report()
    assert kinds(report) == [Differs.AMOUNT]
    assert report.counts == {Differs.AMOUNT: 1}
    assert sums(report) == [(PRICE.minor, 1)]


def test_what_agreed_when_it_was_listed_is_counted_once() -> None:
    """We heard of it much later than it happened, so it is met again."""
    books = Books()
    paid = books.paid(after=SPAN / 2, known=False)
    books.statement.listed = [theirs(paid)]
    report = books.report()
    assert books.statement.reads == [paid.id], "the slice where it was is forgotten"
    assert (report.compared, sums(report)) == (1, [(PRICE.minor, PRICE.minor)])


def test_one_whose_id_we_never_heard_is_judged_by_the_list() -> None:
    books = Books()
    declined = books.paid(outcome=NO)
    books.statement.held[declined.id] = None
    assert kinds(books.report()) == [Differs.STATE]


def test_a_payment_that_moves_while_it_is_read_is_read_again() -> None:
    books = Books()
    paid = books.paid(known=False)

    def move(_: Payment) -> None:
        if len(books.statement.reads) == 1:
            assert books.store.amend(books.stored(paid)) is not None

    books.statement.reading = move
    assert kinds(books.report()) == [Differs.OURS_ALONE]
    assert books.statement.reads == [paid.id] * 2


def test_a_payment_that_never_rests_is_left_to_the_next_run() -> None:
    books = Books()
    paid = books.paid(known=False)

    def move(_: Payment) -> None:
        assert books.store.amend(books.stored(paid)) is not None

    books.statement.reading = move
    assert kinds(books.report()) == []


def test_more_than_can_be_listed_is_counted() -> None:
    books = Books(size=500)
    books.statement.listed = [
        replace(theirs(payment(9)), payment=None, ref=f"ch_{n}")
        for n in range(MAX_DIFFERENCES + 5)
    ]
    report = books.report()
    assert len(report.differences) == MAX_DIFFERENCES
    assert report.differing == MAX_DIFFERENCES + 5


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("no_answer"), NotExecuted("rate_limited")]
)
def test_what_may_soon_be_over_is_asked_again(error: ProviderError) -> None:
    books = Books()
    books.paid()
    books.statement.fails = [error] * 3
    assert kinds(books.report()) == []
    books.statement.fails = [error] * 4
    with pytest.raises(NotReconciled, match=f"{error.detail}.*no report"):
        books.report()


@pytest.mark.parametrize("error", [Misconfigured("no_right"), NeedsReview("odd")])
def test_what_does_not_pass_ends_it_and_opens_no_gate(error: ProviderError) -> None:
    books = Books()
    books.statement.fails = [error]
    with pytest.raises(NotReconciled, match=error.detail):
        books.report()
    assert books.statement.fails == []
    assert not books.account.gate.is_open


def test_a_provider_that_wants_fewer_calls_slows_all_of_us_down() -> None:
    books = Books(rate=100)
    wait = timedelta(seconds=7)
    books.statement.fails = [NotExecuted("rate_limited", retry_after=wait)]
    began = books.account.passed
    books.report()
    assert books.account.passed - began >= 7
    books.statement.fails = [OutcomeUnknown("no_answer", retry_after=SLICE)]
    began = books.account.passed
    books.report()
    assert 60 <= books.account.passed - began < 90, "but not for an hour"


def test_calls_wait_for_the_accounts_bucket_and_for_the_pace() -> None:
    books = Books(rate=10, pace=0.5)
    began = books.account.passed
    books.report()
    assert books.statement.pages == 6
    assert books.account.passed - began == pytest.approx(6 * 0.5)


def test_nothing_is_asked_at_an_open_gate() -> None:
    books = Books()
    books.account.breakers.open(STRIPE, why=Why.OPERATOR, reason="audit", by="ann")
    with pytest.raises(NotReconciled, match="audit"):
        books.report()
    assert books.statement.pages == 0


def test_a_busy_time_is_read_in_parts_and_nothing_is_left_out() -> None:
    books = Books(size=500)
    count = 1_200
    for number in range(1, count + 1):
        books.paid(number, after=timedelta(milliseconds=number), known=False)
    books.statement.listed = [
        theirs(payment(number), at=NOW + timedelta(milliseconds=number))
        for number in range(1, count)
    ]
    report = books.report()
    assert kinds(report) == [Differs.OURS_ALONE]
    assert report.compared == count


def test_what_is_too_much_for_one_list_is_listed_in_parts() -> None:
    books = Books(most=3)
    for number in range(1, 9):
        books.paid(number, after=timedelta(minutes=6 * number))
    report = books.report()
    assert (kinds(report), report.compared) == ([], 8)
    assert books.statement.reads == [], "all of it was listed"


def test_more_than_a_list_can_ever_show_ends_it() -> None:
    books = Books(most=1)
    for number in (1, 2):
        books.paid(number)
    with pytest.raises(NotReconciled, match="list_too_long"):
        books.report()


def test_what_is_heard_of_in_the_next_slice_is_remembered() -> None:
    books = Books()
    paid = books.paid(after=SLICE, known=False)
    books.statement.listed = [theirs(paid, at=NOW + SLICE - timedelta(seconds=1))]
    report = books.report()
    assert (kinds(report), report.compared, books.statement.reads) == ([], 1, [])


def test_what_moved_at_other_times_is_not_read_again_for_what_moves_now() -> None:
    books = Books()
    books.refunded(books.paid(), after=4 * SLICE)
    report = books.report()
    assert (kinds(report), report.compared, books.statement.reads) == ([], 2, [])


def test_what_moved_before_the_time_that_is_compared_is_left_out() -> None:
    books = Books()
    old = books.paid(after=-SPAN, known=False)
    done = books.refunded(old, after=SLICE)
    books.statement.listed.clear()
    report = books.report()
    [found] = report.differences
    assert (found.differs, found.operation) == (Differs.OURS_ALONE, "op_back")
    assert books.statement.reads == [done.id]
    assert sums(report) == [(PRICE.minor, 0)]


def test_what_we_are_at_is_in_neither_sum() -> None:
    books = Books()
    books.paid(outcome=OutcomeUnknown())
    report = books.report()
    assert (report.sums, report.compared) == ((), 0)


def test_a_payment_that_both_sides_point_at_is_read_once() -> None:
    books = Books()
    paid = books.paid(known=False)
    books.statement.listed = [replace(theirs(paid), money=Money(1, "USD"))]
    assert kinds(books.report()) == [Differs.AMOUNT]
    assert books.statement.reads == [paid.id]


def test_what_names_another_providers_payment_is_theirs_alone() -> None:
    books = Books()
    asked = submission(provider=PAYPAL)
    [other] = books.store.insert_many([payment(asked=asked, now=NOW)])
    books.statement.listed = [theirs(other)]
    assert kinds(books.report()) == [Differs.THEIRS_ALONE]
    assert books.stored(other) == other


def test_payments_get_no_calls_either_while_the_provider_wants_fewer() -> None:
    books = Books(rate=10)
    granted: list[int] = []

    def sleep(seconds: float) -> None:
        if not books.statement.fails:
            granted.append(books.account.limiter.take(STRIPE, 1, 0.0).granted)
        books.account.passed += seconds

    books.auditor = replace(books.auditor, sleep=sleep)
    books.statement.fails = [NotExecuted("rate_limited")]
    books.report(SLICE)
    assert granted[0] == 0


def test_what_agrees_in_a_later_slice_is_counted_there_and_once() -> None:
    books = Books()
    books.refunded(books.paid(known=False), after=4 * SLICE)
    report = books.report()
    assert kinds(report) == [Differs.OURS_ALONE]
    assert [(one.way, one.ours, one.theirs) for one in report.sums] == [
        (Way.COLLECTED, PRICE.minor, 0),
        (Way.REFUNDED, PRICE.minor, PRICE.minor),
    ]
    assert report.compared == 2
