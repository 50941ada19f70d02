"""The daily report: made by one beat, stored, logged and measured."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from domain.account import Account
from domain.payments.submission import Mode, ProviderName
from domain.reconciliation import DifferenceKind, ReconciliationReport
from persistence.circuit_breakers import MongoBreakerStore
from persistence.differences import MongoDifferences
from persistence.reconciliations import Reconciliations
from runtime import container, metrics
from runtime.processes import wait_until
from runtime.settings import Settings
from tests.support.log_lines import logged_errors
from tests.support.reconciliation_shop import PAYPAL, STRIPE, Day, day
from tests.support.simulator_process import simulators
from workers import exporter
from workers.reconciler import REPORT_SPAN, run_once

#: Whole seconds are compared, so that the current one is not included.
A_SECOND = timedelta(seconds=1)
#: Concurrent beats.
BEATS = 4


@pytest.fixture
def shop(settings: Settings) -> Iterator[Day]:
    """A day at simulators whose books can drift."""
    with simulators() as (stripe, paypal):
        with day(settings, {STRIPE: stripe, PAYPAL: paypal}) as done:
            yield done


def made(shop: Day, provider: ProviderName) -> list[ReconciliationReport]:
    """The reports that several concurrent beats make."""
    reports = Reconciliations(shop.database, Mode.TEST)
    account = Account.own(provider)

    def beat(_: int) -> ReconciliationReport | None:
        return run_once(
            account,
            None,
            context=shop.context,
            reports=reports,
        )

    with ThreadPoolExecutor(BEATS) as beats:
        return [one for one in beats.map(beat, range(BEATS)) if one is not None]


def make_due(shop: Day) -> None:
    """Lets a day pass."""
    past = [{"$set": {"next_at": "$$NOW"}}]
    shop.database.reconciliation_turns.update_many({}, past)


def test_one_of_many_beats_makes_the_report_which_is_stored_logged_and_measured(
    shop: Day, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(shop, STRIPE) == made(shop, PAYPAL) == [], "the first is due tomorrow"
    ref = shop.drift(STRIPE, do="unknown_charge", amount=77)
    happened = container.clock()
    wait_until(lambda: container.clock() >= happened + A_SECOND, seconds=5)
    make_due(shop)
    caplog.clear()
    [differing], [agreeing] = made(shop, STRIPE), made(shop, PAYPAL)
    assert differing.until - differing.since == REPORT_SPAN
    assert made(shop, STRIPE) == [], "and the next one tomorrow"

    stored = Reconciliations(shop.database, Mode.TEST).list_last()
    assert stored == [differing, agreeing]
    errors = logged_errors(caplog)
    [reported] = [(one["event"], one["reason"], one["ref"]) for one in errors]
    assert reported == ("reconciliation_differs", "theirs_alone", ref)

    open = MongoDifferences(shop.database, Mode.TEST)
    exporter.show_reports(stored, open.count_open())
    assert measured(STRIPE) == {
        **dict.fromkeys(DifferenceKind, 0.0),
        DifferenceKind.THEIRS_ALONE: 1,
    }
    assert measured(PAYPAL) == dict.fromkeys(DifferenceKind, 0.0)
    [at] = [
        sample.value
        for family in metrics.RECONCILIATION_SUCCESS.collect()
        for sample in family.samples
        if sample.labels == {"account": STRIPE}
    ]
    assert at == differing.ended_at.timestamp()


def test_a_failed_report_is_logged_and_not_stored(
    shop: Day, caplog: pytest.LogCaptureFixture
) -> None:
    made(shop, PAYPAL)
    make_due(shop)
    match = {"method": "GET", "path": "/v1/reporting"}
    shop.simulators[PAYPAL].arm(do="answer", status=403, times=9, match=match)
    caplog.clear()
    assert made(shop, PAYPAL) == []
    [failed] = logged_errors(caplog)
    assert failed["event"] == "reconciliation_failed"
    assert "no report" in failed["reason"]
    assert Reconciliations(shop.database, Mode.TEST).list_last() == []
    gate = MongoBreakerStore(shop.database).load_all()[PAYPAL]
    assert not gate.is_open, "missing access to reports stops no payment"


def measured(provider: ProviderName) -> dict[DifferenceKind, float | None]:
    """The exporter's counts of a provider's last report."""
    shown = {
        (sample.labels["account"], sample.labels["kind"]): sample.value
        for family in metrics.RECONCILIATION_DIFFERENCES.collect()
        for sample in family.samples
    }
    return {kind: shown.get((provider, kind)) for kind in DifferenceKind}
