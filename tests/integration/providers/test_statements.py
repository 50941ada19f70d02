"""Runs the suite of statements at the simulators, and tests their failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from application.ports.provider import Provider
from application.ports.reconciliation import Statement
from domain.errors import (
    ListTooLong,
    MalformedAnswer,
    MalformedObject,
    Misconfigured,
    NotAuthorized,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.payment import Payment
from providers.paypal.adapter import PayPal
from providers.paypal.transactions import PayPalStatement
from providers.stripe.adapter import Stripe
from providers.stripe.balance import StripeStatement
from tests.suites.accounts import refund
from tests.suites.statements import MINUTE, Books, StatementSuite
from tests.support.provider_accounts import PAYPAL_METHODS, STRIPE_METHODS, Account
from tests.support.provider_clients import paypal_api, stripe_client
from tests.support.simulator_control import Calls, Simulator

#: Makes both clients of one new account, for a base URL and with a secret.
MakeClients = Callable[..., tuple[Provider, Statement]]


@dataclass(frozen=True)
class ShopAccount:
    """An account of the suite's, at a simulator."""

    account: Account
    page: int

    def charged(self) -> Payment:
        return self.account.charged()

    def declined(self) -> Payment:
        return self.account.execute(self.account.new("declines"))

    def refunded(self, payment: Payment) -> Payment:
        return self.account.execute(refund(payment))

    def forgotten(self, payment: Payment) -> Payment:
        refs = dict.fromkeys(payment.first_operation.refs, "none")
        return replace(
            payment, operations=(replace(payment.first_operation, refs=refs),)
        )


def stripe_clients(
    url: str, observe: Calls, secret: str | None = None
) -> tuple[Provider, Statement]:
    client = stripe_client(url, observe, secret=secret)
    return Stripe(client), StripeStatement(client)


def paypal_clients(
    url: str, observe: Calls, secret: str = "paypal-secret"
) -> tuple[Provider, Statement]:
    api = paypal_api(url, observe, secret=secret)
    return PayPal(api), PayPalStatement(api)


CLIENTS: dict[str, MakeClients] = {"stripe": stripe_clients, "paypal": paypal_clients}


@pytest.fixture(params=["stripe", "paypal"])
def name(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    return str(request.param)


@pytest.fixture
def simulator(name: str, request: pytest.FixtureRequest) -> Simulator:
    """The provider's simulator, healed after the test."""
    found: Simulator = request.getfixturevalue(f"{name}_simulator")
    return found


@pytest.fixture
def books(name: str, simulator: Simulator, calls: Calls) -> Books:
    """A new account and its statement."""
    provider, statement = CLIENTS[name](simulator.url, calls)
    methods = STRIPE_METHODS if name == "stripe" else PAYPAL_METHODS
    page = 100 if name == "stripe" else 500
    return Books(statement, ShopAccount(Account(provider, methods, simulator), page))


class TestStatements(StatementSuite):
    """The suite of all implementers."""


def test_a_payment_without_provider_ids_cannot_be_read(books: Books) -> None:
    paid = books.account.charged()
    lost = replace(paid, operations=(replace(paid.first_operation, refs={}),))
    assert books.statement.for_payment(lost) is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"do": "drop"}, OutcomeUnknown),
        ({"do": "malformed"}, MalformedAnswer),
        ({"do": "answer", "status": 500}, OutcomeUnknown),
        ({"do": "answer", "status": 200, "body": {"data": [7]}}, MalformedObject),
        ({"do": "answer", "status": 403}, NotAuthorized),
        ({"do": "rate_limit"}, NotExecuted),
    ],
)
@pytest.mark.parametrize("read", ["page", "of"])
def test_an_unreadable_statement_is_an_error_without_quotes(
    books: Books,
    simulator: Simulator,
    fault: dict[str, Any],
    error: type[ProviderError],
    read: str,
) -> None:
    paid = books.account.charged()
    simulator.arm(**fault, match={"method": "GET"})
    with pytest.raises(ProviderError) as raised:
        if read == "page":
            books.list_around(datetime.now(UTC))
        else:
            books.statement.for_payment(paid)
    assert type(raised.value) is error
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


def test_wrong_credentials_and_closed_ports_differ(
    name: str, simulator: Simulator, calls: Calls
) -> None:
    now = datetime.now(UTC)
    secret = "sk_live_wrong" if name == "stripe" else "wrong"
    _, refused = CLIENTS[name](simulator.url, calls, secret)
    with pytest.raises(Misconfigured):
        refused.list_page(now - MINUTE, now, None)
    _, away = CLIENTS[name]("http://127.0.0.1:1", calls)
    with pytest.raises(NotSent):
        away.list_page(now - MINUTE, now, None)


def test_a_search_with_too_many_results_is_an_error(
    paypal_simulator: Simulator, calls: Calls
) -> None:
    _, statement = paypal_clients(paypal_simulator.url, calls)
    now = datetime.now(UTC)
    body = {"name": "INVALID_REQUEST", "details": [{"issue": "RESULTSET_TOO_LARGE"}]}
    paypal_simulator.arm(
        "answer", status=400, body=body, match={"method": "GET", "path": "/v1/rep"}
    )
    with pytest.raises(ListTooLong):
        statement.list_page(now - MINUTE, now, None)
