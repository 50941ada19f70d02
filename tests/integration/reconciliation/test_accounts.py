"""Each of a merchant's accounts has its own books and its own comparison."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from domain.account import Account, Credentials, StoredAccount
from domain.payments.payment import WAKEUP_GRACE
from domain.payments.submission import ProviderName
from domain.reconciliation import DifferenceKind, ReconciliationReport
from persistence.accounts import MongoAccounts
from persistence.differences import MongoDifferences
from persistence.reconciliations import Reconciliations
from runtime import container, metrics
from runtime.processes import wait_until
from runtime.settings import Settings
from tests.suites.samples import insert_all, PRICE, SHOP, payment, submission
from tests.support.log_lines import logged_errors
from tests.support.reconciliation_shop import METHODS, PAYPAL, STRIPE, Day, Story, day
from tests.support.running_stack import payments
from tests.support.simulator_process import simulators
from tests.support.worker_processes import work_off
from workers import exporter
from workers.reconciler import RETIRED_FOR, run_all

BOTH = pytest.mark.parametrize("provider", [STRIPE, PAYPAL])


@dataclass(frozen=True)
class Shop:
    """A day at the deployment's own accounts, and a merchant with other accounts."""

    day: Day

    def add(self, provider: ProviderName, **fields: Any) -> Account:
        """A new account of the merchant."""
        name, settings = uuid.uuid4().hex, self.day.settings
        client = name if provider is PAYPAL else None
        stored = StoredAccount(
            id=container.new_id("acct"),
            merchant=SHOP.merchant,
            mode=settings.mode,
            provider=provider,
            created_at=container.clock(),
            credentials=Credentials(f"sk_test_{name}", client),
        )
        stored = replace(stored, **fields)
        MongoAccounts(self.day.database, container.open_account_vault(settings)).add(
            stored
        )
        return stored.account

    def pay(self, account: Account) -> str:
        """The id of a payment carried out at the account."""
        provider, store = account.provider, self.day.workers[0].store
        method = METHODS[provider]["pays"]
        asked = submission(provider=provider, payment_method=method)
        new = payment(99, submitted=asked, now=container.clock() - WAKEUP_GRACE)
        [kept] = insert_all(
            store, [replace(new, id=container.new_id("pay"), account=account)]
        )
        work_off([kept.id], self.day.workers)
        found = store.get(SHOP, kept.id)
        assert found is not None and found.captured == PRICE.minor
        return kept.id

    def daily(self) -> list[ReconciliationReport]:
        """The reports that a beat makes now."""
        stop, day = threading.Event(), self.day
        return run_all(day.settings, day.database, context=day.context, stop=stop)

    def make_due(self) -> None:
        """Lets a day pass, and the second that is being compared."""
        happened = container.clock()
        a_second = timedelta(seconds=1)
        assert wait_until(lambda: container.clock() >= happened + a_second, seconds=5)
        past = [{"$set": {"next_at": "$$NOW"}}]
        self.day.database.reconciliation_turns.update_many({}, past)


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    """A Shop at simulators whose books can drift."""
    with simulators() as (stripe, paypal):
        both = {STRIPE: stripe, PAYPAL: paypal}
        with day(settings, both, {"paid": Story("pays")}) as done:
            yield Shop(done)


@BOTH
def test_a_drift_is_found_at_its_account_and_reported_with_it(
    shop: Shop, provider: ProviderName
) -> None:
    account, other = shop.add(provider), shop.add(provider)
    shop.pay(account)
    ref = shop.day.drift(provider, do="unknown_charge", amount=77)
    [found] = shop.day.report(account).differences
    assert (found.kind, found.ref) == (DifferenceKind.THEIRS_ALONE, ref)
    for agreeing in (Account.own(provider), other):
        assert shop.day.report(agreeing).differences == ()


def test_a_beat_compares_every_account_once_a_day_and_reports_the_differing_one(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    account = shop.add(STRIPE)
    shop.pay(account)
    ref = shop.day.drift(STRIPE, do="unknown_charge", amount=77)
    assert shop.daily() == [], "the first are due tomorrow"
    shop.make_due()
    caplog.clear()
    made = shop.daily()
    everyone = [Account.own(STRIPE), Account.own(PAYPAL), account]
    assert [one.account for one in made] == everyone
    assert [one.difference_count for one in made] == [0, 0, 1]
    assert shop.daily() == [], "and the next ones tomorrow"
    [error] = logged_errors(caplog)
    assert (error["event"], error["account"]) == ("reconciliation_differs", account.id)
    assert error["ref"] == ref

    stored = Reconciliations(shop.day.database, shop.day.settings.mode).list_last()
    assert stored == made
    open = MongoDifferences(shop.day.database, shop.day.settings.mode)
    exporter.show_reports(stored, open.count_open())
    shown = [
        sample.labels["kind"]
        for family in metrics.RECONCILIATION_DIFFERENCES.collect()
        for sample in family.samples
        if sample.labels["account"] == account.id and sample.value == 1
    ]
    assert shown == [DifferenceKind.THEIRS_ALONE]


def test_a_long_retired_account_is_compared_while_its_money_moves(
    shop: Shop,
) -> None:
    long_ago = container.clock() - RETIRED_FOR - timedelta(days=1)
    idle = shop.add(STRIPE, retired_at=long_ago)
    moving = shop.add(STRIPE, retired_at=long_ago)
    lately = shop.add(STRIPE, retired_at=container.clock())
    shop.pay(moving)
    shop.daily()
    shop.make_due()
    compared = [one.account for one in shop.daily()]
    assert compared[2:] == [moving, lately] and idle not in compared
    assert shop.daily() == [], "it is not compared again today"


def test_an_account_with_unreadable_books_delays_no_other(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    refused = shop.add(STRIPE, credentials=Credentials("rk_test_refused"))
    shop.daily()
    shop.make_due()
    caplog.clear()
    made = shop.daily()
    assert [one.account.id for one in made] == ["stripe", "paypal"]
    [error] = logged_errors(caplog)
    assert (error["event"], error["account"]) == ("reconciliation_failed", refused.id)


def test_the_command_compares_all_accounts_or_the_named_one(
    shop: Shop,
) -> None:
    account = shop.add(STRIPE)
    shop.pay(account)
    ref = shop.day.drift(STRIPE, do="unknown_charge", amount=77)
    shop.make_due()
    environment = shop.day.settings.environment()
    since = (container.clock() - timedelta(hours=1)).isoformat()

    def run(*arguments: str) -> str:
        done = payments(
            *("reconcile", "--since", since, *arguments), environment=environment
        )
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stdout

    [report] = json.loads(run("--account", account.id, "--json"))["reports"]
    assert (report["account"], report["provider"]) == (account.id, "stripe")
    assert [one["ref"] for one in report["differences"]] == [ref]
    everyone = json.loads(run("--json"))["reports"]
    assert [one["account"] for one in everyone] == ["stripe", "paypal", account.id]
    assert [one["differing"] for one in everyone] == [0, 0, 1]
    shown = run("--provider", "stripe")
    assert account.id in shown and "theirs alone" in shown and "paypal" not in shown

    stranger = container.new_id("acct")
    missing = payments(
        *("reconcile", "--since", since, "--account", stranger),
        environment=environment,
    )
    assert missing.returncode != 0 and "no such account" in missing.stderr
