"""A shop's day at both providers, and the comparison of their books."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pymongo.database import Database

from application import attempt
from application.reconciliation.provider_calls import ReconciliationContext
from application.reconciliation.reconcile import Progress, reconcile
from domain.account import Account
from domain.money import Money
from domain.payments.payment import WAKEUP_GRACE, Payment
from domain.payments.submission import CaptureMethod, ProviderName
from domain.reconciliation import ReconciliationReport
from local_stack.initialise import initialise
from persistence.codec import Document
from runtime import container
from runtime.settings import Settings
from tests.suites.accounts import capture, refund, void
from tests.suites.samples import insert_all, PRICE, SHOP, payment, submission
from tests.support.provider_accounts import PAYPAL_METHODS, STRIPE_METHODS
from tests.support.simulator_process import Simulator
from tests.support.worker_processes import fleet, work_off

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
METHODS = {STRIPE: STRIPE_METHODS, PAYPAL: PAYPAL_METHODS}


@dataclass(frozen=True)
class Story:
    """The course of a payment."""

    does: str  #: the payment method's effect
    when: CaptureMethod = CaptureMethod.AUTOMATIC
    then: Callable[[Payment], Payment] | None = None  #: requested afterwards
    money: Money = PRICE
    only: ProviderName | None = None  #: None: at both
    several: bool = False  #: allows several captures


MANUAL = CaptureMethod.MANUAL
STORIES = {
    "paid": Story("pays"),
    "declined": Story("declines"),
    "refunded": Story("pays", then=refund),
    "part refunded": Story("pays", then=lambda one: refund(one, 500)),
    "refund pending": Story("refunds later", then=refund),
    "held": Story("pays", MANUAL),
    "captured in part": Story(
        "pays", MANUAL, lambda one: capture(one, 600, final=True)
    ),
    "voided": Story("pays", MANUAL, void),
}
#: A refund that succeeds at Stripe, and fails a day later.
FAILS_LATER = {"refund fails": Story("refunds never", then=refund)}
#: Amounts in currencies with units other than in ISO 4217.
MONIES = {
    STRIPE: [Money(1200, "JPY"), Money(5300, "ISK"), Money(19_990, "KWD")],
    PAYPAL: [Money(1200, "JPY"), Money(530_000, "HUF"), Money(70_000, "TWD")],
}
CURRENCIES = {
    f"{provider} {money}": Story("pays", money=money, only=provider)
    for provider, monies in MONIES.items()
    for money in monies
}


@dataclass(frozen=True)
class Day:
    """A shop's payments, and their accounts."""

    settings: Settings
    database: Database[Document]
    workers: list[attempt.AttemptContext]
    simulators: dict[ProviderName, Simulator]
    context: ReconciliationContext
    ids: dict[tuple[ProviderName, str], str]  #: by provider and story

    def payment(self, provider: ProviderName, story: str) -> Payment:
        """The stored payment."""
        found = self.workers[0].store.get(SHOP, self.ids[provider, story])
        assert found is not None
        return found

    def report(
        self, of: ProviderName | Account, *, span: timedelta = timedelta(hours=1)
    ) -> ReconciliationReport:
        """Compares the books up to the next second."""
        until = self.context.clock().replace(microsecond=0) + timedelta(seconds=1)
        progress = list[Progress]()
        report = reconcile(
            of if isinstance(of, Account) else Account.own(of),
            until - span,
            until,
            context=self.context,
            on_progress=progress.append,
        )
        assert progress[-1].share == 1
        return report

    def drift(self, provider: ProviderName, **drift: Any) -> str:
        """Makes the provider's books drift; returns the id of the object."""
        answer = self.simulators[provider].post("/_drift", drift)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def look_up(self, provider: ProviderName, story: str) -> Payment:
        """Makes the due lookup of the payment; returns the payment."""
        before = self.payment(provider, story)
        assert before.due_at is not None, "no lookup is due"
        assert list(attempt.run([before.id], self.workers[0]))
        return self.payment(provider, story)

    def live(self, stories: Mapping[str, Story]) -> None:
        """Makes all payments, and then their follow-ups."""
        self.work_off()
        for provider, story in self.ids:
            then = stories[story].then
            if then is not None:
                step = then(self.payment(provider, story))
                assert self.workers[0].store.amend(step) is not None
        self.work_off()

    def work_off(self) -> None:
        """Makes the workers carry out all due work."""
        work_off(list(self.ids.values()), self.workers)


@contextmanager
def open_day(
    settings: Settings,
    simulators: dict[ProviderName, Simulator],
    stories: Mapping[str, Story] = STORIES,
) -> Iterator[Day]:
    """A day that has not begun, in new accounts."""
    settings = replace(
        settings,
        stripe_api_base=simulators[STRIPE].url,
        stripe_secret_key=f"sk_test_{uuid.uuid4().hex}",
        paypal_api_base=simulators[PAYPAL].url,
        paypal_client_id=uuid.uuid4().hex,
    )
    initialise(settings)
    with fleet(settings, with_admission=True) as workers:
        database = container.open_database(settings)
        try:
            yield Day(
                settings=settings,
                database=database,
                workers=workers,
                simulators=simulators,
                context=container.reconciliation_context(settings, database),
                ids=_submitted(workers[0], stories),
            )
        finally:
            database.client.close()


@contextmanager
def day(
    settings: Settings,
    simulators: dict[ProviderName, Simulator],
    stories: Mapping[str, Story] = STORIES,
) -> Iterator[Day]:
    """A day with all stories at both providers, complete."""
    with open_day(settings, simulators, stories) as opened:
        opened.live(stories)
        yield opened


def _submitted(
    context: attempt.AttemptContext, stories: Mapping[str, Story]
) -> dict[tuple[ProviderName, str], str]:
    now = container.clock() - WAKEUP_GRACE
    new: dict[tuple[ProviderName, str], Payment] = {}
    for name, story in stories.items():
        for provider in [story.only] if story.only else ProviderName:
            asked = submission(
                amount=story.money,
                provider=provider,
                payment_method=METHODS[provider][story.does],
            )
            asked = replace(asked, capture=story.when, multicapture=story.several)
            new[provider, name] = payment(len(new) + 1, submitted=asked, now=now)
    assert len(insert_all(context.store, list(new.values()))) == len(new)
    return {key: one.id for key, one in new.items()}
