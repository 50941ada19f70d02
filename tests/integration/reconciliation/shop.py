"""A shop's day at both providers, and what its accounts' books are compared with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pymongo.database import Database

from application import attempt
from application.reconcile import Auditor, Progress, reconcile
from domain.payment import BELL_GRACE, Payment
from domain.reconciling import Report
from domain.submission import CaptureMethod, ProviderName
from persistence.codec import Document
from runtime import container
from runtime.settings import Settings
from runtime.stack.initialise import initialise
from tests.contract.simulators.simulator_process import Simulator
from tests.integration.gates.workers import fleet, work_off
from tests.integration.providers.accounts import (
    PAYPAL_METHODS,
    STRIPE_METHODS,
    capture,
    refund,
    void,
)
from tests.suites.samples import SHOP, payment, submission

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
METHODS = {STRIPE: STRIPE_METHODS, PAYPAL: PAYPAL_METHODS}

#: What becomes of a payment: its method, when it is captured, and what follows.
Story = tuple[str, CaptureMethod, Callable[[Payment], Payment] | None]
AUTOMATIC, MANUAL = CaptureMethod.AUTOMATIC, CaptureMethod.MANUAL
STORIES: dict[str, Story] = {
    "paid": ("pays", AUTOMATIC, None),
    "declined": ("declines", AUTOMATIC, None),
    "refunded": ("pays", AUTOMATIC, refund),
    "part refunded": ("pays", AUTOMATIC, lambda one: refund(one, 500)),
    "refund pending": ("refunds later", AUTOMATIC, refund),
    "held": ("pays", MANUAL, None),
    "captured in part": ("pays", MANUAL, lambda one: capture(one, 600, final=True)),
    "voided": ("pays", MANUAL, void),
}
#: A refund that succeeds at Stripe, and fails a day later.
FAILS_LATER: dict[str, Story] = {"refund fails": ("refunds never", AUTOMATIC, refund)}


@dataclass(frozen=True)
class Day:
    """What a shop's payments came to, and the accounts that they went through."""

    settings: Settings
    database: Database[Document]
    workers: list[attempt.Tools]
    simulators: dict[ProviderName, Simulator]
    auditor: Auditor
    ids: dict[tuple[ProviderName, str], str]  #: by provider and story

    def payment(self, provider: ProviderName, story: str) -> Payment:
        """A payment as it is stored now."""
        found = self.workers[0].store.get(SHOP, self.ids[provider, story])
        assert found is not None
        return found

    def report(
        self, provider: ProviderName, *, span: timedelta = timedelta(hours=1)
    ) -> Report:
        """What a comparison up to the next second comes to."""
        until = self.auditor.clock().replace(microsecond=0) + timedelta(seconds=1)
        heard = list[Progress]()
        report = reconcile(
            provider, until - span, until, auditor=self.auditor, told=heard.append
        )
        assert heard[-1].share == 1
        return report

    def drift(self, provider: ProviderName, **what: Any) -> str:
        """Plants a drift; the id of what has drifted."""
        answer = self.simulators[provider].post("/_drift", what)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def look(self, provider: ProviderName, story: str) -> Payment:
        """The payment after a worker has made the look that is owed on it."""
        before = self.payment(provider, story)
        assert before.due_at is not None, "nobody asked for one"
        assert list(attempt.run([before.id], self.workers[0]))
        return self.payment(provider, story)

    def work_off(self) -> None:
        """Has the workers carry out whatever is due."""
        work_off(list(self.ids.values()), self.workers)


@contextmanager
def day(
    settings: Settings,
    simulators: dict[ProviderName, Simulator],
    stories: dict[str, Story] = STORIES,
) -> Iterator[Day]:
    """A day of each story at both providers, in accounts of its own."""
    settings = replace(
        settings,
        stripe_api_base=simulators[STRIPE].url,
        stripe_secret_key=f"sk_test_{uuid.uuid4().hex}",
        paypal_api_base=simulators[PAYPAL].url,
        paypal_client_id=uuid.uuid4().hex,
    )
    initialise(settings)
    with fleet(settings, gated=True) as workers:
        database = container.open_database(settings)
        done = Day(
            settings=settings,
            database=database,
            workers=workers,
            simulators=simulators,
            auditor=container.auditor(settings, database),
            ids=_submitted(workers[0], stories),
        )
        done.work_off()
        for provider, story in done.ids:
            follow_up = stories[story][2]
            if follow_up is not None:
                step = follow_up(done.payment(provider, story))
                assert workers[0].store.amend(step) is not None
        done.work_off()
        try:
            yield done
        finally:
            database.client.close()


def _submitted(
    tools: attempt.Tools, stories: dict[str, Story]
) -> dict[tuple[ProviderName, str], str]:
    now = container.clock() - BELL_GRACE
    new: dict[tuple[ProviderName, str], Payment] = {}
    for provider in ProviderName:
        for story, (method, when, _) in stories.items():
            token = METHODS[provider][method]
            asked = submission(provider=provider, payment_method=token)
            new[provider, story] = payment(
                len(new) + 1, asked=replace(asked, capture=when), now=now
            )
    assert len(tools.store.insert_many(list(new.values()))) == len(new)
    return {key: one.id for key, one in new.items()}
