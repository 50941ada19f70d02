"""A third provider passes the suites of all providers with an adapter and its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import click
import pytest

from application.ports.provider import Provider
from cli import secrets
from cli.commands import account_options, account_output
from domain.account import Credentials, StoredAccount
from domain.errors import Conflict, InvalidPayment
from domain.money import Money
from domain.payments.answer import Verdict
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.provider_ids import build_refs
from domain.payments.submission import FutureUsage, Mode
from domain.provider_rules import ProviderName
from local_stack.state import StackError
from tests.suites import accounts
from tests.suites.accounts import Trouble, capture
from tests.suites.provider import ProviderSuite
from tests.suites.provider_follow_ups import FollowUpSuite
from tests.suites.samples import NOW
from tests.support.acme import ACME_RULES, Acme, acme_registered


@dataclass(frozen=True)
class Account(accounts.Account):
    """An account at Acme."""

    acme: Acme
    acme_name: ProviderName

    units = {"EUR": 10}

    @property
    def name(self) -> ProviderName:
        """Acme's provider."""
        return self.acme_name

    def arm(self, trouble: Trouble) -> None:
        self.acme.troubles.append(trouble)

    def movements(self, payment: Payment) -> list[tuple[str, str, int]]:
        return [
            (one.key, one.kind.value, ACME_RULES.to_units(one.money))
            for one in self.acme.service.of(payment.id)
            if one.verdict is Verdict.SUCCEEDED
        ]


@pytest.fixture
def account() -> Iterator[Account]:
    """A new account."""
    acme = Acme()
    methods = {does: f"acme_{does}" for does in ("pays", "declines", "asks", "waits")}
    with acme_registered(acme) as name:
        yield Account(acme, methods, acme, name)


@pytest.fixture
def away() -> Provider:
    """An account without a connection."""
    return Acme(away=True)


class TestThirdProvider(ProviderSuite):
    """The suite of all implementers."""


class TestFollowUps(FollowUpSuite):
    """The suite of all implementers."""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": Money(1999, "CHF")}, "Acme takes no CHF"),
        ({"amount": Money(10_000_001, "USD")}, "more than Acme takes"),
        ({"payment_method": None}, "Acme needs one"),
        (
            {"setup_future_usage": FutureUsage.OFF_SESSION},
            "the method is saved already",
        ),
    ],
)
def test_a_payment_that_the_row_does_not_allow_is_refused(
    account: Account, changes: dict[str, Any], words: str
) -> None:
    asked = replace(account.new().submission, **changes)
    with pytest.raises(InvalidPayment, match=words):
        asked.check_for(account.name)


def test_captures_keep_the_rest_on_hold_as_often_as_the_row_allows(
    account: Account,
) -> None:
    payment = account.held()
    for _ in range(3):
        payment = account.execute(capture(payment, 100))
    assert payment.capturable == 1699
    with pytest.raises(Conflict, match="Acme leaves the rest on hold 3 times"):
        capture(payment, 100)


def test_a_reference_has_the_form_of_the_row(account: Account) -> None:
    assert build_refs(account.name, Kind.CHARGE, "D17") == {"debit": "D17"}
    with pytest.raises(
        InvalidPayment, match="a charge at acme is identified by its debit"
    ):
        build_refs(account.name, Kind.CHARGE, "R17")


def test_commands_for_its_accounts_follow_its_row(account: Account) -> None:
    stored = StoredAccount(
        id="acct_1",
        merchant="shop",
        mode=Mode.TEST,
        provider=account.name,
        created_at=NOW,
        credentials=Credentials("secret"),
    )
    for option in ("client_id", "webhook_id", "connected"):
        with pytest.raises(click.UsageError, match="is only for (PayPal|Stripe)"):
            account_options.check(account.name, **{option: "given"})
    account_options.check(account.name)
    with pytest.raises(StackError, match="Acme has no webhook secrets"):
        secrets.read_webhook_secrets(stored)
    advice = account_output.next_step(stored)
    assert "/v1/webhooks/acme/acct_1" in advice
    assert advice.endswith("at Acme, then `payments accounts show acct_1`.")
