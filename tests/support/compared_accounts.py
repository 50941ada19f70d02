"""A provider's books and ours, and their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from application.reconciliation import reconcile as use_case
from application.reconciliation.comparison import SLICE_LENGTH
from application.reconciliation.provider_calls import ReconciliationContext
from application.reconciliation.reconcile import Progress
from domain.account import Account as ProviderAccount
from domain.errors import ProviderError
from domain.payments import follow_ups
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.payment import Payment
from domain.payments.submission import Mode
from domain.reconciliation import (
    DifferenceKind,
    Movement,
    ReconciliationReport,
    MovementStatus,
    Direction,
)
from tests.suites.samples import (
    insert_all,
    NOW,
    PRICE,
    SHOP,
    origin,
    payment,
    sending,
)
from tests.support.account_admission import PAYPAL, STRIPE, Account
from tests.support.fake_statement import MemoryStatement
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryView

SPAN: Final = 6 * SLICE_LENGTH
OWN: Final = ProviderAccount.own(STRIPE)
NO: Final = Answer(Verdict.DECLINED)


class Books:
    """Stripe's books and ours, from NOW on."""

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
        self.differences = MemoryDifferences()
        self.verify: list[Progress] = []
        self.slept: list[float] = []
        statements = {STRIPE: self.statement, PAYPAL: MemoryStatement()}
        self.context = ReconciliationContext(
            statements=lambda account: statements[account.provider],
            view=MemoryView(self.store),
            store=self.store,
            differences=self.differences,
            limiter=self.account.limiter,
            breakers=self.account.breakers,
            pace=lambda account: pace,
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
        """A payment with the charge's ``outcome``, by default success.

        ``known``: Stripe's books have the charge.
        """
        at = NOW + after
        [new] = insert_all(self.store, [payment(number, now=NOW)])
        [won] = self.store.claim_many([sending(new, now=NOW)])
        paid = Answer(Verdict.SUCCEEDED, PRICE, _refs(number))
        step = settle(won, outcome or paid, now=at, jitter=0)
        [done] = self.store.settle_many([step])
        if known:
            self.statement.listed.append(theirs(done, at=at))
        return done

    def refunded(self, paid: Payment, *, after: timedelta) -> Payment:
        """The payment after a full refund, which Stripe's books have too."""
        at = NOW + after
        step = follow_ups.refund(
            paid, amount=None, target=None, id="op_back", origin=origin(), now=NOW
        )
        asked = self.store.amend(step)
        assert asked is not None
        [won] = self.store.claim_many([sending(asked, now=NOW)])
        back = Answer(Verdict.SUCCEEDED, PRICE, {"refund": "re_1"})
        [done] = self.store.settle_many([settle(won, back, now=at, jitter=0)])
        refund = theirs(done, at=at, ref="re_1")
        self.statement.listed.append(
            replace(refund, direction=Direction.REFUNDED, operation="op_back")
        )
        return done

    def report(
        self, span: timedelta = SPAN, of: ProviderAccount = OWN
    ) -> ReconciliationReport:
        """Compares ``span`` from NOW on."""
        return use_case.reconcile(
            of, NOW, NOW + span, context=self.context, on_progress=self.verify.append
        )

    def stored(self, one: Payment) -> Payment:
        """The stored payment."""
        found = self.store.get(SHOP, one.id)
        assert found is not None
        return found

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.account.passed += seconds


@dataclass
class MemoryDifferences:
    """A DifferenceStore that keeps every report."""

    taken: list[ReconciliationReport] = field(default_factory=list)

    def record_report(self, report: ReconciliationReport) -> None:
        self.taken.append(report)


def theirs(ours: Payment, *, at: datetime = NOW, ref: str | None = None) -> Movement:
    """The payment's charge in Stripe's books."""
    return Movement(
        direction=Direction.COLLECTED,
        status=MovementStatus.MOVED,
        money=PRICE,
        at=at,
        ref=ref or f"ch_{int(ours.id[14:])}",
        payment=ours.id,
        operation=ours.first_operation.id,
    )


def kinds(report: ReconciliationReport) -> list[DifferenceKind]:
    """The kinds of the differences."""
    return [one.kind for one in report.differences]


def sums(report: ReconciliationReport) -> Sequence[tuple[int, int]]:
    """The totals, ours and theirs."""
    return [(one.ours, one.theirs) for one in report.totals]


def _refs(number: int) -> dict[str, str]:
    return {"payment_intent": f"pi_{number}", "charge": f"ch_{number}"}
